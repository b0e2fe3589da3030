/* test_presence_track.c - who tracks what, for how long, and what may not be tracked. */
#include <pthread.h>

#include "unit/presence_app.h"

#define ROOM "room:1"
#define LIST(t, topic) channels_presence_list((t)->set, topic, presence_list_said, t)
#define OWN(t) (t)->set, 7

/* As the transcripts have it: the state first, then the newcomer to all. */
static int greet(presence_app *t, channels_channel *ch)
{
    int err = channels_presence_push_state(t->set, ch);
    return err != CHANNELS_OK ? err : channels_presence_track(t->set, ch, "me", channels_empty());
}

static void one_comes_and_goes(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    t->joined = greet;
    t->b = presence_member(t, ROOM);
    hears(t->b, "['1',null,'room:1','presence_state',{}]");
    hears_diff(t->b, ROOM, "{'me':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(t->a, ROOM, "{'me':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
    channels_test_leave(t->b, ROOM);
    hears_diff(t->a, ROOM, "{}", "{'me':{'metas':[{'phx_ref':'r1'}]}}");
    quiet(t->a);
    quiet(t->b);
    assert_int_equal(channels_presence_count(t->set, ROOM), 0);
}

static void updates(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    does(t->a, ROOM, "track", "{'key':'k','meta':{'n':1}}", CHANNELS_OK);
    does(t->a, ROOM, "update", "{'key':'k','meta':{'n':2}}", CHANNELS_OK);
    does(t->a, ROOM, "update", "{'key':'k','meta':{}}", CHANNELS_OK);
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'n':1,'phx_ref':'r1'}]}}", "{}");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'n':2,'phx_ref':'r2','phx_ref_prev':'r1'}]}}",
               "{'k':{'metas':[{'n':1,'phx_ref':'r1'}]}}");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r3','phx_ref_prev':'r2'}]}}",
               "{'k':{'metas':[{'n':2,'phx_ref':'r2','phx_ref_prev':'r1'}]}}");
    does(t->a, ROOM, "update", "{'key':'other','meta':{}}", CHANNELS_ERR_CLOSED);
    does(t->a, ROOM, "untrack", "{'key':'other'}", CHANNELS_OK);
    does(t->a, ROOM, "untrack", "{'key':'k'}", CHANNELS_OK);
    hears_diff(t->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r3','phx_ref_prev':'r2'}]}}");
    does(t->a, ROOM, "update", "{'key':'k','meta':{}}", CHANNELS_ERR_CLOSED);
    quiet(t->a);
}

static void several_devices(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    t->b = presence_member(t, ROOM);
    does(t->a, ROOM, "track", "{'key':'k','meta':{'on':'a'}}", CHANNELS_OK);
    does(t->a, ROOM, "track", "{'key':'k','meta':{}}", CHANNELS_ERR_INVALID);
    channels_test_expect_log(&t->host, "update it instead");
    does(t->b, ROOM, "track", "{'key':'k','meta':{'on':'b'}}", CHANNELS_OK);
    does(t->b, ROOM, "update", "{'key':'k','meta':{'on':'bb'}}", CHANNELS_OK);
    LIST(t, ROOM);
    said(t, "{'k':{'metas':[{'on':'a','phx_ref':'r1'},"
            "{'on':'bb','phx_ref':'r2','phx_ref_prev':'r3'}]}};");
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
    channels_test_close(t->a);
    LIST(t, ROOM);
    said(t, "{'k':{'metas':[{'on':'bb','phx_ref':'r2','phx_ref_prev':'r3'}]}};");
}

/* Every end of a channel ends what it tracks, and no other's of the same topic. */
static void each_end_untracks(void **state)
{
    presence_app *t = *state;
    const char *const ends[] = { "stop", "fail", "phx_leave", "phx_join" };
    t->b = presence_member(t, ROOM);
    channels_presence_track_owner(OWN(t), ROOM, "device", channels_empty());
    for (size_t i = 0; i < 4; i++) {
        t->a = presence_member(t, ROOM);
        does(t->a, ROOM, "track", "{'key':'x'}", CHANNELS_OK);
        does(t->a, ROOM, "track", "{'key':'y'}", CHANNELS_OK);
        assert_int_equal(channels_presence_count(t->set, ROOM), 3);
        channels_test_push(t->a, ROOM, ends[i], "{}");
        assert_int_equal(channels_presence_count(t->set, ROOM), 1);
    }
    t->a = presence_member(t, ROOM);
    does(t->a, ROOM, "track", "{'key':'x'}", CHANNELS_OK);
    channels_test_close(t->a);
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
    assert_int_equal(t->b->waiting, 15); /* 3 joins, and 2 leaves as one, of each; then 2 */
}

