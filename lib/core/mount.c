/* mount.c - mounting: what a host asks for is checked, completed and copied. */
#include "core/core.h"
#include "wire/json.h"
#include "wire/origin.h"
#include "wire/path.h"
#include "wire/subprotocol.h"
#include "wire/version.h"

/* --- What is asked for --------------------------------------------------------------------- */

#define complain(ep, ...) channels__log(ep, CHANNELS_LOG_ERROR, "channels_mount: " __VA_ARGS__)

static bool route_ok(channels_endpoint *ep, const channels_route *r)
{
    const char *star = strchr(r->pattern, '*');
    if (r->pattern[0] == '\0' || (star != NULL && star[1] != '\0'))
        complain(ep, "the topic pattern \"%s\" cannot be used: %s", r->pattern,
                 star != NULL ? "a * may only stand at its end" : "it is empty");
    else if (r->handler == NULL || r->handler->join == NULL)
        complain(ep, "the route \"%s\" has no %s", r->pattern,
                 r->handler == NULL ? "handler" : "join callback");
    else if (r->handler->assigns_size > UINT32_MAX / 2)
        complain(ep, "the assigns_size of \"%s\" is too large", r->pattern);
    else
        return true;
    return false;
}

static bool handler_ok(channels_endpoint *ep, const char *path, const channels_socket_handler *h)
{
    if (h == NULL) {
        complain(ep, "no handler given for %s", path);
        return false;
    }
    if (h->handle_frame != NULL && h->routes != NULL) {
        complain(ep,
                 "the handler of %s has both routes and handle_frame(): a socket has either "
                 "channels or frames",
                 path);
        return false;
    }
    for (const channels_route *r = h->routes; r != NULL && r->pattern != NULL; r++)
        if (!route_ok(ep, r))
            return false;
    return true;
}

static bool path_ok(channels_endpoint *ep, const char *what, const char *path)
{
    const char *fault = channels__pattern_fault(path);
    if (fault != NULL)
        complain(ep, "the %s \"%s\" cannot be used: %s", what, path, fault);
    return fault == NULL;
}

static bool origins_ok(channels_endpoint *ep, const channels_mount_options *o)
{
    if (o->check_origin == CHANNELS_ORIGIN_LIST && o->origins == NULL) {
        complain(ep, "CHANNELS_ORIGIN_LIST needs a list of origins");
        return false;
    }
    if ((o->check_origin == CHANNELS_ORIGIN_ASK) != (o->ask_origin != NULL)) {
        complain(ep, "CHANNELS_ORIGIN_ASK and ask_origin need each other");
        return false;
    }
    for (const char *const *s = o->origins; s != NULL && *s != NULL; s++)
        if (!channels__origin_entry_valid(*s)) {
            complain(ep,
                     "the origin \"%s\" names no host: write it as \"https://example.com\" or "
                     "\"//example.com\"",
                     *s);
            return false;
        }
    return true;
}

static bool subprotocols_ok(channels_endpoint *ep, const char *const *list)
{
    for (const char *const *s = list; s != NULL && *s != NULL; s++)
        if (s - list == UINT16_MAX - 1 || !channels__subprotocol_valid(*s)) {
            complain(ep, "the subprotocol \"%s\" %s", *s,
                     channels__subprotocol_valid(*s) ? "is one too many"
                                                     : "is empty, or holds a blank or a comma");
            return false;
        }
    return true;
}

static bool serializers_ok(channels_endpoint *ep, const channels_vsn *list)
{
    for (const channels_vsn *v = list; v != NULL && v->requirement != NULL; v++) {
        const channels_serializer *s = v->serializer;
        if (!channels__requirement_valid(v->requirement)) {
            complain(ep,
                     "the requirement \"%s\" cannot be read: write \"~> 2.0.0\" or \">= 1.0.0 "
                     "and < 3.0.0\"",
                     v->requirement);
            return false;
        }
        if (s == NULL || s->name == NULL || s->decode == NULL || s->encode == NULL) {
            complain(ep, "the serializer for \"%s\" %s", v->requirement,
                     s == NULL ? "is NULL" : "lacks a name, decode() or encode()");
            return false;
        }
    }
    return true;
}

