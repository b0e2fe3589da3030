/* serializer_v2.c - version 2.0: [join_ref, ref, topic, event, payload] as text, and binary frames
 * for payloads that are bytes:
 *
 *   from clients  0  join_ref  ref  topic  event   lengths, one byte each; then these; then data
 *   push          0  join_ref       topic  event
 *   reply         1  join_ref  ref  topic  status
 *   broadcast     2                 topic  event
 */
#include "base/ascii.h"
#include "wire/codec.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define FIELD_MAX 255u
#define REF_ROOM (6 * FIELD_MAX + 2) /* the longest spelling of a ref that can be sent */

static int decode_text(channels_codec *codec, channels__str text, channels_incoming *msg)
{
    channels__str values[CHANNELS__FIELDS];
    bool plain;
    if (!channels__json_array(text, codec->max_nesting, values, CHANNELS__FIELDS, &plain))
        return CHANNELS_ERR_PROTOCOL;
    return channels__envelope_read(&codec->scratch, values, plain, msg);
}

/* The four fields and, in the last place, the data. */
static bool split_binary(channels__str frame, channels__str values[CHANNELS__FIELDS])
{
    if (frame.n < CHANNELS__FIELDS || frame.p[0] != 0)
        return false;
    const char *lengths = frame.p + 1, *p = frame.p + CHANNELS__FIELDS, *end = frame.p + frame.n;
    for (int i = 0; i < CHANNELS__PAYLOAD; i++) {
        size_t n = (unsigned char)lengths[i];
        if (n > (size_t)(end - p) || !channels__utf8_valid(p, n))
            return false;
        values[i] = channels__str_n(p, n);
        p += n;
    }
    values[CHANNELS__PAYLOAD] = channels__str_n(p, (size_t)(end - p));
    return true;
}

/* Refs and the topic as JSON strings, the topic and the event as names. */
static size_t room_for_binary(const channels__str *values)
{
    return channels__json_escaped_len(values[CHANNELS__JOIN_REF]) +
           channels__json_escaped_len(values[CHANNELS__REF]) +
           channels__json_escaped_len(values[CHANNELS__TOPIC]) + values[CHANNELS__TOPIC].n + 1 +
           values[CHANNELS__EVENT].n + 1;
}

/* An empty join_ref is taken for null; Phoenix takes it for "", which no join ever has, and drops
 * the message. An empty ref stays "". */
static int decode_binary(channels__scratch *scratch, channels__str frame, channels_incoming *msg)
{
    channels__str values[CHANNELS__FIELDS];
    if (!split_binary(frame, values))
        return CHANNELS_ERR_PROTOCOL;
    if (!channels__scratch_reserve(scratch, room_for_binary(values)))
        return CHANNELS_ERR_NOMEM;
    channels__str join_ref = values[CHANNELS__JOIN_REF], data = values[CHANNELS__PAYLOAD];
    msg->join_ref =
        join_ref.n > 0 ? channels__envelope_quote(scratch, join_ref) : channels__str_none();
    msg->ref = channels__envelope_quote(scratch, values[CHANNELS__REF]);
    msg->raw_topic = channels__envelope_quote(scratch, values[CHANNELS__TOPIC]);
    msg->topic = channels__envelope_name(scratch, values[CHANNELS__TOPIC]);
    msg->event = channels__envelope_name(scratch, values[CHANNELS__EVENT]);
    msg->payload = channels_binary(data.p, data.n);
    return CHANNELS_OK;
}

static int decode(channels_codec *codec, channels_payload frame, channels_incoming *msg)
{
    channels__str bytes = channels__str_n(frame.data, frame.len);
    if (frame.len == 0)
        return CHANNELS_ERR_PROTOCOL;
    if (frame.kind == CHANNELS_BINARY)
        return decode_binary(&codec->scratch, bytes, msg);
    return decode_text(codec, bytes, msg);
}

static void layout(channels__writer *w, const channels_outgoing *out)
{
    channels__write_z(w, "[");
    channels__write_ref(w, out->join_ref);
    channels__write_z(w, ",");
    channels__write_ref(w, out->ref);
    channels__write_z(w, ",");
    channels__write_topic(w, out);
    channels__write_z(w, ",");
    channels__write_event(w, out);
    channels__write_z(w, ",");
    channels__write_payload(w, out);
    channels__write_z(w, "]");
}

/* The text of a string, the digits of a number, nothing for null; p == NULL: anything else. */
static channels__str ref_text(channels__str ref, char room[REF_ROOM])
{
    if (ref.p == NULL)
        return channels__str_z("");
    if (ref.p[0] == '"' && ref.n <= REF_ROOM)
        return channels__str_n(room, channels__json_unescape(ref, room));
    if (ref.p[0] == '-' || channels__is_digit(ref.p[0]))
        return ref;
    return channels__str_none();
}

/* Those of this form, in their order; how many. */
static int fields_of(const channels_outgoing *out, char rooms[2][REF_ROOM], channels__str *fields)
{
    int n = 0;
    if (out->form != CHANNELS_BROADCAST)
        fields[n++] = ref_text(out->join_ref, rooms[0]);
    if (out->form == CHANNELS_REPLY)
        fields[n++] = ref_text(out->ref, rooms[1]);
    fields[n++] = out->topic;
    fields[n++] = out->form == CHANNELS_REPLY ? out->status : out->event;
    return n;
}

static bool measure_fields(const channels__str *fields, int n, size_t *len)
{
    *len = 0;
    for (int i = 0; i < n; i++) {
        if (fields[i].p == NULL || fields[i].n > FIELD_MAX)
            return false;
        *len += 1 + fields[i].n;
    }
    return true;
}

static char *put_fields(char *dst, const channels__str *fields, int n)
{
    for (int i = 0; i < n; i++)
        *dst++ = (char)fields[i].n;
    for (int i = 0; i < n; i++) {
        memcpy(dst, fields[i].p, fields[i].n);
        dst += fields[i].n;
    }
    return dst;
}

static int encode_binary(const channels__mem *mem, const channels_outgoing *out, channels_buf **buf)
{
    static const char kinds[] = {
        [CHANNELS_PUSH] = 0, [CHANNELS_REPLY] = 1, [CHANNELS_BROADCAST] = 2
    };
    char rooms[2][REF_ROOM];
    channels__str fields[4];
    size_t len;
    int n = fields_of(out, rooms, fields);
    if (!measure_fields(fields, n, &len))
        return CHANNELS_ERR_INVALID;
    *buf = channels__buf_new(mem, 1 + len + out->payload.len);
    if (*buf == NULL)
        return CHANNELS_ERR_NOMEM;
    char *dst = channels__buf_bytes(*buf);
    *dst++ = kinds[out->form];
    dst = put_fields(dst, fields, n);
    if (out->payload.len > 0)
        memcpy(dst, out->payload.data, out->payload.len);
    return CHANNELS_OK;
}

static int encode(channels_codec *codec, const channels_outgoing *out, channels_buf **buf,
                  channels_kind *kind)
{
    *kind = out->payload.kind;
    if (out->payload.kind == CHANNELS_BINARY)
        return encode_binary(codec->scratch.mem, out, buf);
    return channels__envelope_write(&codec->around, out, layout, buf);
}

const channels_serializer channels__serializer_v2 = {
    .name = "Phoenix.Socket.V2.JSONSerializer",
    .decode = decode,
    .encode = encode,
};
