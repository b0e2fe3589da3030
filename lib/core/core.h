/* core.h - the structs of the core and who owns what.
 *
 *   endpoint ─┬─ mounts ── routes
 *             ├─ topics (by name) ─┬─ fast: {socket, channel} of its channels
 *             │                    └─ slow: everyone else who listens
 *             ├─ sockets ── channels ── subscriptions, timers, refs
 *             ├─ run queue: what callbacks have still to be told
 *             ├─ services: what higher floors put in, presence above all
 *             └─ refs, heap of timers, alarms, mailbox
 *
 * Life and death. Each public call that may lead to callbacks is between channels__enter() and
 * channels__leave(). Callbacks never nest: what one of them causes in others is put in the run
 * queue and run by channels__settle(), at the end of the outermost call or between two messages.
 * A socket that is to end is doomed: nothing more is sent to it, its carrier is told at once, and
 * settle() tells its channels. Memory is kept until the host's loop calls in again (`grave`), and
 * as long as queued work points to it (`pins`): a handle stays good while a function holds it.
 *
 * While a topic is walked, no code of the host's runs but transport->send(). */
#ifndef CHANNELS_CORE_CORE_H
#define CHANNELS_CORE_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/alarm.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "base/str.h"
#include "channels/channels.h"
#include "channels/pubsub.h"
#include "channels/serializer.h"
#include "channels/stats.h"
#include "channels/telemetry.h"
#include "channels/transport.h"
#include "wire/codec.h"
#include "wire/serializer.h"

/* --- Topics and who listens to them ------------------------------------------------------- */

/* A channel in its topic's dense array. The socket stands here too, so that a broadcast does not
 * have to touch the channel. */
typedef struct channels__fast {
    channels_socket *socket;
    channels_channel *channel;
} channels__fast;

typedef struct channels__topic {
    struct channels__topic *next; /* in its bucket */
    channels__fast *fast;
    channels__list slow; /* of channels__subscriber */
    uint64_t hash;
    uint32_t nfast, fast_size;
    uint32_t nslow;
    uint32_t refs; /* listeners, and whoever needs the name; 0 frees it */
    size_t len;
    char name[];
} channels__topic;

typedef struct channels__topics {
    const channels__mem *mem;
    channels__hash_key key;
    channels__topic **buckets;
    size_t count, nbuckets; /* a power of two, or 0 */
} channels__topics;

typedef enum {
    CHANNELS__SUB_CHANNEL, /* to another topic than its own */
    CHANNELS__SUB_SOCKET,  /* to its id */
    CHANNELS__SUB_NODE,    /* hears nothing; the adapter shall know that this node does */
    CHANNELS__SUB_FUNCTION
} channels__sub_kind;

/* A listener who is not a channel of the topic. */
typedef struct channels__subscriber {
    channels__list link; /* in topic->slow; alone once it has unsubscribed */
    channels__topic *topic;
    channels__sub_kind kind;
    uint32_t pins; /* queued deliveries to a function */
    union {
        channels_channel *channel;
        channels_socket *socket;
        struct {
            void (*fn)(void *arg, const channels_msg *msg);
            void *arg;
            uint32_t slot; /* its channels_subscription; 0 once it has unsubscribed */
        } function;
    } to;
    struct channels__subscriber *next; /* of the channel's */
} channels__subscriber;

#define CHANNELS__NOWHERE UINT32_MAX /* no index in topic->fast */

/* --- Channels ----------------------------------------------------------------------------- */

typedef enum {
    CHANNELS__JOINING, /* in join() */
    CHANNELS__PENDING, /* join() returned CHANNELS_LATER */
    CHANNELS__JOINED,
    CHANNELS__TERMINATING, /* in terminate(), and its client can still be reached */
    CHANNELS__ENDED
} channels__channel_state;

/* A message that waits behind a pending join. */
typedef struct channels__held {
    struct channels__held *next;
    size_t size;           /* of this block */
    channels_incoming msg; /* its slices point behind this struct */
} channels__held;

