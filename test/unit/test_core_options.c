/* test_core_options.c - what a mount's options let in and what connect() is told: asked origins,
 * subprotocols, tokens, headers, parameters of the path. */
#include <cjson/cJSON.h>

#include "unit/core_case.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PROTOCOL "Sec-WebSocket-Protocol"
#define BEARER "base64url.bearer.phx."

/* What connect() saw, in words. */
static char seen[512];

static void see(const char *name, const char *value)
{
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s=%s;", name, value != NULL ? value : "(none)");
}

static int look(channels_socket *s, const channels_request *req, probe *p)
{
    (void)p;
    seen[0] = '\0';
    see("token", req->auth_token);
    see("subprotocol", channels_socket_subprotocol(s));
    for (size_t i = 0; i < req->nheaders; i++)
        see(req->headers[i].name, req->headers[i].value);
    return CHANNELS_OK;
}

static int arrive(core_case *t, const char *path, const char *query, const channels_header *headers,
                  size_t n)
{
    channels_request req = {
        .method = "GET", .path = path, .query = query, .headers = headers, .nheaders = n
    };
    t->probe.connect = look;
    strcpy(seen, "(not asked)");
    int r = channels_test_open(&t->host, &req, &t->a);
    channels_test_close(t->a);
    return r;
}

/* With one header. */
static int come(core_case *t, const char *name, const char *value)
{
    channels_header header = { name, value };
    return arrive(t, "/socket/websocket", "vsn=2.0.0", &header, 1);
}

static void refused(core_case *t, int r, int status)
{
    assert_int_equal(r, CHANNELS_REFUSE);
    assert_int_equal(t->a->status, status);
    assert_string_equal(seen, "(not asked)");
}

/* --- Origins ------------------------------------------------------------------------------ */

static bool ask(const char *origin, void *user)
{
    probe *p = user;
    probe_note(p, "origin %s;", origin);
    return strcmp(origin, "null") == 0;
}

static void asked_origins(void **state)
{
    static const channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_ASK,
                                                    .ask_origin = ask };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    assert_int_equal(come(t, "Origin", "null"), CHANNELS_OK); /* even without a host */
    traced(t, "origin null;connect;disconnect closed;");
    refused(t, come(t, "Origin", "http://localhost"), 403);
    logged(t, "http://localhost");
    traced(t, "origin http://localhost;");
    assert_int_equal(come(t, "x-none", ""), CHANNELS_OK); /* nobody to ask about */
    traced(t, "connect;disconnect closed;");
}

/* --- Subprotocols ------------------------------------------------------------------------- */

static void no_subprotocols(void **state)
{
    core_case *t = *state;
    assert_int_equal(come(t, PROTOCOL, "mqtt"), CHANNELS_OK);
    assert_string_equal(seen, "token=(none);subprotocol=(none);" PROTOCOL "=mqtt;");
}

static void subprotocols(void **state)
{
    static const char *const served[] = { "sip", "mqtt", NULL };
    static const channels_mount_options options = { .websocket.subprotocols = served };
    static const channels_header lines[] = { { PROTOCOL, "x" }, { PROTOCOL, "sip" } };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    assert_int_equal(come(t, PROTOCOL, "mqtt, sip"), CHANNELS_OK);
    assert_string_equal(seen, "token=(none);subprotocol=sip;" PROTOCOL "=mqtt, sip;");
    assert_int_equal(come(t, "x", ""), CHANNELS_OK);
    assert_string_equal(seen, "token=(none);subprotocol=(none);");
    refused(t, come(t, PROTOCOL, "phoenix"), 403);
    logged(t, "none of the subprotocols");
    refused(t, come(t, PROTOCOL, ""), 403);
    refused(t, arrive(t, "/socket/websocket", "", lines, 2), 403); /* the first line counts */
    refused(t, come(t, PROTOCOL, BEARER "MTIzNA"), 403);           /* no tokens here */
}

/* --- Tokens ------------------------------------------------------------------------------- */

