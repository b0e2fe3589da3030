/* test_serializer.c - lib/wire/serializer*.c, envelope.c and scratch.c. Frames are decoded from
 * blocks of their very size; what is encoded is read back, and whole texts are compared. */
#include <stdlib.h>
#include <string.h>

#include "unit/faulty.h"
#include "wire/codec.h"
#include "wire/json.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A frame decoded, with all that its slices point into. */
struct decoded {
    faulty memory;
    channels_codec codec;
    char *frame;
    int result;
    channels_incoming msg;
};

static void open_decoded(struct decoded *d)
{
    memset(d, 0, sizeof *d);
    faulty_init(&d->memory);
    channels__codec_init(&d->codec, &d->memory.mem);
}

static int decode(struct decoded *d, const channels_serializer *s, channels_kind kind,
                  const void *bytes, size_t n, uint32_t max_nesting)
{
    channels_payload frame = { kind, NULL, n };
    free(d->frame);
    d->frame = n > 0 ? malloc(n) : NULL;
    if (n > 0)
        memcpy(d->frame, bytes, n);
    frame.data = d->frame;
    d->result = channels__codec_decode(&d->codec, s, frame, max_nesting, &d->msg);
    return d->result;
}

static void close_decoded(struct decoded *d)
{
    free(d->frame);
    channels__codec_deinit(&d->codec);
    assert_int_equal(d->memory.memory.blocks, 0);
}

/* `want` NULL: absent. */
static void assert_str(channels__str s, const char *want)
{
    if (want == NULL) {
        assert_null(s.p);
        return;
    }
    assert_non_null(s.p);
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}

/* Names end in a NUL. */
static void assert_name(channels__str s, const char *want)
{
    assert_str(s, want);
    if (want != NULL)
        assert_string_equal(s.p, want);
}

struct expected {
    const char *join_ref, *ref, *raw_topic, *topic, *event, *payload;
};

static void assert_message(const struct decoded *d, const struct expected *want)
{
    assert_int_equal(d->result, CHANNELS_OK);
    assert_str(d->msg.join_ref, want->join_ref);
    assert_str(d->msg.ref, want->ref);
    assert_str(d->msg.raw_topic, want->raw_topic);
    assert_name(d->msg.topic, want->topic);
    assert_name(d->msg.event, want->event);
    assert_str(channels__str_n(d->msg.payload.data, d->msg.payload.len), want->payload);
}

static void assert_decodes(const channels_serializer *s, channels_kind kind, const char *text,
                           struct expected want)
{
    struct decoded d;
    open_decoded(&d);
    decode(&d, s, kind, text, strlen(text), 1000);
    assert_message(&d, &want);
    assert_int_equal(d.msg.payload.kind, CHANNELS_JSON);
    close_decoded(&d);
}

static void v2_text(const char *text, struct expected want)
{
    assert_decodes(&channels__serializer_v2, CHANNELS_JSON, text, want);
}

static void v1_text(const char *text, struct expected want)
{
    assert_decodes(&channels__serializer_v1, CHANNELS_JSON, text, want);
    assert_decodes(&channels__serializer_v1, CHANNELS_BINARY, text, want);
}

static void refuses(const channels_serializer *s, channels_kind kind, const void *bytes, size_t n)
{
    struct decoded d;
    open_decoded(&d);
    if (decode(&d, s, kind, bytes, n, 1000) != CHANNELS_ERR_PROTOCOL)
        fail_msg("decoded: %.*s", (int)n, (const char *)bytes);
    close_decoded(&d);
}

static void v2_text_is_five_values(void **state)
{
    (void)state;
    v2_text("[\"1\",\"2\",\"room:a\",\"echo\",{\"x\":1}]",
            (struct expected){ "\"1\"", "\"2\"", "\"room:a\"", "room:a", "echo", "{\"x\":1}" });
    v2_text("[null,\"7\",\"phoenix\",\"heartbeat\",{}]",
            (struct expected){ NULL, "\"7\"", "\"phoenix\"", "phoenix", "heartbeat", "{}" });
    v2_text(" [ null , null , \"\" , \"\" , null ] \n",
            (struct expected){ NULL, NULL, "\"\"", "", "", "null" });
    v2_text("[1,2,\"t\",\"e\",[1, 2],\"more\",{\"a\":[]},7]",
            (struct expected){ "1", "2", "\"t\"", "t", "e", "[1, 2]" });
}

