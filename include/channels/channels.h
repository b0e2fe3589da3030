/* channels/channels.h - Phoenix Channels for C programs, without any I/O of its own.
 *
 * You describe what clients may join and what happens then in tables of callbacks, give the
 * bytes of accepted connections to the library, and write out the bytes it lends you. A client
 * cannot tell the result from Elixir's Phoenix 1.8. The header reads from top to bottom as you
 * need it: results, payloads, requests; the tables you fill in; the calls for use inside
 * callbacks; answers that come later; timers; the endpoint; bytes in and out.
 *
 * Threads: an endpoint and everything below it belong to one thread. The few calls marked
 *   ANY THREAD may come from others. A call from the wrong thread returns CHANNELS_ERR_MISUSE
 *   and changes nothing.
 * Calls from callbacks: every call here may be made from every callback of the tables below,
 *   except those marked NOT FROM CALLBACKS: they return CHANNELS_ERR_MISUSE, change nothing and
 *   say why through `log`. From `drop` functions, `realloc`, `now_ms`, `random`, `log` and the
 *   wake function nothing may be called.
 * Pointers handed in are borrowed for the call (what is kept is copied), unless said otherwise.
 * Times are milliseconds, sizes are bytes. */
#ifndef CHANNELS_CHANNELS_H
#define CHANNELS_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <channels/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CHANNELS_API __attribute__((visibility("default")))
#else
#define CHANNELS_API
#endif

struct cJSON; /* <cjson/cJSON.h>: only for hosts that look inside payloads */
struct iovec; /* <sys/uio.h>: only for hosts that move bytes */

typedef struct channels_endpoint channels_endpoint; /* everything below; used by one thread */
typedef struct channels_socket channels_socket;     /* one client, whatever carries it */
typedef struct channels_channel channels_channel;   /* one client joined to one topic */
typedef struct channels_conn channels_conn;         /* one accepted byte stream */
typedef struct channels_serializer channels_serializer; /* <channels/serializer.h> */

/* --- Results ------------------------------------------------------------------------------
 * 0 or a count is success. A negative result left everything as it was, unless said. */
enum {
    CHANNELS_OK = 0,
    CHANNELS_ERR_NOMEM = -1,
    CHANNELS_ERR_INVALID = -2,  /* an argument cannot be used; `log` says which and why */
    CHANNELS_ERR_PROTOCOL = -3, /* the peer broke the protocol; its connection is closing */
    CHANNELS_ERR_CLOSED = -4,   /* the channel, client or request is gone */
    CHANNELS_ERR_LIMIT = -5,    /* a configured limit would be passed */
    CHANNELS_ERR_MISUSE = -6,   /* wrong thread, or not from a callback; `log` says which */
    CHANNELS_ERR_UNSUPPORTED = -7 /* what it needs was not there when the library was built */
};
/* One English sentence for a result; never NULL. ANY THREAD. */
CHANNELS_API const char *channels_strerror(int err);

/* --- Payloads -----------------------------------------------------------------------------
 * A view of somebody else's bytes. One shown by a callback is good until that callback returns.
 * JSON is UTF-8 text of one value; what you hand over is checked as strictly as what a client
 * sends (CHANNELS_ERR_INVALID). Pushes and broadcasts need a JSON object or bytes, replies may
 * hold any JSON value (Phoenix lib/phoenix/socket/serializers/v2_json_serializer.ex). */
typedef enum {
    CHANNELS_JSON,
    CHANNELS_BINARY,
    CHANNELS_TEXT = CHANNELS_JSON /* of sockets without channels: any UTF-8 */
} channels_kind;
typedef struct channels_payload {
    channels_kind kind;
    const void *data;
    size_t len;
} channels_payload;

static inline channels_payload channels_json_n(const char *text, size_t len)
{
    channels_payload p = { CHANNELS_JSON, text, len };
    return p;
}
static inline channels_payload channels_json(const char *text)
{
    return channels_json_n(text, strlen(text));
}
static inline channels_payload channels_text(const char *text)
{
    channels_payload p = { CHANNELS_TEXT, text, strlen(text) };
    return p;
}
static inline channels_payload channels_binary(const void *data, size_t len)
{
    channels_payload p = { CHANNELS_BINARY, data, len };
    return p;
}
static inline channels_payload channels_empty(void) /* {} */
{
    return channels_json_n("{}", 2);
}

/* A message as callbacks see it; good until the callback returns. Client payloads are checked
 * to be one JSON value and handed over as they came, so forwarding one changes nothing in it. */
typedef struct channels_msg {
    const char *topic, *event; /* NUL-terminated UTF-8 */
    channels_payload payload;
} channels_msg;
/* The payload as a tree, built by the first call and freed when the callback returns. NULL if
 * it is binary or memory ran out. `msg` is the pointer the callback was given. */
