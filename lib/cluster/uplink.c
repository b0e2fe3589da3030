/* uplink.c - a hub's one way to nodes elsewhere, and the endpoint that carries it.
 *
 *   member ── broadcast ──────────────► carrier ── broadcast ─────────────────────► adapter
 *   member ── report: topic on, off ──► carrier ── interest: first on, last off ──► adapter
 *   member ◄── relay ────────────────── carrier ◄── channels_pubsub_deliver ─────── adapter
 *
 * The adapter lives on the carrier's thread. There is kept what each member has told it listens to,
 * and how many members do that. A member reports each change as it happens; all its topics, after
 * "forget", when a new carrier asks, and when a report could not be made: for want of memory, or
 * because the carrier does not read and max_queued bytes of reports wait for it. */
#include <stdlib.h>

#include "cluster/hub.h"

#define AGAIN_MS 1000 /* after a report that could not be made */

struct channels__uplink {
    const channels_pubsub_adapter *adapter;
    void *self;
    channels_endpoint *ep;
    uint32_t places;
    channels__topics sum;    /* refs: members that listen */
    channels__topics told[]; /* by each place's member */
};

/* --- What members listen to, on the carrier's thread -------------------------------------- */

static void tell_adapter(const channels__uplink *up, const char *topic, bool on)
{
    if (up->adapter->interest != NULL)
        up->adapter->interest(up->self, topic, on);
}

static void add(channels__uplink *up, channels__topics *told, channels__str topic)
{
    channels__topic *own = channels__topic_get(told, topic);
    channels__topic *sum = own != NULL ? channels__topic_get(&up->sum, topic) : NULL;
    if (sum == NULL) {
        if (own != NULL)
            channels__topic_put(told, own);
        channels__log(up->ep, CHANNELS_LOG_ERROR,
                      "hub: out of memory: nothing comes from nodes elsewhere on %s", topic.p);
        return;
    }
    if (sum->refs == 1)
        tell_adapter(up, sum->name, true);
}

static void take_away(channels__uplink *up, channels__topics *told, channels__topic *own)
{
    channels__topic *sum = channels__topic_find(&up->sum, channels__str_n(own->name, own->len));
    channels__topic_put(told, own);
    if (sum->refs == 1)
        tell_adapter(up, sum->name, false);
    channels__topic_put(&up->sum, sum);
}

/* Again what is known already: nothing. */
static void heed(channels__uplink *up, channels__topics *told, const char *topic, bool on)
{
    channels__str name = channels__str_z(topic);
    channels__topic *own = channels__topic_find(told, name);
    if (on && own == NULL)
        add(up, told, name);
    else if (!on && own != NULL)
        take_away(up, told, own);
}

/* Each that goes may move the others to fewer buckets. */
static void forget(channels__uplink *up, channels__topics *told)
{
    while (told->count != 0)
        for (size_t i = 0; i < told->nbuckets; i++)
            while (i < told->nbuckets && told->buckets[i] != NULL)
                take_away(up, told, told->buckets[i]);
}

static channels__topics *told_by(const channels__member *m, channels__uplink *up)
{
    return &up->told[m - m->hub->members];
}

/* --- Reports ------------------------------------------------------------------------------ */

typedef enum { ON, OFF, FORGET } report_kind;
typedef struct report {
    channels__letter letter;
    channels__member *from;
    report_kind what;
    size_t size; /* of all this */
    char topic[];
} report;

static void run_report(void *self, channels__letter *letter)
{
    channels__member *m = self;
    report *r = (report *)letter;
    atomic_fetch_sub_explicit(&r->from->unread, r->size, memory_order_relaxed);
    if (m->uplink != NULL && r->what == FORGET)
        forget(m->uplink, told_by(r->from, m->uplink));
    else if (m->uplink != NULL)
        heed(m->uplink, told_by(r->from, m->uplink), r->topic, r->what == ON);
    free(r);
}

static report *report_new(channels__member *from, report_kind what, const char *topic)
{
    size_t len = strlen(topic) + 1;
    report *r = malloc(sizeof *r + len);
    if (r == NULL)
        return NULL;
    r->letter.run = run_report;
    r->from = from;
    r->what = what;
    r->size = sizeof *r + len;
    memcpy(r->topic, topic, len);
    return r;
}

