/* scratch.c - one block, kept from message to message while it is small. */
#include "wire/scratch.h"

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

bool channels__scratch_renew(channels__scratch *s, size_t size)
{
    if (size < CHANNELS__SCRATCH_KEPT)
        size = CHANNELS__SCRATCH_KEPT;
    /* Freed first, not resized: nothing in it is worth copying. */
    channels__scratch_deinit(s);
    s->bytes = channels__alloc(s->mem, size);
    if (s->bytes == NULL)
        return false;
    s->size = size;
    return true;
}
