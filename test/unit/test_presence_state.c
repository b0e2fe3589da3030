/* test_presence_state.c - who is present, on one node and on several: own entries, what others
 * tell, and the lives of nodes. The first group follows Phoenix' state_test.exs, the second the
 * cases that a cluster has to survive. */
#include "unit/presence_case.h"

#include <stdio.h>
#include <string.h>

#define UP CHANNELS__NODE_UP
#define CATCHING_UP CHANNELS__NODE_CATCHING_UP
#define IS_DOWN CHANNELS__NODE_DOWN

/* --- One node ----------------------------------------------------------------------------- */

typedef struct listed {
    char keys[200];
} listed;

static bool list_key(void *arg, const channels__meta *m)
{
    listed *l = arg;
    sprintf(l->keys + strlen(l->keys), "%.*s=%.*s ", (int)m->key.n, m->key.p, (int)m->json.n,
            m->json.p);
    return true;
}

static bool list_one(void *arg, const channels__meta *m)
{
    list_key(arg, m);
    return false;
}

static void own_entries_are_listed_at_once(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    const channels__str room = channels__str_z("room:0");
    listed l = { "" };
    uint64_t first = presence_track(a, "anna"), second = presence_track(a, "ben");
    presence_track(a, "anna");
    reported(a, "+anna +anna +ben");
    assert_int_equal(presence_update(a, first, "{\"x\":1}"), CHANNELS_OK);
    reported(a, "~anna");
    channels__state_list(a->state, room, list_key, &l);
    assert_string_equal(l.keys, "anna={\"x\":1} anna={} ben={} ");
    assert_int_equal(channels__state_keys(a->state, room), 2);
    assert_int_equal(presence_metas(a, room), 3);
    l.keys[0] = '\0';
    channels__state_list(a->state, room, list_one, &l);
    assert_string_equal(l.keys, "anna={\"x\":1} ");
    l.keys[0] = '\0';
    channels__state_get(a->state, room, channels__str_z("ben"), list_key, &l);
    assert_string_equal(l.keys, "ben={} ");
    assert_int_equal(presence_untrack(a, second), CHANNELS_OK);
    reported(a, "-ben");
    assert_int_equal(channels__state_keys(a->state, room), 1);
}

static void what_is_not_there_is_said(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    listed l = { "" };
    uint64_t born = presence_track(a, "anna");
    assert_int_equal(presence_update(a, born + 1, "{}"), CHANNELS_ERR_CLOSED);
    assert_int_equal(presence_untrack(a, born + 1), CHANNELS_ERR_CLOSED);
    assert_int_equal(presence_untrack(a, born), CHANNELS_OK);
    assert_int_equal(presence_untrack(a, born), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels__state_keys(a->state, channels__str_z("room:9")), 0);
    assert_int_equal(presence_metas(a, channels__str_z("room:9")), 0);
    channels__state_list(a->state, channels__str_z("room:9"), list_key, &l);
    channels__state_get(a->state, channels__str_z("room:9"), channels__str_z("x"), list_key, &l);
    assert_string_equal(l.keys, "");
}

static bool take_meta(void *arg, const channels__meta *m)
{
    *(channels__meta *)arg = *m;
    return true;
}

/* What the refs of a meta are made of. */
static void a_meta_tells_whose_and_when(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    const channels__str room = channels__str_z("room:0"), key = channels__str_z("anna");
    channels__meta of_a, of_b;
    presence_ticks(c, 1);
    uint64_t born = presence_track(a, "anna");
    presence_track(a, "other");
    presence_update(a, born, "{\"x\":1}");
    presence_ticks(c, 1);
    channels__state_get(a->state, room, key, take_meta, &of_a);
    channels__state_get(b->state, room, key, take_meta, &of_b);
    assert_int_equal(of_a.born, born);
    assert_int_equal(of_a.clock, born + 2);
    assert_int_equal(of_a.prev, born);
    assert_true(of_b.born == of_a.born && of_b.clock == of_a.clock && of_b.prev == of_a.prev);
    assert_true(of_b.incarnation == a->incarnation && channels__str_is(of_b.node, "a"));
    assert_true(channels__str_is(of_b.json, "{\"x\":1}"));
}

