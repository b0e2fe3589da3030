/* histogram.c - how long deliveries took: see load.h. Within a power of two the steps are equal. */
#include "bench/load/load.h"

void histogram_add(histogram *h, uint64_t ns)
{
    uint64_t bin = ns;
    if (ns >= 2 * HISTOGRAM_STEPS) {
        unsigned shift = 57 - (unsigned)__builtin_clzll(ns); /* leaves seven bits of it */
        bin = (uint64_t)shift * HISTOGRAM_STEPS + (ns >> shift);
    }
    h->bins[bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1]++;
    h->total++;
    if (ns > h->max)
        h->max = ns;
}

void histogram_merge(histogram *h, const histogram *other)
{
    for (int i = 0; i < HISTOGRAM_BINS; i++)
        h->bins[i] += other->bins[i];
    h->total += other->total;
    if (other->max > h->max)
        h->max = other->max;
}

static double begin_of(unsigned bin)
{
    if (bin < 2 * HISTOGRAM_STEPS)
        return bin;
    unsigned shift = bin / HISTOGRAM_STEPS - 1;
    return (double)((uint64_t)(bin - shift * HISTOGRAM_STEPS) << shift);
}

double histogram_at(const histogram *h, double q)
{
    uint64_t seen = 0;
    if (h->total == 0)
        return 0;
    for (unsigned i = 0; i < HISTOGRAM_BINS; i++) {
        seen += h->bins[i];
        if ((double)seen > q * (double)h->total)
            return begin_of(i) / 1e3;
    }
    return (double)h->max / 1e3;
}
