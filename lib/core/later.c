/* later.c - answers that come later: refs to messages, to channels, to requests. */
#include <stdlib.h>

#include "core/core.h"

/* --- Refs of a channel -------------------------------------------------------------------- */

static channels__slot *slot_at(channels_endpoint *ep, uint32_t n)
{
    return &ep->refs.slots[n - 1];
}

/* The channel's first ref of that kind, or 0. */
static uint32_t first_of(const channels_channel *ch, channels__ref_kind kind)
{
    channels_endpoint *ep = ch->socket->ep;
    uint32_t n = ch->refs;
    while (n != 0 && slot_at(ep, n)->kind != kind)
        n = slot_at(ep, n)->next;
    return n;
}

static void free_ref(channels_channel *ch, uint32_t n)
{
    channels_endpoint *ep = ch->socket->ep;
    const char *text = slot_at(ep, n)->ref;
    channels__socket_undefer(ch->socket, text != NULL ? strlen(text) : 0);
    channels__ref_free(&ep->refs, n);
}

static void end_ref(channels_channel *ch, uint32_t n)
{
    channels_endpoint *ep = ch->socket->ep;
    uint32_t *at = &ch->refs;
    while (*at != n)
        at = &slot_at(ep, *at)->next;
    *at = slot_at(ep, n)->next;
    free_ref(ch, n);
}

void channels__join_ref_end(channels_channel *ch)
{
    uint32_t n = first_of(ch, CHANNELS__REF_JOIN);
    if (n != 0)
        end_ref(ch, n);
}

void channels__join_waits(channels_channel *ch, uint64_t began)
{
    slot_at(ch->socket->ep, first_of(ch, CHANNELS__REF_JOIN))->began = began;
}

void channels__refs_end(channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    while (ch->refs != 0) {
        uint32_t n = ch->refs;
        ch->refs = slot_at(ep, n)->next;
        free_ref(ch, n);
    }
}

static int ref_for(channels_channel *ch, channels__ref_kind kind, channels__str json,
                   channels_ref *ref)
{
    channels_endpoint *ep = ch->socket->ep;
    char *text = NULL;
    if (!channels__socket_defer(ch->socket, json.n))
        return CHANNELS_ERR_LIMIT;
    uint32_t n = channels__ref_new(&ep->refs, kind);
    if (n != 0 && json.p != NULL && (text = channels__alloc(&ep->mem, json.n + 1)) == NULL) {
        channels__ref_free(&ep->refs, n);
        n = 0;
    }
    if (n == 0) {
        channels__socket_undefer(ch->socket, json.n);
        return CHANNELS_ERR_NOMEM;
    }
    if (text != NULL) {
        memcpy(text, json.p, json.n);
        text[json.n] = '\0';
    }
    channels__slot *slot = slot_at(ep, n);
    slot->of.channel = ch;
    slot->ref = text;
    slot->next = ch->refs;
    ch->refs = n;
    *ref = channels__ref_of(&ep->refs, n);
    return CHANNELS_OK;
}

static int later(channels_channel *ch, channels_ref *ref)
{
    channels_endpoint *ep = ch->socket->ep;
    channels__hand *hand = ep->hand;
    const char *why = NULL;
    if (hand == NULL || hand->channel != ch || hand->what == CHANNELS__HAND_EVENT)
        why = "there is no message of the client to answer here";
    else if (hand->what == CHANNELS__HAND_IN && hand->ref.p == NULL)
        why = "the message has no ref, so its sender does not want an answer";
    else if (hand->what == CHANNELS__HAND_JOIN && hand->later)
        why = "a ref to this join has been taken already";
    if (why != NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_later: %s", why);
        return CHANNELS_ERR_INVALID;
    }
    if (ch->state >= CHANNELS__TERMINATING)
        return CHANNELS_ERR_CLOSED;
    bool join = hand->what == CHANNELS__HAND_JOIN;
    int err = ref_for(ch, join ? CHANNELS__REF_JOIN : CHANNELS__REF_MESSAGE, hand->ref, ref);
    if (err == CHANNELS_OK && join)
        hand->later = true;
    return err;
}

int channels_later(channels_channel *ch, channels_ref *ref)
{
    channels_endpoint *ep = ch->socket->ep;
    ref->id = 0;
    if (!channels__enter(ep, "channels_later"))
        return CHANNELS_ERR_MISUSE;
    int err = later(ch, ref);
    channels__leave(ep);
    return err;
}

