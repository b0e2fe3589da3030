/* channels/presence.h - who is here: Phoenix.Presence.
 *
 *     static int room_joined(channels_channel *ch, void *user)
 *     {
 *         struct app *app = user;
 *         const struct member *who = channels_assigns(ch);
 *         channels_presence_track(app->presence, ch, who->name, channels_json("{\"phone\":true}"));
 *         return channels_presence_push_state(app->presence, ch);
 *     }
 *
 * A key is tracked in a topic with a meta, a JSON object; it may have several, one for each device
 * say. Everybody in the topic gets each change as a broadcast "presence_diff", the newcomer once
 * the whole as a push "presence_state": what phoenix.js' Presence and those of other clients keep a
 * list by. Every meta carries a phx_ref, new with each change, and after an update phx_ref_prev.
 * What is tracked by a channel ends with it.
 *
 * Nodes joined by an adapter (config.pubsub) know each other's presences, without a leader and
 * without a store: see channels_presence(3) for what is promised when nodes or networks fail.
 *
 * Diffs leave at the end of the turn: the outermost call into the library. The changes of one turn
 * make one diff; but a key that has joined in it and then leaves or is updated, or the other way
 * round, has it sent before, so that each phx_ref joins once and leaves once. A diff that waits
 * goes before any later broadcast of the topic, unless it waits for fetch(), and never before the
 * join reply. One for which there is no memory is kept and tried again within a second.
 *
 * All on the endpoint's thread. A presence belongs to its endpoint and ends with it. Phoenix
 * lib/phoenix/presence.ex. */
#ifndef CHANNELS_PRESENCE_H
#define CHANNELS_PRESENCE_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_presence channels_presence;
typedef struct channels_presence_batch channels_presence_batch;

/* What one diff says, as JSON objects like those on the wire: {"ada":{"metas":[...]}}. */
typedef struct channels_presence_diff {
    const char *topic;
    channels_payload joins, leaves;
} channels_presence_diff;

/* Zero means the default. Strings and arrays are copied. */
typedef struct channels_presence_options {
    const char *name; /* of this set, the same on all nodes; one endpoint may have several
                       * ["presence"] */
    void *user;       /* handed to fetch and on_diff */
    /* Adds what clients are to see beside "metas", for all keys of one list or diff at once: see
     * Fetching below. Returns CHANNELS_OK when all is there, CHANNELS_LATER with a ref taken, or a
     * negative number: shown without. It may run inside of calls that change or list presences or
     * broadcast, so it calls nothing itself but channels_presence_batch_...(): those that change
     * or list presences refuse it with CHANNELS_ERR_MISUSE. */
    int (*fetch)(channels_presence_batch *batch, void *user);
    /* After each diff was broadcast here, also if nobody listens: for what the server itself wants
     * to know. At the end of the turn, a callback: what it tracks itself makes a diff of the next
     * turn. `diff` is good until it returns. */
    void (*on_diff)(channels_presence *presence, const channels_presence_diff *diff, void *user);
    /* NULL-ended patterns, as those of routes, of topics too large for lists: entries are kept and
     * counted, but instead of presence_state and presence_diff there is "presence_count" with
     * {"count":N}, the number of keys: pushed by channels_presence_push_state(), and broadcast when
     * it has changed, at most once each broadcast_ms. No on_diff() for them. */
    const char *const *count_only;
    size_t max_key;     /* bytes of a key [255] */
    size_t max_meta;    /* bytes of a meta [16384] */
    size_t max_present; /* own metas in one topic [100000] */
    size_t max_waiting; /* bytes of diffs and lists that wait for fetch(), or behind one that does;
                         * beyond that the oldest go without what it adds [16 MB] */
    bool any_key;       /* also "__proto__", "constructor" and the like, which break clients that
                         * keep their list in a JavaScript object, phoenix.js among them. Without
                         * it those of other nodes are not shown either. */
    /* Between nodes; the same everywhere. */
    uint32_t broadcast_ms; /* changes are gathered so long [1500] */
    uint32_t max_silent;   /* so many of these pass without a change, then a heartbeat [8: unlike
                            * Phoenix' 10, one that is lost does not make a node down] */
    uint32_t down_ms;      /* not heard from for so long: its presences leave [30000]; at least two
                            * broadcast_ms and more than max_silent + 1 of them */
    uint32_t permdown_ms;  /* and are forgotten [1200000]; more than down_ms */
    uint32_t max_nodes;    /* that are known, then newer ones are not heard [1024] */
} channels_presence_options;

/* `options` may be NULL. CHANNELS_ERR_INVALID: an option, or there is one of that name; `log` says
 * which. */
CHANNELS_API int channels_presence_new(channels_presence **presence, channels_endpoint *ep,
                                       const channels_presence_options *options);
/* Ends it: nothing is tracked any more, and no diff is sent here. With `graceful` the other nodes
 * take its presences away at once; without, when they hear a new node of its name or after down_ms:
 * by then the clients are back, and a server which is restarted is no storm of leaves and joins.
 * NULL is fine. NOT FROM CALLBACKS. */
CHANNELS_API void channels_presence_free(channels_presence *presence, bool graceful);

/* --- Tracking -----------------------------------------------------------------------------
 * Key: UTF-8 text. Meta: a JSON object, whose own phx_ref and phx_ref_prev are left out. */

