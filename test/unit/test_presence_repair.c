/* test_presence_repair.c - what was lost is made good: from the log, or by a snapshot in parts
 * while things go on; and what all of this may cost in messages, bytes and memory. */
#include "unit/presence_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two that know each other. */
static void two(presence_case *c, presence_node **a, presence_node **b)
{
    *a = presence_node_start(c, 0);
    *b = presence_node_start(c, 1);
    presence_ticks(c, 2);
}

static void drop(presence_parcel *p)
{
    for (presence_parcel *next; p != NULL; p = next) {
        next = p->next;
        free(p);
    }
}

/* What `n` sends with its tick, not delivered yet. */
static presence_parcel *tick_alone(presence_node *n)
{
    channels__state_tick(n->state, n->c->now);
    return presence_take(n->c);
}

/* --- The log ------------------------------------------------------------------------------ */

static void a_lost_delta_is_asked_for(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    two(c, &a, &b);
    uint64_t requests = b->sent.requests;
    presence_track(a, "lost");
    drop(tick_alone(a));
    presence_track(a, "next");
    presence_ticks(c, 1);
    reported(b, "+lost +next");
    assert_int_equal(b->sent.requests, requests + 1);
    assert_int_equal(a->sent.snapshots, 0);
}

/* Nothing follows: the next heartbeat tells. */
static void the_last_delta_may_be_lost(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    two(c, &a, &b);
    presence_track(a, "lost");
    drop(tick_alone(a));
    presence_ticks(c, SILENT);
    reported(b, "");
    presence_ticks(c, 1);
    reported(b, "+lost");
}

static void what_comes_early_waits(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    presence_parcel *deltas[4];
    two(c, &a, &b);
    for (unsigned i = 0; i < 4; i++) {
        char key[2] = { (char)('p' + i), '\0' };
        presence_track(a, key);
        deltas[i] = tick_alone(a);
    }
    c->lost = true; /* what is asked for */
    const unsigned order[] = { 2, 3, 1, 0 };
    for (unsigned i = 0; i < 4; i++) {
        presence_put(c, deltas[order[i]]);
        presence_deliver(c);
        if (i < 3)
            reported(b, "");
    }
    reported(b, "+p +q +r +s");
    presence_check(b);
}

/* Then it is as if it was lost. */
static void only_so_much_may_come_early(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    c->config.max_early = 500;
    two(c, &a, &b);
    presence_track(a, "lost");
    drop(tick_alone(a));
    size_t before = b->faulty.memory.bytes;
    c->lost = true;
    for (unsigned i = 0; i < 200; i++) {
        presence_track(a, "early");
        c->lost = false;
        presence_parcel *p = tick_alone(a);
        c->lost = true;
        presence_put(c, p);
        presence_deliver(c);
    }
    assert_in_range(b->faulty.memory.bytes - before, 100, 500);
    reported(b, "");
    c->lost = false;
    presence_ticks(c, 2);
    presence_agree(c);
}

static void a_request_is_made_again(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    two(c, &a, &b);
    presence_track(a, "lost");
    drop(tick_alone(a));
    presence_track(a, "next");
    presence_parcel *p = tick_alone(a);
    uint64_t requests = b->sent.requests;
    c->lost = true;
    presence_put(c, p);
    presence_deliver(c);
    assert_int_equal(b->sent.requests, requests + 1);
    presence_ticks(c, 1);
    assert_int_equal(b->sent.requests, requests + 1);
    presence_ticks(c, 1);
    assert_int_equal(b->sent.requests, requests + 2);
    c->lost = false;
    presence_ticks(c, 2);
    reported(b, "+lost +next");
    assert_int_equal(b->sent.requests, requests + 3);
}

static void much_goes_in_parts(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    c->config.max_message = 1000;
    two(c, &a, &b);
    unsigned before = c->parcels;
    for (unsigned i = 0; i < 100; i++)
        presence_track(a, "somebody");
    presence_ticks(c, 1);
    assert_int_equal(b->view.count, 100);
    assert_in_range(c->parcels - before, 2, 20);
    assert_int_equal(b->sent.requests, 0); /* unasked */
    assert_in_range(c->largest, 500, 1050);
    presence_node *d = presence_node_start(c, 2);
    presence_ticks(c, 1);
    assert_int_equal(d->view.count, 100);
    assert_in_range(d->sent.requests, 2, 20);
    assert_in_range(c->largest, 500, 1050);
    presence_agree(c);
}

