/* channels/hub.h - joins endpoints of one process, each on its own thread, to one PubSub.
 *
 *     channels_hub *hub;
 *     channels_hub_new(&hub, NULL);
 *     // on each thread, or for each
 *     channels_config config = { .pubsub = channels_hub_adapter(), .pubsub_self = hub };
 *     channels_endpoint_new(&ep, &config);
 *
 * From then on broadcasts, channels_disconnect() and presence reach all of them. A broadcast is
 * copied once, whatever the number of endpoints, and posted without a lock; endpoints nobody of
 * whose clients listens to its topic are not woken. What one endpoint broadcasts arrives everywhere
 * in its order. Endpoints may come and go while others broadcast. */
#ifndef CHANNELS_HUB_H
#define CHANNELS_HUB_H

#include <channels/pubsub.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_hub channels_hub;

/* Zero means the default. */
typedef struct channels_hub_options {
    uint32_t max_endpoints; /* at one time, then channels_endpoint_new() fails [256] */
    size_t max_queued; /* bytes waiting for one endpoint that does not run, then broadcasts pass
                        * it by and its log says so [64 MB] */
} channels_hub_options;

/* ANY THREAD. `options` may be NULL. */
CHANNELS_API int channels_hub_new(channels_hub **hub, const channels_hub_options *options);
/* When the last of its endpoints has been freed. ANY THREAD. NULL is fine. */
CHANNELS_API void channels_hub_free(channels_hub *hub);
/* For config.pubsub; config.pubsub_self is the hub. */
CHANNELS_API const channels_pubsub_adapter *channels_hub_adapter(void);

/* Joins the hub as a whole to nodes elsewhere: `adapter` with its `self`, Redis say, has one
 * connection for all endpoints of the process. `ep`, one of the hub's, carries it: the adapter is
 * called on its thread, and ends with it. The others reach the world through it. On that
 * thread; once. */
CHANNELS_API int channels_hub_uplink(channels_hub *hub, channels_endpoint *ep,
                                     const channels_pubsub_adapter *adapter, void *self);

#ifdef __cplusplus
}
#endif
#endif
