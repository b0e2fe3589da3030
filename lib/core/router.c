/* router.c - which mount a path belongs to, and which handler a topic. */

#include "core/core.h"
#include "wire/json.h"
#include "wire/origin.h"

/* --- Paths: split on '/', empty segments do not count, nothing is decoded ------------------ */

static channels__str next_segment(const char **path)
{
    const char *p = *path + strspn(*path, "/");
    size_t n = strcspn(p, "/");
    *path = p + n;
    return channels__str_n(p, n);
}

/* Takes the segments of `prefix` from the front of *path. */
static bool take_path(const char **path, const char *prefix)
{
    for (;;) {
        channels__str want = next_segment(&prefix);
        if (want.n == 0)
            return true;
        if (!channels__str_eq(want, next_segment(path)))
            return false;
    }
}

static const char *transport_path(const channels__mount *m, const char *transport)
{
    if (strcmp(transport, "websocket") == 0)
        return m->options.websocket.off ? NULL : m->options.websocket.path;
    if (strcmp(transport, "longpoll") == 0)
        return m->options.longpoll.on ? m->options.longpoll.path : NULL;
    return NULL;
}

channels__mount *channels__mount_find(channels_endpoint *ep, const char *path,
                                      const char *transport)
{
    for (channels__mount *m = ep->mounts; m != NULL; m = m->next) {
        const char *rest = path, *below = transport_path(m, transport);
        if (below != NULL && take_path(&rest, m->path) && take_path(&rest, below) &&
            next_segment(&rest).n == 0)
            return m;
    }
    return NULL;
}

/* --- Topics ------------------------------------------------------------------------------- */

static bool pattern_matches(const char *pattern, channels__str topic)
{
    size_t n = strlen(pattern);
    if (n != 0 && pattern[n - 1] == '*')
        return topic.n >= n - 1 && memcmp(topic.p, pattern, n - 1) == 0;
    return topic.n == n && memcmp(topic.p, pattern, n) == 0;
}

const channels_route *channels__route_find(const channels_route *routes, channels__str topic)
{
    for (; routes != NULL && routes->pattern != NULL; routes++)
        if (pattern_matches(routes->pattern, topic))
            return routes;
    return NULL;
}

/* --- Mounting ----------------------------------------------------------------------------- */

static bool routes_ok(channels_endpoint *ep, const channels_route *r)
{
    for (; r != NULL && r->pattern != NULL; r++) {
        const char *star = strchr(r->pattern, '*');
        if (r->pattern[0] == '\0' || (star != NULL && star[1] != '\0')) {
            channels__log(ep, CHANNELS_LOG_ERROR,
                          "channels_mount: the topic pattern \"%s\" cannot be used: %s", r->pattern,
                          star != NULL ? "a * may only stand at its end" : "it is empty");
            return false;
        }
        if (r->handler == NULL || r->handler->join == NULL) {
            channels__log(ep, CHANNELS_LOG_ERROR,
                          "channels_mount: the route \"%s\" has no %s", r->pattern,
                          r->handler == NULL ? "handler" : "join callback");
            return false;
        }
        if (r->handler->assigns_size > UINT32_MAX / 2) {
            channels__log(ep, CHANNELS_LOG_ERROR,
                          "channels_mount: the assigns_size of \"%s\" is too large", r->pattern);
            return false;
        }
    }
    return true;
}

static bool origins_ok(channels_endpoint *ep, const channels_mount_options *o)
{
    if (o->check_origin == CHANNELS_ORIGIN_LIST && o->origins == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_mount: CHANNELS_ORIGIN_LIST needs a list of origins");
        return false;
    }
    for (const char *const *s = o->origins; s != NULL && *s != NULL; s++)
        if (!channels__origin_entry_valid(*s)) {
            channels__log(ep, CHANNELS_LOG_ERROR,
                          "channels_mount: the origin \"%s\" names no host: write it as "
                          "\"https://example.com\" or \"//example.com\"", *s);
            return false;
        }
    return true;
}

static bool below_ok(const char *path)
{
    return path == NULL || (path[0] == '/' && strpbrk(path, "?#:*") == NULL);
}

static bool options_ok(channels_endpoint *ep, const channels_mount_options *o)
{
    const char *wrong = NULL;
    if (o->max_nesting > CHANNELS__JSON_NESTING)
        wrong = "max_nesting can be at most 1000";
    else if (o->max_topic > UINT16_MAX)
        wrong = "max_topic can be at most 65535";
    else if ((unsigned)o->check_origin > CHANNELS_ORIGIN_ANY)
        wrong = "there is no such check_origin";
    else if (!below_ok(o->websocket.path) || !below_ok(o->longpoll.path))
        wrong = "the path of a transport must begin with / and hold none of ? # : *";
    if (wrong != NULL)
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_mount: %s", wrong);
    return wrong == NULL && origins_ok(ep, o);
}

#define DEFAULT(member, value) \
    do { \
        if ((member) == 0) \
            (member) = (value); \
    } while (0)

