/* squeeze.c - see squeeze.h. */
#include "sim/squeeze.h"

#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "sim/memory.h"

#define TAIL "\0\0\xff\xff"

/* Where malloc is made to fail, it is not for this. */
static void *allocate(void *opaque, unsigned items, unsigned each)
{
    (void)opaque;
    return sim_alloc((size_t)items * each);
}

static void release(void *opaque, void *p)
{
    (void)opaque;
    free(p);
}

char *sim_deflate(const void *bytes, size_t len, int bits, size_t *packed_len)
{
    z_stream z = { .zalloc = allocate, .zfree = release };
    deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY);
    size_t room = len + len / 8 + 100;
    char *packed = sim_alloc(room);
    z.next_in = bytes;
    z.avail_in = (unsigned)len;
    z.next_out = (unsigned char *)packed;
    z.avail_out = (unsigned)room;
    deflate(&z, Z_SYNC_FLUSH);
    *packed_len = room - z.avail_out - 4;
    deflateEnd(&z);
    return packed;
}

char *sim_inflate(const void *packed, size_t len, int bits, size_t *plain_len)
{
    z_stream z = { .zalloc = allocate, .zfree = release };
    size_t room = 1000;
    char *in = sim_alloc(len + 4), *plain = sim_alloc(room + 1);
    memcpy(in, packed, len);
    memcpy(in + len, TAIL, 4);
    inflateInit2(&z, -bits);
    z.next_in = (unsigned char *)in;
    z.avail_in = (unsigned)len + 4;
    int result = Z_OK;
    *plain_len = 0;
    while (result == Z_OK && z.avail_in != 0) {
        if (*plain_len == room)
            plain = sim_resize(plain, (room *= 2) + 1);
        z.next_out = (unsigned char *)plain + *plain_len;
        z.avail_out = (unsigned)(room - *plain_len);
        result = inflate(&z, Z_SYNC_FLUSH);
        *plain_len = room - z.avail_out;
    }
    plain[*plain_len] = '\0';
    inflateEnd(&z);
    free(in);
    if (result == Z_OK)
        return plain;
    free(plain);
    return NULL;
}
