/* wire.h - a client that comes by bytes: HTTP and WebSocket as one end of them would write it, made
 * here and nowhere else, so that both ends cannot be wrong in the same way.
 *
 * What it says waits until sim_wire_move() carries it over, any number of bytes at a time, both
 * ways. It watches that what it gets is in order: frames unmasked and whole, control frames short,
 * nothing behind a Close. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <stdint.h>

#include "sim/start.h"

typedef struct sim_bytes {
    char *p;
    size_t len, size;
} sim_bytes;

typedef struct sim_message {
    struct sim_message *next;
    channels_kind kind;
    size_t len;
    char bytes[];
} sim_message;

typedef struct sim_wire {
    channels_test *host;
    channels_conn *conn; /* NULL: it is gone */
    sim_bytes out, in;   /* on their way to the endpoint, and back but not yet understood */
    size_t fed;          /* bytes of `out` that have left since it was opened */
    size_t said;         /* and that were ever put into it */
    int window;    /* set before the handshake: it offers permessage-deflate, and takes a window
                    * of so many bits; 0: it does not */
    bool deflates; /* that has been agreed on */
    int status;          /* of the last answer in HTTP; 101: it speaks WebSocket */
    char body[256];      /* of it */
    /* Gets each answer in HTTP, if it is set after opening. */
    void (*answer)(void *arg, int status, const char *body, size_t len);
    void *arg;
    int code;            /* of the Close it got; 0: none, 1005: one without a code */
    bool close_said;     /* it has sent a Close of its own */
    unsigned pongs;
    char pong[126];    /* the last */
    const char *wrong; /* what it got that cannot be */
    sim_message *first, **last;
} sim_wire;

bool sim_wire_open(sim_wire *w, channels_test *host);
/* A handshake for that target. */
void sim_wire_upgrade(sim_wire *w, const char *target);
void sim_wire_request(sim_wire *w, const char *method, const char *target, const char *headers);
void sim_wire_raw(sim_wire *w, const void *bytes, size_t len);
/* One frame; `opcode` with 0x80 if it is the last of its message. */
void sim_wire_frame(sim_wire *w, int opcode, const void *payload, size_t len);
/* A whole message as it is compressed: to be cut into frames, the first of which has 0x40 added to
 * its opcode. To be freed. */
char *sim_wire_deflate(const void *bytes, size_t len, size_t *packed_len);
void sim_wire_text(sim_wire *w, const char *text); /* ' stands for " */
void sim_wire_close(sim_wire *w, int code);        /* 0: none */

/* Carries at most so many bytes each way, in one piece, and closes when that is wanted. False if
 * nothing could move. */
bool sim_wire_move(sim_wire *w, size_t out, size_t in);
void sim_wire_move_all(sim_wire *w);

/* The next message, to be freed; NULL if there is none. */
sim_message *sim_wire_hear(sim_wire *w);

/* The stream ends here and now. */
void sim_wire_cut(sim_wire *w);
/* Forgets all; the endpoint may be freed already. */
void sim_wire_deinit(sim_wire *w);

#endif