static bool options_ok(channels_endpoint *ep, const channels_mount_options *o)
{
    const char *wrong = NULL;
    if (o->max_nesting > CHANNELS__JSON_NESTING)
        wrong = "max_nesting can be at most 1000";
    else if (o->max_topic > UINT16_MAX)
        wrong = "max_topic can be at most 65535";
    else if ((unsigned)o->check_origin > CHANNELS_ORIGIN_ASK)
        wrong = "there is no such check_origin";
    if (wrong != NULL)
        complain(ep, "%s", wrong);
    return wrong == NULL && origins_ok(ep, o) && subprotocols_ok(ep, o->websocket.subprotocols) &&
           serializers_ok(ep, o->serializers);
}

/* --- Defaults ----------------------------------------------------------------------------- */

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
    if (o->max_deferred_bytes > UINT32_MAX) /* that is how it is counted */
        o->max_deferred_bytes = UINT32_MAX;
    DEFAULT(o->max_queued, 1000000);
    DEFAULT(o->max_nesting, CHANNELS__JSON_NESTING);
    DEFAULT(o->websocket.idle_ms, 60000);
    DEFAULT(o->websocket.max_message, 10000000);
    DEFAULT(o->websocket.max_empty_fragments, 1024);
    DEFAULT(o->longpoll.window_ms, 10000);
    DEFAULT(o->longpoll.token_max_age_s, 1209600);
    DEFAULT(o->longpoll.max_sessions, 100000);
    DEFAULT(o->longpoll.max_batch, 100);
    DEFAULT(o->longpoll.max_body, 8000000);
    DEFAULT(o->longpoll.pubsub_timeout_ms, 2000);
    if (o->websocket.path == NULL)
        o->websocket.path = "/websocket";
    if (o->longpoll.path == NULL)
        o->longpoll.path = "/longpoll";
    if (o->serializers == NULL)
        o->serializers = channels__default_serializers;
}

/* --- Copies: all in the mount's own block, behind it --------------------------------------- */

/* Where they are written; while `to` is NULL they are only measured. */
typedef struct room {
    char *to;
    size_t used;
} room;

static void *take(room *r, size_t n, size_t align)
{
    r->used = (r->used + align - 1) / align * align;
    void *p = r->to != NULL ? r->to + r->used : NULL;
    r->used += n;
    return p;
}

/* `a` and `b`, one behind the other. */
static const char *copy_text(room *r, const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b) + 1;
    char *text = take(r, n + m, 1);
    if (text != NULL) {
        memcpy(text, a, n);
        memcpy(text + n, b, m);
    }
    return text;
}

/* With `first` in front, unless that is NULL. */
static const char *const *copy_list(room *r, const char *first, const char *const *list)
{
    size_t n = 0, at = first != NULL;
    if (first == NULL && list == NULL)
        return NULL;
    while (list != NULL && list[n] != NULL)
        n++;
    const char **copy = take(r, (at + n + 1) * sizeof *copy, _Alignof(char *));
    if (copy != NULL) {
        copy[0] = first;
        copy[at + n] = NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = copy_text(r, list[i], "");
        if (copy != NULL)
            copy[at + i] = text;
    }
    return copy;
}

static const channels_vsn *copy_serializers(room *r, const channels_vsn *list)
{
    size_t n = 0;
    while (list[n].requirement != NULL)
        n++;
    channels_vsn *copy = take(r, (n + 1) * sizeof *copy, _Alignof(channels_vsn));
    if (copy != NULL)
        copy[n] = (channels_vsn){ NULL, NULL };
    for (size_t i = 0; i < n; i++) {
        const char *text = copy_text(r, list[i].requirement, "");
        if (copy != NULL)
            copy[i] = (channels_vsn){ text, list[i].serializer };
    }
    return copy;
}

