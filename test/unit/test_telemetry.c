/* test_telemetry.c - what config.telemetry is told, what the same looks like in the log, and that
 * neither costs a look at the clock when nobody wants it. */
#include <channels/telemetry.h>

#include "unit/core_case.h"

/* --- What is written down ----------------------------------------------------------------- */

static struct {
    uint64_t ns; /* the clock: callbacks of the probe take 1.5 ms */
    unsigned reads;
    char told[2048];  /* by telemetry */
    char lines[8192]; /* by the log */
} seen;

static uint64_t now_ns(void *user)
{
    (void)user;
    seen.reads++;
    return seen.ns;
}

static void tell(const char *format, ...)
{
    size_t used = strlen(seen.told);
    va_list args;
    va_start(args, format);
    vsnprintf(seen.told + used, sizeof seen.told - used, format, args);
    va_end(args);
}

static void on_connected(void *user, const channels_socket_connected *e)
{
    (void)user;
    tell("connected %llu %s %s %.17s %s %s;", (unsigned long long)e->duration_ns, e->path,
         e->transport, e->serializer != NULL ? e->serializer : "(none)",
         e->request != NULL ? e->request->query : "(later)", e->ok ? "ok" : "error");
    assert_non_null(e->socket);
}

static void on_joined(void *user, const channels_channel_joined *e)
{
    (void)user;
    tell("joined %llu %s %.*s %s;", (unsigned long long)e->duration_ns, e->topic,
         e->params.data != NULL ? (int)e->params.len : 7,
         e->params.data != NULL ? (const char *)e->params.data : "(later)", e->ok ? "ok" : "error");
    assert_string_equal(channels_channel_topic(e->channel), e->topic);
}

static void on_handled_in(void *user, const channels_channel_handled_in *e)
{
    (void)user;
    tell("in %llu %s %s %.*s %.*s;", (unsigned long long)e->duration_ns, e->topic, e->event,
         e->ref != NULL ? (int)e->ref_len : 4, e->ref != NULL ? e->ref : "null", (int)e->params.len,
         (const char *)e->params.data);
    assert_string_equal(channels_channel_topic(e->channel), e->topic);
}

static void on_drain(void *user, const channels_socket_drain *e)
{
    (void)user;
    tell("drain %zu/%zu %u/%u %u;", e->count, e->total, e->index, e->rounds, e->interval_ms);
}

static const channels_telemetry telemetry = { on_connected, on_joined, on_handled_in, on_drain };

static void on_log(void *user, channels_log_level level, const char *text)
{
    static const char *const names[] = { "", "debug", "info", "warning", "error" };
    size_t used = strlen(seen.lines);
    (void)user;
    assert_true(strlen(text) < 1024);
    snprintf(seen.lines + used, sizeof seen.lines - used, "%s %s\n", names[level], text);
}

#define told(text) \
    do { \
        assert_string_equal(seen.told, core_json(text).data); \
        seen.told[0] = '\0'; \
    } while (0)
#define lines(text) \
    do { \
        assert_string_equal(seen.lines, core_json(text).data); \
        seen.lines[0] = '\0'; \
    } while (0)

/* --- Callbacks that take their time ------------------------------------------------------- */

#define TOOK 1500000u

static int connect_as_asked(channels_socket *s, const channels_request *req, probe *p)
{
    char how[16] = "";
    seen.ns += TOOK;
    channels_request_param(req, "how", how, sizeof how);
    if (strcmp(how, "refuse") == 0)
        return CHANNELS_REFUSE;
    if (strcmp(how, "answer") == 0)
        return channels_refuse(s, &(channels_response){ .status = 429 });
    if (strcmp(how, "later") == 0)
        return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return strcmp(how, "fail") == 0 ? -5 : CHANNELS_OK;
}

static int join_as_asked(channels_channel *ch, const channels_msg *msg, probe *p)
{
    const char *how = msg->topic + 5;
    seen.ns += TOOK;
    if (strcmp(how, "later") == 0)
        return channels_later(ch, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return strcmp(how, "refuse") == 0 ? CHANNELS_REFUSE : strcmp(how, "fail") == 0 ? -5 : 0;
}

static int handle_as_asked(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)ch, (void)p;
    seen.ns += TOOK;
    return strcmp(msg->event, "fail") == 0   ? -5
           : strcmp(msg->event, "stop") == 0 ? CHANNELS_STOP
                                             : CHANNELS_OK;
}

