/* pubsub.c - broadcasting from any thread: what may be sent, how far, and functions that listen. */
#include <stdlib.h>

#include "core/core.h"
#include "wire/json.h"
#include "wire/utf8.h"

/* --- What may be sent --------------------------------------------------------------------- */

/* Most names are short and ASCII: those are done with when their end is found. */
static bool is_text(const char *name)
{
    const char *p = name;
    while ((unsigned char)(*p - 1) < 0x7f)
        p++;
    return *p == '\0' || channels__utf8_valid(p, strlen(p));
}

bool channels__name_ok(channels_endpoint *ep, const char *call, const char *what, const char *name)
{
    if (name != NULL && is_text(name))
        return true;
    channels__log(ep, CHANNELS_LOG_ERROR, "%s: the %s %s", call, what,
                  name == NULL ? "is NULL" : "is not UTF-8");
    return false;
}

/* What a client sent has been checked when it came, so forwarding it as a whole costs nothing. */
static bool in_hand(const channels_endpoint *ep, channels_payload p)
{
    return ep->hand != NULL && ep->hand->msg.payload.data == p.data &&
           ep->hand->msg.payload.len == p.len && ep->hand->msg.payload.kind == p.kind;
}

bool channels__payload_ok(channels_endpoint *ep, const char *call, channels_payload p, bool object)
{
    const char *why = "is NULL";
    if (p.kind != CHANNELS_JSON && p.kind != CHANNELS_BINARY) {
        why = "is neither JSON nor binary";
    } else if (p.kind == CHANNELS_BINARY) {
        if (p.data != NULL || p.len == 0)
            return true;
    } else if (p.data != NULL) {
        why = "is not JSON";
        if (in_hand(ep, p) && (!object || *(const char *)p.data == '{'))
            return true;
        channels__str text = channels__str_n(p.data, p.len);
        if (channels__json_check(text, CHANNELS__JSON_NESTING, object))
            return true;
        if (object && channels__json_check(text, CHANNELS__JSON_NESTING, false))
            why = "is not a JSON object";
    }
    channels__log(ep, CHANNELS_LOG_ERROR, "%s: the payload %s", call, why);
    return false;
}

/* The header of a binary frame has one byte for each length. */
static bool fits_binary(channels_endpoint *ep, const char *call, channels__str topic,
                        const char *event)
{
    if (topic.n <= 255 && strlen(event) <= 255)
        return true;
    channels__log(ep, CHANNELS_LOG_ERROR,
                  "%s: with a binary payload, topic and event can have at most 255 bytes", call);
    return false;
}

/* --- Broadcasting ------------------------------------------------------------------------- */

static bool sendable(channels_endpoint *ep, const char *call, channels__str topic,
                     const char *event, channels_payload p)
{
    return channels__name_ok(ep, call, "event", event) &&
           channels__payload_ok(ep, call, p, true) &&
           (p.kind != CHANNELS_BINARY || fits_binary(ep, call, topic, event));
}

int channels__broadcast(channels_endpoint *ep, const char *call, channels__str topic,
                        const char *event, channels_payload p, const channels_channel *except,
                        uint32_t function, bool everywhere)
{
    if (!sendable(ep, call, topic, event, p))
        return CHANNELS_ERR_INVALID;
    int err = channels__deliver(ep, topic, event, p, except, function);
    if (err == CHANNELS_OK && everywhere && ep->config.pubsub != NULL)
        err = channels__publish(ep, NULL, topic, event, p);
    return err;
}

typedef enum { EVERYWHERE, HERE, ONE_NODE } reach;

