/* socket.c - one client: what is sent to it, what its messages mean, how it ends.
 * Phoenix lib/phoenix/socket.ex. */
#include "core/core.h"
#include "wire/utf8.h"

/* --- Sending ------------------------------------------------------------------------------ */

channels_buf *channels_buf_new(channels_endpoint *ep, size_t len, void **bytes)
{
    channels_buf *buf = channels__on_thread(ep) ? channels__buf_new(&ep->mem, len) : NULL;
    if (buf != NULL)
        *bytes = channels__buf_bytes(buf);
    return buf;
}

int channels__socket_frame(channels_socket *s, channels_buf **buf, channels_kind kind)
{
    if (kind == CHANNELS_BINARY && s->transport->text_only) {
        channels_buf_unref(*buf);
        *buf = NULL;
        return CHANNELS_ERR_INVALID;
    }
    if (s->transport->frame != NULL)
        *buf = s->transport->frame(s->ep, *buf, kind);
    return *buf != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

int channels__socket_encode(channels_socket *s, const channels_outgoing *out, channels_buf **buf,
                            channels_kind *kind)
{
    const char *format = s->serializer->name;
    int err = channels__codec_encode(&s->ep->codec, s->serializer, out, buf, kind);
    bool broadcast = out->form == CHANNELS_BROADCAST;
    if (err == CHANNELS_OK) {
        format = s->transport->name;
        err = channels__socket_frame(s, buf, *kind);
    }
    if (err == CHANNELS_ERR_INVALID && !(broadcast && s->told_of_bytes)) {
        s->told_of_bytes |= broadcast;
        channels__log(s->ep, CHANNELS_LOG_WARNING, "a %s message on %.*s does not fit into %s",
                      out->payload.kind == CHANNELS_BINARY ? "binary" : "JSON", (int)out->topic.n,
                      out->topic.p, format);
    }
    return err;
}

/* One message does not count: the first, or a larger one that comes behind little. */
static bool has_room(channels_socket *s, size_t len)
{
    size_t max = s->mount->options.max_queued;
    if (len > UINT32_MAX - s->queued)
        return false;
    if (s->queued != 0 && s->queued - s->exempt + len <= max)
        return true;
    if (s->queued != 0 && (s->queued > max || len <= s->exempt))
        return false;
    s->ahead = s->queued;
    s->exempt = (uint32_t)len;
    return true;
}

int channels__socket_send(channels_socket *s, channels_buf *wire, channels_kind kind)
{
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    if (!has_room(s, wire->len)) {
        channels__log(s->ep, CHANNELS_LOG_WARNING,
                      "client of %s closed: it reads too slowly, %u bytes are waiting for it",
                      s->mount->path, s->queued);
        channels__socket_doom(s, CHANNELS_SLOW, 1008);
        return CHANNELS_ERR_LIMIT;
    }
    s->queued += (uint32_t)wire->len;
    if (s->queued > s->ep->stats.queued_most)
        s->ep->stats.queued_most = s->queued;
    int err = s->transport->send(s->carrier, wire, kind);
    if (err < 0) /* it must not miss a message and not know */
        channels__socket_doom(s, CHANNELS_BROKEN, 1011);
    return err;
}

int channels__socket_post(channels_socket *s, const channels_outgoing *out)
{
    channels_buf *wire;
    channels_kind kind;
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    int err = channels__socket_encode(s, out, &wire, &kind);
    if (err != CHANNELS_OK)
        return err;
    err = channels__socket_send(s, wire, kind);
    s->ep->stats.messages_out += err >= 0;
    channels_buf_unref(wire);
    return err;
}

void channels_socket_sent(channels_socket *s, size_t len)
{
    size_t before = len < s->ahead ? len : s->ahead, of_it = len - before;
    s->queued -= len < s->queued ? (uint32_t)len : s->queued;
    s->ahead -= (uint32_t)before;
    s->exempt -= of_it < s->exempt ? (uint32_t)of_it : s->exempt;
}

/* --- What the library itself answers ------------------------------------------------------- */

static void answer(channels_socket *s, channels__str join_ref, const channels_incoming *to,
                   const char *status, const char *response)
{
    channels_outgoing out = { .form = CHANNELS_REPLY,
                              .join_ref = join_ref,
                              .ref = to->ref,
                              .raw_topic = to->raw_topic,
                              .topic = to->topic,
                              .status = channels__str_z(status),
                              .payload = channels_json(response) };
    if (channels__socket_post(s, &out) == CHANNELS_ERR_NOMEM)
        channels__socket_doom(s, CHANNELS_BROKEN, 1011);
}

void channels__socket_refuse_join(channels_socket *s, const channels_incoming *msg,
                                  channels__str join_ref, const char *response)
{
    answer(s, join_ref, msg, "error", response);
}

/* --- Messages ----------------------------------------------------------------------------- */

/* A null join_ref is always accepted, another one than the channel's never: the sender means a
 * channel that has ended (Phoenix lib/phoenix/socket.ex, handle_in/4). */
static bool stale(const channels_channel *ch, const channels_incoming *msg)
{
    return msg->join_ref.p != NULL &&
           !channels__str_eq(msg->join_ref, channels__raw_join_ref(ch));
}

static void dispatch_joined(channels_channel *ch, const channels_incoming *msg)
{
    if (stale(ch, msg))
        return;
    if (channels__str_is(msg->event, "phx_leave"))
        channels__channel_leave(ch, msg);
    else
        channels__channel_in(ch, msg);
}

void channels__socket_dispatch(channels_socket *s, const channels_incoming *msg)
{
    if (channels__str_is(msg->topic, "phoenix") && channels__str_is(msg->event, "heartbeat")) {
        answer(s, channels__str_none(), msg, "ok", "{}");
        return;
    }
    channels_channel *ch = msg->topic.p != NULL ? channels__channel_find(s, msg->topic) : NULL;
    if (ch != NULL && (ch->state == CHANNELS__PENDING || ch->admitting))
        channels__channel_hold(ch, msg);
    else if (channels__str_is(msg->event, "phx_join"))
        channels__channel_join(s, ch, msg);
    else if (ch != NULL)
        dispatch_joined(ch, msg);
    else if (channels__str_is(msg->event, "phx_leave"))
        answer(s, msg->join_ref, msg, "ok", "{}");
    else
        answer(s, channels__str_none(), msg, "error", "{\"reason\":\"unmatched topic\"}");
}

/* The bytes meant nothing: the connection ends, as in Phoenix, where its process crashes. */
static int undecodable(channels_socket *s, channels_payload m, int err)
{
    int code = 1011;
    if (m.kind == CHANNELS_JSON && err != CHANNELS_ERR_NOMEM &&
        !channels__utf8_valid(m.data, m.len))
        code = 1007;
    channels__log(s->ep, err == CHANNELS_ERR_NOMEM ? CHANNELS_LOG_ERROR : CHANNELS_LOG_INFO,
                  "client of %s closed with %d: a message of %zu bytes %s", s->mount->path, code,
                  m.len, err == CHANNELS_ERR_NOMEM ? "met no memory" : "cannot be decoded");
    channels__socket_doom(s, CHANNELS_BROKEN, code);
    return err;
}

int channels__socket_receive(channels_socket *s, channels_payload m)
{
    channels_endpoint *ep = s->ep;
    channels_incoming msg;
    if (ep->queue.count != 0)
        channels__settle(ep); /* what was caused before this came is handled before it */
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    ep->stats.messages_in++;
    if (s->serializer == NULL)
        return channels__frame_receive(s, m);
    int err =
        channels__codec_decode(&ep->codec, s->serializer, m, s->mount->options.max_nesting, &msg);
    if (err == CHANNELS_OK)
        channels__socket_dispatch(s, &msg);
    else
        undecodable(s, m, err);
    channels__codec_done(&ep->codec);
    channels__settle(ep);
    return err;
}

int channels_socket_receive(channels_socket *s, channels_payload message)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter_outermost(ep, "channels_socket_receive"))
        return CHANNELS_ERR_MISUSE;
    int err = message.kind == CHANNELS_JSON || message.kind == CHANNELS_BINARY
                  ? channels__socket_receive(s, message)
                  : CHANNELS_ERR_INVALID;
    channels__leave(ep);
    return err;
}