typedef struct channels__timer {
    channels__heap_node node;
    channels_channel *channel;
    struct channels__timer *next; /* of the channel's */
    void *info;
    void (*drop)(void *info);
    uint64_t id;
} channels__timer;

/* What few channels have: made at the first of them, freed with the channel. */
typedef struct channels__aside {
    channels__subscriber *subs;
    channels__timer *timers;
    channels__held *held;
} channels__aside;

struct channels_channel {
    channels_socket *socket;
    channels_channel *next; /* of the socket's */
    channels__topic *topic;
    const channels_route *route;
    channels__aside *aside; /* NULL: it never had any of that */
    uint32_t fast_at; /* in topic->fast, or CHANNELS__NOWHERE */
    uint32_t refs;    /* first of its slots; 0: none */
    uint32_t pins;    /* queued work that points here */
    uint32_t size;    /* of this block */
    uint16_t join_ref_len;
    uint8_t state;         /* channels__channel_state */
    uint8_t admitting;     /* decided, but joined() and what waits have still to come */
    uint8_t null_join_ref; /* joined without a join_ref: what is kept is the ref, for pushes */
    uint8_t present;       /* services want to know of its end */
    /* Then the assigns, then the join_ref as JSON text. */
    _Alignas(max_align_t) char assigns[];
};

/* --- Sockets ------------------------------------------------------------------------------ */

typedef struct channels__mount {
    struct channels__mount *next;
    channels_endpoint *ep;
    const channels_socket_handler *handler;
    void *user;
    const char *path;
    channels_mount_options options; /* complete; what it points to is below. The paths of transports
                                     * are whole patterns, with the mount's in front. */
    channels__alarms idle;          /* for the WebSocket transport's connections */
    /* For the long-poll transport's sessions: a poll is held; none has been for two windows (Phoenix
     * looks every window and a half, and ends those that were polled longer ago than that); 0 ms,
     * for a poll that can be answered. */
    channels__alarms held, unpolled, filled;
    /* With an adapter, for its requests on other nodes than their session's. Where they landed: no
     * word has come of them; the poll is held there; the answer has not left, of which word is due.
     * Where the session is: nothing is known of an answer that was given. */
    channels__alarms asked, awaited, leaving, unconfirmed;
    uint32_t nsessions;
    uint32_t nforwards; /* requests that landed here */
    size_t size; /* of this block */
    _Alignas(max_align_t) char copies[];
} channels__mount;

typedef enum {
    CHANNELS__CONNECTING, /* in connect() */
    CHANNELS__ADMITTED,   /* connect() has said yes; its carrier does not know yet */
    CHANNELS__WAITING,    /* connect() returned CHANNELS_LATER */
    CHANNELS__OPEN,
    CHANNELS__DOOMED, /* nothing is sent any more; settle() will end it */
    CHANNELS__GONE    /* its channels have ended and disconnect() has run */
} channels__socket_state;

/* What a delivery touches comes first, on one line of the cache or two. */
struct channels_socket {
    channels_endpoint *ep;
    const channels_transport *transport;
    void *carrier;
    channels__mount *mount;
    const channels_serializer *serializer; /* NULL: without channels */
    uint32_t queued;         /* bytes given to transport->send() that have not left */
    uint32_t exempt;         /* bytes of `queued` that count against no limit: of one message, */
    union {
        uint32_t ahead; /* and those that go before it */
        uint32_t slot;  /* before it is OPEN: of a `pending` connect */
    };
    unsigned state : 4;
    unsigned reason : 4;        /* channels_reason, once doomed */
    unsigned closed : 1;        /* the carrier is gone */
    unsigned pending : 1;       /* connect() has a ref, to decide later */
    unsigned told_of_bytes : 1; /* the log, that its format cannot carry what was broadcast */
    uint16_t subprotocol;       /* place in the mount's list, from 1; 0: none */
    uint32_t nchannels;
    uint32_t self; /* slot of channels_socket_self(); 0: none */
    channels_channel *channels;
    channels__subscriber *id;
    channels__list link;    /* in ep->sockets */
    channels_socket *after; /* of ep->doomed, later of ep->grave */
    uint32_t deferred;       /* live refs, timers, held messages */
    uint32_t deferred_bytes; /* of the texts of refs and of held messages */
    _Alignas(max_align_t) char assigns[];
};

