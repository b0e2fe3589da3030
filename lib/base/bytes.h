/* bytes.h - what is put behind what was written, and numbers as bytes, the little end first. */
#ifndef CHANNELS_BASE_BYTES_H
#define CHANNELS_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Each put gives where the next goes. `p` may be NULL if there is nothing. Of unrolled loops the
 * compiler makes one store or load. */
static inline void *channels__put(void *to, const void *p, size_t n)
{
    if (n != 0)
        memcpy(to, p, n);
    return (char *)to + n;
}
static inline unsigned char *channels__put_number(unsigned char *to, uint64_t n, unsigned bytes)
{
#pragma GCC unroll 8
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (unsigned char)(n >> 8 * i);
    return to + bytes;
}
static inline uint64_t channels__get_number(const unsigned char *p, unsigned bytes)
{
    uint64_t n = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < bytes; i++)
        n |= (uint64_t)p[i] << 8 * i;
    return n;
}

#endif
