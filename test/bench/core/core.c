/* core.c - the library alone, with up to a million clients in memory: make bench-core.
 *
 *     core [--quick] [--clients N] [--commit TEXT] [--json FILE] [--markdown FILE] [--data DIR]
 *          [PART...]
 *
 * PARTs are memory, joins, delivery, subscribe, presence and copies; all by default. Counts are
 * checked while it measures: it ends with 1 if a client does not hear every message once and in
 * order, or if a broadcast is allocated or encoded for each client. --clients is how many there are
 * at most [1000000]; --quick is one round with few, whose times mean nothing. README.md says how it
 * is measured. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/core/crowd.h"

static const struct part {
    const char *name;
    void (*measure)(const scale *s);
} parts[] = { { "memory", memory_measure },     { "joins", joins_measure },
              { "delivery", delivery_measure }, { "subscribe", subscribe_measure },
              { "presence", presence_measure }, { "copies", copies_measure } };
#define PARTS (sizeof parts / sizeof *parts)

typedef struct options {
    bool quick, any_part, part[PARTS];
    const char *clients, *commit, *json, *markdown, *data;
} options;

static const char usage[] = "usage: core [--quick] [--clients N] [--commit TEXT] [--json FILE] "
                            "[--markdown FILE] [--data DIR] [PART...]\n";

static bool choose_part(options *o, const char *name)
{
    for (unsigned i = 0; i < PARTS; i++)
        if (strcmp(name, parts[i].name) == 0)
            return o->any_part = o->part[i] = true;
    return false;
}

static options read_options(char **argv)
{
    options o = { 0 };
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        const char **value = strcmp(*arg, "--json") == 0       ? &o.json
                             : strcmp(*arg, "--commit") == 0   ? &o.commit
                             : strcmp(*arg, "--clients") == 0  ? &o.clients
                             : strcmp(*arg, "--markdown") == 0 ? &o.markdown
                             : strcmp(*arg, "--data") == 0     ? &o.data
                                                               : NULL;
        if (strcmp(*arg, "--quick") == 0) {
            o.quick = true;
        } else if (value != NULL && arg[1] != NULL) {
            *value = *++arg;
        } else if (!choose_part(&o, *arg)) {
            fputs(usage, stderr);
            exit(2);
        }
    }
    return o;
}

static scale scale_of(const options *o)
{
    const scale whole = { .rounds = 5, .clients = 1000000, .work = 1000000 };
    const scale quick = { .rounds = 1, .clients = 10000, .work = 1000 };
    scale s = o->quick ? quick : whole;
    if (o->clients != NULL)
        s.clients = (unsigned)strtoul(o->clients, NULL, 10);
    if (s.clients == 0 || s.clients > 100000000)
        bench_fail("%s is no number of clients", o->clients);
    return s;
}

static void say_who_else_was_busy(machine_load before)
{
    double others = machine_load_of_others(before, machine_load_now(0));
    cJSON *json = cJSON_CreateObject();
    report_line("\nOther programs used %.0f%% of the cores meanwhile%s", 100 * others,
                others > 0.05 ? ": the times are worse than they would be." : ".");
    cJSON_AddNumberToObject(json, "share", others);
    report_add("others", json);
}

int main(int argc, char **argv)
{
    (void)argc;
    options o = read_options(argv);
    const scale s = scale_of(&o);
    machine_load before = machine_load_now(0);
    sheet_data(o.data);
    if (o.markdown != NULL)
        report_markdown(o.markdown);
    report_begin("bench-core", o.commit);
    machine_pin(0);
    for (unsigned i = 0; i < PARTS; i++)
        if (o.part[i] || !o.any_part)
            parts[i].measure(&s);
    say_who_else_was_busy(before);
    report_end(o.json);
    return 0;
}
