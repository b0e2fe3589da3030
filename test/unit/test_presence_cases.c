/* test_presence_cases.c - the failures that presence has to survive, by number: nodes a, b and c on
 * a bus and a clock of the test's own, with the default times. All that clients hear and nodes list
 * is checked by sim/cluster.h while time passes; what each case adds stands here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sim/cluster.h"

enum { TICK = 1500, DOWN = 30000, PERMDOWN = 1200000, HEARTBEAT = 11 * TICK, SLACK = 100 };
enum { A, B, C };

typedef struct cases {
    sim_cluster net;
    sim_node *a, *b, *c;
    sim_client *ada, *bob, *eve; /* at these */
} cases;

#define CLEAN(t) assert_string_equal((t)->net.roll.wrong, "")
/* Metas in the first topic, as the node lists them. */
#define SHOWS(node, n) assert_int_equal(sim_node_list(node, 0, NULL), n)
/* How many joins and leaves of the first topic the node has told since it started. */
#define TOLD(node, j, l) \
    do { \
        assert_int_equal((node)->lists[0].joins, j); \
        assert_int_equal((node)->lists[0].leaves, l); \
    } while (0)

static void pass(cases *t, unsigned ms)
{
    sim_cluster_run(&t->net, ms);
    CLEAN(t);
}

static sim_client *come(sim_client *client, sim_node *node, const char *ops)
{
    sim_client_open(client, node);
    sim_client_join(client, 0, "", "s", false);
    if (*ops != '\0')
        sim_client_do(client, 0, ops);
    return client;
}

static int start_nodes(void **state)
{
    cases *t = calloc(1, sizeof *t);
    *state = t;
    t->net.options = (channels_presence_options){
        .broadcast_ms = TICK, .max_silent = 10, .down_ms = DOWN, .permdown_ms = PERMDOWN
    };
    sim_cluster_init(&t->net, 1);
    t->net.bus.delay = 1;
    t->net.bus.echo = true;
    t->a = &t->net.nodes[A];
    t->b = &t->net.nodes[B];
    t->c = &t->net.nodes[C];
    t->ada = &t->net.clients[A];
    t->bob = &t->net.clients[B];
    t->eve = &t->net.clients[C];
    return 0;
}

static int stop_nodes(void **state)
{
    cases *t = *state;
    sim_cluster_deinit(&t->net);
    bool ok = t->net.roll.wrong[0] == '\0';
    if (!ok)
        print_error("%s\n", t->net.roll.wrong);
    free(t);
    return ok ? 0 : -1;
}

/* a and b know each other; ada is tracked on a, bob watches on b. */
static cases *two(void **state)
{
    cases *t = *state;
    sim_node_start(t->a, "a");
    sim_node_start(t->b, "b");
    come(t->ada, t->a, "t0");
    come(t->bob, t->b, "");
    pass(t, 2 * TICK);
    SHOWS(t->b, 1);
    TOLD(t->b, 1, 0);
    return t;
}

static cases *three(void **state)
{
    cases *t = *state;
    sim_node_start(t->c, "c");
    come(t->eve, t->c, "");
    return two(state);
}

static void cut(cases *t, unsigned x, unsigned y, bool on)
{
    t->net.bus.cut[x][y] = t->net.bus.cut[y][x] = on;
}

/* --- 1: what was tracked ends ------------------------------------------------------------- */

static void case_01_ends(void **state)
{
    cases *t = two(state);
    for (unsigned way = 0; way < 4; way++) {
        unsigned joins = t->b->lists[0].joins, leaves = t->b->lists[0].leaves;
        switch (way) {
        case 0: sim_client_close(t->ada); break;
        case 1: sim_client_leave(t->ada, 0); break;
        case 2: sim_client_join(t->ada, 0, "", "s", false); break;
        case 3: sim_owner_drop(t->a, 0); break;
        }
        SHOWS(t->a, 0);
        pass(t, TICK + SLACK);
        SHOWS(t->b, 0);
        TOLD(t->b, joins, leaves + 1);
        if (way == 0)
            come(t->ada, t->a, "t0");
        else if (way == 1)
            sim_client_join(t->ada, 0, "t0", "s", false);
        else if (way == 2)
            sim_owner_do(t->a, 0, 0, "t0");
        pass(t, TICK + SLACK);
    }
}

