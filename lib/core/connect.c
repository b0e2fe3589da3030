/* connect.c - how a client gets in: what is checked, what connect() says, now or later.
 * Phoenix lib/phoenix/socket.ex (connect), lib/phoenix/transports/websocket.ex. */
#include "base/ascii.h"
#include "core/core.h"
#include "wire/origin.h"
#include "wire/query.h"
#include "wire/request.h"
#include "wire/response.h"
#include "wire/subprotocol.h"

const channels_header channels__json_type = { "content-type", "application/json; charset=utf-8" };
#define BAD_REQUEST "{\"errors\":{\"detail\":\"Bad Request\"}}"
#define UNAVAILABLE "{\"errors\":{\"detail\":\"Service Unavailable\"}}"
#define SERVER_ERROR "{\"errors\":{\"detail\":\"Internal Server Error\"}}"

const channels_response channels__forbidden = { .status = 403 };
const channels_response channels__bad_request = { 400, &channels__json_type, 1, BAD_REQUEST,
                                                  sizeof BAD_REQUEST - 1 };
const channels_response channels__server_error = { 500, &channels__json_type, 1, SERVER_ERROR,
                                                   sizeof SERVER_ERROR - 1 };
static const channels_header later[] = { { "content-type", "application/json; charset=utf-8" },
                                         { "retry-after", "5" } };
const channels_response channels__unavailable = { 503, later, 2, UNAVAILABLE,
                                                  sizeof UNAVAILABLE - 1 };

void channels__socket_forget(channels_socket *s, bool self)
{
    if (s->pending) {
        channels__ref_free(&s->ep->refs, s->slot);
        s->pending = false;
        s->slot = 0;
    }
    if (!self)
        return;
    if (s->self != 0)
        channels__ref_free(&s->ep->refs, s->self);
    s->self = 0;
}

static void refuse(channels_socket *s, const channels_response *r)
{
    s->transport->refuse(s->carrier, r);
}

/* --- At once ------------------------------------------------------------------------------ */

bool channels__origin_ok(channels__mount *m, const channels_request *req)
{
    const channels_mount_options *o = &m->options;
    const char *origin = channels_request_header(req, "origin");
    if (origin == NULL ||
        (o->check_origin == CHANNELS_ORIGIN_ASK
             ? o->ask_origin(origin, m->user)
             : channels__origin_allowed(o->check_origin, m->ep->config.host, o->origins, req)))
        return true;
    channels__log(m->ep, CHANNELS_LOG_ERROR,
                  "refused a connection to %s: if pages of this origin are yours, set config.host "
                  "or the mount's check_origin: %s",
                  m->path, origin);
    return false;
}

static bool over_websocket(const channels_socket *s)
{
    return strcmp(s->transport->name, "websocket") == 0;
}

static int turn_down(channels_socket *s, const channels_response *r, uint64_t *count)
{
    ++*count;
    refuse(s, r);
    return CHANNELS_REFUSE;
}

/* For a token and for a list of subprotocols, made of one that has n bytes. */
#define TOKEN_ROOM(n) ((n) + 4)
#define LIST_ROOM(n) (2 * (n) + 1)

/* A token among the subprotocols is taken out of the list. */
static int take_bearer(channels_request *shown, channels_header *headers,
                       channels__scratch *scratch)
{
    size_t at = 0;
    while (!channels__same(headers[at].name, "sec-websocket-protocol"))
        at++;
    const char *list = headers[at].value;
    channels__str bearer = channels__bearer_find(list);
    if (bearer.p == NULL)
        return CHANNELS_OK;
    char *token = channels__scratch_take(scratch, TOKEN_ROOM(bearer.n));
    if (!channels__bearer_decode(bearer, token))
        return CHANNELS_ERR_PROTOCOL;
    shown->auth_token = token;
    char *others = channels__scratch_take(scratch, LIST_ROOM(strlen(list)));
    headers[at].value = others;
    if (channels__bearer_remove(list, others) == 0) {
        shown->nheaders--;
        memmove(headers + at, headers + at + 1, (shown->nheaders - at) * sizeof *headers);
    }
    return CHANNELS_OK;
}

/* The request as connect() sees it. What had to be made for that is in the scratch, where it stays
 * until the next message is read. */
static int show(channels_socket *s, const channels_request *req, channels_request *shown)
{
    const channels_mount_options *o = &s->mount->options;
    channels__scratch *scratch = &s->ep->codec.scratch;
    const char *list = NULL;
    if (o->auth_token && over_websocket(s))
        list = channels_request_header(req, "sec-websocket-protocol");
    size_t n = list != NULL ? strlen(list) : 0;
    size_t size = req->nheaders * sizeof(channels_header);
    if (!channels__scratch_reserve(scratch, size + TOKEN_ROOM(n) + LIST_ROOM(n)))
        return CHANNELS_ERR_NOMEM;
    channels_header *headers = (channels_header *)(void *)channels__scratch_take(scratch, size);
    *shown = *req;
    shown->headers = headers;
    shown->nheaders = channels__headers_shown(req, o->all_headers, headers);
    shown->pattern = channels__mount_pattern(s->mount, s->transport->name);
    shown->auth_token = NULL;
    if (list != NULL)
        return take_bearer(shown, headers, scratch);
    if (o->auth_token && !over_websocket(s))
        shown->auth_token = channels_request_header(req, "x-phoenix-authtoken");
    return CHANNELS_OK;
}

