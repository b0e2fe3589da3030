/* app.h - the application of the simulation: rooms "room:0" to "room:3" whose callbacks do what the
 * client asks for, and tell the model. */
#ifndef SIM_APP_H
#define SIM_APP_H

#include "sim/start.h"
#include "sim/model.h"

typedef enum { LATER_EVENT, LATER_JOIN, LATER_CONNECT } app_what;

/* An answer that comes later. */
typedef struct app_later {
    channels_ref ref;
    app_what what;
    unsigned n; /* the ask */
} app_later;

typedef struct app {
    channels_test host;
    sim_memory memory;
    model model;
    uint64_t random;
    app_later *laters;
    size_t nlaters, size;
    unsigned connects, disconnects;
} app;

extern const channels_socket_handler app_handler;

/* At most `max`, and all of these equally often. */
unsigned app_random(app *a, unsigned max);
/* A broadcast of the host's own; _news go to all members, as pushes. */
void app_shout(app *a, unsigned topic);
void app_news(app *a);
/* Answers one of those that wait, somehow. False if there is none. */
bool app_answer(app *a);

#endif
