/* test_presence_nodes.c - presences of endpoints that a bus joins: what one tracks, the others'
 * clients hear, and what they hear when one has gone. The replicated state has tests of its own. */
#include "unit/presence_bus.h"

#define ROOM "room:1"
static presence_app *node(bus *b, unsigned n)
{
    return &b->nodes[n].t;
}

static void track(bus *b, unsigned n, const char *key)
{
    assert_int_equal(channels_presence_track_owner(node(b, n)->set, 1, ROOM, key, channels_empty()),
                     CHANNELS_OK);
}

static void reaches_the_other(void **state)
{
    bus *b = *state;
    bus_wait(b, 2000);
    track(b, 0, "k");
    hears_diff(node(b, 0)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    quiet(node(b, 1)->a);
    bus_wait(b, 1500);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    channels_presence_update_owner(node(b, 0)->set, 1, ROOM, "k", json("{'u':1}"));
    bus_wait(b, 1500);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}]}}",
               "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    channels_test_push(node(b, 1)->a, ROOM, "state", "{}");
    hears(node(b, 1)->a, "['1',null,'room:1','presence_state',"
                         "{'k':{'metas':[{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}]}}]");
    channels_presence_untrack_owner(node(b, 0)->set, 1, NULL, NULL);
    bus_wait(b, 1500);
    hears_diff(node(b, 1)->a, ROOM, "{}",
               "{'k':{'metas':[{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}]}}");
    quiet(node(b, 1)->a);
}

/* One key on two nodes; both lists have both. */
static void one_key_on_both(void **state)
{
    bus *b = *state;
    track(b, 0, "k");
    track(b, 1, "k");
    bus_wait(b, 4000);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(channels_presence_count(node(b, i)->set, ROOM), 1);
        assert_int_equal(node(b, i)->a->waiting, 2);
    }
    channels_presence_untrack_owner(node(b, 1)->set, 1, NULL, NULL);
    bus_wait(b, 1500);
    assert_int_equal(channels_presence_count(node(b, 0)->set, ROOM), 1);
}

static void note_node(void *arg, const channels_presence_node *n)
{
    presence_app *t = arg;
    presence_say(t, "%s %d %zu;", n->name, n->up, n->entries);
    assert_int_equal(channels_presence_list(t->set, ROOM, presence_list_said, t),
                     CHANNELS_ERR_MISUSE);
}

