/* sim.c - many clients of one endpoint in one process, by bytes: what they do, where their bytes
 * are cut and how long all takes is drawn from a seed. A model says what has to come of it.
 *
 *     sim [SEED]      that one alone; SEED and SEEDS (how many) may be in the environment */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/app.h"
#include "sim/wire.h"

#define CLIENTS 9
#define STEPS 2000

typedef struct client {
    sim_wire wire;
    model_client is;
    unsigned join[MODEL_TOPICS]; /* the last that it asked for; 0: none */
    unsigned pings;
    char ping[24];           /* the last */
    bool open;               /* it has begun to connect */
    bool slow, hostile;      /* reads little; sends nonsense */
    bool quit, disconnected; /* 4000 or 1001 is to be expected */
    int closes;              /* with this code, itself */
} client;

typedef struct world {
    app app;
    client clients[CLIENTS];
    unsigned connections;
    unsigned overrun; /* closed with 1008 */
} world;

/* --- Clients ------------------------------------------------------------------------------ */

static void open_client(world *w, client *c)
{
    char target[128];
    *c = (client){ .open = true };
    c->is.number = ++w->connections;
    c->is.v1 = app_random(&w->app, 3) == 0;
    c->slow = app_random(&w->app, 5) == 0;
    unsigned chance = app_random(&w->app, 99);
    snprintf(target, sizeof target, "/%s/websocket?id=user:%u%s%s", c->slow ? "slow" : "socket",
             c->is.number, c->is.v1 ? "" : "&vsn=2.0.0",
             chance < 20   ? "&later=1"
             : chance < 26 ? "&refuse=1"
                           : "");
    sim_wire_open(&c->wire, &w->app.host);
    unsigned window = app_random(&w->app, 10);
    c->wire.window = window < 4 ? 15 : window < 6 ? 9 + (int)window : 0;
    sim_wire_upgrade(&c->wire, target);
}

static void ping(client *c)
{
    snprintf(c->ping, sizeof c->ping, "ping %u", ++c->pings);
    sim_wire_frame(&c->wire, 0x89, c->ping, strlen(c->ping));
}

/* In as many frames as it pleases, pings between them. */
static void send_frames(world *w, client *c, int opcode, const char *bytes, size_t len)
{
    unsigned pieces = app_random(&w->app, 5) == 0 ? app_random(&w->app, 3) : 0;
    while (pieces-- > 0) {
        size_t n = app_random(&w->app, (unsigned)len);
        sim_wire_frame(&c->wire, opcode, bytes, n);
        bytes += n;
        len -= n;
        opcode = 0;
        if (app_random(&w->app, 1) == 0)
            ping(c);
    }
    sim_wire_frame(&c->wire, 0x80 | opcode, bytes, len);
}

static void send_message(world *w, client *c, int opcode, const char *bytes, size_t len)
{
    if (!c->wire.deflates || app_random(&w->app, 2) == 0) {
        send_frames(w, c, opcode, bytes, len);
        return;
    }
    size_t packed_len;
    char *packed = sim_wire_deflate(bytes, len, &packed_len);
    send_frames(w, c, opcode | 0x40, packed, packed_len);
    free(packed);
}

static void say(world *w, client *c, const char *join_ref, unsigned ref, const char *topic,
                const char *event, const char *payload)
{
    char text[4000];
    if (c->is.v1)
        snprintf(text, sizeof text,
                 "{\"topic\":\"%s\",\"event\":\"%s\",\"payload\":%s,\"ref\":\"%u\"}", topic, event,
                 payload, ref);
    else
        snprintf(text, sizeof text, "[%s, \"%u\",\"%s\",\"%s\",%s]", join_ref, ref, topic, event,
                 payload);
    send_message(w, c, 1, text, strlen(text));
}

static void ask_for(world *w, client *c, ask_kind kind, unsigned topic, const char *event)
{
    unsigned n = model_ask(&w->app.model, c->is.number, kind, topic), chance;
    char name[16], join_ref[16] = "null", payload[3000];
    snprintf(name, sizeof name, "room:%u", topic);
    if (kind == ASK_JOIN)
        c->join[topic] = n;
    if (kind == ASK_STALE)
        snprintf(join_ref, sizeof join_ref, "\"x\"");
    else if (c->join[topic] != 0 && app_random(&w->app, 5) != 0)
        snprintf(join_ref, sizeof join_ref, "\"%u\"", c->join[topic]);
    if (kind == ASK_JOIN) /* it names the member */
        snprintf(join_ref, sizeof join_ref, "\"%u\"", n);
    chance = app_random(&w->app, 9);
    snprintf(payload, sizeof payload, "{\"r\":%u%s,\"pad\":\"%0*d\"}", n,
             kind != ASK_JOIN || chance > 4 ? ""
             : chance > 2                   ? ",\"later\":1"
                                            : ",\"refuse\":1",
             chance == 9 ? (int)app_random(&w->app, 2500) : 0, 0);
    say(w, c, join_ref, n, name, event, payload);
}

