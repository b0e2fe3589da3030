/* test_core_matrix.c - every call from every callback, and every pair of calls: whatever comes of
 * it, each channel and client ends exactly once and nothing is lost. Calls that may not be made
 * from callbacks say so and change nothing. */
#include <channels/presence.h>
#include <channels/pubsub.h>
#include <channels/stats.h>

#include "unit/core_case.h"

/* --- The scene ---------------------------------------------------------------------------- */

typedef enum {
    IN_CONNECT,
    IN_JOIN,
    IN_JOINED,
    IN_HANDLE_IN,
    IN_HANDLE_OUT,
    IN_HANDLE_BROADCAST,
    IN_HANDLE_INFO,
    IN_TERMINATE,
    IN_DISCONNECT,
    IN_FUNCTION,
    IN_POSTED,
    CALLBACKS
} callback;

typedef struct scene scene;
typedef void call(scene *s, channels_channel *ch, channels_socket *socket);

struct scene {
    core_case t;    /* t.a is the client to whose callbacks it happens */
    callback where; /* in this one, */
    call *calls[2]; /* these are made, */
    int result;     /* and this is returned; */
    bool set;       /* once the scene is, */
    bool done;      /* and only once */
    uint32_t seed;  /* other than 0: any calls in any callbacks, at random */
    int admitted, terminated, connected, disconnected;
    unsigned misuses;
    channels_ref other, late, waiting; /* the other's self, its message, a client's connect */
    channels_ref self;                 /* of the channel to which it happens */
    channels_subscription sub;
    channels_timer timer;
    channels_presence *present;
    size_t ghosts; /* who is in its lists in the end */
};

static scene *scene_of(probe *p)
{
    return (scene *)(void *)((char *)p - offsetof(scene, t.probe));
}

static unsigned draw(scene *s, unsigned n)
{
    s->seed = s->seed * 1664525u + 1013904223u;
    return (s->seed >> 8) % n;
}

static int act_at_random(scene *s, channels_channel *ch, channels_socket *socket);

/* The channel in whose callback it happens, or else the other client's. */
static int act(scene *s, callback where, channels_channel *ch, channels_socket *socket)
{
    if (s->set && s->seed != 0)
        return act_at_random(s, ch, socket);
    if (!s->set || s->done || s->where != where)
        return CHANNELS_OK;
    s->done = true;
    for (int i = 0; i < 2; i++) {
        if (ch == NULL)
            ch = channels_ref_channel(s->t.host.ep, s->other);
        if (socket == NULL && ch != NULL)
            socket = channels_channel_socket(ch);
        if (s->calls[i] != NULL && ch != NULL)
            s->calls[i](s, ch, socket);
    }
    return s->result;
}

/* --- The calls ---------------------------------------------------------------------------- */

/* Those that are not from callbacks. */
static void misused(scene *s, const char *name, bool refused)
{
    const char *line = core_last_line(&s->t.host);
    if (!refused || strncmp(line, name, strlen(name)) != 0 ||
        strstr(line, "from inside a callback") == NULL) {
        print_error("%s: refused %d, logged %s\n", name, refused, s->t.host.log);
        s->misuses++;
    }
    s->t.host.log[0] = '\0';
}

#define CALL(name, ...) \
    static void name(scene *s, channels_channel *ch, channels_socket *socket) \
    { \
        (void)s, (void)ch, (void)socket; \
        __VA_ARGS__; \
    }
#define EP s->t.host.ep
#define EMPTY channels_empty()

CALL(do_push, channels_push(ch, "e", EMPTY))
CALL(do_push_bytes, channels_push(ch, "e", channels_binary("x", 1)))
CALL(do_reply, channels_reply(ch, "ok", EMPTY))
CALL(do_reply_error, channels_reply(ch, "error", EMPTY))
CALL(do_broadcast, channels_broadcast(ch, "e", EMPTY))
CALL(do_broadcast_secret, channels_broadcast(ch, "secret", EMPTY))
CALL(do_broadcast_from, channels_broadcast_from(ch, "e", EMPTY))
CALL(do_subscribe, channels_subscribe(ch, "news"))
CALL(do_subscribe_own, channels_subscribe(ch, channels_channel_topic(ch)))
CALL(do_unsubscribe, channels_unsubscribe(ch, "news"))
CALL(do_stop, channels_stop(ch))
CALL(do_stop_other, channels_channel *o = channels_ref_channel(EP, s->other);
     if (o != NULL) channels_stop(o))
