/* extension.c - see extension.h. */
#include "wire/extension.h"

#include <string.h>

#include "base/ascii.h"
#include "base/str.h"

#define NO_TAKEOVER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define BITS(n) BITS_(n)
#define BITS_(n) "; server_max_window_bits=" #n

typedef struct offer {
    bool deflate;         /* of this extension, and nothing is wrong with it so far */
    unsigned seen;        /* its parameters, a bit for each */
    unsigned server_bits; /* 0: not limited */
} offer;

/* --- Text (RFC 6455, 9.1) ----------------------------------------------------------------- */

static void skip_blanks(const char **p)
{
    *p += strspn(*p, " \t");
}

/* And the blanks around it. */
static bool skip(const char **p, char c)
{
    skip_blanks(p);
    if (**p != c)
        return false;
    ++*p;
    skip_blanks(p);
    return true;
}

static channels__str read_token(const char **p)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    const char *from = *p;
    while (channels__is_letter(**p) || channels__is_digit(**p) ||
           (**p != '\0' && strchr(others, **p) != NULL))
        ++*p;
    return channels__str_n(from, (size_t)(*p - from));
}

/* A token, perhaps within quotes; empty: it is none. */
static channels__str read_value(const char **p)
{
    if (**p != '"')
        return read_token(p);
    ++*p;
    channels__str value = read_token(p);
    if (**p != '"')
        return channels__str_none();
    ++*p;
    return value;
}

/* --- Parameters (RFC 7692, 7.1) ----------------------------------------------------------- */

/* 8 to 15, without leading zeros; else 0. */
static unsigned window_bits(channels__str value)
{
    if (value.n == 1 && (value.p[0] == '8' || value.p[0] == '9'))
        return (unsigned)(value.p[0] - '0');
    if (value.n == 2 && value.p[0] == '1' && value.p[1] >= '0' && value.p[1] <= '5')
        return 10u + (unsigned)(value.p[1] - '0');
    return 0;
}

/* `value` is absent if there was none. What limits the client's window is checked and forgotten:
 * whatever it sends can be read. */
static void take(offer *o, channels__str name, channels__str value)
{
    static const char *const names[] = { "server_no_context_takeover", "client_no_context_takeover",
                                         "server_max_window_bits", "client_max_window_bits" };
    unsigned i = 0;
    while (i < 4 && !channels__str_is(name, names[i]))
        i++;
    bool known = i < 4 && (o->seen & 1u << i) == 0;
    bool legal = i < 2 ? value.p == NULL : window_bits(value) != 0 || (i == 3 && value.p == NULL);
    o->deflate &= known && legal;
    o->seen |= 1u << i;
    if (i == 2)
        o->server_bits = window_bits(value);
}

/* The next of the list; false at its end, and at what is no offer. */
static bool read_offer(const char **p, offer *o)
{
    while (skip(p, ','))
        ;
    channels__str name = read_token(p);
    *o = (offer){ .deflate = channels__str_is(name, "permessage-deflate") };
    while (name.n != 0 && skip(p, ';')) {
        channels__str param = read_token(p), value = channels__str_none();
        if (param.n == 0)
            return false;
        if (skip(p, '=') && (value = read_value(p)).n == 0)
            return false;
        take(o, param, value);
    }
    skip_blanks(p);
    return name.n != 0 && (**p == ',' || **p == '\0');
}

const char *channels__deflate_answer(const channels_request *req, bool *small)
{
    offer o;
    for (size_t i = 0; i < req->nheaders; i++) {
        const char *p = req->headers[i].value;
        if (!channels__same(req->headers[i].name, "sec-websocket-extensions"))
            continue;
        while (read_offer(&p, &o)) {
            if (!o.deflate || o.server_bits == 8)
                continue;
            *small = o.server_bits != 0 && o.server_bits < 15;
            return *small               ? NO_TAKEOVER BITS(CHANNELS__DEFLATE_SMALL)
                   : o.server_bits == 0 ? NO_TAKEOVER
                                        : NO_TAKEOVER BITS(15);
        }
    }
    return NULL;
}