static void tokens(void **state)
{
    static const struct {
        const char *list, *seen;
    } cases[] = {
        { "phoenix, " BEARER "MTIzNA", "token=1234;subprotocol=phoenix;" PROTOCOL "=phoenix;" },
        { BEARER "MTIzNA", "token=1234;subprotocol=(none);" },
        { "mqtt," BEARER "MTIzNA,phoenix",
          "token=1234;subprotocol=phoenix;" PROTOCOL "=mqtt, phoenix;" },
        { "mqtt", "token=(none);subprotocol=mqtt;" PROTOCOL "=mqtt;" },
        { "phoenix, " BEARER "MQ, " BEARER "Mg",
          "token=(none);subprotocol=phoenix;" PROTOCOL "=phoenix, " BEARER "MQ, " BEARER "Mg;" },
    };
    static const char *const served[] = { "mqtt", NULL };
    static const channels_mount_options options = { .auth_token = true,
                                                    .websocket.subprotocols = served };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(come(t, PROTOCOL, cases[i].list), CHANNELS_OK);
        assert_string_equal(seen, cases[i].seen);
    }
    assert_int_equal(come(t, "X-Phoenix-AuthToken", "1234"), CHANNELS_OK); /* of long polling */
    assert_string_equal(seen, "token=(none);subprotocol=(none);X-Phoenix-AuthToken=1234;");
    refused(t, come(t, PROTOCOL, "phoenix, " BEARER "!"), 400);
    refused(t, come(t, PROTOCOL, "phoenix, " BEARER "YQBi"), 400);
    refused(t, come(t, PROTOCOL, "sip, " BEARER "MTIzNA"), 403);
    refused(t, come(t, PROTOCOL, BEARER "MQ, " BEARER "Mg"), 403);
    assert_null(strstr(t->host.log, "MQ")); /* the log is no place for tokens */
}

static int take(void *carrier, channels_buf *wire, channels_kind kind)
{
    (void)carrier, (void)wire, (void)kind;
    return 0;
}

static void closed(void *carrier, int code)
{
    (void)carrier, (void)code;
}

static void accepted(void *carrier)
{
    (void)carrier;
}

static void turned_down(void *carrier, const channels_response *r)
{
    (void)carrier, (void)r;
}

static const channels_transport longpoll = {
    .name = "longpoll", .send = take, .close = closed, .accept = accepted, .refuse = turned_down
};

static void tokens_by_long_polling(void **state)
{
    static const char *const served[] = { "mqtt", NULL };
    static const channels_mount_options options = { .auth_token = true,
                                                    .websocket.subprotocols = served,
                                                    .longpoll.on = true };
    static const channels_header headers[] = { { "X-Phoenix-AuthToken", "a.b" },
                                               { PROTOCOL, "sip, " BEARER "!" } };
    core_case *t = *state;
    channels_request req = { .method = "GET",
                             .path = "/socket/longpoll",
                             .query = "vsn=2.0.0",
                             .headers = headers,
                             .nheaders = 2 };
    channels_socket *s;
    core_case_restart(t, NULL, &options);
    t->probe.connect = look;
    assert_int_equal(channels_socket_open(t->host.ep, &req, &longpoll, NULL, &s), CHANNELS_OK);
    assert_string_equal(seen, "token=a.b;subprotocol=(none);X-Phoenix-AuthToken=a.b;" PROTOCOL
                              "=sip, " BEARER "!;");
    channels_socket_closed(s);
    req.path = "/socket/websocket"; /* not where its clients come to */
    assert_int_equal(channels_socket_open(t->host.ep, &req, &longpoll, NULL, &s),
                     CHANNELS_ERR_CLOSED);
}

/* The order is Phoenix': the query, the origin, the token, the subprotocol, the version. */
static void the_first_failure_answers(void **state)
{
    static const channels_header wrong[] = { { "origin", "http://b" },
                                             { PROTOCOL, "x, " BEARER "!" } };
    static const channels_mount_options options = { .auth_token = true };
    core_case *t = *state;
    core_case_restart(t, NULL, &options);
    refused(t, arrive(t, "/socket/websocket", "vsn=9.0.0&x=%FF", wrong, 2), 400);
    refused(t, arrive(t, "/socket/websocket", "vsn=9.0.0", wrong, 2), 403);
    logged(t, "http://b");
    refused(t, arrive(t, "/socket/websocket", "vsn=9.0.0", wrong + 1, 1), 400);
    channels_header header = { PROTOCOL, "x" };
    refused(t, arrive(t, "/socket/websocket", "vsn=9.0.0", &header, 1), 403);
    logged(t, "subprotocols");
    header.value = "phoenix";
    refused(t, arrive(t, "/socket/websocket", "vsn=9.0.0", &header, 1), 403);
    logged(t, "version");
}