static void owners(void **state)
{
    presence_app *t = *state;
    channels_payload p = channels_empty();
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "k", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "l", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(OWN(t), "room:2", "k", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(t->set, 0, ROOM, "k", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "k", p), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_update_owner(t->set, 8, ROOM, "k", p), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_presence_update_owner(OWN(t), ROOM, "k", json("{'u':1}")),
                     CHANNELS_OK);
    LIST(t, ROOM);
    said(t, "{'k':{'metas':[{'u':1,'phx_ref':'r1','phx_ref_prev':'r2'},{'phx_ref':'r3'}]},"
            "'l':{'metas':[{'phx_ref':'r4'}]}};");
    assert_int_equal(channels_presence_untrack_owner(t->set, 8, NULL, NULL), CHANNELS_OK);
    assert_int_equal(channels_presence_untrack_owner(OWN(t), NULL, "l"), CHANNELS_OK);
    assert_int_equal(channels_presence_untrack_owner(OWN(t), "room:2", NULL), CHANNELS_OK);
    assert_int_equal(channels_presence_count(t->set, "room:2"), 0);
    assert_int_equal(channels_presence_untrack_owner(OWN(t), ROOM, "nobody"), CHANNELS_OK);
    assert_int_equal(channels_presence_untrack_owner(OWN(t), ROOM, "k"), CHANNELS_OK);
    LIST(t, ROOM);
    said(t, "{'k':{'metas':[{'phx_ref':'r3'}]}};");
    assert_int_equal(channels_presence_untrack_owner(t->set, 0, NULL, NULL), CHANNELS_OK);
    LIST(t, ROOM);
    said(t, "{};");
}

/* Who is asked to go when it has just tracked: a join and a leave, and nobody is left. */
static void a_join_that_is_refused(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    t->b = presence_client(t);
    channels_test_push(t->b, ROOM, "phx_join", "{'key':'k','refuse':1}");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(t->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r1'}]}}");
    quiet(t->a);
    assert_int_equal(channels_presence_count(t->set, ROOM), 0);
    channels_test_push(t->b, ROOM, "phx_join", "{'key':'k','later':1}");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    channels_ref_reply(t->host.ep, t->later, "error", channels_empty());
    channels_test_wait(&t->host, 0);
    hears_diff(t->a, ROOM, "{}", "{'k':{'metas':[{'phx_ref':'r2'}]}}");
    quiet(t->a);
}

/* The reply is the first that a newcomer hears, also if it tracks in join(). */
static void tracked_in_join(void **state)
{
    presence_app *t = *state;
    t->a = presence_client(t);
    channels_test_push(t->a, ROOM, "phx_join", "{'key':'k','meta':{'a':[]}}");
    hears(t->a, "['1','1','room:1','phx_reply',{'status':'ok','response':{}}]");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'a':[],'phx_ref':'r1'}]}}", "{}");
    quiet(t->a);
}

/* --- What may not be tracked --------------------------------------------------------------- */

static void refused(presence_app *t, const char *key, channels_payload meta, int result,
                    const char *why)
{
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, key, meta), result);
    channels_test_expect_log(&t->host, why);
    assert_int_equal(channels_presence_count(t->set, ROOM), 0);
}

static void keys_and_metas(void **state)
{
    presence_app *t = *state;
    static const channels_presence_options options = { .max_key = 4, .max_meta = 10 };
    static const char *const risky[] = { "__proto__",      "constructor", "toString",
                                         "hasOwnProperty", "valueOf",     "__defineGetter__" };
    for (size_t i = 0; i < sizeof risky / sizeof *risky; i++)
        refused(t, risky[i], channels_empty(), CHANNELS_ERR_INVALID, "JavaScript");
    refused(t, NULL, channels_empty(), CHANNELS_ERR_INVALID, "the key is NULL");
    refused(t, "\xff", channels_empty(), CHANNELS_ERR_INVALID, "the key is not UTF-8");
    refused(t, "k", channels_json("[]"), CHANNELS_ERR_INVALID, "the meta is not a JSON object");
    refused(t, "k", channels_json("{"), CHANNELS_ERR_INVALID, "the meta is not a JSON object");
    refused(t, "k", channels_binary("{}", 2), CHANNELS_ERR_INVALID, "the meta is not a JSON");
    refused(t, "k", channels_json_n(NULL, 0), CHANNELS_ERR_INVALID, "the meta is not a JSON");
    assert_int_equal(channels_presence_track_owner(OWN(t), "", "k", channels_empty()),
                     CHANNELS_ERR_INVALID);
    channels_test_expect_log(&t->host, "the topic is empty");
    assert_int_equal(channels_presence_track_owner(OWN(t), NULL, "k", channels_empty()),
                     CHANNELS_ERR_INVALID);
    presence_app_restart(t, NULL, &options);
    refused(t, "12345", channels_empty(), CHANNELS_ERR_INVALID, "longer than max_key");
    refused(t, "1234", json("{'a':12345}"), CHANNELS_ERR_INVALID, "larger than max_meta");
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "1234", json("{'a':1234}")),
                     CHANNELS_OK);
    assert_int_equal(channels_presence_update_owner(OWN(t), ROOM, "1234", json("{'a':12345}")),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_update_owner(OWN(t), ROOM, NULL, channels_empty()),
                     CHANNELS_ERR_INVALID);
}

