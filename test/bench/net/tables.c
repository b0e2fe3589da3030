/* tables.c - what was found, as tables and in the JSON: see net.h. */
#include <stdio.h>
#include <string.h>

#include "bench/net/net.h"

static double median(figures *f)
{
    return figures_at(f, 0.5);
}

/* --- Targets -------------------------------------------------------------------------------- */

static double target_of(const workload *w)
{
    return w->goal < w->rival ? w->goal : w->rival;
}

static figures *against(workload *w)
{
    finding *ours = &w->found[OURS];
    return w->yardstick == OF_LIMIT   ? &ours->of_limit
           : w->yardstick == OF_BATCH ? &ours->of_batch
                                      : &ours->bytes;
}

static const char *verdict_on(workload *w)
{
    figures *f = against(w);
    if (f->count == 0)
        return "-";
    if (median(f) <= target_of(w))
        return "met";
    return figures_at(f, 0) <= target_of(w) ? "met within the spread" : "not met";
}

static void cell_spread(table *t, figures *f, int digits)
{
    if (f->count == 0)
        table_cell(t, "-");
    else
        table_cell(t, "%.*f (%.*f–%.*f)", digits, median(f), digits, figures_at(f, 0), digits,
                   figures_at(f, 1));
}

static void cell_median(table *t, figures *f, int digits)
{
    if (f->count == 0)
        table_cell(t, "-");
    else
        table_cell(t, "%.*f", digits, median(f));
}

static void target_row(table *t, workload *w)
{
    static const char *const names[] = { "-", "limit", "limit --batch", "B" };
    bool bytes = w->yardstick == BYTES;
    int digits = bytes ? 0 : 2;
    table_cell(t, "%s", w->title);
    for (unsigned s = LIMIT; s <= OURS; s++) {
        figures *f = bytes ? &w->found[s].bytes : &w->found[s].cpu;
        if (s == OURS)
            cell_spread(t, f, digits);
        else
            cell_median(t, f, digits);
    }
    cell_spread(t, against(w), digits);
    table_cell(t, "%s", names[w->yardstick]);
    table_cell(t, "%.*f", digits, w->goal);
    table_cell(t, "%.*f", digits, w->rival);
    table_cell(t, "%s", verdict_on(w));
}

static void print_targets(void)
{
    table *t = table_new("workload|limit|limit --batch|libchannels (min–max)|ratio (min–max)|"
                         "to|goal|uWebSockets|verdict");
    for (unsigned i = 0; i < workload_count; i++)
        if (workloads[i].part == TARGETS)
            target_row(t, &workloads[i]);
    table_print(t);
    report_line("\nCPU of the server in µs for each delivery, echo or whole cycle; medians of the "
                "rounds. The ratio is\nthe median of the rounds' ratios. A target is the lower of "
                "the goal and of what uWebSockets reached\n(README.md says when), met within the "
                "spread if the best round reached it.");
}

/* --- The others ----------------------------------------------------------------------------- */

/* "what", then each server, then more. */
static table *table_of_servers(const char *what, const char *more)
{
    char headings[1024];
    size_t n = (size_t)snprintf(headings, sizeof headings, "%s", what);
    for (unsigned s = 0; s < server_count && n < sizeof headings / 2; s++)
        n += (size_t)snprintf(headings + n, sizeof headings - n, "|%.60s", servers[s].name);
    snprintf(headings + n, sizeof headings - n, "%s", more);
    return table_new(headings);
}

static void cell_time(table *t, const histogram *h, double q)
{
    double us = histogram_at(h, q);
    if (h->total == 0)
        table_cell(t, "-");
    else
        table_cell(t, us < 1000 ? "%.0f µs" : "%.1f ms", us < 1000 ? us : us / 1000);
}

static void print_cpu(net_part part)
{
    table *t = table_of_servers("CPU, µs each", "|libchannels ÷ limit|÷ limit --batch|its rate /s|"
                                                "its p50|its p99");
    for (unsigned i = 0; i < workload_count; i++) {
        workload *w = &workloads[i];
        if (w->part != part)
            continue;
        table_cell(t, "%s", w->title);
        for (unsigned s = 0; s < server_count; s++)
            cell_median(t, &w->found[s].cpu, 2);
        cell_spread(t, &w->found[OURS].of_limit, 2);
        cell_spread(t, &w->found[OURS].of_batch, 2);
        cell_median(t, &w->found[OURS].per_s, 0);
        cell_time(t, &w->found[OURS].latency, 0.5);
        cell_time(t, &w->found[OURS].latency, 0.99);
    }
    table_print(t);
}

