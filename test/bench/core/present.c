/* present.c - the presences of a crowd's first room: see crowd.h. */
#define _GNU_SOURCE /* memmem() */
#include <stdio.h>
#include <string.h>

#include "bench/core/crowd.h"

#define META "{\"online_at\":1700000000}"

/* --- What is heard of them ------------------------------------------------------------------ */

static bool begins(const char *text, size_t len, const char *beginning)
{
    size_t n = strlen(beginning);
    return len > n && memcmp(text, beginning, n) == 0;
}

bool is_presence_diff(const crowd *c, bool v1, const char *text, size_t len)
{
    (void)c, (void)v1;
    return begins(text, len, "[null,null,\"" FIRST_ROOM "\",\"presence_diff\",{");
}

bool is_presence_state(const crowd *c, bool v1, const char *text, size_t len)
{
    (void)c, (void)v1;
    return begins(text, len, "[\"1\",null,\"" FIRST_ROOM "\",\"presence_state\",{");
}

bool is_whole_presence_state(const crowd *c, bool v1, const char *text, size_t len)
{
    static const char meta[] = "\"metas\":[{";
    const char *end = text + len, *at = text;
    size_t n = 0;
    while ((at = memmem(at, (size_t)(end - at), meta, sizeof meta - 1)) != NULL) {
        at += sizeof meta - 1;
        n++;
    }
    return is_presence_state(c, v1, text, len) &&
           n == channels_presence_count(c->presence, FIRST_ROOM);
}

void crowd_check_present(crowd *c, size_t keys)
{
    size_t n = channels_presence_count(c->presence, FIRST_ROOM);
    if (n != keys)
        bench_fail("of %zu presences %zu are counted", keys, n);
}

/* --- Of clients ----------------------------------------------------------------------------- */

typedef struct call {
    crowd *crowd;
    char key[16];
} call;

static call call_for(crowd *c, unsigned i)
{
    call made = { .crowd = c };
    snprintf(made.key, sizeof made.key, "user:%08u", i);
    return made;
}

static void track(channels_channel *ch, void *arg)
{
    const call *made = arg;
    if (channels_presence_track(made->crowd->presence, ch, made->key, channels_json(META)) !=
        CHANNELS_OK)
        bench_fail("a presence cannot be tracked");
}

static void untrack(channels_channel *ch, void *arg)
{
    const call *made = arg;
    if (channels_presence_untrack(made->crowd->presence, ch, made->key) != CHANNELS_OK)
        bench_fail("a presence cannot be untracked");
}

static void push_state(channels_channel *ch, void *arg)
{
    const call *made = arg;
    if (channels_presence_push_state(made->crowd->presence, ch) != CHANNELS_OK)
        bench_fail("a presence_state cannot be pushed");
}

void crowd_track(crowd *c, unsigned i)
{
    call made = call_for(c, i);
    crowd_with_channel(c, i, track, &made);
}

void crowd_untrack(crowd *c, unsigned i)
{
    call made = call_for(c, i);
    crowd_with_channel(c, i, untrack, &made);
}

void crowd_push_state(crowd *c, unsigned i)
{
    call made = call_for(c, i);
    crowd_with_channel(c, i, push_state, &made);
}

/* In one turn, for one diff: with one for each the deliveries would grow with the square of the
 * clients. */
static void track_all(channels_endpoint *ep, void *arg)
{
    crowd *c = arg;
    (void)ep;
    for (unsigned i = 0; i < c->options.size; i++)
        crowd_track(c, i);
}

void crowd_track_all(crowd *c)
{
    crowd_expect(c, is_presence_diff);
    crowd_in_one_turn(c, track_all);
    crowd_check(c, c->options.size);
    crowd_check_present(c, c->options.size);
}

/* --- Of others ------------------------------------------------------------------------------ */

void crowd_track_owner(crowd *c, unsigned owner)
{
    call made = call_for(c, owner);
    if (channels_presence_track_owner(c->presence, owner, FIRST_ROOM, made.key,
                                      channels_json(META)) != CHANNELS_OK)
        bench_fail("a presence cannot be tracked");
}

void crowd_untrack_owner(crowd *c, unsigned owner)
{
    if (channels_presence_untrack_owner(c->presence, owner, NULL, NULL) != CHANNELS_OK)
        bench_fail("a presence cannot be untracked");
}
