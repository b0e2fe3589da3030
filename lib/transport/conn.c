/* conn.c - one accepted byte stream: its life, its output, its WebSocket side. conn.h draws the
 * states. */
#include "transport/conn.h"

#include "transport/longpoll_nodes.h"

/* Bytes read from a peer that goes on sending: enough for the rest of a message that was refused for
 * its size, so that the Close frame is not lost to a reset. linger_ms bounds the time. */
#define MAX_DISCARDED (64u << 20)
#define MAX_PONGS 16u /* in the queue */

/* --- Timers ------------------------------------------------------------------------------- */

void channels__conn_alarm(channels_conn *c, channels__alarms *alarms)
{
    if (alarms != NULL) {
        channels__alarm_start(alarms, &c->alarm, c->ep->now);
        return;
    }
    channels__alarm_stop(&c->alarm);
    channels__list_append(&channels__conns_of(c)->resting, &c->alarm.link);
}

static void restart_idle(channels_conn *c)
{
    channels__conn_alarm(c, &c->socket->mount->idle);
}

static channels_conn *conn_of(channels__alarm *alarm)
{
    return CHANNELS__OF(alarm, channels_conn, alarm);
}

/* --- What the host knows ------------------------------------------------------------------ */

static bool output_waits(const channels_conn *c)
{
    return c->out.count != 0 || c->goodbye_sent < c->goodbye_len;
}

/* A client that asks faster than it reads the answers is not listened to until it has read some:
 * else it would pass max_queued by its own requests. */
static bool congested(const channels_conn *c)
{
    return c->socket != NULL && c->socket->queued > c->socket->mount->options.max_queued / 2;
}

static bool ends(channels__conn_state state)
{
    return state == CHANNELS__CONN_PARTING || state == CHANNELS__CONN_ENDING;
}

/* Of one that is not OPEN. */
static unsigned want_apart(const channels_conn *c)
{
    unsigned write = output_waits(c) ? CHANNELS_WANT_WRITE : 0;
    if (c->state == CHANNELS__CONN_OVER)
        return CHANNELS_WANT_CLOSE;
    if (c->state == CHANNELS__CONN_PARTING && write == 0)
        return CHANNELS_WANT_SHUTDOWN | CHANNELS_WANT_CLOSE;
    if (ends(c->state))
        return CHANNELS_WANT_READ | (write != 0 ? write : (unsigned)CHANNELS_WANT_SHUTDOWN);
    /* A peer that waits for its answer is read from, so that its going away is noticed, until it
     * sends what has to be held. */
    if (!c->upgraded && (c->in.http->held_len != 0 || c->in.http->overflow))
        return write;
    return (write != 0 && congested(c) ? 0u : (unsigned)CHANNELS_WANT_READ) | write;
}

static inline unsigned want(const channels_conn *c)
{
    if (c->state != CHANNELS__CONN_OPEN)
        return want_apart(c);
    if (c->out.count == 0)
        return CHANNELS_WANT_READ;
    return congested(c) ? (unsigned)CHANNELS_WANT_WRITE : CHANNELS_WANT_READ | CHANNELS_WANT_WRITE;
}

unsigned channels_conn_want(const channels_conn *c)
{
    return want(c);
}

static inline void told(channels_conn *c)
{
    channels__list_remove(&c->ready);
    c->told = (uint8_t)want(c);
}

void channels__conn_changed(channels_conn *c)
{
    if (!channels__list_empty(&c->ready) || c->told == want(c) || c->freed)
        return;
    channels__list_append(&channels__conns_of(c)->ready, &c->ready);
}

/* Those whose turn comes next lie anywhere in memory, and so does what the host has for each.
 * Inlined by force, as in core/fanout.c. */
__attribute__((always_inline)) static inline void fetch_next(const channels__conns *conns)
{
    const channels__list *next = conns->ready.next;
    if (next == &conns->ready)
        return;
    __builtin_prefetch(CHANNELS__OF(next, channels_conn, ready)->user);
    __builtin_prefetch(CHANNELS__OF(next->next, channels_conn, ready));
    __builtin_prefetch(next->next + 1);
}

