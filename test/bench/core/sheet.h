/* sheet.h - a table of which each cell is a figure: as lines of the report, in its JSON, and as
 * data for a plot. */
#ifndef BENCH_CORE_SHEET_H
#define BENCH_CORE_SHEET_H

#include "bench/bench.h"

typedef struct sheet_column {
    const char *key, *heading;
    int digits; /* behind the point */
} sheet_column;

/* Each sheet is written to NAME.dat in this folder too: for each cell its value, the least and the
 * greatest. NULL: it is not. */
void sheet_data(const char *folder);

/* One at a time. `columns` ends at a NULL key. */
void sheet_begin(const char *name, const char *title, const sheet_column *columns);
/* The next cell, row after row. */
void sheet_text(const char *text);
void sheet_number(double value);
void sheet_figures(figures *f); /* median and spread; frees them */
void sheet_end(void);

#endif
