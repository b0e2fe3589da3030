/* socket.c - one client: how it gets in, what its messages mean, how it ends.
 * Phoenix lib/phoenix/socket.ex. */
#include <cjson/cJSON.h>

#include "core/core.h"
#include "wire/origin.h"
#include "wire/query.h"
#include "wire/utf8.h"

static const channels_header json_type = { "content-type", "application/json; charset=utf-8" };
#define BAD_REQUEST "{\"errors\":{\"detail\":\"Bad Request\"}}"
#define SERVER_ERROR "{\"errors\":{\"detail\":\"Internal Server Error\"}}"

const channels_response channels__forbidden = { .status = 403 };
const channels_response channels__bad_request = { 400, &json_type, 1, BAD_REQUEST,
                                                  sizeof BAD_REQUEST - 1 };
const channels_response channels__server_error = { 500, &json_type, 1, SERVER_ERROR,
                                                   sizeof SERVER_ERROR - 1 };

/* --- Sending ------------------------------------------------------------------------------ */

int channels__socket_encode(channels_socket *s, const channels__outgoing *out, channels_buf **buf,
                            channels_kind *kind)
{
    int err = s->serializer->encode(&s->ep->mem, out, buf, kind);
    if (err == CHANNELS_ERR_INVALID)
        channels__log(s->ep, CHANNELS_LOG_WARNING, "a binary message on %.*s does not fit into %s",
                      (int)out->topic.n, out->topic.p, s->serializer->name);
    if (err == CHANNELS_OK && s->transport->frame != NULL) {
        *buf = s->transport->frame(s->ep, *buf, *kind);
        err = *buf != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
    }
    return err;
}

int channels__socket_send(channels_socket *s, channels_buf *wire, channels_kind kind)
{
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    if (s->queued != 0 && s->queued + wire->len > s->mount->options.max_queued) {
        channels__log(s->ep, CHANNELS_LOG_WARNING,
                      "client of %s closed: it reads too slowly, %zu bytes are waiting for it",
                      s->mount->path, s->queued);
        channels__socket_doom(s, CHANNELS_CLOSED, 1008);
        return CHANNELS_ERR_LIMIT;
    }
    s->queued += wire->len;
    int err = s->transport->send(s->carrier, wire, kind);
    if (err < 0) /* it must not miss a message and not know */
        channels__socket_doom(s, CHANNELS_CLOSED, 1011);
    return err;
}

int channels__socket_post(channels_socket *s, const channels__outgoing *out)
{
    channels_buf *wire;
    channels_kind kind;
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    int err = channels__socket_encode(s, out, &wire, &kind);
    if (err != CHANNELS_OK)
        return err;
    err = channels__socket_send(s, wire, kind);
    channels_buf_unref(wire);
    return err;
}

void channels_socket_sent(channels_socket *s, size_t len)
{
    s->queued -= len < s->queued ? len : s->queued;
}

/* --- What the library itself answers ------------------------------------------------------- */

static void answer(channels_socket *s, channels__str join_ref, const channels__message *to,
                   const char *status, const char *response)
{
    channels__outgoing out = { .form = CHANNELS__REPLY,
                               .join_ref = join_ref,
                               .ref = to->ref,
                               .topic_json = to->topic_json,
                               .status = channels__str_z(status),
                               .payload = channels_json(response) };
    if (channels__socket_post(s, &out) == CHANNELS_ERR_NOMEM)
        channels__socket_doom(s, CHANNELS_CLOSED, 1011);
}

void channels__socket_refuse_join(channels_socket *s, const channels__message *msg,
                                  channels__str join_ref, const char *response)
{
    answer(s, join_ref, msg, "error", response);
}

/* --- Messages ----------------------------------------------------------------------------- */

/* A null join_ref is always accepted, another one than the channel's never: the sender means a
 * channel that has ended (Phoenix lib/phoenix/socket.ex, handle_in/4). */