static void payloads_come_as_they_are(void **state)
{
    static const char *const payloads[] = {
        "9007199254740993", "1e308", "-0.0", "\"\\u0000\"", "{\"b\":1,\"a\":2,\"b\":3}",
        "{ \"k\" : [ ] }", "true", "\"za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87\"", "[]",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++) {
        char text[128] = "[null,null,\"t\",\"e\", ";
        strcat(text, payloads[i]);
        strcat(text, " ]");
        v2_text(text, (struct expected){ NULL, NULL, "\"t\"", "t", "e", payloads[i] });
    }
}

static void refs_keep_their_type_and_have_one_spelling(void **state)
{
    (void)state;
    v2_text("[\"\\u0031\",\"a\\/b\\u000a\\u00e9\\ud83d\\ude00\",\"t\",\"e\",0]",
            (struct expected){ "\"1\"", "\"a/b\\n\xC3\xA9\xF0\x9F\x98\x80\"", "\"t\"", "t", "e",
                               "0" });
    v2_text("[{\"a\":1},[\"\\u0031\"],\"t\",\"e\",0]",
            (struct expected){ "{\"a\":1}", "[\"\\u0031\"]", "\"t\"", "t", "e", "0" });
    v2_text("[true,-1.50,\"t\",\"e\",0]",
            (struct expected){ "true", "-1.50", "\"t\"", "t", "e", "0" });
    v2_text("[\"\",\"\\u0000\\\"\\\\\",\"t\",\"e\",0]",
            (struct expected){ "\"\"", "\"\\u0000\\\"\\\\\"", "\"t\"", "t", "e", "0" });
}

static void names_are_text_without_nul(void **state)
{
    (void)state;
    v2_text("[null,\"1\",5,null,{}]", (struct expected){ NULL, "\"1\"", "5", NULL, NULL, "{}" });
    v2_text("[null,\"1\",[\"t\"],{\"e\":1},{}]",
            (struct expected){ NULL, "\"1\"", "[\"t\"]", NULL, NULL, "{}" });
    v2_text("[null,\"1\",\"a\\u0000b\",\"\\u0000\",{}]",
            (struct expected){ NULL, "\"1\"", "\"a\\u0000b\"", NULL, NULL, "{}" });
    v2_text("[null,\"1\",\"room:\\u017c\\n\",\"\\ud83d\\ude00\",{}]",
            (struct expected){ NULL, "\"1\"", "\"room:\\u017c\\n\"", "room:\xC5\xBC\n",
                               "\xF0\x9F\x98\x80", "{}" });
}

static void v2_refuses_other_shapes(void **state)
{
    static const char *const bad[] = {
        "", " ", "{}", "[]", "5", "null", "\"s\"", "[1,2,3,4]", "[1,2,3,4,]", "[1,2,3,4,5",
        "[1,2,3,4,5,]", "[1,2,3,4,5]]", "[1,2,3,4,5] 6", "[1 2,3,4,5]", "[1,2,\"t\",\"e\",{]",
        "[1,2,\"t\",\"e\",{},tru]", "[1,2,\"\xFF\",\"e\",{}]", "[1,2,\"\\ud800\",\"e\",{}]",
        "[1,2,\"t\",\"e\",01]", "(1,2,3,4,5)", "x",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        refuses(&channels__serializer_v2, CHANNELS_JSON, bad[i], strlen(bad[i]));
}

static void v2_text_cut_short_is_refused(void **state)
{
    static const char text[] = "[\"1\",\"2\",\"room:a\",\"echo\",{\"x\":[1,\"\\u00e9\"]}]";
    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++)
        refuses(&channels__serializer_v2, CHANNELS_JSON, text, n);
}

static int decode_nested(uint32_t depth, uint32_t max_nesting, const channels_serializer *s)
{
    struct decoded d;
    char text[128] = "[null,null,\"t\",\"e\",";
    open_decoded(&d);
    if (s == &channels__serializer_v1)
        strcpy(text, "{\"topic\":\"t\",\"event\":\"e\",\"ref\":null,\"payload\":");
    for (uint32_t i = 0; i < depth; i++)
        strcat(text, "[");
    for (uint32_t i = 0; i < depth; i++)
        strcat(text, "]");
    strcat(text, s == &channels__serializer_v1 ? "}" : "]");
    int result = decode(&d, s, CHANNELS_JSON, text, strlen(text), max_nesting);
    close_decoded(&d);
    return result;
}

