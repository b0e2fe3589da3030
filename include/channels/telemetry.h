/* channels/telemetry.h - what happens and how long it takes, for metrics and traces.
 *
 *     static const channels_telemetry telemetry = { .channel_joined = on_joined };
 *     channels_config config = { .telemetry = &telemetry };
 *
 * Phoenix' four events, with its metadata (lib/phoenix/logger.ex). As there, nothing is told of a
 * callback that failed, of a client whose version is not served, of leaves and of heartbeats. The
 * functions are callbacks on the endpoint's thread; what they are shown is good until they return.
 * One that is NULL costs nothing: the clock is not read for it. */
#ifndef CHANNELS_TELEMETRY_H
#define CHANNELS_TELEMETRY_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* connect() has admitted a client or refused it, now or later. */
typedef struct channels_socket_connected {
    uint64_t duration_ns; /* from the call of connect() to the decision */
    channels_socket *socket;
    const char *path;                /* of its mount */
    const char *transport;           /* "websocket" */
    const char *serializer;          /* "Phoenix.Socket.V2.JSONSerializer"; NULL: no channels */
    const channels_request *request; /* its parameters and headers; NULL if it was decided later */
    bool ok;                         /* admitted */
} channels_socket_connected;

/* join() has admitted a client to a topic or refused it, now or later. */
typedef struct channels_channel_joined {
    uint64_t duration_ns; /* from the call of join() to the decision */
    channels_channel *channel;
    const char *topic;
    channels_payload params; /* what the join brought along; data is NULL if it was decided later */
    bool ok;
} channels_channel_joined;

/* handle_in() has returned, and did not fail. */
typedef struct channels_channel_handled_in {
    uint64_t duration_ns;
    channels_channel *channel;
    const char *topic, *event;
    const char *ref; /* as JSON text of ref_len bytes, without a NUL; NULL: it had none */
    size_t ref_len;
    channels_payload params;
} channels_channel_handled_in;

/* channels_drain() has told a batch of clients to go. */
typedef struct channels_socket_drain {
    size_t count, total; /* in this batch, and when it began */
    uint32_t index;      /* of the batch, from 1 */
    uint32_t rounds;     /* batches that were planned */
    uint32_t interval_ms;
} channels_socket_drain;

/* `user` is config.user. */
struct channels_telemetry {
    void (*socket_connected)(void *user, const channels_socket_connected *event);
    void (*channel_joined)(void *user, const channels_channel_joined *event);
    void (*channel_handled_in)(void *user, const channels_channel_handled_in *event);
    void (*socket_drain)(void *user, const channels_socket_drain *event);
};

#ifdef __cplusplus
}
#endif
#endif
