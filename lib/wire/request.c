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

static bool begins(const char *name, const char *with)
{
    while (*with != '\0' && channels__lower(*name) == *with)
        name++, with++;
    return *with == '\0';
}

static bool is_shown(const char *name)
{
    static const char *const names[] = { "host", "origin", "user-agent", "traceparent",
                                         "tracestate" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (channels__same(name, names[i]))
            return true;
    return begins(name, "x-") || begins(name, "sec-websocket-");
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
