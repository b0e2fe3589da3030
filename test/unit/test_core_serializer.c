/* test_core_serializer.c - a wire format of the host's, chosen by version requirements.
 *
 * It is lines of text, "join_ref ref topic event payload" with - for null; to clients it writes
 * "PUSH join_ref topic event payload", "REPLY join_ref ref topic status response" and "BROADCAST
 * topic event payload". A payload that begins with # is bytes. */
#include <channels/serializer.h>

#include "unit/core_case.h"

static unsigned encoded;                     /* so many messages */
static int (*twist)(channels_incoming *msg); /* what decode() does to them, and returns */
static int (*spoil)(channels_buf **buf, channels_kind *kind); /* the same of encode(), once */

/* --- The format --------------------------------------------------------------------------- */

static channels_slice word(const char **at, const char *end)
{
    channels_slice w = { *at, 0 };
    while (*at < end && **at != ' ')
        ++*at;
    w.n = (size_t)(*at - w.p);
    if (*at < end)
        ++*at;
    return w;
}

static channels_slice ref(const char **at, const char *end)
{
    channels_slice w = word(at, end);
    if (w.n == 1 && *w.p == '-')
        w.p = NULL;
    return w;
}

static int decode(channels_codec *codec, channels_payload frame, channels_incoming *msg)
{
    char *copy = channels_codec_alloc(codec, frame.len + 1), *more = channels_codec_alloc(codec, 3);
    if (copy == NULL || more == NULL)
        return CHANNELS_ERR_NOMEM;
    if (frame.kind != CHANNELS_TEXT)
        return CHANNELS_ERR_PROTOCOL;
    memcpy(copy, frame.data, frame.len);
    memcpy(more, "xx", 3);
    const char *at = copy, *end = copy + frame.len;
    msg->join_ref = ref(&at, end);
    msg->ref = ref(&at, end);
    msg->topic = word(&at, end);
    msg->event = word(&at, end);
    msg->payload = at < end && *at == '#' ? channels_binary(at + 1, (size_t)(end - at - 1))
                                          : channels_json_n(at, (size_t)(end - at));
    return twist != NULL ? twist(msg) : CHANNELS_OK;
}

static const char *shown(channels_slice s)
{
    return s.p != NULL ? s.p : "-";
}

static int length(channels_slice s)
{
    return s.p != NULL ? (int)s.n : 1;
}

#define SLICE(s) length(s), shown(s)

static int layout(char *dst, size_t cap, const channels_outgoing *m)
{
    int len = (int)m->payload.len;
    const char *data = m->payload.data;
    if (m->form == CHANNELS_PUSH)
        return snprintf(dst, cap, "PUSH %.*s %.*s %.*s %.*s", SLICE(m->join_ref), SLICE(m->topic),
                        SLICE(m->event), len, data);
    if (m->form == CHANNELS_REPLY)
        return snprintf(dst, cap, "REPLY %.*s %.*s %.*s %.*s %.*s", SLICE(m->join_ref),
                        SLICE(m->ref), SLICE(m->topic), SLICE(m->status), len, data);
    return snprintf(dst, cap, "BROADCAST %.*s %.*s %.*s", SLICE(m->topic), SLICE(m->event), len,
                    data);
}

static int encode(channels_codec *codec, const channels_outgoing *msg, channels_buf **buf,
                  channels_kind *kind)
{
    void *bytes;
    int n = layout(NULL, 0, msg);
    char *text = channels_codec_alloc(codec, (size_t)n + 1);
    if (text == NULL)
        return CHANNELS_ERR_NOMEM;
    encoded++;
    if (msg->payload.kind == CHANNELS_BINARY && msg->form == CHANNELS_BROADCAST)
        return CHANNELS_ERR_INVALID;
    layout(text, (size_t)n + 1, msg);
    *buf = channels_codec_buf(codec, (size_t)n, &bytes);
    if (*buf == NULL)
        return CHANNELS_ERR_NOMEM;
    memcpy(bytes, text, (size_t)n);
    *kind = CHANNELS_TEXT;
    int (*fn)(channels_buf **, channels_kind *) = spoil;
    spoil = NULL;
    return fn != NULL ? fn(buf, kind) : CHANNELS_OK;
}

static const channels_serializer lines = { .name = "lines", .decode = decode, .encode = encode };

#define LINES "/socket/websocket?vsn=3.1.4"

