/* diff.c - changes gathered to diffs, so that each phx_ref joins once and leaves once. */
#include "presence/presence.h"

/* A client could take it if the same diff had the key in both halves, but what it says first would
 * not be what happened first; only an update says both at once. */
static bool conflicts(const channels_presence_batch *pending, channels__str key, bool joins,
                      bool leaves)
{
    return (leaves && channels__groups_find(&pending->shown[0], key) != NULL) ||
           (joins && channels__groups_find(&pending->shown[1], key) != NULL);
}

/* An update's key is in neither half yet, so what was added first can be taken back. */
static bool note(channels_presence_batch *pending, const channels__meta *before,
                 const channels__meta *after)
{
    channels__groups *joins = &pending->shown[0], *leaves = &pending->shown[1];
    if (after != NULL && !channels__groups_add(joins, after))
        return false;
    if (before == NULL || channels__groups_add(leaves, before))
        return true;
    if (after != NULL)
        channels__groups_remove(joins, channels__groups_find(joins, after->key));
    return false;
}

static bool change(channels__presence_topic *topic, const channels__meta *before,
                   const channels__meta *after)
{
    channels__str key = after != NULL ? after->key : before->key;
    if (topic->pending != NULL && conflicts(topic->pending, key, after != NULL, before != NULL))
        channels__presence_flush(topic);
    if (topic->pending == NULL)
        topic->pending = channels__batch_new(topic, CHANNELS__BATCH_DIFF);
    if (topic->pending == NULL)
        return false;
    if (note(topic->pending, before, after)) {
        channels__presence_mark(topic);
        return true;
    }
    if (topic->pending->shown[0].map.count + topic->pending->shown[1].map.count == 0) {
        channels__batch_free(topic->pending);
        topic->pending = NULL;
    }
    return false;
}

/* What is still to be sent of the topic may say what this takes back. */
static bool has_unsent(const channels_presence *p, channels__str name)
{
    const channels__presence_topic *topic = channels__presence_topic_find(p, name);
    return topic != NULL && (topic->pending != NULL || !channels__list_empty(&topic->queue));
}

/* What others track where nobody listens is not even written down. Own channels may be about to
 * listen: they track in join(). */
static bool concerns(const channels_presence *p, const channels__meta *meta)
{
    const channels__topic *t;
    if (!p->options.any_key && channels__key_risky(meta->key)) /* of a node that lets them be */
        return false;
    if (meta->incarnation == (p->ep->incarnation ^ p->salt) || p->options.on_diff != NULL)
        return true;
    t = channels__topic_find(&p->ep->topics, meta->topic);
    return (t != NULL && t->nfast + t->nslow != 0) || has_unsent(p, meta->topic);
}

bool channels__presence_changed(void *presence, const channels__meta *before,
                                const channels__meta *after)
{
    channels_presence *p = presence;
    const channels__meta *meta = after != NULL ? after : before;
    bool ok = true;
    if (!concerns(p, meta))
        return true;
    channels__presence_topic *topic = channels__presence_topic_get(p, meta->topic);
    if (topic == NULL)
        return false;
    if (topic->count_only)
        channels__count_changed(topic);
    else
        ok = change(topic, before, after);
    channels__presence_topic_put(topic);
    return ok;
}

void channels__presence_flush(channels__presence_topic *topic)
{
    channels_presence_batch *batch = topic->pending;
    if (batch == NULL)
        return;
    topic->pending = NULL;
    channels__batch_submit(batch);
}