static void ask_in_bytes(world *w, client *c, unsigned topic, const char *event)
{
    unsigned n = model_ask(&w->app.model, c->is.number, ASK_EVENT, topic);
    char frame[64], ref[12], name[12];
    size_t r = (size_t)snprintf(ref, sizeof ref, "%u", n);
    size_t t = (size_t)snprintf(name, sizeof name, "room:%u", topic), e = strlen(event);
    int len = snprintf(frame, sizeof frame, ".....%s%s%s%s", ref, name, event, ref);
    frame[0] = frame[1] = 0;
    frame[2] = (char)r;
    frame[3] = (char)t;
    frame[4] = (char)e;
    send_message(w, c, 2, frame, (size_t)len);
}

static void say_something(world *w, client *c)
{
    static const char *const events[] = { "echo",       "twice",  "shout",      "shout",
                                          "shout_from", "secret", "secret",     "later",
                                          "later",      "tick",   "shout_bytes" };
    unsigned topic = app_random(&w->app, MODEL_TOPICS - 1), what = app_random(&w->app, 99);
    if (what < 20) {
        ask_for(w, c, ASK_JOIN, topic, "phx_join");
    } else if (what < 26) {
        ask_for(w, c, ASK_LEAVE, topic, "phx_leave");
    } else if (what < 29) {
        ping(c);
    } else if (what < 32) {
        unsigned n = model_ask(&w->app.model, c->is.number, ASK_HEARTBEAT, 0);
        say(w, c, "null", n, "phoenix", "heartbeat", "{}");
    } else if (what < 35 && !c->is.v1) {
        ask_for(w, c, ASK_STALE, topic, "echo");
    } else if (what < 40 && !c->is.v1) {
        ask_in_bytes(w, c, topic, what < 38 ? "echo" : "shout");
    } else if (what < 43) {
        ask_for(w, c, ASK_EVENT, topic, what < 41 ? "stop" : "fail");
    } else if (what < 44) {
        c->quit = true;
        ask_for(w, c, ASK_EVENT, topic, "quit");
    } else {
        ask_for(w, c, ASK_EVENT, topic, events[what % (sizeof events / sizeof *events)]);
    }
}

static void say_nonsense(world *w, client *c)
{
    char bytes[300];
    size_t len = app_random(&w->app, sizeof bytes);
    c->hostile = true;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)app_random(&w->app, 255);
    if (app_random(&w->app, 1) == 0)
        sim_wire_raw(&c->wire, bytes, len);
    else
        sim_wire_frame(&c->wire, (int)app_random(&w->app, 255), bytes, len);
}

static void end_client(client *c)
{
    sim_wire_cut(&c->wire);
    sim_wire_deinit(&c->wire);
    c->open = false;
}

/* --- What comes back ---------------------------------------------------------------------- */

static void hear_all(world *w, client *c)
{
    for (sim_message *m; (m = sim_wire_hear(&c->wire)) != NULL; free(m)) {
        if (m->kind == CHANNELS_JSON)
            model_heard_text(&w->app.model, &c->is, m->bytes, m->len);
        else
            model_heard_bytes(&w->app.model, &c->is, m->bytes, m->len);
    }
    if (c->wire.wrong != NULL)
        model_wrong(&w->app.model, "client %u got %s", c->is.number, c->wire.wrong);
}

/* Whether it could be closed with that code. */
static bool is_expected(const client *c, int code)
{
    return code == 0 || c->hostile || (code == c->closes && code != 0) ||
           (code == 4000 && c->quit) || (code == 1001 && c->disconnected) ||
           (code == 1008 && c->slow);
}

static bool move(world *w, client *c, size_t out, size_t in)
{
    bool moved = sim_wire_move(&c->wire, out, in);
    hear_all(w, c);
    if (!is_expected(c, c->wire.code))
        model_wrong(&w->app.model, "client %u is closed with %d: %s", c->is.number, c->wire.code,
                    w->app.host.log);
    if (c->wire.conn == NULL) {
        w->overrun += c->wire.code == 1008;
        sim_wire_deinit(&c->wire);
        c->open = false;
    }
    return moved;
}

/* A byte, some, or all. (Never two of these among the arguments of one call: compilers differ in
 * which comes first, and a seed would mean another run to each.) */
static size_t some(world *w)
{
    switch (app_random(&w->app, 4)) {
    case 0: return 1;
    case 1: return app_random(&w->app, 20);
    case 2: return app_random(&w->app, 3000);
    default: return SIZE_MAX;
    }
}

