/* cluster.c - what it costs to be several: make bench-cluster.
 *
 *     cluster [--quick] [--commit TEXT] [--json FILE]
 *
 * Measures CPU of a delivery within a node, across the hub and across Redis; two endpoints on two
 * cores against one; how long after a join another node's clients see it; and the bytes that a
 * change of presence puts on the bus. README.md says how. The counts are checked while it measures:
 * it ends with 1 if a message was lost, came twice or out of order, if a presence did, or if the
 * bytes of a change grow with the number of entries. --quick checks the same in a second or two;
 * its times mean nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/cluster.h"

typedef struct options {
    bool quick;
    const char *commit, *json;
} options;

static const char usage[] = "usage: cluster [--quick] [--commit TEXT] [--json FILE]\n";

static options read_options(char **argv)
{
    options o = { 0 };
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        const char **value = strcmp(*arg, "--json") == 0     ? &o.json
                             : strcmp(*arg, "--commit") == 0 ? &o.commit
                                                             : NULL;
        if (strcmp(*arg, "--quick") == 0) {
            o.quick = true;
        } else if (value != NULL && arg[1] != NULL) {
            *value = *++arg;
        } else {
            fputs(usage, stderr);
            exit(2);
        }
    }
    return o;
}

static void say_what_was_not_measured(void)
{
    if (redis_server_port() == 0)
        report_line("\nNot measured: Redis, for there is no redis-server on this machine.");
    if (machine_cores() < 2)
        report_line("\nNot measured: two cores against one, for there is one.");
}

static void say_who_else_was_busy(machine_load before)
{
    double others = machine_load_of_others(before, machine_load_now(redis_server_cpu_ns()));
    cJSON *json = cJSON_CreateObject();
    report_line("\nOther programs used %.0f%% of the cores meanwhile%s", 100 * others,
                others > 0.05 ? ": the times are worse than they would be." : ".");
    cJSON_AddNumberToObject(json, "share", others);
    report_add("others", json);
}

int main(int argc, char **argv)
{
    const scale whole = { .rounds = 5, .trial_s = 0.2, .visible_s = 12 };
    const scale quick = { .rounds = 1, .trial_s = 0.01, .visible_s = 0.5, .quick = true };
    (void)argc;
    options o = read_options(argv);
    const scale *s = o.quick ? &quick : &whole;
    report_begin("bench-cluster", o.commit);
    redis_server_start();
    machine_load before = machine_load_now(redis_server_cpu_ns());
    delivery_measure(s);
    if (machine_cores() > 1)
        cores_measure(s);
    visible_measure(s);
    bool constant = bus_measure(s);
    say_what_was_not_measured();
    say_who_else_was_busy(before);
    redis_server_stop();
    report_end(o.json);
    return constant ? 0 : 1;
}