/* --- As in state_test.exs ----------------------------------------------------------------- */

static void users_from_other_servers_merge(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    uint64_t alice = presence_track(a, "alice");
    uint64_t bob = presence_track(b, "bob");
    presence_ticks(c, 2);
    reported(a, "+alice +bob");
    reported(b, "+alice +bob");
    presence_agree(c);
    presence_untrack(a, alice);
    presence_ticks(c, 1);
    reported(b, "-alice");
    presence_untrack(b, bob);
    presence_track(a, "carol");
    presence_ticks(c, 1);
    reported(a, "+carol -alice -bob");
    reported(b, "+carol -bob");
    presence_agree(c);
}

static void basic_deltas(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_ticks(c, 2);
    uint64_t alice = presence_track(a, "alice");
    presence_ticks(c, 1);
    reported(b, "+alice");
    unsigned before = c->parcels;
    presence_update(a, alice, "{\"n\":1}");
    presence_update(a, alice, "{\"n\":2}");
    presence_update(a, alice, "{\"n\":3}");
    presence_ticks(c, 1);
    reported(b, "~alice"); /* one period, one delta, the last of its changes */
    assert_int_equal(c->parcels, before + 1);
    presence_agree(c);
}

/* What came and went within one period is nobody else's matter. */
static void a_short_visit_is_not_told(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "stays");
    presence_ticks(c, 2);
    reported(b, "+stays");
    c->largest = 0;
    for (unsigned i = 0; i < 100; i++)
        presence_untrack(a, presence_track(a, "short"));
    presence_ticks(c, 1);
    reported(b, "");
    assert_in_range(c->largest, 1, 20);
    presence_track(a, "next");
    presence_ticks(c, 1);
    reported(b, "+next");
    presence_agree(c);
}

static void leaves_are_heard_by_a_third(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1),
                  *d = presence_node_start(c, 2);
    uint64_t alice = presence_track(a, "alice");
    presence_ticks(c, 2);
    reported(b, "+alice");
    reported(d, "+alice");
    presence_untrack(a, alice);
    presence_ticks(c, 1);
    reported(b, "-alice");
    reported(d, "-alice");
    presence_agree(c);
}

/* Twice, and in the wrong order. */
static void merging_is_idempotent_and_commutative(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_ticks(c, 2);
    uint64_t alice = presence_track(a, "alice");
    channels__state_tick(a->state, c->now);
    presence_update(a, alice, "{\"x\":1}");
    presence_track(a, "bob");
    channels__state_tick(a->state, c->now);
    presence_untrack(a, alice);
    channels__state_tick(a->state, c->now);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 3; i-- > 0;) { /* the last first */
            presence_parcel *p = c->first;
            for (unsigned skip = i; skip != 0; skip--)
                p = p->next;
            assert_int_equal(channels__state_receive(b->state, "a", a->incarnation, p->data, p->len,
                                                     c->now),
                             CHANNELS_OK);
        }
    reported(b, "+alice +bob -alice ~alice");
    presence_ticks(c, 1);
    reported(b, "");
    presence_agree(c);
}

static void many_topics_and_keys(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    uint64_t born;
    char key[16];
    for (unsigned i = 0; i < 400; i++) {
        snprintf(key, sizeof key, "k%u", i % 50);
        assert_int_equal(presence_track_in(i % 3 ? a : b, i % TOPICS, key, "{\"a\":[1,2]}", &born),
                         CHANNELS_OK);
    }
    presence_ticks(c, 2);
    presence_agree(c);
    assert_int_equal(presence_held(a, "b"), 134);
    assert_int_equal(presence_metas(a, channels__str_z("room:1")), 100);
    assert_int_equal(channels__state_keys(b->state, channels__str_z("room:1")), 25);
}

