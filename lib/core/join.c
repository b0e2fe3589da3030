/* join.c - how a client gets into a topic: at once, or when the host has decided.
 * Phoenix lib/phoenix/socket.ex, lib/phoenix/channel/server.ex (join). */
#include "core/core.h"

/* --- Birth -------------------------------------------------------------------------------- */

static channels_channel *channel_new(channels_socket *s, const channels_route *route,
                                     const channels_incoming *msg)
{
    channels_endpoint *ep = s->ep;
    channels__str ref = msg->join_ref.p != NULL ? msg->join_ref : msg->ref;
    size_t size = sizeof(channels_channel) + route->handler->assigns_size + ref.n;
    channels_channel *ch = channels__zalloc(&ep->mem, size);
    if (ch == NULL)
        return NULL;
    ch->topic = channels__topic_get(&ep->topics, msg->topic);
    if (ch->topic == NULL) {
        channels__free(&ep->mem, ch, size);
        return NULL;
    }
    ch->socket = s;
    ch->route = route;
    ch->fast_at = CHANNELS__NOWHERE;
    ch->size = (uint32_t)size;
    ch->join_ref_len = (uint16_t)ref.n;
    ch->null_join_ref = msg->join_ref.p == NULL;
    if (ref.n != 0)
        memcpy(ch->assigns + route->handler->assigns_size, ref.p, ref.n);
    ch->next = s->channels;
    s->channels = ch;
    s->nchannels++;
    return ch;
}

/* --- Joining ------------------------------------------------------------------------------ */

static void join_reply(channels_channel *ch, channels_buf *wire, channels_kind kind)
{
    int err = channels__socket_send(ch->socket, wire, kind);
    ch->socket->ep->stats.messages_out += err >= 0;
    channels_buf_unref(wire);
}

/* The reply to a join carries the join_ref of the message, even if that is null. */
int channels__join_reply_encode(channels_channel *ch, channels__str ref, const char *status,
                                channels_payload p, channels_buf **wire, channels_kind *kind)
{
    channels_outgoing out = { .form = CHANNELS_REPLY,
                              .join_ref = channels__raw_join_ref(ch),
                              .ref = ref,
                              .topic = channels__str_n(ch->topic->name, ch->topic->len),
                              .status = channels__str_z(status),
                              .payload = p };
    return channels__socket_encode(ch->socket, &out, wire, kind);
}

/* The end of the channel that a new one has replaced. */
static void close_old(channels_channel *old)
{
    if (old != NULL)
        channels__channel_announce(old, "phx_close", "{}");
}

static void run_joined(channels_channel *ch)
{
    if (ch->route->handler->joined != NULL && ch->state == CHANNELS__JOINED &&
        ch->socket->state == CHANNELS__OPEN)
        channels__channel_heed(ch, "joined", ch->route->handler->joined(ch, channels__user(ch)));
}

static void join_accepted(channels_channel *ch, channels_channel *old, channels__hand *hand,
                          uint64_t began)
{
    channels__join_ref_end(ch); /* one taken in join() but not needed */
    ch->state = CHANNELS__JOINED;
    join_reply(ch, hand->join_reply, hand->reply_kind);
    close_old(old);
    channels__join_ends(ch, hand->msg.payload, began, true); /* who is told may broadcast */
    run_joined(ch);
}

/* join()'s result, made consistent with what was replied. */
static int join_result(channels_channel *ch, channels__hand *hand, int r)
{
    const char *mistake = "";
    if (r != CHANNELS_OK && r != CHANNELS_REFUSE && r != CHANNELS_LATER)
        ;
    else if (r == CHANNELS_LATER && !hand->later)
        mistake = " without channels_later()";
    else if (r == CHANNELS_LATER && hand->join_reply != NULL)
        mistake = " after channels_reply()";
    else if (hand->join_reply != NULL && hand->reply_ok != (r == CHANNELS_OK))
        mistake = hand->reply_ok ? " after the reply \"ok\"" : " after the reply \"error\"";
    else
        return r;
    channels__log(ch->socket->ep, CHANNELS_LOG_ERROR, "join() of %s failed: it returned %d%s",
                  ch->topic->name, r, mistake);
    return r < 0 ? r : CHANNELS_ERR_INVALID;
}

/* The reply to send, made before anything changes, so that failing to make it is a crash too. */
static int complete_reply(channels_channel *ch, channels__hand *hand, int r)
{
    if (hand->join_reply != NULL)
        return r;
    int err = channels__join_reply_encode(ch, hand->ref, r == CHANNELS_OK ? "ok" : "error",
                                          channels_empty(), &hand->join_reply, &hand->reply_kind);
    return err == CHANNELS_OK ? r : err;
}