CHANNELS_API const struct cJSON *channels_msg_json(const channels_msg *msg);

/* --- Requests and responses ---------------------------------------------------------------
 * The HTTP request a client arrived with. A host with its own HTTP server fills one in. The
 * functions only look at it: ANY THREAD. */
typedef struct channels_header {
    const char *name, *value; /* names compare without regard to case */
} channels_header;
typedef struct channels_request {
    const char *method; /* "GET" */
    const char *path;   /* as on the wire, without the query */
    const char *query;  /* as on the wire, without the '?'; "" if there is none */
    const channels_header *headers;
    size_t nheaders;
    const void *body;
    size_t body_len;
    const char *peer; /* "192.0.2.1:4711", or NULL if the host gave none */
    bool tls;         /* arrived over TLS: the origin check compares https/wss */
    /* Set by the library for connect(), NULL elsewhere: the path as it was mounted,
     * "/ws/:room/websocket", and the token that came along if the mount has `auth_token`. */
    const char *pattern, *auth_token;
} channels_request;
/* The first header of that name, or NULL. */
CHANNELS_API const char *channels_request_header(const channels_request *req, const char *name);
/* "https://example.com:4000/socket/websocket?vsn=2.0.0", put together from `tls`, the Host header,
 * path and query; cut to `cap` with a NUL at the end. Its whole length, or -1 without a Host;
 * `dst` may be NULL if `cap` is 0. */
CHANNELS_API int channels_request_uri(const channels_request *req, char *dst, size_t cap);
/* The parameter of that plain name: the segment of the path where `pattern` has ":name", as it was
 * sent, else the last one in the query, decoded ('+' and %XX). Cut to `cap` with a NUL at the end.
 * Its whole length, or -1 if there is none; `dst` may be NULL if `cap` is 0. */
CHANNELS_API int channels_request_param(const channels_request *req, const char *name, char *dst,
                                        size_t cap);
/* All parameters as a cJSON object, those of the query nested as Plug nests them (a[b]=1&l[]=x),
 * replaced by those of the path. Free it with cJSON_Delete(). NULL if memory ran out, or the query
 * is not UTF-8 or holds a NUL. */
CHANNELS_API struct cJSON *channels_request_params(const channels_request *req);

typedef struct channels_response {
    int status;
    const channels_header *headers; /* content-length and connection are added */
    size_t nheaders;
    const void *body;
    size_t body_len;
} channels_response;

/* --- Refs ---------------------------------------------------------------------------------
 * A value that names something which may end before you use it: a message that waits for its
 * answer, a channel, a request. Copy it freely, hand it to other threads; when what it names is
 * gone, calls return CHANNELS_ERR_CLOSED. id 0 names nothing. */
typedef struct channels_ref {
    uint64_t id;
} channels_ref;

/* --- What you supply: channels ------------------------------------------------------------
 * Members other than join() may be NULL or zero. The tables are not copied: they live as long as
 * the endpoint. Callbacks return CHANNELS_OK, or one of these, or any negative number: the channel
 * has failed, its client sees phx_error (and rejoins) or, in join(), the error reply "join
 * crashed". */
enum {
    CHANNELS_STOP = 1,   /* leave the topic: phx_close, then terminate() */
    CHANNELS_REFUSE = 2, /* join() and connect(): not admitted */
    CHANNELS_LATER = 3   /* join() and connect(): a ref taken here will be answered */
};

/* Why a channel or a client ended. */
typedef enum {
    CHANNELS_LEFT,         /* the client left the topic */
    CHANNELS_CLOSED,       /* its connection ended */
    CHANNELS_STOPPED,      /* a callback returned CHANNELS_STOP, or channels_stop() */
    CHANNELS_FAILED,       /* a callback returned a negative number */
    CHANNELS_DUPLICATE,    /* the same client joined the topic again */
    CHANNELS_REFUSED,      /* after CHANNELS_LATER: the answer was no */
    CHANNELS_DISCONNECTED, /* channels_disconnect(), or "disconnect" on the socket's id */
    CHANNELS_SHUTDOWN,     /* the endpoint was freed */
    CHANNELS_IDLE,         /* nothing was heard from its client for too long */
    CHANNELS_SLOW,         /* too much was waiting for its client */
    CHANNELS_BROKEN,       /* its client broke the protocol or a limit, or memory ran out for it */
    CHANNELS_DRAINED       /* channels_drain() */
} channels_reason;

