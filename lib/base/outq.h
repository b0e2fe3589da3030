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
/* Takes a reference of its own; false if memory ran out, or at a buf of 4 GB or more. */
bool channels__outq_push(channels__outq *q, const channels__mem *mem, channels_buf *buf, bool mark);
channels_buf *channels__outq_at(const channels__outq *q, uint32_t i); /* i < q->count */
/* Fills at most `max` entries: how many. Of several bufs, small ones that follow one another share an
 * entry: they are copied to `room` while they fit into its `size` bytes, since the kernel takes a
 * kilobyte of one piece sooner than ten pieces of it. */
int channels__outq_view(const channels__outq *q, struct iovec *iov, int max, char *room,
                        size_t size);
/* Of *len bytes that have left, takes as many as still belonged to the first buf. If that was all
 * of it, it is out of the queue and returned, its reference now the caller's; NULL if *len is used
 * up or nothing waits. */
channels_buf *channels__outq_retire(channels__outq *q, const channels__mem *mem, size_t *len,
                                    bool *mark);
/* Bytes of `buf` have left, but not all. */
bool channels__outq_begun(const channels__outq *q, const channels_buf *buf);

#endif
