/* soak.h - between the files of the soak test: a server and thousands of clients in one program, on
 * real sockets of 127.0.0.1.
 *
 * The server's rooms number what they broadcast, and tell a newcomer the last number. So a client
 * knows what it has to hear while it is joined: every number, once, in order. It also knows which
 * of its pushes have to be answered, and in which order. */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <ev.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <channels/channels.h>

#define SOAK_ROOMS 40

/* A promise is broken: says so and ends the program. */
void soak_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
uint32_t soak_random(uint32_t below);
char *soak_alloc(size_t size); /* never fails */

/* --- server.c ------------------------------------------------------------------------------- */

typedef struct soak_server {
    size_t blocks, bytes;       /* what its endpoint has allocated */
    unsigned sockets, channels; /* between connect() and disconnect(), join() and terminate() */
    uint64_t joins, events, shouts, disconnects;
} soak_server;
extern soak_server soak_served;

/* Its port. A poll is held for `window` s. */
int soak_server_start(struct ev_loop *loop, double window);
void soak_server_stop(void);
channels_endpoint *soak_server_endpoint(void);

/* --- client.c ------------------------------------------------------------------------------- */

/* How clients behave. */
typedef struct soak_manners {
    unsigned steps; /* each takes so many, then goes */
    bool wild;      /* goes without a goodbye, stops reading, sends what is no message */
    double window;  /* s; of long polling */
} soak_manners;

/* Of all clients since the last soak_clients_start(). */
typedef struct soak_clients {
    unsigned alive, connects, deaths, refused, closed_by_server;
    uint64_t pushes, replies, lost_replies; /* lost: of channels or connections that ended */
    uint64_t heard, joins;
    uint64_t sent_messages, received_messages;
    uint64_t sent_bytes, received_bytes; /* of the streams */
} soak_clients;
extern soak_clients soak_counted;
extern struct ev_loop *soak_loop; /* theirs, and the server's port */
extern int soak_port;

void soak_clients_start(struct ev_loop *loop, int port, unsigned count, soak_manners manners);
void soak_clients_finish(void); /* no new ones come; those there are go as they come to their end */
void soak_clients_free(void);

#endif