/* How much the lines that config.log is given matter. */
typedef enum {
    CHANNELS_LOG_DEFAULT, /* in options: what is said there */
    CHANNELS_LOG_DEBUG,
    CHANNELS_LOG_INFO,
    CHANNELS_LOG_WARNING,
    CHANNELS_LOG_ERROR,
    CHANNELS_LOG_OFF /* in options: no such line at all */
} channels_log_level;

typedef struct channels_handler {
    size_t assigns_size;          /* zeroed bytes for each channel, freed after terminate() */
    const char *const *intercept; /* NULL-ended: these broadcasts go to handle_out() instead */

    /* A client wants to join msg->topic; msg->payload is what it sent along. channels_reply()
     * sets the response of either answer (default {}). The channel hears its topic from the
     * moment this returned CHANNELS_OK; pushes and broadcasts are possible from joined() on. */
    int (*join)(channels_channel *ch, const channels_msg *msg, void *user);
    /* Right after the join reply was queued: the place for pushes to the newcomer. */
    int (*joined)(channels_channel *ch, void *user);
    /* An event of the client. NULL fails the channel, as an event without a clause does in
     * Phoenix; so does an event whose name is no string or holds a NUL. */
    int (*handle_in)(channels_channel *ch, const channels_msg *msg, void *user);
    /* A broadcast named in `intercept`, once for every channel of the topic; what the client
     * gets is what this pushes. NULL drops it. */
    int (*handle_out)(channels_channel *ch, const channels_msg *msg, void *user);
    /* A broadcast on a topic added with channels_subscribe(). */
    int (*handle_broadcast)(channels_channel *ch, const channels_msg *msg, void *user);
    /* What channels_info_after() or channels_send() sent. */
    int (*handle_info)(channels_channel *ch, void *info, void *user);
    /* The end, exactly once for every join() that returned CHANNELS_OK or CHANNELS_LATER.
     * Unless the client is gone, pushes still reach it. */
    void (*terminate)(channels_channel *ch, channels_reason why, void *user);
    /* Of the lines "JOINED room:1 in 12µs, Parameters: {}" (info) and "HANDLED shout INCOMING ON
     * room:1 (room:*) in 3µs, Parameters: {}" (debug). */
    channels_log_level log_join, log_handle_in;
} channels_handler;

typedef struct channels_route {
    const char *pattern; /* "room:lobby" exactly, or "room:*": whatever begins so */
    const channels_handler *handler;
    const void *arg; /* channels_channel_arg(), for patterns that share a handler */
} channels_route;

/* --- What you supply: sockets ------------------------------------------------------------- */
typedef struct channels_socket_handler {
    size_t assigns_size;
    const channels_route *routes; /* ends at pattern == NULL; the first match wins */
    /* A client has arrived. CHANNELS_REFUSE answers 403, or what channels_refuse() said. NULL
     * admits everyone. `req` is good until this returns. Of its headers are shown: host, origin,
     * user-agent, traceparent, tracestate, x-* and sec-websocket-*. The others, cookies above all,
     * are withheld unless the mount has `all_headers`: a browser sends them along for any page. */
    int (*connect)(channels_socket *s, const channels_request *req, void *user);
    /* Its end, exactly once for every connect() that returned CHANNELS_OK or CHANNELS_LATER,
     * after its channels' terminate(). */
    void (*disconnect)(channels_socket *s, channels_reason why, void *user);
    /* For sockets without channels, which have no routes and speak no version: each message of the
     * client as it came, CHANNELS_TEXT or CHANNELS_BINARY. Answer with channels_socket_push().
     * CHANNELS_STOP closes the client with 1001, a negative number with 1011. */
    int (*handle_frame)(channels_socket *s, channels_payload frame, void *user);
} channels_socket_handler;

/* Which web pages may connect. A request without an Origin header is no browser's and is always
 * allowed (Phoenix lib/phoenix/socket/transport.ex, check_origin). */
typedef enum {
    CHANNELS_ORIGIN_HOST, /* the origin's host must be config.host */
    CHANNELS_ORIGIN_SAME, /* scheme, host and port must be those of the request */
    CHANNELS_ORIGIN_LIST, /* must match an entry of `origins` */
    CHANNELS_ORIGIN_ANY,
    CHANNELS_ORIGIN_ASK /* `ask_origin` decides */
} channels_origin;

typedef struct channels_websocket_options {
    bool off;
    const char *path; /* below the mount, may hold :name; default "/websocket" */
    /* NULL-ended, by preference. A client that offers some gets the first of these that is among
     * them; if there is none, 403. NULL: what it offers is not looked at. */
    const char *const *subprotocols;
    uint32_t idle_ms;             /* close (1002) after so long without a byte; 60000 */
    size_t max_message;           /* larger ones close with 1009; 10 MB */
    uint32_t max_empty_fragments; /* of one message, then 1008; 1024 */
    /* Clients may have messages compressed, both ways (permessage-deflate, RFC 7692), each message
     * by itself: a broadcast is compressed once for all of them. Of what they send max_message
     * bounds the bytes before and after; a message may become a thousand times larger, so lower it
     * to what your clients need. */
    bool compress;
} channels_websocket_options;

