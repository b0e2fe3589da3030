/* copies.c - what is allocated and encoded for one broadcast, by how many hear it.
 *
 * The payload is copied once for each version of the protocol that is spoken in the topic, into the
 * message that all its clients are sent; nothing is allocated for a client. */
#include "bench/core/crowd.h"

#define MESSAGES 16

typedef struct price {
    double calls, bytes, encoded; /* of one message */
} price;

static price measure(unsigned clients, bool half_v1, size_t len)
{
    const crowd_options options = { .size = clients, .half_v1 = half_v1 };
    crowd *c = crowd_new(&options);
    crowd_connect_all(c);
    crowd_join_all(c);
    crowd_payload(c, len);
    memory before = c->memory;
    crowd_say(c, MESSAGES);
    price p = { .calls = (double)(c->memory.calls - before.calls) / MESSAGES,
                .bytes = (double)(c->memory.bytes - before.bytes) / MESSAGES,
                .encoded = (double)c->wires / MESSAGES };
    crowd_free(c);
    return p;
}

static bool same(price a, price b)
{
    return a.calls == b.calls && a.bytes == b.bytes && a.encoded == b.encoded;
}

static void report(unsigned clients, bool half_v1, size_t len, price p)
{
    sheet_number(clients);
    sheet_text(half_v1 ? "1 and 2" : "2");
    sheet_number((double)len);
    sheet_number(p.calls);
    sheet_number(p.bytes);
    sheet_number(p.encoded);
}

/* From 2 clients on, so that either version is spoken. */
static void measure_sizes(const scale *s, bool half_v1, size_t len)
{
    price few = measure(2, half_v1, len);
    report(2, half_v1, len, few);
    if (few.encoded != (half_v1 ? 2 : 1))
        bench_fail("a message is encoded %g times for two clients", few.encoded);
    for (unsigned clients = 1000; clients <= s->clients; clients *= 1000) {
        price many = measure(clients, half_v1, len);
        report(clients, half_v1, len, many);
        if (!same(few, many))
            bench_fail("what a broadcast allocates grows with the number of clients");
    }
}

void copies_measure(const scale *s)
{
    static const sheet_column columns[] = { { "clients", "clients", 0 },
                                            { "versions", "versions spoken", 0 },
                                            { "payload", "payload, bytes", 0 },
                                            { "allocations", "allocations", 2 },
                                            { "bytes", "bytes of them", 0 },
                                            { "encoded", "messages encoded", 2 },
                                            { 0 } };
    sheet_begin("copies", "What is allocated and encoded for one broadcast", columns);
    for (int half_v1 = 0; half_v1 < 2; half_v1++) {
        measure_sizes(s, half_v1 != 0, 64);
        measure_sizes(s, half_v1 != 0, 16384);
    }
    sheet_end();
}
