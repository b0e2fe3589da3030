/* say.c - messages to a crowd, and whether all hear them: see crowd.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/core/crowd.h"

/* The first of all says what happened; what follows from it does not matter. */
static void fault(crowd *c, const char *what)
{
    if (c->fault == NULL)
        c->fault = what;
}

/* A buffer that was not seen before: encoded for this client, or for it and others. */
static void look_at(crowd *c, bool v1, const char *text, size_t len)
{
    c->wire[v1] = text;
    c->wire_len = len;
    c->wires++;
    if (!c->right(c, v1, text, len))
        fault(c, "a message is not as it was sent");
}

static void hear(member *m, const char *text, size_t len)
{
    crowd *c = m->crowd;
    c->deliveries++;
    if (text != c->wire[m->v1])
        look_at(c, m->v1, text, len);
    if (c->number == 0)
        return;
    if (m->room != c->room)
        fault(c, "a message comes to another room");
    if (++m->heard != c->number)
        fault(c, "a message is lost or comes twice");
}

/* --- What is said --------------------------------------------------------------------------- */

static const char *const format[2] = {
    "[null,null,\"room:%08x\",\"say\",%s]",
    "{\"topic\":\"room:%08x\",\"event\":\"say\",\"payload\":%s,\"ref\":null}"
};
#define BEGINNING "{\"n\":\"00000000\",\"text\":\""

void crowd_payload(crowd *c, size_t len)
{
    static const size_t begun = sizeof BEGINNING - 1;
    free(c->payload);
    c->payload = bench_alloc(1, len + 1);
    c->payload_len = len;
    memcpy(c->payload, BEGINNING, begun);
    memset(c->payload + begun, 'x', len - begun - 2);
    memcpy(c->payload + len - 2, "\"}", 2);
    for (int v = 0; v < 2; v++) {
        free(c->text[v]);
        c->text[v] = bench_alloc(1, len + 96);
    }
}

static void put_number(char *payload, uint32_t number)
{
    char digits[9];
    snprintf(digits, sizeof digits, "%08x", number);
    memcpy(payload + 6, digits, 8);
}

static bool as_said(const crowd *c, bool v1, const char *text, size_t len)
{
    return len == c->text_len[v1] && memcmp(text, c->text[v1], len) == 0;
}

static void take_in_hand(crowd *c)
{
    c->room = c->visits[c->next++ % crowd_rooms(c)];
    c->number = ++c->said[c->room];
    put_number(c->payload, c->number);
    for (int v = 0; v < 2; v++)
        c->text_len[v] =
            (size_t)snprintf(c->text[v], c->payload_len + 96, format[v], c->room, c->payload);
    c->wire[0] = c->wire[1] = NULL;
}

static unsigned members_of(const crowd *c, unsigned room)
{
    unsigned rooms = crowd_rooms(c);
    return c->options.size / rooms + (room < c->options.size % rooms);
}

/* --- Saying it ------------------------------------------------------------------------------ */

void crowd_say(crowd *c, unsigned n)
{
    uint64_t deliveries = 0;
    crowd_expect(c, as_said);
    for (unsigned i = 0; i < n; i++) {
        char topic[16];
        take_in_hand(c);
        snprintf(topic, sizeof topic, "room:%08x", c->room);
        if (channels_pubsub_broadcast(c->ep, topic, "say",
                                      channels_json_n(c->payload, c->payload_len)) != CHANNELS_OK)
            bench_fail("a broadcast fails");
        deliveries += members_of(c, c->room);
    }
    crowd_check(c, deliveries);
    c->number = 0;
}

void crowd_look(crowd *c, unsigned n)
{
    const char *text = c->text[0];
    crowd_expect(c, as_said);
    c->wire[0] = c->wire[1] = text;
    for (unsigned i = 0; i < n; i++) {
        c->number = ++c->said[c->room];
        for (unsigned k = 0; k < c->options.size; k++)
            c->hear(&c->members[c->options.shuffled ? c->order[k] : k], text, c->text_len[0]);
    }
    crowd_check(c, (uint64_t)n * c->options.size);
    c->number = 0;
}

void crowd_expect(crowd *c, bool (*right)(const crowd *c, bool v1, const char *text, size_t len))
{
    c->hear = hear;
    c->right = right;
    c->deliveries = c->wires = 0;
    c->wire[0] = c->wire[1] = NULL;
}

void crowd_check(crowd *c, uint64_t deliveries)
{
    if (c->fault != NULL)
        bench_fail("%s", c->fault);
    if (c->deliveries != deliveries)
        bench_fail("%llu deliveries instead of %llu", (unsigned long long)c->deliveries,
                   (unsigned long long)deliveries);
}