channels_conn *channels_endpoint_next_ready(channels_endpoint *ep)
{
    channels__conns *conns = ep->transport;
    if (conns == NULL || channels__list_empty(&conns->ready))
        return NULL;
    channels_conn *c = CHANNELS__OF(conns->ready.next, channels_conn, ready);
    told(c);
    fetch_next(conns);
    return c;
}

/* --- Its end ------------------------------------------------------------------------------ */

static void drop_socket(channels_conn *c, channels_reason why)
{
    channels_socket *s = c->socket;
    c->socket = NULL;
    if (s == NULL)
        return;
    channels__socket_doom(s, why, 0);
    channels__socket_closed(s);
}

/* Nobody can reach it any more but who has it in hand. */
static void cut_off(channels_conn *c, channels_reason why)
{
    drop_socket(c, why);
    if (c->upgraded)
        return;
    channels__conn_unask(c);
    channels__conn_tell(c, false);
}

/* By all that change to or from an end: so many are counted by the endpoint. */
static void set_state(channels_conn *c, channels__conn_state state)
{
    c->ep->ending += ends(state);
    c->ep->ending -= ends(c->state);
    c->state = (uint8_t)state;
}

void channels__conn_over(channels_conn *c)
{
    cut_off(c, CHANNELS_BROKEN);
    set_state(c, CHANNELS__CONN_OVER);
    channels__conn_alarm(c, NULL);
    channels__conn_changed(c);
}

void channels__conn_end(channels_conn *c)
{
    set_state(c, CHANNELS__CONN_ENDING);
    channels__conn_alarm(c, &channels__conns_of(c)->linger);
    channels__conn_changed(c);
}

/* Says goodbye with this code, 0 for none. Needs no memory. */
static void farewell(channels_conn *c, channels_reason why, int code)
{
    drop_socket(c, why);
    c->goodbye_len = (uint8_t)channels__ws_close_frame(code, c->end.goodbye);
    c->end.discarded = 0;
    channels__conn_end(c);
}

static void dispose(channels_conn *c)
{
    channels_endpoint *ep = c->ep;
    cut_off(c, CHANNELS_CLOSED);
    set_state(c, CHANNELS__CONN_OVER);
    ep->stats.connections--;
    channels__list_remove(&c->ready);
    channels__alarm_stop(&c->alarm);
    if (c->upgraded)
        channels__ws_in_end(&channels__conns_of(c)->ws, &c->in.ws);
    else
        channels__conn_http_free(c);
    channels__outq_clear(&c->out, &ep->mem);
    channels__free(&ep->mem, c, sizeof *c);
}

void channels_conn_free(channels_conn *c)
{
    if (c == NULL)
        return;
    channels_endpoint *ep = c->ep;
    if (!channels__enter(ep, "channels_conn_free"))
        return;
    if (c->busy) {
        c->freed = true;
        drop_socket(c, CHANNELS_CLOSED);
        channels__conn_over(c);
        channels__list_remove(&c->ready);
    } else {
        dispose(c);
    }
    channels__leave(ep);
}

/* Around what may run callbacks, which may free it. */
static void take(channels_conn *c)
{
    c->busy = true;
}

static void release(channels_conn *c)
{
    c->busy = false;
    if (c->freed)
        dispose(c);
}

/* --- Output ------------------------------------------------------------------------------- */

bool channels__conn_queue(channels_conn *c, channels_buf *buf)
{
    bool ok = channels__outq_push(&c->out, &c->ep->mem, buf, false);
    channels_buf_unref(buf);
    if (!ok)
        channels__conn_over(c);
    else
        channels__conn_changed(c);
    return ok;
}

