/* inflate.c - see inflate.h. */
#include "base/inflate.h"

#include <limits.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/zmem.h"
#include "channels/channels.h"

int channels__inflate(const channels__mem *mem, channels__str packed, void *dst, size_t len)
{
    channels__mem copy = *mem; /* zlib hands it on without const */
    z_stream z = { .zalloc = channels__zmem_alloc, .zfree = channels__zmem_free, .opaque = &copy };
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
