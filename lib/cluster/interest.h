/* interest.h - which topics an endpoint listens to, as any thread may ask without a lock.
 *
 * A counting Bloom filter: the topic's hash picks two of many small counters, which its owner, the
 * endpoint's thread, counts up when the topic's first listener comes and down when its last goes.
 * If both are above zero somebody may listen; if not, certainly nobody does. So the answer errs in
 * one direction only: with eight counters for each topic and more, it is a needless yes for at most
 * one topic in twenty. A counter that has reached its maximum stays there, which errs the same way.
 *
 * There is one writer, so that counting takes no atomic addition. Relaxed order is enough: who has
 * heard, by whatever means, that somebody listens, has heard it after the counters were written.
 *
 * When they become crowded the owner fills a larger array and publishes it. The old ones, together
 * smaller than the new one, are kept until the end: somebody may just be reading there. */
#ifndef CHANNELS_CLUSTER_INTEREST_H
#define CHANNELS_CLUSTER_INTEREST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct channels__counters {
    struct channels__counters *older;
    size_t size; /* a power of two */
    _Atomic(uint8_t) at[];
} channels__counters;

typedef struct channels__interest {
    _Atomic(channels__counters *) published; /* NULL: it listens to nothing */
    channels__counters *own;                 /* the newest; the owner's */
    size_t topics;                           /* counted in it */
} channels__interest;

/* ANY THREAD. False: certainly not. */
bool channels__interest_has(const channels__interest *interest, uint64_t hash);

/* The owner, of one that is zeroed or has ended: in no topic yet. False if memory ran out. */
bool channels__interest_begin(channels__interest *interest);
void channels__interest_add(channels__interest *interest, uint64_t hash);
void channels__interest_remove(channels__interest *interest, uint64_t hash);
/* Before one more is added it is time for _grow(), which begins anew, unseen: all topics are added
 * again, then _publish(). False if memory ran out: nothing has happened, and going on as before
 * does no harm but to precision. */
bool channels__interest_crowded(const channels__interest *interest);
bool channels__interest_grow(channels__interest *interest);
void channels__interest_publish(channels__interest *interest);
void channels__interest_end(channels__interest *interest);

/* When no thread asks any more. */
void channels__interest_free(channels__interest *interest);

#endif