typedef struct channels_longpoll_options {
    bool on;
    const char *path;         /* below the mount, may hold :name; default "/longpoll" */
    uint32_t window_ms;       /* a poll is held so long; 10000. A session that is not polled for
                               * twice that ends. */
    uint32_t token_max_age_s; /* of a session; 1209600, two weeks */
    uint32_t max_sessions;    /* of the mount, then 503; 100000. And so many requests may wait here
                               * for sessions of other nodes. */
    uint32_t max_batch;       /* messages of one POST, the rest is dropped; 100 */
    size_t max_body;          /* of a POST, then 400; 8 MB */
    /* After so long without a word from the node whose session it is, there is no such session;
     * 2000. */
    uint32_t pubsub_timeout_ms;
} channels_longpoll_options;

/* Clients whose parameter vsn meets `requirement` speak the format of `serializer`. As Elixir
 * writes requirements: "~> 2.0.0", ">= 1.0.0 and < 3.0.0", "== 2.0.0 or ~> 3.1". */
typedef struct channels_vsn {
    const char *requirement;
    const channels_serializer *serializer; /* not copied: lives as long as the endpoint */
} channels_vsn;

/* Zero means the default. Strings and arrays are copied. */
typedef struct channels_mount_options {
    channels_origin check_origin;
    const char *const *origins; /* NULL-ended: "https://example.com", "//host:81"; a host *.x stands
                                 * for x and all below it */
    /* For CHANNELS_ORIGIN_ASK. `origin` is the header as it came, "null" included; `user` is the
     * mount's. A request without an Origin is not asked about; a client of long polling is asked
     * about with each of its requests, with its first one twice. */
    bool (*ask_origin)(const char *origin, void *user);
    /* Clients may bring a token (`authToken` of phoenix.js), which connect() finds in the request:
     * by WebSocket among the subprotocols, to which "phoenix" is added in front, by long polling
     * in the header X-Phoenix-AuthToken. */
    bool auth_token;
    bool all_headers;                /* connect() is shown every header */
    const channels_vsn *serializers; /* ends at requirement == NULL, the first match wins;
                                      * "~> 1.0.0" and "~> 2.0.0" with Phoenix' own */
    uint32_t max_channels;      /* of one client, then "too many channels joined"; 100 */
    uint32_t max_topic;         /* bytes of a joined topic and the join's refs together, then "topic
                                 * too long"; 16384, at most 65535 */
    uint32_t max_deferred;      /* of one client: live refs, timers, waiting messages; 1000 */
    size_t max_deferred_bytes;  /* of one client's waiting messages and refs, then 1008; 1 MB,
                                 * at most 4 GB */
    size_t max_queued;          /* bytes waiting for one client beside the largest message, which
                                 * may be of any size, then 1008; 1 MB. Above the half of it, the
                                 * largest counted too, the client is not read from. */
    uint32_t max_nesting;       /* of a payload, then 1011; 1000, at most 1000 */
    channels_websocket_options websocket;
    channels_longpoll_options longpoll;
    /* Of the line "CONNECTED TO /socket in 12µs, Transport: :websocket, Serializer: ...,
     * Parameters: {}"; info. */
    channels_log_level log_connect;
} channels_mount_options;

/* --- Inside callbacks: the channel --------------------------------------------------------
 * A channel's handle is good inside its callbacks, and after channels_ref_channel() until the
 * thread leaves your function or makes a call that is NOT FROM CALLBACKS. Of a channel that has
 * ended they return CHANNELS_ERR_CLOSED. CHANNELS_ERR_LIMIT: too much waits for the client already,
 * and it is closed: it must not miss a message and not know. CHANNELS_ERR_NOMEM: the message was
 * not sent; the client is closed too if it was the queue that could not grow, and else missed it. */
CHANNELS_API void *channels_assigns(channels_channel *ch);
CHANNELS_API const char *channels_channel_topic(const channels_channel *ch);
CHANNELS_API const void *channels_channel_arg(const channels_channel *ch); /* its route's */
CHANNELS_API channels_socket *channels_channel_socket(const channels_channel *ch);
CHANNELS_API channels_endpoint *channels_channel_endpoint(const channels_channel *ch);
/* The join_ref that its pushes carry, as JSON text of *len bytes without a NUL; NULL: null. */
CHANNELS_API const char *channels_channel_join_ref(const channels_channel *ch, size_t *len);

