/* fetch.c - what the application adds to metas: asking it, and its answers, now or later. */
#include "presence/presence.h"

static size_t keys_of(const channels_presence_batch *b)
{
    return b->shown[0].map.count + b->shown[1].map.count;
}

void channels__batch_forget_ref(channels_presence_batch *b)
{
    if (b->slot != 0)
        channels__ref_free(&b->topic->presence->ep->refs, b->slot);
    b->slot = 0;
}

static const char *mistake(const channels_presence_batch *b, int r)
{
    if (r < CHANNELS_OK)
        return "";
    if (r != CHANNELS_LATER)
        return r == CHANNELS_OK ? NULL : ", which means nothing";
    return b->slot != 0 || b->ready ? NULL : " without channels_presence_batch_later()";
}

void channels__batch_fetch(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    b->ready = p->options.fetch == NULL || keys_of(b) == 0;
    if (b->ready)
        return;
    p->busy = true;
    int r = p->options.fetch(b, p->options.user);
    p->busy = false;
    const char *what = mistake(b, r);
    if (what != NULL)
        channels__log(p->ep, CHANNELS_LOG_ERROR, "presence %s: fetch() failed: it returned %d%s",
                      p->options.name, r, what);
    if (r == CHANNELS_LATER && what == NULL)
        return;
    channels__batch_forget_ref(b);
    b->ready = true;
}

/* --- What fetch() sees -------------------------------------------------------------------- */

const char *channels_presence_batch_topic(const channels_presence_batch *b)
{
    return b->topic->name;
}

size_t channels_presence_batch_count(const channels_presence_batch *b)
{
    return keys_of(b);
}

static channels__group *first_of(channels_presence_batch *b, bool leaves)
{
    channels__list *head = &b->shown[leaves].list;
    if (!channels__list_empty(head))
        return CHANNELS__OF(head->next, channels__group, link);
    return leaves ? NULL : first_of(b, true);
}

static channels__group *next_of(channels_presence_batch *b, channels__group *group)
{
    if (group->link.next == &b->shown[0].list)
        return first_of(b, true);
    return group->link.next != &b->shown[1].list
               ? CHANNELS__OF(group->link.next, channels__group, link)
               : NULL;
}

/* They are asked for one after the other, as a rule: `seen` is the last that was. */
static channels__group *group_at(const channels_presence_batch *batch, size_t i)
{
    channels_presence_batch *b = (channels_presence_batch *)(uintptr_t)batch;
    if (i >= keys_of(b))
        return NULL;
    if (b->seen == NULL || i < b->seen_at) {
        b->seen = first_of(b, false);
        b->seen_at = 0;
    }
    for (; b->seen_at < i; b->seen_at++)
        b->seen = next_of(b, b->seen);
    return b->seen;
}

const char *channels_presence_batch_key(const channels_presence_batch *b, size_t i)
{
    const channels__group *group = group_at(b, i);
    return group != NULL ? group->key : NULL;
}

channels_payload channels_presence_batch_metas(const channels_presence_batch *b, size_t i)
{
    const channels__group *group = group_at(b, i);
    return group != NULL ? channels_json_n(group->metas, group->metas_len)
                         : channels_json_n(NULL, 0);
}

/* --- What it answers ---------------------------------------------------------------------- */

static const char *fault(const channels__group *group, channels_payload object)
{
    channels__str text = channels__str_n(object.data, object.len);
    if (group == NULL)
        return "there are not so many keys";
    if (object.kind != CHANNELS_JSON || object.data == NULL ||
        !channels__json_check(text, CHANNELS__META_NESTING, true))
        return "what is to be shown is not a JSON object";
    return channels__has_member(text, "metas") ? "\"metas\" is not for fetch() to set" : NULL;
}

static int set(channels_presence_batch *b, size_t i, channels_payload object)
{
    channels__group *group = group_at(b, i);
    const char *why = fault(group, object);
    if (why != NULL) {
        channels__log(b->topic->presence->ep, CHANNELS_LOG_ERROR, "channels_presence_batch_set: %s",
                      why);
        return CHANNELS_ERR_INVALID;
    }
    channels__groups *half = &b->shown[i >= b->shown[0].map.count];
    return channels__group_set(half, group, channels__str_n(object.data, object.len))
               ? CHANNELS_OK
               : CHANNELS_ERR_NOMEM;
}

int channels_presence_batch_set(channels_presence_batch *b, size_t i, channels_payload object)
{
    channels_endpoint *ep = b->topic->presence->ep;
    if (!channels__enter(ep, "channels_presence_batch_set"))
        return CHANNELS_ERR_MISUSE;
    int err = set(b, i, object);
    channels__leave(ep);
    return err;
}

static int later(channels_presence_batch *b, channels_ref *ref)
{
    channels__refs *refs = &b->topic->presence->ep->refs;
    if (b->ready) {
        channels__log(b->topic->presence->ep, CHANNELS_LOG_ERROR,
                      "channels_presence_batch_later: the batch is done");
        return CHANNELS_ERR_INVALID;
    }
    if (b->slot == 0) {
        b->slot = channels__ref_new(refs, CHANNELS__REF_BATCH);
        if (b->slot == 0)
            return CHANNELS_ERR_NOMEM;
        refs->slots[b->slot - 1].of.batch = b;
    }
    *ref = channels__ref_of(refs, b->slot);
    return CHANNELS_OK;
}

int channels_presence_batch_later(channels_presence_batch *b, channels_ref *ref)
{
    channels_endpoint *ep = b->topic->presence->ep;
    ref->id = 0;
    if (!channels__enter(ep, "channels_presence_batch_later"))
        return CHANNELS_ERR_MISUSE;
    int err = later(b, ref);
    channels__leave(ep);
    return err;
}

channels_presence_batch *channels_presence_batch_of(channels_endpoint *ep, channels_ref ref)
{
    if (!channels__on_thread(ep))
        return NULL;
    const channels__slot *slot = channels__ref_find(&ep->refs, ref);
    return slot != NULL && slot->kind == CHANNELS__REF_BATCH ? slot->of.batch : NULL;
}

int channels_presence_batch_done(channels_endpoint *ep, channels_ref ref)
{
    if (!channels__enter(ep, "channels_presence_batch_done"))
        return CHANNELS_ERR_MISUSE;
    channels_presence_batch *b = channels_presence_batch_of(ep, ref);
    if (b != NULL)
        channels__batch_fetched(b);
    channels__leave(ep);
    return b != NULL ? CHANNELS_OK : CHANNELS_ERR_CLOSED;
}
