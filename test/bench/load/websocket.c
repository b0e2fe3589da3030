/* websocket.c - clients on a WebSocket: see client.h. */
#define _GNU_SOURCE /* memmem() */
#include <stdio.h>
#include <string.h>

#include "bench/frame.h"
#include "bench/load/client.h"

/* The example of RFC 6455, 1.3: it need not be new for who masks against no proxy. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static bytes frames; /* on their way out */

/* --- Out ------------------------------------------------------------------------------------ */

static void add_frame(int opcode, const void *payload, size_t n)
{
    static uint32_t random = 1;
    uint8_t *p = bytes_more(&frames, FRAME_HEAD + n);
    size_t head = frame_head(p, opcode, n, 0x80);
    random = random * 1664525u + 1013904223u;
    memcpy(p + head, &random, 4);
    memcpy(p + head + 4, payload, n);
    frame_mask(p + head + 4, n, p + head);
    frames.len += head + 4 + n;
}

static void send_frames(client *c)
{
    stream_write(&c->stream, frames.p, frames.len);
    frames.len = 0;
}

static void say(client *c, const char *lines, size_t n)
{
    const char *end = lines + n;
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));
        if (stop == NULL)
            stop = end;
        add_frame(FRAME_TEXT, lines, (size_t)(stop - lines));
        lines = stop + 1;
    }
    send_frames(c);
}

static void goodbye(client *c)
{
    add_frame(FRAME_CLOSE, "\x03\xe8", 2);
    send_frames(c);
}

/* --- In ------------------------------------------------------------------------------------- */

static void on_text(client *c, const frame *f, const uint8_t *payload, uint64_t now)
{
    if (f->fin && c->fragments.len == 0) {
        message_heard(c, (const char *)payload, f->len, now);
        return;
    }
    bytes_add(&c->fragments, payload, f->len);
    if (!f->fin)
        return;
    message_heard(c, (const char *)c->fragments.p, c->fragments.len, now);
    c->fragments.len = 0;
}

/* False: the stream was given up. */
static bool on_frame(client *c, const frame *f, const uint8_t *payload, uint64_t now)
{
    if (f->opcode == FRAME_TEXT || f->opcode == FRAME_MORE) {
        on_text(c, f, payload, now);
    } else if (f->opcode == FRAME_PING && f->len < 126) {
        add_frame(FRAME_PONG, payload, f->len);
        send_frames(c);
    } else if (f->opcode == FRAME_CLOSE && c->state != CLOSING) {
        stream_close(&c->stream);
        client_gone(c);
        return false;
    } else if (f->opcode != FRAME_CLOSE && f->opcode != FRAME_PONG) {
        load.r->faults.bad++;
    }
    return true;
}

static size_t give_up(client *c)
{
    load.r->faults.bad++;
    stream_close(&c->stream);
    client_gone(c);
    return STREAM_GONE;
}

static size_t read_frames(stream *s, uint8_t *p, size_t n)
{
    client *c = s->client;
    uint64_t now = machine_ns();
    size_t at = 0;
    frame f;
    while (at < n) {
        int is = frame_parse(p + at, n - at, &f);
        if (is == 0)
            break;
        if (is < 0 || f.key != NULL) /* a server must not mask */
            return give_up(c);
        if (!on_frame(c, &f, p + at + f.head, now))
            return STREAM_GONE;
        at += f.head + f.len;
    }
    if (load.manners->read != NULL)
        load.manners->read(c);
    return at;
}

static size_t read_response(stream *s, uint8_t *p, size_t n)
{
    const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end + 4 - p);
    if (memcmp(p, "HTTP/1.1 101", 12) != 0 || memmem(p, head, ACCEPT, sizeof ACCEPT - 1) == NULL)
        return give_up(s->client);
    client_opened(s->client);
    size_t used = read_frames(s, p + head, n - head);
    return used == STREAM_GONE ? used : head + used;
}

static size_t on_read(stream *s, uint8_t *p, size_t n)
{
    return s->client->state == CONNECTING ? read_response(s, p, n) : read_frames(s, p, n);
}

/* --- Its life ------------------------------------------------------------------------------- */

static void on_connected(stream *s)
{
    char text[512];
    int n = snprintf(text, sizeof text,
                     "GET %s/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: " KEY "\r\n\r\n",
                     load.o.path, load.o.port);
    stream_write(s, text, (size_t)n);
}

static void on_ended(stream *s)
{
    bytes_free(&s->client->fragments);
    client_gone(s->client);
}

static const stream_events events = { on_connected, on_read, on_ended };

static void open_stream(client *c)
{
    stream_open(&c->stream, c, &events);
}

static void close_stream(client *c)
{
    stream_close(&c->stream);
    bytes_free(&c->fragments);
}

const carrier carrier_websocket = { open_stream, say, goodbye, close_stream };
