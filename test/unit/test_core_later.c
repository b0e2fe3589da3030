/* test_core_later.c - refs: answers that come later, and infos to a channel from elsewhere. */
#include <pthread.h>

#include "unit/core_case.h"

static int take_ref(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_later(ch, &p->ref);
    return CHANNELS_OK;
}

static int take_self(channels_channel *ch, probe *p)
{
    p->err = channels_self(ch, &p->self);
    return CHANNELS_OK;
}

static void answers_often(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    t->probe.handle_in = take_ref;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "[null,'2','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_OK);
    quiet(t->a);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "ok", json("[1]")), CHANNELS_OK);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "weird", channels_binary("x", 1)),
                     CHANNELS_OK);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, NULL, channels_empty()),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "ok", channels_json("x")),
                     CHANNELS_ERR_INVALID);
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':[1]}]");
    hear(t->a, "<\\01\\01\\01\\06\\0512room:aweirdx>");
    channels_ref_drop(ep, t->probe.ref);
    channels_ref_drop(ep, t->probe.ref);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "ok", channels_empty()),
                     CHANNELS_ERR_CLOSED);
    quiet(t->a);
}

static void refs_end_with_their_channel(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    channels_ref first;
    t->probe.handle_in = take_ref;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1',{'r':2},'room:a','x',{}]");
    first = t->probe.ref;
    assert_non_null(channels_ref_channel(ep, first));
    join(t->a, "room:b", "5");
    say(t->a, "['1','3','room:a','phx_leave',{}]");
    assert_null(channels_ref_channel(ep, first));
    say(t->a, "['5',null,'room:b','x',{}]"); /* wants no answer */
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    assert_int_equal(t->probe.ref.id, 0);
    logged(t, "has no ref");
    say(t->a, "['5','6','room:b','x',{}]"); /* uses the slot again */
    assert_int_equal(t->probe.err, CHANNELS_OK);
    assert_true(first.id != t->probe.ref.id);
    assert_int_equal(channels_ref_reply(ep, first, "ok", channels_empty()), CHANNELS_ERR_CLOSED);
    channels_ref_drop(ep, first);
    hear(t->a, "['1','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "ok", channels_empty()), CHANNELS_OK);
    hear(t->a, "['5','6','room:b','phx_reply',{'status':'ok','response':{}}]");
    channels_test_close(t->a);
    assert_int_equal(channels_ref_reply(ep, t->probe.ref, "ok", channels_empty()),
                     CHANNELS_ERR_CLOSED);
}

static void nonsense_refs(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    static const uint64_t ids[] = { 0, 1, 17, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 32 | 1 };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        channels_ref ref = { ids[i] };
        channels_response r = { .status = 200 };
        assert_int_equal(channels_ref_reply(ep, ref, "ok", channels_empty()), CHANNELS_ERR_CLOSED);
        assert_int_equal(channels_send(ep, ref, NULL, NULL), CHANNELS_ERR_CLOSED);
        assert_int_equal(channels_accept(ep, ref), CHANNELS_ERR_CLOSED);
        assert_int_equal(channels_respond(ep, ref, &r), CHANNELS_ERR_CLOSED);
        assert_null(channels_ref_channel(ep, ref));
        assert_null(channels_ref_socket(ep, ref));
        channels_ref_drop(ep, ref);
    }
}

