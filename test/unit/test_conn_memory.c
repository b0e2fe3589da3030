/* test_conn_memory.c - what connections cost, and what happens while memory runs out: each
 * allocation of a session fails, once and from then on. Nothing is lost, nobody crashes, and the
 * endpoint goes on serving others. */
#include "unit/conn_case.h"

/* --- Sessions, in which anything may fail ------------------------------------------------- */

static int respond(conn_case *t, channels_ref to, const channels_request *req)
{
    channels_response r = { .status = 200, .body = req->body, .body_len = req->body_len };
    return channels_respond(t->host.ep, to, &r);
}

static int later(conn_case *t, channels_ref to, const channels_request *req)
{
    (void)t, (void)to, (void)req;
    return CHANNELS_OK;
}

static int wait(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    p->err = channels_connect_later(s, &p->ref);
    return p->err == CHANNELS_OK ? CHANNELS_LATER : CHANNELS_REFUSE;
}

static void requests(conn_case *t)
{
    channels_response r = { .status = 200, .body = "late", .body_len = 4 };
    t->request = respond;
    conn_open(&t->a, t);
    conn_say(&t->a,
             "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nokGET /2 HTTP/1.1\r\n\r\n");
    conn_say(&t->a,
             "POST /1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    conn_say(&t->a, "ok");
    conn_say(&t->a, "HEAD /socket/websocket HTTP/1.1\r\nHost: a\r\n\r\nGET /socket/websocket "
                    "HTTP/1.1\r\nHost: a\r\n\r\n");
    t->a.window = 0; /* a longer queue */
    for (int i = 0; i < 6; i++)
        conn_say(&t->a, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    t->request = later;
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        channels_respond(t->host.ep, t->asked, &r);
        conn_turn(t, 0);
        conn_turn(t, 0);
    }
    t->request = NULL;
    conn_say(&t->a, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    conn_say(&t->a, "GARBAGE");
    conn_turn(t, 2000);
    if (t->a.conn != NULL)
        conn_close(&t->a);
}

static void messages(conn_case *t)
{
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    conn_text(&t->b, "['1','1','room:a','phx_join',{}]");
    conn_text(&t->a, "['1','2','room:a','shout',{'x':1}]");
    conn_frame(&t->a, TEXT, "[null,\"1\",\"pho", 14);
    conn_frame(&t->a, FIN | PING, "ping", 4);
    conn_frame(&t->a, FIN, "enix\",\"heartbeat\",{}]", 21);
    t->b.window = 0; /* a longer queue */
    for (int i = 0; i < 12; i++) {
        conn_text(&t->a, "['1','2','room:a','shout',{'x':1}]");
        conn_frame(&t->b, FIN | PING, "ping", 4);
    }
    conn_turn(t, 0);
    t->b.window = SIZE_MAX;
    conn_flush(&t->b);
    conn_send(&t->b, "\x81\x85", 2); /* in flight when it ends */
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe8", 2);
    conn_turn(t, 60000);
    conn_turn(t, 2000);
}

static void sockets(conn_case *t)
{
    conn_open(&t->a, t);
    conn_open(&t->b, t);
    conn_say(&t->a, HANDSHAKE);
    t->probe.connect = wait;
    conn_say(&t->b, HANDSHAKE);
    conn_frame(&t->b, FIN | PING, "early", 5);
    if (t->b.conn != NULL && t->probe.err == CHANNELS_OK)
        channels_accept(t->host.ep, t->probe.ref);
    conn_turn(t, 0);
    conn_turn(t, 0);
    t->probe.connect = NULL;
    messages(t);
}

static void taken_over(conn_case *t)
{
    static const channels_header headers[] = { { "host", "x" },
                                               { "connection", "upgrade" },
                                               { "upgrade", "websocket" },
                                               { "sec-websocket-version", "13" },
                                               { "sec-websocket-key", "x" } };
    channels_request req = {
        .method = "GET", .path = "/socket/websocket", .headers = headers, .nheaders = 5
    };
    char frame[64];
    size_t n = conn_frame_bytes(frame, FIN | PING, "abc", 3);
    conn_open(&t->a, t);
    conn_close(&t->a);
    channels_conn_new_from(t->host.ep, &req, frame, n, &t->a, &t->a.conn);
    conn_turn(t, 0);
}

/* --- What must be so all the same --------------------------------------------------------- */

static void still_serves(conn_case *t)
{
    assert_int_equal(conn_open(&t->a, t), CHANNELS_OK);
    conn_upgrade(&t->a);
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    hears(&t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    conn_text(&t->a, "['1','2','room:a','shout',{'x':1}]");
    hears(&t->a, "[null,null,'room:a','shout',{'x':1}]");
    silent(&t->a);
    conn_close(&t->a);
}

static size_t once(void (*session)(conn_case *t), size_t step, size_t fail_at, bool fail_on)
{
    conn_case *t = calloc(1, sizeof *t);
    assert_int_equal(conn_case_begin(t, NULL, NULL), CHANNELS_OK);
    t->step = step;
    t->probe.err = -1;
    t->memory.calls = 0;
    t->memory.fail_at = fail_at;
    t->memory.fail_on = fail_on;
    session(t);
    size_t calls = t->memory.calls;
    t->memory.fail_at = 0;
    conn_close(&t->a);
    conn_close(&t->b);
    still_serves(t);
    assert_int_equal(conn_case_end(t), 0);
    free(t);
    return calls;
}

static void each_fails(void (*session)(conn_case *t))
{
    for (size_t step = 0; step < 8; step += 7) {
        size_t calls = once(session, step, 0, false);
        assert_true(calls > 3);
        for (size_t i = 1; i <= calls; i++) {
            once(session, step, i, false);
            once(session, step, i, true);
        }
    }
}

static void in_requests(void **state)
{
    (void)state;
    each_fails(requests);
}

static void in_sockets(void **state)
{
    (void)state;
    each_fails(sockets);
}

static void in_taken_over_streams(void **state)
{
    (void)state;
    each_fails(taken_over);
}

/* channels(7) promises this much: all that the library keeps of a client that is joined to one
 * topic and says nothing, besides the assigns. What malloc() adds is not in it. */
static void an_idle_client_is_small(void **state)
{
    enum { CLIENTS = 1000, PROMISED = 400 };
    conn_case *t = calloc(1, sizeof *t);
    conn_client *clients = calloc(CLIENTS, sizeof *clients);
    (void)state;
    assert_int_equal(conn_case_begin(t, NULL, NULL), CHANNELS_OK);
    size_t before = t->memory.bytes;
    for (size_t i = 0; i < CLIENTS; i++) {
        conn_open(&clients[i], t);
        conn_upgrade(&clients[i]);
        conn_text(&clients[i], "['1','1','room:a','phx_join',{}]");
        conn_flush(&clients[i]);
    }
    size_t each = (t->memory.bytes - before) / CLIENTS - probe_handler.assigns_size -
                  probe_handler.routes->handler->assigns_size;
    printf("# %zu bytes for an idle client\n", each);
    assert_true(each <= PROMISED);
    for (size_t i = 0; i < CLIENTS; i++) {
        conn_close(&clients[i]);
        free(clients[i].got);
    }
    assert_int_equal(conn_case_end(t), 0);
    free(clients);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_client_is_small),
        cmocka_unit_test(in_requests),
        cmocka_unit_test(in_sockets),
        cmocka_unit_test(in_taken_over_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
