/* presence.c - presence of many in one topic: what a change costs, and what it costs to see all.
 *
 * What a change puts on the bus between nodes is bench-cluster's to count (../bus.c). */
#include <string.h>

#include "bench/core/crowd.h"

/* So often is each thing done for one sample; fewer times where there are many entries. */
static unsigned times_for(const scale *s, unsigned entries)
{
    uint64_t n = s->work / entries / 4;
    return n > 100 ? 100 : n < 3 ? 3 : (unsigned)n;
}

/* --- Entries, and nobody who looks ---------------------------------------------------------- */

typedef struct book {
    unsigned entries;
    figures track, untrack, list, count; /* ns each, list in ms */
} book;

static void is_listed(void *arg, channels_payload list)
{
    size_t *len = arg;
    *len = list.data != NULL ? list.len : 0;
}

static void list_them(const scale *s, book *b, crowd *c)
{
    unsigned n = times_for(s, b->entries);
    size_t len = 0;
    uint64_t before = cpu_ns();
    for (unsigned i = 0; i < n; i++)
        if (channels_presence_list(c->presence, FIRST_ROOM, is_listed, &len) != CHANNELS_OK ||
            len < b->entries)
            bench_fail("presences cannot be listed");
    figures_add(&b->list, (double)(cpu_ns() - before) / n / 1e6);
    before = cpu_ns();
    for (unsigned i = 0; i < 1000; i++)
        crowd_check_present(c, b->entries);
    figures_add(&b->count, (double)(cpu_ns() - before) / 1000);
}

static void keep_book(const scale *s, book *b)
{
    const crowd_options options = { .size = b->entries, .presence = true };
    crowd *c = crowd_new(&options);
    uint64_t before = cpu_ns();
    for (unsigned i = 0; i < b->entries; i++)
        crowd_track_owner(c, i);
    figures_add(&b->track, (double)(cpu_ns() - before) / b->entries);
    list_them(s, b, c);
    before = cpu_ns();
    for (unsigned i = 0; i < b->entries; i++)
        crowd_untrack_owner(c, c->order[i]);
    figures_add(&b->untrack, (double)(cpu_ns() - before) / b->entries);
    crowd_check_present(c, 0);
    crowd_free(c);
}

static void books(const scale *s)
{
    static const sheet_column columns[] = {
        { "entries", "entries", 0 },        { "track_ns", "track, ns", 0 },
        { "untrack_ns", "untrack, ns", 0 }, { "list_ms", "list all, ms", 2 },
        { "count_ns", "count, ns", 0 },     { 0 }
    };
    sheet_begin("presence", "Presences of one topic, with nobody in it: CPU of each", columns);
    for (unsigned entries = 1000; entries <= s->clients; entries *= 10) {
        book b = { .entries = entries };
        for (unsigned r = 0; r < s->rounds; r++) {
            bench_progress("presence: %u entries, round %u of %u", entries, r + 1, s->rounds);
            keep_book(s, &b);
        }
        sheet_number(entries);
        sheet_figures(&b.track);
        sheet_figures(&b.untrack);
        sheet_figures(&b.list);
        sheet_figures(&b.count);
    }
    sheet_end();
}

/* --- A room full of clients who are present ------------------------------------------------- */

typedef struct view {
    crowd *crowd;
    unsigned clients;      /* and a newcomer */
    figures change, state; /* ms each */
    figures each;          /* client who is told of a change, ns */
    size_t diff, whole;    /* bytes of the messages */
} view;

static void fill(view *v)
{
    const crowd_options options = { .size = v->clients, .presence = true, .shuffled = true };
    crowd *c = v->crowd = crowd_new(&options);
    crowd_connect_all(c);
    crowd_join_all(c);
    crowd_track_all(c);
    crowd_connect(c, v->clients);
    crowd_join(c, v->clients);
}

/* The newcomer becomes present and goes: a join and a leave that everybody is told of. */
static void change(const scale *s, view *v)
{
    crowd *c = v->crowd;
    unsigned n = times_for(s, v->clients);
    uint64_t told = 2 * (uint64_t)n * (v->clients + 1);
    crowd_expect(c, is_presence_diff);
    uint64_t before = cpu_ns();
    for (unsigned i = 0; i < n; i++) {
        crowd_track(c, v->clients);
        v->diff = c->wire_len;
        c->wire[0] = NULL;
        crowd_untrack(c, v->clients);
        c->wire[0] = NULL;
    }
    double ns = (double)(cpu_ns() - before);
    crowd_check(c, told);
    figures_add(&v->change, ns / (2 * n) / 1e6);
    figures_add(&v->each, ns / (double)told);
}

static void see_all(const scale *s, view *v)
{
    crowd *c = v->crowd;
    unsigned n = times_for(s, v->clients);
    crowd_expect(c, is_whole_presence_state);
    crowd_push_state(c, v->clients);
    crowd_check(c, 1);
    crowd_expect(c, is_presence_state);
    uint64_t before = cpu_ns();
    for (unsigned i = 0; i < n; i++)
        crowd_push_state(c, v->clients);
    figures_add(&v->state, (double)(cpu_ns() - before) / n / 1e6);
    crowd_check(c, n);
    v->whole = c->wire_len;
}

static void views(const scale *s)
{
    static const sheet_column columns[] = { { "clients", "clients", 0 },
                                            { "diff_bytes", "presence_diff, bytes", 0 },
                                            { "change_ms", "a change, ms", 3 },
                                            { "each_ns", "for each client, ns", 1 },
                                            { "state_bytes", "presence_state, bytes", 0 },
                                            { "state_ms", "to a newcomer, ms", 2 },
                                            { 0 } };
    sheet_begin("presence_room", "A topic whose clients are all present, and hear of each change",
                columns);
    for (unsigned clients = 1000; clients <= s->clients; clients *= 10) {
        view v = { .clients = clients };
        fill(&v);
        for (unsigned r = 0; r < s->rounds; r++) {
            bench_progress("presence: %u clients, round %u of %u", clients, r + 1, s->rounds);
            change(s, &v);
            see_all(s, &v);
        }
        crowd_check_present(v.crowd, clients);
        crowd_free(v.crowd);
        sheet_number(clients);
        sheet_number((double)v.diff);
        sheet_figures(&v.change);
        sheet_figures(&v.each);
        sheet_number((double)v.whole);
        sheet_figures(&v.state);
    }
    sheet_end();
}

void presence_measure(const scale *s)
{
    books(s);
    views(s);
}
