/* node.c - messages between nodes: as bytes for the adapter, and back.
 *
 *   1 byte version | 1 byte kind | 4 x 4 bytes length of node, topic, event, payload, little end
 *   first | node NUL topic NUL event NUL payload */
#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define NODE_VERSION 1
#define NODE_HEAD 18

static void put_len(unsigned char *p, size_t n)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (unsigned char)(n >> (8 * i));
}

static size_t get_len(const unsigned char *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

static unsigned char *put_bytes(unsigned char *at, const void *p, size_t n)
{
    if (n != 0)
        memcpy(at, p, n);
    return at + n;
}

static size_t node_message_len(const channels_endpoint *ep, channels__str topic, const char *event,
                               channels_payload p)
{
    return NODE_HEAD + strlen(ep->config.node) + topic.n + strlen(event) + 3 + p.len;
}

static void node_message(const channels_endpoint *ep, unsigned char *at, channels__str topic,
                         const char *event, channels_payload p)
{
    size_t node_len = strlen(ep->config.node), event_len = strlen(event);
    at[0] = NODE_VERSION;
    at[1] = p.kind == CHANNELS_BINARY;
    put_len(at + 2, node_len);
    put_len(at + 6, topic.n);
    put_len(at + 10, event_len);
    put_len(at + 14, p.len);
    at = put_bytes(at + NODE_HEAD, ep->config.node, node_len + 1);
    at = put_bytes(at, topic.p, topic.n);
    *at++ = '\0';
    at = put_bytes(at, event, event_len + 1);
    put_bytes(at, p.data, p.len);
}

int channels__publish(channels_endpoint *ep, const char *node, channels__str topic,
                      const char *event, channels_payload p)
{
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    size_t len = node_message_len(ep, topic, event, p);
    if (topic.n > UINT32_MAX || p.len > UINT32_MAX)
        return CHANNELS_ERR_LIMIT;
    unsigned char *bytes = channels__alloc(&ep->mem, len);
    if (bytes == NULL)
        return CHANNELS_ERR_NOMEM;
    node_message(ep, bytes, topic, event, p);
    int err = node != NULL ? adapter->send_to(ep->config.pubsub_self, node, bytes, len)
                           : adapter->broadcast(ep->config.pubsub_self, topic.p, bytes, len);
    channels__free(&ep->mem, bytes, len);
    return err;
}

typedef struct node_parts {
    channels__str node, topic, event;
    channels_payload payload;
} node_parts;

/* Texts are NUL-terminated where they stand, and hold no other NUL. */
static bool take_text(const unsigned char **at, const unsigned char *end, size_t len,
                      channels__str *text)
{
    if ((size_t)(end - *at) <= len || (*at)[len] != '\0' || memchr(*at, '\0', len) != NULL)
        return false;
    *text = channels__str_n((const char *)*at, len);
    *at += len + 1;
    return channels__utf8_valid(text->p, len);
}

static bool parse_node_message(const unsigned char *at, size_t len, node_parts *parts)
{
    const unsigned char *head = at, *end = at + len;
    if (len < NODE_HEAD || head[0] != NODE_VERSION || head[1] > 1)
        return false;
    at += NODE_HEAD;
    if (!take_text(&at, end, get_len(head + 2), &parts->node) ||
        !take_text(&at, end, get_len(head + 6), &parts->topic) ||
        !take_text(&at, end, get_len(head + 10), &parts->event) ||
        (size_t)(end - at) != get_len(head + 14))
        return false;
    parts->payload.kind = head[1] != 0 ? CHANNELS_BINARY : CHANNELS_JSON;
    parts->payload.data = at;
    parts->payload.len = (size_t)(end - at);
    if (parts->payload.kind == CHANNELS_BINARY)
        return parts->topic.n <= 255 && parts->event.n <= 255;
    return channels__json_check(channels__str_n((const char *)at, parts->payload.len),
                                CHANNELS__JSON_NESTING, true);
}

int channels_pubsub_deliver(channels_endpoint *ep, const void *data, size_t len)
{
    node_parts m;
    if (!channels__enter(ep, "channels_pubsub_deliver"))
        return CHANNELS_ERR_MISUSE;
    int err = CHANNELS_OK;
    if (!parse_node_message(data, len, &m)) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_pubsub_deliver: %zu bytes from another node are not understood%s",
                      len, len != 0 && *(const unsigned char *)data != NODE_VERSION
                               ? ": it speaks another version"
                               : "");
        err = CHANNELS_ERR_PROTOCOL;
    } else if (!channels__str_is(m.node, ep->config.node)) {
        err = channels__deliver(ep, m.topic, m.event.p, m.payload, NULL, 0);
    }
    channels__leave(ep);
    return err;
}