static int direct(channels_endpoint *ep, const char *call, const char *node, channels__str topic,
                  const char *event, channels_payload p)
{
    if (!channels__name_ok(ep, call, "node", node))
        return CHANNELS_ERR_INVALID;
    if (strcmp(node, ep->config.node) == 0)
        return channels__broadcast(ep, call, topic, event, p, NULL, 0, false);
    if (ep->config.pubsub == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "%s: there is no adapter that could reach the node %s", call, node);
        return CHANNELS_ERR_INVALID;
    }
    if (!sendable(ep, call, topic, event, p))
        return CHANNELS_ERR_INVALID;
    return channels__publish(ep, node, topic, event, p);
}

static int broadcast_here(channels_endpoint *ep, const char *call, reach to, const char *node,
                          uint32_t from, const char *topic, const char *event, channels_payload p)
{
    if (!channels__enter(ep, call))
        return CHANNELS_ERR_MISUSE;
    int err = CHANNELS_ERR_INVALID;
    if (channels__name_ok(ep, call, "topic", topic))
        err = to == ONE_NODE ? direct(ep, call, node, channels__str_z(topic), event, p)
                             : channels__broadcast(ep, call, channels__str_z(topic), event, p, NULL,
                                                   from, to == EVERYWHERE);
    channels__leave(ep);
    return err;
}

/* A broadcast from another thread, on its way to the endpoint's. */
typedef struct broadcast_letter {
    channels__letter letter;
    const char *call;
    reach to;
    char *node, *topic, *event; /* behind the struct */
    channels_payload payload;
} broadcast_letter;

static void run_letter(void *self, channels__letter *letter)
{
    broadcast_letter *l = (broadcast_letter *)letter;
    broadcast_here(self, l->call, l->to, l->node, 0, l->topic, l->event, l->payload);
    free(l);
}

static void drop_letter(channels__letter *letter)
{
    free(letter);
}

static char *put_string(char **at, const char *s)
{
    char *start = *at;
    if (s == NULL)
        return NULL;
    *at = stpcpy(start, s) + 1;
    return start;
}

static size_t string_size(const char *s)
{
    return s != NULL ? strlen(s) + 1 : 0;
}

static int post(channels_endpoint *ep, const char *call, reach to, const char *node,
                const char *topic, const char *event, channels_payload p)
{
    broadcast_letter *l =
        malloc(sizeof *l + string_size(node) + string_size(topic) + string_size(event) + p.len);
    if (l == NULL)
        return CHANNELS_ERR_NOMEM;
    char *at = (char *)(l + 1);
    l->letter.run = run_letter;
    l->letter.drop = drop_letter;
    l->call = call;
    l->to = to;
    l->node = put_string(&at, node);
    l->topic = put_string(&at, topic);
    l->event = put_string(&at, event);
    l->payload = p;
    if (p.data != NULL) {
        l->payload.data = at;
        if (p.len != 0)
            memcpy(at, p.data, p.len);
    }
    return channels__post(ep, &l->letter);
}

/* `call` is a literal: it outlives the letter. */
static int broadcast(channels_endpoint *ep, const char *call, reach to, const char *node,
                     const char *topic, const char *event, channels_payload p)
{
    return channels__on_thread(ep) ? broadcast_here(ep, call, to, node, 0, topic, event, p)
                                   : post(ep, call, to, node, topic, event, p);
}

int channels_pubsub_broadcast(channels_endpoint *ep, const char *topic, const char *event,
                              channels_payload p)
{
    return broadcast(ep, "channels_pubsub_broadcast", EVERYWHERE, NULL, topic, event, p);
}

int channels_pubsub_local_broadcast(channels_endpoint *ep, const char *topic, const char *event,
                                    channels_payload p)
{
    return broadcast(ep, "channels_pubsub_local_broadcast", HERE, NULL, topic, event, p);
}

int channels_pubsub_direct_broadcast(channels_endpoint *ep, const char *node, const char *topic,
                                     const char *event, channels_payload p)
{
    return broadcast(ep, "channels_pubsub_direct_broadcast", ONE_NODE, node, topic, event, p);
}

