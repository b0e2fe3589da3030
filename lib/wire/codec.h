/* codec.h - between the core and a serializer: the memory that one works with, and a look at what a
 * serializer of the host's has made, before the core believes it. */
#ifndef CHANNELS_WIRE_CODEC_H
#define CHANNELS_WIRE_CODEC_H

#include "wire/scratch.h"
#include "wire/serializer.h"

typedef struct channels__codec_block channels__codec_block;

/* The endpoint's. */
struct channels_codec {
    channels__scratch scratch;     /* of the message in hand */
    channels__scratch around;      /* of the message that is being written */
    channels__codec_block *blocks; /* of channels_codec_alloc(), the newest first */
    uint32_t max_nesting;          /* of a payload that is decoded */
};

void channels__codec_init(channels_codec *codec, const channels__mem *mem);
void channels__codec_deinit(channels_codec *codec);
/* Frees what channels_codec_alloc() has given, but for blocks as old as `until` and older. */
void channels__codec_release(channels_codec *codec, const channels__codec_block *until);

/* The same as the two below, for serializers of the host's. */
int channels__codec_decode_foreign(channels_codec *codec, const channels_serializer *s,
                                   channels_payload frame, channels_incoming *msg);
int channels__codec_encode_foreign(channels_codec *codec, const channels_serializer *s,
                                   const channels_outgoing *msg, channels_buf **buf,
                                   channels_kind *kind);

/* Phoenix' own are taken at their word. Inline: this is on the way of every message. */
static inline bool channels__codec_trusts(const channels_serializer *s)
{
    return s == &channels__serializer_v2 || s == &channels__serializer_v1;
}
/* Reads a frame. What *msg points to is good until channels__codec_done(). CHANNELS_OK,
 * CHANNELS_ERR_PROTOCOL or CHANNELS_ERR_NOMEM. */
static inline int channels__codec_decode(channels_codec *codec, const channels_serializer *s,
                                         channels_payload frame, uint32_t max_nesting,
                                         channels_incoming *msg)
{
    codec->max_nesting = max_nesting;
    return channels__codec_trusts(s) ? s->decode(codec, frame, msg)
                                     : channels__codec_decode_foreign(codec, s, frame, msg);
}
/* The message has been handled. */
static inline void channels__codec_done(channels_codec *codec)
{
    if (codec->blocks != NULL)
        channels__codec_release(codec, NULL);
}
/* A new buf that nobody else holds. CHANNELS_OK, CHANNELS_ERR_INVALID if the format cannot carry
 * the message, or CHANNELS_ERR_NOMEM. */
static inline int channels__codec_encode(channels_codec *codec, const channels_serializer *s,
                                         const channels_outgoing *msg, channels_buf **buf,
                                         channels_kind *kind)
{
    return channels__codec_trusts(s) ? s->encode(codec, msg, buf, kind)
                                     : channels__codec_encode_foreign(codec, s, msg, buf, kind);
}

#endif