/* An event to this client. CHANNELS_ERR_INVALID before the join is answered. */
CHANNELS_API int channels_push(channels_channel *ch, const char *event, channels_payload p);
/* In handle_in(): answers the message in hand, at once and in the order of the calls. In join():
 * sets the response; the status is given by what join() returns and must be "ok" or "error".
 * CHANNELS_ERR_INVALID elsewhere: use a ref. */
CHANNELS_API int channels_reply(channels_channel *ch, const char *status, channels_payload p);
/* An event to every channel of this channel's topic, its own client included, here and on other
 * nodes; _from leaves out this channel. Works in terminate() too. */
CHANNELS_API int channels_broadcast(channels_channel *ch, const char *event, channels_payload p);
CHANNELS_API int channels_broadcast_from(channels_channel *ch, const char *event,
                                         channels_payload p);
/* Broadcasts of another topic arrive in handle_broadcast() until channels_unsubscribe() or the
 * channel's end; twice if subscribed twice. _unsubscribe drops all of that topic and does
 * nothing if there are none; what was broadcast before still arrives. */
CHANNELS_API int channels_subscribe(channels_channel *ch, const char *topic);
CHANNELS_API void channels_unsubscribe(channels_channel *ch, const char *topic);
/* Ends the channel as returning CHANNELS_STOP does; for use outside its own callbacks. */
CHANNELS_API int channels_stop(channels_channel *ch);

/* --- Inside callbacks: the socket --------------------------------------------------------- */
CHANNELS_API void *channels_socket_assigns(channels_socket *s);
CHANNELS_API channels_endpoint *channels_socket_endpoint(const channels_socket *s);
CHANNELS_API const char *channels_socket_id(const channels_socket *s); /* NULL if it has none */
/* "websocket", "longpoll", or the name of your own. */
CHANNELS_API const char *channels_socket_transport(const channels_socket *s);
CHANNELS_API const char *channels_socket_path(const channels_socket *s); /* of its mount */
/* "Phoenix.Socket.V2.JSONSerializer"; NULL while that is not settled, and for sockets without
 * channels. */
CHANNELS_API const char *channels_socket_serializer(const channels_socket *s);
/* The subprotocol that was agreed on; NULL if none was. */
CHANNELS_API const char *channels_socket_subprotocol(const channels_socket *s);
/* Only while connecting. A "disconnect" broadcast on the topic `id` closes the client: see
 * channels_disconnect(). */
CHANNELS_API int channels_socket_set_id(channels_socket *s, const char *id);
/* In connect(): the answer to send instead of 403. Returns CHANNELS_REFUSE for connect() to
 * return, or a negative error. */
CHANNELS_API int channels_refuse(channels_socket *s, const channels_response *r);
/* A message to the client of a socket without channels, as it is; text must be UTF-8. Not in
 * connect(): it is not in yet (CHANNELS_ERR_INVALID). */
CHANNELS_API int channels_socket_push(channels_socket *s, channels_payload message);
/* Closes the client: WebSocket close `code` (1001, 1008, 4000..4999; never 1000: phoenix.js
 * would not come back), its channels end with CHANNELS_DISCONNECTED. */
CHANNELS_API int channels_socket_close(channels_socket *s, int code);

/* --- Answers that come later --------------------------------------------------------------
 * Each live ref of a channel counts against max_deferred of its client (CHANNELS_ERR_LIMIT). */

/* A ref to the message in hand: in handle_in(), or in join() before it returns CHANNELS_LATER.
 * CHANNELS_ERR_INVALID if the message has no ref to answer to, as Phoenix's socket_ref/1.
 * While a join waits, heartbeats and other topics go on; what arrives for its topic waits. */
CHANNELS_API int channels_later(channels_channel *ch, channels_ref *ref);
/* Answers it: as often as you like until channels_ref_drop() or the channel's end. A join's ref
 * is answered once, "ok" admits and "error" refuses. */
CHANNELS_API int channels_ref_reply(channels_endpoint *ep, channels_ref ref, const char *status,
                                    channels_payload p);
/* Ends a ref early; those of a join or a request are thereby refused ("join crashed", 500). */
CHANNELS_API void channels_ref_drop(channels_endpoint *ep, channels_ref ref);

/* A ref to the channel itself, what self() is in Elixir: for channels_send() and
 * channels_ref_channel(). The same one each time; it lives as long as the channel. */
CHANNELS_API int channels_self(channels_channel *ch, channels_ref *ref);
/* The channel that a ref of channels_later() or channels_self() belongs to; NULL if it ended. */
CHANNELS_API channels_channel *channels_ref_channel(channels_endpoint *ep, channels_ref ref);
/* `info` to handle_info() of the ref's channel. ANY THREAD. Once this returned CHANNELS_OK the
 * library owns `info`: it goes either to handle_info(), which then owns it, or to `drop` (may be
 * NULL) on the endpoint's thread if the channel has ended. */
