/* test_core_pending.c - joins that are decided later: what waits, and every way it ends. */
#include "unit/core_case.h"

#define CRASHED "{'status':'error','response':{'reason':'join crashed'}}"

static int wait_for_it(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_later(ch, &p->ref);
    return CHANNELS_LATER;
}

static int push_hello(channels_channel *ch, probe *p)
{
    (void)p;
    return channels_push(ch, "hello", channels_empty());
}

/* A client that waits for room:a. */
static void begin(core_case *t)
{
    t->probe.join = wait_for_it;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    assert_int_equal(t->probe.err, CHANNELS_OK);
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};");
    t->probe.join = NULL;
}

static int decide(core_case *t, const char *status, const char *response)
{
    return channels_ref_reply(t->host.ep, t->probe.ref, status, json(response));
}

static void admitted(void **state)
{
    core_case *t = *state;
    t->probe.joined = push_hello;
    begin(t);
    channels_pubsub_broadcast(t->host.ep, "room:a", "too early", channels_empty());
    assert_int_equal(decide(t, "weird", "{}"), CHANNELS_ERR_INVALID);
    logged(t, "\"ok\" or \"error\"");
    assert_int_equal(decide(t, "ok", "nonsense"), CHANNELS_ERR_INVALID);
    assert_int_equal(decide(t, "ok", "{'history':[1,2]}"), CHANNELS_OK);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{'history':[1,2]}}]");
    hear(t->a, "['1',null,'room:a','hello',{}]");
    quiet(t->a);
    traced(t, "joined room:a;");
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_ERR_CLOSED);
    assert_int_equal(decide(t, "error", "{}"), CHANNELS_ERR_CLOSED);
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    hear(t->a, "[null,null,'room:a','e',{}]");
    quiet(t->a);
}

static void refused(void **state)
{
    core_case *t = *state;
    begin(t);
    assert_int_equal(decide(t, "error", "{'reason':'no'}"), CHANNELS_OK);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'error','response':{'reason':'no'}}]");
    traced(t, "terminate room:a refused;");
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_ERR_CLOSED);
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    quiet(t->a);
    say(t->a, "['1','2','room:a','x',{}]");
    hear(t->a, "[null,'2','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
}

static void dropped(void **state)
{
    core_case *t = *state;
    begin(t);
    channels_ref_drop(t->host.ep, t->probe.ref);
    hear(t->a, "['1','1','room:a','phx_reply'," CRASHED "]");
    traced(t, "terminate room:a refused;");
    quiet(t->a);
}

/* Heartbeats and other topics go on; what is for the topic waits, in order. */
static void messages_wait(void **state)
{
    core_case *t = *state;
    t->probe.joined = push_hello;
    begin(t);
    say(t->a, "['1','2','room:a','echo',{'n':1}]");
    say(t->a, "[null,'3','phoenix','heartbeat',{}]");
    hear(t->a, "[null,'3','phoenix','phx_reply',{'status':'ok','response':{}}]");
    join(t->a, "room:b", "4");
    hear(t->a, "['4',null,'room:b','hello',{}]");
    say(t->a, "['0','5','room:a','echo',{'stale':1}]");
    say(t->a, "[null,'6','room:a','echo',{'n':2}]");
    quiet(t->a);
    t->probe.trace[0] = '\0';
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_OK);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1',null,'room:a','hello',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{'n':1}}]");
    hear(t->a, "['1','6','room:a','phx_reply',{'status':'ok','response':{'n':2}}]");
    quiet(t->a);
    traced(t, "joined room:a;in room:a echo {'n':1};in room:a echo {'n':2};");
}

static void messages_wait_for_a_refusal(void **state)
{
    core_case *t = *state;
    begin(t);
    say(t->a, "['1','2','room:a','echo',{'n':1}]");
    decide(t, "error", "{}");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'error','response':{}}]");
    hear(t->a, "[null,'2','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    quiet(t->a);
}

