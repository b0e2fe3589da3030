/* test_core_messages.c - events, replies, pushes, broadcasts, and their order on the wire. */
#include <cjson/cJSON.h>

#include "unit/core_case.h"

/* --- Refs --------------------------------------------------------------------------------- */

static void echoes_refs(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1',2,'room:a','x',{}]");
    hear(t->a, "['1',2,'room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['1',{'a':[1]},'room:a','x',{}]");
    hear(t->a, "['1',{'a':[1]},'room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['1',null,'room:a','x',{}]");
    hear(t->a, "['1',null,'room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "[null,'4','room:a','x',{}]"); /* a null join_ref means the channel there is */
    hear(t->a, "['1','4','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
}

static void drops_stale_messages(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['0','2','room:a','x',{}]");
    say(t->a, "[1,'2','room:a','x',{}]"); /* not the same as '1' */
    say(t->a, "['','2','room:a','x',{}]");
    say(t->a, "['0','3','room:a','phx_leave',{}]");
    quiet(t->a);
    say(t->a, "['\\u0031','4','room:a','x',{}]"); /* the same in another spelling */
    hear(t->a, "['1','4','room:a','phx_reply',{'status':'ok','response':{}}]");
    traced(t, "connect;join room:a phx_join {};joined room:a;in room:a x {};");
}

static int push_hello(channels_channel *ch, probe *p)
{
    (void)p;
    return channels_push(ch, "hello", channels_empty());
}

/* Who joins without a join_ref: pushes and replies carry the ref, the rest null. */
static void joins_without_join_ref(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.joined = push_hello;
    say(t->a, "[null,'24','room:a','phx_join',{}]");
    hear(t->a, "[null,'24','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['24',null,'room:a','hello',{}]");
    say(t->a, "['24','25','room:a','x',{}]");
    say(t->a, "['24','25','room:a','phx_leave',{}]");
    quiet(t->a);
    say(t->a, "[null,'26','room:a','x',{}]");
    hear(t->a, "['24','26','room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "[null,'27','room:a','phx_leave',{}]");
    hear(t->a, "['24','27','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "[null,null,'room:a','phx_close',{}]");
    say(t->a, "[null,null,'room:a','phx_join',{}]");
    hear(t->a, "[null,null,'room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "[null,null,'room:a','hello',{}]");
    say(t->a, "[null,null,'room:a','fail',{}]");
    hear(t->a, "[null,null,'room:a','phx_error',{'reason':'channel_crash'}]");
    quiet(t->a);
}

/* Any size will do; but what a join brings is kept, so it is bounded. */
static void long_refs(void **state)
{
    core_case *t = *state;
    char *text = malloc(70100), *heard = malloc(70200);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    sprintf(text, "['1','%070000d','room:a','x',{}]", 7);
    sprintf(heard, "['1','%070000d','room:a','phx_reply',{'status':'ok','response':{}}]", 7);
    say(t->a, text);
    hear(t->a, heard);
    sprintf(text, "['%070000d','2','room:b','phx_join',{}]", 7);
    sprintf(heard,
            "['%070000d','2','room:b','phx_reply',"
            "{'status':'error','response':{'reason':'topic too long'}}]",
            7);
    say(t->a, text);
    hear(t->a, heard);
    free(text);
    free(heard);
}

/* --- Replies ------------------------------------------------------------------------------ */

static int replies(channels_channel *ch, const channels_msg *msg, probe *p)
{
    static const unsigned char bytes[] = { 0x00, 0x80, 0xff };
    (void)p;
    if (strcmp(msg->event, "weird") == 0)
        return channels_reply(ch, "we\"ird", channels_json("\"str\""));
    if (strcmp(msg->event, "twice") == 0) {
        channels_reply(ch, "ok", json("1"));
        return channels_reply(ch, "error", json("[2]"));
    }
    if (strcmp(msg->event, "bytes") == 0)
        return channels_reply(ch, "ok", channels_binary(bytes, sizeof bytes));
    if (strcmp(msg->event, "none of it") == 0)
        return channels_reply(ch, "ok", channels_binary(NULL, 0));
    channels_reply(ch, "ok", channels_empty());
    return CHANNELS_STOP;
}

static void replies_as_told(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_in = replies;
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','weird',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'we\\'ird','response':'str'}]");
    say(t->a, "['1','3','room:a','twice',{}]");
    hear(t->a, "['1','3','room:a','phx_reply',{'status':'ok','response':1}]");
    hear(t->a, "['1','3','room:a','phx_reply',{'status':'error','response':[2]}]");
    say(t->a, "['1','2','room:a','bytes',{}]");
    hear(t->a, "<\\01\\01\\01\\06\\0212room:aok\\00\\80\\ff>");
    say(t->a, "['1','2','room:a','none of it',{}]");
    hear(t->a, "<\\01\\01\\01\\06\\0212room:aok>");
    say(t->a, "['1','4','room:a','stop',{}]");
    hear(t->a, "['1','4','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1','1','room:a','phx_close',{}]");
    quiet(t->a);
}

static int bad_payloads(channels_channel *ch, const channels_msg *msg, probe *p)
{
    static const char *const bad[] = { "",           "{",        "nul",      "{} {}",
                                       "{\"a\":01}", "\"\x01\"", "\"\xff\"", "\"\\ud800\"" };
    core_case t = { 0 };
    (void)msg;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(channels_reply(ch, "ok", channels_json(bad[i])), CHANNELS_ERR_INVALID);
    snprintf(t.host.log, sizeof t.host.log, "%s", p->host->log);
    logged(&t, "channels_reply: the payload is not JSON");
    assert_int_equal(channels_reply(ch, "ok", channels_json_n(NULL, 0)), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_reply(ch, "ok", channels_binary(NULL, 1)), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_reply(ch, NULL, channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_reply(ch, "\xff", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_push(ch, "e", channels_json("[]")), CHANNELS_ERR_INVALID);
    snprintf(t.host.log, sizeof t.host.log, "%s", p->host->log);
    logged(&t, "channels_push: the payload is not a JSON object");
    assert_int_equal(channels_push(ch, "e", msg->payload), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_push(ch, NULL, channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_push(ch, "\xc3", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_broadcast(ch, "e", channels_json("null")), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_broadcast_from(ch, "e", channels_json("\"\"")), CHANNELS_ERR_INVALID);
    return channels_push(ch, "end", channels_json(" { } "));
}

static void refuses_bad_payloads(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_in = bad_payloads;
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',[1]]");
    hear(t->a, "['1',null,'room:a','end', { } ]");
    quiet(t->a);
}

static int with_tree(channels_channel *ch, const channels_msg *msg, probe *p)
{
    const cJSON *tree = channels_msg_json(msg);
    p->err = tree == channels_msg_json(msg);
    if (tree == NULL)
        return channels_reply(ch, "none", channels_empty());
    char *text = cJSON_PrintUnformatted(tree);
    int r = channels_reply(ch, "ok", channels_json(text));
    cJSON_free(text);
    return r;
}

static void trees(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_in = with_tree;
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{'a': [1, 'b' ]}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{'a':[1,'b']}}]");
    assert_true(t->probe.err);
    say_bytes(t->a, "\0\1\1\6\1"
                    "12room:ax{}");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'none','response':{}}]");
}

/* --- Payloads go through as they are ------------------------------------------------------ */

static void forwards_untouched(void **state)
{
    static const char odd[] = "{'n':9007199254740993,'e':1e308,'z':'a\\u0000b','k':1,'k':2,"
                              "'b':{'y':1,'a':0.10},'s':'\\ud83d\\ude00\\/'}";
    core_case *t = *state;
    char said[512];
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V1);
    join(t->a, "room:a", "1");
    say(t->b, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    hear(t->b, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':'1'}");
    snprintf(said, sizeof said, "['1','2','room:a','shout', %s ]", odd);
    say(t->a, said);
    snprintf(said, sizeof said, "[null,null,'room:a','shout',%s]", odd);
    hear(t->a, said);
    snprintf(said, sizeof said, "{'topic':'room:a','event':'shout','payload':%s,'ref':null}", odd);
    hear(t->b, said);
    snprintf(said, sizeof said, "{'payload':%s,'topic':'room:a','event':'secret_not','ref':9}",
             odd);
    say(t->b, said);
    hear(t->b, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':9}");
    snprintf(said, sizeof said, "['1','3','room:a','echo',%s]", odd);
    say(t->a, said);
    snprintf(said, sizeof said, "['1','3','room:a','phx_reply',{'status':'ok','response':%s}]",
             odd);
    hear(t->a, said);
}

static int shout_secret(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    channels_broadcast(ch, "secret", msg->payload);
    return channels_reply(ch, "ok", channels_empty());
}

/* An intercepted event goes through the channel's queue: after the reply, as a push. */
static void intercepts(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    t->probe.handle_in = shout_secret;
    join(t->a, "room:a", "1");
    join(t->b, "room:a", "7");
    say(t->a, "['1','2','room:a','x',{'z':1}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "['1',null,'room:a','secret',{'z':1}]");
    hear(t->b, "['7',null,'room:a','secret',{'z':1}]");
    quiet(t->a);
    quiet(t->b);
    /* what a host spaced out is forwarded as well */
    channels_pubsub_broadcast(t->host.ep, "room:a", "secret", channels_json(" {} "));
    hear(t->a, "['1',null,'room:a','secret', {} ]");
}

static int fail_out(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)ch, (void)msg;
    return p->err;
}

static void ends_in_handle_out(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_out = fail_out;
    t->probe.err = -3;
    join(t->a, "room:a", "1");
    channels_pubsub_broadcast(t->host.ep, "room:a", "secret", channels_empty());
    channels_pubsub_broadcast(t->host.ep, "room:a", "secret", channels_empty());
    hear(t->a, "['1','1','room:a','phx_error',{'reason':'channel_crash'}]");
    logged(t, "handle_out() returned -3");
    t->probe.err = CHANNELS_STOP;
    join(t->a, "room:a", "2");
    channels_pubsub_broadcast(t->host.ep, "room:a", "secret", channels_empty());
    hear(t->a, "['2','2','room:a','phx_close',{}]");
    quiet(t->a);
}

/* --- Order -------------------------------------------------------------------------------- */

static int push_shout_push_reply(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    channels_push(ch, "pre", channels_empty());
    channels_broadcast(ch, "shout", msg->payload);
    channels_push(ch, "post", channels_empty());
    return channels_reply(ch, "ok", channels_empty());
}

static void wire_order(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_in = push_shout_push_reply;
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','shout',{'z':1}]");
    hear(t->a, "['1',null,'room:a','pre',{}]");
    hear(t->a, "[null,null,'room:a','shout',{'z':1}]");
    hear(t->a, "['1',null,'room:a','post',{}]");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
}

static void broadcasts(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    core_connect(&t->c, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->b, "room:a", "1");
    join(t->c, "room:ab", "1");
    say(t->a, "['1','2','room:a','shout_from',{'n':1}]");
    quiet(t->a);
    hear(t->b, "[null,null,'room:a','shout_from',{'n':1}]");
    say(t->b, "['1','2','room:a','shout',{'n':2}]");
    hear(t->a, "[null,null,'room:a','shout',{'n':2}]");
    hear(t->b, "[null,null,'room:a','shout',{'n':2}]");
    say(t->a, "['1','3','room:a','push',{}]");
    hear(t->a, "['1',null,'room:a','push',{}]");
    quiet(t->a);
    quiet(t->b);
    quiet(t->c);
}

/* --- Bytes -------------------------------------------------------------------------------- */

static void binary_frames(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V1);
    join(t->a, "room:a", "1");
    say(t->b, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    hear(t->b, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':'1'}");
    say_bytes(t->a, "\0\1\1\6\4"
                    "12room:apush\1\2");
    hear(t->a, "<\\00\\01\\06\\041room:apush\\01\\02>");
    say_bytes(t->a, "\0\1\1\6\4"
                    "12room:aecho\1\2");
    hear(t->a, "<\\01\\01\\01\\06\\0212room:aok\\01\\02>");
    say_bytes(t->a, "\0\0\1\6\5"
                    "2room:ashout\t");
    hear(t->a, "<\\02\\06\\05room:ashout\\09>");
    quiet(t->b); /* V1 has no bytes */
    logged(t, "does not fit into");
    say_bytes(t->a, "\0\1\1\6\10"
                    "23room:bphx_joinabc");
    hear(t->a, "['2','3','room:b','phx_reply',{'status':'ok','response':{}}]");
    say_bytes(t->a, "\0\1\1\6\1"
                    "12room:ax");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    quiet(t->a);
}

static int long_names(channels_channel *ch, const channels_msg *msg, probe *p)
{
    char name[257];
    core_case t = { 0 };
    (void)msg;
    memset(name, 'n', 256);
    name[256] = '\0';
    p->host->log[0] = '\0';
    assert_int_equal(channels_broadcast(ch, name, channels_binary("b", 1)), CHANNELS_ERR_INVALID);
    snprintf(t.host.log, sizeof t.host.log, "%s", p->host->log);
    logged(&t, "255 bytes");
    p->host->log[0] = '\0';
    assert_int_equal(channels_push(ch, name, channels_binary("b", 1)), CHANNELS_ERR_INVALID);
    assert_string_not_equal(p->host->log, "");
    p->host->log[0] = '\0';
    assert_int_equal(channels_reply(ch, name, channels_binary("b", 1)), CHANNELS_ERR_INVALID);
    assert_string_not_equal(p->host->log, "");
    name[255] = '\0';
    assert_int_equal(channels_push(ch, name, channels_binary("b", 1)), CHANNELS_OK);
    return channels_broadcast(ch, name, channels_binary("b", 1));
}

static void binary_names_are_short(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    t->probe.handle_in = long_names;
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(t->a->waiting, 2);
}

static int push_bytes(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->host->log[0] = '\0';
    p->err = channels_push(ch, "bytes", channels_binary("b", 1));
    return CHANNELS_OK;
}

static void no_bytes_for_v1(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V1);
    t->probe.handle_in = push_bytes;
    say(t->a, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    channels_test_hear(t->a);
    say(t->a, "{'topic':'room:a','event':'x','payload':{},'ref':'1'}");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    assert_string_not_equal(t->host.log, "");
    quiet(t->a);
}

/* A V1 client may send a join_ref, of which it is told as the ref of its channel's end. Whether its
 * JSON comes as text or as bytes does not matter. */
static void v1_with_join_ref(void **state)
{
    static const char echo[] =
        "{\"topic\":\"room:a\",\"event\":\"echo\",\"payload\":[1],\"ref\":7}";
    static const char stale[] =
        "{\"topic\":\"room:a\",\"event\":\"echo\",\"payload\":[1],\"ref\":7,"
        "\"join_ref\":\"0\"}";
    core_case *t = *state;
    core_connect(&t->a, &t->host, V1);
    say(t->a, "{'join_ref':'9','topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    hear(t->a, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':{}},'ref':'1'}");
    say_bytes(t->a, echo);
    hear(t->a, "{'topic':'room:a','event':'phx_reply',"
               "'payload':{'status':'ok','response':[1]},'ref':7}");
    say_bytes(t->a, stale);
    quiet(t->a);
    say(t->a, "{'topic':'room:a','event':'stop','payload':{},'ref':'3'}");
    hear(t->a, "{'topic':'room:a','event':'phx_close','payload':{},'ref':'9'}");
    quiet(t->a);
}

/* --- What cannot be understood ------------------------------------------------------------ */

static void undecodable(void **state)
{
    static const struct {
        channels_kind kind;
        const char *text;
        size_t len;
        int code;
    } bad[] = {
        { CHANNELS_JSON, "", 0, 1011 },
        { CHANNELS_JSON, "nonsense", 8, 1011 },
        { CHANNELS_JSON, "[]", 2, 1011 },
        { CHANNELS_JSON, "{}", 2, 1011 },
        { CHANNELS_JSON, "[null,null,\"a\",\"b\"]", 19, 1011 },
        { CHANNELS_JSON, "[null,null,\"a\",\"\xff\",{}]", 22, 1007 },
        { CHANNELS_JSON, "\xc3", 1, 1007 },
        { CHANNELS_BINARY, "", 0, 1011 },
        { CHANNELS_BINARY, "\1\0\0\0\0", 5, 1011 },
        { CHANNELS_BINARY, "\0\1\1\6\4" "12room", 11, 1011 },
        { CHANNELS_BINARY, "\0\0\0\1\1\xff" "e", 7, 1011 },
    };
    core_case *t = *state;
    core_connect(&t->b, &t->host, V2);
    join(t->b, "room:a", "1");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        core_connect(&t->a, &t->host, V2);
        join(t->a, "room:a", "1");
        t->probe.trace[0] = '\0';
        assert_int_equal(channels_test_say_payload(t->a,
                                                   (channels_payload){ bad[i].kind, bad[i].text,
                                                                       bad[i].len }),
                         CHANNELS_ERR_PROTOCOL);
        assert_int_equal(t->a->code, bad[i].code);
        traced(t, "terminate room:a broken;disconnect broken;");
        assert_int_equal(channels_test_say(t->a, "[null,'1','phoenix','heartbeat',{}]"),
                         CHANNELS_ERR_CLOSED);
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
        quiet(t->a);
        hear(t->b, "[null,null,'room:a','e',{}]");
        channels_test_close(t->a);
        assert_true(t->a->code != 0);
    }
    traced(t, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(echoes_refs),
        CORE_TEST(drops_stale_messages),
        CORE_TEST(joins_without_join_ref),
        CORE_TEST(long_refs),
        CORE_TEST(replies_as_told),
        CORE_TEST(refuses_bad_payloads),
        CORE_TEST(trees),
        CORE_TEST(forwards_untouched),
        CORE_TEST(intercepts),
        CORE_TEST(ends_in_handle_out),
        CORE_TEST(wire_order),
        CORE_TEST(broadcasts),
        CORE_TEST(binary_frames),
        CORE_TEST(binary_names_are_short),
        CORE_TEST(no_bytes_for_v1),
        CORE_TEST(v1_with_join_ref),
        CORE_TEST(undecodable),
    };
    return cmocka_run_group_tests_name("core_messages", tests, NULL, NULL);
}