/* --- The lives of nodes ------------------------------------------------------------------- */

/* A newcomer learns of everybody, and they of it, as soon as it is heard. */
static void a_late_join_takes_one_tick(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_track(b, "bob");
    presence_ticks(c, 5);
    presence_node *d = presence_node_start(c, 2);
    presence_ticks(c, 1);
    reported(d, "+alice +bob");
    assert_int_equal(presence_status(d, "a"), UP);
    assert_int_equal(presence_status(a, "c"), UP);
    presence_agree(c);
}

static void silence_is_broken_now_and_then(void **state)
{
    presence_case *c = *state;
    presence_node_start(c, 0);
    presence_ticks(c, 1);
    assert_int_equal(c->parcels, 1);
    presence_ticks(c, SILENT);
    assert_int_equal(c->parcels, 1);
    presence_ticks(c, 1);
    assert_int_equal(c->parcels, 2);
}

static void a_crash_shows_after_down_ms(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    reported(b, "+alice");
    presence_node_kill(a);
    uint64_t killed = c->now;
    while (presence_status(b, "a") == UP)
        presence_ticks(c, 1);
    assert_in_range(c->now - killed, DOWN, DOWN + PERIOD);
    reported(b, "-alice");
    assert_int_equal(presence_held(b, "a"), 1);
    size_t bytes = b->faulty.memory.bytes;
    while (presence_status(b, "a") == IS_DOWN)
        presence_ticks(c, 1);
    assert_in_range(c->now - killed, PERMDOWN, PERMDOWN + PERIOD);
    assert_int_equal(presence_status(b, "a"), -1);
    assert_true(b->faulty.memory.bytes < bytes);
    reported(b, "");
}

static void a_restart_leaves_no_ghost(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_track(a, "old");
    presence_ticks(c, 2);
    reported(b, "+alice +old");
    presence_node_kill(a);
    a = presence_node_start(c, 0);
    presence_track(a, "alice");
    presence_ticks(c, 1);
    reported(b, "+alice -alice -old");
    presence_agree(c);
}

static void a_restart_after_down_leaves_no_second_time(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    presence_node_kill(a);
    presence_ticks(c, 25);
    reported(b, "+alice -alice");
    a = presence_node_start(c, 0);
    presence_track(a, "alice");
    presence_ticks(c, 1);
    reported(b, "+alice");
    assert_int_equal(presence_held(b, "a"), 1);
    presence_agree(c);
}

/* What a former life sent, and what one said before its bye, may come after. */
static void the_dead_do_not_come_back(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_ticks(c, 2);
    presence_track(a, "late");
    channels__state_tick(a->state, c->now);
    presence_parcel *late = presence_take(c);
    presence_node_kill(a);
    a = presence_node_start(c, 0);
    presence_track(a, "alice");
    presence_ticks(c, 1);
    reported(b, "+alice");
    presence_put(c, late);
    presence_deliver(c);
    reported(b, "");
    presence_track(a, "said before");
    channels__state_tick(a->state, c->now);
    presence_parcel *before = presence_take(c);
    channels__state_bye(a->state);
    presence_deliver(c);
    reported(b, "-alice");
    presence_put(c, before);
    presence_ticks(c, 1);
    reported(b, "");
    assert_int_equal(presence_status(b, "a"), -1);
}

/* A message of a life that nobody knew replaces the true one; that one is back after down_ms. */
static void the_living_come_back(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0);
    channels__state_tick(a->state, c->now);
    presence_parcel *old = presence_take(c);
    presence_node_kill(a);
    a = presence_node_start(c, 0);
    presence_node *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 1);
    reported(b, "+alice");
    presence_put(c, old);
    presence_deliver(c);
    reported(b, "-alice");
    presence_ticks(c, DOWN / PERIOD + SILENT + 2);
    reported(b, "+alice");
    presence_agree(c);
}

