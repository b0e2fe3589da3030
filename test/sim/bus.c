/* bus.c - see bus.h. */
#include "sim/bus.h"

#include <stdlib.h>
#include <string.h>

#define PRIVATE "phx_node:" /* and a name: for that node alone */

static void post(sim_bus_node *from, sim_bus_node *to, const void *data, size_t len)
{
    sim_letter *l = sim_alloc(sizeof *l + len), **at = &from->bus->first;
    *l = (sim_letter){ .from = from, .to = to, .len = len };
    if (from->host != NULL)
        l->said = from->host->now;
    memcpy(l->bytes, data, len);
    while (*at != NULL)
        at = &(*at)->next;
    *at = l;
    from->bus->waiting++;
}

static int broadcast(void *self, const char *topic, const void *data, size_t len)
{
    sim_bus_node *from = self;
    bool private = strncmp(topic, PRIVATE, strlen(PRIVATE)) == 0;
    if (from->err != 0)
        return from->err;
    from->said++;
    for (sim_bus_node *n = from->bus->nodes; n != NULL; n = n->next)
        if (n != from && (!private || strcmp(topic + strlen(PRIVATE), n->name) == 0))
            post(from, n, data, len);
    return 0;
}

const channels_pubsub_adapter sim_bus_adapter = { .name = "bus", .broadcast = broadcast };

void sim_bus_join(sim_bus *bus, sim_bus_node *node, const char *name, channels_test *host)
{
    *node = (sim_bus_node){ .next = bus->nodes, .bus = bus, .name = name, .host = host };
    bus->nodes = node;
}

void sim_bus_leave(sim_bus_node *node)
{
    sim_bus *bus = node->bus;
    sim_bus_node **at = &bus->nodes;
    for (unsigned i = bus->waiting; i-- > 0;) {
        const sim_letter *l = sim_bus_look(bus, i);
        if (l->from == node || l->to == node)
            sim_bus_lose(bus, i);
    }
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
}

const sim_letter *sim_bus_look(const sim_bus *bus, unsigned at)
{
    const sim_letter *l = bus->first;
    for (; at > 0; at--)
        l = l->next;
    return l;
}

static sim_letter *take(sim_bus *bus, unsigned at)
{
    sim_letter **l = &bus->first;
    for (; at > 0; at--)
        l = &(*l)->next;
    sim_letter *taken = *l;
    *l = taken->next;
    bus->waiting--;
    return taken;
}

void sim_bus_deliver(sim_bus *bus, unsigned at)
{
    sim_letter *l = take(bus, at);
    char *copy = sim_alloc(l->len); /* its end is the message's */
    memcpy(copy, l->bytes, l->len);
    if (l->to->host != NULL)
        channels_pubsub_deliver(l->to->host->ep, copy, l->len);
    free(copy);
    free(l);
}

void sim_bus_lose(sim_bus *bus, unsigned at)
{
    free(take(bus, at));
}

void sim_bus_carry(sim_bus *bus)
{
    while (bus->waiting > 0)
        sim_bus_deliver(bus, 0);
}

void sim_bus_lose_all(sim_bus *bus)
{
    while (bus->waiting > 0)
        sim_bus_lose(bus, 0);
}