CALL(do_set_id, channels_socket_set_id(socket, "users:2"))
CALL(do_refuse, static const channels_response r = { .status = 429 }; channels_refuse(socket, &r))
CALL(do_close, channels_socket_close(socket, 4001))
CALL(do_close_other, channels_channel *o = channels_ref_channel(EP, s->other);
     if (o != NULL) channels_socket_close(channels_channel_socket(o), 1008))
CALL(do_later, channels_ref r; if (channels_later(ch, &r) == CHANNELS_OK) s->late = r)
CALL(do_ref_reply, channels_ref_reply(EP, s->late, "ok", EMPTY))
CALL(do_ref_error, channels_ref_reply(EP, s->late, "error", EMPTY))
CALL(do_ref_drop, channels_ref_drop(EP, s->late))
CALL(do_self, channels_ref r; channels_self(ch, &r))
CALL(do_drop_self, channels_ref r;
     if (channels_self(ch, &r) == CHANNELS_OK) channels_ref_drop(EP, r))
CALL(do_send, channels_ref r; void *info = probe_info(&s->t.probe, "sent");
     if (channels_self(ch, &r) != CHANNELS_OK ||
         channels_send(EP, r, info, probe_drop) != CHANNELS_OK) probe_drop(info))
CALL(do_connect_later, channels_ref r;
     if (channels_connect_later(socket, &r) == CHANNELS_OK) s->waiting = r)
CALL(do_accept, channels_accept(EP, s->waiting))
CALL(do_respond, static const channels_response r = { .status = 401 };
     channels_respond(EP, s->waiting, &r))
CALL(do_drop_connect, channels_ref_drop(EP, s->waiting))
CALL(do_info_now, void *info = probe_info(&s->t.probe, "now");
     if (channels_info_after(ch, 0, info, probe_drop, NULL) != CHANNELS_OK) probe_drop(info))
CALL(do_info_after, void *info = probe_info(&s->t.probe, "after");
     if (channels_info_after(ch, 5, info, probe_drop, &s->timer) != CHANNELS_OK) probe_drop(info))
CALL(do_timer_stop, channels_timer_stop(ch, s->timer))
CALL(do_free, channels_endpoint_free(EP); misused(s, "channels_endpoint_free", true))
CALL(do_mount, channels_mount(EP, "/more", &probe_handler, NULL, &s->t.probe))
CALL(do_disconnect, channels_disconnect(EP, "users:1"))
CALL(do_disconnect_other, channels_disconnect(EP, "users:b"))
CALL(do_run, s->t.host.log[0] = '\0'; channels_endpoint_run(EP);
     misused(s, "channels_endpoint_run", true))
CALL(do_timeout, channels_endpoint_timeout(EP))
CALL(do_publish, channels_pubsub_broadcast(EP, "room:a", "secret", EMPTY))
CALL(do_publish_fn, channels_pubsub_broadcast(EP, "fn", "e", EMPTY))
CALL(do_publish_from, channels_pubsub_broadcast_from(EP, s->sub, "fn", "e", EMPTY))
CALL(do_publish_bad, channels_pubsub_local_broadcast(EP, "room:a", "e", channels_json("[")))
CALL(do_direct, channels_pubsub_direct_broadcast(EP, channels_pubsub_node(EP), "news", "e", EMPTY))
CALL(do_pubsub_unsubscribe, channels_pubsub_unsubscribe(EP, s->sub))
CALL(do_deliver, channels_pubsub_deliver(EP, "", 0))
CALL(do_open, channels_test_client *c = NULL;
     misused(s, "channels_socket_open", core_connect(&c, &s->t.host, V2) == CHANNELS_ERR_MISUSE))
CALL(do_receive, misused(s, "channels_socket_receive",
                         channels_socket_receive(socket, EMPTY) == CHANNELS_ERR_MISUSE))
CALL(do_closed, channels_socket_closed(socket); misused(s, "channels_socket_closed", true))
CALL(do_look, channels_assigns(ch); channels_channel_arg(ch); channels_socket_assigns(socket);
     channels_socket_id(socket); channels_socket_transport(socket); channels_socket_path(socket);
     channels_socket_serializer(socket); channels_ref_socket(EP, s->late))

static void stop_it(channels_channel *ch, void *arg)
{
    (void)arg;
    channels_push(ch, "e", EMPTY);
    channels_stop(ch);
}
static void close_it(channels_socket *s, void *arg)
{
    channels_foreach_channel(s, stop_it, arg);
    channels_socket_close(s, 1008);
}
CALL(do_stop_all, channels_foreach_channel(socket, stop_it, NULL))
CALL(do_close_all, channels_foreach_socket(EP, close_it, NULL))
CALL(do_drain, channels_drain(EP, NULL))
CALL(do_stats, channels_stats stats; channels_endpoint_stats(EP, &stats))

