/* test_channels_test.c - channels/test.h as it is used: a room and its tests, and what a test that
 * fails is told. Nothing here knows the library from inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <channels/pubsub.h>
#include <channels/test.h>

/* --- The application ---------------------------------------------------------------------- */

typedef struct app {
    channels_test t;
    unsigned messages;
    channels_ref waiting; /* a connect, a join or a question that is answered later */
    channels_reason left; /* of the last that went */
    char told[2000];      /* the last failure, with its place */
} app;

static int connect(channels_socket *s, const channels_request *req, void *user)
{
    static const channels_header headers[] = { { "content-type", "application/json" } };
    static const channels_response expired = { 401, headers, 1, "{\"reason\":\"expired\"}", 20 };
    app *a = user;
    char token[32] = "";
    channels_request_param(req, "token", token, sizeof token);
    if (strcmp(token, "forged") == 0)
        return CHANNELS_REFUSE;
    if (strcmp(token, "expired") == 0)
        return channels_refuse(s, &expired);
    channels_socket_set_id(s, token);
    if (strcmp(token, "slow") != 0)
        return CHANNELS_OK;
    channels_connect_later(s, &a->waiting);
    return CHANNELS_LATER;
}

static int join(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    if (strcmp(msg->topic, "room:slow") == 0)
        return channels_later(ch, &a->waiting) == CHANNELS_OK ? CHANNELS_LATER : -1;
    if (strcmp(msg->topic, "room:private") == 0) {
        channels_reply(ch, "error", channels_json("{\"reason\":\"by invitation only\"}"));
        return CHANNELS_REFUSE;
    }
    return channels_reply(ch, "ok", channels_json("{\"history\":[1,2,3]}"));
}

static int joined(channels_channel *ch, void *user)
{
    (void)user;
    return channels_broadcast_from(ch, "entered", channels_empty());
}

static int new_msg(channels_channel *ch, const channels_msg *msg, app *a)
{
    char text[32];
    snprintf(text, sizeof text, "{\"id\":%u}", ++a->messages);
    channels_broadcast_from(ch, msg->event, msg->payload);
    return channels_reply(ch, "ok", channels_json(text));
}

static int handle_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    if (strcmp(msg->event, "new_msg") == 0)
        return new_msg(ch, msg, a);
    if (strcmp(msg->event, "secret") == 0)
        return channels_broadcast(ch, msg->event, msg->payload);
    if (strcmp(msg->event, "echo") == 0)
        return channels_reply(ch, "ok", msg->payload);
    if (strcmp(msg->event, "ask") == 0)
        return channels_later(ch, &a->waiting);
    if (strcmp(msg->event, "tick") == 0)
        return channels_info_after(ch, 1000, NULL, NULL, NULL);
    if (strcmp(msg->event, "spin") == 0)
        return channels_info_after(ch, 0, a, NULL, NULL);
    return CHANNELS_STOP;
}

/* Ticks for ever; or, with the app as its info, spins. */
static int handle_info(channels_channel *ch, void *info, void *user)
{
    (void)user;
    if (info == NULL)
        channels_push(ch, "tick", channels_empty());
    return channels_info_after(ch, info == NULL ? 1000 : 0, info, NULL, NULL);
}

static int handle_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)msg, (void)user;
    return channels_push(ch, "whisper", channels_binary("\0<\\>\xff", 5));
}

static void terminate(channels_channel *ch, channels_reason why, void *user)
{
    app *a = user;
    (void)ch;
    a->left = why;
}

static const char *const secrets[] = { "secret", NULL };
static const channels_handler room = { .intercept = secrets,
                                       .join = join,
                                       .joined = joined,
                                       .handle_in = handle_in,
                                       .handle_out = handle_out,
                                       .handle_info = handle_info,
                                       .terminate = terminate };
static const channels_route routes[] = { { "room:*", &room, NULL }, { NULL, NULL, NULL } };
static const channels_socket_handler clients = { .routes = routes, .connect = connect };

