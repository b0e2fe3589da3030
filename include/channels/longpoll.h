/* channels/longpoll.h - long polling for a host that has an HTTP server of its own.
 *
 * Where no WebSocket gets through, clients speak by requests: a GET opens a session, POSTs carry
 * what the client says, and further GETs, the polls, are held until there is something for it. The
 * host hands over each request for a mount's long-poll path and sends the answer when it comes. (On
 * a channels_conn all this happens by itself.) Phoenix lib/phoenix/transports/long_poll.ex.
 *
 * A session lives on the endpoint that opened it. Its requests may land on other nodes, if those
 * have the same config.secret and an adapter joins them: they are handed on, and answered where they
 * landed. What a client has not got yet is kept for it, up to max_queued. One for which nothing waits
 * costs about 500 bytes, or 850 with its poll held on a channels_conn, without the assigns and the
 * channels. */
#ifndef CHANNELS_LONGPOLL_H
#define CHANNELS_LONGPOLL_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A whole request. CHANNELS_OK: it is answered by respond(arg, r), once, before this returns or
 * later; not if channels_longpoll_done() said before that nobody waits any more. Any other result:
 * it is not. CHANNELS_ERR_CLOSED: the path belongs to no mount with long polling.
 *
 * `respond` sends the answer. It is called on the endpoint's thread, from inside other calls, and
 * may call channels_longpoll_done() and nothing else. `r` is good for the call.
 *
 * *request names it for channels_longpoll_done() and is set before `respond` is called. A body that
 * is larger than channels_longpoll_max_body() need not have been read: `body` is NULL, `body_len`
 * its size or any that is too large. NOT FROM CALLBACKS. */
CHANNELS_API int channels_longpoll_request(channels_endpoint *ep, const channels_request *req,
                                           void (*respond)(void *arg, const channels_response *r),
                                           void *arg, channels_ref *request);
/* For each request: its answer has been handed to the kernel as a whole (`sent`), or it will not
 * be, because whoever asked has gone. Until then the messages in the answer to a poll are kept, and
 * the polls after it wait; not sent, they are in the answer to the next one. To say it twice does
 * nothing, and neither does it once the session has ended. */
CHANNELS_API void channels_longpoll_done(channels_endpoint *ep, channels_ref request, bool sent);

/* How large a body of this request is worth reading, by its head alone: longpoll.max_body of the
 * mount, but no more than config.max_http_body unless a session's token came with it. 0: the path
 * belongs to no mount with long polling. */
CHANNELS_API size_t channels_longpoll_max_body(channels_endpoint *ep, const channels_request *head);

#ifdef __cplusplus
}
#endif
#endif