static void ignore_list(void *arg, channels_payload list)
{
    (void)arg, (void)list;
}
CALL(do_track, channels_presence_track(s->present, ch, "k", EMPTY))
CALL(do_track_owner, channels_presence_track_owner(s->present, 1, "room:a", "k", EMPTY))
CALL(do_update, channels_presence_update(s->present, ch, "k", EMPTY))
CALL(do_untrack, channels_presence_untrack(s->present, ch, NULL))
CALL(do_untrack_owner, channels_presence_untrack_owner(s->present, 1, NULL, NULL))
CALL(do_push_state, channels_presence_push_state(s->present, ch))
CALL(do_list, channels_presence_list(s->present, "room:a", ignore_list, NULL))
CALL(do_presence_free, channels_presence_free(s->present, true);
     misused(s, "channels_presence_free", true))

static void note(void *arg, const channels_msg *msg)
{
    scene *s = arg;
    (void)msg;
    act(s, IN_FUNCTION, NULL, NULL);
}
static void posted(channels_endpoint *ep, void *arg)
{
    scene *s = arg;
    (void)ep;
    act(s, IN_POSTED, NULL, NULL);
}
CALL(do_pubsub_subscribe, channels_pubsub_subscribe(EP, "fn", note, s, NULL))
CALL(do_post, channels_post(EP, posted, s, NULL))

static call *const calls[] = {
    do_push, do_push_bytes, do_reply, do_reply_error, do_broadcast, do_broadcast_secret,
    do_broadcast_from, do_subscribe, do_subscribe_own, do_unsubscribe, do_stop, do_stop_other,
    do_set_id, do_refuse, do_close, do_close_other, do_later, do_ref_reply, do_ref_error,
    do_ref_drop, do_self, do_drop_self, do_send, do_connect_later, do_accept, do_respond,
    do_drop_connect, do_info_now, do_info_after, do_timer_stop, do_free, do_mount, do_disconnect,
    do_disconnect_other, do_run, do_timeout, do_publish, do_publish_fn, do_publish_from,
    do_publish_bad, do_direct, do_pubsub_unsubscribe, do_deliver, do_open, do_receive, do_closed,
    do_look, do_pubsub_subscribe, do_post, do_track, do_track_owner, do_update, do_untrack,
    do_untrack_owner, do_push_state, do_list, do_presence_free, do_stop_all, do_close_all, do_stats,
    do_drain,
};
#define CALLS (sizeof calls / sizeof *calls)

static int act_at_random(scene *s, channels_channel *ch, channels_socket *socket)
{
    static const int results[] = { CHANNELS_STOP, CHANNELS_REFUSE, CHANNELS_LATER, -1 };
    if (ch == NULL)
        ch = channels_ref_channel(EP, s->other);
    if (socket == NULL && ch != NULL)
        socket = channels_channel_socket(ch);
    for (unsigned n = draw(s, 4); n > 0 && ch != NULL; n--)
        calls[draw(s, CALLS - 1)](s, ch, socket); /* nobody comes after a drain, the last */
    return draw(s, 10) == 0 ? results[draw(s, 4)] : CHANNELS_OK;
}

/* --- The callbacks ------------------------------------------------------------------------ */

static bool is_on(const scene *s, const channels_channel *ch)
{
    return s->seed != 0 || strcmp(channels_channel_topic(ch), "room:a") == 0;
}

static int on_connect(channels_socket *socket, const channels_request *req, probe *p)
{
    scene *s = scene_of(p);
    (void)req;
    if (!s->set) { /* the first waits, the second is the other */
        s->connected++;
        if (s->waiting.id == 0)
            return channels_connect_later(socket, &s->waiting) == 0 ? CHANNELS_LATER : -1;
        return channels_socket_set_id(socket, "users:b");
    }
    channels_socket_set_id(socket, "users:1");
    int r = act(s, IN_CONNECT, NULL, socket);
    s->connected += r == CHANNELS_OK || r == CHANNELS_LATER;
    return r;
}

static void on_disconnect(channels_socket *socket, channels_reason why, probe *p)
{
    scene *s = scene_of(p);
    (void)why;
    s->disconnected++;
    act(s, IN_DISCONNECT, NULL, socket);
}

static int on_join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    scene *s = scene_of(p);
    (void)msg;
    channels_subscribe(ch, "news");
    int r = is_on(s, ch) ? act(s, IN_JOIN, ch, NULL) : CHANNELS_OK;
    s->admitted += r == CHANNELS_OK || r == CHANNELS_LATER;
    return r;
}

