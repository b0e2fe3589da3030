/* net.c - see bus.h. */
#include "sim/net.h"

#include <stdlib.h>
#include <string.h>

struct sim_net_topic {
    sim_net_topic *next;
    char name[];
};

unsigned sim_net_draw(sim_net *bus, unsigned n)
{
    bus->random ^= bus->random >> 12;
    bus->random ^= bus->random << 25;
    bus->random ^= bus->random >> 27;
    return (unsigned)((bus->random * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

void sim_net_init(sim_net *bus, uint64_t seed)
{
    bus->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned i = 0; i < SIM_STATIONS; i++)
        bus->stations[i].bus = bus;
}

static void letter_free(sim_parcel *l)
{
    free(l->topic);
    free(l);
}

void sim_net_deinit(sim_net *bus)
{
    for (sim_parcel *l; (l = bus->letters) != NULL; letter_free(l))
        bus->letters = l->next;
}

void sim_net_calm(sim_net *bus)
{
    bus->lost = bus->doubled = bus->jitter = 0;
    bus->delay = 1;
    memset(bus->cut, 0, sizeof bus->cut);
}

/* --- Interest ----------------------------------------------------------------------------- */

static sim_net_topic **interest_in(sim_station *station, const char *topic)
{
    sim_net_topic **at = &station->topics;
    while (*at != NULL && strcmp((*at)->name, topic) != 0)
        at = &(*at)->next;
    return at;
}

static void bus_interest(void *self, const char *topic, bool on)
{
    sim_net_topic **at = interest_in(self, topic), *is = *at;
    if ((is != NULL) == on)
        ((sim_station *)self)->bus->unbalanced++;
    else if (on) {
        *at = sim_alloc(sizeof **at + strlen(topic) + 1);
        (*at)->next = NULL;
        strcpy((*at)->name, topic);
    } else {
        *at = is->next;
        free(is);
    }
}

/* --- Letters ------------------------------------------------------------------------------ */

static void post(sim_station *from, sim_station *to, const char *topic, const void *data,
                 size_t len)
{
    sim_net *bus = from->bus;
    sim_parcel *l = sim_alloc(sizeof *l + len), **at = &bus->letters;
    l->at = bus->now + bus->delay + (bus->jitter != 0 ? sim_net_draw(bus, bus->jitter) : 0);
    l->to = to;
    l->life = from->life;
    l->last_words = from->last_words;
    l->topic = strcpy(sim_alloc(strlen(topic) + 1), topic);
    l->len = len;
    memcpy(l->bytes, data, len);
    while (*at != NULL && (*at)->at <= l->at)
        at = &(*at)->next;
    l->next = *at;
    *at = l;
}

static int bus_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    sim_station *from = self;
    sim_net *bus = from->bus;
    if (from->mute)
        return CHANNELS_OK;
    bus->sent++;
    bus->sent_bytes += len;
    if (bus->largest < len)
        bus->largest = len;
    for (sim_station *to = bus->stations; to < bus->stations + SIM_STATIONS; to++) {
        if (to->ep == NULL || (to == from && !bus->echo) ||
            bus->cut[from - bus->stations][to - bus->stations])
            continue;
        unsigned copies = sim_net_draw(bus, 1000) >= bus->lost;
        if (copies != 0 && sim_net_draw(bus, 1000) < bus->doubled)
            copies++;
        for (; copies > 0; copies--)
            post(from, to, topic, data, len);
    }
    return CHANNELS_OK;
}

bool sim_net_waits(const sim_station *station)
{
    const sim_parcel *l = station->bus->letters;
    while (l != NULL && l->to != station)
        l = l->next;
    return l != NULL && l->at <= station->bus->now;
}

/* The next one for `station` that has arrived, taken out. */
static sim_parcel *take(sim_station *station)
{
    sim_parcel **at = &station->bus->letters, *l;
    while ((l = *at) != NULL && l->at <= station->bus->now) {
        if (l->to == station) {
            *at = l->next;
            return l;
        }
        at = &l->next;
    }
    return NULL;
}

void sim_net_deliver(sim_station *station)
{
    sim_net *bus = station->bus;
    for (sim_parcel *l; (l = take(station)) != NULL; letter_free(l)) {
        if (station->ep == NULL || *interest_in(station, l->topic) == NULL ||
            (bus->arrives != NULL && !bus->arrives(bus->arg, l)))
            continue;
        if (channels_pubsub_deliver(station->ep, l->bytes, l->len) != CHANNELS_OK)
            bus->misread++;
    }
}

/* --- The adapter -------------------------------------------------------------------------- */

static int bus_start(void **self, channels_endpoint *ep)
{
    sim_station *station = *self;
    station->ep = ep;
    station->mute = station->last_words = false;
    return CHANNELS_OK;
}

static void bus_stop(void *self)
{
    sim_station *station = self;
    station->ep = NULL;
    for (sim_net_topic *t; (t = station->topics) != NULL; free(t)) {
        station->topics = t->next;
        station->bus->unbalanced++;
    }
}

const channels_pubsub_adapter sim_net_adapter = { .name = "sim",
                                                  .start = bus_start,
                                                  .stop = bus_stop,
                                                  .broadcast = bus_broadcast,
                                                  .interest = bus_interest };
