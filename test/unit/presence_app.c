/* presence_app.c - see presence_app.h. */
#include "unit/presence_app.h"

#include <cjson/cJSON.h>

#include "unit/failure.h"

/* --- Refs by number ----------------------------------------------------------------------- */

static char refs[256][17];
static unsigned nrefs;

void presence_forget_refs(void)
{
    nrefs = 0;
}

static unsigned number_of(const char *ref)
{
    unsigned n = 0;
    while (n < nrefs && memcmp(refs[n], ref, 16) != 0)
        n++;
    if (n == nrefs) {
        assert_in_range(nrefs, 0, 255);
        memcpy(refs[nrefs++], ref, 16);
    }
    return n + 1;
}

/* To be freed. A short text in place of a long one, so that it fits. */
static char *numbered(const char *text)
{
    char *copy = strdup(text), *at = copy;
    while ((at = strstr(at, "\"phx_ref")) != NULL) {
        char *ref = strchr(at, ':') + 2, number[17];
        at = ref;
        if (ref[-1] != '"') /* the application's own, further down */
            continue;
        assert_int_equal(ref[16], '"');
        int n = snprintf(number, sizeof number, "r%u", number_of(ref));
        memmove(ref + n, ref + 16, strlen(ref + 16) + 1);
        memcpy(ref, number, (size_t)n);
    }
    return copy;
}

/* --- The application ---------------------------------------------------------------------- */

static channels_payload text_of(const cJSON *tree, char **text)
{
    *text = cJSON_PrintUnformatted(tree);
    return *text != NULL ? channels_json(*text) : channels_empty();
}

static int track(presence_app *t, channels_channel *ch, const cJSON *what)
{
    char *text;
    channels_payload meta = text_of(cJSON_GetObjectItem(what, "meta"), &text);
    int err =
        channels_presence_track(t->set, ch, cJSON_GetObjectItem(what, "key")->valuestring, meta);
    cJSON_free(text);
    return err;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    presence_app *t = user;
    const cJSON *what = channels_msg_json(msg);
    if (cJSON_HasObjectItem(what, "key"))
        assert_int_equal(track(t, ch, what), CHANNELS_OK);
    if (cJSON_HasObjectItem(what, "later"))
        return channels_later(ch, &t->later) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return cJSON_HasObjectItem(what, "refuse") ? CHANNELS_REFUSE : CHANNELS_OK;
}

static int on_joined(channels_channel *ch, void *user)
{
    presence_app *t = user;
    return t->joined != NULL ? t->joined(t, ch) : CHANNELS_OK;
}

static int change(presence_app *t, channels_channel *ch, const channels_msg *msg)
{
    const cJSON *what = channels_msg_json(msg), *key = cJSON_GetObjectItem(what, "key");
    char *text = NULL;
    int err;
    if (strcmp(msg->event, "track") == 0)
        return track(t, ch, what);
    if (strcmp(msg->event, "untrack") == 0)
        return channels_presence_untrack(t->set, ch, key != NULL ? key->valuestring : NULL);
    err = channels_presence_update(t->set, ch, key->valuestring,
                                   text_of(cJSON_GetObjectItem(what, "meta"), &text));
    cJSON_free(text);
    return err;
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    presence_app *t = user;
    char text[32];
    if (strcmp(msg->event, "state") == 0)
        return channels_presence_push_state(t->set, ch);
    if (strcmp(msg->event, "shout") == 0)
        return channels_broadcast(ch, msg->event, msg->payload);
    if (strcmp(msg->event, "stop") == 0)
        return CHANNELS_STOP;
    if (strcmp(msg->event, "fail") == 0)
        return -77;
    snprintf(text, sizeof text, "%d", change(t, ch, msg));
    return channels_reply(ch, "ok", channels_json(text));
}

static int on_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return channels_push(ch, msg->event, msg->payload);
}

static const char *const diffs[] = { "presence_diff", NULL };
static const channels_handler room = { .join = on_join, .joined = on_joined, .handle_in = on_in };
static const channels_handler seen = { .join = on_join,
                                       .joined = on_joined,
                                       .handle_in = on_in,
                                       .intercept = diffs,
                                       .handle_out = on_out };
