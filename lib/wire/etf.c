/* etf.c - see etf.h. The take_ functions return false when there is not enough left. */
#include "wire/etf.h"

#include <math.h>

#include "base/ascii.h"
#include "wire/json.h"
#include "wire/utf8.h"

enum {
    NEW_FLOAT = 70,
    BIT_BINARY = 77,
    NEW_PID = 88,
    NEW_PORT = 89,
    NEWER_REFERENCE = 90,
    SMALL_INTEGER = 97,
    INTEGER = 98,
    FLOAT = 99,
    ATOM = 100,
    REFERENCE = 101,
    PORT = 102,
    PID = 103,
    SMALL_TUPLE = 104,
    LARGE_TUPLE = 105,
    NIL = 106,
    STRING = 107,
    LIST = 108,
    BINARY = 109,
    SMALL_BIG = 110,
    LARGE_BIG = 111,
    NEW_REFERENCE = 114,
    SMALL_ATOM = 115,
    MAP = 116,
    ATOM_UTF8 = 118,
    SMALL_ATOM_UTF8 = 119,
    V4_PORT = 120
};

#define FLOAT_TEXT 31u /* "%.20e", filled up with NULs */
#define ATOM_CHARACTERS 255u

static size_t left(const channels__etf *r)
{
    return (size_t)(r->end - r->p);
}

static bool take(channels__etf *r, size_t n, channels__str *bytes)
{
    if (n > left(r))
        return false;
    *bytes = channels__str_n((const char *)r->p, n);
    r->p += n;
    return true;
}

static bool skip(channels__etf *r, size_t n)
{
    channels__str bytes;
    return take(r, n, &bytes);
}

/* A number of `width` bytes, the highest first. */
static bool take_number(channels__etf *r, size_t width, uint64_t *n)
{
    if (width > left(r))
        return false;
    *n = 0;
    for (size_t i = 0; i < width; i++)
        *n = *n << 8 | *r->p++;
    return true;
}

/* Bytes behind their number. */
static bool take_counted(channels__etf *r, size_t width, channels__str *bytes)
{
    uint64_t n;
    return take_number(r, width, &n) && n <= left(r) && take(r, (size_t)n, bytes);
}

/* --- Numbers -------------------------------------------------------------------------------- */

static bool take_integer(channels__etf *r, size_t width, channels__term *t)
{
    uint64_t n;
    if (!take_number(r, width, &n))
        return false;
    t->type = CHANNELS__INTEGER;
    t->integer = width == 4 && n > INT32_MAX ? (int64_t)n - ((int64_t)1 << 32) : (int64_t)n;
    return true;
}

/* A big number that is none gets its value. */
static bool fits(channels__term *t)
{
    uint64_t value = 0;
    if (t->bytes.n > 8)
        return false;
    for (size_t i = t->bytes.n; i-- > 0;)
        value = value << 8 | (unsigned char)t->bytes.p[i];
    if (value > (uint64_t)INT64_MAX + t->negative)
        return false;
    /* The lowest number has no positive counterpart. */
    t->integer = t->negative && value != 0 ? -(int64_t)(value - 1) - 1 : (int64_t)value;
    return true;
}

static bool take_big(channels__etf *r, size_t width, channels__term *t)
{
    uint64_t n, sign;
    if (!take_number(r, width, &n) || !take_number(r, 1, &sign) || n > left(r) ||
        !take(r, (size_t)n, &t->bytes))
        return false;
    while (t->bytes.n > 0 && t->bytes.p[t->bytes.n - 1] == 0)
        t->bytes.n--;
    t->negative = sign != 0;
    t->type = fits(t) ? CHANNELS__INTEGER : CHANNELS__BIGNUM;
    return true;
}

static bool take_float(channels__etf *r, channels__term *t)
{
    uint64_t bits;
    t->type = CHANNELS__FLOAT;
    if (!take_number(r, 8, &bits))
        return false;
    memcpy(&t->number, &bits, sizeof bits);
    return isfinite(t->number);
}

