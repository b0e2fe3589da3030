/* channels/pubsub.h - broadcasts from and to the host's own code, and other nodes.
 *
 * A broadcast reaches every channel joined to the topic, every channel subscribed to it and every
 * function subscribed here, on this endpoint at once and on other nodes through the adapter. Local
 * delivery never waits for the adapter and happens even if it fails. Order is kept per sender. */
#ifndef CHANNELS_PUBSUB_H
#define CHANNELS_PUBSUB_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_subscription {
    uint64_t id;
} channels_subscription;

/* `fn` is called for each broadcast on `topic`, after the callback or call in which it was made.
 * `msg` is good until `fn` returns. Subscribing twice delivers twice. `sub` may be NULL. */
CHANNELS_API int channels_pubsub_subscribe(channels_endpoint *ep, const char *topic,
                                           void (*fn)(void *arg, const channels_msg *msg),
                                           void *arg, channels_subscription *sub);
/* From now on `fn` is not called for it. Nothing happens if it is already gone. */
CHANNELS_API void channels_pubsub_unsubscribe(channels_endpoint *ep, channels_subscription sub);

/* To all of `topic`, here and on other nodes. ANY THREAD: elsewhere than on the endpoint's own it
 * copies and posts, and the result tells of that only. A negative result of the adapter is
 * returned after local delivery. */
CHANNELS_API int channels_pubsub_broadcast(channels_endpoint *ep, const char *topic,
                                           const char *event, channels_payload p);
/* The same without the subscriber `from`. */
CHANNELS_API int channels_pubsub_broadcast_from(channels_endpoint *ep, channels_subscription from,
                                                const char *topic, const char *event,
                                                channels_payload p);
/* On this endpoint only. ANY THREAD. */
CHANNELS_API int channels_pubsub_local_broadcast(channels_endpoint *ep, const char *topic,
                                                 const char *event, channels_payload p);
/* On the node of that name only; this endpoint's own name delivers here. CHANNELS_ERR_INVALID if
 * it is another's and there is no adapter. ANY THREAD. */
CHANNELS_API int channels_pubsub_direct_broadcast(channels_endpoint *ep, const char *node,
                                                  const char *topic, const char *event,
                                                  channels_payload p);
/* This endpoint's name among the nodes. */
CHANNELS_API const char *channels_pubsub_node(const channels_endpoint *ep);

/* --- Adapters: joining nodes --------------------------------------------------------------
 * The functions of whoever brings nodes together: endpoints of other threads (<channels/hub.h>),
 * other processes and machines (<channels/redis.h>). They are called on the endpoint's thread and,
 * but for run() and what is said there, must not call back into it. Bytes are opaque, good for the
 * call, and start with a version. Members other than broadcast() may be NULL. */
struct channels_pubsub_adapter {
    const char *name;
    /* In channels_endpoint_new(), when the endpoint is ready; channels_pubsub_node() works. `*self`
     * is config.pubsub_self; what is put there instead is what the others are given. Negative:
     * there will be no endpoint, and this is the result. */
    int (*start)(void **self, channels_endpoint *ep);
    /* In channels_endpoint_free(), the last of all calls. */
    void (*stop)(void *self);
    /* To all other nodes that are interested in `topic`, or simply to all. 0 or negative. What is
     * meant for one node goes to "phx_node:" and its name, in which nobody else is interested. */
    int (*broadcast)(void *self, const char *topic, const void *data, size_t len);
    /* The first who listens to `topic` has come, or the last has gone. */
    void (*interest)(void *self, const char *topic, bool on);
    /* channels_pubsub_deliver() was called by somebody else than this adapter, which may lead on to
     * nodes that those who called cannot reach. */
    void (*relay)(void *self, const char *topic, const void *data, size_t len);
    /* From channels_endpoint_run(): time has come, or something else. May deliver. `now` is
     * config.now_ms(). */
    void (*run)(void *self, uint64_t now);
    /* On that clock, when run() has to be called: 0 at once, UINT64_MAX not before it is asked
     * again, which is before each sleep. */
    uint64_t (*due)(void *self);
};
/* Bytes that another node's adapter was given; own ones are recognised and dropped. On the
 * endpoint's thread: from others, by channels_post(). CHANNELS_ERR_PROTOCOL if they are not
 * understood: nothing was delivered and `log` says why, at most once a minute. */
CHANNELS_API int channels_pubsub_deliver(channels_endpoint *ep, const void *data, size_t len);
/* One line to the endpoint's log, for adapters. */
CHANNELS_API void channels_pubsub_log(channels_endpoint *ep, channels_log_level level,
                                      const char *text);

#ifdef __cplusplus
}
#endif
#endif