static const channels_route routes[] = { { "room:*", &room, NULL },
                                         { "big:*", &room, NULL },
                                         { "seen:*", &seen, NULL },
                                         { NULL, NULL, NULL } };
static const channels_socket_handler sockets = { .routes = routes };

/* --- The case ----------------------------------------------------------------------------- */

void presence_open(presence_app *t, const channels_config *config,
                   const channels_presence_options *given)
{
    channels_presence_options options = { .user = t };
    if (given != NULL)
        options = *given;
    options.user = t;
    t->host.on_failure = unit_failure;
    if (t->host.now == 0)
        t->host.now = 1000;
    assert_int_equal(sim_start(&t->host, &t->memory, config), CHANNELS_OK);
    assert_int_equal(channels_presence_new(&t->set, t->host.ep, &options), CHANNELS_OK);
    assert_int_equal(channels_mount(t->host.ep, "/socket", &sockets, NULL, t), CHANNELS_OK);
}

int presence_app_start(void **state)
{
    presence_app *t = calloc(1, sizeof *t);
    *state = t;
    presence_forget_refs();
    presence_open(t, NULL, NULL);
    return 0;
}

void presence_app_restart(presence_app *t, const channels_config *config,
                          const channels_presence_options *options)
{
    assert_int_equal(channels_test_stop(&t->host), 0);
    memset(t, 0, sizeof *t);
    presence_forget_refs();
    presence_open(t, config, options);
}

int presence_app_stop(void **state)
{
    presence_app *t = *state;
    size_t lost = channels_test_stop(&t->host);
    if (lost != 0)
        print_error("lost %zu blocks\n", lost);
    free(t);
    return lost == 0 ? 0 : -1;
}

channels_test_client *presence_client(presence_app *t)
{
    return channels_test_connect(&t->host, "/socket", "");
}

channels_test_client *presence_member(presence_app *t, const char *topic)
{
    channels_test_client *c = presence_client(t);
    channels_test_join(c, topic, "{}");
    return c;
}

void presence_does_at(channels_test_client *c, const char *topic, const char *event,
                      const char *payload, int result, const char *file, int line)
{
    char text[16];
    unsigned ref = channels_test_push(c, topic, event, payload);
    snprintf(text, sizeof text, "%d", result);
    c->test->file = file;
    c->test->line = line;
    channels_test__expect_reply(c, ref, "ok", text);
}

void presence_hears_at(channels_test_client *c, const char *text, const char *file, int line)
{
    const char *heard = channels_test_hear(c);
    char *expected = channels_test_quoted(text),
         *got = numbered(heard != NULL ? heard : "(nothing)");
    _assert_string_equal(got, expected, file, line);
    free(expected);
    free(got);
}

void presence_diff_at(channels_test_client *c, const char *topic, const char *joins,
                      const char *leaves, const char *file, int line)
{
    char text[2048];
    snprintf(text, sizeof text, "[null,null,'%s','presence_diff',{'joins':%s,'leaves':%s}]", topic,
             joins, leaves);
    presence_hears_at(c, text, file, line);
}

void presence_say(presence_app *t, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *shown = numbered(text);
    for (char *at = shown; (at = strchr(at, '"')) != NULL;)
        *at = '\'';
    size_t used = strlen(t->said);
    snprintf(t->said + used, sizeof t->said - used, "%s", shown);
    free(shown);
}

void presence_said_at(presence_app *t, const char *text, const char *file, int line)
{
    _assert_string_equal(t->said, text, file, line);
    t->said[0] = '\0';
}

void presence_list_said(void *t, channels_payload list)
{
    presence_say(t, "%.*s;", list.data != NULL ? (int)list.len : 4,
                 list.data != NULL ? (const char *)list.data : "NULL");
}

void presence_diff_said(channels_presence *set, const channels_presence_diff *diff, void *t)
{
    assert_ptr_equal(set, ((presence_app *)t)->set);
    presence_say(t, "%s +%.*s -%.*s;", diff->topic, (int)diff->joins.len,
                 (const char *)diff->joins.data, (int)diff->leaves.len,
                 (const char *)diff->leaves.data);
}
