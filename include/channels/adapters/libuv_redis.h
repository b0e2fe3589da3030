/* channels/adapters/libuv_redis.h - a channels_redis on a libuv loop.
 *
 *     channels_uv_redis uv_redis;
 *     channels_uv_start(&uv, uv_default_loop(), endpoint); // whose config.pubsub_self is `redis`
 *     channels_uv_redis_start(&uv_redis, &uv, redis);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *     channels_uv_redis_stop(&uv_redis);
 *     channels_uv_stop(&uv, NULL, NULL);
 *     channels_endpoint_free(endpoint);
 *     channels_redis_free(redis);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT); // lets go of what was watched
 *
 * Header only: link with -lchannels-redis -lchannels -luv. */
#ifndef CHANNELS_ADAPTERS_LIBUV_REDIS_H
#define CHANNELS_ADAPTERS_LIBUV_REDIS_H

#include <channels/adapters/libuv.h>
#include <channels/redis.h>

/* One for each descriptor: the loop lets go of it after the next one may have come. */
typedef struct channels_uv_redis_watch {
    uv_poll_t io; /* first */
    channels_redis *redis;
    int fd;
} channels_uv_redis_watch;

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own. */
typedef struct channels_uv_redis {
    uv_loop_t *loop;
    channels_redis *redis;
    channels_uv_redis_watch *watches[2];
} channels_uv_redis;

/* If libuv says that something is wrong with it, reading and writing will tell what. */
static inline void channels_uv_redis__on_poll(uv_poll_t *io, int status, int events)
{
    channels_uv_redis_watch *w = (channels_uv_redis_watch *)io;
    unsigned ready = 0;
    if (status < 0 || (events & UV_READABLE) != 0)
        ready |= CHANNELS_REDIS_READ;
    if (status < 0 || (events & UV_WRITABLE) != 0)
        ready |= CHANNELS_REDIS_WRITE;
    channels_redis_ready(w->redis, w->fd, ready);
}

static inline void channels_uv_redis__on_closed(uv_handle_t *handle)
{
    free(handle); /* the watch */
}

/* NULL if it cannot be watched: no answer will be found to come, and it will be tried anew. */
static inline channels_uv_redis_watch *channels_uv_redis__watch_new(channels_uv_redis *r, int fd)
{
    channels_uv_redis_watch *w = (channels_uv_redis_watch *)calloc(1, sizeof *w);
    if (w == NULL || uv_poll_init(r->loop, &w->io, fd) != 0) {
        free(w);
        return NULL;
    }
    w->redis = r->redis;
    w->fd = fd;
    return w;
}

/* Where the descriptor is, or a new one goes. */
static inline channels_uv_redis_watch **channels_uv_redis__place(channels_uv_redis *r, int fd)
{
    for (int i = 0; i < 2; i++)
        if (r->watches[i] != NULL && r->watches[i]->fd == fd)
            return &r->watches[i];
    return &r->watches[r->watches[0] != NULL];
}

static inline void channels_uv_redis__watch(void *arg, int fd, unsigned events)
{
    channels_uv_redis *r = (channels_uv_redis *)arg;
    channels_uv_redis_watch **w = channels_uv_redis__place(r, fd);
    if (*w == NULL && events != 0)
        *w = channels_uv_redis__watch_new(r, fd);
    if (*w != NULL && events != 0) {
        (void)uv_poll_start(&(*w)->io,
                            ((events & CHANNELS_REDIS_READ) != 0 ? UV_READABLE : 0) |
                                ((events & CHANNELS_REDIS_WRITE) != 0 ? UV_WRITABLE : 0),
                            channels_uv_redis__on_poll);
    } else if (*w != NULL) {
        uv_close((uv_handle_t *)&(*w)->io, channels_uv_redis__on_closed);
        *w = NULL;
    }
}

/* Has the loop of `uv` drive `redis`, the adapter of its endpoint. */
static inline void channels_uv_redis_start(channels_uv_redis *r, channels_uv *uv,
                                           channels_redis *redis)
{
    r->loop = uv->loop;
    r->redis = redis;
    r->watches[0] = r->watches[1] = NULL;
    channels_redis_on_watch(redis, channels_uv_redis__watch, r);
}

/* Before channels_redis_free(). Not from inside a callback of the endpoint. `r` is the caller's
 * again at once. */
static inline void channels_uv_redis_stop(channels_uv_redis *r)
{
    channels_redis_on_watch(r->redis, NULL, NULL);
}

#endif
