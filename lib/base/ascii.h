/* ascii.h - <ctype.h> without a locale: what protocols mean by letters and digits. */
#ifndef CHANNELS_BASE_ASCII_H
#define CHANNELS_BASE_ASCII_H

#include <stdbool.h>

static inline bool channels__is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline char channels__lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
static inline bool channels__is_letter(char c)
{
    return channels__lower(c) >= 'a' && channels__lower(c) <= 'z';
}
/* The value of a hexadecimal digit, or -1. */
static inline int channels__hex_digit(char c)
{
    if (channels__is_digit(c))
        return c - '0';
    c = channels__lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* Equal but for the case of letters. */
static inline bool channels__same(const char *a, const char *b)
{
    for (; *a == *b || channels__lower(*a) == channels__lower(*b); a++, b++)
        if (*a == '\0')
            return true;
    return false;
}

#endif