/* --- What every test begins and ends with ------------------------------------------------- */

static void fail_in_cmocka(void *arg, const char *file, int line, const char *text)
{
    (void)arg;
    print_error("%s\n", text);
    _fail(file, line);
}

/* For the tests of failures. */
static void tell(void *arg, const char *file, int line, const char *text)
{
    app *a = arg;
    snprintf(a->told, sizeof a->told, "%s:%d: %s", file, line, text);
}

static int start(void **state)
{
    app *a = calloc(1, sizeof *a);
    *state = a;
    a->t.on_failure = fail_in_cmocka;
    return channels_test_start(&a->t, NULL) ||
           channels_mount(a->t.ep, "/socket", &clients, NULL, a);
}

static int stop(void **state)
{
    app *a = *state;
    channels_test_stop(&a->t);
    free(a);
    return 0;
}

static channels_test_client *member(app *a, const char *topic)
{
    channels_test_client *c = channels_test_connect(&a->t, "/socket", "token=ann");
    channels_test_join(c, topic, "{}");
    return c;
}

/* --- Tests of the application ------------------------------------------------------------- */

static void people_talk(void **state)
{
    app *a = *state;
    channels_test_client *alice = channels_test_connect(&a->t, "/socket", "token=alice");
    channels_test_client *bob = channels_test_connect(&a->t, "/socket", "token=bob");
    const cJSON *response = channels_test_join(alice, "room:1", "{}")->json;
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(response, "history")), 3);
    channels_test_join(bob, "room:1", "{}");
    channels_test_expect_broadcast(alice, "room:1", "entered", "{}");
    channels_test_push(alice, "room:1", "new_msg", "{'body':'hi'}");
    channels_test_expect_reply(alice, "ok", "{'id':1}");
    channels_test_expect_nothing(alice);
    channels_test_expect_broadcast(bob, "room:1", "new_msg", "{'body':'hi'}");
    channels_test_expect_nothing(bob);
}

static void not_everyone_comes_in(void **state)
{
    app *a = *state;
    channels_test_client *eve = channels_test_connect(&a->t, "/socket", "token=forged");
    channels_test_expect_refused(eve, 403, "$any");
    eve = channels_test_connect(&a->t, "/socket", "token=expired");
    channels_test_expect_refused(eve, 401, "{'reason':'expired'}");
    channels_test_client *bob = channels_test_connect(&a->t, "/socket", "");
    channels_test_push(bob, "room:private", "phx_join", "{}");
    channels_test_expect_reply(bob, "error", "{'reason':'by invitation only'}");
    channels_test_push(bob, "hall:1", "phx_join", "{}");
    channels_test_expect_reply(bob, "error", "{'reason':'unmatched topic'}");
}

static void answers_come_later(void **state)
{
    app *a = *state;
    channels_test_client *c = channels_test_connect(&a->t, "/socket", "token=slow");
    assert_int_equal(c->status, 0);
    channels_accept(a->t.ep, a->waiting);
    assert_int_equal(c->status, 101);
    unsigned ref = channels_test_push(c, "room:slow", "phx_join", "{}");
    channels_test_expect_nothing(c);
    channels_ref_reply(a->t.ep, a->waiting, "ok", channels_json("[1]"));
    channels_test_expect_reply_to(c, ref, "ok", "[1]");
    unsigned asked = channels_test_push(c, "room:slow", "ask", "{}");
    channels_test_push(c, "room:slow", "echo", "{'now':true}");
    channels_ref_reply(a->t.ep, a->waiting, "sorry", channels_binary(NULL, 0));
    channels_test_expect_reply_to(c, asked, "sorry", "<>");
    channels_test_expect_reply(c, "ok", "{'now':true}");
}

