/* workloads.c - what is measured: see net.h. The targets have names and sizes of their own, the
 * others are made in rows. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/net/net.h"

#define WARMUP 0.3
#define SPARE_FILES 1000 /* that are not clients */
#define CROWD_MAX 100000 /* no more, wherever there may be */
#define RATE 50          /* publishes a second to 1000 clients: below what any server can */

workload workloads[64];
unsigned workload_count;

static const struct {
    const char *name, *title;
    yardstick yardstick;
    double goal, rival;
    load_mode mode;
    unsigned clients, topics, publishers, window;
} targets[] = {
    { "fanout-1k-w1", "fan-out, 1 000 clients, 1 in flight", OF_LIMIT, 1.05, 0.99, LOAD_FANOUT,
      1000, 1, 1, 1 },
    { "fanout-1k", "fan-out, 1 000 clients, 4 in flight", OF_BATCH, 1.05, 1.06, LOAD_FANOUT, 1000,
      1, 1, 4 },
    { "fanout-100topics", "fan-out, 100 topics, 100 publishers", OF_BATCH, 1.10, 1.04, LOAD_FANOUT,
      1000, 100, 100, 4 },
    { "fanout-10k", "fan-out, 10 000 clients", OF_BATCH, 1.05, 0.98, LOAD_FANOUT, 10000, 1, 1, 4 },
    { "echo-w1", "echo, 100 clients, 1 in flight", OF_LIMIT, 1.10, 1.03, LOAD_ECHO, 100, 1, 1, 1 },
    { "echo-w16", "echo, 100 clients, 16 in flight", OF_BATCH, 2.0, 0.97, LOAD_ECHO, 100, 1, 1,
      16 },
    { "churn-64", "connect, join, push, leave, close", OF_LIMIT, 1.25, 1.07, LOAD_CHURN, 64, 1, 1,
      1 },
    { "idle", "memory of an idle joined client, B", BYTES, 460, 460, LOAD_IDLE, 19000, 1, 1, 1 },
};

/* --- Rows ----------------------------------------------------------------------------------- */

static workload *add(net_part part, load_options options)
{
    workload *w = &workloads[workload_count++];
    if (workload_count > sizeof workloads / sizeof *workloads)
        bench_fail("too many workloads");
    *w = (workload){ .part = part, .options = options };
    return w;
}

static void call(workload *w, const char *name, const char *title)
{
    snprintf(w->name, sizeof w->name, "%s", name);
    snprintf(w->title, sizeof w->title, "%s", title);
}

/* One whose clients are its name. */
static void add_size(net_part part, const char *name, load_options options, unsigned clients)
{
    options.clients = clients;
    workload *w = add(part, options);
    snprintf(w->name, sizeof w->name, "%s-%u", name, clients);
    snprintf(w->title, sizeof w->title, "%u clients", clients);
}

static void add_targets(void)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        load_options o = LOAD_DEFAULTS;
        o.mode = targets[i].mode;
        o.clients = targets[i].clients;
        o.topics = targets[i].topics;
        o.publishers = targets[i].publishers;
        o.window = targets[i].window;
        workload *w = add(TARGETS, o);
        call(w, targets[i].name, targets[i].title);
        w->yardstick = targets[i].yardstick;
        w->goal = targets[i].goal;
        w->rival = targets[i].rival;
    }
}

static void add_window(unsigned topics, unsigned payload, unsigned window)
{
    load_options o = LOAD_DEFAULTS;
    o.clients = 1000;
    o.topics = o.publishers = topics;
    o.payload = payload;
    o.window = window;
    workload *w = add(WINDOWS, o);
    snprintf(w->name, sizeof w->name, "window-%u-%ub-%ut", window, payload, topics);
    snprintf(w->title, sizeof w->title, "%u topic%s, %u B, %u in flight", topics,
             topics > 1 ? "s" : "", payload, window);
}

static void add_windows(void)
{
    static const unsigned windows[] = { 1, 4, 16 }, payloads[] = { 64, 1024, 16384 };
    for (unsigned topics = 1; topics <= 100; topics += 99)
        for (unsigned p = 0; p < 3; p++)
            for (unsigned i = 0; i < 3; i++)
                add_window(topics, payloads[p], windows[i]);
}