static int on_joined(channels_channel *ch, probe *p)
{
    scene *s = scene_of(p);
    if (!s->set)
        return channels_self(ch, &s->other);
    if (is_on(s, ch))
        channels_self(ch, &s->self);
    return is_on(s, ch) ? act(s, IN_JOINED, ch, NULL) : CHANNELS_OK;
}

static int on_in(channels_channel *ch, const channels_msg *msg, probe *p)
{
    scene *s = scene_of(p);
    (void)msg;
    if (!s->set)
        return channels_later(ch, &s->late);
    return is_on(s, ch) ? act(s, IN_HANDLE_IN, ch, NULL) : CHANNELS_OK;
}

static int on_out(channels_channel *ch, const channels_msg *msg, probe *p)
{
    scene *s = scene_of(p);
    (void)msg;
    return is_on(s, ch) ? act(s, IN_HANDLE_OUT, ch, NULL) : CHANNELS_OK;
}

static int on_broadcast(channels_channel *ch, const channels_msg *msg, probe *p)
{
    scene *s = scene_of(p);
    (void)msg;
    return is_on(s, ch) ? act(s, IN_HANDLE_BROADCAST, ch, NULL) : CHANNELS_OK;
}

static int on_info(channels_channel *ch, void *info, probe *p)
{
    scene *s = scene_of(p);
    (void)info;
    return is_on(s, ch) ? act(s, IN_HANDLE_INFO, ch, NULL) : CHANNELS_OK;
}

static void on_terminate(channels_channel *ch, channels_reason why, probe *p)
{
    scene *s = scene_of(p);
    (void)why;
    s->terminated++;
    if (is_on(s, ch))
        act(s, IN_TERMINATE, ch, NULL);
}

/* --- A life ------------------------------------------------------------------------------- */

static void note_failure(void *arg, const char *file, int line, const char *text)
{
    scene *s = arg;
    print_error("%s:%d: %s\n", file, line, text);
    s->misuses++;
}

