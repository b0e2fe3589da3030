/* test_libev.c - channels/adapters/libev.h. */
#include "unit/libev_host.h"

static void *start(channels_endpoint *ep)
{
    libev_host *h = calloc(1, sizeof *h);
    libev_host_init(h, ep);
    return h;
}

static void stop(void *host)
{
    libev_host_deinit(host);
    free(host);
}

static int listen_at(void *host, const char *name)
{
    libev_host *h = host;
    channels_ev_listener *l = &h->listeners[h->count];
    int err = channels_ev_listen(&h->ev, l, name, 0, 0);
    h->count += err == 0;
    return err == 0 ? channels_ev_port(l) : err;
}

static int listen_fd(void *host, int fd)
{
    libev_host *h = host;
    return channels_ev_listen_fd(&h->ev, &h->listeners[h->count], fd);
}

static int accept_fd(void *host, int fd)
{
    return channels_ev_accept(&((libev_host *)host)->ev, fd);
}

static int accept_from(void *host, int fd, const channels_request *req, const void *rest,
                       size_t len)
{
    return channels_ev_accept_from(&((libev_host *)host)->ev, fd, req, rest, len);
}

static const adapter libev_adapter = { .start = start,
                                       .stop = stop,
                                       .run_once = libev_host_run_once,
                                       .listen = listen_at,
                                       .listen_fd = listen_fd,
                                       .accept = accept_fd,
                                       .accept_from = accept_from,
                                       .clients = libev_host_clients };

int main(void)
{
    return adapter_run(&libev_adapter, NULL, 0);
}
