/* mem.h - allocation through the endpoint's one function.
 *
 * Every block's size is known when it is freed, so hosts may keep arenas and tests can check the
 * sizes. Endpoint's thread only. */
#ifndef CHANNELS_BASE_MEM_H
#define CHANNELS_BASE_MEM_H

#include <stddef.h>

typedef struct channels__mem {
    void *(*realloc)(void *user, void *p, size_t old_size, size_t new_size);
    void *user;
} channels__mem;

void *channels__alloc(const channels__mem *mem, size_t size);  /* NULL if there is no more */
void *channels__zalloc(const channels__mem *mem, size_t size); /* the same, zeroed */
void *channels__resize(const channels__mem *mem, void *p, size_t old_size, size_t new_size);
void channels__free(const channels__mem *mem, void *p, size_t size); /* NULL is fine */
char *channels__strdup(const channels__mem *mem, const char *s);     /* NULL stays NULL */
void channels__strfree(const channels__mem *mem, char *s);
/* The `realloc` of who names none: the C library's. */
void *channels__malloc(void *user, void *p, size_t old_size, size_t new_size);

#endif