int channels_conn_output(channels_conn *c, struct iovec *iov, int max)
{
    channels__conns *conns = channels__conns_of(c);
    int n = 0;
    if (c->state != CHANNELS__CONN_OVER)
        n = channels__outq_view(&c->out, iov, max, conns->room, sizeof conns->room);
    if (n < max && ends(c->state) && c->goodbye_sent < c->goodbye_len) {
        iov[n].iov_base = c->end.goodbye + c->goodbye_sent;
        iov[n++].iov_len = (size_t)(c->goodbye_len - c->goodbye_sent);
    }
    told(c);
    return n;
}

/* Nobody is waited for who takes his last bytes slowly. */
static bool hurries(const channels_endpoint *ep)
{
    return ep->drain.on && ep->now >= ep->drain.deadline;
}

/* Bytes have left, to a peer that we listen to no more or not now: that gives it more time. */
static void progress(channels_conn *c)
{
    channels_endpoint *ep = c->ep;
    if (ep->depth == 0)
        ep->now = ep->config.now_ms(ep->config.hooks);
    if (!c->upgraded && c->out.count == 0)
        channels__conn_tell(c, true);
    if (c->state == CHANNELS__CONN_OPEN)
        restart_idle(c);
    else if (ends(c->state) && !hurries(ep))
        channels__conn_alarm(c, &channels__conns_of(c)->linger);
    else if (c->state < CHANNELS__CONN_ACCEPTED)
        channels__conn_answered_sent(c);
}

/* Returns the bytes of messages among those that have left. */
static size_t retire(channels_conn *c, size_t len)
{
    channels_buf *buf;
    size_t messages = 0;
    bool message;
    while ((buf = channels__outq_retire(&c->out, &c->ep->mem, &len, &message)) != NULL) {
        if (message)
            messages += buf->len;
        if (!message && c->npongs != 0)
            c->npongs--;
        if (c->state == CHANNELS__CONN_OPEN && buf == c->pong)
            c->pong = NULL;
        channels_buf_unref(buf);
    }
    size_t rest = (size_t)(c->goodbye_len - c->goodbye_sent);
    if (c->out.count == 0)
        c->goodbye_sent = (uint8_t)(c->goodbye_sent + (len < rest ? len : rest));
    return messages;
}

void channels_conn_sent(channels_conn *c, size_t len)
{
    if (len == 0)
        return;
    c->ep->stats.bytes_out += len;
    bool unheard = c->state != CHANNELS__CONN_OPEN || congested(c);
    size_t messages = retire(c, len);
    if (c->socket != NULL && messages != 0)
        channels_socket_sent(c->socket, messages);
    if (unheard)
        progress(c);
    if (want(c) == (c->told & ~(unsigned)CHANNELS_WANT_WRITE))
        told(c); /* what is all that has changed, the host did */
    else
        channels__conn_changed(c);
}

/* --- What the core asks of a WebSocket ------------------------------------------------------
 * Of a socket that it has, or is about to get: one that was told to close asks nothing more. */

static channels__ws_opcode opcode(channels_kind kind)
{
    return kind == CHANNELS_JSON ? CHANNELS__WS_OP_TEXT : CHANNELS__WS_OP_BINARY;
}

static channels_buf *frame(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    (void)ep;
    channels__ws_frame(msg, opcode(kind));
    return msg;
}

static channels_buf *frame_deflated(channels_endpoint *ep, channels__deflate_use use,
                                    channels_buf *msg, channels_kind kind)
{
    channels__conns *conns = ep->transport;
    channels_buf *packed = channels__deflate_pack(&conns->deflate, use, msg);
    if (packed == NULL)
        return frame(ep, msg, kind);
    channels_buf_unref(msg);
    channels__ws_frame(packed, opcode(kind) | CHANNELS__WS_DEFLATED);
    return packed;
}

static channels_buf *frame_for_any(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    return frame_deflated(ep, CHANNELS__DEFLATE_TO_ANY, msg, kind);
}

static channels_buf *frame_for_few(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    return frame_deflated(ep, CHANNELS__DEFLATE_TO_FEW, msg, kind);
}

