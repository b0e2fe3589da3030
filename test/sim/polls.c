/* polls.c - clients that come by long polling, by bytes, over connections that are cut anywhere:
 * what happens next is drawn from a seed. Whatever is sent to a session has to arrive in order, and
 * nothing of it twice: an answer that the kernel took as a whole counts as arrived, and what was in
 * another comes again. What a client says is heard in order, and once if it was confirmed.
 *
 *     polls [SEED]    that one alone; SEED and SEEDS (how many) may be in the environment */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "sim/poller.h"
#include "sim/wire.h"

#define CLIENTS 4
#define LINES 3 /* connections of a client */
#define STEPS 4000
#define WINDOW 1000u /* ms */

typedef struct world world;
typedef struct client client;

typedef struct line { /* one connection: a request and its answer, one after the other */
    sim_wire wire;
    client *client;
    enum { FREE, OPENS, POLLS, POSTS } does;
    unsigned session; /* for which it asks; the client may have another by then */
    unsigned posted;  /* the last number in it */
    uint64_t arrived; /* its last byte */
} line;

struct client {
    world *world;
    line lines[LINES];
    char token[SIM_TOKEN];
    unsigned session;      /* its number, 0: none */
    uint64_t polled;       /* when its last poll arrived, at the latest */
    unsigned sent, heard;  /* the last numbers that were sent to it, and arrived */
    unsigned said, posted; /* the last that the server heard, and that were put in a POST */
    bool joined;           /* as far as it knows */
    bool idle;             /* nobody had polled for so long that it may have ended, */
    uint64_t idle_at;      /* found out then */
};

struct world {
    channels_test host;
    sim_memory memory;
    uint64_t random;
    client clients[CLIENTS];
    unsigned sessions, messages, cuts, gone;
    char wrong[200];
};

static unsigned draw(world *w, unsigned n) /* 0..n-1 */
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (unsigned)((w->random * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static void wrong(world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(world *w, const char *format, ...)
{
    va_list args;
    if (w->wrong[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(w->wrong, sizeof w->wrong, format, args);
    va_end(args);
}

/* --- The server's side -------------------------------------------------------------------- */

/* Sessions are told apart by the topic, "room:SESSION". */
static client *client_of(world *w, const char *topic)
{
    unsigned session = (unsigned)strtoul(topic + 5, NULL, 10);
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        if (c->session == session)
            return c;
    return NULL; /* one that its client has given up */
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    world *w = user;
    client *c = client_of(w, channels_channel_topic(ch));
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), "n");
    if (c == NULL)
        return CHANNELS_OK;
    if ((unsigned)n->valueint <= c->said)
        wrong(w, "said %u twice, or out of order", (unsigned)n->valueint);
    c->said = (unsigned)n->valueint;
    return CHANNELS_OK;
}

static const channels_handler room = { .join = on_join, .handle_in = on_in };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler handler = { .routes = routes };

static void send_to(world *w, client *c)
{
    char topic[32], text[128];
    snprintf(topic, sizeof topic, "room:%u", c->session);
    snprintf(text, sizeof text, "{\"n\":%u,\"pad\":\"%0*u\"}", ++c->sent, (int)draw(w, 60), 0);
    if (channels_pubsub_broadcast(w->host.ep, topic, "n", channels_json(text)) != CHANNELS_OK)
        wrong(w, "%s cannot be sent", text);
}

/* --- What clients hear --------------------------------------------------------------------- */

static void forget_session(client *c)
{
    c->session = 0;
    c->sent = c->heard = c->said = c->posted = 0;
    c->token[0] = '\0';
    c->joined = c->idle = false;
}

/* A poll of its has arrived. */
static void polled(client *c)
{
    uint64_t now = c->world->host.now;
    if (now - c->polled >= WINDOW + WINDOW / 2) {
        c->idle = true;
        c->idle_at = now;
    }
    c->polled = now;
}

/* Its session is gone: only after nobody polled. */
static void session_gone(client *c)
{
    world *w = c->world;
    polled(c);
    if (!c->idle)
        wrong(w, "session %u has gone too soon", c->session);
    w->gone++;
    forget_session(c);
}

static void hear_number(client *c, const char *text)
{
    cJSON *message = cJSON_Parse(text);
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(message, 4), "n");
    if (n != NULL && (unsigned)n->valueint != c->heard + 1)
        wrong(c->world, "session %u heard %u after %u", c->session, (unsigned)n->valueint,
              c->heard);
    if (n != NULL)
        c->heard++;
    c->world->messages++;
    cJSON_Delete(message);
}

static void hear_answer(line *l, const cJSON *json)
{
    client *c = l->client;
    const cJSON *message;
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "token"));
    int status = cJSON_GetObjectItemCaseSensitive(json, "status")->valueint;
    if (status == 410 && l->does == OPENS && c->session == 0) {
        snprintf(c->token, sizeof c->token, "%s", token);
        c->session = ++c->world->sessions;
        c->polled = l->arrived;
    } else if (l->session != c->session || l->does == OPENS) {
        return; /* for a session that the client has given up */
    } else if (status == 410) {
        session_gone(c);
    } else if (status != 200 && status != 204) {
        wrong(c->world, "an answer with %d", status);
    } else if (l->does == POLLS && strcmp(token, c->token) != 0) {
        wrong(c->world, "a token that is not its own");
    } else if (l->does == POLLS) {
        c->idle &= l->arrived <= c->idle_at; /* else it is known to have lived on */
    } else if (l->does == POSTS) {
        c->joined = true;
        if (c->said < l->posted)
            wrong(c->world, "%u was confirmed, and not heard", l->posted);
    }
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(json, "messages"))
        hear_number(c, message->valuestring);
}

