/* test_core_frames.c - sockets without channels: messages in and out as they are; refs to sockets.
 */
#include "unit/core_case.h"

#define RAW "/raw/websocket"

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    probe *p = user;
    probe_note(p, "connect;");
    assert_int_equal(channels_socket_self(s, &p->self), CHANNELS_OK);
    assert_true(channels_ref_socket(p->host->ep, p->self) == s);
    assert_int_equal(channels_socket_push(s, channels_text("early")), CHANNELS_ERR_INVALID);
    assert_non_null(strstr(p->host->log, "not in yet"));
    return p->connect != NULL ? p->connect(s, req, p) : CHANNELS_OK;
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    probe *p = user;
    probe_note(p, "disconnect %s;", probe_reason(why));
    assert_null(channels_ref_socket(p->host->ep, p->self));
    assert_int_equal(channels_socket_push(s, channels_text("late")), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_socket_self(s, &p->ref), CHANNELS_ERR_CLOSED);
}

/* Sends everything back; "=N" returns N, "!" closes. */
static int on_frame(channels_socket *s, channels_payload frame, void *user)
{
    probe *p = user;
    channels_ref again;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)frame.len, (const char *)frame.data);
    probe_note(p, "%s %s;", frame.kind == CHANNELS_TEXT ? "text" : "bytes", text);
    assert_int_equal(channels_socket_self(s, &again), CHANNELS_OK);
    assert_int_equal(again.id, p->self.id);
    p->err = channels_socket_push(s, frame);
    if (text[0] == '!')
        channels_socket_close(s, 4001);
    return text[0] == '=' ? atoi(text + 1) : CHANNELS_OK;
}

static const channels_socket_handler raw = {
    .assigns_size = 8, .connect = on_connect, .disconnect = on_disconnect, .handle_frame = on_frame
};

static void enter(core_case *t, const char *target)
{
    channels_mount(t->host.ep, "/raw", &raw, NULL, &t->probe);
    assert_int_equal(core_connect(&t->a, &t->host, target), CHANNELS_OK);
    traced(t, "connect;");
}

static void in_and_out(void **state)
{
    core_case *t = *state;
    enter(t, RAW "?vsn=no+version");
    say(t->a, "hello [");
    hear(t->a, "hello [");
    assert_int_equal(channels_test_say_payload(t->a, channels_json_n("", 0)), CHANNELS_OK);
    hear(t->a, "");
    say_bytes(t->a, "\0\377");
    hear(t->a, "<\\00\\ff>");
    traced(t, "text hello [;text ;bytes ;");
    channels_test_close(t->a);
    traced(t, "disconnect closed;");
}

static void text_is_utf8(void **state)
{
    core_case *t = *state;
    enter(t, RAW);
    channels_socket *s = t->a->socket;
    channels_payload odd = { (channels_kind)7, "a", 1 }, null = { CHANNELS_TEXT, NULL, 1 };
    assert_int_equal(channels_socket_push(s, channels_text("\xff")), CHANNELS_ERR_INVALID);
    logged(t, "not UTF-8");
    assert_int_equal(channels_socket_push(s, odd), CHANNELS_ERR_INVALID);
    logged(t, "neither");
    assert_int_equal(channels_socket_push(s, null), CHANNELS_ERR_INVALID);
    logged(t, "NULL");
    assert_int_equal(t->a->code, 0);
    assert_int_equal(channels_test_say_payload(t->a, channels_json_n("\xff", 1)),
                     CHANNELS_ERR_PROTOCOL);
    assert_int_equal(t->a->code, 1007);
    traced(t, "disconnect broken;");
}

static void results(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *ends;
    } cases[] = {
        { "=1", 1001, "text =1;disconnect stopped;" },
        { "=-5", 1011, "text =-5;disconnect failed;" },
        { "=2", 1011, "text =2;disconnect failed;" },
        { "=3", 1011, "text =3;disconnect failed;" },
        { "!", 4001, "text !;disconnect disconnected;" },
    };
    core_case *t = *state;
    channels_mount(t->host.ep, "/raw", &raw, NULL, &t->probe);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        core_connect(&t->a, &t->host, RAW);
        t->probe.trace[0] = '\0';
        say(t->a, cases[i].text);
        assert_int_equal(t->probe.err, CHANNELS_OK);
        assert_int_equal(t->a->code, cases[i].code);
        traced(t, cases[i].ends);
        hear(t->a, cases[i].text);
        assert_int_equal(channels_test_say(t->a, "more"), CHANNELS_ERR_CLOSED);
    }
}

