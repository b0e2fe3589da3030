/* bus.h - what joins endpoints in one test, as nodes: each message waits until the test delivers it
 * or lets it be lost, in whatever order. */
#ifndef SIM_BUS_H
#define SIM_BUS_H

#include "sim/start.h"

typedef struct sim_bus_node sim_bus_node;

typedef struct sim_letter {
    struct sim_letter *next;
    sim_bus_node *from, *to;
    uint64_t said; /* by the sender's clock */
    size_t len;
    char bytes[];
} sim_letter;

typedef struct sim_bus {
    sim_bus_node *nodes;
    sim_letter *first; /* the oldest */
    unsigned waiting;
} sim_bus;

/* channels_config.pubsub_self of an endpoint of that name with sim_bus_adapter. */
struct sim_bus_node {
    sim_bus_node *next;
    sim_bus *bus;
    const char *name;
    channels_test *host; /* NULL: it hears nothing, and has no clock */
    int err;             /* if it is set nothing can be said, and that is the result */
    unsigned said;       /* messages so far */
};

extern const channels_pubsub_adapter sim_bus_adapter;

/* The node, and what is on its way to it or from it, goes with _leave. */
void sim_bus_join(sim_bus *bus, sim_bus_node *node, const char *name, channels_test *host);
void sim_bus_leave(sim_bus_node *node);

/* The message at that place among those that wait, 0 being the oldest; it is there. */
const sim_letter *sim_bus_look(const sim_bus *bus, unsigned at);
void sim_bus_deliver(sim_bus *bus, unsigned at);
void sim_bus_lose(sim_bus *bus, unsigned at);
/* All, until none are said any more. */
void sim_bus_carry(sim_bus *bus);
void sim_bus_lose_all(sim_bus *bus);

#endif
