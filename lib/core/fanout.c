/* fanout.c - who hears a broadcast on this endpoint.
 *
 * Channels are sent the bytes at once (Phoenix' fastlane), encoded and framed once for each
 * serializer and transport. Those for whom a callback decides get it by the run queue, all of them
 * one copy of it. Phoenix lib/phoenix/channel/server.ex, dispatch/3. */
#include "core/core.h"

/* --- Events: one copy of a broadcast for all callbacks ------------------------------------- */

static channels__event *event_new(const channels__mem *mem, channels__str topic, const char *event,
                                  channels_payload p)
{
    size_t event_len = strlen(event);
    size_t size = sizeof(channels__event) + topic.n + event_len + p.len + 2;
    channels__event *e = channels__alloc(mem, size);
    if (e == NULL)
        return NULL;
    char *at = (char *)(e + 1);
    e->mem = mem;
    e->refs = 1;
    e->size = size;
    e->msg.topic = at;
    e->msg.event = at + topic.n + 1;
    e->msg.payload.kind = p.kind;
    e->msg.payload.data = at + topic.n + event_len + 2;
    e->msg.payload.len = p.len;
    memcpy(at, topic.p, topic.n);
    at[topic.n] = '\0';
    memcpy(at + topic.n + 1, event, event_len + 1);
    if (p.len != 0)
        memcpy(at + topic.n + event_len + 2, p.data, p.len);
    return e;
}

void channels__event_unref(channels__event *event)
{
    if (--event->refs == 0)
        channels__free(event->mem, event, event->size);
}

/* --- Delivery ----------------------------------------------------------------------------- */

#define WIRES 8 /* serializers times transports; more than these are encoded again */

typedef struct wire {
    const channels_serializer *serializer;
    const channels_transport *transport;
    channels_buf *buf; /* NULL: this format cannot carry it */
    channels_kind kind;
} wire;

typedef struct fanout {
    channels_endpoint *ep;
    channels_outgoing out;
    wire wires[WIRES];
    unsigned nwires;
    const channels_channel *except;
    uint32_t except_function; /* its slot */
    channels__event *event;
    bool intercepted; /* some handler wants to decide about it */
    bool sent;        /* somebody has it: from now on nothing may fail for all */
    uint32_t count;   /* messages sent */
} fanout;

/* A wire of V1 for bytes is remembered as one without a buf: V1 cannot carry them, and Phoenix'
 * choice, to fail the broadcast, would let one old client silence a topic. */
static int encode(fanout *f, channels_socket *s, wire *w)
{
    w->serializer = s->serializer;
    w->transport = s->transport;
    w->buf = NULL;
    int err = channels__socket_encode(s, &f->out, &w->buf, &w->kind);
    return err == CHANNELS_ERR_INVALID ? CHANNELS_OK : err;
}

static wire *wire_for(fanout *f, channels_socket *s, int *err)
{
    for (unsigned i = 0; i < f->nwires; i++)
        if (f->wires[i].serializer == s->serializer && f->wires[i].transport == s->transport)
            return &f->wires[i];
    if (f->nwires == WIRES)
        channels_buf_unref(f->wires[--f->nwires].buf);
    *err = encode(f, s, &f->wires[f->nwires]);
    return *err == CHANNELS_OK ? &f->wires[f->nwires++] : NULL;
}

/* An error only if nobody has got it yet; later, who cannot get it is closed. */
static int send_to(fanout *f, channels_socket *s)
{
    int err = CHANNELS_OK;
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_OK;
    wire *w = wire_for(f, s, &err);
    if (w == NULL && !f->sent)
        return err;
    if (w == NULL)
        channels__socket_doom(s, CHANNELS_BROKEN, 1011);
    else if (w->buf != NULL && channels__socket_send(s, w->buf, w->kind) >= 0)
        f->count++;
    f->sent = true;
    return CHANNELS_OK;
}

static bool intercepts(const channels_handler *h, const char *event)
{
    for (const char *const *e = h->intercept; e != NULL && *e != NULL; e++)
        if (strcmp(*e, event) == 0)
            return true;
    return false;
}

/* By any handler of this endpoint. Rarely so, and then no channel has to be looked at. */
static bool intercepted(const channels_endpoint *ep, const char *event)
{
    for (const channels__mount *m = ep->mounts; m != NULL; m = m->next)
        for (const channels_route *r = m->handler->routes; r != NULL && r->pattern != NULL; r++)
            if (intercepts(r->handler, event))
                return true;
    return false;
}