static void time_passes(void **state)
{
    app *a = *state;
    channels_test_client *c = member(a, "room:1");
    channels_test_push(c, "room:1", "tick", "{}");
    channels_test_wait(&a->t, 999);
    channels_test_expect_nothing(c);
    channels_test_wait(&a->t, 1);
    channels_test_expect_push(c, "room:1", "tick", "{}");
    channels_test_wait(&a->t, 3500);
    assert_int_equal(a->t.now, 4500);
    assert_int_equal(c->waiting, 3); /* the next is due in half a second */
    channels_test_wait(&a->t, 500);
    assert_int_equal(c->waiting, 4);
}

static void bytes(void **state)
{
    app *a = *state;
    channels_test_client *c = member(a, "room:1");
    channels_test_push(c, "room:1", "echo", "<so\\00\\ff \\3c>");
    const channels_test_message *m = channels_test_next(c);
    assert_string_equal(m->status, "ok");
    assert_null(m->json);
    assert_int_equal(m->len, 6);
    assert_memory_equal(m->bytes, "so\0\xff <", 6);
    channels_test_push(c, "room:1", "secret", "{}");
    channels_test_expect_push(c, "room:1", "whisper", "<\\00<\\5c>\\ff>");
    channels_pubsub_broadcast(a->t.ep, "room:1", "news", channels_binary("\xff", 1));
    channels_test_expect_broadcast(c, "room:1", "news", "<\\ff>");
    channels_test_push_payload(c, "room:1", "echo", channels_binary("\0", 1));
    channels_test_expect_reply(c, "ok", "$any");
    channels_test_expect_nothing(c);
}

static void everyone_leaves(void **state)
{
    app *a = *state;
    channels_test_client *c = member(a, "room:1");
    channels_test_leave(c, "room:1");
    assert_int_equal(a->left, CHANNELS_LEFT);
    channels_test_join(c, "room:1", "{}");
    channels_test_push(c, "room:1", "what nobody knows", "{}");
    channels_test_expect_push(c, "room:1", "phx_close", "{}");
    channels_test_join(c, "room:1", "{}");
    channels_disconnect(a->t.ep, "ann");
    channels_test_expect_closed(c, 1001);
    assert_int_equal(a->left, CHANNELS_DISCONNECTED);
    c = member(a, "room:1");
    channels_test_close(c);
    assert_int_equal(a->left, CHANNELS_CLOSED);
}

static void remarks_are_logged(void **state)
{
    app *a = *state;
    assert_int_equal(channels_mount(a->t.ep, "", &clients, NULL, a), CHANNELS_ERR_INVALID);
    channels_test_expect_log(&a->t, "channels_mount");
    assert_string_equal(a->t.log, "");
    assert_int_equal(a->t.logged, 1);
    for (int i = 0; i < 1000; i++)
        channels_mount(a->t.ep, i < 999 ? "" : "/last#", &clients, NULL, a);
    channels_test_expect_log(&a->t, "/last#"); /* the newest are there */
    assert_string_equal(a->t.log, "");
}

static void shout(channels_endpoint *ep, void *arg)
{
    (void)arg;
    channels_pubsub_broadcast(ep, "room:1", "news", channels_empty());
}

/* As other threads would. */
static void what_was_posted(void **state)
{
    app *a = *state;
    channels_test_client *c = member(a, "room:1");
    channels_post(a->t.ep, shout, NULL, NULL);
    channels_test_expect_broadcast(c, "room:1", "news", "{}");
    channels_post(a->t.ep, shout, NULL, NULL);
    assert_string_equal(channels_test_next(c)->event, "news");
    channels_post(a->t.ep, shout, NULL, NULL);
    channels_test_wait(&a->t, 0);
    assert_int_equal(c->waiting, 1);
    channels_post(a->t.ep, shout, NULL, NULL);
    a->t.on_failure = tell;
    a->t.on_failure_arg = a;
    assert_non_null(channels_test_expect_broadcast(c, "room:1", "news", "{}"));
    assert_non_null(channels_test_expect_broadcast(c, "room:1", "news", "{}"));
    channels_post(a->t.ep, shout, NULL, NULL);
    channels_test_expect_nothing(c);
    assert_non_null(strstr(a->told, "waiting:  broadcast on room:1: news {}"));
}