static int run_join(channels_channel *ch, channels__hand *hand, uint64_t began)
{
    int r = channels__channel_call(ch, ch->route->handler->join, hand);
    hand->admitted = r == CHANNELS_OK || r == CHANNELS_LATER;
    r = join_result(ch, hand, r);
    if (r == CHANNELS_OK || r == CHANNELS_REFUSE)
        r = complete_reply(ch, hand, r);
    if (r == CHANNELS_OK && !channels__topic_add(ch->socket->ep, ch->topic, ch))
        r = CHANNELS_ERR_NOMEM;
    if (r == CHANNELS_LATER)
        channels__join_waits(ch, began);
    else if (r == CHANNELS_REFUSE)
        channels__join_ends(ch, hand->msg.payload, began, false);
    return r;
}

static void join_with(channels_socket *s, const channels_route *route, channels_channel *old,
                      const channels_incoming *msg)
{
    channels_channel *ch = channel_new(s, route, msg);
    if (ch == NULL) {
        channels__log(s->ep, CHANNELS_LOG_ERROR, "no memory for a channel of %s", s->mount->path);
        s->ep->stats.joins_refused_failed++;
        channels__socket_refuse_join(s, msg, msg->join_ref, CHANNELS__JOIN_CRASHED);
        close_old(old);
        return;
    }
    channels__hand hand = { .msg = { ch->topic->name, "phx_join", msg->payload },
                            .channel = ch,
                            .what = CHANNELS__HAND_JOIN,
                            .ref = msg->ref };
    uint64_t began = channels__join_begins(ch);
    int r = run_join(ch, &hand, began);
    if (r == CHANNELS_OK) {
        join_accepted(ch, old, &hand, began);
        return;
    }
    if (r == CHANNELS_LATER) {
        ch->state = CHANNELS__PENDING;
    } else {
        if (hand.admitted) /* but that came to nothing: it has its terminate() all the same */
            channels__channel_end(ch, CHANNELS_FAILED);
        else
            channels__channel_discard(ch);
        s->ep->stats.joins_refused_host += r == CHANNELS_REFUSE;
        s->ep->stats.joins_refused_failed += r != CHANNELS_REFUSE;
        if (r == CHANNELS_REFUSE) {
            join_reply(ch, hand.join_reply, hand.reply_kind);
        } else {
            channels_buf_unref(hand.join_reply);
            channels__socket_refuse_join(s, msg, msg->join_ref, CHANNELS__JOIN_CRASHED);
        }
    }
    close_old(old);
}

/* How much of a topic is written to the log. */
static int logged_len(channels__str topic)
{
    return topic.n < 200 ? (int)topic.n : 200;
}

static const channels_route *find_route(channels_socket *s, const channels_incoming *msg)
{
    const channels_route *route = NULL;
    if (msg->topic.p != NULL)
        route = channels__route_find(s->mount->handler->routes, msg->topic);
    if (route == NULL) {
        channels__str topic = msg->raw_topic.p != NULL ? msg->raw_topic : msg->topic;
        s->ep->stats.joins_refused_unmatched++;
        channels__log(s->ep, CHANNELS_LOG_WARNING, "no route of %s matches the topic %.*s",
                      s->mount->path, logged_len(topic), topic.p);
        channels__socket_refuse_join(s, msg, channels__str_none(),
                                     "{\"reason\":\"unmatched topic\"}");
    }
    return route;
}

/* False: the client has been told. */
static bool within_limits(channels_socket *s, const channels_incoming *msg)
{
    const channels_mount_options *o = &s->mount->options;
    const char *told = "{\"reason\":\"too many channels joined\"}";
    if (msg->topic.n + msg->join_ref.n + msg->ref.n > o->max_topic) {
        told = "{\"reason\":\"topic too long\"}";
        channels__log(s->ep, CHANNELS_LOG_WARNING,
                      "a client of %s may not join a topic that has, with its refs, more than %u "
                      "bytes", s->mount->path, o->max_topic);
    } else if (s->nchannels >= o->max_channels) {
        channels__log(s->ep, CHANNELS_LOG_ERROR,
                      "a client of %s may not join more than %u channels", s->mount->path,
                      o->max_channels);
    } else {
        return true;
    }
    s->ep->stats.joins_refused_limit++;
    channels__socket_refuse_join(s, msg, msg->join_ref, told);
    return false;
}

/* The old channel ends before the new one is asked for (Phoenix lib/phoenix/socket.ex). */
void channels__channel_join(channels_socket *s, channels_channel *old, const channels_incoming *msg)
{
    const channels_route *route = find_route(s, msg);
    if (route == NULL)
        return;
    if (old != NULL) {
        channels__log(s->ep, CHANNELS_LOG_DEBUG, "the client joins %s again", old->topic->name);
        channels__channel_end(old, CHANNELS_DUPLICATE);
        if (s->serializer->close_first) {
            close_old(old);
            old = NULL;
        }
    }
    if (s->state == CHANNELS__OPEN && within_limits(s, msg))
        join_with(s, route, old, msg);
    else
        close_old(old);
}

