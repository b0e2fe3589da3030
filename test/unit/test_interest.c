/* test_interest.c - topics that are listened to are never denied, others seldom confirmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/interest.h"

/* A topic's hash: splitmix64. */
static uint64_t hash(uint64_t n)
{
    n = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

/* As its owner does when there is one topic more, the last of those before `end`. */
static void add_last(channels__interest *i, uint64_t begin, uint64_t end)
{
    if (!channels__interest_crowded(i)) {
        channels__interest_add(i, hash(end - 1));
        return;
    }
    assert_true(channels__interest_grow(i));
    for (uint64_t n = begin; n < end; n++)
        channels__interest_add(i, hash(n));
    channels__interest_publish(i);
}

static unsigned confirmed(const channels__interest *i, uint64_t begin, uint64_t end)
{
    unsigned count = 0;
    for (uint64_t n = begin; n < end; n++)
        count += channels__interest_has(i, hash(n));
    return count;
}

static void topics_come_and_go(void **state)
{
    channels__interest i = { 0 };
    (void)state;
    assert_false(channels__interest_has(&i, hash(0)));
    assert_true(channels__interest_begin(&i));
    assert_int_equal(confirmed(&i, 0, 20000), 0);
    for (uint64_t n = 1; n <= 10000; n++)
        add_last(&i, 0, n);
    assert_int_equal(confirmed(&i, 0, 10000), 10000);
    assert_in_range(confirmed(&i, 10000, 20000), 0, 500); /* one in twenty */
    for (uint64_t n = 0; n < 10000; n += 2)
        channels__interest_remove(&i, hash(n));
    for (uint64_t n = 1; n < 10000; n += 2)
        assert_true(channels__interest_has(&i, hash(n)));
    for (uint64_t n = 1; n < 10000; n += 2)
        channels__interest_remove(&i, hash(n));
    assert_int_equal(confirmed(&i, 0, 20000), 0);
    channels__interest_free(&i);
}

/* Without memory to grow it goes on, and errs in one direction only. */
static void crowded(void **state)
{
    channels__interest i = { 0 };
    (void)state;
    assert_true(channels__interest_begin(&i));
    for (uint64_t n = 0; n < 200000; n++)
        channels__interest_add(&i, hash(n));
    assert_int_equal(confirmed(&i, 0, 200000), 200000);
    for (uint64_t n = 1; n < 200000; n++)
        channels__interest_remove(&i, hash(n));
    assert_true(channels__interest_has(&i, hash(0)));
    channels__interest_free(&i);
}

static void another_begins(void **state)
{
    channels__interest i = { 0 };
    (void)state;
    assert_true(channels__interest_begin(&i));
    channels__interest_add(&i, hash(1));
    channels__interest_end(&i);
    assert_false(channels__interest_has(&i, hash(1)));
    assert_true(channels__interest_begin(&i));
    assert_false(channels__interest_has(&i, hash(1)));
    channels__interest_free(&i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_come_and_go),
        cmocka_unit_test(crowded),
        cmocka_unit_test(another_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
