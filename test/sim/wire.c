/* wire.c - see wire.h. */
#include "sim/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "sim/squeeze.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="        /* of RFC 6455, 1.3, */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* and what is to be answered */

#define EXTENSIONS "sec-websocket-extensions: permessage-deflate"

static void put(sim_bytes *b, const void *bytes, size_t len)
{
    if (b->len + len > b->size) {
        b->size = 2 * (b->len + len);
        b->p = sim_resize(b->p, b->size);
    }
    if (len != 0)
        memcpy(b->p + b->len, bytes, len);
    b->len += len;
}

static void drop(sim_bytes *b, size_t len)
{
    b->len -= len;
    memmove(b->p, b->p + len, b->len);
}

/* --- Saying ------------------------------------------------------------------------------- */

bool sim_wire_open(sim_wire *w, channels_test *host)
{
    memset(w, 0, sizeof *w);
    w->host = host;
    w->last = &w->first;
    const channels_stream stream = { .peer = "192.0.2.1:4711" };
    return channels_conn_new(host->ep, &stream, w, &w->conn) == CHANNELS_OK;
}

void sim_wire_raw(sim_wire *w, const void *bytes, size_t len)
{
    put(&w->out, bytes, len);
    w->said += len;
}

void sim_wire_request(sim_wire *w, const char *method, const char *target, const char *headers)
{
    char head[1024];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nhost: localhost\r\n%s\r\n", method,
                     target, headers);
    sim_wire_raw(w, head, (size_t)n);
}

void sim_wire_upgrade(sim_wire *w, const char *target)
{
    char headers[512];
    int n = snprintf(headers, sizeof headers,
                     "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"
                     "sec-websocket-version: 13\r\nsec-websocket-key: " KEY "\r\n");
    if (w->window == 15)
        snprintf(headers + n, sizeof headers - (size_t)n,
                 EXTENSIONS "; client_max_window_bits\r\n");
    else if (w->window != 0)
        snprintf(headers + n, sizeof headers - (size_t)n,
                 EXTENSIONS "; server_max_window_bits=%d\r\n", w->window);
    sim_wire_request(w, "GET", target, headers);
}

void sim_wire_frame(sim_wire *w, int opcode, const void *payload, size_t len)
{
    unsigned char head[14] = { (unsigned char)opcode };
    size_t n = 2, bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    head[1] = (unsigned char)(0x80 | (bytes == 0 ? len : bytes == 2 ? 126 : 127));
    for (size_t i = bytes; i > 0; i--)
        head[n++] = (unsigned char)((uint64_t)len >> 8 * (i - 1));
    uint32_t mask = (uint32_t)(w->said * 2654435761u + 0x5bd1e995u);
    for (unsigned i = 0; i < 4; i++)
        head[n++] = (unsigned char)(mask >> 8 * i);
    sim_wire_raw(w, head, n);
    size_t at = w->out.len;
    sim_wire_raw(w, payload, len);
    for (size_t i = 0; i < len; i++)
        w->out.p[at + i] = (char)(w->out.p[at + i] ^ head[n - 4 + i % 4]);
}

void sim_wire_text(sim_wire *w, const char *text)
{
    char *quoted = sim_quoted(text);
    sim_wire_frame(w, 0x81, quoted, strlen(quoted));
    free(quoted);
}

void sim_wire_close(sim_wire *w, int code)
{
    unsigned char bytes[2] = { (unsigned char)(code >> 8), (unsigned char)code };
    sim_wire_frame(w, 0x88, bytes, code != 0 ? 2 : 0);
    w->close_said = true;
}

char *sim_wire_deflate(const void *bytes, size_t len, size_t *packed_len)
{
    return sim_deflate(bytes, len, 15, packed_len);
}

/* --- Hearing ------------------------------------------------------------------------------ */

static bool find_header(const char *head, const char *name, char *value, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = head; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncmp(line, name, n) == 0 && line[n] == ':') {
            snprintf(value, size, "%.*s", (int)strcspn(line + n + 2, "\r"), line + n + 2);
            return true;
        }
    }
    return false;
}

/* An answer in HTTP; false if it is not all there. */
static bool take_answer(sim_wire *w)
{
    char value[64], *head, *end;
    size_t len, body = 0;
    put(&w->in, "", 1); /* a NUL for strstr() */
    w->in.len--;
    head = w->in.p;
    if (w->in.len == 0 || (end = strstr(head, "\r\n\r\n")) == NULL)
        return false;
    len = (size_t)(end + 4 - head);
    if (find_header(head, "content-length", value, sizeof value))
        body = (size_t)atoi(value);
    if (w->in.len < len + body)
        return false;
    if (sscanf(head, "HTTP/1.1 %d ", &w->status) != 1)
        w->wrong = "a status line";
    if (w->status == 101 && (!find_header(head, "sec-websocket-accept", value, sizeof value) ||
                             strcmp(value, ACCEPT) != 0))
        w->wrong = "sec-websocket-accept";
    w->deflates = find_header(head, "sec-websocket-extensions", value, sizeof value);
    if (w->deflates && w->window == 0)
        w->wrong = "an extension that it has not asked for";
    snprintf(w->body, sizeof w->body, "%.*s", (int)body, end + 4);
    if (w->answer != NULL)
        w->answer(w->arg, w->status, end + 4, body);
    drop(&w->in, len + body);
    return true;
}

