/* test_longpoll_request.c - lib/transport/longpoll.c through channels/longpoll.h: methods, origins,
 * bodies and their limits, and what hosts get wrong. */
#include "unit/longpoll_case.h"

#include <pthread.h>

#define JOIN_A "['1','1','room:a','phx_join',{}]"
#define JOINED_A "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"
#define HEARTBEAT(ref) "[null,'" ref "','phoenix','heartbeat',{}]"
#define BEATS(ref) "[null,'" ref "','phoenix','phx_reply',{'status':'ok','response':{}}]"
#define BINARY_NONE "AAEBBgQxMnJvb206YW5vbmU=" /* ["1","2","room:a","none"] and no data */
#define BAD_REQUEST "HTTP 400 {\"errors\":{\"detail\":\"Bad Request\"}}"

/* What waits, taken. */
#define heard(t, text) heard_at(t, text, __FILE__, __LINE__)
static void heard_at(longpoll_case *t, const char *text, const char *file, int line)
{
    poll_once(t, &t->c);
    longpoll_answered_at(&t->c, text, file, line);
    sim_answer_done(&t->c, true);
}

static void nothing_heard(longpoll_case *t)
{
    poll_once(t, &t->c);
    waits(&t->c);
    sim_answer_done(&t->c, false);
}

/* --- Methods and origins -------------------------------------------------------------------- */

static void other_methods(void **state)
{
    static const char *const methods[] = { "PUT", "DELETE", "PATCH", "HEAD", "get", "CONNECT", "" };
    longpoll_case *t = *state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        ask(t, &t->a, methods[i], LP, NULL, "x");
        answered(&t->a, "HTTP 400");
        assert_string_equal(t->a.head, "access-control-allow-origin: *\n");
    }
    traced(t, "");
}

static void preflights(void **state)
{
    longpoll_case *t = *state;
    ask(t, &t->a, "OPTIONS", LP,
        "Access-Control-Request-Headers: a, x-b\nx-y: z\n"
        "access-control-request-headers: c\n",
        NULL);
    answered(&t->a, "HTTP 200");
    assert_string_equal(t->a.head, "access-control-allow-origin: *\n"
                                   "access-control-allow-headers: a, x-b, c\n"
                                   "access-control-allow-methods: get, post, options\n"
                                   "access-control-max-age: 3600\n");
    ask(t, &t->a, "OPTIONS", LP, NULL, NULL);
    assert_non_null(strstr(t->a.head, "access-control-allow-headers: \n"));
}

static void pages_of_others(void **state)
{
    static const char *const methods[] = { "GET", "POST", "OPTIONS", "PUT" };
    longpoll_case *t = *state;
    open_session(t);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        ask_with_token(t, &t->a, methods[i], LP "&token=%s", "origin: http://elsewhere.example\n",
                       HEARTBEAT("1"));
        answered(&t->a, "403");
        logged(t, "http://elsewhere.example");
    }
    ask_with_token(t, &t->a, "POST", LP "&token=%s", "origin: http://localhost\n", HEARTBEAT("2"));
    answered(&t->a, "200");
    heard(t, "200 " BEATS("2"));
}

static void bad_queries(void **state)
{
    longpoll_case *t = *state;
    ask(t, &t->a, "GET", LP "&a=%FF", NULL, NULL);
    answered(&t->a, BAD_REQUEST);
    assert_non_null(strstr(t->a.head, "access-control-allow-origin: *\n"));
    ask(t, &t->a, "POST", LP "&a=%00", NULL, "x");
    answered(&t->a, BAD_REQUEST);
    traced(t, "");
}

/* --- One message -------------------------------------------------------------------------- */

