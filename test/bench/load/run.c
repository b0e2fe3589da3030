/* run.c - one run from the first connection to the sums: see load.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/client.h"

#define CONNECTING_MAX 256       /* at once */
#define PATIENCE_NS 10000000000u /* without anybody who joins */
#define SOON_NS 200000000u
#define TICK_NS 1000000u

const char *const load_mode_names[LOAD_MODES] = { "fanout", "echo", "idle", "churn", "rejoin" };

load_state load;

/* --- What is counted ------------------------------------------------------------------------ */

bool load_talks(void)
{
    return load.phase == WARMING || load.phase == MEASURING;
}

void load_published(unsigned count)
{
    load.r->published += count;
    if (load.phase == MEASURING)
        load.r->published_then += count;
}

void load_delivered(uint64_t since_ns, uint64_t now)
{
    load.r->delivered++;
    if (load.phase != MEASURING)
        return;
    load.r->delivered_then++;
    histogram_add(&load.r->latency, now - since_ns);
}

void load_check_order(uint32_t *last, uint64_t number)
{
    load_faults *f = &load.r->faults;
    if (number > *last) {
        f->gaps += number - *last - 1;
        *last = (uint32_t)number;
    } else if (number == *last) {
        f->duplicated++;
    } else {
        f->out_of_order++;
    }
}

static bool is_faultless(void)
{
    static const load_faults none;
    return memcmp(&load.r->faults, &none, sizeof none) == 0;
}

static uint64_t expected(void)
{
    return load.o.mode == LOAD_FANOUT ? publishers_expect() : load.r->published;
}

/* --- The server ----------------------------------------------------------------------------- */

typedef struct moment {
    uint64_t ns, server_ns, own_ns;
    double user_s, system_s;
    machine_load all;
} moment;

static uint64_t server_ns(void)
{
    return load.o.server != 0 ? machine_cpu_ns(machine_cpu_clock_of(load.o.server)) : 0;
}

static moment look(void)
{
    moment m = { .ns = machine_ns(),
                 .server_ns = server_ns(),
                 .own_ns = machine_cpu_ns(CLOCK_PROCESS_CPUTIME_ID) };
    machine_cpu_split(load.o.server, &m.user_s, &m.system_s);
    m.all = machine_load_now(m.server_ns);
    return m;
}

static void note_window(const moment *a, const moment *b)
{
    load.r->window_s = (double)(b->ns - a->ns) / 1e9;
    load.r->cpu_s = (double)(b->server_ns - a->server_ns) / 1e9;
    load.r->own_s = (double)(b->own_ns - a->own_ns) / 1e9;
    load.r->user_s = b->user_s - a->user_s;
    load.r->system_s = b->system_s - a->system_s;
    load.r->others = machine_load_of_others(a->all, b->all);
}

/* --- The phases ----------------------------------------------------------------------------- */

static void pass(double seconds)
{
    uint64_t until = machine_ns() + (uint64_t)(seconds * 1e9);
    for (uint64_t now = machine_ns(); now < until; now = machine_ns()) {
        uint64_t next = until;
        if (load_talks() && load.manners->turn != NULL)
            next = load.manners->turn(now);
        streams_turn(next < until ? next : until);
    }
}

static unsigned open_more(unsigned opened)
{
    for (; opened < load.o.clients && load.connecting < CONNECTING_MAX; load.connecting++)
        client_open(&load.clients[opened++]);
    return opened;
}

/* Until all have joined. */
static void gather(void)
{
    uint64_t begin = machine_ns(), cpu = server_ns(), progress = begin;
    unsigned joined = 0, opened = 0;
    while (load.r->joined + load.failed < load.o.clients) {
        opened = open_more(opened);
        streams_turn(machine_ns() + TICK_NS);
        if (load.r->joined != joined)
            progress = machine_ns();
        joined = load.r->joined;
        if (machine_ns() - progress > PATIENCE_NS)
            break;
    }
    load.r->connect_s = (double)(machine_ns() - begin) / 1e9;
    load.r->connect_cpu_s = (double)(server_ns() - cpu) / 1e9;
}

static void measure(void)
{
    load.phase = WARMING;
    if (load.manners->begin != NULL)
        load.manners->begin();
    pass(load.o.warmup);
    load.phase = MEASURING;
    moment before = look();
    pass(load.o.duration);
    moment after = look();
    note_window(&before, &after);
}

/* What is on its way arrives. Once a fault is known only what comes soon is waited for. */
static void drain(void)
{
    uint64_t until = machine_ns() + (uint64_t)(load.o.drain * 1e9), heard = 0, progress = 0;
    load.phase = DRAINING;
    while (load.r->delivered < expected() && machine_ns() < until) {
        if (load.r->delivered != heard)
            progress = machine_ns();
        if (!is_faultless() && machine_ns() - progress > SOON_NS)
            break;
        heard = load.r->delivered;
        pass(1e-3);
    }
    pass(1e-3); /* what comes twice */
    load.r->expected = expected();
    uint64_t once = load.r->delivered - load.r->faults.duplicated;
    load.r->faults.lost = load.r->expected > once ? load.r->expected - once : 0;
}

