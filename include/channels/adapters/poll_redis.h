/* channels/adapters/poll_redis.h - a channels_redis on poll(2) alone.
 *
 *     channels_poll_redis poll_redis;
 *     channels_poll_start(&loop, endpoint); // whose config.pubsub_self is `redis`
 *     channels_poll_redis_start(&poll_redis, &loop, redis);
 *     while (!done)
 *         channels_poll_run_once(&loop, -1);
 *     channels_poll_redis_stop(&poll_redis);
 *     channels_poll_stop(&loop);
 *     channels_endpoint_free(endpoint);
 *     channels_redis_free(redis);
 *
 * Header only: link with -lchannels-redis -lchannels. */
#ifndef CHANNELS_ADAPTERS_POLL_REDIS_H
#define CHANNELS_ADAPTERS_POLL_REDIS_H

#include <channels/adapters/poll.h>
#include <channels/redis.h>

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own. */
typedef struct channels_poll_redis {
    channels_poll *loop;
    channels_redis *redis;
    channels_poll_watch watches[2];
} channels_poll_redis;

/* If poll() says that something is wrong with it, reading and writing will tell what. */
static inline void channels_poll_redis__ready(void *arg, int fd, short events)
{
    unsigned ready = 0;
    if ((events & ~POLLOUT) != 0)
        ready |= CHANNELS_REDIS_READ;
    if ((events & ~POLLIN) != 0)
        ready |= CHANNELS_REDIS_WRITE;
    channels_redis_ready(((channels_poll_redis *)arg)->redis, fd, ready);
}

/* If there is no memory to watch it no answer will be found to come, and it will be tried anew. */
static inline void channels_poll_redis__watch(void *arg, int fd, unsigned events)
{
    channels_poll_redis *r = (channels_poll_redis *)arg;
    channels_poll_watch *w = &r->watches[0];
    if (w->fd != fd && (r->watches[1].fd == fd || w->fd >= 0))
        w = &r->watches[1];
    (void)channels_poll__watch(r->loop, w, fd,
                               (short)(((events & CHANNELS_REDIS_READ) != 0 ? POLLIN : 0) |
                                       ((events & CHANNELS_REDIS_WRITE) != 0 ? POLLOUT : 0)));
}

/* Has `loop` drive `redis`, the adapter of its endpoint. */
static inline void channels_poll_redis_start(channels_poll_redis *r, channels_poll *loop,
                                             channels_redis *redis)
{
    r->loop = loop;
    r->redis = redis;
    for (int i = 0; i < 2; i++) {
        r->watches[i].fd = -1;
        r->watches[i].ready = channels_poll_redis__ready;
        r->watches[i].arg = r;
        r->watches[i].next = loop->watches;
        loop->watches = &r->watches[i];
    }
    channels_redis_on_watch(redis, channels_poll_redis__watch, r);
}

/* Before channels_poll_stop(), once. Not from inside a callback of the endpoint. */
static inline void channels_poll_redis_stop(channels_poll_redis *r)
{
    channels_redis_on_watch(r->redis, NULL, NULL);
    r->loop->watches = r->watches[0].next;
}

#endif
