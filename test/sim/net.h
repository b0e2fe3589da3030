/* net.h - a PubSub adapter for nodes of one test: a bus that carries letters in its own time, and
 * loses, doubles, delays and reorders them, or cuts nodes off from each other, as it is told.
 *
 * Time is the test's: sim_net.now. A letter goes to the nodes that are interested in its topic when
 * it arrives, as with Redis; what is cut is lost when it is sent. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include <channels/pubsub.h>

#include "sim/memory.h"

enum { SIM_STATIONS = 6 };

typedef struct sim_net sim_net;
typedef struct sim_parcel sim_parcel;
typedef struct sim_net_topic sim_net_topic;

/* One node's place: config.pubsub_self of its endpoint. */
typedef struct sim_station {
    sim_net *bus;
    channels_endpoint *ep; /* NULL: none is here */
    unsigned life;         /* of the test's own counting: what its letters are stamped with */
    bool mute;             /* nothing more of it is sent: it has crashed */
    bool last_words;       /* what it sends now is marked as such */
    sim_net_topic *topics;     /* in which it is interested */
} sim_station;

struct sim_parcel {
    sim_parcel *next;
    uint64_t at; /* when it arrives */
    sim_station *to;
    unsigned life; /* of its sender */
    bool last_words;
    char *topic;
    size_t len;
    unsigned char bytes[];
};

struct sim_net {
    uint64_t now;
    uint64_t random;
    unsigned lost, doubled;               /* of 1000 letters */
    unsigned delay, jitter;               /* ms; with jitter they overtake each other */
    bool echo;                            /* also to whom sent it */
    bool cut[SIM_STATIONS][SIM_STATIONS]; /* from, to */
    sim_station stations[SIM_STATIONS];
    sim_parcel *letters; /* by `at` */
    /* Before each is delivered; false: it is not. May be NULL. */
    bool (*arrives)(void *arg, const sim_parcel *letter);
    void *arg;
    uint64_t sent, sent_bytes; /* once for each broadcast, whoever hears it */
    size_t largest;            /* letter */
    unsigned misread;          /* letters that an endpoint did not understand */
    unsigned unbalanced;       /* topics in which an endpoint that ended was still interested */
};

extern const channels_pubsub_adapter sim_net_adapter;

/* `bus` is zeroed but for what is set. */
void sim_net_init(sim_net *bus, uint64_t seed);
void sim_net_deinit(sim_net *bus);
/* 0..n-1. */
unsigned sim_net_draw(sim_net *bus, unsigned n);
/* Nothing is lost, doubled, late or cut from now on. */
void sim_net_calm(sim_net *bus);
/* Gives a station's endpoint what has arrived for it until now. */
void sim_net_deliver(sim_station *station);
/* Something has arrived for it. */
bool sim_net_waits(const sim_station *station);

#endif
