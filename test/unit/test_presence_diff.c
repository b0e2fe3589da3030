/* test_presence_diff.c - what one turn says: changes gathered, in an order clients can follow. */
#include <channels/pubsub.h>

#include "core/core.h"
#include "unit/presence_app.h"

#define ROOM "room:1"

/* `fn` in a turn of its own, several calls of it. */
static void in_one_turn(presence_app *t, void (*fn)(channels_endpoint *ep, void *t))
{
    channels_post(t->host.ep, fn, t, NULL);
    channels_test_wait(&t->host, 0);
}

static void track(presence_app *t, uint64_t owner, const char *key)
{
    assert_int_equal(channels_presence_track_owner(t->set, owner, ROOM, key, channels_empty()),
                     CHANNELS_OK);
}

static void update(presence_app *t, uint64_t owner, const char *key)
{
    assert_int_equal(channels_presence_update_owner(t->set, owner, ROOM, key, json("{'u':1}")),
                     CHANNELS_OK);
}

static void untrack(presence_app *t, uint64_t owner, const char *key)
{
    assert_int_equal(channels_presence_untrack_owner(t->set, owner, ROOM, key), CHANNELS_OK);
}

static void several_keys(channels_endpoint *ep, void *arg)
{
    presence_app *t = arg;
    (void)ep;
    track(t, 1, "a");
    track(t, 2, "b");
    track(t, 3, "a");
    quiet(t->a);
}

static void several_more(channels_endpoint *ep, void *arg)
{
    presence_app *t = arg;
    (void)ep;
    untrack(t, 1, "a");
    untrack(t, 3, "a");
    update(t, 2, "b");
    track(t, 4, "c");
    quiet(t->a);
}

static void one_diff_of_a_turn(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    in_one_turn(t, several_keys);
    hears_diff(
        t->a, ROOM,
        "{'a':{'metas':[{'phx_ref':'r1'},{'phx_ref':'r2'}]},'b':{'metas':[{'phx_ref':'r3'}]}}",
        "{}");
    in_one_turn(t, several_more);
    hears_diff(
        t->a, ROOM,
        "{'b':{'metas':[{'u':1,'phx_ref':'r4','phx_ref_prev':'r3'}]},"
        "'c':{'metas':[{'phx_ref':'r5'}]}}",
        "{'a':{'metas':[{'phx_ref':'r1'},{'phx_ref':'r2'}]},'b':{'metas':[{'phx_ref':'r3'}]}}");
    quiet(t->a);
}

static void back_and_forth(channels_endpoint *ep, void *arg)
{
    presence_app *t = arg;
    (void)ep;
    track(t, 1, "a");
    untrack(t, 1, "a");
    track(t, 1, "a");
    update(t, 1, "a");
    update(t, 1, "a");
    untrack(t, 1, "a");
}

/* Each ref is announced once, then withdrawn once. */
static void a_key_again(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    in_one_turn(t, back_and_forth);
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(t->a, ROOM, "{}", "{'a':{'metas':[{'phx_ref':'r1'}]}}");
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'u':1,'phx_ref':'r3','phx_ref_prev':'r2'}]}}",
               "{'a':{'metas':[{'phx_ref':'r2'}]}}");
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'u':1,'phx_ref':'r4','phx_ref_prev':'r3'}]}}",
               "{'a':{'metas':[{'u':1,'phx_ref':'r3','phx_ref_prev':'r2'}]}}");
    hears_diff(t->a, ROOM, "{}", "{'a':{'metas':[{'u':1,'phx_ref':'r4','phx_ref_prev':'r3'}]}}");
    quiet(t->a);
}

static void talks_between(channels_endpoint *ep, void *arg)
{
    presence_app *t = arg;
    track(t, 1, "a");
    channels_pubsub_broadcast(ep, "room:2", "elsewhere", channels_empty());
    quiet(t->a);
    channels_pubsub_broadcast(ep, ROOM, "said", channels_empty());
    track(t, 1, "b");
}