/* What phoenix.js does when a join takes too long: it leaves, then joins again. */
static void leave_and_join_again(void **state)
{
    core_case *t = *state;
    begin(t);
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    say(t->a, "['3','3','room:a','phx_join',{}]");
    say(t->a, "['3','4','room:a','echo',{}]");
    quiet(t->a);
    decide(t, "ok", "{}");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    hear(t->a, "['3','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['3','4','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
    traced(t, "joined room:a;terminate room:a left;join room:a phx_join {};joined room:a;"
              "in room:a echo {};");
}

static void leave_after_refusal(void **state)
{
    core_case *t = *state;
    begin(t);
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    say(t->a, "['3','3','room:a','phx_join',{}]");
    decide(t, "error", "{}");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'error','response':{}}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['3','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
}

/* A second join waits as well; then it takes the place of the first and may wait in its turn. */
static void second_join_waits(void **state)
{
    core_case *t = *state;
    begin(t);
    channels_ref first = t->probe.ref;
    say(t->a, "['2','2','room:a','phx_join',{}]");
    say(t->a, "['2','3','room:a','echo',{}]");
    say(t->a, "['1','4','room:a','echo',{}]");
    t->probe.join = wait_for_it;
    channels_ref_reply(t->host.ep, first, "ok", channels_empty());
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
    traced(t, "joined room:a;terminate room:a duplicate;join room:a phx_join {};");
    decide(t, "ok", "[7]");
    hear(t->a, "['2','2','room:a','phx_reply',{'status':'ok','response':[7]}]");
    hear(t->a, "['2','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
}

static void client_gone_meanwhile(void **state)
{
    core_case *t = *state;
    begin(t);
    say(t->a, "['1','2','room:a','echo',{}]");
    channels_test_close(t->a);
    traced(t, "terminate room:a closed;disconnect closed;");
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_ERR_CLOSED);
    assert_null(channels_ref_channel(t->host.ep, t->probe.ref));
}

static void endpoint_freed_meanwhile(void **state)
{
    core_case *t = *state;
    begin(t);
    say(t->a, "['1','2','room:a','echo',{}]");
    assert_int_equal(channels_test_stop(&t->host), 0);
    traced(t, "terminate room:a shutdown;disconnect shutdown;");
}

/* --- Decided inside callbacks ------------------------------------------------------------- */

static int decide_in_join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_later(ch, &p->ref);
    p->err = channels_ref_reply(p->host->ep, p->ref, "ok", channels_empty());
    return CHANNELS_LATER;
}

static int drop_in_join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_later(ch, &p->ref);
    channels_ref_drop(p->host->ep, p->ref);
    return CHANNELS_LATER;
}

static int ref_but_ok(channels_channel *ch, const channels_msg *msg, probe *p)
{
    channels_ref second;
    (void)msg;
    channels_later(ch, &p->ref);
    p->err = channels_later(ch, &second);
    return CHANNELS_OK;
}

static int ref_and_reply(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_later(ch, &p->ref);
    channels_reply(ch, "ok", channels_empty());
    return CHANNELS_LATER;
}

static void refs_in_join(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = ref_but_ok;
    join(t->a, "room:a", "1");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    assert_int_equal(decide(t, "error", "{}"), CHANNELS_ERR_CLOSED);
    t->probe.join = drop_in_join;
    say(t->a, "['2','2','room:b','phx_join',{}]");
    hear(t->a, "['2','2','room:b','phx_reply'," CRASHED "]");
    t->probe.join = ref_and_reply;
    say(t->a, "['3','3','room:b','phx_join',{}]");
    hear(t->a, "['3','3','room:b','phx_reply'," CRASHED "]");
    logged(t, "after channels_reply()");
    t->probe.join = decide_in_join;
    say(t->a, "['4','4','room:b','phx_join',{}]");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    logged(t, "has not returned yet");
    quiet(t->a);
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_OK);
    hear(t->a, "['4','4','room:b','phx_reply',{'status':'ok','response':{}}]");
}

static int decide_in_info(channels_channel *ch, void *info, probe *p)
{
    channels_ref self;
    channels_self(ch, &self);
    if (strcmp(info, "again") == 0)
        channels_send(p->host->ep, self, probe_info(p, "decide"), probe_drop);
    else
        channels_ref_reply(p->host->ep, p->ref, "ok", channels_empty());
    return CHANNELS_OK;
}

