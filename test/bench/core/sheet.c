/* sheet.c - see sheet.h. */
#include <stdio.h>
#include <string.h>

#include "bench/core/sheet.h"

#define CELL 64

static const char *data_folder;

static struct {
    const char *name;
    const sheet_column *columns;
    unsigned at; /* column */
    table *table;
    cJSON *row;
    FILE *data;
} sheet;

/* --- Beginning and end ---------------------------------------------------------------------- */

void sheet_data(const char *folder)
{
    data_folder = folder;
}

static void open_data(void)
{
    char path[512];
    if (data_folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%s.dat", data_folder, sheet.name);
    sheet.data = fopen(path, "w");
    if (sheet.data == NULL)
        bench_fail("%s cannot be written", path);
    fputs("# value least greatest of:", sheet.data);
    for (const sheet_column *c = sheet.columns; c->key != NULL; c++)
        fprintf(sheet.data, " %s", c->key);
    fputc('\n', sheet.data);
}

static void close_data(void)
{
    if (sheet.data != NULL && fclose(sheet.data) != 0)
        bench_fail("%s.dat cannot be written", sheet.name);
    sheet.data = NULL;
}

void sheet_begin(const char *name, const char *title, const sheet_column *columns)
{
    char headings[512], *at = headings;
    for (const sheet_column *c = columns; c->key != NULL; c++)
        at += snprintf(at, (size_t)(headings + sizeof headings - at), "%s%s",
                       c != columns ? "|" : "", c->heading);
    sheet.name = name;
    sheet.columns = columns;
    sheet.at = 0;
    sheet.table = table_new(headings);
    report_part(title);
    open_data();
}

void sheet_end(void)
{
    table_print(sheet.table);
    close_data();
}

/* --- Cells ---------------------------------------------------------------------------------- */

/* `json` is the report's from now on. */
static void add(const char *text, cJSON *json, double value, double least, double greatest)
{
    if (sheet.at == 0)
        report_add(sheet.name, sheet.row = cJSON_CreateObject());
    cJSON_AddItemToObject(sheet.row, sheet.columns[sheet.at].key, json);
    table_cell(sheet.table, "%s", text);
    bool last = sheet.columns[++sheet.at].key == NULL;
    if (sheet.data != NULL)
        fprintf(sheet.data, "%.9g %.9g %.9g%c", value, least, greatest, last ? '\n' : ' ');
    if (last)
        sheet.at = 0;
}

void sheet_text(const char *text)
{
    add(text, cJSON_CreateString(text), 0, 0, 0);
}

/* With a space between thousands. The place behind it. */
static char *put_number(char *dst, double value)
{
    char plain[32];
    int digits = sheet.columns[sheet.at].digits;
    int len = snprintf(plain, sizeof plain, "%.*f", digits, value);
    int whole = digits > 0 ? len - digits - 1 : len;
    for (int i = 0; i < len; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0)
            *dst++ = ' ';
        *dst++ = plain[i];
    }
    *dst = '\0';
    return dst;
}

void sheet_number(double value)
{
    char text[CELL];
    put_number(text, value);
    add(text, cJSON_CreateNumber(value), value, value, value);
}

void sheet_figures(figures *f)
{
    char text[2 * CELL];
    double median = figures_at(f, 0.5), least = figures_at(f, 0), greatest = figures_at(f, 1);
    char *at = put_number(text, median);
    if (f->count > 1) {
        at = put_number(stpcpy(at, " ("), least);
        at = put_number(stpcpy(at, " to "), greatest);
        stpcpy(at, ")");
    }
    add(text, figures_json(f), median, least, greatest);
    figures_free(f);
}