/* --- A run ---------------------------------------------------------------------------------- */

static void begin(const load_options *o, load_result *r)
{
    static const manners *const all[LOAD_MODES] = { &manners_fanout, &manners_echo, &manners_idle,
                                                    &manners_churn, &manners_rejoin };
    *r = (load_result){ 0 };
    load = (load_state){ .o = *o,
                         .r = r,
                         .manners = all[o->mode],
                         .carrier = o->longpoll ? &carrier_longpoll : &carrier_websocket,
                         .epoch_ns = machine_ns() };
    if (load.o.path == NULL)
        load.o.path = "/socket";
    if (load.o.publishers > load.o.clients)
        load.o.publishers = load.o.clients;
    streams_begin();
    topics_begin();
    clients_begin();
    publishers_begin();
}

static void end(void)
{
    clients_end();
    publishers_end();
    topics_end();
    streams_end();
}

/* With churn nobody is there to begin with. */
static void attend(void)
{
    load.r->rss_before = machine_rss(load.o.server);
    if (load.o.mode == LOAD_CHURN)
        load.r->joined = load.o.clients;
    else
        gather();
    if (load.r->joined < load.o.clients)
        return;
    pass(load.o.warmup);
    load.r->rss_joined = machine_rss(load.o.server);
    measure();
    load.r->rss_end = machine_rss(load.o.server);
    drain();
}

void load_run(const load_options *o, load_result *r)
{
    begin(o, r);
    attend();
    if (r->joined < o->clients && is_faultless())
        r->faults.stuck = o->clients - r->joined;
    end();
}

/* --- What it says --------------------------------------------------------------------------- */

bool load_is_clean(const load_result *r)
{
    static const load_faults none;
    return memcmp(&r->faults, &none, sizeof none) == 0;
}

double load_cpu_us(const load_options *o, const load_result *r)
{
    if (o->mode == LOAD_IDLE)
        return r->joined != 0 ? r->connect_cpu_s * 1e6 / r->joined : 0;
    return r->delivered_then != 0 ? r->cpu_s * 1e6 / (double)r->delivered_then : 0;
}

static void add_workload(cJSON *json, const load_options *o)
{
    cJSON_AddStringToObject(json, "mode", load_mode_names[o->mode]);
    cJSON_AddBoolToObject(json, "longpoll", o->longpoll);
    cJSON_AddNumberToObject(json, "clients", o->clients);
    cJSON_AddNumberToObject(json, "topics", o->topics);
    cJSON_AddNumberToObject(json, "publishers", o->publishers);
    cJSON_AddNumberToObject(json, "payload", o->payload);
    cJSON_AddNumberToObject(json, "window", o->window);
    cJSON_AddNumberToObject(json, "rate", o->rate);
}

static void add_counts(cJSON *json, const load_result *r)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = { { "joined", r->joined },
                   { "published", r->published },
                   { "expected", r->expected },
                   { "delivered", r->delivered },
                   { "lost", r->faults.lost },
                   { "duplicated", r->faults.duplicated },
                   { "out_of_order", r->faults.out_of_order },
                   { "gaps", r->faults.gaps },
                   { "bad", r->faults.bad },
                   { "errors", r->faults.errors },
                   { "stuck", r->faults.stuck } };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        cJSON_AddNumberToObject(json, counts[i].name, (double)counts[i].n);
}

static void add_times(cJSON *json, const load_options *o, const load_result *r)
{
    const struct {
        const char *name;
        double value;
    } times[] = { { "connect_s", r->connect_s },
                  { "connect_cpu_s", r->connect_cpu_s },
                  { "window_s", r->window_s },
                  { "deliveries_per_s",
                    r->window_s > 0 ? (double)r->delivered_then / r->window_s : 0 },
                  { "cpu_us_each", load_cpu_us(o, r) },
                  { "server_cpu_s", r->cpu_s },
                  { "server_user_s", r->user_s },
                  { "server_system_s", r->system_s },
                  { "own_cpu_s", r->own_s },
                  { "others", r->others },
                  { "p50_us", histogram_at(&r->latency, 0.5) },
                  { "p99_us", histogram_at(&r->latency, 0.99) },
                  { "p999_us", histogram_at(&r->latency, 0.999) },
                  { "max_us", (double)r->latency.max / 1e3 },
                  { "rss_before", r->rss_before },
                  { "rss_joined", r->rss_joined },
                  { "rss_end", r->rss_end } };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        cJSON_AddNumberToObject(json, times[i].name, times[i].value);
}

cJSON *load_json(const load_options *o, const load_result *r)
{
    cJSON *json = cJSON_CreateObject();
    add_workload(json, o);
    add_counts(json, r);
    add_times(json, o, r);
    return json;
}