static void set_the_scene(scene *s)
{
    core_case *t = &s->t;
    t->host.on_failure = note_failure;
    t->host.on_failure_arg = s;
    t->probe = (probe){ .connect = on_connect,
                        .disconnect = on_disconnect,
                        .join = on_join,
                        .joined = on_joined,
                        .handle_in = on_in,
                        .handle_out = on_out,
                        .handle_broadcast = on_broadcast,
                        .handle_info = on_info,
                        .terminate = on_terminate,
                        .host = &t->host };
    sim_start(&t->host, &t->memory, NULL);
    channels_presence_new(&s->present, EP, NULL);
    channels_mount(EP, "/socket", &probe_handler, NULL, &t->probe);
    core_connect(&t->c, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    channels_test_say(t->b, "['1','1','room:b','phx_join',{}]");
    channels_test_say(t->b, "['1','2','room:b','x',{}]");
    channels_pubsub_subscribe(EP, "fn", note, s, &s->sub);
    s->set = true;
}

static bool is_there(const scene *s)
{
    return s->t.a->socket != NULL && s->t.a->status == 101;
}

static void tell(scene *s, const char *text)
{
    if (is_there(s))
        channels_test_say(s->t.a, text);
}

static void publish(scene *s, const char *topic, const char *event)
{
    channels_pubsub_broadcast(EP, topic, event, EMPTY);
}

static void send_info(scene *s)
{
    void *info = probe_info(&s->t.probe, "info");
    if (channels_send(EP, s->self, info, probe_drop) != CHANNELS_OK)
        probe_drop(info);
}

static void live(scene *s)
{
    core_connect(&s->t.a, &s->t.host, V2);
    tell(s, "['1','1','room:a','phx_join',{}]");
    tell(s, "['1','2','room:a','x',{}]");
    publish(s, "room:a", "secret");
    publish(s, "news", "e");
    publish(s, "fn", "e");
    send_info(s);
    channels_post(EP, posted, s, NULL);
    for (int i = 0; i < 3; i++)
        channels_test_wait(&s->t.host, 5);
    tell(s, "['1','3','room:a','phx_join',{}]");
    tell(s, "['1','4','room:a','phx_leave',{}]");
    channels_test_close(s->t.a);
}

static void live_at_random(scene *s)
{
    static const char *const texts[] = {
        "['1','1','room:a','phx_join',{}]", "[null,'2','room:a','x',{}]",
        "[null,'3','room:a','y',{}]",       "[null,'4','room:a','phx_leave',{}]",
        "['5','5','room:c','phx_join',{}]", "[null,'6','room:c','x',{}]",
    };
    static const char *const topics[] = { "room:a", "room:c", "news", "fn" };
    core_connect(&s->t.a, &s->t.host, V2);
    for (int i = 0; i < 60; i++) {
        unsigned what = draw(s, 20);
        if (!is_there(s) || what == 0)
            channels_test_close(s->t.a);
        if (s->t.a->socket == NULL)
            core_connect(&s->t.a, &s->t.host, V2);
        else if (what < 12)
            tell(s, texts[draw(s, 6)]);
        else if (what < 15)
            publish(s, topics[draw(s, 4)], draw(s, 2) == 0 ? "secret" : "e");
        else if (what < 17)
            send_info(s);
        else if (what < 18)
            channels_post(EP, posted, s, NULL);
        else
            channels_test_wait(&s->t.host, draw(s, 8));
    }
}

/* Who was admitted or put off is terminated once, who came in disconnected once. */
static bool well_ended(const scene *s)
{
    return s->misuses == 0 && s->t.memory.blocks == 0 && s->disconnected == s->connected &&
           s->terminated == s->admitted && s->ghosts == 0;
}

/* All go; nobody is present who was a channel's. */
static void look_for_ghosts(scene *s)
{
    static const char *const topics[] = { "room:a", "room:b", "room:c" };
    channels_test_client *const all[] = { s->t.a, s->t.b, s->t.c };
    for (int i = 0; i < 3; i++)
        if (all[i] != NULL)
            channels_test_close(all[i]);
    channels_test_wait(&s->t.host, 1);
    channels_presence_untrack_owner(s->present, 1, NULL, NULL);
    for (int i = 0; i < 3; i++)
        s->ghosts += channels_presence_count(s->present, topics[i]);
}

static void play(scene *s)
{
    uint32_t seed = s->seed;
    s->seed = 0;
    set_the_scene(s);
    s->seed = seed;
    if (seed != 0)
        live_at_random(s);
    else
        live(s);
    s->seed = 0;
    s->set = false;
    look_for_ghosts(s);
    channels_test_stop(&s->t.host);
    if (!well_ended(s))
        print_error("callback %d, result %d, seed %u: misuses %u, blocks %zu, admitted %d, "
                    "terminated %d, connected %d, disconnected %d, ghosts %zu: %s\n",
                    (int)s->where, s->result, seed, s->misuses, s->t.memory.blocks, s->admitted,
                    s->terminated, s->connected, s->disconnected, s->ghosts, s->t.probe.trace);
    assert_true(well_ended(s));
    free(s);
}

static void run_scene(callback where, call *first, call *second, int result)
{
    scene *s = calloc(1, sizeof *s);
    s->where = where;
    s->calls[0] = first;
    s->calls[1] = second;
    s->result = result;
    play(s);
}

static void every_call_from_every_callback(void **state)
{
    static const int results[] = { CHANNELS_OK, CHANNELS_STOP, CHANNELS_REFUSE, CHANNELS_LATER,
                                   -1 };
    (void)state;
    for (callback where = 0; where < CALLBACKS; where++)
        for (size_t r = 0; r < sizeof results / sizeof *results; r++)
            for (size_t i = 0; i < CALLS; i++)
                run_scene(where, calls[i], NULL, results[r]);
}

static void every_pair(void **state)
{
    (void)state;
    for (callback where = 0; where < CALLBACKS; where++)
        for (size_t i = 0; i < CALLS; i++)
            for (size_t j = 0; j < CALLS; j++)
                run_scene(where, calls[i], calls[j], CHANNELS_OK);
}

static void every_pair_put_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLS; i++)
        for (size_t j = 0; j < CALLS; j++) {
            run_scene(IN_JOIN, calls[i], calls[j], CHANNELS_LATER);
            run_scene(IN_CONNECT, calls[i], calls[j], CHANNELS_LATER);
        }
}

/* SEED and SEEDS (how many) may be in the environment, as in the simulation. */
static uint32_t number_from(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void any_calls_from_any_callbacks(void **state)
{
    uint32_t first = number_from("SEED", 1), n = getenv("SEED") != NULL ? 1 : 2000;
    (void)state;
    for (uint32_t i = number_from("SEEDS", n); i > 0; i--) {
        scene *s = calloc(1, sizeof *s);
        s->seed = first + i - 1;
        play(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_from_every_callback),
        cmocka_unit_test(every_pair),
        cmocka_unit_test(every_pair_put_off),
        cmocka_unit_test(any_calls_from_any_callbacks),
    };
    return cmocka_run_group_tests_name("core_matrix", tests, NULL, NULL);
}
