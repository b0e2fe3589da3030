/* table.c - tables of a report, in Markdown that is aligned, for both people and web pages: see
 * bench.h. */
#define _GNU_SOURCE /* vasprintf() */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

#define COLUMNS_MAX 24

struct table {
    unsigned columns;
    size_t count, room;
    char **cells; /* the headings first */
};

static void add(table *t, char *text)
{
    if (t->count == t->room) {
        t->room = t->room != 0 ? 2 * t->room : 64;
        t->cells = realloc(t->cells, t->room * sizeof *t->cells);
    }
    if (text == NULL || t->cells == NULL)
        bench_fail("no memory");
    t->cells[t->count++] = text;
}

table *table_new(const char *headings)
{
    table *t = bench_alloc(1, sizeof *t);
    for (const char *p = headings, *stop; p != NULL; p = *stop != '\0' ? stop + 1 : NULL) {
        stop = p + strcspn(p, "|");
        add(t, strndup(p, (size_t)(stop - p)));
    }
    t->columns = (unsigned)t->count;
    if (t->columns > COLUMNS_MAX)
        bench_fail("a table of %u columns", t->columns);
    return t;
}

void table_cell(table *t, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    add(t, text);
}

/* Characters, of UTF-8. */
static unsigned width_of(const char *text)
{
    unsigned n = 0;
    for (; *text != '\0'; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const table *t, size_t first, const unsigned *widths)
{
    char line[4096];
    size_t len = 0;
    for (unsigned i = 0; i < t->columns && first + i < t->count && len < sizeof line / 2; i++) {
        const char *text = t->cells[first + i];
        int pad = (int)(widths[i] - width_of(text));
        len += (size_t)snprintf(line + len, sizeof line - len, "| %*s%s%*s ", i == 0 ? 0 : pad, "",
                                text, i == 0 ? pad : 0, "");
    }
    report_line("%s|", line);
}

static void print_rule(const table *t, const unsigned *widths)
{
    char line[4096];
    size_t len = 0;
    for (unsigned i = 0; i < t->columns && len < sizeof line / 2; i++) {
        len += (size_t)snprintf(line + len, sizeof line - len, "|");
        for (unsigned n = 0; n < widths[i] + (i == 0 ? 2 : 1) && len < sizeof line - 4; n++)
            line[len++] = '-';
        if (i != 0)
            line[len++] = ':';
    }
    line[len] = '\0';
    report_line("%s|", line);
}

void table_print(table *t)
{
    unsigned widths[COLUMNS_MAX] = { 0 };
    for (size_t i = 0; i < t->count; i++)
        if (width_of(t->cells[i]) > widths[i % t->columns])
            widths[i % t->columns] = width_of(t->cells[i]);
    print_row(t, 0, widths);
    print_rule(t, widths);
    for (size_t i = t->columns; i < t->count; i += t->columns)
        print_row(t, i, widths);
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}
