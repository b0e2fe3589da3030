/* test_core_connect.c - how clients get in, their ids, and how the host puts them out. */
#include "unit/core_case.h"

static int return_err(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req;
    return p->err;
}

static void paths_and_versions(void **state)
{
    static const struct {
        const char *target;
        int result, status;
    } cases[] = {
        { "/socket/websocket", CHANNELS_OK, 101 },
        { "/socket/websocket/", CHANNELS_OK, 101 },
        { "//socket//websocket", CHANNELS_OK, 101 },
        { "/socket/websocket?vsn=2.0.0", CHANNELS_OK, 101 },
        { "/socket/websocket?a=1&&vsn=9&vsn=2.0.1-rc", CHANNELS_OK, 101 },
        { "/socket/websocket?vsn=1.0.9", CHANNELS_OK, 101 },
        { "/socket/websocket?vsn=", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn=3.0.0", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn=2.0.0-rc", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn[]=2.0.0", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn[a]=2.0.0", CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn=2.0.000000000000000000000000000000000000000000000000000000000",
          CHANNELS_REFUSE, 403 },
        { "/socket/websocket?vsn=2.0.0&x=%FF", CHANNELS_REFUSE, 400 },
        { "/socket/websocket?vsn=2.0.0&x=%zz", CHANNELS_OK, 101 },
        { "/socket", CHANNELS_ERR_CLOSED, 0 },
        { "/socket/websocket/more", CHANNELS_ERR_CLOSED, 0 },
        { "/Socket/websocket", CHANNELS_ERR_CLOSED, 0 },
        { "/socket/web%73ocket", CHANNELS_ERR_CLOSED, 0 },
        { "/", CHANNELS_ERR_CLOSED, 0 },
        { "", CHANNELS_ERR_CLOSED, 0 },
    };
    core_case *t = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = core_connect(&t->a, &t->host, cases[i].target);
        if (r != cases[i].result || t->a->status != cases[i].status)
            print_error("%s: %d, status %d\n", cases[i].target, r, t->a->status);
        assert_int_equal(r, cases[i].result);
        assert_int_equal(t->a->status, cases[i].status);
        assert_true((t->a->socket != NULL) == (r == CHANNELS_OK));
        channels_test_close(t->a);
    }
}

static int connect_from(core_case *t, const char *origin)
{
    channels_header headers[] = { { "Host", "localhost:4000" }, { "oRiGiN", origin } };
    channels_request req = { .method = "GET",
                             .path = "/socket/websocket",
                             .query = "",
                             .headers = headers,
                             .nheaders = origin != NULL ? 2 : 1 };
    int r = channels_test_open(&t->host, &req, &t->a);
    channels_test_close(t->a);
    return r;
}

