/* heap.h - a binary heap of deadlines of any length, for channel timers. Each entry knows its
 * place, so one can be taken out from the middle. Equal deadlines come out in the order in which
 * they went in. */
#ifndef CHANNELS_BASE_HEAP_H
#define CHANNELS_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct channels__heap_node {
    uint64_t due;
    uint64_t order; /* set by the heap: the number of its insertion */
    size_t at;      /* its index */
} channels__heap_node;

typedef struct channels__heap {
    const channels__mem *mem;
    channels__heap_node **nodes;
    size_t count, size;
    uint64_t inserted;
} channels__heap;

void channels__heap_init(channels__heap *heap, const channels__mem *mem);
void channels__heap_deinit(channels__heap *heap);
bool channels__heap_insert(channels__heap *heap, channels__heap_node *node); /* by node->due */
void channels__heap_remove(channels__heap *heap, channels__heap_node *node);
static inline channels__heap_node *channels__heap_top(const channels__heap *heap)
{
    return heap->count != 0 ? heap->nodes[0] : NULL;
}

#endif