static void who_does_not_read(void **state)
{
    static const channels_mount_options little = { .max_queued = 500 };
    app *a = *state;
    channels_mount(a->t.ep, "/little", &clients, &little, a);
    channels_test_client *c = channels_test_connect(&a->t, "/little", "");
    channels_test_join(c, "room:1", "{}");
    for (int i = 0; i < 100; i++) {
        channels_test_push(c, "room:1", "echo", "{}");
        channels_test_expect_reply(c, "ok", "{}");
    }
    for (int i = 0; i < 100; i++)
        channels_pubsub_broadcast(a->t.ep, "room:1", "news", channels_empty());
    channels_test_expect_closed(c, 1008);
    assert_int_equal(a->left, CHANNELS_SLOW);
    assert_string_equal(channels_test_next(c)->event, "news"); /* what came before */
}

static void exact_messages(void **state)
{
    app *a = *state;
    channels_request req = { .method = "GET", .path = "/socket/websocket", .query = "" };
    channels_test_client *c, *none;
    assert_int_equal(channels_test_open(&a->t, &req, &c), CHANNELS_OK); /* version 1 */
    channels_test_say(c, "{'topic':'room:1','event':'phx_join','ref':'7','payload':{}}");
    char *expected = channels_test_quoted("{'topic':'room:1','event':'phx_reply','payload':"
                                          "{'status':'ok','response':{'history':[1,2,3]}},"
                                          "'ref':'7'}");
    assert_string_equal(channels_test_hear(c), expected);
    assert_null(channels_test_hear(c));
    free(expected);
    assert_int_equal(channels_test_say(c, "nonsense"), CHANNELS_ERR_PROTOCOL);
    channels_test_expect_closed(c, 1011);
    assert_int_equal(channels_test_say(c, "more of it"), CHANNELS_ERR_CLOSED);
    req.path = "/nowhere";
    assert_int_equal(channels_test_open(&a->t, &req, &none), CHANNELS_ERR_CLOSED);
    assert_int_equal(none->status, 0);
}

/* --- A configuration of one's own --------------------------------------------------------- */

static void count_lines(void *user, channels_log_level level, const char *text)
{
    (void)level, (void)text;
    ++*(unsigned *)user;
}

static void own_config(void **state)
{
    unsigned lines = 0;
    channels_config config = { .user = &lines, .log = count_lines, .node = "me" };
    channels_test t = { .on_failure = fail_in_cmocka, .now = 77 };
    (void)state;
    channels_test_start(&t, &config);
    assert_true(channels_endpoint_user(t.ep) == &lines);
    assert_string_equal(channels_pubsub_node(t.ep), "me");
    channels_mount(t.ep, "", &clients, NULL, NULL);
    assert_int_equal(lines, 1);
    channels_test_expect_log(&t, "");
    assert_int_equal(t.now, 77);
    channels_test_stop(&t);
    channels_test_start(&t, NULL); /* once more */
    assert_int_equal(t.now, 77);
    assert_true(t.blocks > 0 && t.bytes > 0);
    channels_test_stop(&t);
    assert_int_equal(t.blocks + t.bytes, 0);
}

static uint64_t later_by_2_ms(void *user)
{
    return *(uint64_t *)user += 2000000;
}

static void durations(void **state)
{
    uint64_t ns = 0;
    channels_config config = { .user = &ns, .now_ns = later_by_2_ms };
    app *a = *state;
    channels_test_connect(&a->t, "/socket", "");
    channels_test_expect_log(&a->t, "CONNECTED TO /socket in 0\xC2\xB5s"); /* the test's clock */
    channels_test_stop(&a->t);
    channels_test_start(&a->t, &config);
    channels_mount(a->t.ep, "/socket", &clients, NULL, a);
    channels_test_connect(&a->t, "/socket", "");
    channels_test_expect_log(&a->t, "CONNECTED TO /socket in 2ms");
    assert_int_equal(ns, 4000000); /* and no other's */
    assert_int_equal(a->t.now, 0);
}

