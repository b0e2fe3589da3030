/* polls.c - clients that come by long polling, by bytes, over connections that are cut anywhere:
 * what happens next is drawn from a seed. Whatever is sent to a session has to arrive in order, and
 * nothing of it twice: an answer that the kernel took as a whole counts as arrived, and what was in
 * another comes again. What a client says is heard in order, and once if it was confirmed.
 *
 * In three of four worlds there are two or three nodes and a bus that delays and reorders; requests
 * land anywhere, and nodes are started anew. One bus loses nothing, and there it is as on one node.
 * One loses anything but the word of what became of an answer: sessions may be lost by that, but
 * not a message, and none comes twice. One loses that too, and messages may come twice. What is
 * said by a POST whose answer is not waited for may come late: who cuts one gives the session up.
 *
 *     polls [SEED]    that one alone; SEED and SEEDS (how many) may be in the environment */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <channels/pubsub.h>

#include "sim/bus.h"
#include "sim/poller.h"
#include "sim/wire.h"
#include "wire/longpoll_message.h"

#define CLIENTS 4
#define LINES 3    /* connections of a client */
#define STEPS 4000 /* times the number of nodes */
#define NODES 3
#define WINDOW 1000u /* ms */
#define TIMEOUT 400u /* for other nodes */
#define DELAY 100u   /* of a message between them, at most */

typedef struct world world;
typedef struct client client;

typedef struct line { /* one connection: a request and its answer, one after the other */
    sim_wire wire;
    client *client;
    struct node *node; /* where it goes */
    enum { FREE, OPENS, POLLS, POSTS } does;
    unsigned session; /* for which it asks; the client may have another by then */
    unsigned posted;  /* the last number in it */
    uint64_t arrived; /* its last byte */
} line;

struct client {
    world *world;
    line lines[LINES];
    struct node *home; /* of its session */
    char token[SIM_TOKEN];
    unsigned session;      /* its number, 0: none */
    uint64_t polled;       /* when its last poll arrived, at the latest */
    unsigned sent, heard;  /* the last numbers that were sent to it, and arrived */
    unsigned said, posted; /* the last that the server heard, and that were put in a POST */
    bool joined;           /* as far as it knows */
    bool idle;             /* nobody had polled for so long that it may have ended, */
    uint64_t idle_at;      /* found out then */
};

typedef struct node {
    channels_test host;
    sim_memory memory;
    sim_bus_node bus;
} node;