static int take_self(channels_channel *ch, probe *p)
{
    if (p->self.id == 0)
        channels_self(ch, &p->self);
    return channels_push(ch, "hello", channels_empty());
}

/* The decision falls while a message of the client is on its way in: what waited is still first. */
static void decided_just_before_a_message(void **state)
{
    core_case *t = *state;
    t->probe.joined = take_self;
    t->probe.handle_info = decide_in_info;
    core_connect(&t->b, &t->host, V2);
    join(t->b, "room:b", "1");
    t->probe.trace[0] = '\0';
    begin(t);
    say(t->a, "['1','2','room:a','echo',{'n':1}]");
    channels_send(t->host.ep, t->probe.self, probe_info(&t->probe, "again"), probe_drop);
    say(t->a, "['1','3','room:a','echo',{'n':2}]");
    channels_endpoint_run(t->host.ep);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1',null,'room:a','hello',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{'n':1}}]");
    hear(t->a, "['1','3','room:a','phx_reply',{'status':'ok','response':{'n':2}}]");
    quiet(t->a);
}

/* --- What else may happen to a channel that waits ----------------------------------------- */

static int news_and_timer(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_self(ch, &p->self);
    channels_subscribe(ch, "news");
    channels_info_after(ch, 50, probe_info(p, "tick"), probe_drop, NULL);
    channels_later(ch, &p->ref);
    return CHANNELS_LATER;
}

static void hears_while_it_waits(void **state)
{
    core_case *t = *state;
    t->probe.join = news_and_timer;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    channels_test_wait(&t->host, 50);
    channels_send(t->host.ep, t->probe.self, probe_info(&t->probe, "hi"), probe_drop);
    traced(t, "connect;join room:a phx_join {};broadcast room:a<-news e {};info room:a tick;"
              "info room:a hi;");
    channels_channel *ch = channels_ref_channel(t->host.ep, t->probe.self);
    assert_int_equal(channels_push(ch, "e", channels_empty()), CHANNELS_ERR_INVALID);
    ch = channels_ref_channel(t->host.ep, t->probe.ref);
    assert_int_equal(channels_broadcast(ch, "e", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_OK);
    channels_send(t->host.ep, t->probe.self, probe_info(&t->probe, "ho"), probe_drop);
    traced(t, "joined room:a;info room:a ho;");
    assert_int_equal(t->probe.dropped, 0);
}

static void stopped_while_it_waits(void **state)
{
    core_case *t = *state;
    t->probe.join = news_and_timer;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    say(t->a, "['1','2','room:a','echo',{}]");
    t->probe.trace[0] = '\0';
    assert_int_equal(channels_stop(channels_ref_channel(t->host.ep, t->probe.self)), CHANNELS_OK);
    channels_endpoint_run(t->host.ep);
    hear(t->a, "['1','1','room:a','phx_reply'," CRASHED "]");
    hear(t->a, "[null,'2','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    quiet(t->a);
    assert_int_equal(t->probe.dropped, 1);
    assert_int_equal(decide(t, "ok", "{}"), CHANNELS_ERR_CLOSED);
}

static int refuse_and_stop(channels_channel *ch, void *info, probe *p)
{
    (void)info;
    channels_ref_reply(p->host->ep, p->ref, "error", channels_empty());
    p->err = channels_stop(ch);
    return CHANNELS_STOP;
}

/* Stopped when it has been refused already: that stands. */
static void stopped_after_its_refusal(void **state)
{
    core_case *t = *state;
    t->probe.join = news_and_timer;
    t->probe.handle_info = refuse_and_stop;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    channels_test_wait(&t->host, 50);
    channels_endpoint_run(t->host.ep);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'error','response':{}}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};info room:a tick;terminate room:a refused;");
}

static int admit_and_stop(channels_channel *ch, void *info, probe *p)
{
    (void)ch, (void)info;
    p->err = channels_ref_reply(p->host->ep, p->ref, "ok", channels_empty());
    return CHANNELS_STOP;
}

