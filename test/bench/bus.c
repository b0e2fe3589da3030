/* bus.c - bytes that a change of presence puts on the bus, and whether they grow with the number of
 * entries there are.
 *
 * Three nodes on one thread with a clock that is moved by hand, joined by an adapter that hands on
 * every message and counts those of each node. All entries are of the first, in one topic. What it
 * sends in the broadcast_ms after a change is the price of that change; what all send while nothing
 * changes are heartbeats. Bytes are those that an adapter is given: Redis adds its own framing. */
#include <stdio.h>
#include <stdlib.h>

#include <channels/presence.h>

#include "bench/cluster.h"

#define NODES 3
#define TOPIC "lobby"
#define TICK_MS 1500  /* broadcast_ms */
#define BEAT_MS 16500 /* broadcast_ms * (max_silent + 1): the time between two heartbeats */
#define STEP_MS 50
#define DIGITS 16 /* so many bytes more are allowed: numbers in a message have more digits */

typedef struct message {
    struct message *next;
    unsigned from;
    size_t len;
    char bytes[];
} message;

typedef struct bus_node {
    struct bus *bus;
    unsigned index;
    channels_endpoint *ep;
    channels_presence *presence;
    uint64_t bytes, messages; /* that it sent */
} bus_node;

typedef struct bus {
    bus_node nodes[NODES];
    message *first, **last;
    uint64_t now;
} bus;

/* --- The adapter ---------------------------------------------------------------------------- */

static int bus_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    bus_node *n = self;
    message *m = bench_alloc(1, sizeof *m + len);
    (void)topic;
    m->from = n->index;
    m->len = len;
    memcpy(m->bytes, data, len);
    *n->bus->last = m;
    n->bus->last = &m->next;
    n->bytes += len;
    n->messages++;
    return CHANNELS_OK;
}

static const channels_pubsub_adapter adapter = { .name = "bus", .broadcast = bus_broadcast };

static void deliver_all(bus *b)
{
    for (message *m; (m = b->first) != NULL; free(m)) {
        b->first = m->next;
        if (b->first == NULL)
            b->last = &b->first;
        for (unsigned i = 0; i < NODES; i++)
            if (i != m->from && channels_pubsub_deliver(b->nodes[i].ep, m->bytes, m->len) < 0)
                bench_fail("a node does not understand another");
    }
}

static void pass(bus *b, uint64_t ms)
{
    for (uint64_t until = b->now + ms; b->now < until;) {
        b->now += STEP_MS;
        for (unsigned i = 0; i < NODES; i++)
            channels_endpoint_run(b->nodes[i].ep);
        deliver_all(b);
    }
}

/* --- Nodes ---------------------------------------------------------------------------------- */

static uint64_t on_now(void *hooks)
{
    return ((bus_node *)hooks)->bus->now;
}

static void on_log(void *hooks, channels_log_level level, const char *text)
{
    (void)level;
    bench_fail("node %u says: %s", ((bus_node *)hooks)->index, text);
}

static void bus_open(bus *b)
{
    static const char *const names[NODES] = { "a", "b", "c" };
    *b = (bus){ .now = 1000000 };
    b->last = &b->first;
    for (unsigned i = 0; i < NODES; i++) {
        bus_node *n = &b->nodes[i];
        n->bus = b;
        n->index = i;
        const channels_config config = { .hooks = n,
                                         .now_ms = on_now,
                                         .log = on_log,
                                         .log_level = CHANNELS_LOG_WARNING,
                                         .node = names[i],
                                         .pubsub = &adapter,
                                         .pubsub_self = n };
        const channels_presence_options options = { .broadcast_ms = TICK_MS,
                                                    .max_silent = 10,
                                                    .max_present = 200000 };
        if (channels_endpoint_new(&n->ep, &config) != CHANNELS_OK ||
            channels_presence_new(&n->presence, n->ep, &options) != CHANNELS_OK)
            bench_fail("a node on the bus does not start");
    }
}

static void bus_close(bus *b)
{
    for (unsigned i = 0; i < NODES; i++)
        channels_endpoint_free(b->nodes[i].ep);
    for (message *m; (m = b->first) != NULL; free(m))
        b->first = m->next;
}

/* --- Changes -------------------------------------------------------------------------------- */

#define META "{\"online_at\":1700000000}"
#define OTHER_META "{\"online_at\":1700000001}"

static int track(bus *b, unsigned i)
{
    char key[32];
    snprintf(key, sizeof key, "user:%08u", i);
    return channels_presence_track_owner(b->nodes[0].presence, i, TOPIC, key, channels_json(META));
}