static void payloads_nest_so_deep_and_no_deeper(void **state)
{
    (void)state;
    for (uint32_t max = 1; max < 20; max++) {
        assert_int_equal(decode_nested(max, max, &channels__serializer_v2), CHANNELS_OK);
        assert_int_equal(decode_nested(max, max, &channels__serializer_v1), CHANNELS_OK);
        assert_int_equal(decode_nested(max + 1, max, &channels__serializer_v2),
                         CHANNELS_ERR_PROTOCOL);
        assert_int_equal(decode_nested(max + 1, max, &channels__serializer_v1),
                         CHANNELS_ERR_PROTOCOL);
    }
}

#define BINARY(bytes) bytes, sizeof bytes - 1

static void assert_binary(const char *bytes, size_t n, struct expected want, size_t data_len)
{
    struct decoded d;
    open_decoded(&d);
    decode(&d, &channels__serializer_v2, CHANNELS_BINARY, bytes, n, 1000);
    assert_int_equal(d.result, CHANNELS_OK);
    assert_int_equal(d.msg.payload.kind, CHANNELS_BINARY);
    assert_int_equal(d.msg.payload.len, data_len);
    assert_ptr_equal(d.msg.payload.data, d.frame + n - data_len);
    d.msg.payload = channels_json(want.payload = "");
    assert_message(&d, &want);
    close_decoded(&d);
}

static void v2_binary_frames(void **state)
{
    (void)state;
    assert_binary(BINARY("\0\1\2\6\7"
                         "1"
                         "12"
                         "room:a"
                         "binpush"
                         "\x80\0\xFF"),
                  (struct expected){ "\"1\"", "\"12\"", "\"room:a\"", "room:a", "binpush", NULL },
                  3);
    assert_binary(BINARY("\0\0\0\0\0"), (struct expected){ NULL, "\"\"", "\"\"", "", "", NULL }, 0);
    assert_binary(BINARY("\0\3\4\4\2"
                         "\"\\\n"
                         "\xC5\xBC\x1F/"
                         "t\"\\\b"
                         "e\t"
                         "[]"),
                  (struct expected){ "\"\\\"\\\\\\n\"", "\"\xC5\xBC\\u001f/\"", "\"t\\\"\\\\\\b\"",
                                     "t\"\\\b", "e\t", NULL },
                  2);
    assert_binary(BINARY("\0\0\1\3\1"
                         "\0"
                         "a\0b"
                         "\0"),
                  (struct expected){ NULL, "\"\\u0000\"", "\"a\\u0000b\"", NULL, NULL, NULL }, 0);
}

static void a_ref_is_the_same_in_text_and_in_binary(void **state)
{
    struct decoded text, binary;
    (void)state;
    open_decoded(&text);
    open_decoded(&binary);
    decode(&text, &channels__serializer_v2, CHANNELS_JSON,
           BINARY("[\"1\\u0032\",\"\\/\\t\\u00e9\",\"t\",\"e\",{}]"), 10);
    decode(&binary, &channels__serializer_v2, CHANNELS_BINARY,
           BINARY("\0\2\4\1\1"
                  "12"
                  "/\t\xC3\xA9"
                  "te"),
           10);
    assert_true(channels__str_eq(text.msg.join_ref, binary.msg.join_ref));
    assert_true(channels__str_eq(text.msg.ref, binary.msg.ref));
    close_decoded(&text);
    close_decoded(&binary);
}

static void the_longest_binary_fields(void **state)
{
    char frame[5 + 4 * 255 + 1];
    struct decoded d;
    (void)state;
    memset(frame, '\1', sizeof frame);
    memcpy(frame, "\0\xFF\xFF\xFF\xFF", 5);
    open_decoded(&d);
    assert_int_equal(decode(&d, &channels__serializer_v2, CHANNELS_BINARY, frame, sizeof frame, 1),
                     CHANNELS_OK);
    assert_int_equal(d.msg.join_ref.n, 6 * 255 + 2);
    assert_int_equal(d.msg.ref.n, 6 * 255 + 2);
    assert_int_equal(d.msg.raw_topic.n, 6 * 255 + 2);
    assert_int_equal(strlen(d.msg.topic.p), 255);
    assert_int_equal(strlen(d.msg.event.p), 255);
    assert_int_equal(d.msg.payload.len, 1);
    close_decoded(&d);
}

