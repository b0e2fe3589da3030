/* client.c - WebSocket clients without sockets: see budget.h. */
#include <stdarg.h>

#include "budget/budget.h"

static char upgrade[] =
    "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
    "Host: localhost:4000\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: http://localhost:4000\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

const piece piece_upgrade = { upgrade, sizeof upgrade - 1 };

/* --- What clients say ----------------------------------------------------------------------- */

static piece masked(const char *text, size_t len)
{
    static const char mask[4] = { 0x1d, (char)0x9a, 0x3c, 0x71 };
    piece p = { budget_alloc(len + 8, 1), 0 };
    p.bytes[p.len++] = (char)0x81;
    if (len < 126) {
        p.bytes[p.len++] = (char)(0x80 | len);
    } else {
        p.bytes[p.len++] = (char)(0x80 | 126);
        p.bytes[p.len++] = (char)(len >> 8);
        p.bytes[p.len++] = (char)len;
    }
    memcpy(p.bytes + p.len, mask, sizeof mask);
    p.len += sizeof mask;
    for (size_t i = 0; i < len; i++)
        p.bytes[p.len++] = (char)(text[i] ^ mask[i % 4]);
    return p;
}

piece piece_frame(const char *format, ...)
{
    static char text[65536];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof text)
        budget_fail("a frame is too long");
    return masked(text, (size_t)n);
}

void piece_append(piece *p, piece other)
{
    p->bytes = realloc(p->bytes, p->len + other.len);
    if (p->bytes == NULL)
        budget_fail("no memory");
    memcpy(p->bytes + p->len, other.bytes, other.len);
    p->len += other.len;
    piece_free(&other);
}

void piece_free(piece *p)
{
    free(p->bytes);
    *p = (piece){ NULL, 0 };
}

/* --- Clients -------------------------------------------------------------------------------- */

void client_open(host *h, client *c)
{
    static const channels_stream stream = { .peer = "127.0.0.1:40000" };
    if (channels_conn_new(h->ep, &stream, c, &c->conn) != CHANNELS_OK)
        budget_fail("there is no connection");
}

void client_close(client *c)
{
    channels_conn_free(c->conn);
    c->conn = NULL;
}

void client_say(client *c, piece p)
{
    if (channels_conn_feed(c->conn, p.bytes, p.len) != CHANNELS_OK)
        budget_fail("a client's bytes are not taken");
    kernel_write(c->conn);
}

void client_join(client *c, const char *topic)
{
    piece p = piece_frame("[\"1\",\"1\",\"%s\",\"phx_join\",{}]", topic);
    client_say(c, p);
    piece_free(&p);
}

client *clients_open(host *h, size_t count)
{
    client *all = budget_alloc(count, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        client_open(h, &all[i]);
        client_say(&all[i], piece_upgrade);
    }
    return all;
}

void clients_close(client *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        client_close(&all[i]);
    free(all);
}
