/* outq.h - what waits to be written to one client: a ring of bufs with a view as iovecs.
 *
 * A few places are inside the struct, so that a client for whom little waits costs no allocation;
 * a larger ring is given back as soon as all has left. Each buf carries a mark of its owner's,
 * kept in the lowest bit of the pointer. */
#ifndef CHANNELS_BASE_OUTQ_H
#define CHANNELS_BASE_OUTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"

#define CHANNELS__OUTQ_FEW 2u /* a power of two, as every size */

typedef struct channels__outq {
    union {
        uintptr_t few[CHANNELS__OUTQ_FEW];
        uintptr_t *many; /* if size is larger */
    } ring;
    uint32_t head, count, size;
    uint32_t sent; /* bytes of the first that have left */
} channels__outq;

void channels__outq_init(channels__outq *q);
void channels__outq_clear(channels__outq *q, const channels__mem *mem);
/* Bytes of `buf` have left, but not all. */
bool channels__outq_begun(const channels__outq *q, const channels_buf *buf);

/* For what is below. */
bool channels__outq_grow(channels__outq *q, const channels__mem *mem);
void channels__outq_shrink(channels__outq *q, const channels__mem *mem); /* an empty one */
int channels__outq_view_all(const channels__outq *q, struct iovec *iov, int max, char *room,
                            size_t size);

/* Inline: every delivery comes by here. */

static inline uintptr_t *channels__outq_slot(channels__outq *q, uint32_t i)
{
    uintptr_t *ring = q->size > CHANNELS__OUTQ_FEW ? q->ring.many : q->ring.few;
    return &ring[(q->head + i) & (q->size - 1)];
}

/* i < q->count */
static inline channels_buf *channels__outq_at(const channels__outq *q, uint32_t i)
{
    const uintptr_t *ring = q->size > CHANNELS__OUTQ_FEW ? q->ring.many : q->ring.few;
    return (channels_buf *)(ring[(q->head + i) & (q->size - 1)] & ~(uintptr_t)1);
}

/* Takes a reference of its own; false if memory ran out, or at a buf of 4 GB or more. */
static inline bool channels__outq_push(channels__outq *q, const channels__mem *mem,
                                       channels_buf *buf, bool mark)
{
    if (buf->len > UINT32_MAX || (q->count == q->size && !channels__outq_grow(q, mem)))
        return false;
    buf->refs++;
    *channels__outq_slot(q, q->count++) = (uintptr_t)buf | mark;
    return true;
}

/* Fills at most `max` entries: how many. Of several bufs, small ones that follow one another share
 * an entry: they are copied to `room` while they fit into its `size` bytes, since the kernel takes a
 * kilobyte of one piece sooner than ten pieces of it. */
static inline int channels__outq_view(const channels__outq *q, struct iovec *iov, int max,
                                      char *room, size_t size)
{
    if (q->count != 1 || max <= 0)
        return channels__outq_view_all(q, iov, max, room, size);
    channels_buf *buf = channels__outq_at(q, 0);
    iov->iov_base = channels__buf_bytes(buf) + q->sent;
    iov->iov_len = buf->len - q->sent;
    return 1;
}

/* Of *len bytes that have left, takes as many as still belonged to the first buf. If that was all
 * of it, it is out of the queue and returned, its reference now the caller's; NULL if *len is used
 * up or nothing waits. */
static inline channels_buf *channels__outq_retire(channels__outq *q, const channels__mem *mem,
                                                  size_t *len, bool *mark)
{
    if (*len == 0 || q->count == 0)
        return NULL;
    channels_buf *buf = channels__outq_at(q, 0);
    size_t left = buf->len - q->sent;
    if (*len < left) {
        q->sent += (uint32_t)*len;
        *len = 0;
        return NULL;
    }
    *len -= left;
    *mark = (*channels__outq_slot(q, 0) & 1) != 0;
    q->sent = 0;
    q->head++;
    if (--q->count == 0)
        channels__outq_shrink(q, mem);
    return buf;
}

#endif