static void v2_refuses_other_binary_frames(void **state)
{
    static const char frame[] = "\0\1\2\6\7"
                                "1"
                                "12"
                                "room:a"
                                "binpush";
    (void)state;
    for (size_t n = 0; n < sizeof frame - 1; n++)
        refuses(&channels__serializer_v2, CHANNELS_BINARY, frame, n);
    for (int kind = 1; kind < 256; kind++) {
        char other[sizeof frame];
        memcpy(other, frame, sizeof frame);
        other[0] = (char)kind;
        refuses(&channels__serializer_v2, CHANNELS_BINARY, other, sizeof frame - 1);
    }
    refuses(&channels__serializer_v2, CHANNELS_BINARY,
            BINARY("\0\1\0\0\0"
                   "\x80"));
    refuses(&channels__serializer_v2, CHANNELS_BINARY,
            BINARY("\0\0\1\0\0"
                   "\xC5"));
    refuses(&channels__serializer_v2, CHANNELS_BINARY,
            BINARY("\0\0\0\2\0"
                   "\xC0\x80"));
    refuses(&channels__serializer_v2, CHANNELS_BINARY,
            BINARY("\0\0\0\0\3"
                   "\xED\xA0\x80"));
    refuses(&channels__serializer_v2, CHANNELS_BINARY,
            BINARY("\0\0\0\1\1"
                   "\xC5"
                   "\xBC"));
}

static void v1_is_an_object(void **state)
{
    (void)state;
    v1_text("{\"topic\":\"room:a\",\"event\":\"echo\",\"payload\":{\"x\":1},\"ref\":\"2\"}",
            (struct expected){ NULL, "\"2\"", "\"room:a\"", "room:a", "echo", "{\"x\":1}" });
    v1_text(" { \"join_ref\" : 1 , \"ref\" : null , \"payload\" : [ ] , \"event\" : \"e\" ,"
            " \"topic\" : \"t\" } ",
            (struct expected){ "1", NULL, "\"t\"", "t", "e", "[ ]" });
    v1_text("{\"x\":{\"topic\":1},\"topic\":\"t\",\"event\":\"e\",\"payload\":0,\"ref\":\"1\","
            "\"\":[],\"refs\":2,\"Topic\":3}",
            (struct expected){ NULL, "\"1\"", "\"t\"", "t", "e", "0" });
    v1_text("{\"topic\":5,\"event\":null,\"payload\":null,\"ref\":{}}",
            (struct expected){ NULL, "{}", "5", NULL, NULL, "null" });
}

static void v1_keys_may_be_escaped_and_the_first_one_counts(void **state)
{
    (void)state;
    v1_text("{\"\\u0074opic\":\"t\",\"\\u0065\\u0076\\u0065\\u006e\\u0074\":\"e\","
            "\"p\\u0061yload\":1,\"re\\u0066\":\"r\","
            "\"\\u006a\\u006f\\u0069\\u006e\\u005f\\u0072\\u0065\\u0066\":\"j\"}",
            (struct expected){ "\"j\"", "\"r\"", "\"t\"", "t", "e", "1" });
    v1_text("{\"topic\":\"x\",\"ref\":\"9\",\"topic\":\"t\",\"event\":\"e\",\"payload\":1,"
            "\"payload\":2,\"ref\":null,\"join_ref\":\"1\",\"join_ref\":null}",
            (struct expected){ "\"1\"", "\"9\"", "\"x\"", "x", "e", "1" });
    v1_text("{\"topic\":\"t\",\"event\":\"e\",\"payload\":0,\"ref\":\"1\",\"topic\\u0000\":1,"
            "\"a key that is a good deal longer than any of the names looked for\":2}",
            (struct expected){ NULL, "\"1\"", "\"t\"", "t", "e", "0" });
}

static void v1_refuses_other_shapes(void **state)
{
    static const char *const bad[] = {
        "", "{}", "[]", "null", "[null,\"1\",\"t\",\"e\",{}]",
        "{\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"payload\":{},\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"event\":\"e\",\"ref\":\"1\"}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\",}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"} 1",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\"}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":}",
        "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},1:\"1\"}",
        "{\"topic\":\"\xFF\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        refuses(&channels__serializer_v1, CHANNELS_JSON, bad[i], strlen(bad[i]));
        refuses(&channels__serializer_v1, CHANNELS_BINARY, bad[i], strlen(bad[i]));
    }
}

/* --- Encoding ----------------------------------------------------------------------------- */

static channels_outgoing push(const char *join_ref, const char *ref, const char *event,
                              channels_payload payload)
{
    channels_outgoing out = { .form = CHANNELS_PUSH, .payload = payload };
    out.join_ref = channels__str_z(join_ref);
    out.ref = channels__str_z(ref);
    out.topic = channels__str_z("room:a");
    out.event = channels__str_z(event);
    return out;
}