static int send_message(void *carrier, channels_buf *wire, channels_kind kind)
{
    channels_conn *c = carrier;
    (void)kind;
    if (!channels__outq_push(&c->out, &c->ep->mem, wire, true))
        return CHANNELS_ERR_NOMEM;
    if (c->out.count == 1)
        channels__conn_changed(c);
    return CHANNELS_OK;
}

static void accept_client(void *carrier)
{
    channels__conn_accept(carrier);
}

static void refuse_client(void *carrier, const channels_response *r)
{
    channels_conn *c = carrier;
    if (c->state == CHANNELS__CONN_OVER) /* freed by the connect() that refused it */
        return;
    drop_socket(c, CHANNELS_REFUSED);
    channels__conn_refuse(c, r);
}

static void close_client(void *carrier, int code)
{
    farewell(carrier, CHANNELS_CLOSED, code); /* its socket knows better already */
}

/* They differ in what their clients have agreed to read. */
#define WEBSOCKET(framing) \
    { \
        .name = "websocket", .frame = (framing), .send = send_message, .close = close_client, \
        .accept = accept_client, .refuse = refuse_client \
    }
const channels_transport channels__websocket = WEBSOCKET(frame);
const channels_transport channels__websocket_deflate = WEBSOCKET(frame_for_any);
const channels_transport channels__websocket_deflate_small = WEBSOCKET(frame_for_few);

/* --- What the client sends on a WebSocket ------------------------------------------------- */

static void idle_expired(channels__alarm *alarm)
{
    farewell(conn_of(alarm), CHANNELS_IDLE, 1002);
}

void channels__conn_open(channels_conn *c)
{
    channels__conn_http_free(c);
    memset(&c->in.ws, 0, sizeof c->in.ws);
    c->upgraded = true;
    c->state = CHANNELS__CONN_OPEN;
    c->socket->mount->idle.expired = idle_expired;
    restart_idle(c);
}

static channels_buf *queue_pong(channels_conn *c)
{
    channels_buf *buf = channels__buf_new(&c->ep->mem, CHANNELS__WS_CONTROL);
    bool ok = buf != NULL && channels__outq_push(&c->out, &c->ep->mem, buf, false);
    channels_buf_unref(buf);
    if (!ok)
        return NULL;
    c->pong = buf;
    c->npongs++;
    channels__conn_changed(c);
    return buf;
}

/* Each ping is answered while few answers wait; then a newer one takes the place of the last, so
 * that pinging and not reading is no way to fill our memory. */
static bool pong(channels_conn *c, const void *data, size_t len)
{
    channels_buf *buf = c->pong;
    if (buf == NULL || c->npongs < MAX_PONGS || channels__outq_begun(&c->out, buf))
        buf = queue_pong(c);
    if (buf == NULL)
        return false;
    buf->start = CHANNELS__HEADROOM;
    buf->len = len;
    if (len != 0)
        memcpy(channels__buf_bytes(buf), data, len);
    channels__ws_frame(buf, CHANNELS__WS_OP_PONG);
    return true;
}

static int receive(channels_conn *c, const channels__ws_got *got)
{
    channels_payload message = { got->event == CHANNELS__WS_TEXT ? CHANNELS_JSON : CHANNELS_BINARY,
                                 got->len != 0 ? got->data : "", got->len };
    int err = channels__socket_receive(c->socket, message);
    return err != CHANNELS_ERR_CLOSED ? err : CHANNELS_OK; /* a callback has closed it meanwhile */
}

static void answer_close(channels_conn *c, int code)
{
    farewell(c, CHANNELS_CLOSED, code);
    if (channels__ws_unread(&channels__conns_of(c)->ws) == 0)
        set_state(c, CHANNELS__CONN_PARTING);
}

