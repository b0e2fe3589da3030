/* filter.h - JSON text as a log may show it: without the values of passwords and the like. */
#ifndef CHANNELS_WIRE_FILTER_H
#define CHANNELS_WIRE_FILTER_H

#include "base/str.h"

/* Phoenix lib/phoenix/logger.ex, filter_values/2: words are compared with keys byte by byte. */
typedef struct channels__filter {
    const char *const *words; /* NULL-ended */
    bool keep; /* show values of keys that are such a word, instead of hiding those whose key holds
                * one */
} channels__filter;

#define CHANNELS__FILTERED "\"[FILTERED]\"" /* in place of a hidden value */

/* Writes checked JSON to `dst`, without white space between its parts. Returns the length; if it
 * does not fit into `cap` bytes, *cut is set and the rest is missing. */
size_t channels__filter_json(const channels__filter *filter, channels__str json, char *dst,
                             size_t cap, bool *cut);

#endif