/* In the channel's topic, until it ends. From join() on; if that is refused nobody sees more than a
 * join and a leave. CHANNELS_ERR_INVALID: the key or meta cannot be used, this channel tracks that
 * key already (update it), or it is another endpoint's. CHANNELS_ERR_LIMIT: max_present.
 * CHANNELS_ERR_CLOSED: it is ending. */
CHANNELS_API int channels_presence_track(channels_presence *presence, channels_channel *ch,
                                         const char *key, channels_payload meta);
/* Another meta in place of the one; CHANNELS_ERR_CLOSED: this channel does not track that key. */
CHANNELS_API int channels_presence_update(channels_presence *presence, channels_channel *ch,
                                          const char *key, channels_payload meta);
/* Nothing happens if it is not tracked. NULL: all keys of the channel. Fails only for lack of
 * memory, and then it is still there. */
CHANNELS_API int channels_presence_untrack(channels_presence *presence, channels_channel *ch,
                                           const char *key);

/* The same for what is present and no channel of this endpoint: a device on another protocol, a
 * worker. `owner` is a number of yours; what it tracks lasts until _untrack_owner. There `topic`
 * NULL stands for all its topics, `key` NULL for all keys; for lack of memory it may have
 * untracked a part of them. */
CHANNELS_API int channels_presence_track_owner(channels_presence *presence, uint64_t owner,
                                               const char *topic, const char *key,
                                               channels_payload meta);
CHANNELS_API int channels_presence_update_owner(channels_presence *presence, uint64_t owner,
                                                const char *topic, const char *key,
                                                channels_payload meta);
CHANNELS_API int channels_presence_untrack_owner(channels_presence *presence, uint64_t owner,
                                                 const char *topic, const char *key);

/* --- Looking ------------------------------------------------------------------------------ */

/* "presence_state" to this channel's client: who is in its topic. When the channel has joined; what
 * changed before is in it, and only what changed later is in diffs behind it, also if fetch() takes
 * its time; but of a channel that intercepts "presence_diff" handle_out() comes later. Results as
 * of channels_push(). */
CHANNELS_API int channels_presence_push_state(channels_presence *presence, channels_channel *ch);
/* Has `fn` called once with who is in a topic, {"ada":{"metas":[...]}}, or with what one key has
 * there, {"metas":[...]}, on all nodes as known here: before this returns, or if that has to wait
 * for fetch() at the end of a later turn. The payload's data is NULL if memory ran out meanwhile or
 * the presence ended. After a negative result it is not called. */
CHANNELS_API int channels_presence_list(channels_presence *presence, const char *topic,
                                        void (*fn)(void *arg, channels_payload list), void *arg);
CHANNELS_API int channels_presence_get(channels_presence *presence, const char *topic,
                                       const char *key, void (*fn)(void *arg, channels_payload one),
                                       void *arg);
/* The number of keys in a topic. */
CHANNELS_API size_t channels_presence_count(channels_presence *presence, const char *topic);

/* Each other node that is known. `fn` only looks: CHANNELS_ERR_MISUSE for calls of it that change or
 * list presences. */
typedef struct channels_presence_node {
    const char *name;
    bool up;        /* its presences are shown */
    size_t entries; /* metas it tracks */
} channels_presence_node;
CHANNELS_API int channels_presence_foreach_node(channels_presence *presence,
                                                void (*fn)(void *arg,
                                                           const channels_presence_node *node),
                                                void *arg);

/* --- Fetching -----------------------------------------------------------------------------
 * A batch is one topic's keys, of a list or of a diff's joins and then its leaves; one that was
 * updated is there twice. The handle is good in fetch(), and after channels_presence_batch_of()
 * until you leave your function or call anything else but these. */

CHANNELS_API const char *channels_presence_batch_topic(const channels_presence_batch *batch);
CHANNELS_API size_t channels_presence_batch_count(const channels_presence_batch *batch);
/* Key number `i`, from 0, and its metas as a JSON array; NULL if there are not so many. */
CHANNELS_API const char *channels_presence_batch_key(const channels_presence_batch *batch,
                                                     size_t i);
CHANNELS_API channels_payload channels_presence_batch_metas(const channels_presence_batch *batch,
                                                            size_t i);
/* The members of `object`, a JSON object without "metas", are shown beside it, as they are. Copied;
 * the last one set counts. */
CHANNELS_API int channels_presence_batch_set(channels_presence_batch *batch, size_t i,
                                             channels_payload object);
/* In fetch(), before it returns CHANNELS_LATER. Diffs and lists of the topic that come meanwhile
 * are fetched too, and wait behind it to be shown. */
CHANNELS_API int channels_presence_batch_later(channels_presence_batch *batch, channels_ref *ref);
/* The batch of that ref; NULL if it is done, was shown without (max_waiting), or its presence has
 * ended. */
CHANNELS_API channels_presence_batch *channels_presence_batch_of(channels_endpoint *ep,
                                                                 channels_ref ref);
/* All that is wanted is set: it is shown, and what waited behind it. The batch is gone.
 * CHANNELS_ERR_CLOSED: it was already. */
CHANNELS_API int channels_presence_batch_done(channels_endpoint *ep, channels_ref ref);

#ifdef __cplusplus
}
#endif
#endif
