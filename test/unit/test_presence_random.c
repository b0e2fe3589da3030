/* test_presence_random.c - what nodes do and suffer by a seed: changes, lost, doubled and late
 * messages, splits, crashes, restarts, byes, blocked nodes, memory that runs out. Then all is
 * quiet, and every node shows just what those who live track. Each seed also draws its limits, so
 * that logs are too short, messages small and little may come early.
 *
 *     build/test/unit/test_presence_random [FIRST COUNT]     other seeds */
#include "unit/presence_case.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS 400u
#define STEPS 150u
#define QUIET (2 * DOWN / PERIOD + 2 * SILENT) /* periods in which everything has to heal */
#define TRACKED 40u

static unsigned first_seed = 1, seeds = SEEDS;
static unsigned seed_in_hand;

typedef struct world {
    presence_case *c;
    unsigned nodes;
    uint64_t born[NODES][TRACKED]; /* 0: none */
} world;

static uint32_t draw(world *w, uint32_t below)
{
    return presence_random(w->c, below);
}

static void begin_node(world *w, unsigned i)
{
    memset(w->born[i], 0, sizeof w->born[i]);
    assert_non_null(presence_node_start(w->c, i));
}

static void change(world *w, presence_node *n)
{
    uint64_t *born = &w->born[n->number][draw(w, TRACKED)];
    char text[24];
    snprintf(text, sizeof text, draw(w, 3) ? "k%u" : "", draw(w, 6));
    if (*born == 0) {
        if (presence_track_in(n, draw(w, TOPICS), text, "{\"new\":1}", born) != CHANNELS_OK)
            *born = 0;
    } else if (draw(w, 2)) {
        snprintf(text, sizeof text, "{\"n\":%u}", draw(w, 100000));
        presence_update(n, *born, text);
    } else if (presence_untrack(n, *born) == CHANNELS_OK) {
        *born = 0;
    }
}

static void end_node(world *w, presence_node *n)
{
    if (draw(w, 2))
        channels__state_bye(n->state);
    n->faulty.memory.fail_at = 0;
    presence_node_kill(n);
}

static void cut(world *w)
{
    bool on = draw(w, 2);
    for (unsigned i = 0; i < w->nodes; i++)
        for (unsigned j = 0; j < w->nodes; j++)
            if (draw(w, 3) == 0)
                w->c->cut[i][j] = on;
}

static void fail_some(world *w, presence_node *n)
{
    n->faulty.memory.fail_at = n->faulty.memory.calls + 1 + draw(w, 30);
    n->faulty.memory.fail_on = draw(w, 4) == 0;
}

static void step(world *w)
{
    presence_node *n = &w->c->nodes[draw(w, w->nodes)];
    uint32_t what = draw(w, 100);
    if (n->state == NULL) {
        if (what < 30)
            begin_node(w, n->number);
    } else if (what < 55) {
        for (uint32_t i = draw(w, 12); i != 0; i--)
            change(w, n);
    } else if (what < 58) {
        end_node(w, n);
    } else if (what < 63) {
        cut(w);
    } else if (what < 66) {
        fail_some(w, n);
    } else if (what < 70) {
        n->faulty.memory.fail_at = 0;
    } else if (what < 72) {
        w->c->now += draw(w, 3 * DOWN); /* everything stands still */
    } else if (what < 73) {
        presence_ticks(w->c, draw(w, 60));
    } else if (what < 85) {
        w->c->now += draw(w, PERIOD);
        presence_deliver(w->c);
    } else if (what < 95) {
        channels__state_tick(n->state, w->c->now);
    } else {
        presence_ticks(w->c, 1 + draw(w, 3));
    }
    if (n->state != NULL && draw(w, 10) == 0)
        presence_check(n);
}

static void be_quiet(world *w)
{
    presence_case *c = w->c;
    c->losing = c->doubling = c->late_ms = 0;
    memset(c->cut, 0, sizeof c->cut);
    for (unsigned i = 0; i < w->nodes; i++) {
        c->nodes[i].faulty.memory.fail_at = 0;
        if (c->nodes[i].state == NULL && draw(w, 2))
            begin_node(w, i);
    }
    presence_ticks(c, QUIET);
}

/* All show the same, and no more than there is. */
static void all_agree(world *w)
{
    size_t own = 0;
    presence_agree(w->c);
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->c->nodes[i].state != NULL)
            own += presence_own(&w->c->nodes[i]);
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->c->nodes[i].state != NULL)
            assert_int_equal(w->c->nodes[i].view.count, own);
}

static void draw_limits(world *w)
{
    presence_case *c = w->c;
    w->nodes = 2 + draw(w, NODES - 1);
    c->losing = draw(w, 2) ? draw(w, 40) : 0;
    c->doubling = draw(w, 30);
    c->late_ms = draw(w, 2) ? draw(w, 3 * PERIOD) : 0;
    c->config.max_removals = draw(w, 2) ? draw(w, 20) : 1000;
    c->config.max_message = draw(w, 2) ? 1 + draw(w, 300) : 65536;
    c->config.max_early = draw(w, 2) ? draw(w, 500) : 100000;
}

static void run_seed(unsigned seed)
{
    void *state;
    presence_start(&state);
    world w = { .c = state };
    w.c->random = seed * 2654435761u;
    draw_limits(&w);
    for (unsigned i = 0; i < w.nodes; i++)
        begin_node(&w, i);
    for (unsigned i = 0; i < STEPS; i++)
        step(&w);
    be_quiet(&w);
    all_agree(&w);
    presence_stop(&state);
}

static void heals_from_everything(void **state)
{
    (void)state;
    for (unsigned i = 0; i < seeds; i++) {
        seed_in_hand = first_seed + i;
        run_seed(seed_in_hand);
    }
    seed_in_hand = 0;
}

static int tell_seed(void **state)
{
    (void)state;
    if (seed_in_hand != 0)
        fprintf(stderr, "seed %u has failed\n", seed_in_hand);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_teardown(heals_from_everything,
                                                                  tell_seed) };
    if (argc == 3) {
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
        seeds = (unsigned)strtoul(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