/* --- 2 to 5: a node dies ------------------------------------------------------------------ */

static void case_02_crash(void **state)
{
    cases *t = two(state);
    sim_owner_do(t->a, 0, 1, "t0t1t2t3");
    pass(t, TICK + SLACK);
    sim_node_crash(t->a);
    pass(t, DOWN - TICK - SLACK);
    SHOWS(t->b, 1); /* last heard at most a tick before */
    pass(t, 3 * TICK);
    SHOWS(t->b, 0);
    TOLD(t->b, 1, 1);
    size_t held = t->b->memory.blocks;
    pass(t, PERMDOWN);
    TOLD(t->b, 1, 1);
    sim_cluster_check_forgotten(&t->net);
    assert_true(t->b->memory.blocks < held - 5); /* the entries and the node */
    CLEAN(t);
}

static void case_03_restart(void **state)
{
    cases *t = two(state);
    sim_node_crash(t->a);
    pass(t, 5000);
    sim_node_start(t->a, "a");
    come(t->ada, t->a, "t0");
    pass(t, TICK / 4 + SLACK); /* its first tick tells of it: there is no ghost from then on */
    SHOWS(t->b, 1);
    TOLD(t->b, 2, 1);
    pass(t, 2 * DOWN);
    TOLD(t->b, 2, 1);
}

static void case_04_restart_after_down(void **state)
{
    cases *t = two(state);
    sim_node_crash(t->a);
    pass(t, DOWN + 3 * TICK);
    TOLD(t->b, 1, 1);
    sim_node_start(t->a, "a");
    come(t->ada, t->a, "t0");
    pass(t, 2 * TICK);
    SHOWS(t->b, 1);
    TOLD(t->b, 2, 1);
    sim_cluster_check_forgotten(&t->net);
    pass(t, PERMDOWN + DOWN);
    TOLD(t->b, 2, 1);
}

static void case_05_another_name(void **state)
{
    cases *t = two(state);
    sim_node_crash(t->a);
    sim_node_start(t->a, "z");
    come(t->ada, t->a, "t0");
    pass(t, 2 * TICK);
    SHOWS(t->b, 2); /* nobody can know that it is the same */
    pass(t, DOWN + TICK);
    SHOWS(t->b, 1);
    TOLD(t->b, 2, 1);
}

/* --- 6 to 9: nodes do not hear each other ------------------------------------------------- */

static void case_06_short_split(void **state)
{
    cases *t = two(state);
    cut(t, A, B, true);
    pass(t, TICK);
    sim_client_do(t->ada, 0, "u0t1"); /* missed */
    pass(t, DOWN - 4 * TICK);
    TOLD(t->b, 1, 0);
    cut(t, A, B, false);
    pass(t, HEARTBEAT + 2 * TICK);
    SHOWS(t->b, 2);
    TOLD(t->b, 3, 1);
    sim_cluster_check_equal(&t->net);
    CLEAN(t);
}

/* Who left during the split is not shown again for a moment when it heals. */
static void case_07_long_split(void **state)
{
    cases *t = two(state);
    sim_owner_do(t->a, 0, 0, "t1t2");
    pass(t, TICK + SLACK);
    cut(t, A, B, true);
    pass(t, DOWN + 2 * TICK);
    SHOWS(t->a, 3);
    SHOWS(t->b, 0);
    TOLD(t->b, 3, 3);
    sim_client_do(t->ada, 0, "x0");
    sim_owner_do(t->a, 0, 0, "u1");
    pass(t, DOWN);
    cut(t, A, B, false);
    pass(t, HEARTBEAT + 2 * TICK);
    SHOWS(t->b, 2);
    TOLD(t->b, 5, 3);
    sim_cluster_check_equal(&t->net);
    CLEAN(t);
}