static void the_same_in_each_run(void **state)
{
    char names[3][64];
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        channels_test t = { .on_failure = fail_in_cmocka, .random = 5 + i / 2 };
        channels_test_start(&t, NULL);
        snprintf(names[i], sizeof names[i], "%s", channels_pubsub_node(t.ep));
        channels_test_stop(&t);
    }
    assert_string_equal(names[0], names[1]);
    assert_string_not_equal(names[0], names[2]);
}

/* --- Values ------------------------------------------------------------------------------- */

static void json_by_value(void **state)
{
    static const struct {
        const char *got, *expected;
        bool same;
    } cases[] = {
        { "{'a':1,'b':[true,null]}", "{ 'b' : [true, null], 'a' : 1.0 }", true },
        { "{'a':1}", "{'A':1}", false },
        { "{'a':1}", "{'a':1,'b':2}", false },
        { "{'a':1,'b':2}", "{'a':1}", false },
        { "{'a':1,'b':2}", "{'a':1,'c':2}", false },
        { "{'a':[1,2]}", "{'a':[2,1]}", false },
        { "{'a':[1,2]}", "{'a':[1]}", false },
        { "{'a':[1]}", "{'a':[1,2]}", false },
        { "{'a':0.1}", "{'a':0.10000000000000001}", true },
        { "{'a':0.1}", "{'a':0.2}", false },
        { "{'a':1}", "{'a':'1'}", false },
        { "{'a':true}", "{'a':false}", false },
        { "{'a':'\\u00e9'}", "{'a':'\xc3\xa9'}", true },
        { "{\"a\":\"it's\"}", "{\"a\":\"it's\"}", true },
        { "{'a':{'b':[1,{}]},'c':0}", "{'a':'$any','c':'$any'}", true },
        { "{'a':1}", "$any", true },
        { "{'a':1}", "'$any'", true },
        { "{'a':1}", "{'$any':1}", false },
        { "{'a':1}", "<>", false },
        { "{'a':1}", "{'a':1} ?", false },
        { "<>", "{}", false },
        { "<a>", "<a>", true },
        { "<a>", "<b>", false },
        { "<a>", "<\\61>", true },
    };
    app *a = *state;
    channels_test_client *c = member(a, "room:1");
    a->t.on_failure = tell;
    a->t.on_failure_arg = a;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        channels_test_push(c, "room:1", "echo", cases[i].got);
        bool same = channels_test_expect_reply(c, "ok", cases[i].expected) != NULL;
        if (same != cases[i].same)
            print_error("%s and %s: %d\n", cases[i].got, cases[i].expected, same);
        assert_true(same == cases[i].same);
    }
}

/* --- Failures ----------------------------------------------------------------------------- */

/* All but the place, which begins every line told. */
#define TOLD(a, ...) \
    do { \
        char place[100]; \
        (a)->told[0] = '\0'; \
        snprintf(place, sizeof place, "%s:%d: ", __FILE__, __LINE__); \
        __VA_ARGS__; \
        assert_memory_equal((a)->told, place, strlen(place)); \
        memmove((a)->told, (a)->told + strlen(place), strlen((a)->told + strlen(place)) + 1); \
    } while (0)

static app *begin_to_fail(void **state)
{
    app *a = *state;
    a->t.on_failure = tell;
    a->t.on_failure_arg = a;
    return a;
}

