/* subscribe.c - what it costs to listen and to stop, by how many others do.
 *
 * Three kinds of listeners of one topic: channels of it (phx_join, phx_leave), channels of another
 * topic (channels_subscribe) and functions (channels_pubsub_subscribe). "The same": one client goes
 * and comes again and again, and all it needs is in the caches. "Anybody": each time another one,
 * at a place nobody foresees. */
#include <stdlib.h>

#include "bench/core/crowd.h"

#define NEWS "news"

typedef enum { JOIN, CHANNEL, FUNCTION, KINDS } kind;

typedef struct workload {
    kind kind;
    unsigned others;
    crowd *crowd;
    channels_subscription *subs;
    unsigned at;
    figures same, anybody; /* ns for both, going and coming */
} workload;

/* --- Coming and going ----------------------------------------------------------------------- */

static void heard(void *arg, const channels_msg *msg)
{
    crowd *c = arg;
    (void)msg;
    c->answers++;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int on_broadcast(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch;
    heard(user, msg);
    return CHANNELS_OK;
}

static const channels_handler listener = { .join = on_join, .handle_broadcast = on_broadcast };

static void subscribe(channels_channel *ch, void *arg)
{
    (void)arg;
    if (channels_subscribe(ch, NEWS) != CHANNELS_OK)
        bench_fail("a channel cannot subscribe");
}

static void unsubscribe(channels_channel *ch, void *arg)
{
    (void)arg;
    channels_unsubscribe(ch, NEWS);
}

static void come(workload *w, unsigned i)
{
    crowd *c = w->crowd;
    if (w->kind == JOIN)
        crowd_join(c, i);
    else if (w->kind == CHANNEL)
        crowd_with_channel(c, i, subscribe, NULL);
    else if (channels_pubsub_subscribe(c->ep, NEWS, heard, c, &w->subs[i]) != CHANNELS_OK)
        bench_fail("a function cannot subscribe");
}

static void go(workload *w, unsigned i)
{
    if (w->kind == JOIN)
        crowd_leave(w->crowd, i);
    else if (w->kind == CHANNEL)
        crowd_with_channel(w->crowd, i, unsubscribe, NULL);
    else
        channels_pubsub_unsubscribe(w->crowd->ep, w->subs[i]);
}

/* --- Measuring ------------------------------------------------------------------------------ */

/* The listeners are the others and one who comes and goes. */
static void open_workload(workload *w)
{
    const crowd_options options = { .size = w->others + 1, .handler = &listener };
    w->crowd = crowd_new(&options);
    w->subs = bench_alloc(options.size, sizeof *w->subs);
    if (w->kind != FUNCTION)
        crowd_connect_all(w->crowd);
    if (w->kind == CHANNEL)
        crowd_join_all(w->crowd);
    for (unsigned i = 0; i < options.size; i++)
        come(w, i);
}

static void the_same(workload *w, unsigned n)
{
    unsigned i = w->others / 2;
    for (; n != 0; n--) {
        go(w, i);
        come(w, i);
    }
}

static void anybody(workload *w, unsigned n)
{
    for (; n != 0; n--) {
        unsigned i = w->crowd->order[w->at++ % w->crowd->options.size];
        go(w, i);
        come(w, i);
    }
}

static double timed(workload *w, void (*fn)(workload *w, unsigned n), unsigned n)
{
    fn(w, n / 10 + 1);
    uint64_t before = cpu_ns();
    fn(w, n);
    return (double)(cpu_ns() - before) / n;
}

/* Whoever listens hears what is said once. */
static void check(workload *w)
{
    crowd *c = w->crowd;
    if (w->kind == JOIN) {
        crowd_payload(c, 64);
        crowd_say(c, 1);
        return;
    }
    c->answers = 0;
    if (channels_pubsub_broadcast(c->ep, NEWS, "say", channels_empty()) != CHANNELS_OK ||
        c->answers != w->others + 1)
        bench_fail("of %u listeners %u hear a message", w->others + 1, (unsigned)c->answers);
}

static void close_workload(workload *w)
{
    check(w);
    crowd_free(w->crowd);
    free(w->subs);
}

/* --- The table ------------------------------------------------------------------------------ */

static void report(workload *w)
{
    static const char *const names[KINDS] = { "a client joins", "a channel subscribes",
                                              "a function subscribes" };
    sheet_text(names[w->kind]);
    sheet_number(w->others);
    sheet_figures(&w->same);
    sheet_figures(&w->anybody);
}

void subscribe_measure(const scale *s)
{
    static const sheet_column columns[] = { { "kind", "who comes and goes", 0 },
                                            { "others", "among others", 0 },
                                            { "same_ns", "the same, ns", 0 },
                                            { "anybody_ns", "anybody, ns", 0 },
                                            { 0 } };
    workload all[3 * KINDS] = { 0 };
    unsigned n = 0;
    for (kind k = 0; k < KINDS; k++)
        for (unsigned others = 1; others <= s->clients && n < 3 * KINDS; others *= 1000)
            all[n++] = (workload){ .kind = k, .others = others };
    sheet_begin("subscribe", "To stop listening to a topic and begin again: CPU of both", columns);
    for (unsigned i = 0; i < n; i++) {
        bench_progress("subscribe: %u of %u", i + 1, n);
        open_workload(&all[i]);
        for (unsigned r = 0; r < s->rounds; r++) {
            figures_add(&all[i].same, timed(&all[i], the_same, (unsigned)s->work / 10));
            figures_add(&all[i].anybody, timed(&all[i], anybody, (unsigned)s->work / 10));
        }
        close_workload(&all[i]);
        report(&all[i]);
    }
    sheet_end();
}