static bool agree_on_subprotocol(channels_socket *s, const channels_request *shown)
{
    const char *const *served = s->mount->options.websocket.subprotocols;
    if (served == NULL || !over_websocket(s))
        return true;
    const char *asked = channels_request_header(shown, "sec-websocket-protocol");
    if (asked == NULL)
        return true;
    s->subprotocol = (uint16_t)channels__subprotocol_choose(served, asked);
    if (s->subprotocol == 0) /* not logged: what it offers, which may hold tokens */
        channels__log(s->ep, CHANNELS_LOG_ERROR,
                      "refused a connection to %s: none of the subprotocols it offers is served",
                      s->mount->path);
    return s->subprotocol != 0;
}

/* By the parameter vsn; one that is too long to be a version, or no text, is none that is served.
 * Sockets without channels speak none. */
static bool agree_on_version(channels_socket *s, const channels_request *shown)
{
    char vsn[64];
    if (s->mount->handler->handle_frame != NULL)
        return true;
    int n = channels__param(shown, "vsn", vsn, sizeof vsn);
    if (n < (int)sizeof vsn && !channels__param_nests(shown, "vsn"))
        s->serializer =
            channels__serializer_for(s->mount->options.serializers, n >= 0 ? vsn : NULL);
    if (s->serializer != NULL)
        return true;
    channels__log(s->ep, CHANNELS_LOG_WARNING,
                  "refused a connection to %s: no serializer for the version it asks for",
                  s->mount->path);
    return false;
}

/* In Phoenix' order: the query is read before anything is asked of it. */
static int check(channels_socket *s, const channels_request *req, channels_request *shown)
{
    channels_stats *stats = &s->ep->stats;
    if (s->ep->drain.on)
        return turn_down(s, &channels__unavailable, &stats->connects_refused_draining);
    if (!channels__query_valid(req->query))
        return turn_down(s, &channels__bad_request, &stats->connects_refused_request);
    if (!channels__origin_ok(s->mount, req))
        return turn_down(s, &channels__forbidden, &stats->connects_refused_origin);
    int err = show(s, req, shown);
    if (err == CHANNELS_ERR_PROTOCOL)
        return turn_down(s, &channels__bad_request, &stats->connects_refused_request);
    if (err != CHANNELS_OK)
        return err;
    if (!agree_on_subprotocol(s, shown))
        return turn_down(s, &channels__forbidden, &stats->connects_refused_subprotocol);
    if (!agree_on_version(s, shown))
        return turn_down(s, &channels__forbidden, &stats->connects_refused_version);
    return CHANNELS_OK;
}

/* What connect() said, made consistent: it may have answered by channels_refuse(), which shows as
 * the state. */
static int connect_result(channels_socket *s, int r)
{
    bool answered = s->state != CHANNELS__CONNECTING;
    bool has_ref = s->pending;
    if (!answered && ((r == CHANNELS_OK && !has_ref) || (r == CHANNELS_LATER && has_ref)))
        return r;
    if (r != CHANNELS_REFUSE)
        channels__log(s->ep, CHANNELS_LOG_ERROR, "connect() of %s failed: it returned %d%s",
                      s->mount->path, r,
                      answered              ? " after channels_refuse()"
                      : r == CHANNELS_LATER ? " without channels_connect_later()"
                                            : "");
    if (!answered)
        refuse(s, r == CHANNELS_REFUSE ? &channels__forbidden : &channels__server_error);
    return CHANNELS_REFUSE;
}

/* disconnect() is owed to a connect() that took its client for let in; `answered`: by
 * channels_refuse(). */
static void not_admitted(channels_socket *s, int said, bool answered)
{
    channels_stats *stats = &s->ep->stats;
    const channels_socket_handler *h = s->mount->handler;
    ++*(said == CHANNELS_REFUSE ? &stats->connects_refused_host : &stats->connects_refused_failed);
    if ((said == CHANNELS_OK || said == CHANNELS_LATER) && h->disconnect != NULL)
        h->disconnect(s, answered ? CHANNELS_REFUSED : CHANNELS_FAILED, s->mount->user);
}

