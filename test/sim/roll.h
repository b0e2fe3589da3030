/* roll.h - what is truly tracked on the nodes of a test, and lists as phoenix.js' Presence keeps
 * them, each join and leave of which is checked against it.
 *
 * Each meta that is ever tracked is {"n":N} with a number of its own: its entry on the roll. */
#ifndef SIM_ROLL_H
#define SIM_ROLL_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

enum { SIM_TOPICS = 3, SIM_KEYS = 4, SIM_ENTRIES = 8192, SIM_LIVES = 64 };

extern const char *const sim_topics[SIM_TOPICS], *const sim_keys[SIM_KEYS];

typedef struct sim_entry {
    unsigned life, topic, key; /* of which node's life; of the lists above */
    unsigned prev;             /* the number in whose place an update put it; 0: none */
    bool ended;
    char ref[24]; /* its phx_ref; "" until somebody has seen it */
} sim_entry;

typedef struct sim_roll {
    sim_entry entries[SIM_ENTRIES];
    unsigned count;  /* entries 1 to count-1 are there */
    char wrong[300]; /* the first thing that was; "" */
} sim_roll;

void sim_wrong(sim_roll *roll, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The number of a new one; 0: the roll is full. */
unsigned sim_roll_add(sim_roll *roll, unsigned life, unsigned topic, unsigned key, unsigned prev);
/* Calls `fn` for the number of each meta of {"ada":{"metas":[...]}}, once they are what was
 * tracked: topic, key, phx_ref and phx_ref_prev are right. `who` reads it, for the words. */
void sim_roll_read(sim_roll *roll, const char *who, unsigned topic, const cJSON *map,
                   void (*fn)(void *arg, unsigned n), void *arg);
/* No two had the same phx_ref. */
void sim_roll_check_refs(sim_roll *roll);

/* One list of one topic. */
typedef struct sim_viewer {
    sim_roll *roll;
    char who[40];
    unsigned topic;
    bool on;        /* it is in the topic */
    bool has_state; /* since then it has had one */
    bool unrested;  /* in this turn */
    unsigned count; /* metas on it */
    unsigned char flags[SIM_ENTRIES];
    /* A leave of `n` is told: true if that is because its node has not been heard for so long.
     * Else it must have ended, and cannot join again. */
    bool (*is_down)(void *arg, unsigned n);
    void *arg;
    unsigned joins, leaves; /* so far */
} sim_viewer;

/* It has joined the topic, and knows nothing yet. */
void sim_viewer_begin(sim_viewer *v);
void sim_viewer_end(sim_viewer *v);
void sim_viewer_state(sim_viewer *v, const cJSON *state);
void sim_viewer_diff(sim_viewer *v, const cJSON *joins, const cJSON *leaves);
bool sim_viewer_has(const sim_viewer *v, unsigned n);
/* The turn is over: what a state told ahead of its diff has been told by the diff too. */
void sim_viewer_rest(sim_viewer *v);

#endif
