/* router.c - which mount a path belongs to, and which handler a topic. */

#include "core/core.h"
#include "wire/path.h"

/* --- Paths -------------------------------------------------------------------------------- */

const char *channels__mount_pattern(const channels__mount *m, const char *transport)
{
    if (strcmp(transport, "websocket") == 0)
        return m->options.websocket.off ? NULL : m->options.websocket.path;
    if (strcmp(transport, "longpoll") == 0)
        return m->options.longpoll.on ? m->options.longpoll.path : NULL;
    return m->path; /* of a host's own, which has no options */
}

channels__mount *channels__mount_find(channels_endpoint *ep, const char *path,
                                      const char *transport)
{
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next) {
        const char *pattern = channels__mount_pattern(m, transport);
        if (pattern != NULL && channels__path_matches(path, pattern))
            return m;
    }
    return NULL;
}

/* --- Topics ------------------------------------------------------------------------------- */

bool channels__topic_matches(channels__str topic, const char *pattern)
{
    size_t n = strlen(pattern);
    if (n != 0 && pattern[n - 1] == '*')
        return topic.n >= n - 1 && memcmp(topic.p, pattern, n - 1) == 0;
    return topic.n == n && memcmp(topic.p, pattern, n) == 0;
}

const channels_route *channels__route_find(const channels_route *routes, channels__str topic)
{
    for (; routes != NULL && routes->pattern != NULL; routes++)
        if (channels__topic_matches(topic, routes->pattern))
            return routes;
    return NULL;
}
