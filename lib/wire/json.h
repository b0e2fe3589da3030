/* json.h - strict JSON (RFC 8259) without a tree: where values begin and end, and how strings are
 * written. What passes here, JSON.parse in every client accepts; unpaired surrogate escapes, invalid
 * UTF-8 and fractions or powers beyond the largest double do not pass, as with Phoenix' Jason. Never
 * recurses. */
#ifndef CHANNELS_WIRE_JSON_H
#define CHANNELS_WIRE_JSON_H

#include <stdint.h>

#include "base/str.h"

#define CHANNELS__JSON_NESTING 1000u /* the most max_nesting can be: what cJSON can open */

typedef struct channels__json {
    const char *p, *end;  /* what is left */
    uint32_t max_nesting; /* of one value */
} channels__json;

/* Skips white space, then takes one whole value and checks it: its text in *value (its first byte
 * tells its type). False if there is none or it is broken; then p is anywhere before end. */
bool channels__json_value(channels__json *j, channels__str *value);
/* Skips white space, then takes that one character if it is there. */
bool channels__json_char(channels__json *j, char c);
bool channels__json_end(channels__json *j); /* only white space is left */

/* The whole text is an array; of its values, which are at least `n`, the first `n`. *plain: none of
 * its own strings has escapes or is more than ASCII. */
bool channels__json_array(channels__str text, uint32_t max_nesting, channels__str *values, int n,
                          bool *plain);
/* The whole text is one value (and an object, if asked). */
bool channels__json_check(channels__str text, uint32_t max_nesting, bool object);

/* The text of a checked string value, quotes and all, written to `dst`; at most as long as the
 * value itself. Its length. */
size_t channels__json_unescape(channels__str value, char *dst);
/* `text` (valid UTF-8) as a JSON string with its quotes: its length, and writing it. */
size_t channels__json_escaped_len(channels__str text);
char *channels__json_escape(channels__str text, char *dst); /* behind what was written */

#endif