/* As C writes it, so JSON writes it; what no double can hold is neither. */
static bool is_decimal(channels__str text)
{
    return memchr(text.p, '.', text.n) != NULL &&
           (text.p[0] == '-' || channels__is_digit(text.p[0])) &&
           channels__is_digit(text.p[text.n - 1]) && channels__json_check(text, 1, false);
}

static bool take_decimal(channels__etf *r, channels__term *t)
{
    t->type = CHANNELS__DECIMAL;
    if (!take(r, FLOAT_TEXT, &t->bytes))
        return false;
    const char *nul = memchr(t->bytes.p, '\0', t->bytes.n);
    t->bytes.n = nul != NULL ? (size_t)(nul - t->bytes.p) : FLOAT_TEXT;
    return is_decimal(t->bytes);
}

/* --- Names ---------------------------------------------------------------------------------- */

static size_t characters(channels__str utf8)
{
    size_t n = 0;
    for (size_t i = 0; i < utf8.n; i++)
        n += ((unsigned char)utf8.p[i] & 0xc0) != 0x80;
    return n;
}

static bool take_atom(channels__etf *r, size_t width, bool latin1, channels__term *t)
{
    t->type = CHANNELS__ATOM;
    t->latin1 = latin1;
    if (!take_counted(r, width, &t->bytes))
        return false;
    if (latin1)
        return t->bytes.n <= ATOM_CHARACTERS;
    return channels__utf8_valid(t->bytes.p, t->bytes.n) && characters(t->bytes) <= ATOM_CHARACTERS;
}

static bool take_name(channels__etf *r, uint64_t tag, channels__term *t)
{
    switch (tag) {
    case ATOM: return take_atom(r, 2, true, t);
    case SMALL_ATOM: return take_atom(r, 1, true, t);
    case ATOM_UTF8: return take_atom(r, 2, false, t);
    case SMALL_ATOM_UTF8: return take_atom(r, 1, false, t);
    default: return false;
    }
}

/* A node's name, then `n` bytes of numbers. */
static bool skip_of_node(channels__etf *r, size_t n, channels__term *t)
{
    channels__term node;
    uint64_t tag;
    t->type = CHANNELS__OPAQUE;
    return take_number(r, 1, &tag) && take_name(r, tag, &node) && skip(r, n);
}

/* A reference of several words; `n` bytes come before them. */
static bool skip_reference(channels__etf *r, size_t n, channels__term *t)
{
    uint64_t words;
    return take_number(r, 2, &words) && skip_of_node(r, n + (size_t)words * 4, t);
}

static bool skip_bits(channels__etf *r, channels__term *t)
{
    uint64_t n, bits;
    t->type = CHANNELS__OPAQUE;
    return take_number(r, 4, &n) && take_number(r, 1, &bits) && bits >= 1 && bits <= 8 &&
           n <= left(r) && skip(r, (size_t)n);
}

/* --- Terms ---------------------------------------------------------------------------------- */

static bool take_bytes(channels__etf *r, channels__term_type type, size_t width, channels__term *t)
{
    t->type = type;
    return take_counted(r, width, &t->bytes);
}

static bool take_container(channels__etf *r, channels__term_type type, size_t width,
                           channels__term *t)
{
    uint64_t n;
    if (!take_number(r, width, &n))
        return false;
    t->type = type;
    t->count = (uint32_t)n;
    t->inside = type == CHANNELS__MAP ? n * 2 : type == CHANNELS__LIST ? n + 1 : n;
    return true;
}

static bool take_nil(channels__term *t)
{
    t->type = CHANNELS__NIL;
    return true;
}

