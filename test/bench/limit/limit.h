/* limit.h - between the files of `limit`: see main.c. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READ_BYTES (256 * 1024) /* at once; of a message at most */

typedef struct topic topic;

/* A frame as it goes to all who hear it. */
typedef struct shared_frame {
    uint32_t refs, len;
    uint8_t data[];
} shared_frame;

typedef struct peer {
    int fd;
    bool open, dead, wants_out, dirty; /* dirty: something is held for the end of the turn */
    uint32_t place;                    /* among its topic's subscribers */
    topic *topic;
    uint8_t *in; /* an incomplete frame */
    uint32_t in_len;
    uint8_t *out; /* what the kernel would not take */
    uint32_t out_len, out_cap;
    shared_frame **held; /* of this turn, with --batch */
    uint32_t held_len, held_cap;
} peer;

typedef struct peers { /* an array that grows */
    peer **list;
    uint32_t len, cap;
} peers;

struct topic {
    char *name; /* with its quotes */
    uint32_t name_len;
    peers subscribers;
};

void *limit_resize(void *p, size_t size); /* ends the program if there is no memory */

/* --- peer.c: bytes in and out --------------------------------------------------------------- */

extern int limit_epoll;

void peers_add(peers *all, peer *p);
void peer_accept(int fd);
void peer_on_event(peer *p, uint32_t events);
void peer_send(peer *p, const uint8_t *bytes, size_t n); /* at once, if the kernel takes it */
void peer_hold(peer *p, shared_frame *f);                /* until the end of the turn */
void peer_flush(peer *p);
void peer_kill(peer *p); /* it is freed when the turn ends */
void peers_end_turn(void);

/* --- topic.c: who hears what ---------------------------------------------------------------- */

topic *topic_find(const uint8_t *name, uint32_t len); /* it is made if there is none */
void topic_join(peer *p, topic *t);                   /* it leaves the one it was in */
void topic_leave(peer *p);

/* --- protocol.c: what bytes say ------------------------------------------------------------- */

extern bool limit_batches;

void protocol_begin(void);
/* Takes what is whole of these bytes, which it changes; returns how many that were. */
size_t protocol_read(peer *p, uint8_t *bytes, size_t n);

/* --- fault.c -------------------------------------------------------------------------------- */

/* Knows "drop", "twice", "swap" and "alter"; false: not that. */
bool fault_set(const char *name);
/* True: the delivery to this subscriber was done, wrongly. */
bool fault_strikes(peer *p, const uint8_t *frame, size_t n);

#endif
