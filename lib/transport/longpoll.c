/* longpoll.c - the requests of long polling and their answers. The HTTP status is 200 whenever
 * Phoenix' client is meant to look at the JSON in the body, where the status is that counts; pages
 * of other origins may read every answer. Phoenix lib/phoenix/transports/long_poll.ex. */
#include "transport/longpoll_nodes.h"

#include <stdio.h>

#include "base/ascii.h"
#include "base/bytes.h"
#include "wire/batch.h"
#include "wire/query.h"

/* --- Answers ------------------------------------------------------------------------------ */

/* All answers have the first, those with a body the second, those of a session the third. */
static const channels_header common[] = { { "access-control-allow-origin", "*" },
                                          { "content-type", "application/json; charset=utf-8" },
                                          { "cache-control", "no-store" } };

void channels__longpoll_answer(const channels__asker *asker, const char *json, size_t len)
{
    const channels_response r = { 200, common, 3, json, len };
    asker->respond(asker->arg, &r);
}

/* Every status has three digits. */
static char *put_status(char *to, int status)
{
    const char digits[] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
                            (char)('0' + status % 10) };
    return channels__put(channels__put(to, "{\"status\":", 10), digits, sizeof digits);
}

void channels__longpoll_answer_status(const channels__asker *asker, int status)
{
    char json[16], *end = channels__put(put_status(json, status), "}", 1);
    channels__longpoll_answer(asker, json, (size_t)(end - json));
}

size_t channels__longpoll_write_empty(int status, const char *token,
                                      char json[CHANNELS__LONGPOLL_EMPTY])
{
    char *end = channels__put(put_status(json, status), ",\"token\":\"", 10);
    end = channels__put(end, token, strlen(token));
    end = channels__put(end, "\",\"messages\":[]}", 16);
    return (size_t)(end - json);
}

void channels__longpoll_fail(const channels__asker *asker, const channels_response *error)
{
    channels_response r = *error;
    r.headers = common;
    r.nheaders = r.body_len != 0 ? 2 : 1;
    asker->respond(asker->arg, &r);
}

/* --- OPTIONS: what a page of another origin may send ---------------------------------------- */

/* The values of all headers of that name, ", " between them; only counted while `to` is NULL. */
static size_t join_values(const channels_request *req, const char *name, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < req->nheaders; i++) {
        const char *value = req->headers[i].value;
        if (!channels__same(req->headers[i].name, name))
            continue;
        if (to != NULL)
            sprintf(to + n, "%s%s", n != 0 ? ", " : "", value);
        n += strlen(value) + (n != 0 ? 2 : 0);
    }
    return n;
}

static int preflight(channels__mount *m, const channels_request *req, const channels__asker *asker)
{
    static const char asked[] = "access-control-request-headers";
    size_t size = join_values(req, asked, NULL) + 1;
    char *allowed = channels__zalloc(&m->ep->mem, size);
    if (allowed == NULL)
        return CHANNELS_ERR_NOMEM;
    join_values(req, asked, allowed);
    const channels_header headers[] = { common[0],
                                        { "access-control-allow-headers", allowed },
                                        { "access-control-allow-methods", "get, post, options" },
                                        { "access-control-max-age", "3600" } };
    const channels_response r = { .status = 200, .headers = headers, .nheaders = 4 };
    asker->respond(asker->arg, &r);
    channels__free(&m->ep->mem, allowed, size);
    return CHANNELS_OK;
}

/* --- Whose request it is -------------------------------------------------------------------- */

/* A session of this mount, or one of another node, or nobody. */
typedef struct client {
    channels__session *session;
    char node[CHANNELS__LONGPOLL_NODE + 1]; /* "": not another one */
    const char *token;
    char param[CHANNELS__LONGPOLL_TOKEN_TEXT];
} client;

/* A header counts before the query, even if there is nothing good in it. */
static void find_client(channels__mount *m, const channels_request *req, client *c)
{
    c->token = channels_request_header(req, "x-phoenix-longpoll-token");
    if (c->token == NULL) {
        int n = channels__param(req, "token", c->param, sizeof c->param);
        bool good = n >= 0 && n < (int)sizeof c->param && !channels__param_nests(req, "token");
        c->token = good ? c->param : "";
    }
    c->session = channels__session_find(m, c->token, c->node);
}

