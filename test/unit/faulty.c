/* faulty.c - see faulty.h. */
#include "unit/faulty.h"

#include <stdlib.h>
#include <string.h>

#define FENCE 24 /* keeps what follows it aligned for every type */

struct fence {
    size_t size;
    unsigned char bytes[FENCE];
};

static void put_fences(struct fence *before, size_t size)
{
    before->size = size;
    memset(before->bytes, 0xFE, FENCE);
    memset((char *)(before + 1) + size, 0xFE, FENCE);
}

static void check_fences(const struct fence *before, size_t size)
{
    unsigned char whole[FENCE];
    memset(whole, 0xFE, FENCE);
    assert_int_equal(before->size, size);
    assert_memory_equal(before->bytes, whole, FENCE);
    assert_memory_equal((const char *)(before + 1) + size, whole, FENCE);
}

static void *make(faulty *f, size_t size)
{
    f->calls++;
    if (f->fail_at != 0 && (f->calls == f->fail_at || (f->for_good && f->calls > f->fail_at)))
        return NULL;
    struct fence *block = malloc(sizeof *block + size + FENCE);
    assert_non_null(block);
    put_fences(block, size);
    memset(block + 1, 0xA5, size);
    f->live++;
    return block + 1;
}

static void drop(faulty *f, void *p, size_t size)
{
    struct fence *block = (struct fence *)p - 1;
    check_fences(block, size);
    memset(block, 0x5A, sizeof *block + size);
    free(block);
    f->live--;
}

static void *faulty_realloc(void *user, void *p, size_t old_size, size_t new_size)
{
    void *moved = NULL;
    if (new_size > 0 && (moved = make(user, new_size)) == NULL)
        return NULL;
    if (p != NULL) {
        if (moved != NULL)
            memcpy(moved, p, old_size < new_size ? old_size : new_size);
        drop(user, p, old_size);
    }
    return moved;
}

void faulty_init(faulty *f)
{
    memset(f, 0, sizeof *f);
    f->mem.realloc = faulty_realloc;
    f->mem.user = f;
}

static size_t run_once(bool (*body)(faulty *f), size_t fail_at, bool for_good)
{
    faulty f;
    faulty_init(&f);
    f.fail_at = fail_at;
    f.for_good = for_good;
    assert_int_equal(body(&f), fail_at == 0);
    assert_int_equal(f.live, 0);
    return f.calls;
}

void faulty_run(bool (*body)(faulty *f))
{
    size_t calls = run_once(body, 0, false);
    assert_true(calls > 0);
    for (size_t i = 1; i <= calls; i++) {
        run_once(body, i, false);
        run_once(body, i, true);
    }
}
