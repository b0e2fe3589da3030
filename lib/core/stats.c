/* stats.c - the endpoint's counters for who asks, and as Prometheus' text. They are counted where
 * things happen, in ep->stats. */
#include "channels/stats.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/core.h"

int channels_endpoint_stats(channels_endpoint *ep, channels_stats *stats)
{
    if (!channels__enter(ep, "channels_endpoint_stats"))
        return CHANNELS_ERR_MISUSE;
    *stats = ep->stats;
    stats->topics = ep->topics.count;
    channels__leave(ep);
    return CHANNELS_OK;
}

static uint64_t *sockets_of(const channels_socket *s)
{
    if (strcmp(s->transport->name, "websocket") == 0)
        return &s->ep->stats.sockets_websocket;
    if (strcmp(s->transport->name, "longpoll") == 0)
        return &s->ep->stats.sockets_longpoll;
    return &s->ep->stats.sockets_other;
}

void channels__count_opened(channels_socket *s)
{
    s->ep->stats.sockets_opened++;
    ++*sockets_of(s);
}

void channels__count_closed(channels_socket *s, channels_reason why)
{
    s->ep->stats.closed[why]++;
    --*sockets_of(s);
}

/* --- As text ------------------------------------------------------------------------------ */

#define AT(member) offsetof(channels_stats, member)
#define CLOSED(why) (AT(closed) + sizeof(uint64_t) * (why))

/* Samples of one metric stand together, and what it is with the first of them. */
static const struct sample {
    const char *metric, *type, *help;
    const char *label; /* NULL: none */
    size_t at;
} samples[] = {
    { "connections", "gauge", "Streams that are open.", NULL, AT(connections) },
    { "sockets", "gauge", "Clients that are connected.", "transport=\"websocket\"",
      AT(sockets_websocket) },
    { "sockets", NULL, NULL, "transport=\"longpoll\"", AT(sockets_longpoll) },
    { "sockets", NULL, NULL, "transport=\"other\"", AT(sockets_other) },
    { "channels", "gauge", "Clients joined to a topic.", NULL, AT(channels) },
    { "topics", "gauge", "Topics that somebody listens to.", NULL, AT(topics) },
    { "queued_most_bytes", "gauge", "Most bytes that ever waited for one client.", NULL,
      AT(queued_most) },
    { "connections_opened_total", "counter", "Streams that were opened.", NULL,
      AT(connections_opened) },
    { "sockets_opened_total", "counter", "Clients that were let in.", NULL, AT(sockets_opened) },
    { "joins_total", "counter", "Joins that were admitted.", NULL, AT(joins) },
    { "messages_total", "counter", "Whole messages of clients and to them.", "direction=\"in\"",
      AT(messages_in) },
    { "messages_total", NULL, NULL, "direction=\"out\"", AT(messages_out) },
    { "bytes_total", "counter", "Bytes read from streams and written to them.", "direction=\"in\"",
      AT(bytes_in) },
    { "bytes_total", NULL, NULL, "direction=\"out\"", AT(bytes_out) },
    { "deflate_bytes_total", "counter", "Bytes of messages to clients that were to be compressed.",
      "when=\"before\"", AT(deflate_before) },
    { "deflate_bytes_total", NULL, NULL, "when=\"after\"", AT(deflate_after) },
    { "inflate_bytes_total", "counter", "Bytes of messages of clients that came compressed.",
      "when=\"before\"", AT(inflate_before) },
    { "inflate_bytes_total", NULL, NULL, "when=\"after\"", AT(inflate_after) },
    { "broadcasts_total", "counter", "Broadcasts of this node and others.", NULL, AT(broadcasts) },
    { "deliveries_total", "counter", "Messages sent for broadcasts.", NULL, AT(deliveries) },
    { "connects_refused_total", "counter", "Clients that were not let in.", "reason=\"origin\"",
      AT(connects_refused_origin) },
    { "connects_refused_total", NULL, NULL, "reason=\"version\"", AT(connects_refused_version) },
    { "connects_refused_total", NULL, NULL, "reason=\"subprotocol\"",
      AT(connects_refused_subprotocol) },
    { "connects_refused_total", NULL, NULL, "reason=\"request\"", AT(connects_refused_request) },
    { "connects_refused_total", NULL, NULL, "reason=\"host\"", AT(connects_refused_host) },
    { "connects_refused_total", NULL, NULL, "reason=\"failed\"", AT(connects_refused_failed) },
    { "connects_refused_total", NULL, NULL, "reason=\"draining\"", AT(connects_refused_draining) },
    { "joins_refused_total", "counter", "Joins that were not admitted.", "reason=\"unmatched\"",
      AT(joins_refused_unmatched) },
    { "joins_refused_total", NULL, NULL, "reason=\"limit\"", AT(joins_refused_limit) },
    { "joins_refused_total", NULL, NULL, "reason=\"host\"", AT(joins_refused_host) },
    { "joins_refused_total", NULL, NULL, "reason=\"failed\"", AT(joins_refused_failed) },
    { "sockets_closed_total", "counter", "Clients that have ended.", "reason=\"closed\"",
      CLOSED(CHANNELS_CLOSED) },
    { "sockets_closed_total", NULL, NULL, "reason=\"stopped\"", CLOSED(CHANNELS_STOPPED) },
    { "sockets_closed_total", NULL, NULL, "reason=\"failed\"", CLOSED(CHANNELS_FAILED) },
    { "sockets_closed_total", NULL, NULL, "reason=\"disconnected\"",
      CLOSED(CHANNELS_DISCONNECTED) },
    { "sockets_closed_total", NULL, NULL, "reason=\"shutdown\"", CLOSED(CHANNELS_SHUTDOWN) },
    { "sockets_closed_total", NULL, NULL, "reason=\"idle\"", CLOSED(CHANNELS_IDLE) },
    { "sockets_closed_total", NULL, NULL, "reason=\"slow\"", CLOSED(CHANNELS_SLOW) },
    { "sockets_closed_total", NULL, NULL, "reason=\"broken\"", CLOSED(CHANNELS_BROKEN) },
    { "sockets_closed_total", NULL, NULL, "reason=\"drained\"", CLOSED(CHANNELS_DRAINED) },
};

typedef struct text {
    char *dst;
    size_t cap, len; /* of the whole, which may be more than `cap` */
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    bool room = t->len < t->cap;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room ? t->dst + t->len : NULL, room ? t->cap - t->len : 0, format, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
}

static void add_labels(text *t, const char *label, const char *labels)
{
    if (label != NULL && labels != NULL)
        add(t, "{%s,%s}", label, labels);
    else if (label != NULL || labels != NULL)
        add(t, "{%s}", label != NULL ? label : labels);
}

size_t channels_stats_prometheus(const channels_stats *stats, const char *labels, char *dst,
                                 size_t cap)
{
    text t = { dst, cap, 0 };
    if (labels != NULL && labels[0] == '\0')
        labels = NULL;
    for (const struct sample *s = samples; s < samples + sizeof samples / sizeof *samples; s++) {
        if (s->type != NULL)
            add(&t, "# HELP channels_%s %s\n# TYPE channels_%s %s\n", s->metric, s->help, s->metric,
                s->type);
        add(&t, "channels_%s", s->metric);
        add_labels(&t, s->label, labels);
        const uint64_t *value = (const void *)((const char *)stats + s->at);
        add(&t, " %llu\n", (unsigned long long)*value);
    }
    return t.len;
}
