/* channel.c - one client joined to one topic: joining, events, the end, and its callbacks.
 * Phoenix lib/phoenix/channel/server.ex. */
#include <cjson/cJSON.h>

#include "core/core.h"

/* --- Running callbacks -------------------------------------------------------------------- */

/* Callbacks never nest, so one hand is enough. */
int channels__channel_call(channels_channel *ch, channels__callback *fn, channels__hand *hand)
{
    channels_endpoint *ep = ch->socket->ep;
    ep->hand = hand;
    int r = fn(ch, &hand->msg, channels__user(ch));
    ep->hand = NULL;
    cJSON_Delete(hand->tree);
    hand->tree = NULL;
    return r;
}

const struct cJSON *channels_msg_json(const channels_msg *msg)
{
    channels__hand *hand = (channels__hand *)(uintptr_t)msg;
    if (hand->tree == NULL && msg->payload.kind == CHANNELS_JSON)
        hand->tree = cJSON_ParseWithLength(msg->payload.data, msg->payload.len);
    return hand->tree;
}

/* Ends a channel whose callback wants that, or whose join has not been answered yet. */
void channels__channel_finish(channels_channel *ch, channels_reason why)
{
    if (ch->state == CHANNELS__JOINED)
        channels__channel_end(ch, why);
    else if (ch->state == CHANNELS__PENDING && channels__channel_drop_join(ch) != CHANNELS_OK)
        channels__socket_doom(ch->socket, CHANNELS_BROKEN, 1011);
}

/* What a callback's result means: nothing more when its client is ending, which may be what made it
 * fail. */
void channels__channel_heed(channels_channel *ch, const char *callback, int r)
{
    if (r == CHANNELS_OK || ch->socket->state >= CHANNELS__DOOMED)
        return;
    if (r != CHANNELS_STOP)
        channels__log(ch->socket->ep, CHANNELS_LOG_ERROR,
                      "the channel %s failed: %s() returned %d%s", ch->topic->name, callback, r,
                      r > 0 ? ", which is for join() and connect() only" : "");
    channels__channel_finish(ch, r == CHANNELS_STOP ? CHANNELS_STOPPED : CHANNELS_FAILED);
}

channels__aside *channels__channel_aside(channels_channel *ch)
{
    if (ch->aside == NULL)
        ch->aside = channels__zalloc(&ch->socket->ep->mem, sizeof *ch->aside);
    return ch->aside;
}

/* --- The socket's list of channels -------------------------------------------------------- */

/* The one found goes to the front: clients talk in bursts. */
channels_channel *channels__channel_find(channels_socket *s, channels__str topic)
{
    for (channels_channel **at = &s->channels; *at != NULL; at = &(*at)->next) {
        channels_channel *ch = *at;
        if (ch->topic->len != topic.n || memcmp(ch->topic->name, topic.p, topic.n) != 0)
            continue;
        *at = ch->next;
        ch->next = s->channels;
        s->channels = ch;
        return ch;
    }
    return NULL;
}

static void unlist(channels_channel *ch)
{
    channels_channel **at = &ch->socket->channels;
    while (*at != ch)
        at = &(*at)->next;
    *at = ch->next;
    ch->socket->nchannels--;
}

/* --- Death -------------------------------------------------------------------------------- */

static void stop_listening(channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    channels__topic_remove(ep, ch);
    channels__aside *aside = ch->aside;
    while (aside != NULL && aside->subs != NULL) {
        channels__subscriber *sub = aside->subs;
        aside->subs = sub->next;
        channels__subscriber_end(ep, sub);
    }
}

static void bury(channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    if (ch->present)
        channels__services_channel_ended(ch);
    ch->state = CHANNELS__ENDED;
    ch->next = ep->dead_channels;
    ep->dead_channels = ch;
}

/* Lets go of everything but its memory and what waits behind its join. */
static void detach(channels_channel *ch)
{
    stop_listening(ch);
    unlist(ch);
    channels__refs_end(ch);
    channels__timers_end(ch);
}

void channels__channel_discard(channels_channel *ch)
{
    detach(ch);
    bury(ch);
}

