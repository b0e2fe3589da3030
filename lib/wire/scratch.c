/* scratch.c - one block, kept from message to message while it is small. */
#include "wire/scratch.h"

#include <assert.h>

/* What ordinary messages need, and all that is kept when nothing is in hand. */
#define KEPT 2048u

void channels__scratch_init(channels__scratch *s, const channels__mem *mem)
{
    s->mem = mem;
    s->bytes = NULL;
    s->used = s->size = 0;
}

void channels__scratch_deinit(channels__scratch *s)
{
    channels__free(s->mem, s->bytes, s->size);
    channels__scratch_init(s, s->mem);
}

bool channels__scratch_reserve(channels__scratch *s, size_t size)
{
    s->used = 0;
    if (size < KEPT)
        size = KEPT;
    if (size <= s->size && (s->size == KEPT || size > KEPT))
        return true;
    /* Freed first, not resized: nothing in it is worth copying. */
    channels__scratch_deinit(s);
    s->bytes = channels__alloc(s->mem, size);
    if (s->bytes == NULL)
        return false;
    s->size = size;
    return true;
}

char *channels__scratch_take(channels__scratch *s, size_t n)
{
    assert(n <= s->size - s->used);
    char *p = s->bytes + s->used;
    s->used += n;
    return p;
}
