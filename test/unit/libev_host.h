/* libev_host.h - a libev loop with its adapter, as the tests of both libev adapters run it. */
#ifndef UNIT_LIBEV_HOST_H
#define UNIT_LIBEV_HOST_H

#include <channels/adapters/libev.h>

#include "unit/adapter_case.h"

typedef struct libev_host {
    struct ev_loop *loop;
    ev_timer timer; /* ends a turn */
    channels_ev ev;
    channels_ev_listener listeners[4];
    size_t count;
} libev_host;

static inline void libev_host_on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
}

static inline void libev_host_init(libev_host *h, channels_endpoint *ep)
{
    h->loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer_init(&h->timer, libev_host_on_timer, 0., 0.);
    assert_int_equal(channels_ev_start(&h->ev, h->loop, ep), 0);
}

static inline void libev_host_deinit(libev_host *h)
{
    channels_ev_stop(&h->ev);
    ev_loop_destroy(h->loop);
}

static inline void libev_host_run_once(void *host, int timeout_ms)
{
    libev_host *h = host;
    if (timeout_ms > 0) {
        ev_now_update(h->loop);
        ev_timer_set(&h->timer, timeout_ms / 1e3, 0.);
        ev_timer_start(h->loop, &h->timer);
    }
    ev_run(h->loop, timeout_ms == 0 ? EVRUN_NOWAIT : EVRUN_ONCE);
    ev_timer_stop(h->loop, &h->timer);
}

static inline size_t libev_host_clients(const void *host)
{
    size_t n = 0;
    for (channels_ev_client *c = ((const libev_host *)host)->ev.clients; c != NULL; c = c->next)
        n++;
    return n;
}

#endif