static void another_payload(void **state)
{
    app *a = begin_to_fail(state);
    channels_test_client *c = member(a, "room:1");
    unsigned ref = channels_test_push(c, "room:1", "echo", "{'b':[1],'a':'x'}");
    TOLD(a, assert_null(channels_test_expect_reply(c, "ok", "{'a':'y', 'b':[1]}")));
    assert_string_equal(a->told, "this was to come\n"
                                 "  expected: reply: ok {\"a\":\"y\",\"b\":[1]}\n"
                                 "  got:      reply to 2: ok {\"b\":[1],\"a\":\"x\"}");
    ref = channels_test_push(c, "room:1", "echo", "<\\00a>");
    TOLD(a, channels_test_expect_reply_to(c, ref, "error", "{'a':}"));
    assert_string_equal(a->told, "this was to come\n"
                                 "  expected: reply to 3: error {'a':} (which is no JSON)\n"
                                 "  got:      reply to 3: ok <\\00a>");
    ref = channels_test_push(c, "room:1", "echo", "{}");
    TOLD(a, channels_test_expect_reply_to(c, ref, "error", "$any"));
    channels_test_expect_nothing(c);
}

static void nothing_of_the_kind(void **state)
{
    app *a = begin_to_fail(state);
    channels_test_client *c = member(a, "room:1");
    TOLD(a, channels_test_expect_push(c, "room:1", "hello", "{}"));
    assert_string_equal(a->told, "this was to come\n"
                                 "  expected: push on room:1: hello {}\n"
                                 "  got:      nothing; it is open");
    channels_pubsub_broadcast(a->t.ep, "room:1", "hello", channels_empty());
    channels_test_push(c, "room:1", "echo", "{}");
    TOLD(a, channels_test_expect_push(c, "room:1", "hello", "{}"));
    assert_string_equal(a->told, "this was to come\n"
                                 "  expected: push on room:1: hello {}\n"
                                 "  got:      nothing of the kind; it is open\n"
                                 "  waiting:  broadcast on room:1: hello {}\n"
                                 "  waiting:  reply to 2: ok {}");
    TOLD(a, channels_test_expect_nothing(c));
    assert_string_equal(a->told, "nothing more was to come\n"
                                 "  waiting:  broadcast on room:1: hello {}\n"
                                 "  waiting:  reply to 2: ok {}");
    assert_int_equal(c->waiting, 2); /* as before */
    assert_non_null(channels_test_expect_reply(c, "ok", "{}"));
    channels_test_push(c, "room:1", "echo", "{}");
    assert_non_null(channels_test_expect_broadcast(c, "room:1", "hello", "{}"));
    assert_non_null(channels_test_expect_reply(c, "ok", "{}"));
    assert_int_equal(c->waiting, 0);
}

static void no_such_client(void **state)
{
    app *a = begin_to_fail(state);
    channels_test_client *c;
    TOLD(a, channels_test_connect(&a->t, "/sockte", ""));
    assert_string_equal(a->told, "no client of /sockte: nothing is mounted there");
    c = channels_test_connect(&a->t, "/socket", "token=expired");
    TOLD(a, channels_test_push(c, "room:1", "x", "{}"));
    assert_non_null(strstr(a->told, "; it is refused with 401 {\"reason\":\"expired\"}"));
    TOLD(a, channels_test_expect_refused(c, 403, "{'reason':'expired'}"));
    assert_string_equal(a->told, "it was to be refused\n"
                                 "  expected: refused with 403 {\"reason\":\"expired\"}\n"
                                 "  got:      refused with 401 {\"reason\":\"expired\"}");
    c = channels_test_connect(&a->t, "/socket", "token=slow");
    TOLD(a, channels_test_expect_refused(c, 403, "$any"));
    assert_non_null(strstr(a->told, "got:      not let in yet"));
    c = member(a, "room:1");
    TOLD(a, channels_test_expect_closed(c, 1001));
    assert_non_null(strstr(a->told, "expected: closed with 1001\n  got:      open"));
    channels_disconnect(a->t.ep, "ann");
    TOLD(a, channels_test_expect_closed(c, 1012));
    assert_non_null(strstr(a->told, "expected: closed with 1012\n  got:      closed with 1001"));
    channels_test_expect_closed(c, 1001);
}

