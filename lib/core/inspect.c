/* inspect.c - looking at clients and channels from outside their callbacks. */
#include "core/core.h"

/* Nobody leaves these lists, and nobody comes to them, before the outermost call has ended: what
 * `fn` ends is only doomed or queued. */
int channels_foreach_socket(channels_endpoint *ep, void (*fn)(channels_socket *s, void *arg),
                            void *arg)
{
    if (!channels__enter(ep, "channels_foreach_socket"))
        return CHANNELS_ERR_MISUSE;
    for (channels__list *n = ep->sockets.next; n != &ep->sockets; n = n->next) {
        channels_socket *s = CHANNELS__OF(n, channels_socket, link);
        if (s->state == CHANNELS__OPEN)
            fn(s, arg);
    }
    channels__leave(ep);
    return CHANNELS_OK;
}

int channels_foreach_channel(channels_socket *s, void (*fn)(channels_channel *ch, void *arg),
                             void *arg)
{
    channels_endpoint *ep = s->ep;
    if (!channels__enter(ep, "channels_foreach_channel"))
        return CHANNELS_ERR_MISUSE;
    for (channels_channel *ch = s->channels; ch != NULL; ch = ch->next)
        if (ch->state == CHANNELS__JOINED)
            fn(ch, arg);
    channels__leave(ep);
    return CHANNELS_OK;
}

const char *channels_socket_path(const channels_socket *s)
{
    return s->mount->path;
}

const char *channels_socket_serializer(const channels_socket *s)
{
    return s->serializer != NULL ? s->serializer->name : NULL;
}

const char *channels_channel_join_ref(const channels_channel *ch, size_t *len)
{
    channels__str ref = channels__join_ref(ch);
    *len = ref.n;
    return ref.p;
}
