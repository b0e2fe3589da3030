/* service.c - what higher floors put into an endpoint: they are called when their time has come,
 * when nodes of their kind speak, and where the core's order is theirs to keep. */
#include "core/core.h"

bool channels__service_add(channels_endpoint *ep, channels__service *service)
{
    service->interest = NULL;
    if (service->topic != NULL) {
        channels__topic *topic = channels__topic_get(&ep->topics, channels__str_z(service->topic));
        if (topic == NULL)
            return false;
        service->interest = channels__subscriber_new(ep, topic, CHANNELS__SUB_NODE);
        channels__topic_put(&ep->topics, topic);
        if (service->interest == NULL)
            return false;
    }
    service->next = ep->services;
    ep->services = service;
    return true;
}

void channels__service_remove(channels_endpoint *ep, channels__service *service)
{
    channels__service **at = &ep->services;
    while (*at != service)
        at = &(*at)->next;
    *at = service->next;
    if (service->interest != NULL)
        channels__subscriber_end(ep, service->interest);
}

void channels__services_free(channels_endpoint *ep)
{
    while (ep->services != NULL) {
        channels__service *service = ep->services;
        channels__service_remove(ep, service);
        service->free(service);
    }
}

/* One that is called may remove itself. */
void channels__services_run(channels_endpoint *ep)
{
    channels__service *next;
    for (channels__service *s = ep->services; s != NULL; s = next) {
        next = s->next;
        if (s->due > ep->now)
            continue;
        s->run(s);
        channels__settle(ep);
    }
}

uint64_t channels__services_due(const channels_endpoint *ep)
{
    uint64_t due = UINT64_MAX;
    for (const channels__service *s = ep->services; s != NULL; s = s->next)
        if (s->due < due)
            due = s->due;
    return due;
}

void channels__services_end_turn(channels_endpoint *ep)
{
    channels__service *next;
    ep->unsettled = false;
    ep->settling = true;
    for (channels__service *s = ep->services; s != NULL; s = next) {
        next = s->next;
        if (s->end_turn != NULL)
            s->end_turn(s);
    }
    ep->settling = false;
}

void channels__services_before_broadcast(channels_endpoint *ep, channels__str topic)
{
    for (channels__service *s = ep->services; s != NULL; s = s->next)
        if (s->before_broadcast != NULL)
            s->before_broadcast(s, topic);
}

void channels__services_channel_ended(channels_channel *ch)
{
    for (channels__service *s = ch->socket->ep->services; s != NULL; s = s->next)
        if (s->channel_ended != NULL)
            s->channel_ended(s, ch);
}

void channels__services_draining(channels_endpoint *ep)
{
    for (channels__service *s = ep->services; s != NULL; s = s->next)
        if (s->draining != NULL)
            s->draining(s);
}

static bool is_for(const channels__service *s, const channels__node_message *m)
{
    return s->kind == m->kind && (s->topic == NULL || channels__str_is(m->topic, s->topic));
}

/* What nobody here knows is not ours to complain about: nodes need not all serve the same. */
void channels__services_arrived(channels_endpoint *ep, const channels__node_message *m)
{
    for (channels__service *s = ep->services; s != NULL; s = s->next)
        if (is_for(s, m)) {
            s->arrived(s, m);
            return;
        }
}