static void post_report(channels__member *carrier, report *r)
{
    atomic_fetch_add_explicit(&r->from->unread, r->size, memory_order_relaxed);
    channels__member_post(carrier, &r->letter);
}

channels__letter *channels__report_farewell(channels__member *m)
{
    report *r = report_new(m, FORGET, "");
    return r != NULL ? &r->letter : NULL;
}

void channels__report_end(channels__member *m)
{
    channels__member *carrier = atomic_load_explicit(&m->hub->carrier, memory_order_relaxed);
    report *r = (report *)m->farewell;
    m->farewell = NULL;
    if (carrier != NULL)
        post_report(carrier, r);
    else
        free(r);
}

static void fall_behind(channels__member *m)
{
    if (!m->behind)
        channels__log(m->ep, CHANNELS_LOG_ERROR,
                      "hub: the uplink cannot be told of topics: for some time, nothing comes from "
                      "nodes elsewhere on new ones");
    m->behind = true;
    m->again = m->ep->now + AGAIN_MS;
}

static bool is_full(const channels__member *m)
{
    return atomic_load_explicit(&m->unread, memory_order_relaxed) > m->hub->options.max_queued;
}

static void send_report(channels__member *m, report_kind what, const char *topic)
{
    channels__member *carrier = atomic_load_explicit(&m->hub->carrier, memory_order_acquire);
    if (carrier == NULL)
        return;
    report *r = report_new(m, what, topic);
    if (r != NULL)
        post_report(carrier, r);
    else
        fall_behind(m);
}

void channels__report(channels__member *m, const char *topic, bool on)
{
    if (m->uplink != NULL)
        heed(m->uplink, told_by(m, m->uplink), topic, on);
    else if (m->behind) /* all will be told */
        return;
    else if (is_full(m))
        fall_behind(m);
    else
        send_report(m, on ? ON : OFF, topic);
}

static void report_on(channels__member *m, const char *topic)
{
    send_report(m, ON, topic);
}

/* As many as there are, also beyond max_queued: they are no more than the topics. */
static void report_all(channels__member *m)
{
    if (is_full(m)) {
        fall_behind(m);
        return;
    }
    m->behind = false;
    send_report(m, FORGET, "");
    channels__member_topics(m, report_on);
}

/* --- The carrier -------------------------------------------------------------------------- */

void channels__uplink_run(channels__member *m, uint64_t now)
{
    bool asked = atomic_exchange_explicit(&m->asked, false, memory_order_acquire);
    if (m->uplink == NULL && (asked || (m->behind && now >= m->again)))
        report_all(m);
    if (m->uplink != NULL && m->uplink->adapter->run != NULL)
        m->uplink->adapter->run(m->uplink->self, now);
}

uint64_t channels__uplink_due(const channels__member *m)
{
    const channels__uplink *up = m->uplink;
    if (atomic_load_explicit(&m->asked, memory_order_relaxed))
        return 0;
    if (up != NULL)
        return up->adapter->due != NULL ? up->adapter->due(up->self) : UINT64_MAX;
    return m->behind ? m->again : UINT64_MAX;
}

/* What is for one node alone, and that one is here. Clients may listen to such a topic too, so that
 * somebody does says nothing. */
static bool stays_here(const channels__uplink *up, const char *topic)
{
    size_t n = sizeof CHANNELS__NODE_TOPIC - 1;
    const channels__member *m = up->ep->config.pubsub_self;
    return strncmp(topic, CHANNELS__NODE_TOPIC, n) == 0 && channels__hub_has(m->hub, topic + n);
}

int channels__uplink_send(channels__uplink *up, const char *topic, const void *data, size_t len)
{
    if (stays_here(up, topic))
        return CHANNELS_OK;
    return up->adapter->broadcast(up->self, topic, data, len);
}

