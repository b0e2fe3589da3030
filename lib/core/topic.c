/* topic.c - topics by name, and who listens to each.
 *
 * Its channels stand in a dense array, so that a broadcast walks memory in order and leaving is
 * swap with the last: each knows its index. Everyone else is in a list. A topic exists as
 * long as somebody listens or needs its name. */
#include "core/core.h"

void channels__topics_init(channels__topics *topics, const channels__mem *mem,
                           channels__hash_key key)
{
    memset(topics, 0, sizeof *topics);
    topics->mem = mem;
    topics->key = key;
}

void channels__topics_deinit(channels__topics *topics)
{
    channels__free(topics->mem, topics->buckets, topics->nbuckets * sizeof *topics->buckets);
}

/* --- The table ---------------------------------------------------------------------------- */

static channels__topic *find(const channels__topics *topics, channels__str name, uint64_t hash)
{
    if (topics->nbuckets == 0)
        return NULL;
    channels__topic *t = topics->buckets[hash & (topics->nbuckets - 1)];
    while (t != NULL && (t->hash != hash || t->len != name.n || memcmp(t->name, name.p, name.n)))
        t = t->next;
    return t;
}

channels__topic *channels__topic_find(const channels__topics *topics, channels__str name)
{
    return find(topics, name, channels__hash(&topics->key, name.p, name.n));
}

/* Twice the buckets, or half; staying as it is does no harm but to speed. */
static void resize(channels__topics *topics, size_t nbuckets)
{
    channels__topic **buckets = channels__zalloc(topics->mem, nbuckets * sizeof *buckets);
    if (buckets == NULL)
        return;
    for (size_t i = 0; i < topics->nbuckets; i++) {
        channels__topic *t = topics->buckets[i];
        while (t != NULL) {
            channels__topic *next = t->next, **bucket = &buckets[t->hash & (nbuckets - 1)];
            t->next = *bucket;
            *bucket = t;
            t = next;
        }
    }
    channels__topics_deinit(topics);
    topics->buckets = buckets;
    topics->nbuckets = nbuckets;
}

static channels__topic *topic_new(channels__topics *topics, channels__str name, uint64_t hash)
{
    if (topics->count >= topics->nbuckets)
        resize(topics, topics->nbuckets != 0 ? topics->nbuckets * 2 : 16);
    if (topics->nbuckets == 0)
        return NULL;
    channels__topic *t = channels__alloc(topics->mem, sizeof *t + name.n + 1);
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    channels__list_init(&t->slow);
    t->hash = hash;
    t->len = name.n;
    memcpy(t->name, name.p, name.n);
    t->name[name.n] = '\0';
    t->next = topics->buckets[hash & (topics->nbuckets - 1)];
    topics->buckets[hash & (topics->nbuckets - 1)] = t;
    topics->count++;
    return t;
}

channels__topic *channels__topic_get(channels__topics *topics, channels__str name)
{
    uint64_t hash = channels__hash(&topics->key, name.p, name.n);
    channels__topic *t = find(topics, name, hash);
    if (t == NULL)
        t = topic_new(topics, name, hash);
    if (t != NULL)
        t->refs++;
    return t;
}

void channels__topic_put(channels__topics *topics, channels__topic *topic)
{
    if (--topic->refs != 0)
        return;
    channels__topic **at = &topics->buckets[topic->hash & (topics->nbuckets - 1)];
    while (*at != topic)
        at = &(*at)->next;
    *at = topic->next;
    channels__free(topics->mem, topic->fast, topic->fast_size * sizeof *topic->fast);
    channels__free(topics->mem, topic, sizeof *topic + topic->len + 1);
    if (--topics->count < topics->nbuckets / 8 && topics->nbuckets > 16)
        resize(topics, topics->nbuckets / 2);
}

/* --- Listeners ---------------------------------------------------------------------------- */

/* After the first has come and after the last has gone. */
static void tell_interest(channels_endpoint *ep, const channels__topic *t, uint32_t count)
{
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    if (t->nfast + t->nslow == count && adapter != NULL && adapter->interest != NULL)
        adapter->interest(ep->config.pubsub_self, t->name, count != 0);
}

static bool resize_fast(const channels__mem *mem, channels__topic *t, uint32_t size)
{
    channels__fast *fast = channels__resize(mem, t->fast, t->fast_size * sizeof *fast,
                                            size * sizeof *fast);
    if (fast == NULL)
        return false;
    t->fast = fast;
    t->fast_size = size;
    return true;
}

bool channels__topic_add(channels_endpoint *ep, channels__topic *t, channels_channel *ch)
{
    if (t->nfast == t->fast_size &&
        !resize_fast(&ep->mem, t, t->fast_size + t->fast_size / 2 + 1))
        return false;
    ch->fast_at = t->nfast++;
    t->fast[ch->fast_at].socket = ch->socket;
    t->fast[ch->fast_at].channel = ch;
    ep->stats.channels++;
    ep->stats.joins++;
    tell_interest(ep, t, 1);
    return true;
}

void channels__topic_remove(channels_endpoint *ep, channels_channel *ch)
{
    channels__topic *t = ch->topic;
    if (ch->fast_at == CHANNELS__NOWHERE)
        return;
    t->fast[ch->fast_at] = t->fast[--t->nfast];
    t->fast[ch->fast_at].channel->fast_at = ch->fast_at;
    ch->fast_at = CHANNELS__NOWHERE;
    ep->stats.channels--;
    if (t->nfast < t->fast_size / 4)
        resize_fast(&ep->mem, t, t->fast_size / 2); /* in place if there is no memory to shrink */
    tell_interest(ep, t, 0);
}

channels__subscriber *channels__subscriber_new(channels_endpoint *ep, channels__topic *topic,
                                               channels__sub_kind kind)
{
    channels__subscriber *sub = channels__zalloc(&ep->mem, sizeof *sub);
    if (sub == NULL)
        return NULL;
    sub->kind = kind;
    sub->topic = topic;
    topic->refs++;
    channels__list_append(&topic->slow, &sub->link);
    topic->nslow++;
    tell_interest(ep, topic, 1);
    return sub;
}

void channels__subscriber_end(channels_endpoint *ep, channels__subscriber *sub)
{
    channels__list_remove(&sub->link);
    sub->topic->nslow--;
    tell_interest(ep, sub->topic, 0);
    channels__topic_put(&ep->topics, sub->topic);
    sub->topic = NULL;
    if (sub->pins == 0)
        channels__free(&ep->mem, sub, sizeof *sub);
}

void channels__subscriber_unpin(channels_endpoint *ep, channels__subscriber *sub)
{
    if (--sub->pins == 0 && sub->topic == NULL)
        channels__free(&ep->mem, sub, sizeof *sub);
}
