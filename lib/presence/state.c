/* state.c - what state.h offers: own entries, the tick, messages in, reading. */
#include "presence/set.h"

channels__state *channels__state_new(const channels__state_config *config)
{
    channels__state *state = channels__zalloc(config->mem, sizeof *state);
    if (state == NULL)
        return NULL;
    state->config = *config;
    state->silent = config->max_silent; /* the first tick tells of us */
    state->ids = (uint32_t)config->incarnation;
    channels__list_init(&state->replicas);
    channels__map_init(&state->topics, config->mem, config->hash_key.k0);
    channels__map_init(&state->keys, config->mem, config->hash_key.k0);
    state->self = channels__replica_new(state, config->node, config->incarnation);
    if (state->self == NULL) {
        channels__free(config->mem, state, sizeof *state);
        return NULL;
    }
    state->config.node = state->self->name;
    return state;
}

void channels__state_free(channels__state *state)
{
    if (state == NULL)
        return;
    while (!channels__list_empty(&state->replicas))
        channels__replica_free(state, CHANNELS__OF(state->replicas.next, channels__replica, link));
    channels__replica_free(state, state->self);
    channels__history_free(state);
    channels__map_deinit(&state->topics);
    channels__map_deinit(&state->keys);
    channels__free(state->config.mem, state, sizeof *state);
}

/* --- Own entries -------------------------------------------------------------------------- */

int channels__state_track(channels__state *state, channels__str topic, channels__str key,
                          channels__str json, uint64_t *born)
{
    const channels__record rec = { .clock = state->clock + 1,
                                   .born = state->clock + 1,
                                   .topic = topic,
                                   .key = key,
                                   .json = json };
    if (topic.n > UINT32_MAX || key.n > UINT32_MAX || json.n > UINT32_MAX)
        return CHANNELS_ERR_LIMIT;
    if (!channels__history_reserve(state))
        return CHANNELS_ERR_NOMEM;
    channels__entry *e = channels__entry_add(state, state->self, &rec);
    if (e == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__history_add(state, e);
    *born = ++state->clock;
    return CHANNELS_OK;
}

int channels__state_update(channels__state *state, uint64_t born, channels__str json)
{
    channels__entry *e = channels__entry_find(state->self, born);
    if (e == NULL)
        return CHANNELS_ERR_CLOSED;
    if (json.n > UINT32_MAX)
        return CHANNELS_ERR_LIMIT;
    uint64_t before = e->clock;
    e = channels__entry_update(state, e, state->clock + 1, before, json);
    if (e == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__history_update(state, before, e);
    state->clock++;
    return CHANNELS_OK;
}

int channels__state_untrack(channels__state *state, uint64_t born)
{
    channels__entry *e = channels__entry_find(state->self, born);
    if (e == NULL)
        return CHANNELS_ERR_CLOSED;
    uint64_t before = e->clock;
    if (!channels__entry_remove(state, e))
        return CHANNELS_ERR_NOMEM;
    channels__map_fit(&state->self->entries);
    state->clock++;
    channels__history_remove(state, before, state->clock, born, born <= state->told);
    return CHANNELS_OK;
}

/* --- Time and messages -------------------------------------------------------------------- */

/* What came while the host's loop was busy has yet to be read, but all that came before the last
 * tick has been: a late tick finds who was down by then. */
void channels__state_tick(channels__state *state, uint64_t now)
{
    bool late = state->ticked && now - state->tick_at > 2 * (uint64_t)state->config.broadcast_ms;
    uint64_t read = late ? state->tick_at : now;
    state->ticked = true;
    state->tick_at = now;
    channels__heartbeat(state);
    channels__replicas_tick(state, read);
}

static void take(channels__state *state, channels__replica *r, const channels__message *m)
{
    if (m->type == CHANNELS__REQUEST)
        channels__answer(state, r, m);
    else
        channels__apply(state, r, m);
    if (r->status == CHANNELS__NODE_CATCHING_UP && r->applied >= r->clock)
        channels__replica_up(state, r);
    channels__ask(state, r);
}

int channels__state_receive(channels__state *state, const char *node, uint64_t incarnation,
                            const void *data, size_t len, uint64_t now)
{
    channels__message m;
    int err = CHANNELS_OK;
    if (strcmp(node, state->config.node) == 0)
        return CHANNELS_OK; /* another of our name is the carrier's to complain of */
    if (!channels__message_read(&m, data, len)) {
        channels__complain(state, node, incarnation, "says what is not understood", now);
        return CHANNELS_ERR_PROTOCOL;
    }
    if (m.type == CHANNELS__BYE) {
        channels__replica_bye(state, node, incarnation, now);
        return CHANNELS_OK;
    }
    channels__replica *r = channels__replica_heard(state, node, incarnation, &m, now, &err);
    if (r != NULL)
        take(state, r, &m);
    return err;
}

void channels__state_bye(channels__state *state)
{
    const channels__message m = { .type = CHANNELS__BYE, .clock = state->clock };
    channels__say(state, NULL, &m);
    state->left = true;
}

/* --- Reading ------------------------------------------------------------------------------ */

size_t channels__state_keys(const channels__state *state, channels__str topic)
{
    const channels__index_topic *t = channels__index_topic_find(state, topic);
    return t != NULL ? t->nkeys : 0;
}

static bool each_meta(const channels__index_key *key,
                      bool (*fn)(void *arg, const channels__meta *meta), void *arg)
{
    for (const channels__list *n = key->metas.next; n != &key->metas; n = n->next) {
        const channels__meta meta = channels__entry_meta(CHANNELS__OF(n, channels__entry, link));
        if (!fn(arg, &meta))
            return false;
    }
    return true;
}

void channels__state_list(const channels__state *state, channels__str topic,
                          bool (*fn)(void *arg, const channels__meta *meta), void *arg)
{
    const channels__index_topic *t = channels__index_topic_find(state, topic);
    if (t == NULL)
        return;
    for (const channels__list *n = t->keys.next; n != &t->keys; n = n->next)
        if (!each_meta(CHANNELS__OF(n, channels__index_key, link), fn, arg))
            return;
}

void channels__state_get(const channels__state *state, channels__str topic, channels__str key,
                         bool (*fn)(void *arg, const channels__meta *meta), void *arg)
{
    const channels__index_topic *t = channels__index_topic_find(state, topic);
    const channels__index_key *k = t != NULL ? channels__index_key_find(state, t, key) : NULL;
    if (k != NULL)
        each_meta(k, fn, arg);
}

/* --- Looking in --------------------------------------------------------------------------- */

void channels__state_nodes(const channels__state *state,
                           void (*fn)(void *arg, const char *node, uint64_t incarnation,
                                      channels__node_status status, size_t entries),
                           void *arg)
{
    for (const channels__list *n = state->replicas.next; n != &state->replicas; n = n->next) {
        const channels__replica *r = CHANNELS__OF(n, channels__replica, link);
        if (!r->over)
            fn(arg, r->name, r->incarnation, r->status, r->entries.count);
    }
}
