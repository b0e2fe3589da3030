/* interest.c - a counting Bloom filter with one writer and many readers. */
#include "cluster/interest.h"

#include <stdlib.h>

#define FIRST_SIZE 1024
#define PER_TOPIC 8

/* What it counts crosses threads: from plain malloc. */
static bool push(channels__interest *i, size_t size)
{
    channels__counters *c = calloc(1, sizeof *c + size * sizeof *c->at);
    if (c == NULL)
        return false;
    c->size = size;
    c->older = i->own;
    i->own = c;
    i->topics = 0;
    return true;
}

static _Atomic(uint8_t) *first(channels__counters *c, uint64_t hash)
{
    return &c->at[hash & (c->size - 1)];
}

static _Atomic(uint8_t) *second(channels__counters *c, uint64_t hash)
{
    return &c->at[hash >> 32 & (c->size - 1)];
}

bool channels__interest_has(const channels__interest *i, uint64_t hash)
{
    channels__counters *c = atomic_load_explicit(&i->published, memory_order_acquire);
    return c != NULL && atomic_load_explicit(first(c, hash), memory_order_relaxed) != 0 &&
           atomic_load_explicit(second(c, hash), memory_order_relaxed) != 0;
}

static void count(_Atomic(uint8_t) *at, int step)
{
    uint8_t n = atomic_load_explicit(at, memory_order_relaxed);
    if (n != UINT8_MAX)
        atomic_store_explicit(at, (uint8_t)(n + step), memory_order_relaxed);
}

void channels__interest_add(channels__interest *i, uint64_t hash)
{
    i->topics++;
    count(first(i->own, hash), 1);
    count(second(i->own, hash), 1);
}

void channels__interest_remove(channels__interest *i, uint64_t hash)
{
    i->topics--;
    count(first(i->own, hash), -1);
    count(second(i->own, hash), -1);
}

bool channels__interest_begin(channels__interest *i)
{
    if (i->own == NULL && !push(i, FIRST_SIZE))
        return false;
    for (size_t n = 0; n < i->own->size; n++)
        atomic_store_explicit(&i->own->at[n], 0, memory_order_relaxed);
    i->topics = 0;
    channels__interest_publish(i);
    return true;
}

bool channels__interest_crowded(const channels__interest *i)
{
    return i->topics >= i->own->size / PER_TOPIC;
}

bool channels__interest_grow(channels__interest *i)
{
    return push(i, i->own->size * 2);
}

void channels__interest_publish(channels__interest *i)
{
    atomic_store_explicit(&i->published, i->own, memory_order_release);
}

void channels__interest_end(channels__interest *i)
{
    atomic_store_explicit(&i->published, NULL, memory_order_relaxed);
}

void channels__interest_free(channels__interest *i)
{
    while (i->own != NULL) {
        channels__counters *c = i->own;
        i->own = c->older;
        free(c);
    }
}
