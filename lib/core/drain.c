/* drain.c - the end of a server that clients can live with: told to go in batches, refused when
 * they come back, waited for until the last one has gone.
 * Phoenix lib/phoenix/socket/pool_supervisor.ex (PoolDrainer), but for connections, each once. */
#include "core/core.h"

static void complete(channels_drain_options *o)
{
    if (o->batch == 0)
        o->batch = 10000;
    if (o->interval_ms == 0)
        o->interval_ms = 2000;
    if (o->deadline_ms == 0)
        o->deadline_ms = 30000;
}

int channels_drain(channels_endpoint *ep, const channels_drain_options *options)
{
    channels__drain *d = &ep->drain;
    if (!channels__enter(ep, "channels_drain"))
        return CHANNELS_ERR_MISUSE;
    if (!d->on) {
        if (options != NULL)
            d->options = *options;
        complete(&d->options);
        d->on = true;
        d->next = ep->now;
        d->deadline = ep->now + d->options.deadline_ms;
    }
    channels__leave(ep);
    return CHANNELS_OK;
}

/* The next socket from there on that is to be told. */
static channels_socket *open_from(const channels_endpoint *ep, const channels__list *n)
{
    for (; n != &ep->sockets; n = n->next) {
        channels_socket *s = CHANNELS__OF(n, channels_socket, link);
        if (s->state == CHANNELS__OPEN)
            return s;
    }
    return NULL;
}

/* Who waits to be let in is not, and is no part of the batches. */
static void begin(channels_endpoint *ep)
{
    channels__drain *d = &ep->drain;
    d->begun = true;
    for (channels__list *n = ep->sockets.next; n != &ep->sockets; n = n->next) {
        channels_socket *s = CHANNELS__OF(n, channels_socket, link);
        if (s->state == CHANNELS__WAITING)
            channels__socket_doom(s, CHANNELS_DRAINED, 1012);
        d->progress.total += s->state == CHANNELS__OPEN;
    }
    channels__services_draining(ep);
    size_t whole = d->progress.total / d->options.batch;
    d->progress.rounds = (uint32_t)(whole + (d->progress.total % d->options.batch != 0));
}

static void report(channels_endpoint *ep)
{
    channels__drain *d = &ep->drain;
    d->progress.left = ep->clients + ep->ending;
    if (d->options.progress != NULL)
        d->options.progress(d->options.arg, &d->progress);
}

static void tell_batch(channels_endpoint *ep)
{
    channels__drain *d = &ep->drain;
    size_t room = ep->now >= d->deadline ? SIZE_MAX : d->options.batch;
    channels_socket *s = open_from(ep, ep->sockets.next);
    d->progress.count = 0;
    for (; s != NULL && d->progress.count < room; s = open_from(ep, s->link.next)) {
        channels__socket_doom(s, CHANNELS_DRAINED, 1012);
        d->progress.count++;
    }
    d->all_told = s == NULL;
    d->next = ep->now + d->options.interval_ms;
    channels__settle(ep);
    if (d->progress.count == 0)
        return;
    d->progress.index++;
    channels__drain_tells(ep);
    report(ep);
}

static bool all_gone(const channels_endpoint *ep)
{
    return ep->drain.begun && ep->clients == 0 && ep->ending == 0;
}

void channels__drain_run(channels_endpoint *ep)
{
    channels__drain *d = &ep->drain;
    if (d->progress.done)
        return;
    if (!d->begun)
        begin(ep);
    if (!d->all_told && (ep->now >= d->next || ep->now >= d->deadline))
        tell_batch(ep);
    if (!all_gone(ep))
        return;
    d->progress.count = 0;
    d->progress.done = true;
    report(ep);
}

uint64_t channels__drain_due(const channels_endpoint *ep)
{
    const channels__drain *d = &ep->drain;
    if (d->progress.done)
        return UINT64_MAX;
    if (all_gone(ep))
        return 0;
    if (d->all_told)
        return UINT64_MAX;
    return d->next < d->deadline ? d->next : d->deadline;
}
