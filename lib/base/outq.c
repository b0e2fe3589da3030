/* outq.c - see outq.h. */
#include "base/outq.h"

#include <string.h>

#define SMALL 1024u /* bytes that are copied sooner than given an entry of their own */

void channels__outq_init(channels__outq *q)
{
    q->head = q->count = 0;
    q->size = CHANNELS__OUTQ_FEW;
    q->sent = 0;
}

void channels__outq_shrink(channels__outq *q, const channels__mem *mem)
{
    if (q->size > CHANNELS__OUTQ_FEW)
        channels__free(mem, q->ring.many, q->size * sizeof *q->ring.many);
    channels__outq_init(q);
}

void channels__outq_clear(channels__outq *q, const channels__mem *mem)
{
    for (uint32_t i = 0; i < q->count; i++)
        channels_buf_unref(channels__outq_at(q, i));
    channels__outq_shrink(q, mem);
}

bool channels__outq_grow(channels__outq *q, const channels__mem *mem)
{
    uint32_t size = q->size == CHANNELS__OUTQ_FEW ? 16 : q->size * 2;
    uintptr_t *many = size > q->size ? channels__alloc(mem, size * sizeof *many) : NULL;
    if (many == NULL)
        return false;
    for (uint32_t i = 0; i < q->count; i++)
        many[i] = *channels__outq_slot(q, i);
    if (q->size > CHANNELS__OUTQ_FEW)
        channels__free(mem, q->ring.many, q->size * sizeof *many);
    q->ring.many = many;
    q->head = 0;
    q->size = size;
    return true;
}

int channels__outq_view_all(const channels__outq *q, struct iovec *iov, int max, char *room,
                            size_t size)
{
    int n = 0;
    size_t skip = q->sent;
    char *to = room;
    for (uint32_t i = 0; i < q->count; i++, skip = 0) {
        channels_buf *buf = channels__outq_at(q, i);
        char *bytes = channels__buf_bytes(buf) + skip;
        size_t len = buf->len - skip;
        bool small = len <= SMALL && len <= size - (size_t)(to - room);
        bool follows = small && n != 0 && (char *)iov[n - 1].iov_base + iov[n - 1].iov_len == to;
        if (!follows && n == max)
            break;
        if (small) {
            bytes = memcpy(to, bytes, len);
            to += len;
        }
        if (follows)
            iov[n - 1].iov_len += len;
        else
            iov[n++] = (struct iovec){ bytes, len };
    }
    return n;
}

bool channels__outq_begun(const channels__outq *q, const channels_buf *buf)
{
    return q->sent != 0 && q->count != 0 && channels__outq_at(q, 0) == buf;
}