/* Room in the queue has been reserved. */
static void queue(fanout *f, channels__work *work, uint32_t *pins)
{
    work->event = f->event;
    f->event->refs++;
    ++*pins;
    channels__queue_push(&f->ep->queue, work);
}

static void queue_for_channel(fanout *f, channels__work_kind kind, channels_channel *ch)
{
    channels__work work = { .kind = kind, .to.channel = ch };
    queue(f, &work, &ch->pins);
}

static void queue_for_function(fanout *f, channels__subscriber *sub)
{
    channels__work work = { .kind = CHANNELS__WORK_FUNCTION, .to.function = sub };
    queue(f, &work, &sub->pins);
}

/* Sockets and what carries them lie anywhere in memory: they are fetched some steps ahead, on both
 * lines of the cache that they may begin on. Not left to the compiler: gcc takes a function that only
 * prefetches for one that does nothing, and drops its calls. */
__attribute__((always_inline)) static inline void fetch(const channels__topic *t, uint32_t i)
{
    if (i + 16 < t->nfast) {
        const channels_socket *far = t->fast[i + 16].socket;
        __builtin_prefetch(far);
        __builtin_prefetch(&far->ahead);
    }
    if (i + 8 < t->nfast) {
        const char *carrier = t->fast[i + 8].socket->carrier;
        __builtin_prefetch(carrier);
        __builtin_prefetch(carrier + 64);
    }
}

static int deliver_to_channels(fanout *f, const channels__topic *t)
{
    for (uint32_t i = 0; i < t->nfast; i++) {
        fetch(t, i);
        channels_channel *ch = t->fast[i].channel;
        if (ch == f->except)
            continue;
        if (f->intercepted && intercepts(ch->route->handler, f->out.event.p)) {
            queue_for_channel(f, CHANNELS__WORK_OUT, ch);
            f->sent = true;
        } else {
            int err = send_to(f, t->fast[i].socket);
            if (err != CHANNELS_OK)
                return err;
        }
    }
    return CHANNELS_OK;
}

static void deliver_to(fanout *f, channels__subscriber *sub)
{
    switch (sub->kind) {
    case CHANNELS__SUB_CHANNEL:
        if (sub->to.channel != f->except)
            queue_for_channel(f, CHANNELS__WORK_EXTRA, sub->to.channel);
        return;
    case CHANNELS__SUB_FUNCTION:
        if (sub->to.function.slot != f->except_function)
            queue_for_function(f, sub);
        return;
    case CHANNELS__SUB_SOCKET:
        if (channels__str_is(f->out.event, "disconnect") &&
            sub->to.socket->state >= CHANNELS__WAITING)
            channels__socket_doom(sub->to.socket, CHANNELS_DISCONNECTED, 1001);
        return;
    case CHANNELS__SUB_NODE: return;
    }
}

/* What the queue needs, made before anything is delivered. */
static int prepare(fanout *f, const channels__topic *t)
{
    f->intercepted = intercepted(f->ep, f->out.event.p);
    if (t->nslow == 0 && !f->intercepted)
        return CHANNELS_OK;
    if (!channels__queue_reserve(&f->ep->queue, (size_t)t->nslow + t->nfast))
        return CHANNELS_ERR_NOMEM;
    f->event = event_new(&f->ep->mem, f->out.topic, f->out.event.p, f->out.payload);
    return f->event != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

static void finish(fanout *f)
{
    f->ep->stats.deliveries += f->count;
    f->ep->stats.messages_out += f->count;
    while (f->nwires != 0)
        channels_buf_unref(f->wires[--f->nwires].buf);
    if (f->event != NULL)
        channels__event_unref(f->event);
}

int channels__deliver(channels_endpoint *ep, channels__str topic, const char *event,
                      channels_payload p, const channels_channel *except, uint32_t function)
{
    if (ep->unsettled || ep->settling)
        channels__services_before_broadcast(ep, topic);
    const channels__topic *t = channels__topic_find(&ep->topics, topic);
    ep->stats.broadcasts++;
    if (t == NULL)
        return CHANNELS_OK;
    fanout f = { .ep = ep,
                 .out = { .form = CHANNELS_BROADCAST,
                          .topic = topic,
                          .event = channels__str_z(event),
                          .payload = p },
                 .except = except,
                 .except_function = function };
    int err = prepare(&f, t);
    if (err == CHANNELS_OK)
        err = deliver_to_channels(&f, t);
    if (err == CHANNELS_OK)
        for (channels__list *n = t->slow.next; n != &t->slow; n = n->next)
            deliver_to(&f, CHANNELS__OF(n, channels__subscriber, link));
    finish(&f);
    return err;
}