static void a_bye_is_seen_at_once(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    channels__state_bye(a->state);
    presence_deliver(c);
    reported(b, "+alice -alice");
    assert_int_equal(presence_status(b, "a"), -1);
    unsigned sent = c->parcels;
    presence_track(a, "more");
    presence_ticks(c, 30);
    assert_in_range(c->parcels, sent, sent + 3); /* b's own */
    reported(b, "");
}

static void cut_between(presence_case *c, unsigned a, unsigned b, bool cut)
{
    c->cut[a][b] = c->cut[b][a] = cut;
}

static void a_short_split_shows_nothing_but_the_changes(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    uint64_t alice = presence_track(a, "alice");
    presence_track(b, "bob");
    presence_ticks(c, 2);
    reported(a, "+alice +bob");
    reported(b, "+alice +bob");
    cut_between(c, 0, 1, true);
    presence_untrack(a, alice);
    presence_track(a, "carol");
    presence_ticks(c, 8);
    reported(b, "");
    cut_between(c, 0, 1, false);
    presence_ticks(c, SILENT + 2);
    reported(b, "+carol -alice");
    reported(a, "+carol -alice");
    presence_agree(c);
}

/* Who left meanwhile is not shown for a moment. */
static void a_long_split_heals_without_flashes(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    uint64_t alice = presence_track(a, "alice");
    presence_track(a, "anna");
    presence_track(b, "bob");
    presence_ticks(c, 2);
    cut_between(c, 0, 1, true);
    presence_ticks(c, 25);
    reported(a, "+alice +anna +bob -bob");
    reported(b, "+alice +anna +bob -alice -anna");
    presence_untrack(a, alice);
    presence_track(a, "carol");
    presence_ticks(c, 5);
    cut_between(c, 0, 1, false);
    presence_ticks(c, SILENT + 2);
    reported(a, "+bob +carol -alice");
    reported(b, "+anna +carol");
    presence_agree(c);
}

/* It does not answer: after two ticks it is shown as it was. */
static void catching_up_ends_after_two_ticks(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    cut_between(c, 0, 1, true);
    presence_ticks(c, 25);
    reported(b, "+alice -alice");
    presence_track(a, "carol");
    presence_ticks(c, 1);
    c->cut[0][1] = false; /* b hears a, a does not hear b */
    while (presence_status(b, "a") == IS_DOWN)
        presence_ticks(c, 1);
    assert_int_equal(presence_status(b, "a"), CATCHING_UP);
    reported(b, "");
    presence_ticks(c, 2);
    assert_int_equal(presence_status(b, "a"), UP);
    reported(b, "+alice");
    c->cut[1][0] = false;
    presence_ticks(c, 2);
    reported(b, "+carol");
}

static void a_partial_split_gives_no_second_leave(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *d = presence_node_start(c, 2);
    presence_node_start(c, 1); /* sees both */
    uint64_t alice = presence_track(a, "alice");
    presence_ticks(c, 2);
    reported(d, "+alice");
    cut_between(c, 0, 2, true);
    presence_ticks(c, 25);
    reported(d, "-alice");
    presence_untrack(a, alice);
    presence_track(a, "anna");
    presence_ticks(c, 25);
    reported(d, "");
    cut_between(c, 0, 2, false);
    presence_ticks(c, SILENT + 2);
    reported(d, "+anna");
    presence_agree(c);
}

static void a_split_beyond_permdown_is_a_late_join(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    cut_between(c, 0, 1, true);
    presence_ticks(c, PERMDOWN / PERIOD + 2);
    assert_int_equal(presence_status(b, "a"), -1);
    cut_between(c, 0, 1, false);
    presence_ticks(c, SILENT + 2);
    reported(b, "+alice +alice -alice");
    presence_agree(c);
}

