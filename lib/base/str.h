/* str.h - slices of somebody else's bytes: the public type by a shorter name, and what is done with
 * it. p == NULL means absent, which for a ref is null. */
#ifndef CHANNELS_BASE_STR_H
#define CHANNELS_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "channels/serializer.h"

typedef channels_slice channels__str;

static inline channels__str channels__str_n(const char *p, size_t n)
{
    channels__str s = { p, n };
    return s;
}
static inline channels__str channels__str_none(void)
{
    return channels__str_n(NULL, 0);
}
static inline channels__str channels__str_z(const char *p)
{
    return channels__str_n(p, p != NULL ? strlen(p) : 0);
}
static inline bool channels__str_eq(channels__str a, channels__str b)
{
    return a.n == b.n && (a.p == NULL) == (b.p == NULL) && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool channels__str_is(channels__str a, const char *literal)
{
    return a.p != NULL && a.n == strlen(literal) && memcmp(a.p, literal, a.n) == 0;
}

#endif
