/* cluster.h - between the files of the benchmark of several nodes: see cluster.c.
 *
 * A node is an endpoint on a thread of its own with a libev loop, as a server has it, but without
 * sockets: its clients are carriers of this program that look at what they are sent and keep
 * nothing. So what is measured is the library, the loop's wake-ups and what joins the nodes. */
#ifndef BENCH_CLUSTER_H
#define BENCH_CLUSTER_H

#include <ev.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <channels/adapters/libev.h>
#include <channels/adapters/libev_redis.h>
#include <channels/channels.h>
#include <channels/hub.h>
#include <channels/pubsub.h>
#include <channels/redis.h>
#include <channels/transport.h>

#include "bench/bench.h"

#define PATIENCE_S 20 /* then what is waited for will not come any more */

/* How much is measured. */
typedef struct scale {
    unsigned rounds;  /* of each measurement, those of one round one after the other */
    double trial_s;   /* how long one goes on */
    double visible_s; /* how long clients join */
    bool quick;       /* only what takes no time: for the counts, not for the times */
} scale;

/* --- redis_server.c ------------------------------------------------------------------------- */

/* A redis-server of our own on a free port of 127.0.0.1, that keeps nothing; it ends with this
 * program at the latest. False: there is none on this machine. */
bool redis_server_start(void);
void redis_server_stop(void);
uint16_t redis_server_port(void);   /* 0: it does not run */
uint64_t redis_server_cpu_ns(void); /* 0 if it does not run */

/* --- node.c --------------------------------------------------------------------------------- */

typedef enum { ALONE, BY_HUB, BY_REDIS, JOINTS } joint;
extern const char *const joint_names[JOINTS];

typedef struct node node;
struct node {
    /* Set before node_start(). */
    const char *name;
    unsigned core; /* it stays on this one, see machine_pin() */
    joint joint;
    channels_hub *hub;                      /* of BY_HUB */
    const char *prefix;                     /* of BY_REDIS: of those that belong together */
    const channels_socket_handler *handler; /* of "/socket"; NULL: everybody may join anything */
    void *user;                             /* the handler's */

    /* Its own. */
    channels_endpoint *ep;
    struct ev_loop *loop;
    channels_ev ev;
    channels_redis *redis;
    channels_ev_redis ev_redis;
    pthread_t thread;
    clockid_t cpu;
    ev_async called; /* node_call() */
    void (*_Atomic call)(node *n, void *arg);
    void *call_arg;
    sem_t ready; /* it runs, or the call is done */
};

void node_start(node *n);
void node_stop(node *n);
/* Runs `fn(n, arg)` on its thread, outside of the library, and waits for it. One at a time. */
void node_call(node *n, void (*fn)(node *n, void *arg), void *arg);
uint64_t node_cpu_ns(const node *n); /* its thread's, when it is at rest */
/* Waits, for PATIENCE_S at most. False: in vain. */
bool wait_for(sem_t *sem);

/* --- client.c ------------------------------------------------------------------------------- */

/* In memory; the first member of whatever else it is. */
typedef struct client client;
struct client {
    channels_socket *socket;
    bool in; /* its join was answered */
    /* What it is sent after that: [null,null,topic,event,payload]. NULL: it is deaf. */
    void (*hear)(client *c, const char *text, size_t len);
};

/* It connects to `ep` with this query and joins; on the endpoint's thread. It lives as long. */
void client_join(channels_endpoint *ep, client *c, const char *query, const char *topic);

/* --- room.c --------------------------------------------------------------------------------- */

typedef struct publisher publisher;

/* Clients of one topic on one node, who have to hear all that its publisher says: each number once,
 * in order, with all bytes as they were. What is first found otherwise is `fault`. */
typedef struct room {
    node *node;
    unsigned size;
    struct room_client *clients;
    publisher *publisher;
    size_t len;          /* of the messages it expects now */
    uint32_t number;     /* of the message in hand, */
    char text[8];        /* and as it stands there */
    bool probe;          /* that is not counted: the way is open */
    unsigned heard;      /* of the message in hand, by so many */
    unsigned unreported; /* messages complete since the publisher was told */
    const char *fault;   /* NULL: none; of a room that is at rest */
    uint64_t deliveries;
    _Atomic uint32_t complete; /* messages that all of them heard */
    _Atomic bool probed;
} room;

room *room_new(node *n, const char *topic, unsigned size);
void room_free(room *r); /* after its node has stopped */

/* --- publisher.c ---------------------------------------------------------------------------- */

/* Says numbered messages to the rooms of one topic, and has no more than so many on their way that
 * not all of the rooms have heard as a whole. */
struct publisher {
    node *node;
    char *topic;
    room *rooms[2];
    ev_async credit; /* a room has heard as many as it was waiting for */
    char *payload;
    size_t len;
    unsigned window, burst; /* on their way at most; said at once */
    uint32_t sent;
    uint64_t until; /* ns; says no more after it */
    int err;        /* of a broadcast */
    sem_t over;     /* all has been heard */
};

typedef struct trial {
    uint64_t messages, deliveries;
    double wall_s, nodes_cpu_s, redis_cpu_s;
    uint64_t start_ns, cpu_ns, redis_ns; /* the clocks when it began */
} trial;

/* `other` may be NULL. When it returns what is said arrives. */
publisher *publisher_new(node *n, const char *topic, room *r, room *other);
void publisher_free(publisher *p);
/* Publishes payloads of `len` bytes for so long. _end waits for that; it fails if not each of them
 * is heard as it should. */
void publisher_begin(publisher *p, size_t len, unsigned window, double seconds, trial *t);
void publisher_end(publisher *p, trial *t);
trial publisher_run(publisher *p, size_t len, unsigned window, double seconds); /* both */

/* The payload: {"n":"0000002a","pad":"..."}; the number stands behind NUMBER_AT bytes. */
#define NUMBER_AT 6
#define PROBE "--------" /* in place of a number */
#define PAYLOAD_MIN 26
void payload_fill(char *dst, size_t len);

/* --- The parts ------------------------------------------------------------------------------ */

void delivery_measure(const scale *s); /* delivery.c: CPU of a delivery */
void cores_measure(const scale *s);    /* cores.c: two endpoints on two cores */
void visible_measure(const scale *s);  /* visible.c: presence on another node */
bool bus_measure(const scale *s);      /* bus.c: bytes of a change; false: they grow */

#endif
