/* core_case.c - see core_case.h. */
#include "unit/core_case.h"

static void start(core_case *t, const channels_config *config,
                  const channels_mount_options *options)
{
    t->probe.host = &t->host;
    t->host.now = 1000;
    assert_int_equal(sim_start_with(&t->host, config), CHANNELS_OK);
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
    assert_int_equal(sim_stop(&t->host), 0);
    memset(t, 0, sizeof *t);
    start(t, config, options);
}

int core_case_stop(void **state)
{
    core_case *t = *state;
    size_t lost = t->host.ep != NULL ? sim_stop(&t->host) : t->host.memory.blocks;
    if (lost != 0)
        print_error("%zu blocks of memory were lost\n", lost);
    free(t);
    return lost == 0 ? 0 : -1;
}

void core_say_at(sim_client *c, const char *text, const char *file, int line)
{
    _assert_true(c->socket != NULL, "the client is there", file, line);
    _assert_int_equal((LargestIntegralType)sim_say(c, text), CHANNELS_OK, file, line);
}

void core_hear_at(sim_client *c, const char *text, const char *file, int line)
{
    const char *heard = sim_hear(c);
    _assert_string_equal(heard != NULL ? heard : "(nothing)", text, file, line);
}

void core_quiet_at(sim_client *c, const char *file, int line)
{
    const char *heard = sim_hear(c);
    _assert_string_equal(heard != NULL ? heard : "(nothing)", "(nothing)", file, line);
}

void core_join_at(sim_client *c, const char *topic, const char *join_ref, const char *file,
                  int line)
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
    char *quoted = sim_quoted(text), *kept = ring[at++ % 8];
    snprintf(kept, sizeof ring[0], "%s", quoted);
    free(quoted);
    return channels_json(kept);
}
