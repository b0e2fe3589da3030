/* test_core_limits.c - each limit of a client, crossed, and its neighbours unharmed. */
#include "unit/core_case.h"

static void restart(core_case *t, const channels_mount_options *options)
{
    core_case_restart(t, NULL, options);
    core_connect(&t->b, &t->host, V2);
    join(t->b, "room:b", "1");
}

static void unharmed(core_case *t)
{
    assert_int_equal(t->b->code, 0);
    say(t->b, "['1','9','room:b','x',{}]");
    hear(t->b, "['1','9','room:b','phx_reply',{'status':'ok','response':{}}]");
}

/* --- Channels ----------------------------------------------------------------------------- */

static void max_channels(void **state)
{
    static const channels_mount_options two = { .max_channels = 2 };
    core_case *t = *state;
    restart(t, &two);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:1", "1");
    join(t->a, "room:2", "2");
    say(t->a, "['3','3','room:3','phx_join',{}]");
    hear(t->a, "['3','3','room:3','phx_reply',"
               "{'status':'error','response':{'reason':'too many channels joined'}}]");
    logged(t, "may not join more than 2 channels");
    say(t->a, "['3','3','nope','phx_join',{}]"); /* there is no route for it in the first place */
    hear(t->a, "[null,'3','nope','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    join(t->a, "room:2", "4"); /* again: does not count twice */
    hear(t->a, "['2','2','room:2','phx_close',{}]");
    say(t->a, "['1','5','room:1','phx_leave',{}]");
    hear(t->a, "['1','5','room:1','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:1','phx_close',{}]");
    join(t->a, "room:3", "6");
    unharmed(t);
}

static void hundred_channels(void **state)
{
    core_case *t = *state;
    char topic[16];
    core_connect(&t->a, &t->host, V2);
    for (int i = 0; i < 100; i++) {
        snprintf(topic, sizeof topic, "room:%d", i);
        join(t->a, topic, "1");
    }
    say(t->a, "['3','3','room:x','phx_join',{}]");
    hear(t->a, "['3','3','room:x','phx_reply',"
               "{'status':'error','response':{'reason':'too many channels joined'}}]");
}

/* --- Names -------------------------------------------------------------------------------- */

/* Topic and refs together: they are kept as long as the channel lives. */
static void max_topic(void **state)
{
    static const channels_mount_options short_ones = { .max_topic = 20 };
    core_case *t = *state;
    restart(t, &short_ones);
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:123456789','phx_join',{}]");
    hear(t->a, "['1','1','room:123456789','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['2','2','room:1234567890','phx_join',{}]");
    hear(t->a, "['2','2','room:1234567890','phx_reply',"
               "{'status':'error','response':{'reason':'topic too long'}}]");
    say(t->a, "['1234567890','2','room:a','phx_join',{}]");
    hear(t->a, "['1234567890','2','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'topic too long'}}]");
    unharmed(t);
}

/* --- Bytes that wait ---------------------------------------------------------------------- */

static channels_payload large(size_t n)
{
    static char text[8000];
    snprintf(text, sizeof text, "{\"x\":\"%0*d\"}", (int)n, 0);
    return channels_json(text);
}

static void max_queued(void **state)
{
    static const channels_mount_options little = { .max_queued = 2000 };
    core_case *t = *state;
    restart(t, &little);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(5000)); /* one is always taken */
    assert_int_equal(t->a->code, 0);
    assert_non_null(channels_test_hear(t->a));
    for (int i = 0; i < 10; i++) { /* and who reads is never closed */
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(900));
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(900));
        assert_non_null(channels_test_hear(t->a));
        assert_non_null(channels_test_hear(t->a));
    }
    assert_int_equal(t->a->code, 0);
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(5000)); /* nor what follows it */
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(1900));
    t->probe.trace[0] = '\0';
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(100));
    assert_int_equal(t->a->code, 1008);
    assert_int_equal(t->a->waiting, 2);
    logged(t, "reads too slowly");
    traced(t, "terminate room:a slow;disconnect slow;");
    unharmed(t);
}