static bool take_rest(channels__etf *r, uint64_t tag, channels__term *t)
{
    switch (tag) {
    case SMALL_INTEGER: return take_integer(r, 1, t);
    case INTEGER: return take_integer(r, 4, t);
    case SMALL_BIG: return take_big(r, 1, t);
    case LARGE_BIG: return take_big(r, 4, t);
    case NEW_FLOAT: return take_float(r, t);
    case FLOAT: return take_decimal(r, t);
    case BINARY: return take_bytes(r, CHANNELS__BYTES, 4, t);
    case STRING: return take_bytes(r, CHANNELS__STRING, 2, t);
    case NIL: return take_nil(t);
    case LIST: return take_container(r, CHANNELS__LIST, 4, t);
    case SMALL_TUPLE: return take_container(r, CHANNELS__TUPLE, 1, t);
    case LARGE_TUPLE: return take_container(r, CHANNELS__TUPLE, 4, t);
    case MAP: return take_container(r, CHANNELS__MAP, 4, t);
    case PID: return skip_of_node(r, 9, t);
    case NEW_PID: return skip_of_node(r, 12, t);
    case PORT: return skip_of_node(r, 5, t);
    case NEW_PORT: return skip_of_node(r, 8, t);
    case V4_PORT: return skip_of_node(r, 12, t);
    case REFERENCE: return skip_of_node(r, 5, t);
    case NEW_REFERENCE: return skip_reference(r, 1, t);
    case NEWER_REFERENCE: return skip_reference(r, 4, t);
    case BIT_BINARY: return skip_bits(r, t);
    default: return take_name(r, tag, t);
    }
}

bool channels__etf_next(channels__etf *r, channels__term *t)
{
    uint64_t tag;
    memset(t, 0, sizeof *t);
    return take_number(r, 1, &tag) && take_rest(r, tag, t);
}

/* Counts the terms that are due. Each has at least one byte: when more are due than bytes are left,
 * it is broken, and the count can't overflow. */
bool channels__etf_whole(channels__etf *r, channels__str *whole)
{
    const unsigned char *first = r->p;
    channels__term t;
    for (uint64_t due = 1; due > 0; due += t.inside - 1)
        if (due > left(r) || !channels__etf_next(r, &t))
            return false;
    *whole = channels__str_n((const char *)first, (size_t)(r->p - first));
    return true;
}

bool channels__etf_is_atom(const channels__term *t, const char *name)
{
    return t->type == CHANNELS__ATOM && channels__str_is(t->bytes, name);
}

/* --- Writing -------------------------------------------------------------------------------- */

static unsigned char *put_number(unsigned char *p, uint64_t n, size_t width)
{
    for (size_t i = width; i-- > 0;)
        *p++ = (unsigned char)(n >> (8 * i));
    return p;
}

unsigned char *channels__etf_put_integer(unsigned char *p, int64_t integer)
{
    uint64_t n = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    bool small = integer >= 0 && integer <= 255;
    if (small || (integer >= INT32_MIN && integer <= INT32_MAX)) {
        *p++ = small ? SMALL_INTEGER : INTEGER;
        return put_number(p, (uint64_t)integer, small ? 1 : 4);
    }
    unsigned char *size = p + 1;
    p[0] = SMALL_BIG;
    p[2] = integer < 0;
    for (p += 3; n != 0; n >>= 8)
        *p++ = (unsigned char)n;
    *size = (unsigned char)(p - size - 2);
    return p;
}

unsigned char *channels__etf_put_atom(unsigned char *p, const char *name)
{
    size_t n = strlen(name);
    *p++ = ATOM; /* OTP 26 writes another form; all read this one */
    p = put_number(p, n, 2);
    memcpy(p, name, n);
    return p + n;
}

unsigned char *channels__etf_put_tuple(unsigned char *p, unsigned char count)
{
    *p++ = SMALL_TUPLE;
    *p++ = count;
    return p;
}

unsigned char *channels__etf_put_bytes(unsigned char *p, channels__str bytes)
{
    *p++ = BINARY;
    p = put_number(p, bytes.n, 4);
    if (bytes.n != 0)
        memcpy(p, bytes.p, bytes.n);
    return p + bytes.n;
}
