/* deflate.h - messages compressed as permessage-deflate has it (RFC 7692, 7.2), each by itself: no
 * context is taken over from one to the next.
 *
 * So a compressor for each window and one decompressor do for all clients of an endpoint. Each is
 * made when it is first needed, and kept. */
#ifndef CHANNELS_TRANSPORT_DEFLATE_H
#define CHANNELS_TRANSPORT_DEFLATE_H

#include "base/buf.h"
#include "base/str.h"
#include "channels/stats.h"

struct z_stream_s;

typedef enum {
    CHANNELS__DEFLATE_TO_ANY,  /* compresses, with a window of 15 bits */
    CHANNELS__DEFLATE_TO_FEW,  /* with one of CHANNELS__DEFLATE_SMALL bits */
    CHANNELS__DEFLATE_FROM_ALL /* decompresses, whatever the window was */
} channels__deflate_use;

/* The endpoint's. */
typedef struct channels__deflate {
    channels__mem *mem;
    const channels_config *config;
    channels_stats *stats;
    struct z_stream_s *streams[3]; /* by use; NULL: not made yet */
} channels__deflate;

/* A message that was compressed. Its `size` bytes are the receiver's to free. */
typedef struct channels__inflated {
    char *bytes;
    size_t len, size;
} channels__inflated;

void channels__deflate_init(channels__deflate *d, channels__mem *mem, const channels_config *config,
                            channels_stats *stats);
void channels__deflate_deinit(channels__deflate *d);

/* A new buf with `msg` compressed. NULL if it is to go as it is: it is smaller than
 * config.compress_min, compressing makes it no smaller, or there is no memory for that. */
channels_buf *channels__deflate_pack(channels__deflate *d, channels__deflate_use use,
                                     channels_buf *msg);

/* A whole message of a client. CHANNELS_ERR_LIMIT as soon as more than `max` bytes have come out of
 * it; CHANNELS_ERR_PROTOCOL if it was not compressed so; CHANNELS_ERR_NOMEM. Then there is nothing
 * to free. */
int channels__deflate_unpack(channels__deflate *d, channels__str packed, size_t max,
                             channels__inflated *m);

#endif