static void any_type_is_one_message(void **state)
{
    static const char *const types[] = { NULL,
                                         "text/plain",
                                         "application/json",
                                         "application/x-ndjson; charset=utf-8",
                                         "Application/X-NDJSON",
                                         "" };
    longpoll_case *t = *state;
    char header[100];
    open_session(t);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(header, sizeof header, "content-type: %s\n", types[i] != NULL ? types[i] : "");
        ask_with_token(t, &t->a, "POST", LP "&token=%s", types[i] != NULL ? header : NULL,
                       "[null,'1',\n'phoenix',\r\n'heartbeat',{}]\n");
        answered(&t->a, "200");
        heard(t, "200 " BEATS("1"));
    }
}

static void what_is_no_message(void **state)
{
    static const char *const texts[] = { "", "nope", "[]", "[null,'1','phoenix','heartbeat']",
                                         "['\xff']" };
    longpoll_case *t = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        open_session(t);
        poll_once(t, &t->b);
        post(t, &t->a, texts[i]);
        answered(&t->a, "410");
        answered(&t->b, "204");
        traced(t, "connect;disconnect broken;");
        post(t, &t->a, HEARTBEAT("1"));
        answered(&t->a, "410");
    }
}

/* --- Lines -------------------------------------------------------------------------------- */

static void lines(void **state)
{
    longpoll_case *t = *state;
    open_session(t);
    post_lines(t, &t->a, JOIN_A "\n" HEARTBEAT("2") "\r\n" HEARTBEAT("3"));
    answered(&t->a, "200");
    heard(t, "200 " JOINED_A " " BEATS("2") " " BEATS("3"));
    post_lines(t, &t->a, "\n\r\n\n" HEARTBEAT("4") "\n\n" HEARTBEAT("5") "\n");
    answered(&t->a, "200");
    heard(t, "200 " BEATS("4") " " BEATS("5"));
    post_lines(t, &t->a, "");
    answered(&t->a, "200");
    post_lines(t, &t->a, "\r\n");
    answered(&t->a, "200");
    nothing_heard(t);
}

static void binary_lines(void **state)
{
    longpoll_case *t = *state;
    open_session(t);
    post_lines(t, &t->a, JOIN_A "\n" BINARY_NONE "\n" HEARTBEAT("3"));
    answered(&t->a, "200");
    heard(t, "200 " JOINED_A " " BEATS("3"));
    traced(t, "connect;join room:a phx_join {};joined room:a;in room:a none <0>;");
}

static void lines_that_are_no_base64(void **state)
{
    static const char *const bad[] = { "{}",          "AAA",           "AAEBBgQxMnJvb206YW5vbmU",
                                       "A===",        " " BINARY_NONE, BINARY_NONE "\rx",
                                       "AAEBBgQx_-==" };
    longpoll_case *t = *state;
    char text[200];
    open_session(t);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, HEARTBEAT("1") "\n%s\n" HEARTBEAT("2"), bad[i]);
        post_lines(t, &t->a, text);
        answered(&t->a, BAD_REQUEST);
        assert_non_null(strstr(t->a.head, "access-control-allow-origin: *\n"));
    }
    nothing_heard(t); /* nor any of the others */
    post_lines(t, &t->a, HEARTBEAT("1"));
    answered(&t->a, "200");
    heard(t, "200 " BEATS("1"));
}

static void too_many_lines(void **state)
{
    longpoll_case *t = *state;
    longpoll_case_restart(t, NULL, (channels_mount_options){ .longpoll.max_batch = 3 });
    open_session(t);
    post_lines(t, &t->a,
               "\n\n\n\n" HEARTBEAT("1") "\n" HEARTBEAT("2") "\n" HEARTBEAT("3") "\n" HEARTBEAT(
                   "4") "\n{what is it}");
    answered(&t->a, "200");
    heard(t, "200 " BEATS("1") " " BEATS("2") " " BEATS("3"));
}

static int close_it(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    return channels_socket_close(channels_channel_socket(ch), 4000);
}