static void admit_and_stop_it(core_case *t)
{
    t->probe.join = news_and_timer;
    t->probe.handle_info = admit_and_stop;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    say(t->a, "['1','2','room:a','echo',{}]");
    channels_send(t->host.ep, t->probe.self, probe_info(&t->probe, "go"), probe_drop);
    assert_int_equal(t->probe.err, CHANNELS_OK);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};info room:a go;terminate room:a stopped;");
}

/* It never gets to joined(); what waited finds it gone. */
static void stopped_with_its_admission(void **state)
{
    core_case *t = *state;
    admit_and_stop_it(t);
    channels_endpoint_run(t->host.ep);
    hear(t->a, "[null,'2','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    quiet(t->a);
    traced(t, "");
}

static void freed_before_what_waited_had_its_turn(void **state)
{
    core_case *t = *state;
    admit_and_stop_it(t);
    assert_int_equal(channels_test_stop(&t->host), 0);
}

/* --- Limits ------------------------------------------------------------------------------- */

static void too_many_messages_wait(void **state)
{
    static const channels_mount_options few = { .max_deferred = 4 };
    core_case *t = *state;
    core_case_restart(t, NULL, &few);
    begin(t);
    for (int i = 0; i < 3; i++)
        say(t->a, "['1','2','room:a','echo',{}]");
    say(t->a, "[null,'3','phoenix','heartbeat',{}]");
    assert_int_equal(t->a->code, 0);
    say(t->a, "['1','5','room:a','echo',{}]");
    assert_int_equal(t->a->code, 1008);
    logged(t, "too much waits behind its join of room:a");
    traced(t, "terminate room:a broken;disconnect broken;");
}

static void too_many_bytes_wait(void **state)
{
    static const channels_mount_options few = { .max_deferred_bytes = 4000 };
    core_case *t = *state;
    char text[2100];
    core_case_restart(t, NULL, &few);
    begin(t);
    snprintf(text, sizeof text, "['1','2','room:a','echo','%01500d']", 0);
    say(t->a, text);
    say(t->a, text);
    assert_int_equal(t->a->code, 0);
    say(t->a, text);
    assert_int_equal(t->a->code, 1008);
}

/* What waited is not counted any more when it has been handled. */
static void limits_recover(void **state)
{
    static const channels_mount_options few = { .max_deferred = 4, .max_deferred_bytes = 4000 };
    core_case *t = *state;
    char text[2100];
    core_case_restart(t, NULL, &few);
    begin(t);
    snprintf(text, sizeof text, "['1','2','room:a','none','%01500d']", 0);
    for (int round = 0; round < 5; round++) {
        say(t->a, text);
        say(t->a, text);
        decide(t, "ok", "{}");
        say(t->a, "['1','3','room:a','phx_leave',{}]");
        t->probe.join = wait_for_it;
        say(t->a, "['1','1','room:a','phx_join',{}]");
    }
    assert_int_equal(t->a->code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(admitted),
        CORE_TEST(refused),
        CORE_TEST(dropped),
        CORE_TEST(messages_wait),
        CORE_TEST(messages_wait_for_a_refusal),
        CORE_TEST(leave_and_join_again),
        CORE_TEST(leave_after_refusal),
        CORE_TEST(second_join_waits),
        CORE_TEST(client_gone_meanwhile),
        CORE_TEST(endpoint_freed_meanwhile),
        CORE_TEST(refs_in_join),
        CORE_TEST(decided_just_before_a_message),
        CORE_TEST(hears_while_it_waits),
        CORE_TEST(stopped_while_it_waits),
        CORE_TEST(stopped_after_its_refusal),
        CORE_TEST(stopped_with_its_admission),
        CORE_TEST(freed_before_what_waited_had_its_turn),
        CORE_TEST(too_many_messages_wait),
        CORE_TEST(too_many_bytes_wait),
        CORE_TEST(limits_recover),
    };
    return cmocka_run_group_tests_name("core_pending", tests, NULL, NULL);
}