/* Who was not let run for long has everything to read before it looks who is down. */
static void a_late_tick_takes_nobody_down(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    for (unsigned i = 0; i < 40; i++) {
        c->now += PERIOD;
        channels__state_tick(a->state, c->now); /* what it sends waits */
    }
    channels__state_tick(b->state, c->now);
    presence_ticks(c, 1);
    reported(b, "+alice");
    assert_int_equal(presence_status(b, "a"), UP);
    presence_node_kill(a);
    presence_ticks(c, 25);
    reported(b, "-alice");
}

/* One whose loop is slow always cannot be spared always. */
static void late_ticks_find_who_is_down(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *b = presence_node_start(c, 1);
    presence_track(a, "alice");
    presence_ticks(c, 2);
    reported(b, "+alice");
    presence_node_kill(a);
    for (unsigned i = 0; i < 2 + DOWN / (3 * PERIOD); i++) {
        c->now += 3 * PERIOD;
        channels__state_tick(b->state, c->now);
    }
    reported(b, "-alice");
}

/* They do not listen to each other; a third shows one of them at a time. */
static void two_of_one_name(void **state)
{
    presence_case *c = *state;
    presence_node *a = presence_node_start(c, 0), *d = presence_node_start(c, 2);
    presence_track(a, "alice");
    channels__state_tick(a->state, c->now);
    const presence_parcel *p = c->first;
    const uint64_t lives[] = { a->incarnation, 77, a->incarnation, 77 };
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(channels__state_receive(d->state, "a", lives[i], p->data, p->len, c->now),
                         CHANNELS_OK);
    reported(d, "+alice +alice -alice");
    assert_int_equal(channels__state_receive(a->state, "a", 77, p->data, p->len, c->now),
                     CHANNELS_OK);
    reported(a, "+alice");
}

static void only_so_many_nodes(void **state)
{
    presence_case *c = *state;
    c->config.max_nodes = 2;
    presence_node *a = presence_node_start(c, 0);
    for (unsigned i = 1; i < 4; i++)
        presence_track(presence_node_start(c, i), "x");
    presence_ticks(c, 15);
    reported(a, "+x +x");
    assert_int_equal(a->lines, 1);
    assert_int_equal(presence_status(a, "d"), -1);
    presence_node_kill(&c->nodes[1]);
    presence_ticks(c, PERMDOWN / PERIOD + 30);
    assert_int_equal(presence_status(a, "d"), UP);
    reported(a, "+x -x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(own_entries_are_listed_at_once),
        PRESENCE_TEST(what_is_not_there_is_said),
        PRESENCE_TEST(a_meta_tells_whose_and_when),
        PRESENCE_TEST(users_from_other_servers_merge),
        PRESENCE_TEST(basic_deltas),
        PRESENCE_TEST(a_short_visit_is_not_told),
        PRESENCE_TEST(leaves_are_heard_by_a_third),
        PRESENCE_TEST(merging_is_idempotent_and_commutative),
        PRESENCE_TEST(many_topics_and_keys),
        PRESENCE_TEST(a_late_join_takes_one_tick),
        PRESENCE_TEST(silence_is_broken_now_and_then),
        PRESENCE_TEST(a_crash_shows_after_down_ms),
        PRESENCE_TEST(a_restart_leaves_no_ghost),
        PRESENCE_TEST(a_restart_after_down_leaves_no_second_time),
        PRESENCE_TEST(the_dead_do_not_come_back),
        PRESENCE_TEST(the_living_come_back),
        PRESENCE_TEST(a_bye_is_seen_at_once),
        PRESENCE_TEST(a_short_split_shows_nothing_but_the_changes),
        PRESENCE_TEST(a_long_split_heals_without_flashes),
        PRESENCE_TEST(catching_up_ends_after_two_ticks),
        PRESENCE_TEST(a_partial_split_gives_no_second_leave),
        PRESENCE_TEST(a_split_beyond_permdown_is_a_late_join),
        PRESENCE_TEST(a_late_tick_takes_nobody_down),
        PRESENCE_TEST(late_ticks_find_who_is_down),
        PRESENCE_TEST(two_of_one_name),
        PRESENCE_TEST(only_so_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
