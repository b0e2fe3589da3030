/* map.h - a hash map of nodes that stand in what they name: no allocation but for its table.
 *
 * Who uses it says what is the same: it looks through the nodes of one hash. The table multiplies
 * hashes by a secret odd number and takes the upper bits (Dietzfelbinger et al. 1997), so counters
 * of others will do for hashes. */
#ifndef CHANNELS_BASE_MAP_H
#define CHANNELS_BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

typedef struct channels__map_node {
    struct channels__map_node *next;
    uint64_t hash;
} channels__map_node;

typedef struct channels__map {
    const channels__mem *mem;
    channels__map_node **buckets; /* 1 << bits, or NULL: none has come yet */
    size_t count;
    uint64_t secret;
    unsigned bits;
} channels__map;

void channels__map_init(channels__map *map, const channels__mem *mem, uint64_t secret);
void channels__map_deinit(channels__map *map);
/* Room for one more; false if there is no table and no memory for one. */
bool channels__map_reserve(channels__map *map);
void channels__map_insert(channels__map *map, channels__map_node *node); /* after a reserve */
void channels__map_remove(channels__map *map, channels__map_node *node);
/* A smaller table if few are left: not during a walk. */
void channels__map_fit(channels__map *map);

/* The first of that hash, and those behind it; NULL: no more. */
channels__map_node *channels__map_find(const channels__map *map, uint64_t hash);
static inline channels__map_node *channels__map_same(const channels__map_node *node)
{
    channels__map_node *n = node->next;
    while (n != NULL && n->hash != node->hash)
        n = n->next;
    return n;
}
/* A walk over all, from NULL on. Who removes a node asks for the next one first. */
channels__map_node *channels__map_next(const channels__map *map, const channels__map_node *node);

#endif
