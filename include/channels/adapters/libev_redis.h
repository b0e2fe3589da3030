/* channels/adapters/libev_redis.h - a channels_redis on a libev loop.
 *
 *     channels_ev_redis ev_redis;
 *     channels_ev_start(&ev, EV_DEFAULT, endpoint); // whose config.pubsub_self is `redis`
 *     channels_ev_redis_start(&ev_redis, &ev, redis);
 *     ev_run(EV_DEFAULT, 0);
 *     channels_ev_redis_stop(&ev_redis);
 *     channels_ev_stop(&ev);
 *     channels_endpoint_free(endpoint);
 *     channels_redis_free(redis);
 *
 * Header only: link with -lchannels-redis -lchannels -lev. */
#ifndef CHANNELS_ADAPTERS_LIBEV_REDIS_H
#define CHANNELS_ADAPTERS_LIBEV_REDIS_H

#include <channels/adapters/libev.h>
#include <channels/redis.h>

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own. */
typedef struct channels_ev_redis {
    struct ev_loop *loop;
    channels_redis *redis;
    ev_io io[2]; /* with the fd -1 if it watches nothing */
} channels_ev_redis;

static inline void channels_ev_redis__on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    unsigned events = 0;
    (void)loop;
    if ((revents & EV_READ) != 0)
        events |= CHANNELS_REDIS_READ;
    if ((revents & EV_WRITE) != 0)
        events |= CHANNELS_REDIS_WRITE;
    channels_redis_ready(((channels_ev_redis *)io->data)->redis, io->fd, events);
}

static inline void channels_ev_redis__watch(void *arg, int fd, unsigned events)
{
    channels_ev_redis *r = (channels_ev_redis *)arg;
    ev_io *io = &r->io[r->io[0].fd != fd && (r->io[1].fd == fd || r->io[0].fd >= 0)];
    ev_io_stop(r->loop, io);
    ev_io_set(io, events != 0 ? fd : -1,
              ((events & CHANNELS_REDIS_READ) != 0 ? EV_READ : 0) |
                  ((events & CHANNELS_REDIS_WRITE) != 0 ? EV_WRITE : 0));
    if (events != 0)
        ev_io_start(r->loop, io);
}

/* Has the loop of `ev` drive `redis`, the adapter of its endpoint. */
static inline void channels_ev_redis_start(channels_ev_redis *r, channels_ev *ev,
                                           channels_redis *redis)
{
    r->loop = ev->loop;
    r->redis = redis;
    for (int i = 0; i < 2; i++) {
        ev_io_init(&r->io[i], channels_ev_redis__on_io, -1, 0);
        r->io[i].data = r;
    }
    channels_redis_on_watch(redis, channels_ev_redis__watch, r);
}

/* Before channels_redis_free(). Not from inside a callback of the endpoint. */
static inline void channels_ev_redis_stop(channels_ev_redis *r)
{
    channels_redis_on_watch(r->redis, NULL, NULL);
}

#endif
