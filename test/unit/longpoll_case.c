/* longpoll_case.c - see longpoll_case.h. */
#include "unit/longpoll_case.h"

#include "unit/failure.h"

static void start(longpoll_case *t, const channels_config *config, channels_mount_options options)
{
    options.longpoll.on = true;
    t->probe.host = &t->host;
    t->host.on_failure = unit_failure;
    t->host.now = 1000;
    assert_int_equal(sim_start(&t->host, &t->memory, config), CHANNELS_OK);
    assert_int_equal(channels_mount(t->host.ep, "/socket", &probe_handler, &options, &t->probe),
                     CHANNELS_OK);
}

int longpoll_case_start(void **state)
{
    longpoll_case *t = calloc(1, sizeof *t);
    *state = t;
    start(t, NULL, (channels_mount_options){ 0 });
    return 0;
}

void longpoll_case_restart(longpoll_case *t, const channels_config *config,
                           channels_mount_options options)
{
    assert_int_equal(channels_test_stop(&t->host), 0);
    memset(t, 0, sizeof *t);
    start(t, config, options);
}

int longpoll_case_stop(void **state)
{
    longpoll_case *t = *state;
    size_t lost = channels_test_stop(&t->host);
    free(t);
    return lost == 0 ? 0 : -1;
}

void longpoll_ask(longpoll_case *t, sim_ask *a, const char *method, const char *target,
                  const char *headers, const char *body)
{
    assert_int_equal(sim_ask_text(a, &t->host, method, target, headers, body), CHANNELS_OK);
}

void longpoll_ask_with_token(longpoll_case *t, sim_ask *a, const char *method, const char *target,
                             const char *headers, const char *body)
{
    char whole[1024];
    int n = snprintf(whole, sizeof whole, "%.*s%s%s", (int)strcspn(target, "%"), target, t->token,
                     strchr(target, '%') + 2);
    assert_true(n < (int)sizeof whole);
    longpoll_ask(t, a, method, whole, headers, body);
}

void longpoll_open_session(longpoll_case *t)
{
    longpoll_ask(t, &t->a, "GET", LP, NULL, NULL);
    answered(&t->a, "410");
    strcpy(t->token, t->a.token);
}

void longpoll_poll_once(longpoll_case *t, sim_ask *a)
{
    longpoll_ask_with_token(t, a, "GET", LP "&token=%s", NULL, NULL);
}

void longpoll_post(longpoll_case *t, sim_ask *a, const char *text)
{
    longpoll_ask_with_token(t, a, "POST", LP "&token=%s", NULL, text);
}

void longpoll_post_lines(longpoll_case *t, sim_ask *a, const char *text)
{
    longpoll_ask_with_token(t, a, "POST", LP "&token=%s", "content-type: application/x-ndjson\n",
                            text);
}

void longpoll_answered_at(sim_ask *a, const char *text, const char *file, int line)
{
    _assert_string_equal(sim_answer(a), text, file, line);
    _assert_true(a->answers <= 1, "it was answered once", file, line);
}

void longpoll_traced_at(longpoll_case *t, const char *text, const char *file, int line)
{
    _assert_string_equal(t->probe.trace, text, file, line);
    t->probe.trace[0] = '\0';
}

void longpoll_logged_at(longpoll_case *t, const char *text, const char *file, int line)
{
    if (strstr(t->host.log, text) == NULL)
        _assert_string_equal(t->host.log, text, file, line);
    t->host.log[0] = '\0';
}
