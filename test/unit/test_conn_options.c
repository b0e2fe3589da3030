/* test_conn_options.c - a mount's options on the wire: the subprotocol in the answer to a
 * handshake, tokens, parameters of the path; and sockets without channels on a WebSocket. */
#include "unit/conn_case.h"

#define UPGRADE(path, more) \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define OFFER(list) UPGRADE("/socket/websocket?vsn=2.0.0", "Sec-WebSocket-Protocol: " list "\r\n")
#define AGREED(name) \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: " name \
    "\r\n\r\n"

/* --- Handshakes --------------------------------------------------------------------------- */

static int show_token(channels_socket *s, const channels_request *req, probe *p)
{
    const char *subprotocol = channels_socket_subprotocol(s);
    probe_note(p, "token %s, %s;", req->auth_token != NULL ? req->auth_token : "none",
               subprotocol != NULL ? subprotocol : "none");
    return CHANNELS_OK;
}

static void offer(conn_case *t, const char *handshake)
{
    t->probe.connect = show_token;
    t->probe.trace[0] = '\0';
    conn_open(&t->a, t);
    conn_say(&t->a, handshake);
}

static void subprotocols(conn_case *t)
{
    static const char *const served[] = { "sip", "mqtt", NULL };
    static const channels_mount_options options = { .websocket.subprotocols = served };
    offer(t, OFFER("mqtt"));
    took(&t->a, WELCOME); /* none is served: none is answered */
    silent(&t->a);
    conn_case_restart(t, NULL, &options);
    offer(t, OFFER("mqtt,sip"));
    took(&t->a, AGREED("sip"));
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    hears(&t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    offer(t, HANDSHAKE);
    took(&t->a, WELCOME);
    offer(t, OFFER("x"));
    answered(&t->a, 403, "");
}

static void tokens(conn_case *t)
{
    static const channels_mount_options options = { .auth_token = true };
    conn_case_restart(t, NULL, &options);
    offer(t, OFFER("phoenix, base64url.bearer.phx.MTIzNA"));
    took(&t->a, AGREED("phoenix"));
    traced(t, "connect;token 1234, phoenix;");
    offer(t, OFFER("base64url.bearer.phx.MTIzNA"));
    took(&t->a, WELCOME);
    traced(t, "connect;token 1234, none;");
    offer(t, HANDSHAKE);
    took(&t->a, WELCOME);
    traced(t, "connect;token none, none;");
    offer(t, OFFER("phoenix, base64url.bearer.phx.!"));
    answered(&t->a, 400, "{\"errors\":{\"detail\":\"Bad Request\"}}");
    traced(t, "");
}

static int decide_later(channels_socket *s, const channels_request *req, probe *p)
{
    show_token(s, req, p);
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

static void decided_later(conn_case *t)
{
    static const channels_mount_options options = { .auth_token = true };
    conn_case_restart(t, NULL, &options);
    t->probe.connect = decide_later;
    conn_open(&t->a, t);
    conn_say(&t->a, OFFER("base64url.bearer.phx.MTIzNA, phoenix"));
    silent(&t->a);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    conn_flush(&t->a);
    took(&t->a, AGREED("phoenix"));
    traced(t, "connect;token 1234, phoenix;");
}

static int show_room(channels_socket *s, const channels_request *req, probe *p)
{
    char room[32] = "", uri[128];
    (void)s;
    channels_request_param(req, "room", room, sizeof room);
    channels_request_uri(req, uri, sizeof uri);
    probe_note(p, "%s at %s from %s;", room, uri, req->peer);
    return CHANNELS_OK;
}

static void paths(conn_case *t)
{
    channels_mount(t->host.ep, "/ws/:room", &probe_handler, NULL, &t->probe);
    t->probe.connect = show_room;
    conn_open(&t->a, t);
    conn_say(&t->a, UPGRADE("/ws/42/websocket?vsn=2.0.0&room=1", "Cookie: a=b\r\n"));
    took(&t->a, WELCOME);
    traced(t, "connect;42 at http://localhost/ws/42/websocket?vsn=2.0.0&room=1 from "
              "192.0.2.1:4711;");
}

/* --- Sockets without channels ------------------------------------------------------------- */

static int on_frame(channels_socket *s, channels_payload frame, void *user)
{
    (void)user;
    assert_non_null(frame.data); /* for hosts that compare or copy what they get */
    int err = channels_socket_push(s, frame);
    if (frame.len == 4 && memcmp(frame.data, "stop", 4) == 0)
        return CHANNELS_STOP;
    return frame.len == 4 && memcmp(frame.data, "fail", 4) == 0 ? -1 : err;
}

static void enter(conn_case *t)
{
    static const channels_socket_handler raw = { .handle_frame = on_frame };
    channels_mount(t->host.ep, "/raw", &raw, NULL, NULL);
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE_OF("/raw/websocket"));
    took(&t->a, WELCOME);
}

static void empty_frames(conn_case *t)
{
    enter(t);
    conn_frame(&t->a, FIN | TEXT, "", 0); /* before any memory for messages is there */
    frame_is(&t->a, FIN | TEXT, "", 0);
    conn_frame(&t->a, BINARY, "", 0);
    conn_frame(&t->a, FIN | CONTINUATION, "", 0);
    frame_is(&t->a, FIN | BINARY, "", 0);
}

static void frames(conn_case *t)
{
    enter(t);
    conn_frame(&t->a, FIN | TEXT, "\xC3\xA9", 2);
    frame_is(&t->a, FIN | TEXT, "\xC3\xA9", 2);
    conn_frame(&t->a, FIN | BINARY, "\xff\0", 2);
    frame_is(&t->a, FIN | BINARY, "\xff\0", 2);
    conn_frame(&t->a, TEXT, "in ", 3);
    conn_frame(&t->a, FIN | CONTINUATION, "pieces", 6);
    frame_is(&t->a, FIN | TEXT, "in pieces", 9);
    conn_frame(&t->a, FIN | TEXT, "", 0);
    frame_is(&t->a, FIN | TEXT, "", 0);
    conn_frame(&t->a, FIN | PING, "p", 1);
    frame_is(&t->a, FIN | PONG, "p", 1);
    silent(&t->a);
}

static void ends(conn_case *t)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = { { "stop", 1001 }, { "fail", 1011 } };
    for (size_t i = 0; i < 2; i++) {
        enter(t);
        conn_frame(&t->a, FIN | TEXT, cases[i].text, 4);
        frame_is(&t->a, FIN | TEXT, cases[i].text, 4);
        closes(&t->a, cases[i].code);
        conn_close(&t->a);
    }
    enter(t);
    conn_frame(&t->a, FIN | TEXT, "\xff", 1);
    closes(&t->a, 1007);
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(subprotocols), CONN_TEST(tokens), CONN_TEST(decided_later), CONN_TEST(paths),
        CONN_TEST(empty_frames), CONN_TEST(frames), CONN_TEST(ends),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