static void on_answer(void *arg, int status, const char *body, size_t len)
{
    line *l = arg;
    cJSON *json = cJSON_ParseWithLength(body, len);
    if (status != 200 || json == NULL)
        wrong(l->client->world, "an answer in HTTP with %d: %.*s", status, (int)len, body);
    else
        hear_answer(l, json);
    cJSON_Delete(json);
    l->does = FREE;
}

/* --- What clients say ---------------------------------------------------------------------- */

static void ask(line *l, const char *method, const char *body)
{
    client *c = l->client;
    char target[500], headers[100], *text = sim_quoted(body);
    snprintf(target, sizeof target, "/socket/longpoll?vsn=2.0.0&token=%s", c->token);
    snprintf(headers, sizeof headers,
             "content-type: application/x-ndjson\r\ncontent-length: %zu\r\n", strlen(text));
    sim_wire_request(&l->wire, method, target, headers);
    sim_wire_raw(&l->wire, text, strlen(text));
    free(text);
    l->session = c->session;
}

static bool asks_already(const client *c, unsigned what)
{
    for (const line *l = c->lines; l < c->lines + LINES; l++)
        if (l->does == what)
            return true;
    return false;
}

/* As phoenix.js, one POST at a time: else nobody knows their order. */
static void post(line *l)
{
    client *c = l->client;
    char body[2000] = "";
    int n = 0;
    if (!c->joined)
        n = snprintf(body, sizeof body, "['1','1','room:%u','phx_join',{}]\n", c->session);
    for (unsigned more = draw(c->world, 5) + 1; more > 0; more--)
        n += snprintf(body + n, sizeof body - (size_t)n, "['1','2','room:%u','n',{'n':%u}]\n",
                      c->session, ++c->posted);
    l->does = POSTS;
    l->posted = c->posted;
    ask(l, "POST", body);
}

static void act(line *l)
{
    client *c = l->client;
    world *w = c->world;
    if (l->wire.conn == NULL) {
        sim_wire_deinit(&l->wire);
        sim_wire_open(&l->wire, &w->host);
        l->wire.answer = on_answer;
        l->wire.arg = l;
        l->does = FREE;
    }
    if (l->does != FREE)
        return;
    if (c->session == 0 && !asks_already(c, OPENS)) {
        l->does = OPENS;
        ask(l, "GET", "");
    } else if (c->session != 0 && draw(w, 3) == 0 && !asks_already(c, POSTS)) {
        post(l);
    } else if (c->session != 0) {
        l->does = POLLS;
        ask(l, "GET", "");
    }
}

/* What it has not heard of its requests, it will not. */
static void cut(line *l)
{
    if (l->wire.conn == NULL)
        return;
    l->client->world->cuts++;
    sim_wire_cut(&l->wire);
    l->does = FREE;
}

