/* presence.c - a presence's birth and death, and when the endpoint has it do something. */
#include "presence/presence.h"

#include "wire/utf8.h"

#define TOPIC "phx_presence:" /* and the presence's name: where nodes speak of it */

#define MAX_REMOVALS 16384  /* kept for those who missed them; more, and they get a snapshot */
#define MAX_MESSAGE 65536   /* bytes of one to other nodes, about */
#define MAX_EARLY (1 << 20) /* bytes of one node's that came too early */
#define RETRY_MS 1000

/* --- Entering ----------------------------------------------------------------------------- */

int channels__presence_enter(channels_presence *p, const char *call)
{
    if (!channels__enter(p->ep, call))
        return CHANNELS_ERR_MISUSE;
    if (!p->busy && !p->over)
        return CHANNELS_OK;
    if (p->busy)
        channels__log(p->ep, CHANNELS_LOG_ERROR,
                      "%s: may not be called from fetch() or a function that is shown nodes", call);
    channels__leave(p->ep);
    return p->busy ? CHANNELS_ERR_MISUSE : CHANNELS_ERR_CLOSED;
}

int channels__presence_enter_for(channels_presence *p, const char *call, const channels_channel *ch)
{
    int err = channels__presence_enter(p, call);
    if (err != CHANNELS_OK || ch->socket->ep == p->ep)
        return err;
    channels__log(p->ep, CHANNELS_LOG_ERROR, "%s: the channel is another endpoint's", call);
    channels__leave(p->ep);
    return CHANNELS_ERR_INVALID;
}

/* --- Time --------------------------------------------------------------------------------- */

void channels__presence_set_due(channels_presence *p)
{
    uint64_t due = channels__counts_due(p);
    if (p->tick < due)
        due = p->tick;
    p->service.due = p->retry < due ? p->retry : due;
}

void channels__presence_retry(channels_presence *p)
{
    if (p->retry == UINT64_MAX)
        p->retry = p->ep->now + RETRY_MS;
    channels__presence_set_due(p);
}

/* Those that were slept through are not made up for. */
static void tick(channels_presence *p)
{
    uint64_t now = p->ep->now, ms = p->options.broadcast_ms;
    p->tick = p->tick + ms > now ? p->tick + ms : now + ms;
    channels__state_tick(p->state, now);
}

static void run(channels__service *service)
{
    channels_presence *p = (channels_presence *)service;
    if (p->tick <= p->ep->now)
        tick(p);
    channels__counts_run(p);
    if (p->retry <= p->ep->now) {
        p->retry = UINT64_MAX;
        p->ep->unsettled = true;
    }
    channels__presence_set_due(p);
}

/* --- In the endpoint's order -------------------------------------------------------------- */

static void end_turn(channels__service *service)
{
    channels_presence *p = (channels_presence *)service;
    channels__presence_end_owners(p);
    channels__presence_settle(p);
    channels__batches_call(p);
}

static void before_broadcast(channels__service *service, channels__str name)
{
    channels_presence *p = (channels_presence *)service;
    if (p->busy) /* fetch() may not broadcast: told where it may not, not here */
        return;
    channels__presence_topic *topic = channels__presence_topic_find(p, name);
    if (topic != NULL)
        channels__presence_flush(topic);
}

static void channel_ended(channels__service *service, channels_channel *ch)
{
    channels__presence_channel_ended((channels_presence *)service, ch);
}

/* --- Between nodes ------------------------------------------------------------------------ */

static void arrived(channels__service *service, const channels__node_message *m)
{
    channels_presence *p = (channels_presence *)service;
    if (!p->busy) /* else lost, as messages may be */
        channels__state_receive(p->state, m->from.p, m->incarnation ^ p->salt, m->payload.p,
                                m->payload.n, p->ep->now);
}

static void send_message(void *presence, const char *node, const void *data, size_t len)
{
    const channels_presence *p = presence;
    const channels__node_message m = { .kind = CHANNELS__NODE_PRESENCE,
                                       .to = channels__str_z(node),
                                       .topic = channels__str_z(p->service.topic),
                                       .payload = channels__str_n(data, len) };
    channels__node_send(p->ep, &m);
}

static void log_line(void *presence, int level, const char *text)
{
    const channels_presence *p = presence;
    channels__log(p->ep, (channels_log_level)level, "presence %s: %s", p->options.name, text);
}

