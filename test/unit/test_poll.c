/* test_poll.c - channels/adapters/poll.h. */
#include "unit/adapter_case.h"

#include <channels/adapters/poll.h>

typedef struct host {
    channels_poll poll;
    channels_poll_listener listeners[4];
    size_t count;
} host;

static void *start(channels_endpoint *ep)
{
    host *h = calloc(1, sizeof *h);
    assert_int_equal(channels_poll_start(&h->poll, ep), 0);
    return h;
}

static void stop(void *loop)
{
    host *h = loop;
    channels_poll_stop(&h->poll);
    free(h);
}

static void run_once(void *loop, int timeout_ms)
{
    host *h = loop;
    assert_int_equal(channels_poll_run_once(&h->poll, timeout_ms), 0);
}

static int listen_at(void *loop, const char *name)
{
    host *h = loop;
    channels_poll_listener *l = &h->listeners[h->count];
    int err = channels_poll_listen(&h->poll, l, name, 0, 0);
    h->count += err == 0;
    return err == 0 ? channels_poll_port(l) : err;
}

static int listen_fd(void *loop, int fd)
{
    host *h = loop;
    return channels_poll_listen_fd(&h->poll, &h->listeners[h->count], fd);
}

static int accept_fd(void *loop, int fd)
{
    return channels_poll_accept(&((host *)loop)->poll, fd);
}

static int accept_from(void *loop, int fd, const channels_request *req, const void *rest,
                       size_t len)
{
    return channels_poll_accept_from(&((host *)loop)->poll, fd, req, rest, len);
}

static size_t count(const void *loop)
{
    const host *h = loop;
    size_t n = 0;
    for (size_t i = 0; i < h->poll.count; i++)
        n += h->poll.conns[i] != NULL;
    return n;
}

static const adapter poll_adapter = { .start = start,
                                      .stop = stop,
                                      .run_once = run_once,
                                      .listen = listen_at,
                                      .listen_fd = listen_fd,
                                      .accept = accept_fd,
                                      .accept_from = accept_from,
                                      .clients = count };

static int wait_for_ever(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_int_equal(channels_connect_later(s, &p->ref), CHANNELS_OK);
    return CHANNELS_LATER;
}

/* A peer that goes while nothing is read from it: poll() tells of that all the same. */
static void resets_while_unheard(net *n)
{
    static const struct linger hard = { 1, 0 };
    n->probe.connect = wait_for_ever;
    far_end p = dial(n);
    put_text(&p, HANDSHAKE "early");
    while (n->probe.ref.id == 0)
        turn(n, 10);
    setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    hang_up(&p);
    until_clients(n, 0);
    assert_int_equal(channels_accept(n->host.ep, n->probe.ref), CHANNELS_ERR_CLOSED);
}

int main(void)
{
    static const adapter_test more[] = { ADAPTER_TEST(resets_while_unheard) };
    return adapter_run(&poll_adapter, more, sizeof more / sizeof *more);
}
