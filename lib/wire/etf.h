/* etf.h - Erlang's external term format, as far as tokens need it: bytes that are not trusted, read
 * one term at a time. Nothing here allocates or recurses, and nothing is read beyond the end.
 *
 * A term is its head followed by the terms inside it. Neither pass here needs to know how deep it
 * is; whoever does keeps a stack. (The format: erts/doc, "External Term Format". Functions, which
 * Phoenix refuses too, and what only nodes exchange are broken.) */
#ifndef CHANNELS_WIRE_ETF_H
#define CHANNELS_WIRE_ETF_H

#include <stdint.h>

#include "base/str.h"

#define CHANNELS__ETF_VERSION 131   /* the first byte of every term that is not inside another */
#define CHANNELS__ETF_COMPRESSED 80 /* then perhaps: four bytes with its size, and zlib's */

typedef enum {
    CHANNELS__INTEGER, /* `integer` */
    CHANNELS__BIGNUM,  /* any other: `bytes`, the lowest first, and `negative` */
    CHANNELS__FLOAT,   /* `number`, finite */
    CHANNELS__DECIMAL, /* a float of old: `bytes`, its text as C and JSON write it */
    CHANNELS__ATOM,    /* `bytes` in UTF-8, or Latin-1 if `latin1`; at most 1020 or 255 */
    CHANNELS__BYTES,   /* a binary: `bytes` */
    CHANNELS__NIL,     /* the empty list */
    CHANNELS__STRING,  /* a list of small integers: `bytes` */
    CHANNELS__LIST,    /* `count` elements and the tail follow */
    CHANNELS__TUPLE,   /* `count` elements follow */
    CHANNELS__MAP,     /* `count` pairs follow, twice as many terms */
    CHANNELS__OPAQUE   /* a pid, port, reference or bit string; passed over */
} channels__term_type;

typedef struct channels__term {
    channels__term_type type;
    int64_t integer;
    double number;
    channels__str bytes;
    bool negative, latin1;
    uint32_t count;
    uint64_t inside; /* terms that follow as its own */
} channels__term;

typedef struct channels__etf {
    const unsigned char *p, *end; /* what is left */
} channels__etf;

static inline channels__etf channels__etf_of(channels__str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    channels__etf r = { p, p + bytes.n };
    return r;
}
/* Takes the head of the next term; false if there is none or it is broken. */
bool channels__etf_next(channels__etf *r, channels__term *t);
/* Takes a term with all that is inside it: its bytes. */
bool channels__etf_whole(channels__etf *r, channels__str *whole);
bool channels__etf_is_atom(const channels__term *t, const char *name); /* of ASCII letters */

/* Written as Erlang writes them, behind what was written. */
unsigned char *channels__etf_put_integer(unsigned char *p, int64_t integer);
unsigned char *channels__etf_put_atom(unsigned char *p, const char *name);
unsigned char *channels__etf_put_tuple(unsigned char *p, unsigned char count);
unsigned char *channels__etf_put_bytes(unsigned char *p, channels__str bytes);

#endif