static bool stale(const channels_channel *ch, const channels__message *msg)
{
    return msg->join_ref.p != NULL &&
           (ch->null_join_ref || !channels__str_eq(msg->join_ref, channels__join_ref(ch)));
}

static void dispatch_joined(channels_channel *ch, const channels__message *msg)
{
    if (stale(ch, msg))
        return;
    if (channels__str_is(msg->event, "phx_leave"))
        channels__channel_leave(ch, msg);
    else
        channels__channel_in(ch, msg);
}

void channels__socket_dispatch(channels_socket *s, const channels__message *msg)
{
    static const channels__str null = { NULL, 0 };
    if (channels__str_is(msg->topic, "phoenix") && channels__str_is(msg->event, "heartbeat")) {
        answer(s, null, msg, "ok", "{}");
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
        answer(s, null, msg, "error", "{\"reason\":\"unmatched topic\"}");
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
    channels__socket_doom(s, CHANNELS_CLOSED, code);
    return err;
}

int channels__socket_receive(channels_socket *s, channels_payload m)
{
    channels_endpoint *ep = s->ep;
    channels__message msg;
    if (ep->queue.count != 0)
        channels__settle(ep); /* what was caused before this came is handled before it */
    if (s->state != CHANNELS__OPEN)
        return CHANNELS_ERR_CLOSED;
    int err = s->serializer->decode(&ep->scratch, m, s->mount->options.max_nesting, &msg);
    if (err == CHANNELS_OK)
        channels__socket_dispatch(s, &msg);
    else
        undecodable(s, m, err);
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

bool channels__socket_defer(channels_socket *s)
{
    if (s->deferred >= s->mount->options.max_deferred)
        return false;
    s->deferred++;
    return true;
}

/* --- The end ------------------------------------------------------------------------------ */

static void forget_connect(channels_socket *s)
{
    if (s->slot != 0)
        channels__ref_free(&s->ep->refs, s->slot);
    s->slot = 0;
}

static void refuse(channels_socket *s, const channels_response *r)
{
    s->transport->refuse(s->carrier, r);
}

void channels__socket_doom(channels_socket *s, channels_reason why, int code)
{
    if (s->state >= CHANNELS__DOOMED)
        return;
    bool waiting = s->state == CHANNELS__WAITING;
    s->state = CHANNELS__DOOMED;
    s->reason = (uint8_t)why;
    forget_connect(s);
    channels__list_append(&s->ep->doomed, &s->doomed);
    if (code != 0 && waiting)
        refuse(s, &channels__forbidden);
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
        channels__list_append(&s->ep->grave, &s->doomed);
}

void channels__socket_closed(channels_socket *s)
{
    if (s->closed)
        return;
    s->closed = true;
    channels__socket_doom(s, CHANNELS_CLOSED, 0);
    if (s->state == CHANNELS__GONE)
        channels__list_append(&s->ep->grave, &s->doomed);
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
    forget_connect(s);
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

/* --- Getting in --------------------------------------------------------------------------- */

/* As in vsn[]=2.0.0. */
static bool nested_vsn(const channels_request *req)
{
    if (req->query == NULL || strstr(req->query, "vsn") == NULL)
        return false;
    cJSON *params = channels_request_params(req);
    bool nested = params == NULL || cJSON_GetObjectItemCaseSensitive(params, "vsn") != NULL;
    cJSON_Delete(params);
    return nested;
}

/* The last vsn parameter; anything that is too long to be a version, or no string, is none that is
 * served. */
static const channels__serializer *negotiate(const channels_request *req)
{
    char vsn[64];
    int n = channels_request_param(req, "vsn", vsn, sizeof vsn);
    if (n >= (int)sizeof vsn || (n < 0 && nested_vsn(req)))
        return NULL;
    return channels__serializer_for(n >= 0 ? vsn : NULL);
}

static int check(channels__mount *m, const channels_request *req, channels_socket *s)
{
    channels_endpoint *ep = m->ep;
    if (!channels__origin_allowed(m->options.check_origin, ep->config.host, m->options.origins,
                                  req)) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "refused a connection to %s from the origin %s: if that is a page of yours, "
                      "set config.host or the mount's check_origin", m->path,
                      channels_request_header(req, "origin"));
        refuse(s, &channels__forbidden);
    } else if (!channels__query_valid(req->query)) {
        refuse(s, &channels__bad_request);
    } else if ((s->serializer = negotiate(req)) == NULL) {
        channels__log(ep, CHANNELS_LOG_WARNING,
                      "refused a connection to %s: no serializer for the version it asks for",
                      m->path);
        refuse(s, &channels__forbidden);
    } else {
        return CHANNELS_OK;
    }
    return CHANNELS_REFUSE;
}

/* What connect() said, made consistent: it may have answered by channels_refuse(), which shows as
 * the state. */
static int connect_result(channels_socket *s, int r)
{
    if (s->state != CHANNELS__CONNECTING)
        return CHANNELS_REFUSE;
    if (r == CHANNELS_REFUSE) {
        refuse(s, &channels__forbidden);
    } else if (r < 0 || (r == CHANNELS_LATER) != (s->slot != 0) ||
               (r != CHANNELS_OK && r != CHANNELS_LATER)) {
        channels__log(s->ep, CHANNELS_LOG_ERROR, "connect() of %s failed: it returned %d%s",
                      s->mount->path, r,
                      r == CHANNELS_LATER ? " without channels_connect_later()" : "");
        refuse(s, &channels__server_error);
    } else {
        return r;
    }
    return CHANNELS_REFUSE;
}

static int connect_socket(channels__mount *m, const channels_request *req, channels_socket *s)
{
    if (check(m, req, s) != CHANNELS_OK)
        return CHANNELS_REFUSE;
    s->state = CHANNELS__CONNECTING;
    int r = CHANNELS_OK;
    if (m->handler->connect != NULL)
        r = m->handler->connect(s, req, m->user);
    r = connect_result(s, r);
    if (r == CHANNELS_REFUSE)
        s->state = CHANNELS__GONE;
    else
        s->state = r == CHANNELS_LATER ? CHANNELS__WAITING : CHANNELS__OPEN;
    return r;
}

int channels__socket_open(channels__mount *m, const channels_request *req,
                          const channels_transport *transport, void *carrier,
                          channels_socket **result)
{
    channels_endpoint *ep = m->ep;
    channels_socket *s = channels__zalloc(&ep->mem, sizeof *s + m->handler->assigns_size);
    *result = NULL;
    if (s == NULL)
        return CHANNELS_ERR_NOMEM;
    s->ep = ep;
    s->mount = m;
    s->transport = transport;
    s->carrier = carrier;
    channels__list_init(&s->doomed);
    channels__list_append(&ep->sockets, &s->link);
    int r = connect_socket(m, req, s);
    if (r == CHANNELS_REFUSE) { /* a callback may still hold it: freed when the call returns */
        s->closed = true;
        channels__list_append(&ep->grave, &s->doomed);
        return r;
    }
    *result = s;
    return r;
}

int channels_socket_open(channels_endpoint *ep, const channels_request *req,
                         const channels_transport *transport, void *carrier,
                         channels_socket **s)
{
    *s = NULL;
    if (!channels__enter_outermost(ep, "channels_socket_open"))
        return CHANNELS_ERR_MISUSE;
    channels__mount *m = channels__mount_find(ep, req->path, transport->name);
    int err = CHANNELS_ERR_CLOSED;
    if (m != NULL)
        err = channels__socket_open(m, req, transport, carrier, s);
    channels__leave(ep);
    return err;
}

static int refuse_with(channels_socket *s, const channels_response *r)
{
    if (s->state != CHANNELS__CONNECTING) {
        channels__log(s->ep, CHANNELS_LOG_ERROR, "channels_refuse: only in connect(), and once");
        return CHANNELS_ERR_INVALID;
    }
    s->state = CHANNELS__GONE;
    forget_connect(s);
    refuse(s, r);
    return CHANNELS_REFUSE;
}

int channels_refuse(channels_socket *s, const channels_response *r)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter(ep, "channels_refuse"))
        return CHANNELS_ERR_MISUSE;
    int err = refuse_with(s, r);
    channels__leave(ep);
    return err;
}

