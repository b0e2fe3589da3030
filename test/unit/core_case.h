/* core_case.h - what the tests of the core begin with: a host, a probe mounted on "/socket" with V2
 * and V1 clients, and words for what they expect. In all texts ' stands for ". */
#ifndef UNIT_CORE_CASE_H
#define UNIT_CORE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/probe.h"
#include "sim/start.h"

#define V1 "/socket/websocket"
#define V2 "/socket/websocket?vsn=2.0.0"

typedef struct core_case {
    channels_test host;
    sim_memory memory;
    probe probe;
    channels_test_client *a, *b, *c;
} core_case;

/* The case, already running. _stop fails if memory was lost. */
int core_case_start(void **state);
int core_case_stop(void **state);
/* Starts one anew with options of its own, instead of the running one. */
void core_case_restart(core_case *t, const channels_config *config,
                       const channels_mount_options *options);
/* A client by a GET of `target`, in the place of the one there was. The result of
 * channels_socket_open(). */
int core_connect(channels_test_client **c, channels_test *host, const char *target);
#define CORE_TEST(fn) cmocka_unit_test_setup_teardown(fn, core_case_start, core_case_stop)

/* Joins, and hears the reply {}. */
#define join(c, topic, join_ref) core_join_at(c, topic, join_ref, __FILE__, __LINE__)
/* The next that it hears is this. */
#define hear(c, text) core_hear_at(c, text, __FILE__, __LINE__)
/* There is nothing to hear. */
#define quiet(c) core_quiet_at(c, __FILE__, __LINE__)
/* It says this, which is taken. */
#define say(c, text) core_say_at(c, text, __FILE__, __LINE__)
/* The same of a binary message, a literal. */
#define say_bytes(c, bytes) \
    assert_int_equal(channels_test_say_payload(c, channels_binary(bytes, sizeof bytes - 1)), \
                     CHANNELS_OK)
/* The callbacks that ran since this was asked last. */
#define traced(t, text) core_traced_at(t, text, __FILE__, __LINE__)
/* A line logged since this was asked last holds this. */
#define logged(t, text) core_logged_at(t, text, __FILE__, __LINE__)

void core_join_at(channels_test_client *c, const char *topic, const char *join_ref,
                  const char *file, int line);
void core_hear_at(channels_test_client *c, const char *text, const char *file, int line);
void core_quiet_at(channels_test_client *c, const char *file, int line);
void core_say_at(channels_test_client *c, const char *text, const char *file, int line);
void core_traced_at(core_case *t, const char *text, const char *file, int line);
/* The last line logged; "" if there is none since it was forgotten. */
const char *core_last_line(const channels_test *host);
void core_logged_at(core_case *t, const char *text, const char *file, int line);

/* JSON with each ' made a ": good until the next call but seven. */
#define json(text) core_json(text)
channels_payload core_json(const char *text);

#endif