static void one_dies(void **state)
{
    bus *b = *state;
    presence_app *t = node(b, 1);
    track(b, 0, "k");
    bus_wait(b, 4000);
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    assert_int_equal(channels_presence_foreach_node(t->set, note_node, t), CHANNELS_OK);
    said(t, "ann 1 1;");
    bus_leave(b, 0);
    bus_wait(b, 25000);
    quiet(t->a);
    bus_wait(b, 7000);
    hears_diff(t->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    channels_presence_foreach_node(t->set, note_node, t);
    said(t, "ann 0 1;");
    bus_wait(b, 1200000);
    channels_presence_foreach_node(t->set, note_node, t);
    said(t, "");
    quiet(t->a);
}

static void a_graceful_end(void **state)
{
    bus *b = *state;
    track(b, 0, "k");
    bus_wait(b, 4000);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(node(b, 0)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    channels_presence_free(node(b, 0)->set, true);
    bus_carry(b);
    hears_diff(node(b, 1)->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    quiet(node(b, 0)->a);
}

/* A deploy: the old one's are there until those who come back make the new one known. */
static void restarted(void **state)
{
    bus *b = *state;
    track(b, 0, "k");
    bus_wait(b, 4000);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    bus_leave(b, 0);
    bus_wait(b, 1000);
    quiet(node(b, 1)->a);
    bus_join(b, 0, NULL);
    track(b, 0, "k");
    bus_wait(b, 4000);
    hears_diff(node(b, 1)->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    quiet(node(b, 1)->a);
}

/* A third who comes late, many keys: one diff of each node that is heard. */
static void comes_late(void **state)
{
    bus *b = *state;
    char key[32];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "a key of some length %d", i);
        track(b, 0, key);
    }
    bus_wait(b, 4000);
    bus_join(b, 2, NULL);
    bus_wait(b, 6000);
    assert_int_equal(channels_presence_count(node(b, 2)->set, ROOM), 3000);
    assert_int_equal(node(b, 2)->a->waiting, 1);
}

static void cut_off(void **state)
{
    bus *b = *state;
    track(b, 0, "k");
    bus_wait(b, 4000);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    for (int i = 0; i < 10; i++) { /* one heartbeat is lost, then another comes */
        b->nodes[0].cut = true;
        bus_wait(b, 13400);
        b->nodes[0].cut = false;
        bus_wait(b, 13600);
    }
    quiet(node(b, 1)->a);
    b->nodes[0].cut = true;
    bus_wait(b, 40000);
    hears_diff(node(b, 1)->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    b->nodes[0].cut = false;
    bus_wait(b, 20000);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    quiet(node(b, 1)->a);
}

/* What another node lets be tracked harms no client here. */
static void risky_keys_of_others(void **state)
{
    bus *b = *state;
    static const channels_presence_options any = { .any_key = true };
    bus_join(b, 2, &any);
    track(b, 2, "__proto__");
    track(b, 2, "k");
    bus_wait(b, 4000);
    hears_diff(node(b, 1)->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    channels_presence_list(node(b, 1)->set, ROOM, presence_list_said, node(b, 1));
    said(node(b, 1), "{'k':{'metas':[{'phx_ref':'r1'}]}};");
}

/* Of topics that nobody has joined here nothing is made; they can be listed all the same. */
static void where_nobody_listens(void **state)
{
    bus *b = *state;
    presence_app *t = node(b, 1);
    channels_test_leave(t->a, ROOM);
    track(b, 0, "k");
    bus_wait(b, 4000);
    channels_presence_list(t->set, ROOM, presence_list_said, t);
    said(t, "{'k':{'metas':[{'phx_ref':'r1'}]}};");
}

static int uses_another(presence_app *t, channels_channel *ch)
{
    channels_presence *set = ((bus_node *)t)->bus->nodes[0].t.set;
    assert_int_equal(channels_presence_track(set, ch, "k", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_update(set, ch, "k", channels_empty()),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_untrack(set, ch, NULL), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_push_state(set, ch), CHANNELS_ERR_INVALID);
    return CHANNELS_OK;
}

/* Nobody would tell that presence when the channel ends. */
static void a_channel_of_another_endpoint(void **state)
{
    bus *b = *state;
    node(b, 1)->joined = uses_another;
    node(b, 1)->b = presence_member(node(b, 1), ROOM);
    channels_test_expect_log(&node(b, 0)->host, "the channel is another endpoint's");
    assert_int_equal(channels_presence_count(node(b, 0)->set, ROOM), 0);
    quiet(node(b, 1)->b);
}

static void apart_by_name(void **state)
{
    bus *b = *state;
    const channels_presence_options options = { .name = "other" };
    channels_presence *other;
    channels_presence_new(&other, node(b, 1)->host.ep, &options);
    track(b, 0, "k");
    bus_wait(b, 4000);
    assert_int_equal(channels_presence_count(other, ROOM), 0);
    assert_int_equal(channels_presence_count(node(b, 1)->set, ROOM), 1);
}

/* Idle nodes speak once in a while: max_silent. */
static void little_is_said(void **state)
{
    bus *b = *state;
    bus_wait(b, 20000);
    b->carried = 0;
    bus_wait(b, 9 * 1500 * 4);
    assert_in_range(b->carried, 6, 10);
}

static int fetch_later(channels_presence_batch *batch, void *user)
{
    presence_app *t = user;
    return channels_presence_batch_later(batch, &t->later) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

/* A diff that waits for fetch() is heard by who comes meanwhile. So is what undoes it, also if
 * nobody listened when that happened. */
static void nobody_listened_meanwhile(void **state)
{
    bus *b = *state;
    static const channels_presence_options options = { .fetch = fetch_later };
    presence_app *t = node(b, 2);
    bus_join(b, 2, &options);
    track(b, 0, "k");
    bus_wait(b, 4000);
    channels_ref joined = t->later;
    channels_test_leave(t->a, ROOM);
    channels_presence_untrack_owner(node(b, 0)->set, 1, NULL, NULL);
    bus_wait(b, 2000);
    channels_test_join(t->a, ROOM, "{}");
    channels_presence_batch_done(t->host.ep, joined);
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    channels_presence_batch_done(t->host.ep, t->later);
    hears_diff(t->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    quiet(t->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUS_TEST(reaches_the_other),
        BUS_TEST(one_key_on_both),
        BUS_TEST(one_dies),
        BUS_TEST(a_graceful_end),
        BUS_TEST(restarted),
        BUS_TEST(comes_late),
        BUS_TEST(cut_off),
        BUS_TEST(risky_keys_of_others),
        BUS_TEST(where_nobody_listens),
        BUS_TEST(nobody_listened_meanwhile),
        BUS_TEST(a_channel_of_another_endpoint),
        BUS_TEST(apart_by_name),
        BUS_TEST(little_is_said),
    };
    return cmocka_run_group_tests_name("presence_nodes", tests, NULL, NULL);
}
