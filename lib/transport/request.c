/* request.c - the HTTP side of a connection: requests in order, each to the mount of its path or to
 * the host, and their answers; the upgrade to WebSocket. */
#include "transport/conn.h"

#include <stdlib.h>

#include "transport/handshake.h"
#include "transport/longpoll.h"
#include "wire/extension.h"
#include "wire/response.h"

/* Bytes of answers in the queue beyond which the next request has to wait. */
#define MAX_UNSENT 262144u

static const channels_header plain = { "content-type", "text/plain; charset=utf-8" };

static channels_response text_response(int status, const channels_header *type, const char *body)
{
    channels_response r = { status, type, 1, body, strlen(body) };
    return r;
}

/* --- What only this side needs ------------------------------------------------------------ */

channels__conn_http *channels__conn_http_new(const channels__mem *mem, const char *peer, bool tls)
{
    size_t n = peer != NULL ? strlen(peer) : 0;
    channels__conn_http *http = channels__zalloc(mem, sizeof *http + n + 1);
    if (http == NULL)
        return NULL;
    http->tls = tls;
    if (n != 0)
        memcpy(http->peer, peer, n);
    return http;
}

static void drop_held(channels_conn *c)
{
    channels__conn_http *http = c->in.http;
    channels__free(&c->ep->mem, http->held, http->held_len);
    http->held = NULL;
    http->held_len = 0;
}

void channels__conn_http_free(channels_conn *c)
{
    channels__conn_http *http = c->in.http;
    drop_held(c);
    channels__http_free(http->parser);
    channels_buf_unref(http->welcome);
    channels__free(&c->ep->mem, http, sizeof *http + strlen(http->peer) + 1);
    c->in.http = NULL;
}

/* Posted to the own thread, since what ends a request is found out where no callback may run. */
static void tell_host(channels_conn *c, bool sent)
{
    channels__conn_news *news = c->in.http->news;
    if (news == NULL || (sent && c->in.http->slot != 0)) /* it has not been answered yet */
        return;
    c->in.http->news = NULL;
    news->sent = sent;
    channels__post(c->ep, &news->letter);
}

static void tell_session(channels_conn *c, bool sent)
{
    channels_ref poll = c->in.http->poll;
    if (poll.id == 0 || (sent && c->state == CHANNELS__CONN_ASKED)) /* not answered yet */
        return;
    c->in.http->poll.id = 0;
    channels__longpoll_done(c->ep, poll, sent);
}

void channels__conn_tell(channels_conn *c, bool sent)
{
    tell_host(c, sent);
    tell_session(c, sent);
}

static void run_news(void *self, channels__letter *letter)
{
    channels_endpoint *ep = self;
    channels__conn_news *news = (channels__conn_news *)letter;
    ep->config.request_end(ep->config.user, news->to, news->sent);
    free(news);
}

static void drop_news(channels__letter *letter)
{
    free(letter);
}

/* Made while nothing has happened yet, so that telling cannot fail. */
static bool expect_news(channels_conn *c)
{
    channels_endpoint *ep = c->ep;
    channels__conn_news *news;
    if (ep->config.request_end == NULL)
        return true;
    news = malloc(sizeof *news);
    if (news == NULL)
        return false;
    news->letter.run = run_news;
    news->letter.drop = drop_news;
    news->to = channels__ref_of(&ep->refs, c->in.http->slot);
    c->in.http->news = news;
    return true;
}

void channels__conn_unask(channels_conn *c)
{
    if (c->in.http->slot != 0)
        channels__ref_free(&c->ep->refs, c->in.http->slot);
    c->in.http->slot = 0;
}

/* --- Answers ------------------------------------------------------------------------------ */

/* Reads on, unless too much waits to be written, or somebody is to be told when all is. */
static void next_request(channels_conn *c)
{
    channels__conns *conns = channels__conns_of(c);
    channels__conn_http *http = c->in.http;
    bool wait = http->unsent > MAX_UNSENT || http->news != NULL || http->poll.id != 0;
    c->state = wait ? CHANNELS__CONN_ANSWERED : CHANNELS__CONN_HTTP;
    channels__conn_alarm(c, !wait && http->held_len != 0 ? &conns->resume : &conns->request);
    channels__conn_changed(c);
}

void channels__conn_answer(channels_conn *c, const channels_response *r)
{
    channels__conn_http *http = c->in.http;
    bool keep_alive = http->keep_alive && !http->overflow && !c->ep->drain.on;
    channels_buf *buf = channels__response_encode(&c->ep->mem, r, keep_alive, http->head);
    if (buf == NULL) {
        channels__conn_over(c);
        return;
    }
    http->unsent += buf->len;
    if (!channels__conn_queue(c, buf))
        return;
    if (keep_alive)
        next_request(c);
    else
        channels__conn_end(c);
}

