/* test_presence_memory.c - each allocation fails, once or from then on, on one of two nodes, in the
 * course of all that presence does: what is shown stays the sum of what was reported, and once
 * there is memory again everything heals. A report that cannot be noted counts as an allocation. */
#include "unit/presence_case.h"

#include <stdio.h>

/* What one node does; what fails is left. */
static void changes(presence_node *n, uint64_t *born)
{
    char key[16];
    for (unsigned i = 0; i < 12; i++) {
        snprintf(key, sizeof key, "%s%u", n->name, i % 8);
        if (born[i] == 0 && presence_track_in(n, i % 3, key, "{\"x\":1}", &born[i]) != CHANNELS_OK)
            born[i] = 0;
        presence_check(n);
    }
    for (unsigned i = 0; i < 12; i += 3)
        if (born[i] != 0)
            presence_update(n, born[i], "{\"longer\":\"than before\"}");
    presence_ticks(n->c, 1);
    for (unsigned i = 0; i < 12; i += 2)
        if (born[i] != 0 && presence_untrack(n, born[i]) == CHANNELS_OK)
            born[i] = 0;
    presence_check(n);
}

static void cut(presence_case *c, bool on)
{
    c->cut[0][1] = c->cut[1][0] = on;
}

static bool live(presence_case *c)
{
    uint64_t born[2][12] = { { 0 } };
    for (unsigned i = 0; i < 2; i++)
        if (presence_node_start(c, i) == NULL)
            return false;
    presence_node *a = &c->nodes[0], *b = &c->nodes[1];
    presence_ticks(c, 1);
    changes(a, born[0]);
    changes(b, born[1]);
    presence_ticks(c, 1);
    c->lost = true;
    presence_ticks(c, 1);
    c->lost = false;
    changes(a, born[0]); /* a gap */
    cut(c, true);
    changes(a, born[0]);
    changes(b, born[1]);
    presence_ticks(c, DOWN / PERIOD + 2);
    cut(c, false);
    presence_ticks(c, 3); /* snapshots */
    presence_check(a);
    presence_check(b);
    return true;
}

static void heal(presence_case *c)
{
    for (unsigned i = 0; i < 2; i++)
        c->nodes[i].faulty.memory.fail_at = 0;
    presence_ticks(c, 2 * SILENT);
    presence_agree(c);
    uint64_t more;
    assert_int_equal(presence_track_in(&c->nodes[0], 0, "more", "{}", &more), CHANNELS_OK);
    presence_ticks(c, 1);
    presence_agree(c);
}

/* The calls of the failing node. */
static size_t once(unsigned failing, size_t fail_at, bool fail_on)
{
    void *state;
    presence_start(&state);
    presence_case *c = state;
    sim_memory *memory = &c->nodes[failing].faulty.memory;
    c->config.max_removals = 3;
    c->config.max_message = 150;
    memory->fail_at = fail_at;
    memory->fail_on = fail_on;
    if (live(c))
        heal(c);
    size_t calls = memory->calls;
    for (unsigned i = 0; i < 2; i++) {
        presence_node_kill(&c->nodes[i]);
        assert_int_equal(c->nodes[i].faulty.memory.blocks, 0);
    }
    presence_stop(&state);
    return calls;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned failing = 0; failing < 2; failing++) {
        size_t calls = once(failing, 0, false);
        assert_true(calls > 100);
        for (size_t i = 1; i <= calls; i++) {
            once(failing, i, false);
            once(failing, i, true);
        }
    }
}

/* Who went down while nothing could be noted leaves when it can. */
static void leaves_are_tried_again(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_track(a, "anna");
    presence_ticks(c, 2);
    reported(b, "+alice +anna");
    presence_node_kill(a);
    b->refuses = true;
    presence_ticks(c, 30);
    assert_int_equal(presence_status(b, "a"), CHANNELS__NODE_DOWN);
    presence_check(b);
    assert_int_equal(b->view.count, 2);
    b->refuses = false;
    presence_ticks(c, 1);
    reported(b, "-alice -anna");
}

static void so_are_those_of_a_life_that_is_over(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    b->refuses = true;
    channels__state_bye(a->state);
    presence_deliver(c);
    assert_int_equal(presence_status(b, "a"), -1);
    assert_int_equal(b->view.count, 1);
    presence_ticks(c, 3);
    presence_check(b);
    b->refuses = false;
    presence_ticks(c, 1);
    reported(b, "+alice -alice");
}

static void so_are_joins_after_a_heal(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    cut(c, true);
    presence_ticks(c, 25);
    cut(c, false);
    reported(b, "+alice -alice");
    b->refuses = true;
    presence_ticks(c, SILENT + 1);
    assert_int_equal(presence_status(b, "a"), CHANNELS__NODE_UP);
    presence_check(b);
    b->refuses = false;
    presence_ticks(c, 1);
    reported(b, "+alice");
}

static void own_entries_stay_as_they_were(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    uint64_t born = presence_track(a, "alice"), none;
    a->refuses = true;
    assert_int_equal(presence_track_in(a, 0, "ben", "{}", &none), CHANNELS_ERR_NOMEM);
    assert_int_equal(presence_update(a, born, "{\"x\":1}"), CHANNELS_ERR_NOMEM);
    assert_int_equal(presence_untrack(a, born), CHANNELS_ERR_NOMEM);
    presence_check(a);
    a->refuses = false;
    assert_int_equal(presence_untrack(a, born), CHANNELS_OK);
    reported(a, "+alice -alice");
}

/* Even where there is no more at all, as long as the report can be noted. */
static void untracking_needs_no_memory(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    uint64_t born[100];
    for (unsigned i = 0; i < 100; i++)
        born[i] = presence_track(a, "x");
    presence_ticks(c, 1);
    for (unsigned i = 0; i < 100; i++) {
        a->faulty.memory.fail_at = a->faulty.memory.calls + 2; /* the first is the report */
        a->faulty.memory.fail_on = true;
        assert_int_equal(presence_untrack(a, born[i]), CHANNELS_OK);
    }
    a->faulty.memory.fail_at = 0;
    presence_check(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        PRESENCE_TEST(leaves_are_tried_again),
        PRESENCE_TEST(so_are_those_of_a_life_that_is_over),
        PRESENCE_TEST(so_are_joins_after_a_heal),
        PRESENCE_TEST(own_entries_stay_as_they_were),
        PRESENCE_TEST(untracking_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
