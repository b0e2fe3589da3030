/* calls.c - what the application calls on a channel it was given. */
#include "core/core.h"

int channels__channel_reachable(const channels_channel *ch, const char *call)
{
    if (ch->state == CHANNELS__ENDED)
        return CHANNELS_ERR_CLOSED;
    if (ch->state == CHANNELS__JOINED || ch->state == CHANNELS__TERMINATING)
        return CHANNELS_OK;
    channels__log(ch->socket->ep, CHANNELS_LOG_ERROR,
                  "%s: %s is not joined yet; joined() is the place for it", call, ch->topic->name);
    return CHANNELS_ERR_INVALID;
}

static int push(channels_channel *ch, const char *event, channels_payload p)
{
    channels_endpoint *ep = ch->socket->ep;
    int err = channels__channel_reachable(ch, "channels_push");
    if (err != CHANNELS_OK)
        return err;
    if (!channels__name_ok(ep, "channels_push", "event", event) ||
        !channels__payload_ok(ep, "channels_push", p, true))
        return CHANNELS_ERR_INVALID;
    return channels__channel_push(ch, event, p);
}

int channels_push(channels_channel *ch, const char *event, channels_payload p)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_push"))
        return CHANNELS_ERR_MISUSE;
    int err = push(ch, event, p);
    channels__leave(ep);
    return err;
}

/* Encoded now, while the payload is there; sent when join() has returned. */
static int reply_to_join(channels_channel *ch, channels__hand *hand, const char *status,
                         channels_payload p)
{
    bool ok = strcmp(status, "ok") == 0;
    if (hand->join_reply != NULL || (!ok && strcmp(status, "error") != 0)) {
        channels__log(ch->socket->ep, CHANNELS_LOG_ERROR,
                      "channels_reply: in join() once, with \"ok\" or \"error\"");
        return CHANNELS_ERR_INVALID;
    }
    hand->reply_ok = ok;
    return channels__join_reply_encode(ch, hand->ref, status, p, &hand->join_reply,
                                       &hand->reply_kind);
}

static int reply(channels_channel *ch, const char *status, channels_payload p)
{
    channels_endpoint *ep = ch->socket->ep;
    channels__hand *hand = ep->hand;
    if (ch->state == CHANNELS__ENDED)
        return CHANNELS_ERR_CLOSED;
    if (hand == NULL || hand->channel != ch || hand->what == CHANNELS__HAND_EVENT) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_reply: there is no message of the client to answer here; take a "
                      "ref with channels_later() while there is");
        return CHANNELS_ERR_INVALID;
    }
    if (!channels__name_ok(ep, "channels_reply", "status", status) ||
        !channels__payload_ok(ep, "channels_reply", p, false))
        return CHANNELS_ERR_INVALID;
    if (hand->what == CHANNELS__HAND_JOIN)
        return reply_to_join(ch, hand, status, p);
    return channels__channel_reply(ch, hand->ref, status, p);
}

int channels_reply(channels_channel *ch, const char *status, channels_payload p)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_reply"))
        return CHANNELS_ERR_MISUSE;
    int err = reply(ch, status, p);
    channels__leave(ep);
    return err;
}

static int broadcast(channels_channel *ch, const channels_channel *except, const char *call,
                     const char *event, channels_payload p)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, call))
        return CHANNELS_ERR_MISUSE;
    int err = channels__channel_reachable(ch, call);
    if (err == CHANNELS_OK)
        err = channels__broadcast(ep, call, channels__str_n(ch->topic->name, ch->topic->len), event,
                                  p, except, 0, true);
    channels__leave(ep);
    return err;
}

int channels_broadcast(channels_channel *ch, const char *event, channels_payload p)
{
    return broadcast(ch, NULL, "channels_broadcast", event, p);
}

int channels_broadcast_from(channels_channel *ch, const char *event, channels_payload p)
{
    return broadcast(ch, ch, "channels_broadcast_from", event, p);
}

static int subscribe(channels_channel *ch, const char *name)
{
    channels_endpoint *ep = ch->socket->ep;
    if (ch->state >= CHANNELS__TERMINATING)
        return CHANNELS_ERR_CLOSED;
    if (!channels__name_ok(ep, "channels_subscribe", "topic", name))
        return CHANNELS_ERR_INVALID;
    channels__aside *aside = channels__channel_aside(ch);
    channels__topic *topic = NULL;
    if (aside != NULL)
        topic = channels__topic_get(&ep->topics, channels__str_z(name));
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__subscriber *sub = channels__subscriber_new(ep, topic, CHANNELS__SUB_CHANNEL);
    channels__topic_put(&ep->topics, topic);
    if (sub == NULL)
        return CHANNELS_ERR_NOMEM;
    sub->to.channel = ch;
    sub->next = aside->subs;
    aside->subs = sub;
    return CHANNELS_OK;
}

int channels_subscribe(channels_channel *ch, const char *topic)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_subscribe"))
        return CHANNELS_ERR_MISUSE;
    int err = subscribe(ch, topic);
    channels__leave(ep);
    return err;
}

static void unsubscribe(channels_channel *ch, const char *topic)
{
    channels__subscriber *none = NULL, **at = ch->aside != NULL ? &ch->aside->subs : &none;
    while (*at != NULL) {
        channels__subscriber *sub = *at;
        if (strcmp(sub->topic->name, topic) != 0) {
            at = &sub->next;
            continue;
        }
        *at = sub->next;
        channels__subscriber_end(ch->socket->ep, sub);
    }
}

void channels_unsubscribe(channels_channel *ch, const char *topic)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_unsubscribe"))
        return;
    if (channels__name_ok(ep, "channels_unsubscribe", "topic", topic))
        unsubscribe(ch, topic);
    channels__leave(ep);
}

int channels_stop(channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    channels__work work = { .kind = CHANNELS__WORK_STOP, .to.channel = ch };
    if (!channels__enter(ep, "channels_stop"))
        return CHANNELS_ERR_MISUSE;
    int err = CHANNELS_OK;
    if (ch->state >= CHANNELS__TERMINATING)
        err = CHANNELS_ERR_CLOSED;
    else if (!channels__queue_push(&ep->queue, &work))
        err = CHANNELS_ERR_NOMEM;
    else
        ch->pins++;
    channels__leave(ep);
    return err;
}

/* --- What there is to see ----------------------------------------------------------------- */

void *channels_assigns(channels_channel *ch)
{
    return ch->assigns;
}

const char *channels_channel_topic(const channels_channel *ch)
{
    return ch->topic->name;
}

const void *channels_channel_arg(const channels_channel *ch)
{
    return ch->route->arg;
}

channels_socket *channels_channel_socket(const channels_channel *ch)
{
    return ch->socket;
}

channels_endpoint *channels_channel_endpoint(const channels_channel *ch)
{
    return ch->socket->ep;
}
