/* presence.h - what a channels_presence is made of, and the way of a change through it.
 *
 *   presence ─┬─ service, in the endpoint's list
 *             ├─ state: who is present, on all nodes (state.h)
 *             ├─ owners (by channel or number) ── tracked (by owner, topic, key)
 *             └─ topics (by name) ─┬─ pending: the diff of this turn
 *                                  └─ queue of batches: diffs and lists that wait for fetch(), or
 *                                     behind one that does
 *
 * The state reports each change, its own or another node's, by channels__presence_changed(). It is
 * noted in the topic's pending diff, a batch, and the topic is marked. At the end of the turn, or
 * before that if order asks for it, the batch is submitted: fetch() adds to it, then it is sent;
 * if there is something in the queue, behind that. What is to be sent and cannot for lack of memory
 * stays where it is and is tried again within a second: changes that were reported are not lost.
 *
 * Host code is called from two places: fetch(), which may do next to nothing (`busy`), from
 * wherever a batch is submitted; the functions of lists and on_diff() from the end of the turn, or
 * from the very call that asks for a list. */
#ifndef CHANNELS_PRESENCE_PRESENCE_H
#define CHANNELS_PRESENCE_PRESENCE_H

#include "channels/presence.h"
#include "core/core.h"
#include "presence/groups.h"
#include "presence/state.h"

/* A topic with something tracked here, or of which something is to be sent. */
typedef struct channels__presence_topic {
    channels__map_node node; /* in presence->topics */
    channels_presence *presence;
    channels_presence_batch *pending; /* NULL: nothing has changed */
    channels__list queue;             /* of batches; the first is not ready or could not be sent */
    bool sending;                     /* it is being emptied */
    channels__list marked;            /* in presence->marked, with a ref */
    uint32_t refs;                    /* tracked, batches, lists it is in; 0 frees it */
    size_t present;                   /* metas tracked here */
    bool count_only;
    bool recount;           /* keys may have come or gone since the number was told */
    size_t told;            /* the number; SIZE_MAX: not all the same */
    channels__list resting; /* in presence->resting, with a ref, */
    uint64_t rested;        /* until then: the number was told a short time ago */
    size_t len;
    char name[];
} channels__presence_topic;

/* Who tracks: a channel or a number. As long as there is something tracked. */
typedef struct channels__presence_owner {
    channels__map_node node;   /* in presence->owners, unless it has ended */
    channels__list link;       /* in presence->ended, once it has and entries are left */
    channels__list tracked;    /* of it */
    channels_channel *channel; /* NULL: */
    uint64_t number;
} channels__presence_owner;

/* What an owner tracks: the name of an own entry of the state. */
typedef struct channels__tracked {
    channels__map_node node; /* in presence->tracked */
    channels__list link;     /* in owner->tracked */
    channels__presence_owner *owner;
    channels__presence_topic *topic;
    uint64_t born; /* in the state */
    size_t key_len;
    char key[];
} channels__tracked;

typedef enum {
    CHANNELS__BATCH_DIFF,
    CHANNELS__BATCH_STATE, /* presence_state */
    CHANNELS__BATCH_LIST,  /* for a function */
    CHANNELS__BATCH_ONE    /* the same of one key */
} channels__batch_kind;

/* Something to be shown on its way from the state to whom it is for. */
struct channels_presence_batch {
    channels__list link; /* in topic->queue, later in presence->calls; alone before that */
    channels__list age;  /* in presence->queued */
    channels__presence_topic *topic;
    channels__batch_kind kind;
    bool ready;                /* fetched */
    uint32_t slot;             /* of its ref; 0: none */
    channels__groups shown[2]; /* joins and leaves; of lists the second is empty */
    size_t bytes;              /* counted in presence->waiting */
    channels__group *seen;     /* the last that was looked at, */
    size_t seen_at;            /* and its number */
    channels_channel *channel; /* of a presence_state; NULL: it has gone */
    void (*fn)(void *arg, channels_payload list);
    void *arg;
    char *text; /* written out, */
    size_t text_len;
    size_t joins_len; /* of a diff */
};