static void complete(channels_mount_options *o)
{
    DEFAULT(o->max_channels, 100);
    DEFAULT(o->max_topic, 16384);
    DEFAULT(o->max_deferred, 1000);
    DEFAULT(o->max_deferred_bytes, 1000000);
    DEFAULT(o->max_queued, 1000000);
    DEFAULT(o->max_nesting, CHANNELS__JSON_NESTING);
    DEFAULT(o->websocket.idle_ms, 60000);
    DEFAULT(o->websocket.max_message, 10000000);
    DEFAULT(o->websocket.max_empty_fragments, 1024);
    DEFAULT(o->longpoll.window_ms, 10000);
    DEFAULT(o->longpoll.token_max_age_s, 1209600);
    DEFAULT(o->longpoll.max_batch, 100);
    DEFAULT(o->longpoll.max_body, 8000000);
    if (o->websocket.path == NULL)
        o->websocket.path = "/websocket";
    if (o->longpoll.path == NULL)
        o->longpoll.path = "/longpoll";
}

static size_t count_origins(const char *const *origins)
{
    size_t n = 0;
    while (origins != NULL && origins[n] != NULL)
        n++;
    return n;
}

static void mount_free(channels__mount *m)
{
    const channels__mem *mem = &m->ep->mem;
    char **origins = (char **)(uintptr_t)m->options.origins;
    size_t n = count_origins(m->options.origins);
    for (size_t i = 0; i < n; i++)
        channels__strfree(mem, origins[i]);
    if (origins != NULL)
        channels__free(mem, origins, (n + 1) * sizeof *origins);
    channels__strfree(mem, (char *)(uintptr_t)m->options.websocket.path);
    channels__strfree(mem, (char *)(uintptr_t)m->options.longpoll.path);
    channels__strfree(mem, m->path);
    channels__free(mem, m, sizeof *m);
}

void channels__mounts_free(channels_endpoint *ep)
{
    while (ep->mounts != NULL) {
        channels__mount *m = ep->mounts;
        ep->mounts = m->next;
        mount_free(m);
    }
}

/* Makes the strings of its options its own. False if memory ran out: whatever is set is freed by
 * mount_free(). */
static bool own_strings(channels__mount *m, const char *path, const char *const *from)
{
    const channels__mem *mem = &m->ep->mem;
    size_t n = count_origins(from);
    m->options.origins = NULL;
    m->options.websocket.path = channels__strdup(mem, m->options.websocket.path);
    m->options.longpoll.path = channels__strdup(mem, m->options.longpoll.path);
    m->path = channels__strdup(mem, path);
    if (m->path == NULL || m->options.websocket.path == NULL || m->options.longpoll.path == NULL)
        return false;
    if (from == NULL)
        return true;
    char **origins = channels__zalloc(mem, (n + 1) * sizeof *origins);
    m->options.origins = (const char *const *)origins;
    for (size_t i = 0; origins != NULL && i < n; i++)
        if ((origins[i] = channels__strdup(mem, from[i])) == NULL) {
            for (; i > 0; i--)
                channels__strfree(mem, origins[i - 1]);
            channels__free(mem, origins, (n + 1) * sizeof *origins);
            m->options.origins = NULL;
            return false;
        }
    return origins != NULL;
}

/* At the end of the list: mounts are asked in the order of mounting. */
static void append_mount(channels_endpoint *ep, channels__mount *m)
{
    channels__mount **at = &ep->mounts;
    while (*at != NULL)
        at = &(*at)->next;
    *at = m;
}

static int mount(channels_endpoint *ep, const char *path, const channels_socket_handler *handler,
                 const channels_mount_options *options, void *user)
{
    static const channels_mount_options defaults;
    const channels_mount_options *o = options != NULL ? options : &defaults;
    if (path == NULL || path[0] != '/' || strpbrk(path, "?#:*") != NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_mount: the path \"%s\" cannot be used: it must begin with / and "
                      "hold none of ? # : *", path != NULL ? path : "(null)");
        return CHANNELS_ERR_INVALID;
    }
    if (handler == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_mount: no handler given for %s", path);
        return CHANNELS_ERR_INVALID;
    }
    if (!routes_ok(ep, handler->routes) || !options_ok(ep, o))
        return CHANNELS_ERR_INVALID;
    channels__mount *m = channels__zalloc(&ep->mem, sizeof *m);
    if (m == NULL)
        return CHANNELS_ERR_NOMEM;
    m->ep = ep;
    m->handler = handler;
    m->user = user;
    m->options = *o;
    complete(&m->options);
    if (!own_strings(m, path, o->origins)) {
        mount_free(m);
        return CHANNELS_ERR_NOMEM;
    }
    channels__add_alarms(ep, &m->idle, m->options.websocket.idle_ms, NULL);
    append_mount(ep, m);
    return CHANNELS_OK;
}

int channels_mount(channels_endpoint *ep, const char *path, const channels_socket_handler *handler,
                   const channels_mount_options *options, void *user)
{
    if (!channels__enter(ep, "channels_mount"))
        return CHANNELS_ERR_MISUSE;
    int err = mount(ep, path, handler, options, user);
    channels__leave(ep);
    return err;
}
