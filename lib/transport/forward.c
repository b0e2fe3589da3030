/* forward.c - requests that landed here for sessions of other nodes: handed over, waited for,
 * answered. longpoll_nodes.h has the whole. */
#include <stdio.h>

#include "transport/longpoll_nodes.h"

struct channels__forward {
    channels__mount *mount;
    channels__asker asker;
    channels__alarm alarm; /* in `asked` or `awaited` of its mount; in `leaving`, once answered */
    uint32_t slot;         /* of its ref */
    bool poll;             /* else it is a POST */
    bool answered;         /* with messages that have not left yet */
    size_t size;           /* of this block */
    const char *node;      /* behind the token */
    char token[];
};

static channels__forward *forward_of(channels__alarm *alarm)
{
    return CHANNELS__OF(alarm, channels__forward, alarm);
}

static void start(channels__forward *f, channels__alarms *alarms)
{
    channels__alarm_start(alarms, &f->alarm, f->mount->ep->now);
}

/* Other nodes name a request so: one of an earlier life of this node is none of this one. */
static uint64_t id_of(const channels__forward *f)
{
    channels_endpoint *ep = f->mount->ep;
    return channels__ref_of(&ep->refs, f->slot).id ^ ep->incarnation;
}

static int say(const channels__forward *f, channels__longpoll_message what)
{
    what.id = id_of(f);
    what.token = channels__str_z(f->token);
    return channels__longpoll_say(f->mount->ep, f->node, f->mount->options.longpoll.path, &what);
}

/* What became of the answer to a poll. */
static void say_done(const channels__forward *f, bool sent)
{
    if (f->poll)
        say(f, (channels__longpoll_message){ .kind = CHANNELS__LONGPOLL_DONE, .flag = sent });
}

/* --- Its end ------------------------------------------------------------------------------ */

/* Returns who has still to be answered. */
static channels__asker end(channels__forward *f)
{
    channels_endpoint *ep = f->mount->ep;
    channels__asker asker = f->asker;
    f->mount->nforwards--;
    channels__ref_free(&ep->refs, f->slot);
    channels__alarm_stop(&f->alarm);
    channels__free(&ep->mem, f, f->size);
    return asker;
}

static void answer_gone(channels__forward *f)
{
    channels__asker asker = end(f);
    channels__longpoll_answer_status(&asker, 410);
}

/* As if there were no messages: the client polls again. */
static void answer_nothing(channels__forward *f)
{
    char json[CHANNELS__LONGPOLL_EMPTY];
    size_t len = channels__longpoll_write_empty(204, f->token, json);
    channels__asker asker = end(f);
    channels__longpoll_answer(&asker, json, len);
}

static void not_heard_of(channels__alarm *alarm)
{
    channels__forward *f = forward_of(alarm);
    say_done(f, false);
    answer_gone(f);
}

static void not_answered(channels__alarm *alarm)
{
    channels__forward *f = forward_of(alarm);
    say_done(f, false);
    answer_nothing(f);
}

static void still_leaving(channels__alarm *alarm)
{
    channels__forward *f = forward_of(alarm);
    say(f, (channels__longpoll_message){ .kind = CHANNELS__LONGPOLL_LEAVING });
    start(f, &f->mount->leaving);
}

void channels__forward_done(channels__forward *f, bool sent)
{
    if (sent && !f->answered) {
        channels__log(f->mount->ep, CHANNELS_LOG_ERROR,
                      "channels_longpoll_done: this request has not been answered yet");
        return;
    }
    say_done(f, sent);
    end(f);
}

/* --- Its beginning ------------------------------------------------------------------------ */