/* Whether something was left unsaid is what the client is told. */
static void the_session_ends_meanwhile(void **state)
{
    longpoll_case *t = *state;
    t->probe.handle_in = close_it;
    open_session(t);
    post_lines(t, &t->a, JOIN_A "\n['1','2','room:a','x',{}]");
    answered(&t->a, "200");
    open_session(t);
    post_lines(t, &t->a, JOIN_A "\n['1','2','room:a','x',{}]\n" HEARTBEAT("3"));
    answered(&t->a, "410");
    open_session(t);
    post_lines(t, &t->a, HEARTBEAT("1") "\n[nonsense\n" HEARTBEAT("3"));
    answered(&t->a, "410");
    post_lines(t, &t->a, HEARTBEAT("1"));
    answered(&t->a, "410");
}

/* --- Limits ------------------------------------------------------------------------------- */

static size_t max_body(longpoll_case *t, const char *method, const char *path, const char *query)
{
    const channels_request head = { .method = method, .path = path, .query = query };
    return channels_longpoll_max_body(t->host.ep, &head);
}

static void how_much_to_read(void **state)
{
    longpoll_case *t = *state;
    char query[500];
    const channels_config config = { .max_http_body = 5000 };
    longpoll_case_restart(t, &config, (channels_mount_options){ .longpoll.max_body = 20000 });
    open_session(t);
    snprintf(query, sizeof query, "token=%s", t->token);
    assert_int_equal(max_body(t, "POST", "/socket/longpoll", query), 20000);
    assert_int_equal(max_body(t, "GET", "/socket/longpoll", query), 5000);
    assert_int_equal(max_body(t, "POST", "/socket/longpoll", "token=x"), 5000);
    assert_int_equal(max_body(t, "POST", "/socket/longpoll", "token=%FF"), 5000);
    assert_int_equal(max_body(t, "POST", "/socket/longpoll", NULL), 5000);
    assert_int_equal(max_body(t, "POST", "/socket/websocket", query), 0);
    assert_int_equal(max_body(t, NULL, NULL, NULL), 0);
    longpoll_case_restart(t, &config, (channels_mount_options){ .longpoll.max_body = 100 });
    assert_int_equal(max_body(t, "POST", "/socket/longpoll", "token=x"), 100);
}

static void too_large(void **state)
{
    longpoll_case *t = *state;
    char target[500], body[201];
    longpoll_case_restart(t, NULL, (channels_mount_options){ .longpoll.max_body = 200 });
    open_session(t);
    snprintf(target, sizeof target, LP "&token=%s", t->token);
    memset(body, ' ', sizeof body);
    memcpy(body, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]", 35);
    assert_int_equal(sim_ask_for(&t->a, &t->host, "POST", target, NULL, body, 200), CHANNELS_OK);
    answered(&t->a, "200");
    assert_int_equal(sim_ask_for(&t->a, &t->host, "POST", target, NULL, body, 201), CHANNELS_OK);
    answered(&t->a, BAD_REQUEST);
    assert_int_equal(sim_ask_for(&t->a, &t->host, "POST", target, NULL, NULL, 201), CHANNELS_OK);
    answered(&t->a, BAD_REQUEST);
    assert_int_equal(sim_ask_for(&t->a, &t->host, "POST", LP, NULL, NULL, SIZE_MAX), CHANNELS_OK);
    answered(&t->a, "410");
    heard(t, "200 " BEATS("1")); /* the session is well */
}

/* --- Hosts' mistakes ---------------------------------------------------------------------- */

static void respond(void *arg, const channels_response *r)
{
    unsigned *answers = arg;
    (void)r;
    ++*answers;
}

