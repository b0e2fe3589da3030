/* test_presence_bytes.c - what a change of presence costs on the bus: it does not grow with the
 * number of those who are present, but for the digits of their clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/cluster.h"

enum { TICK = 1500, KINDS = 4 };

/* A message with one change says where the clock is and what range it covers: three numbers, with a
 * byte for each seven bits. 100000 has two bytes more than 10, 1000 one. */
enum { CLOCKS = 3 };

static void pass(sim_cluster *c, unsigned ms)
{
    sim_cluster_run(c, ms);
    assert_string_equal(c->roll.wrong, "");
}

static channels_payload meta(const char *text)
{
    return channels_json(text);
}

static void track_crowd(channels_presence *presence, unsigned many)
{
    char key[16];
    for (unsigned i = 0; i < many; i++) {
        snprintf(key, sizeof key, "user %06u", i);
        assert_int_equal(channels_presence_track_owner(presence, 1, "crowd", key,
                                                       meta("{\"status\":\"online\"}")),
                         CHANNELS_OK);
    }
}

static void change(channels_presence *presence, unsigned kind)
{
    int err = CHANNELS_OK;
    switch (kind) {
    case 0: break; /* nothing */
    case 1:
        err = channels_presence_track_owner(presence, 2, "crowd", "ada", meta("{\"n\":1}"));
        break;
    case 2:
        err = channels_presence_update_owner(presence, 2, "crowd", "ada", meta("{\"n\":2}"));
        break;
    case 3: err = channels_presence_untrack_owner(presence, 2, "crowd", "ada"); break;
    }
    assert_int_equal(err, CHANNELS_OK);
}

/* Two nodes, on one of which so many are present: what the next tick sends after each change. */
static void measure(unsigned many, uint64_t bytes[KINDS])
{
    sim_cluster *c = calloc(1, sizeof *c);
    c->options = (channels_presence_options){ .broadcast_ms = TICK,
                                              .max_silent = 1000,
                                              .down_ms = 1200 * TICK,
                                              .permdown_ms = 1300 * TICK,
                                              .max_present = many + 1 };
    sim_cluster_init(c, 1);
    sim_node_start(&c->nodes[0], "a");
    sim_node_start(&c->nodes[1], "b");
    track_crowd(c->nodes[0].presence, many);
    pass(c, 20 * TICK);
    assert_int_equal(channels_presence_count(c->nodes[1].presence, "crowd"), many);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        change(c->nodes[0].presence, kind);
        bytes[kind] = c->bus.sent_bytes;
        pass(c, TICK);
        bytes[kind] = c->bus.sent_bytes - bytes[kind];
        assert_int_equal(channels_presence_count(c->nodes[1].presence, "crowd"),
                         many + (kind == 1 || kind == 2));
    }
    sim_cluster_deinit(c);
    assert_string_equal(c->roll.wrong, "");
    free(c);
}

static void the_same_for_all(void **state)
{
    static const char *const names[KINDS] = { "no change", "track", "update", "untrack" };
    uint64_t few[KINDS], some[KINDS], many[KINDS];
    (void)state;
    measure(10, few);
    measure(1000, some);
    measure(100000, many);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        print_message("%s: %u, %u and %u bytes with 10, 1000 and 100000 present\n", names[kind],
                      (unsigned)few[kind], (unsigned)some[kind], (unsigned)many[kind]);
        assert_int_equal(some[kind], kind == 0 ? 0 : few[kind] + CLOCKS);
        assert_int_equal(many[kind], kind == 0 ? 0 : few[kind] + 2 * CLOCKS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_same_for_all) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
