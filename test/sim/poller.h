/* poller.h - requests of a client that comes by long polling, as a host with its own HTTP server
 * hands them over (channels/longpoll.h), and their answers in short.
 *
 *     sim_ask(&a, &host, "GET", "/socket/longpoll?vsn=2.0.0", NULL, NULL);
 *     sim_answer(&a);      "410": a session, whose token is a.token
 *
 * An answer in short is the status in its JSON, and behind it each message with a space in front;
 * "HTTP 400 ..." and the body if the HTTP status is not 200; "(nothing)" while there is none. As
 * everywhere, ' stands for ". */
#ifndef SIM_POLLER_H
#define SIM_POLLER_H

#include <channels/longpoll.h>

#include "sim/start.h"

#define SIM_TOKEN 420 /* the longest, with its NUL, and some */

typedef struct sim_ask {
    channels_test *host;
    channels_ref ref;
    int result;       /* of channels_longpoll_request() */
    unsigned answers; /* how often it was answered: once, or never */
    int status;       /* in HTTP */
    char head[512];   /* "name: value" and a newline, for each header */
    char body[65536];
    size_t len;
    char token[SIM_TOKEN];
    enum { SIM_LATER, SIM_SENT, SIM_LOST } at_once; /* what is said of the answer when it comes */
    char shown[65536];
} sim_ask;

/* Headers as "name: value\n"; NULL: none. */
int sim_ask_for(sim_ask *a, channels_test *host, const char *method, const char *target,
                const char *headers, const void *body, size_t len);
int sim_ask_text(sim_ask *a, channels_test *host, const char *method, const char *target,
                 const char *headers, const char *body);
const char *sim_answer(sim_ask *a);
void sim_answer_done(sim_ask *a, bool sent);

/* An answer's body in short, and its token, if it has one. */
void sim_answer_show(const char *body, size_t len, char *dst, size_t cap, char token[SIM_TOKEN]);

#endif