/* From the host's own code, by a ref that outlives the client. */
static void by_ref(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    enter(t, RAW);
    channels_ref ref = t->probe.self;
    assert_int_equal(channels_socket_push(channels_ref_socket(ep, ref), channels_text("tick")),
                     CHANNELS_OK);
    hear(t->a, "tick");
    assert_null(channels_ref_channel(ep, ref));
    assert_int_equal(channels_send(ep, ref, NULL, NULL), CHANNELS_ERR_CLOSED);
    assert_int_equal(channels_ref_reply(ep, ref, "ok", channels_empty()), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_respond(ep, ref, &(channels_response){ .status = 200 }),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_accept(ep, ref), CHANNELS_ERR_CLOSED);
    channels_ref_drop(ep, ref);
    assert_null(channels_ref_socket(ep, ref));
    assert_int_equal(channels_socket_self(t->a->socket, &t->probe.self), CHANNELS_OK);
    assert_true(channels_ref_socket(ep, t->probe.self) == t->a->socket);
    assert_int_equal(channels_socket_close(channels_ref_socket(ep, t->probe.self), 1001),
                     CHANNELS_OK);
    assert_null(channels_ref_socket(ep, t->probe.self));
    assert_int_equal(t->a->code, 1001);
}

/* An ordinary socket has a ref too; what it has not is raw messages. */
static void with_channels(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    assert_int_equal(channels_socket_self(t->a->socket, &t->probe.self), CHANNELS_OK);
    assert_true(channels_ref_socket(t->host.ep, t->probe.self) == t->a->socket);
    assert_int_equal(channels_socket_push(t->a->socket, channels_text("x")), CHANNELS_ERR_INVALID);
    logged(t, "channels_push()");
    channels_test_close(t->a);
    assert_null(channels_ref_socket(t->host.ep, t->probe.self));
}

static int later(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

/* Its own ref is there before it is in, and stays. */
static void decided_later(void **state)
{
    core_case *t = *state;
    t->probe.connect = later;
    channels_mount(t->host.ep, "/raw", &raw, NULL, &t->probe);
    assert_int_equal(core_connect(&t->a, &t->host, RAW), CHANNELS_LATER);
    channels_socket *s = channels_ref_socket(t->host.ep, t->probe.ref);
    assert_true(channels_ref_socket(t->host.ep, t->probe.self) == s);
    assert_int_equal(channels_socket_push(s, channels_text("x")), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    assert_null(channels_ref_socket(t->host.ep, t->probe.ref));
    assert_true(channels_ref_socket(t->host.ep, t->probe.self) == s);
    assert_int_equal(channels_socket_push(s, channels_text("x")), CHANNELS_OK);
    hear(t->a, "x");
}

static int refuse(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return CHANNELS_REFUSE;
}

static void refused(void **state)
{
    core_case *t = *state;
    t->probe.connect = refuse;
    channels_mount(t->host.ep, "/raw", &raw, NULL, &t->probe);
    assert_int_equal(core_connect(&t->a, &t->host, RAW), CHANNELS_REFUSE);
    assert_null(channels_ref_socket(t->host.ep, t->probe.self));
}

static void ends_with_the_endpoint(void **state)
{
    core_case *t = *state;
    enter(t, RAW);
    channels_endpoint_free(t->host.ep);
    t->host.ep = NULL;
    assert_int_equal(t->a->code, 1001);
    traced(t, "disconnect shutdown;");
}

/* It reads too slowly: what waits for it is bounded as for all. */
static void is_bounded(void **state)
{
    static const channels_mount_options little = { .max_queued = 100 };
    core_case *t = *state;
    channels_mount(t->host.ep, "/raw", &raw, &little, &t->probe);
    core_connect(&t->a, &t->host, RAW);
    channels_socket *s = t->a->socket;
    for (int i = 0; i < 11; i++) /* the first does not count */
        assert_int_equal(channels_socket_push(s, channels_text("0123456789")), CHANNELS_OK);
    assert_int_equal(channels_socket_push(s, channels_text("x")), CHANNELS_ERR_LIMIT);
    assert_int_equal(t->a->code, 1008);
}

static void without_memory(void **state)
{
    core_case *t = *state;
    enter(t, RAW);
    t->memory.fail_at = t->memory.calls + 1;
    assert_int_equal(channels_socket_push(t->a->socket, channels_text("x")), CHANNELS_ERR_NOMEM);
    assert_int_equal(t->a->code, 0);
    assert_int_equal(channels_socket_push(t->a->socket, channels_text("x")), CHANNELS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(in_and_out),     CORE_TEST(text_is_utf8),           CORE_TEST(results),
        CORE_TEST(by_ref),         CORE_TEST(with_channels),          CORE_TEST(decided_later),
        CORE_TEST(refused),        CORE_TEST(ends_with_the_endpoint), CORE_TEST(is_bounded),
        CORE_TEST(without_memory),
    };
    return cmocka_run_group_tests_name("core_frames", tests, NULL, NULL);
}
