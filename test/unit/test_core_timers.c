/* test_core_timers.c - channels_info_after() and channels_timer_stop(). */
#include "unit/core_case.h"

static channels_channel *begin(core_case *t, int (*joined)(channels_channel *ch, probe *p))
{
    t->probe.joined = joined;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    return channels_ref_channel(t->host.ep, t->probe.self);
}

static int take_self(channels_channel *ch, probe *p)
{
    return channels_self(ch, &p->self);
}

static int after(channels_channel *ch, uint32_t ms, probe *p, const char *text)
{
    void *info = probe_info(p, text);
    int err = channels_info_after(ch, ms, info, probe_drop, &p->timer);
    if (err != CHANNELS_OK)
        probe_drop(info);
    return err;
}

static uint64_t timeout(core_case *t)
{
    return channels_endpoint_timeout(t->host.ep);
}

static void in_order(void **state)
{
    core_case *t = *state;
    assert_true(timeout(t) == UINT64_MAX);
    channels_channel *ch = begin(t, take_self);
    assert_int_equal(after(ch, 30, &t->probe, "c"), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "a"), CHANNELS_OK);
    assert_int_equal(after(ch, 20, &t->probe, "b"), CHANNELS_OK);
    assert_int_equal(after(ch, 30, &t->probe, "d"), CHANNELS_OK);
    assert_int_equal(after(ch, UINT32_MAX, &t->probe, "far"), CHANNELS_OK);
    assert_int_equal(timeout(t), 10);
    channels_test_wait(&t->host, 9);
    traced(t, "");
    assert_int_equal(timeout(t), 1);
    channels_test_wait(&t->host, 1);
    traced(t, "info room:a a;");
    t->host.now += 100;
    assert_int_equal(timeout(t), 0);
    channels_endpoint_run(t->host.ep);
    traced(t, "info room:a b;info room:a c;info room:a d;");
    assert_int_equal(timeout(t), UINT32_MAX - 110);
    channels_test_wait(&t->host, UINT32_MAX);
    traced(t, "info room:a far;");
    assert_true(timeout(t) == UINT64_MAX);
    assert_int_equal(t->probe.dropped, 0);
}

static void stops(void **state)
{
    core_case *t = *state;
    channels_channel *ch = begin(t, take_self);
    after(ch, 10, &t->probe, "a");
    channels_timer first = t->probe.timer;
    after(ch, 10, &t->probe, "b");
    after(ch, 10, &t->probe, "c");
    assert_int_equal(channels_timer_stop(ch, first), CHANNELS_OK);
    assert_int_equal(t->probe.dropped, 1);
    assert_int_equal(channels_timer_stop(ch, first), CHANNELS_ERR_CLOSED);
    channels_test_wait(&t->host, 10);
    traced(t, "info room:a b;info room:a c;");
    assert_int_equal(channels_timer_stop(ch, t->probe.timer), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_timer_stop(ch, (channels_timer){ 0 }), CHANNELS_ERR_CLOSED);
    assert_int_equal(t->probe.dropped, 1);
    assert_int_equal(channels_info_after(ch, 5, NULL, NULL, NULL), CHANNELS_OK);
    say(t->a, "['1','2','room:a','phx_leave',{}]");
}

static void dropped_at_the_end(void **state)
{
    core_case *t = *state;
    channels_channel *ch = begin(t, take_self);
    after(ch, 10, &t->probe, "a");
    after(ch, 20, &t->probe, "b");
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    assert_int_equal(t->probe.dropped, 2);
    assert_true(timeout(t) == UINT64_MAX);
    channels_test_wait(&t->host, 50);
    traced(t, "terminate room:a left;");
    ch = begin(t, take_self);
    after(ch, 10, &t->probe, "a");
    channels_test_close(t->a);
    assert_int_equal(t->probe.dropped, 3);
}

static int again(channels_channel *ch, void *info, probe *p)
{
    (void)info;
    return after(ch, 10, p, "tick");
}

static void starts_again_in_its_handler(void **state)
{
    core_case *t = *state;
    channels_channel *ch = begin(t, take_self);
    t->probe.handle_info = again;
    after(ch, 10, &t->probe, "tick");
    channels_test_wait(&t->host, 10);
    channels_test_wait(&t->host, 10);
    traced(t, "info room:a tick;info room:a tick;");
    t->host.now += 1000; /* once, however late it is */
    channels_endpoint_run(t->host.ep);
    traced(t, "info room:a tick;");
    assert_int_equal(timeout(t), 10);
}

static int stop_other(channels_channel *ch, void *info, probe *p)
{
    (void)info;
    p->err = channels_timer_stop(ch, p->timer);
    return CHANNELS_OK;
}