static channels_outgoing reply(const char *join_ref, const char *ref, const char *status,
                               channels_payload payload)
{
    channels_outgoing out = push(join_ref, ref, NULL, payload);
    out.form = CHANNELS_REPLY;
    out.status = channels__str_z(status);
    return out;
}

static channels_outgoing broadcast(const char *event, channels_payload payload)
{
    channels_outgoing out = push(NULL, NULL, event, payload);
    out.form = CHANNELS_BROADCAST;
    return out;
}

static void assert_encodes(const channels_serializer *s, channels_outgoing out, channels_kind kind,
                           const char *bytes, size_t n)
{
    faulty f;
    channels_buf *buf = NULL;
    channels_codec c;
    channels_kind got = CHANNELS_JSON;
    size_t len = 0;
    faulty_init(&f);
    channels__codec_init(&c, &f.mem);
    assert_int_equal(channels__codec_encode(&c, s, &out, &buf, &got), CHANNELS_OK);
    assert_int_equal(got, kind);
    const char *data = channels_buf_data(buf, &len);
    if (len != n || memcmp(data, bytes, n) != 0)
        fail_msg("%.*s", (int)len, data);
    assert_true(f.memory.calls <= 2); /* the buf, and once the room for what is around a payload */
    channels_buf_unref(buf);
    channels__codec_deinit(&c);
    assert_int_equal(f.memory.blocks, 0);
}

static void later_messages_take_one_block(void **state)
{
    (void)state;
    faulty f;
    channels_codec c;
    channels_kind kind;
    size_t before = 0;
    channels_outgoing out = push("\"1\"", NULL, "e", channels_empty());
    faulty_init(&f);
    channels__codec_init(&c, &f.mem);
    for (int i = 0; i < 3; i++) {
        channels_buf *buf = NULL;
        before = f.memory.calls;
        assert_int_equal(channels__codec_encode(&c, &channels__serializer_v2, &out, &buf, &kind),
                         CHANNELS_OK);
        channels_buf_unref(buf);
    }
    assert_int_equal(f.memory.calls, before + 1);
    channels__codec_deinit(&c);
}

static void v2_encodes(channels_outgoing out, const char *text)
{
    assert_encodes(&channels__serializer_v2, out, CHANNELS_JSON, text, strlen(text));
    assert_true(channels__json_check(channels__str_z(text), 1000, false));
}

static void v1_encodes(channels_outgoing out, const char *text)
{
    assert_encodes(&channels__serializer_v1, out, CHANNELS_JSON, text, strlen(text));
    assert_true(channels__json_check(channels__str_z(text), 1000, true));
}

static void v2_writes_text(void **state)
{
    channels_outgoing odd = reply(NULL, "\"42\"", "error", channels_empty());
    (void)state;
    v2_encodes(push("\"1\"", NULL, "pre", channels_json("{\"z\":1}")),
               "[\"1\",null,\"room:a\",\"pre\",{\"z\":1}]");
    v2_encodes(push("\"1\"", "\"1\"", "phx_close", channels_empty()),
               "[\"1\",\"1\",\"room:a\",\"phx_close\",{}]");
    v2_encodes(broadcast("shout", channels_json("{\"z\": 1}")),
               "[null,null,\"room:a\",\"shout\",{\"z\": 1}]");
    v2_encodes(reply("\"1\"", "2", "ok", channels_empty()),
               "[\"1\",2,\"room:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    v2_encodes(reply("{\"a\":1}", NULL, "we\"ird\n", channels_json("\"str\"")),
               "[{\"a\":1},null,\"room:a\",\"phx_reply\","
               "{\"status\":\"we\\\"ird\\n\",\"response\":\"str\"}]");
    odd.raw_topic = channels__str_z("5");
    v2_encodes(odd, "[null,\"42\",5,\"phx_reply\",{\"status\":\"error\",\"response\":{}}]");
    odd = broadcast("e\t\xC5\xBC", channels_empty());
    odd.topic = channels__str_n("t\0\"", 3);
    v2_encodes(odd, "[null,null,\"t\\u0000\\\"\",\"e\\t\xC5\xBC\",{}]");
}

