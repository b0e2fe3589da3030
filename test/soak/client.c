/* client.c - see soak.h: clients by hand, so that they share no code with the library.
 *
 * One acts a random step each time its turn comes, and checks all that it hears. It never pushes to
 * a topic of which it has asked for the end, so each push has to be answered, but for those to be
 * answered later by a channel that has ended. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak/soak.h"

#define SEATS 3    /* topics that one is in at a time */
#define PENDING 64 /* messages that wait for a reply */
#define TICK 0.01  /* s; in each of them every tenth client acts */
#define STALL 30   /* turns */

typedef enum { FREE, JOINING, JOINED, ENDING } seat_state;

typedef struct seat {
    seat_state state;
    unsigned room, join_ref, old_join_ref; /* old: of the channel that a second join has ended */
    uint64_t next;                         /* the number to be heard next */
} seat;

typedef enum { JOIN, LEAVE, ECHO, ASYNC } pending_kind;

typedef struct pending {
    pending_kind kind;
    unsigned ref, join_ref;
    seat *seat;
} pending;

typedef enum { GREETING, OPEN, LEAVING, GOODBYE, OVER } client_state;

typedef struct client {
    ev_io io;
    client_state state;
    unsigned id, steps, refs, stall;
    bool excused; /* it did what the server may end it for, or was told to go */
    bool closed;  /* the server has said so */
    seat seats[SEATS];
    pending pending[PENDING];
    unsigned npending;
    char *in, *out;
    size_t in_len, out_len;
} client;

soak_clients soak_counted;
static client *clients;
static unsigned total, turn, ids;
static bool refill;
static int server_port;
static soak_manners how;
static struct ev_loop *clients_loop;
static ev_timer ticks;

/* --- Bytes ---------------------------------------------------------------------------------- */

static void connect_anew(client *c);

static void gone(client *c)
{
    ev_io_stop(clients_loop, &c->io);
    close(c->io.fd);
    for (unsigned i = 0; i < c->npending; i++)
        soak_counted.lost_replies += c->pending[i].kind >= ECHO;
    free(c->in);
    free(c->out);
    c->in = c->out = NULL;
    c->state = OVER;
    soak_counted.alive--;
    soak_counted.deaths++;
    if (refill)
        connect_anew(c);
}

static void watch(client *c)
{
    int events = (c->stall == 0 ? EV_READ : 0) | (c->out_len != 0 ? EV_WRITE : 0);
    if (events == (c->io.events & (EV_READ | EV_WRITE)) && events != 0)
        return;
    ev_io_stop(clients_loop, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events != 0)
        ev_io_start(clients_loop, &c->io);
}

static void flush(client *c)
{
    while (c->out_len != 0) {
        ssize_t n = send(c->io.fd, c->out, c->out_len, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* what broke shows when it reads */
        soak_counted.sent_bytes += (uint64_t)n;
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
    watch(c);
}

static void put(client *c, const void *bytes, size_t n)
{
    c->out = realloc(c->out, c->out_len + n);
    if (c->out == NULL)
        soak_fail("no memory");
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += n;
}

static void send_frame(client *c, int first, const void *payload, size_t n)
{
    uint8_t head[8] = { (uint8_t)first, (uint8_t)(0x80 | n), 1, 2, 3, 4 };
    char masked[125];
    if (n > sizeof masked)
        soak_fail("a client's message is too long");
    for (size_t i = 0; i < n; i++)
        masked[i] = (char)(((const char *)payload)[i] ^ head[2 + i % 4]);
    put(c, head, 6);
    put(c, masked, n);
    flush(c);
}

static void say(client *c, const char *format, ...)
{
    char text[126];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    send_frame(c, 0x81, text, (size_t)n);
}

/* --- What it does --------------------------------------------------------------------------- */

static unsigned expect(client *c, pending_kind kind, seat *s)
{
    pending p = { kind, ++c->refs, kind == JOIN ? c->refs : s->join_ref, s };
    c->pending[c->npending++] = p;
    return p.ref;
}

static void join(client *c, seat *s, unsigned room)
{
    unsigned ref = expect(c, JOIN, s);
    s->old_join_ref = s->state == JOINED ? s->join_ref : 0;
    s->state = JOINING;
    s->room = room;
    s->join_ref = ref;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"phx_join\",{}]", ref, ref, room);
}

static void push(client *c, seat *s, const char *event, pending_kind kind)
{
    unsigned ref = expect(c, kind, s);
    soak_counted.pushes++;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"%s\",{\"ref\":%u}]", s->join_ref, ref, s->room, event,
        ref);
}