/* phx_close and phx_error carry the join_ref of the join message twice, null if it had none. */
void channels__channel_announce(channels_channel *ch, const char *event, const char *payload)
{
    channels__str join_ref = channels__raw_join_ref(ch);
    channels_outgoing out = { .form = CHANNELS_PUSH,
                              .join_ref = join_ref,
                              .ref = join_ref,
                              .topic = channels__str_n(ch->topic->name, ch->topic->len),
                              .event = channels__str_z(event),
                              .payload = channels_json(payload) };
    if (channels__socket_post(ch->socket, &out) == CHANNELS_ERR_NOMEM)
        channels__socket_doom(ch->socket, CHANNELS_BROKEN, 1011);
}

/* Wire order as Phoenix has it: a close goes before what terminate() pushes, an error after. The
 * close of a DUPLICATE follows the reply to the new join: that is channels__channel_join()'s. */
void channels__channel_end(channels_channel *ch, channels_reason why)
{
    bool joined = ch->state == CHANNELS__JOINED;
    if (ch->state >= CHANNELS__TERMINATING)
        return;
    detach(ch);
    ch->state = joined ? CHANNELS__TERMINATING : CHANNELS__ENDED;
    if (joined && (why == CHANNELS_LEFT || why == CHANNELS_STOPPED))
        channels__channel_announce(ch, "phx_close", "{}");
    if (ch->route->handler->terminate != NULL)
        ch->route->handler->terminate(ch, why, channels__user(ch));
    if (joined && why == CHANNELS_FAILED)
        channels__channel_announce(ch, "phx_error", "{\"reason\":\"channel_crash\"}");
    if (ch->socket->state != CHANNELS__OPEN) /* else queued work goes on with them */
        channels__held_end(ch);
    bury(ch);
}

/* --- Events ------------------------------------------------------------------------------- */

void channels__channel_in(channels_channel *ch, const channels_incoming *msg)
{
    const channels_handler *h = ch->route->handler;
    if (msg->event.p == NULL || h->handle_in == NULL) {
        channels__log(ch->socket->ep, CHANNELS_LOG_ERROR, "the channel %s failed: %s",
                      ch->topic->name, h->handle_in == NULL ? "it has no handle_in()"
                                                            : "an event's name was no text");
        channels__channel_end(ch, CHANNELS_FAILED);
        return;
    }
    channels__hand hand = { .msg = { ch->topic->name, msg->event.p, msg->payload },
                            .channel = ch,
                            .what = CHANNELS__HAND_IN,
                            .ref = msg->ref };
    channels_endpoint *ep = ch->socket->ep;
    bool watched = channels__in_watched(ep, h);
    uint64_t began = watched ? ep->config.now_ns(ep->config.hooks) : 0;
    int r = channels__channel_call(ch, h->handle_in, &hand);
    if (watched && (r == CHANNELS_OK || r == CHANNELS_STOP))
        channels__in_ends(ch, msg, began);
    channels__channel_heed(ch, "handle_in", r);
}

/* Phoenix replies, then closes; what terminate() pushes comes after. */
void channels__channel_leave(channels_channel *ch, const channels_incoming *msg)
{
    if (channels__channel_reply(ch, msg->ref, "ok", channels_empty()) == CHANNELS_ERR_NOMEM)
        channels__socket_doom(ch->socket, CHANNELS_BROKEN, 1011);
    channels__channel_end(ch, CHANNELS_LEFT);
}

int channels__channel_push(channels_channel *ch, const char *event, channels_payload p)
{
    channels_outgoing out = { .form = CHANNELS_PUSH,
                              .join_ref = channels__join_ref(ch),
                              .topic = channels__str_n(ch->topic->name, ch->topic->len),
                              .event = channels__str_z(event),
                              .payload = p };
    return channels__socket_post(ch->socket, &out);
}

int channels__channel_reply(channels_channel *ch, channels__str ref, const char *status,
                            channels_payload p)
{
    channels_outgoing out = { .form = CHANNELS_REPLY,
                              .join_ref = channels__join_ref(ch),
                              .ref = ref,
                              .topic = channels__str_n(ch->topic->name, ch->topic->len),
                              .status = channels__str_z(status),
                              .payload = p };
    return channels__socket_post(ch->socket, &out);
}
