/* client.h - an endpoint and its clients in one program: no network, and a clock that you set.
 *
 *     sim_host host = { 0 };
 *     sim_client c;
 *     sim_start(&host);
 *     channels_mount(host.ep, "/socket", &handler, NULL, NULL);
 *     sim_connect(&c, &host, "/socket/websocket?vsn=2.0.0");
 *     sim_say(&c, "['1','1','room:a','phx_join',{}]");
 *     sim_hear(&c);        ['1','1','room:a','phx_reply',{'status':'ok','response':{}}]
 *     sim_stop(&host);
 *
 * Clients come by whole messages (channels/transport.h). In what they say and hear, ' stands for ".
 * What a client has not heard yet is waiting for it, and counts as such. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include <channels/channels.h>
#include <channels/pubsub.h>
#include <channels/transport.h>

#include "sim/memory.h"

typedef struct sim_client sim_client;

typedef struct sim_host {
    sim_memory memory; /* all that the endpoint has */
    uint64_t now;      /* its clock */
    uint64_t random;   /* the state of its random numbers: the seed */
    unsigned logged;   /* lines */
    channels_log_level level;
    char log[512]; /* the last line */
    sim_client *clients;
    channels_endpoint *ep;
} sim_host;

/* What is set in `config` counts; its user, clock, memory, log (of warnings and errors) and random
 * numbers are the host's unless set. _start is _start_with(host, NULL). */
int sim_start_with(sim_host *host, const channels_config *config);
int sim_start(sim_host *host);
/* Frees the endpoint, hangs up all clients, and returns how many blocks of memory were lost. */
size_t sim_stop(sim_host *host);
/* Later by `ms`, which the endpoint is told. */
void sim_wait(sim_host *host, uint64_t ms);

typedef struct sim_message {
    struct sim_message *next;
    channels_kind kind;
    size_t len;
    char bytes[];
} sim_message;

struct sim_client {
    sim_host *host;
    sim_client *next;
    channels_socket *socket; /* NULL: it never came in, or is gone */
    int opened;              /* what channels_socket_open() returned */
    unsigned accepted;       /* how often a waiting connect was accepted, */
    unsigned refused;        /* and how often any was refused: */
    int status;              /* with this, */
    char body[128];          /* and this */
    unsigned closed;         /* how often it was told to close: */
    int code;                /* with this */
    int broken;              /* send() returns this, if negative */
    size_t waiting;          /* messages */
    sim_message *first, **last;
    char *heard;
};

/* By a GET of `target`; a client may be used again. The result of channels_socket_open(). */
int sim_connect(sim_client *c, sim_host *host, const char *target);
int sim_connect_request(sim_client *c, sim_host *host, const channels_request *req);
/* Their results are those of channels_socket_receive(). */
int sim_say(sim_client *c, const char *text);
int sim_say_bytes(sim_client *c, channels_kind kind, const void *data, size_t len);
/* The next message, good until the next call; NULL if none is waiting. One of bytes is shown as
 * <...>, each byte that is not ASCII text as a backslash and two digits. */
const char *sim_hear(sim_client *c);
/* The client is gone. */
void sim_hang_up(sim_client *c);

/* `text` with each ' made a ", to be freed. */
char *sim_quoted(const char *text);

#endif
