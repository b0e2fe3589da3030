/* joins.c - how fast clients come and go: connects, joins, leaves and ends, by themselves. */
#include <stdio.h>

#include "bench/core/crowd.h"

typedef struct workload {
    unsigned clients, room_size;
    figures connect, join, leave, close, joins_per_s; /* ns each, but the last */
} workload;

static uint64_t timed(crowd *c, void (*fn)(crowd *c))
{
    uint64_t before = cpu_ns();
    fn(c);
    return cpu_ns() - before;
}

/* Small crowds come and go again and again. */
static void measure(workload *w, uint64_t work)
{
    unsigned times = (unsigned)(work > w->clients ? work / w->clients : 1);
    double n = (double)times * w->clients;
    uint64_t ns[4] = { 0 };
    const crowd_options options = { .size = w->clients, .room_size = w->room_size };
    crowd *c = crowd_new(&options);
    for (unsigned i = 0; i < times; i++) {
        ns[0] += timed(c, crowd_connect_all);
        ns[1] += timed(c, crowd_join_all);
        ns[2] += timed(c, crowd_leave_all);
        ns[3] += timed(c, crowd_close_all);
    }
    crowd_free(c);
    figures_add(&w->connect, (double)ns[0] / n);
    figures_add(&w->join, (double)ns[1] / n);
    figures_add(&w->leave, (double)ns[2] / n);
    figures_add(&w->close, (double)ns[3] / n);
    figures_add(&w->joins_per_s, n * 1e9 / (double)ns[1]);
}

static void report(workload *w)
{
    sheet_number(w->clients);
    sheet_number(w->room_size != 0 ? w->room_size : w->clients);
    sheet_figures(&w->connect);
    sheet_figures(&w->join);
    sheet_figures(&w->leave);
    sheet_figures(&w->close);
    sheet_figures(&w->joins_per_s);
}

void joins_measure(const scale *s)
{
    static const sheet_column columns[] = { { "clients", "clients", 0 },
                                            { "per_topic", "in one topic", 0 },
                                            { "connect_ns", "connect, ns", 0 },
                                            { "join_ns", "join, ns", 0 },
                                            { "leave_ns", "leave, ns", 0 },
                                            { "close_ns", "close, ns", 0 },
                                            { "joins_per_s", "joins a second", 0 },
                                            { 0 } };
    static const unsigned room_sizes[] = { 0, 100, 1 };
    workload all[16] = { 0 };
    unsigned n = 0;
    for (unsigned clients = 1000; clients <= s->clients; clients *= 10)
        for (unsigned i = 0; i < 3 && n < 16; i++)
            all[n++] = (workload){ .clients = clients, .room_size = room_sizes[i] };
    for (unsigned r = 0; r < s->rounds; r++) {
        bench_progress("joins: round %u of %u", r + 1, s->rounds);
        for (unsigned i = 0; i < n; i++)
            measure(&all[i], s->work / 4);
    }
    sheet_begin("joins", "Clients come and go: CPU of each step, and joins a second of CPU",
                columns);
    for (unsigned i = 0; i < n; i++)
        report(&all[i]);
    sheet_end();
}