/* A newcomer who has its reply still waiting gets all that is to be known, however large. */
static void max_queued_behind_a_little(void **state)
{
    static const channels_mount_options little = { .max_queued = 2000 };
    core_case *t = *state;
    restart(t, &little);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(100));
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(5000));
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(1700));
    assert_int_equal(t->a->code, 0);
    assert_int_equal(t->a->waiting, 3);
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(7000)); /* one is enough */
    assert_int_equal(t->a->code, 1008);
    assert_int_equal(t->a->waiting, 3);
    logged(t, "reads too slowly");
    unharmed(t);
}

/* The large one stays free while what goes before it leaves. */
static void max_queued_while_it_leaves(void **state)
{
    static const channels_mount_options little = { .max_queued = 2000 };
    core_case *t = *state;
    restart(t, &little);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(1800));
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(5000));
    assert_non_null(channels_test_hear(t->a));
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", large(1800));
    assert_int_equal(t->a->code, 0);
    unharmed(t);
}

static int push_much(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_push(ch, "e", large(5000));
    channels_push(ch, "e", large(1500));
    p->err = channels_push(ch, "e", large(1500));
    return p->err;
}

/* The channel ends as its client does, whatever its callback made of the error. */
static void max_queued_in_a_callback(void **state)
{
    static const channels_mount_options little = { .max_queued = 2000 };
    core_case *t = *state;
    restart(t, &little);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    t->probe.handle_in = push_much;
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_ERR_LIMIT);
    assert_int_equal(t->a->code, 1008);
    traced(t, "in room:a x {};terminate room:a slow;disconnect slow;");
    t->probe.handle_in = NULL;
    unharmed(t);
}

static int cannot_send(void *carrier, channels_buf *wire, channels_kind kind)
{
    (void)carrier, (void)wire, (void)kind;
    return CHANNELS_ERR_NOMEM;
}

static void transport_fails(void **state)
{
    core_case *t = *state;
    restart(t, NULL);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    int (*send)(void *, channels_buf *, channels_kind) = t->host.transport.send;
    t->host.transport.send = cannot_send;
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty()),
                     CHANNELS_OK);
    assert_int_equal(t->a->code, 1011);
    traced(t, "terminate room:a broken;disconnect broken;");
    t->host.transport.send = send;
    unharmed(t);
}

/* --- Nesting ------------------------------------------------------------------------------ */

static int say_nested(channels_test_client *c, unsigned depth)
{
    static char text[3000];
    char *at = text + sprintf(text, "['1','2','room:a','echo',");
    for (unsigned i = 0; i < depth; i++)
        *at++ = '[';
    for (unsigned i = 0; i < depth; i++)
        *at++ = ']';
    strcpy(at, "]");
    return channels_test_say(c, text);
}

static void max_nesting(void **state)
{
    static const channels_mount_options flat = { .max_nesting = 3 };
    core_case *t = *state;
    restart(t, &flat);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    assert_int_equal(say_nested(t->a, 3), CHANNELS_OK);
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':[[[]]]}]");
    assert_int_equal(say_nested(t->a, 4), CHANNELS_ERR_PROTOCOL);
    assert_int_equal(t->a->code, 1011);
    unharmed(t);
}

static int tree_of(channels_channel *ch, const channels_msg *msg, probe *p)
{
    p->err = channels_msg_json(msg) != NULL;
    return channels_reply(ch, "ok", channels_empty());
}

static void thousand_levels(void **state)
{
    core_case *t = *state;
    restart(t, NULL);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.handle_in = tree_of;
    assert_int_equal(say_nested(t->a, 1000), CHANNELS_OK);
    assert_true(t->probe.err); /* cJSON can open what passes */
    assert_int_equal(say_nested(t->a, 1001), CHANNELS_ERR_PROTOCOL);
    assert_int_equal(t->a->code, 1011);
}