/* Those that have to be ended, or freed, the first first. */
typedef struct channels__sockets {
    channels_socket *first, **end;
} channels__sockets;

static inline void channels__sockets_init(channels__sockets *line)
{
    line->first = NULL;
    line->end = &line->first;
}
static inline void channels__sockets_append(channels__sockets *line, channels_socket *s)
{
    s->after = NULL;
    *line->end = s;
    line->end = &s->after;
}
static inline channels_socket *channels__sockets_shift(channels__sockets *line)
{
    channels_socket *s = line->first;
    if (s != NULL && (line->first = s->after) == NULL)
        line->end = &line->first;
    return s;
}

_Static_assert(sizeof(void *) != 8 || sizeof(channels_socket) == 112, "each client has one");
_Static_assert(sizeof(void *) != 8 || sizeof(channels_channel) == 64, "each join makes one");
_Static_assert(CHANNELS_DRAINED < 16, "a socket's reason has four bits");

/* --- Refs --------------------------------------------------------------------------------- */

typedef enum {
    CHANNELS__REF_FREE,
    CHANNELS__REF_MESSAGE,
    CHANNELS__REF_JOIN,
    CHANNELS__REF_SELF,
    CHANNELS__REF_SOCKET,
    CHANNELS__REF_CONNECT,
    CHANNELS__REF_REQUEST,
    CHANNELS__REF_SESSION, /* of long polling */
    CHANNELS__REF_POLL,    /* a request that its session has not done with */
    CHANNELS__REF_FORWARD, /* one for a session of another node */
    CHANNELS__REF_FUNCTION,
    CHANNELS__REF_BATCH /* of presences that are fetched */
} channels__ref_kind;

typedef struct channels__slot {
    uint32_t generation;
    uint32_t next; /* of the same channel, or of the free ones; 0: none */
    channels__ref_kind kind;
    union {
        channels_channel *channel;
        channels_socket *socket;
        channels__subscriber *function;
        struct channels__session *session;
        struct channels__forward *forward;
        struct channels_presence_batch *batch;
        struct {
            int (*respond)(void *carrier, const channels_response *r); /* frees the slot */
            void *carrier;
        } request;
    } of;
    char *ref;      /* of a message: JSON text; NULL: null */
    uint64_t began; /* of a join or a connect: when its callback was called */
} channels__slot;

typedef struct channels__refs { /* slot n is slots[n - 1], so that 0 is none */
    const channels__mem *mem;
    channels__slot *slots;
    uint32_t count, size, free;
} channels__refs;

/* --- The run queue ------------------------------------------------------------------------ */

/* A broadcast on its way to callbacks; one for all of them. */
typedef struct channels__event {
    const channels__mem *mem;
    uint32_t refs;
    size_t size;
    channels_msg msg; /* points behind this struct */
} channels__event;

typedef enum {
    CHANNELS__WORK_OUT,      /* handle_out */
    CHANNELS__WORK_EXTRA,    /* handle_broadcast */
    CHANNELS__WORK_FUNCTION, /* of channels_pubsub_subscribe() */
    CHANNELS__WORK_INFO,     /* handle_info */
    CHANNELS__WORK_STOP,     /* channels_stop() */
    CHANNELS__WORK_ADMITTED, /* joined(), then what waited behind the join */
    CHANNELS__WORK_REFUSED   /* terminate(), then what waited behind the join */
} channels__work_kind;

typedef struct channels__work {
    channels__work_kind kind;
    union {
        channels_channel *channel;
        channels__subscriber *function;
    } to;
    channels__event *event;
    void *info;
    void (*drop)(void *info);
} channels__work;

typedef struct channels__queue { /* a ring */
    const channels__mem *mem;
    channels__work *ring;
    size_t head, count, size;
} channels__queue;

