/* rounds.c - runs all workloads on all servers, in rounds: see net.h. What is compared runs one
 * after the other, and each round begins with another server. A run during which other programs
 * were busy is repeated, while there is time for that; the least disturbed counts. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/net/net.h"

#define DISTURBED 0.05 /* part of all cores that others use */
#define TRIES 3
#define CLIENT_S 1e-4 /* for one to come and go */
#define START_S 0.1   /* for a server */

static double estimate_s, spare_s;
static uint64_t begun_ns;
static double disturbance; /* the sum over all runs */
static unsigned runs;
static uint64_t deliveries;

/* --- Time ----------------------------------------------------------------------------------- */

static double run_s(const workload *w)
{
    const load_options *o = &w->options;
    return START_S + o->duration + 2 * o->warmup + CLIENT_S * o->clients;
}

double rounds_estimate(void)
{
    double sum = 0;
    for (unsigned i = 0; i < workload_count; i++)
        for (unsigned s = 0; s < server_count; s++)
            if (workload_is_for(&workloads[i], s))
                sum += run_s(&workloads[i]) * workloads[i].rounds;
    return sum;
}

static void tell_progress(const workload *w, unsigned which, unsigned round)
{
    double left = estimate_s - (double)(machine_ns() - begun_ns) / 1e9;
    unsigned s = left > 0 ? (unsigned)left : 0;
    bench_progress("round %u of %u: %s, %s; %u:%02u left", round + 1, w->rounds, w->name,
                   servers[which].name, s / 60, s % 60);
}

/* --- A run ---------------------------------------------------------------------------------- */

static void run_once(const workload *w, unsigned which, load_result *r)
{
    load_options o = w->options;
    server s;
    if (!server_start(&s, servers[which].command, 0))
        bench_fail("%s does not listen: %s --port N", servers[which].name, servers[which].command);
    o.server = s.pid;
    o.port = s.port;
    load_run(&o, r);
    server_stop(&s);
}

static void run(const workload *w, unsigned which, load_result *best)
{
    static load_result again;
    run_once(w, which, best);
    for (int i = 1; i < TRIES && best->others > DISTURBED && spare_s > run_s(w); i++) {
        if (!load_is_clean(best))
            break;
        spare_s -= run_s(w);
        estimate_s += run_s(w);
        run_once(w, which, &again);
        if (again.others < best->others || !load_is_clean(&again))
            *best = again;
    }
    disturbance += best->others;
    deliveries += best->delivered;
    runs++;
}

/* --- What it found -------------------------------------------------------------------------- */

static void note(workload *w, unsigned which, const load_result *r)
{
    finding *f = &w->found[which];
    bool idle = w->options.mode == LOAD_IDLE;
    double per_s = idle ? r->joined / r->connect_s : (double)r->delivered_then / r->window_s;
    figures_add(&f->cpu, load_cpu_us(&w->options, r));
    figures_add(&f->per_s, per_s);
    figures_add(&f->bytes, (r->rss_joined - r->rss_before) / r->joined);
    figures_add(&f->rss_before, r->rss_before);
    figures_add(&f->rss_joined, r->rss_joined);
    figures_add(&f->own, r->own_s / r->window_s);
    histogram_merge(&f->latency, &r->latency);
}

static void add_to_json(const workload *w, unsigned which, unsigned round, const load_result *r)
{
    cJSON *json = load_json(&w->options, r);
    cJSON_AddStringToObject(json, "workload", w->name);
    cJSON_AddStringToObject(json, "server", servers[which].name);
    cJSON_AddNumberToObject(json, "round", round + 1);
    report_add("runs", json);
}

static bool accept(const workload *w, unsigned which, const load_result *r)
{
    const load_faults *f = &r->faults;
    if (load_is_clean(r))
        return true;
    report_line("WRONG: %s, %s: lost %llu, twice %llu, out of order %llu, gaps %llu, bad %llu, "
                "errors %llu, stuck %llu, of %llu",
                w->name, servers[which].name, (unsigned long long)f->lost,
                (unsigned long long)f->duplicated, (unsigned long long)f->out_of_order,
                (unsigned long long)f->gaps, (unsigned long long)f->bad,
                (unsigned long long)f->errors, (unsigned long long)f->stuck,
                (unsigned long long)r->expected);
    return false;
}

/* --- Rounds --------------------------------------------------------------------------------- */

static void compare(workload *w, const double *cpu)
{
    for (unsigned s = 0; s < server_count; s++) {
        if (cpu[s] > 0 && cpu[LIMIT] > 0)
            figures_add(&w->found[s].of_limit, cpu[s] / cpu[LIMIT]);
        if (cpu[s] > 0 && cpu[BATCH] > 0)
            figures_add(&w->found[s].of_batch, cpu[s] / cpu[BATCH]);
    }
}

static bool run_round(workload *w, unsigned round)
{
    static load_result r;
    double cpu[SERVERS_MAX] = { 0 };
    bool right = true;
    for (unsigned i = 0; i < server_count; i++) {
        unsigned which = (i + round) % server_count;
        if (!workload_is_for(w, which))
            continue;
        tell_progress(w, which, round);
        run(w, which, &r);
        add_to_json(w, which, round, &r);
        if (!accept(w, which, &r)) {
            right = false;
            continue;
        }
        note(w, which, &r);
        cpu[which] = load_cpu_us(&w->options, &r);
    }
    compare(w, cpu);
    return right;
}

static void tell_counts(bool right)
{
    cJSON *json = cJSON_CreateObject();
    double others = runs != 0 ? disturbance / runs : 0;
    report_line("%llu messages and cycles in %u runs: %s", (unsigned long long)deliveries, runs,
                right ? "each came once, in order, as it was sent." : "NOT ALL AS THEY SHOULD BE.");
    report_line("Other programs used %.0f%% of the cores%s", 100 * others,
                others > DISTURBED ? ": the times are worse than they would be." : ".");
    cJSON_AddNumberToObject(json, "share", others);
    report_add("others", json);
}

bool rounds_run(bool again)
{
    bool right = true;
    unsigned rounds = 0;
    estimate_s = rounds_estimate();
    spare_s = again ? estimate_s / 2 : 0;
    begun_ns = machine_ns();
    for (unsigned i = 0; i < workload_count; i++)
        if (workloads[i].rounds > rounds)
            rounds = workloads[i].rounds;
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < workload_count; i++)
            if (round < workloads[i].rounds)
                right &= run_round(&workloads[i], round);
    tell_counts(right);
    return right;
}
