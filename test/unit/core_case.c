/* core_case.c - see core_case.h. */
#include "unit/core_case.h"

#include "unit/failure.h"

static void start(core_case *t, const channels_config *config,
                  const channels_mount_options *options)
{
    t->probe.host = &t->host;
    t->host.on_failure = unit_failure;
    t->host.now = 1000;
    assert_int_equal(sim_start(&t->host, &t->memory, config), CHANNELS_OK);
    assert_int_equal(channels_mount(t->host.ep, "/socket", &probe_handler, options, &t->probe),
                     CHANNELS_OK);
}

int core_case_start(void **state)
{
    core_case *t = calloc(1, sizeof *t);
    *state = t;
    start(t, NULL, NULL);
    return 0;
}

void core_case_restart(core_case *t, const channels_config *config,
                       const channels_mount_options *options)
{
    assert_int_equal(channels_test_stop(&t->host), 0);
    memset(t, 0, sizeof *t);
    start(t, config, options);
}

int core_case_stop(void **state)
{
    core_case *t = *state;
    size_t lost = channels_test_stop(&t->host);
    free(t);
    return lost == 0 ? 0 : -1;
}

int core_connect(channels_test_client **c, channels_test *host, const char *target)
{
    char path[256];
    const char *query = strchr(target, '?');
    size_t n = query != NULL ? (size_t)(query - target) : strlen(target);
    snprintf(path, sizeof path, "%.*s", (int)n, target);
    channels_request req = { .method = "GET",
                             .path = path,
                             .query = query != NULL ? query + 1 : "",
                             .peer = "192.0.2.1:4711" };
    if (*c != NULL)
        channels_test_close(*c);
    return channels_test_open(host, &req, c);
}

void core_say_at(channels_test_client *c, const char *text, const char *file, int line)
{
    _assert_true(c->socket != NULL, "the client is there", file, line);
    _assert_int_equal((LargestIntegralType)channels_test_say(c, text), CHANNELS_OK, file, line);
}

void core_hear_at(channels_test_client *c, const char *text, const char *file, int line)
{
    const char *heard = channels_test_hear(c);
    char *expected = channels_test_quoted(text);
    _assert_string_equal(heard != NULL ? heard : "(nothing)", expected, file, line);
    free(expected);
}

void core_quiet_at(channels_test_client *c, const char *file, int line)
{
    core_hear_at(c, "(nothing)", file, line);
}

void core_join_at(channels_test_client *c, const char *topic, const char *join_ref,
                  const char *file, int line)
{
    char text[256];
    snprintf(text, sizeof text, "['%s','%s','%s','phx_join',{}]", join_ref, join_ref, topic);
    core_say_at(c, text, file, line);
    snprintf(text, sizeof text, "['%s','%s','%s','phx_reply',{'status':'ok','response':{}}]",
             join_ref, join_ref, topic);
    core_hear_at(c, text, file, line);
}

void core_traced_at(core_case *t, const char *text, const char *file, int line)
{
    _assert_string_equal(t->probe.trace, text, file, line);
    t->probe.trace[0] = '\0';
}

const char *core_last_line(const channels_test *host)
{
    const char *line = host->log;
    for (const char *end; (end = strchr(line, '\n')) != NULL && end[1] != '\0';)
        line = end + 1;
    return line;
}

void core_logged_at(core_case *t, const char *text, const char *file, int line)
{
    if (strstr(t->host.log, text) == NULL)
        _assert_string_equal(t->host.log, text, file, line);
    t->host.log[0] = '\0';
}

channels_payload core_json(const char *text)
{
    static char ring[8][1024];
    static unsigned at;
    char *quoted = channels_test_quoted(text), *kept = ring[at++ % 8];
    snprintf(kept, sizeof ring[0], "%s", quoted);
    free(quoted);
    return channels_json(kept);
}