/* --- Refs --------------------------------------------------------------------------------- */

static int take_two(channels_channel *ch, const channels_msg *msg, probe *p)
{
    channels_ref second;
    (void)msg;
    p->err = channels_later(ch, &p->ref);
    probe_note(p, "second %d;", channels_later(ch, &second));
    return CHANNELS_OK;
}

static void max_deferred(void **state)
{
    static const channels_mount_options one = { .max_deferred = 1 };
    core_case *t = *state;
    restart(t, &one);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.handle_in = take_two;
    for (int i = 0; i < 3; i++) {
        t->probe.trace[0] = '\0';
        say(t->a, "['1','2','room:a','x',{}]");
        assert_int_equal(t->probe.err, CHANNELS_OK);
        traced(t, "in room:a x {};second -5;");
        channels_ref_drop(t->host.ep, t->probe.ref);
    }
    assert_int_equal(t->a->code, 0);
    t->probe.handle_in = NULL;
    unharmed(t);
}

static int take_one(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_later(ch, &p->ref);
    return CHANNELS_OK;
}

/* The texts of refs count as what waits behind a join does. */
static void max_deferred_bytes(void **state)
{
    static const channels_mount_options little = { .max_deferred_bytes = 1000 };
    core_case *t = *state;
    char text[1000];
    restart(t, &little);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.handle_in = take_one;
    snprintf(text, sizeof text, "['1','%0600d','room:a','x',{}]", 0);
    for (int i = 0; i < 3; i++) {
        say(t->a, text);
        assert_int_equal(t->probe.err, CHANNELS_OK);
        channels_ref first = t->probe.ref;
        say(t->a, text);
        assert_int_equal(t->probe.err, CHANNELS_ERR_LIMIT);
        channels_ref_drop(t->host.ep, first);
    }
    assert_int_equal(t->a->code, 0);
    t->probe.handle_in = NULL;
    unharmed(t);
}

/* A ref keeps the text of the message's ref. */
static void max_deferred_bytes_of_refs(void **state)
{
    static const channels_mount_options few = { .max_deferred_bytes = 100 };
    core_case *t = *state;
    restart(t, &few);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.handle_in = take_two;
    say(t->a, "['1','0123456789012345678901234567890123456789012345678901234567','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_OK); /* 60 bytes; another 60 are too many */
    assert_non_null(strstr(t->probe.trace, "second -5;"));
    channels_ref_drop(t->host.ep, t->probe.ref);
    say(t->a, "['1','0123456789012345678901234567890123456789012345','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_OK); /* 48 */
    assert_non_null(strstr(t->probe.trace, "second 0;"));
    t->probe.handle_in = NULL;
    unharmed(t);
}

static void largest_max_topic(void **state)
{
    static const channels_mount_options too_much = { .max_topic = 65536 };
    core_case *t = *state;
    assert_int_equal(channels_mount(t->host.ep, "/more", &probe_handler, &too_much, NULL),
                     CHANNELS_ERR_INVALID);
    logged(t, "max_topic can be at most 65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(max_channels),
        CORE_TEST(hundred_channels),
        CORE_TEST(max_topic),
        CORE_TEST(max_queued),
        CORE_TEST(max_queued_behind_a_little),
        CORE_TEST(max_queued_while_it_leaves),
        CORE_TEST(max_queued_in_a_callback),
        CORE_TEST(transport_fails),
        CORE_TEST(max_nesting),
        CORE_TEST(thousand_levels),
        CORE_TEST(max_deferred),
        CORE_TEST(max_deferred_bytes_of_refs),
        CORE_TEST(largest_max_topic),
        CORE_TEST(max_deferred_bytes),
    };
    return cmocka_run_group_tests_name("core_limits", tests, NULL, NULL);
}