static void add_crowds(unsigned most)
{
    static const unsigned sizes[] = { 10, 100, 1000, 10000 };
    const load_options o = LOAD_DEFAULTS;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] < most; i++)
        add_size(CROWD, "clients", o, sizes[i]);
    add_size(CROWD, "clients", o, most > CROWD_MAX ? CROWD_MAX : most);
}

static void add_joins(void)
{
    load_options o = LOAD_DEFAULTS;
    o.mode = LOAD_REJOIN;
    call(add(JOINS, o), "rejoin", "leave and join, 100 clients");
    o.mode = LOAD_IDLE;
    o.clients = 10000;
    call(add(JOINS, o), "join", "connect and join, 10 000 clients");
}

static void add_longpolls(void)
{
    load_options o = LOAD_DEFAULTS;
    o.longpoll = true;
    o.clients = 1000;
    call(add(LONGPOLL, o), "longpoll-fanout", "fan-out to 1 000 held polls, 4 in flight");
    o.mode = LOAD_ECHO;
    o.clients = 100;
    o.window = 1;
    call(add(LONGPOLL, o), "longpoll-echo", "POST and its reply by a poll, 100 clients");
}

static void add_memories(unsigned most)
{
    static const unsigned sizes[] = { 1000, 5000, 10000 };
    load_options o = LOAD_DEFAULTS;
    o.mode = LOAD_IDLE;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] < most; i++)
        add_size(MEMORY, "memory", o, sizes[i]);
    add_size(MEMORY, "memory", o, most > CROWD_MAX ? CROWD_MAX : most);
}

static void add_latencies(void)
{
    load_options o = LOAD_DEFAULTS;
    o.clients = 1000;
    call(add(LATENCY, o), "latency-full", "4 publishes always on their way");
    o.rate = RATE;
    o.window = 1000;
    call(add(LATENCY, o), "latency-rate", "50 publishes a second");
}

/* --- Choosing ------------------------------------------------------------------------------- */

static bool wanted(const workload *w, const scale *s)
{
    static const char *const quick = "rejoin window-4-16384b-100t longpoll-* latency-rate";
    const char *only = s->only != NULL ? s->only : quick;
    bool found = s->only == NULL && (!s->quick || w->part == TARGETS);
    char *list = strdup(only), *rest = NULL;
    for (char *word = strtok_r(list, " ,", &rest); word != NULL; word = strtok_r(NULL, " ,", &rest))
        found |= fnmatch(word, w->name, 0) == 0;
    free(list);
    return found;
}

static void choose(const scale *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < workload_count; i++)
        if (wanted(&workloads[i], s))
            workloads[n++] = workloads[i];
    workload_count = n;
    if (n == 0)
        bench_fail("there is no workload named %s", s->only);
}

static void make_quick(workload *w)
{
    load_options *o = &w->options;
    o->clients = o->clients < 30 ? o->clients : 30;
    o->topics = o->topics < 5 ? o->topics : 5;
    o->publishers = o->publishers < 5 ? o->publishers : 5;
    o->warmup = 0.01;
    o->duration = 0.05;
    w->rounds = 1;
}

/* What is only held, or gathered, need not be held for long. */
static void set_times(workload *w, const scale *s)
{
    w->rounds = w->part == TARGETS ? s->rounds : (s->rounds + 2) / 3;
    w->options.warmup = WARMUP;
    w->options.duration = w->part == TARGETS ? s->duration : s->duration / 2;
    if (w->options.mode == LOAD_IDLE)
        w->options.duration = 0.1;
}

static void fit(workload *w, unsigned most)
{
    if (w->options.clients <= most)
        return;
    report_line("%s: %u clients instead of %u, for only so many files may be open (ulimit -n).",
                w->name, most, w->options.clients);
    w->options.clients = most;
}

void workloads_begin(const scale *s)
{
    unsigned most = s->files > 2 * SPARE_FILES ? s->files - SPARE_FILES : s->files / 2;
    add_targets();
    add_windows();
    add_crowds(most);
    add_joins();
    add_longpolls();
    add_memories(most);
    add_latencies();
    choose(s);
    for (unsigned i = 0; i < workload_count; i++) {
        set_times(&workloads[i], s);
        if (s->quick)
            make_quick(&workloads[i]);
        fit(&workloads[i], most);
    }
}

/* `limit` does not speak long polls, and guests need not. */
bool workload_is_for(const workload *w, unsigned which)
{
    return which == OURS || !w->options.longpoll;
}
