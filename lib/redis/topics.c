/* topics.c - what is subscribed to.
 *
 * Each topic somebody here listens to has a Redis channel: the prefix and its name. For each there
 * is at most one command under way. What changes meanwhile, back and forth, is told when the answer
 * has come, so that in the end Redis knows what is wanted, and what waits is bounded by the number
 * of topics even if Redis answers nothing. */
#include <search.h>
#include <stdlib.h>

#include "redis/redis.h"

#define BATCH 128 /* topics in one command */

struct channels__redis_topic {
    channels__redis_topic *next, **link; /* of all */
    channels__redis_topic *next_changed, **link_changed;
    bool wanted;    /* somebody here listens */
    bool on;        /* what Redis was told last */
    bool under_way; /* it has not answered that yet */
    char channel[];
};

/* The tree's keys are the names of the topics, each behind the prefix. */
static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static channels__redis_topic *find(const channels_redis *redis, const char *name)
{
    char *const *key = tfind(name, &redis->topics.tree, compare);
    return key == NULL ? NULL
                       : (channels__redis_topic *)(*key - redis->prefix_len -
                                                   offsetof(channels__redis_topic, channel));
}

static channels__redis_topic *topic_new(channels_redis *redis, const char *name)
{
    size_t len = strlen(name) + 1;
    channels__redis_topic *t = calloc(1, sizeof *t + redis->prefix_len + len);
    if (t == NULL)
        return NULL;
    memcpy(t->channel, redis->options.prefix, redis->prefix_len);
    memcpy(t->channel + redis->prefix_len, name, len);
    if (tsearch(t->channel + redis->prefix_len, &redis->topics.tree, compare) == NULL) {
        free(t);
        return NULL;
    }
    t->next = redis->topics.all;
    t->link = &redis->topics.all;
    if (t->next != NULL)
        t->next->link = &t->next;
    redis->topics.all = t;
    return t;
}

static void unchange(channels__redis_topic *t)
{
    if (t->link_changed == NULL)
        return;
    *t->link_changed = t->next_changed;
    if (t->next_changed != NULL)
        t->next_changed->link_changed = t->link_changed;
    t->link_changed = NULL;
}

static void change(channels_redis *redis, channels__redis_topic *t)
{
    if (t->link_changed != NULL)
        return;
    t->link_changed = &redis->topics.changed[t->wanted];
    t->next_changed = *t->link_changed;
    if (t->next_changed != NULL)
        t->next_changed->link_changed = &t->next_changed;
    *t->link_changed = t;
}

static void topic_free(channels_redis *redis, channels__redis_topic *t)
{
    unchange(t);
    (void)tdelete(t->channel + redis->prefix_len, &redis->topics.tree, compare);
    *t->link = t->next;
    if (t->next != NULL)
        t->next->link = t->link;
    free(t);
}

/* Puts it where it belongs now. */
static void settle(channels_redis *redis, channels__redis_topic *t)
{
    if (!t->under_way && t->wanted != t->on)
        change(redis, t);
    else
        unchange(t);
    if (!t->under_way && !t->wanted && !t->on)
        topic_free(redis, t);
}

bool channels__redis_interest(channels_redis *redis, const char *topic, bool on)
{
    channels__redis_topic *t = find(redis, topic);
    if (t == NULL && on)
        t = topic_new(redis, topic);
    if (t == NULL)
        return !on;
    t->wanted = on;
    settle(redis, t);
    return true;
}

/* --- Telling Redis ------------------------------------------------------------------------- */

static bool write_batch(channels_redis *redis, channels__redis_topic **topics, size_t n, bool on)
{
    const char *args[1 + BATCH];
    args[0] = channels__redis_command_name(redis, on ? "SSUBSCRIBE" : "SUNSUBSCRIBE");
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        args[1 + i] = topics[i]->channel;
        topics[i]->on = on;
        topics[i]->under_way = true;
    }
    return channels__redis_command(&redis->sub, 1 + (int)n, args, NULL) ||
           channels__redis_why(redis, "out of memory");
}

static bool tell(channels_redis *redis, bool on)
{
    channels__redis_topic *batch[BATCH], *t;
    size_t n;
    do {
        for (n = 0; n < BATCH && (t = redis->topics.changed[on]) != NULL; n++) {
            unchange(t);
            batch[n] = t;
        }
        if (!write_batch(redis, batch, n, on))
            return false;
    } while (n == BATCH);
    return true;
}

bool channels__redis_tell(channels_redis *redis)
{
    return tell(redis, true) && tell(redis, false);
}

void channels__redis_told(channels_redis *redis, const char *channel, bool on)
{
    if (strncmp(channel, redis->options.prefix, redis->prefix_len) != 0)
        return;
    channels__redis_topic *t = find(redis, channel + redis->prefix_len);
    if (t == NULL || !t->under_way || t->on != on)
        return;
    t->under_way = false;
    redis->topics.subscribed += on ? 1 : (size_t)-1;
    settle(redis, t);
}

void channels__redis_forget(channels_redis *redis)
{
    channels__redis_topic *next;
    redis->topics.subscribed = 0;
    for (channels__redis_topic *t = redis->topics.all; t != NULL; t = next) {
        next = t->next;
        t->on = t->under_way = false;
        settle(redis, t);
    }
}

void channels__redis_topics_free(channels_redis *redis)
{
    while (redis->topics.all != NULL)
        topic_free(redis, redis->topics.all);
}