CHANNELS_API int channels_send(channels_endpoint *ep, channels_ref ref, void *info,
                               void (*drop)(void *info));

/* In connect(), before it returns CHANNELS_LATER: the client waits for channels_accept(), or for
 * channels_respond(), which refuses it. */
CHANNELS_API int channels_connect_later(channels_socket *s, channels_ref *ref);
/* Lets it in. CHANNELS_ERR_CLOSED: it has gone meanwhile. */
CHANNELS_API int channels_accept(channels_endpoint *ep, channels_ref ref);
/* A ref to the socket itself, from connect() on: for channels_ref_socket(). The same one each time;
 * it lives until the client's end begins, and costs nothing of max_deferred. */
CHANNELS_API int channels_socket_self(channels_socket *s, channels_ref *ref);
/* The socket that a ref of channels_connect_later() or channels_socket_self() names; NULL if it has
 * ended. The handle is good as that of channels_ref_channel(). */
CHANNELS_API channels_socket *channels_ref_socket(channels_endpoint *ep, channels_ref ref);
/* Answers a held request: one given to config.request, or a pending connect. Once.
 * CHANNELS_ERR_CLOSED: it has been answered, or whoever asked has gone. */
CHANNELS_API int channels_respond(channels_endpoint *ep, channels_ref ref,
                                  const channels_response *r);

/* --- Timers ------------------------------------------------------------------------------- */
typedef struct channels_timer {
    uint64_t id;
} channels_timer;
/* `info` to handle_info() in `ms`; 0: as soon as the callback in hand has returned, which cannot be
 * stopped. `timer` may be NULL. `info` and `drop` are owned as with channels_send(). One that has
 * to wait counts against max_deferred. */
CHANNELS_API int channels_info_after(channels_channel *ch, uint32_t ms, void *info,
                                     void (*drop)(void *info), channels_timer *timer);
/* Stops one; its `drop` is called. CHANNELS_ERR_CLOSED if it already fired or was stopped. */
CHANNELS_API int channels_timer_stop(channels_channel *ch, channels_timer timer);

/* --- The endpoint ------------------------------------------------------------------------- */
typedef struct channels_pubsub_adapter channels_pubsub_adapter; /* <channels/pubsub.h> */
typedef struct channels_telemetry channels_telemetry;           /* <channels/telemetry.h> */

/* Zero every member you do not set; zero means the default in brackets. Copied, but for what
 * `user`, `hooks`, `log_filter`, `telemetry`, `pubsub` and `pubsub_self` point to. */
typedef struct channels_config {
    void *user;  /* handed to each function here, */
    void *hooks; /* but this one to realloc, now_ms, now_ns, random, log [user] */
    /* As Lua's allocator: `p` of `old_size` becomes `new_size`; 0 frees. On the endpoint's thread
     * only. [malloc and free] */
    void *(*realloc)(void *hooks, void *p, size_t old_size, size_t new_size);
    uint64_t (*now_ms)(void *hooks);                   /* never goes back [CLOCK_MONOTONIC] */
    int (*random)(void *hooks, void *dst, size_t len); /* 0 or negative [OpenSSL's] */
    uint64_t (*now_ns)(void *hooks);                   /* measures durations [CLOCK_MONOTONIC] */
    /* On the thread of the call that led to it. `text` is one line without a newline, of at most
     * 1023 bytes: a longer one is cut and ends in "...". */
    void (*log)(void *hooks, channels_log_level level, const char *text);
    channels_log_level log_level; /* lines below it are not made [CHANNELS_LOG_INFO] */
    /* In parameters that are logged, at any depth, the value of a key that holds one of these words
     * is "[FILTERED]". NULL-ended ["password", "token"]. With log_keep it is the other way round:
     * only values of keys that are one of these words are shown. */
    const char *const *log_filter;
    bool log_keep;
    const channels_telemetry *telemetry; /* is told what happens and how long it takes [none] */
    /* A request for none of the mounts. Answer with channels_respond(to), now or later, and
     * return CHANNELS_OK; CHANNELS_REFUSE answers 404, a negative number 500. A HEAD request gets
     * the head of the answer alone. `req` is good until this returns. */
    int (*request)(void *user, channels_ref to, const channels_request *req);
    /* What became of a request for which the former returned CHANNELS_OK, once, from
     * channels_endpoint_run(): its answer has left as a whole (`sent`), or whoever asked went away
     * first, answered or not. Not after channels_endpoint_free(). */
    void (*request_end)(void *user, channels_ref to, bool sent);
    const char *host;         /* the public host name, for CHANNELS_ORIGIN_HOST ["localhost"] */
    size_t max_http_head;     /* then 431 [16 KB] */
    size_t max_http_body;     /* then 413, unless it is for a long-poll session [64 KB] */
    uint32_t http_timeout_ms; /* for a whole request to arrive, then cut [10000] */
    uint32_t linger_ms;       /* for the peer to take our last bytes and close [2000] */
    /* For clients of mounts with `compress`: */
    size_t compress_min;      /* smaller messages to them go as they are [256] */
    int compress_level;       /* zlib's: from 1, quick, to 9, small [6] */
    const char *secret;       /* signs the tokens of long-poll sessions, the same on all nodes
                               * [random] */
    const char *node;         /* this node's name for PubSub, unique, at most 255 bytes [random] */
    const channels_pubsub_adapter *pubsub; /* joins nodes [none: this endpoint only] */
    void *pubsub_self;
} channels_config;

