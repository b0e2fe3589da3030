/* index.c - topics and keys by name, and of each key what is shown, in the order in which it came.
 * What is not shown holds its key, but does not stand in it. */
#include "presence/set.h"

static uint64_t topic_hash(const channels__state *state, channels__str name)
{
    return channels__hash(&state->config.hash_key, name.p, name.n);
}

static channels__index_topic *find_topic(const channels__state *state, channels__str name,
                                         uint64_t hash)
{
    channels__map_node *n = channels__map_find(&state->topics, hash);
    for (; n != NULL; n = channels__map_same(n)) {
        channels__index_topic *t = CHANNELS__OF(n, channels__index_topic, node);
        if (t->len == name.n && memcmp(t->name, name.p, name.n) == 0)
            return t;
    }
    return NULL;
}

channels__index_topic *channels__index_topic_find(const channels__state *state, channels__str name)
{
    return find_topic(state, name, topic_hash(state, name));
}

/* The topic's hash turned, so that a key named as its topic does not fall together with all such.
 */
static uint64_t key_hash(const channels__state *state, const channels__index_topic *topic,
                         channels__str name)
{
    uint64_t of_topic = topic->node.hash;
    return channels__hash(&state->config.hash_key, name.p, name.n) ^
           (of_topic << 1 | of_topic >> 63);
}

static channels__index_key *find_key(const channels__state *state,
                                     const channels__index_topic *topic, channels__str name,
                                     uint64_t hash)
{
    channels__map_node *n = channels__map_find(&state->keys, hash);
    for (; n != NULL; n = channels__map_same(n)) {
        channels__index_key *key = CHANNELS__OF(n, channels__index_key, node);
        if (key->topic == topic && key->len == name.n &&
            (name.n == 0 || memcmp(key->name, name.p, name.n) == 0))
            return key;
    }
    return NULL;
}

channels__index_key *channels__index_key_find(const channels__state *state,
                                              const channels__index_topic *topic,
                                              channels__str name)
{
    return find_key(state, topic, name, key_hash(state, topic, name));
}

static channels__index_topic *topic_new(channels__state *state, channels__str name, uint64_t hash)
{
    const channels__mem *mem = state->config.mem;
    if (!channels__map_reserve(&state->topics))
        return NULL;
    channels__index_topic *t = channels__zalloc(mem, sizeof *t + name.n);
    if (t == NULL)
        return NULL;
    channels__list_init(&t->keys);
    t->len = (uint32_t)name.n;
    memcpy(t->name, name.p, name.n);
    t->node.hash = hash;
    channels__map_insert(&state->topics, &t->node);
    return t;
}

static void topic_unref(channels__state *state, channels__index_topic *t)
{
    if (--t->refs != 0)
        return;
    channels__map_remove(&state->topics, &t->node);
    channels__map_fit(&state->topics);
    channels__free(state->config.mem, t, sizeof *t + t->len);
}

static channels__index_key *key_new(channels__state *state, channels__index_topic *topic,
                                    channels__str name, uint64_t hash)
{
    if (!channels__map_reserve(&state->keys))
        return NULL;
    channels__index_key *key = channels__zalloc(state->config.mem, sizeof *key + name.n);
    if (key == NULL)
        return NULL;
    channels__list_init(&key->link);
    channels__list_init(&key->metas);
    key->topic = topic;
    topic->refs++;
    key->len = (uint32_t)name.n;
    if (name.n != 0)
        memcpy(key->name, name.p, name.n);
    key->node.hash = hash;
    channels__map_insert(&state->keys, &key->node);
    return key;
}

channels__index_key *channels__index_ref(channels__state *state, channels__str topic,
                                         channels__str name)
{
    uint64_t of_topic = topic_hash(state, topic);
    channels__index_topic *t = find_topic(state, topic, of_topic);
    if (t == NULL)
        t = topic_new(state, topic, of_topic);
    if (t == NULL)
        return NULL;
    t->refs++;
    uint64_t hash = key_hash(state, t, name);
    channels__index_key *key = find_key(state, t, name, hash);
    if (key == NULL)
        key = key_new(state, t, name, hash);
    topic_unref(state, t);
    if (key != NULL)
        key->refs++;
    return key;
}

void channels__index_unref(channels__state *state, channels__index_key *key)
{
    if (--key->refs != 0)
        return;
    channels__map_remove(&state->keys, &key->node);
    channels__map_fit(&state->keys);
    topic_unref(state, key->topic);
    channels__free(state->config.mem, key, sizeof *key + key->len);
}

void channels__index_show(channels__entry *e)
{
    channels__index_key *key = e->key;
    if (channels__list_empty(&key->metas)) {
        channels__list_append(&key->topic->keys, &key->link);
        key->topic->nkeys++;
    }
    channels__list_append(&key->metas, &e->link);
    e->replica->shown++;
}

void channels__index_hide(channels__entry *e)
{
    channels__index_key *key = e->key;
    channels__list_remove(&e->link);
    e->replica->shown--;
    if (channels__list_empty(&key->metas)) {
        channels__list_remove(&key->link);
        key->topic->nkeys--;
    }
}
