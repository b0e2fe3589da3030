/* json.c - one forward pass over JSON text.
 *
 * The skip_ functions are given where something begins and where the text ends, and return where
 * it stopped, or NULL if it is broken. Containers are not recursed into: `struct nest` keeps the
 * bracket that closes each open one.
 *
 * Strings are most of what clients send, so they are looked at sixteen or eight bytes at a time.
 * Bytes that are not ASCII come in runs, and each run must be UTF-8 by itself, since the longer
 * characters are made of such bytes only. */
#include "wire/json.h"

#include "base/ascii.h"
#include "wire/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes, the first in memory lowest; compilers make one load of it. */
static inline uint64_t load(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    uint64_t low = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    uint64_t high = b[4] | (uint32_t)b[5] << 8 | (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24;
    return low | high << 32;
}

/* Marks with their highest bits the bytes of `w` that end plain text: quotes, backslashes, control
 * characters and what is not ASCII. Borrows can mark a wrong byte, but only above a right one: the
 * lowest mark is always right. */
static inline uint64_t not_plain(uint64_t w)
{
    uint64_t quote = (w ^ EACH('"')) - EACH(1);
    uint64_t backslash = (w ^ EACH('\\')) - EACH(1);
    uint64_t control = w - EACH(' ');
    return (quote | backslash | control | w) & EACH(0x80);
}

static inline size_t lowest(uint64_t marks)
{
#if defined(__GNUC__)
    return (size_t)__builtin_ctzll(marks) / 8;
#else
    size_t i = 0;
    for (; (marks & 0x80) == 0; marks >>= 8)
        i++;
    return i;
#endif
}

#if defined(__SSE2__)
/* Likewise of sixteen bytes, with a bit each. What is not ASCII is negative, hence below a space. */
static inline unsigned not_plain16(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i below = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(below, _mm_or_si128(quote, backslash)));
}
#endif

static inline const char *skip_plain(const char *p, const char *end)
{
#if defined(__SSE2__)
    for (; end - p >= 16; p += 16) {
        unsigned marks = not_plain16(p);
        if (marks != 0)
            return p + __builtin_ctz(marks);
    }
#endif
    for (; end - p >= 8; p += 8) {
        uint64_t marks = not_plain(load(p));
        if (marks != 0)
            return p + lowest(marks);
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)(*p - ' ') < 0x60)
        p++;
    return p;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ' && is_space(*p))
        p++;
    return p;
}

