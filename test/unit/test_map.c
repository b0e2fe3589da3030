/* test_map.c - nodes by their hash: found while they are in, walked once each, with and without
 * memory for a larger table. */
#include "base/map.h"
#include "unit/faulty.h"

#define MANY 1000u
#define SAME 7u /* nodes of one hash */

typedef struct thing {
    channels__map_node node;
    unsigned number, walked;
} thing;

static thing *find(const channels__map *map, unsigned number)
{
    channels__map_node *n = channels__map_find(map, number / SAME);
    while (n != NULL && ((thing *)(void *)n)->number != number)
        n = channels__map_same(n);
    return (thing *)(void *)n;
}

static bool fill(channels__map *map, thing *things)
{
    for (unsigned i = 0; i < MANY; i++) {
        things[i] = (thing){ .node.hash = i / SAME, .number = i };
        if (!channels__map_reserve(map))
            return false;
        channels__map_insert(map, &things[i].node);
    }
    return true;
}

static void each_is_found(const channels__map *map, thing *things)
{
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(find(map, i), &things[i]);
    assert_null(find(map, MANY + SAME));
    assert_int_equal(map->count, MANY);
}

static bool finds_and_walks(faulty *f)
{
    thing things[MANY];
    channels__map map;
    channels__map_init(&map, &f->mem, 1);
    assert_null(channels__map_find(&map, 0));
    assert_null(channels__map_next(&map, NULL));
    bool filled = fill(&map, things);
    if (filled) {
        each_is_found(&map, things);
        for (channels__map_node *n = NULL; (n = channels__map_next(&map, n)) != NULL;)
            ((thing *)(void *)n)->walked++;
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(things[i].walked, 1);
    }
    channels__map_deinit(&map);
    return filled && (f->memory.fail_at == 0);
}

static void finds(void **state)
{
    (void)state;
    faulty_run(finds_and_walks);
}

static void removes_during_a_walk(void **state)
{
    faulty f;
    thing things[MANY];
    channels__map map;
    (void)state;
    faulty_init(&f);
    channels__map_init(&map, &f.mem, 12345);
    assert_true(fill(&map, things));
    size_t full = f.memory.bytes;
    for (channels__map_node *n = channels__map_next(&map, NULL), *next; n != NULL; n = next) {
        next = channels__map_next(&map, n);
        if (((thing *)(void *)n)->number % 100 != 0)
            channels__map_remove(&map, n);
    }
    channels__map_fit(&map);
    assert_true(f.memory.bytes < full / 4);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(find(&map, i), i % 100 == 0 ? &things[i] : NULL);
    channels__map_deinit(&map);
    assert_int_equal(f.memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(removes_during_a_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
