/* deflate.c - see deflate.h. */
#include "transport/deflate.h"

#include <limits.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/zmem.h"
#include "wire/extension.h"

/* How zlib ends what it flushes; in messages it is left out (RFC 7692, 7.2.1). */
#define TAIL "\0\0\xff\xff"
#define TAIL_LEN 4u

/* With 8, zlib's default, 64 KB are cleared for each message instead of 16; messages become no
 * smaller by it. */
#define MEM_LEVEL 6

#define FIRST_SIZE 512u /* of a block for what comes out of a message */

/* --- Streams ------------------------------------------------------------------------------ */

void channels__deflate_init(channels__deflate *d, channels__mem *mem, const channels_config *config,
                            channels_stats *stats)
{
    *d = (channels__deflate){ .mem = mem, .config = config, .stats = stats };
}

static void stream_end(z_stream *z, channels__deflate_use use)
{
    if (use == CHANNELS__DEFLATE_FROM_ALL)
        inflateEnd(z);
    else
        deflateEnd(z);
}

void channels__deflate_deinit(channels__deflate *d)
{
    for (int i = 0; i <= CHANNELS__DEFLATE_FROM_ALL; i++) {
        if (d->streams[i] != NULL)
            stream_end(d->streams[i], (channels__deflate_use)i);
        channels__free(d->mem, d->streams[i], sizeof *d->streams[i]);
    }
}

/* Negative bits: without zlib's own header and checksum. */
static int stream_begin(const channels__deflate *d, z_stream *z, channels__deflate_use use)
{
    int bits = use == CHANNELS__DEFLATE_TO_FEW ? CHANNELS__DEFLATE_SMALL : MAX_WBITS;
    if (use == CHANNELS__DEFLATE_FROM_ALL)
        return inflateInit2(z, -MAX_WBITS);
    return deflateInit2(z, d->config->compress_level, Z_DEFLATED, -bits, MEM_LEVEL,
                        Z_DEFAULT_STRATEGY);
}

static z_stream *stream_of(channels__deflate *d, channels__deflate_use use)
{
    z_stream *z = d->streams[use];
    if (z != NULL || (z = channels__zalloc(d->mem, sizeof *z)) == NULL)
        return z;
    z->zalloc = channels__zmem_alloc;
    z->zfree = channels__zmem_free;
    z->opaque = d->mem;
    if (stream_begin(d, z, use) != Z_OK) {
        channels__free(d->mem, z, sizeof *z);
        return NULL;
    }
    return d->streams[use] = z;
}

/* --- Messages to clients ------------------------------------------------------------------ */

channels_buf *channels__deflate_pack(channels__deflate *d, channels__deflate_use use,
                                     channels_buf *msg)
{
    if (msg->len < d->config->compress_min || msg->len > UINT_MAX - TAIL_LEN)
        return NULL;
    z_stream *z = stream_of(d, use);
    channels_buf *buf = z != NULL ? channels__buf_new(d->mem, msg->len + TAIL_LEN) : NULL;
    if (buf == NULL)
        return NULL;
    deflateReset(z);
    z->next_in = (const unsigned char *)channels__buf_bytes(msg);
    z->avail_in = (unsigned)msg->len;
    z->next_out = (unsigned char *)channels__buf_bytes(buf);
    z->avail_out = (unsigned)buf->len;
    deflate(z, Z_SYNC_FLUSH);
    bool smaller = z->avail_out != 0; /* else it may have more to say, and does not matter */
    size_t len = smaller ? buf->len - z->avail_out - TAIL_LEN : msg->len;
    d->stats->deflate_before += msg->len;
    d->stats->deflate_after += len;
    if (smaller)
        return channels__buf_trim(buf, len);
    channels_buf_unref(buf);
    return NULL;
}

/* --- Messages from clients ---------------------------------------------------------------- */

/* So that at least one more byte has room. Never more than `max`, and not far more than has come
 * out. */
static bool grow(channels__deflate *d, channels__inflated *m, size_t max)
{
    size_t size = m->size == 0 ? FIRST_SIZE : m->size <= max / 2 ? m->size * 2 : max;
    if (size > max)
        size = max;
    char *bytes = channels__resize(d->mem, m->bytes, m->size, size);
    if (bytes == NULL)
        return false;
    m->bytes = bytes;
    m->size = size;
    return true;
}

/* Decompresses what there is room for. One byte more than `max` has room: that is how too much is
 * noticed. */
static int step(channels__deflate *d, z_stream *z, size_t max, channels__inflated *m)
{
    if (m->len == m->size && !grow(d, m, max + 1))
        return Z_MEM_ERROR;
    z->next_out = (unsigned char *)m->bytes + m->len;
    z->avail_out = (unsigned)(m->size - m->len);
    int result = inflate(z, Z_SYNC_FLUSH);
    m->len = m->size - z->avail_out;
    return result;
}

/* *ended: by a final block, behind which nothing comes. Others begin a stream anew behind one. */
static int run(channels__deflate *d, z_stream *z, channels__str in, size_t max,
               channels__inflated *m, bool *ended)
{
    z->next_in = (const unsigned char *)in.p;
    z->avail_in = (unsigned)in.n;
    do {
        int result = step(d, z, max, m);
        *ended = result == Z_STREAM_END;
        if (result == Z_MEM_ERROR)
            return CHANNELS_ERR_NOMEM;
        if (result != Z_OK && result != Z_BUF_ERROR && !*ended)
            return CHANNELS_ERR_PROTOCOL;
        if (m->len > max)
            return CHANNELS_ERR_LIMIT;
        if (*ended)
            inflateReset(z);
    } while (z->avail_in != 0 || (z->avail_out == 0 && !*ended));
    return CHANNELS_OK;
}

/* The message has to end where a block does (data_type says it: zlib.h, at inflate()). After a
 * final block the tail may be left out with the byte that has to be put in front of it (7.2.3.4).
 */
static int unpack(channels__deflate *d, z_stream *z, channels__str packed, size_t max,
                  channels__inflated *m)
{
    bool ended;
    int err = run(d, z, packed, max, m, &ended);
    if (err != CHANNELS_OK || ended)
        return err;
    err = run(d, z, channels__str_n(TAIL, TAIL_LEN), max, m, &ended);
    if (err == CHANNELS_OK && !ended && (z->data_type & 128) == 0)
        err = CHANNELS_ERR_PROTOCOL;
    return err;
}

int channels__deflate_unpack(channels__deflate *d, channels__str packed, size_t max,
                             channels__inflated *m)
{
    z_stream *z = stream_of(d, CHANNELS__DEFLATE_FROM_ALL);
    *m = (channels__inflated){ 0 };
    if (z == NULL)
        return CHANNELS_ERR_NOMEM;
    if (max >= UINT_MAX)
        max = UINT_MAX - 1;
    if (packed.n > max)
        return CHANNELS_ERR_LIMIT;
    inflateReset(z);
    int err = unpack(d, z, packed, max, m);
    d->stats->inflate_before += packed.n;
    d->stats->inflate_after += m->len;
    if (err != CHANNELS_OK) {
        channels__free(d->mem, m->bytes, m->size);
        *m = (channels__inflated){ 0 };
    }
    return err;
}