/* --- A join that is answered later -------------------------------------------------------- */

static size_t copy(char **to, channels__str from)
{
    if (from.n != 0)
        memcpy(*to, from.p, from.n);
    (*to)[from.n] = '\0';
    *to += from.n + 1;
    return from.n;
}

static channels__str moved(char **to, channels__str from)
{
    char *at = *to;
    if (from.p == NULL)
        return from;
    return channels__str_n(at, copy(to, from));
}

static size_t held_size(const channels_incoming *msg)
{
    return sizeof(channels__held) + msg->join_ref.n + msg->ref.n + msg->raw_topic.n + msg->topic.n +
           msg->event.n + msg->payload.len + 6;
}

/* A copy that does not depend on the frame it came in. */
static channels__held *held_new(const channels__mem *mem, const channels_incoming *msg)
{
    channels__str payload = channels__str_n(msg->payload.data, msg->payload.len);
    size_t size = held_size(msg);
    channels__held *held = channels__alloc(mem, size);
    if (held == NULL)
        return NULL;
    char *at = (char *)(held + 1);
    held->next = NULL;
    held->size = size;
    held->msg.join_ref = moved(&at, msg->join_ref);
    held->msg.ref = moved(&at, msg->ref);
    held->msg.raw_topic = moved(&at, msg->raw_topic);
    held->msg.topic = moved(&at, msg->topic);
    held->msg.event = moved(&at, msg->event);
    held->msg.payload = msg->payload;
    held->msg.payload.data = at;
    copy(&at, payload);
    return held;
}

void channels__channel_hold(channels_channel *ch, const channels_incoming *msg)
{
    channels_socket *s = ch->socket;
    if (!channels__socket_defer(s, held_size(msg))) {
        channels__log(s->ep, CHANNELS_LOG_WARNING,
                      "client of %s closed: too much waits behind its join of %s", s->mount->path,
                      ch->topic->name);
        channels__socket_doom(s, CHANNELS_BROKEN, 1008);
        return;
    }
    channels__aside *aside = channels__channel_aside(ch);
    channels__held *held = aside != NULL ? held_new(&s->ep->mem, msg) : NULL;
    if (held == NULL) {
        channels__socket_undefer(s, held_size(msg));
        channels__socket_doom(s, CHANNELS_BROKEN, 1011);
        return;
    }
    channels__held **at = &aside->held;
    while (*at != NULL)
        at = &(*at)->next;
    *at = held;
}

static void held_free(channels_channel *ch, channels__held *held)
{
    channels__socket_undefer(ch->socket, held->size);
    channels__free(&ch->socket->ep->mem, held, held->size);
}

static channels__held *held_shift(channels_channel *ch)
{
    channels__held *held = ch->aside != NULL ? ch->aside->held : NULL;
    if (held != NULL)
        ch->aside->held = held->next;
    return held;
}

void channels__held_end(channels_channel *ch)
{
    for (channels__held *held; (held = held_shift(ch)) != NULL;)
        held_free(ch, held);
}

static void replay(channels_channel *ch)
{
    for (channels__held *held; (held = held_shift(ch)) != NULL;) {
        if (ch->socket->state == CHANNELS__OPEN)
            channels__socket_dispatch(ch->socket, &held->msg);
        held_free(ch, held);
    }
}

void channels__join_admitted(channels_channel *ch)
{
    ch->admitting = false;
    run_joined(ch);
    replay(ch);
}

void channels__join_refused(channels_channel *ch)
{
    if (ch->state != CHANNELS__PENDING)
        return;
    channels__channel_end(ch, CHANNELS_REFUSED);
    replay(ch);
}

/* The decision is sent at once; the callbacks wait for their turn. */
static int decide(channels_channel *ch, bool admitted, channels_buf *wire, channels_kind kind)
{
    channels__work work = { .kind = admitted ? CHANNELS__WORK_ADMITTED : CHANNELS__WORK_REFUSED,
                            .to.channel = ch };
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__queue_reserve(&ep->queue, 1) ||
        (admitted && !channels__topic_add(ep, ch->topic, ch))) {
        channels_buf_unref(wire);
        return CHANNELS_ERR_NOMEM;
    }
    channels__join_ref_end(ch);
    channels__queue_push(&ep->queue, &work);
    ch->pins++;
    if (admitted)
        ch->state = CHANNELS__JOINED;
    ch->admitting = admitted;
    join_reply(ch, wire, kind);
    return CHANNELS_OK;
}

int channels__channel_decide(channels_channel *ch, const char *ref, const char *status,
                             channels_payload p)
{
    channels_buf *wire;
    channels_kind kind;
    int err = channels__join_reply_encode(ch, channels__str_z(ref), status, p, &wire, &kind);
    if (err != CHANNELS_OK)
        return err;
    return decide(ch, strcmp(status, "ok") == 0, wire, kind);
}