/* The paths of the transports become whole patterns. */
static void copy_strings(room *r, channels__mount *m, const char *path,
                         const channels_mount_options *o)
{
    m->path = copy_text(r, path, "");
    m->options.websocket.path = copy_text(r, path, o->websocket.path);
    m->options.longpoll.path = copy_text(r, path, o->longpoll.path);
    m->options.origins = copy_list(r, NULL, o->origins);
    m->options.websocket.subprotocols =
        copy_list(r, o->auth_token ? "phoenix" : NULL, o->websocket.subprotocols);
    m->options.serializers = copy_serializers(r, o->serializers);
}

/* --- Mounting ----------------------------------------------------------------------------- */

/* What the parts of a path are together may be wrong where they are not: a name stands in both. */
static bool patterns_ok(channels_endpoint *ep, const channels__mount *m)
{
    return path_ok(ep, "path", m->options.websocket.path) &&
           path_ok(ep, "path", m->options.longpoll.path);
}

static channels__mount *mount_new(channels_endpoint *ep, const char *path,
                                  const channels_mount_options *given)
{
    channels__mount measured;
    channels_mount_options o = *given;
    room r = { NULL, 0 };
    complete(&o);
    copy_strings(&r, &measured, path, &o);
    size_t size = sizeof(channels__mount) + r.used;
    channels__mount *m = channels__zalloc(&ep->mem, size);
    if (m == NULL)
        return NULL;
    r = (room){ m->copies, 0 };
    m->ep = ep;
    m->size = size;
    m->options = o;
    copy_strings(&r, m, path, &o);
    return m;
}

void channels__mounts_free(channels_endpoint *ep)
{
    while (ep->mounts != NULL) {
        channels__mount *m = ep->mounts;
        ep->mounts = m->next;
        channels__free(&ep->mem, m, m->size);
    }
}

static uint32_t sum_ms(uint32_t a, uint32_t b)
{
    return a <= UINT32_MAX - b ? a + b : UINT32_MAX;
}

static void add_alarms_of_nodes(channels__mount *m)
{
    uint32_t window = m->options.longpoll.window_ms;
    uint32_t timeout = m->options.longpoll.pubsub_timeout_ms;
    channels__add_alarms(m->ep, &m->asked, timeout, NULL);
    channels__add_alarms(m->ep, &m->awaited, sum_ms(window, timeout), NULL);
    channels__add_alarms(m->ep, &m->leaving, timeout / 4 + 1, NULL);
    channels__add_alarms(m->ep, &m->unconfirmed, timeout, NULL);
}

/* What they do is set by the transports that use them. */
static void add_alarms(channels__mount *m)
{
    uint32_t window = m->options.longpoll.window_ms;
    channels__add_alarms(m->ep, &m->idle, m->options.websocket.idle_ms, NULL);
    if (!m->options.longpoll.on)
        return;
    channels__add_alarms(m->ep, &m->held, window, NULL);
    channels__add_alarms(m->ep, &m->unpolled, sum_ms(window, window), NULL);
    channels__add_alarms(m->ep, &m->filled, 0, NULL);
    if (m->ep->config.pubsub != NULL)
        add_alarms_of_nodes(m);
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
    const char *websocket = o->websocket.path, *longpoll = o->longpoll.path;
    if (path == NULL) {
        complain(ep, "the path is NULL");
        return CHANNELS_ERR_INVALID;
    }
    if (!path_ok(ep, "path", path) || !handler_ok(ep, path, handler) || !options_ok(ep, o) ||
        (websocket != NULL && !path_ok(ep, "path for WebSocket", websocket)) ||
        (longpoll != NULL && !path_ok(ep, "path for long polling", longpoll)))
        return CHANNELS_ERR_INVALID;
    channels__mount *m = mount_new(ep, path, o);
    if (m == NULL)
        return CHANNELS_ERR_NOMEM;
    if (!patterns_ok(ep, m)) {
        channels__free(&ep->mem, m, m->size);
        return CHANNELS_ERR_INVALID;
    }
    m->handler = handler;
    m->user = user;
    add_alarms(m);
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
