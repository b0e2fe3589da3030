/* utf8.c - see utf8.h.
 *
 * The state of an unfinished character is how many bytes it still needs and the range in which the
 * next one must lie: need | low << 8 | high << 16. The range rules out overlong forms, surrogates
 * and what lies above U+10FFFF already at the second byte. */
#include "wire/utf8.h"

#include <string.h>

static channels__utf8 expect(uint32_t need, uint32_t low, uint32_t high)
{
    return need | low << 8 | high << 16;
}

/* The state behind a byte that is not ASCII and begins a character; 0: none does. */
static channels__utf8 lead(unsigned char c)
{
    if (c < 0xC2 || c > 0xF4)
        return 0;
    if (c < 0xE0)
        return expect(1, 0x80, 0xBF);
    if (c < 0xF0)
        return expect(2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
    return expect(3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
}

static channels__utf8 next(channels__utf8 state)
{
    uint32_t need = (state & 0xFF) - 1;
    return need == 0 ? 0 : expect(need, 0x80, 0xBF);
}

static const unsigned char *skip_ascii(const unsigned char *p, const unsigned char *end)
{
    uint64_t word;
    while ((size_t)(end - p) >= sizeof word) {
        memcpy(&word, p, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
        p += sizeof word;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

/* Most of what is not ASCII: whole characters of two or three bytes with any second byte. */
static const unsigned char *skip_common(const unsigned char *p, const unsigned char *end)
{
    while (end - p >= 3 && (p[1] & 0xC0) == 0x80) {
        if (p[0] >= 0xC2 && p[0] < 0xE0)
            p += 2;
        else if (p[0] > 0xE0 && p[0] < 0xF0 && p[0] != 0xED && (p[2] & 0xC0) == 0x80)
            p += 3;
        else
            break;
    }
    return p;
}

bool channels__utf8_feed(channels__utf8 *state, const void *bytes, size_t n)
{
    if (n == 0)
        return true; /* `bytes` may be NULL then */
    const unsigned char *p = bytes, *end = p + n;
    channels__utf8 s = *state;
    while (p < end) {
        if (s != 0) {
            if (*p < (s >> 8 & 0xFF) || *p > s >> 16)
                return false;
            s = next(s);
            p++;
        } else if (*p < 0x80) {
            p = skip_ascii(p, end);
        } else if ((p = skip_common(p, end)) < end && *p >= 0x80) {
            s = lead(*p++);
            if (s == 0)
                return false;
        }
    }
    *state = s;
    return true;
}

bool channels__utf8_valid(const void *bytes, size_t n)
{
    channels__utf8 state = 0;
    return channels__utf8_feed(&state, bytes, n) && state == 0;
}