static void goes_before_a_broadcast(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    in_one_turn(t, talks_between);
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears(t->a, "[null,null,'room:1','said',{}]");
    hears_diff(t->a, ROOM, "{'b':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    quiet(t->a);
}

typedef struct talker {
    channels__service service; /* first */
    channels_endpoint *ep;
} talker;

static void talks(channels__service *service)
{
    channels_pubsub_broadcast(((talker *)service)->ep, ROOM, "said", channels_empty());
}

static void no_more(channels__service *service)
{
    (void)service;
}

static void tracks(channels_endpoint *ep, void *arg)
{
    (void)ep;
    track(arg, 1, "a");
}

/* So it does where another service has its turn first, as those who were asked from other nodes. */
static void goes_before_what_a_service_does(void **state)
{
    presence_app *t = *state;
    talker first = { .service = { .end_turn = talks, .due = UINT64_MAX, .free = no_more },
                     .ep = t->host.ep };
    t->a = presence_member(t, ROOM);
    assert_true(channels__service_add(t->host.ep, &first.service));
    in_one_turn(t, tracks);
    hears_diff(t->a, ROOM, "{'a':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears(t->a, "[null,null,'room:1','said',{}]");
    quiet(t->a);
    channels__service_remove(t->host.ep, &first.service);
}

/* The other way round: who tracks first finds itself in the diff, and in the state behind it. What
 * the state has no more must not leave after it. */
static int track_first(presence_app *t, channels_channel *ch)
{
    int err = channels_presence_track(t->set, ch, "me", channels_empty());
    return err != CHANNELS_OK ? err : channels_presence_push_state(t->set, ch);
}

static void the_state_comes_after(void **state)
{
    presence_app *t = *state;
    t->joined = track_first;
    t->a = presence_member(t, ROOM);
    hears_diff(t->a, ROOM, "{'me':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears(t->a, "['1',null,'room:1','presence_state',{'me':{'metas':[{'phx_ref':'r1'}]}}]");
    quiet(t->a);
}

/* handle_out() runs after the callback that pushes the state. */
static void the_state_comes_before_what_is_intercepted(void **state)
{
    presence_app *t = *state;
    t->joined = track_first;
    t->a = presence_member(t, "seen:1");
    hears(t->a, "['1',null,'seen:1','presence_state',{'me':{'metas':[{'phx_ref':'r1'}]}}]");
    hears(t->a, "['1',null,'seen:1','presence_diff',"
                "{'joins':{'me':{'metas':[{'phx_ref':'r1'}]}},'leaves':{}}]");
    quiet(t->a);
}

static void version_1(void **state)
{
    presence_app *t = *state;
    t->joined = track_first;
    core_connect(&t->a, &t->host, V1);
    say(t->a, "{'topic':'room:1','event':'phx_join','payload':{},'ref':'1'}");
    hears(t->a, "{'topic':'room:1','event':'phx_reply','payload':{'status':'ok','response':{}},"
                "'ref':'1'}");
    hears(t->a, "{'topic':'room:1','event':'presence_diff','payload':"
                "{'joins':{'me':{'metas':[{'phx_ref':'r1'}]}},'leaves':{}},'ref':null}");
    hears(t->a, "{'topic':'room:1','event':'presence_state','payload':"
                "{'me':{'metas':[{'phx_ref':'r1'}]}},'ref':null}");
}

static void too_early(void **state)
{
    presence_app *t = *state;
    t->a = presence_client(t);
    channels_test_push(t->a, ROOM, "phx_join", "{'later':1}");
    channels_channel *ch = channels_ref_channel(t->host.ep, t->later);
    assert_int_equal(channels_presence_push_state(t->set, ch), CHANNELS_ERR_INVALID);
    channels_test_expect_log(&t->host, "joined() is the place for it");
}

/* --- For the server itself ----------------------------------------------------------------- */

static void on_diff(channels_presence *set, const channels_presence_diff *diff, void *arg)
{
    presence_app *t = arg;
    presence_diff_said(set, diff, t);
    if (channels_presence_count(set, ROOM) == 1 && diff->joins.len > 2) {
        track(t, 9, "seen");
        assert_int_equal(channels_presence_list(set, diff->topic, presence_list_said, t),
                         CHANNELS_OK);
    }
}

static void tells_the_server(void **state)
{
    presence_app *t = *state;
    const channels_presence_options options = { .on_diff = on_diff };
    presence_app_restart(t, NULL, &options);
    t->joined = track_first;
    t->a = presence_member(t, ROOM);
    said(t, "room:1 +{'me':{'metas':[{'phx_ref':'r1'}]}} -{};"
            "{'me':{'metas':[{'phx_ref':'r1'}]},'seen':{'metas':[{'phx_ref':'r2'}]}};"
            "room:1 +{'seen':{'metas':[{'phx_ref':'r2'}]}} -{};");
    channels_test_close(t->a);
    said(t, "room:1 +{} -{'me':{'metas':[{'phx_ref':'r1'}]}};"); /* nobody listens */
}

/* --- Lists --------------------------------------------------------------------------------- */

static void lists(void **state)
{
    presence_app *t = *state;
    void (*fn)(void *, channels_payload) = presence_list_said;
    track(t, 1, "a");
    track(t, 2, "a");
    track(t, 3, "b");
    assert_int_equal(channels_presence_get(t->set, ROOM, "a", fn, t), CHANNELS_OK);
    said(t, "{'metas':[{'phx_ref':'r1'},{'phx_ref':'r2'}]};");
    assert_int_equal(channels_presence_get(t->set, ROOM, "z", fn, t), CHANNELS_OK);
    said(t, "{'metas':[]};");
    assert_int_equal(channels_presence_list(t->set, "room:none", fn, t), CHANNELS_OK);
    said(t, "{};");
    assert_int_equal(channels_presence_count(t->set, ROOM), 2);
    assert_int_equal(channels_presence_count(t->set, "room:none"), 0);
    assert_int_equal(channels_presence_list(t->set, NULL, fn, t), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_list(t->set, ROOM, NULL, t), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_get(t->set, ROOM, NULL, fn, t), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_get(t->set, ROOM, "a", NULL, t), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_count(t->set, NULL), 0);
    said(t, "");
}

/* What a newcomer is told of a full room is more than max_queued, and goes behind its join reply.
 */
static void a_crowd(void **state)
{
    presence_app *t = *state;
    char key[32];
    for (unsigned i = 0; i < 15000; i++) {
        snprintf(key, sizeof key, "a key of some length %05u", i);
        track(t, 1, key);
    }
    t->joined = track_first;
    t->a = presence_member(t, ROOM);
    assert_non_null(channels_test_hear(t->a)); /* its own diff */
    const char *list = channels_test_hear(t->a);
    assert_non_null(list);
    assert_in_range(strlen(list), 1000000, 2000000);
    quiet(t->a);
}

/* --- Topics that are only counted ---------------------------------------------------------- */

static void big(presence_app *t, uint64_t owner, bool on)
{
    int err = on ? channels_presence_track_owner(t->set, owner, "big:1", "k", channels_empty())
                 : channels_presence_untrack_owner(t->set, owner, "big:1", "k");
    assert_int_equal(err, CHANNELS_OK);
}

static void count_only(void **state)
{
    presence_app *t = *state;
    static const char *const patterns[] = { "huge", "big:*", NULL };
    const channels_presence_options options = { .count_only = patterns,
                                                .broadcast_ms = 100,
                                                .on_diff = presence_diff_said };
    presence_app_restart(t, NULL, &options);
    t->joined = track_first;
    t->a = presence_member(t, "big:1");
    hears(t->a, "['1',null,'big:1','presence_count',{'count':1}]");
    hears(t->a, "[null,null,'big:1','presence_count',{'count':1}]");
    quiet(t->a);
    big(t, 1, true); /* for a while no more is told */
    quiet(t->a);
    channels_test_wait(&t->host, 99);
    quiet(t->a);
    channels_test_wait(&t->host, 1);
    hears(t->a, "[null,null,'big:1','presence_count',{'count':2}]");
    channels_test_wait(&t->host, 1000);
    assert_int_equal(channels_endpoint_timeout(t->host.ep), UINT64_MAX);
    big(t, 2, true); /* the same key again: the number is as it was */
    quiet(t->a);
    big(t, 1, false);
    quiet(t->a);
    big(t, 2, false);
    hears(t->a, "[null,null,'big:1','presence_count',{'count':1}]");
    big(t, 2, true); /* there and back, before it is told again */
    big(t, 2, false);
    channels_test_wait(&t->host, 1000);
    quiet(t->a);
    assert_int_equal(channels_presence_list(t->set, "big:1", presence_list_said, t), CHANNELS_OK);
    said(t, "{'me':{'metas':[{'phx_ref':'r1'}]}};");
}

/* Who came while the number was not told has been told another than the rest. */
static void count_pushed_between(void **state)
{
    presence_app *t = *state;
    static const char *const patterns[] = { "big:*", NULL };
    const channels_presence_options options = { .count_only = patterns, .broadcast_ms = 100 };
    presence_app_restart(t, NULL, &options);
    t->a = presence_member(t, "big:1");
    big(t, 1, true);
    hears(t->a, "[null,null,'big:1','presence_count',{'count':1}]");
    channels_presence_track_owner(t->set, 2, "big:1", "l", channels_empty());
    t->b = presence_member(t, "big:1");
    channels_test_push(t->b, "big:1", "state", "{}");
    hears(t->b, "['1',null,'big:1','presence_count',{'count':2}]");
    channels_presence_untrack_owner(t->set, 2, NULL, NULL);
    channels_test_wait(&t->host, 100);
    hears(t->b, "[null,null,'big:1','presence_count',{'count':1}]");
    hears(t->a, "[null,null,'big:1','presence_count',{'count':1}]");
    channels_test_wait(&t->host, 1000);
    quiet(t->b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(one_diff_of_a_turn),
        PRESENCE_TEST(a_key_again),
        PRESENCE_TEST(goes_before_a_broadcast),
        PRESENCE_TEST(goes_before_what_a_service_does),
        PRESENCE_TEST(the_state_comes_after),
        PRESENCE_TEST(the_state_comes_before_what_is_intercepted),
        PRESENCE_TEST(version_1),
        PRESENCE_TEST(too_early),
        PRESENCE_TEST(tells_the_server),
        PRESENCE_TEST(lists),
        PRESENCE_TEST(a_crowd),
        PRESENCE_TEST(count_only),
        PRESENCE_TEST(count_pushed_between),
    };
    return cmocka_run_group_tests_name("presence_diff", tests, NULL, NULL);
}
