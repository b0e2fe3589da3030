/* envelope.h - what the JSON formats have in common: the five values around which each puts its
 * own punctuation, read into a message and written from one. */
#ifndef CHANNELS_WIRE_ENVELOPE_H
#define CHANNELS_WIRE_ENVELOPE_H

#include "base/buf.h"
#include "base/str.h"
#include "channels/serializer.h"
#include "wire/scratch.h"

/* In the order of V2. */
enum {
    CHANNELS__JOIN_REF,
    CHANNELS__REF,
    CHANNELS__TOPIC,
    CHANNELS__EVENT,
    CHANNELS__PAYLOAD,
    CHANNELS__FIELDS
};

/* `values` are JSON text already checked; p == NULL: absent, which only a ref may be. `plain`:
 * strings among them are known to have no escapes. 0 or CHANNELS_ERR_NOMEM. */
int channels__envelope_read(channels__scratch *scratch,
                            const channels__str values[CHANNELS__FIELDS], bool plain,
                            channels_incoming *msg);
/* `text` as a name: NUL-terminated in the scratch; absent if it holds a NUL. */
channels__str channels__envelope_name(channels__scratch *scratch, channels__str text);
/* `text` as a JSON string in the scratch. */
channels__str channels__envelope_quote(channels__scratch *scratch, channels__str text);

/* Where what stands around a payload is written; there is room for all of it. */
typedef struct channels__writer {
    char *to;      /* behind what was written */
    char *payload; /* where the payload belongs */
} channels__writer;

static inline void channels__write(channels__writer *w, const char *text, size_t n)
{
    memcpy(w->to, text, n);
    w->to += n;
}
/* Inline, so that the lengths of literals are known when compiling. */
static inline void channels__write_z(channels__writer *w, const char *literal)
{
    channels__write(w, literal, strlen(literal));
}
void channels__write_ref(channels__writer *w, channels__str ref);
void channels__write_topic(channels__writer *w, const channels_outgoing *out);
void channels__write_event(channels__writer *w, const channels_outgoing *out);
/* Once, in a layout. */
void channels__write_payload(channels__writer *w, const channels_outgoing *out);

/* What `layout` writes, and the payload, in a new buf. Literals of a layout: 64 bytes at most.
 * Forgets what was taken of `scratch`. 0 or CHANNELS_ERR_NOMEM. */
int channels__envelope_write(channels__scratch *scratch, const channels_outgoing *out,
                             void (*layout)(channels__writer *w, const channels_outgoing *out),
                             channels_buf **buf);

#endif