int channels_self(channels_channel *ch, channels_ref *ref)
{
    channels_endpoint *ep = ch->socket->ep;
    ref->id = 0;
    if (!channels__enter(ep, "channels_self"))
        return CHANNELS_ERR_MISUSE;
    uint32_t n = first_of(ch, CHANNELS__REF_SELF);
    int err = CHANNELS_OK;
    if (n != 0)
        *ref = channels__ref_of(&ep->refs, n);
    else if (ch->state >= CHANNELS__TERMINATING)
        err = CHANNELS_ERR_CLOSED;
    else
        err = ref_for(ch, CHANNELS__REF_SELF, channels__str_none(), ref);
    channels__leave(ep);
    return err;
}

/* NULL for refs of requests. */
static channels_channel *channel_of(const channels__slot *slot)
{
    return slot != NULL && slot->kind <= CHANNELS__REF_SELF ? slot->of.channel : NULL;
}

channels_channel *channels_ref_channel(channels_endpoint *ep, channels_ref ref)
{
    return channels__on_thread(ep) ? channel_of(channels__ref_find(&ep->refs, ref)) : NULL;
}

/* --- Refs of a socket --------------------------------------------------------------------- */

static int socket_self(channels_socket *s, channels_ref *ref)
{
    channels__refs *refs = &s->ep->refs;
    if (s->state >= CHANNELS__DOOMED)
        return CHANNELS_ERR_CLOSED;
    if (s->self == 0) {
        s->self = channels__ref_new(refs, CHANNELS__REF_SOCKET);
        if (s->self == 0)
            return CHANNELS_ERR_NOMEM;
        refs->slots[s->self - 1].of.socket = s;
    }
    *ref = channels__ref_of(refs, s->self);
    return CHANNELS_OK;
}

int channels_socket_self(channels_socket *s, channels_ref *ref)
{
    channels_endpoint *ep = s->ep;
    ref->id = 0;
    if (!channels__enter(ep, "channels_socket_self"))
        return CHANNELS_ERR_MISUSE;
    int err = socket_self(s, ref);
    channels__leave(ep);
    return err;
}

channels_socket *channels_ref_socket(channels_endpoint *ep, channels_ref ref)
{
    if (!channels__on_thread(ep))
        return NULL;
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    bool names_socket =
        slot != NULL && (slot->kind == CHANNELS__REF_CONNECT || slot->kind == CHANNELS__REF_SOCKET);
    return names_socket ? slot->of.socket : NULL;
}

/* --- Answering ---------------------------------------------------------------------------- */

int channels__channel_drop_join(channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    uint32_t n = first_of(ch, CHANNELS__REF_JOIN);
    if (n == 0) /* it has been decided, and that is on its way */
        return CHANNELS_OK;
    ep->stats.joins_refused_failed++;
    return channels__channel_decide(ch, slot_at(ep, n)->ref, "error",
                                    channels_json(CHANNELS__JOIN_CRASHED));
}

static int answer_join(channels_endpoint *ep, channels__slot *slot, const char *status,
                       channels_payload p)
{
    channels_channel *ch = slot->of.channel;
    if (ch->state != CHANNELS__PENDING) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_ref_reply: join() has not returned yet");
        return CHANNELS_ERR_INVALID;
    }
    if (strcmp(status, "ok") != 0 && strcmp(status, "error") != 0) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_ref_reply: a join is answered with \"ok\" or \"error\"");
        return CHANNELS_ERR_INVALID;
    }
    uint64_t began = slot->began;
    bool admitted = strcmp(status, "ok") == 0;
    int err = channels__channel_decide(ch, slot->ref, status, p);
    if (err != CHANNELS_OK)
        return err;
    ep->stats.joins_refused_host += !admitted;
    channels__join_ends(ch, (channels_payload){ .data = NULL }, began, admitted);
    return CHANNELS_OK;
}

static int ref_reply(channels_endpoint *ep, channels_ref ref, const char *status,
                     channels_payload p)
{
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    if (slot == NULL)
        return CHANNELS_ERR_CLOSED;
    if (slot->kind != CHANNELS__REF_MESSAGE && slot->kind != CHANNELS__REF_JOIN) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_ref_reply: this ref is not one of channels_later()");
        return CHANNELS_ERR_INVALID;
    }
    if (!channels__name_ok(ep, "channels_ref_reply", "status", status) ||
        !channels__payload_ok(ep, "channels_ref_reply", p, false))
        return CHANNELS_ERR_INVALID;
    if (slot->kind == CHANNELS__REF_JOIN)
        return answer_join(ep, slot, status, p);
    return channels__channel_reply(slot->of.channel, channels__str_z(slot->ref), status, p);
}