struct channels_presence {
    channels__service service; /* first */
    channels_endpoint *ep;
    channels_presence_options options; /* complete; what it points to is in `copies` */
    channels__state *state;
    uint64_t salt; /* makes of an endpoint's incarnation one of this set, whose refs are its own */
    channels__map topics, owners, tracked;
    channels__list marked;  /* topics that have something to send */
    channels__list resting; /* topics whose number was told; the one that did first is first */
    channels__list queued;  /* batches in queues, by age */
    channels__list calls;   /* batches of which the host is still to be told */
    channels__list ended;   /* owners without memory to be untracked */
    size_t waiting;         /* bytes of the queued */
    uint64_t tick, retry;   /* when; UINT64_MAX: never */
    uint64_t said_until;    /* no further line about max_waiting */
    bool busy;              /* host code runs that may not change anything here */
    bool over;              /* it is ending */
    size_t size;            /* of this block */
    _Alignas(max_align_t) char copies[];
};

/* presence.c */

/* Begins a public call; what is not CHANNELS_OK is its result. */
int channels__presence_enter(channels_presence *p, const char *call);
/* The same of one that is about a channel. */
int channels__presence_enter_for(channels_presence *p, const char *call,
                                 const channels_channel *ch);
/* What failed for lack of memory is tried again before long. */
void channels__presence_retry(channels_presence *p);
void channels__presence_set_due(channels_presence *p);

/* topics.c */

channels__presence_topic *channels__presence_topic_find(const channels_presence *p,
                                                        channels__str name);
/* With a ref, made if need be; NULL if memory ran out. */
channels__presence_topic *channels__presence_topic_get(channels_presence *p, channels__str name);
void channels__presence_topic_put(channels__presence_topic *topic);
/* Something of it is to be sent at the end of the turn; _again: could not be for lack of memory. */
void channels__presence_mark(channels__presence_topic *topic);
void channels__presence_mark_again(channels__presence_topic *topic);
/* Sends what the marked topics have to send. */
void channels__presence_settle(channels_presence *p);

/* diff.c */

bool channels__presence_changed(void *presence, const channels__meta *before,
                                const channels__meta *after);
/* The pending diff of a topic goes now. */
void channels__presence_flush(channels__presence_topic *topic);

/* batch.c */

/* NULL if memory ran out. */
channels_presence_batch *channels__batch_new(channels__presence_topic *topic,
                                             channels__batch_kind kind);
void channels__batch_free(channels_presence_batch *batch);
/* Takes it. A negative result, not of diffs: it could not be shown and nobody will be told. */
int channels__batch_submit(channels_presence_batch *batch);
/* All that fetch() adds to it is there. */
void channels__batch_fetched(channels_presence_batch *batch);
/* Sends what is ready at the head of the queue. */
void channels__batches_send(channels__presence_topic *topic);
/* Calls the host's functions of those that are in presence->calls now. */
void channels__batches_call(channels_presence *p);
/* A channel has gone: no presence_state for it. */
void channels__batches_forget(channels__presence_topic *topic, const channels_channel *ch);
/* The presence ends: functions that wait get nothing. */
void channels__batches_end(channels_presence *p);

/* fetch.c */

/* Asks fetch() to add to it, if there is one. */
void channels__batch_fetch(channels_presence_batch *batch);
/* Its ref is dead. */
void channels__batch_forget_ref(channels_presence_batch *batch);

/* track.c */

void channels__presence_channel_ended(channels_presence *p, const channels_channel *ch);
/* Untracks what could not be when its owner ended. */
void channels__presence_end_owners(channels_presence *p);
void channels__presence_owners_free(channels_presence *p);

/* count.c: topics that are only counted. */

void channels__count_changed(channels__presence_topic *topic);
/* Tells the topic if the number is another than it was told last. */
void channels__count_tell(channels__presence_topic *topic);
int channels__count_push(channels__presence_topic *topic, channels_channel *ch);
/* Those that have rested. */
void channels__counts_run(channels_presence *p);
uint64_t channels__counts_due(const channels_presence *p);

#endif
