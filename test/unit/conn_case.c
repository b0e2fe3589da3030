/* conn_case.c - see conn_case.h. */
#include "unit/conn_case.h"

#include <sys/uio.h>

#include "unit/failure.h"

#define WANT_END (CHANNELS_WANT_SHUTDOWN | CHANNELS_WANT_CLOSE)

/* --- The case ----------------------------------------------------------------------------- */

static int on_request(void *user, channels_ref to, const channels_request *req)
{
    conn_case *t = user;
    t->asked = to;
    return t->request != NULL ? t->request(t, to, req) : CHANNELS_REFUSE;
}

int conn_case_begin(conn_case *t, const channels_config *given,
                    const channels_mount_options *options)
{
    channels_config config = { 0 };
    if (given != NULL)
        config = *given;
    config.request = on_request;
    config.user = t;
    if (t->host.now == 0)
        t->host.now = 1000;
    t->probe.host = &t->host;
    t->host.on_failure = unit_failure;
    int err = sim_start(&t->host, &t->memory, &config);
    return err != CHANNELS_OK
               ? err
               : channels_mount(t->host.ep, "/socket", &probe_handler, options, &t->probe);
}

static void client_end(conn_client *c)
{
    free(c->got);
    memset(c, 0, sizeof *c);
}

size_t conn_case_end(conn_case *t)
{
    size_t lost = channels_test_stop(&t->host);
    client_end(&t->a);
    client_end(&t->b);
    return lost;
}

void conn_case_restart(conn_case *t, const channels_config *config,
                       const channels_mount_options *options)
{
    size_t step = t->step;
    assert_int_equal(conn_case_end(t), 0);
    memset(t, 0, sizeof *t);
    t->step = step;
    assert_int_equal(conn_case_begin(t, config, options), CHANNELS_OK);
}

static void in_pieces(void **state)
{
    static const size_t steps[] = { 0, 1, 7 };
    const conn_test *test = *state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        conn_case *t = calloc(1, sizeof *t);
        t->step = steps[i];
        assert_int_equal(conn_case_begin(t, NULL, NULL), CHANNELS_OK);
        test->fn(t);
        assert_int_equal(conn_case_end(t), 0);
        free(t);
    }
}

int conn_test_run(const conn_test *tests, size_t n)
{
    struct CMUnitTest all[64] = { { 0 } }; /* empty ones are passed over */
    assert_true(n <= sizeof all / sizeof *all);
    for (size_t i = 0; i < n; i++) {
        all[i].name = tests[i].name;
        all[i].test_func = in_pieces;
        all[i].initial_state = (void *)(uintptr_t)&tests[i];
    }
    return cmocka_run_group_tests(all, NULL, NULL);
}

/* --- Carrying bytes ------------------------------------------------------------------------ */

int conn_open(conn_client *c, conn_case *t)
{
    client_end(c);
    c->t = t;
    c->step = t->step;
    c->window = SIZE_MAX;
    return channels_conn_new(t->host.ep, &(channels_stream){ .peer = "192.0.2.1:4711" }, c,
                             &c->conn);
}

void conn_close(conn_client *c)
{
    channels_conn_free(c->conn);
    c->conn = NULL;
}

static void keep(conn_client *c, const struct iovec *iov, size_t n)
{
    c->got = sim_resize(c->got, c->len + n + 1);
    memcpy(c->got + c->len, iov->iov_base, n);
    c->len += n;
    c->got[c->len] = '\0';
}

/* What writev() would do. */
static size_t carry(conn_client *c, const struct iovec *iov, int n)
{
    size_t sent = 0;
    for (int i = 0; i < n && c->window != 0; i++) {
        size_t part = iov[i].iov_len < c->window ? iov[i].iov_len : c->window;
        keep(c, &iov[i], part);
        sent += part;
        c->window -= c->window != SIZE_MAX ? part : 0;
    }
    return sent;
}

void conn_flush(conn_client *c)
{
    struct iovec iov[3];
    int n;
    while (c->conn != NULL && (n = channels_conn_output(c->conn, iov, 3)) > 0) {
        assert_false(c->shut);
        size_t sent = carry(c, iov, n);
        channels_conn_sent(c->conn, sent);
        if (c->window == 0)
            break;
    }
    unsigned want = c->conn != NULL ? channels_conn_want(c->conn) : 0;
    if ((want & WANT_END) != 0)
        c->shut = true;
    if ((want & CHANNELS_WANT_CLOSE) != 0)
        conn_close(c);
}

void conn_send(conn_client *c, const void *data, size_t len)
{
    size_t step = c->step != 0 ? c->step : len;
    c->err = CHANNELS_OK;
    for (size_t at = 0; at < len && c->conn != NULL; at += step) {
        size_t n = len - at < step ? len - at : step;
        char *piece = sim_alloc(n); /* ends where it ends, for the sanitizers */
        memcpy(piece, (const char *)data + at, n);
        int err = channels_conn_feed(c->conn, piece, n);
        free(piece);
        if (err < 0)
            c->err = err;
        conn_flush(c);
    }
}

