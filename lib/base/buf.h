/* buf.h - immutable bytes, shared by reference: what waits in the queues of many clients.
 *
 * One allocation: header, then room for CHANNELS__HEADROOM bytes in front of the payload, then the
 * payload. The WebSocket transport writes its frame header into that room, so that a message
 * becomes a frame without being copied. The count is a plain integer: a buf never leaves its
 * endpoint's thread. */
#ifndef CHANNELS_BASE_BUF_H
#define CHANNELS_BASE_BUF_H

#include <stdint.h>

#include "base/mem.h"
#include "channels/transport.h"

#define CHANNELS__HEADROOM 10u /* the longest header of an unmasked WebSocket frame */

struct channels_buf {
    const channels__mem *mem;
    uint32_t refs;
    uint32_t start; /* of the bytes that are shown, in `room` */
    size_t len;     /* of them */
    size_t size;    /* of `room` */
    char room[];
};

/* A buf of `len` bytes, not yet set, with one reference; fill channels__buf_bytes(). */
channels_buf *channels__buf_new(const channels__mem *mem, size_t len);
static inline char *channels__buf_bytes(channels_buf *buf)
{
    return buf->room + buf->start;
}
/* Shows `n` more bytes in front, which the caller has set, n <= start; only before the buf is
 * shared. */
void channels__buf_prepend(channels_buf *buf, size_t n);
/* Shows its first `len` bytes and gives the others back; only before it is shared. It may move. */
channels_buf *channels__buf_trim(channels_buf *buf, size_t len);

#endif