static void leave(client *c, seat *s)
{
    unsigned ref = expect(c, LEAVE, s);
    s->state = ENDING;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"phx_leave\",{}]", s->join_ref, ref, s->room);
}

/* The channel will end without an answer to this. */
static void end_channel(client *c, seat *s, const char *event)
{
    s->state = ENDING;
    say(c, "[\"%u\",null,\"room:%u\",\"%s\",{}]", s->join_ref, s->room, event);
}

static bool taken(const client *c, unsigned room)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state != FREE && c->seats[i].room == room)
            return true;
    return false;
}

static bool waits(const client *c, pending_kind kind, const seat *s)
{
    for (unsigned i = 0; i < c->npending; i++)
        if (c->pending[i].kind == kind && c->pending[i].seat == s)
            return true;
    return false;
}

static void act_in(client *c, seat *s)
{
    switch (soak_random(how.wild ? 16 : 11)) {
    case 0:
    case 1:
    case 2: push(c, s, "shout", ECHO); break;
    case 3:
    case 4: push(c, s, "later", ASYNC); break;
    case 10:
        if (!waits(c, ASYNC, s))
            leave(c, s);
        break;
    case 11: join(c, s, s->room); break;
    case 12: end_channel(c, s, "quit"); break;
    case 13: end_channel(c, s, "fail"); break;
    case 14: leave(c, s); break;
    default: push(c, s, "echo", ECHO); break;
    }
}

static void say_goodbye(client *c)
{
    c->state = GOODBYE;
    send_frame(c, 0x88, "\003\351", 2); /* 1001 */
}

/* Leaves without manners; false: it is gone. */
static bool break_off(client *c)
{
    static const struct linger reset = { 1, 0 };
    c->excused = true;
    switch (soak_random(5)) {
    case 0:
        setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        gone(c);
        return false;
    case 1:
        shutdown(c->io.fd, SHUT_WR);
        c->state = GOODBYE;
        return true;
    case 2:
        c->stall = STALL;
        watch(c);
        return true;
    case 3: say(c, "nonsense"); return true;
    default: gone(c); return false;
    }
}

/* All of its topics, and the answers that it waits for. */
static void go(client *c)
{
    bool sitting = false;
    for (unsigned i = 0; i < SEATS; i++) {
        sitting |= c->seats[i].state != FREE;
        if (c->seats[i].state == JOINED && !waits(c, ASYNC, &c->seats[i]))
            leave(c, &c->seats[i]);
    }
    if (!sitting && c->npending == 0)
        say_goodbye(c);
}

static void act(client *c)
{
    seat *s = &c->seats[soak_random(SEATS)];
    unsigned room = soak_random(SOAK_ROOMS);
    if (c->state == LEAVING && c->npending < PENDING - SEATS)
        go(c);
    if (c->state != OPEN || c->npending >= PENDING - 1)
        return;
    if (c->steps == 0) {
        if (!how.wild || soak_random(3) == 0)
            c->state = LEAVING;
        else if (!break_off(c))
            return;
        c->steps = UINT32_MAX;
        return;
    }
    c->steps--;
    if (s->state == FREE && !taken(c, room))
        join(c, s, room);
    else if (s->state == JOINED)
        act_in(c, s);
}

/* --- What it hears -------------------------------------------------------------------------- */

static void broken(const client *c, const char *promise, const char *text)
{
    soak_fail("client %u: %s: %s", c->id, promise, text);
}