static void one_entry_may_be_larger_than_a_message(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    char json[3000];
    uint64_t born;
    c->config.max_message = 1000;
    two(c, &a, &b);
    memset(json, ' ', sizeof json);
    json[0] = '{';
    strcpy(json + sizeof json - 2, "}");
    presence_track(a, "small");
    presence_track_in(a, 1, "large", json, &born);
    presence_track(a, "last");
    presence_ticks(c, 1);
    reported(b, "+large +last +small");
    presence_agree(c);
}

/* --- Snapshots ---------------------------------------------------------------------------- */

/* Of `count` entries of a, which b knows, the odd ones go while they cannot hear each other, more
 * than are kept in the log. */
static void miss_removals(presence_case *c, presence_node *a, uint64_t *born, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        born[i] = presence_track(a, key);
    }
    presence_ticks(c, 1);
    c->cut[0][1] = c->cut[1][0] = true;
    for (unsigned i = 1; i < count; i += 2)
        presence_untrack(a, born[i]);
    presence_ticks(c, 1);
    c->cut[0][1] = c->cut[1][0] = false;
}

static void too_many_missed_removals_take_a_snapshot(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[10];
    c->config.max_removals = 4;
    two(c, &a, &b);
    miss_removals(c, a, born, 10);
    reported(b, "+k0 +k1 +k2 +k3 +k4 +k5 +k6 +k7 +k8 +k9");
    presence_update(a, born[4], "{\"x\":1}");
    presence_track(a, "new");
    presence_ticks(c, 1);
    reported(b, "+new -k1 -k3 -k5 -k7 -k9 ~k4");
    assert_int_equal(a->sent.snapshots, 1);
    presence_agree(c);
    presence_track(a, "more");
    presence_ticks(c, 1);
    reported(b, "+more");
    assert_int_equal(a->sent.snapshots, 1);
}

static void as_many_as_are_kept_do_not(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[10];
    c->config.max_removals = 5;
    two(c, &a, &b);
    miss_removals(c, a, born, 10);
    presence_ticks(c, SILENT + 1);
    reported(b, "+k0 +k1 +k2 +k3 +k4 +k5 +k6 +k7 +k8 +k9 -k1 -k3 -k5 -k7 -k9");
    assert_int_equal(a->sent.snapshots, 0);
}

/* More of them within one period: the heartbeat cannot tell them all. */
static void more_removals_at_once_than_are_kept(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[20];
    c->config.max_removals = 4;
    two(c, &a, &b);
    for (unsigned i = 0; i < 20; i++)
        born[i] = presence_track(a, "x");
    presence_ticks(c, 1);
    for (unsigned i = 0; i < 19; i++)
        presence_untrack(a, born[i]);
    presence_ticks(c, 1);
    assert_int_equal(b->view.count, 1);
    assert_int_equal(a->sent.snapshots, 1);
    presence_agree(c);
}

/* Between any two messages of it something changes, at both ends of what has been told. */
static void things_change_during_a_snapshot(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[60], more = 0;
    c->config.max_removals = 2;
    c->config.max_message = 100;
    two(c, &a, &b);
    miss_removals(c, a, born, 60);
    channels__state_tick(a->state, c->now += PERIOD);
    presence_track(a, "wake");
    c->now += PERIOD;
    channels__state_tick(a->state, c->now);
    for (unsigned i = 0; presence_deliver_one(c); i++) {
        if (i < 20) {
            presence_update(a, born[i % 15 * 2], "{\"x\":1}");
            presence_update(a, born[58 - i % 15 * 2], "{\"y\":2}");
            if (more != 0)
                presence_untrack(a, more);
            more = presence_track(a, "short");
        }
        if (i == 5)
            presence_untrack(a, born[0]);
        if (i == 6)
            presence_untrack(a, born[56]);
        presence_check(b);
    }
    assert_true(a->sent.snapshots > 5);
    presence_ticks(c, 3);
    presence_agree(c);
}

static void a_lost_part_is_asked_for_again(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[60];
    c->config.max_removals = 2;
    c->config.max_message = 100;
    two(c, &a, &b);
    miss_removals(c, a, born, 60);
    presence_track(a, "wake");
    channels__state_tick(a->state, c->now += PERIOD);
    for (unsigned i = 0; i < 6; i++)
        presence_deliver_one(c);
    drop(presence_take(c));
    uint64_t parts = a->sent.snapshots;
    assert_true(parts > 1);
    presence_ticks(c, 2);
    presence_agree(c);
    assert_in_range(a->sent.snapshots - parts, 5, 30);
}

