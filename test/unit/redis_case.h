/* redis_case.h - what the tests of libchannels-redis begin with: a redis-server of the test's own,
 * and nodes with a probe and a client in memory whose Redis adapters the test drives itself, on
 * channels/test.h's clock. */
#ifndef UNIT_REDIS_CASE_H
#define UNIT_REDIS_CASE_H

#include <sys/types.h>

#include <channels/hub.h>
#include <channels/redis.h>

#include "unit/core_case.h"

/* A redis-server that keeps nothing, on a free port of 127.0.0.1 and on a Unix socket. */
typedef struct redis_server {
    pid_t pid;     /* 0: it does not run */
    uint16_t port; /* the same when it is started again */
    char dir[64], path[80];
} redis_server;

/* False if there is no redis-server here; the program then has to end: the skip has been said. */
bool redis_server_is_there(void);
/* Of 127.0.0.1; nobody listened there a moment ago. */
uint16_t redis_free_port(void);
/* `args`, NULL-ended, are added to the command line; NULL: none. */
void redis_server_start(redis_server *s, const char *const *args);
void redis_server_kill(redis_server *s); /* -9 */
void redis_server_end(redis_server *s);  /* for good */
/* What it answers to a line of commands, as text that is good until this is called again. */
const char *redis_server_answer(const redis_server *s, const char *command);

typedef struct redis_node {
    channels_test host;
    sim_memory memory;
    probe probe;
    channels_test_client *client; /* it has joined "room:a" with the ref 1 */
    channels_redis *redis;
    channels_hub *hub; /* if it is set before the start, this is its uplink */
    struct {
        int fd;
        unsigned events;
    } watched[2];
    channels_redis_state state;
    char states[1024]; /* "connecting;up;down: why;" */
} redis_node;

/* `options` with its functions set to the node's. It has not run yet. */
void redis_node_start(redis_node *n, const char *name, const channels_redis_options *options);
bool redis_is_up(const redis_node *n);
/* "node-a" and "node-b", as which they start; then both are up. */
void redis_nodes_start(redis_node *a, redis_node *b, const channels_redis_options *options);
/* Fails if memory was lost, or something is still watched. */
void redis_node_stop(redis_node *n);
/* Waits `ms` for what is watched at most, and has it handled. The clock stands still. */
void redis_turn(redis_node *n, int ms);
channels_redis_info redis_info(const redis_node *n);

/* Has `n` and `m`, which may be NULL, run until it is so, or fails. */
#define redis_until(n, m, condition) \
    do { \
        for (int turns_ = 0; !(condition); turns_++) { \
            if (turns_ == 4000) \
                fail_msg("never: %s; %s", #condition, (n)->states); \
            redis_turn(n, 2); \
            if ((m) != NULL) \
                redis_turn(m, 0); \
        } \
    } while (0)

#endif
