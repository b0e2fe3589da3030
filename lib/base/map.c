/* map.c - see map.h. */
#include "base/map.h"

#define FEWEST_BITS 3

/* A secret that a test made up may be small: then nothing would get to the upper bits. */
void channels__map_init(channels__map *map, const channels__mem *mem, uint64_t secret)
{
    *map = (channels__map){ .mem = mem, .secret = (secret ^ 0x9e3779b97f4a7c15u) | 1 };
}

static size_t buckets(const channels__map *map)
{
    return map->buckets != NULL ? (size_t)1 << map->bits : 0;
}

void channels__map_deinit(channels__map *map)
{
    channels__free(map->mem, map->buckets, buckets(map) * sizeof *map->buckets);
}

static size_t bucket(const channels__map *map, uint64_t hash)
{
    return (size_t)(hash * map->secret >> (64 - map->bits));
}

void channels__map_insert(channels__map *map, channels__map_node *node)
{
    channels__map_node **head = &map->buckets[bucket(map, node->hash)];
    node->next = *head;
    *head = node;
    map->count++;
}

/* Staying as it is does no harm but to speed. */
static void resize(channels__map *map, unsigned bits)
{
    channels__map old = *map;
    channels__map_node **table = channels__zalloc(map->mem, ((size_t)1 << bits) * sizeof *table);
    if (table == NULL)
        return;
    map->buckets = table;
    map->bits = bits;
    map->count = 0;
    for (size_t i = 0; i < buckets(&old); i++)
        for (channels__map_node *n = old.buckets[i], *next; n != NULL; n = next) {
            next = n->next;
            channels__map_insert(map, n);
        }
    channels__map_deinit(&old);
}

bool channels__map_reserve(channels__map *map)
{
    if (map->buckets == NULL)
        resize(map, FEWEST_BITS);
    else if (map->count >= buckets(map))
        resize(map, map->bits + 1);
    return map->buckets != NULL;
}

void channels__map_remove(channels__map *map, channels__map_node *node)
{
    channels__map_node **at = &map->buckets[bucket(map, node->hash)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    map->count--;
}

void channels__map_fit(channels__map *map)
{
    unsigned bits = map->bits;
    while (bits > FEWEST_BITS && map->count < (size_t)1 << (bits - 3))
        bits--;
    if (bits < map->bits)
        resize(map, bits);
}

channels__map_node *channels__map_find(const channels__map *map, uint64_t hash)
{
    if (map->buckets == NULL)
        return NULL;
    channels__map_node *n = map->buckets[bucket(map, hash)];
    while (n != NULL && n->hash != hash)
        n = n->next;
    return n;
}

channels__map_node *channels__map_next(const channels__map *map, const channels__map_node *node)
{
    if (node != NULL && node->next != NULL)
        return node->next;
    size_t n = buckets(map), i = node != NULL ? bucket(map, node->hash) + 1 : 0;
    while (i < n && map->buckets[i] == NULL)
        i++;
    return i < n ? map->buckets[i] : NULL;
}
