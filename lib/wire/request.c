/* request.c - see request.h. */
#include "wire/request.h"

#include <stdio.h>

#include "base/ascii.h"

const char *channels_request_header(const channels_request *req, const char *name)
{
    for (size_t i = 0; i < req->nheaders; i++) {
        if (channels__same(req->headers[i].name, name))
            return req->headers[i].value;
    }
    return NULL;
}

channels__str channels__next_entry(const char **list)
{
    const char *p = *list + strspn(*list, ", \t");
    size_t n = strcspn(p, ",");
    *list = p + n;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
        n--;
    return channels__str_n(p, n);
}

static bool begins(const char *name, const char *with)
{
    while (*with != '\0' && channels__lower(*name) == *with)
        name++, with++;
    return *with == '\0';
}

static bool is_shown(const char *name)
{
    switch (channels__lower(name[0])) {
    case 'h': return channels__same(name, "host");
    case 'o': return channels__same(name, "origin");
    case 's': return begins(name, "sec-websocket-");
    case 't': return channels__same(name, "traceparent") || channels__same(name, "tracestate");
    case 'u': return channels__same(name, "user-agent");
    case 'x': return name[1] == '-';
    default: return false;
    }
}

size_t channels__headers_shown(const channels_request *req, bool all, channels_header *dst)
{
    size_t n = 0;
    for (size_t i = 0; i < req->nheaders; i++)
        if (all || is_shown(req->headers[i].name))
            dst[n++] = req->headers[i];
    return n;
}

int channels_request_uri(const channels_request *req, char *dst, size_t cap)
{
    const char *host = channels_request_header(req, "host");
    const char *query = req->query != NULL ? req->query : "";
    if (host == NULL)
        return -1;
    return snprintf(dst, cap, "%s://%s%s%s%s", req->tls ? "https" : "http", host,
                    req->path != NULL ? req->path : "", *query != '\0' ? "?" : "", query);
}