static void origins(void **state)
{
    static const char *const list[] = { "https://example.com", "//*.example.org", NULL };
    static const channels_mount_options of_list = { .check_origin = CHANNELS_ORIGIN_LIST,
                                                    .origins = list };
    static const channels_mount_options same = { .check_origin = CHANNELS_ORIGIN_SAME };
    static const channels_mount_options any = { .check_origin = CHANNELS_ORIGIN_ANY };
    core_case *t = *state;
    assert_int_equal(connect_from(t, NULL), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://localhost:99"), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://example.com"), CHANNELS_REFUSE);
    assert_int_equal(t->a->status, 403);
    assert_int_equal(t->host.level, CHANNELS_LOG_ERROR);
    logged(t, "http://example.com");
    assert_int_equal(connect_from(t, "null"), CHANNELS_REFUSE);
    core_case_restart(t, NULL, &of_list);
    assert_int_equal(connect_from(t, "https://example.com"), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://a.example.org"), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://example.com"), CHANNELS_REFUSE);
    core_case_restart(t, NULL, &same);
    assert_int_equal(connect_from(t, "http://localhost:4000"), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://localhost"), CHANNELS_REFUSE);
    core_case_restart(t, NULL, &any);
    assert_int_equal(connect_from(t, "null"), CHANNELS_OK);
    core_case_restart(t, &(channels_config){ .host = "example.com" }, NULL);
    assert_int_equal(connect_from(t, "http://example.com"), CHANNELS_OK);
    assert_int_equal(connect_from(t, "http://localhost"), CHANNELS_REFUSE);
}

/* --- What connect() says ------------------------------------------------------------------ */

static void connect_results(void **state)
{
    static const struct {
        int returned, result, status;
    } cases[] = { { CHANNELS_OK, CHANNELS_OK, 101 },
                  { CHANNELS_REFUSE, CHANNELS_REFUSE, 403 },
                  { -1, CHANNELS_REFUSE, 500 },
                  { CHANNELS_STOP, CHANNELS_REFUSE, 500 },
                  { CHANNELS_LATER, CHANNELS_REFUSE, 500 },
                  { 99, CHANNELS_REFUSE, 500 } };
    core_case *t = *state;
    t->probe.connect = return_err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t->probe.err = cases[i].returned;
        t->probe.trace[0] = '\0';
        assert_int_equal(core_connect(&t->a, &t->host, V2), cases[i].result);
        assert_int_equal(t->a->status, cases[i].status);
        if (cases[i].status == 500)
            logged(t, "connect() of /socket failed");
        channels_test_close(t->a);
        traced(t, cases[i].returned == CHANNELS_OK      ? "connect;disconnect closed;"
                  : cases[i].returned == CHANNELS_LATER ? "connect;disconnect failed;"
                                                        : "connect;");
    }
    assert_string_equal(t->a->body, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
}

static int refuse_429(channels_socket *s, const channels_request *req, probe *p)
{
    static const channels_response r = { .status = 429, .body = "slow down", .body_len = 9 };
    (void)req;
    int result = channels_refuse(s, &r);
    p->err = channels_refuse(s, &r);
    return result;
}

static int refuse_but_ok(channels_socket *s, const channels_request *req, probe *p)
{
    static const channels_response r = { .status = 418 };
    (void)req, (void)p;
    channels_refuse(s, &r);
    return CHANNELS_OK;
}

static void refuses_with_an_answer(void **state)
{
    core_case *t = *state;
    t->probe.connect = refuse_429;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
    assert_int_equal(t->a->status, 429);
    assert_string_equal(t->a->body, "slow down");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    logged(t, "channels_refuse");
    t->probe.connect = refuse_but_ok;
    assert_int_equal(core_connect(&t->b, &t->host, V2), CHANNELS_REFUSE);
    assert_int_equal(t->b->status, 418);
    assert_null(t->b->socket);
    traced(t, "connect;connect;disconnect refused;");
}

/* --- Ids ---------------------------------------------------------------------------------- */

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_null(channels_socket_id(s));
    channels_socket_set_id(s, "nobody");
    p->err = channels_socket_set_id(s, "users:1");
    assert_string_equal(channels_socket_id(s), "users:1");
    return CHANNELS_OK;
}

static void disconnects_by_id(void **state)
{
    core_case *t = *state;
    t->probe.connect = set_id;
    core_connect(&t->a, &t->host, V2);
    assert_int_equal(t->probe.err, CHANNELS_OK);
    core_connect(&t->b, &t->host, V2);
    t->probe.connect = NULL;
    core_connect(&t->c, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->c, "room:a", "1");
    t->probe.trace[0] = '\0';
    assert_int_equal(channels_socket_set_id(t->c->socket, "users:2"), CHANNELS_ERR_INVALID);
    logged(t, "only while connecting");
    channels_pubsub_broadcast(t->host.ep, "users:1", "other", channels_empty());
    channels_disconnect(t->host.ep, "nobody");
    assert_int_equal(t->a->code, 0);
    assert_int_equal(channels_disconnect(t->host.ep, "users:1"), CHANNELS_OK);
    assert_int_equal(t->a->code, 1001);
    assert_int_equal(t->b->code, 1001);
    assert_int_equal(t->c->code, 0);
    traced(t, "terminate room:a disconnected;disconnect disconnected;disconnect disconnected;");
    quiet(t->a); /* no phx_close for each channel */
    channels_disconnect(t->host.ep, "users:1");
    channels_test_close(t->a);
    channels_test_close(t->b);
    channels_disconnect(t->host.ep, "users:1");
    assert_true(t->a->code != 0);
    traced(t, "");
}

static int bad_ids(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    p->err = channels_socket_set_id(s, NULL) == CHANNELS_ERR_INVALID &&
             channels_socket_set_id(s, "\xff") == CHANNELS_ERR_INVALID;
    return channels_socket_set_id(s, "\x80");
}

static void bad_id_refuses(void **state)
{
    core_case *t = *state;
    t->probe.connect = bad_ids;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
    assert_true(t->probe.err);
    assert_int_equal(t->a->status, 500);
}

/* --- channels_socket_close() -------------------------------------------------------------- */

static int close_me(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_socket *s = channels_channel_socket(ch);
    assert_int_equal(channels_socket_close(s, 1000), CHANNELS_ERR_INVALID);
    p->host->log[0] = '\0';
    assert_int_equal(channels_socket_close(s, 999), CHANNELS_ERR_INVALID);
    assert_string_not_equal(p->host->log, "");
    assert_int_equal(channels_socket_close(s, 1005), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_socket_close(s, 5000), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_push(ch, "before", channels_empty()), CHANNELS_OK);
    p->err = channels_socket_close(s, 4001);
    assert_int_equal(channels_push(ch, "after", channels_empty()), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_socket_close(s, 4002), CHANNELS_ERR_CLOSED);
    return channels_reply(ch, "ok", channels_empty());
}

static void host_closes(void **state)
{
    core_case *t = *state;
    t->probe.handle_in = close_me;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_OK);
    assert_int_equal(t->a->code, 4001);
    assert_true(t->a->code != 0);
    traced(t, "connect;join room:a phx_join {};joined room:a;in room:a x {};"
              "terminate room:a disconnected;disconnect disconnected;");
    hear(t->a, "['1',null,'room:a','before',{}]");
    quiet(t->a);
    channels_test_close(t->a);
}

static int close_connecting(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    p->host->log[0] = '\0';
    p->err = channels_socket_close(s, 1001);
    assert_string_not_equal(p->host->log, "");
    return CHANNELS_OK;
}

static void cannot_close_what_connects(void **state)
{
    core_case *t = *state;
    t->probe.connect = close_connecting;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_OK);
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
    assert_int_equal(t->a->code, 0);
}