static void observe(core_case *t, channels_config *config, const channels_mount_options *options)
{
    memset(&seen, 0, sizeof seen);
    config->now_ns = now_ns;
    core_case_restart(t, config, options);
    t->probe.connect = connect_as_asked;
    t->probe.join = join_as_asked;
    t->probe.handle_in = handle_as_asked;
}

static void observe_events(core_case *t)
{
    observe(t, &(channels_config){ .telemetry = &telemetry }, NULL);
}

/* --- Telemetry ---------------------------------------------------------------------------- */

static void connects(void **state)
{
    core_case *t = *state;
    observe_events(t);
    core_connect(&t->a, &t->host, V2 "&a=1");
    told("connected 1500000 /socket websocket Phoenix.Socket.V2 vsn=2.0.0&a=1 ok;");
    core_connect(&t->a, &t->host, V1);
    told("connected 1500000 /socket websocket Phoenix.Socket.V1  ok;");
    core_connect(&t->a, &t->host, V1 "?how=refuse");
    told("connected 1500000 /socket websocket Phoenix.Socket.V1 how=refuse error;");
    core_connect(&t->a, &t->host, V1 "?how=answer");
    told("connected 1500000 /socket websocket Phoenix.Socket.V1 how=answer error;");
    core_connect(&t->a, &t->host, V1 "?how=fail"); /* as a crash in Phoenix */
    core_connect(&t->a, &t->host, "/socket/websocket?vsn=9.0.0");
    core_connect(&t->a, &t->host, V1 "?%FF");
    told("");
}

static void connects_later(void **state)
{
    core_case *t = *state;
    static const channels_response no = { .status = 403 };
    observe_events(t);
    core_connect(&t->a, &t->host, V1 "?how=later");
    told("");
    seen.ns += 1000000;
    channels_accept(t->host.ep, t->probe.ref);
    told("connected 2500000 /socket websocket Phoenix.Socket.V1 (later) ok;");
    core_connect(&t->a, &t->host, V1 "?how=later");
    channels_respond(t->host.ep, t->probe.ref, &no);
    told("connected 1500000 /socket websocket Phoenix.Socket.V1 (later) error;");
    core_connect(&t->a, &t->host, V1 "?how=later");
    channels_ref_drop(t->host.ep, t->probe.ref);
    core_connect(&t->a, &t->host, V1 "?how=later");
    channels_test_close(t->a);
    told("");
}

static void joins(void **state)
{
    core_case *t = *state;
    observe_events(t);
    core_connect(&t->a, &t->host, V2);
    seen.told[0] = '\0';
    say(t->a, "['1','1','room:a','phx_join',{'b':2}]");
    told("joined 1500000 room:a {'b':2} ok;");
    say(t->a, "['2','2','room:refuse','phx_join',[]]");
    told("joined 1500000 room:refuse [] error;");
    say(t->a, "['3','3','room:fail','phx_join',{}]");
    say(t->a, "['4','4','nosuch','phx_join',{}]");
    told("");
    say(t->a, "['5','5','room:a','phx_join',{}]");
    told("joined 1500000 room:a {} ok;");
    say(t->a, "['5','6','room:a','phx_leave',{}]");
    told("");
}

static void joins_later(void **state)
{
    core_case *t = *state;
    observe_events(t);
    core_connect(&t->a, &t->host, V2);
    seen.told[0] = '\0';
    say(t->a, "['1','1','room:later','phx_join',{}]");
    told("");
    seen.ns += 1000000;
    channels_ref_reply(t->host.ep, t->probe.ref, "ok", channels_empty());
    told("joined 2500000 room:later (later) ok;");
    say(t->a, "['2','2','room:later','phx_join',{}]");
    channels_ref_reply(t->host.ep, t->probe.ref, "error", channels_empty());
    told("joined 1500000 room:later (later) error;");
    say(t->a, "['3','3','room:later','phx_join',{}]");
    channels_ref_drop(t->host.ep, t->probe.ref);
    told("");
}