static int heed(channels_conn *c, const channels__ws_got *got)
{
    switch (got->event) {
    case CHANNELS__WS_TEXT:
    case CHANNELS__WS_BINARY: return receive(c, got);
    case CHANNELS__WS_PING:
        if (pong(c, got->data, got->len))
            return CHANNELS_OK;
        break;
    case CHANNELS__WS_CLOSE: answer_close(c, got->code); return CHANNELS_OK;
    case CHANNELS__WS_FAULT:
        farewell(c, CHANNELS_BROKEN, got->code);
        return CHANNELS_ERR_PROTOCOL;
    default: break;
    }
    farewell(c, CHANNELS_BROKEN, 1011);
    return CHANNELS_ERR_NOMEM;
}

static int read_frames(channels_conn *c, const void *data, size_t len)
{
    channels__ws *ws = &channels__conns_of(c)->ws;
    const channels_websocket_options *options = &c->socket->mount->options.websocket;
    bool plain = c->socket->transport == &channels__websocket;
    const channels__ws_limits limits = { options->max_message, options->max_empty_fragments,
                                         plain ? NULL : &channels__conns_of(c)->deflate };
    int err = CHANNELS_OK;
    restart_idle(c);
    channels__ws_give(ws, data, len);
    while (c->state == CHANNELS__CONN_OPEN) { /* what fails ends that */
        channels__ws_got got = channels__ws_next(ws, &c->in.ws, &limits);
        if (got.event == CHANNELS__WS_NONE)
            return CHANNELS_OK;
        err = heed(c, &got);
    }
    channels__ws_in_end(ws, &c->in.ws);
    return err;
}

/* --- Input -------------------------------------------------------------------------------- */

static void discard(channels_conn *c, size_t len)
{
    if (c->state == CHANNELS__CONN_PARTING) {
        set_state(c, CHANNELS__CONN_ENDING);
        channels__conn_changed(c);
    }
    if (len > MAX_DISCARDED - c->end.discarded)
        channels__conn_over(c);
    else
        c->end.discarded += (uint32_t)len;
}

int channels__conn_input(channels_conn *c, const char *data, size_t len)
{
    int err = CHANNELS_OK;
    while (err == CHANNELS_OK && len != 0 && c->state == CHANNELS__CONN_HTTP) {
        size_t took;
        err = channels__conn_read(c, data, len, &took);
        data += took;
        len -= took;
    }
    if (err != CHANNELS_OK || len == 0 || c->state == CHANNELS__CONN_OVER)
        return err;
    if (c->state == CHANNELS__CONN_OPEN)
        return read_frames(c, data, len);
    if (!ends(c->state))
        return channels__conn_hold(c, data, len);
    discard(c, len);
    return CHANNELS_OK;
}

/* What is held is to be read before anything newer. */
static bool resumes(const channels_conn *c)
{
    return !c->upgraded && c->in.http->held_len != 0 &&
           (c->state == CHANNELS__CONN_HTTP || c->state == CHANNELS__CONN_ACCEPTED);
}

int channels_conn_feed(channels_conn *c, const void *data, size_t len)
{
    channels_endpoint *ep = c->ep;
    if (!channels__enter_outermost(ep, "channels_conn_feed"))
        return CHANNELS_ERR_MISUSE;
    ep->stats.bytes_in += len;
    take(c);
    int err = resumes(c) ? channels__conn_resume(c) : CHANNELS_OK;
    if (err == CHANNELS_OK)
        err = channels__conn_input(c, data, len);
    release(c);
    channels__leave(ep);
    return err;
}

static void resume_expired(channels__alarm *alarm)
{
    channels_conn *c = conn_of(alarm);
    take(c);
    channels__conn_resume(c);
    release(c);
}

static void time_is_up(channels__alarm *alarm)
{
    channels__conn_over(conn_of(alarm));
}

/* --- Birth -------------------------------------------------------------------------------- */

static void free_all(channels__list *alarms)
{
    channels__list *node;
    while ((node = channels__list_shift(alarms)) != NULL)
        dispose(CHANNELS__OF(node, channels_conn, alarm.link));
}

