/* fanout.c - clients that publish, and all who have to hear it: see client.h.
 *
 * A publisher has so many publishes on their way at most: one is until each client of its topic has
 * heard it. Or it publishes by a timetable, whatever has been heard; times of delivery then run
 * from when the timetable said, so that a server that lets it wait is not flattered. */
#include <stdlib.h>

#include "bench/load/client.h"

#define STUCK_NS 5000000000u
#define TICK_NS 100000000u

/* --- Publishing ----------------------------------------------------------------------------- */

static void publish(publisher *p, uint64_t now)
{
    static bytes line;
    said s = { p->client->index, ++p->sent, now - load.epoch_ns };
    p->window[s.number % load.o.window].number = p->sent;
    p->window[s.number % load.o.window].left = p->client->topic->joined;
    line.len = 0;
    message_push(&line, p->client, "new_msg", &s);
    load_published(1);
    load.carrier->say(p->client, (char *)line.p, line.len);
}

static void fill_window(publisher *p)
{
    while (load_talks() && p->sent - p->done - p->given_up < load.o.window)
        publish(p, machine_ns());
}

static void begin(void)
{
    for (unsigned i = 0; i < load.o.publishers; i++) {
        publisher *p = &load.publishers[i];
        p->progress_ns = machine_ns();
        if (load.o.rate > 0)
            p->next_ns = p->progress_ns + (uint64_t)(1e9 * i / load.o.rate);
        else
            fill_window(p);
    }
}

/* A delivery that is lost must not stop its publisher for good. */
static uint64_t look_after(publisher *p, uint64_t now)
{
    if (now < p->progress_ns + STUCK_NS)
        return now + TICK_NS;
    load.r->faults.stuck++;
    p->given_up = p->sent - p->done;
    p->progress_ns = now;
    fill_window(p);
    return now + TICK_NS;
}

static uint64_t follow_timetable(publisher *p, uint64_t now)
{
    for (; p->next_ns <= now; p->next_ns += (uint64_t)(1e9 * load.o.publishers / load.o.rate))
        publish(p, p->next_ns);
    return p->next_ns;
}

static uint64_t turn(uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < load.o.publishers; i++) {
        publisher *p = &load.publishers[i];
        uint64_t its = load.o.rate > 0 ? follow_timetable(p, now) : look_after(p, now);
        if (its < next)
            next = its;
    }
    return next;
}

/* --- Hearing -------------------------------------------------------------------------------- */

static void on_broadcast(client *c, const said *s, uint64_t now)
{
    if (s->by >= load.o.publishers || load.publishers[s->by].client->topic != c->topic) {
        load.r->faults.bad++;
        return;
    }
    publisher *p = &load.publishers[s->by];
    load_check_order(&c->last[s->by / load.o.topics], s->number);
    load_delivered(s->ns + load.epoch_ns, now);
    size_t at = s->number % load.o.window;
    if (p->window[at].number != s->number || --p->window[at].left != 0)
        return;
    p->done++;
    p->progress_ns = now;
    if (load.o.rate <= 0)
        fill_window(p);
}

const manners manners_fanout = { .begin = begin, .turn = turn, .broadcast = on_broadcast };

/* --- Publishers ----------------------------------------------------------------------------- */

void publishers_begin(void)
{
    load.publishers = bench_alloc(load.o.publishers, sizeof *load.publishers);
    for (unsigned i = 0; i < load.o.publishers; i++) {
        load.publishers[i].client = &load.clients[i];
        load.publishers[i].window = bench_alloc(load.o.window, sizeof *load.publishers[i].window);
    }
    for (unsigned i = 0; i < load.o.clients; i++)
        load.clients[i].last =
            bench_alloc(load.clients[i].topic->publishers + 1, sizeof *load.clients[i].last);
}

void publishers_end(void)
{
    for (unsigned i = 0; i < load.o.publishers; i++)
        free(load.publishers[i].window);
    free(load.publishers);
}

uint64_t publishers_expect(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < load.o.publishers; i++)
        sum += (uint64_t)load.publishers[i].sent * load.publishers[i].client->topic->joined;
    return sum;
}
