/* count.c - topics whose keys are only counted: presence_count, told when it has changed, then not
 * for a while. */
#include <stdio.h>

#include "presence/presence.h"

static size_t count(const channels__presence_topic *topic)
{
    return channels__state_keys(topic->presence->state, channels__str_n(topic->name, topic->len));
}

static channels_payload payload(char text[40], size_t n)
{
    snprintf(text, 40, "{\"count\":%zu}", n);
    return channels_json(text);
}

void channels__count_changed(channels__presence_topic *topic)
{
    topic->recount = true;
    if (channels__list_empty(&topic->resting))
        channels__presence_mark(topic);
}

static void rest(channels__presence_topic *topic)
{
    channels_presence *p = topic->presence;
    topic->refs++;
    topic->rested = p->ep->now + p->options.broadcast_ms;
    channels__list_append(&p->resting, &topic->resting);
    channels__presence_set_due(p);
}

void channels__count_tell(channels__presence_topic *topic)
{
    size_t n = count(topic);
    char text[40];
    if (n != topic->told &&
        channels__deliver(topic->presence->ep, channels__str_n(topic->name, topic->len),
                          "presence_count", payload(text, n), NULL, 0) == CHANNELS_ERR_NOMEM) {
        channels__presence_mark_again(topic);
        return;
    }
    topic->recount = false;
    if (n != topic->told)
        rest(topic);
    topic->told = n;
}

/* If it is another than the rest was told, so is the next for somebody. */
int channels__count_push(channels__presence_topic *topic, channels_channel *ch)
{
    char text[40];
    size_t n = count(topic);
    if (n != topic->told)
        topic->told = SIZE_MAX;
    return channels__channel_push(ch, "presence_count", payload(text, n));
}

void channels__counts_run(channels_presence *p)
{
    while (channels__counts_due(p) <= p->ep->now) {
        channels__list *node = channels__list_shift(&p->resting);
        channels__presence_topic *topic = CHANNELS__OF(node, channels__presence_topic, resting);
        if (topic->recount)
            channels__presence_mark(topic);
        channels__presence_topic_put(topic);
    }
}

uint64_t channels__counts_due(const channels_presence *p)
{
    const channels__list *first = p->resting.next;
    return first != &p->resting ? CHANNELS__OF(first, channels__presence_topic, resting)->rested
                                : UINT64_MAX;
}
