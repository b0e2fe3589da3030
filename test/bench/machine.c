/* machine.c - the machine a benchmark runs on: cores, clocks, and who else is busy there. */
#define _GNU_SOURCE /* sched_setaffinity() */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/bench.h"

/* --- Cores ---------------------------------------------------------------------------------- */

/* What the process was given. The first call has to come before anything is pinned. */
static const cpu_set_t *allowed(void)
{
    static cpu_set_t set;
    static bool known;
    if (!known && sched_getaffinity(0, sizeof set, &set) != 0)
        bench_fail("sched_getaffinity() fails");
    known = true;
    return &set;
}

unsigned machine_cores(void)
{
    return (unsigned)CPU_COUNT(allowed());
}

void machine_pin_process(pid_t pid, unsigned index)
{
    const cpu_set_t *all = allowed();
    cpu_set_t one;
    unsigned left = index % machine_cores(), core = 0;
    if (machine_cores() < 2)
        return;
    while (!CPU_ISSET(core, all) || left-- != 0)
        core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    if (sched_setaffinity(pid, sizeof one, &one) != 0)
        bench_fail("a thread cannot be pinned to core %u", core);
}

void machine_pin(unsigned index)
{
    machine_pin_process(0, index);
}

/* --- Clocks --------------------------------------------------------------------------------- */

uint64_t machine_cpu_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        bench_fail("a clock cannot be read");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t machine_ns(void)
{
    return machine_cpu_ns(CLOCK_MONOTONIC);
}

clockid_t machine_cpu_clock_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock) != 0)
        bench_fail("there is no CPU clock of process %d", (int)pid);
    return clock;
}

/* --- Processes ------------------------------------------------------------------------------ */

/* The numbers that stand in /proc/PID/NAME from the `from`th word on; 0 where there are none. A
 * program's name, in brackets, is a word. */
static void proc_numbers(pid_t pid, const char *name, int from, unsigned long long n[2])
{
    char path[64], text[1024] = "";
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "r");
    n[0] = n[1] = 0;
    if (file == NULL)
        return;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    char *bracket = strrchr(text, ')'), *p = bracket != NULL ? bracket : text;
    for (int i = bracket != NULL ? 1 : 0; i < from && p != NULL; i++)
        p = strchr(p + 1, ' ');
    if (p == NULL || sscanf(p, "%llu %llu", &n[0], &n[1]) != 2)
        n[0] = n[1] = 0;
}

void machine_cpu_split(pid_t pid, double *user, double *system)
{
    unsigned long long ticks[2] = { 0, 0 };
    if (pid != 0)
        proc_numbers(pid, "stat", 13, ticks);
    *user = (double)ticks[0] / (double)sysconf(_SC_CLK_TCK);
    *system = (double)ticks[1] / (double)sysconf(_SC_CLK_TCK);
}

double machine_rss(pid_t pid)
{
    unsigned long long pages[2] = { 0, 0 };
    if (pid != 0)
        proc_numbers(pid, "statm", 0, pages);
    return (double)pages[1] * (double)sysconf(_SC_PAGESIZE);
}

unsigned machine_raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        bench_fail("getrlimit() fails");
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur < 1u << 30 ? (unsigned)files.rlim_cur : 1u << 30;
}

/* --- Others --------------------------------------------------------------------------------- */

machine_load machine_load_now(uint64_t others_of_mine_ns)
{
    machine_load load = { .mine = machine_cpu_ns(CLOCK_PROCESS_CPUTIME_ID) + others_of_mine_ns };
    unsigned long long n[8] = { 0 }; /* user nice system idle iowait irq softirq steal */
    FILE *file = fopen("/proc/stat", "r");
    if (file != NULL && fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &n[0], &n[1],
                               &n[2], &n[3], &n[4], &n[5], &n[6], &n[7]) == 8) {
        for (int i = 0; i < 8; i++)
            load.all += n[i];
        load.busy = load.all - n[3] - n[4];
    }
    if (file != NULL)
        fclose(file);
    return load;
}

double machine_load_of_others(machine_load before, machine_load after)
{
    double all = (double)(after.all - before.all), busy = (double)(after.busy - before.busy);
    double mine = (double)(after.mine - before.mine) / 1e7; /* a tick is 10 ms */
    return all > 0 && busy > mine ? (busy - mine) / all : 0;
}

/* --- Its name ------------------------------------------------------------------------------- */

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void cpu_model(char *dst, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(dst, size, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(dst, size, "%s", value + 2);
        break;
    }
    if (file != NULL)
        fclose(file);
}

cJSON *machine_json(void)
{
    cJSON *json = cJSON_CreateObject();
    struct utsname name = { 0 };
    char text[256];
    time_t now = time(NULL);
    cpu_model(text, sizeof text);
    cJSON_AddStringToObject(json, "cpu", text);
    cJSON_AddNumberToObject(json, "cores", machine_cores());
    uname(&name);
    snprintf(text, sizeof text, "%s %s", name.sysname, name.release);
    cJSON_AddStringToObject(json, "kernel", text);
    cJSON_AddStringToObject(json, "compiler", COMPILER);
    strftime(text, sizeof text, "%Y-%m-%d", gmtime(&now));
    cJSON_AddStringToObject(json, "date", text);
    return json;
}
