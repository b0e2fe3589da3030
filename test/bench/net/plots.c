/* plots.c - what was found as files for gnuplot, and the pictures that the scripts beside this
 * file make of them: see net.h.
 *
 * A file has a block for each server, "x y" on each line, and a last one with the names of the
 * servers and where they stand: beside the ends of their curves, moved apart where these meet. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/net/net.h"

#define SCRIPTS "test/bench/net" /* from the top of the source tree */

typedef struct label {
    double x, y;
    unsigned server;
    char text[96];
} label;

typedef struct plot {
    FILE *file;
    label labels[SERVERS_MAX];
    unsigned count;
    double greatest;
    bool logarithmic; /* its y */
} plot;

/* --- Files ---------------------------------------------------------------------------------- */

static plot plot_open(const char *folder, const char *name, bool logarithmic)
{
    char path[4096];
    plot p = { .logarithmic = logarithmic };
    snprintf(path, sizeof path, "%s/%s.dat", folder, name);
    p.file = fopen(path, "w");
    if (p.file == NULL)
        bench_fail("%s cannot be written", path);
    return p;
}

/* The curve's last point bears the name. */
static void plot_point(plot *p, unsigned server_index, double x, double y)
{
    label *l = p->count != 0 ? &p->labels[p->count - 1] : NULL;
    if (l == NULL || l->server != server_index) {
        if (l != NULL)
            fputs("\n\n", p->file);
        l = &p->labels[p->count++];
        l->server = server_index;
        snprintf(l->text, sizeof l->text, "%s", servers[server_index].name);
    }
    l->x = x;
    l->y = y;
    if (y > p->greatest)
        p->greatest = y;
    fprintf(p->file, "%g %g\n", x, y);
}

static int by_height(const void *a, const void *b)
{
    double x = ((const label *)a)->y, y = ((const label *)b)->y;
    return (x > y) - (x < y);
}

/* `gap` is the least distance of two names, as a part of the whole height or, where that is
 * logarithmic, as a factor. */
static void plot_close(plot *p, double gap)
{
    fputs("\n\n", p->file);
    qsort(p->labels, p->count, sizeof *p->labels, by_height);
    for (unsigned i = 0; i < p->count; i++) {
        label *l = &p->labels[i];
        double least = i == 0           ? l->y
                       : p->logarithmic ? p->labels[i - 1].y * gap
                                        : p->labels[i - 1].y + gap * p->greatest;
        if (l->y < least)
            l->y = least;
        fprintf(p->file, "%g %g \"%s\" %u\n", l->x, l->y, l->text, l->server);
    }
    if (fclose(p->file) != 0)
        bench_fail("a file for gnuplot cannot be written");
}

/* --- What is drawn -------------------------------------------------------------------------- */

static void write_clients(const char *folder)
{
    plot p = plot_open(folder, "clients", false);
    for (unsigned s = 0; s < server_count; s++)
        for (unsigned i = 0; i < workload_count; i++)
            if (workloads[i].part == CROWD && workloads[i].found[s].cpu.count != 0)
                plot_point(&p, s, workloads[i].options.clients,
                           figures_at(&workloads[i].found[s].cpu, 0.5));
    plot_close(&p, 0.06);
}

static void write_memory(const char *folder)
{
    plot p = plot_open(folder, "memory", false);
    for (unsigned s = 0; s < server_count; s++)
        for (unsigned i = 0; i < workload_count; i++) {
            finding *f = &workloads[i].found[s];
            if (workloads[i].part != MEMORY || f->bytes.count == 0)
                continue;
            if (p.count == 0 || p.labels[p.count - 1].server != s)
                plot_point(&p, s, 0, figures_at(&f->rss_before, 0.5) / 1e6);
            plot_point(&p, s, workloads[i].options.clients, figures_at(&f->rss_joined, 0.5) / 1e6);
            snprintf(p.labels[p.count - 1].text, sizeof p.labels[0].text, "%s: %.0f B a client",
                     servers[s].name, figures_at(&f->bytes, 0.5));
        }
    plot_close(&p, 0.06);
}

/* From 50% on; to the right each nine takes the same room: x is 2 at 99%, and 3 at 99.9%. */
static void write_latency(const char *folder, const workload *w)
{
    plot p = plot_open(folder, w->name, true);
    for (unsigned s = 0; s < server_count; s++) {
        const histogram *h = &w->found[s].latency;
        for (double x = 0.3; x < 4.05 && (double)h->total * pow(10, -x) >= 10; x += 0.1)
            plot_point(&p, s, x, histogram_at(h, 1 - pow(10, -x)) / 1e3);
    }
    plot_close(&p, 1.4);
}

static bool write_files(const char *folder)
{
    bool has[PARTS] = { false };
    for (unsigned i = 0; i < workload_count; i++) {
        has[workloads[i].part] = true;
        if (workloads[i].part == LATENCY)
            write_latency(folder, &workloads[i]);
    }
    if (has[CROWD])
        write_clients(folder);
    if (has[MEMORY])
        write_memory(folder);
    return has[CROWD] && has[MEMORY] && has[LATENCY];
}

/* --- Drawing -------------------------------------------------------------------------------- */

static bool draw(const char *name, const char *folder)
{
    char script[256];
    int status;
    snprintf(script, sizeof script, "%s/%s.gp", SCRIPTS, name);
    pid_t child = fork();
    if (child == 0) {
        execlp("gnuplot", "gnuplot", "-c", script, folder, (char *)NULL);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

void plots_draw(const char *folder)
{
    static const char *const names[] = { "clients", "latency", "memory" };
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        bench_fail("the folder %s cannot be made", folder);
    if (!write_files(folder)) {
        report_line("\nNo pictures: they need the workloads clients-*, memory-* and latency-*.");
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (draw(names[i], folder))
            bench_progress("%s/%s.svg", folder, names[i]);
        else
            report_line("\nNo picture of %s: gnuplot failed, or is not there.", names[i]);
    }
}
