/* node.c - messages between nodes: as bytes for the adapter, and back.
 *
 *   1 byte version | 1 byte kind | 8 bytes incarnation of the sender | 5 x 4 bytes length of from,
 *   to, topic, event, payload | from NUL to NUL topic NUL event NUL payload
 *
 * Numbers have their little end first. An empty `to` means all nodes. Of broadcasts the payload is
 * a JSON object (kind 0) or bytes (1); services of nodes have kinds and formats of their own. */
#include "base/bytes.h"
#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define NODE_VERSION 1
#define NODE_HEAD 30
#define TEXTS 4 /* all parts but the payload */

/* --- Writing ------------------------------------------------------------------------------ */

/* It stands there from now on. */
static unsigned char *place(unsigned char *at, channels__str *text)
{
    unsigned char *end = channels__put(at, text->p, text->n);
    text->p = (const char *)at;
    return end;
}

size_t channels__node_size(const channels__node_message *m)
{
    return NODE_HEAD + TEXTS + m->from.n + m->to.n + m->topic.n + m->event.n + m->payload.n;
}

channels__node_message channels__node_write(void *to, const channels__node_message *m)
{
    channels__node_message written = *m;
    channels__str *texts[TEXTS] = { &written.from, &written.to, &written.topic, &written.event };
    unsigned char *at = to;
    *at++ = NODE_VERSION;
    *at++ = (unsigned char)m->kind;
    at = channels__put_number(at, m->incarnation, 8);
    for (unsigned i = 0; i < TEXTS; i++)
        at = channels__put_number(at, texts[i]->n, 4);
    at = channels__put_number(at, m->payload.n, 4);
    for (unsigned i = 0; i < TEXTS; i++) {
        at = place(at, texts[i]);
        *at++ = '\0';
    }
    place(at, &written.payload);
    return written;
}

/* The name of node `name`'s own topic; NULL if memory ran out. */
static char *private_topic(const channels__mem *mem, channels__str name)
{
    static const char prefix[] = CHANNELS__NODE_TOPIC;
    char *topic = channels__zalloc(mem, sizeof prefix + name.n);
    if (topic == NULL)
        return NULL;
    memcpy(topic, prefix, sizeof prefix - 1);
    memcpy(topic + sizeof prefix - 1, name.p, name.n);
    return topic;
}

channels__subscriber *channels__node_interest(channels_endpoint *ep)
{
    channels__subscriber *sub = NULL;
    char *name = private_topic(&ep->mem, channels__str_z(ep->config.node));
    channels__topic *topic =
        name != NULL ? channels__topic_get(&ep->topics, channels__str_z(name)) : NULL;
    if (topic != NULL) {
        sub = channels__subscriber_new(ep, topic, CHANNELS__SUB_NODE);
        channels__topic_put(&ep->topics, topic);
    }
    channels__strfree(&ep->mem, name);
    return sub;
}