static void begin(core_case *t)
{
    const channels_vsn serializers[] = { { "~> 2.0.0", channels_serializer_v2() },
                                         { "~> 3.1", &lines },
                                         { ">= 3.0.0 and < 5.0.0", channels_serializer_v1() },
                                         { NULL, NULL } };
    const channels_mount_options options = { .serializers = serializers, .max_nesting = 5 };
    twist = NULL;
    spoil = NULL;
    core_case_restart(t, NULL, &options);
    assert_int_equal(core_connect(&t->a, &t->host, LINES), CHANNELS_OK);
}

static void join_lines(channels_test_client *c)
{
    say(c, "1 1 room:a phx_join {}");
    hear(c, "REPLY 1 1 room:a ok {}");
}

/* --- Tests -------------------------------------------------------------------------------- */

static void by_version(void **state)
{
    core_case *t = *state;
    begin(t);
    assert_int_equal(core_connect(&t->b, &t->host, V1), CHANNELS_REFUSE); /* is not listed again */
    logged(t, "no serializer");
    assert_int_equal(core_connect(&t->b, &t->host, V2), CHANNELS_OK);
    join(t->b, "room:b", "1");
    assert_int_equal(core_connect(&t->b, &t->host, "/socket/websocket?vsn=4.9.0"), CHANNELS_OK);
    say(t->b, "{'topic':'room:b','event':'phx_join','payload':{},'ref':'1'}");
    hear(t->b, "{'topic':'room:b','event':'phx_reply','payload':{'status':'ok','response':{}},"
                "'ref':'1'}");
}

static void a_life(void **state)
{
    core_case *t = *state;
    begin(t);
    join_lines(t->a);
    say(t->a, "1 2 room:a echo {'a':1}");
    hear(t->a, "REPLY 1 2 room:a ok {'a':1}");
    say(t->a, "- - room:a push {'a':1}");
    hear(t->a, "PUSH 1 room:a push {'a':1}");
    say(t->a, "stale 3 room:a echo {}");
    quiet(t->a);
    say(t->a, "- 4 phoenix heartbeat {}");
    hear(t->a, "REPLY - 4 phoenix ok {}");
    say(t->a, "5 5 nope phx_join {}");
    hear(t->a, "REPLY - 5 nope error {'reason':'unmatched topic'}");
    say(t->a, "1 6 room:a phx_leave {}");
    hear(t->a, "REPLY 1 6 room:a ok {}");
    hear(t->a, "PUSH 1 room:a phx_close {}");
}

static void bytes(void **state)
{
    core_case *t = *state;
    begin(t);
    join_lines(t->a);
    say(t->a, "1 2 room:a echo #abc");
    hear(t->a, "REPLY 1 2 room:a ok abc");
    traced(t, "connect;join room:a phx_join {};joined room:a;in room:a echo <3>;");
}

/* Once for all of a format, and once for each format. */
static void broadcasts(void **state)
{
    core_case *t = *state;
    begin(t);
    core_connect(&t->b, &t->host, LINES);
    core_connect(&t->c, &t->host, V2);
    join_lines(t->a);
    join_lines(t->b);
    join(t->c, "room:a", "1");
    encoded = 0;
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", json("{'x':1}"));
    assert_int_equal(encoded, 1);
    hear(t->a, "BROADCAST room:a e {'x':1}");
    hear(t->b, "BROADCAST room:a e {'x':1}");
    hear(t->c, "[null,null,'room:a','e',{'x':1}]");
    /* what it cannot carry the others get all the same */
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_binary("x", 1)),
                     CHANNELS_OK);
    logged(t, "does not fit into lines");
    quiet(t->a);
    assert_string_equal(channels_test_hear(t->c), "<\\02\\06\\01room:aex>");
}