static void any_key(void **state)
{
    presence_app *t = *state;
    static const channels_presence_options options = { .any_key = true };
    presence_app_restart(t, NULL, &options);
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "__proto__", channels_empty()),
                     CHANNELS_OK);
    LIST(t, ROOM);
    said(t, "{'__proto__':{'metas':[{'phx_ref':'r1'}]}};");
}

/* Any text may be a key; it stands in JSON as it must. */
static void awkward_keys(void **state)
{
    presence_app *t = *state;
    channels_payload p = channels_empty();
    channels_presence_track_owner(OWN(t), ROOM, "", p);
    channels_presence_track_owner(OWN(t), ROOM, "\"\\\n\x01", p);
    channels_presence_track_owner(OWN(t), ROOM, "\xc5\xbc", p);
    t->a = presence_member(t, ROOM);
    channels_test_push(t->a, ROOM, "state", "{}");
    hears(t->a, "[\"1\",null,\"room:1\",\"presence_state\",{"
                "\"\":{\"metas\":[{\"phx_ref\":\"r1\"}]},"
                "\"\\\"\\\\\\n\\u0001\":{\"metas\":[{\"phx_ref\":\"r2\"}]},"
                "\"\xc5\xbc\":{\"metas\":[{\"phx_ref\":\"r3\"}]}}]");
}

/* What the application says of its own stays byte for byte, but for what is ours to say. */
static void metas_stay_as_they_are(void **state)
{
    presence_app *t = *state;
    channels_presence_track_owner(OWN(t), ROOM, "k",
                                  json(" { 'n' : 9007199254740993 ,\n'phx_ref':'x','e':1.0e2,"
                                       "'phx\\u005fref_prev':{'a':[1]},'o':{'phx_ref':1} } "));
    channels_presence_track_owner(OWN(t), ROOM, "l", json("{'phx_ref_prev':1,'phx_ref':2}"));
    t->a = presence_member(t, ROOM);
    channels_test_push(t->a, ROOM, "state", "{}");
    hears(t->a, "['1',null,'room:1','presence_state',{'k':{'metas':[{'n' : 9007199254740993,"
                "'e':1.0e2,'o':{'phx_ref':1},'phx_ref':'r1'}]},'l':{'metas':[{'phx_ref':'r2'}]}}]");
}

