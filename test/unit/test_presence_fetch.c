/* test_presence_fetch.c - what the application adds to metas, at once or later, in strict order. */
#include <channels/pubsub.h>

#include "unit/presence_app.h"

#define ROOM "room:1"

typedef struct fetch_case {
    presence_app t; /* first */
    int result;
    channels_ref refs[16];
    unsigned nrefs;
    bool done_at_once, track, silent;
} fetch_case;

/* Says what it is asked for, and shows the number of each key. */
static void answer(channels_presence_batch *batch)
{
    for (size_t i = 0; i < channels_presence_batch_count(batch); i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"name\":\"%s %zu\"}", channels_presence_batch_key(batch, i),
                 i);
        assert_int_equal(channels_presence_batch_set(batch, i, channels_json(text)), CHANNELS_OK);
    }
}

static void ask(fetch_case *f, const channels_presence_batch *batch)
{
    size_t n = channels_presence_batch_count(batch);
    presence_say(&f->t, "fetch %s", channels_presence_batch_topic(batch));
    for (size_t i = 0; i < n; i++) {
        channels_payload metas = channels_presence_batch_metas(batch, i);
        presence_say(&f->t, " %s %.*s", channels_presence_batch_key(batch, i), (int)metas.len,
                     (const char *)metas.data);
    }
    presence_say(&f->t, ";");
}

static int fetch(channels_presence_batch *batch, void *user)
{
    fetch_case *f = user;
    channels_endpoint *ep = f->t.host.ep;
    if (!f->silent)
        ask(f, batch);
    if (f->track) {
        assert_int_equal(channels_presence_track_owner(f->t.set, 5, ROOM, "x", channels_empty()),
                         CHANNELS_ERR_MISUSE);
        channels_test_expect_log(&f->t.host, "may not be called from fetch()");
    }
    if (f->result == CHANNELS_OK)
        answer(batch);
    if (f->result != CHANNELS_LATER)
        return f->result;
    channels_ref *ref = &f->refs[f->nrefs++ % 16];
    assert_int_equal(channels_presence_batch_later(batch, ref), CHANNELS_OK);
    if (f->done_at_once)
        assert_int_equal(channels_presence_batch_done(ep, *ref), CHANNELS_OK);
    return f->result;
}

static int start(void **state)
{
    fetch_case *f = calloc(1, sizeof *f);
    *state = f;
    return 0;
}

static void open_with(fetch_case *f, channels_presence_options options)
{
    presence_forget_refs();
    options.fetch = fetch;
    presence_open(&f->t, NULL, &options);
    f->t.a = presence_member(&f->t, ROOM);
}

static int stop(void **state)
{
    return presence_app_stop(state);
}

#define OPEN(...) open_with(f, (channels_presence_options){ __VA_ARGS__ })

static void track(fetch_case *f, const char *key)
{
    assert_int_equal(channels_presence_track_owner(f->t.set, 1, ROOM, key, channels_empty()),
                     CHANNELS_OK);
}

static int done(fetch_case *f, unsigned n)
{
    return channels_presence_batch_done(f->t.host.ep, f->refs[n]);
}

static void done_with(fetch_case *f, unsigned n)
{
    answer(channels_presence_batch_of(f->t.host.ep, f->refs[n]));
    assert_int_equal(done(f, n), CHANNELS_OK);
    assert_int_equal(done(f, n), CHANNELS_ERR_CLOSED);
}

static void at_once(void **state)
{
    fetch_case *f = *state;
    OPEN(.on_diff = presence_diff_said);
    track(f, "k");
    said(&f->t, "fetch room:1 k [{'phx_ref':'r1'}];"
                "room:1 +{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 0'}} -{};");
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 0'}}", "{}");
    channels_presence_update_owner(f->t.set, 1, ROOM, "k", json("{'u':1}"));
    said(&f->t, "fetch room:1 k [{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}] k [{'phx_ref':'r1'}];"
                "room:1 +{'k':{'metas':[{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}],'name':'k 0'}} "
                "-{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 1'}};");
    channels_presence_get(f->t.set, ROOM, "k", presence_list_said, f);
    said(&f->t, "fetch room:1 k [{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}];"
                "{'metas':[{'u':1,'phx_ref':'r2','phx_ref_prev':'r1'}],'name':'k 0'};");
    channels_presence_get(f->t.set, ROOM, "nobody", presence_list_said, f);
    said(&f->t, "{'metas':[]};");
    channels_presence_list(f->t.set, "room:none", presence_list_said, f);
    said(&f->t, "{};");
}

