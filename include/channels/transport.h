/* channels/transport.h - whole messages in, whole messages out.
 *
 * For a host that has its own WebSocket stack, or another way to reach clients. It hands over each
 * message that arrived and is asked to send messages; framing, pings and handshakes are its own.
 * The library's own WebSocket transport is written on these calls. */
#ifndef CHANNELS_TRANSPORT_H
#define CHANNELS_TRANSPORT_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable bytes, shared by reference, of one endpoint and its thread. */
typedef struct channels_buf channels_buf;
CHANNELS_API channels_buf *channels_buf_ref(channels_buf *buf);
CHANNELS_API void channels_buf_unref(channels_buf *buf); /* NULL is fine */
CHANNELS_API const void *channels_buf_data(const channels_buf *buf, size_t *len);
/* A new one of `len` bytes with one reference, for `frame` below to return: fill *bytes before
 * anyone else sees it. NULL if memory ran out, or on the wrong thread. */
CHANNELS_API channels_buf *channels_buf_new(channels_endpoint *ep, size_t len, void **bytes);

/* How to reach a client. Called on the endpoint's thread, from inside other calls; may not call
 * back into the endpoint, but for what is said below (note what is to do, do it from the loop). */
typedef struct channels_transport {
    /* "websocket" or "longpoll": the mount's options of that name hold, and its clients come to
     * that path below it. Any other: they come to the path of the mount itself ("/socket"). */
    const char *name;
    /* Optional. What a message looks like on this wire; asked once for a broadcast, not once for
     * each client. Takes `msg`, gives a buf (it may be the same); NULL if memory ran out. */
    channels_buf *(*frame)(channels_endpoint *ep, channels_buf *msg, channels_kind kind);
    /* Queue it, behind what is queued. Takes a reference of its own (channels_buf_ref), copies
     * nothing. Negative: it could not; the client is then closed. One that sends at once may call
     * channels_socket_sent() from here. */
    int (*send)(void *carrier, channels_buf *wire, channels_kind kind);
    /* Send what is queued, then end with this WebSocket close code. Nothing more is sent. */
    void (*close)(void *carrier, int code);
    /* A connect that was pending has been decided; `refuse` borrows the answer for the call. */
    void (*accept)(void *carrier);
    void (*refuse)(void *carrier, const channels_response *r);
    /* It cannot carry binary messages: to push or reply one is CHANNELS_ERR_INVALID, and broadcasts
     * of them pass its clients by, as with version 1 of the protocol. */
    bool text_only;
} channels_transport;

/* A client wants in: finds the mount by the request's path, checks origin, subprotocols and
 * version, asks connect(). The answer to a WebSocket handshake has to name
 * channels_socket_subprotocol(), if there is one, in Sec-WebSocket-Protocol. CHANNELS_OK: it is in.
 * CHANNELS_LATER: `accept` or `refuse` of the table will be called. CHANNELS_REFUSE: `refuse` has
 * been called already, with the answer to give; *s is NULL. CHANNELS_ERR_CLOSED: the path belongs
 * to no mount. NOT FROM CALLBACKS. */
CHANNELS_API int channels_socket_open(channels_endpoint *ep, const channels_request *req,
                                      const channels_transport *transport, void *carrier,
                                      channels_socket **s);
/* A whole message of the client. CHANNELS_ERR_PROTOCOL if it cannot be decoded: `close` has been
 * called with 1011 (1007 for text that is not UTF-8). NOT FROM CALLBACKS. */
CHANNELS_API int channels_socket_receive(channels_socket *s, channels_payload message);
/* `len` bytes given to `send` have left: what is not reported counts against max_queued. */
CHANNELS_API void channels_socket_sent(channels_socket *s, size_t len);
/* The carrier is gone or will send no more: ends the client's channels and frees the socket. The
 * host calls this exactly once for every socket that opened or was put off, whoever began the end,
 * a late refusal included; not after
 * channels_endpoint_free(), which ends them all. NOT FROM CALLBACKS. */
CHANNELS_API void channels_socket_closed(channels_socket *s);

#ifdef __cplusplus
}
#endif
#endif
