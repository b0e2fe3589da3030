/* channels/redis.h - joins nodes by Redis' PUBLISH and SUBSCRIBE: libchannels-redis, with hiredis.
 *
 *     channels_redis *redis;
 *     channels_redis_new(&redis, &(channels_redis_options){ .host = "127.0.0.1" });
 *     channels_config config = { .node = "a", .pubsub = channels_redis_adapter(),
 *                                .pubsub_self = redis };
 *     channels_endpoint_new(&ep, &config);
 *     channels_ev_redis(&ev, &ev_redis, redis);   // <channels/adapters/libev_redis.h>
 *
 * Redis only carries messages; it keeps nothing. Clients of one node never wait for it and are
 * served without it: what is broadcast while it cannot be reached does not get to other nodes.
 * Presence repairs what it missed. All on the endpoint's thread, driven by the host's loop. */
#ifndef CHANNELS_REDIS_H
#define CHANNELS_REDIS_H

#include <channels/pubsub.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_redis channels_redis;

typedef enum {
    CHANNELS_REDIS_CONNECTING, /* also: waiting to try again */
    CHANNELS_REDIS_UP,         /* subscribed to what is wanted */
    CHANNELS_REDIS_DOWN        /* lost, or not reached; it is tried again by itself */
} channels_redis_state;

/* Zero means the default. Strings are copied. */
typedef struct channels_redis_options {
    const char *host;     /* a name is looked up while the host waits ["127.0.0.1"] */
    uint16_t port;        /* [6379] */
    const char *path;     /* of a Unix socket, instead of host and port */
    const char *username; /* of Redis 6's access lists [none: the default user] */
    const char *password; /* [none] */
    unsigned database;    /* SELECTed; channels are the same in all of them: see `prefix` [0] */
    const char *prefix; /* before each Redis channel: nodes of one cluster share it ["channels:"] */
    size_t max_queued;  /* bytes that wait to be sent, then broadcasts go to this node only and
                         * return CHANNELS_ERR_LIMIT [16 MB] */
    uint32_t connect_ms;   /* for a connection to stand, AUTH included [5000] */
    uint32_t retry_ms;     /* the first retry after about this, doubled each time [100] */
    uint32_t retry_max_ms; /* up to this, each shortened at random by up to the half [10000] */
    uint32_t ping_ms;      /* each, a message to itself must come back in time, else it connects
                            * anew: a Redis that hangs is found [10000] */
    /* What became of the connection; `why` is a sentence, or NULL. May call nothing of this header
     * but channels_redis_get_info(). */
    void (*on_state)(void *user, channels_redis_state state, const char *why);
    void *user;
} channels_redis_options;

/* `options` may be NULL. Connects when its endpoint starts. */
CHANNELS_API int channels_redis_new(channels_redis **redis, const channels_redis_options *options);
/* After its endpoint has been freed. NULL is fine. */
CHANNELS_API void channels_redis_free(channels_redis *redis);
/* For config.pubsub, or channels_hub_uplink(). */
CHANNELS_API const channels_pubsub_adapter *channels_redis_adapter(void);

typedef struct channels_redis_info {
    channels_redis_state state;
    uint64_t published, received, dropped; /* messages; dropped: for want of a connection or room */
    uint64_t connects;                     /* that succeeded */
    size_t queued;                         /* bytes that wait to be sent */
    size_t channels;                       /* subscribed to */
} channels_redis_info;
CHANNELS_API void channels_redis_get_info(const channels_redis *redis, channels_redis_info *info);

/* --- For loops: the adapters do this -------------------------------------------------------
 * `watch` is called when what is to be waited for on `fd` has changed: CHANNELS_REDIS_READ and
 * _WRITE, 0: forget it. When it happens the loop calls channels_redis_ready(). Time is the
 * endpoint's: channels_endpoint_timeout() and _run() are enough. */
enum { CHANNELS_REDIS_READ = 1, CHANNELS_REDIS_WRITE = 2 };
CHANNELS_API void channels_redis_on_watch(channels_redis *redis,
                                          void (*watch)(void *arg, int fd, unsigned events),
                                          void *arg);
CHANNELS_API void channels_redis_ready(channels_redis *redis, int fd, unsigned events);

#ifdef __cplusplus
}
#endif
#endif