int channels_disconnect(channels_endpoint *ep, const char *socket_id)
{
    return broadcast(ep, "channels_disconnect", EVERYWHERE, NULL, socket_id, "disconnect",
                     channels_empty());
}

const char *channels_pubsub_node(const channels_endpoint *ep)
{
    return ep->config.node;
}

/* --- Functions that listen ---------------------------------------------------------------- */

/* The slot of a live subscription, or 0. */
static uint32_t function_of(const channels_endpoint *ep, channels_subscription sub)
{
    channels_ref ref = { sub.id };
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    return slot != NULL && slot->kind == CHANNELS__REF_FUNCTION ? (uint32_t)sub.id : 0;
}

static channels__subscriber *function_new(channels_endpoint *ep, const char *name)
{
    channels__topic *topic = channels__topic_get(&ep->topics, channels__str_z(name));
    if (topic == NULL)
        return NULL;
    channels__subscriber *sub = channels__subscriber_new(ep, topic, CHANNELS__SUB_FUNCTION);
    channels__topic_put(&ep->topics, topic);
    if (sub == NULL)
        return NULL;
    sub->to.function.slot = channels__ref_new(&ep->refs, CHANNELS__REF_FUNCTION);
    if (sub->to.function.slot != 0)
        return sub;
    channels__subscriber_end(ep, sub);
    return NULL;
}

static int subscribe(channels_endpoint *ep, const char *name,
                     void (*fn)(void *arg, const channels_msg *msg), void *arg,
                     channels_subscription *result)
{
    static const char call[] = "channels_pubsub_subscribe";
    if (!channels__name_ok(ep, call, "topic", name))
        return CHANNELS_ERR_INVALID;
    if (fn == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "%s: no function given", call);
        return CHANNELS_ERR_INVALID;
    }
    channels__subscriber *sub = function_new(ep, name);
    if (sub == NULL)
        return CHANNELS_ERR_NOMEM;
    sub->to.function.fn = fn;
    sub->to.function.arg = arg;
    ep->refs.slots[sub->to.function.slot - 1].of.function = sub;
    result->id = channels__ref_of(&ep->refs, sub->to.function.slot).id;
    return CHANNELS_OK;
}

int channels_pubsub_subscribe(channels_endpoint *ep, const char *topic,
                              void (*fn)(void *arg, const channels_msg *msg), void *arg,
                              channels_subscription *sub)
{
    channels_subscription unused;
    if (sub == NULL)
        sub = &unused;
    sub->id = 0;
    if (!channels__enter(ep, "channels_pubsub_subscribe"))
        return CHANNELS_ERR_MISUSE;
    int err = subscribe(ep, topic, fn, arg, sub);
    channels__leave(ep);
    return err;
}

static void function_end(channels_endpoint *ep, uint32_t n)
{
    channels__subscriber *sub = ep->refs.slots[n - 1].of.function;
    channels__ref_free(&ep->refs, n);
    sub->to.function.slot = 0;
    channels__subscriber_end(ep, sub);
}

void channels_pubsub_unsubscribe(channels_endpoint *ep, channels_subscription sub)
{
    if (!channels__enter(ep, "channels_pubsub_unsubscribe"))
        return;
    uint32_t n = function_of(ep, sub);
    if (n != 0)
        function_end(ep, n);
    channels__leave(ep);
}

void channels__functions_end(channels_endpoint *ep)
{
    for (uint32_t n = 1; n <= ep->refs.count; n++)
        if (ep->refs.slots[n - 1].kind == CHANNELS__REF_FUNCTION)
            function_end(ep, n);
}

int channels_pubsub_broadcast_from(channels_endpoint *ep, channels_subscription from,
                                   const char *topic, const char *event, channels_payload p)
{
    uint32_t function = channels__on_thread(ep) ? function_of(ep, from) : 0;
    return broadcast_here(ep, "channels_pubsub_broadcast_from", EVERYWHERE, NULL, function, topic,
                          event, p);
}