/* What `what` says to it, on its own node. */
static int forward(channels__mount *m, const client *c, channels__longpoll_message what,
                   const channels__asker *asker, channels_ref *request)
{
    what.token = channels__str_z(c->token);
    return channels__forward_request(m, c->node, &what, asker, request);
}

static int get(channels__mount *m, const channels_request *req, const channels__asker *asker,
               channels_ref *request)
{
    client c;
    find_client(m, req, &c);
    if (c.session != NULL)
        return channels__session_poll(c.session, asker, request);
    if (c.node[0] != '\0')
        return forward(m, &c, (channels__longpoll_message){ .kind = CHANNELS__LONGPOLL_POLL },
                       asker, request);
    if (m->nsessions >= m->options.longpoll.max_sessions) {
        channels__log(m->ep, CHANNELS_LOG_WARNING,
                      "refused a long-poll session of %s: it has %u already", m->path,
                      (unsigned)m->nsessions);
        channels__longpoll_fail(asker, &channels__unavailable);
        return CHANNELS_OK;
    }
    channels__session *s = channels__session_new(m);
    return s != NULL ? channels__session_open(s, req, asker, request) : CHANNELS_ERR_NOMEM;
}

/* --- POST: what a client says --------------------------------------------------------------- */

static size_t room_for(channels__str base64)
{
    return base64.n / 4 * 3 + 3;
}

/* The room that its longest binary message needs, 0 if it has none. */
static size_t room_for_all(channels__batch batch)
{
    channels__str message;
    size_t room = 0;
    while (channels__batch_next(&batch, &message))
        if (channels__batch_binary(&batch, message) && room_for(message) > room)
            room = room_for(message);
    return room;
}

static bool all_base64(channels__batch batch, char *room)
{
    channels__str message;
    while (channels__batch_next(&batch, &message))
        if (channels__batch_binary(&batch, message) &&
            channels__base64_decode(message.p, message.n, false, true, room) < 0)
            return false;
    return true;
}

/* A message that cannot be decoded ends the session, one of the callbacks may: the status says so
 * if something has not been handled. */
static int deliver(channels_socket *s, channels__batch batch, char *room)
{
    channels__str text;
    while (channels__batch_next(&batch, &text)) {
        channels_payload message = { CHANNELS_JSON, text.p, text.n };
        if (channels__batch_binary(&batch, text)) {
            ptrdiff_t n = channels__base64_decode(text.p, text.n, false, true, room);
            message = channels_binary(room, (size_t)n);
        }
        if (channels__socket_receive(s, message) != CHANNELS_OK)
            return 410;
    }
    return 200;
}

int channels__longpoll_post(channels__session *s, channels__str body, bool lines,
                            const channels__asker *asker)
{
    const channels__mem *mem = &s->mount->ep->mem;
    if (body.n > s->mount->options.longpoll.max_body) {
        channels__longpoll_fail(asker, &channels__bad_request);
        return CHANNELS_OK;
    }
    channels__batch batch = channels__batch_of(body, lines, s->mount->options.longpoll.max_batch);
    size_t size = room_for_all(batch);
    char *room = size != 0 ? channels__alloc(mem, size) : NULL;
    if (room == NULL && size != 0)
        return CHANNELS_ERR_NOMEM;
    if (all_base64(batch, room))
        channels__longpoll_answer_status(asker, deliver(s->socket, batch, room));
    else
        channels__longpoll_fail(asker, &channels__bad_request);
    channels__free(mem, room, size);
    return CHANNELS_OK;
}

static int post(channels__mount *m, const channels_request *req, const channels__asker *asker,
                channels_ref *request)
{
    const char *type = channels_request_header(req, "content-type");
    bool lines = type != NULL && strcmp(type, "application/x-ndjson") == 0;
    channels__str body = channels__str_n(req->body, req->body_len);
    client c;
    find_client(m, req, &c);
    if (c.session != NULL)
        return channels__longpoll_post(c.session, body, lines, asker);
    if (c.node[0] == '\0')
        channels__longpoll_answer_status(asker, 410);
    else if (body.n > m->options.longpoll.max_body)
        channels__longpoll_fail(asker, &channels__bad_request);
    else
        return forward(m, &c,
                       (channels__longpoll_message){
                           .kind = CHANNELS__LONGPOLL_POST, .flag = lines, .body = body },
                       asker, request);
    return CHANNELS_OK;
}

/* --- Requests ----------------------------------------------------------------------------- */