/* The UTF-16 unit of a \uXXXX, or -1 if there is none at p. */
static int32_t unit_at(const char *p, const char *end)
{
    int32_t unit = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = channels__hex_digit(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static const char *skip_unicode_escape(const char *p, const char *end)
{
    int32_t unit = unit_at(p, end);
    if (unit < 0 || is_low(unit))
        return NULL;
    if (!is_high(unit))
        return p + 6;
    return is_low(unit_at(p + 6, end)) ? p + 12 : NULL;
}

static const char *skip_escape(const char *p, const char *end)
{
    if (end - p < 2)
        return NULL;
    if (p[1] == 'u')
        return skip_unicode_escape(p, end);
    return memchr("\"\\/bfnrt", p[1], 8) != NULL ? p + 2 : NULL;
}

static const char *skip_wide(const char *p, const char *end)
{
    const char *run = p;
    while (p < end && (unsigned char)*p >= 0x80)
        p++;
    return channels__utf8_valid(run, (size_t)(p - run)) ? p : NULL;
}

/* From what is not plain in a string to behind its end. */
static const char *skip_rest(const char *p, const char *end)
{
    while (p != NULL && p < end && *p != '"') {
        if (*p == '\\')
            p = skip_escape(p, end);
        else
            p = (unsigned char)*p >= 0x80 ? skip_wide(p, end) : NULL;
        if (p != NULL)
            p = skip_plain(p, end);
    }
    return p != NULL && p < end ? p + 1 : NULL;
}

static inline const char *skip_string(const char *p, const char *end)
{
    p = skip_plain(p + 1, end);
    return p < end && *p == '"' ? p + 1 : skip_rest(p, end);
}

/* At least one. */
static inline const char *skip_digits(const char *p, const char *end)
{
    const char *first = p;
    while (p < end && channels__is_digit(*p))
        p++;
    return p > first ? p : NULL;
}

/* The exponent that ends a number at p, or 0; cut where it no longer matters. */
static long exponent_at(const char *p, const char *end)
{
    long exponent = 0;
    bool negative = end - p > 1 && p[1] == '-';
    for (p++; p < end; p++) {
        if (channels__is_digit(*p) && exponent < 100000000)
            exponent = exponent * 10 + (*p - '0');
    }
    return negative ? -exponent : exponent;
}

/* A fraction or power that no double can hold. Phoenix' Jason refuses it; to JSON.parse and cJSON
 * it is infinite, which they cannot write. (Integers have any size.) */
static bool too_large(const char *p, const char *end)
{
    static const char limit[] = "17976931348623158079"; /* e289: what is above is rounded up */
    char digits[sizeof limit] = "00000000000000000000";
    long power = -1, zeros = 0; /* of ten, of the first digit that counts */
    size_t n = 0;
    bool point = false;
    for (p += *p == '-'; p < end && *p != 'e' && *p != 'E'; p++) {
        point |= *p == '.';
        zeros += point && n == 0 && *p == '0';
        if (*p == '.' || (n == 0 && *p == '0'))
            continue;
        if (n == 0 && point)
            power = -zeros - 1;
        power += !point;
        if (n < sizeof limit - 1)
            digits[n] = *p;
        n++;
    }
    power += exponent_at(p, end);
    return n != 0 && (power > 308 || (power == 308 && strcmp(digits, limit) > 0));
}

static const char *skip_exponent(const char *p, const char *end)
{
    p++;
    if (p < end && (*p == '+' || *p == '-'))
        p++;
    return skip_digits(p, end);
}

/* What may follow the integer that ends at p. */
static const char *skip_fraction(const char *first, const char *p, const char *end)
{
    bool fraction = *p == '.';
    if (fraction)
        p = skip_digits(p + 1, end);
    bool power = p != NULL && p < end && (*p == 'e' || *p == 'E');
    if (power)
        p = skip_exponent(p, end);
    bool suspect = p != NULL && (power || (fraction && p - first > 300));
    return suspect && too_large(first, p) ? NULL : p;
}

static inline const char *skip_number(const char *p, const char *end)
{
    const char *first = p;
    if (*p == '-')
        p++;
    p = p < end && *p == '0' ? p + 1 : skip_digits(p, end);
    if (p == NULL || p == end || (*p != '.' && *p != 'e' && *p != 'E'))
        return p;
    return skip_fraction(first, p, end);
}

static inline const char *skip_word(const char *p, const char *end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

/* Of those that are no strings. */
static inline const char *skip_scalar(const char *p, const char *end)
{
    switch (*p) {
    case 't': return skip_word(p, end, "true", 4);
    case 'f': return skip_word(p, end, "false", 5);
    case 'n': return skip_word(p, end, "null", 4);
    default: return skip_number(p, end);
    }
}

/* Of one value: its containers that are open, the innermost last. */
struct nest {
    uint32_t depth, max;
    char closing[CHANNELS__JSON_NESTING];
};

static inline bool is_opening(char c)
{
    return c == '{' || c == '[';
}

/* From behind an opening bracket or a comma to the value that must follow. */
static inline const char *to_value(const struct nest *nest, const char *p, const char *end)
{
    p = skip_space(p, end);
    if (nest->closing[nest->depth - 1] == '}') {
        if (p == end || *p != '"' || (p = skip_string(p, end)) == NULL)
            return NULL;
        p = skip_space(p, end);
        if (p == end || *p != ':')
            return NULL;
        p = skip_space(p + 1, end);
    }
    return p < end ? p : NULL;
}

/* From behind a value to the next one, or behind the whole when nothing is open any more. */
static inline const char *from_value(struct nest *nest, const char *p, const char *end)
{
    p = skip_space(p, end);
    while (p < end && *p == nest->closing[nest->depth - 1]) {
        if (--nest->depth == 0)
            return p + 1;
        p = skip_space(p + 1, end);
    }
    return p < end && *p == ',' ? to_value(nest, p + 1, end) : NULL;
}

/* From an opening bracket to the next value, or likewise. */
static inline const char *open_container(struct nest *nest, const char *p, const char *end)
{
    if (nest->depth == nest->max)
        return NULL;
    char closing = *p == '{' ? '}' : ']';
    nest->closing[nest->depth++] = closing;
    p = skip_space(p + 1, end);
    return p < end && *p == closing ? from_value(nest, p, end) : to_value(nest, p, end);
}

static const char *skip_container(const char *p, const char *end, uint32_t max)
{
    struct nest nest;
    nest.depth = 0;
    nest.max = max < CHANNELS__JSON_NESTING ? max : CHANNELS__JSON_NESTING;
    do {
        if (is_opening(*p))
            p = open_container(&nest, p, end);
        else if ((p = *p == '"' ? skip_string(p, end) : skip_scalar(p, end)) != NULL)
            p = from_value(&nest, p, end);
    } while (p != NULL && nest.depth > 0);
    return p;
}

/* Of one value; strings first, as most are. One with escapes or wide characters is not *plain. */
static inline const char *skip_value(const char *p, const char *end, uint32_t max_nesting,
                                     bool *plain)
{
    if (p == end)
        return NULL;
    if (*p == '"') {
        p = skip_plain(p + 1, end);
        if (p < end && *p == '"')
            return p + 1;
        *plain = false;
        return skip_rest(p, end);
    }
    return is_opening(*p) ? skip_container(p, end, max_nesting) : skip_scalar(p, end);
}

/* Behind the value, or NULL. */
static inline const char *take_value(const char *p, const channels__json *j, channels__str *value,
                                     bool *plain)
{
    const char *first = skip_space(p, j->end);
    p = skip_value(first, j->end, j->max_nesting, plain);
    if (p != NULL)
        *value = channels__str_n(first, (size_t)(p - first));
    return p;
}

static inline const char *take_char(const char *p, const char *end, char c)
{
    p = skip_space(p, end);
    return p < end && *p == c ? p + 1 : NULL;
}

bool channels__json_value(channels__json *j, channels__str *value)
{
    bool plain;
    const char *p = take_value(j->p, j, value, &plain);
    if (p != NULL)
        j->p = p;
    return p != NULL;
}

bool channels__json_char(channels__json *j, char c)
{
    const char *p = take_char(j->p, j->end, c);
    if (p != NULL)
        j->p = p;
    return p != NULL;
}

bool channels__json_end(channels__json *j)
{
    j->p = skip_space(j->p, j->end);
    return j->p == j->end;
}

bool channels__json_array(channels__str text, uint32_t max_nesting, channels__str *values, int n,
                          bool *plain)
{
    const channels__json j = { text.p, text.p + text.n, max_nesting };
    const char *p = j.p, *next;
    channels__str more;
    *plain = true;
    for (int i = 0; i < n; i++) {
        if ((p = take_char(p, j.end, i == 0 ? '[' : ',')) == NULL ||
            (p = take_value(p, &j, &values[i], plain)) == NULL)
            return false;
    }
    while ((next = take_char(p, j.end, ',')) != NULL) {
        if ((p = take_value(next, &j, &more, plain)) == NULL)
            return false;
    }
    p = take_char(p, j.end, ']');
    return p != NULL && skip_space(p, j.end) == j.end;
}

bool channels__json_check(channels__str text, uint32_t max_nesting, bool object)
{
    channels__json j = { text.p, text.p + text.n, max_nesting };
    channels__str value;
    return text.n > 0 && channels__json_value(&j, &value) && channels__json_end(&j) &&
           (!object || value.p[0] == '{');
}

static char *put_utf8(char *dst, int32_t c)
{
    if (c < 0x80) {
        *dst++ = (char)c;
        return dst;
    }
    if (c < 0x800) {
        *dst++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *dst++ = (char)(0xE0 | c >> 12);
        } else {
            *dst++ = (char)(0xF0 | c >> 18);
            *dst++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *dst++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *dst++ = (char)(0x80 | (c & 0x3F));
    return dst;
}

/* What the escape at *p stands for; *p goes behind it. */
static int32_t escaped_char(const char **p, const char *end)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    int32_t unit = unit_at(*p, end);
    if (unit < 0) {
        const char *letter = strchr(letters, (*p)[1]);
        unit = letter != NULL ? meanings[letter - letters] : (*p)[1];
        *p += 2;
        return unit;
    }
    *p += 6;
    if (!is_high(unit))
        return unit;
    int32_t low = unit_at(*p, end);
    *p += 6;
    return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

size_t channels__json_unescape(channels__str value, char *dst)
{
    const char *p = value.p + 1, *end = value.p + value.n - 1;
    char *to = dst;
    for (;;) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        size_t n = (size_t)((escape != NULL ? escape : end) - p);
        memcpy(to, p, n);
        to += n;
        if (escape == NULL)
            return (size_t)(to - dst);
        p = escape;
        to = put_utf8(to, escaped_char(&p, end));
    }
}

/* The letter of its two-character escape, or 0. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\': return (char)c;
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

static const char *skip_unescaped(const char *p, const char *end)
{
    while ((p = skip_plain(p, end)) < end && (unsigned char)*p >= 0x80)
        p++;
    return p;
}

size_t channels__json_escaped_len(channels__str text)
{
    const char *p = text.p, *end = p + text.n;
    size_t len = text.n + 2;
    while ((p = skip_unescaped(p, end)) < end)
        len += short_escape((unsigned char)*p++) != 0 ? 1 : 5;
    return len;
}

static char *put_escape(char *dst, unsigned char c)
{
    char letter = short_escape(c);
    *dst++ = '\\';
    if (letter != 0) {
        *dst++ = letter;
        return dst;
    }
    memcpy(dst, "u00", 3);
    dst[3] = (char)('0' + (c >> 4));
    dst[4] = "0123456789abcdef"[c & 15];
    return dst + 5;
}

char *channels__json_escape(channels__str text, char *dst)
{
    const char *p = text.p, *end = p + text.n;
    *dst++ = '"';
    for (;;) {
        const char *run = p;
        p = skip_unescaped(p, end);
        memcpy(dst, run, (size_t)(p - run));
        dst += p - run;
        if (p == end)
            break;
        dst = put_escape(dst, (unsigned char)*p++);
    }
    *dst++ = '"';
    return dst;
}