/* The part was on the way so long that the log has told more since. */
static void a_late_snapshot_brings_nobody_back(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    c->config.max_removals = 1;
    two(c, &a, &b);
    uint64_t one = presence_track(a, "one"), other = presence_track(a, "other"),
             gone = presence_track(a, "gone");
    presence_ticks(c, 1);
    presence_untrack(a, one);
    presence_parcel *first = tick_alone(a);
    presence_untrack(a, other);
    channels__state_tick(a->state, c->now);
    presence_deliver_one(c); /* b asks */
    presence_deliver_one(c);
    presence_parcel *snapshot = presence_take(c);
    assert_int_equal(a->sent.snapshots, 1);
    presence_untrack(a, gone);
    presence_parcel *last = tick_alone(a);
    presence_put(c, first);
    presence_put(c, last);
    presence_put(c, snapshot);
    presence_deliver(c);
    reported(b, "+gone +one +other -gone -one -other");
    presence_ticks(c, 1);
    reported(b, "");
    presence_agree(c);
}

/* What a late delta brings while a snapshot comes in was named by no part of it. */
static void a_late_delta_during_a_snapshot_leaves_no_ghost(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    c->config.max_removals = 1;
    c->config.max_message = 60;
    two(c, &a, &b);
    uint64_t born[20];
    for (unsigned i = 0; i < 20; i++)
        born[i] = presence_track(a, "stays");
    presence_ticks(c, 1);
    uint64_t ghost = presence_track(a, "ghost");
    presence_parcel *late = tick_alone(a);
    presence_untrack(a, ghost);
    presence_untrack(a, born[3]);
    presence_untrack(a, born[4]);
    channels__state_tick(a->state, c->now);
    for (unsigned i = 0; i < 4; i++)
        presence_deliver_one(c);
    assert_in_range(a->sent.snapshots, 1, 2);
    presence_parcel *rest = presence_take(c);
    presence_put(c, late);
    presence_put(c, rest);
    presence_deliver(c);
    presence_ticks(c, 1);
    assert_int_equal(b->view.count, 18);
    presence_agree(c);
}

/* Then nothing of the snapshot is left: what is lost next comes from the log. */
static void the_log_may_overtake_a_snapshot(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    uint64_t born[20];
    c->config.max_removals = 1;
    c->config.max_message = 60;
    two(c, &a, &b);
    for (unsigned i = 0; i < 20; i++)
        born[i] = presence_track(a, "stays");
    presence_ticks(c, 1);
    presence_untrack(a, born[3]);
    presence_parcel *late = tick_alone(a);
    presence_untrack(a, born[4]);
    channels__state_tick(a->state, c->now);
    for (unsigned i = 0; i < 3; i++) /* early; the request; the first part */
        presence_deliver_one(c);
    assert_int_equal(a->sent.snapshots, 1);
    presence_put(c, late);
    presence_deliver(c);
    uint64_t parts = a->sent.snapshots;
    assert_in_range(parts, 1, 2);
    presence_track(a, "lost");
    drop(tick_alone(a));
    presence_track(a, "next");
    presence_ticks(c, 1);
    assert_int_equal(a->sent.snapshots, parts);
    presence_agree(c);
}

/* --- What it costs ------------------------------------------------------------------------ */

static void fill(presence_node *n, unsigned count)
{
    char key[16];
    uint64_t born;
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "user%06u", i);
        assert_int_equal(presence_track_in(n, 0, key, "{\"online_at\":1700000000}", &born),
                         CHANNELS_OK);
    }
}

/* Who comes late asks for each message, so no more than one is on the way. */
static void a_hundred_thousand_for_a_newcomer(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    fill(a, 100000);
    presence_ticks(c, 1);
    presence_node *b = presence_node_start(c, 1);
    c->largest = 0;
    presence_ticks(c, 1);
    assert_int_equal(b->view.count, 100000);
    assert_int_equal(presence_status(b, "a"), CHANNELS__NODE_UP);
    assert_in_range(c->largest, 60000, 65536 + 100);
    assert_true(presence_same(a, b));
    presence_check(b);
    presence_node_kill(a);
    presence_ticks(c, 25);
    assert_int_equal(b->view.count, 0);
}

/* The same by a snapshot. */
static void a_hundred_thousand_in_a_snapshot(void **state)
{
    presence_case *c = *state;
    c->config.max_removals = 10;
    presence_node *a, *b;
    two(c, &a, &b);
    for (unsigned i = 0; i < 20; i++)
        presence_track(a, "first");
    presence_ticks(c, 1);
    for (uint64_t born = 1; born <= 20; born++)
        presence_untrack(a, born);
    c->lost = true;
    fill(a, 100000);
    presence_ticks(c, 1);
    c->lost = false;
    c->largest = 0;
    presence_track(a, "wake");
    presence_ticks(c, 1);
    assert_int_equal(b->view.count, 100001);
    assert_true(a->sent.snapshots > 20);
    assert_in_range(c->largest, 60000, 65536 + 100);
    assert_true(presence_same(a, b));
}

