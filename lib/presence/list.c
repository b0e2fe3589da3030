/* list.c - who is present: for a client, for the host, and how many. */
#include "presence/presence.h"

static channels__str name_of(const channels__presence_topic *topic)
{
    return channels__str_n(topic->name, topic->len);
}

typedef struct gathering {
    channels_presence_batch *batch;
    bool any_key, ok;
} gathering;

static bool gather(void *arg, const channels__meta *meta)
{
    gathering *g = arg;
    if (g->any_key || !channels__key_risky(meta->key))
        g->ok = channels__groups_add(&g->batch->shown[0], meta);
    return g->ok;
}

/* All that is shown in the topic, or with `key` of that. NULL if memory ran out. */
static channels_presence_batch *take(channels__presence_topic *topic, channels__batch_kind kind,
                                     const char *key)
{
    const channels_presence *p = topic->presence;
    gathering g = { channels__batch_new(topic, kind), p->options.any_key, true };
    if (g.batch == NULL)
        return NULL;
    if (key != NULL)
        channels__state_get(p->state, name_of(topic), channels__str_z(key), gather, &g);
    else
        channels__state_list(p->state, name_of(topic), gather, &g);
    if (g.ok)
        return g.batch;
    channels__batch_free(g.batch);
    return NULL;
}

/* --- For a client ------------------------------------------------------------------------- */

static int push_state(channels__presence_topic *topic, channels_channel *ch)
{
    if (topic->count_only)
        return channels__count_push(topic, ch);
    channels__presence_flush(topic); /* else it would tell of leaves of what the state has not */
    channels_presence_batch *b = take(topic, CHANNELS__BATCH_STATE, NULL);
    if (b == NULL)
        return CHANNELS_ERR_NOMEM;
    b->channel = ch;
    ch->present = true; /* it may end before this is sent */
    return channels__batch_submit(b);
}

static int push_to(channels_presence *p, channels_channel *ch)
{
    int err = channels__channel_reachable(ch, "channels_presence_push_state");
    if (err != CHANNELS_OK)
        return err;
    channels__presence_topic *topic =
        channels__presence_topic_get(p, channels__str_n(ch->topic->name, ch->topic->len));
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    err = push_state(topic, ch);
    channels__presence_topic_put(topic);
    return err;
}

int channels_presence_push_state(channels_presence *p, channels_channel *ch)
{
    int err = channels__presence_enter_for(p, "channels_presence_push_state", ch);
    if (err != CHANNELS_OK)
        return err;
    err = push_to(p, ch);
    channels__leave(p->ep);
    return err;
}

/* --- For the host ------------------------------------------------------------------------- */

typedef struct question {
    const char *call, *topic, *key;
    channels__batch_kind kind;
    void (*fn)(void *arg, channels_payload list);
    void *arg;
} question;

static bool question_ok(channels_endpoint *ep, const question *q)
{
    if (!channels__name_ok(ep, q->call, "topic", q->topic) ||
        (q->kind == CHANNELS__BATCH_ONE && !channels__name_ok(ep, q->call, "key", q->key)))
        return false;
    if (q->fn == NULL)
        channels__log(ep, CHANNELS_LOG_ERROR, "%s: no function given", q->call);
    return q->fn != NULL;
}

static int ask(channels_presence *p, const question *q)
{
    if (!question_ok(p->ep, q))
        return CHANNELS_ERR_INVALID;
    channels__presence_topic *topic = channels__presence_topic_get(p, channels__str_z(q->topic));
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    channels_presence_batch *b = take(topic, q->kind, q->key);
    channels__presence_topic_put(topic); /* the batch has a ref of its own */
    if (b == NULL)
        return CHANNELS_ERR_NOMEM;
    b->fn = q->fn;
    b->arg = q->arg;
    return channels__batch_submit(b);
}

static int enter_and_ask(channels_presence *p, const question *q)
{
    int err = channels__presence_enter(p, q->call);
    if (err != CHANNELS_OK)
        return err;
    err = ask(p, q);
    channels__leave(p->ep);
    return err;
}

int channels_presence_list(channels_presence *p, const char *topic,
                           void (*fn)(void *arg, channels_payload list), void *arg)
{
    const question q = { "channels_presence_list", topic, NULL, CHANNELS__BATCH_LIST, fn, arg };
    return enter_and_ask(p, &q);
}

int channels_presence_get(channels_presence *p, const char *topic, const char *key,
                          void (*fn)(void *arg, channels_payload one), void *arg)
{
    const question q = { "channels_presence_get", topic, key, CHANNELS__BATCH_ONE, fn, arg };
    return enter_and_ask(p, &q);
}

size_t channels_presence_count(channels_presence *p, const char *topic)
{
    size_t n = 0;
    if (channels__presence_enter(p, "channels_presence_count") != CHANNELS_OK)
        return 0;
    if (channels__name_ok(p->ep, "channels_presence_count", "topic", topic))
        n = channels__state_keys(p->state, channels__str_z(topic));
    channels__leave(p->ep);
    return n;
}

/* --- Nodes -------------------------------------------------------------------------------- */

typedef struct visit {
    void (*fn)(void *arg, const channels_presence_node *node);
    void *arg;
} visit;

static void visit_node(void *arg, const char *name, uint64_t incarnation,
                       channels__node_status status, size_t entries)
{
    const visit *v = arg;
    const channels_presence_node node = { name, status == CHANNELS__NODE_UP, entries };
    (void)incarnation;
    v->fn(v->arg, &node);
}

int channels_presence_foreach_node(channels_presence *p,
                                   void (*fn)(void *arg, const channels_presence_node *node),
                                   void *arg)
{
    visit v = { fn, arg };
    int err = channels__presence_enter(p, "channels_presence_foreach_node");
    if (err != CHANNELS_OK)
        return err;
    p->busy = true; /* the nodes stay as they are meanwhile */
    channels__state_nodes(p->state, visit_node, &v);
    p->busy = false;
    channels__leave(p->ep);
    return CHANNELS_OK;
}
