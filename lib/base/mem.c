/* mem.c - the allocator's few shapes, all of them one call of the endpoint's function. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *channels__alloc(const channels__mem *mem, size_t size)
{
    return channels__resize(mem, NULL, 0, size);
}

void *channels__zalloc(const channels__mem *mem, size_t size)
{
    void *p = channels__alloc(mem, size);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void *channels__resize(const channels__mem *mem, void *p, size_t old_size, size_t new_size)
{
    return mem->realloc(mem->user, p, old_size, new_size);
}

void channels__free(const channels__mem *mem, void *p, size_t size)
{
    if (p != NULL)
        mem->realloc(mem->user, p, size, 0);
}

char *channels__strdup(const channels__mem *mem, const char *s)
{
    if (s == NULL)
        return NULL;
    size_t size = strlen(s) + 1;
    char *copy = channels__alloc(mem, size);
    if (copy != NULL)
        memcpy(copy, s, size);
    return copy;
}

void channels__strfree(const channels__mem *mem, char *s)
{
    if (s != NULL)
        channels__free(mem, s, strlen(s) + 1);
}

void *channels__malloc(void *user, void *p, size_t old_size, size_t new_size)
{
    (void)user, (void)old_size;
    if (new_size != 0)
        return realloc(p, new_size);
    free(p);
    return NULL;
}