static void events(void **state)
{
    core_case *t = *state;
    observe_events(t);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    seen.told[0] = '\0';
    say(t->a, "['1','2','room:a','x',{'y':1}]");
    told("in 1500000 room:a x '2' {'y':1};");
    say(t->a, "['1',null,'room:a','x',5]");
    told("in 1500000 room:a x null 5;");
    say(t->a, "[null,'3','phoenix','heartbeat',{}]");
    say(t->a, "['0','4','room:a','x',{}]"); /* of an older join */
    told("");
    say(t->a, "['1','5','room:a','stop',{}]");
    told("in 1500000 room:a stop '5' {};");
}

static void failures(void **state)
{
    core_case *t = *state;
    observe_events(t);
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    seen.told[0] = '\0';
    say(t->a, "['1','2','room:a','fail',{}]");
    told("");
}

static void drains(void **state)
{
    core_case *t = *state;
    const channels_drain_options two = { .batch = 2, .interval_ms = 10 };
    observe_events(t);
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    core_connect(&t->c, &t->host, V2);
    seen.told[0] = '\0';
    channels_drain(t->host.ep, &two);
    channels_test_wait(&t->host, 0);
    channels_test_wait(&t->host, 10);
    told("drain 2/3 1/2 10;drain 1/3 2/2 10;");
}

/* --- Costs -------------------------------------------------------------------------------- */

static void live(core_case *t)
{
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    say(t->a, "['1','3','room:a','phx_leave',{}]");
    channels_test_close(t->a);
}

static void nobody_looks_at_the_clock(void **state)
{
    core_case *t = *state;
    static const channels_telemetry drain_only = { .socket_drain = on_drain };
    observe(t, &(channels_config){ .telemetry = &drain_only }, NULL);
    live(t);
    assert_int_equal(seen.reads, 0);
    observe(t, &(channels_config){ .log = on_log, .log_level = CHANNELS_LOG_INFO }, NULL);
    live(t);
    assert_int_equal(seen.reads, 4); /* of connect() and join(), which are logged at this level */
    observe(t, &(channels_config){ .log = on_log, .log_level = CHANNELS_LOG_OFF }, NULL);
    live(t);
    assert_int_equal(seen.reads, 0);
}

/* --- Log ---------------------------------------------------------------------------------- */

static void observe_lines(core_case *t, channels_log_level level,
                          const channels_mount_options *options)
{
    observe(t, &(channels_config){ .log = on_log, .log_level = level }, options);
}

static void lines_of_connects(void **state)
{
    core_case *t = *state;
    observe_lines(t, CHANNELS_LOG_DEFAULT, NULL);
    core_connect(&t->a, &t->host,
                 V2 "&token=SECRET&a[password][]=SECRET&b=x%0Ay&pass%77ord=SECRET");
    lines("info CONNECTED TO /socket in 1ms, Transport: :websocket, Serializer: "
          "Phoenix.Socket.V2.JSONSerializer, Parameters: {'a':{'password':'[FILTERED]'},"
          "'b':'x\\ny','password':'[FILTERED]','token':'[FILTERED]','vsn':'2.0.0'}\n");
    core_connect(&t->a, &t->host, V1 "?how=refuse");
    lines("info REFUSED CONNECTION TO /socket in 1ms, Transport: :websocket, Serializer: "
          "Phoenix.Socket.V1.JSONSerializer, Parameters: {'how':'refuse'}\n");
    core_connect(&t->a, &t->host, V1 "?how=later");
    channels_accept(t->host.ep, t->probe.ref);
    lines("info CONNECTED TO /socket in 1ms, Transport: :websocket, Serializer: "
          "Phoenix.Socket.V1.JSONSerializer\n");
    core_connect(&t->a, &t->host, "/socket/websocket?vsn=9.0.0");
    lines("warning refused a connection to /socket: no serializer for the version it asks for\n");
}

