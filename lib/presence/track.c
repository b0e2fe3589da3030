/* track.c - who tracks what: channels until they end, numbers until they are untracked. */
#include "presence/presence.h"

/* --- Owners ------------------------------------------------------------------------------- */

static uint64_t owner_hash(const channels_channel *ch, uint64_t number)
{
    return ch != NULL ? (uint64_t)(uintptr_t)ch : number;
}

static channels__presence_owner *owner_find(const channels_presence *p, const channels_channel *ch,
                                            uint64_t number)
{
    channels__map_node *n = channels__map_find(&p->owners, owner_hash(ch, number));
    for (; n != NULL; n = channels__map_same(n)) {
        channels__presence_owner *owner = CHANNELS__OF(n, channels__presence_owner, node);
        if (owner->channel == ch && owner->number == number)
            return owner;
    }
    return NULL;
}

static channels__presence_owner *owner_get(channels_presence *p, channels_channel *ch,
                                           uint64_t number)
{
    channels__presence_owner *owner = owner_find(p, ch, number);
    if (owner != NULL || !channels__map_reserve(&p->owners))
        return owner;
    owner = channels__zalloc(&p->ep->mem, sizeof *owner);
    if (owner == NULL)
        return NULL;
    owner->node.hash = owner_hash(ch, number);
    owner->channel = ch;
    owner->number = number;
    channels__list_init(&owner->link);
    channels__list_init(&owner->tracked);
    channels__map_insert(&p->owners, &owner->node);
    return owner;
}

/* Nothing finds it any more: another channel may come to stand where its own did. */
static void owner_unlist(channels_presence *p, channels__presence_owner *owner)
{
    channels__map_remove(&p->owners, &owner->node);
    channels__map_fit(&p->owners);
}

static void owner_free(channels_presence *p, channels__presence_owner *owner)
{
    channels__list_remove(&owner->link);
    channels__free(&p->ep->mem, owner, sizeof *owner);
}

/* Once it tracks nothing. */
static void owner_put(channels_presence *p, channels__presence_owner *owner)
{
    if (!channels__list_empty(&owner->tracked))
        return;
    owner_unlist(p, owner);
    owner_free(p, owner);
}

/* --- Tracked ------------------------------------------------------------------------------ */

static uint64_t tracked_hash(const channels_presence *p, const channels__presence_owner *owner,
                             const channels__presence_topic *topic, channels__str key)
{
    return channels__hash(&p->ep->topics.key, key.p, key.n) ^ (uint64_t)(uintptr_t)owner ^
           (uint64_t)(uintptr_t)topic << 20;
}

static channels__tracked *tracked_find(const channels_presence *p,
                                       const channels__presence_owner *owner,
                                       const channels__presence_topic *topic, channels__str key)
{
    channels__map_node *n = channels__map_find(&p->tracked, tracked_hash(p, owner, topic, key));
    for (; n != NULL; n = channels__map_same(n)) {
        channels__tracked *t = CHANNELS__OF(n, channels__tracked, node);
        if (t->owner == owner && t->topic == topic &&
            channels__str_eq(channels__str_n(t->key, t->key_len), key))
            return t;
    }
    return NULL;
}

static channels__tracked *tracked_new(channels_presence *p, channels__presence_owner *owner,
                                      channels__presence_topic *topic, channels__str key)
{
    if (!channels__map_reserve(&p->tracked))
        return NULL;
    channels__tracked *t = channels__alloc(&p->ep->mem, sizeof *t + key.n);
    if (t == NULL)
        return NULL;
    t->node.hash = tracked_hash(p, owner, topic, key);
    t->owner = owner;
    t->topic = topic;
    t->key_len = key.n;
    if (key.n != 0)
        memcpy(t->key, key.p, key.n);
    return t;
}

static void tracked_link(channels_presence *p, channels__tracked *t)
{
    channels__map_insert(&p->tracked, &t->node);
    channels__list_append(&t->owner->tracked, &t->link);
    t->topic->present++;
    t->topic->refs++;
}

static void tracked_free(channels_presence *p, channels__tracked *t)
{
    channels__presence_topic *topic = t->topic;
    channels__map_remove(&p->tracked, &t->node);
    channels__list_remove(&t->link);
    channels__free(&p->ep->mem, t, sizeof *t + t->key_len);
    topic->present--;
    channels__presence_topic_put(topic);
}

/* --- What may be tracked ------------------------------------------------------------------ */

static bool key_ok(const channels_presence *p, const char *call, const char *key)
{
    const char *why = NULL;
    if (!channels__name_ok(p->ep, call, "key", key))
        return false;
    if (strlen(key) > p->options.max_key)
        why = "is longer than max_key";
    else if (!p->options.any_key && channels__key_risky(channels__str_z(key)))
        why = "is also a member of every JavaScript object, which breaks clients; allow it with "
              "any_key if you know yours";
    if (why != NULL)
        channels__log(p->ep, CHANNELS_LOG_ERROR, "%s: the key %s", call, why);
    return why == NULL;
}

