/* presence_app.h - what the tests of presences begin with: an endpoint with one, an application
 * that does what its clients say, and exact words for what they hear. In all texts ' stands for ",
 * and each phx_ref is r1, r2, ... in the order in which they were first heard of. */
#ifndef UNIT_PRESENCE_APP_H
#define UNIT_PRESENCE_APP_H

#include <channels/presence.h>

#include "unit/core_case.h"

typedef struct presence_app {
    channels_test host;
    sim_memory memory;
    channels_presence *set;
    channels_test_client *a, *b, *c;
    int (*joined)(struct presence_app *t, channels_channel *ch);
    channels_ref later;
    char said[4096]; /* by presence_say(); its " are ' */
} presence_app;

int presence_app_start(void **state);
int presence_app_stop(void **state);
/* Anew, with options of its own; either may be NULL. `user` of the options is the case. */
void presence_app_restart(presence_app *t, const channels_config *config,
                          const channels_presence_options *options);
/* The parts of these, for cases of several endpoints or none yet. */
void presence_forget_refs(void);
void presence_open(presence_app *t, const channels_config *config,
                   const channels_presence_options *options);
#define PRESENCE_TEST(fn) cmocka_unit_test_setup_teardown(fn, presence_app_start, presence_app_stop)

/* A client of the topics "room:*", "big:*", and "seen:*" where presence_diff is intercepted, and
 * pushed as it is. Joining does nothing but what t->joined() does; with {'key':K} it tracks that in
 * join(), with {'refuse':1} it is refused then, with {'later':1} t->later decides. What it says
 * else:
 *     track, update {'key':K,'meta':M}; untrack {'key':K} or {}: replies 'ok' with the result
 *     state: pushes presence_state; replies nothing
 *     shout: a broadcast
 *     stop, fail */
channels_test_client *presence_client(presence_app *t);
/* One that has joined `topic`. */
channels_test_client *presence_member(presence_app *t, const char *topic);
/* Tells it to do that and hears the result. */
#define does(c, topic, event, payload, result) \
    presence_does_at(c, topic, event, payload, result, __FILE__, __LINE__)
void presence_does_at(channels_test_client *c, const char *topic, const char *event,
                      const char *payload, int result, const char *file, int line);
/* The next that it hears is this. */
#define hears(c, text) presence_hears_at(c, text, __FILE__, __LINE__)
void presence_hears_at(channels_test_client *c, const char *text, const char *file, int line);
/* Of a diff, without its envelope. */
#define hears_diff(c, topic, joins, leaves) \
    presence_diff_at(c, topic, joins, leaves, __FILE__, __LINE__)
void presence_diff_at(channels_test_client *c, const char *topic, const char *joins,
                      const char *leaves, const char *file, int line);

/* Adds to t->said. */
void presence_say(presence_app *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* That was said since this was asked last. */
#define said(t, text) presence_said_at(t, text, __FILE__, __LINE__)
void presence_said_at(presence_app *t, const char *text, const char *file, int line);
/* For channels_presence_list(), with the case as its argument: says what it was given. */
void presence_list_said(void *t, channels_payload list);
/* For options.on_diff. */
void presence_diff_said(channels_presence *set, const channels_presence_diff *diff, void *t);

#endif
