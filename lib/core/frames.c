/* frames.c - sockets without channels: messages in and out as they are, what Phoenix calls a custom
 * socket (lib/phoenix/socket/transport.ex). They connect and end as all sockets do. */
#include "core/core.h"
#include "wire/utf8.h"

static bool is_text(channels_payload p)
{
    return p.kind == CHANNELS_TEXT && channels__utf8_valid(p.data, p.len);
}

/* --- In ----------------------------------------------------------------------------------- */

static void heed(channels_socket *s, int r)
{
    if (r == CHANNELS_OK || s->state != CHANNELS__OPEN)
        return;
    if (r == CHANNELS_STOP) {
        channels__socket_doom(s, CHANNELS_STOPPED, 1001);
        return;
    }
    channels__log(s->ep, CHANNELS_LOG_ERROR, "a client of %s failed: handle_frame() returned %d%s",
                  s->mount->path, r, r > 0 ? ", which is for join() and connect() only" : "");
    channels__socket_doom(s, CHANNELS_FAILED, 1011);
}

int channels__frame_receive(channels_socket *s, channels_payload frame)
{
    int err = CHANNELS_OK;
    if (frame.kind == CHANNELS_BINARY || is_text(frame)) {
        heed(s, s->mount->handler->handle_frame(s, frame, s->mount->user));
    } else {
        channels__socket_doom(s, CHANNELS_BROKEN, 1007);
        err = CHANNELS_ERR_PROTOCOL;
    }
    channels__settle(s->ep);
    return err;
}

/* --- Out ---------------------------------------------------------------------------------- */

static bool can_push(channels_socket *s, channels_payload p)
{
    const char *why = NULL;
    if (s->mount->handler->handle_frame == NULL)
        why = "this socket has channels: use channels_push()";
    else if (s->state != CHANNELS__OPEN)
        why = "the client is not in yet";
    else if (p.data == NULL && p.len != 0)
        why = "the message is NULL";
    else if (p.kind == CHANNELS_BINARY && s->transport->text_only)
        why = "bytes cannot be sent by long polling";
    else if (p.kind != CHANNELS_BINARY && !is_text(p))
        why = p.kind == CHANNELS_TEXT ? "the text is not UTF-8"
                                      : "the message is neither text nor binary";
    if (why != NULL)
        channels__log(s->ep, CHANNELS_LOG_ERROR, "channels_socket_push: %s", why);
    return why == NULL;
}

static int push(channels_socket *s, channels_payload p)
{
    if (s->state >= CHANNELS__DOOMED)
        return CHANNELS_ERR_CLOSED;
    if (!can_push(s, p))
        return CHANNELS_ERR_INVALID;
    channels_buf *buf = channels__buf_new(&s->ep->mem, p.len);
    if (buf == NULL)
        return CHANNELS_ERR_NOMEM;
    if (p.len != 0)
        memcpy(channels__buf_bytes(buf), p.data, p.len);
    int err = channels__socket_frame(s, &buf, p.kind);
    if (err == CHANNELS_OK)
        err = channels__socket_send(s, buf, p.kind);
    s->ep->stats.messages_out += err >= 0;
    channels_buf_unref(buf);
    return err;
}

int channels_socket_push(channels_socket *s, channels_payload message)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter(ep, "channels_socket_push"))
        return CHANNELS_ERR_MISUSE;
    int err = push(s, message);
    channels__leave(ep);
    return err;
}