static void v2_writes_binary(void **state)
{
    channels_payload data = channels_binary("\x80\0\xFF", 3), none = channels_binary(NULL, 0);
    const channels_serializer *v2 = &channels__serializer_v2;
    (void)state;
    assert_encodes(v2, push("\"1\"", NULL, "binpush", channels_binary("\1\2", 2)), CHANNELS_BINARY,
                   BINARY("\0\1\6\7"
                          "1"
                          "room:a"
                          "binpush"
                          "\1\2"));
    assert_encodes(v2, broadcast("binbc", channels_binary("\t", 1)), CHANNELS_BINARY,
                   BINARY("\2\6\5"
                          "room:a"
                          "binbc"
                          "\t"));
    assert_encodes(v2, reply("\"1\"", "\"2\"", "ok", data), CHANNELS_BINARY,
                   BINARY("\1\1\1\6\2"
                          "1"
                          "2"
                          "room:a"
                          "ok"
                          "\x80\0\xFF"));
    assert_encodes(v2, reply(NULL, NULL, "", none), CHANNELS_BINARY,
                   BINARY("\1\0\0\6\0"
                          "room:a"));
    assert_encodes(v2, reply("12", "-1.5e3", "ok", none), CHANNELS_BINARY,
                   BINARY("\1\2\6\6\2"
                          "12"
                          "-1.5e3"
                          "room:a"
                          "ok"));
    assert_encodes(v2, reply("\"\\u00e9\\n\"", "\"\"", "ok", none), CHANNELS_BINARY,
                   BINARY("\1\3\0\6\2"
                          "\xC3\xA9\n"
                          "room:a"
                          "ok"));
}

static void refuses_to_encode(const channels_serializer *s, channels_outgoing out)
{
    faulty f;
    channels_buf *buf = NULL;
    channels_codec c;
    channels_kind kind;
    faulty_init(&f);
    channels__codec_init(&c, &f.mem);
    assert_int_equal(channels__codec_encode(&c, s, &out, &buf, &kind), CHANNELS_ERR_INVALID);
    assert_null(buf);
    assert_int_equal(f.memory.calls, 0);
}

static void what_a_binary_frame_cannot_hold(void **state)
{
    static const char *const refs[] = { "true", "false", "null", "{}", "[1]" };
    channels_payload data = channels_binary("x", 1);
    const channels_serializer *v2 = &channels__serializer_v2;
    (void)state;
    for (size_t i = 0; i < COUNT(refs); i++) {
        refuses_to_encode(v2, push(refs[i], NULL, "e", data));
        refuses_to_encode(v2, reply(refs[i], NULL, "ok", data));
        refuses_to_encode(v2, reply(NULL, refs[i], "ok", data));
    }
    channels_outgoing out = broadcast("e", data);
    out.topic = channels__str_z(NULL);
    refuses_to_encode(v2, out);
}

/* A field of `n` bytes in each place: 255 is the most. Each byte of a ref may be an escape. */
static void fields_of(size_t n, channels_outgoing outs[6], char *text, char *json, char *escaped)
{
    channels_payload data = channels_binary("x", 1);
    memset(text, 'x', n);
    text[n] = '\0';
    json[0] = escaped[0] = '"';
    for (size_t i = 0; i < n; i++) {
        json[i + 1] = 'x';
        memcpy(escaped + 1 + 6 * i, "\\u0001", 6);
    }
    strcpy(json + n + 1, "\"");
    strcpy(escaped + 6 * n + 1, "\"");
    outs[0] = push(json, NULL, "e", data);
    outs[1] = push(NULL, NULL, text, data);
    outs[2] = reply(NULL, json, "ok", data);
    outs[3] = reply(NULL, NULL, text, data);
    outs[4] = reply(escaped, escaped, "ok", data);
    outs[5] = broadcast("e", data);
    outs[5].topic = channels__str_z(text);
}

static void binary_fields_have_at_most_255_bytes(void **state)
{
    char text[300], json[310], escaped[6 * 300];
    channels_outgoing outs[6];
    faulty f;
    (void)state;
    fields_of(255, outs, text, json, escaped);
    for (size_t i = 0; i < COUNT(outs); i++) {
        channels_buf *buf;
        channels_codec c;
        channels_kind kind;
        faulty_init(&f);
        channels__codec_init(&c, &f.mem);
        assert_int_equal(channels__codec_encode(&c, &channels__serializer_v2, &outs[i], &buf,
                                                &kind),
                         CHANNELS_OK);
        channels_buf_unref(buf);
        assert_int_equal(f.memory.blocks, 0);
    }
    fields_of(256, outs, text, json, escaped);
    for (size_t i = 0; i < COUNT(outs); i++)
        refuses_to_encode(&channels__serializer_v2, outs[i]);
    memset(text, '1', 256);
    refuses_to_encode(&channels__serializer_v2, push(text, NULL, "e", channels_binary("x", 1)));
}

