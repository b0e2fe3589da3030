/* heap.c - the binary heap: a parent is never later than its children. */
#include "base/heap.h"

void channels__heap_init(channels__heap *heap, const channels__mem *mem)
{
    heap->mem = mem;
    heap->nodes = NULL;
    heap->count = heap->size = 0;
    heap->inserted = 0;
}

void channels__heap_deinit(channels__heap *heap)
{
    channels__free(heap->mem, heap->nodes, heap->size * sizeof *heap->nodes);
}

static bool earlier(const channels__heap_node *a, const channels__heap_node *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void put(channels__heap *heap, size_t at, channels__heap_node *node)
{
    heap->nodes[at] = node;
    node->at = at;
}

/* Finds the place of `node`, for which the hole at `at` was made. */
static void settle(channels__heap *heap, size_t at, channels__heap_node *node)
{
    while (at > 0 && earlier(node, heap->nodes[(at - 1) / 2])) {
        put(heap, at, heap->nodes[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap->count && earlier(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (child >= heap->count || !earlier(heap->nodes[child], node))
            break;
        put(heap, at, heap->nodes[child]);
        at = child;
    }
    put(heap, at, node);
}

bool channels__heap_insert(channels__heap *heap, channels__heap_node *node)
{
    if (heap->count == heap->size) {
        size_t size = heap->size != 0 ? heap->size * 2 : 16;
        channels__heap_node **nodes = channels__resize(
            heap->mem, heap->nodes, heap->size * sizeof *nodes, size * sizeof *nodes);
        if (nodes == NULL)
            return false;
        heap->nodes = nodes;
        heap->size = size;
    }
    node->order = heap->inserted++;
    settle(heap, heap->count++, node);
    return true;
}

void channels__heap_remove(channels__heap *heap, channels__heap_node *node)
{
    channels__heap_node *last = heap->nodes[--heap->count];
    if (last != node)
        settle(heap, node->at, last);
}
