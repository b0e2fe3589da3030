/* state.h - who is present, as one node knows it: what it tracks itself and what others told of.
 * Pure data: no endpoint, no clock, no I/O. Time comes in as `now`; what changed and what has to be
 * sent go out through channels__state_events. What Phoenix.Tracker.State and .Shard are in Elixir.
 *
 * Each entry has a single writer, the node that tracks it, so the set is one log for each life
 * ("incarnation", a name and a number that is new with each start) of each node:
 *
 *   clock     counts the changes of one incarnation: 1, 2, 3, ...
 *   entry     (born, clock): the change that made it and the one that changed it last; its phx_ref
 *             is made from incarnation and clock, so it is not kept
 *   log       own changes by clock; an entry stands where it changed last, a removal where it
 *             happened. What changed since clock n is the part of the log behind n: a heartbeat's
 *             delta and the answer to who missed something are the same walk, linear in the change.
 *             Only so many removals are kept: who asks for older ones gets a snapshot
 *   applied   of another's incarnation: all its changes up to here have been heard
 *
 * Messages, whose sender (name and incarnation) their carrier names:
 *
 *   heartbeat  to all, each broadcast_ms when something changed and each max_silent + 1 of those
 *              when not; to one node that has just been heard of for the first time. The range of
 *              clocks it covers, and what became of entries in it. In parts if large
 *   request    to one: I have heard everything up to clock n
 *   snapshot   to one, when the log does not reach back to n: part of all entries in order of
 *              clock; the asker asks for the next part, so what waits on the way is bounded. What
 *              no part has named is gone when the last has come
 *   bye        to all: a graceful stop
 *
 * `shown` tells of each entry whether a join has been reported; what is listed is what is shown, so
 * a list is always the sum of the joins and leaves reported before it. An entry of a node that is
 * down, or that has come back and is not up to date yet, is kept and not shown.
 *
 * An entry takes some 190 bytes besides its topic, key and meta, one of another node some 160 (with
 * eight bytes to a pointer and a key of its own).
 *
 * No node passes on what it heard of a third, as Phoenix' do: on a bus each node reaches all or
 * none. Who cannot hear a node hides what it tracks after down_ms whatever others know of it, so
 * nobody can be made to report a second leave by somebody who saw more, and a partial split heals
 * from the log of the origin alone. */
#ifndef CHANNELS_PRESENCE_STATE_H
#define CHANNELS_PRESENCE_STATE_H

#include <stdint.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

typedef struct channels__state channels__state;

/* One meta of a key, as it is shown. Slices are the state's, good until it is called again. */
typedef struct channels__meta {
    channels__str topic, key;
    channels__str json;   /* the application's object, checked, without phx_ref and phx_ref_prev */
    channels__str node;   /* whose entry it is, */
    uint64_t incarnation; /* in which life */
    uint64_t born, clock; /* phx_ref: of incarnation and clock */
    uint64_t prev;        /* clock before its last update; 0: never updated */
} channels__meta;

/* Nothing here may call the state but to read it. */
typedef struct channels__state_events {
    /* A join (`before` NULL), a leave (`after` NULL) or an update, before it is done. False if it
     * could not be noted (memory): then it does not happen, and what came from elsewhere is tried
     * again. */
    bool (*changed)(void *arg, const channels__meta *before, const channels__meta *after);
    /* To the node of that name, NULL: to all others; not before this returns. What fails is
     * repaired like what was lost. */
    void (*send)(void *arg, const char *node, const void *data, size_t len);
    /* One line; `level` is a channels_log_level. */
    void (*log)(void *arg, int level, const char *text);
} channels__state_events;

/* All set; nothing is copied but `node`. */
typedef struct channels__state_config {
    const channels__mem *mem;
    channels__hash_key hash_key;
    const char *node;
    uint64_t incarnation;
    uint32_t broadcast_ms, max_silent, down_ms, permdown_ms;
    uint32_t max_removals; /* kept in the log for those who missed them */
    uint32_t max_nodes;    /* incarnations of others that are remembered; more are ignored */
    size_t max_message;    /* of a heartbeat or a part of a snapshot, about; an entry goes whole */
    size_t max_early;      /* bytes of one incarnation's deltas that came before an earlier one */
    const channels__state_events *events;
    void *arg;
} channels__state_config;

/* NULL if memory ran out. */
channels__state *channels__state_new(const channels__state_config *config);
/* Reports nothing and sends nothing. */
void channels__state_free(channels__state *state);

/* --- Own entries: reported at once, sent with the next tick. Negative results: nothing changed ---
 */

/* *born names it from now on. The topic is UTF-8, not empty and without a NUL, the key UTF-8,
 * `json` a checked object, stored as it is given: others refuse what is not. */
int channels__state_track(channels__state *state, channels__str topic, channels__str key,
                          channels__str json, uint64_t *born);
/* CHANNELS_ERR_CLOSED: there is none. */
int channels__state_update(channels__state *state, uint64_t born, channels__str json);
/* Fails only for lack of memory (then it is still there) or if there is none. */
int channels__state_untrack(channels__state *state, uint64_t born);

/* --- Time and messages ---------------------------------------------------------------------- */

/* Every broadcast_ms, from a random moment in the first quarter of it on. Says what changed, asks
 * for what was missed, finds who is down. One that comes more than a broadcast_ms late finds
 * who was down at the tick before it: what was sent since has yet to be read. */
void channels__state_tick(channels__state *state, uint64_t now);
/* A message of another node. CHANNELS_ERR_PROTOCOL: not understood, nothing of it was taken.
 * CHANNELS_ERR_NOMEM: as if it was lost. */
int channels__state_receive(channels__state *state, const char *node, uint64_t incarnation,
                            const void *data, size_t len, uint64_t now);
/* Says bye: others drop our entries at once instead of when they find us down. Nothing is sent
 * after it. */
void channels__state_bye(channels__state *state);

/* --- Reading: what is shown ----------------------------------------------------------------- */

/* The number of keys in a topic. */
size_t channels__state_keys(const channels__state *state, channels__str topic);
/* Each meta of the topic, those of one key one after the other, in the order in which they came; an
 * update leaves it in its place. `fn` false stops. */
void channels__state_list(const channels__state *state, channels__str topic,
                          bool (*fn)(void *arg, const channels__meta *meta), void *arg);
/* The same for one key. */
void channels__state_get(const channels__state *state, channels__str topic, channels__str key,
                         bool (*fn)(void *arg, const channels__meta *meta), void *arg);

/* --- Looking in ----------------------------------------------------------------------------- */

typedef enum {
    CHANNELS__NODE_UP,
    CHANNELS__NODE_CATCHING_UP,
    CHANNELS__NODE_DOWN
} channels__node_status;
/* Each known incarnation of another node. */
void channels__state_nodes(const channels__state *state,
                           void (*fn)(void *arg, const char *node, uint64_t incarnation,
                                      channels__node_status status, size_t entries),
                           void *arg);

#endif
