/* session.c - a long-poll session: its life, its messages and its polls. longpoll.h draws the
 * states. Phoenix lib/phoenix/transports/long_poll_server.ex.
 *
 * `respond` runs the host's code, which may say at once that an answer has left: it is called last,
 * when everything else is as it will be. */
#include "transport/longpoll_nodes.h"

#include "wire/json.h"

static channels__session *session_of(channels__alarm *alarm)
{
    return CHANNELS__OF(alarm, channels__session, alarm);
}

static void start(channels__session *s, channels__alarms *alarms)
{
    channels__alarm_start(alarms, &s->alarm, s->mount->ep->now);
}

/* --- Answers ------------------------------------------------------------------------------ */

/* Its ref ends. */
static channels__asker take_asker(channels__session *s)
{
    channels__asker asker = s->asker;
    memset(&s->asker, 0, sizeof s->asker);
    if (asker.slot != 0)
        channels__ref_free(&s->mount->ep->refs, asker.slot);
    return asker;
}

/* In tokens of this endpoint: nobody else can ask for its sessions where there are no others. */
static const char *own_node(const channels_endpoint *ep)
{
    return ep->config.pubsub != NULL ? ep->config.node : "";
}

/* The bytes of a session. */
static size_t size_of(const channels_endpoint *ep)
{
    return offsetof(channels__session, token) + channels__longpoll_token_len(own_node(ep)) + 1;
}

/* Without messages: 204 to a poll, 410 to who has opened the session. */
static void answer_empty(channels__session *s, int status)
{
    char json[CHANNELS__LONGPOLL_EMPTY];
    size_t len = channels__longpoll_write_empty(status, s->token, json);
    channels__asker asker = take_asker(s);
    if (s->flight == 0)
        start(s, &s->mount->unpolled);
    else
        channels__alarm_stop(&s->alarm);
    channels__longpoll_answer(&asker, json, len);
}

static void answer_refused(const channels__asker *asker, bool failed)
{
    static const char forbidden[] = "{\"status\":403}";
    if (failed)
        channels__longpoll_fail(asker, &channels__server_error);
    else
        channels__longpoll_answer(asker, forbidden, sizeof forbidden - 1);
}

/* --- The messages in an answer -------------------------------------------------------------- */

static size_t put(char *to, size_t at, const void *bytes, size_t n)
{
    if (to != NULL)
        memcpy(to + at, bytes, n);
    return at + n;
}

/* All that waits; only counted while `to` is NULL. */
static size_t compose(const channels__session *s, char *to)
{
    size_t n = put(to, 0, "{\"status\":200,\"token\":\"", 23);
    n = put(to, n, s->token, strlen(s->token));
    n = put(to, n, "\",\"messages\":[", 14);
    for (uint32_t i = 0; i < s->out.count; i++) {
        size_t len;
        const void *text = channels_buf_data(channels__outq_at(&s->out, i), &len);
        n = put(to, n, ",", i != 0);
        n = put(to, n, text, len);
    }
    return put(to, n, "]}", 2);
}

/* NULL if memory ran out. */
static char *composed(const channels__session *s, size_t *len)
{
    *len = compose(s, NULL);
    char *json = channels__alloc(&s->mount->ep->mem, *len);
    if (json != NULL)
        compose(s, json);
    return json;
}

/* Without the memory for it there is nothing yet: the next poll may find some. */
static void answer_messages(channels__session *s)
{
    const channels__mem *mem = &s->mount->ep->mem;
    size_t len;
    char *json = composed(s, &len);
    if (json == NULL) {
        answer_empty(s, 204);
        return;
    }
    channels__asker asker = s->asker;
    memset(&s->asker, 0, sizeof s->asker);
    s->flight = asker.slot;
    s->nflight = s->out.count;
    channels__alarm_stop(&s->alarm);
    channels__longpoll_answer(&asker, json, len);
    channels__free(mem, json, len);
}

static void window_over(channels__alarm *alarm)
{
    answer_empty(session_of(alarm), 204);
}

static void can_be_answered(channels__alarm *alarm)
{
    answer_messages(session_of(alarm));
}

/* --- Its end ------------------------------------------------------------------------------ */

/* All but its socket, which is returned. */
static channels_socket *dispose(channels__session *s)
{
    channels_endpoint *ep = s->mount->ep;
    channels_socket *socket = s->socket;
    take_asker(s);
    channels__guests_end(s);
    s->mount->nsessions--;
    if (s->flight != 0)
        channels__ref_free(&ep->refs, s->flight);
    if (s->slot != 0)
        channels__ref_free(&ep->refs, s->slot);
    channels__alarm_stop(&s->alarm);
    channels__outq_clear(&s->out, &ep->mem);
    channels__free(&ep->mem, s, size_of(ep));
    return socket;
}

