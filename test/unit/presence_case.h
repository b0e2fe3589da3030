/* presence_case.h - nodes that hold presence, joined by a bus that a test has in hand: what is on
 * the way may be lost, doubled, late, or cut off between two of them.
 *
 * Each node keeps a view: the sum of what was reported to it. That no report contradicts those
 * before, and that what is listed is the view, is checked throughout. */
#ifndef UNIT_PRESENCE_CASE_H
#define UNIT_PRESENCE_CASE_H

#include "base/map.h"
#include "channels/channels.h"
#include "presence/state.h"
#include "unit/faulty.h"

#define NODES 6u
#define TOPICS 4u    /* "room:0", "room:1", ... */
#define PERIOD 1500u /* ms; the values of Phoenix */
#define SILENT 10u   /* periods */
#define DOWN 30000u  /* ms */
#define PERMDOWN 1200000u

typedef struct presence_case presence_case;

/* What a node has sent, whether it arrived or not. */
typedef struct presence_counts {
    uint64_t bytes;               /* of messages of all kinds */
    uint64_t requests, snapshots; /* parts of these */
} presence_counts;

typedef struct presence_node {
    presence_case *c;
    unsigned number;
    char name[8]; /* "a", "b", ... */
    uint64_t incarnation;
    faulty faulty;
    channels__state *state; /* NULL: not running */
    channels__map view;
    char trace[4096]; /* "+key" joins, "-key" leaves, "~key" updates since it was asked for last */
    presence_counts sent;
    unsigned lines; /* logged */
    bool refuses;   /* changed() returns false */
} presence_node;

typedef struct presence_parcel {
    struct presence_parcel *next;
    char from[8], to[8]; /* to "": all */
    uint64_t incarnation, due;
    size_t len;
    unsigned char data[];
} presence_parcel;

struct presence_case {
    presence_node nodes[NODES];
    channels__state_config config; /* what a node starts with; tests may change it before */
    uint64_t now, lives;
    presence_parcel *first, **last;
    bool cut[NODES][NODES]; /* from, to: lost */
    bool lost;              /* all of it */
    /* of 100, by `random` */
    uint32_t losing, doubling, late_ms;
    uint32_t random;
    size_t largest; /* message */
    unsigned parcels;
};

int presence_start(void **state);
int presence_stop(void **state);
#define PRESENCE_TEST(fn) cmocka_unit_test_setup_teardown(fn, presence_start, presence_stop)

uint32_t presence_random(presence_case *c, uint32_t below);

/* A new life of the n-th; NULL if memory ran out. Ends as by kill -9, with its queue kept. */
presence_node *presence_node_start(presence_case *c, unsigned n);
void presence_node_kill(presence_node *n);

/* What is due is delivered, with what comes of it; or only the first of it: false if there is none.
 */
void presence_deliver(presence_case *c);
bool presence_deliver_one(presence_case *c);
/* Takes all that is on the way; puts it, or something else, back behind what is. */
presence_parcel *presence_take(presence_case *c);
void presence_put(presence_case *c, presence_parcel *parcels);
/* So many periods: time goes on, each ticks, and all is delivered. */
void presence_ticks(presence_case *c, unsigned periods);

/* In "room:0", with the meta {}; `key` and `json` as they are. The result of the call. */
uint64_t presence_track(presence_node *n, const char *key);
int presence_track_in(presence_node *n, unsigned topic, const char *key, const char *json,
                      uint64_t *born);
int presence_update(presence_node *n, uint64_t born, const char *json);
int presence_untrack(presence_node *n, uint64_t born);

/* The view is what is listed. */
void presence_check(presence_node *n);
/* Every node shows the same. */
void presence_agree(presence_case *c);
bool presence_same(const presence_node *a, const presence_node *b);
/* What was reported since it was asked for last, sorted: "+a -b ~c". */
#define reported(n, text) presence_reported_at(n, text, __FILE__, __LINE__)
void presence_reported_at(presence_node *n, const char *text, const char *file, int line);
/* How `n` sees the node of that name. -1: not at all. */
int presence_status(const presence_node *n, const char *name);
size_t presence_held(const presence_node *n, const char *name);     /* entries, shown or not */
size_t presence_metas(const presence_node *n, channels__str topic); /* that are listed */
size_t presence_own(const presence_node *n);                        /* that it tracks itself */

#endif
