/* memory.c - see memory.h. */
#include "sim/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE UINT64_C(0x6c69766562797465)
#define DEAD UINT64_C(0x6465616462797465)
#define AFTER UINT64_C(0x61667465725f6974)

/* Stands in front of each block; AFTER stands behind it. */
typedef union front {
    struct {
        uint64_t mark;
        size_t size;
    } is;
    max_align_t aligned;
} front;

_Thread_local volatile bool sim_memory_private;

static void mistake(const char *what, const void *p, size_t told, size_t is)
{
    fprintf(stderr, "Bail out! memory: %s (%p, told %zu bytes, has %zu)\n", what, p, told, is);
    abort();
}

static front *check(void *p, size_t told)
{
    front *f = (front *)p - 1;
    uint64_t after;
    if (f->is.mark != LIVE)
        mistake(f->is.mark == DEAD ? "used after it was freed" : "written in front of", p, told,
                f->is.size);
    if (f->is.size != told)
        mistake("another size was told", p, told, f->is.size);
    memcpy(&after, (char *)p + f->is.size, sizeof after);
    if (after != AFTER)
        mistake("written behind", p, told, f->is.size);
    return f;
}

void *sim_resize(void *p, size_t size)
{
    bool before = sim_memory_private;
    sim_memory_private = true;
    p = realloc(p, size);
    sim_memory_private = before;
    if (p == NULL)
        mistake("the test itself has run out of it", p, size, 0);
    return p;
}

void *sim_alloc(size_t size)
{
    return sim_resize(NULL, size);
}

static void *block_new(sim_memory *memory, size_t size)
{
    static const uint64_t after = AFTER;
    front *f = sim_alloc(sizeof *f + size + sizeof after);
    f->is.mark = LIVE;
    f->is.size = size;
    memset(f + 1, 0xa5, size);
    memcpy((char *)(f + 1) + size, &after, sizeof after);
    memory->blocks++;
    memory->bytes += size;
    return f + 1;
}

static void block_free(sim_memory *memory, front *f)
{
    memory->blocks--;
    memory->bytes -= f->is.size;
    f->is.mark = DEAD;
    memset(f + 1, 0xdd, f->is.size);
    free(f);
}

bool sim_memory_fails(sim_memory *memory)
{
    size_t call = ++memory->calls;
    if (memory->fail_at == 0)
        return false;
    return memory->fail_on ? call >= memory->fail_at : call == memory->fail_at;
}

void *sim_memory_realloc(void *arg, void *p, size_t old_size, size_t new_size)
{
    sim_memory *memory = arg;
    front *old = p != NULL ? check(p, old_size) : NULL;
    void *moved = NULL;
    if (p == NULL && old_size != 0)
        mistake("nothing cannot have a size", p, old_size, 0);
    if (new_size != 0) {
        if (sim_memory_fails(memory))
            return NULL;
        moved = block_new(memory, new_size);
        if (p != NULL)
            memcpy(moved, p, old_size < new_size ? old_size : new_size);
    }
    if (old != NULL)
        block_free(memory, old);
    return moved;
}