/* --- Services: what higher floors put into an endpoint ------------------------------------- */

/* What one node says to others. */
typedef enum {
    CHANNELS__NODE_JSON, /* broadcasts to channels and functions */
    CHANNELS__NODE_BINARY,
    CHANNELS__NODE_PRESENCE, /* from service to service */
    CHANNELS__NODE_LONGPOLL,
    CHANNELS__NODE_KINDS
} channels__node_kind;

typedef struct channels__node_message {
    channels__node_kind kind;
    uint64_t incarnation;    /* of `from`; set by channels__node_send(), as that is */
    channels__str from;      /* node */
    channels__str to;        /* the node it is for; empty: all */
    channels__str topic;     /* of the broadcast or service; NUL-terminated, as `event` is */
    channels__str event;     /* of the broadcast; a service is free to use it */
    channels__str payload;
} channels__node_message;

/* A way to nodes in this process, which an adapter of the library's puts in when it starts: it gets
 * messages as they are instead of bytes, and need not check them again. `self` and `topic` are
 * those of the adapter's functions of these names. */
typedef struct channels__shortcut {
    int (*send)(void *self, const char *topic, const channels__node_message *m);
    void (*relay)(void *self, const char *topic, const channels__node_message *m);
} channels__shortcut;

/* Embedded in a struct of the floor that owns it. Functions may be NULL. */
typedef struct channels__service {
    struct channels__service *next;
    channels__node_kind kind;
    channels__subscriber *interest; /* in `topic` */
    const char *topic;              /* of messages to all nodes; NULL: it gets none */
    uint64_t due;                   /* of run(); UINT64_MAX: never */
    void (*run)(struct channels__service *service);
    /* From another node. Host code may be called only from end_turn(). */
    void (*arrived)(struct channels__service *service, const channels__node_message *m);
    /* Asked for by ep->unsettled: the outermost call is about to return, no callback runs. */
    void (*end_turn)(struct channels__service *service);
    /* The same flag set, or in end_turn(): a broadcast on `topic` is about to be delivered. */
    void (*before_broadcast)(struct channels__service *service, channels__str topic);
    /* The drain begins. */
    void (*draining)(struct channels__service *service);
    /* Of a channel with `present`: it is ending, its last callback has run. */
    void (*channel_ended)(struct channels__service *service, channels_channel *ch);
    void (*free)(struct channels__service *service); /* the endpoint ends */
} channels__service;

/* --- The endpoint ------------------------------------------------------------------------- */

/* What a callback has in hand, beginning with what it is shown: channels_msg_json() finds the rest
 * from there. */
typedef struct channels__hand {
    channels_msg msg;
    struct cJSON *tree;
    channels_channel *channel;
    enum { CHANNELS__HAND_EVENT, CHANNELS__HAND_JOIN, CHANNELS__HAND_IN } what;
    channels__str ref;        /* JSON text */
    channels_buf *join_reply; /* encoded by channels_reply() in join() */
    channels_kind reply_kind;
    bool reply_ok; /* its status */
    bool later;    /* a ref was taken in join(), */
    bool admitted; /* which returned CHANNELS_OK or CHANNELS_LATER */
} channels__hand;

typedef struct channels__drain {
    channels_drain_options options; /* complete */
    channels_drain_progress progress;
    uint64_t next, deadline; /* of the next batch, and of all that are left */
    bool on, begun;
    bool all_told; /* to go */
} channels__drain;