static void case_08_very_long_split(void **state)
{
    cases *t = two(state);
    cut(t, A, B, true);
    pass(t, PERMDOWN + 2 * TICK);
    SHOWS(t->b, 0);
    sim_client_do(t->ada, 0, "t1x0");
    cut(t, A, B, false);
    pass(t, HEARTBEAT + 3 * TICK);
    SHOWS(t->b, 1);
    TOLD(t->b, 2, 1);
    sim_cluster_check_forgotten(&t->net);
    CLEAN(t);
}

/* a and c are cut off from each other, and both hear b. */
static void case_09_partial_split(void **state)
{
    cases *t = three(state);
    sim_owner_do(t->c, 0, 0, "t1");
    pass(t, 2 * TICK);
    SHOWS(t->c, 2);
    cut(t, A, C, true);
    pass(t, DOWN + 2 * TICK);
    SHOWS(t->a, 1);
    SHOWS(t->b, 2);
    SHOWS(t->c, 1);
    TOLD(t->c, 2, 1);
    sim_client_do(t->ada, 0, "x0t2"); /* b sees this, c hears nothing of it */
    pass(t, DOWN);
    SHOWS(t->b, 2);
    TOLD(t->c, 2, 1);
    cut(t, A, C, false);
    pass(t, HEARTBEAT + 2 * TICK);
    SHOWS(t->c, 2);
    TOLD(t->c, 3, 1);
    sim_cluster_check_equal(&t->net);
    CLEAN(t);
}

/* --- 10 to 13: late, lost, slow ----------------------------------------------------------- */

/* `many` entries in a topic that the cluster does not watch. */
static void track_many(sim_node *node, unsigned many, unsigned pad)
{
    char key[32], *meta = malloc(pad + 32);
    for (unsigned i = 0; i < many; i++) {
        snprintf(key, sizeof key, "user %u", i);
        snprintf(meta, pad + 32, "{\"pad\":\"%0*u\"}", (int)pad, i);
        assert_int_equal(channels_presence_track_owner(node->presence, 1000 + i, "crowd", key,
                                                       channels_json(meta)),
                         CHANNELS_OK);
    }
    free(meta);
}

static void case_10_late_join(void **state)
{
    cases *t = *state;
    sim_node_start(t->a, "a");
    track_many(t->a, 5000, 100);
    come(t->ada, t->a, "t0");
    pass(t, 3 * TICK);
    sim_node_start(t->b, "b");
    come(t->bob, t->b, "");
    pass(t, 3 * TICK);
    SHOWS(t->b, 1);
    assert_int_equal(channels_presence_count(t->b->presence, "crowd"), 5000);
    assert_in_range(t->net.bus.largest, 1000, 512 * 1024);
}

static void case_11_bad_mail(void **state)
{
    cases *t = three(state);
    t->net.bus.lost = 300;
    t->net.bus.doubled = 300;
    t->net.bus.jitter = 2 * TICK;
    for (unsigned i = 0; i < 60; i++) {
        sim_client_do(t->ada, 0, i % 3 == 0 ? "u0" : i % 3 == 1 ? "t1" : "x1");
        pass(t, TICK / 3);
    }
    sim_net_calm(&t->net.bus);
    pass(t, 2 * TICK + HEARTBEAT + 2 * TICK);
    sim_cluster_check_equal(&t->net);
    CLEAN(t);
}

/* Nobody hears anybody: each goes on with its own. What was missed is repaired from the entries,
 * not from a queue of what could not be sent. */