bool channels__socket_defer(channels_socket *s, size_t bytes)
{
    const channels_mount_options *o = &s->mount->options;
    if (s->deferred >= o->max_deferred || bytes > o->max_deferred_bytes - s->deferred_bytes)
        return false;
    s->deferred++;
    s->deferred_bytes += (uint32_t)bytes;
    return true;
}

void channels__socket_undefer(channels_socket *s, size_t bytes)
{
    s->deferred--;
    s->deferred_bytes -= (uint32_t)bytes;
}

/* --- The end ------------------------------------------------------------------------------ */

void channels__socket_doom(channels_socket *s, channels_reason why, int code)
{
    if (s->state >= CHANNELS__DOOMED)
        return;
    bool waiting = s->state == CHANNELS__WAITING;
    if (s->state == CHANNELS__OPEN)
        channels__count_closed(s, why);
    s->ep->stats.connects_refused_draining += waiting && why == CHANNELS_DRAINED;
    s->state = CHANNELS__DOOMED;
    s->reason = (unsigned)why & 15;
    channels__socket_forget(s, true);
    channels__sockets_append(&s->ep->doomed, s);
    if (code != 0 && waiting)
        s->transport->refuse(s->carrier, why == CHANNELS_DRAINED ? &channels__unavailable
                                                                 : &channels__forbidden);
    else if (code != 0)
        s->transport->close(s->carrier, code);
}

