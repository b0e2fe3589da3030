/* report.c - what a benchmark found: a text on stdout, JSON in a file, progress on stderr. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <channels/version.h>

#include "bench/bench.h"

static cJSON *report;
static unsigned parts;
static FILE *markdown; /* NULL: there is none */
static void (*before_failing)(void);

void bench_before_failing(void (*fn)(void))
{
    before_failing = fn;
}

void bench_fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (before_failing != NULL)
        before_failing();
    _Exit(1);
}

void bench_progress(const char *format, ...)
{
    va_list args;
    fputs("... ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void *bench_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL)
        bench_fail("no memory");
    return p;
}

static const char *text_of(const cJSON *json, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

void report_markdown(const char *path)
{
    markdown = fopen(path, "w");
    if (markdown == NULL)
        bench_fail("%s cannot be written", path);
}

void report_begin(const char *title, const char *commit)
{
    cJSON *machine = machine_json();
    report = cJSON_CreateObject();
    cJSON_AddStringToObject(report, "bench", title);
    cJSON_AddStringToObject(report, "version", CHANNELS_VERSION_STRING);
    if (commit != NULL)
        cJSON_AddStringToObject(report, "commit", commit);
    cJSON_AddItemToObject(report, "machine", machine);
    printf("%s: libchannels %s%s%s\n%s, %u cores, %s, %s, %s\n", title, CHANNELS_VERSION_STRING,
           commit != NULL ? ", commit " : "", commit != NULL ? commit : "", text_of(machine, "cpu"),
           machine_cores(), text_of(machine, "kernel"), text_of(machine, "compiler"),
           text_of(machine, "date"));
    if (markdown != NULL)
        fprintf(markdown, "Commit %s, %s: %s, %u cores, %s, %s.\n",
                commit != NULL ? commit : "unknown", text_of(machine, "date"),
                text_of(machine, "cpu"), machine_cores(), text_of(machine, "kernel"),
                text_of(machine, "compiler"));
}

void report_part(const char *title)
{
    printf("\n%u. %s\n\n", ++parts, title);
    fflush(stdout);
    if (markdown != NULL)
        fprintf(markdown, "\n### %s\n\n", title);
}

void report_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    if (markdown == NULL)
        return;
    va_start(args, format);
    vfprintf(markdown, format, args);
    va_end(args);
    fputc('\n', markdown);
}

void report_add(const char *array, cJSON *object)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(report, array);
    if (list == NULL)
        list = cJSON_AddArrayToObject(report, array);
    cJSON_AddItemToArray(list, object);
}

void report_end(const char *path)
{
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    char *text = cJSON_Print(report);
    if (path != NULL && (file == NULL || text == NULL || fprintf(file, "%s\n", text) < 0))
        bench_fail("%s cannot be written", path);
    if (file != NULL && fclose(file) != 0)
        bench_fail("%s cannot be written", path);
    cJSON_free(text);
    cJSON_Delete(report);
    report = NULL;
    if (markdown != NULL && fclose(markdown) != 0)
        bench_fail("the Markdown cannot be written");
    markdown = NULL;
}
