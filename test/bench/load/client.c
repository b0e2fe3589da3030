/* client.c - a client's way into its topic: see client.h. What it does there is its manners'. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/load/client.h"

void client_open(client *c)
{
    c->state = CONNECTING;
    load.carrier->open(c);
}

void client_control(client *c, unsigned join_ref, unsigned ref, const char *event)
{
    char text[128];
    int n = snprintf(text, sizeof text, "[\"%u\",\"%u\",\"%s\",\"%s\",{}]\n", join_ref, ref,
                     c->topic->name, event);
    c->ref = ref;
    load.carrier->say(c, text, (size_t)n);
}

void client_opened(client *c)
{
    c->state = JOINING;
    client_control(c, 1, 1, "phx_join");
}

void client_joined(client *c)
{
    bool first = load.phase == GATHERING;
    c->state = JOINED;
    if (first) {
        load.connecting--;
        load.r->joined++;
        c->topic->joined++;
    } else if (load.manners->joined != NULL) {
        load.manners->joined(c);
    }
}

void client_gone(client *c)
{
    if (load.phase == GATHERING && c->state < JOINED) {
        load.connecting--;
        load.failed++;
    }
    if (load.manners->ended == NULL)
        c->state = AWAY;
    load.r->faults.errors += load.manners->ended == NULL || !load.manners->ended(c);
}

void clients_begin(void)
{
    load.clients = bench_alloc(load.o.clients, sizeof *load.clients);
    for (unsigned i = 0; i < load.o.clients; i++)
        load.clients[i] =
            (client){ .index = i, .topic = &load.topics[i % load.o.topics], .stream.fd = -1 };
}

void clients_end(void)
{
    for (unsigned i = 0; i < load.o.clients; i++) {
        load.carrier->close(&load.clients[i]);
        free(load.clients[i].last);
    }
    free(load.clients);
}