static void move(line *l, size_t out, size_t in)
{
    bool arrives = l->wire.out.len != 0 && l->wire.out.len <= out &&
                   (channels_conn_want(l->wire.conn) & CHANNELS_WANT_READ) != 0;
    if (arrives)
        l->arrived = l->client->world->host.now;
    if (arrives && l->does == POLLS && l->session == l->client->session)
        polled(l->client);
    sim_wire_move(&l->wire, out, in);
    if (l->wire.conn == NULL)
        l->does = FREE;
}

/* --- The world ---------------------------------------------------------------------------- */

static void step(world *w)
{
    client *c = &w->clients[draw(w, CLIENTS)];
    line *l = &c->lines[draw(w, LINES)];
    switch (draw(w, 10)) {
    case 0:
    case 1:
    case 2: act(l); break;
    case 3:
    case 4:
        if (c->said != 0) /* it has joined */
            send_to(w, c);
        break;
    case 5:
        if (draw(w, 3) == 0)
            cut(l);
        break;
    case 6: channels_test_wait(&w->host, draw(w, 100) == 0 ? 4 * WINDOW : draw(w, 40)); break;
    case 7: channels_test_wait(&w->host, 0); break;
    default:
        if (l->wire.conn != NULL)
            move(l, draw(w, 2) == 0 ? draw(w, 200) : SIZE_MAX,
                 draw(w, 2) == 0 ? draw(w, 300) : SIZE_MAX);
    }
}

/* All that was sent arrives in the end. */
static void come_to_rest(world *w)
{
    for (int i = 0; i < 400; i++) {
        for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
            act(&c->lines[0]);
            for (line *l = c->lines; l < c->lines + LINES; l++)
                if (l->wire.conn != NULL)
                    move(l, SIZE_MAX, SIZE_MAX);
        }
        channels_test_wait(&w->host, 10);
    }
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        if (c->session != 0 && c->heard != c->sent)
            wrong(w, "session %u was sent %u and heard %u", c->session, c->sent, c->heard);
}

static void failed(void *arg, const char *file, int at, const char *text)
{
    wrong(arg, "%s:%d: %s", file, at, text);
}

static void start(world *w, unsigned long seed)
{
    static const channels_mount_options options = { .longpoll = { .on = true,
                                                                  .window_ms = WINDOW } };
    memset(w, 0, sizeof *w);
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->host.random = seed;
    w->host.on_failure = failed;
    w->host.on_failure_arg = w;
    sim_start(&w->host, &w->memory, NULL);
    channels_mount(w->host.ep, "/socket", &handler, &options, w);
    for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
        c->world = w;
        for (line *l = c->lines; l < c->lines + LINES; l++)
            l->client = c;
    }
}

static void stop(world *w)
{
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        cut(&c->lines[0]);
    channels_test_stop(&w->host);
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        for (line *l = c->lines; l < c->lines + LINES; l++)
            sim_wire_deinit(&l->wire);
}

static bool run(unsigned number, unsigned long seed)
{
    static world w;
    start(&w, seed);
    for (unsigned i = 0; i < STEPS && w.wrong[0] == '\0'; i++)
        step(&w);
    come_to_rest(&w);
    stop(&w);
    bool ok = w.wrong[0] == '\0';
    printf("%sok %u - seed %lu: %u sessions, %u gone, %u messages, %u connections cut\n",
           ok ? "" : "not ", number, seed, w.sessions, w.gone, w.messages, w.cuts);
    if (!ok)
        printf("# %s\n# again: SEED=%lu\n", w.wrong, seed);
    fflush(stdout);
    return ok;
}

int main(int argc, char **argv)
{
    const char *seed = argc > 1 ? argv[1] : getenv("SEED"), *seeds = getenv("SEEDS");
    unsigned long first = seed != NULL ? strtoul(seed, NULL, 10) : 1;
    unsigned count = seed != NULL ? 1 : seeds != NULL ? (unsigned)strtoul(seeds, NULL, 10) : 40;
    bool ok = true;
    printf("1..%u\n", count);
    for (unsigned i = 0; i < count; i++)
        ok &= run(i + 1, first + i);
    return ok ? 0 : 1;
}
