/* utf8.h - checking UTF-8 (RFC 3629), in one piece or in many. */
#ifndef CHANNELS_WIRE_UTF8_H
#define CHANNELS_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t channels__utf8; /* where one is inside a character; 0: between two */

/* Goes on with `n` more bytes; false as soon as they can no longer become UTF-8. */
bool channels__utf8_feed(channels__utf8 *state, const void *bytes, size_t n);
bool channels__utf8_valid(const void *bytes, size_t n);

#endif
