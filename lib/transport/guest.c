/* guest.c - requests that landed on other nodes for sessions here: done as if they had come here,
 * and answered to where they came from. longpoll_nodes.h has the whole.
 *
 * A guest is a poll of that kind. It lives until it is answered, with messages until it is known
 * what became of the answer: of each session one may be held and one be on its way. */
#include "transport/longpoll_nodes.h"

typedef struct channels__guest {
    struct channels__guest *next; /* of the session's */
    channels__session *session;   /* NULL: it has ended */
    channels__mount *mount;
    channels__alarm alarm; /* in `unconfirmed` of the mount, once answered */
    channels_ref request;
    uint64_t id; /* where it landed */
    bool answered;
    size_t size; /* of this block */
    char from[];
} channels__guest;

static int say_answer(channels_endpoint *ep, const char *to, uint64_t id,
                      const channels_response *r, bool counts)
{
    const channels__longpoll_message m = { .kind = CHANNELS__LONGPOLL_ANSWER,
                                           .flag = counts,
                                           .status = (uint16_t)r->status,
                                           .id = id,
                                           .body = channels__str_n(r->body, r->body_len) };
    return channels__longpoll_say(ep, to, "", &m);
}

/* --- Guests ------------------------------------------------------------------------------- */

static channels__guest *find(channels__session *s, const char *from, uint64_t id)
{
    channels__guest *g = s->guests;
    while (g != NULL && (g->id != id || strcmp(g->from, from) != 0))
        g = g->next;
    return g;
}

static void guest_unlink(channels__guest *g)
{
    channels__guest **at = &g->session->guests;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    g->session = NULL;
}

static void guest_free(channels__guest *g)
{
    if (g->session != NULL)
        guest_unlink(g);
    channels__alarm_stop(&g->alarm);
    channels__free(&g->mount->ep->mem, g, g->size);
}

static void guest_done(channels__guest *g, bool sent)
{
    channels_endpoint *ep = g->mount->ep;
    channels_ref request = g->request;
    guest_free(g);
    channels__longpoll_done(ep, request, sent);
}

static void not_confirmed(channels__alarm *alarm)
{
    guest_done(CHANNELS__OF(alarm, channels__guest, alarm), false);
}

static channels__guest *guest_new(channels__session *s, const char *from, uint64_t id)
{
    size_t n = strlen(from) + 1, size = sizeof(channels__guest) + n;
    channels__guest *g = channels__zalloc(&s->mount->ep->mem, size);
    if (g == NULL)
        return NULL;
    g->session = s;
    g->mount = s->mount;
    g->id = id;
    g->size = size;
    memcpy(g->from, from, n);
    channels__alarm_init(&g->alarm);
    g->next = s->guests;
    s->guests = g;
    s->mount->unconfirmed.expired = not_confirmed;
    return g;
}

void channels__guests_end(channels__session *s)
{
    while (s->guests != NULL) {
        channels__guest *g = s->guests;
        guest_unlink(g);
        if (g->answered)
            guest_free(g);
    }
}

/* --- Polls -------------------------------------------------------------------------------- */

/* While its ref lives the session waits to hear whether this answer has left. */
static void respond(void *arg, const channels_response *r)
{
    channels__guest *g = arg;
    channels_endpoint *ep = g->mount->ep;
    bool counts = channels__ref_find(&ep->refs, g->request) != NULL;
    int err = say_answer(ep, g->from, g->id, r, counts);
    if (!counts) {
        guest_free(g);
    } else if (err != CHANNELS_OK) {
        guest_done(g, false);
    } else {
        g->answered = true;
        channels__alarm_start(&g->mount->unconfirmed, &g->alarm, ep->now);
    }
}

static void poll(channels__session *s, const char *from, uint64_t id)
{
    channels_endpoint *ep = s->mount->ep;
    channels__guest *g = guest_new(s, from, id);
    const channels__asker asker = { .respond = respond, .arg = g };
    if (g == NULL || channels__session_poll(s, &asker, &g->request) != CHANNELS_OK) {
        if (g != NULL)
            guest_free(g);
        say_answer(ep, from, id, &channels__server_error, false);
        return;
    }
    g = find(s, from, id); /* it may have been answered, and that have failed */
    if (g != NULL && !g->answered)
        channels__longpoll_say(ep, from, "",
                               &(channels__longpoll_message){ .kind = CHANNELS__LONGPOLL_HELD,
                                                              .id = id });
}

static void still_leaving(channels__guest *g)
{
    if (g->answered)
        channels__alarm_start(&g->mount->unconfirmed, &g->alarm, g->mount->ep->now);
}

static void done(channels__guest *g, bool sent)
{
    if (g->answered || !sent)
        guest_done(g, sent);
}

/* --- Whatever it is ------------------------------------------------------------------------- */

/* An answer that is given at once. */
typedef struct reply {
    channels_endpoint *ep;
    const char *to;
    uint64_t id;
} reply;

static void respond_at_once(void *arg, const channels_response *r)
{
    const reply *to = arg;
    say_answer(to->ep, to->to, to->id, r, false);
}

static void ask(channels__session *s, const char *from, const channels__longpoll_message *m,
                const channels__asker *asker)
{
    if (s == NULL)
        channels__longpoll_answer_status(asker, 410);
    else if (m->kind == CHANNELS__LONGPOLL_POLL)
        poll(s, from, m->id);
    else if (channels__longpoll_post(s, m->body, m->flag, asker) != CHANNELS_OK)
        channels__longpoll_fail(asker, &channels__server_error);
}

/* Only who shows its token can say anything of a session, as by HTTP. */
static channels__session *session_of(channels_endpoint *ep, const char *path, const char *token)
{
    char unused[CHANNELS__LONGPOLL_NODE + 1];
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next) {
        const char *pattern = channels__mount_pattern(m, "longpoll");
        if (pattern != NULL && strcmp(pattern, path) == 0)
            return channels__session_find(m, token, unused);
    }
    return NULL;
}

void channels__guest_arrived(channels_endpoint *ep, const char *from, const char *path,
                             const channels__longpoll_message *m)
{
    reply to = { ep, from, m->id };
    const channels__asker asker = { .respond = respond_at_once, .arg = &to };
    channels__session *s = session_of(ep, path, m->token.p);
    channels__guest *g = s != NULL ? find(s, from, m->id) : NULL;
    if (m->kind == CHANNELS__LONGPOLL_POLL || m->kind == CHANNELS__LONGPOLL_POST)
        ask(s, from, m, &asker);
    else if (g != NULL && m->kind == CHANNELS__LONGPOLL_LEAVING)
        still_leaving(g);
    else if (g != NULL)
        done(g, m->flag);
}