static int connect_socket(channels__mount *m, const channels_request *req, channels_socket *s)
{
    channels_request shown;
    int err = check(s, req, &shown);
    if (err != CHANNELS_OK)
        return err;
    int said = CHANNELS_OK;
    uint64_t began = channels__connect_begins(m);
    if (m->handler->connect != NULL)
        said = m->handler->connect(s, &shown, m->user);
    bool answered = s->state != CHANNELS__CONNECTING;
    int r = connect_result(s, said);
    if (r == CHANNELS_LATER) {
        s->state = CHANNELS__WAITING;
        m->ep->refs.slots[s->slot - 1].began = began;
        return r;
    }
    s->state = r == CHANNELS_OK ? CHANNELS__ADMITTED : CHANNELS__GONE;
    if (r == CHANNELS_OK || said == CHANNELS_REFUSE)
        channels__connect_ends(s, &shown, began, r == CHANNELS_OK);
    if (r != CHANNELS_OK) {
        not_admitted(s, said, answered);
        return r;
    }
    s->state = CHANNELS__OPEN;
    channels__count_opened(s);
    return r;
}

/* It never came in; a callback may still hold it. */
static void turn_away(channels_socket *s)
{
    s->state = CHANNELS__GONE;
    s->closed = true;
    channels__socket_forget(s, true);
    if (s->id != NULL)
        channels__subscriber_end(s->ep, s->id);
    s->id = NULL;
    channels__sockets_append(&s->ep->grave, s);
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
    channels__list_append(&ep->sockets, &s->link);
    int r = connect_socket(m, req, s);
    if (r == CHANNELS_OK || r == CHANNELS_LATER)
        *result = s;
    else
        turn_away(s);
    ep->clients += *result != NULL;
    return r;
}

int channels_socket_open(channels_endpoint *ep, const channels_request *req,
                         const channels_transport *transport, void *carrier,
                         channels_socket **s)
{
    *s = NULL;
    if (!channels__enter_outermost(ep, "channels_socket_open"))
        return CHANNELS_ERR_MISUSE;
    if (req->path == NULL || transport->name == NULL || transport->send == NULL ||
        transport->close == NULL || transport->accept == NULL || transport->refuse == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_socket_open: the request has no path, or the transport lacks a "
                      "name or a function other than frame");
        channels__leave(ep);
        return CHANNELS_ERR_INVALID;
    }
    channels__mount *m = channels__mount_find(ep, req->path, transport->name);
    int err = CHANNELS_ERR_CLOSED;
    if (m != NULL)
        err = channels__socket_open(m, req, transport, carrier, s);
    channels__leave(ep);
    return err;
}

bool channels__response_ok(channels_endpoint *ep, const char *call, const channels_response *r)
{
    const char *fault = channels__response_fault(r);
    if (fault != NULL)
        channels__log(ep, CHANNELS_LOG_ERROR, "%s: the response cannot be sent: %s", call, fault);
    return fault == NULL;
}

static int refuse_with(channels_socket *s, const channels_response *r)
{
    if (s->state != CHANNELS__CONNECTING) {
        channels__log(s->ep, CHANNELS_LOG_ERROR, "channels_refuse: only in connect(), and once");
        return CHANNELS_ERR_INVALID;
    }
    if (!channels__response_ok(s->ep, "channels_refuse", r))
        return CHANNELS_ERR_INVALID;
    s->state = CHANNELS__GONE;
    channels__socket_forget(s, true);
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

/* --- Later -------------------------------------------------------------------------------- */

static int connect_later(channels_socket *s, channels_ref *ref)
{
    channels_endpoint *ep = s->ep;
    if (s->state != CHANNELS__CONNECTING || s->pending) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_connect_later: only in connect(), and once");
        return CHANNELS_ERR_INVALID;
    }
    s->slot = channels__ref_new(&ep->refs, CHANNELS__REF_CONNECT);
    if (s->slot == 0)
        return CHANNELS_ERR_NOMEM;
    s->pending = true;
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
        uint64_t began = ep->refs.slots[s->slot - 1].began;
        channels__socket_forget(s, false);
        s->state = CHANNELS__OPEN;
        channels__count_opened(s);
        s->transport->accept(s->carrier);
        channels__connect_ends(s, NULL, began, true);
    }
    channels__leave(ep);
    return err;
}

/* Refuses a connect that waits. */
int channels__socket_respond(channels_socket *s, const channels_response *r)
{
    if (s->state != CHANNELS__WAITING) {
        channels__log(s->ep, CHANNELS_LOG_ERROR,
                      "channels_respond: connect() has not returned yet");
        return CHANNELS_ERR_INVALID;
    }
    if (!channels__response_ok(s->ep, "channels_respond", r))
        return CHANNELS_ERR_INVALID;
    uint64_t began = s->ep->refs.slots[s->slot - 1].began;
    channels__socket_doom(s, CHANNELS_REFUSED, 0);
    refuse(s, r);
    bool dropped = r == &channels__server_error; /* its ref, and nobody has decided */
    s->ep->stats.connects_refused_failed += dropped;
    s->ep->stats.connects_refused_host += !dropped;
    if (!dropped)
        channels__connect_ends(s, NULL, began, false);
    return CHANNELS_OK;
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
