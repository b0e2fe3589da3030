/* scratch.h - memory for the small decoded pieces of the message in hand; used again for the
 * next one. Two calls at most: one reserve, then as many takes as fit. */
#ifndef CHANNELS_WIRE_SCRATCH_H
#define CHANNELS_WIRE_SCRATCH_H

#include <stdbool.h>

#include "base/mem.h"

typedef struct channels__scratch {
    const channels__mem *mem;
    char *bytes;
    size_t used, size;
} channels__scratch;

void channels__scratch_init(channels__scratch *s, const channels__mem *mem);
void channels__scratch_deinit(channels__scratch *s);
/* Forgets what was taken and makes room for `size` bytes; false if memory ran out. A large block
 * of an earlier message is given back. */
bool channels__scratch_reserve(channels__scratch *s, size_t size);
char *channels__scratch_take(channels__scratch *s, size_t n); /* never more than was reserved */

#endif