struct world {
    node nodes[NODES];
    unsigned nnodes;
    sim_bus bus;
    enum { LOSES_NOTHING, LOSES_BUT_FATES, LOSES_ANYTHING } loses;
    bool at_rest; /* nothing is lost any more */
    uint64_t random;
    client clients[CLIENTS];
    unsigned sessions, messages, cuts, gone, said, lost, twice, restarts;
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

static uint64_t now(const world *w)
{
    return w->nodes[0].host.now;
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
    if (channels_pubsub_local_broadcast(c->home->host.ep, topic, "n", channels_json(text)) !=
        CHANNELS_OK)
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
    uint64_t at = now(c->world);
    if (at - c->polled >= WINDOW + WINDOW / 2) {
        c->idle = true;
        c->idle_at = at;
    }
    c->polled = at;
}

/* Its session is gone: only after nobody polled, if no word of it is lost. */
static void session_gone(client *c)
{
    world *w = c->world;
    polled(c);
    if (!c->idle && w->lost == 0)
        wrong(w, "session %u has gone too soon", c->session);
    w->gone++;
    forget_session(c);
}

static void hear_number(client *c, const char *text)
{
    cJSON *message = cJSON_Parse(text);
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(message, 4), "n");
    unsigned number = n != NULL ? (unsigned)n->valueint : c->heard + 1;
    bool again = number <= c->heard && c->world->loses == LOSES_ANYTHING;
    if (number != c->heard + 1 && !again)
        wrong(c->world, "session %u heard %u after %u", c->session, number, c->heard);
    if (n != NULL && !again)
        c->heard++;
    c->world->twice += again;
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
        c->home = l->node;
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

static void open_line(line *l)
{
    world *w = l->client->world;
    l->node = &w->nodes[draw(w, w->nnodes)];
    sim_wire_deinit(&l->wire);
    sim_wire_open(&l->wire, &l->node->host);
    l->wire.answer = on_answer;
    l->wire.arg = l;
    l->does = FREE;
}

static void act(line *l)
{
    client *c = l->client;
    world *w = c->world;
    if (l->wire.conn != NULL && l->does != FREE)
        return;
    if (l->wire.conn != NULL && w->nnodes > 1 && draw(w, 3) == 0)
        sim_wire_cut(&l->wire); /* to go elsewhere */
    if (l->wire.conn == NULL)
        open_line(l);
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
static void ended(line *l)
{
    client *c = l->client;
    if (l->does == POSTS && l->session == c->session && c->world->nnodes > 1)
        forget_session(c);
    l->does = FREE;
}

static void cut(line *l)
{
    if (l->wire.conn == NULL)
        return;
    l->client->world->cuts++;
    sim_wire_cut(&l->wire);
    ended(l);
}

static void move(line *l, size_t out, size_t in)
{
    bool arrives = l->wire.out.len != 0 && l->wire.out.len <= out &&
                   (channels_conn_want(l->wire.conn) & CHANNELS_WANT_READ) != 0;
    if (arrives)
        l->arrived = now(l->client->world);
    if (arrives && l->does == POLLS && l->session == l->client->session)
        polled(l->client);
    sim_wire_move(&l->wire, out, in);
    if (l->wire.conn == NULL)
        ended(l);
}

/* --- The nodes ---------------------------------------------------------------------------- */

static void failed(void *arg, const char *file, int at, const char *text)
{
    wrong(arg, "%s:%d: %s", file, at, text);
}

static void start_node(world *w, node *n)
{
    static const channels_mount_options options = {
        .longpoll = { .on = true, .window_ms = WINDOW, .pubsub_timeout_ms = TIMEOUT }
    };
    const channels_config one_of_many = {
        .secret = "secret", .node = n->bus.name, .pubsub = &sim_bus_adapter, .pubsub_self = &n->bus
    };
    n->host.random = w->random;
    n->host.on_failure = failed;
    n->host.on_failure_arg = w;
    n->bus.host = &n->host;
    sim_start(&n->host, &n->memory, w->nnodes > 1 ? &one_of_many : NULL);
    channels_mount(n->host.ep, "/socket", &handler, &options, w);
}

/* Its clients come again, sessions on it are gone. What it has said may still arrive, as may what
 * was for its former life. */
static void restart_node(world *w, node *n)
{
    n->bus.err = w->loses == LOSES_ANYTHING ? -1 : 0; /* killed, it has no last words */
    for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
        if (c->session != 0 && c->home == n)
            forget_session(c);
        for (line *l = c->lines; l < c->lines + LINES; l++)
            if (l->node == n)
                cut(l);
    }
    channels_test_stop(&n->host);
    n->bus.err = 0;
    w->restarts++;
    draw(w, 2); /* other random numbers than before */
    start_node(w, n);
}

/* That an answer has left, or goes on leaving. */
static bool tells_a_fate(const sim_letter *l)
{
    const unsigned char *end = (const unsigned char *)l->bytes + l->len;
    const unsigned char *head = (const unsigned char *)l->bytes;
    size_t payload = (size_t)(head[26] | head[27] << 8 | head[28] << 16);
    channels__longpoll_message m;
    channels__longpoll_message_read(channels__str_n((const char *)(end - payload), payload), &m);
    return m.kind == CHANNELS__LONGPOLL_DONE || m.kind == CHANNELS__LONGPOLL_LEAVING;
}

/* Delivers the message at that place, or loses it. */
static void move_letter(world *w, unsigned at)
{
    w->said++;
    bool may_be_lost = w->loses == LOSES_ANYTHING ||
                       (w->loses == LOSES_BUT_FATES && !tells_a_fate(sim_bus_look(&w->bus, at)));
    if (!w->at_rest && may_be_lost && draw(w, 20) == 0) {
        w->lost++;
        sim_bus_lose(&w->bus, at);
    } else {
        sim_bus_deliver(&w->bus, at);
    }
}

static void move_overdue(world *w)
{
    for (unsigned at = 0; at < w->bus.waiting;)
        if (now(w) - sim_bus_look(&w->bus, at)->said >= DELAY) {
            move_letter(w, at);
            at = 0; /* others may have gone and come */
        } else {
            at++;
        }
}

static void pass(world *w, unsigned ms)
{
    const unsigned most = w->nnodes > 1 ? 10 : ms;
    do {
        unsigned some = ms < most ? ms : most;
        for (unsigned i = 0; i < w->nnodes; i++)
            channels_test_wait(&w->nodes[i].host, some);
        move_overdue(w);
        ms -= some;
    } while (ms > 0);
}

/* --- The world ---------------------------------------------------------------------------- */

static void step(world *w)
{
    if (w->bus.waiting > 0 && draw(w, 3) > 0)
        move_letter(w, draw(w, w->bus.waiting));
    if (w->nnodes > 1 && draw(w, 1000) == 0)
        restart_node(w, &w->nodes[draw(w, w->nnodes)]);
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
    case 6: pass(w, draw(w, 100) == 0 ? 4 * WINDOW : draw(w, 40)); break;
    case 7: pass(w, 0); break;
    default:
        if (l->wire.conn != NULL)
            move(l, draw(w, 2) == 0 ? draw(w, 200) : SIZE_MAX,
                 draw(w, 2) == 0 ? draw(w, 300) : SIZE_MAX);
    }
}