static void end_socket(channels_socket *socket, channels_reason why)
{
    channels__socket_doom(socket, why, 0);
    channels__socket_closed(socket);
}

/* Who waits is answered with what was sent before, as a WebSocket is written to before its Close
 * frame, and told with the next request that there is no session. */
static void end(channels__session *s, channels_reason why)
{
    const channels__mem *mem = &s->mount->ep->mem;
    char empty[CHANNELS__LONGPOLL_EMPTY], *messages = NULL;
    size_t len, empty_len = channels__longpoll_write_empty(204, s->token, empty);
    if (s->asker.slot != 0 && s->flight == 0 && s->out.count != 0)
        messages = composed(s, &len);
    channels__asker asker = take_asker(s);
    end_socket(dispose(s), why);
    if (messages != NULL)
        channels__longpoll_answer(&asker, messages, len);
    else if (asker.slot != 0)
        channels__longpoll_answer(&asker, empty, empty_len);
    if (messages != NULL)
        channels__free(mem, messages, len);
}

static void not_polled(channels__alarm *alarm)
{
    end(session_of(alarm), CHANNELS_IDLE);
}

/* --- What the core asks of it --------------------------------------------------------------- */

/* As a JSON string, which is how it stands in an answer. */
static channels_buf *frame(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    size_t n;
    const char *text = channels_buf_data(msg, &n);
    channels__str message = channels__str_n(text, n);
    channels_buf *buf = channels__buf_new(&ep->mem, channels__json_escaped_len(message));
    (void)kind;
    if (buf != NULL)
        channels__json_escape(message, channels__buf_bytes(buf));
    channels_buf_unref(msg);
    return buf;
}

static int send_message(void *carrier, channels_buf *wire, channels_kind kind)
{
    channels__session *s = carrier;
    (void)kind;
    if (!channels__outq_push(&s->out, &s->mount->ep->mem, wire, true))
        return CHANNELS_ERR_NOMEM;
    if (s->asker.slot != 0 && s->flight == 0)
        start(s, &s->mount->filled);
    return CHANNELS_OK;
}

static void close_client(void *carrier, int code)
{
    (void)code;
    end(carrier, CHANNELS_CLOSED);
}

static void accept_client(void *carrier)
{
    answer_empty(carrier, 410);
}

/* What a host would answer instead is for WebSockets: long polling has one refusal (Phoenix
 * lib/phoenix/transports/long_poll.ex, new_session). */
static void refuse_client(void *carrier, const channels_response *r)
{
    channels__session *s = carrier;
    s->failed = r == &channels__server_error;
    if (s->socket == NULL) /* channels__session_open() goes on from here */
        return;
    bool failed = s->failed;
    channels__asker asker = take_asker(s);
    end_socket(dispose(s), CHANNELS_REFUSED);
    answer_refused(&asker, failed);
}

static const channels_transport longpoll = { .name = "longpoll",
                                             .frame = frame,
                                             .send = send_message,
                                             .close = close_client,
                                             .accept = accept_client,
                                             .refuse = refuse_client,
                                             .text_only = true };

/* --- Its beginning ------------------------------------------------------------------------- */

static uint32_t new_slot(channels__session *s, channels__ref_kind kind)
{
    channels__refs *refs = &s->mount->ep->refs;
    uint32_t slot = channels__ref_new(refs, kind);
    if (slot != 0)
        refs->slots[slot - 1].of.session = s;
    return slot;
}

static bool make_token(channels__session *s)
{
    channels_endpoint *ep = s->mount->ep;
    unsigned char nonce[CHANNELS__LONGPOLL_NONCE];
    s->slot = new_slot(s, CHANNELS__REF_SESSION);
    if (s->slot == 0 || ep->config.random(ep->config.hooks, nonce, sizeof nonce) < 0)
        return false;
    return channels__longpoll_token_write(ep->session_key, channels__ref_of(&ep->refs, s->slot).id,
                                          nonce, own_node(ep), s->token);
}

channels__session *channels__session_new(channels__mount *mount)
{
    channels__session *s = channels__zalloc(&mount->ep->mem, size_of(mount->ep));
    if (s == NULL)
        return NULL;
    s->mount = mount;
    s->born = mount->ep->now;
    channels__alarm_init(&s->alarm);
    channels__outq_init(&s->out);
    mount->nsessions++;
    mount->held.expired = window_over;
    mount->filled.expired = can_be_answered;
    mount->unpolled.expired = not_polled;
    if (make_token(s))
        return s;
    dispose(s);
    return NULL;
}

