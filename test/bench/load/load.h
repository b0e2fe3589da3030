/* load.h - the load generator: one run of clients against a server of Phoenix Channels on
 * 127.0.0.1, and what was counted. The program `load` (main.c) does one by hand, `net` many.
 *
 * All clients are on the calling thread. One run at a time. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/bench.h"

typedef enum {
    LOAD_FANOUT, /* some clients publish, all of the topic hear it */
    LOAD_ECHO,   /* each pushes what is echoed in the reply */
    LOAD_IDLE,   /* they join, and that is all */
    LOAD_CHURN,  /* connect, join, push, leave, close, and again */
    LOAD_REJOIN, /* leave and join, on the same connection */
    LOAD_MODES
} load_mode;

extern const char *const load_mode_names[LOAD_MODES];

typedef struct load_options {
    load_mode mode;
    bool longpoll; /* instead of WebSocket; not with churn */
    uint16_t port;
    const char *path;               /* of the mount; NULL: "/socket" */
    unsigned clients, topics;       /* client i joins room:(i mod topics) */
    unsigned publishers;            /* of fan-out: the first so many clients */
    unsigned payload;               /* bytes of the string in it */
    unsigned window;                /* messages of one client on their way at most */
    double rate;                    /* of fan-out: publishes a second; 0: as the window allows */
    double warmup, duration, drain; /* s: before, while, and at most after what is measured */
    pid_t server;                   /* whose CPU and memory are looked at; 0: nobody's */
} load_options;

#define LOAD_DEFAULTS \
    { \
        .clients = 100, .topics = 1, .publishers = 1, .payload = 64, .window = 4, .warmup = 0.5, \
        .duration = 2, .drain = 5 \
    }

/* --- histogram.c ---------------------------------------------------------------------------- */

/* Of times in ns: 64 steps in each power of two, so that one is known by 1.6%. */
#define HISTOGRAM_STEPS 64
#define HISTOGRAM_BINS (HISTOGRAM_STEPS * 36)

typedef struct histogram {
    uint64_t bins[HISTOGRAM_BINS], total, max;
} histogram;

void histogram_add(histogram *h, uint64_t ns);
void histogram_merge(histogram *h, const histogram *other);
/* The time in µs below which a part `q` of them lies. */
double histogram_at(const histogram *h, double q);

/* --- run.c ---------------------------------------------------------------------------------- */

/* What has to be 0. */
typedef struct load_faults {
    uint64_t lost, duplicated, out_of_order, gaps;
    uint64_t bad;    /* messages that are not what they must be */
    uint64_t errors; /* connections that failed or were closed */
    uint64_t stuck;  /* publishers that waited in vain */
} load_faults;

typedef struct load_result {
    unsigned joined;
    double connect_s;                        /* until all had joined */
    double connect_cpu_s;                    /* of the server */
    uint64_t published, expected, delivered; /* of the whole run */
    load_faults faults;

    /* While it was measured. */
    double window_s;
    uint64_t published_then, delivered_then; /* delivered: messages; churn, rejoin: cycles */
    double cpu_s, user_s, system_s;          /* of the server; the two latter by the tick */
    double own_s;                            /* of the generator */
    double others;                           /* part of all cores that other programs used */
    double rss_before, rss_joined, rss_end;  /* bytes of the server */
    histogram latency;
} load_result;

/* Ends the program only if the machine refuses sockets. */
void load_run(const load_options *o, load_result *r);
bool load_is_clean(const load_result *r); /* all joined, no faults */
/* CPU of the server in µs for each delivery or cycle; of LOAD_IDLE for each join. */
double load_cpu_us(const load_options *o, const load_result *r);
cJSON *load_json(const load_options *o, const load_result *r);

#endif
