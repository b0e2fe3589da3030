/* buf.c - see buf.h. */
#include "base/buf.h"

#include <assert.h>

channels_buf *channels__buf_new(const channels__mem *mem, size_t len)
{
    if (len > SIZE_MAX - sizeof(channels_buf) - CHANNELS__HEADROOM)
        return NULL;
    size_t size = CHANNELS__HEADROOM + len;
    channels_buf *buf = channels__alloc(mem, sizeof *buf + size);
    if (buf == NULL)
        return NULL;
    buf->mem = mem;
    buf->refs = 1;
    buf->start = CHANNELS__HEADROOM;
    buf->len = len;
    buf->size = size;
    return buf;
}

void channels__buf_prepend(channels_buf *buf, size_t n)
{
    assert(n <= buf->start && buf->refs == 1);
    buf->start -= (uint32_t)n;
    buf->len += n;
}

channels_buf *channels__buf_trim(channels_buf *buf, size_t len)
{
    size_t size = buf->start + len;
    assert(len <= buf->len && buf->refs == 1);
    channels_buf *moved =
        channels__resize(buf->mem, buf, sizeof *buf + buf->size, sizeof *buf + size);
    if (moved != NULL) {
        buf = moved;
        buf->size = size;
    }
    buf->len = len;
    return buf;
}

channels_buf *channels_buf_ref(channels_buf *buf)
{
    buf->refs++;
    return buf;
}

void channels_buf_unref(channels_buf *buf)
{
    if (buf != NULL && --buf->refs == 0)
        channels__free(buf->mem, buf, sizeof *buf + buf->size);
}

const void *channels_buf_data(const channels_buf *buf, size_t *len)
{
    *len = buf->len;
    return buf->room + buf->start;
}
