/* bench.h - what benchmarks share: samples and what is said of them, the machine they ran on, and
 * the report, a text for people and JSON for programs. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <cjson/cJSON.h>

/* What was measured cannot be trusted, or measured at all: says why and ends the program with 1. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Before it ends the program it calls this one. */
void bench_before_failing(void (*fn)(void));
/* One line to stderr, for who waits. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *bench_alloc(size_t count, size_t size); /* zeroed; never fails */

/* --- figures.c ------------------------------------------------------------------------------ */

typedef struct figures {
    double *values;
    size_t count, room;
} figures;

void figures_add(figures *f, double value);
/* The value below which a part `q` of them lies: 0 the least, 0.5 the median, 1 the greatest. */
double figures_at(figures *f, double q);
/* As {"median":..,"min":..,"max":..}, with "p99" if there are a hundred or more. */
cJSON *figures_json(figures *f);
void figures_free(figures *f);

/* --- machine.c ------------------------------------------------------------------------------ */

unsigned machine_cores(void); /* that this process may use */
/* The calling thread, or that process, stays on the `index`th of them, counted round. Where there
 * is only one nothing is done. */
void machine_pin(unsigned index);
void machine_pin_process(pid_t pid, unsigned index);
uint64_t machine_ns(void);                 /* goes on by itself */
uint64_t machine_cpu_ns(clockid_t clock);  /* that clock's reading */
clockid_t machine_cpu_clock_of(pid_t pid); /* of a process */
/* How much of all cores others used meanwhile: "load" is what machine_load() filled before, `mine`
 * the processes of this benchmark. */
typedef struct machine_load {
    uint64_t busy, all; /* of all cores, in ticks */
    uint64_t mine;      /* ns */
} machine_load;
machine_load machine_load_now(uint64_t others_of_mine_ns);
double machine_load_of_others(machine_load before, machine_load after); /* 0 to 1 */
/* CPU time of a process in user and system mode, in s, by the kernel's ticks; 0 of process 0. */
void machine_cpu_split(pid_t pid, double *user, double *system);
double machine_rss(pid_t pid);           /* bytes of memory that are its own; 0 of process 0 */
unsigned machine_raise_file_limit(void); /* so many files may be open from now on */
cJSON *machine_json(void);               /* CPU, cores, kernel, compiler, date */

/* --- server.c ------------------------------------------------------------------------------- */

typedef struct server {
    pid_t pid; /* 0: it does not run */
    uint16_t port;
} server;

/* Runs a shell's command with " --port N" behind it on that core, see machine_pin(), and waits until
 * it listens on that port of 127.0.0.1. It ends with this program at the latest. False: it does not
 * listen, or it ended. */
bool server_start(server *s, const char *command, unsigned core);
void server_stop(server *s); /* at once, and all that it started; nothing if it does not run */

/* --- report.c ------------------------------------------------------------------------------- */

/* From now on all lines go to this file too, as Markdown; before report_begin(). */
void report_markdown(const char *path);
/* Prints the heading; `commit` may be NULL. */
void report_begin(const char *title, const char *commit);
/* A heading, numbered. */
void report_part(const char *title);
/* A line for people. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Adds `object` to the array of that name; it is the report's from now on. */
void report_add(const char *array, cJSON *object);
/* Writes it all to `path`, if that is not NULL. */
void report_end(const char *path);

/* --- table.c -------------------------------------------------------------------------------- */

typedef struct table table;

table *table_new(const char *headings); /* with | between them */
/* The next one, row after row. */
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(table *t); /* as lines of the report; it is gone then */

#endif
