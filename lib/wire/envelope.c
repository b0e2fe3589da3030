/* envelope.c - see envelope.h. */
#include "wire/envelope.h"

#include "wire/json.h"

static bool is_string(channels__str json)
{
    return json.n > 0 && json.p[0] == '"';
}

/* Names lose their quotes and get a NUL. Refs with escapes are unescaped and escaped again. */
static size_t room_for(const channels__str *values)
{
    size_t size = 0;
    for (int i = CHANNELS__JOIN_REF; i <= CHANNELS__EVENT; i++) {
        if (is_string(values[i]))
            size += i <= CHANNELS__REF ? 2 * values[i].n : values[i].n;
    }
    return size;
}

channels__str channels__envelope_quote(channels__scratch *scratch, channels__str text)
{
    char *json = channels__scratch_take(scratch, channels__json_escaped_len(text));
    return channels__str_n(json, (size_t)(channels__json_escape(text, json) - json));
}

/* Two spellings of one string become the same: what need not be escaped is not. A string without
 * escapes is already spelled so. */
static inline channels__str read_ref(channels__scratch *scratch, channels__str json, bool plain)
{
    if (json.p == NULL || json.p[0] == 'n')
        return channels__str_none();
    if (plain || !is_string(json) || memchr(json.p, '\\', json.n) == NULL)
        return json;
    char *text = channels__scratch_take(scratch, json.n);
    size_t n = channels__json_unescape(json, text);
    return channels__envelope_quote(scratch, channels__str_n(text, n));
}

/* Room is left for the NUL. */
static channels__str terminate(char *text, size_t n)
{
    text[n] = '\0';
    return channels__str_n(text, n);
}

channels__str channels__envelope_name(channels__scratch *scratch, channels__str text)
{
    if (memchr(text.p, '\0', text.n) != NULL)
        return channels__str_none();
    char *name = channels__scratch_take(scratch, text.n + 1);
    memcpy(name, text.p, text.n);
    return terminate(name, text.n);
}

/* Only an escape, which is longer than what it stands for, can bring in a NUL. */
static inline channels__str read_name(channels__scratch *scratch, channels__str json, bool plain)
{
    if (!is_string(json))
        return channels__str_none();
    char *name = channels__scratch_take(scratch, json.n);
    if (plain)
        return terminate(memcpy(name, json.p + 1, json.n - 2), json.n - 2);
    size_t n = channels__json_unescape(json, name);
    if (n < json.n - 2 && memchr(name, '\0', n) != NULL)
        return channels__str_none();
    return terminate(name, n);
}

int channels__envelope_read(channels__scratch *scratch,
                            const channels__str values[CHANNELS__FIELDS], bool plain,
                            channels_incoming *msg)
{
    if (!channels__scratch_reserve(scratch, room_for(values)))
        return CHANNELS_ERR_NOMEM;
    channels__str payload = values[CHANNELS__PAYLOAD];
    msg->join_ref = read_ref(scratch, values[CHANNELS__JOIN_REF], plain);
    msg->ref = read_ref(scratch, values[CHANNELS__REF], plain);
    msg->raw_topic = values[CHANNELS__TOPIC];
    msg->topic = read_name(scratch, values[CHANNELS__TOPIC], plain);
    msg->event = read_name(scratch, values[CHANNELS__EVENT], plain);
    msg->payload = channels_json_n(payload.p, payload.n);
    return CHANNELS_OK;
}

static void write_string(channels__writer *w, channels__str text)
{
    w->to = channels__json_escape(text, w->to);
}

void channels__write_ref(channels__writer *w, channels__str ref)
{
    if (ref.p != NULL)
        channels__write(w, ref.p, ref.n);
    else
        channels__write_z(w, "null");
}

void channels__write_topic(channels__writer *w, const channels_outgoing *out)
{
    if (out->raw_topic.p != NULL)
        channels__write(w, out->raw_topic.p, out->raw_topic.n);
    else
        write_string(w, out->topic);
}

void channels__write_event(channels__writer *w, const channels_outgoing *out)
{
    if (out->form == CHANNELS_REPLY)
        channels__write_z(w, "\"phx_reply\"");
    else
        write_string(w, out->event);
}

void channels__write_payload(channels__writer *w, const channels_outgoing *out)
{
    bool reply = out->form == CHANNELS_REPLY;
    if (reply) {
        channels__write_z(w, "{\"status\":");
        write_string(w, out->status);
        channels__write_z(w, ",\"response\":");
    }
    w->payload = w->to;
    if (reply)
        channels__write_z(w, "}");
}

/* What is written around the payload is not longer; names count six times, for their escapes. */
static size_t most_around(const channels_outgoing *out)
{
    const size_t literals = 64 + sizeof "\"phx_reply\"{\"status\":,\"response\":}nullnull" + 3 * 2;
    return literals + out->join_ref.n + out->ref.n + out->raw_topic.n +
           6 * (out->topic.n + out->event.n + out->status.n);
}

int channels__envelope_write(channels__scratch *scratch, const channels_outgoing *out,
                             void (*layout)(channels__writer *w, const channels_outgoing *out),
                             channels_buf **buf)
{
    size_t most = most_around(out);
    if (!channels__scratch_reserve(scratch, most))
        return CHANNELS_ERR_NOMEM;
    char *around = channels__scratch_take(scratch, most);
    channels__writer w = { around, NULL };
    layout(&w, out);
    size_t before = (size_t)(w.payload - around), behind = (size_t)(w.to - w.payload);
    channels_buf *made = channels__buf_new(scratch->mem, before + out->payload.len + behind);
    if (made == NULL)
        return CHANNELS_ERR_NOMEM;
    char *to = channels__buf_bytes(made);
    memcpy(to, around, before);
    if (out->payload.len != 0)
        memcpy(to + before, out->payload.data, out->payload.len);
    memcpy(to + before + out->payload.len, w.payload, behind);
    *buf = made;
    return CHANNELS_OK;
}
