/* channels/stats.h - how many there are, and how many there were: for a page of metrics.
 *
 *     channels_stats stats;
 *     char text[CHANNELS_STATS_TEXT];
 *     channels_endpoint_stats(ep, &stats);
 *     channels_stats_prometheus(&stats, NULL, text, sizeof text);
 *
 * All are of one endpoint. Messages and bytes add up: what a client of the library's connections
 * has sent and received is what is counted here. */
#ifndef CHANNELS_STATS_H
#define CHANNELS_STATS_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHANNELS_REASONS 12 /* values of channels_reason */

typedef struct channels_stats {
    /* Gauges: what there is now. */
    uint64_t connections;       /* streams of channels_conn_new() */
    uint64_t sockets_websocket; /* clients that are in, by the name of their transport, */
    uint64_t sockets_longpoll;
    uint64_t sockets_other;
    uint64_t channels;    /* clients joined to a topic */
    uint64_t topics;      /* that somebody listens to or needs */
    uint64_t queued_most; /* bytes that waited for one client, the most there ever were */

    /* Counters: what has been since the endpoint was made. They never go down. */
    uint64_t connections_opened;
    uint64_t sockets_opened;
    uint64_t joins;                     /* clients admitted to a topic */
    uint64_t messages_in, messages_out; /* whole messages received, and given to transports */
    uint64_t bytes_in, bytes_out;       /* of streams: channels_conn_feed(), channels_conn_sent() */
    /* Bytes of messages to clients on which compressing was tried, before and after it: once for a
     * broadcast, however many get it. Of messages that came compressed, as they came and then. */
    uint64_t deflate_before, deflate_after;
    uint64_t inflate_before, inflate_after;
    uint64_t broadcasts;                /* that came to this endpoint, own and other nodes' */
    uint64_t deliveries;                /* messages sent for them; callbacks do not count */
    uint64_t connects_refused_origin;   /* clients not let in: the page may not connect, */
    uint64_t connects_refused_version;  /* no serializer for its version, */
    uint64_t connects_refused_subprotocol; /* none of its subprotocols is served, */
    uint64_t connects_refused_request;     /* the request is broken or asks for no WebSocket, */
    uint64_t connects_refused_host;        /* connect() said no, at once or later, */
    uint64_t connects_refused_failed;      /* connect() failed, */
    uint64_t connects_refused_draining;    /* channels_drain() */
    uint64_t joins_refused_unmatched;      /* joins refused: no route, */
    uint64_t joins_refused_limit;          /* too many channels, or topic too long, */
    uint64_t joins_refused_host;           /* join() said no, at once or later, */
    uint64_t joins_refused_failed;         /* "join crashed" */
    uint64_t closed[CHANNELS_REASONS]; /* clients that were in and have ended, by channels_reason:
                                        * slow ones are closed[CHANNELS_SLOW] */
} channels_stats;

/* As they are now. CHANNELS_ERR_MISUSE on a thread that is not the endpoint's. */
CHANNELS_API int channels_endpoint_stats(channels_endpoint *ep, channels_stats *stats);

/* Room for the text without labels of one's own. */
#define CHANNELS_STATS_TEXT 8192
/* The same as text that Prometheus reads (content type "text/plain; version=0.0.4"): metrics are
 * called as the members are, channels_topics, channels_joins_total, channels_queued_most_bytes;
 * what differs by a reason, a direction, a transport or by before and after has it as a label:
 * channels_sockets, channels_messages_total, channels_bytes_total, channels_deflate_bytes_total,
 * channels_inflate_bytes_total, channels_connects_refused_total, channels_joins_refused_total,
 * channels_sockets_closed_total. It is cut to `cap` with a NUL at the end. `labels` is put into
 * each sample as it is: "node=\"a\",zone=\"b\"", or NULL. Its whole length, as snprintf(); `dst`
 * may be NULL if `cap` is 0. ANY THREAD. */
CHANNELS_API size_t channels_stats_prometheus(const channels_stats *stats, const char *labels,
                                              char *dst, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