void channels__socket_end(channels_socket *s)
{
    const channels_socket_handler *h = s->mount->handler;
    while (s->channels != NULL)
        channels__channel_end(s->channels, (channels_reason)s->reason);
    if (h->disconnect != NULL)
        h->disconnect(s, (channels_reason)s->reason, s->mount->user);
    s->state = CHANNELS__GONE;
    if (s->id != NULL)
        channels__subscriber_end(s->ep, s->id);
    s->id = NULL;
    if (s->closed)
        channels__sockets_append(&s->ep->grave, s);
}

void channels__socket_closed(channels_socket *s)
{
    if (s->closed)
        return;
    s->closed = true;
    s->ep->clients--;
    channels__socket_doom(s, CHANNELS_CLOSED, 0);
    if (s->state == CHANNELS__GONE)
        channels__sockets_append(&s->ep->grave, s);
}

void channels_socket_closed(channels_socket *s)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter_outermost(ep, "channels_socket_closed"))
        return;
    channels__socket_closed(s);
    channels__leave(ep);
}

void channels__socket_free(channels_socket *s)
{
    if (s->id != NULL)
        channels__subscriber_end(s->ep, s->id);
    channels__socket_forget(s, true);
    channels__list_remove(&s->link);
    channels__free(&s->ep->mem, s, sizeof *s + s->mount->handler->assigns_size);
}

int channels_socket_close(channels_socket *s, int code)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter(ep, "channels_socket_close"))
        return CHANNELS_ERR_MISUSE;
    int err = CHANNELS_OK;
    if (s->state >= CHANNELS__DOOMED) {
        err = CHANNELS_ERR_CLOSED;
    } else if (s->state != CHANNELS__OPEN) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_socket_close: the client is not in yet; refuse it instead");
        err = CHANNELS_ERR_INVALID;
    } else if (code < 1001 || code > 4999 || (code > 1014 && code < 3000) ||
               (code >= 1004 && code <= 1006)) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_socket_close: %d is no code a server may close with", code);
        err = CHANNELS_ERR_INVALID;
    } else {
        channels__socket_doom(s, CHANNELS_DISCONNECTED, code);
    }
    channels__leave(ep);
    return err;
}

/* --- What callbacks ask ------------------------------------------------------------------- */

void *channels_socket_assigns(channels_socket *s)
{
    return s->assigns;
}

channels_endpoint *channels_socket_endpoint(const channels_socket *s)
{
    return s->ep;
}

const char *channels_socket_id(const channels_socket *s)
{
    return s->id != NULL ? s->id->topic->name : NULL;
}

const char *channels_socket_transport(const channels_socket *s)
{
    return s->transport->name;
}

const char *channels_socket_subprotocol(const channels_socket *s)
{
    return s->subprotocol != 0 ? s->mount->options.websocket.subprotocols[s->subprotocol - 1]
                               : NULL;
}
