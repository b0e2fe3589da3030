/* work.c - what reaches a channel by its mailbox: queued broadcasts, infos, timers. */
#include <cjson/cJSON.h>

#include "core/core.h"

/* --- Queued work -------------------------------------------------------------------------- */

static void run_event(channels_channel *ch, const char *name, channels__callback *fn,
                      channels__event *event)
{
    if (ch->state == CHANNELS__ENDED || fn == NULL)
        return;
    channels__hand hand = { .msg = event->msg, .channel = ch, .what = CHANNELS__HAND_EVENT };
    channels__channel_heed(ch, name, channels__channel_call(ch, fn, &hand));
}

static void run_info(channels_channel *ch, void *info, void (*drop)(void *info))
{
    const channels_handler *h = ch->route->handler;
    if (ch->state != CHANNELS__ENDED && h->handle_info != NULL)
        channels__channel_heed(ch, "handle_info", h->handle_info(ch, info, channels__user(ch)));
    else if (drop != NULL)
        drop(info);
}

static void run_function(channels__subscriber *sub, channels__event *event)
{
    channels__hand hand = { .msg = event->msg, .what = CHANNELS__HAND_EVENT };
    if (sub->to.function.slot != 0)
        sub->to.function.fn(sub->to.function.arg, &hand.msg);
    cJSON_Delete(hand.tree);
}

static void run(const channels__work *w)
{
    channels_channel *ch = w->to.channel;
    switch (w->kind) {
    case CHANNELS__WORK_OUT:
        run_event(ch, "handle_out", ch->route->handler->handle_out, w->event);
        break;
    case CHANNELS__WORK_EXTRA:
        run_event(ch, "handle_broadcast", ch->route->handler->handle_broadcast, w->event);
        break;
    case CHANNELS__WORK_FUNCTION: run_function(w->to.function, w->event); break;
    case CHANNELS__WORK_INFO: run_info(ch, w->info, w->drop); break;
    case CHANNELS__WORK_STOP: channels__channel_finish(ch, CHANNELS_STOPPED); break;
    case CHANNELS__WORK_ADMITTED: channels__join_admitted(ch); break;
    case CHANNELS__WORK_REFUSED: channels__join_refused(ch); break;
    }
}

static void release(channels_endpoint *ep, const channels__work *w)
{
    if (w->event != NULL)
        channels__event_unref(w->event);
    if (w->kind == CHANNELS__WORK_FUNCTION)
        channels__subscriber_unpin(ep, w->to.function);
    else
        w->to.channel->pins--;
}

void channels__channel_work(channels_endpoint *ep, channels__work *work)
{
    run(work);
    release(ep, work);
}

void channels__work_drop(channels_endpoint *ep, channels__work *work)
{
    if (work->drop != NULL)
        work->drop(work->info);
    if (work->kind == CHANNELS__WORK_ADMITTED || work->kind == CHANNELS__WORK_REFUSED)
        channels__held_end(work->to.channel);
    release(ep, work);
}

/* --- Timers and infos --------------------------------------------------------------------- */

int channels__channel_info(channels_channel *ch, void *info, void (*drop)(void *info))
{
    channels__work work = {
        .kind = CHANNELS__WORK_INFO, .to.channel = ch, .info = info, .drop = drop
    };
    if (!channels__queue_push(&ch->socket->ep->queue, &work))
        return CHANNELS_ERR_NOMEM;
    ch->pins++;
    return CHANNELS_OK;
}

static void timer_free(channels__timer *t)
{
    channels_endpoint *ep = t->channel->socket->ep;
    channels__socket_undefer(t->channel->socket, 0);
    channels__free(&ep->mem, t, sizeof *t);
}

void channels__timers_end(channels_channel *ch)
{
    channels__aside *aside = ch->aside;
    while (aside != NULL && aside->timers != NULL) {
        channels__timer *t = aside->timers;
        aside->timers = t->next;
        channels__heap_remove(&ch->socket->ep->timers, &t->node);
        if (t->drop != NULL)
            t->drop(t->info);
        timer_free(t);
    }
}

static int start_timer(channels_channel *ch, uint32_t ms, void *info, void (*drop)(void *info),
                       channels_timer *timer)
{
    channels_endpoint *ep = ch->socket->ep;
    channels__aside *aside = channels__channel_aside(ch);
    channels__timer *t = aside != NULL ? channels__zalloc(&ep->mem, sizeof *t) : NULL;
    if (t == NULL)
        return CHANNELS_ERR_NOMEM;
    t->channel = ch;
    t->info = info;
    t->drop = drop;
    t->id = ++ep->timer_ids;
    t->node.due = ep->now + ms;
    if (!channels__heap_insert(&ep->timers, &t->node)) {
        channels__free(&ep->mem, t, sizeof *t);
        return CHANNELS_ERR_NOMEM;
    }
    t->next = aside->timers;
    aside->timers = t;
    if (timer != NULL)
        timer->id = t->id;
    return CHANNELS_OK;
}

static int info_after(channels_channel *ch, uint32_t ms, void *info, void (*drop)(void *info),
                      channels_timer *timer)
{
    if (timer != NULL)
        timer->id = 0;
    if (ch->state >= CHANNELS__TERMINATING)
        return CHANNELS_ERR_CLOSED;
    if (ms == 0)
        return channels__channel_info(ch, info, drop);
    if (!channels__socket_defer(ch->socket, 0))
        return CHANNELS_ERR_LIMIT;
    int err = start_timer(ch, ms, info, drop, timer);
    if (err != CHANNELS_OK)
        channels__socket_undefer(ch->socket, 0);
    return err;
}

int channels_info_after(channels_channel *ch, uint32_t ms, void *info, void (*drop)(void *info),
                        channels_timer *timer)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_info_after"))
        return CHANNELS_ERR_MISUSE;
    int err = info_after(ch, ms, info, drop, timer);
    channels__leave(ep);
    return err;
}

static void unlist_timer(channels__timer *t)
{
    channels__timer **at = &t->channel->aside->timers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    channels__heap_remove(&t->channel->socket->ep->timers, &t->node);
}

static int stop_timer(channels_channel *ch, channels_timer timer)
{
    channels__timer *t = ch->aside != NULL ? ch->aside->timers : NULL;
    while (t != NULL && t->id != timer.id)
        t = t->next;
    if (t == NULL)
        return CHANNELS_ERR_CLOSED;
    unlist_timer(t);
    if (t->drop != NULL)
        t->drop(t->info);
    timer_free(t);
    return CHANNELS_OK;
}

int channels_timer_stop(channels_channel *ch, channels_timer timer)
{
    channels_endpoint *ep = ch->socket->ep;
    if (!channels__enter(ep, "channels_timer_stop"))
        return CHANNELS_ERR_MISUSE;
    int err = stop_timer(ch, timer);
    channels__leave(ep);
    return err;
}

void channels__channel_fire(channels__timer *t)
{
    channels_channel *ch = t->channel;
    void *info = t->info;
    void (*drop)(void *) = t->drop;
    unlist_timer(t);
    timer_free(t);
    run_info(ch, info, drop);
}
