/* channels/redis.h - joins nodes by Redis' PUBLISH and SUBSCRIBE: libchannels-redis, with hiredis.
 *
 *     channels_redis *redis;
 *     channels_redis_new(&redis, &(channels_redis_options){ .host = "127.0.0.1" });
 *     channels_config config = { .node = "a", .pubsub = channels_redis_adapter(),
 *                                .pubsub_self = redis };
 *     channels_endpoint_new(&ep, &config);
 *     channels_ev_start(&ev, EV_DEFAULT, ep);
 *     channels_ev_redis_start(&ev_redis, &ev, redis); // <channels/adapters/libev_redis.h>
 *
 * Redis only carries messages; it keeps nothing. Clients of one node never wait for it and are
 * served without it: what is broadcast while it cannot be reached, or does not take it, gets to
 * this node only. That is counted and logged, but no failure of the broadcast (CHANNELS_OK), as
 * messages between nodes may get lost at any time. Presence repairs what it missed.
 *
 * All on the endpoint's thread, driven by the host's loop: libev_redis.h, libuv_redis.h and
 * poll_redis.h among <channels/adapters/> do that. Memory is malloc()'s. */
#ifndef CHANNELS_REDIS_H
#define CHANNELS_REDIS_H

#include <channels/pubsub.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_redis channels_redis;

typedef enum {
    CHANNELS_REDIS_DOWN,       /* lost, or not reached; it is tried again by itself */
    CHANNELS_REDIS_CONNECTING, /* an attempt is under way */
    CHANNELS_REDIS_UP          /* all that is wanted is subscribed to, and what is sent arrives */
} channels_redis_state;

/* Zero means the default. Strings are copied. */
typedef struct channels_redis_options {
    const char *host;     /* a name is looked up while the host's loop waits ["127.0.0.1"] */
    uint16_t port;        /* [6379] */
    const char *path;     /* of a Unix socket, instead of host and port */
    const char *username; /* of Redis 6's access lists; needs a password [the default user] */
    const char *password; /* [none] */
    unsigned database;    /* SELECTed; channels are the same in all of them: see `prefix` [0] */
    const char *prefix; /* before each Redis channel: nodes of one cluster share it ["channels:"] */
    bool sharded; /* by SPUBLISH and SSUBSCRIBE of Redis 7 Cluster, which loads one of its nodes
                   * alone; `prefix` is put into braces. All nodes do, or none [no] */
    size_t max_queued;  /* bytes that wait to be sent, but for one message that may always: then
                         * broadcasts reach this node only. hiredis moves all of it whenever a part
                         * has left; 512 MB at most [16 MB] */
    size_t max_message; /* bytes of a broadcast with its topic and event: a larger one is not sent,
                         * CHANNELS_ERR_LIMIT; a connection on which more than twice as many come
                         * in one message is ended; 512 MB at most [64 MB] */
    uint32_t connect_ms;   /* for a connection to stand and all to be subscribed to [5000] */
    uint32_t retry_ms;     /* the first retry after about this, doubled each time [100] */
    uint32_t retry_max_ms; /* up to this, which it begins with where Redis refuses, the password for
                            * instance; each is shortened at random by up to the half [10000] */
    uint32_t ping_ms;      /* each, a message to itself is sent; if nothing of what it waits for
                            * comes for as long again it connects anew [10000] */
    bool tls;             /* CHANNELS_ERR_UNSUPPORTED if hiredis had none of it (before 1.0) [no] */
    const char *tls_ca;   /* file of the certificates to trust, in PEM [the system's] */
    const char *tls_cert; /* file of a certificate to show, with the chain, in PEM [none] */
    const char *tls_key;  /* file of its key, without a password, in PEM */
    const char *tls_name; /* that the server's certificate has to have [host] */
    /* What became of the connection; `why` is a line without a newline where it is DOWN, else NULL.
     * May call nothing of this library but channels_redis_get_info(). */
    void (*on_state)(void *user, channels_redis_state state, const char *why);
    void *user;
} channels_redis_options;

/* `options` may be NULL. Nothing happens before its endpoint runs. CHANNELS_ERR_INVALID: `path` is
 * too long for a socket, there is a `username` without a `password`, or a limit is too high; or
 * there is a `tls_cert` without a `tls_key` or the reverse, something of TLS without `tls`, or that
 * with `path`; or `sharded` with a `prefix` that is empty or begins with a closing brace.
 * CHANNELS_ERR_UNSUPPORTED: `tls` is not built in. */
CHANNELS_API int channels_redis_new(channels_redis **redis, const channels_redis_options *options);
/* After its endpoint has been freed and no loop watches it. NULL is fine. */
CHANNELS_API void channels_redis_free(channels_redis *redis);
/* For config.pubsub, or channels_hub_uplink(). One channels_redis serves one endpoint at a time. */
CHANNELS_API const channels_pubsub_adapter *channels_redis_adapter(void);

typedef struct channels_redis_info {
    channels_redis_state state;
    uint64_t published; /* messages that were given to Redis, or wait */
    uint64_t received;  /* from other nodes */
    uint64_t dropped;   /* that other nodes were not sent, for want of a connection or of room */
    uint64_t connects;  /* that succeeded */
    size_t queued;      /* bytes that wait to be sent */
    size_t channels;    /* subscribed to */
} channels_redis_info;
CHANNELS_API void channels_redis_get_info(const channels_redis *redis, channels_redis_info *info);

/* --- For loops: the adapters do this -------------------------------------------------------
 * `watch` is called when what is to be waited for on `fd` has changed: CHANNELS_REDIS_READ and
 * _WRITE, 0: forget it, it will be closed. At most two descriptors at a time. When what is waited
 * for has come, an error or a hang-up included, the loop calls channels_redis_ready() with it,
 * which may deliver. Time is the endpoint's: channels_endpoint_timeout() and _run() are enough. */
enum { CHANNELS_REDIS_READ = 1, CHANNELS_REDIS_WRITE = 2 };
/* NULL takes it away: what was watched is to be forgotten first. NOT FROM CALLBACKS. */
CHANNELS_API void channels_redis_on_watch(channels_redis *redis,
                                          void (*watch)(void *arg, int fd, unsigned events),
                                          void *arg);
/* NOT FROM CALLBACKS. Of a descriptor that is not watched any more nothing happens. */
CHANNELS_API void channels_redis_ready(channels_redis *redis, int fd, unsigned events);

#ifdef __cplusplus
}
#endif
#endif