static channels__state *new_state(channels_presence *p)
{
    static const channels__state_events events = { .changed = channels__presence_changed,
                                                   .send = send_message,
                                                   .log = log_line };
    const channels_presence_options *o = &p->options;
    const channels__state_config config = { .mem = &p->ep->mem,
                                            .hash_key = p->ep->topics.key,
                                            .node = p->ep->config.node,
                                            .incarnation = p->ep->incarnation ^ p->salt,
                                            .broadcast_ms = o->broadcast_ms,
                                            .max_silent = o->max_silent,
                                            .down_ms = o->down_ms,
                                            .permdown_ms = o->permdown_ms,
                                            .max_removals = MAX_REMOVALS,
                                            .max_nodes = o->max_nodes,
                                            .max_message = MAX_MESSAGE,
                                            .max_early = MAX_EARLY,
                                            .events = &events,
                                            .arg = p };
    return channels__state_new(&config);
}

/* The same on all nodes: a hash of the name. */
static uint64_t salt_of(const char *name)
{
    static const channels__hash_key key;
    return channels__hash(&key, name, strlen(name));
}

/* Nodes that were started together do not all speak at once. Alone nobody has to be told. */
static int first_tick(channels_presence *p)
{
    const channels_config *c = &p->ep->config;
    uint32_t bits;
    p->tick = UINT64_MAX;
    if (c->pubsub == NULL)
        return CHANNELS_OK;
    if (c->random(c->hooks, &bits, sizeof bits) < 0) {
        channels__log(p->ep, CHANNELS_LOG_ERROR,
                      "channels_presence_new: there are no random numbers to be had");
        return CHANNELS_ERR_INVALID;
    }
    p->tick = p->ep->now + bits % (p->options.broadcast_ms / 4 + 1);
    return CHANNELS_OK;
}

/* --- Options ------------------------------------------------------------------------------ */

static void complete(channels_presence_options *o)
{
    if (o->name == NULL)
        o->name = "presence";
    if (o->max_key == 0)
        o->max_key = 255;
    if (o->max_meta == 0)
        o->max_meta = 16384;
    if (o->max_present == 0)
        o->max_present = 100000;
    if (o->max_waiting == 0)
        o->max_waiting = 16 << 20;
    if (o->broadcast_ms == 0)
        o->broadcast_ms = 1500;
    if (o->max_silent == 0)
        o->max_silent = 8;
    if (o->down_ms == 0)
        o->down_ms = 30000;
    if (o->permdown_ms == 0)
        o->permdown_ms = 1200000;
    if (o->max_nodes == 0)
        o->max_nodes = 1024;
}

static bool is_taken(const channels_endpoint *ep, const char *name)
{
    for (const channels__service *s = ep->services; s != NULL; s = s->next)
        if (s->kind == CHANNELS__NODE_PRESENCE && strcmp(s->topic + sizeof TOPIC - 1, name) == 0)
            return true;
    return false;
}

static bool patterns_ok(const char *const *patterns)
{
    for (; patterns != NULL && *patterns != NULL; patterns++) {
        const char *star = strchr(*patterns, '*');
        if (!channels__utf8_valid(*patterns, strlen(*patterns)) ||
            (star != NULL && star[1] != '\0'))
            return false;
    }
    return true;
}

static bool options_ok(channels_endpoint *ep, const channels_presence_options *o)
{
    const char *wrong = NULL;
    if (*o->name == '\0' || !channels__utf8_valid(o->name, strlen(o->name)))
        wrong = "the name is empty or not UTF-8";
    else if (is_taken(ep, o->name))
        wrong = "this endpoint has one of that name";
    else if (!patterns_ok(o->count_only))
        wrong = "a pattern of count_only is not UTF-8, or has a * elsewhere than at its end";
    else if (o->down_ms / 2 < o->broadcast_ms)
        wrong = "down_ms is less than two broadcast_ms";
    else if (o->down_ms <= ((uint64_t)o->max_silent + 1) * o->broadcast_ms)
        wrong = "a node would be down before its heartbeat: down_ms has to be more than "
                "max_silent + 1 broadcast_ms";
    else if (o->permdown_ms <= o->down_ms)
        wrong = "permdown_ms has to be more than down_ms";
    if (wrong != NULL)
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_presence_new: %s", wrong);
    return wrong == NULL;
}

/* --- Birth and death ---------------------------------------------------------------------- */

static size_t count_of(const char *const *patterns)
{
    size_t n = 0;
    while (patterns != NULL && patterns[n] != NULL)
        n++;
    return n;
}

/* Of the copies: the patterns' array, their texts, and the service's topic, which ends in the
 * name. */