/* Answers that a channel would have given later are lost with it. */
static void seat_over(client *c, seat *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->npending; i++) {
        if (c->pending[i].seat == s && c->pending[i].kind == ASYNC &&
            c->pending[i].join_ref == s->join_ref)
            soak_counted.lost_replies++;
        else
            c->pending[kept++] = c->pending[i];
    }
    c->npending = kept;
    s->state = FREE;
}

static void drop_async(client *c, unsigned join_ref)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->npending; i++) {
        if (c->pending[i].kind == ASYNC && c->pending[i].join_ref == join_ref)
            soak_counted.lost_replies++;
        else
            c->pending[kept++] = c->pending[i];
    }
    c->npending = kept;
}

static void on_reply(client *c, unsigned ref, const cJSON *payload, const char *text)
{
    const cJSON *status = cJSON_GetObjectItem(payload, "status");
    const cJSON *response = cJSON_GetObjectItem(payload, "response");
    unsigned i = 0;
    /* Those to be answered at once are answered in order. */
    while (i < c->npending && c->pending[i].kind == ASYNC && c->pending[i].ref != ref)
        i++;
    if (i == c->npending || c->pending[i].ref != ref)
        broken(c, "an answer that was not due", text);
    pending p = c->pending[i];
    memmove(&c->pending[i], &c->pending[i + 1], (--c->npending - i) * sizeof p);
    if (status == NULL || strcmp(status->valuestring, "ok") != 0)
        broken(c, "refused", text);
    if (p.kind == JOIN) {
        soak_counted.joins++;
        p.seat->next = (uint64_t)cJSON_GetObjectItem(response, "n")->valuedouble + 1;
        p.seat->state = JOINED;
        if (p.seat->old_join_ref != 0)
            drop_async(c, p.seat->old_join_ref);
    } else if (p.kind != LEAVE) {
        soak_counted.replies++;
        if (p.kind == ECHO && cJSON_GetObjectItem(response, "ref")->valueint != (int)ref)
            broken(c, "another's answer", text);
    }
}

static seat *seat_in(client *c, const char *topic)
{
    unsigned room = (unsigned)atoi(topic + strlen("room:"));
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state != FREE && c->seats[i].room == room)
            return &c->seats[i];
    return NULL;
}

static void on_shout(client *c, seat *s, const cJSON *payload, const char *text)
{
    uint64_t n = (uint64_t)cJSON_GetObjectItem(payload, "n")->valuedouble;
    if (s == NULL || (s->state == JOINING && s->old_join_ref == 0))
        broken(c, "heard without having joined", text);
    if (n != s->next)
        soak_fail("client %u: heard %s, and not number %llu", c->id, text,
                  (unsigned long long)s->next);
    s->next++;
    soak_counted.heard++;
}

static void on_end(client *c, seat *s, unsigned join_ref, const char *text)
{
    if (s == NULL)
        broken(c, "the end of a channel that is none", text);
    if (join_ref == s->old_join_ref)
        s->old_join_ref = 0;
    else if (join_ref == s->join_ref && s->state == ENDING)
        seat_over(c, s);
    else
        broken(c, "the end of a channel that was not to end", text);
}

static unsigned number(const cJSON *ref)
{
    return cJSON_IsString(ref) ? (unsigned)strtoul(ref->valuestring, NULL, 10) : 0;
}

static void on_text(client *c, const char *text, size_t n)
{
    cJSON *msg = cJSON_ParseWithLength(text, n);
    if (cJSON_GetArraySize(msg) != 5)
        broken(c, "no message", text);
    unsigned join_ref = number(cJSON_GetArrayItem(msg, 0));
    const char *topic = cJSON_GetArrayItem(msg, 2)->valuestring;
    const char *event = cJSON_GetArrayItem(msg, 3)->valuestring;
    const cJSON *payload = cJSON_GetArrayItem(msg, 4);
    char copy[128];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    if (strcmp(event, "phx_reply") == 0)
        on_reply(c, number(cJSON_GetArrayItem(msg, 1)), payload, copy);
    else if (strcmp(event, "shout") == 0)
        on_shout(c, seat_in(c, topic), payload, copy);
    else
        on_end(c, seat_in(c, topic), join_ref, copy);
    cJSON_Delete(msg);
}