static void print_longpoll(void)
{
    table *t = table_new("by long polls|CPU, µs each|rate /s|p50|p99");
    for (unsigned i = 0; i < workload_count; i++) {
        workload *w = &workloads[i];
        if (w->part != LONGPOLL)
            continue;
        table_cell(t, "%s", w->title);
        cell_spread(t, &w->found[OURS].cpu, 2);
        cell_median(t, &w->found[OURS].per_s, 0);
        cell_time(t, &w->found[OURS].latency, 0.5);
        cell_time(t, &w->found[OURS].latency, 0.99);
    }
    table_print(t);
}

static void print_memory(void)
{
    table *t = table_of_servers("memory, B a client", "");
    for (unsigned i = 0; i < workload_count; i++) {
        if (workloads[i].part != MEMORY)
            continue;
        table_cell(t, "%s", workloads[i].title);
        for (unsigned s = 0; s < server_count; s++)
            cell_median(t, &workloads[i].found[s].bytes, 0);
    }
    table_print(t);
}

static void print_latency(void)
{
    static const double parts[] = { 0.5, 0.9, 0.99, 0.999, 1 };
    table *t = table_new("latency|server|p50|p90|p99|p99.9|max");
    for (unsigned i = 0; i < workload_count; i++)
        for (unsigned s = 0; s < server_count && workloads[i].part == LATENCY; s++) {
            table_cell(t, "%s", workloads[i].title);
            table_cell(t, "%s", servers[s].name);
            for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
                cell_time(t, &workloads[i].found[s].latency, parts[p]);
        }
    table_print(t);
}

/* --- All ------------------------------------------------------------------------------------ */

static bool has(net_part part)
{
    for (unsigned i = 0; i < workload_count; i++)
        if (workloads[i].part == part)
            return true;
    return false;
}

static void begin_part(net_part part)
{
    static const char *const titles[PARTS] = {
        "Targets",
        "Fan-out to 1 000 clients",
        "Fan-out of 64 B with 4 in flight, by clients",
        "Joins",
        "Long polling",
        "Memory of idle joined clients",
        "Latency of a fan-out to 1 000 clients",
    };
    report_part(titles[part]);
}

static cJSON *latency_json(const histogram *h)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = { { "p50_us", 0.5 },    { "p90_us", 0.9 },      { "p99_us", 0.99 },
                  { "p999_us", 0.999 }, { "p9999_us", 0.9999 }, { "max_us", 1 } };
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cJSON_AddNumberToObject(json, parts[i].name, histogram_at(h, parts[i].part));
    return json;
}

static void add_to_json(workload *w, unsigned s)
{
    finding *f = &w->found[s];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "workload", w->name);
    cJSON_AddStringToObject(json, "server", servers[s].name);
    cJSON_AddItemToObject(json, "cpu_us_each", figures_json(&f->cpu));
    cJSON_AddItemToObject(json, "of_limit", figures_json(&f->of_limit));
    cJSON_AddItemToObject(json, "of_batch", figures_json(&f->of_batch));
    cJSON_AddItemToObject(json, "per_s", figures_json(&f->per_s));
    cJSON_AddItemToObject(json, "bytes", figures_json(&f->bytes));
    cJSON_AddItemToObject(json, "own", figures_json(&f->own));
    cJSON_AddItemToObject(json, "latency", latency_json(&f->latency));
    if (s == OURS && w->yardstick != NO_TARGET) {
        cJSON_AddNumberToObject(json, "goal", w->goal);
        cJSON_AddNumberToObject(json, "uwebsockets", w->rival);
        cJSON_AddNumberToObject(json, "target", target_of(w));
        cJSON_AddStringToObject(json, "verdict", verdict_on(w));
    }
    report_add("results", json);
}

void tables_print(void)
{
    for (unsigned i = 0; i < workload_count; i++)
        for (unsigned s = 0; s < server_count; s++)
            if (workloads[i].found[s].cpu.count != 0)
                add_to_json(&workloads[i], s);
    for (net_part part = TARGETS; part < PARTS; part++) {
        if (!has(part))
            continue;
        begin_part(part);
        if (part == LONGPOLL)
            print_longpoll();
        else if (part == MEMORY)
            print_memory();
        else if (part == LATENCY)
            print_latency();
        else if (part != TARGETS)
            print_cpu(part);
        else
            print_targets();
    }
    if (server_count > FIRST_GUEST && has(TARGETS)) {
        report_part("The same workloads, all servers");
        print_cpu(TARGETS);
    }
}
