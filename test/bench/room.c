/* room.c - clients that have to hear everything: see cluster.h. */
#include <stdlib.h>

#include "bench/cluster.h"

typedef struct room_client {
    client client;
    room *room;
    uint32_t next; /* number */
} room_client;

/* The first of all says what happened; what follows from it does not matter. */
static void fault(room *r, const char *what)
{
    if (r->fault == NULL)
        r->fault = what;
}

static uint32_t get_number(const char *digits)
{
    uint32_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 4 | (uint32_t)(digits[i] <= '9' ? digits[i] - '0' : digits[i] - 'a' + 10);
    return n;
}

/* Each message is looked at as a whole once, for the first who hears it: the others are sent the
 * same bytes, and look whether it is another message. */
static void take_in_hand(room *r, const char *payload)
{
    memcpy(r->text, payload + NUMBER_AT, sizeof r->text);
    r->number = get_number(r->text);
    r->probe = memcmp(r->text, PROBE, sizeof r->text) == 0;
    if (memcmp(payload, r->publisher->payload, NUMBER_AT) != 0 ||
        memcmp(payload + NUMBER_AT + 8, r->publisher->payload + NUMBER_AT + 8,
               r->len - NUMBER_AT - 8) != 0)
        fault(r, "a message that is not as it was sent");
}

/* When the last is complete the trial may be over: all else is done before that. */
static void message_complete(room *r)
{
    bool report = ++r->unreported == r->publisher->burst;
    r->heard = 0;
    if (report)
        r->unreported = 0;
    atomic_fetch_add(&r->complete, 1);
    if (report && r->publisher->node != r->node) /* its own sees for itself, when it has said all */
        ev_async_send(r->publisher->node->loop, &r->publisher->credit);
}

static void on_hear(client *base, const char *text, size_t len)
{
    room_client *c = (room_client *)base;
    room *r = c->room;
    if (len < r->len + 1) {
        fault(r, "a message that is too short");
        return;
    }
    const char *payload = text + len - 1 - r->len;
    if (memcmp(payload + NUMBER_AT, r->text, sizeof r->text) != 0)
        take_in_hand(r, payload);
    if (r->probe) {
        atomic_store(&r->probed, true);
        return;
    }
    if (r->number != c->next)
        fault(r, r->number > c->next ? "a message is lost or out of order"
                                     : "a message comes twice or out of order");
    c->next = r->number + 1;
    r->deliveries++;
    if (++r->heard == r->size)
        message_complete(r);
}

typedef struct opening {
    room *room;
    const char *topic;
} opening;

static void open_room(node *n, void *arg)
{
    opening *o = arg;
    for (unsigned i = 0; i < o->room->size; i++) {
        room_client *c = &o->room->clients[i];
        c->room = o->room;
        c->client.hear = on_hear;
        client_join(n->ep, &c->client, "", o->topic);
    }
}

room *room_new(node *n, const char *topic, unsigned size)
{
    room *r = bench_alloc(1, sizeof *r);
    r->node = n;
    r->size = size;
    r->clients = bench_alloc(size, sizeof *r->clients);
    node_call(n, open_room, &(opening){ r, topic });
    return r;
}

void room_free(room *r)
{
    free(r->clients);
    free(r);
}