static void v1_writes_objects(void **state)
{
    channels_outgoing odd = reply(NULL, "\"42\"", "error", channels_json("[1]"));
    (void)state;
    v1_encodes(push("\"1\"", NULL, "pre", channels_json("{\"z\":1}")),
               "{\"topic\":\"room:a\",\"event\":\"pre\",\"payload\":{\"z\":1},\"ref\":null}");
    v1_encodes(push("\"1\"", "\"1\"", "phx_close", channels_empty()),
               "{\"topic\":\"room:a\",\"event\":\"phx_close\",\"payload\":{},\"ref\":\"1\"}");
    v1_encodes(broadcast("shout", channels_empty()),
               "{\"topic\":\"room:a\",\"event\":\"shout\",\"payload\":{},\"ref\":null}");
    odd.raw_topic = channels__str_z("[\"t\"]");
    v1_encodes(odd, "{\"topic\":[\"t\"],\"event\":\"phx_reply\","
                    "\"payload\":{\"status\":\"error\",\"response\":[1]},\"ref\":\"42\"}");
}

static void v1_carries_no_bytes(void **state)
{
    channels_payload data = channels_binary("x", 1);
    (void)state;
    refuses_to_encode(&channels__serializer_v1, push(NULL, NULL, "e", data));
    refuses_to_encode(&channels__serializer_v1, reply(NULL, NULL, "ok", data));
    refuses_to_encode(&channels__serializer_v1, broadcast("e", data));
}

/* --- Versions ----------------------------------------------------------------------------- */

/* As Elixir's Version.match?/2 answers for "~> 1.0.0" and "~> 2.0.0". */
static void vsn_chooses_the_format(void **state)
{
    static const char *const first[] = { "1.0.0", "1.0.9", "1.0.1-rc.1+build", "1.0.0+x" };
    static const char *const second[] = {
        "2.0.0",   "2.0.5",        "2.0.1-rc", "2.0.0+x",
        "2.0.1-0", "2.0.1-0a",     "2.0.1+01", "2.0.1-a+b-c",
        "2.0.1--", "2.0.1-rc.1.x", "2.0.1+-",  "2.0.999999999999999999999999",
        "2.0.10",  "2.0.1000",
    };
    static const char *const none[] = {
        "", "2", "2.0", "2.1.0", "1.1.0", "3.0.0", "0.0.0", "02.0.0", "2.00.0", "2.0.00",
        "2.0.0-rc", "2.0.0-rc+1", "2.1.0-rc", "1.0.0-0", "2.0.1-01", "2.0.1-00", "2.0.1-a.01",
        "2.0.1-", "2.0.1+", "2.0.1-a..b", "2.0.1-a.", "2.0.1-.a", "2.0.1+a..b", "2.0.1+a+b",
        "2.0.1-+", "2.0.1-a_b", " 2.0.0", "2.0.0 ", "2.0.0\n", "2.0.0.0", "v2.0.0", "2.0.-1",
        "2..0", "2.0.", "2.0.+1", "2.0.1-\xC3\xA9", "18446744073709551618.0.0", "4294967298.0.0",
        "2.4294967296.0", "20.0.0", "2.0.0x", ".0.0", "a.b.c", "latest",
    };
    (void)state;
    assert_ptr_equal(channels__serializer_for(channels__default_serializers, NULL),
                     &channels__serializer_v1);
    for (size_t i = 0; i < COUNT(first); i++)
        assert_ptr_equal(channels__serializer_for(channels__default_serializers, first[i]),
                         &channels__serializer_v1);
    for (size_t i = 0; i < COUNT(second); i++)
        assert_ptr_equal(channels__serializer_for(channels__default_serializers, second[i]),
                         &channels__serializer_v2);
    for (size_t i = 0; i < COUNT(none); i++) {
        if (channels__serializer_for(channels__default_serializers, none[i]) != NULL)
            fail_msg("served: %s", none[i]);
    }
}

/* --- Memory ------------------------------------------------------------------------------- */

static void small_messages_share_one_block(void **state)
{
    struct decoded d;
    (void)state;
    open_decoded(&d);
    for (int i = 0; i < 100; i++)
        decode(&d, &channels__serializer_v2, CHANNELS_JSON,
               BINARY("[\"\\n\",\"2\",\"room:a\",\"echo\",{}]"), 10);
    assert_int_equal(d.memory.memory.calls, 1);
    close_decoded(&d);
}