static void lines_of_channels(void **state)
{
    core_case *t = *state;
    observe_lines(t, CHANNELS_LOG_DEBUG, NULL);
    core_connect(&t->a, &t->host, V2);
    seen.lines[0] = '\0';
    say(t->a, "['1','1','room:a','phx_join',{'token':'SECRET', 'n':1}]");
    lines("info JOINED room:a in 1ms, Parameters: {'token':'[FILTERED]','n':1}\n");
    say(t->a, "['2','2','room:refuse','phx_join',{}]");
    lines("info REFUSED JOIN room:refuse in 1ms, Parameters: {}\n");
    say(t->a, "['1','3','room:a','x',{'password':'SECRET'}]");
    lines("debug HANDLED x INCOMING ON room:a (room:*) in 1ms, Parameters: "
          "{'password':'[FILTERED]'}\n");
    say_bytes(t->a, "\0\1\1\6\1"
                     "14room:axSECRET");
    lines("debug HANDLED x INCOMING ON room:a (room:*) in 1ms, Parameters: <<6 bytes>>\n");
    say(t->a, "['1','4','room:a','phx_join',{}]");
    lines("debug the client joins room:a again\ninfo JOINED room:a in 1ms, Parameters: {}\n");
    say(t->a, "['1','5','nosuch','phx_join',{}]");
    lines("warning no route of /socket matches the topic 'nosuch'\n");
    say(t->a, "['1','6','room:fail','phx_join',{}]");
    lines("error join() of room:fail failed: it returned -5\n");
    say(t->a, "[null,'7','phoenix','heartbeat',{}]");
    say(t->a, "['1','8','room:a','phx_leave',{}]");
    lines("");
}

static void short_times(void **state)
{
    core_case *t = *state;
    observe_lines(t, CHANNELS_LOG_DEFAULT, NULL);
    t->probe.join = NULL;
    core_connect(&t->a, &t->host, V2);
    seen.lines[0] = '\0';
    join(t->a, "room:a", "1");
    lines("info JOINED room:a in 0\xC2\xB5s, Parameters: {}\n");
}

