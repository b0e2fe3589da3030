/* etf_json.c - see etf_json.h. Containers are not recursed into: `levels` has those in hand. */
#include "wire/etf_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/etf.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define LEVELS 128u
#define BIGNUM_BYTES 255u /* what Erlang's shorter form of them holds */
#define CHUNK 1000000000u /* nine digits at a time */

struct level {
    channels__term_type type;
    uint32_t left; /* values, or pairs */
    bool begun;
};

struct writer {
    channels__etf in;
    char *dst;
    size_t n;
    struct level levels[LEVELS];
    size_t depth;
};

/* Room for `n` more bytes; NULL while measuring. */
static char *room(struct writer *w, size_t n)
{
    char *p = w->dst != NULL ? w->dst + w->n : NULL;
    w->n += n;
    return p;
}

static bool put(struct writer *w, channels__str text)
{
    char *p = room(w, text.n);
    if (p != NULL)
        memcpy(p, text.p, text.n);
    return true;
}

static bool put_char(struct writer *w, char c)
{
    return put(w, channels__str_n(&c, 1));
}

/* --- Numbers -------------------------------------------------------------------------------- */

static bool put_integer(struct writer *w, int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, integer);
    return put(w, channels__str_z(text));
}

/* Divides the number of `n` words, the lowest first, and gives the remainder. */
static uint32_t divide(uint32_t *words, size_t n, uint32_t by)
{
    uint64_t rest = 0;
    for (size_t i = n; i-- > 0;) {
        rest = rest << 32 | words[i];
        words[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

/* In decimal: its chunks are divided off from the lowest on. */
static bool put_bignum(struct writer *w, const channels__term *t)
{
    uint32_t words[(BIGNUM_BYTES + 3) / 4] = { 0 };
    char text[BIGNUM_BYTES * 5 / 2 + 16], *p = text + sizeof text;
    if (t->bytes.n > BIGNUM_BYTES)
        return false;
    for (size_t i = 0; i < t->bytes.n; i++)
        words[i / 4] |= (uint32_t)(unsigned char)t->bytes.p[i] << (i % 4 * 8);
    for (size_t n = (t->bytes.n + 3) / 4; n > 0; n -= n > 0 && words[n - 1] == 0) {
        uint32_t chunk = divide(words, n, CHUNK);
        for (int i = 0; i < 9; i++, chunk /= 10)
            *--p = (char)('0' + chunk % 10);
    }
    while (*p == '0')
        p++;
    if (t->negative)
        *--p = '-';
    return put(w, channels__str_n(p, (size_t)(text + sizeof text - p)));
}

/* The shortest text that is read as the same number, with a point or an exponent, as Jason writes
 * it. What is no part of a number in C's locale is the point of this one. */
static bool put_float(struct writer *w, double number)
{
    char text[40], *p = text;
    bool fraction = false;
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (; *p != '\0'; p++) {
        bool plain = strchr("0123456789+-e", *p) != NULL;
        if (plain)
            put_char(w, *p);
        else if (!fraction)
            put_char(w, '.');
        fraction |= !plain || *p == 'e';
    }
    return fraction || put(w, channels__str_z(".0"));
}

/* --- Text ----------------------------------------------------------------------------------- */

static bool put_string(struct writer *w, channels__str text)
{
    char *p = room(w, channels__json_escaped_len(text));
    if (p != NULL)
        channels__json_escape(text, p);
    return true;
}

static bool put_latin1(struct writer *w, channels__str text)
{
    char utf8[2 * 255], *p = utf8;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80)
            *p++ = (char)(0xc0 | c >> 6);
        *p++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return put_string(w, channels__str_n(utf8, (size_t)(p - utf8)));
}

static bool put_name(struct writer *w, const channels__term *atom)
{
    return atom->latin1 ? put_latin1(w, atom->bytes) : put_string(w, atom->bytes);
}

static bool put_atom(struct writer *w, const channels__term *t)
{
    if (channels__etf_is_atom(t, "nil"))
        return put(w, channels__str_z("null"));
    if (channels__etf_is_atom(t, "true") || channels__etf_is_atom(t, "false"))
        return put(w, t->bytes);
    return put_name(w, t);
}

static bool put_numbers(struct writer *w, channels__str bytes)
{
    put_char(w, '[');
    for (size_t i = 0; i < bytes.n; i++) {
        if (i > 0)
            put_char(w, ',');
        put_integer(w, (unsigned char)bytes.p[i]);
    }
    return put_char(w, ']');
}

static bool put_bytes(struct writer *w, channels__str bytes)
{
    return channels__utf8_valid(bytes.p, bytes.n) ? put_string(w, bytes) : put_numbers(w, bytes);
}

/* --- Terms ---------------------------------------------------------------------------------- */

static bool open_level(struct writer *w, const channels__term *t)
{
    if (w->depth == LEVELS)
        return false;
    w->levels[w->depth++] = (struct level){ .type = t->type, .left = t->count };
    return put_char(w, t->type == CHANNELS__MAP ? '{' : '[');
}

static bool value(struct writer *w)
{
    channels__term t;
    if (!channels__etf_next(&w->in, &t))
        return false;
    switch (t.type) {
    case CHANNELS__INTEGER: return put_integer(w, t.integer);
    case CHANNELS__BIGNUM: return put_bignum(w, &t);
    case CHANNELS__FLOAT: return put_float(w, t.number);
    case CHANNELS__DECIMAL: return put(w, t.bytes);
    case CHANNELS__ATOM: return put_atom(w, &t);
    case CHANNELS__BYTES: return put_bytes(w, t.bytes);
    case CHANNELS__NIL: return put(w, channels__str_z("[]"));
    case CHANNELS__STRING: return put_numbers(w, t.bytes);
    case CHANNELS__OPAQUE: return put(w, channels__str_z("null"));
    default: return open_level(w, &t);
    }
}

static bool quoted(struct writer *w, bool (*digits)(struct writer *w, const channels__term *t),
                   const channels__term *t)
{
    return put_char(w, '"') && digits(w, t) && put_char(w, '"');
}

static bool put_small(struct writer *w, const channels__term *t)
{
    return put_integer(w, t->integer);
}

static bool key(struct writer *w)
{
    channels__term t;
    if (!channels__etf_next(&w->in, &t))
        return false;
    switch (t.type) {
    case CHANNELS__ATOM: return put_name(w, &t);
    case CHANNELS__INTEGER: return quoted(w, put_small, &t);
    case CHANNELS__BIGNUM: return quoted(w, put_bignum, &t);
    case CHANNELS__BYTES:
        return channels__utf8_valid(t.bytes.p, t.bytes.n) && put_string(w, t.bytes);
    default: return false;
    }
}

/* A list ends with its tail, which is the empty list in a proper one. */
static bool close_level(struct writer *w, const struct level *l)
{
    channels__term tail;
    if (l->type == CHANNELS__LIST &&
        !(channels__etf_next(&w->in, &tail) && tail.type == CHANNELS__NIL))
        return false;
    w->depth--;
    return put_char(w, l->type == CHANNELS__MAP ? '}' : ']');
}

static bool step(struct writer *w)
{
    struct level *l = &w->levels[w->depth - 1];
    if (l->left == 0)
        return close_level(w, l);
    l->left--;
    if (l->begun)
        put_char(w, ',');
    l->begun = true;
    if (l->type == CHANNELS__MAP && !(key(w) && put_char(w, ':')))
        return false;
    return value(w);
}

ptrdiff_t channels__etf_json(channels__str term, char *dst)
{
    struct writer w;
    w.in = channels__etf_of(term);
    w.dst = dst;
    w.n = w.depth = 0;
    bool ok = value(&w);
    while (ok && w.depth > 0)
        ok = step(&w);
    return ok ? (ptrdiff_t)w.n : -1;
}
