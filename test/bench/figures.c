/* figures.c - samples of one quantity: see bench.h. */
#include <stdlib.h>

#include "bench/bench.h"

void figures_add(figures *f, double value)
{
    if (f->count == f->room) {
        f->room = f->room != 0 ? 2 * f->room : 16;
        f->values = realloc(f->values, f->room * sizeof *f->values);
        if (f->values == NULL)
            bench_fail("no memory");
    }
    f->values[f->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between two samples it is on the line that joins them. */
double figures_at(figures *f, double q)
{
    if (f->count == 0)
        return 0;
    qsort(f->values, f->count, sizeof *f->values, by_value);
    double at = q * (double)(f->count - 1);
    size_t below = (size_t)at;
    if (below + 1 == f->count)
        return f->values[below];
    return f->values[below] + (at - (double)below) * (f->values[below + 1] - f->values[below]);
}

cJSON *figures_json(figures *f)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "median", figures_at(f, 0.5));
    cJSON_AddNumberToObject(json, "min", figures_at(f, 0));
    cJSON_AddNumberToObject(json, "max", figures_at(f, 1));
    if (f->count >= 100)
        cJSON_AddNumberToObject(json, "p99", figures_at(f, 0.99));
    return json;
}

void figures_free(figures *f)
{
    free(f->values);
    *f = (figures){ 0 };
}
