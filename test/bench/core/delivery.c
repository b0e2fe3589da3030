/* delivery.c - what a delivery costs, by how many clients there are. */
#include "bench/core/crowd.h"

#define PAYLOAD 64

typedef struct workload {
    crowd *crowd;
    figures all, look; /* ns a delivery */
} workload;

static workload open_workload(unsigned clients, bool shuffled, unsigned room_size)
{
    const crowd_options options = { .size = clients, .shuffled = shuffled, .room_size = room_size };
    workload w = { .crowd = crowd_new(&options) };
    crowd_connect_all(w.crowd);
    crowd_join_all(w.crowd);
    crowd_payload(w.crowd, PAYLOAD);
    return w;
}

/* ns of CPU a delivery, in as many messages as make the sample's work. The first is not counted:
 * it fetches what the workload before has put out of the caches. */
static double timed(crowd *c, void (*fn)(crowd *c, unsigned n), unsigned heard_by, uint64_t work)
{
    unsigned n = (unsigned)(work > heard_by ? work / heard_by : 1);
    fn(c, 1);
    uint64_t before = cpu_ns();
    fn(c, n);
    return (double)(cpu_ns() - before) / ((double)n * heard_by);
}

static void measure(workload *w, uint64_t work)
{
    unsigned room_size = w->crowd->options.room_size, size = w->crowd->options.size;
    figures_add(&w->all, timed(w->crowd, crowd_say, room_size != 0 ? room_size : size, work));
    if (room_size == 0)
        figures_add(&w->look, timed(w->crowd, crowd_look, size, work));
}

static void close_workload(workload *w)
{
    crowd_free(w->crowd);
}

/* --- One topic ------------------------------------------------------------------------------ */

static const sheet_column columns[] = { { "clients", "clients", 0 },
                                        { "all_ns", "a delivery, ns", 1 },
                                        { "walk_ns", "a bare walk, ns", 1 },
                                        { 0 } };

static void one_topic(const scale *s, bool shuffled, const char *name, const char *title)
{
    workload w[10];
    unsigned n = 0;
    for (unsigned clients = 1; clients <= s->clients && n < 10; clients *= 10)
        w[n++] = open_workload(clients, shuffled, 0);
    for (unsigned r = 0; r < s->rounds; r++) {
        bench_progress("%s: round %u of %u", name, r + 1, s->rounds);
        for (unsigned i = 0; i < n; i++)
            measure(&w[i], 2 * s->work);
    }
    sheet_begin(name, title, columns);
    for (unsigned i = 0; i < n; i++) {
        sheet_number(w[i].crowd->options.size);
        sheet_figures(&w[i].all);
        sheet_figures(&w[i].look);
        close_workload(&w[i]);
    }
    sheet_end();
}

/* --- Many topics ---------------------------------------------------------------------------- */

#define ROOM 100

static void many_topics(const scale *s)
{
    static const sheet_column many_columns[] = { { "clients", "clients", 0 },
                                                 { "topics", "topics", 0 },
                                                 { "all_ns", "a delivery, ns", 1 },
                                                 { 0 } };
    workload w[10];
    unsigned n = 0;
    for (unsigned clients = ROOM; clients <= s->clients && n < 10; clients *= 10)
        w[n++] = open_workload(clients, true, ROOM);
    for (unsigned r = 0; r < s->rounds; r++) {
        bench_progress("delivery_topics: round %u of %u", r + 1, s->rounds);
        for (unsigned i = 0; i < n; i++)
            measure(&w[i], s->work);
    }
    sheet_begin("delivery_topics", "A delivery in topics of 100 clients each, one after another",
                many_columns);
    for (unsigned i = 0; i < n; i++) {
        sheet_number(w[i].crowd->options.size);
        sheet_number(crowd_rooms(w[i].crowd));
        sheet_figures(&w[i].all);
        close_workload(&w[i]);
    }
    sheet_end();
}

void delivery_measure(const scale *s)
{
    one_topic(s, false, "delivery",
              "A delivery in one topic, whose clients lie in memory as they "
              "joined");
    one_topic(s, true, "delivery_shuffled",
              "A delivery in one topic, whose clients lie anywhere in "
              "memory");
    many_topics(s);
}