/* --- Connects that are decided later ------------------------------------------------------ */

static int connect_later(channels_socket *s, const channels_request *req, probe *p)
{
    channels_ref second;
    (void)req;
    p->err = channels_connect_later(s, &p->ref);
    assert_int_equal(channels_connect_later(s, &second), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_accept(p->host->ep, p->ref), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_respond(p->host->ep, p->ref, &(channels_response){ .status = 1 }),
                     CHANNELS_ERR_INVALID);
    return CHANNELS_LATER;
}

static void begin(core_case *t)
{
    t->probe.connect = connect_later;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_LATER);
    assert_int_equal(t->probe.err, CHANNELS_OK);
    assert_non_null(t->a->socket);
    assert_true(channels_ref_socket(t->host.ep, t->probe.ref) == t->a->socket);
    traced(t, "connect;");
}

static void accepts_later(void **state)
{
    core_case *t = *state;
    begin(t);
    assert_int_equal(channels_test_say(t->a, "[null,'1','phoenix','heartbeat',{}]"),
                     CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_socket_set_id(t->a->socket, "users:1"), CHANNELS_OK);
    assert_int_equal(channels_socket_close(t->a->socket, 1001), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    assert_int_equal(t->a->status, 101);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    assert_null(channels_ref_socket(t->host.ep, t->probe.ref));
    join(t->a, "room:a", "1");
    channels_disconnect(t->host.ep, "users:1");
    assert_int_equal(t->a->code, 1001);
    assert_int_equal(t->a->status, 101);
}

static void refuses_later(void **state)
{
    static const channels_response no = { .status = 401, .body = "who?", .body_len = 4 };
    core_case *t = *state;
    begin(t);
    assert_int_equal(channels_respond(t->host.ep, t->probe.ref, &no), CHANNELS_OK);
    assert_int_equal(t->a->status, 401);
    assert_string_equal(t->a->body, "who?");
    assert_int_equal(t->a->code, 0);
    traced(t, "disconnect refused;");
    assert_int_equal(channels_respond(t->host.ep, t->probe.ref, &no), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    channels_test_close(t->a);
    traced(t, "");
}

static void drops_later(void **state)
{
    core_case *t = *state;
    begin(t);
    channels_ref_drop(t->host.ep, t->probe.ref);
    assert_int_equal(t->a->status, 500);
    traced(t, "disconnect refused;");
}

static void gone_while_it_waits(void **state)
{
    core_case *t = *state;
    begin(t);
    channels_test_close(t->a);
    traced(t, "disconnect closed;");
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_respond(t->host.ep, t->probe.ref, &(channels_response){ 0 }),
                     CHANNELS_ERR_CLOSED);
    channels_ref_drop(t->host.ep, t->probe.ref);
    assert_int_equal(t->a->status + t->a->code, 0);
}

static void disconnected_while_it_waits(void **state)
{
    core_case *t = *state;
    begin(t);
    channels_socket_set_id(t->a->socket, "users:1");
    channels_disconnect(t->host.ep, "users:1");
    assert_int_equal(t->a->status, 403);
    assert_int_equal(t->a->code, 0);
    traced(t, "disconnect disconnected;");
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
}

static void freed_while_it_waits(void **state)
{
    core_case *t = *state;
    begin(t);
    assert_int_equal(channels_test_stop(&t->host), 0);
    traced(t, "disconnect shutdown;");
}

static int later_but_ok(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    channels_connect_later(s, &p->ref);
    return p->err;
}

static void ref_but_not_later(void **state)
{
    static const int results[] = { CHANNELS_REFUSE, -1 };
    core_case *t = *state;
    t->probe.connect = later_but_ok;
    for (int i = 0; i < 2; i++) {
        t->probe.err = results[i];
        assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
        assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    }
}

static int drop_in_connect(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_int_equal(channels_connect_later(s, &p->ref), CHANNELS_OK);
    channels_ref_drop(p->host->ep, p->ref);
    assert_int_equal(channels_accept(p->host->ep, p->ref), CHANNELS_ERR_CLOSED);
    return p->err;
}

/* connect() may then no longer say LATER. */
static void drops_in_connect(void **state)
{
    core_case *t = *state;
    t->probe.connect = drop_in_connect;
    t->probe.err = CHANNELS_LATER;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
    assert_int_equal(t->a->status, 500);
    logged(t, "without channels_connect_later()");
    t->probe.err = CHANNELS_OK;
    assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_OK);
}

