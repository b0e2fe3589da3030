/* groups.c - see groups.h. */
#include "presence/groups.h"

#include "base/bytes.h"

void channels__groups_init(channels__groups *groups, const channels__mem *mem,
                           channels__hash_key key)
{
    groups->mem = mem;
    groups->hash_key = key;
    groups->bytes = 0;
    channels__map_init(&groups->map, mem, key.k0);
    channels__list_init(&groups->list);
}

static size_t block_size(const channels__group *group)
{
    return sizeof *group + group->key_len + 1;
}

static size_t bytes_of(const channels__group *group)
{
    return block_size(group) + group->metas_size + group->more_len;
}

static void group_free(channels__groups *groups, channels__group *group)
{
    channels__free(groups->mem, group->metas, group->metas_size);
    channels__free(groups->mem, group->more, group->more_len);
    channels__free(groups->mem, group, block_size(group));
}

void channels__groups_deinit(channels__groups *groups)
{
    channels__list *node;
    while ((node = channels__list_shift(&groups->list)) != NULL)
        group_free(groups, CHANNELS__OF(node, channels__group, link));
    channels__map_deinit(&groups->map);
}

void channels__groups_remove(channels__groups *groups, channels__group *group)
{
    groups->bytes -= bytes_of(group);
    channels__map_remove(&groups->map, &group->node);
    channels__list_remove(&group->link);
    group_free(groups, group);
}

/* --- Adding ------------------------------------------------------------------------------- */

static uint64_t hash_of(const channels__groups *groups, channels__str key)
{
    return channels__hash(&groups->hash_key, key.p, key.n);
}

static channels__group *find(const channels__groups *groups, channels__str key, uint64_t hash)
{
    channels__map_node *n = channels__map_find(&groups->map, hash);
    for (; n != NULL; n = channels__map_same(n)) {
        channels__group *group = CHANNELS__OF(n, channels__group, node);
        if (group->key_len == key.n && memcmp(group->key, key.p, key.n) == 0)
            return group;
    }
    return NULL;
}

channels__group *channels__groups_find(const channels__groups *groups, channels__str key)
{
    return groups->map.count != 0 ? find(groups, key, hash_of(groups, key)) : NULL;
}

static channels__group *group_new(channels__groups *groups, channels__str key, uint64_t hash)
{
    if (!channels__map_reserve(&groups->map))
        return NULL;
    channels__group *group = channels__alloc(groups->mem, sizeof *group + key.n + 1);
    if (group == NULL)
        return NULL;
    memset(group, 0, sizeof *group);
    group->node.hash = hash;
    group->key_len = key.n;
    if (key.n != 0)
        memcpy(group->key, key.p, key.n);
    group->key[key.n] = '\0';
    return group;
}

/* Room for one more and what stands around it; twice as much as there was, if it grows. */
static bool reserve(channels__groups *groups, channels__group *group, size_t len)
{
    size_t need = group->metas_len + len + 2, size = group->metas_size * 2;
    if (need <= group->metas_size)
        return true;
    if (size < need)
        size = need;
    char *metas = channels__resize(groups->mem, group->metas, group->metas_size, size);
    if (metas == NULL)
        return false;
    group->metas = metas;
    group->metas_size = size;
    return true;
}

static bool append(channels__groups *groups, channels__group *group, const channels__meta *meta)
{
    if (!reserve(groups, group, channels__meta_len(meta)))
        return false;
    char *at = group->metas + group->metas_len;
    if (group->metas_len == 0)
        *at++ = '[';
    else
        at[-1] = ','; /* where the ] was */
    at = channels__meta_write(meta, at);
    *at++ = ']';
    group->metas_len = (size_t)(at - group->metas);
    return true;
}

/* The last group if it is that key's: a list has the metas of a key one after the other. */
static channels__group *last_if(const channels__groups *groups, channels__str key)
{
    channels__group *last = CHANNELS__OF(groups->list.prev, channels__group, link);
    bool same = !channels__list_empty(&groups->list) && last->key_len == key.n &&
                memcmp(last->key, key.p, key.n) == 0;
    return same ? last : NULL;
}

static bool add_to(channels__groups *groups, channels__group *group, const channels__meta *meta)
{
    size_t before = bytes_of(group);
    if (!append(groups, group, meta))
        return false;
    groups->bytes += bytes_of(group) - before;
    return true;
}

static bool add_new(channels__groups *groups, const channels__meta *meta, uint64_t hash)
{
    channels__group *group = group_new(groups, meta->key, hash);
    if (group == NULL)
        return false;
    if (!append(groups, group, meta)) {
        group_free(groups, group);
        return false;
    }
    groups->bytes += bytes_of(group);
    channels__map_insert(&groups->map, &group->node);
    channels__list_append(&groups->list, &group->link);
    return true;
}

bool channels__groups_add(channels__groups *groups, const channels__meta *meta)
{
    channels__group *group = last_if(groups, meta->key);
    if (group != NULL)
        return add_to(groups, group, meta);
    uint64_t hash = hash_of(groups, meta->key);
    group = find(groups, meta->key, hash);
    return group != NULL ? add_to(groups, group, meta) : add_new(groups, meta, hash);
}

bool channels__group_set(channels__groups *groups, channels__group *group, channels__str object)
{
    channels__str members = channels__members(object);
    char *more = members.n != 0 ? channels__alloc(groups->mem, members.n) : NULL;
    if (members.n != 0 && more == NULL)
        return false;
    if (more != NULL)
        memcpy(more, members.p, members.n);
    channels__free(groups->mem, group->more, group->more_len);
    groups->bytes += members.n - group->more_len;
    group->more = more;
    group->more_len = members.n;
    return true;
}

/* --- Writing ------------------------------------------------------------------------------ */

#define METAS "{\"metas\":"

size_t channels__group_len(const channels__group *group)
{
    return sizeof METAS - 1 + group->metas_len + (group->more != NULL ? 1 + group->more_len : 0) +
           1;
}

char *channels__group_write(const channels__group *group, char *dst)
{
    dst = channels__put(dst, METAS, sizeof METAS - 1);
    dst = channels__put(dst, group->metas, group->metas_len);
    if (group->more != NULL) {
        *dst++ = ',';
        dst = channels__put(dst, group->more, group->more_len);
    }
    *dst++ = '}';
    return dst;
}

size_t channels__groups_len(const channels__groups *groups)
{
    size_t len = 2, n = groups->map.count;
    for (const channels__list *l = groups->list.next; l != &groups->list; l = l->next) {
        const channels__group *group = CHANNELS__OF(l, channels__group, link);
        len += channels__json_escaped_len(channels__str_n(group->key, group->key_len)) + 1 +
               channels__group_len(group);
    }
    return len + (n != 0 ? n - 1 : 0);
}

char *channels__groups_write(const channels__groups *groups, char *dst)
{
    *dst++ = '{';
    for (const channels__list *l = groups->list.next; l != &groups->list; l = l->next) {
        const channels__group *group = CHANNELS__OF(l, channels__group, link);
        if (l != groups->list.next)
            *dst++ = ',';
        dst = channels__json_escape(channels__str_n(group->key, group->key_len), dst);
        *dst++ = ':';
        dst = channels__group_write(group, dst);
    }
    *dst++ = '}';
    return dst;
}