void conn_say(conn_client *c, const char *text)
{
    conn_send(c, text, strlen(text));
}

void conn_turn(conn_case *t, uint64_t ms)
{
    channels_conn *conn;
    channels_test_wait(&t->host, ms);
    while ((conn = channels_endpoint_next_ready(t->host.ep)) != NULL)
        conn_flush(channels_conn_user(conn));
}

/* --- WebSocket ---------------------------------------------------------------------------- */

void conn_upgrade(conn_client *c)
{
    conn_say(c, HANDSHAKE);
    took(c, WELCOME);
}

size_t conn_frame_bytes(char *dst, int first, const void *payload, size_t len)
{
    static const char mask[4] = { 1, 2, 3, (char)0xF4 };
    char *p = dst;
    *p++ = (char)first;
    if (len < 126) {
        *p++ = (char)(0x80 | len);
    } else {
        int bytes = len < 65536 ? 2 : 8;
        *p++ = (char)(0x80 | (bytes == 2 ? 126 : 127));
        for (int i = bytes - 1; i >= 0; i--)
            *p++ = (char)(len >> (8 * i));
    }
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < len; i++)
        *p++ = (char)(((const char *)payload)[i] ^ mask[i % 4]);
    return (size_t)(p - dst);
}

void conn_frame(conn_client *c, int first, const void *payload, size_t len)
{
    char *bytes = sim_alloc(len + 14);
    conn_send(c, bytes, conn_frame_bytes(bytes, first, payload, len));
    free(bytes);
}

void conn_text(conn_client *c, const char *json)
{
    char *text = sim_quoted(json);
    conn_frame(c, FIN | TEXT, text, strlen(text));
    free(text);
}

/* --- Looking at what came ------------------------------------------------------------------ */

static size_t left(const conn_client *c)
{
    return c->len - c->at;
}

static const char *next(const conn_client *c)
{
    return c->got != NULL ? c->got + c->at : "";
}

void took_at(conn_client *c, const char *text, size_t len, const char *file, int line)
{
    if (left(c) < len || memcmp(next(c), text, len) != 0)
        _assert_string_equal(next(c), text, file, line);
    c->at += len;
}

void silent_at(conn_client *c, const char *file, int line)
{
    _assert_int_equal(left(c), 0, file, line);
}

const char *answered_at(conn_client *c, int status, const char *body, const char *file, int line)
{
    static const char length[] = "content-length: ";
    char wanted[32];
    snprintf(wanted, sizeof wanted, "HTTP/1.1 %d ", status);
    if (strncmp(next(c), wanted, strlen(wanted)) != 0)
        _assert_string_equal(next(c), wanted, file, line);
    char *head = c->got + c->at, *end = strstr(head, "\r\n\r\n");
    _assert_true(end != NULL, "the head ends", file, line);
    *end = '\0';
    const char *at = strstr(head, length);
    size_t n = at != NULL ? strtoul(at + sizeof length - 1, NULL, 10) : 0;
    c->at = (size_t)(end + 4 - c->got);
    _assert_int_equal(n, strlen(body), file, line);
    took_at(c, body, n, file, line);
    return head;
}

void frame_at(conn_client *c, int first, const void *payload, size_t len, const char *file,
              int line)
{
    unsigned char header[4] = { (unsigned char)first, (unsigned char)len };
    size_t n = 2;
    if (len > 125) {
        header[1] = 126;
        header[2] = (unsigned char)(len >> 8);
        header[3] = (unsigned char)len;
        n = 4;
    }
    _assert_true(left(c) >= n + len, "a whole frame is there", file, line);
    _assert_memory_equal(next(c), header, n, file, line);
    if (len != 0)
        _assert_memory_equal(next(c) + n, payload, len, file, line);
    c->at += n + len;
}

void hears_at(conn_client *c, const char *json, const char *file, int line)
{
    char *text = sim_quoted(json);
    frame_at(c, FIN | TEXT, text, strlen(text), file, line);
    free(text);
}

static void last_frame_at(conn_client *c, int code, const char *file, int line)
{
    const unsigned char payload[2] = { (unsigned char)(code >> 8), (unsigned char)code };
    frame_at(c, FIN | CLOSE, payload, code != 0 ? 2 : 0, file, line);
    silent_at(c, file, line);
    _assert_true(c->shut, "it was told that nothing more comes", file, line);
}

void parts_at(conn_client *c, int code, const char *file, int line)
{
    last_frame_at(c, code, file, line);
    _assert_true(c->conn == NULL, "its stream is closed", file, line);
}

void closes_at(conn_client *c, int code, const char *file, int line)
{
    last_frame_at(c, code, file, line);
    _assert_int_equal(channels_conn_want(c->conn), CHANNELS_WANT_READ | CHANNELS_WANT_SHUTDOWN,
                      file, line);
}

void traced_at(conn_case *t, const char *text, const char *file, int line)
{
    _assert_string_equal(t->probe.trace, text, file, line);
    t->probe.trace[0] = '\0';
}
