/* entry.c - what one change does to one entry. It is reported first: when that fails nothing has
 * been done, and after it nothing can fail. So what is shown is always the sum of the reports. */
#include "presence/set.h"

channels__meta channels__entry_meta(const channels__entry *e)
{
    const channels__index_key *key = e->key;
    return (channels__meta){ .topic = channels__str_n(key->topic->name, key->topic->len),
                             .key = channels__str_n(key->name, key->len),
                             .json = channels__str_n(e->json, e->len),
                             .node = channels__str_z(e->replica->name),
                             .incarnation = e->replica->incarnation,
                             .born = e->node.hash,
                             .clock = e->clock,
                             .prev = e->prev };
}

static bool report(channels__state *state, const channels__entry *before,
                   const channels__entry *after)
{
    channels__meta left, joined;
    if (before != NULL)
        left = channels__entry_meta(before);
    if (after != NULL)
        joined = channels__entry_meta(after);
    return state->config.events->changed(state->config.arg, before != NULL ? &left : NULL,
                                         after != NULL ? &joined : NULL);
}

channels__entry *channels__entry_find(const channels__replica *r, uint64_t born)
{
    channels__map_node *n = channels__map_find(&r->entries, born);
    return n != NULL ? CHANNELS__OF(n, channels__entry, node) : NULL;
}

/* Holds `key`, which the caller has a ref of. */
static channels__entry *entry_new(channels__state *state, channels__replica *r,
                                  channels__index_key *key, const channels__record *rec)
{
    channels__entry *e = channels__alloc(state->config.mem, sizeof *e + rec->json.n);
    if (e == NULL)
        return NULL;
    *e = (channels__entry){ .node.hash = rec->born,
                            .replica = r,
                            .key = key,
                            .clock = rec->clock,
                            .prev = rec->prev,
                            .len = (uint32_t)rec->json.n };
    channels__list_init(&e->link);
    memcpy(e->json, rec->json.p, rec->json.n);
    return e;
}

static void entry_free(channels__state *state, channels__entry *e)
{
    channels__free(state->config.mem, e, sizeof *e + e->len);
}

channels__entry *channels__entry_add(channels__state *state, channels__replica *r,
                                     const channels__record *rec)
{
    bool show = r->status == CHANNELS__NODE_UP;
    if (!channels__map_reserve(&r->entries))
        return NULL;
    channels__index_key *key = channels__index_ref(state, rec->topic, rec->key);
    if (key == NULL)
        return NULL;
    channels__entry *e = entry_new(state, r, key, rec);
    if (e == NULL || (show && !report(state, NULL, e))) {
        if (e != NULL)
            entry_free(state, e);
        channels__index_unref(state, key);
        return NULL;
    }
    channels__map_insert(&r->entries, &e->node);
    if (show)
        channels__index_show(e);
    return e;
}

channels__entry *channels__entry_update(channels__state *state, channels__entry *e, uint64_t clock,
                                        uint64_t prev, channels__str json)
{
    const channels__record rec = {
        .born = e->node.hash, .clock = clock, .prev = prev, .json = json
    };
    channels__entry *after = entry_new(state, e->replica, e->key, &rec);
    if (after == NULL)
        return NULL;
    after->snapshot = e->snapshot;
    if (channels__entry_shown(e)) {
        if (!report(state, e, after)) {
            entry_free(state, after);
            return NULL;
        }
        channels__list_append(&e->link, &after->link); /* before `e`, which goes: in its place */
        channels__list_remove(&e->link);
    }
    channels__map_remove(&e->replica->entries, &e->node);
    channels__map_insert(&e->replica->entries, &after->node);
    entry_free(state, e);
    return after;
}

static bool hide(channels__state *state, channels__entry *e)
{
    if (!channels__entry_shown(e))
        return true;
    if (!report(state, e, NULL))
        return false;
    channels__index_hide(e);
    return true;
}

static bool show(channels__state *state, channels__entry *e)
{
    if (channels__entry_shown(e))
        return true;
    if (!report(state, NULL, e))
        return false;
    channels__index_show(e);
    return true;
}

/* It is shown no longer. */
static void forget(channels__state *state, channels__entry *e)
{
    channels__map_remove(&e->replica->entries, &e->node);
    channels__index_unref(state, e->key);
    entry_free(state, e);
}

bool channels__entry_remove(channels__state *state, channels__entry *e)
{
    if (!hide(state, e))
        return false;
    forget(state, e);
    return true;
}

/* --- All of a replica's ------------------------------------------------------------------- */

static bool each(channels__state *state, channels__replica *r,
                 bool (*change)(channels__state *state, channels__entry *e))
{
    channels__map_node *n = channels__map_next(&r->entries, NULL), *next;
    for (; n != NULL; n = next) {
        next = channels__map_next(&r->entries, n);
        if (!change(state, CHANNELS__OF(n, channels__entry, node)))
            return false;
    }
    return true;
}

bool channels__entries_show(channels__state *state, channels__replica *r)
{
    return r->shown == r->entries.count || each(state, r, show);
}

bool channels__entries_hide(channels__state *state, channels__replica *r)
{
    return r->shown == 0 || each(state, r, hide);
}

bool channels__entries_remove(channels__state *state, channels__replica *r)
{
    return each(state, r, channels__entry_remove);
}

static bool free_one(channels__state *state, channels__entry *e)
{
    if (channels__entry_shown(e))
        channels__index_hide(e);
    forget(state, e);
    return true;
}

void channels__entries_free(channels__state *state, channels__replica *r)
{
    each(state, r, free_one);
}
