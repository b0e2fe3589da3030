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
 * Functions of the one who brings nodes together; called on the endpoint's thread, they must not
 * call back into it. Bytes are opaque, good for the call, and start with a version. */
struct channels_pubsub_adapter {
    const char *name;
    /* To all other nodes. 0 or negative. */
    int (*broadcast)(void *self, const char *topic, const void *data, size_t len);
    /* To one other node. 0 or negative. */
    int (*send_to)(void *self, const char *node, const void *data, size_t len);
    /* The first subscriber of `topic` has come, or the last has gone. May be NULL. */
    void (*interest)(void *self, const char *topic, bool on);
};
/* Bytes that another node's adapter was given; own ones are recognised and dropped. On the
 * endpoint's thread: from others, by channels_post(). CHANNELS_ERR_PROTOCOL if they are not
 * understood: nothing was delivered and `log` says why. */
CHANNELS_API int channels_pubsub_deliver(channels_endpoint *ep, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