static bool meta_ok(const channels_presence *p, const char *call, channels_payload meta)
{
    const char *why = NULL;
    if (meta.kind != CHANNELS_JSON || meta.data == NULL ||
        !channels__json_check(channels__str_n(meta.data, meta.len), CHANNELS__META_NESTING, true))
        why = "is not a JSON object";
    else if (meta.len > p->options.max_meta)
        why = "is larger than max_meta";
    if (why != NULL)
        channels__log(p->ep, CHANNELS_LOG_ERROR, "%s: the meta %s", call, why);
    return why == NULL;
}

static bool topic_ok(const channels_presence *p, const char *call, const char *topic)
{
    if (!channels__name_ok(p->ep, call, "topic", topic))
        return false;
    if (*topic == '\0')
        channels__log(p->ep, CHANNELS_LOG_ERROR, "%s: the topic is empty", call);
    return *topic != '\0';
}

/* --- Changes ------------------------------------------------------------------------------ */

typedef struct subject {
    const char *call;
    channels_channel *channel; /* NULL: */
    uint64_t number;
    const char *topic, *key;
} subject;

static channels__tracked *find(const channels_presence *p, const subject *s)
{
    const channels__presence_owner *owner = owner_find(p, s->channel, s->number);
    if (owner == NULL)
        return NULL;
    const channels__presence_topic *topic =
        channels__presence_topic_find(p, channels__str_z(s->topic));
    return topic != NULL ? tracked_find(p, owner, topic, channels__str_z(s->key)) : NULL;
}

