/* longpoll_case.h - what the tests of long polling begin with: a host with a probe mounted on
 * "/socket" for both transports, and requests of one session on it. */
#ifndef UNIT_LONGPOLL_CASE_H
#define UNIT_LONGPOLL_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/poller.h"
#include "sim/probe.h"

#define WINDOW 10000u /* ms */
#define LP "/socket/longpoll?vsn=2.0.0"

typedef struct longpoll_case {
    channels_test host;
    sim_memory memory;
    probe probe;
    sim_ask a, b, c;
    channels_test_client *ws; /* by a WebSocket of the host's */
    char token[SIM_TOKEN];
} longpoll_case;

int longpoll_case_start(void **state);
int longpoll_case_stop(void **state);
/* Anew, with options of its own; long polling is put on in them. */
void longpoll_case_restart(longpoll_case *t, const channels_config *config,
                           channels_mount_options options);
#define LONGPOLL_TEST(fn) \
    cmocka_unit_test_setup_teardown(fn, longpoll_case_start, longpoll_case_stop)

/* A session, whose token is t->token from then on. */
void longpoll_open_session(longpoll_case *t);
void longpoll_poll_once(longpoll_case *t, sim_ask *a);
/* As the one message of a POST, or as its lines. */
void longpoll_post(longpoll_case *t, sim_ask *a, const char *text);
void longpoll_post_lines(longpoll_case *t, sim_ask *a, const char *text);
void longpoll_ask(longpoll_case *t, sim_ask *a, const char *method, const char *target,
                  const char *headers, const char *body);
/* With the session's token in `target`, where %s stands for it. */
void longpoll_ask_with_token(longpoll_case *t, sim_ask *a, const char *method, const char *target,
                             const char *headers, const char *body);

#define open_session(t) longpoll_open_session(t)
#define poll_once(t, a) longpoll_poll_once(t, a)
#define post(t, a, text) longpoll_post(t, a, text)
#define post_lines(t, a, text) longpoll_post_lines(t, a, text)
#define ask(t, a, method, target, headers, body) longpoll_ask(t, a, method, target, headers, body)
#define ask_with_token(t, a, method, target, headers, body) \
    longpoll_ask_with_token(t, a, method, target, headers, body)
#define answered(a, text) longpoll_answered_at(a, text, __FILE__, __LINE__)
#define waits(a) longpoll_answered_at(a, "(nothing)", __FILE__, __LINE__)
#define traced(t, text) longpoll_traced_at(t, text, __FILE__, __LINE__)
#define logged(t, text) longpoll_logged_at(t, text, __FILE__, __LINE__)

void longpoll_answered_at(sim_ask *a, const char *text, const char *file, int line);
void longpoll_traced_at(longpoll_case *t, const char *text, const char *file, int line);
void longpoll_logged_at(longpoll_case *t, const char *text, const char *file, int line);

#endif
