/* client.c - clients in memory: see cluster.h. */
#include <stdio.h>

#include "bench/cluster.h"

#define GOING_AWAY 1001 /* the endpoint is freed */

static int on_send(void *carrier, channels_buf *wire, channels_kind kind)
{
    client *c = carrier;
    size_t len;
    const char *text = channels_buf_data(wire, &len);
    (void)kind;
    if (c->in && c->hear != NULL)
        c->hear(c, text, len);
    c->in = true;
    channels_socket_sent(c->socket, len);
    return CHANNELS_OK;
}

static void on_close(void *carrier, int code)
{
    (void)carrier;
    if (code != GOING_AWAY)
        bench_fail("a client is closed with %d", code);
}

static void on_accept(void *carrier)
{
    (void)carrier;
}

static void on_refuse(void *carrier, const channels_response *r)
{
    (void)carrier;
    bench_fail("a client is refused with %d", r->status);
}

static const channels_transport in_memory = {
    .name = "memory", .send = on_send, .close = on_close, .accept = on_accept, .refuse = on_refuse
};

void client_join(channels_endpoint *ep, client *c, const char *query, const char *topic)
{
    char text[128], params[64];
    channels_request req = { .method = "GET", .path = "/socket", .query = params };
    snprintf(params, sizeof params, "vsn=2.0.0&%s", query);
    snprintf(text, sizeof text, "[\"1\",\"1\",\"%s\",\"phx_join\",{}]", topic);
    if (channels_socket_open(ep, &req, &in_memory, c, &c->socket) != CHANNELS_OK ||
        channels_socket_receive(c->socket, channels_text(text)) != CHANNELS_OK || !c->in)
        bench_fail("a client does not get in");
}