static int connect_later(channels_socket *s, channels_ref *ref)
{
    channels_endpoint *ep = s->ep;
    if (s->state != CHANNELS__CONNECTING || s->slot != 0) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_connect_later: only in connect(), and once");
        return CHANNELS_ERR_INVALID;
    }
    s->slot = channels__ref_new(&ep->refs, CHANNELS__REF_CONNECT);
    if (s->slot == 0)
        return CHANNELS_ERR_NOMEM;
    ep->refs.slots[s->slot - 1].of.socket = s;
    *ref = channels__ref_of(&ep->refs, s->slot);
    return CHANNELS_OK;
}

int channels_connect_later(channels_socket *s, channels_ref *ref)
{
    channels_endpoint *ep = s->ep;
    ref->id = 0;
    if (!channels__enter(ep, "channels_connect_later"))
        return CHANNELS_ERR_MISUSE;
    int err = connect_later(s, ref);
    channels__leave(ep);
    return err;
}

static channels_socket *pending_connect(channels_endpoint *ep, channels_ref ref)
{
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    return slot != NULL && slot->kind == CHANNELS__REF_CONNECT ? slot->of.socket : NULL;
}

channels_socket *channels_ref_socket(channels_endpoint *ep, channels_ref ref)
{
    return channels__on_thread(ep) ? pending_connect(ep, ref) : NULL;
}