static int refuse_and_return(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    channels_refuse(s, &(channels_response){ .status = 429 });
    return p->err;
}

/* The answer stands, and the mistake is told. */
static void refuses_and_says_otherwise(void **state)
{
    static const int results[] = { CHANNELS_OK, CHANNELS_LATER, -5 };
    core_case *t = *state;
    t->probe.connect = refuse_and_return;
    for (int i = 0; i < 3; i++) {
        t->probe.err = results[i];
        assert_int_equal(core_connect(&t->a, &t->host, V2), CHANNELS_REFUSE);
        assert_int_equal(t->a->status, 429);
        logged(t, "after channels_refuse()");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(paths_and_versions),
        CORE_TEST(origins),
        CORE_TEST(connect_results),
        CORE_TEST(refuses_with_an_answer),
        CORE_TEST(disconnects_by_id),
        CORE_TEST(bad_id_refuses),
        CORE_TEST(host_closes),
        CORE_TEST(cannot_close_what_connects),
        CORE_TEST(accepts_later),
        CORE_TEST(refuses_later),
        CORE_TEST(drops_later),
        CORE_TEST(gone_while_it_waits),
        CORE_TEST(disconnected_while_it_waits),
        CORE_TEST(freed_while_it_waits),
        CORE_TEST(ref_but_not_later),
        CORE_TEST(drops_in_connect),
        CORE_TEST(refuses_and_says_otherwise),
    };
    return cmocka_run_group_tests_name("core_connect", tests, NULL, NULL);
}