static void case_12_outage(void **state)
{
    cases *t = three(state);
    t->net.bus.lost = 1000;
    for (unsigned i = 0; i < 40; i++) {
        sim_client_do(t->ada, 0, i % 2 == 0 ? "t1u0" : "x1");
        sim_client_do(t->bob, 0, i % 2 == 0 ? "t2" : "x2");
        pass(t, TICK);
    }
    SHOWS(t->a, 1);
    SHOWS(t->b, 0);
    TOLD(t->c, 1, 1);
    t->net.bus.lost = 0;
    uint64_t sent = t->net.bus.sent_bytes;
    pass(t, HEARTBEAT + 2 * TICK);
    sim_cluster_check_equal(&t->net);
    assert_in_range(t->net.bus.sent_bytes - sent, 1, 4000);
    CLEAN(t);
}

static void sleep_through(cases *t, sim_node *node, unsigned ms)
{
    sim_node_stall(node, ms);
    pass(t, ms + SLACK);
}

static void case_13_slow_node(void **state)
{
    cases *t = three(state);
    for (unsigned i = 0; i < 6; i++) { /* reads first or runs its timers first, as it is drawn */
        unsigned leaves = t->b->lists[0].leaves, joins = t->b->lists[0].joins;
        sleep_through(t, t->b, DOWN + i * TICK / 4);
        pass(t, HEARTBEAT + 2 * TICK);
        TOLD(t->b, joins, leaves); /* to itself the others never were away */
    }
    for (unsigned i = 0; i < 6; i++) { /* and falls asleep once more before its next tick */
        unsigned leaves = t->b->lists[0].leaves, joins = t->b->lists[0].joins;
        sleep_through(t, t->b, DOWN + TICK);
        sleep_through(t, t->b, DOWN + TICK);
        pass(t, HEARTBEAT + 2 * TICK);
        TOLD(t->b, joins, leaves);
    }
    sim_owner_do(t->b, 0, 0, "t1");
    pass(t, TICK + SLACK);
    TOLD(t->a, 2, 0);
    sleep_through(t, t->b, DOWN + 2 * TICK);
    TOLD(t->a, 2, 1); /* to others it is as a split */
    pass(t, HEARTBEAT + 2 * TICK);
    TOLD(t->a, 3, 1);
    sim_cluster_check_equal(&t->net);
    CLEAN(t);
}

/* --- 14 and 15: stops and names ----------------------------------------------------------- */

/* A life so short that all which is ever heard of it is its end. */
static void case_14_short_life(void **state)
{
    cases *t = two(state);
    sim_node_crash(t->a);
    sim_node_start(t->a, "a");
    sim_node_stop(t->a, true);
    pass(t, SLACK);
    SHOWS(t->b, 0);
    TOLD(t->b, 1, 1);
}

static void case_14_stops(void **state)
{
    cases *t = three(state);
    sim_owner_do(t->c, 0, 0, "t1");
    pass(t, TICK + SLACK);
    sim_node_stop(t->c, true);
    pass(t, SLACK);
    SHOWS(t->b, 1);
    TOLD(t->b, 2, 1);
    sim_node_stop(t->a, false); /* clients that are back elsewhere are a join, */
    come(t->ada, t->b, "t0");
    SHOWS(t->b, 2);
    TOLD(t->b, 3, 1);
    pass(t, DOWN - HEARTBEAT - 2 * TICK);
    SHOWS(t->b, 2); /* and what they were before leaves later */
    pass(t, HEARTBEAT + 3 * TICK);
    SHOWS(t->b, 1);
    TOLD(t->b, 3, 2);
}