static void add_message(sim_wire *w, channels_kind kind, const char *payload, size_t len)
{
    sim_message *m = sim_alloc(sizeof *m + len + 1);
    m->next = NULL;
    m->kind = kind;
    m->len = len;
    memcpy(m->bytes, payload, len);
    m->bytes[len] = '\0';
    *w->last = m;
    w->last = &m->next;
}

static void take_deflated(sim_wire *w, channels_kind kind, const char *payload, size_t len)
{
    size_t n;
    char *plain = w->deflates ? sim_inflate(payload, len, w->window, &n) : NULL;
    if (plain != NULL)
        add_message(w, kind, plain, n);
    else
        w->wrong = "a message compressed as was not agreed on";
    free(plain);
}

static void take_payload(sim_wire *w, int first, const char *payload, size_t len)
{
    const unsigned char *code = (const unsigned char *)payload;
    if (w->code != 0)
        w->wrong = "something behind a Close";
    switch (first) {
    case 0x81: add_message(w, CHANNELS_JSON, payload, len); return;
    case 0x82: add_message(w, CHANNELS_BINARY, payload, len); return;
    case 0xc1: take_deflated(w, CHANNELS_JSON, payload, len); return;
    case 0xc2: take_deflated(w, CHANNELS_BINARY, payload, len); return;
    case 0x88:
        w->code = len >= 2 ? code[0] << 8 | code[1] : 1005;
        if (len != 0 && len != 2)
            w->wrong = "a Close with more than a code";
        return;
    case 0x8a:
        if (len > 125) {
            w->wrong = "a long pong";
            return;
        }
        w->pongs++;
        memcpy(w->pong, payload, len);
        w->pong[len] = '\0';
        return;
    default: w->wrong = "a frame of that kind";
    }
}

static bool take_frame(sim_wire *w)
{
    const unsigned char *p = (const unsigned char *)w->in.p;
    size_t head = 2, bytes, len;
    if (w->in.len < head)
        return false;
    if (p[1] & 0x80)
        w->wrong = "a mask";
    len = p[1] & 0x7f;
    bytes = len < 126 ? 0 : len == 126 ? 2 : 8;
    if (w->in.len < head + bytes)
        return false;
    if (bytes != 0)
        for (len = 0; head < 2 + bytes; head++)
            len = len << 8 | p[head];
    if (w->in.len < head + len)
        return false;
    take_payload(w, p[0], w->in.p + head, len);
    drop(&w->in, head + len);
    return true;
}

static void understand(sim_wire *w)
{
    while (w->status != 101 && take_answer(w))
        ;
    while (w->status == 101 && take_frame(w))
        ;
}

sim_message *sim_wire_hear(sim_wire *w)
{
    sim_message *m = w->first;
    if (m == NULL)
        return NULL;
    w->first = m->next;
    if (w->first == NULL)
        w->last = &w->first;
    return m;
}

/* --- Carrying ----------------------------------------------------------------------------- */

static size_t carry_in(sim_wire *w, size_t max)
{
    struct iovec iov[3];
    size_t moved = 0;
    int n = channels_conn_output(w->conn, iov, 3);
    for (int i = 0; i < n && moved < max; i++) {
        size_t len = iov[i].iov_len < max - moved ? iov[i].iov_len : max - moved;
        put(&w->in, iov[i].iov_base, len);
        moved += len;
    }
    channels_conn_sent(w->conn, moved);
    understand(w);
    return moved;
}

/* The bytes are fed from a block of just their size, for who looks beyond it. */
static size_t carry_out(sim_wire *w, size_t max)
{
    size_t len = w->out.len < max ? w->out.len : max;
    if (len == 0 || (channels_conn_want(w->conn) & CHANNELS_WANT_READ) == 0)
        return 0;
    char *bytes = sim_alloc(len);
    memcpy(bytes, w->out.p, len);
    drop(&w->out, len);
    w->fed += len;
    channels_conn_feed(w->conn, bytes, len);
    free(bytes);
    return len;
}

bool sim_wire_move(sim_wire *w, size_t out, size_t in)
{
    if (w->conn == NULL)
        return false;
    size_t moved = carry_out(w, out);
    if (w->conn != NULL)
        moved += carry_in(w, in);
    unsigned want = w->conn != NULL ? channels_conn_want(w->conn) : 0;
    bool answered_close = (want & CHANNELS_WANT_SHUTDOWN) != 0 && w->out.len == 0;
    if ((want & CHANNELS_WANT_CLOSE) != 0 || answered_close) {
        sim_wire_cut(w); /* the client has read the end of our stream and ends its own */
        return true;
    }
    return moved != 0;
}

void sim_wire_move_all(sim_wire *w)
{
    while (sim_wire_move(w, SIZE_MAX, SIZE_MAX))
        ;
}

void sim_wire_cut(sim_wire *w)
{
    channels_conn *conn = w->conn;
    w->conn = NULL;
    channels_conn_free(conn);
}

void sim_wire_deinit(sim_wire *w)
{
    for (sim_message *m; (m = sim_wire_hear(w)) != NULL;)
        free(m);
    free(w->out.p);
    free(w->in.p);
    memset(w, 0, sizeof *w);
}