/* All that was sent arrives in the end. */
static void come_to_rest(world *w)
{
    w->at_rest = true;
    for (int i = 0; i < 400; i++) {
        for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
            act(&c->lines[0]);
            for (line *l = c->lines; l < c->lines + LINES; l++)
                if (l->wire.conn != NULL)
                    move(l, SIZE_MAX, SIZE_MAX);
        }
        pass(w, 10);
    }
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        if (c->session != 0 && c->heard != c->sent)
            wrong(w, "session %u was sent %u and heard %u", c->session, c->sent, c->heard);
}

static void start(world *w, unsigned long seed)
{
    static const char *const names[NODES] = { "a", "b", "c" };
    memset(w, 0, sizeof *w);
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    w->nnodes = seed % 4 == 1 ? 1 : 2 + draw(w, 2);
    w->loses = (unsigned)(seed % 4) / 2 + (seed % 4 == 3);
    for (unsigned i = 0; i < w->nnodes; i++) {
        sim_bus_join(&w->bus, &w->nodes[i].bus, names[i], NULL);
        start_node(w, &w->nodes[i]);
    }
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
    for (unsigned i = 0; i < w->nnodes; i++)
        channels_test_stop(&w->nodes[i].host);
    sim_bus_lose_all(&w->bus);
    for (client *c = w->clients; c < w->clients + CLIENTS; c++)
        for (line *l = c->lines; l < c->lines + LINES; l++)
            sim_wire_deinit(&l->wire);
}

static bool run(unsigned number, unsigned long seed)
{
    static world w;
    start(&w, seed);
    for (unsigned i = 0; i < STEPS * w.nnodes && w.wrong[0] == '\0'; i++)
        step(&w);
    come_to_rest(&w);
    stop(&w);
    bool ok = w.wrong[0] == '\0';
    printf("%sok %u - seed %lu: %u sessions, %u gone, %u messages, %u connections cut",
           ok ? "" : "not ", number, seed, w.sessions, w.gone, w.messages, w.cuts);
    if (w.nnodes > 1)
        printf("; %u nodes said %u, %u lost, %u twice, %u restarts", w.nnodes, w.said, w.lost,
               w.twice, w.restarts);
    printf("\n");
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
