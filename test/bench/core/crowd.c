/* crowd.c - clients in memory, how they come and go: see crowd.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/core/crowd.h"

#define GOING_AWAY 1001 /* the endpoint is freed */

uint64_t cpu_ns(void)
{
    return machine_cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* --- What the endpoint is given ------------------------------------------------------------- */

static void *on_realloc(void *hooks, void *p, size_t old_size, size_t new_size)
{
    memory *m = &((crowd *)hooks)->memory;
    m->in_use += new_size - old_size;
    if (new_size == 0) {
        free(p);
        return NULL;
    }
    m->calls++;
    m->bytes += new_size;
    m->grown += old_size != 0 ? new_size - old_size : 0;
    p = realloc(p, new_size);
    if (p == NULL)
        bench_fail("no memory");
    return p;
}

/* The same in each run, so that instructions can be compared. */
static int on_random(void *hooks, void *dst, size_t len)
{
    unsigned char *at = dst;
    (void)hooks;
    for (size_t i = 0; i < len; i++)
        at[i] = (unsigned char)(i * 151 + 17);
    return 0;
}

static void on_log(void *hooks, channels_log_level level, const char *text)
{
    (void)hooks, (void)level;
    bench_fail("the endpoint says: %s", text);
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

/* --- What a client is ----------------------------------------------------------------------- */

static int on_send(void *carrier, channels_buf *wire, channels_kind kind)
{
    member *m = carrier;
    size_t len;
    const char *text = channels_buf_data(wire, &len);
    (void)kind;
    m->crowd->hear(m, text, len);
    channels_socket_sent(m->socket, len);
    return CHANNELS_OK;
}

static void on_close(void *carrier, int code)
{
    (void)carrier;
    if (code != GOING_AWAY)
        bench_fail("a client is closed with %d", code);
}

static void on_accept(void *carrier)
{
    (void)carrier;
}

static void on_refuse(void *carrier, const channels_response *r)
{
    (void)carrier;
    bench_fail("a client is refused with %d", r->status);
}

static const channels_transport in_memory = {
    .name = "memory", .send = on_send, .close = on_close, .accept = on_accept, .refuse = on_refuse
};

/* --- Beginning and end ---------------------------------------------------------------------- */

unsigned crowd_rooms(const crowd *c)
{
    unsigned size = c->options.room_size;
    return size != 0 ? (c->options.size + size - 1) / size : 1;
}

static unsigned *shuffle(unsigned n)
{
    unsigned *order = bench_alloc(n, sizeof *order);
    uint64_t random = 1;
    for (unsigned i = 0; i < n; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned k = (unsigned)((random >> 32) % (i + 1));
        order[i] = order[k];
        order[k] = i;
    }
    return order;
}

static void make_members(crowd *c)
{
    c->order = shuffle(c->options.size);
    c->visits = shuffle(crowd_rooms(c));
    c->members = bench_alloc((size_t)c->options.size + 1, sizeof *c->members);
    c->said = bench_alloc(crowd_rooms(c), sizeof *c->said);
    for (unsigned i = 0; i <= c->options.size; i++) {
        c->members[i].crowd = c;
        c->members[i].room = i % crowd_rooms(c) & 0x7fffffff;
        c->members[i].v1 = c->options.half_v1 && i % 2 != 0;
    }
}

crowd *crowd_new(const crowd_options *options)
{
    static const channels_handler anybody = { .join = on_join };
    static const channels_mount_options any = { .log_connect = CHANNELS_LOG_OFF };
    crowd *c = bench_alloc(1, sizeof *c);
    const channels_config config = { .user = c,
                                     .realloc = on_realloc,
                                     .random = on_random,
                                     .log = on_log,
                                     .log_level = CHANNELS_LOG_WARNING };
    const channels_presence_options presence = { .max_present = UINT32_MAX };
    c->options = *options;
    c->routes[0].pattern = "*";
    c->routes[0].handler = options->handler != NULL ? options->handler : &anybody;
    c->socket_handler.routes = c->routes;
    make_members(c);
    if (channels_endpoint_new(&c->ep, &config) != CHANNELS_OK ||
        channels_mount(c->ep, "/socket", &c->socket_handler, &any, c) != CHANNELS_OK ||
        (options->presence && channels_presence_new(&c->presence, c->ep, &presence) != CHANNELS_OK))
        bench_fail("an endpoint does not start");
    return c;
}

void crowd_free(crowd *c)
{
    channels_endpoint_free(c->ep);
    if (c->memory.in_use != 0)
        bench_fail("an endpoint leaves %zu bytes behind", c->memory.in_use);
    for (int v = 0; v < 2; v++)
        free(c->text[v]);
    free(c->payload);
    free(c->members);
    free(c->order);
    free(c->visits);
    free(c->said);
    free(c);
}

/* --- Coming and going ----------------------------------------------------------------------- */

/* Messages of clients, and the answer to a join. The room's number, in hexadecimal, is put where
 * zeros are; it is what differs from one client to the next. */
#define ROOM "00000000"
static const char *const join_text[2] = {
    "[\"1\",\"1\",\"room:" ROOM "\",\"phx_join\",{}]",
    "{\"topic\":\"room:" ROOM "\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"1\"}"
};
static const char *const leave_text[2] = {
    "[\"1\",\"2\",\"room:" ROOM "\",\"phx_leave\",{}]",
    "{\"topic\":\"room:" ROOM "\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"2\"}"
};
static const char *const joined_text[2] = {
    "[\"1\",\"1\",\"room:" ROOM "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
    "{\"topic\":\"room:" ROOM "\",\"event\":\"phx_reply\",\"payload\":{\"status\":\"ok\","
    "\"response\":{}},\"ref\":\"1\"}"
};

static size_t text_for(char *dst, const char *text, unsigned room)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = strlen(text);
    memcpy(dst, text, len + 1);
    char *at = strstr(dst, ROOM);
    for (int i = 7; i >= 0; i--, room /= 16)
        at[i] = digits[room % 16];
    return len;
}

static void say(member *m, const char *text)
{
    char mine[128];
    channels_payload p = channels_json_n(mine, text_for(mine, text, m->room));
    if (channels_socket_receive(m->socket, p) != CHANNELS_OK)
        bench_fail("a client is not understood");
}

static void hear_join(member *m, const char *text, size_t len)
{
    char expected[128];
    if (len != text_for(expected, joined_text[m->v1], m->room) || memcmp(text, expected, len) != 0)
        bench_fail("the answer to a join is %.*s", (int)len, text);
    m->crowd->answers++;
}

/* To a leave there are two: the reply and phx_close. */
static void hear_any(member *m, const char *text, size_t len)
{
    (void)text, (void)len;
    m->crowd->answers++;
}

void crowd_connect(crowd *c, unsigned i)
{
    member *m = &c->members[i];
    const channels_request req = { .method = "GET",
                                   .path = "/socket",
                                   .query = m->v1 ? "vsn=1.0.0" : "vsn=2.0.0" };
    if (channels_socket_open(c->ep, &req, &in_memory, m, &m->socket) != CHANNELS_OK)
        bench_fail("a client does not get in");
}

static void exchange(crowd *c, unsigned i, const char *text,
                     void (*hear)(member *m, const char *text, size_t len), unsigned answers)
{
    uint64_t before = c->answers;
    c->hear = hear;
    say(&c->members[i], text);
    if (c->answers != before + answers)
        bench_fail("a client hears %u answers", (unsigned)(c->answers - before));
}

void crowd_join(crowd *c, unsigned i)
{
    exchange(c, i, join_text[c->members[i].v1], hear_join, 1);
    c->members[i].heard = c->said[c->members[i].room];
}

void crowd_leave(crowd *c, unsigned i)
{
    exchange(c, i, leave_text[c->members[i].v1], hear_any, 2);
}

void crowd_close(crowd *c, unsigned i)
{
    channels_socket_closed(c->members[i].socket);
    c->members[i].socket = NULL;
}

/* --- All of them ---------------------------------------------------------------------------- */

void crowd_connect_all(crowd *c)
{
    for (unsigned i = 0; i < c->options.size; i++)
        crowd_connect(c, i);
}

void crowd_join_all(crowd *c)
{
    for (unsigned i = 0; i < c->options.size; i++)
        crowd_join(c, c->options.shuffled ? c->order[i] : i);
}

void crowd_leave_all(crowd *c)
{
    for (unsigned i = 0; i < c->options.size; i++)
        crowd_leave(c, c->order[i]);
}

void crowd_close_all(crowd *c)
{
    for (unsigned i = 0; i < c->options.size; i++)
        crowd_close(c, c->order[i]);
    channels_endpoint_run(c->ep); /* it gives the memory back when it is called next */
}

void crowd_with_channel(crowd *c, unsigned i, void (*fn)(channels_channel *ch, void *arg),
                        void *arg)
{
    if (channels_foreach_channel(c->members[i].socket, fn, arg) != CHANNELS_OK)
        bench_fail("a client shows no channel");
}

void crowd_in_one_turn(crowd *c, void (*fn)(channels_endpoint *ep, void *c))
{
    if (channels_post(c->ep, fn, c, NULL) != CHANNELS_OK)
        bench_fail("nothing can be posted");
    channels_endpoint_run(c->ep);
}
