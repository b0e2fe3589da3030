/* longpoll_nodes.c - what nodes say to each other about long polling: see longpoll_nodes.h.
 *
 * A message may arrive inside a callback, and what it asks for may run others: it is kept until the
 * end of the turn. */
#include "transport/longpoll_nodes.h"

typedef struct letter {
    struct letter *next;
    size_t size; /* of this block */
    const char *from, *path;
    channels__longpoll_message message;
    char bytes[];
} letter;

typedef struct nodes {
    channels__service service;
    channels_endpoint *ep;
    uint64_t misread_until; /* no further line about messages that are not understood */
    letter *first, **last;
} nodes;

static nodes *nodes_of(channels__service *service)
{
    return CHANNELS__OF(service, nodes, service);
}

/* --- Saying ------------------------------------------------------------------------------- */

int channels__longpoll_say(channels_endpoint *ep, const char *node, const char *path,
                           const channels__longpoll_message *what)
{
    size_t size = channels__longpoll_message_size(what);
    unsigned char *bytes = channels__alloc(&ep->mem, size);
    if (bytes == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__longpoll_message_write(what, bytes);
    const channels__node_message m = { .kind = CHANNELS__NODE_LONGPOLL,
                                       .to = channels__str_z(node),
                                       .topic = channels__str_z(path),
                                       .payload = channels__str_n((const char *)bytes, size) };
    int err = channels__node_send(ep, &m);
    channels__free(&ep->mem, bytes, size);
    return err;
}

/* --- Hearing ------------------------------------------------------------------------------ */

static const char *copy(char **to, channels__str s)
{
    char *at = *to;
    if (s.n != 0)
        memcpy(at, s.p, s.n);
    at[s.n] = '\0';
    *to += s.n + 1;
    return at;
}

static letter *letter_new(const channels__mem *mem, const channels__node_message *m)
{
    size_t size = sizeof(letter) + m->from.n + m->topic.n + m->payload.n + 3;
    letter *l = channels__alloc(mem, size);
    if (l == NULL)
        return NULL;
    char *at = l->bytes;
    l->next = NULL;
    l->size = size;
    l->from = copy(&at, m->from);
    l->path = copy(&at, m->topic);
    channels__longpoll_message_read(channels__str_n(copy(&at, m->payload), m->payload.n),
                                    &l->message);
    return l;
}

static void complain(nodes *n, channels__str from)
{
    if (n->ep->now < n->misread_until)
        return;
    n->misread_until = n->ep->now + 60000;
    channels__log(n->ep, CHANNELS_LOG_ERROR,
                  "what the node %.*s says about long polling is not understood", (int)from.n,
                  from.p);
}

/* Without memory it is as if it had been lost on its way. */
static void arrived(channels__service *service, const channels__node_message *m)
{
    nodes *n = nodes_of(service);
    channels__longpoll_message unused;
    if (!channels__longpoll_message_read(m->payload, &unused)) {
        complain(n, m->from);
        return;
    }
    letter *l = letter_new(&n->ep->mem, m);
    if (l == NULL)
        return;
    *n->last = l;
    n->last = &l->next;
    n->ep->unsettled = true;
}

static void heed(channels_endpoint *ep, const letter *l)
{
    if (l->message.kind < CHANNELS__LONGPOLL_HELD)
        channels__guest_arrived(ep, l->from, l->path, &l->message);
    else
        channels__forward_arrived(ep, l->from, &l->message);
    channels__settle(ep);
}

static letter *take_letters(nodes *n)
{
    letter *first = n->first;
    n->first = NULL;
    n->last = &n->first;
    return first;
}

static void end_turn(channels__service *service)
{
    nodes *n = nodes_of(service);
    for (letter *l = take_letters(n), *next; l != NULL; l = next) {
        next = l->next;
        heed(n->ep, l);
        channels__free(&n->ep->mem, l, l->size);
    }
}

/* --- Being there -------------------------------------------------------------------------- */

static void draining(channels__service *service)
{
    channels__forwards_drain(nodes_of(service)->ep);
}

static void leave(channels__service *service)
{
    nodes *n = nodes_of(service);
    const channels__mem *mem = &n->ep->mem;
    channels__forwards_end(n->ep);
    for (letter *l = take_letters(n), *next; l != NULL; l = next) {
        next = l->next;
        channels__free(mem, l, l->size);
    }
    channels__free(mem, n, sizeof *n);
}

static bool joined(const channels_endpoint *ep)
{
    const channels__service *s = ep->services;
    while (s != NULL && s->kind != CHANNELS__NODE_LONGPOLL)
        s = s->next;
    return s != NULL;
}

bool channels__longpoll_join(channels_endpoint *ep)
{
    if (ep->config.pubsub == NULL || joined(ep))
        return true;
    nodes *n = channels__zalloc(&ep->mem, sizeof *n);
    if (n == NULL)
        return false;
    n->service.kind = CHANNELS__NODE_LONGPOLL;
    n->service.due = UINT64_MAX;
    n->service.arrived = arrived;
    n->service.end_turn = end_turn;
    n->service.draining = draining;
    n->service.free = leave;
    n->ep = ep;
    n->last = &n->first;
    channels__service_add(ep, &n->service); /* without a topic it cannot fail */
    return true;
}
