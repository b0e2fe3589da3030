/* memory.h - an allocator that finds mistakes: it checks the sizes it is told, moves a block at
 * each change of its size, fills what is new and what is freed with junk, guards both ends, counts,
 * and fails when it is told to. A mistake ends the program. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sim_memory {
    size_t blocks, bytes; /* in use */
    size_t calls;         /* allocations asked for so far; to free is none */
    size_t fail_at;       /* the number of the call that fails; 0: none does */
    bool fail_on;         /* and so do all after it */
} sim_memory;

/* As channels_config.realloc, with the memory as its hooks. */
void *sim_memory_realloc(void *memory, void *p, size_t old_size, size_t new_size);

/* Counts a call: it is to fail. */
bool sim_memory_fails(sim_memory *memory);

/* What the tests themselves need comes from here and never fails; free() gives it back. Where
 * malloc is made to fail, it asks `sim_memory_private` whether it is for them. */
void *sim_alloc(size_t size);
void *sim_resize(void *p, size_t size);
extern _Thread_local volatile bool sim_memory_private; /* realloc() is taken not to look */

#endif