/* `config` may be NULL. The endpoint belongs to the calling thread. */
CHANNELS_API int channels_endpoint_new(channels_endpoint **ep, const channels_config *config);
/* Makes the calling thread the owner: for hosts that set up on one thread and run on another.
 * ANY THREAD, while no other is inside. */
CHANNELS_API void channels_endpoint_adopt(channels_endpoint *ep);
/* Ends everything with CHANNELS_SHUTDOWN and frees it, the host's channels_conn included. Other
 * threads must have stopped calling in. NULL is fine. NOT FROM CALLBACKS. */
CHANNELS_API void channels_endpoint_free(channels_endpoint *ep);
CHANNELS_API void *channels_endpoint_user(const channels_endpoint *ep); /* config.user */

/* Clients of `path` ("/socket", so "/socket/websocket") go to `handler`. `user` goes to all its
 * callbacks. `options` may be NULL. A segment ":name" of the path stands for any one, which becomes
 * the parameter `name` (not if it begins with _). Of mounts that match, the first mounted wins.
 * CHANNELS_ERR_INVALID for a bad path, pattern or option: `log` says what is wrong with it. */
CHANNELS_API int channels_mount(channels_endpoint *ep, const char *path,
                                const channels_socket_handler *handler,
                                const channels_mount_options *options, void *user);

/* `fn` for each client that is in, or for each topic that a client has joined. It may end what it
 * is shown, and others. Only CHANNELS_ERR_MISUSE can go wrong. */
CHANNELS_API int channels_foreach_socket(channels_endpoint *ep,
                                         void (*fn)(channels_socket *s, void *arg), void *arg);
CHANNELS_API int channels_foreach_channel(channels_socket *s,
                                          void (*fn)(channels_channel *ch, void *arg), void *arg);

/* Closes every client whose id this is, on all nodes, with 1001. ANY THREAD. */
CHANNELS_API int channels_disconnect(channels_endpoint *ep, const char *socket_id);

/* Runs `fn(ep, arg)` on the endpoint's thread, in the order of posting of each thread. If the
 * endpoint is freed first, `drop(arg)` (may be NULL) is called instead. ANY THREAD. */
CHANNELS_API int channels_post(channels_endpoint *ep, void (*fn)(channels_endpoint *ep, void *arg),
                               void *arg, void (*drop)(void *arg));

/* `wake(arg)` is called, on ANY THREAD, when another thread has posted something: it has the host's
 * loop call channels_endpoint_run() soon. Calls are coalesced. Set it before other threads call in;
 * adapters do. NULL: the host calls _run() often enough by itself. When this returns, what was set
 * before is not called any more. */
CHANNELS_API void channels_endpoint_on_wake(channels_endpoint *ep, void (*wake)(void *arg),
                                            void *arg);
/* Posted work and due timers. Call it when woken and when channels_endpoint_timeout() is over;
 * calling it more often is harmless. NOT FROM CALLBACKS. */
CHANNELS_API void channels_endpoint_run(channels_endpoint *ep);
/* How long from now until it has to be called; 0: at once, UINT64_MAX: when woken. Ask anew before
 * each sleep: any call may change it. */
CHANNELS_API uint64_t channels_endpoint_timeout(const channels_endpoint *ep);

/* --- Draining -----------------------------------------------------------------------------
 * The end of a server that others take over from, or that is started anew: a client that is told
 * to close is back within 10 ms (phoenix.js), so not all are told at once. Those who come meanwhile
 * are refused with 503, by long polling with its one refusal, 403: phoenix.js then waits longer
 * each time, up to 5 s, instead of being let in and told to go again.
 * Phoenix lib/phoenix/socket/pool_supervisor.ex. */