/* What asks for a session comes by GET. */
static void count_refused(const channels_request *req, uint64_t *refused)
{
    *refused += strcmp(req->method, "GET") == 0;
}

int channels__longpoll_request(channels__mount *m, const channels_request *req,
                               const channels__asker *asker, channels_ref *request)
{
    static const channels_response no_such_method = { .status = 400 };
    request->id = 0;
    if (!channels__longpoll_join(m->ep))
        return CHANNELS_ERR_NOMEM;
    if (!channels__query_valid(req->query)) {
        count_refused(req, &m->ep->stats.connects_refused_request);
        channels__longpoll_fail(asker, &channels__bad_request);
    } else if (!channels__origin_ok(m, req)) {
        count_refused(req, &m->ep->stats.connects_refused_origin);
        channels__longpoll_answer_status(asker, 403);
    } else if (strcmp(req->method, "GET") == 0) {
        return get(m, req, asker, request);
    } else if (strcmp(req->method, "POST") == 0) {
        return post(m, req, asker, request);
    } else if (strcmp(req->method, "OPTIONS") == 0) {
        return preflight(m, req, asker);
    } else {
        channels__longpoll_fail(asker, &no_such_method);
    }
    return CHANNELS_OK;
}

size_t channels__longpoll_max_body(channels__mount *m, const channels_request *head, size_t len)
{
    size_t max = m->options.longpoll.max_body, strangers = m->ep->config.max_http_body;
    client c;
    if (max <= strangers)
        return max;
    if (len <= strangers || strcmp(head->method, "POST") != 0 ||
        !channels__query_valid(head->query))
        return strangers;
    find_client(m, head, &c);
    return c.session != NULL || c.node[0] != '\0' ? max : strangers;
}

/* --- Outside ------------------------------------------------------------------------------ */

static const char *fault_of(const channels_request *req)
{
    if (req->method == NULL || req->path == NULL)
        return "the request has no method or no path";
    if (req->nheaders != 0 && req->headers == NULL)
        return "the request has a number of headers but no headers";
    return NULL;
}

/* A body without bytes is one that the host found too large to read. */
static bool body_missing(channels__mount *m, const channels_request *req)
{
    return req->body == NULL && req->body_len != 0 &&
           req->body_len <= channels__longpoll_max_body(m, req, req->body_len);
}

static int request(channels_endpoint *ep, const channels_request *given,
                   const channels__asker *asker, channels_ref *ref)
{
    channels_request req = *given;
    const char *fault = fault_of(&req);
    if (req.query == NULL)
        req.query = "";
    channels__mount *m = fault == NULL ? channels__mount_find(ep, req.path, "longpoll") : NULL;
    if (fault == NULL && m == NULL)
        return CHANNELS_ERR_CLOSED;
    if (fault == NULL && body_missing(m, &req))
        fault = "its body has a length but no bytes";
    if (fault != NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_longpoll_request: %s", fault);
        return CHANNELS_ERR_INVALID;
    }
    return channels__longpoll_request(m, &req, asker, ref);
}

int channels_longpoll_request(channels_endpoint *ep, const channels_request *req,
                              void (*respond)(void *arg, const channels_response *r), void *arg,
                              channels_ref *ref)
{
    const channels__asker asker = { respond, arg, 0 };
    ref->id = 0;
    if (!channels__enter_outermost(ep, "channels_longpoll_request"))
        return CHANNELS_ERR_MISUSE;
    int err = request(ep, req, &asker, ref);
    channels__leave(ep);
    return err;
}

void channels_longpoll_done(channels_endpoint *ep, channels_ref ref, bool sent)
{
    if (!channels__enter(ep, "channels_longpoll_done"))
        return;
    channels__longpoll_done(ep, ref, sent);
    channels__leave(ep);
}

size_t channels_longpoll_max_body(channels_endpoint *ep, const channels_request *given)
{
    size_t max = 0;
    channels_request head = *given;
    if (!channels__enter(ep, "channels_longpoll_max_body"))
        return 0;
    if (head.query == NULL)
        head.query = "";
    channels__mount *m = NULL;
    if (head.method != NULL && head.path != NULL)
        m = channels__mount_find(ep, head.path, "longpoll");
    if (m != NULL)
        max = channels__longpoll_max_body(m, &head, SIZE_MAX);
    channels__leave(ep);
    return max;
}
