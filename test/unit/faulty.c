/* faulty.c - see faulty.h. */
#include "unit/faulty.h"

void faulty_init(faulty *f)
{
    *f = (faulty){ .mem.realloc = sim_memory_realloc };
    f->mem.user = &f->memory;
}

static size_t run_once(bool (*body)(faulty *f), size_t fail_at, bool fail_on)
{
    faulty f;
    faulty_init(&f);
    f.memory.fail_at = fail_at;
    f.memory.fail_on = fail_on;
    assert_int_equal(body(&f), fail_at == 0);
    assert_int_equal(f.memory.blocks, 0);
    return f.memory.calls;
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