static bool expired(const channels__session *s)
{
    return s->mount->ep->now - s->born >=
           s->mount->options.longpoll.token_max_age_s * UINT64_C(1000);
}

/* The session of this mount whose token that is. The ref is a stranger's word, by which a slot of
 * any kind may be found; all that is told of it is whether the whole token is right. */
static channels__session *own_session(const channels__mount *mount, const char *text)
{
    channels_ref ref = { channels__longpoll_token_ref(text) };
    channels__slot *slot = channels__ref_find(&mount->ep->refs, ref);
    if (slot == NULL || slot->kind != CHANNELS__REF_SESSION)
        return NULL;
    channels__session *s = slot->of.session;
    return s->mount == mount && channels__longpoll_token_is(s->token, text) ? s : NULL;
}

channels__session *channels__session_find(channels__mount *mount, const char *text,
                                          char node[CHANNELS__LONGPOLL_NODE + 1])
{
    channels_endpoint *ep = mount->ep;
    channels__session *s = own_session(mount, text);
    node[0] = '\0';
    if (s != NULL)
        return !expired(s) ? s : NULL;
    if (ep->config.pubsub != NULL && channels__longpoll_token_node(ep->session_key, text, node) &&
        strcmp(node, ep->config.node) == 0)
        node[0] = '\0';
    return NULL;
}

int channels__session_open(channels__session *s, const channels_request *req,
                           const channels__asker *asker, channels_ref *request)
{
    channels_endpoint *ep = s->mount->ep;
    uint32_t slot = new_slot(s, CHANNELS__REF_POLL);
    if (slot == 0) {
        dispose(s);
        return CHANNELS_ERR_NOMEM;
    }
    s->asker = (channels__asker){ asker->respond, asker->arg, slot };
    int r = channels__socket_open(s->mount, req, &longpoll, s, &s->socket);
    if (r == CHANNELS_OK) {
        answer_empty(s, 410);
    } else if (r == CHANNELS_LATER) {
        *request = channels__ref_of(&ep->refs, slot);
    } else {
        bool failed = s->failed;
        dispose(s);
        if (r == CHANNELS_REFUSE)
            answer_refused(asker, failed);
    }
    return r < 0 ? r : CHANNELS_OK;
}

/* --- Polls -------------------------------------------------------------------------------- */

int channels__session_poll(channels__session *s, const channels__asker *asker,
                           channels_ref *request)
{
    uint32_t slot = new_slot(s, CHANNELS__REF_POLL);
    if (slot == 0)
        return CHANNELS_ERR_NOMEM;
    if (s->asker.slot != 0) /* the newer one takes over */
        answer_empty(s, 204);
    s->asker = (channels__asker){ asker->respond, asker->arg, slot };
    *request = channels__ref_of(&s->mount->ep->refs, slot);
    start(s, &s->mount->held);
    if (s->flight == 0 && s->out.count != 0)
        answer_messages(s);
    return CHANNELS_OK;
}

/* The first `n` messages have left. */
static void forget(channels__session *s, uint32_t n)
{
    const channels__mem *mem = &s->mount->ep->mem;
    bool mark;
    for (; n != 0; n--) {
        size_t len = channels__outq_at(&s->out, 0)->len, left = len;
        channels_buf_unref(channels__outq_retire(&s->out, mem, &left, &mark));
        channels_socket_sent(s->socket, len);
    }
}

static void landed(channels__session *s, bool sent)
{
    channels__ref_free(&s->mount->ep->refs, s->flight);
    s->flight = 0;
    if (sent)
        forget(s, s->nflight);
    s->nflight = 0;
    if (s->asker.slot == 0)
        start(s, &s->mount->unpolled);
    else if (s->out.count != 0)
        start(s, &s->mount->filled);
}

/* Nobody waits for the answer any more that has not been given. */
static void abandoned(channels__session *s)
{
    if (s->socket->state == CHANNELS__WAITING) {
        end_socket(dispose(s), CHANNELS_CLOSED);
        return;
    }
    take_asker(s);
    if (s->flight == 0)
        start(s, &s->mount->unpolled);
    else
        channels__alarm_stop(&s->alarm);
}

void channels__longpoll_done(channels_endpoint *ep, channels_ref request, bool sent)
{
    channels__slot *slot = channels__ref_find(&ep->refs, request);
    if (slot != NULL && slot->kind == CHANNELS__REF_FORWARD) {
        channels__forward_done(slot->of.forward, sent);
        return;
    }
    if (slot == NULL || slot->kind != CHANNELS__REF_POLL)
        return;
    channels__session *s = slot->of.session;
    if ((uint32_t)request.id == s->flight)
        landed(s, sent);
    else if (!sent)
        abandoned(s);
    else
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_longpoll_done: this request has not been answered yet");
}
