/* hub.h - a hub, the endpoints that have joined it, and its uplink.
 *
 *   hub ── members: places, max_endpoints of them
 *            ├─ inbox: letters from the others, a lock-free stack; each is run by its owner in the
 *            │  end, if only to free it, so they have no drop()
 *            ├─ interest: what the endpoint listens to
 *            └─ the endpoint; NULL while the place is free
 *
 * Places are as old as the hub, so that a post to an endpoint which is just being freed does no
 * harm: the letter is thrown away by whoever takes the place next, or with the hub. Only waking has
 * to be sure of the endpoint: there is a small lock for that in each place.
 *
 * Locks are taken in this order: the hub's, a member's, an endpoint's wake_lock. */
#ifndef CHANNELS_CLUSTER_HUB_H
#define CHANNELS_CLUSTER_HUB_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mailbox.h"
#include "channels/hub.h"
#include "cluster/interest.h"
#include "core/core.h"

typedef struct channels__uplink channels__uplink; /* uplink.c */

typedef struct channels__member channels__member;

/* Messages of one member that another was the last to read. */
typedef struct channels__pile {
    channels__member *of;
    channels__letter *first, *last; /* NULL: none */
    size_t bytes;
} channels__pile;

struct channels__member {
    /* For any thread. */
    channels__mailbox inbox;
    _Atomic(size_t) queued; /* bytes of broadcasts that wait in it */
    _Atomic(size_t) missed; /* broadcasts that found no room there */
    _Atomic(size_t) unread; /* bytes of its own reports to the carrier that have not been read */
    _Atomic(bool) asked;    /* to report all that it listens to */
    channels__interest interest;
    channels__mailbox spent; /* its own messages that all have read, to be used again, */
    _Atomic(size_t) kept;    /* and about their bytes */
    pthread_mutex_t lock;
    channels_endpoint *ep; /* its thread changes it, under the hub's lock and this */

    /* For the endpoint's thread. */
    channels_hub *hub;
    channels__letter *blocks;   /* taken out of `spent` */
    channels__pile pile;        /* of another's, while it reads its inbox */
    channels__uplink *uplink;   /* it carries the hub's; else NULL */
    channels__letter *farewell; /* its last report, made in advance: it cannot fail */
    uint64_t again;             /* when it reports all, */
    bool behind;                /* since some report could not be made */

    bool taken; /* under the hub's lock */
};

struct channels_hub {
    channels_hub_options options; /* complete */
    channels__hash_key key;       /* the first endpoint's own */
    pthread_mutex_t lock;         /* of coming and going */
    uint32_t joined;              /* places that are taken */
    bool uplinked;
    _Atomic(uint32_t) used;              /* places that were ever taken: the first ones */
    _Atomic(channels__member *) carrier; /* of the uplink, from when it is up */
    channels__member members[];
};

/* hub.c */

/* ANY THREAD, with the place's endpoint or without. */
void channels__member_post(channels__member *to, channels__letter *letter);
void channels__member_wake(channels__member *to);
/* `fn` for each topic that the endpoint listens to. */
void channels__member_topics(channels__member *m,
                             void (*fn)(channels__member *m, const char *topic));
/* ANY THREAD. One of its endpoints is the node of that name. */
bool channels__hub_has(channels_hub *hub, const char *node);

/* uplink.c: on the endpoint's thread. */

/* The last report of a member that begins; NULL if memory ran out. */
channels__letter *channels__report_farewell(channels__member *m);
/* A member has begun or ceased to listen to `topic`. */
void channels__report(channels__member *m, const char *topic, bool on);
/* It leaves; under the hub's lock. */
void channels__report_end(channels__member *m);
/* What members still have to report, what the carrier's adapter has to do, and when that is. */
void channels__uplink_run(channels__member *m, uint64_t now);
uint64_t channels__uplink_due(const channels__member *m);
/* Of the carrier: to nodes elsewhere. */
int channels__uplink_send(channels__uplink *up, const char *topic, const void *data, size_t len);
void channels__uplink_free(channels__uplink *up); /* NULL is fine */

#endif
