/* zmem.c - see zmem.h. */
#include "base/zmem.h"

/* zlib frees without saying how much: the size stands before each block. */
union header {
    size_t size;
    max_align_t align;
};

void *channels__zmem_alloc(void *mem, unsigned items, unsigned each)
{
    size_t size = sizeof(union header) + (size_t)items * each;
    union header *h = channels__alloc(mem, size);
    if (h == NULL)
        return NULL;
    h->size = size;
    return h + 1;
}

void channels__zmem_free(void *mem, void *p)
{
    union header *h = (union header *)p - 1;
    channels__free(mem, h, h->size);
}
