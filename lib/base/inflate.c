/* inflate.c - see inflate.h. */
#include "base/inflate.h"

#include <limits.h>
#include <stddef.h>

#define ZLIB_CONST
#include <zlib.h>

#include "channels/channels.h"

/* zlib frees without saying how much: the size stands before each block. */
union header {
    size_t size;
    max_align_t align;
};

static void *allocate(void *mem, unsigned items, unsigned each)
{
    size_t size = sizeof(union header) + (size_t)items * each;
    union header *h = channels__alloc(mem, size);
    if (h == NULL)
        return NULL;
    h->size = size;
    return h + 1;
}

static void release(void *mem, void *p)
{
    union header *h = (union header *)p - 1;
    channels__free(mem, h, h->size);
}

int channels__inflate(const channels__mem *mem, channels__str packed, void *dst, size_t len)
{
    channels__mem copy = *mem; /* zlib hands it on without const */
    z_stream z = { .zalloc = allocate, .zfree = release, .opaque = &copy };
    if (packed.n > UINT_MAX || len > UINT_MAX)
        return CHANNELS_ERR_INVALID;
    z.next_in = (const unsigned char *)packed.p;
    z.avail_in = (unsigned)packed.n;
    z.next_out = dst;
    z.avail_out = (unsigned)len;
    int result = inflateInit(&z);
    if (result == Z_OK)
        result = inflate(&z, Z_FINISH);
    bool whole = result == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return whole ? CHANNELS_OK : result == Z_MEM_ERROR ? CHANNELS_ERR_NOMEM : CHANNELS_ERR_INVALID;
}
