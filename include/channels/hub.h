/* channels/hub.h - joins endpoints of one process, each on its own thread, to one PubSub.
 *
 *     channels_hub *hub;
 *     channels_hub_new(&hub, NULL);
 *     // on each thread, or for each
 *     channels_config config = { .pubsub = channels_hub_adapter(), .pubsub_self = hub };
 *     channels_endpoint_new(&ep, &config);
 *
 * From then on broadcasts, channels_disconnect() and presence reach all of them: each endpoint is a
 * node, by the name in config.node, which may not be another's (CHANNELS_ERR_INVALID). A broadcast
 * is checked and copied once, whatever the number of endpoints, and posted without a lock;
 * endpoints nobody of whose clients listens to its topic are not woken, but for a few by mistake,
 * and if there are no others it is not copied at all. What one endpoint broadcasts arrives
 * everywhere in its order. Who listens and lets another thread know of it hears what that thread
 * broadcasts from then on. A few hundred KB at most of what each endpoint sent and all have read
 * are kept for what it sends next.
 *
 * Endpoints may come and go while others broadcast: that is no reason to wait for them before an
 * adapter's _stop() or channels_endpoint_free(). */
#ifndef CHANNELS_HUB_H
#define CHANNELS_HUB_H

#include <channels/pubsub.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct channels_hub channels_hub;

/* Zero means the default. */
typedef struct channels_hub_options {
    uint32_t max_endpoints; /* at one time, then channels_endpoint_new() returns
                             * CHANNELS_ERR_LIMIT [256] */
    size_t max_queued; /* bytes of broadcasts waiting for one endpoint that does not run: more pass
                        * it by, and its log says so when it runs. One of any size may wait. [64 MB]
                        */
} channels_hub_options;

/* ANY THREAD. `options` may be NULL. */
CHANNELS_API int channels_hub_new(channels_hub **hub, const channels_hub_options *options);
/* When the last of its endpoints has been freed; before that nothing happens, and the log of one of
 * them says so. ANY THREAD. NULL is fine. */
CHANNELS_API void channels_hub_free(channels_hub *hub);
/* For config.pubsub; config.pubsub_self is the hub. ANY THREAD. An adapter of the host's own may
 * call its functions: of bytes that no endpoint has made broadcast() says CHANNELS_ERR_PROTOCOL. */
CHANNELS_API const channels_pubsub_adapter *channels_hub_adapter(void);

/* Joins the hub as a whole to nodes elsewhere: `adapter` with its `self`, Redis say, has one
 * connection for all endpoints of the process. `ep`, one of the hub's, carries it: the adapter is
 * started at once, is called on the endpoint's thread, and stopped with it; the others then go on
 * among themselves, and another may be brought up. They reach the world through the carrier, when
 * it runs, and what comes from there on a topic only when it has heard that they listen.
 * Broadcasts of the carrier return the adapter's result, those of others tell of the hub alone.
 * What the adapter was given it must not deliver again.
 * CHANNELS_ERR_INVALID: it lacks broadcast(), there is an uplink, or `ep` is not the hub's; `log`
 * says which. Else the result of the adapter's start(). */
CHANNELS_API int channels_hub_uplink(channels_hub *hub, channels_endpoint *ep,
                                     const channels_pubsub_adapter *adapter, void *self);

#ifdef __cplusplus
}
#endif
#endif