static channels__uplink *uplink_new(channels__member *m, const channels_pubsub_adapter *adapter,
                                    void *self)
{
    channels_endpoint *ep = m->ep;
    uint32_t places = m->hub->options.max_endpoints;
    channels__uplink *up = channels__zalloc(&ep->mem, sizeof *up + places * sizeof *up->told);
    if (up == NULL)
        return NULL;
    up->adapter = adapter;
    up->self = self;
    up->ep = ep;
    up->places = places;
    channels__topics_init(&up->sum, &ep->mem, ep->topics.key);
    for (uint32_t i = 0; i < places; i++)
        channels__topics_init(&up->told[i], &ep->mem, ep->topics.key);
    return up;
}

static void uplink_free(channels__uplink *up)
{
    channels__free(&up->ep->mem, up, sizeof *up + up->places * sizeof *up->told);
}

void channels__uplink_free(channels__uplink *up)
{
    static const channels_pubsub_adapter none;
    if (up == NULL)
        return;
    if (up->adapter->stop != NULL)
        up->adapter->stop(up->self);
    up->adapter = &none; /* that was the last of all calls */
    for (uint32_t i = 0; i < up->places; i++) {
        forget(up, &up->told[i]);
        channels__topics_deinit(&up->told[i]);
    }
    channels__topics_deinit(&up->sum);
    uplink_free(up);
}

static void heed_own(channels__member *m, const char *topic)
{
    heed(m->uplink, told_by(m, m->uplink), topic, true);
}

/* From now on the others report to it; all that they listen to they are asked for. */
static void announce(channels_hub *hub, channels__member *carrier)
{
    pthread_mutex_lock(&hub->lock);
    atomic_store_explicit(&hub->carrier, carrier, memory_order_release);
    for (uint32_t i = 0; i < hub->used; i++) {
        channels__member *m = &hub->members[i];
        if (m == carrier || m->ep == NULL)
            continue;
        atomic_store_explicit(&m->asked, true, memory_order_release);
        channels__member_wake(m);
    }
    pthread_mutex_unlock(&hub->lock);
}

static int bring_up(channels__member *m, const channels_pubsub_adapter *adapter, void *self)
{
    channels__uplink *up = uplink_new(m, adapter, self);
    if (up == NULL)
        return CHANNELS_ERR_NOMEM;
    int err = adapter->start != NULL ? adapter->start(&up->self, m->ep) : CHANNELS_OK;
    if (err != CHANNELS_OK) {
        uplink_free(up);
        return err;
    }
    m->uplink = up;
    channels__member_topics(m, heed_own);
    announce(m->hub, m);
    return CHANNELS_OK;
}

static const char *unfit(const channels_hub *hub, const channels_endpoint *ep,
                         const channels_pubsub_adapter *adapter)
{
    const channels__member *m = ep->config.pubsub_self;
    if (ep->config.pubsub != channels_hub_adapter() || m->hub != hub)
        return "the endpoint is not one of the hub's";
    if (adapter == NULL || adapter->broadcast == NULL)
        return "the adapter lacks broadcast";
    return NULL;
}

/* There is one uplink at a time. */
static bool reserve(channels_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    bool ok = !hub->uplinked;
    hub->uplinked = true;
    pthread_mutex_unlock(&hub->lock);
    return ok;
}

static int uplink(channels_hub *hub, channels_endpoint *ep, const channels_pubsub_adapter *adapter,
                  void *self)
{
    const char *wrong = unfit(hub, ep, adapter);
    if (wrong == NULL && !reserve(hub))
        wrong = "the hub has one already";
    if (wrong != NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_hub_uplink: %s", wrong);
        return CHANNELS_ERR_INVALID;
    }
    int err = bring_up(ep->config.pubsub_self, adapter, self);
    if (err != CHANNELS_OK) {
        pthread_mutex_lock(&hub->lock);
        hub->uplinked = false;
        pthread_mutex_unlock(&hub->lock);
    }
    return err;
}

int channels_hub_uplink(channels_hub *hub, channels_endpoint *ep,
                        const channels_pubsub_adapter *adapter, void *self)
{
    if (!channels__enter(ep, "channels_hub_uplink"))
        return CHANNELS_ERR_MISUSE;
    int err = uplink(hub, ep, adapter, self);
    channels__leave(ep);
    return err;
}
