/* test_core_misuse.c - each call from a thread that does not own the endpoint: refused, told in
 * words, and nothing has changed. What may not be called from callbacks: test_core_matrix.c. */
#include <pthread.h>

#include <channels/presence.h>
#include <channels/stats.h>

#include "unit/core_case.h"

static int take_refs(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_later(ch, &p->ref);
    channels_self(ch, &p->self);
    channels_info_after(ch, 1000, probe_info(p, "tick"), probe_drop, &p->timer);
    return channels_subscribe(ch, "news");
}

static int connect_later(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    channels_connect_later(s, &p->ref);
    return CHANNELS_LATER;
}

static void nothing(void *arg, const channels_msg *msg)
{
    (void)arg, (void)msg;
}

static void see_socket(channels_socket *s, void *arg)
{
    (void)s, (void)arg;
}

static void see_channel(channels_channel *ch, void *arg)
{
    (void)ch, (void)arg;
}

typedef struct thread_case {
    core_case *t;
    channels_endpoint *ep;
    channels_channel *ch;
    channels_socket *s;
    channels_ref waiting; /* a connect */
    channels_subscription sub;
    channels_presence *present;
    unsigned failures;
} thread_case;

/* The thread may not fail a test: it counts. */
static void misused(thread_case *c, const char *call, bool refused)
{
    const char *line = core_last_line(&c->t->host);
    if (refused && strncmp(line, call, strlen(call)) == 0 && strstr(line, "thread") != NULL) {
        c->t->host.log[0] = '\0';
        return;
    }
    print_error("%s: %s, logged \"%s\"\n", call, refused ? "refused" : "not refused", line);
    c->failures++;
}

#define MISUSED(call, ...) misused(c, #call, call(__VA_ARGS__) == CHANNELS_ERR_MISUSE)
#define IGNORED(call, ...) (call(__VA_ARGS__), misused(c, #call, true))

static void channel_calls(thread_case *c)
{
    channels_payload empty = channels_empty();
    channels_ref ref;
    MISUSED(channels_push, c->ch, "e", empty);
    MISUSED(channels_reply, c->ch, "ok", empty);
    MISUSED(channels_broadcast, c->ch, "e", empty);
    MISUSED(channels_broadcast_from, c->ch, "e", empty);
    MISUSED(channels_subscribe, c->ch, "sport");
    IGNORED(channels_unsubscribe, c->ch, "news");
    MISUSED(channels_stop, c->ch);
    MISUSED(channels_later, c->ch, &ref);
    MISUSED(channels_self, c->ch, &ref);
    MISUSED(channels_info_after, c->ch, 5, NULL, NULL, NULL);
    MISUSED(channels_timer_stop, c->ch, c->t->probe.timer);
    MISUSED(channels_timer_stop, c->ch, (channels_timer){ 999 });
}

static void socket_calls(thread_case *c)
{
    static const channels_response no = { .status = 403 };
    channels_ref ref;
    MISUSED(channels_socket_set_id, c->s, "id");
    MISUSED(channels_refuse, c->s, &no);
    MISUSED(channels_socket_close, c->s, 4000);
    MISUSED(channels_socket_push, c->s, channels_text("x"));
    MISUSED(channels_socket_self, c->s, &ref);
    MISUSED(channels_connect_later, c->s, &ref);
    MISUSED(channels_socket_receive, c->s, channels_json("[]"));
    MISUSED(channels_foreach_channel, c->s, see_channel, NULL);
    IGNORED(channels_socket_closed, c->s);
}

static void endpoint_calls(thread_case *c)
{
    static const channels_response no = { .status = 403 };
    static const channels_request req = { .method = "GET", .path = "/socket/websocket" };
    static const channels_transport transport = { .name = "websocket" };
    channels_payload empty = channels_empty();
    channels_subscription sub;
    channels_socket *s;
    channels_stats stats;
    MISUSED(channels_drain, c->ep, NULL);
    MISUSED(channels_foreach_socket, c->ep, see_socket, NULL);
    MISUSED(channels_endpoint_stats, c->ep, &stats);
    MISUSED(channels_ref_reply, c->ep, c->t->probe.ref, "ok", empty);
    IGNORED(channels_ref_drop, c->ep, c->t->probe.ref);
    MISUSED(channels_accept, c->ep, c->waiting);
    MISUSED(channels_respond, c->ep, c->waiting, &no);
    MISUSED(channels_mount, c->ep, "/other", &probe_handler, NULL, NULL);
    IGNORED(channels_endpoint_run, c->ep);
    IGNORED(channels_endpoint_free, c->ep);
    MISUSED(channels_pubsub_subscribe, c->ep, "news", nothing, NULL, &sub);
    IGNORED(channels_pubsub_unsubscribe, c->ep, c->sub);
    MISUSED(channels_pubsub_deliver, c->ep, "", 0);
    MISUSED(channels_socket_open, c->ep, &req, &transport, NULL, &s);
    c->failures += channels_ref_channel(c->ep, c->t->probe.self) != NULL;
    c->failures += channels_ref_socket(c->ep, c->waiting) != NULL;
}