void channels__conn_answered_sent(channels_conn *c)
{
    if (c->out.count == 0)
        c->in.http->unsent = 0;
    /* A request that has begun has its time from then on, however slowly answers are read. */
    if (c->state == CHANNELS__CONN_ANSWERED ||
        (c->state == CHANNELS__CONN_HTTP && !c->in.http->begun))
        next_request(c);
}

/* To what is no request the answer is the last one. */
static int fail(channels_conn *c, int status, const char *body)
{
    channels_response r = text_response(status, &channels__json_type, body);
    c->ep->stats.connects_refused_request++;
    c->in.http->keep_alive = c->in.http->head = false;
    channels__conn_answer(c, &r);
    return CHANNELS_ERR_PROTOCOL;
}

static void not_found(channels_conn *c)
{
    channels_response r = text_response(404, &plain, "not found");
    channels__conn_answer(c, &r);
}

/* --- Requests for the host ---------------------------------------------------------------- */

static int respond(void *carrier, const channels_response *r)
{
    channels_conn *c = carrier;
    if (!channels__response_ok(c->ep, "channels_respond", r))
        return CHANNELS_ERR_INVALID;
    channels__conn_unask(c);
    channels__conn_answer(c, r);
    return c->state != CHANNELS__CONN_OVER ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

static int ask_host(channels_conn *c, const channels_request *req)
{
    channels_endpoint *ep = c->ep;
    if (ep->config.request == NULL) {
        not_found(c);
        return CHANNELS_OK;
    }
    uint32_t slot = channels__ref_new(&ep->refs, CHANNELS__REF_REQUEST);
    if (slot == 0) {
        channels__conn_over(c);
        return CHANNELS_ERR_NOMEM;
    }
    ep->refs.slots[slot - 1].of.request.respond = respond;
    ep->refs.slots[slot - 1].of.request.carrier = c;
    c->in.http->slot = slot;
    if (!expect_news(c)) {
        channels__conn_over(c);
        return CHANNELS_ERR_NOMEM;
    }
    c->state = CHANNELS__CONN_ASKED;
    channels__conn_alarm(c, NULL);
    int r = ep->config.request(ep->config.user, channels__ref_of(&ep->refs, slot), req);
    if (r != CHANNELS_OK && c->state == CHANNELS__CONN_ASKED) {
        channels__conn_unask(c);
        free(c->in.http->news);
        c->in.http->news = NULL;
        if (r < 0)
            channels__conn_answer(c, &channels__server_error);
        else
            not_found(c);
    }
    return CHANNELS_OK;
}

/* --- Requests for a mount ----------------------------------------------------------------- */

void channels__conn_refuse(channels_conn *c, const channels_response *r)
{
    channels_buf_unref(c->in.http->welcome);
    c->in.http->welcome = NULL;
    channels__conn_answer(c, r);
}

/* What became of a handshake. */
typedef struct answer {
    channels__handshake_result result;
    char text[CHANNELS__HANDSHAKE_TEXT];
    const char *extension; /* NULL: none */
    const channels_transport *transport;
} answer;

static channels_buf *switching(const channels__mem *mem, const answer *a, const char *subprotocol)
{
    channels_header headers[5] = { { "upgrade", "websocket" },
                                   { "connection", "Upgrade" },
                                   { "sec-websocket-accept", a->text } };
    channels_response r = { .status = 101, .headers = headers, .nheaders = 3 };
    if (subprotocol != NULL)
        headers[r.nheaders++] = (channels_header){ "sec-websocket-protocol", subprotocol };
    if (a->extension != NULL)
        headers[r.nheaders++] = (channels_header){ "sec-websocket-extensions", a->extension };
    return channels__response_encode(mem, &r, true, false);
}

void channels__conn_accept(channels_conn *c)
{
    channels__conn_http *http = c->in.http;
    channels_buf *welcome = http->welcome;
    http->welcome = NULL;
    if (channels__conn_queue(c, welcome) && http->held_len != 0) {
        c->state = CHANNELS__CONN_ACCEPTED;
        channels__conn_alarm(c, &channels__conns_of(c)->resume);
    } else if (c->state != CHANNELS__CONN_OVER) {
        channels__conn_open(c);
    }
}

/* connect() has not said no. Only now does it matter whether this is a handshake at all (Phoenix
 * lib/phoenix/transports/websocket.ex, call/2). */
static int admit(channels_conn *c, channels_socket *s, bool later, const answer *a)
{
    if (c->state != CHANNELS__CONN_OPENING) { /* a callback has ended it */
        channels__socket_closed(s);
        return CHANNELS_OK;
    }
    if (a->result == CHANNELS__HANDSHAKE_FAULT) {
        static const channels_header headers[] = { { "content-type", "text/plain; charset=utf-8" },
                                                   { "sec-websocket-version", "13" } };
        const channels_response r = { 400, headers, 2, a->text, strlen(a->text) };
        c->ep->stats.connects_refused_request++;
        channels__socket_closed(s);
        channels__conn_answer(c, &r);
        return CHANNELS_OK;
    }
    c->socket = s;
    c->in.http->welcome = switching(&c->ep->mem, a, channels_socket_subprotocol(s));
    if (c->in.http->welcome == NULL) {
        channels__conn_over(c);
        return CHANNELS_ERR_NOMEM;
    }
    if (!later) {
        channels__conn_accept(c);
        return c->state != CHANNELS__CONN_OVER ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
    }
    c->state = CHANNELS__CONN_PENDING;
    channels__conn_alarm(c, NULL);
    return CHANNELS_OK;
}

static void agree_on_extension(const channels__mount *mount, const channels_request *req, answer *a)
{
    bool small = false;
    a->extension = mount->options.websocket.compress ? channels__deflate_answer(req, &small) : NULL;
    a->transport = a->extension == NULL ? &channels__websocket
                   : small              ? &channels__websocket_deflate_small
                                        : &channels__websocket_deflate;
}

static int upgrade(channels_conn *c, channels__mount *mount, const channels_request *req)
{
    answer a;
    channels_socket *s;
    if (strcmp(req->method, "GET") != 0) {
        static const channels_response bad_request = { .status = 400 };
        channels__conn_answer(c, &bad_request);
        return CHANNELS_OK;
    }
    a.result =
        channels__handshake(req, c->in.http->is_1_1, &channels__conns_of(c)->sha1, a.text);
    agree_on_extension(mount, req, &a);
    int r = CHANNELS_ERR_NOMEM;
    if (a.result != CHANNELS__HANDSHAKE_NOMEM) {
        c->state = CHANNELS__CONN_OPENING;
        r = channels__socket_open(mount, req, a.transport, c, &s);
    }
    if (r == CHANNELS_OK || r == CHANNELS_LATER)
        return admit(c, s, r == CHANNELS_LATER, &a);
    if (r < 0)
        channels__conn_over(c);
    return r < 0 ? r : CHANNELS_OK; /* refused: that has been answered */
}

/* --- Requests for a long-poll session ------------------------------------------------------- */

static void answer_poll(void *arg, const channels_response *r)
{
    channels_conn *c = arg;
    if (c->state == CHANNELS__CONN_ASKED) /* else a callback has ended it */
        channels__conn_answer(c, r);
}

static int ask_session(channels_conn *c, channels__mount *mount, const channels_request *req)
{
    const channels__asker asker = { .respond = answer_poll, .arg = c };
    c->state = CHANNELS__CONN_ASKED;
    channels__conn_alarm(c, NULL);
    int err = channels__longpoll_request(mount, req, &asker, &c->in.http->poll);
    if (err != CHANNELS_OK)
        channels__conn_over(c);
    return err;
}

/* How large the body of a request may be whose head has come. */
static size_t max_body(void *arg, const channels_request *head)
{
    channels_conn *c = arg;
    channels__mount *mount = channels__mount_find(c->ep, head->path, "longpoll");
    if (mount == NULL)
        return c->ep->config.max_http_body;
    return channels__longpoll_max_body(mount, head, channels__http_body_len(c->in.http->parser));
}

/* The session that it is for says so itself, if there is one. */
static int body_too_large(channels_conn *c)
{
    channels_request req = *channels__http_request(c->in.http->parser);
    channels__mount *mount = channels__mount_find(c->ep, req.path, "longpoll");
    if (mount == NULL || strcmp(req.method, "POST") != 0)
        return fail(c, 413, "{\"errors\":{\"detail\":\"Content Too Large\"}}");
    req.body = NULL;
    req.body_len = SIZE_MAX;
    c->in.http->keep_alive = c->in.http->head = false;
    int err = ask_session(c, mount, &req);
    return err != CHANNELS_OK ? err : CHANNELS_ERR_PROTOCOL;
}

/* --- Reading ------------------------------------------------------------------------------ */

static int handle(channels_conn *c, const channels_request *req)
{
    channels_endpoint *ep = c->ep;
    channels__mount *mount = channels__mount_find(ep, req->path, "websocket");
    int err;
    c->in.http->head = strcmp(req->method, "HEAD") == 0;
    if (mount != NULL)
        err = upgrade(c, mount, req);
    else if ((mount = channels__mount_find(ep, req->path, "longpoll")) != NULL)
        err = ask_session(c, mount, req);
    else
        err = ask_host(c, req);
    channels__settle(ep);
    return err;
}

int channels__conn_handle(channels_conn *c, const channels_request *req)
{
    c->in.http->is_1_1 = true;
    c->in.http->keep_alive = !channels__header_lists(req, "connection", "close");
    return handle(c, req);
}

/* RFC 9112, 3.2. Of a WebSocket's handshake its own checks say so, after connect(). */
static bool lacks_host(const channels_conn *c, const channels_request *req)
{
    return c->in.http->is_1_1 && channels_request_header(req, "host") == NULL &&
           channels__mount_find(c->ep, req->path, "websocket") == NULL;
}

static int handle_parsed(channels_conn *c)
{
    channels__conn_http *http = c->in.http;
    channels_request req = *channels__http_request(http->parser);
    req.peer = http->peer[0] != '\0' ? http->peer : NULL;
    req.tls = http->tls;
    http->begun = false;
    http->is_1_1 = channels__http_is_1_1(http->parser);
    http->keep_alive = channels__http_keep_alive(http->parser);
    int err = lacks_host(c, &req) ? fail(c, 400, channels__bad_request.body) : handle(c, &req);
    if (!c->upgraded)
        channels__http_reset(http->parser);
    return err;
}

static int say_continue(channels_conn *c)
{
    static const channels_response go_on = { .status = 100 };
    channels_buf *buf = channels__response_encode(&c->ep->mem, &go_on, true, false);
    if (buf == NULL)
        channels__conn_over(c);
    return buf != NULL && channels__conn_queue(c, buf) ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

int channels__conn_read(channels_conn *c, const char *data, size_t len, size_t *took)
{
    const channels_config *config = &c->ep->config;
    channels__http **parser = &c->in.http->parser;
    *took = 0;
    c->in.http->begun = true;
    if (*parser == NULL) {
        *parser = channels__http_new(&c->ep->mem, config->max_http_head, config->max_http_body);
        if (*parser != NULL)
            channels__http_on_head(*parser, max_body, c);
    }
    switch (*parser != NULL ? channels__http_feed(*parser, data, len, took)
                            : CHANNELS__HTTP_NOMEM) {
    case CHANNELS__HTTP_MORE: return CHANNELS_OK;
    case CHANNELS__HTTP_CONTINUE: return say_continue(c);
    case CHANNELS__HTTP_REQUEST: return handle_parsed(c);
    case CHANNELS__HTTP_MALFORMED: return fail(c, 400, channels__bad_request.body);
    case CHANNELS__HTTP_HEAD_TOO_LARGE:
        return fail(c, 431, "{\"errors\":{\"detail\":\"Request Header Fields Too Large\"}}");
    case CHANNELS__HTTP_BODY_TOO_LARGE: return body_too_large(c);
    default: channels__conn_over(c); return CHANNELS_ERR_NOMEM;
    }
}

int channels__conn_hold(channels_conn *c, const char *data, size_t len)
{
    channels__conn_http *http = c->in.http;
    if (http->overflow || len > c->ep->config.max_http_head - http->held_len) {
        http->overflow = true;
        drop_held(c);
        if (c->state == CHANNELS__CONN_ANSWERED)
            channels__conn_end(c);
        else if (c->state == CHANNELS__CONN_PENDING || c->state == CHANNELS__CONN_ACCEPTED)
            channels__conn_over(c); /* bytes of its frames are lost */
        return CHANNELS_ERR_PROTOCOL;
    }
    char *held = channels__resize(&c->ep->mem, http->held, http->held_len, http->held_len + len);
    if (held == NULL) {
        channels__conn_over(c);
        return CHANNELS_ERR_NOMEM;
    }
    memcpy(held + http->held_len, data, len);
    http->held = held;
    http->held_len += len;
    channels__conn_changed(c);
    return CHANNELS_OK;
}

int channels__conn_resume(channels_conn *c)
{
    channels__conn_http *http = c->in.http;
    char *held = http->held;
    size_t len = http->held_len;
    http->held = NULL;
    http->held_len = 0;
    if (c->state == CHANNELS__CONN_ACCEPTED)
        channels__conn_open(c);
    else
        channels__conn_alarm(c, &channels__conns_of(c)->request);
    int err = channels__conn_input(c, held, len);
    channels__free(&c->ep->mem, held, len);
    channels__conn_changed(c);
    return err;
}