static void a_large_block_is_given_back(void **state)
{
    faulty f;
    channels__scratch s;
    (void)state;
    faulty_init(&f);
    channels__scratch_init(&s, &f.mem);
    assert_true(channels__scratch_reserve(&s, 100000));
    memset(channels__scratch_take(&s, 100000), 'x', 100000);
    assert_true(channels__scratch_reserve(&s, 50000));
    assert_int_equal(f.memory.calls, 1);
    assert_true(channels__scratch_reserve(&s, 10));
    assert_true(s.size < 10000);
    assert_int_equal(f.memory.blocks, 1);
    assert_true(channels__scratch_reserve(&s, 100000));
    channels__scratch_deinit(&s);
    assert_int_equal(f.memory.blocks, 0);
}

static bool decode_all(faulty *f)
{
    static const char text[] = "[\"\\n\",\"2\",\"room:a\",\"echo\",{}]";
    static const char object[] = "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":\"1\"}";
    channels_codec c[3];
    channels_incoming msg;
    bool ok = true;
    for (int i = 0; i < 3; i++)
        channels__codec_init(&c[i], &f->mem);
    int results[] = {
        channels__serializer_v2.decode(&c[0], channels_json(text), &msg),
        channels__serializer_v2.decode(&c[1], channels_binary("\0\0\0\1\1te", 7), &msg),
        channels__serializer_v1.decode(&c[2], channels_json(object), &msg),
    };
    for (int i = 0; i < 3; i++) {
        assert_true(results[i] == CHANNELS_OK || results[i] == CHANNELS_ERR_NOMEM);
        ok = ok && results[i] == CHANNELS_OK;
        channels__codec_deinit(&c[i]);
    }
    return ok;
}

static bool encode_all(faulty *f)
{
    channels_outgoing outs[] = { push("\"1\"", NULL, "e", channels_empty()),
                                 reply("\"1\"", "2", "ok", channels_binary("x", 1)) };
    channels_codec c;
    bool ok = true;
    channels__codec_init(&c, &f->mem);
    for (size_t i = 0; i < 3; i++) {
        channels_buf *buf = NULL;
        channels_kind kind;
        const channels_serializer *s = i == 2 ? &channels__serializer_v1 : &channels__serializer_v2;
        int result = channels__codec_encode(&c, s, &outs[i % 2], &buf, &kind);
        assert_int_equal(result, buf != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM);
        ok = ok && result == CHANNELS_OK;
        channels_buf_unref(buf);
    }
    channels__codec_deinit(&c);
    return ok;
}

static bool reserve_twice(faulty *f)
{
    channels__scratch s;
    channels__scratch_init(&s, &f->mem);
    bool large = channels__scratch_reserve(&s, 9000);
    bool small = channels__scratch_reserve(&s, 1);
    channels__scratch_deinit(&s);
    return large && small;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    faulty_run(decode_all);
    faulty_run(encode_all);
    faulty_run(reserve_twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_text_is_five_values),
        cmocka_unit_test(payloads_come_as_they_are),
        cmocka_unit_test(refs_keep_their_type_and_have_one_spelling),
        cmocka_unit_test(names_are_text_without_nul),
        cmocka_unit_test(v2_refuses_other_shapes),
        cmocka_unit_test(v2_text_cut_short_is_refused),
        cmocka_unit_test(payloads_nest_so_deep_and_no_deeper),
        cmocka_unit_test(v2_binary_frames),
        cmocka_unit_test(a_ref_is_the_same_in_text_and_in_binary),
        cmocka_unit_test(the_longest_binary_fields),
        cmocka_unit_test(v2_refuses_other_binary_frames),
        cmocka_unit_test(v1_is_an_object),
        cmocka_unit_test(v1_keys_may_be_escaped_and_the_first_one_counts),
        cmocka_unit_test(v1_refuses_other_shapes),
        cmocka_unit_test(v2_writes_text),
        cmocka_unit_test(later_messages_take_one_block),
        cmocka_unit_test(v2_writes_binary),
        cmocka_unit_test(what_a_binary_frame_cannot_hold),
        cmocka_unit_test(binary_fields_have_at_most_255_bytes),
        cmocka_unit_test(v1_writes_objects),
        cmocka_unit_test(v1_carries_no_bytes),
        cmocka_unit_test(vsn_chooses_the_format),
        cmocka_unit_test(small_messages_share_one_block),
        cmocka_unit_test(a_large_block_is_given_back),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("serializer", tests, NULL, NULL);
}