static int decide_later(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    return channels_later(ch, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

static void held_behind_a_join(void **state)
{
    core_case *t = *state;
    begin(t);
    t->probe.join = decide_later;
    say(t->a, "1 1 room:a phx_join {}");
    say(t->a, "1 2 room:a echo {'a':1}");
    say(t->a, "- 3 phoenix heartbeat {}");
    hear(t->a, "REPLY - 3 phoenix ok {}");
    quiet(t->a);
    assert_int_equal(channels_ref_reply(t->host.ep, t->probe.ref, "ok", json("{'in':1}")),
                     CHANNELS_OK);
    hear(t->a, "REPLY 1 1 room:a ok {'in':1}");
    hear(t->a, "REPLY 1 2 room:a ok {'a':1}");
    quiet(t->a);
}

/* --- What decode() makes is checked ------------------------------------------------------- */

static int protocol(channels_incoming *msg)
{
    (void)msg;
    return CHANNELS_ERR_PROTOCOL;
}

static int odd_result(channels_incoming *msg)
{
    (void)msg;
    return 7;
}

static int no_topic(channels_incoming *msg)
{
    msg->topic.p = NULL;
    return CHANNELS_OK;
}

static int bad_topic(channels_incoming *msg)
{
    msg->topic = (channels_slice){ "\xff", 1 };
    return CHANNELS_OK;
}

static int nul_topic(channels_incoming *msg)
{
    msg->topic = (channels_slice){ "room:\0a", 7 };
    return CHANNELS_OK;
}

static int bad_event(channels_incoming *msg)
{
    msg->event = (channels_slice){ "\xc0\x80", 2 };
    return CHANNELS_OK;
}

static int nul_ref(channels_incoming *msg)
{
    msg->ref = (channels_slice){ "a\0b", 3 };
    return CHANNELS_OK;
}

static int bad_json(channels_incoming *msg)
{
    msg->payload = channels_json("{\"a\":01}");
    return CHANNELS_OK;
}

static int no_json(channels_incoming *msg)
{
    msg->payload = channels_json("");
    return CHANNELS_OK;
}

static int deep_json(channels_incoming *msg)
{
    msg->payload = channels_json("[[[[[[1]]]]]]");
    return CHANNELS_OK;
}

static int odd_kind(channels_incoming *msg)
{
    msg->payload.kind = (channels_kind)5;
    return CHANNELS_OK;
}

static int no_data(channels_incoming *msg)
{
    msg->payload = channels_binary(NULL, 5);
    return CHANNELS_OK;
}

static void what_was_read_is_checked(void **state)
{
    static int (*const twists[])(channels_incoming * msg) = {
        protocol, odd_result, no_topic, bad_topic, nul_topic, bad_event,
        nul_ref,  bad_json,   no_json,  deep_json, odd_kind,  no_data,
    };
    core_case *t = *state;
    begin(t);
    for (size_t i = 0; i < sizeof twists / sizeof *twists; i++) {
        twist = twists[i];
        core_connect(&t->b, &t->host, LINES);
        assert_int_equal(channels_test_say(t->b, "1 1 room:a phx_join {}"), CHANNELS_ERR_PROTOCOL);
        assert_int_equal(t->b->code, 1011);
        twist = NULL;
    }
    join_lines(t->a); /* nobody else was touched */
}

static int raw_only(channels_incoming *msg)
{
    msg->raw_topic = (channels_slice){ "5", 1 };
    msg->topic.p = msg->event.p = NULL;
    return CHANNELS_OK;
}

static int empty_refs(channels_incoming *msg)
{
    msg->join_ref = msg->ref = (channels_slice){ "", 0 };
    return CHANNELS_OK;
}

static void what_may_be_absent(void **state)
{
    core_case *t = *state;
    begin(t);
    twist = raw_only;
    say(t->a, "1 1 x y {}");
    hear(t->a, "REPLY - 1 - error {'reason':'unmatched topic'}");
    twist = empty_refs;
    say(t->a, "1 1 room:a phx_join {}");
    hear(t->a, "REPLY - - room:a ok {}");
}

/* --- A format that is another's with a difference ------------------------------------------ */

static int louder(channels_codec *codec, channels_payload frame, channels_incoming *msg)
{
    int err = channels_serializer_v2()->decode(codec, frame, msg);
    if (err == CHANNELS_OK && msg->event.n == 4)
        msg->event = (channels_slice){ "echo and more", 4 };
    return err;
}

static int unchanged(channels_codec *codec, const channels_outgoing *msg, channels_buf **buf,
                     channels_kind *kind)
{
    return channels_serializer_v2()->encode(codec, msg, buf, kind);
}

static void built_on_another(void **state)
{
    static const channels_serializer loud = { .name = "loud",
                                              .decode = louder,
                                              .encode = unchanged };
    static const channels_vsn serializers[] = { { "2.0.0", &loud }, { NULL, NULL } };
    static const channels_mount_options options = { .serializers = serializers };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['\\n','1','room:a','phx_join',{}]");
    hear(t->a, "['\\n','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    say(t->a, "['\\u000a','\\u0031','room:a','none',{'a':1}]");
    hear(t->a, "['\\n','1','room:a','phx_reply',{'status':'ok','response':{'a':1}}]");
}

/* --- And what encode() makes -------------------------------------------------------------- */

static int nothing(channels_buf **buf, channels_kind *kind)
{
    (void)kind;
    channels_buf_unref(*buf);
    *buf = NULL;
    return CHANNELS_OK;
}

static int unknown_kind(channels_buf **buf, channels_kind *kind)
{
    (void)buf;
    *kind = (channels_kind)9;
    return CHANNELS_OK;
}

static channels_buf *kept;

static int shared(channels_buf **buf, channels_kind *kind)
{
    (void)kind;
    kept = channels_buf_ref(*buf);
    return CHANNELS_OK;
}

static int odd_error(channels_buf **buf, channels_kind *kind)
{
    nothing(buf, kind);
    return 3;
}

static void what_was_written_is_checked(void **state)
{
    static int (*const spoils[])(channels_buf * *buf, channels_kind * kind) = { nothing,
                                                                                unknown_kind,
                                                                                shared, odd_error };
    core_case *t = *state;
    begin(t);
    join_lines(t->a);
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        spoil = spoils[i];
        say(t->a, "1 2 room:a echo {}");
        logged(t, "handle_in() returned -2"); /* the probe fails with what it was told */
        hear(t->a, "PUSH 1 room:a phx_error {'reason':'channel_crash'}");
        join_lines(t->a);
    }
    channels_buf_unref(kept);
}

static int gives_up(channels_buf **buf, channels_kind *kind)
{
    (void)kind;
    channels_buf_unref(*buf);
    return CHANNELS_ERR_INVALID;
}

/* What *buf says after an error, or beside a wrong kind, is not looked at. */
static void nothing_is_sent_after_an_error(void **state)
{
    static int (*const spoils[])(channels_buf * *buf, channels_kind * kind) = { gives_up,
                                                                                unknown_kind };
    core_case *t = *state;
    begin(t);
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        spoil = spoils[i];
        say(t->a, "1 1 room:a phx_join {}");
        hear(t->a, "REPLY 1 1 room:a error {'reason':'join crashed'}");
        join_lines(t->a);
        spoil = spoils[i];
        assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty()),
                         CHANNELS_OK);
        quiet(t->a);
        say(t->a, "1 2 room:a phx_leave {}");
        while (channels_test_hear(t->a) != NULL)
            ;
    }
}

