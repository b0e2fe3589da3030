/* model.h - what has to come of what happens in the simulation, and whether it did.
 *
 * Every message of a client that can be answered is an `ask`, with its number for a ref. Those
 * about one topic are answered in order, but for those that the application puts off. The ask of a
 * join is a `member` as well: the channel that came of it, with that number for a join_ref.
 * Broadcasts of a topic are numbered in the order in which they were made, and a member hears those
 * from its join to its end, each once and in order. What is pushed to a member is numbered
 * likewise.
 *
 * The callbacks tell the model what they did, the clients what they hear. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define MODEL_TOPICS 4u

typedef enum { ASK_EVENT, ASK_STALE, ASK_JOIN, ASK_LEAVE, ASK_HEARTBEAT } ask_kind;

typedef struct ask {
    ask_kind kind;
    unsigned client;   /* the connection it came on */
    bool handled;      /* it got to handle_in() or join() */
    bool put_off;      /* what has it answered need not be the next */
    unsigned answered; /* by the callback or later, successfully */
    unsigned heard;    /* answers */

    /* of a member */
    unsigned topic;
    bool later;             /* join() has put it off */
    bool joined, ended;     /* told by its callbacks */
    bool told_of_end;       /* heard phx_close or phx_error */
    unsigned from, to;      /* the broadcasts that are for it; `to` once it has ended */
    unsigned next;          /* that it hears */
    unsigned told, pushed;  /* pushes made, pushes heard */
    unsigned secrets, news; /* the last that its callbacks saw */
    unsigned joins, ends;   /* so often: 1 each */
} ask;

typedef struct model_broadcast {
    unsigned by; /* this member does not hear it, if it is one; 0: all do */
    bool bytes;  /* V1 clients do not */
} model_broadcast;

typedef struct model_topic {
    model_broadcast *made;
    unsigned count, size;
} model_topic;

/* A connection, as its client sees it. */
typedef struct model_client {
    unsigned number;
    bool v1;
    unsigned member[MODEL_TOPICS];   /* that it hears of; 0: none */
    unsigned replaced[MODEL_TOPICS]; /* whose end it has still to hear of */
    unsigned answered[MODEL_TOPICS]; /* the last of its asks about a topic */
} model_client;

typedef struct model {
    ask *asks; /* from 1 */
    unsigned nasks, size;
    model_topic topics[MODEL_TOPICS];
    unsigned secrets[MODEL_TOPICS], news; /* the last broadcasts of these kinds */
    unsigned heard;  /* messages, for who wants to know that something happened */
    char wrong[512]; /* the first thing that was not as it should be */
} model;

void model_deinit(model *m);
void model_wrong(model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A client asks something: the number. */
unsigned model_ask(model *m, unsigned client, ask_kind kind, unsigned topic);
ask *model_at(model *m, unsigned n); /* NULL, and wrong, if there is none */

/* The callbacks. */
void model_member_joins(model *m, unsigned n);
void model_member_ends(model *m, unsigned n);
/* It sees what goes through its mailbox: each once, in order. */
void model_member_sees(model *m, unsigned n, unsigned *last, unsigned number);
/* A broadcast is going to be made: its number. */
unsigned model_broadcasts(model *m, unsigned topic, unsigned except, bool bytes);

/* A client has heard this. */
void model_heard_text(model *m, model_client *c, const char *text, size_t len);
void model_heard_bytes(model *m, model_client *c, const char *bytes, size_t len);

/* The client has heard all there is, and is still there: nothing is missing. */
void model_complete(model *m, model_client *c);
/* Everything has ended: each once. */
void model_ended(model *m);

#endif
