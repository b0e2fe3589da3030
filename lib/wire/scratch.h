/* scratch.h - memory for the small decoded pieces of the message in hand; used again for the
 * next one. Two calls at most: one reserve, then as many takes as fit. */
#ifndef CHANNELS_WIRE_SCRATCH_H
#define CHANNELS_WIRE_SCRATCH_H

#include <assert.h>
#include <stdbool.h>

#include "base/mem.h"

/* What ordinary messages need, and all that is kept when nothing is in hand. */
#define CHANNELS__SCRATCH_KEPT 2048u

typedef struct channels__scratch {
    const channels__mem *mem;
    char *bytes;
    size_t used, size;
} channels__scratch;

void channels__scratch_init(channels__scratch *s, const channels__mem *mem);
void channels__scratch_deinit(channels__scratch *s);
bool channels__scratch_renew(channels__scratch *s, size_t size); /* for what is below */

/* Forgets what was taken and makes room for `size` bytes; false if memory ran out. A large block
 * of an earlier message is given back. */
static inline bool channels__scratch_reserve(channels__scratch *s, size_t size)
{
    s->used = 0;
    if (s->size == CHANNELS__SCRATCH_KEPT ? size <= s->size
                                          : size <= s->size && size > CHANNELS__SCRATCH_KEPT)
        return true;
    return channels__scratch_renew(s, size);
}

static inline char *channels__scratch_take(channels__scratch *s, size_t n) /* as was reserved */
{
    assert(n <= s->size - s->used);
    char *p = s->bytes + s->used;
    s->used += n;
    return p;
}

#endif
