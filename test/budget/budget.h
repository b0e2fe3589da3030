/* budget.h - workloads that are the same each time, instruction by instruction, and what they run
 * on: a host whose clock and random bytes are its own, clients without sockets. */
#ifndef BUDGET_BUDGET_H
#define BUDGET_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <channels/channels.h>

typedef struct workload {
    const char *name;
    const char *unit; /* what run() returns the number of */
    const char *heard; /* for each unit so many messages hold this: */
    size_t per_unit;
    void (*open)(void);  /* all that is there before */
    size_t (*run)(void); /* is counted; leaves things as they were */
    void (*close)(void);
} workload;

extern const workload connect_workload, echo_workload, echo_16_workload, fanout_workload,
    topics_workload, join_workload, longpoll_workload, presence_workload, large_workload,
    hub_workload;

/* It cannot go on: says why and ends the program with 1. */
void budget_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *budget_alloc(size_t count, size_t size); /* zeroed; never fails */

/* --- kernel.c: takes all bytes at once ------------------------------------------------------ */

typedef struct kernel {
    size_t bytes;      /* that were written, */
    size_t messages;   /* and of the messages in them those that hold `heard` */
    const char *heard; /* NULL: nobody looks into them */
    char *last;        /* KERNEL_LAST bytes for what was written last, or NULL */
} kernel;
#define KERNEL_LAST 4096
extern kernel the_kernel;

/* All that waits for this connection, as an adapter would write it. */
void kernel_write(channels_conn *conn);

/* --- host.c --------------------------------------------------------------------------------- */

typedef struct host {
    channels_endpoint *ep;
    uint64_t now, random;
} host;

/* Its rooms, "room:...", answer "echo" with its payload and broadcast "shout". Of `config`, which
 * may be NULL, clock, random bytes and log are the host's own. */
void host_open(host *h, const channels_config *config);
void host_close(host *h);
/* A turn of the loop, a millisecond later. */
void host_turn(host *h);

/* --- client.c ------------------------------------------------------------------------------- */

typedef struct client {
    channels_conn *conn;
} client;

/* What a client sends at once. */
typedef struct piece {
    char *bytes;
    size_t len;
} piece;

extern const piece piece_upgrade; /* a browser's handshake */
/* A text frame, masked. */
piece piece_frame(const char *format, ...) __attribute__((format(printf, 1, 2)));
void piece_append(piece *p, piece other); /* frees `other` */
void piece_free(piece *p);

void client_open(host *h, client *c);
void client_close(client *c);
/* Its bytes arrive, and what it is to be told at once is written. */
void client_say(client *c, piece p);
void client_join(client *c, const char *topic);
/* `count` of them, each with an open WebSocket. */
client *clients_open(host *h, size_t count);
void clients_close(client *all, size_t count);

#endif
