/* test_core_join.c - into a topic and out of it: what the client is told, and when. */
#include "unit/core_case.h"

static const char *reply_text; /* what the functions below answer with */

static int refuse(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    if (reply_text != NULL)
        assert_int_equal(channels_reply(ch, "error", json(reply_text)), CHANNELS_OK);
    return CHANNELS_REFUSE;
}

static int accept_with(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    assert_int_equal(channels_reply(ch, "ok", json(reply_text)), CHANNELS_OK);
    return CHANNELS_OK;
}

static int echo_params(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    return channels_reply(ch, "ok", msg->payload);
}

static int return_err(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)ch, (void)msg;
    return p->err;
}

static void joins_and_leaves(void **state)
{
    core_case *t = *state;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_OK);
    say(t->a, "['1','2','room:a','phx_join',{'x':1}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['1','3','room:a','phx_leave',{}]");
    hear(t->a, "['1','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {'x':1};joined room:a;terminate room:a left;");
    say(t->a, "['1','4','room:a','phx_leave',{}]");
    hear(t->a, "['1','4','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
    channels_test_close(t->a);
    traced(t, "disconnect closed;");
}

static void heartbeat(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "[null,'7','phoenix','heartbeat',{}]");
    hear(t->a, "[null,'7','phoenix','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['9',8,'phoenix','heartbeat',null]");
    hear(t->a, "[null,8,'phoenix','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['9','8','phoenix','other',{}]");
    hear(t->a, "[null,'8','phoenix','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    say(t->a, "[null,'8','room:a','heartbeat',{}]");
    hear(t->a, "[null,'8','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
}

static void unmatched_topics(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['3','13','nope:a','phx_join',{}]");
    hear(t->a, "[null,'13','nope:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    logged(t, "no route of /socket matches the topic");
    assert_int_equal(t->host.level, CHANNELS_LOG_WARNING);
    unsigned before = t->host.logged;
    say(t->a, "['3','14','room:a','event',{}]");
    hear(t->a, "[null,'14','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    assert_int_equal(t->host.logged, before);
    say(t->a, "[null,'42',5,'phx_join',{}]");
    hear(t->a, "[null,'42',5,'phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    say(t->a, "['1','43',{'a':[1]},'phx_leave',{}]");
    hear(t->a, "['1','43',{'a':[1]},'phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "[null,'44','room:\\u0000','phx_join',{}]");
    hear(t->a, "[null,'44','room:\\u0000','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    traced(t, "connect;");
}

static void join_replies(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = accept_with;
    reply_text = "[1,null,'two']";
    say(t->a, "['1','1','room:a','phx_join',{}]");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':[1,null,'two']}]");
    t->probe.join = echo_params;
    say(t->a, "['2','2','room:b','phx_join','text']");
    hear(t->a, "['2','2','room:b','phx_reply',{'status':'ok','response':'text'}]");
    say(t->a, "['2','2','room:c','phx_join',null]");
    hear(t->a, "['2','2','room:c','phx_reply',{'status':'ok','response':null}]");
}

static void refused_join(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = refuse;
    reply_text = "{'reason':'full'}";
    say(t->a, "['1','1','room:a','phx_join',{}]");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'error','response':{'reason':'full'}}]");
    reply_text = NULL;
    say(t->a, "['1','2','room:a','phx_join',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'error','response':{}}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};join room:a phx_join {};"); /* no terminate() */
}

#define CRASHED "{'status':'error','response':{'reason':'join crashed'}}"

static void crashed_join(void **state)
{
    static const int results[] = { -1, CHANNELS_STOP, 17, CHANNELS_LATER };
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = return_err;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        t->probe.err = results[i];
        t->host.log[0] = '\0';
        say(t->a, "['3','15','room:a','phx_join',{}]");
        hear(t->a, "['3','15','room:a','phx_reply'," CRASHED "]");
        logged(t, "join() of room:a failed");
    }
    quiet(t->a);
    t->probe.join = NULL;
    join(t->a, "room:a", "4");
}

static int reply_ok_refuse(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    assert_int_equal(channels_reply(ch, "ok", channels_empty()), CHANNELS_OK);
    return CHANNELS_REFUSE;
}

static int reply_error_accept(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    assert_int_equal(channels_reply(ch, "error", channels_empty()), CHANNELS_OK);
    return CHANNELS_OK;
}

static int reply_badly(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    assert_int_equal(channels_reply(ch, "weird", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_reply(ch, "ok", channels_empty()), CHANNELS_OK);
    assert_int_equal(channels_reply(ch, "ok", channels_empty()), CHANNELS_ERR_INVALID);
    return CHANNELS_OK;
}

static void contradictory_join(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = reply_ok_refuse;
    say(t->a, "['3','15','room:a','phx_join',{}]");
    hear(t->a, "['3','15','room:a','phx_reply'," CRASHED "]");
    logged(t, "after the reply \"ok\"");
    t->probe.join = reply_error_accept;
    say(t->a, "['3','16','room:a','phx_join',{}]");
    hear(t->a, "['3','16','room:a','phx_reply'," CRASHED "]");
    logged(t, "after the reply \"error\"");
    traced(t, "connect;join room:a phx_join {};join room:a phx_join {};terminate room:a failed;");
    t->probe.join = reply_badly;
    join(t->a, "room:a", "4");
}

static void second_join_of_topic(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['2','2','room:a','phx_join',{}]");
    hear(t->a, "['2','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};joined room:a;terminate room:a duplicate;"
              "join room:a phx_join {};joined room:a;");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    hear(t->a, "[null,null,'room:a','e',{}]");
    quiet(t->a);
}

static void second_join_refused(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.join = refuse;
    reply_text = NULL;
    say(t->a, "['2','2','room:a','phx_join',{}]");
    hear(t->a, "['2','2','room:a','phx_reply',{'status':'error','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    say(t->a, "['1','3','room:a','x',{}]");
    hear(t->a, "[null,'3','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    quiet(t->a);
}

static int joined_pushes(channels_channel *ch, probe *p)
{
    (void)p;
    assert_int_equal(channels_broadcast(ch, "user_entered", channels_empty()), CHANNELS_OK);
    return channels_push(ch, "joined", channels_empty());
}

static void second_join_in_order(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.joined = joined_pushes;
    say(t->a, "['2','2','room:a','phx_join',{}]");
    hear(t->a, "['2','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    hear(t->a, "[null,null,'room:a','user_entered',{}]");
    hear(t->a, "['2',null,'room:a','joined',{}]");
    quiet(t->a);
}

/* A V1 client cannot tell the channels apart: it is told of the old one's end first. */
static void second_join_of_v1(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V1);
    say(t->a, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    hear(t->a, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':'1'}");
    say(t->a, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'2'}");
    hear(t->a, "{'topic':'room:a','event':'phx_close','payload':{},'ref':null}");
    hear(t->a, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':'2'}");
    quiet(t->a);
}

static int push_in_join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_push(ch, "early", channels_empty());
    return CHANNELS_OK;
}

static void no_push_before_the_reply(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.join = push_in_join;
    t->probe.joined = joined_pushes;
    say(t->a, "['1','1','room:a','phx_join',{}]");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    logged(t, "is not joined yet");
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "[null,null,'room:a','user_entered',{}]");
    hear(t->a, "['1',null,'room:a','joined',{}]");
    quiet(t->a);
}

static int stop_joined(channels_channel *ch, probe *p)
{
    (void)ch;
    return p->err;
}

static void ends_in_joined(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.joined = stop_joined;
    t->probe.err = CHANNELS_STOP;
    join(t->a, "room:a", "1");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    t->probe.err = -5;
    join(t->a, "room:a", "2");
    hear(t->a, "['2','2','room:a','phx_error',{'reason':'channel_crash'}]");
    quiet(t->a);
    traced(t, "connect;join room:a phx_join {};joined room:a;terminate room:a stopped;"
              "join room:a phx_join {};joined room:a;terminate room:a failed;");
}

static void farewell(channels_channel *ch, channels_reason why, probe *p)
{
    (void)why;
    p->err = channels_push(ch, "bye", channels_empty());
    channels_broadcast(ch, "gone", channels_empty());
}

/* Phoenix sends the close first; what terminate() pushes comes after. */
static void terminate_pushes(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    t->probe.terminate = farewell;
    join(t->b, "room:a", "1");
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    hear(t->a, "['1',null,'room:a','bye',{}]");
    quiet(t->a);
    hear(t->b, "[null,null,'room:a','gone',{}]");
    join(t->a, "room:a", "3");
    say(t->a, "['3','4','room:a','fail',{}]");
    hear(t->a, "['3',null,'room:a','bye',{}]");
    hear(t->a, "['3','3','room:a','phx_error',{'reason':'channel_crash'}]");
    hear(t->b, "[null,null,'room:a','gone',{}]");
    join(t->a, "room:a", "5");
    channels_test_close(t->a);
    assert_int_equal(t->probe.err, CHANNELS_ERR_CLOSED);
    hear(t->b, "[null,null,'room:a','gone',{}]");
    quiet(t->a);
}

static void stops_and_fails(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','stop',{}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    join(t->a, "room:a", "3");
    say(t->a, "['3','4','room:a','fail',{}]");
    hear(t->a, "['3','3','room:a','phx_error',{'reason':'channel_crash'}]");
    logged(t, "handle_in() returned -77");
    join(t->a, "room:a", "5");
    say(t->a, "['5','6','room:a',17,{}]"); /* an event that is no text has no clause */
    hear(t->a, "['5','5','room:a','phx_error',{'reason':'channel_crash'}]");
    join(t->a, "room:a", "7");
    say(t->a, "['7','8','room:a','e\\u0000',{}]");
    hear(t->a, "['7','7','room:a','phx_error',{'reason':'channel_crash'}]");
    quiet(t->a);
}

static void ends_with_its_client(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->a, "room:b", "2");
    traced(t, "connect;join room:a phx_join {};joined room:a;join room:b phx_join {};"
              "joined room:b;");
    channels_test_close(t->a);
    traced(t, "terminate room:b closed;terminate room:a closed;disconnect closed;");
    quiet(t->a);
}

static void leaves_are_final(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->b, "room:a", "1");
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    say(t->b, "['1','2','room:a','shout',{}]");
    quiet(t->a);
    hear(t->b, "[null,null,'room:a','shout',{}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(joins_and_leaves),
        CORE_TEST(heartbeat),
        CORE_TEST(unmatched_topics),
        CORE_TEST(join_replies),
        CORE_TEST(refused_join),
        CORE_TEST(crashed_join),
        CORE_TEST(contradictory_join),
        CORE_TEST(second_join_of_topic),
        CORE_TEST(second_join_refused),
        CORE_TEST(second_join_in_order),
        CORE_TEST(second_join_of_v1),
        CORE_TEST(no_push_before_the_reply),
        CORE_TEST(ends_in_joined),
        CORE_TEST(terminate_pushes),
        CORE_TEST(stops_and_fails),
        CORE_TEST(ends_with_its_client),
        CORE_TEST(leaves_are_final),
    };
    return cmocka_run_group_tests_name("core_join", tests, NULL, NULL);
}