/* A ref is good for what it names and nothing else. */
static void refs_of_another_kind(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    channels_response r = { .status = 200 };
    t->probe.joined = take_self;
    t->probe.handle_in = take_ref;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(channels_ref_reply(ep, t->probe.self, "ok", channels_empty()),
                     CHANNELS_ERR_INVALID);
    logged(t, "not one of channels_later()");
    assert_int_equal(channels_respond(ep, t->probe.ref, &r), CHANNELS_ERR_INVALID);
    logged(t, "not one of a request");
    assert_int_equal(channels_accept(ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    assert_null(channels_ref_socket(ep, t->probe.ref));
    assert_true(channels_ref_channel(ep, t->probe.ref) == channels_ref_channel(ep, t->probe.self));
}

/* --- self ---------------------------------------------------------------------------------- */

static int self_in_join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_self(ch, &p->self);
    return CHANNELS_OK;
}

static int self_again(channels_channel *ch, const channels_msg *msg, probe *p)
{
    channels_ref self;
    (void)msg;
    p->err = channels_self(ch, &self);
    assert_true(self.id == p->self.id);
    return CHANNELS_OK;
}

static void self_lives_as_long_as_the_channel(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    t->probe.join = self_in_join;
    t->probe.handle_in = self_again;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    assert_int_equal(t->probe.err, CHANNELS_OK);
    assert_non_null(channels_ref_channel(ep, t->probe.self));
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(channels_send(ep, t->probe.self, probe_info(&t->probe, "hi"), probe_drop),
                     CHANNELS_OK);
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    traced(t, "connect;join room:a phx_join {};joined room:a;in room:a x {};info room:a hi;"
              "terminate room:a left;");
    assert_null(channels_ref_channel(ep, t->probe.self));
}

/* --- send ---------------------------------------------------------------------------------- */

static void sends_from_this_thread(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    void *info = probe_info(&t->probe, "one");
    t->probe.joined = take_self;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    assert_int_equal(channels_send(ep, t->probe.self, info, probe_drop), CHANNELS_OK);
    traced(t, "info room:a one;");
    channels_test_close(t->a);
    info = probe_info(&t->probe, "two"); /* it stays the caller's */
    assert_int_equal(channels_send(ep, t->probe.self, info, probe_drop), CHANNELS_ERR_CLOSED);
    assert_int_equal(t->probe.dropped, 0);
    probe_drop(info);
}

static int self_stop(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_endpoint *ep = channels_channel_endpoint(ch);
    channels_send(ep, p->self, probe_info(p, "one"), probe_drop);
    channels_send(ep, p->self, probe_info(p, "two"), probe_drop);
    return CHANNELS_STOP;
}

/* Sent before the end but not heard: dropped. */
static void drops_what_comes_too_late(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    t->probe.handle_in = self_stop;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    say(t->a, "['1','2','room:a','x',{}]");
    traced(t, "in room:a x {};terminate room:a stopped;");
    assert_int_equal(t->probe.dropped, 2);
}

static void *send_three(void *arg)
{
    probe *p = arg;
    for (int i = 1; i <= 3; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        channels_send(p->host->ep, p->self, probe_info(p, text), probe_drop);
    }
    return NULL;
}

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    pthread_join(thread, NULL);
}

static void sends_from_another_thread(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    in_thread(send_three, &t->probe);
    traced(t, "");
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
    channels_endpoint_run(t->host.ep);
    traced(t, "info room:a 1;info room:a 2;info room:a 3;");
    channels_test_close(t->a);
    t->probe.trace[0] = '\0';
    in_thread(send_three, &t->probe);
    assert_int_equal(t->probe.dropped, 0);
    channels_endpoint_run(t->host.ep);
    assert_int_equal(t->probe.dropped, 3);
    in_thread(send_three, &t->probe); /* dropped by channels_endpoint_free() */
    assert_int_equal(channels_test_stop(&t->host), 0);
    assert_int_equal(t->probe.dropped, 6);
    traced(t, "");
}

static int send_again(channels_channel *ch, void *info, probe *p)
{
    (void)ch;
    if (strcmp(info, "first") == 0)
        channels_send(p->host->ep, p->self, probe_info(p, "second"), probe_drop);
    return CHANNELS_OK;
}

/* What was sent before a message came is handled before it, even if it is still in the queue. */
static void older_comes_first(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    t->probe.handle_info = send_again;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    channels_send(t->host.ep, t->probe.self, probe_info(&t->probe, "first"), probe_drop);
    traced(t, "info room:a first;");
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
    say(t->a, "['1','2','room:a','x',{}]");
    traced(t, "info room:a second;in room:a x {};");
}

