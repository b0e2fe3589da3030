/* message.c - V1 and V2, text and bytes: what was decoded is sound, and an answer with its refs and
 * its payload can be decoded by a client. The same formats as serializers of a host, whose messages
 * are checked again, do the same. The first byte chooses the format. */
#include <cjson/cJSON.h>

#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/utf8.h"

static bool sound_ref(channels__str ref)
{
    return ref.p == NULL || channels__json_check(ref, CHANNELS__JSON_NESTING, false);
}

static bool sound_text(channels__str text)
{
    return text.p == NULL || (text.p[text.n] == '\0' && strlen(text.p) == text.n &&
                              channels__utf8_valid(text.p, text.n));
}

static void check_message(const channels_incoming *msg)
{
    FUZZ_CHECK(sound_ref(msg->join_ref) && sound_ref(msg->ref));
    FUZZ_CHECK(channels__json_check(msg->raw_topic, CHANNELS__JSON_NESTING, false));
    FUZZ_CHECK(sound_text(msg->topic) && sound_text(msg->event));
    if (msg->payload.kind == CHANNELS_JSON)
        FUZZ_CHECK(channels__json_check(channels__str_n(msg->payload.data, msg->payload.len),
                                        CHANNELS__JSON_NESTING, false));
}

static void check_frame(const channels_buf *buf, channels_kind kind)
{
    size_t len;
    const uint8_t *bytes = channels_buf_data(buf, &len);
    if (kind == CHANNELS_JSON) {
        FUZZ_CHECK(channels__json_check(channels__str_n((const char *)bytes, len), 1000, false));
        return;
    }
    FUZZ_CHECK(len >= 5 && bytes[0] == 1);
    FUZZ_CHECK(len >= 5u + bytes[1] + bytes[2] + bytes[3] + bytes[4]);
}

static void answer(channels_codec *codec, const channels_serializer *s,
                   const channels_incoming *msg)
{
    channels_outgoing out = { .form = CHANNELS_REPLY,
                              .join_ref = msg->join_ref,
                              .ref = msg->ref,
                              .raw_topic = msg->raw_topic,
                              .status = channels__str_z("ok"),
                              .payload = msg->payload };
    channels_buf *buf;
    channels_kind kind;
    if (msg->topic.p != NULL) {
        out.raw_topic = channels__str_none();
        out.topic = msg->topic;
    }
    int err = channels__codec_encode(codec, s, &out, &buf, &kind);
    FUZZ_CHECK(err == CHANNELS_OK || err == CHANNELS_ERR_INVALID);
    if (err == CHANNELS_OK) {
        check_frame(buf, kind);
        channels_buf_unref(buf);
    }
}

static int talk(channels_codec *codec, const channels_serializer *s, channels_payload frame)
{
    channels_incoming msg;
    int err = channels__codec_decode(codec, s, frame, 900, &msg);
    if (err == CHANNELS_OK) {
        check_message(&msg);
        answer(codec, s, &msg);
    }
    channels__codec_done(codec);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const channels_serializer *own =
        channels__serializer_for(channels__default_serializers, data[0] & 1 ? "1.0.0" : "2.0.0");
    channels_kind kind = data[0] & 2 ? CHANNELS_BINARY : CHANNELS_JSON;
    channels_serializer foreign = *own;
    sim_memory memory = { 0 };
    channels__mem mem = { (void *(*)(void *, void *, size_t, size_t))sim_memory_realloc, &memory };
    channels_codec codec;
    char *bytes = fuzz_copy(data + 1, size - 1);
    channels__codec_init(&codec, &mem);
    channels_payload frame = { kind, bytes, size - 1 };
    int err = talk(&codec, own, frame);
    FUZZ_CHECK(err == CHANNELS_OK || err == CHANNELS_ERR_PROTOCOL);
    FUZZ_CHECK(talk(&codec, &foreign, frame) == err);
    channels__codec_deinit(&codec);
    FUZZ_CHECK(memory.blocks == 0);
    free(bytes);
    return 0;
}
