/* queue.c - the run queue: a ring of what callbacks have still to be told, in order. */
#include "core/core.h"

void channels__queue_init(channels__queue *queue, const channels__mem *mem)
{
    memset(queue, 0, sizeof *queue);
    queue->mem = mem;
}

void channels__queue_deinit(channels__queue *queue)
{
    channels__free(queue->mem, queue->ring, queue->size * sizeof *queue->ring);
}

bool channels__queue_reserve(channels__queue *queue, size_t n)
{
    size_t size = queue->size != 0 ? queue->size : 16;
    if (n > SIZE_MAX / sizeof *queue->ring / 4 - queue->count)
        return false;
    while (size < queue->count + n)
        size *= 2;
    if (size == queue->size)
        return true;
    channels__work *ring = channels__alloc(queue->mem, size * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        ring[i] = queue->ring[(queue->head + i) & (queue->size - 1)];
    channels__queue_deinit(queue);
    queue->ring = ring;
    queue->head = 0;
    queue->size = size;
    return true;
}

bool channels__queue_push(channels__queue *queue, const channels__work *work)
{
    if (!channels__queue_reserve(queue, 1))
        return false;
    queue->ring[(queue->head + queue->count++) & (queue->size - 1)] = *work;
    return true;
}

channels__work channels__queue_shift(channels__queue *queue)
{
    channels__work work = queue->ring[queue->head];
    queue->head = (queue->head + 1) & (queue->size - 1);
    queue->count--;
    return work;
}
