/* client.h - one client, between client.c, which knows what it does and hears, and what carries it:
 * websocket.c or longpoll.c. */
#ifndef SOAK_CLIENT_H
#define SOAK_CLIENT_H

#include "soak/soak.h"

#define SEATS 3    /* topics that one is in at a time */
#define PENDING 64 /* messages that wait for a reply */
#define SAID 126   /* bytes of the longest message that it says, and a NUL */

typedef enum { FREE, JOINING, JOINED, ENDING } seat_state;

typedef struct seat {
    seat_state state;
    unsigned room, join_ref, old_join_ref; /* old: of the channel that a second join has ended */
    uint64_t next;                         /* the number to be heard next */
} seat;

typedef enum { JOIN, LEAVE, ECHO, ASYNC } pending_kind;

typedef struct pending {
    pending_kind kind;
    unsigned ref, join_ref;
    seat *seat;
} pending;

/* Only in GREETING and GOODBYE its carrier alone decides what comes next. */
typedef enum { GREETING, OPEN, LEAVING, GOODBYE } client_state;

typedef struct client client;

typedef struct carrier {
    size_t size; /* of its own struct, that begins with the client */
    void (*begin)(client *c);
    void (*say)(client *c, const char *text, size_t n);
    void (*goodbye)(client *c);   /* it waits for nothing any more */
    bool (*break_off)(client *c); /* leaves without manners; false: it is gone */
    bool (*turn)(client *c);      /* false: it cannot act, or is gone */
    void (*end)(client *c);       /* closes its streams */
} carrier;

extern const carrier soak_websocket, soak_longpoll;

struct client {
    const carrier *carrier;
    client_state state;
    bool wild;
    double window; /* s; of long polling */
    unsigned id, place, steps, refs;
    seat seats[SEATS];
    pending pending[PENDING];
    unsigned npending;
};

void client_hears(client *c, const char *text, size_t n);
/* Nothing that it was in exists any more, and nothing that it waits for will come. */
void client_has_lost_all(client *c);
/* It is in no topic and waits for no answer. */
bool client_is_idle(const client *c);
/* It has ended and is freed; another takes its place. */
void client_gone(client *c);

#endif
