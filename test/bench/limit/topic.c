/* topic.c - who hears what: see limit.h. Topics are never forgotten. */
#include <string.h>

#include "bench/limit/limit.h"

#define SLOTS (1u << 16) /* more topics than that nobody asks of it */

static topic *topics[SLOTS];

static uint32_t hash_of(const uint8_t *name, uint32_t len)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < len; i++)
        h = (h ^ name[i]) * 16777619u;
    return h;
}

static topic *topic_new(const uint8_t *name, uint32_t len)
{
    topic *t = limit_resize(NULL, sizeof *t);
    *t = (topic){ .name = limit_resize(NULL, len), .name_len = len };
    memcpy(t->name, name, len);
    return t;
}

topic *topic_find(const uint8_t *name, uint32_t len)
{
    for (uint32_t i = hash_of(name, len);; i++) {
        topic **t = &topics[i % SLOTS];
        if (*t == NULL)
            *t = topic_new(name, len);
        if ((*t)->name_len == len && memcmp((*t)->name, name, len) == 0)
            return *t;
    }
}

void topic_leave(peer *p)
{
    topic *t = p->topic;
    if (t == NULL)
        return;
    peer *last = t->subscribers.list[--t->subscribers.len];
    t->subscribers.list[p->place] = last;
    last->place = p->place;
    p->topic = NULL;
}

void topic_join(peer *p, topic *t)
{
    topic_leave(p);
    p->place = t->subscribers.len;
    peers_add(&t->subscribers, p);
    p->topic = t;
}