/* A diff, a state, another diff, a list: all wait for the first, and are shown as they arose. */
static void later(void **state)
{
    fetch_case *f = *state;
    OPEN(.on_diff = presence_diff_said);
    f->result = CHANNELS_LATER;
    f->silent = true;
    track(f, "k");
    channels_test_push(f->t.a, ROOM, "state", "{}");
    track(f, "l");
    channels_presence_list(f->t.set, ROOM, presence_list_said, f);
    f->result = CHANNELS_OK;
    track(f, "m");
    channels_pubsub_broadcast(f->t.host.ep, ROOM, "said", channels_empty());
    hears(f->t.a, "[null,null,'room:1','said',{}]");
    quiet(f->t.a);
    done_with(f, 2);
    done_with(f, 1);
    done_with(f, 3);
    quiet(f->t.a);
    said(&f->t, "");
    done_with(f, 0);
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 0'}}", "{}");
    hears(f->t.a, "['1',null,'room:1','presence_state',{'k':{'metas':[{'phx_ref':'r1'}],"
                  "'name':'k 0'}}]");
    hears_diff(f->t.a, ROOM, "{'l':{'metas':[{'phx_ref':'r2'}],'name':'l 0'}}", "{}");
    hears_diff(f->t.a, ROOM, "{'m':{'metas':[{'phx_ref':'r3'}],'name':'m 0'}}", "{}");
    said(&f->t, "room:1 +{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 0'}} -{};"
                "room:1 +{'l':{'metas':[{'phx_ref':'r2'}],'name':'l 0'}} -{};"
                "{'k':{'metas':[{'phx_ref':'r1'}],'name':'k 0'},"
                "'l':{'metas':[{'phx_ref':'r2'}],'name':'l 1'}};"
                "room:1 +{'m':{'metas':[{'phx_ref':'r3'}],'name':'m 0'}} -{};");
    quiet(f->t.a);
}

static void tracks_and_is_done(channels_endpoint *ep, void *arg)
{
    fetch_case *f = arg;
    (void)ep;
    track(f, "l");
    assert_int_equal(done(f, 0), CHANNELS_OK);
}

/* While another diff is pending. */
static void done_in_the_midst(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    f->result = CHANNELS_LATER;
    track(f, "k");
    f->result = CHANNELS_OK;
    channels_post(f->t.host.ep, tracks_and_is_done, f, NULL);
    channels_test_wait(&f->t.host, 0);
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(f->t.a, ROOM, "{'l':{'metas':[{'phx_ref':'r2'}],'name':'l 0'}}", "{}");
    quiet(f->t.a);
}

/* Other topics do not wait. */
static void topics_apart(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    f->result = CHANNELS_LATER;
    track(f, "k");
    f->result = CHANNELS_OK;
    f->t.b = presence_member(&f->t, "room:2");
    channels_presence_track_owner(f->t.set, 1, "room:2", "k", channels_empty());
    assert_int_equal(f->t.b->waiting, 1);
    quiet(f->t.a);
}

