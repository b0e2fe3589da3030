/* redis.h - what the files of libchannels-redis share. It is a library of its own, on the public
 * headers of libchannels.
 *
 * hiredis has what is to be sent wait, writes it and reads what Redis answers: by its synchronous
 * functions, on connections that do not block. Its asynchronous side, which is made for loops,
 * aborts the process on answers that it does not expect. The connections are made here: what
 * hiredis has for that aborts in 0.14 when memory runs out, and tries one address of a name alone.
 *
 *   sigpipe.c   keeps it from the host
 *   tls.c       one connection within TLS
 *   link.c      one connection: commands out, answers in
 *   topics.c    what is subscribed to
 *   shard.c     what is different in Redis Cluster, if that is asked for
 *   redis.c     the public functions: both connections, what they say, and time
 *
 * Memory is malloc()'s, as hiredis' is. */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include <netdb.h>
#include <signal.h>
#include <sys/un.h>

#include <hiredis.h>

#include "channels/redis.h"

/* --- sigpipe.c ----------------------------------------------------------------------------- */

typedef struct channels__sigpipe {
    sigset_t sigpipe, before;
    bool is_theirs; /* one was pending */
} channels__sigpipe;

/* Around what may raise it. */
void channels__sigpipe_hold(channels__sigpipe *s);
void channels__sigpipe_release(const channels__sigpipe *s);

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
    redisContext *context; /* NULL: there is none */
    struct ssl_st *tls;    /* the context's; NULL: it is in plain, or not reached yet */
    bool connected;        /* not only begun, as hiredis has it; with TLS's handshake */
    unsigned to_write;     /* CHANNELS_REDIS_x that connecting and writing wait for, 0: nothing */
    unsigned to_read;      /* that reading waits for */
    bool heard;            /* something has come since this was taken back */
    unsigned watched;      /* what the loop has been asked for */
    unsigned greeted;      /* answers to AUTH and SELECT that are still to come */
    bool is_large;         /* the reader's buffer was */

    redisReplyObjectFunctions functions; /* hiredis', but for arrays; its own for them: */
    void *(*create_array)(const redisReadTask *task, channels__redis_count elements);
} channels__redis_link;

/* Begins to connect and greets. False, and closed, if it could not; `redis` has been told why. */
bool channels__redis_open(channels__redis_link *link, const struct addrinfo *to);
void channels__redis_close(channels__redis_link *link);
/* Of the connection, or -1. */
int channels__redis_fd(const channels__redis_link *link);
/* Has a command wait to be sent. False if memory ran out: nothing has been added. */
bool channels__redis_command(channels__redis_link *link, int argc, const char **argv,
                             const size_t *lens);
/* Bytes that wait to be sent. */
size_t channels__redis_queued(const channels__redis_link *link);
/* Something waits, and nothing keeps it from being sent. */
bool channels__redis_can_write(const channels__redis_link *link);
/* Sends what waits, as far as it goes. */
bool channels__redis_flush(channels__redis_link *link);
/* Reads once and has all whole answers answered. */
bool channels__redis_read(channels__redis_link *link);
/* What the loop said. */
bool channels__redis_on_events(channels__redis_link *link, unsigned events);
/* Has the loop watch it for what it waits for. */
void channels__redis_watch(channels__redis_link *link);

/* --- tls.c: one connection within TLS ------------------------------------------------------ */

bool channels__redis_has_tls(void);
/* Goes on connecting one that has been reached: it is `connected`, or `to_write` is set, or this
 * is false and `redis` has been told why. */
bool channels__redis_tls_connect(channels__redis_link *link);
/* Tells `redis` why it failed: false. */
bool channels__redis_tls_why(channels__redis_link *link, const char *otherwise);
/* What the last thing that was done waits for: CHANNELS_REDIS_x, or 0. */
unsigned channels__redis_tls_wants(const channels__redis_link *link);

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

/* --- shard.c ------------------------------------------------------------------------------- */

/* "SPUBLISH" is PUBLISH where it is not sharded, and so on. */
const char *channels__redis_command_name(const channels_redis *redis, const char *sharded);
/* What Redis says is "message" for instance, or "smessage" where it is sharded. */
bool channels__redis_is(const channels_redis *redis, const char *what, const char *name);
/* If that is what `error` says: it is elsewhere, at `host` and `port` from now on. */
bool channels__redis_moved(channels_redis *redis, const char *error);

/* --- redis.c ------------------------------------------------------------------------------- */

struct channels_redis {
    channels_endpoint *ep; /* NULL: not started, or stopped */
    channels_redis_options options;
    char *strings[9]; /* that those point to */
    char name[300];   /* where it connects, for people */
    void (*watch)(void *arg, int fd, unsigned events);
    void *watch_arg;

    unsigned char id[8]; /* before each message, so that its echo is known */
    char *inbox;         /* the Redis channel of its pings */
    size_t prefix_len;

    /* Two connections: one that has subscribed cannot publish. They come and go together. */
    channels__redis_link sub, pub;
    channels__redis_topics topics;
    const char *host; /* NULL: by options.path */
    uint16_t port;
    char moved_to[256];                   /* the host, if it is not that of the options */
    bool moved;                           /* and has not been followed yet */
    unsigned moves;                       /* in this attempt */
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
