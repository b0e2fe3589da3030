/* redis.h - what the files of libchannels-redis share. It is a library of its own, on the public
 * headers of libchannels.
 *
 * hiredis reads what Redis answers. Of the rest of it nothing is used: its asynchronous side aborts
 * the process on answers that it does not expect, its writes may raise SIGPIPE, and its queue moves
 * all that waits for each part that leaves.
 *
 *   command.c   commands, as bytes that wait to be sent
 *   link.c      one connection: bytes out, answers in
 *   topics.c    what is subscribed to
 *   redis.c     the public functions: both connections, what they say, and time
 *
 * Memory is malloc()'s, as hiredis' is. */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include <netdb.h>
#include <sys/un.h>

#include <hiredis.h>

#include "channels/redis.h"

/* --- command.c: what waits to be sent ------------------------------------------------------ */

typedef struct channels__redis_out {
    char *data;
    size_t at, len, size; /* `len` bytes wait, from `at` */
} channels__redis_out;

/* Begins a command of `argc` arguments that have `bytes` bytes together; each is then given once.
 * False if memory ran out: nothing has been added. */
bool channels__redis_command(channels__redis_out *out, size_t argc, size_t bytes);
void channels__redis_arg(channels__redis_out *out, const void *data, size_t len);
/* One that is put together of two. */
void channels__redis_arg2(channels__redis_out *out, const void *a, size_t a_len, const void *b,
                          size_t b_len);
void channels__redis_sent(channels__redis_out *out, size_t len);
void channels__redis_out_free(channels__redis_out *out);

/* --- link.c: one connection ---------------------------------------------------------------- */

#if HIREDIS_MAJOR >= 1
typedef size_t channels__redis_count;
#else
typedef int channels__redis_count;
#endif

typedef struct channels__redis_link {
    channels_redis *redis;
    /* What Redis answered, but to AUTH and SELECT. False: it ends; `redis` has been told why. */
    bool (*answer)(channels_redis *redis, const redisReply *reply);
    int fd;           /* -1: there is none */
    bool connected;   /* not only begun */
    bool blocked;     /* the kernel takes no more for now */
    bool heard;       /* something has come since this was taken back */
    unsigned watched; /* what the loop has been asked for */
    unsigned greeted; /* answers to AUTH and SELECT that are still to come */
    channels__redis_out out;
    redisReader *reader;
    bool is_large;                       /* the reader's buffer was */
    redisReplyObjectFunctions functions; /* hiredis', but for arrays; its own for them: */
    void *(*create_array)(const redisReadTask *task, channels__redis_count elements);
} channels__redis_link;

/* Begins to connect and greets. False, and closed, if it could not; `redis` has been told why. */
bool channels__redis_open(channels__redis_link *link, const struct addrinfo *to);
void channels__redis_close(channels__redis_link *link);
/* Sends what waits, as far as it goes. */
bool channels__redis_flush(channels__redis_link *link);
/* Reads once and has all whole answers answered. */
bool channels__redis_read(channels__redis_link *link);
/* What the loop said. */
bool channels__redis_on_events(channels__redis_link *link, unsigned events);
/* Has the loop watch it for what it waits for. */
void channels__redis_watch(channels__redis_link *link);

/* --- topics.c: what is subscribed to ------------------------------------------------------- */

typedef struct channels__redis_topic channels__redis_topic;
typedef struct channels__redis_topics {
    void *tree;                 /* of search.h, by name */
    channels__redis_topic *all; /* the same */
    /* Of which Redis has to be told, once it can be: [1] to subscribe to, [0] no longer. */
    channels__redis_topic *changed[2];
    size_t subscribed;
} channels__redis_topics;

/* False if memory ran out: such a topic is not subscribed to. */
bool channels__redis_interest(channels_redis *redis, const char *topic, bool on);
/* Writes SUBSCRIBE and UNSUBSCRIBE for what has changed. */
bool channels__redis_tell(channels_redis *redis);
/* Redis has done that for `channel`. */
void channels__redis_told(channels_redis *redis, const char *channel, bool on);
/* The connection is gone, and what it was subscribed to. */
void channels__redis_forget(channels_redis *redis);
void channels__redis_topics_free(channels_redis *redis);

/* --- redis.c ------------------------------------------------------------------------------- */

struct channels_redis {
    channels_endpoint *ep; /* NULL: not started, or stopped */
    channels_redis_options options;
    char *strings[5]; /* that those point to */
    char name[300];   /* where it connects, for people */
    void (*watch)(void *arg, int fd, unsigned events);
    void *watch_arg;

    unsigned char id[8]; /* before each message, so that its echo is known */
    char *inbox;         /* the Redis channel of its pings */
    size_t prefix_len;

    /* Two connections: one that has subscribed cannot publish. They come and go together. */
    channels__redis_link sub, pub;
    channels__redis_topics topics;
    struct addrinfo *addresses, *address; /* of the host; the one in hand */
    struct addrinfo unix_address;
    struct sockaddr_un unix_path;

    channels_redis_state state;
    uint64_t now;   /* when run() was last called */
    uint64_t alarm; /* DOWN: to connect. CONNECTING: to give up. UP: to ping */
    bool scheduled; /* alarm stands */
    unsigned failures;
    bool refused;               /* by Redis itself, which quick retries will not change */
    char why[256], logged[256]; /* the last failure, and the last that was logged */

    uint64_t pings, pongs;                  /* numbers of the last one sent, and come back */
    uint64_t asked, answered, ping_asked;   /* PUBLISHes; the one of the ping */
    const channels__redis_link *ping_stage; /* where it was at the last alarm */

    uint64_t published, received, dropped, connects;
    uint64_t dropped_before; /* what `log` has been told of */
    bool full, full_logged;  /* max_queued was reached and too much waits still */
    bool deaf;               /* memory ran out for a topic; not logged yet */
};

/* Says why it fails; false. */
bool channels__redis_why(channels_redis *redis, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
