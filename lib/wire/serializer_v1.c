/* serializer_v1.c - version 1.0: {"topic","event","payload","ref"}, text only.
 *
 * Clients may add a join_ref, which is understood but never sent back as such. Anything else in
 * the object is ignored. Bytes in a binary frame are read like text. */
#include "wire/codec.h"
#include "wire/envelope.h"
#include "wire/json.h"

#define KEY_ROOM 50u /* "join_ref" with every character written as \uXXXX, in its quotes */

/* Which field this key names, CHANNELS__FIELDS if none. */
static int field_of(channels__str key)
{
    static const char *const names[CHANNELS__FIELDS] = { "join_ref", "ref", "topic", "event",
                                                         "payload" };
    char room[KEY_ROOM];
    if (key.n > sizeof room)
        return CHANNELS__FIELDS;
    channels__str name = channels__str_n(room, channels__json_unescape(key, room));
    int i = 0;
    while (i < CHANNELS__FIELDS && !channels__str_is(name, names[i]))
        i++;
    return i;
}

/* Of a key given twice the first counts, as with Phoenix' Jason. */
static bool split(channels__json *json, channels__str values[CHANNELS__FIELDS])
{
    channels__str key, value;
    if (!channels__json_char(json, '{'))
        return false;
    do {
        if (!channels__json_value(json, &key) || key.p[0] != '"' || !channels__json_char(json, ':'))
            return false;
        if (!channels__json_value(json, &value))
            return false;
        int field = field_of(key);
        if (field < CHANNELS__FIELDS && values[field].p == NULL)
            values[field] = value;
    } while (channels__json_char(json, ','));
    return channels__json_char(json, '}') && channels__json_end(json);
}

static bool complete(const channels__str *values)
{
    for (int i = CHANNELS__REF; i < CHANNELS__FIELDS; i++) {
        if (values[i].p == NULL)
            return false;
    }
    return true;
}

static int decode(channels_codec *codec, channels_payload frame, channels_incoming *msg)
{
    channels__str values[CHANNELS__FIELDS] = { { NULL, 0 } };
    if (frame.len == 0)
        return CHANNELS_ERR_PROTOCOL;
    const char *text = frame.data;
    channels__json json = { text, text + frame.len, codec->max_nesting };
    if (!split(&json, values) || !complete(values))
        return CHANNELS_ERR_PROTOCOL;
    return channels__envelope_read(&codec->scratch, values, false, msg);
}

static void layout(channels__writer *w, const channels_outgoing *out)
{
    channels__write_z(w, "{\"topic\":");
    channels__write_topic(w, out);
    channels__write_z(w, ",\"event\":");
    channels__write_event(w, out);
    channels__write_z(w, ",\"payload\":");
    channels__write_payload(w, out);
    channels__write_z(w, ",\"ref\":");
    channels__write_ref(w, out->ref);
    channels__write_z(w, "}");
}

static int encode(channels_codec *codec, const channels_outgoing *out, channels_buf **buf,
                  channels_kind *kind)
{
    if (out->payload.kind == CHANNELS_BINARY)
        return CHANNELS_ERR_INVALID;
    *kind = CHANNELS_JSON;
    return channels__envelope_write(&codec->around, out, layout, buf);
}

const channels_serializer channels__serializer_v1 = {
    .name = "Phoenix.Socket.V1.JSONSerializer",
    .decode = decode,
    .encode = encode,
    .close_first = true,
};