static int update(bus *b, unsigned i)
{
    char key[32];
    snprintf(key, sizeof key, "user:%08u", i);
    return channels_presence_update_owner(b->nodes[0].presence, i, TOPIC, key,
                                          channels_json(OTHER_META));
}

static int untrack(bus *b, unsigned i)
{
    return channels_presence_untrack_owner(b->nodes[0].presence, i, NULL, NULL);
}

static void check_count(bus *b, size_t expected)
{
    for (unsigned i = 0; i < NODES; i++) {
        size_t n = channels_presence_count(b->nodes[i].presence, TOPIC);
        if (n != expected)
            bench_fail("of %zu presences node %u counts %zu", expected, i, n);
    }
}

enum { JOIN, UPDATE, LEAVE, CHANGES };

/* The bytes of each kind of change, and of all nodes' heartbeats in a minute. */
typedef struct price {
    unsigned entries;
    uint64_t bytes[CHANGES];
    double heartbeats;
} price;

static uint64_t sent_by_all(const bus *b)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < NODES; i++)
        sum += b->nodes[i].bytes;
    return sum;
}

static uint64_t price_of(bus *b, int (*change)(bus *b, unsigned i), unsigned i, size_t left)
{
    const bus_node *n = &b->nodes[0];
    uint64_t bytes = n->bytes, messages = n->messages;
    if (change(b, i) != CHANNELS_OK)
        bench_fail("a presence cannot be changed");
    pass(b, TICK_MS);
    check_count(b, left);
    if (n->messages != messages + 1)
        bench_fail("a change takes %u messages", (unsigned)(n->messages - messages));
    return n->bytes - bytes;
}

static price measure(unsigned entries)
{
    static bus b;
    price p = { .entries = entries };
    bus_open(&b);
    for (unsigned i = 0; i < entries; i++)
        if (track(&b, i) != CHANNELS_OK)
            bench_fail("a presence cannot be tracked");
    pass(&b, 4 * BEAT_MS); /* all have heard of all, and tell of nothing but themselves */
    check_count(&b, entries);
    uint64_t before = sent_by_all(&b);
    pass(&b, 10 * BEAT_MS);
    p.heartbeats = (double)(sent_by_all(&b) - before) * 60000 / (10 * BEAT_MS);
    p.bytes[JOIN] = price_of(&b, track, entries, entries + 1);
    p.bytes[UPDATE] = price_of(&b, update, 0, entries + 1); /* the oldest: its clock is far */
    p.bytes[LEAVE] = price_of(&b, untrack, 0, entries);
    bus_close(&b);
    return p;
}

/* --- The table ------------------------------------------------------------------------------ */

static void report(const price *p)
{
    cJSON *json = cJSON_CreateObject();
    report_line("%8u %8llu %8llu %8llu %14.0f", p->entries, (unsigned long long)p->bytes[JOIN],
                (unsigned long long)p->bytes[UPDATE], (unsigned long long)p->bytes[LEAVE],
                p->heartbeats);
    cJSON_AddNumberToObject(json, "entries", p->entries);
    cJSON_AddNumberToObject(json, "join", (double)p->bytes[JOIN]);
    cJSON_AddNumberToObject(json, "update", (double)p->bytes[UPDATE]);
    cJSON_AddNumberToObject(json, "leave", (double)p->bytes[LEAVE]);
    cJSON_AddNumberToObject(json, "heartbeats_per_minute", p->heartbeats);
    report_add("bus", json);
}

static bool grows(const price *few, const price *many)
{
    bool more = many->heartbeats > few->heartbeats + DIGITS * 60000. / BEAT_MS * NODES;
    for (int i = 0; i < CHANGES; i++)
        more = more || many->bytes[i] > few->bytes[i] + DIGITS;
    return more;
}

bool bus_measure(const scale *s)
{
    static const unsigned totals[] = { 10, 1000, 100000 };
    unsigned n = s->quick ? 2 : 3;
    price prices[3];
    bool constant = true;
    report_part("Bytes on the bus for one change of presence, three nodes");
    report_line(" entries     join   update    leave  heartbeats of all in a minute");
    for (unsigned i = 0; i < n; i++) {
        bench_progress("bytes of a change with %u entries", totals[i]);
        prices[i] = measure(totals[i]);
        report(&prices[i]);
        constant = constant && !grows(&prices[0], &prices[i]);
    }
    if (!constant)
        report_line("\nFAILED: the bytes of a change grow with the number of entries.");
    return constant;
}