/* The bytes of the frame at `p`, 0 if it is not all there. */
static size_t on_frame(client *c, const uint8_t *p, size_t n)
{
    size_t head = 2, len;
    if (n < 2)
        return 0;
    len = p[1];
    if (len == 126) {
        head = 4;
        if (n < 4)
            return 0;
        len = (size_t)p[2] << 8 | p[3];
    }
    if (n < head + len)
        return 0;
    if (p[0] == 0x81)
        on_text(c, (const char *)p + head, len);
    else if (p[0] == 0x88)
        c->closed = true;
    else
        soak_fail("client %u: a frame that begins with %02x", c->id, p[0]);
    return head + len;
}

static size_t on_welcome(client *c)
{
    const char *end = strstr(c->in, "\r\n\r\n");
    if (end == NULL)
        return 0;
    if (strncmp(c->in, "HTTP/1.1 101 ", 13) != 0)
        soak_fail("client %u: not let in: %.60s", c->id, c->in);
    c->state = OPEN;
    return (size_t)(end + 4 - c->in);
}

static void on_bytes(client *c)
{
    size_t at = 0, n;
    if (c->state == GREETING)
        at = on_welcome(c);
    if (c->state == GREETING)
        return;
    while ((n = on_frame(c, (const uint8_t *)c->in + at, c->in_len - at)) != 0)
        at += n;
    c->in_len -= at;
    memmove(c->in, c->in + at, c->in_len);
}

static void on_end_of_stream(client *c)
{
    if (c->state != GOODBYE && !c->excused && !(how.wild && c->closed))
        soak_fail("client %u: the server has hung up", c->id);
    soak_counted.closed_by_server += c->state != GOODBYE;
    if (c->state == GOODBYE && !c->excused && !c->closed)
        soak_fail("client %u: its goodbye was not answered", c->id);
    gone(c);
}

static void on_readable(client *c)
{
    char bytes[16384];
    ssize_t n = recv(c->io.fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        on_end_of_stream(c);
        return;
    }
    soak_counted.received_bytes += (uint64_t)n;
    c->in = realloc(c->in, c->in_len + (size_t)n + 1);
    if (c->in == NULL)
        soak_fail("no memory");
    memcpy(c->in + c->in_len, bytes, (size_t)n);
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    on_bytes(c);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    client *c = (client *)io;
    (void)loop;
    if ((revents & EV_WRITE) != 0)
        flush(c);
    if ((revents & EV_READ) != 0 && c->state != OVER)
        on_readable(c);
}

/* --- Birth, turns, death -------------------------------------------------------------------- */

static void connect_anew(client *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server_port) };
    char text[512];
    memset(c, 0, sizeof *c);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        soak_fail("a client cannot connect: %s", strerror(errno));
    c->id = ++ids;
    c->steps = how.steps / 2 + soak_random(how.steps);
    soak_counted.alive++;
    soak_counted.connects++;
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_io_start(clients_loop, &c->io);
    snprintf(text, sizeof text,
             "GET /socket/websocket?vsn=2.0.0&id=user:%u HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             c->id);
    put(c, text, strlen(text));
    watch(c);
}

static void take_turn(client *c)
{
    if (c->stall != 0 && --c->stall == 0)
        gone(c);
    else if (c->state != OVER && c->stall == 0)
        act(c);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
    for (unsigned n = total / 10 + 1; n != 0; n--)
        take_turn(&clients[turn++ % total]);
}

void soak_clients_start(struct ev_loop *loop, int port, unsigned count, soak_manners manners)
{
    memset(&soak_counted, 0, sizeof soak_counted);
    clients_loop = loop;
    server_port = port;
    how = manners;
    total = count;
    refill = true;
    clients = (client *)soak_alloc(count * sizeof *clients);
    for (unsigned i = 0; i < count; i++)
        connect_anew(&clients[i]);
    ev_timer_init(&ticks, on_tick, TICK, TICK);
    ev_timer_start(loop, &ticks);
}

void soak_clients_finish(void)
{
    refill = false;
}

void soak_clients_free(void)
{
    ev_timer_stop(clients_loop, &ticks);
    free(clients);
}