/* The state's entry, its json without our own members; `born` 0: a new one. */
static int store(channels_presence *p, const subject *s, channels_payload meta, uint64_t *born)
{
    size_t size = meta.len + 1;
    char *text = channels__alloc(&p->ep->mem, size);
    if (text == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__str json =
        channels__str_n(text, channels__meta_strip(channels__str_n(meta.data, meta.len), text));
    int err = *born != 0 ? channels__state_update(p->state, *born, json)
                         : channels__state_track(p->state, channels__str_z(s->topic),
                                                 channels__str_z(s->key), json, born);
    channels__free(&p->ep->mem, text, size);
    return err;
}

static int track_for(channels_presence *p, const subject *s, channels_payload meta,
                     channels__presence_owner *owner, channels__presence_topic *topic)
{
    channels__tracked *t = tracked_new(p, owner, topic, channels__str_z(s->key));
    if (t == NULL)
        return CHANNELS_ERR_NOMEM;
    t->born = 0;
    int err = store(p, s, meta, &t->born);
    if (err == CHANNELS_OK)
        tracked_link(p, t);
    else
        channels__free(&p->ep->mem, t, sizeof *t + t->key_len);
    return err;
}

static int track_in(channels_presence *p, const subject *s, channels_payload meta,
                    channels__presence_topic *topic)
{
    if (topic->present >= p->options.max_present) {
        channels__log(p->ep, CHANNELS_LOG_WARNING, "%s: there are max_present metas in %s", s->call,
                      s->topic);
        return CHANNELS_ERR_LIMIT;
    }
    channels__presence_owner *owner = owner_get(p, s->channel, s->number);
    if (owner == NULL)
        return CHANNELS_ERR_NOMEM;
    int err = track_for(p, s, meta, owner, topic);
    owner_put(p, owner);
    return err;
}

static int track(channels_presence *p, const subject *s, channels_payload meta)
{
    if (s->channel != NULL && s->channel->state >= CHANNELS__TERMINATING)
        return CHANNELS_ERR_CLOSED;
    if (!topic_ok(p, s->call, s->topic) || !key_ok(p, s->call, s->key) ||
        !meta_ok(p, s->call, meta))
        return CHANNELS_ERR_INVALID;
    if (find(p, s) != NULL) {
        channels__log(p->ep, CHANNELS_LOG_ERROR,
                      "%s: it tracks that key in %s already; update it instead", s->call, s->topic);
        return CHANNELS_ERR_INVALID;
    }
    channels__presence_topic *topic = channels__presence_topic_get(p, channels__str_z(s->topic));
    if (topic == NULL)
        return CHANNELS_ERR_NOMEM;
    int err = track_in(p, s, meta, topic);
    channels__presence_topic_put(topic);
    if (err == CHANNELS_OK && s->channel != NULL)
        s->channel->present = true;
    return err;
}

static int update(channels_presence *p, const subject *s, channels_payload meta)
{
    if (!channels__name_ok(p->ep, s->call, "topic", s->topic) ||
        !channels__name_ok(p->ep, s->call, "key", s->key) || !meta_ok(p, s->call, meta))
        return CHANNELS_ERR_INVALID;
    channels__tracked *t = find(p, s);
    return t != NULL ? store(p, s, meta, &t->born) : CHANNELS_ERR_CLOSED;
}

static int untrack_one(channels_presence *p, channels__tracked *t)
{
    int err = channels__state_untrack(p->state, t->born);
    if (err == CHANNELS_OK)
        tracked_free(p, t);
    return err;
}

/* All of an owner's, or those of one topic, of one key: NULL stands for all. */
static int untrack_all(channels_presence *p, channels__presence_owner *owner, const char *topic,
                       const char *key)
{
    for (channels__list *n = owner->tracked.next, *next; n != &owner->tracked; n = next) {
        channels__tracked *t = CHANNELS__OF(n, channels__tracked, link);
        next = n->next;
        if ((topic != NULL && strcmp(t->topic->name, topic) != 0) ||
            (key != NULL && !channels__str_is(channels__str_n(t->key, t->key_len), key)))
            continue;
        int err = untrack_one(p, t);
        if (err != CHANNELS_OK)
            return err;
    }
    return CHANNELS_OK;
}

static int untrack(channels_presence *p, const subject *s)
{
    channels__presence_owner *owner = owner_find(p, s->channel, s->number);
    if (owner == NULL)
        return CHANNELS_OK;
    int err = CHANNELS_OK;
    if (s->topic == NULL || s->key == NULL) {
        err = untrack_all(p, owner, s->topic, s->key);
    } else {
        channels__tracked *t = find(p, s);
        if (t != NULL)
            err = untrack_one(p, t);
    }
    owner_put(p, owner);
    return err;
}

/* --- The end of owners -------------------------------------------------------------------- */

static void end_owner(channels_presence *p, channels__presence_owner *owner)
{
    if (untrack_all(p, owner, NULL, NULL) == CHANNELS_OK) {
        owner_free(p, owner);
        return;
    }
    channels__list_append(&p->ended, &owner->link);
    channels__presence_retry(p);
}

void channels__presence_channel_ended(channels_presence *p, const channels_channel *ch)
{
    channels__presence_topic *topic =
        channels__presence_topic_find(p, channels__str_n(ch->topic->name, ch->topic->len));
    if (topic != NULL)
        channels__batches_forget(topic, ch);
    channels__presence_owner *owner = owner_find(p, ch, 0);
    if (owner == NULL)
        return;
    owner_unlist(p, owner);
    end_owner(p, owner);
}

void channels__presence_end_owners(channels_presence *p)
{
    const channels__list *last = p->ended.prev;
    bool more = !channels__list_empty(&p->ended);
    while (more) {
        channels__list *node = channels__list_shift(&p->ended);
        more = node != last;
        end_owner(p, CHANNELS__OF(node, channels__presence_owner, link));
    }
}

static void owner_drop(channels_presence *p, channels__presence_owner *owner)
{
    while (!channels__list_empty(&owner->tracked))
        tracked_free(p, CHANNELS__OF(owner->tracked.next, channels__tracked, link));
    owner_free(p, owner);
}

void channels__presence_owners_free(channels_presence *p)
{
    channels__map_node *n = channels__map_next(&p->owners, NULL), *next;
    for (; n != NULL; n = next) {
        next = channels__map_next(&p->owners, n);
        owner_drop(p, CHANNELS__OF(n, channels__presence_owner, node));
    }
    while (!channels__list_empty(&p->ended))
        owner_drop(p, CHANNELS__OF(p->ended.next, channels__presence_owner, link));
}

/* --- Calls -------------------------------------------------------------------------------- */

typedef int change(channels_presence *p, const subject *s, channels_payload meta);

static int drop(channels_presence *p, const subject *s, channels_payload meta)
{
    (void)meta;
    return untrack(p, s);
}

static int run(channels_presence *p, change *fn, const subject *s, channels_payload meta)
{
    int err = s->channel != NULL ? channels__presence_enter_for(p, s->call, s->channel)
                                 : channels__presence_enter(p, s->call);
    if (err != CHANNELS_OK)
        return err;
    err = fn(p, s, meta);
    channels__leave(p->ep);
    return err;
}

int channels_presence_track(channels_presence *p, channels_channel *ch, const char *key,
                            channels_payload meta)
{
    const subject s = { "channels_presence_track", ch, 0, ch->topic->name, key };
    return run(p, track, &s, meta);
}

int channels_presence_update(channels_presence *p, channels_channel *ch, const char *key,
                             channels_payload meta)
{
    const subject s = { "channels_presence_update", ch, 0, ch->topic->name, key };
    return run(p, update, &s, meta);
}

int channels_presence_untrack(channels_presence *p, channels_channel *ch, const char *key)
{
    const subject s = { "channels_presence_untrack", ch, 0, ch->topic->name, key };
    return run(p, drop, &s, channels_empty());
}

int channels_presence_track_owner(channels_presence *p, uint64_t owner, const char *topic,
                                  const char *key, channels_payload meta)
{
    const subject s = { "channels_presence_track_owner", NULL, owner, topic, key };
    return run(p, track, &s, meta);
}

int channels_presence_update_owner(channels_presence *p, uint64_t owner, const char *topic,
                                   const char *key, channels_payload meta)
{
    const subject s = { "channels_presence_update_owner", NULL, owner, topic, key };
    return run(p, update, &s, meta);
}

int channels_presence_untrack_owner(channels_presence *p, uint64_t owner, const char *topic,
                                    const char *key)
{
    const subject s = { "channels_presence_untrack_owner", NULL, owner, topic, key };
    return run(p, drop, &s, channels_empty());
}