static void what_else_fails(void **state)
{
    app *a = begin_to_fail(state);
    channels_test_client *c = member(a, "room:1");
    TOLD(a, channels_test_expect_log(&a->t, "on fire"));
    assert_non_null(strstr(a->told, "expected: ...on fire...\n  got:      CONNECTED TO /socket"));
    TOLD(a, channels_test_push(c, "room:1", "echo", "{'a'"));
    assert_non_null(strstr(a->told, "; it is closed with 1011"));
    c = member(a, "room:1");
    TOLD(a, channels_test_push(c, "room:1", "spin", "{}"));
    assert_string_equal(a->told, "the endpoint does not come to rest at 0 ms");
}

static void the_library_misbehaves(void **state)
{
    app *a = begin_to_fail(state);
    channels_test_client *c = member(a, "room:1");
    a->t.transport.close(c, 1001);
    channels_pubsub_broadcast(a->t.ep, "room:1", "news", channels_empty());
    a->t.transport.close(c, 1001);
    TOLD(a, channels_test_stop(&a->t));
    assert_string_equal(a->told, "the endpoint did to a client: a message behind the close");
    a->t.on_failure = fail_in_cmocka;
    channels_test_start(&a->t, NULL);
    channels_test_stop(&a->t);
}

/* A transport of the host's that keeps what it was given. */
static int keep(void *carrier, channels_buf *wire, channels_kind kind)
{
    (void)carrier, (void)kind;
    channels_buf_ref(wire);
    return CHANNELS_OK;
}

static void end(void *carrier, int code)
{
    (void)carrier, (void)code;
}

static void accepted(void *carrier)
{
    (void)carrier;
}

static void refused(void *carrier, const channels_response *r)
{
    (void)carrier, (void)r;
}

/* Gives from a store that can be thrown away as a whole. */
static void *from_store(void *store, void *p, size_t old_size, size_t new_size)
{
    size_t *used = store;
    char *fresh = (char *)store + 16 + *used;
    *used += (new_size + 15) / 16 * 16;
    if (old_size != 0 && new_size != 0)
        memcpy(fresh, p, old_size < new_size ? old_size : new_size);
    return new_size != 0 ? fresh : NULL;
}

static void memory_is_lost(void **state)
{
    static const channels_transport transport = {
        .name = "websocket", .send = keep, .close = end, .accept = accepted, .refuse = refused
    };
    channels_request req = { .method = "GET", .path = "/socket/websocket", .query = "vsn=2.0.0" };
    app *a = begin_to_fail(state);
    channels_test_stop(&a->t);
    channels_config config = { .realloc = from_store, .user = calloc(1, 1 << 20) };
    channels_socket *s;
    channels_test_start(&a->t, &config);
    channels_mount(a->t.ep, "/socket", &clients, NULL, a);
    channels_socket_open(a->t.ep, &req, &transport, NULL, &s);
    channels_socket_receive(s, channels_json("[null,\"1\",\"phoenix\",\"heartbeat\",{}]"));
    TOLD(a, assert_int_equal(channels_test_stop(&a->t), 1));
    assert_non_null(strstr(a->told, "1 blocks of memory, "));
    free(config.user);
}

#define APP_TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        APP_TEST(people_talk),
        APP_TEST(not_everyone_comes_in),
        APP_TEST(answers_come_later),
        APP_TEST(time_passes),
        APP_TEST(bytes),
        APP_TEST(everyone_leaves),
        APP_TEST(remarks_are_logged),
        APP_TEST(what_was_posted),
        APP_TEST(who_does_not_read),
        APP_TEST(exact_messages),
        APP_TEST(own_config),
        APP_TEST(durations),
        APP_TEST(the_same_in_each_run),
        APP_TEST(json_by_value),
        APP_TEST(another_payload),
        APP_TEST(nothing_of_the_kind),
        APP_TEST(no_such_client),
        APP_TEST(what_else_fails),
        APP_TEST(the_library_misbehaves),
        APP_TEST(memory_is_lost),
    };
    return cmocka_run_group_tests_name("channels_test", tests, NULL, NULL);
}