static int accept_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int take(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

/* Each by its own level, and below the config's there is none. */
static void levels(void **state)
{
    static const channels_handler loud = { .join = accept_join,
                                           .handle_in = take,
                                           .log_join = CHANNELS_LOG_WARNING,
                                           .log_handle_in = CHANNELS_LOG_ERROR };
    static const channels_handler mute = { .join = accept_join,
                                           .handle_in = take,
                                           .log_join = CHANNELS_LOG_OFF,
                                           .log_handle_in = CHANNELS_LOG_OFF };
    static const channels_route routes[] = { { "loud", &loud, NULL },
                                             { "mute", &mute, NULL },
                                             { "phoenix*", &loud, NULL },
                                             { NULL, NULL, NULL } };
    static const channels_socket_handler handler = { .routes = routes };
    static const channels_mount_options off = { .log_connect = CHANNELS_LOG_OFF };
    core_case *t = *state;
    observe_lines(t, CHANNELS_LOG_WARNING, NULL);
    assert_int_equal(channels_mount(t->host.ep, "/more", &handler, &off, NULL), CHANNELS_OK);
    core_connect(&t->a, &t->host, "/more/websocket?vsn=2.0.0");
    lines("");
    join(t->a, "loud", "1");
    lines("warning JOINED loud in 0\xC2\xB5s, Parameters: {}\n");
    say(t->a, "['1','2','loud','x',{}]");
    lines("error HANDLED x INCOMING ON loud (loud) in 0\xC2\xB5s, Parameters: {}\n");
    join(t->a, "mute", "1");
    say(t->a, "['1','3','mute','x',{}]");
    join(t->a, "phoenix:live", "1"); /* Phoenix keeps these to itself */
    say(t->a, "['1','4','phoenix:live','x',{}]");
    lines("");
}

static int take_frame(channels_socket *s, channels_payload frame, void *user)
{
    (void)s, (void)frame, (void)user;
    return CHANNELS_OK;
}

static void sockets_without_channels(void **state)
{
    static const channels_socket_handler raw = { .handle_frame = take_frame };
    core_case *t = *state;
    observe(t, &(channels_config){ .telemetry = &telemetry, .log = on_log }, NULL);
    assert_int_equal(channels_mount(t->host.ep, "/raw", &raw, NULL, NULL), CHANNELS_OK);
    core_connect(&t->a, &t->host, "/raw/websocket?a=1");
    assert_null(channels_socket_serializer(t->a->socket));
    lines("info CONNECTED TO /raw in 0\xC2\xB5s, Transport: :websocket, Parameters: {'a':'1'}\n");
    told("connected 0 /raw websocket (none) a=1 ok;");
}

static void own_filter(void **state)
{
    static const char *const words[] = { "phone", NULL };
    core_case *t = *state;
    observe(t, &(channels_config){ .log = on_log, .log_filter = words }, NULL);
    core_connect(&t->a, &t->host, V2);
    seen.lines[0] = '\0';
    say(t->a, "['1','1','room:a','phx_join',{'token':1,'phone':2}]");
    lines("info JOINED room:a in 1ms, Parameters: {'token':1,'phone':'[FILTERED]'}\n");
    observe(t, &(channels_config){ .log = on_log, .log_filter = words, .log_keep = true }, NULL);
    core_connect(&t->a, &t->host, V2);
    seen.lines[0] = '\0';
    say(t->a, "['1','1','room:a','phx_join',{'token':1,'phone':2}]");
    lines("info JOINED room:a in 1ms, Parameters: {'token':'[FILTERED]','phone':2}\n");
}

/* Cut where a character ends; what would speak to a terminal is taken out. */
static void long_lines(void **state)
{
    core_case *t = *state;
    for (int shift = 0; shift < 4; shift++) {
        char text[3000];
        observe_lines(t, CHANNELS_LOG_DEFAULT, NULL);
        core_connect(&t->a, &t->host, V2);
        seen.lines[0] = '\0';
        int n = sprintf(text, "['1','1','room:a','phx_join',{'%.*s':'", shift, "xxx");
        for (int i = 0; i < 500; i++)
            n += sprintf(text + n, "\xE2\x82\xAC");
        strcpy(text + n, "'}]");
        say(t->a, text);
        size_t len = strlen(seen.lines);
        assert_in_range(len, 1018, 1029); /* "info ", 1023 at most, the newline */
        assert_string_equal(seen.lines + len - 7, "\xE2\x82\xAC...\n");
    }
    for (int len = 199; len < 203; len++) { /* names at 200 bytes: "room:", then these */
        char topic[300], text[400], line[400];
        observe_lines(t, CHANNELS_LOG_DEFAULT, NULL);
        core_connect(&t->a, &t->host, V2);
        seen.lines[0] = '\0';
        snprintf(topic, sizeof topic, "room:%0*d\xC5\xBC", len - 7, 0);
        snprintf(text, sizeof text, "['1','1','%s','phx_join',{}]", topic);
        say(t->a, text);
        if (len > 200)
            strcpy(topic + (len == 201 ? 199 : 200), "...");
        snprintf(line, sizeof line, "info JOINED %s in 1ms, Parameters: {}\n", topic);
        lines(line);
    }
    observe_lines(t, CHANNELS_LOG_DEFAULT, NULL);
    core_connect(&t->a, &t->host, V2);
    seen.lines[0] = '\0';
    say(t->a, "['1','1','room:a','phx_join',{'a':'\xC2\x9B\x7F'}]");
    lines("info JOINED room:a in 1ms, Parameters: {'a':'   '}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(connects),
        CORE_TEST(connects_later),
        CORE_TEST(joins),
        CORE_TEST(joins_later),
        CORE_TEST(events),
        CORE_TEST(failures),
        CORE_TEST(drains),
        CORE_TEST(nobody_looks_at_the_clock),
        CORE_TEST(lines_of_connects),
        CORE_TEST(lines_of_channels),
        CORE_TEST(short_times),
        CORE_TEST(levels),
        CORE_TEST(sockets_without_channels),
        CORE_TEST(own_filter),
        CORE_TEST(long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
