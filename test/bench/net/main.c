/* main.c - servers on the network, measured beside what the kernel allows: make bench.
 *
 *     net [--quick] [--rounds N] [--duration S] [--workloads 'PATTERN ...'] [--server NAME=COMMAND]
 *         [--plots FOLDER] [--markdown FILE] [--json FILE] [--commit TEXT] [--list]
 *
 * Starts `limit`, `limit --batch`, the library's fixture and each COMMAND, with --port N behind it,
 * in turn on the first core, and does every workload to it from the second, in rounds. README.md
 * says what is measured. All deliveries are counted: it ends with 1 if one is lost, comes twice,
 * out of order or otherwise than it was sent. --quick checks just that, in seconds. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/net/net.h"

typedef struct options {
    scale scale;
    const char *plots, *markdown, *json, *commit;
    bool list;
} options;

static const char usage[] =
    "usage: net [--quick] [--rounds N] [--duration S] [--workloads 'PATTERN ...']\n"
    "           [--server NAME=COMMAND] [--plots FOLDER] [--markdown FILE] [--json FILE]\n"
    "           [--commit TEXT] [--list]\n";

static void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static double number_of(const char *text, double least, double most)
{
    char *end;
    double n = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(n >= least && n <= most))
        refuse();
    return n;
}

static void set_option(options *o, const char *name, const char *value)
{
    const char **text = strcmp(name, "--plots") == 0       ? &o->plots
                        : strcmp(name, "--markdown") == 0  ? &o->markdown
                        : strcmp(name, "--json") == 0      ? &o->json
                        : strcmp(name, "--commit") == 0    ? &o->commit
                        : strcmp(name, "--workloads") == 0 ? &o->scale.only
                                                           : NULL;
    if (value == NULL)
        refuse();
    if (text != NULL)
        *text = value;
    else if (strcmp(name, "--rounds") == 0)
        o->scale.rounds = (unsigned)number_of(value, 1, 1000);
    else if (strcmp(name, "--duration") == 0)
        o->scale.duration = number_of(value, 0.01, 3600);
    else if (strcmp(name, "--server") != 0 || !servers_add(value))
        refuse();
}

static options read_options(char **argv)
{
    options o = { .scale = { .rounds = 5, .duration = 1.5 } };
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (strcmp(*arg, "--quick") == 0)
            o.scale.quick = true;
        else if (strcmp(*arg, "--list") == 0)
            o.list = true;
        else
            set_option(&o, arg[0], arg[1]), arg++;
    }
    return o;
}

static void list_workloads(void)
{
    for (unsigned i = 0; i < workload_count; i++)
        printf("%-22s %s\n", workloads[i].name, workloads[i].title);
}

static void say_what_comes(void)
{
    unsigned s = (unsigned)rounds_estimate();
    if (machine_cores() < 2)
        report_line("There is one core for both server and load: times mean little.");
    bench_progress("%u workloads, %u servers: %u:%02u minutes, and up to half as much again if "
                   "other programs are at work",
                   workload_count, server_count, s / 60, s % 60);
}

int main(int argc, char **argv)
{
    (void)argc;
    servers_begin();
    options o = read_options(argv);
    if (o.markdown != NULL && !o.list)
        report_markdown(o.markdown);
    o.scale.files = machine_raise_file_limit();
    if (!o.list)
        report_begin("bench", o.commit);
    workloads_begin(&o.scale);
    if (o.list) {
        list_workloads();
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    say_what_comes();
    machine_pin(1);
    bool right = rounds_run(!o.scale.quick);
    if (!o.scale.quick)
        tables_print();
    if (o.plots != NULL)
        plots_draw(o.plots);
    report_end(o.json);
    return right ? 0 : 1;
}