static channels__forward *forward_new(channels__mount *m, const char *node, channels__str token)
{
    channels_endpoint *ep = m->ep;
    size_t node_size = strlen(node) + 1, size = sizeof(channels__forward) + token.n + 1 + node_size;
    channels__forward *f = channels__zalloc(&ep->mem, size);
    if (f == NULL)
        return NULL;
    f->slot = channels__ref_new(&ep->refs, CHANNELS__REF_FORWARD);
    if (f->slot == 0) {
        channels__free(&ep->mem, f, size);
        return NULL;
    }
    ep->refs.slots[f->slot - 1].of.forward = f;
    f->mount = m;
    f->size = size;
    f->node = f->token + token.n + 1;
    memcpy(f->token, token.p, token.n);
    memcpy(f->token + token.n + 1, node, node_size);
    channels__alarm_init(&f->alarm);
    m->nforwards++;
    m->asked.expired = not_heard_of;
    m->awaited.expired = not_answered;
    m->leaving.expired = still_leaving;
    return f;
}

int channels__forward_request(channels__mount *m, const char *node,
                              const channels__longpoll_message *what, const channels__asker *asker,
                              channels_ref *request)
{
    if (m->nforwards >= m->options.longpoll.max_sessions) {
        channels__log(m->ep, CHANNELS_LOG_WARNING,
                      "refused a request of %s for a session of another node: %u wait already",
                      m->path, (unsigned)m->nforwards);
        channels__longpoll_fail(asker, &channels__unavailable);
        return CHANNELS_OK;
    }
    channels__forward *f = forward_new(m, node, what->token);
    if (f == NULL)
        return CHANNELS_ERR_NOMEM;
    f->asker = *asker;
    f->poll = what->kind == CHANNELS__LONGPOLL_POLL;
    *request = channels__ref_of(&m->ep->refs, f->slot);
    start(f, &m->asked);
    if (say(f, *what) != CHANNELS_OK)
        answer_gone(f);
    return CHANNELS_OK;
}

/* --- What its session's node says ----------------------------------------------------------- */

static void answer(channels__forward *f, const channels__longpoll_message *m)
{
    const channels_response r = { .status = m->status, .body = m->body.p, .body_len = m->body.n };
    channels__asker asker = f->asker;
    if (m->flag && f->poll) {
        f->answered = true;
        start(f, &f->mount->leaving);
    } else {
        end(f);
    }
    if (m->status == 200)
        channels__longpoll_answer(&asker, m->body.p, m->body.n);
    else
        channels__longpoll_fail(&asker, &r);
}

void channels__forward_arrived(channels_endpoint *ep, const char *from,
                               const channels__longpoll_message *m)
{
    channels_ref ref = { m->id ^ ep->incarnation };
    channels__slot *slot = channels__ref_find(&ep->refs, ref);
    if (slot == NULL || slot->kind != CHANNELS__REF_FORWARD)
        return;
    channels__forward *f = slot->of.forward;
    if (f->answered || strcmp(from, f->node) != 0)
        return;
    if (m->kind == CHANNELS__LONGPOLL_ANSWER)
        answer(f, m);
    else if (f->poll)
        start(f, &f->mount->awaited);
}

/* --- The end of this node ------------------------------------------------------------------- */

static void dismiss(channels__forward *f)
{
    if (f->answered) {
        channels__forward_done(f, false);
        return;
    }
    say_done(f, false);
    if (f->poll)
        answer_nothing(f);
    else
        answer_gone(f);
}

/* Who is answered may be done with any of the others: they are taken out one by one. */
static void dismiss_all(channels__alarms *alarms, bool posts)
{
    channels__list all, *node;
    channels__list_init(&all);
    while ((node = channels__list_shift(&alarms->list)) != NULL)
        channels__list_append(&all, node);
    while ((node = channels__list_shift(&all)) != NULL) {
        channels__forward *f = forward_of(CHANNELS__OF(node, channels__alarm, link));
        if (f->poll || posts)
            dismiss(f);
        else
            channels__list_append(&alarms->list, node);
    }
}

void channels__forwards_drain(channels_endpoint *ep)
{
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next)
        if (m->options.longpoll.on) {
            dismiss_all(&m->asked, false);
            dismiss_all(&m->awaited, false);
        }
}

void channels__forwards_end(channels_endpoint *ep)
{
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next)
        if (m->options.longpoll.on) {
            dismiss_all(&m->asked, true);
            dismiss_all(&m->awaited, true);
            dismiss_all(&m->leaving, true);
        }
}
