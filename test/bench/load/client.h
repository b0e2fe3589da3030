/* client.h - between the files of the load generator: see load.h. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench/load/load.h"

typedef struct client client;
typedef struct stream stream;

typedef struct bytes { /* that grow */
    uint8_t *p;
    size_t len, room;
} bytes;

uint8_t *bytes_more(bytes *b, size_t n); /* room for `n` more behind; len stays */
void bytes_add(bytes *b, const void *p, size_t n);
void bytes_free(bytes *b);

/* --- stream.c: a TCP connection ------------------------------------------------------------- */

#define STREAM_GONE SIZE_MAX

typedef struct stream_events {
    void (*connected)(stream *s);
    /* Returns how many of the bytes it used; STREAM_GONE: the stream was closed meanwhile. */
    size_t (*read)(stream *s, uint8_t *p, size_t n);
    void (*ended)(stream *s); /* by the other side; it is closed already */
} stream_events;

struct stream {
    int fd; /* -1: it is closed */
    bool connecting, wants_out;
    const stream_events *events;
    client *client;
    bytes in, out; /* what is incomplete, what the kernel would not take */
};

void streams_begin(void);
void streams_turn(uint64_t until); /* waits for what happens, until then, and deals with it once */
void streams_end(void);
void stream_open(stream *s, client *c, const stream_events *events);
void stream_write(stream *s, const void *p, size_t n);
void stream_close(stream *s); /* with a reset: it leaves no TIME_WAIT */

/* --- websocket.c, longpoll.c: what carries messages ----------------------------------------- */

typedef struct carrier {
    void (*open)(client *c);
    void (*say)(client *c, const char *lines, size_t n); /* each line is a message */
    void (*goodbye)(client *c);                          /* the close handshake */
    void (*close)(client *c);                            /* at once, quietly */
} carrier;

extern const carrier carrier_websocket, carrier_longpoll;

/* --- client.c ------------------------------------------------------------------------------- */

typedef enum { AWAY, CONNECTING, JOINING, JOINED, PUSHING, LEAVING, CLOSING } client_state;

/* Publishes that not all have heard, by their number. */
typedef struct publisher {
    client *client;
    uint32_t sent, done, given_up;
    uint64_t progress_ns, next_ns;
    struct {
        uint32_t number, left;
    } * window;
} publisher;

typedef struct topic {
    char name[24];
    uint32_t joined, publishers;
    bytes broadcast; /* how a broadcast begins, to its publisher's number */
    bytes reply;     /* how an echo goes on behind its ref, to the client's number */
} topic;

struct client {
    uint32_t index;
    client_state state;
    topic *topic;
    uint32_t ref;         /* of the last join or leave */
    uint32_t said, heard; /* numbers of echoes */
    uint32_t *last;       /* number of the last broadcast of each publisher of the topic */
    uint64_t since;       /* the cycle began */
    stream stream;
    bytes fragments;           /* of WebSocket: of a message in several frames */
    struct longpoll *longpoll; /* NULL: it is not */
};

void client_open(client *c);
void client_control(client *c, unsigned join_ref, unsigned ref, const char *event);
void client_opened(client *c); /* from the carrier: messages can be said */
void client_gone(client *c);   /* from the carrier: the other side ended it */
void client_joined(client *c); /* its join was answered */
void clients_begin(void);
void clients_end(void);

/* --- message.c ------------------------------------------------------------------------------ */

/* What is in our payloads: who says it, number, time. */
typedef struct said {
    uint64_t by, number, ns;
} said;

/* Appends the line of a push. */
void message_push(bytes *b, const client *c, const char *event, const said *s);
void message_heard(client *c, const char *text, size_t n, uint64_t now);
void topics_begin(void);
void topics_end(void);

/* --- fanout.c, echo.c, cycles.c: what clients do -------------------------------------------- */

typedef struct manners {
    void (*begin)(void);            /* the warm-up begins */
    uint64_t (*turn)(uint64_t now); /* each turn of the loop then; returns when it wants the next */
    void (*joined)(client *c);      /* a join was answered after the warm-up began */
    void (*left)(client *c);
    void (*echoed)(client *c, uint64_t ref, const said *s, uint64_t now);
    void (*broadcast)(client *c, const said *s, uint64_t now);
    void (*read)(client *c);  /* all that came at once was heard */
    bool (*ended)(client *c); /* its connection was; true: as it should */
} manners; /* NULL: that does not happen, or is nobody's business */

extern const manners manners_fanout, manners_echo, manners_idle, manners_churn, manners_rejoin;

void publishers_begin(void);
void publishers_end(void);
uint64_t publishers_expect(void); /* deliveries of all that was published */

/* --- run.c ---------------------------------------------------------------------------------- */

typedef enum { GATHERING, WARMING, MEASURING, DRAINING } load_phase;

typedef struct load_state {
    load_options o;
    load_phase phase;
    load_result *r;
    const manners *manners;
    const carrier *carrier;
    client *clients;
    topic *topics;
    publisher *publishers;
    char *body; /* the string in each payload */
    uint64_t epoch_ns;
    unsigned connecting, failed;
} load_state;

extern load_state load;

bool load_talks(void); /* warm-up, or what is measured */
void load_published(unsigned count);
void load_delivered(uint64_t since_ns, uint64_t now);
/* The number that should be `last` + 1. */
void load_check_order(uint32_t *last, uint64_t number);

#endif
