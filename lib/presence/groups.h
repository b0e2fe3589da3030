/* groups.h - metas by their keys, as one list or one half of a diff shows them:
 * {"ada":{"metas":[...]}}. */
#ifndef CHANNELS_PRESENCE_GROUPS_H
#define CHANNELS_PRESENCE_GROUPS_H

#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "presence/text.h"

/* A key. */
typedef struct channels__group {
    channels__map_node node;
    channels__list link; /* in the order in which they came */
    char *metas;         /* a JSON array; no NUL */
    size_t metas_len, metas_size;
    char *more; /* members beside "metas", without braces; NULL: none */
    size_t more_len;
    size_t key_len;
    char key[];
} channels__group;

typedef struct channels__groups {
    const channels__mem *mem;
    channels__hash_key hash_key;
    channels__map map;
    channels__list list;
    size_t bytes; /* that they take, about */
} channels__groups;

void channels__groups_init(channels__groups *groups, const channels__mem *mem,
                           channels__hash_key key);
void channels__groups_deinit(channels__groups *groups);
channels__group *channels__groups_find(const channels__groups *groups, channels__str key);
/* False if memory ran out: nothing has changed. */
bool channels__groups_add(channels__groups *groups, const channels__meta *meta);
void channels__groups_remove(channels__groups *groups, channels__group *group);
/* The members of a checked object beside its metas, in place of others. False: no memory. */
bool channels__group_set(channels__groups *groups, channels__group *group, channels__str object);

/* As JSON: the length, and writing it. Behind what was written. */
size_t channels__groups_len(const channels__groups *groups);
char *channels__groups_write(const channels__groups *groups, char *dst);
/* What stands behind one key. */
size_t channels__group_len(const channels__group *group);
char *channels__group_write(const channels__group *group, char *dst);

#endif