static void bad_requests(void **state)
{
    static const struct {
        channels_request req;
        int result;
        const char *log;
    } cases[] = {
        { { .path = "/socket/longpoll" }, CHANNELS_ERR_INVALID, "no method or no path" },
        { { .method = "GET" }, CHANNELS_ERR_INVALID, "no method or no path" },
        { { .method = "GET", .path = "/socket/longpoll", .nheaders = 1 },
          CHANNELS_ERR_INVALID,
          "no headers" },
        { { .method = "POST", .path = "/socket/longpoll", .body_len = 3 },
          CHANNELS_ERR_INVALID,
          "no bytes" },
        { { .method = "GET", .path = "/socket/websocket" }, CHANNELS_ERR_CLOSED, "" },
        { { .method = "GET", .path = "/socket/longpoll/x" }, CHANNELS_ERR_CLOSED, "" },
        { { .method = "GET", .path = "" }, CHANNELS_ERR_CLOSED, "" },
    };
    longpoll_case *t = *state;
    unsigned answers = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        channels_ref ref = { 99 };
        assert_int_equal(channels_longpoll_request(t->host.ep, &cases[i].req, respond, &answers,
                                                   &ref),
                         cases[i].result);
        assert_int_equal(ref.id, 0);
        logged(t, cases[i].log);
    }
    assert_int_equal(answers, 0);
}

static int ask_inside(channels_channel *ch, const channels_msg *msg, probe *p)
{
    const channels_request req = { .method = "GET", .path = "/socket/longpoll", .query = "" };
    unsigned answers = 0;
    channels_ref ref;
    (void)msg;
    p->err =
        channels_longpoll_request(channels_channel_endpoint(ch), &req, respond, &answers, &ref);
    assert_int_equal(answers, 0);
    return CHANNELS_OK;
}

static void from_a_callback(void **state)
{
    longpoll_case *t = *state;
    t->probe.handle_in = ask_inside;
    open_session(t);
    post_lines(t, &t->a, JOIN_A "\n['1','2','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_ERR_MISUSE);
    logged(t, "channels_longpoll_request: may not be called from inside a callback");
}

static void *elsewhere(void *arg)
{
    longpoll_case *t = arg;
    const channels_request req = { .method = "GET", .path = "/socket/longpoll", .query = "" };
    unsigned answers = 0;
    channels_ref ref;
    t->probe.err = channels_longpoll_request(t->host.ep, &req, respond, &answers, &ref);
    channels_longpoll_done(t->host.ep, t->a.ref, false);
    if (channels_longpoll_max_body(t->host.ep, &req) != 0 || answers != 0)
        t->probe.err = 1;
    return NULL;
}

static void from_another_thread(void **state)
{
    longpoll_case *t = *state;
    pthread_t thread;
    open_session(t);
    poll_once(t, &t->a);
    assert_int_equal(pthread_create(&thread, NULL, elsewhere, t), 0);
    pthread_join(thread, NULL);
    assert_int_equal(t->probe.err, CHANNELS_ERR_MISUSE);
    waits(&t->a);
    channels_test_wait(&t->host, WINDOW);
    answered(&t->a, "204");
}

static void it_is_off(void **state)
{
    longpoll_case *t = *state;
    assert_int_equal(channels_mount(t->host.ep, "/off", &probe_handler, NULL, &t->probe),
                     CHANNELS_OK);
    assert_int_equal(sim_ask_text(&t->a, &t->host, "GET", "/off/longpoll?vsn=2.0.0", NULL, NULL),
                     CHANNELS_ERR_CLOSED);
    waits(&t->a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LONGPOLL_TEST(other_methods),
        LONGPOLL_TEST(preflights),
        LONGPOLL_TEST(pages_of_others),
        LONGPOLL_TEST(bad_queries),
        LONGPOLL_TEST(any_type_is_one_message),
        LONGPOLL_TEST(what_is_no_message),
        LONGPOLL_TEST(lines),
        LONGPOLL_TEST(binary_lines),
        LONGPOLL_TEST(lines_that_are_no_base64),
        LONGPOLL_TEST(too_many_lines),
        LONGPOLL_TEST(the_session_ends_meanwhile),
        LONGPOLL_TEST(how_much_to_read),
        LONGPOLL_TEST(too_large),
        LONGPOLL_TEST(bad_requests),
        LONGPOLL_TEST(from_a_callback),
        LONGPOLL_TEST(from_another_thread),
        LONGPOLL_TEST(it_is_off),
    };
    return cmocka_run_group_tests_name("longpoll_request", tests, NULL, NULL);
}