static size_t copies_size(const channels_presence_options *o)
{
    size_t n = count_of(o->count_only), size = (n + 1) * sizeof(char *);
    for (size_t i = 0; i < n; i++)
        size += strlen(o->count_only[i]) + 1;
    return size + sizeof TOPIC + strlen(o->name);
}

static void copy_options(channels_presence *p, const channels_presence_options *o)
{
    size_t n = count_of(o->count_only);
    const char **patterns = (const char **)(void *)p->copies;
    char *at = p->copies + (n + 1) * sizeof *patterns;
    p->options = *o;
    for (size_t i = 0; i < n; i++) {
        patterns[i] = at;
        at = stpcpy(at, o->count_only[i]) + 1;
    }
    patterns[n] = NULL;
    p->options.count_only = patterns;
    p->service.topic = at;
    p->options.name = stpcpy(at, TOPIC);
    strcpy(at + sizeof TOPIC - 1, o->name);
}

/* The map is left as it is while it is walked, and ends after that. */
static void free_topics(channels_presence *p)
{
    channels__map_node *n = channels__map_next(&p->topics, NULL), *next;
    for (; n != NULL; n = next) {
        channels__presence_topic *topic = CHANNELS__OF(n, channels__presence_topic, node);
        next = channels__map_next(&p->topics, n);
        topic->refs++; /* a batch takes its own with it */
        if (topic->pending != NULL)
            channels__batch_free(topic->pending);
        channels__free(&p->ep->mem, topic, sizeof *topic + topic->len + 1);
    }
}

static void free_presence(channels_presence *p)
{
    channels_endpoint *ep = p->ep;
    channels__batches_end(p);
    channels__presence_owners_free(p);
    free_topics(p);
    channels__map_deinit(&p->topics);
    channels__map_deinit(&p->owners);
    channels__map_deinit(&p->tracked);
    channels__state_free(p->state);
    channels__free(&ep->mem, p, p->size);
}

static void end(channels__service *service)
{
    channels_presence *p = (channels_presence *)service;
    p->over = true;
    free_presence(p);
}

static void init(channels_presence *p, channels_endpoint *ep)
{
    p->ep = ep;
    p->service.kind = CHANNELS__NODE_PRESENCE;
    p->service.run = run;
    p->service.arrived = arrived;
    p->service.end_turn = end_turn;
    p->service.before_broadcast = before_broadcast;
    p->service.channel_ended = channel_ended;
    p->service.free = end;
    p->retry = UINT64_MAX;
    channels__map_init(&p->topics, &ep->mem, ep->topics.key.k0);
    channels__map_init(&p->owners, &ep->mem, ep->topics.key.k1);
    channels__map_init(&p->tracked, &ep->mem, ep->topics.key.k0);
    channels__list_init(&p->marked);
    channels__list_init(&p->resting);
    channels__list_init(&p->queued);
    channels__list_init(&p->calls);
    channels__list_init(&p->ended);
}

static int new_presence(channels_presence **result, channels_endpoint *ep,
                        const channels_presence_options *o)
{
    size_t size = sizeof(channels_presence) + copies_size(o);
    channels_presence *p = channels__zalloc(&ep->mem, size);
    if (p == NULL)
        return CHANNELS_ERR_NOMEM;
    p->size = size;
    init(p, ep);
    copy_options(p, o);
    p->salt = salt_of(o->name);
    int err = first_tick(p);
    if (err == CHANNELS_OK) {
        channels__presence_set_due(p);
        p->state = new_state(p);
        if (p->state == NULL || !channels__service_add(ep, &p->service))
            err = CHANNELS_ERR_NOMEM;
    }
    if (err == CHANNELS_OK)
        *result = p;
    else
        free_presence(p);
    return err;
}

int channels_presence_new(channels_presence **presence, channels_endpoint *ep,
                          const channels_presence_options *options)
{
    channels_presence_options o = { .name = NULL };
    if (options != NULL)
        o = *options;
    complete(&o);
    *presence = NULL;
    if (!channels__enter(ep, "channels_presence_new"))
        return CHANNELS_ERR_MISUSE;
    int err = options_ok(ep, &o) ? new_presence(presence, ep, &o) : CHANNELS_ERR_INVALID;
    channels__leave(ep);
    return err;
}

void channels_presence_free(channels_presence *p, bool graceful)
{
    if (p == NULL || !channels__enter_outermost(p->ep, "channels_presence_free"))
        return;
    channels_endpoint *ep = p->ep;
    if (graceful)
        channels__state_bye(p->state);
    channels__service_remove(ep, &p->service);
    end(&p->service);
    channels__leave(ep);
}