static void conns_free(channels_endpoint *ep)
{
    channels__conns *conns = ep->transport;
    free_all(&conns->request.list);
    free_all(&conns->linger.list);
    free_all(&conns->resume.list);
    free_all(&conns->resting);
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next)
        free_all(&m->idle.list);
    channels__ws_deinit(&conns->ws);
    channels__sha1_deinit(&conns->sha1);
    channels__deflate_deinit(&conns->deflate);
    channels__free(&ep->mem, conns, sizeof *conns);
    ep->transport = NULL;
}

static bool make_conns(channels_endpoint *ep)
{
    if (ep->transport != NULL)
        return true;
    channels__conns *conns =
        channels__longpoll_join(ep) ? channels__alloc(&ep->mem, sizeof *conns) : NULL;
    if (conns == NULL)
        return false;
    if (!channels__sha1_init(&conns->sha1)) {
        channels__free(&ep->mem, conns, sizeof *conns);
        return false;
    }
    channels__ws_init(&conns->ws, &ep->mem);
    channels__deflate_init(&conns->deflate, &ep->mem, &ep->config, &ep->stats);
    channels__list_init(&conns->ready);
    channels__list_init(&conns->resting);
    channels__add_alarms(ep, &conns->request, ep->config.http_timeout_ms, time_is_up);
    channels__add_alarms(ep, &conns->linger, ep->config.linger_ms, time_is_up);
    channels__add_alarms(ep, &conns->resume, 0, resume_expired);
    ep->transport = conns;
    ep->transport_free = conns_free;
    return true;
}

static channels_conn *make(channels_endpoint *ep, const char *peer, bool tls, void *user)
{
    channels_conn *c = make_conns(ep) ? channels__zalloc(&ep->mem, sizeof *c) : NULL;
    if (c == NULL)
        return NULL;
    c->in.http = channels__conn_http_new(&ep->mem, peer, tls);
    if (c->in.http == NULL) {
        channels__free(&ep->mem, c, sizeof *c);
        return NULL;
    }
    c->ep = ep;
    c->user = user;
    c->told = CHANNELS_WANT_READ;
    ep->stats.connections++;
    ep->stats.connections_opened++;
    channels__outq_init(&c->out);
    channels__list_init(&c->ready);
    channels__alarm_init(&c->alarm);
    channels__conn_alarm(c, &channels__conns_of(c)->request);
    return c;
}

int channels_conn_new(channels_endpoint *ep, const channels_stream *stream, void *user,
                      channels_conn **conn)
{
    *conn = NULL;
    if (!channels__enter(ep, "channels_conn_new"))
        return CHANNELS_ERR_MISUSE;
    *conn = stream != NULL ? make(ep, stream->peer, stream->tls, user)
                           : make(ep, NULL, false, user);
    channels__leave(ep);
    return *conn != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

static int new_from(channels_endpoint *ep, const channels_request *given, const void *rest,
                    size_t len, void *user, channels_conn **conn)
{
    channels_request req = *given;
    if (req.method == NULL || req.path == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_conn_new_from: the request has no method or no path");
        return CHANNELS_ERR_INVALID;
    }
    if (req.query == NULL)
        req.query = "";
    channels_conn *c = make(ep, req.peer, req.tls, user);
    if (c == NULL)
        return CHANNELS_ERR_NOMEM;
    ep->stats.bytes_in += len;
    take(c);
    if (channels__conn_handle(c, &req) == CHANNELS_OK)
        channels__conn_input(c, rest, len);
    release(c);
    *conn = c;
    return CHANNELS_OK;
}

int channels_conn_new_from(channels_endpoint *ep, const channels_request *req, const void *rest,
                           size_t len, void *user, channels_conn **conn)
{
    *conn = NULL;
    if (!channels__enter_outermost(ep, "channels_conn_new_from"))
        return CHANNELS_ERR_MISUSE;
    int err = new_from(ep, req, rest, len, user, conn);
    channels__leave(ep);
    return err;
}

void *channels_conn_user(const channels_conn *c)
{
    return c->user;
}
