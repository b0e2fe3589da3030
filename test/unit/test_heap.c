/* test_heap.c - deadlines in order, equal ones in order of insertion, any of them taken out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "sim/memory.h"

#define MANY 500

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void check(const channels__heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        const channels__heap_node *n = heap->nodes[i],
                                  *parent = heap->nodes[i != 0 ? (i - 1) / 2 : 0];
        assert_int_equal(n->at, i);
        assert_true(parent->due < n->due || (parent->due == n->due && parent->order <= n->order));
    }
}

static void sorts(void **state)
{
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__heap_node nodes[MANY];
    channels__heap heap;
    uint32_t random = 1;
    (void)state;
    channels__heap_init(&heap, &mem);
    assert_null(channels__heap_top(&heap));
    for (size_t i = 0; i < MANY; i++) {
        nodes[i].due = next_random(&random) % 40;
        assert_true(channels__heap_insert(&heap, &nodes[i]));
        check(&heap);
    }
    uint64_t due = 0, order = 0;
    for (size_t i = 0; i < MANY; i++) {
        channels__heap_node *top = channels__heap_top(&heap);
        assert_true(top->due > due || (top->due == due && (i == 0 || top->order > order)));
        due = top->due;
        order = top->order;
        channels__heap_remove(&heap, top);
        check(&heap);
    }
    assert_null(channels__heap_top(&heap));
    channels__heap_deinit(&heap);
    assert_int_equal(memory.blocks, 0);
}

static void removes_from_the_middle(void **state)
{
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__heap_node nodes[MANY];
    bool in[MANY] = { false };
    channels__heap heap;
    size_t count = 0;
    uint32_t random = 2;
    (void)state;
    channels__heap_init(&heap, &mem);
    for (unsigned step = 0; step < 4000; step++) {
        size_t i = next_random(&random) % MANY;
        if (in[i]) {
            channels__heap_remove(&heap, &nodes[i]);
        } else {
            nodes[i].due = next_random(&random) % 100;
            assert_true(channels__heap_insert(&heap, &nodes[i]));
        }
        in[i] = !in[i];
        count += in[i] ? 1 : SIZE_MAX;
        assert_int_equal(heap.count, count);
        check(&heap);
    }
    channels__heap_deinit(&heap);
    assert_int_equal(memory.blocks, 0);
}

static void without_memory(void **state)
{
    sim_memory memory = { .fail_at = 2, .fail_on = true };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__heap_node nodes[64];
    channels__heap heap;
    size_t n = 0;
    (void)state;
    channels__heap_init(&heap, &mem);
    for (; n < 64; n++) {
        nodes[n].due = n;
        if (!channels__heap_insert(&heap, &nodes[n]))
            break;
    }
    assert_in_range(n, 1, 63);
    assert_int_equal(heap.count, n);
    check(&heap);
    memory.fail_at = 0;
    assert_true(channels__heap_insert(&heap, &nodes[n]));
    check(&heap);
    channels__heap_deinit(&heap);
    assert_int_equal(memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts),
        cmocka_unit_test(removes_from_the_middle),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
