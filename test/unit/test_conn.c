/* test_conn.c - lib/transport: requests and answers on one stream, the way into a WebSocket, and
 * how a connection lives and ends. Each case runs with its input whole and cut into small pieces.
 */
#include "unit/conn_case.h"

#include <pthread.h>
#include <sys/uio.h>

#define NOT_FOUND "not found"
#define READ CHANNELS_WANT_READ
#define WRITE CHANNELS_WANT_WRITE
#define SHUTDOWN CHANNELS_WANT_SHUTDOWN

/* --- Hosts' functions --------------------------------------------------------------------- */

static channels_response text(int status, const char *body)
{
    channels_response r = { .status = status, .body = body, .body_len = strlen(body) };
    return r;
}

/* Says what was asked. */
static int echo(conn_case *t, channels_ref to, const channels_request *req)
{
    char body[512];
    int n = snprintf(body, sizeof body, "%s %s?%s %.*s", req->method, req->path, req->query,
                     (int)req->body_len, req->body_len != 0 ? (const char *)req->body : "");
    assert_true(n < (int)sizeof body);
    channels_response r = text(200, body);
    assert_string_equal(req->peer, "192.0.2.1:4711");
    return channels_respond(t->host.ep, to, &r);
}

static int later(conn_case *t, channels_ref to, const channels_request *req)
{
    (void)t, (void)to, (void)req;
    return CHANNELS_OK;
}

static int respond(conn_case *t, int status, const char *body)
{
    channels_response r = text(status, body);
    return channels_respond(t->host.ep, t->asked, &r);
}

/* --- Requests ----------------------------------------------------------------------------- */

static void nobodys_requests(conn_case *t)
{
    conn_open(&t->a, t);
    for (int i = 0; i < 3; i++) {
        conn_say(&t->a, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
        took(&t->a, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
                    "content-length: 9\r\n\r\nnot found");
        wants(&t->a, READ);
    }
    conn_say(&t->a, "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    took(&t->a, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
                "content-length: 9\r\n\r\n");
    silent(&t->a);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(answered(&t->a, 404, NOT_FOUND), "\r\nconnection: close"));
    wants(&t->a, READ | SHUTDOWN);
    assert_true(t->a.shut);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    silent(&t->a);
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_non_null(strstr(answered(&t->a, 404, NOT_FOUND), "\r\nconnection: close"));
    assert_true(t->a.shut);
}

