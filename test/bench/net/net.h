/* net.h - between the files of the benchmark of servers on the network: see main.c. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include "bench/load/load.h"

/* --- servers.c ------------------------------------------------------------------------------ */

#define SERVERS_MAX 8

enum { LIMIT, BATCH, OURS, FIRST_GUEST };

typedef struct net_server {
    const char *name;
    char *command;
} net_server;

extern net_server servers[SERVERS_MAX];
extern unsigned server_count;

void servers_begin(void);              /* finds ours beside this program */
bool servers_add(const char *setting); /* NAME=COMMAND; false: it is not that, or one too many */

/* --- workloads.c ---------------------------------------------------------------------------- */

typedef enum { TARGETS, WINDOWS, CROWD, JOINS, LONGPOLL, MEMORY, LATENCY, PARTS } net_part;

/* What a target is set against: CPU time of a server in the same round, or bytes of a client. */
typedef enum { NO_TARGET, OF_LIMIT, OF_BATCH, BYTES } yardstick;

/* Of one server. */
typedef struct finding {
    figures cpu;                /* µs each */
    figures of_limit, of_batch; /* the same, divided by theirs in the same round */
    figures per_s;              /* deliveries, cycles; of those who only join: joins */
    figures bytes;              /* of memory for each client */
    figures rss_before, rss_joined;
    figures own; /* part of a core that the load generator used */
    histogram latency;
} finding;

typedef struct workload {
    char name[32], title[64];
    net_part part;
    yardstick yardstick;
    double goal, rival; /* what is to be reached, and what uWebSockets reached */
    load_options options;
    unsigned rounds;
    finding found[SERVERS_MAX];
} workload;

extern workload workloads[64];
extern unsigned workload_count;

typedef struct scale {
    unsigned rounds;  /* of the targets; of the others a third of it */
    double duration;  /* s that a run with a target is measured; of the others half of it */
    bool quick;       /* sizes for the counts alone */
    const char *only; /* patterns of a shell; NULL: all */
    unsigned files;   /* so many may be open */
} scale;

void workloads_begin(const scale *s);
bool workload_is_for(const workload *w, unsigned which); /* of the servers */

/* --- rounds.c ------------------------------------------------------------------------------- */

double rounds_estimate(void); /* s that they take */
/* `again`: what others disturbed is repeated. False: counts were wrong. */
bool rounds_run(bool again);

/* --- tables.c, plots.c ---------------------------------------------------------------------- */

void tables_print(void);
void plots_draw(const char *folder);

#endif
