/* channels/serializer.h - other wire formats than Phoenix' two.
 *
 * Which format a client speaks it says by the parameter `vsn` of its request; a mount's option
 * `serializers` lists which formats answer which versions. A serializer is two functions, one that
 * reads what a client sent and one that writes what it is to get. Everything runs on the endpoint's
 * thread. (Phoenix lib/phoenix/socket/serializer.ex) */
#ifndef CHANNELS_SERIALIZER_H
#define CHANNELS_SERIALIZER_H

#include <channels/channels.h>
#include <channels/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Somebody else's bytes. p == NULL: absent. */
typedef struct channels_slice {
    const char *p;
    size_t n;
} channels_slice;

/* A message of a client. The slices may point into the frame or into channels_codec_alloc(); they
 * are looked at until the message has been handled.
 *
 * The refs and `raw_topic` are spelled as the serializer likes, without a NUL: the library compares
 * them byte by byte and hands them back to encode(), no more. Two refs that mean the same must be
 * spelled the same. */
typedef struct channels_incoming {
    channels_slice join_ref, ref; /* absent: null */
    channels_slice raw_topic;     /* the topic as it is to be echoed; absent: as `topic` says */
    channels_slice topic;         /* UTF-8 without a NUL; absent: no text, which no channel has */
    channels_slice event;         /* likewise */
    channels_payload payload;
} channels_incoming;

/* A message for a client, or for all who hear a broadcast. Good for the call. */
typedef enum { CHANNELS_PUSH, CHANNELS_REPLY, CHANNELS_BROADCAST } channels_form;
typedef struct channels_outgoing {
    channels_form form;
    channels_slice join_ref, ref; /* as decode() gave them; a broadcast has neither */
    channels_slice raw_topic; /* if present, to be sent instead of `topic`, which may be absent */
    channels_slice topic;
    channels_slice event;     /* of a push or broadcast; absent in a reply, which is "phx_reply" */
    channels_slice status;    /* of a reply: "ok", "error"; else absent */
    channels_payload payload; /* of a reply: the response */
} channels_outgoing;

/* What a serializer gets its memory from. */
typedef struct channels_codec channels_codec;
/* Room for what decode() or encode() needs besides the frame, freed by the library: of decode()
 * after the message has been handled, of encode() after it returned. NULL if memory ran out. */
CHANNELS_API void *channels_codec_alloc(channels_codec *codec, size_t n);
/* A buf of `len` bytes for encode() to fill at *bytes and give away, or to channels_buf_unref().
 * NULL if memory ran out. */
CHANNELS_API channels_buf *channels_codec_buf(channels_codec *codec, size_t len, void **bytes);

struct channels_serializer {
    const char *name; /* for the log */
    /* Reads a frame into *msg, which is zeroed. CHANNELS_OK; CHANNELS_ERR_PROTOCOL if it means
     * nothing, which closes the client with 1011; CHANNELS_ERR_NOMEM. What it read is checked as
     * strictly as what the built-in ones read: names that are no UTF-8 and JSON that is none or is
     * nested too deep end in CHANNELS_ERR_PROTOCOL too. */
    int (*decode)(channels_codec *codec, channels_payload frame, channels_incoming *msg);
    /* Writes a message into a buf of channels_codec_buf(), which it gives in *buf, and says whether
     * it is text (UTF-8) or bytes. Called once for a broadcast, however many hear it.
     * CHANNELS_OK; CHANNELS_ERR_INVALID if this format cannot carry it: the caller is told so, or
     * the broadcast leaves out the clients of this format; CHANNELS_ERR_NOMEM. */
    int (*encode)(channels_codec *codec, const channels_outgoing *msg, channels_buf **buf,
                  channels_kind *kind);
    /* Clients cannot tell two channels on one topic apart, since they get no join_ref: when a
     * client joins a topic again, the end of the first channel is sent before the answer, not after
     * it. */
    bool close_first;
};

/* Phoenix' own, for "~> 1.0.0" (JSON objects, no bytes) and "~> 2.0.0" (JSON arrays, and frames of
 * bytes): to be listed again in `serializers` by who adds to them. ANY THREAD. */
CHANNELS_API const channels_serializer *channels_serializer_v1(void);
CHANNELS_API const channels_serializer *channels_serializer_v2(void);

#ifdef __cplusplus
}
#endif
#endif