int channels_accept(channels_endpoint *ep, channels_ref ref)
{
    if (!channels__enter(ep, "channels_accept"))
        return CHANNELS_ERR_MISUSE;
    channels_socket *s = pending_connect(ep, ref);
    int err = s == NULL ? CHANNELS_ERR_CLOSED : CHANNELS_OK;
    if (s != NULL && s->state != CHANNELS__WAITING) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_accept: connect() has not returned yet");
        err = CHANNELS_ERR_INVALID;
    } else if (s != NULL) {
        forget_connect(s);
        s->state = CHANNELS__OPEN;
        s->transport->accept(s->carrier);
    }
    channels__leave(ep);
    return err;
}

/* Refuses a connect that waits. */
int channels__socket_respond(channels_socket *s, const channels_response *r)
{
    if (s->state != CHANNELS__WAITING) {
        channels__log(s->ep, CHANNELS_LOG_ERROR, "channels_respond: connect() has not returned yet");
        return CHANNELS_ERR_INVALID;
    }
    channels__socket_doom(s, CHANNELS_REFUSED, 0);
    s->transport->refuse(s->carrier, r);
    return CHANNELS_OK;
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

static int set_id(channels_socket *s, const char *id)
{
    channels_endpoint *ep = s->ep;
    if (s->state > CHANNELS__WAITING) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_socket_set_id: only while connecting");
        return CHANNELS_ERR_INVALID;
    }
    if (!channels__name_ok(ep, "channels_socket_set_id", "id", id))
        return CHANNELS_ERR_INVALID;
    channels__topic *topic = channels__topic_get(&ep->topics, channels__str_z(id));
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__subscriber *sub = channels__subscriber_new(ep, topic, CHANNELS__SUB_SOCKET);
    channels__topic_put(&ep->topics, topic);
    if (sub == NULL)
        return CHANNELS_ERR_NOMEM;
    sub->to.socket = s;
    if (s->id != NULL)
        channels__subscriber_end(ep, s->id);
    s->id = sub;
    return CHANNELS_OK;
}

int channels_socket_set_id(channels_socket *s, const char *id)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter(ep, "channels_socket_set_id"))
        return CHANNELS_ERR_MISUSE;
    int err = set_id(s, id);
    channels__leave(ep);
    return err;
}

int channels_disconnect(channels_endpoint *ep, const char *socket_id)
{
    return channels_pubsub_broadcast(ep, socket_id, "disconnect", channels_empty());
}