struct channels_endpoint {
    channels__mem mem;
    channels_config config; /* complete, strings are copies */
    _Atomic(uintptr_t) owner;
    uint64_t now;         /* of the call that is under way */
    unsigned depth;       /* of public calls in each other */
    channels__hand *hand; /* of the callback that is running */
    channels_codec codec;
    uint64_t incarnation; /* tells this endpoint from others that had or have its name */
    uint64_t namesake;    /* the last other one that was told of */
    uint64_t misread_until; /* no further line about messages that are not understood */
    channels__subscriber *node_interest; /* in what is meant for this node alone */
    const channels__shortcut *shortcut;  /* NULL: none */
    channels__service *services;
    bool unsettled; /* some service has something left to do in this turn, */
    bool settling;  /* or does it */
    unsigned char session_key[CHANNELS__SHA256]; /* signs the tokens of long-poll sessions */
    channels__topics topics;
    channels__mount *mounts;
    channels__list sockets;
    channels__sockets doomed;
    channels__sockets grave; /* ended ones whose carrier is gone */
    size_t clients;        /* sockets that came in or wait to, and whose carrier is not gone */
    size_t ending;         /* connections whose last bytes are on their way */
    channels__drain drain;
    channels_stats stats; /* but for the number of topics */
    channels_channel *dead_channels;
    uint64_t timer_ids; /* the last one given */
    channels__queue queue;
    channels__refs refs;
    channels__heap timers;
    channels__alarms *alarms;
    channels__mailbox mailbox;
    pthread_mutex_t wake_lock; /* of the two below */
    void (*wake)(void *arg);
    void *wake_arg;
    /* The transport floor's own, made with the first connection. */
    void *transport;
    void (*transport_free)(channels_endpoint *ep);
};

/* endpoint.c */

bool channels__on_thread(const channels_endpoint *ep);
/* Begins a public call: false, told in words, on the wrong thread. */
bool channels__enter(channels_endpoint *ep, const char *call);
/* The same for calls that are NOT FROM CALLBACKS. */
bool channels__enter_outermost(channels_endpoint *ep, const char *call);
void channels__leave(channels_endpoint *ep);
/* Runs what callbacks are to be told. Not from inside one. */
void channels__settle(channels_endpoint *ep);
int channels__post(channels_endpoint *ep, channels__letter *letter); /* ANY THREAD; takes it */
void channels__wake(channels_endpoint *ep); /* ANY THREAD: has the host's loop call in */
void channels__add_alarms(channels_endpoint *ep, channels__alarms *alarms, uint32_t ms,
                          void (*expired)(channels__alarm *alarm));

/* log.c */

