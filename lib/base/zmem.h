/* zmem.h - memory for zlib's streams: the functions zalloc and zfree of a z_stream, whose `opaque`
 * is a channels__mem. */
#ifndef CHANNELS_BASE_ZMEM_H
#define CHANNELS_BASE_ZMEM_H

#include "base/mem.h"

void *channels__zmem_alloc(void *mem, unsigned items, unsigned each);
void channels__zmem_free(void *mem, void *p);

#endif
