/* origin.c - see origin.h. Origins and entries of the list are split as Elixir's URI.parse/1 does,
 * which takes almost anything: an IPv6 host loses its brackets, a known scheme brings its port, and
 * what is absent in an entry matches everything. Scheme and host are compared byte by byte, but the
 * scheme without regard to case. */
#include "wire/origin.h"

#include "base/ascii.h"
#include "base/str.h"

#define NO_PORT UINT32_MAX

struct origin {
    channels__str scheme, host; /* n == 0: absent */
    uint32_t port;
};

static bool same_scheme(channels__str a, channels__str b)
{
    size_t i = 0;
    while (i < a.n && i < b.n && channels__lower(a.p[i]) == channels__lower(b.p[i]))
        i++;
    return i == a.n && i == b.n;
}

static uint32_t default_port(channels__str scheme)
{
    if (same_scheme(scheme, channels__str_z("http")) || same_scheme(scheme, channels__str_z("ws")))
        return 80;
    if (same_scheme(scheme, channels__str_z("https")) ||
        same_scheme(scheme, channels__str_z("wss")))
        return 443;
    return NO_PORT;
}

/* Up to the colon behind it; empty if there is none. */
static channels__str scheme_of(const char *text)
{
    size_t n = 0;
    while (channels__is_letter(text[n]) ||
           (n > 0 && text[n] != '\0' &&
            (channels__is_digit(text[n]) || strchr("+-.", text[n]) != NULL)))
        n++;
    return channels__str_n(text, text[n] == ':' ? n : 0);
}

/* An address in brackets, or what is before a colon. */
static size_t host_len(channels__str authority)
{
    const char *p = authority.p, *colon = memchr(p, ':', authority.n);
    size_t n = 1;
    if (authority.n > 0 && p[0] == '[') {
        while (n < authority.n && (channels__is_letter(p[n]) || channels__is_digit(p[n]) ||
                                   p[n] == ':' || p[n] == '.'))
            n++;
        if (n < authority.n && p[n] == ']')
            return n + 1;
    }
    return colon != NULL ? (size_t)(colon - p) : authority.n;
}

static channels__str without_brackets(channels__str host)
{
    while (host.n > 0 && host.p[0] == '[') {
        host.p++;
        host.n--;
    }
    while (host.n > 0 && host.p[host.n - 1] == ']')
        host.n--;
    return host;
}

/* Of a colon and digits. Numbers above the highest port are all the same. */
static uint32_t port_at(const char *p, const char *end, uint32_t absent)
{
    uint32_t port = 0;
    if (end - p < 2 || *p != ':' || !channels__is_digit(p[1]))
        return absent;
    for (p++; p < end && channels__is_digit(*p); p++)
        port = port > 65535 ? port : port * 10 + (uint32_t)(*p - '0');
    return port;
}

/* [user@]host[:port] */
static void parse_authority(struct origin *o, channels__str authority)
{
    const char *end = authority.p + authority.n, *p = end;
    while (p > authority.p && p[-1] != '@')
        p--;
    authority = channels__str_n(p, (size_t)(end - p));
    size_t n = host_len(authority);
    o->host = without_brackets(channels__str_n(p, n));
    o->port = port_at(p + n, end, default_port(o->scheme));
}

/* [scheme:][//authority]... */
static struct origin parse(const char *text)
{
    struct origin o = { scheme_of(text), { NULL, 0 }, NO_PORT };
    if (o.scheme.n > 0)
        text += o.scheme.n + 1;
    if (strncmp(text, "//", 2) == 0)
        parse_authority(&o, channels__str_n(text + 2, strcspn(text + 2, "/?#")));
    return o;
}

/* "*.x" is x and everything below it. */
static bool host_matches(channels__str host, channels__str pattern)
{
    if (pattern.n < 2 || memcmp(pattern.p, "*.", 2) != 0)
        return channels__str_eq(host, pattern);
    channels__str below = channels__str_n(pattern.p + 1, pattern.n - 1);
    channels__str whole = channels__str_n(pattern.p + 2, pattern.n - 2);
    return channels__str_eq(host, whole) ||
           (host.n >= below.n && memcmp(host.p + host.n - below.n, below.p, below.n) == 0);
}

static bool matches(const struct origin *origin, const struct origin *entry)
{
    return (entry->scheme.n == 0 || same_scheme(origin->scheme, entry->scheme)) &&
           (entry->port == NO_PORT || origin->port == entry->port) &&
           host_matches(origin->host, entry->host);
}

static bool in_list(const struct origin *origin, const char *const *list)
{
    for (; *list != NULL; list++) {
        struct origin entry = parse(*list);
        if (matches(origin, &entry))
            return true;
    }
    return false;
}

static bool is_same(const struct origin *origin, const channels_request *req)
{
    const char *host = channels_request_header(req, "host");
    struct origin own = { channels__str_z(req->tls ? "https" : "http"), { NULL, 0 }, NO_PORT };
    if (host == NULL)
        return false;
    parse_authority(&own, channels__str_z(host));
    return same_scheme(origin->scheme, own.scheme) && origin->port == own.port &&
           channels__str_eq(origin->host, own.host);
}

bool channels__origin_entry_valid(const char *entry)
{
    return parse(entry).host.n > 0;
}

bool channels__origin_allowed(channels_origin policy, const char *host, const char *const *list,
                              const channels_request *req)
{
    const char *header = channels_request_header(req, "origin");
    if (header == NULL || policy == CHANNELS_ORIGIN_ANY)
        return true;
    struct origin origin = parse(header);
    if (origin.host.n == 0)
        return false;
    switch (policy) {
    case CHANNELS_ORIGIN_HOST: return host == NULL || channels__str_is(origin.host, host);
    case CHANNELS_ORIGIN_SAME: return is_same(&origin, req);
    case CHANNELS_ORIGIN_LIST: return in_list(&origin, list);
    default: return false;
    }
}
