/* telemetry.c - what happened and how long it took: to config.telemetry, and as the lines that
 * Phoenix logs (lib/phoenix/logger.ex). The clock is read only if one of them is wanted. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "core/core.h"
#include "core/log.h"

static uint64_t begin(channels_endpoint *ep, bool observed, channels_log_level level)
{
    if (!observed && !channels__logs(ep, level))
        return CHANNELS__UNTIMED;
    return ep->config.now_ns(ep->config.hooks);
}

/* 0 if its clock goes back. */
static uint64_t elapsed(channels_endpoint *ep, uint64_t began)
{
    uint64_t now = ep->config.now_ns(ep->config.hooks);
    return now > began ? now - began : 0;
}

static void add_duration(channels__line *line, uint64_t ns)
{
    unsigned long long us = ns / 1000;
    if (us > 1000)
        channels__line_add(line, " in %llums", us / 1000);
    else
        channels__line_add(line, " in %llu\xC2\xB5s", us);
}

static void add_params(channels__line *line, const channels_endpoint *ep, channels_payload p)
{
    if (p.data == NULL) /* it was decided later */
        return;
    channels__line_add(line, ", Parameters: ");
    channels__line_add_payload(line, ep, p);
}

/* --- Connects ----------------------------------------------------------------------------- */

static channels_log_level level_of(channels_log_level level, channels_log_level otherwise)
{
    return level != CHANNELS_LOG_DEFAULT ? level : otherwise;
}

static channels_log_level connect_level(const channels__mount *m)
{
    return level_of(m->options.log_connect, CHANNELS_LOG_INFO);
}

uint64_t channels__connect_begins(const channels__mount *m)
{
    return begin(m->ep, m->ep->config.telemetry->socket_connected != NULL, connect_level(m));
}

static void log_connect(const channels_socket_connected *e)
{
    channels_endpoint *ep = e->socket->ep;
    channels__line line;
    channels__line_begin(&line);
    channels__line_add(&line, "%s %s", e->ok ? "CONNECTED TO" : "REFUSED CONNECTION TO", e->path);
    add_duration(&line, e->duration_ns);
    channels__line_add(&line, ", Transport: :%s", e->transport);
    if (e->serializer != NULL)
        channels__line_add(&line, ", Serializer: %s", e->serializer);
    cJSON *params = e->request != NULL ? channels_request_params(e->request) : NULL;
    char *text = params != NULL ? cJSON_PrintUnformatted(params) : NULL;
    if (text != NULL)
        add_params(&line, ep, channels_json(text));
    cJSON_free(text);
    cJSON_Delete(params);
    channels__line_end(&line, ep, connect_level(e->socket->mount));
}

void channels__connect_ends(channels_socket *s, const channels_request *req, uint64_t began,
                            bool ok)
{
    channels_endpoint *ep = s->ep;
    if (began == CHANNELS__UNTIMED)
        return;
    const channels_socket_connected e = { .duration_ns = elapsed(ep, began),
                                          .socket = s,
                                          .path = s->mount->path,
                                          .transport = s->transport->name,
                                          .serializer =
                                              s->serializer != NULL ? s->serializer->name : NULL,
                                          .request = req,
                                          .ok = ok };
    if (channels__logs(ep, connect_level(s->mount)))
        log_connect(&e);
    if (ep->config.telemetry->socket_connected != NULL)
        ep->config.telemetry->socket_connected(ep->config.user, &e);
}

/* --- Joins and events --------------------------------------------------------------------- */

/* Phoenix keeps its own topics out of the log. */
static bool loggable(const channels_channel *ch, channels_log_level level)
{
    return channels__logs(ch->socket->ep, level) && strncmp(ch->topic->name, "phoenix", 7) != 0;
}

static channels_log_level join_level(const channels_channel *ch)
{
    return level_of(ch->route->handler->log_join, CHANNELS_LOG_INFO);
}

uint64_t channels__join_begins(const channels_channel *ch)
{
    channels_endpoint *ep = ch->socket->ep;
    return begin(ep, ep->config.telemetry->channel_joined != NULL, join_level(ch));
}

void channels__join_ends(channels_channel *ch, channels_payload params, uint64_t began, bool ok)
{
    channels_endpoint *ep = ch->socket->ep;
    if (began == CHANNELS__UNTIMED)
        return;
    const channels_channel_joined e = { .duration_ns = elapsed(ep, began),
                                        .channel = ch,
                                        .topic = ch->topic->name,
                                        .params = params,
                                        .ok = ok };
    if (loggable(ch, join_level(ch))) {
        channels__line line;
        channels__line_begin(&line);
        channels__line_add(&line, ok ? "JOINED " : "REFUSED JOIN ");
        channels__line_add_name(&line, e.topic);
        add_duration(&line, e.duration_ns);
        add_params(&line, ep, params);
        channels__line_end(&line, ep, join_level(ch));
    }
    if (ep->config.telemetry->channel_joined != NULL)
        ep->config.telemetry->channel_joined(ep->config.user, &e);
}

static channels_log_level in_level(const channels_channel *ch)
{
    return level_of(ch->route->handler->log_handle_in, CHANNELS_LOG_DEBUG);
}

void channels__in_ends(channels_channel *ch, const channels_incoming *msg, uint64_t began)
{
    channels_endpoint *ep = ch->socket->ep;
    const channels_channel_handled_in e = { .duration_ns = elapsed(ep, began),
                                            .channel = ch,
                                            .topic = ch->topic->name,
                                            .event = msg->event.p,
                                            .ref = msg->ref.p,
                                            .ref_len = msg->ref.n,
                                            .params = msg->payload };
    if (loggable(ch, in_level(ch))) {
        channels__line line;
        channels__line_begin(&line);
        channels__line_add(&line, "HANDLED ");
        channels__line_add_name(&line, e.event);
        channels__line_add(&line, " INCOMING ON ");
        channels__line_add_name(&line, e.topic);
        channels__line_add(&line, " (%s)", ch->route->pattern);
        add_duration(&line, e.duration_ns);
        add_params(&line, ep, e.params);
        channels__line_end(&line, ep, in_level(ch));
    }
    if (ep->config.telemetry->channel_handled_in != NULL)
        ep->config.telemetry->channel_handled_in(ep->config.user, &e);
}

/* --- Draining ----------------------------------------------------------------------------- */

void channels__drain_tells(channels_endpoint *ep)
{
    const channels_drain_progress *p = &ep->drain.progress;
    const channels_socket_drain e = { p->count, p->total, p->index, p->rounds,
                                      ep->drain.options.interval_ms };
    channels__log(ep, CHANNELS_LOG_INFO,
                  "DRAINING %zu of %zu total connection(s) every %ums - round %u of %u", e.count,
                  e.total, e.interval_ms, e.index, e.rounds);
    if (ep->config.telemetry->socket_drain != NULL)
        ep->config.telemetry->socket_drain(ep->config.user, &e);
}