static void max_present(void **state)
{
    presence_app *t = *state;
    static const channels_presence_options options = { .max_present = 2 };
    channels_payload p = channels_empty();
    presence_app_restart(t, NULL, &options);
    assert_int_equal(channels_presence_track_owner(t->set, 1, ROOM, "k", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(t->set, 2, ROOM, "k", p), CHANNELS_OK);
    assert_int_equal(channels_presence_track_owner(t->set, 3, ROOM, "k", p), CHANNELS_ERR_LIMIT);
    channels_test_expect_log(&t->host, "max_present");
    assert_int_equal(channels_presence_track_owner(t->set, 3, "room:2", "k", p), CHANNELS_OK);
    channels_presence_untrack_owner(t->set, 2, ROOM, "k");
    assert_int_equal(channels_presence_track_owner(t->set, 3, ROOM, "k", p), CHANNELS_OK);
}

/* --- Options and ends ---------------------------------------------------------------------- */

static void bad_options(void **state)
{
    presence_app *t = *state;
    static const char *const patterns[] = { "a*b", NULL };
    static const struct {
        channels_presence_options o;
        const char *why;
    } bad[] = {
        { { .name = NULL }, "has one of that name" },
        { { .name = "" }, "the name is empty" },
        { { .name = "\xff" }, "or not UTF-8" },
        { { .name = "p", .count_only = patterns }, "count_only" },
        { { .name = "p", .broadcast_ms = 10, .down_ms = 19, .max_silent = 1 }, "two broadcast_ms" },
        { { .name = "p", .broadcast_ms = 10, .down_ms = 90 }, "before its heartbeat" },
        { { .name = "p", .broadcast_ms = UINT32_MAX, .max_silent = UINT32_MAX }, "down_ms" },
        { { .name = "p", .down_ms = 30000, .permdown_ms = 30000 }, "permdown_ms" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        channels_presence *p;
        assert_int_equal(channels_presence_new(&p, t->host.ep, &bad[i].o), CHANNELS_ERR_INVALID);
        assert_null(p);
        channels_test_expect_log(&t->host, bad[i].why);
    }
}

static void two_of_one_endpoint(void **state)
{
    presence_app *t = *state;
    channels_presence_options options = { .name = "staff", .user = t };
    channels_presence *staff;
    assert_int_equal(channels_presence_new(&staff, t->host.ep, &options), CHANNELS_OK);
    t->a = presence_member(t, ROOM);
    does(t->a, ROOM, "track", "{'key':'k'}", CHANNELS_OK);
    channels_presence_track_owner(staff, 1, ROOM, "k", channels_empty());
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    channels_presence_free(staff, false);
    quiet(t->a);
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
    channels_presence_free(NULL, true);
    assert_int_equal(channels_presence_new(&staff, t->host.ep, &options), CHANNELS_OK);
    assert_int_equal(channels_presence_count(staff, ROOM), 0);
}

/* Ends in the midst of a turn: what channels still track is gone, and they end as ever. */
static void freed_first(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    does(t->a, ROOM, "track", "{'key':'k'}", CHANNELS_OK);
    hears_diff(t->a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    channels_presence_free(t->set, true);
    quiet(t->a);
    channels_test_close(t->a);
}

static int free_it(presence_app *t, channels_channel *ch)
{
    (void)ch;
    channels_presence_free(t->set, false);
    channels_test_expect_log(&t->host, "channels_presence_free: may not be called");
    return channels_presence_track(t->set, ch, "k", channels_empty());
}

static void not_freed_in_a_callback(void **state)
{
    presence_app *t = *state;
    t->joined = free_it;
    t->a = presence_member(t, ROOM);
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
}

static void *from_elsewhere(void *arg)
{
    presence_app *t = arg;
    channels_payload p = channels_empty();
    assert_int_equal(channels_presence_track_owner(OWN(t), ROOM, "k", p), CHANNELS_ERR_MISUSE);
    assert_int_equal(channels_presence_untrack_owner(OWN(t), ROOM, "k"), CHANNELS_ERR_MISUSE);
    assert_int_equal(LIST(t, ROOM), CHANNELS_ERR_MISUSE);
    assert_int_equal(channels_presence_count(t->set, ROOM), 0);
    channels_presence_free(t->set, false);
    return NULL;
}

static void other_threads(void **state)
{
    presence_app *t = *state;
    pthread_t thread;
    channels_presence_track_owner(t->set, 1, ROOM, "k", channels_empty());
    pthread_create(&thread, NULL, from_elsewhere, t);
    pthread_join(thread, NULL);
    assert_int_equal(channels_presence_count(t->set, ROOM), 1);
}

/* Nothing is kept of a topic where nothing is tracked; nothing has to be done while all is idle. */
static void leaves_nothing_behind(void **state)
{
    presence_app *t = *state;
    t->a = presence_member(t, ROOM);
    size_t before = t->host.blocks;
    for (int i = 0; i < 3; i++) {
        does(t->a, ROOM, "track", "{'key':'k'}", CHANNELS_OK);
        assert_int_equal(channels_endpoint_timeout(t->host.ep), UINT64_MAX);
        does(t->a, ROOM, "untrack", "{}", CHANNELS_OK);
        if (i == 0)
            before = t->host.blocks; /* with the tables that maps and queues keep */
    }
    assert_int_equal(t->host.blocks, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(one_comes_and_goes),
        PRESENCE_TEST(updates),
        PRESENCE_TEST(several_devices),
        PRESENCE_TEST(each_end_untracks),
        PRESENCE_TEST(owners),
        PRESENCE_TEST(a_join_that_is_refused),
        PRESENCE_TEST(tracked_in_join),
        PRESENCE_TEST(keys_and_metas),
        PRESENCE_TEST(any_key),
        PRESENCE_TEST(awkward_keys),
        PRESENCE_TEST(metas_stay_as_they_are),
        PRESENCE_TEST(max_present),
        PRESENCE_TEST(bad_options),
        PRESENCE_TEST(two_of_one_endpoint),
        PRESENCE_TEST(freed_first),
        PRESENCE_TEST(not_freed_in_a_callback),
        PRESENCE_TEST(other_threads),
        PRESENCE_TEST(leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("presence_track", tests, NULL, NULL);
}