/* A mistake of who set them up: it is told, and mended when one goes. */
static void case_15_namesakes(void **state)
{
    cases *t = *state;
    sim_node_start(t->a, "a");
    sim_node_start(t->b, "a");
    pass(t, 3 * TICK);
    assert_non_null(strstr(t->a->host.log, "another node is called a"));
    assert_non_null(strstr(t->b->host.log, "another node is called a"));
    sim_node_start(t->c, "c");
    pass(t, 3 * TICK);
    sim_node_crash(t->b);
    come(t->ada, t->a, "t0");
    pass(t, DOWN + HEARTBEAT + 3 * TICK);
    SHOWS(t->c, 1);
    sim_cluster_check_forgotten(&t->net);
    CLEAN(t);
}

/* --- 16 to 18: much ----------------------------------------------------------------------- */

static void case_16_update_storm(void **state)
{
    cases *t = two(state);
    uint64_t sent = t->net.bus.sent, bytes = t->net.bus.sent_bytes;
    for (unsigned i = 0; i < 1000; i++)
        sim_client_do(t->ada, 0, "u0");
    TOLD(t->a, 1001, 1000);
    pass(t, TICK);
    assert_int_equal(t->net.bus.sent - sent, 1);
    assert_in_range(t->net.bus.sent_bytes - bytes, 1, 250);
    TOLD(t->b, 2, 1); /* the last of them */
}

static bool counting;
static unsigned asked;

/* What the library would have to call. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    asked += counting && clock != CLOCK_MONOTONIC;
    return (int)syscall(SYS_clock_gettime, clock, now);
}

time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t != NULL)
        *t = now.tv_sec;
    return now.tv_sec;
}

/* It is never asked what time it is, so it does not matter what time it says. */
static void case_17_wall_clock(void **state)
{
    counting = true;
    cases *t = two(state);
    sim_node_crash(t->a);
    pass(t, DOWN + 2 * TICK);
    counting = false;
    SHOWS(t->b, 0);
    assert_int_equal(asked, 0);
}

/* One change among so many entries: the bytes on the bus, and what it makes the other node do. */
static void change_one(cases *t, unsigned before, uint64_t *bytes, size_t *calls)
{
    static unsigned char seen[SIM_ENTRIES];
    track_many(t->a, before, 100);
    pass(t, 10 * TICK);
    assert_int_equal(channels_presence_count(t->b->presence, "crowd"), before);
    *bytes = t->net.bus.sent_bytes;
    sim_client_do(t->ada, 0, "u0");
    *calls = t->b->memory.calls;
    pass(t, TICK);
    *bytes = t->net.bus.sent_bytes - *bytes;
    *calls = t->b->memory.calls - *calls;
    memset(seen, 0, sizeof seen);
    assert_int_equal(sim_node_list(t->b, 0, seen), 1);
}

static void case_18_large(void **state)
{
    cases *t = two(state);
    uint64_t bytes[2];
    size_t calls[2];
    change_one(t, 0, &bytes[0], &calls[0]);
    change_one(t, 20000, &bytes[1], &calls[1]);
    assert_in_range(bytes[1], bytes[0], bytes[0] + 12); /* clocks with more digits */
    assert_in_range(calls[1], 1, 2 * calls[0] + 100);   /* the checks list at random */
    sim_node_start(t->c, "c");
    track_many(t->c, 300, 16000); /* 4.8 MB */
    pass(t, 10 * TICK);
    assert_in_range(t->net.bus.largest, 16000, 512 * 1024);
    CLEAN(t);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, start_nodes, stop_nodes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(case_01_ends),          CASE(case_02_crash),
        CASE(case_03_restart),       CASE(case_04_restart_after_down),
        CASE(case_05_another_name),  CASE(case_06_short_split),
        CASE(case_07_long_split),    CASE(case_08_very_long_split),
        CASE(case_09_partial_split), CASE(case_10_late_join),
        CASE(case_11_bad_mail),      CASE(case_12_outage),
        CASE(case_13_slow_node),     CASE(case_14_stops),
        CASE(case_14_short_life),    CASE(case_15_namesakes),
        CASE(case_16_update_storm),  CASE(case_17_wall_clock),
        CASE(case_18_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