/* --- Misuse and memory -------------------------------------------------------------------- */

static void refused_lists(void **state)
{
    static const channels_serializer no_name = { .decode = decode, .encode = encode };
    static const channels_serializer no_decode = { .name = "x", .encode = encode };
    static const channels_serializer no_encode = { .name = "x", .decode = decode };
    const struct {
        channels_vsn vsn;
        const char *why;
    } bad[] = { { { "~> 2", &lines }, "\"~> 2\" cannot be read" },
                { { "", &lines }, "cannot be read" },
                { { "~> 2.0.0", NULL }, "is NULL" },
                { { "~> 2.0.0", &no_name }, "lacks" },
                { { "~> 2.0.0", &no_decode }, "lacks" },
                { { "~> 2.0.0", &no_encode }, "lacks" } };
    core_case *t = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const channels_vsn list[] = { { "~> 1.0", channels_serializer_v1() },
                                      bad[i].vsn,
                                      { NULL, NULL } };
        const channels_mount_options options = { .serializers = list };
        assert_int_equal(channels_mount(t->host.ep, "/x", &probe_handler, &options, &t->probe),
                         CHANNELS_ERR_INVALID);
        logged(t, bad[i].why);
    }
}

/* An empty list serves nobody. */
static void empty_list(void **state)
{
    static const channels_vsn none[] = { { NULL, NULL } };
    static const channels_mount_options options = { .serializers = none };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
}

/* Each allocation of a small talk fails: the client hears what is right, or is closed. */
static void without_memory(void **state)
{
    core_case *t = *state;
    for (size_t i = 1; i < 40; i++) {
        begin(t);
        t->memory.fail_at = t->memory.calls + i;
        channels_test_say(t->a, "1 1 room:a phx_join {}");
        channels_test_say(t->a, "1 2 room:a echo {}");
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
        assert_true(t->a->code == 0 || t->a->code == 1011);
        while (channels_test_hear(t->a) != NULL)
            ;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(by_version),
        CORE_TEST(a_life),
        CORE_TEST(bytes),
        CORE_TEST(broadcasts),
        CORE_TEST(held_behind_a_join),
        CORE_TEST(what_was_read_is_checked),
        CORE_TEST(what_may_be_absent),
        CORE_TEST(built_on_another),
        CORE_TEST(what_was_written_is_checked),
        CORE_TEST(nothing_is_sent_after_an_error),
        CORE_TEST(refused_lists),
        CORE_TEST(empty_list),
        CORE_TEST(without_memory),
    };
    return cmocka_run_group_tests_name("core_serializer", tests, NULL, NULL);
}
