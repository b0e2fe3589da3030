/* presence_bus.h - endpoints with presences, joined by a bus that the test drives. */
#ifndef UNIT_PRESENCE_BUS_H
#define UNIT_PRESENCE_BUS_H

#include "unit/presence_app.h"

#define BUS_NODES 3

struct bus;
typedef struct bus_node {
    presence_app t; /* first; t.a has joined "room:1" */
    struct bus *bus;
    unsigned number;
    bool on, cut; /* cut: what it says and hears is lost */
} bus_node;

typedef struct bus {
    bus_node nodes[BUS_NODES]; /* "ann", "bob", "cat" */
    struct letter *first, **last;
    unsigned carried; /* messages so far */
    uint64_t now, seed;
} bus;

/* With the first two on it. _stop fails if memory was lost. */
int bus_start(void **state);
int bus_stop(void **state);
#define BUS_TEST(fn) cmocka_unit_test_setup_teardown(fn, bus_start, bus_stop)
/* Comes, anew if it was there before; goes without a word. */
void bus_join(bus *b, unsigned n, const channels_presence_options *options);
void bus_leave(bus *b, unsigned n);
/* Delivers what has been said, and what is said to that. */
void bus_carry(bus *b);
/* All clocks go together. */
void bus_wait(bus *b, unsigned ms);

#endif