/* --- Headers ------------------------------------------------------------------------------ */

static void headers(void **state)
{
    static const channels_header all[] = { { "Cookie", "a=b" }, { "X-Real-IP", "::1" } };
    static const channels_mount_options options = { .all_headers = true };
    core_case *t = *state;
    assert_int_equal(arrive(t, "/socket/websocket", "", all, 2), CHANNELS_OK);
    assert_string_equal(seen, "token=(none);subprotocol=(none);X-Real-IP=::1;");
    core_case_restart(t, NULL, &options);
    assert_int_equal(arrive(t, "/socket/websocket", "", all, 2), CHANNELS_OK);
    assert_string_equal(seen, "token=(none);subprotocol=(none);Cookie=a=b;X-Real-IP=::1;");
}

/* More than the memory that is kept for the like. */
static void many_headers(void **state)
{
    static channels_header all[1000];
    core_case *t = *state;
    for (size_t i = 0; i < COUNT(all); i++)
        all[i] = (channels_header){ i % 2 == 0 ? "x-even" : "odd", "" };
    t->memory.fail_at = t->memory.calls + 2;
    assert_int_equal(arrive(t, "/socket/websocket", "", all, COUNT(all)), CHANNELS_ERR_NOMEM);
    assert_string_equal(seen, "(not asked)");
    assert_int_equal(arrive(t, "/socket/websocket", "", all, COUNT(all)), CHANNELS_OK);
}

/* --- Paths -------------------------------------------------------------------------------- */

static int tell_params(channels_socket *s, const channels_request *req, probe *p)
{
    char room[32] = "", vsn[32] = "";
    cJSON *params = channels_request_params(req);
    char *text = cJSON_PrintUnformatted(params);
    (void)s;
    channels_request_param(req, "room", room, sizeof room);
    channels_request_param(req, "vsn", vsn, sizeof vsn);
    probe_note(p, "%s room %s vsn %s %s;", req->pattern, room, vsn, text);
    cJSON_free(text);
    cJSON_Delete(params);
    return CHANNELS_OK;
}

static const channels_socket_handler elsewhere = { .assigns_size = 1 };

static void path_parameters(void **state)
{
    static const channels_mount_options options = { .websocket.path = "/:room/ws/:vsn" };
    core_case *t = *state;
    channels_mount(t->host.ep, "/in/:house", &probe_handler, &options, &t->probe);
    channels_mount(t->host.ep, "/in", &elsewhere, &options, NULL); /* the first mounted wins */
    t->probe.connect = tell_params;
    assert_int_equal(core_connect(&t->a, &t->host, "/in/h%31/lobby/ws/2.0.0?room=x&a[]=1&vsn=9"),
                     CHANNELS_OK);
    traced(t, "connect;/in/:house/:room/ws/:vsn room lobby vsn 2.0.0 "
              "{'a':['1'],'house':'h%31','room':'lobby','vsn':'2.0.0'};");
    join(t->a, "room:a", "1"); /* in V2 */
    t->probe.trace[0] = '\0';
    assert_int_equal(core_connect(&t->b, &t->host, "/in/h/lobby/ws/2.0.0?vsn[]=1"), CHANNELS_OK);
    assert_int_equal(core_connect(&t->c, &t->host, "/in/h/lobby/ws/9.0.0"), CHANNELS_REFUSE);
    traced(t, "connect;/in/:house/:room/ws/:vsn room lobby vsn 2.0.0 "
              "{'house':'h','room':'lobby','vsn':'2.0.0'};");
    assert_int_equal(core_connect(&t->c, &t->host, "/in/h/ws/2.0.0"), CHANNELS_OK);
    traced(t, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(asked_origins),
        CORE_TEST(no_subprotocols),
        CORE_TEST(subprotocols),
        CORE_TEST(tokens),
        CORE_TEST(tokens_by_long_polling),
        CORE_TEST(the_first_failure_answers),
        CORE_TEST(headers),
        CORE_TEST(many_headers),
        CORE_TEST(path_parameters),
    };
    return cmocka_run_group_tests_name("core_options", tests, NULL, NULL);
}