int channels_ref_reply(channels_endpoint *ep, channels_ref ref, const char *status,
                       channels_payload p)
{
    if (!channels__enter(ep, "channels_ref_reply"))
        return CHANNELS_ERR_MISUSE;
    int err = ref_reply(ep, ref, status, p);
    channels__leave(ep);
    return err;
}

/* --- Requests ----------------------------------------------------------------------------- */

static int respond(channels_endpoint *ep, channels_ref ref, const channels_response *r)
{
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    if (slot == NULL)
        return CHANNELS_ERR_CLOSED;
    if (slot->kind == CHANNELS__REF_CONNECT)
        return channels__socket_respond(slot->of.socket, r);
    if (slot->kind == CHANNELS__REF_REQUEST)
        return slot->of.request.respond(slot->of.request.carrier, r);
    channels__log(ep, CHANNELS_LOG_ERROR, "channels_respond: this ref is not one of a request");
    return CHANNELS_ERR_INVALID;
}

int channels_respond(channels_endpoint *ep, channels_ref ref, const channels_response *r)
{
    if (!channels__enter(ep, "channels_respond"))
        return CHANNELS_ERR_MISUSE;
    int err = respond(ep, ref, r);
    channels__leave(ep);
    return err;
}

static void drop_of_channel(channels_channel *ch, uint32_t n)
{
    channels_endpoint *ep = ch->socket->ep;
    bool join = slot_at(ep, n)->kind == CHANNELS__REF_JOIN;
    if (join && ch->state == CHANNELS__PENDING) {
        if (channels__channel_drop_join(ch) != CHANNELS_OK)
            channels__socket_doom(ch->socket, CHANNELS_BROKEN, 1011);
        return;
    }
    if (join) /* join() has not returned: it may no longer say LATER */
        ep->hand->later = false;
    end_ref(ch, n);
}

static void ref_drop(channels_endpoint *ep, channels_ref ref)
{
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    if (slot == NULL)
        return;
    if (channel_of(slot) != NULL) {
        drop_of_channel(slot->of.channel, (uint32_t)ref.id);
    } else if (slot->kind == CHANNELS__REF_SOCKET) {
        slot->of.socket->self = 0;
        channels__ref_free(&ep->refs, (uint32_t)ref.id);
    } else if (slot->kind == CHANNELS__REF_CONNECT &&
               slot->of.socket->state == CHANNELS__CONNECTING) {
        channels__socket_forget(slot->of.socket, false); /* as with join() */
    } else {
        respond(ep, ref, &channels__server_error);
    }
}

void channels_ref_drop(channels_endpoint *ep, channels_ref ref)
{
    if (!channels__enter(ep, "channels_ref_drop"))
        return;
    ref_drop(ep, ref);
    channels__leave(ep);
}

/* --- Infos to a channel, from anywhere ---------------------------------------------------- */

typedef struct info_letter {
    channels__letter letter;
    channels_ref ref;
    void *info;
    void (*drop)(void *info);
} info_letter;

static void let_go(void *info, void (*drop)(void *info))
{
    if (drop != NULL)
        drop(info);
}

static void run_letter(void *self, channels__letter *letter)
{
    info_letter *l = (info_letter *)letter;
    channels_channel *ch = channels_ref_channel(self, l->ref);
    if (ch == NULL || channels__channel_info(ch, l->info, l->drop) != CHANNELS_OK)
        let_go(l->info, l->drop);
    free(l);
}

static void drop_letter(channels__letter *letter)
{
    info_letter *l = (info_letter *)letter;
    let_go(l->info, l->drop);
    free(l);
}

static int post_info(channels_endpoint *ep, channels_ref ref, void *info, void (*drop)(void *info))
{
    info_letter *l = malloc(sizeof *l);
    if (l == NULL)
        return CHANNELS_ERR_NOMEM;
    l->letter.run = run_letter;
    l->letter.drop = drop_letter;
    l->ref = ref;
    l->info = info;
    l->drop = drop;
    return channels__post(ep, &l->letter);
}

int channels_send(channels_endpoint *ep, channels_ref ref, void *info, void (*drop)(void *info))
{
    if (!channels__on_thread(ep))
        return post_info(ep, ref, info, drop);
    channels__enter(ep, "channels_send");
    channels_channel *ch = channel_of(channels__ref_find(&ep->refs, ref));
    int err = CHANNELS_ERR_CLOSED;
    if (ch != NULL)
        err = channels__channel_info(ch, info, drop);
    channels__leave(ep);
    return err;
}
