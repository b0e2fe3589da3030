/* inflate.h - what was compressed by zlib (RFC 1950), all at once. */
#ifndef CHANNELS_BASE_INFLATE_H
#define CHANNELS_BASE_INFLATE_H

#include "base/mem.h"
#include "base/str.h"

/* Fills `dst` with the first stream in `packed`, which must give exactly `len` bytes; what follows
 * it is not looked at. CHANNELS_ERR_INVALID, CHANNELS_ERR_NOMEM. */
int channels__inflate(const channels__mem *mem, channels__str packed, void *dst, size_t len);

#endif