/* Bytes besides topic, key and json, as the allocator is asked for them: of an own entry with its
 * place in the log, and of another's. Keys of their own cost most. */
static void an_entry_costs_so_many_bytes(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    enum { COUNT = 20000, TEXT = 10 + 24 };
    two(c, &a, &b);
    size_t own = a->faulty.memory.bytes, other = b->faulty.memory.bytes;
    fill(a, COUNT);
    own = (a->faulty.memory.bytes - own) / COUNT;
    presence_ticks(c, 1);
    other = (b->faulty.memory.bytes - other) / COUNT;
    print_message("an own entry: %zu bytes, another's: %zu, of them text: %d\n", own, other, TEXT);
    assert_in_range(own, 100, TEXT + 210);
    assert_in_range(other, 100, TEXT + 165);
}

static size_t bytes_of_a_change(presence_case *c, unsigned total)
{
    presence_node *a, *b;
    two(c, &a, &b);
    fill(a, total);
    presence_ticks(c, 1);
    uint64_t born = presence_track(a, "somebody"), before = a->sent.bytes;
    presence_ticks(c, 1);
    presence_update(a, born, "{\"x\":1}");
    presence_ticks(c, 1);
    presence_untrack(a, born);
    presence_ticks(c, 1);
    presence_agree(c);
    uint64_t bytes = a->sent.bytes - before;
    presence_node_kill(a);
    presence_node_kill(b);
    return bytes;
}

static void a_change_costs_the_same_among_many(void **state)
{
    size_t few = bytes_of_a_change(*state, 10), many = bytes_of_a_change(*state, 20000);
    print_message("a join, an update and a leave: %zu bytes among 10, %zu among 20000\n", few,
                  many);
    assert_in_range(many, few, few + 20); /* its clock is a longer number */
    assert_in_range(few, 30, 120);
}

static void the_log_does_not_grow_with_time(void **state)
{
    presence_case *c = *state;
    presence_node *a, *b;
    c->config.max_removals = 100;
    two(c, &a, &b);
    uint64_t born = presence_track(a, "busy");
    presence_ticks(c, 1);
    size_t before = a->faulty.memory.bytes;
    for (unsigned i = 0; i < 20000; i++)
        presence_update(a, born, "{}");
    assert_true(a->faulty.memory.bytes < before + 2000);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t visitor = presence_track(a, "visitor");
        if (i % 10 == 0)
            presence_ticks(c, 1);
        presence_untrack(a, visitor);
    }
    assert_true(a->faulty.memory.bytes < before + 20000);
    for (unsigned i = 0; i < 5000; i++)
        presence_track(a, "crowd");
    presence_ticks(c, 1);
    for (uint64_t b0 = 22001; b0 < 40000; b0++)
        presence_untrack(a, b0);
    presence_ticks(c, 2);
    assert_true(a->faulty.memory.bytes < before + 20000);
    presence_agree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(a_lost_delta_is_asked_for),
        PRESENCE_TEST(the_last_delta_may_be_lost),
        PRESENCE_TEST(what_comes_early_waits),
        PRESENCE_TEST(only_so_much_may_come_early),
        PRESENCE_TEST(a_request_is_made_again),
        PRESENCE_TEST(much_goes_in_parts),
        PRESENCE_TEST(one_entry_may_be_larger_than_a_message),
        PRESENCE_TEST(too_many_missed_removals_take_a_snapshot),
        PRESENCE_TEST(as_many_as_are_kept_do_not),
        PRESENCE_TEST(more_removals_at_once_than_are_kept),
        PRESENCE_TEST(things_change_during_a_snapshot),
        PRESENCE_TEST(a_lost_part_is_asked_for_again),
        PRESENCE_TEST(a_late_snapshot_brings_nobody_back),
        PRESENCE_TEST(a_late_delta_during_a_snapshot_leaves_no_ghost),
        PRESENCE_TEST(the_log_may_overtake_a_snapshot),
        PRESENCE_TEST(a_hundred_thousand_for_a_newcomer),
        PRESENCE_TEST(a_hundred_thousand_in_a_snapshot),
        PRESENCE_TEST(an_entry_costs_so_many_bytes),
        PRESENCE_TEST(a_change_costs_the_same_among_many),
        PRESENCE_TEST(the_log_does_not_grow_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