static int give_bytes(channels_endpoint *ep, const char *topic, const channels__node_message *m)
{
    size_t len = channels__node_size(m);
    void *bytes = channels__alloc(&ep->mem, len);
    if (bytes == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__node_write(bytes, m);
    int err = ep->config.pubsub->broadcast(ep->config.pubsub_self, topic, bytes, len);
    channels__free(&ep->mem, bytes, len);
    return err;
}

static int give(channels_endpoint *ep, const char *topic, const channels__node_message *m)
{
    return ep->shortcut != NULL ? ep->shortcut->send(ep->config.pubsub_self, topic, m)
                                : give_bytes(ep, topic, m);
}

int channels__node_send(channels_endpoint *ep, const channels__node_message *given)
{
    channels__node_message m = *given;
    if (ep->config.pubsub == NULL)
        return CHANNELS_OK;
    if (m.topic.n > UINT32_MAX || m.payload.n > UINT32_MAX)
        return CHANNELS_ERR_LIMIT;
    m.from = channels__str_z(ep->config.node);
    m.incarnation = ep->incarnation;
    if (m.to.n == 0)
        return give(ep, m.topic.p, &m);
    char *topic = private_topic(&ep->mem, m.to);
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    int err = give(ep, topic, &m);
    channels__strfree(&ep->mem, topic);
    return err;
}

int channels__publish(channels_endpoint *ep, const char *node, channels__str topic,
                      const char *event, channels_payload p)
{
    const channels__node_message m = {
        .kind = p.kind == CHANNELS_BINARY ? CHANNELS__NODE_BINARY : CHANNELS__NODE_JSON,
        .to = channels__str_z(node),
        .topic = topic,
        .event = channels__str_z(event),
        .payload = channels__str_n(p.data, p.len),
    };
    return channels__node_send(ep, &m);
}

/* --- Reading ------------------------------------------------------------------------------ */

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

static bool payload_ok(const channels__node_message *m)
{
    switch (m->kind) {
    case CHANNELS__NODE_JSON: return channels__json_check(m->payload, CHANNELS__JSON_NESTING, true);
    case CHANNELS__NODE_BINARY: return m->topic.n <= 255 && m->event.n <= 255;
    default: return true; /* its service will see */
    }
}

bool channels__node_read(const void *data, size_t len, channels__node_message *m)
{
    const unsigned char *head = data;
    channels__str *texts[TEXTS] = { &m->from, &m->to, &m->topic, &m->event };
    const unsigned char *at = head + NODE_HEAD, *end = head + len;
    if (len < NODE_HEAD || head[0] != NODE_VERSION || head[1] >= CHANNELS__NODE_KINDS)
        return false;
    m->kind = head[1];
    m->incarnation = channels__get_number(head + 2, 8);
    for (unsigned i = 0; i < TEXTS; i++)
        if (!take_text(&at, end, channels__get_number(head + 10 + 4 * i, 4), texts[i]))
            return false;
    m->payload = channels__str_n((const char *)at, (size_t)(end - at));
    return m->payload.n == channels__get_number(head + 26, 4) && payload_ok(m);
}

/* Somebody may go on sending what we do not know: that is worth one line, not one for each. */
static void complain(channels_endpoint *ep, const unsigned char *data, size_t len)
{
    if (ep->now < ep->misread_until)
        return;
    ep->misread_until = ep->now + 60000;
    channels__log(ep, CHANNELS_LOG_ERROR,
                  "channels_pubsub_deliver: %zu bytes from another node are not understood%s", len,
                  len != 0 && data[0] != NODE_VERSION ? ": it speaks another version" : "");
}

/* Its own echo; or that of another node by the same name, which cannot be. */
static bool is_own(channels_endpoint *ep, const channels__node_message *m)
{
    if (!channels__str_is(m->from, ep->config.node))
        return false;
    if (m->incarnation != ep->incarnation && m->incarnation != ep->namesake) {
        ep->namesake = m->incarnation;
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "another node is called %s too: config.node has to be unique",
                      ep->config.node);
    }
    return true;
}

int channels__node_arrived(channels_endpoint *ep, const channels__node_message *m)
{
    if (is_own(ep, m) || (m->to.n != 0 && !channels__str_is(m->to, ep->config.node)))
        return CHANNELS_OK;
    if (m->kind > CHANNELS__NODE_BINARY) {
        channels__services_arrived(ep, m);
        return CHANNELS_OK;
    }
    channels_payload p = { m->kind == CHANNELS__NODE_BINARY ? CHANNELS_BINARY : CHANNELS_JSON,
                           m->payload.p, m->payload.n };
    return channels__deliver(ep, m->topic, m->event.p, p, NULL, 0);
}

static void pass_on(channels_endpoint *ep, const char *topic, const channels__node_message *m,
                    const void *data, size_t len)
{
    if (ep->shortcut != NULL)
        ep->shortcut->relay(ep->config.pubsub_self, topic, m);
    else
        ep->config.pubsub->relay(ep->config.pubsub_self, topic, data, len);
}

static void relay(channels_endpoint *ep, const channels__node_message *m, const void *data,
                  size_t len)
{
    char *topic = m->to.n != 0 ? private_topic(&ep->mem, m->to) : NULL;
    if (m->to.n == 0)
        pass_on(ep, m->topic.p, m, data, len);
    else if (topic != NULL)
        pass_on(ep, topic, m, data, len);
    channels__strfree(&ep->mem, topic);
}

static int receive(channels_endpoint *ep, const void *data, size_t len)
{
    channels__node_message m;
    if (!channels__node_read(data, len, &m)) {
        complain(ep, data, len);
        return CHANNELS_ERR_PROTOCOL;
    }
    int err = channels__node_arrived(ep, &m);
    if (ep->config.pubsub != NULL && ep->config.pubsub->relay != NULL &&
        !channels__str_is(m.from, ep->config.node))
        relay(ep, &m, data, len);
    return err;
}

int channels_pubsub_deliver(channels_endpoint *ep, const void *data, size_t len)
{
    if (!channels__enter(ep, "channels_pubsub_deliver"))
        return CHANNELS_ERR_MISUSE;
    int err = receive(ep, data, len);
    channels__leave(ep);
    return err;
}

void channels_pubsub_log(channels_endpoint *ep, channels_log_level level, const char *text)
{
    channels__log(ep, level, "%s", text);
}