static int stop_info(channels_channel *ch, void *info, probe *p)
{
    (void)ch, (void)info;
    return p->err;
}

static void ends_in_handle_info(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    t->probe.joined = take_self;
    t->probe.handle_info = stop_info;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.err = CHANNELS_STOP;
    channels_send(ep, t->probe.self, probe_info(&t->probe, "x"), probe_drop);
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    join(t->a, "room:a", "2");
    t->probe.err = CHANNELS_REFUSE; /* means nothing here */
    channels_send(ep, t->probe.self, probe_info(&t->probe, "x"), probe_drop);
    hear(t->a, "['2','2','room:a','phx_error',{'reason':'channel_crash'}]");
    logged(t, "handle_info() returned 2, which is for join() and connect() only");
}

/* --- Handles and stop ---------------------------------------------------------------------- */

static void stops_from_elsewhere(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    channels_channel *ch = channels_ref_channel(t->host.ep, t->probe.self);
    assert_int_equal(channels_push(ch, "e", channels_empty()), CHANNELS_OK);
    assert_int_equal(channels_broadcast(ch, "f", channels_empty()), CHANNELS_OK);
    assert_int_equal(channels_reply(ch, "ok", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_later(ch, &t->probe.ref), CHANNELS_ERR_INVALID);
    assert_string_equal(channels_channel_topic(ch), "room:a");
    assert_string_equal(channels_channel_arg(ch), "room");
    assert_true(channels_channel_endpoint(ch) == t->host.ep);
    assert_true(channels_channel_socket(ch) == t->a->socket);
    assert_string_equal(channels_socket_transport(t->a->socket), "websocket");
    assert_int_equal(channels_stop(ch), CHANNELS_OK);
    traced(t, "terminate room:a stopped;");
    assert_int_equal(channels_push(ch, "e", channels_empty()), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_broadcast(ch, "e", channels_empty()), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_subscribe(ch, "e"), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_self(ch, &t->probe.ref), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_info_after(ch, 1, NULL, NULL, NULL), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_stop(ch), CHANNELS_ERR_CLOSED);
    assert_string_equal(channels_channel_topic(ch), "room:a");
    hear(t->a, "['1',null,'room:a','e',{}]");
    hear(t->a, "[null,null,'room:a','f',{}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
}

static int stop_other(channels_channel *ch, const channels_msg *msg, probe *p)
{
    channels_endpoint *ep = channels_channel_endpoint(ch);
    channels_channel *other = channels_ref_channel(ep, p->self);
    (void)msg;
    assert_int_equal(channels_stop(other), CHANNELS_OK);
    assert_int_equal(channels_stop(other), CHANNELS_OK);
    assert_int_equal(channels_push(other, "still", channels_empty()), CHANNELS_OK);
    return channels_reply(ch, "ok", channels_empty());
}

static void stops_from_another_channel(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    t->probe.handle_in = stop_other;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    join(t->b, "room:b", "1");
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    say(t->b, "['1','2','room:b','x',{}]");
    traced(t, "in room:b x {};terminate room:a stopped;");
    hear(t->b, "['1','2','room:b','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1',null,'room:a','still',{}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(answers_often),
        CORE_TEST(refs_end_with_their_channel),
        CORE_TEST(nonsense_refs),
        CORE_TEST(refs_of_another_kind),
        CORE_TEST(self_lives_as_long_as_the_channel),
        CORE_TEST(sends_from_this_thread),
        CORE_TEST(drops_what_comes_too_late),
        CORE_TEST(sends_from_another_thread),
        CORE_TEST(older_comes_first),
        CORE_TEST(ends_in_handle_info),
        CORE_TEST(stops_from_elsewhere),
        CORE_TEST(stops_from_another_channel),
    };
    return cmocka_run_group_tests_name("core_later", tests, NULL, NULL);
}
