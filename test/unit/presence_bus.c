/* presence_bus.c - see presence_bus.h. */
#include "unit/presence_bus.h"

typedef struct letter {
    struct letter *next;
    size_t len;
    unsigned from;
    unsigned char bytes[];
} letter;

static int bus_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    const bus_node *m = self;
    letter *l = sim_alloc(sizeof *l + len);
    (void)topic;
    l->next = NULL;
    l->len = len;
    l->from = m->number;
    memcpy(l->bytes, data, len);
    *m->bus->last = l;
    m->bus->last = &l->next;
    return CHANNELS_OK;
}

static const channels_pubsub_adapter adapter = { .name = "bus", .broadcast = bus_broadcast };

void bus_join(bus *b, unsigned n, const channels_presence_options *options)
{
    static const char *const names[BUS_NODES] = { "ann", "bob", "cat" };
    bus_node *m = &b->nodes[n];
    channels_config config = { .node = names[n], .pubsub = &adapter, .pubsub_self = m };
    memset(&m->t, 0, sizeof m->t);
    m->t.host.random = ++b->seed;
    m->t.host.now = b->now;
    m->bus = b;
    m->number = n;
    m->on = true;
    presence_open(&m->t, &config, options);
    m->t.a = presence_member(&m->t, "room:1");
}

void bus_leave(bus *b, unsigned n)
{
    b->nodes[n].on = false;
    assert_int_equal(channels_test_stop(&b->nodes[n].t.host), 0);
}

void bus_carry(bus *b)
{
    while (b->first != NULL) {
        letter *l = b->first;
        b->first = l->next;
        if (b->first == NULL)
            b->last = &b->first;
        for (unsigned i = 0; i < BUS_NODES && !b->nodes[l->from].cut; i++)
            if (b->nodes[i].on && !b->nodes[i].cut)
                channels_pubsub_deliver(b->nodes[i].t.host.ep, l->bytes, l->len);
        b->carried++;
        free(l);
    }
}

void bus_wait(bus *b, unsigned ms)
{
    for (unsigned passed = 0; passed < ms; passed += 100) {
        b->now += 100;
        for (unsigned i = 0; i < BUS_NODES; i++)
            if (b->nodes[i].on)
                channels_test_wait(&b->nodes[i].t.host, 100);
        bus_carry(b);
    }
}

int bus_start(void **state)
{
    bus *b = calloc(1, sizeof *b);
    *state = b;
    b->last = &b->first;
    b->now = 1000;
    presence_forget_refs();
    bus_join(b, 0, NULL);
    bus_join(b, 1, NULL);
    return 0;
}

int bus_stop(void **state)
{
    bus *b = *state;
    size_t lost = 0;
    for (unsigned i = 0; i < BUS_NODES; i++)
        if (b->nodes[i].on)
            lost += channels_test_stop(&b->nodes[i].t.host);
    for (letter *l = b->first, *next; l != NULL; l = next) {
        next = l->next;
        free(l);
    }
    free(b);
    return lost == 0 ? 0 : -1;
}
