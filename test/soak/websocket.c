/* websocket.c - a client of the soak that comes by WebSocket: see client.h. */
#include "soak/client.h"
#include "soak/stream.h"

#define STALL 30 /* turns */

typedef struct websocket {
    client client;
    stream stream;
    bool excused;   /* it did what the server may end it for */
    bool closed;    /* the server has said so */
    unsigned stall; /* turns for which it does not read, then it is gone */
} websocket;

/* --- Out ------------------------------------------------------------------------------------ */

static void send_frame(websocket *ws, int first, const void *payload, size_t n)
{
    uint8_t head[6] = { (uint8_t)first, (uint8_t)(0x80 | n), 1, 2, 3, 4 };
    char masked[SAID];
    for (size_t i = 0; i < n; i++)
        masked[i] = (char)(((const char *)payload)[i] ^ head[2 + i % 4]);
    stream_put(&ws->stream, head, sizeof head);
    stream_put(&ws->stream, masked, n);
}

static void say(client *c, const char *text, size_t n)
{
    send_frame((websocket *)c, 0x81, text, n);
}

static void goodbye(client *c)
{
    c->state = GOODBYE;
    send_frame((websocket *)c, 0x88, "\003\351", 2); /* 1001 */
}

static bool break_off(client *c)
{
    websocket *ws = (websocket *)c;
    ws->excused = true;
    switch (soak_random(5)) {
    case 0: stream_close(&ws->stream, true); break;
    case 1:
        stream_half_close(&ws->stream);
        c->state = GOODBYE;
        return true;
    case 2:
        ws->stall = STALL;
        stream_pause(&ws->stream, true);
        return true;
    case 3: say(c, "nonsense", 8); return true;
    default: break;
    }
    client_gone(c);
    return false;
}

/* --- In ------------------------------------------------------------------------------------- */

/* The bytes of the frame at `p`, 0 if it is not all there. */
static size_t on_frame(websocket *ws, const uint8_t *p, size_t n)
{
    size_t head = 2, len;
    if (n < 2)
        return 0;
    len = p[1];
    if (len == 126) {
        head = 4;
        if (n < 4)
            return 0;
        len = (size_t)p[2] << 8 | p[3];
    }
    if (n < head + len)
        return 0;
    if (p[0] == 0x81)
        client_hears(&ws->client, (const char *)p + head, len);
    else if (p[0] == 0x88)
        ws->closed = true;
    else
        soak_fail("client %u: a frame that begins with %02x", ws->client.id, p[0]);
    return head + len;
}

static size_t on_welcome(websocket *ws)
{
    const char *in = ws->stream.in, *end = strstr(in, "\r\n\r\n");
    if (end == NULL)
        return 0;
    if (strncmp(in, "HTTP/1.1 101 ", 13) != 0)
        soak_fail("client %u: not let in: %.60s", ws->client.id, in);
    ws->client.state = OPEN;
    return (size_t)(end + 4 - in);
}

static void on_bytes(stream *s)
{
    websocket *ws = s->user;
    size_t at = 0, n;
    if (ws->client.state == GREETING)
        at = on_welcome(ws);
    if (ws->client.state == GREETING)
        return;
    while ((n = on_frame(ws, (const uint8_t *)s->in + at, s->in_len - at)) != 0)
        at += n;
    stream_take(s, at);
}

static void on_end(stream *s)
{
    websocket *ws = s->user;
    client *c = &ws->client;
    if (c->state != GOODBYE && !ws->excused && !(c->wild && ws->closed))
        soak_fail("client %u: the server has hung up", c->id);
    soak_counted.closed_by_server += c->state != GOODBYE;
    if (c->state == GOODBYE && !ws->excused && !ws->closed)
        soak_fail("client %u: its goodbye was not answered", c->id);
    client_gone(c);
}

/* --- Its life ------------------------------------------------------------------------------- */

static void begin(client *c)
{
    websocket *ws = (websocket *)c;
    char text[512];
    int n = snprintf(text, sizeof text,
                     "GET /socket/websocket?vsn=2.0.0&id=user:%u HTTP/1.1\r\nHost: localhost\r\n"
                     "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     c->id);
    ws->stream.on_bytes = on_bytes;
    ws->stream.on_end = on_end;
    ws->stream.user = ws;
    stream_open(&ws->stream);
    stream_put(&ws->stream, text, (size_t)n);
}

static bool take_turn(client *c)
{
    websocket *ws = (websocket *)c;
    if (ws->stall == 0)
        return true;
    if (--ws->stall == 0)
        client_gone(c);
    return false;
}

static void end(client *c)
{
    stream_close(&((websocket *)c)->stream, false);
}

const carrier soak_websocket = { .size = sizeof(websocket),
                                 .begin = begin,
                                 .say = say,
                                 .goodbye = goodbye,
                                 .break_off = break_off,
                                 .turn = take_turn,
                                 .end = end };
