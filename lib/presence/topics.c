/* topics.c - the topics of a presence by name, and which of them have something to send. */
#include "presence/presence.h"

static uint64_t hash_of(const channels_presence *p, channels__str name)
{
    return channels__hash(&p->ep->topics.key, name.p, name.n);
}

static channels__presence_topic *find(const channels_presence *p, channels__str name, uint64_t hash)
{
    channels__map_node *n = channels__map_find(&p->topics, hash);
    for (; n != NULL; n = channels__map_same(n)) {
        channels__presence_topic *topic = CHANNELS__OF(n, channels__presence_topic, node);
        if (channels__str_eq(channels__str_n(topic->name, topic->len), name))
            return topic;
    }
    return NULL;
}

channels__presence_topic *channels__presence_topic_find(const channels_presence *p,
                                                        channels__str name)
{
    return find(p, name, hash_of(p, name));
}

static bool is_count_only(const channels_presence *p, channels__str name)
{
    for (const char *const *c = p->options.count_only; c != NULL && *c != NULL; c++)
        if (channels__topic_matches(name, *c))
            return true;
    return false;
}

static channels__presence_topic *topic_new(channels_presence *p, channels__str name, uint64_t hash)
{
    if (!channels__map_reserve(&p->topics))
        return NULL;
    channels__presence_topic *topic = channels__zalloc(&p->ep->mem, sizeof *topic + name.n + 1);
    if (topic == NULL)
        return NULL;
    topic->node.hash = hash;
    topic->presence = p;
    topic->count_only = is_count_only(p, name);
    topic->told = SIZE_MAX;
    topic->len = name.n;
    memcpy(topic->name, name.p, name.n);
    channels__list_init(&topic->queue);
    channels__list_init(&topic->marked);
    channels__list_init(&topic->resting);
    channels__map_insert(&p->topics, &topic->node);
    return topic;
}

channels__presence_topic *channels__presence_topic_get(channels_presence *p, channels__str name)
{
    uint64_t hash = hash_of(p, name);
    channels__presence_topic *topic = find(p, name, hash);
    if (topic == NULL)
        topic = topic_new(p, name, hash);
    if (topic != NULL)
        topic->refs++;
    return topic;
}

void channels__presence_topic_put(channels__presence_topic *topic)
{
    channels_presence *p = topic->presence;
    if (--topic->refs != 0)
        return;
    channels__map_remove(&p->topics, &topic->node);
    channels__map_fit(&p->topics);
    channels__free(&p->ep->mem, topic, sizeof *topic + topic->len + 1);
}

/* --- What is to be sent ------------------------------------------------------------------- */

static void mark(channels__presence_topic *topic)
{
    if (!channels__list_empty(&topic->marked))
        return;
    topic->refs++;
    channels__list_append(&topic->presence->marked, &topic->marked);
}

void channels__presence_mark(channels__presence_topic *topic)
{
    mark(topic);
    topic->presence->ep->unsettled = true;
}

void channels__presence_mark_again(channels__presence_topic *topic)
{
    mark(topic);
    channels__presence_retry(topic->presence);
}

static void settle(channels__presence_topic *topic)
{
    channels__presence_flush(topic);
    channels__batches_send(topic);
    if (topic->recount)
        channels__count_tell(topic);
}

/* Those that could not send all are marked again, behind the last of this walk. */
void channels__presence_settle(channels_presence *p)
{
    const channels__list *last = p->marked.prev;
    bool more = !channels__list_empty(&p->marked);
    while (more) {
        channels__list *node = channels__list_shift(&p->marked);
        more = node != last;
        channels__presence_topic *topic = CHANNELS__OF(node, channels__presence_topic, marked);
        settle(topic);
        channels__presence_topic_put(topic);
    }
}