/* Both are due; the first stops the second. */
static void stops_one_that_is_due(void **state)
{
    core_case *t = *state;
    channels_channel *ch = begin(t, take_self);
    t->probe.handle_info = stop_other;
    after(ch, 10, &t->probe, "a");
    after(ch, 10, &t->probe, "b");
    channels_test_wait(&t->host, 10);
    traced(t, "info room:a a;");
    assert_int_equal(t->probe.err, CHANNELS_OK);
    assert_int_equal(t->probe.dropped, 1);
}

static int end_in_info(channels_channel *ch, void *info, probe *p)
{
    (void)ch, (void)info, (void)p;
    return CHANNELS_STOP;
}

static void ends_with_others_due(void **state)
{
    core_case *t = *state;
    channels_channel *ch = begin(t, take_self);
    t->probe.handle_info = end_in_info;
    after(ch, 10, &t->probe, "a");
    after(ch, 10, &t->probe, "b");
    after(ch, 5, &t->probe, "c");
    channels_test_wait(&t->host, 10);
    traced(t, "info room:a c;terminate room:a stopped;");
    assert_int_equal(t->probe.dropped, 2);
}

/* 0 ms: when the callback in hand has returned, in the order of the calls. */
static int soon(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    after(ch, 0, p, "one");
    channels_broadcast(ch, "secret", channels_empty());
    after(ch, 0, p, "two");
    probe_note(p, "returned;");
    return CHANNELS_OK;
}

static void at_once(void **state)
{
    core_case *t = *state;
    begin(t, take_self);
    t->probe.handle_in = soon;
    say(t->a, "['1','2','room:a','x',{}]");
    traced(t, "in room:a x {};returned;info room:a one;out room:a secret {};info room:a two;");
}

static int first_thing(channels_channel *ch, probe *p)
{
    channels_self(ch, &p->self);
    after(ch, 0, p, "after_join");
    return channels_push(ch, "joined", channels_empty());
}

static void after_join(void **state)
{
    core_case *t = *state;
    begin(t, first_thing);
    hear(t->a, "['1',null,'room:a','joined',{}]");
    channels_test_close(t->a);
    traced(t, "terminate room:a closed;disconnect closed;"); /* its info came before join() ended */
}

static void counted(void **state)
{
    static const channels_mount_options few = { .max_deferred = 3 };
    core_case *t = *state;
    core_case_restart(t, NULL, &few);
    channels_channel *ch = begin(t, take_self); /* a ref counts, too */
    assert_int_equal(after(ch, 10, &t->probe, "a"), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "b"), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "c"), CHANNELS_ERR_LIMIT);
    assert_int_equal(t->probe.dropped, 1); /* by after() */
    assert_int_equal(t->probe.timer.id, 0);
    channels_test_wait(&t->host, 10);
    assert_int_equal(after(ch, 10, &t->probe, "d"), CHANNELS_OK);
    assert_int_equal(channels_timer_stop(ch, t->probe.timer), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "e"), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "f"), CHANNELS_OK);
    assert_int_equal(after(ch, 10, &t->probe, "g"), CHANNELS_ERR_LIMIT);
    channels_test_close(t->a);
}

/* Many, started and stopped as it comes, against a sorted list. */
static void many(void **state)
{
    core_case *t = *state;
    struct {
        channels_timer timer;
        uint64_t due;
    } all[300];
    uint64_t left = 0;
    channels_channel *ch = begin(t, take_self);
    for (unsigned i = 0; i < 300; i++) {
        uint32_t ms = 1 + i * 7919 % 1000;
        after(ch, ms, &t->probe, "t");
        all[i].timer = t->probe.timer;
        all[i].due = t->host.now + ms;
    }
    for (unsigned i = 0; i < 300; i += 3)
        assert_int_equal(channels_timer_stop(ch, all[i].timer), CHANNELS_OK);
    for (uint64_t end = t->host.now + 1000; t->host.now < end;) {
        unsigned due = 0;
        channels_test_wait(&t->host, 50);
        for (unsigned i = 0; i < 300; i++)
            due += i % 3 != 0 && all[i].due <= t->host.now && all[i].due > t->host.now - 50;
        assert_int_equal(strlen(t->probe.trace), due * strlen("info room:a t;"));
        left += due;
        t->probe.trace[0] = '\0';
    }
    assert_int_equal(left, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(in_order),
        CORE_TEST(stops),
        CORE_TEST(dropped_at_the_end),
        CORE_TEST(starts_again_in_its_handler),
        CORE_TEST(stops_one_that_is_due),
        CORE_TEST(ends_with_others_due),
        CORE_TEST(at_once),
        CORE_TEST(after_join),
        CORE_TEST(counted),
        CORE_TEST(many),
    };
    return cmocka_run_group_tests_name("core_timers", tests, NULL, NULL);
}
