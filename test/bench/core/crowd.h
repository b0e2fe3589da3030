/* crowd.h - between the files of the benchmark of the core: see core.c.
 *
 * A crowd is an endpoint and up to a million clients in memory: carriers of this program that look
 * at what they are sent and keep nothing. There are no sockets, no loop and one thread, so what is
 * measured is the library, and what looking costs, which is measured alone too. */
#ifndef BENCH_CORE_CROWD_H
#define BENCH_CORE_CROWD_H

#include <channels/channels.h>
#include <channels/presence.h>
#include <channels/pubsub.h>
#include <channels/transport.h>

#include "bench/bench.h"
#include "bench/core/sheet.h"

/* How much is measured. */
typedef struct scale {
    unsigned rounds;
    unsigned clients; /* at most */
    uint64_t work; /* operations of a sample, at least, where fewer clients have to repeat them */
} scale;

/* --- crowd.c -------------------------------------------------------------------------------- */

typedef struct crowd crowd;

/* A client. */
typedef struct member {
    channels_socket *socket;
    crowd *crowd;
    uint32_t heard; /* messages */
    unsigned room : 31;
    unsigned v1 : 1; /* speaks version 1 of the protocol */
} member;

/* What the endpoint has asked for. */
typedef struct memory {
    uint64_t calls; /* that gave memory, */
    uint64_t bytes; /* and how much, so far */
    size_t in_use;
    size_t grown; /* of that: what arrays that grew got since they were first asked for */
} memory;

typedef struct crowd_options {
    unsigned size;                   /* clients */
    unsigned room_size;              /* so many share a topic; 0: all */
    bool half_v1;                    /* every other one */
    bool shuffled;                   /* they join in another order than they came */
    const channels_handler *handler; /* NULL: everybody may join, and nothing happens */
    bool presence;
} crowd_options;

struct crowd {
    crowd_options options;
    channels_socket_handler socket_handler;
    channels_route routes[2];
    channels_endpoint *ep;
    channels_presence *presence;
    member *members;  /* one more than its size: a newcomer */
    unsigned *order;  /* of members, one that knows nothing of memory, */
    unsigned *visits; /* and of rooms */
    memory memory;

    /* What they have to hear now. Of a broadcast the bytes are looked at once for each version; to
     * the others the same buffer has to come. */
    void (*hear)(member *m, const char *text, size_t len);
    bool (*right)(const crowd *c, bool v1, const char *text, size_t len);
    char *payload, *text[2]; /* the whole message, as each version has it */
    size_t payload_len, text_len[2];
    uint32_t *said;  /* how many messages in each room */
    unsigned room;   /* of the message in hand, */
    uint32_t number; /* and which of its messages it is, from 1; 0: nobody counts */
    const char *wire[2];
    size_t wire_len; /* of the last one that was looked at */
    uint64_t deliveries, wires, answers;
    unsigned next;     /* visit */
    const char *fault; /* the first that was wrong */
};

crowd *crowd_new(const crowd_options *options);
void crowd_free(crowd *c);
/* One of them. A client that is told otherwise than it should be ends the program. */
void crowd_connect(crowd *c, unsigned i);
void crowd_join(crowd *c, unsigned i);
void crowd_leave(crowd *c, unsigned i);
void crowd_close(crowd *c, unsigned i);
/* All of them: they come one after the other, and go shuffled. */
void crowd_connect_all(crowd *c);
void crowd_join_all(crowd *c);
void crowd_leave_all(crowd *c);
void crowd_close_all(crowd *c);
unsigned crowd_rooms(const crowd *c);
/* Its channels, after it has joined: `fn` may do what callbacks may. */
void crowd_with_channel(crowd *c, unsigned i, void (*fn)(channels_channel *ch, void *arg),
                        void *arg);
/* Runs `fn(ep, c)` within one turn of the endpoint. */
void crowd_in_one_turn(crowd *c, void (*fn)(channels_endpoint *ep, void *c));
#define FIRST_ROOM "room:00000000"
uint64_t cpu_ns(void); /* of this thread */

/* --- say.c ---------------------------------------------------------------------------------- */

/* Payloads have this many bytes from now on, at least 32. */
void crowd_payload(crowd *c, size_t len);
/* Says `n` messages, each to all of one room, and fails if not all of them heard each of them once
 * and in order. With several rooms each message goes to another, shuffled. */
void crowd_say(crowd *c, unsigned n);
/* Only looks `n` times at what was said last, as often as all who heard it. */
void crowd_look(crowd *c, unsigned n);
/* Something is going to be said by others, which is right if `right` says so. Who heard it is
 * counted; then it fails if there was a fault, or if there were not so many deliveries. */
void crowd_expect(crowd *c, bool (*right)(const crowd *c, bool v1, const char *text, size_t len));
void crowd_check(crowd *c, uint64_t deliveries);

/* --- present.c ------------------------------------------------------------------------------ */

/* Of the messages about presences in the first room: what right() of crowd_expect() may be. */
bool is_presence_diff(const crowd *c, bool v1, const char *text, size_t len);
bool is_presence_state(const crowd *c, bool v1, const char *text, size_t len);
/* The same, and it names as many as are present. */
bool is_whole_presence_state(const crowd *c, bool v1, const char *text, size_t len);
/* Client `i`, which has joined, is present from now on, or no more. */
void crowd_track(crowd *c, unsigned i);
void crowd_untrack(crowd *c, unsigned i);
/* All are present from now on, which all hear by one message. */
void crowd_track_all(crowd *c);
void crowd_push_state(crowd *c, unsigned i);
/* The same without clients, for `owner`. */
void crowd_track_owner(crowd *c, unsigned owner);
void crowd_untrack_owner(crowd *c, unsigned owner);
/* Fails if another number of keys is present. */
void crowd_check_present(crowd *c, size_t keys);

/* --- The parts ------------------------------------------------------------------------------ */

void memory_measure(const scale *s);
void joins_measure(const scale *s);
void delivery_measure(const scale *s);
void subscribe_measure(const scale *s);
void presence_measure(const scale *s);
void copies_measure(const scale *s); /* fails if something is copied for each client */

#endif