typedef struct channels_drain_progress {
    size_t count;    /* clients that were told to go just now */
    size_t total;    /* clients when it began */
    size_t left;     /* clients that have not gone yet */
    uint32_t index;  /* of this batch, from 1 */
    uint32_t rounds; /* batches that were planned */
    bool done;       /* the last client has gone, and nothing more is reported; count is 0 */
} channels_drain_progress;
/* Zero means the default. */
typedef struct channels_drain_options {
    uint32_t batch;       /* clients told at once; 10000 */
    uint32_t interval_ms; /* between batches; 2000 */
    uint32_t deadline_ms; /* from now: then all that are left are told at once; 30000 */
    /* After each batch, and at the end; a callback from channels_endpoint_run(). May be NULL. */
    void (*progress)(void *arg, const channels_drain_progress *p);
    void *arg;
} channels_drain_options;
/* Begins it; the rest is done by channels_endpoint_run(). Each client ends with CHANNELS_DRAINED:
 * WebSockets close with 1012, long-poll sessions end, other transports' `close` is called with it;
 * no phx_close, no phx_error, so that they join again where they connect next. Connects that wait
 * for their decision are refused with 503 at once. Other HTTP requests are answered as before, each
 * as the last of its connection. A client that does not answer its Close is gone after
 * config.linger_ms, one that takes its last bytes slowly that long after the deadline. There is no
 * way back; a second call changes nothing. `options` may be NULL. Not from a signal handler: from
 * the loop's signal watcher, or by channels_post() from a thread that waits for signals. */
CHANNELS_API int channels_drain(channels_endpoint *ep, const channels_drain_options *options);

/* --- Bytes in, bytes out ------------------------------------------------------------------
 * HTTP/1.1, long polling and WebSocket on one accepted stream. After an accept(): _new. When bytes
 * arrived: _feed. To write: _output lends, _sent retires. At the stream's end or error: _free.
 * Before the loop sleeps: every connection from channels_endpoint_next_ready().
 * <channels/adapters/libev.h>, libuv.h and poll.h do all this for you; their endpoint's connections
 * are all theirs. For speed, _output, _sent, _want and _next_ready do not check the thread. */
enum {
    CHANNELS_WANT_READ = 1,     /* not set: stop reading for now */
    CHANNELS_WANT_WRITE = 2,    /* channels_conn_output() has something */
    CHANNELS_WANT_SHUTDOWN = 4, /* when all is written, shutdown(fd, SHUT_WR) and go on reading */
    /* It is over: channels_conn_free() and close the stream; with _SHUTDOWN when all is written */
    CHANNELS_WANT_CLOSE = 8
};
/* What requests that arrive on it are told of the stream: see channels_request. */
typedef struct channels_stream {
    const char *peer; /* may be NULL */
    bool tls;
} channels_stream;
/* `stream` may be NULL: nothing is known of it. */
CHANNELS_API int channels_conn_new(channels_endpoint *ep, const channels_stream *stream,
                                   void *user, channels_conn **conn);
/* A stream on which the host itself has read the request `req` and nothing has been answered:
 * goes on as if it had been read here. `rest` are bytes that followed the head. What it has to say
 * shows in channels_endpoint_next_ready(). NOT FROM CALLBACKS. */
CHANNELS_API int channels_conn_new_from(channels_endpoint *ep, const channels_request *req,
                                        const void *rest, size_t len, void *user,
                                        channels_conn **conn);
/* Its client, if any, ends with CHANNELS_CLOSED. NULL is fine. The handle is gone at once, also
 * inside a callback. */
CHANNELS_API void channels_conn_free(channels_conn *conn);
CHANNELS_API void *channels_conn_user(const channels_conn *conn);
/* Takes every byte. Negative: the peer broke the protocol or memory ran out; the connection says
 * goodbye by itself: go on with channels_conn_want(). NOT FROM CALLBACKS. */
CHANNELS_API int channels_conn_feed(channels_conn *conn, const void *data, size_t len);
/* Fills at most `max` entries with what waits, 0 if nothing does. Good until the next call for
 * this connection, of this function for another one, or any call that runs callbacks. */
CHANNELS_API int channels_conn_output(channels_conn *conn, struct iovec *iov, int max);
/* The first `len` bytes of it have been written. */
CHANNELS_API void channels_conn_sent(channels_conn *conn, size_t len);
CHANNELS_API unsigned channels_conn_want(const channels_conn *conn);
/* A connection whose want has changed since it was last returned here or its output was taken;
 * NULL when there is none left. It takes no budget: stop and come back as you please. */
CHANNELS_API channels_conn *channels_endpoint_next_ready(channels_endpoint *ep);

#ifdef __cplusplus
}
#endif
#endif