static void move_some(world *w, unsigned step)
{
    for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
        size_t out = some(w), in = c->slow ? app_random(&w->app, 60) : some(w);
        if (c->open && (c->slow || step % 4 == 0 || app_random(&w->app, 2) != 0))
            move(w, c, out, c->slow || step % 4 != 0 ? in : SIZE_MAX);
    }
}

/* --- A run -------------------------------------------------------------------------------- */

static void act(world *w, client *c)
{
    unsigned what = app_random(&w->app, 599);
    if (!c->open) {
        open_client(w, c);
    } else if (c->closes != 0) {
        return;
    } else if (what < 2) {
        end_client(c);
    } else if (what < 4) {
        c->closes = what == 2 ? 1000 : 1005;
        sim_wire_close(&c->wire, what == 2 ? 1000 : 0);
    } else if (what < 6) {
        say_nonsense(w, c);
    } else if (what < 8) {
        char id[24];
        c->disconnected = true;
        snprintf(id, sizeof id, "user:%u", c->is.number);
        channels_disconnect(w->app.host.ep, id);
    } else if (!c->hostile && !c->quit && (c->wire.status == 101 || c->wire.status == 0)) {
        say_something(w, c);
    }
}

static void step(world *w, unsigned number)
{
    act(w, &w->clients[app_random(&w->app, CLIENTS - 1)]);
    if (app_random(&w->app, 9) == 0)
        app_shout(&w->app, app_random(&w->app, MODEL_TOPICS - 1));
    if (app_random(&w->app, 29) == 0)
        app_news(&w->app);
    if (app_random(&w->app, 2) == 0)
        app_answer(&w->app);
    move_some(w, number);
    if (app_random(&w->app, 3) == 0)
        channels_test_wait(&w->app.host, app_random(&w->app, 60));
}

/* Until nothing moves any more. */
static void come_to_rest(world *w)
{
    bool moved;
    do {
        moved = false;
        while (app_answer(&w->app))
            ;
        channels_test_wait(&w->app.host, 200);
        for (client *c = w->clients; c < w->clients + CLIENTS; c++)
            moved |= c->open && move(w, c, SIZE_MAX, SIZE_MAX);
    } while (moved || w->app.nlaters != 0 || channels_endpoint_timeout(w->app.host.ep) == 0);
}

static void check(world *w)
{
    for (client *c = w->clients; c < w->clients + CLIENTS; c++) {
        if (!c->open || c->hostile || c->wire.status != 101)
            continue;
        model_complete(&w->app.model, &c->is);
        if (c->pings != 0 && strcmp(c->wire.pong, c->ping) != 0)
            model_wrong(&w->app.model, "client %u misses its pong", c->is.number);
    }
}

static void failed(void *arg, const char *file, int line, const char *text)
{
    world *w = arg;
    model_wrong(&w->app.model, "%s:%d: %s", file, line, text);
}

static void start(world *w, uint64_t seed)
{
    static const channels_mount_options all = { .websocket.compress = true };
    static const channels_mount_options little = { .max_queued = 8000 };
    static const channels_config config = { .http_timeout_ms = UINT32_MAX, .compress_min = 100 };
    *w = (world){ .app = { .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 } };
    w->app.host.random = seed;
    w->app.host.on_failure = failed;
    w->app.host.on_failure_arg = w;
    sim_start(&w->app.host, &w->app.memory, &config);
    channels_mount(w->app.host.ep, "/socket", &app_handler, &all, &w->app);
    channels_mount(w->app.host.ep, "/slow", &app_handler, &little, &w->app);
}

static void stop(world *w)
{
    for (int i = 0; i < CLIENTS; i += 2)
        if (w->clients[i].open)
            end_client(&w->clients[i]);
    channels_test_stop(&w->app.host);
    for (int i = 1; i < CLIENTS; i += 2)
        sim_wire_deinit(&w->clients[i].wire);
    if (w->app.connects != w->app.disconnects)
        model_wrong(&w->app.model, "%u have connected, %u disconnected", w->app.connects,
                    w->app.disconnects);
    model_ended(&w->app.model);
    free(w->app.laters);
}

/* Prints how it went. */
static bool run(unsigned number, unsigned long seed)
{
    world *w = sim_alloc(sizeof *w);
    start(w, seed);
    for (unsigned i = 0; i < STEPS && w->app.model.wrong[0] == '\0'; i++)
        step(w, i);
    come_to_rest(w);
    check(w);
    stop(w);
    bool ok = w->app.model.wrong[0] == '\0';
    printf("%sok %u - seed %lu: %u connections, %u asks, %u messages, %u overrun\n",
           ok ? "" : "not ", number, seed, w->connections, w->app.model.nasks, w->app.model.heard,
           w->overrun);
    if (!ok)
        printf("# %s\n# again: SEED=%lu\n", w->app.model.wrong, seed);
    fflush(stdout);
    model_deinit(&w->app.model);
    free(w);
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