/* Somebody wants lines of this level. */
static inline bool channels__logs(const channels_endpoint *ep, channels_log_level level)
{
    return level >= ep->config.log_level && level < CHANNELS_LOG_OFF && ep->config.log != NULL;
}
void channels__log(channels_endpoint *ep, channels_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* telemetry.c: each _begins gives what its _ends wants back, or CHANNELS__UNTIMED. */

#define CHANNELS__UNTIMED UINT64_MAX

/* `req` and params.data are NULL if it was decided later. */
uint64_t channels__connect_begins(const channels__mount *m);
void channels__connect_ends(channels_socket *s, const channels_request *req, uint64_t began,
                            bool ok);
uint64_t channels__join_begins(const channels_channel *ch);
void channels__join_ends(channels_channel *ch, channels_payload params, uint64_t began, bool ok);
/* Somebody wants to know about events of that handler. */
static inline bool channels__in_watched(const channels_endpoint *ep, const channels_handler *h)
{
    channels_log_level level =
        h->log_handle_in != CHANNELS_LOG_DEFAULT ? h->log_handle_in : CHANNELS_LOG_DEBUG;
    return ep->config.telemetry->channel_handled_in != NULL || channels__logs(ep, level);
}
void channels__in_ends(channels_channel *ch, const channels_incoming *msg, uint64_t began);
void channels__drain_tells(channels_endpoint *ep); /* of a batch */

/* stats.c: a client came in, or one that was in has ended. */

void channels__count_opened(channels_socket *s);
void channels__count_closed(channels_socket *s, channels_reason why);

/* mount.c */

void channels__mounts_free(channels_endpoint *ep);

/* router.c */

/* The pattern of the paths that clients of this transport come to; NULL: the mount has none. */
const char *channels__mount_pattern(const channels__mount *m, const char *transport);
/* The mount that `path` belongs to for the transport of that name, or NULL. */
channels__mount *channels__mount_find(channels_endpoint *ep, const char *path,
                                      const char *transport);
const channels_route *channels__route_find(const channels_route *routes, channels__str topic);
bool channels__topic_matches(channels__str topic, const char *pattern); /* as those of routes */

/* drain.c */

/* Once it is on: what is due of it, and when that is. */
void channels__drain_run(channels_endpoint *ep);
uint64_t channels__drain_due(const channels_endpoint *ep);

/* topic.c */

void channels__topics_init(channels__topics *topics, const channels__mem *mem,
                           channels__hash_key key);
void channels__topics_deinit(channels__topics *topics);
channels__topic *channels__topic_find(const channels__topics *topics, channels__str name);
/* With a reference of the caller's, made if need be; NULL if memory ran out. */
channels__topic *channels__topic_get(channels__topics *topics, channels__str name);
void channels__topic_put(channels__topics *topics, channels__topic *topic);
/* The topic's first listener comes, its last goes: the adapter is told. */
bool channels__topic_add(channels_endpoint *ep, channels__topic *topic, channels_channel *ch);
void channels__topic_remove(channels_endpoint *ep, channels_channel *ch);
/* With a reference to `topic` of its own; NULL if memory ran out. */
channels__subscriber *channels__subscriber_new(channels_endpoint *ep, channels__topic *topic,
                                               channels__sub_kind kind);
/* Hears nothing from now on; freed unless a delivery is still queued. */
void channels__subscriber_end(channels_endpoint *ep, channels__subscriber *sub);
void channels__subscriber_unpin(channels_endpoint *ep, channels__subscriber *sub);

/* pubsub.c */

/* Checks and delivers: here, and if `everywhere` through the adapter. `except` and the function of
 * that slot (either may be none) are left out. */
int channels__broadcast(channels_endpoint *ep, const char *call, channels__str topic,
                        const char *event, channels_payload p, const channels_channel *except,
                        uint32_t function, bool everywhere);
/* The payload can be sent; `object`: nothing but an object or bytes. Told in words if not. */
bool channels__payload_ok(channels_endpoint *ep, const char *call, channels_payload p, bool object);
bool channels__name_ok(channels_endpoint *ep, const char *call, const char *what, const char *name);
void channels__functions_end(channels_endpoint *ep); /* of the whole endpoint */

/* fanout.c */

/* To everyone here but `except` and `function`. An error: nobody has got it. */
int channels__deliver(channels_endpoint *ep, channels__str topic, const char *event,
                      channels_payload p, const channels_channel *except, uint32_t function);
void channels__event_unref(channels__event *event);

/* node.c */

/* And a node's name: the topic that carries what is for it alone. */
#define CHANNELS__NODE_TOPIC "phx_node:"

/* Through the adapter, to m->to or all other nodes. CHANNELS_OK and nothing done without one. */
int channels__node_send(channels_endpoint *ep, const channels__node_message *m);
/* The same for a broadcast; `node` NULL: all. */
int channels__publish(channels_endpoint *ep, const char *node, channels__str topic,
                      const char *event, channels_payload p);
/* The endpoint's interest in what is meant for it alone; NULL if memory ran out. */
channels__subscriber *channels__node_interest(channels_endpoint *ep);
/* A message as bytes, and how many: the same message in them. */
size_t channels__node_size(const channels__node_message *m);
channels__node_message channels__node_write(void *to, const channels__node_message *m);
/* All of it is checked; false: it is not understood. *m points into the bytes. */
bool channels__node_read(const void *data, size_t len, channels__node_message *m);
/* From another node and checked. */
int channels__node_arrived(channels_endpoint *ep, const channels__node_message *m);

/* service.c */

/* False if memory ran out. Messages of its kind begin to arrive. */
bool channels__service_add(channels_endpoint *ep, channels__service *service);
void channels__service_remove(channels_endpoint *ep, channels__service *service);
void channels__services_free(channels_endpoint *ep);
void channels__services_run(channels_endpoint *ep); /* those that are due */
uint64_t channels__services_due(const channels_endpoint *ep);
void channels__services_end_turn(channels_endpoint *ep);
void channels__services_before_broadcast(channels_endpoint *ep, channels__str topic);
void channels__services_channel_ended(channels_channel *ch);
void channels__services_draining(channels_endpoint *ep);
void channels__services_arrived(channels_endpoint *ep, const channels__node_message *m);

/* channel.c: what is on a channel, and running its callbacks. */

#define CHANNELS__JOIN_CRASHED "{\"reason\":\"join crashed\"}"

channels_channel *channels__channel_find(channels_socket *s, channels__str topic);
/* To put something into; NULL if memory ran out. */
channels__aside *channels__channel_aside(channels_channel *ch);
void channels__channel_in(channels_channel *ch, const channels_incoming *msg);
void channels__channel_leave(channels_channel *ch, const channels_incoming *msg);
int channels__channel_reply(channels_channel *ch, channels__str ref, const char *status,
                            channels_payload p);
int channels__channel_push(channels_channel *ch, const char *event, channels_payload p);
/* Ends it and says so on the wire unless its socket is ending. */
void channels__channel_end(channels_channel *ch, channels_reason why);
/* Unlinks it from everything and says nothing: a join that came to nothing. */
void channels__channel_discard(channels_channel *ch);
/* phx_close or phx_error. */
void channels__channel_announce(channels_channel *ch, const char *event, const char *payload);

/* Callbacks never nest: each runs with what it has in hand in ep->hand. */
typedef int channels__callback(channels_channel *ch, const channels_msg *msg, void *user);
int channels__channel_call(channels_channel *ch, channels__callback *fn, channels__hand *hand);
/* What the result of the callback of that name means. */
void channels__channel_heed(channels_channel *ch, const char *callback, int r);
/* Ends it as a callback of its wants; refuses its join if that has not been answered. */
void channels__channel_finish(channels_channel *ch, channels_reason why);
static inline void *channels__user(const channels_channel *ch)
{
    return ch->socket->mount->user;
}
static inline channels__str channels__join_ref(const channels_channel *ch) /* JSON, for pushes */
{
    return channels__str_n(ch->join_ref_len != 0
                               ? ch->assigns + (ch->size - sizeof *ch - ch->join_ref_len)
                               : NULL,
                           ch->join_ref_len);
}
/* Of its join message, for what begins and ends it: null if that had none. */
static inline channels__str channels__raw_join_ref(const channels_channel *ch)
{
    return ch->null_join_ref ? channels__str_none() : channels__join_ref(ch);
}

/* calls.c */

/* CHANNELS_OK if its client can be reached through it: joined, or in terminate() and not gone; told
 * in words if it has not joined yet. */
int channels__channel_reachable(const channels_channel *ch, const char *call);

/* join.c */

/* `old` is the channel that the client has on this topic, or NULL. */
void channels__channel_join(channels_socket *s, channels_channel *old,
                            const channels_incoming *msg);
int channels__join_reply_encode(channels_channel *ch, channels__str ref, const char *status,
                                channels_payload p, channels_buf **wire, channels_kind *kind);
/* Puts a message behind the pending join; replayed when that is decided. */
void channels__channel_hold(channels_channel *ch, const channels_incoming *msg);
/* Answers a pending join, whose ref is given as JSON text (NULL: null). */
int channels__channel_decide(channels_channel *ch, const char *ref, const char *status,
                             channels_payload p);
/* After the decision, in their turn: the callbacks, then what waited. */
void channels__join_admitted(channels_channel *ch);
void channels__join_refused(channels_channel *ch);
void channels__held_end(channels_channel *ch); /* frees what waits */

/* work.c */

/* handle_info(), when its turn comes. */
int channels__channel_info(channels_channel *ch, void *info, void (*drop)(void *info));
/* Runs one piece of queued work, or lets go of it. */
void channels__channel_work(channels_endpoint *ep, channels__work *work);
void channels__work_drop(channels_endpoint *ep, channels__work *work);
void channels__channel_fire(channels__timer *timer);
void channels__timers_end(channels_channel *ch);

/* connect.c */

/* What is answered when there is nothing more to say: 403 without a body; 400 and 500 with the JSON
 * that Phoenix renders for errors; 503 while draining, with a time to come back. */
extern const channels_response channels__forbidden, channels__bad_request, channels__server_error,
    channels__unavailable;
extern const channels_header channels__json_type;
/* It can be sent; told in words if not. */
bool channels__response_ok(channels_endpoint *ep, const char *call, const channels_response *r);
/* The request's origin may talk to this mount; told in words if not. */
bool channels__origin_ok(channels__mount *mount, const channels_request *req);
int channels__socket_open(channels__mount *mount, const channels_request *req,
                          const channels_transport *transport, void *carrier, channels_socket **s);
/* Refuses a connect that waits. */
int channels__socket_respond(channels_socket *s, const channels_response *r);
/* Its ref ends; with `self` also that of channels_socket_self(). */
void channels__socket_forget(channels_socket *s, bool self);

/* frames.c: sockets without channels. */

int channels__frame_receive(channels_socket *s, channels_payload frame);

/* socket.c */

int channels__socket_receive(channels_socket *s, channels_payload message);
/* One message, as Phoenix' socket handles it (lib/phoenix/socket.ex, handle_in). */
void channels__socket_dispatch(channels_socket *s, const channels_incoming *msg);
/* Makes a message what it looks like on the socket's wire. Takes *buf; NULL in it after an error.
 */
int channels__socket_frame(channels_socket *s, channels_buf **buf, channels_kind kind);
/* Encodes, frames and sends to this socket alone. CHANNELS_ERR_CLOSED if it is ending. */
int channels__socket_encode(channels_socket *s, const channels_outgoing *out, channels_buf **buf,
                            channels_kind *kind);
int channels__socket_send(channels_socket *s, channels_buf *wire, channels_kind kind);
int channels__socket_post(channels_socket *s, const channels_outgoing *out);
/* Nothing more to it; settle() ends it. A code other than 0 is handed to the transport. */
void channels__socket_doom(channels_socket *s, channels_reason why, int code);
void channels__socket_end(channels_socket *s); /* of a doomed one: its callbacks */
/* The carrier is gone: what channels_socket_closed() does, for use inside a call. */
void channels__socket_closed(channels_socket *s);
void channels__socket_free(channels_socket *s); /* its memory; nothing points to it any more */
/* The error reply to a join that made no channel. */
void channels__socket_refuse_join(channels_socket *s, const channels_incoming *msg,
                                  channels__str join_ref, const char *response);
/* Another live ref, timer or held message, with so many bytes of its own; false at a limit. */
bool channels__socket_defer(channels_socket *s, size_t bytes);
void channels__socket_undefer(channels_socket *s, size_t bytes);

/* refs.c */

/* A new slot; 0 if memory ran out. */
uint32_t channels__ref_new(channels__refs *refs, channels__ref_kind kind);
void channels__ref_free(channels__refs *refs, uint32_t slot);
channels_ref channels__ref_of(const channels__refs *refs, uint32_t slot);
/* The live slot that it names, or NULL. */
channels__slot *channels__ref_find(const channels__refs *refs, channels_ref ref);
void channels__refs_deinit(channels__refs *refs);

/* later.c */

/* Frees all that belong to the channel, or the one to its join. */
void channels__refs_end(channels_channel *ch);
void channels__join_ref_end(channels_channel *ch);
/* Its join() has returned CHANNELS_LATER. */
void channels__join_waits(channels_channel *ch, uint64_t began);
/* Refuses a pending join that will not be decided: "join crashed". */
int channels__channel_drop_join(channels_channel *ch);

/* queue.c */

void channels__queue_init(channels__queue *queue, const channels__mem *mem);
void channels__queue_deinit(channels__queue *queue);
bool channels__queue_push(channels__queue *queue, const channels__work *work);
bool channels__queue_reserve(channels__queue *queue, size_t n); /* the next n pushes succeed */
channels__work channels__queue_shift(channels__queue *queue);

#endif
