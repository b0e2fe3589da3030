/* cluster.h - nodes with presence on one bus and one clock, clients that come to them, and what
 * both are promised, checked all the time.
 *
 * The nodes are endpoints of channels/test.h, each with a memory, a clock and a log of its own. Who
 * tracks is a holder: a client's channel, or an owner the node names. Every node has a list of each
 * topic made from channels_presence_options.on_diff, every client those it hears. What is wrong
 * first stands in roll.wrong. */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include <channels/presence.h>
#include <channels/test.h>

#include "sim/net.h"
#include "sim/memory.h"
#include "sim/roll.h"

enum { SIM_CLIENTS = 10, SIM_OWNERS = 2 };

typedef struct sim_cluster sim_cluster;
typedef struct sim_node sim_node;

/* The numbers of what it tracks; 0: nothing. */
typedef struct sim_holder {
    unsigned tracked[SIM_TOPICS][SIM_KEYS];
} sim_holder;

typedef struct sim_client {
    sim_cluster *cluster;
    sim_node *node;          /* NULL: it is not connected */
    channels_test_client *c; /* the node's */
    sim_holder holder;
    bool joined[SIM_TOPICS];   /* as far as it has asked */
    unsigned join[SIM_TOPICS]; /* ref of the last join */
    sim_viewer lists[SIM_TOPICS];
} sim_client;

struct sim_node {
    sim_cluster *cluster;
    unsigned number;
    char name[16];
    channels_test host;
    sim_memory memory;
    sim_station *station;
    channels_presence *presence; /* NULL: it has ended */
    size_t bytes;                /* of memory it had when it started */
    unsigned life;               /* 0: it does not run */
    uint64_t stalled_until;
    uint64_t woke_at;
    uint64_t unread_since;     /* it wakes, has much to read, and runs its timers first; else 0 */
    bool dirty;                /* something may have changed since it was checked */
    uint64_t heard[SIM_LIVES]; /* when its presence last heard of that life; 0: never */
    bool bye[SIM_LIVES];       /* it has been told that this one ends */
    sim_holder owners[SIM_OWNERS];
    sim_viewer lists[SIM_TOPICS];
};

typedef struct sim_life {
    char name[16];
    unsigned node;
    bool ended;
} sim_life;

struct sim_cluster {
    sim_net bus;
    sim_roll roll;
    channels_presence_options options; /* of all nodes, to be set before they start */
    sim_life lives[SIM_LIVES];
    unsigned nlives;
    unsigned slack; /* ms that a step takes: nothing is more exact */
    bool narrow;    /* nodes remember and send so little at once that they come to the end of it */
    sim_node nodes[SIM_STATIONS];
    sim_client clients[SIM_CLIENTS];
};

/* `c` is zeroed but for its options. */
void sim_cluster_init(sim_cluster *c, uint64_t seed);
/* Whatever still runs is freed, and has to give back its memory. */
void sim_cluster_deinit(sim_cluster *c);

/* --- Nodes -------------------------------------------------------------------------------- */

void sim_node_start(sim_node *node, const char *name);
/* Is freed without a word: nothing of what it would say is sent. */
void sim_node_crash(sim_node *node);
/* Ends its presence, with or without `graceful`, then itself. */
void sim_node_stop(sim_node *node, bool graceful);
/* Reads nothing and does nothing for so long. */
void sim_node_stall(sim_node *node, unsigned ms);
bool sim_node_runs(const sim_node *node);                   /* and is not stalled */
sim_node *sim_node_named(sim_cluster *c, const char *name); /* NULL: none runs */
/* The metas in a topic as it lists them; `seen`, if not NULL, gets 1 at their numbers. */
unsigned sim_node_list(sim_node *node, unsigned topic, unsigned char *seen);

/* --- Clients and owners ----------------------------------------------------------------------
 * `ops`: what is done in one turn, each a letter and a key's digit: t track, u update, x untrack;
 * or alone: X untrack all, s push the state once more. "t0u0x1s" */

void sim_client_open(sim_client *client, sim_node *node);
void sim_client_close(sim_client *client);
/* join() does `before`, joined() `after`, and then join() has refused it with `refuse`. */
void sim_client_join(sim_client *client, unsigned topic, const char *before, const char *after,
                     bool refuse);
void sim_client_leave(sim_client *client, unsigned topic);
void sim_client_do(sim_client *client, unsigned topic, const char *ops);
void sim_owner_do(sim_node *node, unsigned owner, unsigned topic, const char *ops);
/* X: of all topics. */
void sim_owner_drop(sim_node *node, unsigned owner);

/* --- Time and checks ---------------------------------------------------------------------- */

/* Lets `ms` pass, in steps; all is checked after each. */
void sim_cluster_run(sim_cluster *c, unsigned ms);
void sim_cluster_check(sim_cluster *c);
/* After quiet: all lists of all nodes that run are what is truly tracked on them. */
void sim_cluster_check_equal(sim_cluster *c);
/* And nobody else is remembered. */
void sim_cluster_check_forgotten(sim_cluster *c);
/* All clients go, and nothing is tracked any more: soon nothing is held of it. */
void sim_cluster_empty(sim_cluster *c);

#endif
