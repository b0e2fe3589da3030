/* test_mem.c - lib/base/mem.c. */
#include <string.h>

#include "unit/faulty.h"

static void blocks_come_go_and_grow(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    char *p = channels__alloc(&f.mem, 3);
    memcpy(p, "abc", 3);
    p = channels__resize(&f.mem, p, 3, 100);
    assert_memory_equal(p, "abc", 3);
    p = channels__resize(&f.mem, p, 100, 2);
    assert_memory_equal(p, "ab", 2);
    assert_int_equal(f.memory.blocks, 1);
    channels__free(&f.mem, p, 2);
    assert_int_equal(f.memory.blocks, 0);
}

static void zalloc_is_zeroed(void **state)
{
    static const char zeros[32];
    faulty f;
    (void)state;
    faulty_init(&f);
    char *p = channels__zalloc(&f.mem, sizeof zeros);
    assert_memory_equal(p, zeros, sizeof zeros);
    channels__free(&f.mem, p, sizeof zeros);
    assert_int_equal(f.memory.blocks, 0);
}

static void strings_are_copied(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    char *copy = channels__strdup(&f.mem, "room:lobby"), *empty = channels__strdup(&f.mem, "");
    assert_string_equal(copy, "room:lobby");
    assert_string_equal(empty, "");
    channels__strfree(&f.mem, copy);
    channels__strfree(&f.mem, empty);
    assert_int_equal(f.memory.blocks, 0);
}

static void null_is_fine(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    assert_null(channels__strdup(&f.mem, NULL));
    channels__strfree(&f.mem, NULL);
    channels__free(&f.mem, NULL, 0);
    assert_int_equal(f.memory.calls, 0);
}

static void out_of_memory_is_null(void **state)
{
    faulty f;
    (void)state;
    faulty_init(&f);
    char *kept = channels__alloc(&f.mem, 4);
    memcpy(kept, "kept", 4);
    f.memory.fail_at = 2;
    f.memory.fail_on = true;
    assert_null(channels__alloc(&f.mem, 1));
    assert_null(channels__zalloc(&f.mem, 1));
    assert_null(channels__strdup(&f.mem, "x"));
    assert_null(channels__resize(&f.mem, kept, 4, 8));
    assert_memory_equal(kept, "kept", 4);
    channels__free(&f.mem, kept, 4);
    assert_int_equal(f.memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_go_and_grow), cmocka_unit_test(zalloc_is_zeroed),
        cmocka_unit_test(strings_are_copied),      cmocka_unit_test(null_is_fine),
        cmocka_unit_test(out_of_memory_is_null),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