static void results(void **state)
{
    static const struct {
        int result;
        const char *log;
    } wrong[] = { { -5, "it returned -5" },
                  { CHANNELS_STOP, "it returned 1, which means nothing" } };
    fetch_case *f = *state;
    OPEN(.name = NULL);
    f->silent = true;
    for (size_t i = 0; i < 2; i++) {
        f->result = wrong[i].result;
        track(f, i == 0 ? "k" : "l");
        channels_test_expect_log(&f->t.host, wrong[i].log);
    }
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    hears_diff(f->t.a, ROOM, "{'l':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    f->result = CHANNELS_LATER;
    f->done_at_once = true;
    track(f, "m");
    hears_diff(f->t.a, ROOM, "{'m':{'metas':[{'phx_ref':'r3'}]}}", "{}");
    assert_null(channels_presence_batch_of(f->t.host.ep, f->refs[0]));
}

static int only_says_later(channels_presence_batch *batch, void *user)
{
    (void)batch, (void)user;
    return CHANNELS_LATER;
}

static int takes_a_ref(channels_presence_batch *batch, void *user)
{
    fetch_case *f = user;
    channels_presence_batch_later(batch, &f->refs[1]);
    assert_int_equal(channels_presence_batch_later(batch, &f->refs[0]), CHANNELS_OK);
    assert_true(f->refs[0].id == f->refs[1].id);
    return CHANNELS_OK;
}

static void refs_and_results(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    channels_presence_options options = { .name = "other", .user = f, .fetch = only_says_later };
    channels_presence *other;
    channels_presence_new(&other, f->t.host.ep, &options);
    channels_presence_track_owner(other, 1, ROOM, "k", channels_empty());
    channels_test_expect_log(&f->t.host, "without channels_presence_batch_later()");
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    options.name = "third";
    options.fetch = takes_a_ref;
    channels_presence_new(&other, f->t.host.ep, &options);
    channels_presence_track_owner(other, 1, ROOM, "k", channels_empty());
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r2'}]}}", "{}");
    assert_int_equal(done(f, 0), CHANNELS_ERR_CLOSED);
}

static void misuse(void **state)
{
    fetch_case *f = *state;
    channels_ref ref;
    OPEN(.name = NULL);
    f->track = true;
    f->result = CHANNELS_LATER;
    track(f, "k");
    channels_presence_batch *b = channels_presence_batch_of(f->t.host.ep, f->refs[0]);
    assert_int_equal(channels_presence_batch_set(b, 1, channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_batch_set(b, 0, channels_json("[]")), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_batch_set(b, 0, channels_binary("{}", 2)),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_batch_set(b, 0, json("{'a':1,'m\\u0065tas':[]}")),
                     CHANNELS_ERR_INVALID);
    assert_null(channels_presence_batch_key(b, 1));
    assert_null(channels_presence_batch_metas(b, 1).data);
    assert_int_equal(channels_presence_batch_set(b, 0, json("{'a':1}")), CHANNELS_OK);
    assert_int_equal(channels_presence_batch_set(b, 0, json(" { 'b' : 2 } ")), CHANNELS_OK);
    assert_int_equal(channels_presence_batch_later(b, &ref), CHANNELS_OK);
    assert_int_equal(channels_ref_reply(f->t.host.ep, ref, "ok", channels_empty()),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_presence_batch_done(f->t.host.ep, (channels_ref){ 99 }),
                     CHANNELS_ERR_CLOSED);
    done(f, 0);
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}],'b' : 2}}", "{}");
}

/* A state that waits is nobody's when its channel has gone; neither is it the next one's. */
static void the_channel_has_gone(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    f->silent = true;
    track(f, "k");
    channels_test_hear(f->t.a);
    f->result = CHANNELS_LATER;
    channels_test_push(f->t.a, ROOM, "state", "{}");
    channels_test_leave(f->t.a, ROOM);
    channels_test_join(f->t.a, ROOM, "{}");
    done(f, 0);
    quiet(f->t.a);
    channels_test_push(f->t.a, ROOM, "state", "{}");
    channels_test_close(f->t.a);
    done(f, 1);
}

/* Too much waits: the oldest go as they are, one line tells of it. */
static void max_waiting(void **state)
{
    fetch_case *f = *state;
    OPEN(.max_waiting = 4000);
    f->silent = true;
    f->result = CHANNELS_LATER;
    track(f, "first");
    channels_presence_list(f->t.set, ROOM, presence_list_said, f);
    quiet(f->t.a);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        track(f, key);
    }
    hears_diff(f->t.a, ROOM, "{'first':{'metas':[{'phx_ref':'r1'}]}}", "{}");
    said(&f->t, "{'first':{'metas':[{'phx_ref':'r1'}]}};");
    assert_in_range(f->t.a->waiting, 8, 18);
    channels_test_expect_log(&f->t.host, "fetch() is too slow");
    assert_int_equal(f->t.host.logged, 1);
    assert_null(channels_presence_batch_of(f->t.host.ep, f->refs[7]));
    assert_non_null(channels_presence_batch_of(f->t.host.ep, f->refs[(f->nrefs - 1) % 16]));
}