static void hosts_requests(conn_case *t)
{
    t->request = echo;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /a/b?c=d HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 200, "GET /a/b?c=d ");
    conn_say(&t->a, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz");
    answered(&t->a, 200, "POST /? xyz");
    conn_say(&t->a, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n");
    answered(&t->a, 200, "PUT /? xyz");
    silent(&t->a);
}

static void undecodable(conn_case *t, const char *bytes, int status, const char *body)
{
    conn_open(&t->a, t);
    conn_say(&t->a, bytes);
    assert_int_equal(t->a.err, CHANNELS_ERR_PROTOCOL);
    const char *head = answered(&t->a, status, body);
    assert_non_null(strstr(head, "content-type: application/json; charset=utf-8"));
    assert_non_null(strstr(head, "\r\nconnection: close"));
    silent(&t->a);
    assert_true(t->a.shut);
    wants(&t->a, READ | SHUTDOWN);
    conn_close(&t->a);
}

static void undecodable_requests(conn_case *t)
{
    static char head[20000], body[128];
    t->request = echo;
    undecodable(t, "GET / HTTP/1.1\r\n\r\n", 400, "{\"errors\":{\"detail\":\"Bad Request\"}}");
    undecodable(t, "GARBAGE\r\n\r\n", 400, "{\"errors\":{\"detail\":\"Bad Request\"}}");
    memset(head, 'x', sizeof head - 1);
    memcpy(head, "GET / HTTP/1.1\r\nA: ", 19);
    undecodable(t, head, 431, "{\"errors\":{\"detail\":\"Request Header Fields Too Large\"}}");
    snprintf(body, sizeof body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nx");
    undecodable(t, body, 413, "{\"errors\":{\"detail\":\"Content Too Large\"}}");
}

static void in_order(conn_case *t)
{
    t->request = echo;
    conn_open(&t->a, t);
    conn_say(&t->a,
             "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: "
             "2\r\n\r\nok"
             "GET /socket/websocket HTTP/1.1\r\nHost: x\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n"
             "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n" HANDSHAKE);
    answered(&t->a, 200, "GET /1? ");
    answered(&t->a, 200, "POST /2? ok");
    answered(&t->a, 400, "'connection' header must contain 'upgrade', got []");
    took(&t->a, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n");
    answered(&t->a, 200, "GET /4? ");
    took(&t->a, WELCOME);
    conn_text(&t->a, "[null,'1','phoenix','heartbeat',{}]");
    hears(&t->a, "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
}

static void answers_later(conn_case *t)
{
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    silent(&t->a);
    wants(&t->a, READ); /* so that its going away is seen */
    conn_turn(t, 60000);
    assert_int_equal(respond(t, 200, "one"), CHANNELS_OK);
    assert_int_equal(respond(t, 200, "again"), CHANNELS_ERR_CLOSED);
    conn_turn(t, 0);
    answered(&t->a, 200, "one");
    silent(&t->a);
    wants(&t->a, READ);
}

/* What comes behind a request that is not answered waits; nothing more is read. */
static void later_ones_wait(conn_case *t)
{
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 "
                    "HTTP/1.1\r\nHost: a\r\n\r\nGE");
    wants(&t->a, 0);
    for (int i = 0; i < 3; i++) {
        respond(t, 200, "x");
        conn_turn(t, 0);
        answered(&t->a, 200, "x");
        silent(&t->a);
        conn_turn(t, 0);
    }
    wants(&t->a, READ);
    conn_say(&t->a, "T /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    respond(t, 200, "four");
    conn_turn(t, 0);
    answered(&t->a, 200, "four");
}

static void too_much_waits(conn_case *t)
{
    static char bytes[40000];
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    memset(bytes, '\n', sizeof bytes);
    conn_send(&t->a, bytes, sizeof bytes);
    assert_int_equal(t->a.err, CHANNELS_ERR_PROTOCOL);
    assert_true(t->memory.bytes < 40000);
    wants(&t->a, 0);
    respond(t, 200, "last");
    conn_turn(t, 0);
    assert_non_null(strstr(answered(&t->a, 200, "last"), "\r\nconnection: close"));
    assert_true(t->a.shut);
}

static int much(conn_case *t, channels_ref to, const channels_request *req)
{
    static char body[100000];
    (void)req;
    memset(body, 'x', sizeof body - 1);
    channels_response r = text(200, body);
    return channels_respond(t->host.ep, to, &r);
}

/* Bytes that come between an answer and the next turn are read behind those that wait. */
static void read_in_order(conn_case *t)
{
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HT");
    respond(t, 200, "1");
    t->request = echo;
    conn_say(&t->a, "TP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 200, "1");
    answered(&t->a, 200, "GET /2? ");
    conn_turn(t, 0);
    silent(&t->a);
    wants(&t->a, READ);
}

/* A peer that asks for much and does not read fills nobody's memory. */
static void answers_wait_to_leave(conn_case *t)
{
    t->request = much;
    conn_open(&t->a, t);
    t->a.window = 1000;
    size_t before = t->memory.bytes;
    for (int i = 0; i < 20; i++)
        conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(t->memory.bytes - before < 310000);
    wants(&t->a, WRITE);
    t->a.window = SIZE_MAX;
    for (int i = 0; i < 25; i++) {
        conn_flush(&t->a);
        conn_turn(t, 0);
    }
    wants(&t->a, READ);
    size_t answers = 0;
    for (const char *p = t->a.got; (p = strstr(p, "HTTP/1.1 200")) != NULL; p++)
        answers++;
    assert_int_equal(answers, 20);
    assert_int_equal(t->a.len,
                     20 * (strlen("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n") + 99999));
}

static void too_much_behind_much(conn_case *t)
{
    static char bytes[20000];
    t->request = much;
    conn_open(&t->a, t);
    t->a.window = 0;
    for (int i = 0; i < 3; i++)
        conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    memset(bytes, '\n', sizeof bytes);
    conn_send(&t->a, bytes, sizeof bytes);
    wants(&t->a, READ | WRITE);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    wants(&t->a, READ | SHUTDOWN);
    assert_int_equal(t->a.len,
                     3 * (strlen("HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n") + 99999));
}

static void a_burst_of_requests(conn_case *t)
{
    static const char one[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
    static char bytes[65536];
    size_t n = 0, count = 0;
    t->request = echo;
    for (; n + sizeof one < sizeof bytes; n += sizeof one - 1, count++)
        memcpy(bytes + n, one, sizeof one);
    conn_open(&t->a, t);
    conn_send(&t->a, bytes, n);
    for (size_t i = 0; i < count; i++)
        answered(&t->a, 200, "GET /1? ");
    silent(&t->a);
    wants(&t->a, READ);
}

static int not_mine(conn_case *t, channels_ref to, const channels_request *req)
{
    channels_response r = text(201, "mine after all");
    if (strcmp(req->path, "/both") == 0)
        channels_respond(t->host.ep, to, &r);
    return strcmp(req->path, "/1") == 0 ? CHANNELS_REFUSE : CHANNELS_ERR_NOMEM;
}

static int bad_response(conn_case *t, channels_ref to, const channels_request *req)
{
    channels_header header = { "a", "b\r\nset-cookie: c" };
    channels_response r = text(200, "x");
    r.headers = &header;
    r.nheaders = 1;
    (void)req;
    assert_int_equal(channels_respond(t->host.ep, to, &r), CHANNELS_ERR_INVALID);
    assert_non_null(strstr(t->host.log, "line break"));
    header.value = "b";
    return channels_respond(t->host.ep, to, &r);
}

static int drops(conn_case *t, channels_ref to, const channels_request *req)
{
    (void)req;
    channels_ref_drop(t->host.ep, to);
    return CHANNELS_OK;
}

static void odd_hosts(conn_case *t)
{
    t->request = not_mine;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 404, NOT_FOUND);
    assert_int_equal(respond(t, 200, "too late"), CHANNELS_ERR_CLOSED);
    conn_say(&t->a, "GET /both HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 201, "mine after all");
    conn_say(&t->a, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 500, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
    t->request = bad_response;
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(answered(&t->a, 200, "x"), "\r\na: b\r\n"));
    t->request = drops;
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 500, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
    silent(&t->a);
}

static void gone_before_the_answer(conn_case *t)
{
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    conn_close(&t->a);
    assert_int_equal(respond(t, 200, "x"), CHANNELS_ERR_CLOSED);
}

static void says_go_on(conn_case *t)
{
    t->request = echo;
    conn_open(&t->a, t);
    conn_say(&t->a,
             "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    took(&t->a, "HTTP/1.1 100 Continue\r\n\r\n");
    conn_say(&t->a, "ok");
    answered(&t->a, 200, "POST /? ok");
}

/* --- Handshakes --------------------------------------------------------------------------- */

#define GET "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
#define H "Host: x\r\n"
#define C "Connection: Upgrade\r\n"
#define U "Upgrade: websocket\r\n"
#define K "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V "Sec-WebSocket-Version: 13\r\n"

static void refused(conn_case *t, const char *head, int status, const char *body)
{
    conn_open(&t->a, t);
    for (int i = 0; i < 2; i++) { /* the stream stays good for more */
        conn_say(&t->a, head);
        conn_say(&t->a, "\r\n");
        answered(&t->a, status, body);
        silent(&t->a);
        wants(&t->a, READ);
    }
    conn_close(&t->a);
}

static void handshake_faults(conn_case *t)
{
    refused(t, GET H U K V, 400, "'connection' header must contain 'upgrade', got []");
    refused(t, GET H "Connection: keep-alive\r\n" U K V, 400,
            "'connection' header must contain 'upgrade', got [\"keep-alive\"]");
    refused(t, GET H "Connection: a\r\n" U "Connection: b, c\r\n" K V, 400,
            "'connection' header must contain 'upgrade', got [\"a\", \"b, c\"]");
    refused(t, GET H C K V, 400, "'upgrade' header must contain 'websocket', got []");
    refused(t, GET H C "Upgrade: h2c\r\n" K V, 400,
            "'upgrade' header must contain 'websocket', got [\"h2c\"]");
    refused(t, GET H C U V, 400, "'sec-websocket-key' header is absent");
    refused(t, GET H C U K, 400, "'sec-websocket-version' header must equal '13', got []");
    refused(t, GET H C U K "Sec-WebSocket-Version: 8\r\n", 400,
            "'sec-websocket-version' header must equal '13', got [\"8\"]");
    refused(t, GET H C U K V V, 400,
            "'sec-websocket-version' header must equal '13', got [\"13\", \"13\"]");
    refused(t, GET C U K V, 400, "'host' header is absent");
    traced(t, "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;connect;disconnect closed;"
              "connect;disconnect closed;connect;disconnect closed;");
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /socket/websocket?vsn=2.0.0 HTTP/1.0\r\n" H C U K V "\r\n");
    answered(&t->a, 400, "HTTP version HTTP/1.0 unsupported");
    assert_true(t->a.shut);
}

static void handshake_keys(conn_case *t)
{
    static const char fault[] = "'sec-websocket-key' header must be 16 bytes in base64";
    refused(t, GET H C U V "Sec-WebSocket-Key: \r\n", 400, fault);
    refused(t, GET H C U V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400, fault);
    refused(t, GET H C U V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n", 400, fault);
    refused(t, GET H C U V "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n", 400, fault);
    refused(t, GET H C U V K K, 400, fault);
}

static void accepted(conn_case *t, const char *head)
{
    conn_open(&t->a, t);
    conn_say(&t->a, head);
    conn_say(&t->a, "\r\n");
    took(&t->a, WELCOME);
    silent(&t->a);
    conn_text(&t->a, "[null,'1','phoenix','heartbeat',{}]");
    hears(&t->a, "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
    conn_close(&t->a);
    traced(t, "connect;disconnect closed;");
}

static void handshakes(conn_case *t)
{
    accepted(t, GET H C U K V);
    accepted(t, GET "hOST: x\r\ncONNECTION: keep-alive, UPGRADE\r\nuPGRADE: WebSocket\r\n" K V);
    accepted(t,
             GET H "Connection: a\r\nConnection: ,b ,\tupgrade\r\nUpgrade: x, websocket\r\n" K V);
    accepted(t, GET H C U K V "Connection: something longer than any word that counts here\r\n");
    accepted(t, GET H C U K V "Sec-WebSocket-Protocol: a, b\r\n"
                              "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    accepted(t, "GET //socket//websocket/?vsn=2.0.0 HTTP/1.1\r\n" H C U K V);
    accepted(t, "GET http://localhost/socket/websocket?vsn=2.0.0 HTTP/1.1\r\n" H C U K V);
}

static int refuse(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return CHANNELS_REFUSE;
}

static int refuse_so(channels_socket *s, const channels_request *req, probe *p)
{
    channels_header header = { "content-type", "application/json; charset=utf-8" };
    channels_response r = text(429, "{\"error\":\"refused\"}");
    (void)req, (void)p;
    r.headers = &header;
    r.nheaders = 1;
    return channels_refuse(s, &r);
}

static int crash(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return -1;
}

static int look(channels_socket *s, const channels_request *req, probe *p)
{
    assert_string_equal(channels_socket_transport(s), "websocket");
    assert_string_equal(req->method, "GET");
    assert_string_equal(req->path, "/socket/websocket");
    assert_string_equal(req->query, "vsn=2.0.0");
    assert_string_equal(req->peer, "192.0.2.1:4711");
    assert_string_equal(channels_request_header(req, "SEC-websocket-KEY"),
                        "dGhlIHNhbXBsZSBub25jZQ==");
    (void)p;
    return CHANNELS_OK;
}

static void the_way_in(conn_case *t)
{
    t->probe.connect = look;
    accepted(t, GET H C U K V);
    t->probe.connect = refuse;
    refused(t, GET H C U K V, 403, "");
    refused(t, GET H, 403, ""); /* connect() is asked first */
    t->probe.connect = refuse_so;
    refused(t, GET H C U K V, 429, "{\"error\":\"refused\"}");
    t->probe.connect = crash;
    refused(t, GET H C U K V, 500, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
    t->probe.connect = NULL;
    refused(t, GET H C U K V "Origin: http://evil.example\r\n", 403, "");
    refused(t, "GET /socket/websocket?vsn=9.0.0 HTTP/1.1\r\n" H C U K V, 403, "");
    refused(t, "GET /socket/websocket?a=%ff HTTP/1.1\r\n" H C U K V, 400,
            "{\"errors\":{\"detail\":\"Bad Request\"}}");
    refused(t, "POST /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n" H "Content-Length: 0\r\n", 400, "");
    refused(t, "OPTIONS /socket/websocket HTTP/1.1\r\n" H, 400, "");
    refused(t, "HEAD /socket/websocket HTTP/1.1\r\n" H, 400, "");
    refused(t, "GET /socket HTTP/1.1\r\n" H C U K V, 404, NOT_FOUND);
    refused(t, "GET /socket/websocket/extra HTTP/1.1\r\n" H C U K V, 404, NOT_FOUND);
    refused(t, "GET /socket%2Fwebsocket HTTP/1.1\r\n" H C U K V, 404, NOT_FOUND);
}

/* --- Connects that wait ------------------------------------------------------------------- */

static int wait(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    channels_socket_set_id(s, "user:1");
    assert_int_equal(channels_connect_later(s, &p->ref), CHANNELS_OK);
    return CHANNELS_LATER;
}

static void connects_later(conn_case *t)
{
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE);
    silent(&t->a);
    wants(&t->a, READ);
    conn_turn(t, 60000);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    conn_turn(t, 0);
    took(&t->a, WELCOME);
    conn_text(&t->a, "[null,'1','phoenix','heartbeat',{}]");
    hears(&t->a, "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
    traced(t, "connect;");
}

static void is_refused_later(conn_case *t)
{
    channels_response r = text(429, "too many");
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wants(&t->a, 0);
    assert_int_equal(channels_respond(t->host.ep, t->probe.ref, &r), CHANNELS_OK);
    traced(t, "connect;disconnect refused;");
    conn_turn(t, 0);
    answered(&t->a, 429, "too many");
    conn_turn(t, 0);
    answered(&t->a, 404, NOT_FOUND);
    conn_say(&t->a, HANDSHAKE);
    channels_ref_drop(t->host.ep, t->probe.ref);
    conn_turn(t, 0);
    answered(&t->a, 500, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
    conn_say(&t->a, HANDSHAKE);
    channels_disconnect(t->host.ep, "user:1");
    conn_turn(t, 0);
    answered(&t->a, 403, "");
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    silent(&t->a);
}

/* Frames behind the handshake, before its answer. */
static void early_frames(conn_case *t)
{
    char frame[64];
    size_t n = conn_frame_bytes(frame, FIN | PING, "hello", 5);
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE);
    conn_send(&t->a, frame, n);
    conn_send(&t->a, frame, n);
    wants(&t->a, 0);
    channels_accept(t->host.ep, t->probe.ref);
    conn_turn(t, 0);
    conn_turn(t, 0);
    took(&t->a, WELCOME);
    frame_is(&t->a, FIN | PONG, "hello", 5);
    frame_is(&t->a, FIN | PONG, "hello", 5);
    silent(&t->a);
    wants(&t->a, READ);
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe8", 2);
    parts(&t->a, 1000);
}

static void early_frames_and_the_end(conn_case *t)
{
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE "xxxx");
    channels_accept(t->host.ep, t->probe.ref);
    channels_disconnect(t->host.ep, "user:1");
    conn_turn(t, 0);
    took(&t->a, WELCOME);
    closes(&t->a, 1001);
    traced(t, "connect;disconnect disconnected;");
}

static void too_many_early_frames(conn_case *t)
{
    static char bytes[20000];
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE);
    conn_send(&t->a, bytes, sizeof bytes);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    conn_turn(t, 0);
    silent(&t->a);
    assert_null(t->a.conn);
    traced(t, "connect;disconnect broken;");
}

static void gone_while_it_waits(conn_case *t)
{
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE "xxxx");
    conn_close(&t->a);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    traced(t, "connect;disconnect closed;");
}

/* Whatever is decided later, this can't become a WebSocket. */
static void no_handshake_to_wait_for(conn_case *t)
{
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, GET H "\r\n");
    answered(&t->a, 400, "'connection' header must contain 'upgrade', got []");
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    traced(t, "connect;disconnect closed;");
}

/* --- Streams whose request the host has read ---------------------------------------------- */

static const channels_header upgrade[] = { { "host", "x" },
                                           { "connection", "upgrade" },
                                           { "upgrade", "websocket" },
                                           { "sec-websocket-version", "13" },
                                           { "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==" } };

static void new_from(conn_case *t, const channels_request *req, const void *rest, size_t len)
{
    conn_open(&t->a, t);
    conn_close(&t->a);
    assert_int_equal(channels_conn_new_from(t->host.ep, req, rest, len, &t->a, &t->a.conn),
                     CHANNELS_OK);
    conn_turn(t, 0); /* there is something to write */
}

static void taken_over_from_the_host(conn_case *t)
{
    channels_request req = { .method = "GET",
                             .path = "/socket/websocket",
                             .query = "vsn=2.0.0",
                             .headers = upgrade,
                             .nheaders = 5,
                             .peer = "192.0.2.1:4711" };
    char frames[64];
    size_t n = conn_frame_bytes(frames, FIN | PING, "abc", 3);
    t->probe.connect = look;
    new_from(t, &req, frames, n);
    took(&t->a, WELCOME);
    frame_is(&t->a, FIN | PONG, "abc", 3);
    conn_close(&t->a);
    t->probe.connect = refuse;
    new_from(t, &req, NULL, 0);
    answered(&t->a, 403, "");
    wants(&t->a, READ);
    t->request = echo;
    req.path = "/other";
    req.body = "body";
    req.body_len = 4;
    new_from(t, &req, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n", 31);
    answered(&t->a, 200, "GET /other?vsn=2.0.0 body");
    answered(&t->a, 200, "GET /next? ");
    const channels_header last = { "Connection", "close" };
    req.headers = &last;
    req.nheaders = 1;
    req.method = "HEAD";
    new_from(t, &req, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n", 31);
    took(&t->a, "HTTP/1.1 200 OK\r\ncontent-length: 26\r\nconnection: close\r\n\r\n");
    silent(&t->a);
    assert_true(t->a.shut);
    req.path = NULL;
    conn_close(&t->a);
    assert_int_equal(channels_conn_new_from(t->host.ep, &req, NULL, 0, &t->a, &t->a.conn),
                     CHANNELS_ERR_INVALID);
    assert_null(t->a.conn);
}

/* --- Time --------------------------------------------------------------------------------- */

static void slow_heads_are_cut(conn_case *t)
{
    conn_open(&t->a, t);
    conn_turn(t, 9999);
    wants(&t->a, READ);
    conn_turn(t, 1);
    assert_null(t->a.conn);
    conn_open(&t->a, t);
    for (int i = 0; i < 9; i++) { /* from the first byte, not from the last */
        conn_say(&t->a, i == 0 ? "GET /" : "a");
        conn_turn(t, 1000);
    }
    wants(&t->a, READ);
    conn_turn(t, 1000);
    assert_null(t->a.conn);
    silent(&t->a);
}

static void time_between_requests(conn_case *t)
{
    conn_open(&t->a, t);
    for (int i = 0; i < 5; i++) {
        conn_turn(t, 9999);
        conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        answered(&t->a, 404, NOT_FOUND);
    }
    conn_turn(t, 9999);
    wants(&t->a, READ);
    conn_turn(t, 1);
    assert_null(t->a.conn);
}

/* Reading an answer slowly is no offence while it goes on. */
static void time_for_answers(conn_case *t)
{
    t->request = much;
    conn_open(&t->a, t);
    t->a.window = 1;
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        conn_turn(t, 9000);
        t->a.window = 1;
        conn_flush(&t->a);
    }
    wants(&t->a, READ | WRITE);
    conn_turn(t, 10000);
    assert_null(t->a.conn);
}

/* But it is no way to be slow with the next request. */
static void no_time_for_slow_heads(conn_case *t)
{
    t->request = much;
    conn_open(&t->a, t);
    t->a.window = 1;
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /");
    for (int i = 0; i < 9; i++) {
        conn_turn(t, 1000);
        t->a.window = 1;
        conn_flush(&t->a);
        conn_say(&t->a, "a");
    }
    assert_non_null(t->a.conn);
    conn_turn(t, 1000);
    assert_null(t->a.conn);
}

static void lingers(conn_case *t)
{
    static char bytes[65536];
    t->request = much;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wants(&t->a, READ | SHUTDOWN);
    conn_turn(t, 1999);
    wants(&t->a, READ | SHUTDOWN);
    conn_turn(t, 1);
    assert_null(t->a.conn);
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    t->a.step = 0;
    for (int i = 0; i < 1024; i++)
        conn_send(&t->a, bytes, sizeof bytes);
    wants(&t->a, READ | SHUTDOWN);
    conn_send(&t->a, bytes, 1);
    assert_null(t->a.conn);
    conn_open(&t->a, t);
    t->a.window = 1;
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        conn_turn(t, 1900);
        t->a.window = 1;
        conn_flush(&t->a);
    }
    wants(&t->a, READ | WRITE);
    conn_turn(t, 2000);
    assert_null(t->a.conn);
}

static void on_request_end(void *user, channels_ref to, bool sent)
{
    conn_case *t = user;
    assert_int_equal(to.id, t->asked.id);
    probe_note(&t->probe, sent ? "sent;" : "gone;");
}

static int take(conn_case *t, channels_ref to, const channels_request *req)
{
    (void)t, (void)to, (void)req;
    return CHANNELS_OK;
}

/* The host is told what became of each request that it took. */
static void ends_of_requests(conn_case *t)
{
    channels_config config = { .request_end = on_request_end };
    conn_case_restart(t, &config, NULL);
    t->request = take;
    conn_open(&t->a, t);
    t->a.window = 0;
    conn_say(&t->a, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(respond(t, 200, "one"), CHANNELS_OK);
    conn_turn(t, 0);
    traced(t, ""); /* it has not left */
    t->a.window = 10;
    conn_flush(&t->a);
    conn_turn(t, 0);
    traced(t, "");
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    conn_turn(t, 0); /* now it has, and the next one is read */
    answered(&t->a, 200, "one");
    traced(t, "sent;");
    conn_turn(t, 0);
    conn_close(&t->a); /* which nobody waits for any more */
    conn_turn(t, 0);
    traced(t, "gone;");
    assert_int_equal(respond(t, 200, "two"), CHANNELS_ERR_CLOSED);
    conn_open(&t->a, t);
    t->a.window = 1;
    conn_say(&t->a, "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(respond(t, 200, "three"), CHANNELS_OK);
    conn_turn(t, 2000); /* and nothing of it is read */
    conn_turn(t, 0);
    assert_null(t->a.conn);
    traced(t, "gone;");
    conn_open(&t->a, t);
    conn_say(&t->a, "GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    channels_ref_drop(t->host.ep, t->asked);
    conn_turn(t, 0);
    conn_turn(t, 0);
    answered(&t->a, 500, "{\"errors\":{\"detail\":\"Internal Server Error\"}}");
    traced(t, "sent;");
    t->request = NULL; /* refused: it was not taken */
    conn_open(&t->b, t);
    conn_say(&t->b, "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n");
    conn_turn(t, 0);
    answered(&t->b, 404, "not found");
    traced(t, "");
}

static void times_are_configured(conn_case *t)
{
    channels_config config = {
        .http_timeout_ms = 50, .linger_ms = 20, .max_http_head = 80, .max_http_body = 4
    };
    conn_case_restart(t, &config, NULL);
    conn_open(&t->a, t);
    conn_turn(t, 49);
    conn_say(&t->a,
             "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n1234");
    answered(&t->a, 404, NOT_FOUND);
    conn_turn(t, 19);
    wants(&t->a, READ | SHUTDOWN);
    conn_turn(t, 1);
    assert_null(t->a.conn);
    conn_open(&t->a, t);
    conn_turn(t, 50);
    assert_null(t->a.conn);
    undecodable(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1", 413,
                "{\"errors\":{\"detail\":\"Content Too Large\"}}");
    undecodable(t,
                "GET / HTTP/1.1\r\nHost: a\r\nA: "
                "1234567890123456789012345678901234567890123456789012\r\n\r\n",
                431, "{\"errors\":{\"detail\":\"Request Header Fields Too Large\"}}");
}

/* --- What the loop is told ---------------------------------------------------------------- */

static channels_conn *ready(conn_case *t)
{
    return channels_endpoint_next_ready(t->host.ep);
}

static void told_once(conn_case *t)
{
    struct iovec iov[8];
    conn_open(&t->a, t);
    assert_null(ready(t));
    conn_upgrade(&t->a);
    conn_open(&t->b, t);
    conn_upgrade(&t->b);
    assert_null(ready(t)); /* all was written at once */
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    conn_text(&t->b, "['1','1','room:a','phx_join',{}]");
    conn_text(&t->a, "['1','2','room:a','shout',{}]");
    conn_text(&t->a, "['1','3','room:a','shout',{}]");
    assert_ptr_equal(ready(t), t->b.conn); /* who only heard */
    assert_null(ready(t));
    conn_text(&t->a, "['1','4','room:a','shout',{}]");
    assert_null(ready(t)); /* it has been told */
    wants(&t->b, READ | WRITE);
    assert_int_equal(channels_conn_output(t->b.conn, iov, 8), 1); /* three in a row */
    channels_conn_sent(t->b.conn, iov[0].iov_len / 3 + 1);
    assert_null(ready(t));
    conn_flush(&t->b);
    assert_null(ready(t));
    wants(&t->b, READ);
    conn_text(&t->a, "['1','5','room:a','shout',{}]");
    assert_ptr_equal(ready(t), t->b.conn);
    conn_close(&t->b);
    conn_text(&t->a, "['1','6','room:a','shout',{}]");
    assert_null(ready(t));
}

static void not_told_of_the_dead(conn_case *t)
{
    t->request = later;
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    respond(t, 200, "x");
    conn_close(&t->a); /* while it is ready */
    assert_null(ready(t));
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    respond(t, 200, "x");
    conn_open(&t->b, t);
    channels_test_wait(&t->host, 10000);
    assert_ptr_equal(ready(t), t->a.conn); /* both have to be closed */
    wants(&t->a, CHANNELS_WANT_CLOSE);
    assert_ptr_equal(ready(t), t->b.conn);
    wants(&t->b, CHANNELS_WANT_CLOSE);
    assert_null(ready(t));
    struct iovec iov[1];
    assert_int_equal(channels_conn_output(t->a.conn, iov, 1), 0);
    assert_int_equal(channels_conn_feed(t->a.conn, "x", 1), CHANNELS_OK);
}

/* --- Ends in the middle of things --------------------------------------------------------- */

static int free_in_request(conn_case *t, channels_ref to, const channels_request *req)
{
    conn_close(&t->a);
    t->asked = to;
    assert_string_equal(req->path, "/1");
    assert_int_equal(respond(t, 200, "x"), CHANNELS_ERR_CLOSED);
    return CHANNELS_OK;
}

static conn_case *the_case; /* for callbacks that know only their probe */

static int free_in_connect(channels_socket *s, const channels_request *req, probe *p)
{
    conn_close(&the_case->a);
    assert_string_equal(req->path, "/socket/websocket");
    channels_socket_set_id(s, "user:1");
    return p->err;
}

static int free_in_handle_in(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    conn_close(&the_case->a);
    channels_push(ch, "late", channels_empty());
    return channels_reply(ch, "ok", msg->payload);
}

static void free_in_terminate(channels_channel *ch, channels_reason why, probe *p)
{
    (void)ch, (void)why, (void)p;
    conn_close(&the_case->b);
}

static void feed_whole(conn_case *t, const char *bytes)
{
    conn_client *c = &t->a;
    channels_conn_feed(c->conn, bytes, strlen(bytes));
    conn_flush(c);
}

static void freed_in_callbacks(conn_case *t)
{
    the_case = t;
    t->request = free_in_request;
    conn_open(&t->a, t);
    feed_whole(t, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_null(t->a.conn);
    t->probe.connect = free_in_connect;
    for (t->probe.err = -1; t->probe.err <= CHANNELS_REFUSE; t->probe.err++) {
        conn_open(&t->a, t);
        feed_whole(t, HANDSHAKE "xxxxxx");
        assert_null(t->a.conn);
    }
    t->probe.connect = NULL;
    t->probe.handle_in = free_in_handle_in;
    t->probe.terminate = free_in_terminate;
    conn_open(&t->b, t);
    conn_upgrade(&t->b);
    conn_text(&t->b, "['1','1','room:a','phx_join',{}]");
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    t->a.step = 0;
    conn_text(&t->a, "['1','2','room:a','x',{}]");
    assert_null(t->a.conn);
    assert_null(t->b.conn); /* freed when a's channel ended */
    assert_null(ready(t));
}

static int misuse(channels_channel *ch, const channels_msg *msg, probe *p)
{
    channels_conn *conn = NULL;
    channels_request req = { .method = "GET", .path = "/" };
    (void)msg;
    assert_int_equal(channels_conn_feed(the_case->a.conn, "x", 1), CHANNELS_ERR_MISUSE);
    assert_non_null(strstr(p->host->log, "channels_conn_feed"));
    assert_int_equal(channels_conn_new_from(p->host->ep, &req, NULL, 0, NULL, &conn),
                     CHANNELS_ERR_MISUSE);
    assert_null(conn);
    assert_int_equal(conn_open(&the_case->b, the_case), CHANNELS_OK); /* this may be */
    channels_conn_free(NULL);
    return channels_reply(ch, "ok", channels_empty());
}

static void calls_from_callbacks(conn_case *t)
{
    the_case = t;
    t->probe.handle_in = misuse;
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, "['1','1','room:a','phx_join',{}]");
    hears(&t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    conn_text(&t->a, "['1','2','room:a','x',{}]");
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    conn_say(&t->b, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->b, 404, NOT_FOUND);
}

struct stranger { /* a thread that owns nothing */
    conn_case *t;
    int made, taken_over, fed;
};

static void *on_another_thread(void *arg)
{
    struct stranger *s = arg;
    channels_endpoint *ep = s->t->host.ep;
    channels_conn *conn;
    channels_request req = { .method = "GET", .path = "/" };
    s->made = channels_conn_new(ep, NULL, NULL, &conn);
    s->taken_over = channels_conn_new_from(ep, &req, NULL, 0, NULL, &conn);
    s->fed = channels_conn_feed(s->t->a.conn, "x", 1);
    channels_conn_free(s->t->a.conn); /* and that is nothing */
    return NULL;
}

static void calls_from_other_threads(conn_case *t)
{
    pthread_t thread;
    struct stranger s = { .t = t };
    conn_open(&t->a, t);
    assert_int_equal(pthread_create(&thread, NULL, on_another_thread, &s), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.made, CHANNELS_ERR_MISUSE);
    assert_int_equal(s.taken_over, CHANNELS_ERR_MISUSE);
    assert_int_equal(s.fed, CHANNELS_ERR_MISUSE);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    answered(&t->a, 404, NOT_FOUND);
}

static void without_any_config(conn_case *t)
{
    static const char wanted[] = "HTTP/1.1 404 Not Found\r\n";
    channels_endpoint *ep;
    channels_conn *conn;
    struct iovec iov[2];
    (void)t;
    assert_int_equal(channels_endpoint_new(&ep, NULL), CHANNELS_OK);
    assert_int_equal(channels_conn_new(ep, NULL, &ep, &conn), CHANNELS_OK);
    assert_ptr_equal(channels_conn_user(conn), &ep);
    assert_int_equal(channels_conn_feed(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27),
                     CHANNELS_OK);
    assert_ptr_equal(channels_endpoint_next_ready(ep), conn);
    assert_int_equal(channels_conn_output(conn, iov, 2), 1);
    assert_memory_equal(iov[0].iov_base, wanted, sizeof wanted - 1);
    channels_endpoint_free(ep);
}

/* The endpoint goes first, with a connection in each state. */
static void endpoint_goes_first(conn_case *t)
{
    static conn_client c[12];
    conn_client *at = c;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        conn_open(&c[i], t);
    conn_say(at++, "");
    conn_say(at++, "GET / HT");
    conn_say(at++, "GARBAGE\r\n\r\n");
    t->request = later;
    conn_say(at++, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /");
    t->request = much;
    at->window = 1;
    conn_say(at++, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /");
    t->probe.connect = wait;
    conn_say(at++, HANDSHAKE "xxx");
    conn_say(at, HANDSHAKE "xxx");
    channels_accept(t->host.ep, t->probe.ref);
    at++;
    t->probe.connect = NULL;
    conn_upgrade(at++);
    conn_upgrade(at);
    conn_send(at, "\x81\x85", 2);
    at++;
    conn_upgrade(at);
    conn_frame(at++, TEXT, "[", 1);
    conn_upgrade(at);
    conn_frame(at++, FIN | CLOSE, "", 0);
    at->window = 10;
    conn_say(at++, HANDSHAKE);
    assert_true(at == c + sizeof c / sizeof *c);
    assert_int_equal(channels_test_stop(&t->host), 0);
    assert_non_null(strstr(t->probe.trace, "disconnect shutdown;"));
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        free(c[i].got);
    memset(c, 0, sizeof c);
    memset(t, 0, sizeof *t);
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(nobodys_requests),
        CONN_TEST(hosts_requests),
        CONN_TEST(undecodable_requests),
        CONN_TEST(in_order),
        CONN_TEST(answers_later),
        CONN_TEST(later_ones_wait),
        CONN_TEST(too_much_waits),
        CONN_TEST(read_in_order),
        CONN_TEST(answers_wait_to_leave),
        CONN_TEST(too_much_behind_much),
        CONN_TEST(a_burst_of_requests),
        CONN_TEST(odd_hosts),
        CONN_TEST(gone_before_the_answer),
        CONN_TEST(says_go_on),
        CONN_TEST(handshake_faults),
        CONN_TEST(handshake_keys),
        CONN_TEST(handshakes),
        CONN_TEST(the_way_in),
        CONN_TEST(connects_later),
        CONN_TEST(is_refused_later),
        CONN_TEST(early_frames),
        CONN_TEST(early_frames_and_the_end),
        CONN_TEST(too_many_early_frames),
        CONN_TEST(gone_while_it_waits),
        CONN_TEST(no_handshake_to_wait_for),
        CONN_TEST(taken_over_from_the_host),
        CONN_TEST(slow_heads_are_cut),
        CONN_TEST(time_between_requests),
        CONN_TEST(time_for_answers),
        CONN_TEST(no_time_for_slow_heads),
        CONN_TEST(lingers),
        CONN_TEST(ends_of_requests),
        CONN_TEST(times_are_configured),
        CONN_TEST(told_once),
        CONN_TEST(not_told_of_the_dead),
        CONN_TEST(freed_in_callbacks),
        CONN_TEST(calls_from_callbacks),
        CONN_TEST(calls_from_other_threads),
        CONN_TEST(without_any_config),
        CONN_TEST(endpoint_goes_first),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