static void see_list(void *arg, channels_payload list)
{
    (void)arg, (void)list;
}

static void presence_calls(thread_case *c)
{
    channels_payload empty = channels_empty();
    channels_presence *p;
    MISUSED(channels_presence_new, &p, c->ep, NULL);
    IGNORED(channels_presence_free, c->present, true);
    MISUSED(channels_presence_track, c->present, c->ch, "k", empty);
    MISUSED(channels_presence_update, c->present, c->ch, "k", empty);
    MISUSED(channels_presence_untrack, c->present, c->ch, NULL);
    MISUSED(channels_presence_track_owner, c->present, 1, "room:a", "k", empty);
    MISUSED(channels_presence_update_owner, c->present, 1, "room:a", "k", empty);
    MISUSED(channels_presence_untrack_owner, c->present, 1, NULL, NULL);
    MISUSED(channels_presence_push_state, c->present, c->ch);
    MISUSED(channels_presence_list, c->present, "room:a", see_list, NULL);
    MISUSED(channels_presence_get, c->present, "room:a", "k", see_list, NULL);
    MISUSED(channels_presence_foreach_node, c->present, NULL, NULL);
    IGNORED(channels_presence_count, c->present, "room:a");
    MISUSED(channels_presence_batch_done, c->ep, c->waiting);
    c->failures += channels_presence_batch_of(c->ep, c->waiting) != NULL;
}

static void *all_calls(void *arg)
{
    thread_case *c = arg;
    channel_calls(c);
    socket_calls(c);
    endpoint_calls(c);
    presence_calls(c);
    c->failures += channels_pubsub_broadcast_from(c->ep, c->sub, "room:a", "e", channels_empty()) !=
                   CHANNELS_ERR_MISUSE;
    return NULL;
}

static void *adopt(void *arg)
{
    channels_endpoint_adopt(arg);
    channels_endpoint_run(arg);
    return NULL;
}

static void other_threads(void **state)
{
    core_case *t = *state;
    thread_case c = { .t = t, .ep = t->host.ep };
    pthread_t thread;
    t->probe.connect = connect_later;
    core_connect(&t->b, &t->host, V2);
    c.waiting = t->probe.ref;
    t->probe.connect = NULL;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.handle_in = take_refs;
    say(t->a, "['1','2','room:a','x',{}]");
    c.ch = channels_ref_channel(c.ep, t->probe.self);
    c.s = t->a->socket;
    channels_pubsub_subscribe(c.ep, "news", nothing, NULL, &c.sub);
    channels_presence_new(&c.present, c.ep, NULL);
    t->probe.trace[0] = '\0';

    size_t blocks = t->memory.blocks;
    assert_int_equal(pthread_create(&thread, NULL, all_calls, &c), 0);
    pthread_join(thread, NULL);
    assert_int_equal(c.failures, 0);
    assert_int_equal(t->memory.blocks, blocks);
    quiet(t->a);
    assert_int_equal(t->a->code + t->b->status, 0);
    traced(t, "");

    assert_int_equal(channels_ref_reply(c.ep, t->probe.ref, "ok", channels_empty()), CHANNELS_OK);
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    assert_int_equal(channels_accept(c.ep, c.waiting), CHANNELS_OK);
    channels_test_wait(&t->host, 1000);
    traced(t, "info room:a tick;");

    assert_int_equal(pthread_create(&thread, NULL, adopt, c.ep), 0);
    pthread_join(thread, NULL);
    assert_int_equal(channels_push(c.ch, "e", channels_empty()), CHANNELS_ERR_MISUSE);
    channels_endpoint_adopt(c.ep);
    assert_int_equal(channels_push(c.ch, "e", channels_empty()), CHANNELS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = { CORE_TEST(other_threads) };
    return cmocka_run_group_tests_name("core_misuse", tests, NULL, NULL);
}