/* What fetch() has added counts too, while it waits behind another. */
static void max_waiting_of_what_is_added(void **state)
{
    fetch_case *f = *state;
    char text[1100];
    OPEN(.max_waiting = 10000);
    f->silent = true;
    f->result = CHANNELS_LATER;
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"n\":\"", 6);
    memcpy(text + sizeof text - 3, "\"}", 3);
    for (unsigned i = 0; i < 12; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        track(f, key);
        channels_presence_batch *b = channels_presence_batch_of(f->t.host.ep, f->refs[i]);
        assert_non_null(b);
        assert_int_equal(channels_presence_batch_set(b, 0, channels_json(text)), CHANNELS_OK);
        if (i != 0)
            assert_int_equal(done(f, i), CHANNELS_OK);
    }
    channels_test_expect_log(&f->t.host, "fetch() is too slow");
    assert_int_equal(f->t.a->waiting, 12);
}

static void alone_too_large(void **state)
{
    fetch_case *f = *state;
    OPEN(.max_waiting = 1);
    f->result = CHANNELS_LATER;
    track(f, "k");
    hears_diff(f->t.a, ROOM, "{'k':{'metas':[{'phx_ref':'r1'}]}}", "{}");
}

static void tries_more(void *arg, channels_payload list)
{
    fetch_case *f = arg;
    assert_null(list.data);
    presence_say(&f->t, "end;");
    assert_int_equal(channels_presence_list(f->t.set, ROOM, tries_more, f), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_presence_track_owner(f->t.set, 5, ROOM, "x", channels_empty()),
                     CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_presence_count(f->t.set, ROOM), 0);
}

static void waits(fetch_case *f)
{
    f->silent = true;
    f->result = CHANNELS_LATER;
    track(f, "k");
    channels_presence_list(f->t.set, ROOM, tries_more, f);
    channels_presence_get(f->t.set, ROOM, "k", tries_more, f);
}

static void freed_while_waiting(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    waits(f);
    channels_presence_free(f->t.set, false);
    said(&f->t, "end;end;");
    assert_int_equal(done(f, 0), CHANNELS_ERR_CLOSED);
    assert_int_equal(done(f, 1), CHANNELS_ERR_CLOSED);
    quiet(f->t.a);
}

static void is_done_with_others(void *arg, channels_payload list)
{
    fetch_case *f = arg;
    presence_say(&f->t, "%s;", list.data != NULL ? "list" : "end");
    for (unsigned i = 0; i < f->nrefs; i++)
        done(f, i);
}

/* What waits is done from the functions that are told of the end: none is told twice or never. */
static void done_while_it_ends(void **state)
{
    fetch_case *f = *state;
    OPEN(.on_diff = presence_diff_said);
    f->silent = true;
    track(f, "k");
    channels_presence_track_owner(f->t.set, 1, "room:2", "k", channels_empty());
    f->t.said[0] = '\0';
    f->result = CHANNELS_LATER;
    channels_presence_get(f->t.set, "room:2", "k", is_done_with_others, f);
    channels_presence_list(f->t.set, ROOM, is_done_with_others, f);
    track(f, "l");
    assert_int_equal(f->nrefs, 3);
    channels_presence_free(f->t.set, false);
    said(&f->t, "end;end;");
}

static void endpoint_freed_while_waiting(void **state)
{
    fetch_case *f = *state;
    OPEN(.name = NULL);
    waits(f);
    assert_int_equal(channels_test_stop(&f->t.host), 0);
    said(&f->t, "end;end;");
}

#define FETCH_TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FETCH_TEST(at_once),
        FETCH_TEST(later),
        FETCH_TEST(done_in_the_midst),
        FETCH_TEST(topics_apart),
        FETCH_TEST(results),
        FETCH_TEST(refs_and_results),
        FETCH_TEST(misuse),
        FETCH_TEST(the_channel_has_gone),
        FETCH_TEST(max_waiting),
        FETCH_TEST(max_waiting_of_what_is_added),
        FETCH_TEST(alone_too_large),
        FETCH_TEST(freed_while_waiting),
        FETCH_TEST(done_while_it_ends),
        FETCH_TEST(endpoint_freed_while_waiting),
    };
    return cmocka_run_group_tests_name("presence_fetch", tests, NULL, NULL);
}
