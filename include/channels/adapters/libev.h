/* channels/adapters/libev.h - an endpoint on a libev loop: listen, accept, read, write, timers.
 *
 *     channels_ev ev;
 *     channels_ev_listener listener;
 *     channels_ev_start(&ev, EV_DEFAULT, endpoint);
 *     channels_ev_listen(&ev, &listener, "127.0.0.1", 4000, 0);
 *     ev_run(EV_DEFAULT, 0);
 *     channels_ev_stop(&ev);
 *     channels_endpoint_free(endpoint);
 *
 * Header only: link with -lev. Everything here belongs to the loop's thread; other threads use what
 * channels.h marks ANY THREAD. A client that sent something gets its whole queue back at once;
 * those that only received broadcasts are written to once, before the loop sleeps. */
#ifndef CHANNELS_ADAPTERS_LIBEV_H
#define CHANNELS_ADAPTERS_LIBEV_H

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <channels/adapters/tcp.h>
#include <channels/channels.h>

#define CHANNELS_EV_READ_SIZE 65536 /* bytes read at once; shared by all clients */
#define CHANNELS_EV_ACCEPTS 256     /* connections taken from a listener in one turn */

typedef struct channels_ev_client {
    ev_io io; /* first: the watcher is the client; its data is a channels_ev_layer */
    channels_conn *conn;
    struct channels_ev_client *next, **link; /* of ev->clients */
} channels_ev_client;

/* What lies between clients' connections and their sockets, libev_tls.h for instance, which has its
 * clients begin with a channels_ev_client and reads from the sockets by itself. */
typedef struct channels_ev_layer {
    struct channels_ev *ev;
    void (*flush)(channels_ev_client *c); /* as channels_ev__flush(); NULL: there is nothing */
    void (*end)(channels_ev_client *c);   /* frees what is its own; the socket is still open */
} channels_ev_layer;

typedef struct channels_ev_listener {
    ev_io io;
    struct channels_ev *ev;
    struct channels_ev_listener *next;
    int (*accept)(struct channels_ev_listener *l, const channels_tcp_stream *s);
    void *layer; /* accept()'s own */
} channels_ev_listener;

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own. */
typedef struct channels_ev {
    struct ev_loop *loop;
    channels_endpoint *ep;
    ev_prepare prepare;
    ev_timer timer;
    ev_async wake;
    ev_timer retry; /* listeners rest while there are no descriptors left */
    channels_ev_client *clients;
    channels_ev_listener *listeners;
    channels_ev_layer plain;
    char *buffer;
} channels_ev;

static inline const channels_ev_layer *channels_ev__layer(const channels_ev_client *c)
{
    return (const channels_ev_layer *)c->io.data;
}

static inline struct ev_loop *channels_ev__loop(const channels_ev_client *c)
{
    return channels_ev__layer(c)->ev->loop;
}

static inline void channels_ev__client_free(channels_ev_client *c)
{
    ev_io_stop(channels_ev__loop(c), &c->io);
    channels_conn_free(c->conn);
    if (channels_ev__layer(c)->end != NULL)
        channels_ev__layer(c)->end(c);
    close(c->io.fd);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    free(c);
}

static inline void channels_ev__watch(channels_ev_client *c, int events)
{
    if ((c->io.events & (EV_READ | EV_WRITE)) == events && (events == 0 || ev_is_active(&c->io)))
        return;
    ev_io_stop(channels_ev__loop(c), &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events != 0)
        ev_io_start(channels_ev__loop(c), &c->io);
}

/* Writes what the kernel takes, then watches for what is left to do. May free the client. */
static inline void channels_ev__flush(channels_ev_client *c)
{
    if (channels_ev__layer(c)->flush != NULL) {
        channels_ev__layer(c)->flush(c);
        return;
    }
    int error = channels_tcp__write(c->io.fd, c->conn);
    unsigned want = channels_conn_want(c->conn);
    if (error != 0 || (want & CHANNELS_WANT_CLOSE) != 0) {
        channels_ev__client_free(c);
        return;
    }
    channels_ev__watch(c, ((want & CHANNELS_WANT_READ) != 0 ? EV_READ : 0) |
                             ((want & CHANNELS_WANT_WRITE) != 0 ? EV_WRITE : 0));
}

static inline void channels_ev__on_client(struct ev_loop *loop, ev_io *io, int revents)
{
    channels_ev_client *c = (channels_ev_client *)io;
    char *buffer = channels_ev__layer(c)->ev->buffer;
    (void)loop;
    if ((revents & EV_READ) != 0) {
        ssize_t n = read(io->fd, buffer, CHANNELS_EV_READ_SIZE);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            channels_ev__client_free(c);
            return;
        }
        if (n > 0) /* an error shows in channels_conn_want() */
            channels_conn_feed(c->conn, buffer, (size_t)n);
    }
    channels_ev__flush(c);
}

static inline void channels_ev__watch_client(channels_ev_layer *layer, channels_ev_client *c,
                                             int fd,
                                             void (*on_event)(struct ev_loop *, ev_io *, int))
{
    channels_ev *ev = layer->ev;
    c->link = &ev->clients;
    c->next = ev->clients;
    if (c->next != NULL)
        c->next->link = &c->next;
    ev->clients = c;
    ev_io_init(&c->io, on_event, fd, EV_READ);
    c->io.data = layer;
    ev_io_start(ev->loop, &c->io);
}

/* 0 or a negative errno; the stream is then still the caller's. */
static inline int channels_ev__add(channels_ev *ev, const channels_tcp_stream *s,
                                   const channels_request *req, const void *rest, size_t len)
{
    const channels_stream stream = { s->peer, false };
    channels_ev_client *c = (channels_ev_client *)calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    int err = req != NULL ? channels_conn_new_from(ev->ep, req, rest, len, c, &c->conn)
                          : channels_conn_new(ev->ep, &stream, c, &c->conn);
    if (err != CHANNELS_OK) {
        free(c);
        return err == CHANNELS_ERR_NOMEM ? -ENOMEM : -EINVAL;
    }
    channels_ev__watch_client(&ev->plain, c, s->fd, channels_ev__on_client);
    return 0;
}

/* Takes over the connected stream `fd`, on which the host has read the request `req` and has not
 * answered: channels_conn_new_from() says what `rest` is. 0 or a negative errno; `fd` is then still
 * the caller's. */
static inline int channels_ev_accept_from(channels_ev *ev, int fd, const channels_request *req,
                                          const void *rest, size_t len)
{
    channels_tcp_stream s;
    int err = channels_tcp__adopt(fd, &s);
    return err != 0 ? err : channels_ev__add(ev, &s, req, rest, len);
}

/* Takes over the accepted or otherwise connected stream `fd`. Likewise. */
static inline int channels_ev_accept(channels_ev *ev, int fd)
{
    return channels_ev_accept_from(ev, fd, NULL, NULL, 0);
}

static inline void channels_ev__on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
    channels_ev *ev = (channels_ev *)timer->data;
    (void)revents;
    for (channels_ev_listener *l = ev->listeners; l != NULL; l = l->next)
        ev_io_start(loop, &l->io);
}

static inline void channels_ev__on_listener(struct ev_loop *loop, ev_io *io, int revents)
{
    channels_ev_listener *listener = (channels_ev_listener *)io->data;
    channels_ev *ev = listener->ev;
    channels_tcp_stream s;
    (void)revents;
    for (int i = 0; i < CHANNELS_EV_ACCEPTS; i++) {
        int err = channels_tcp__accept(io->fd, &s);
        if (err == 0) {
            if (listener->accept(listener, &s) != 0)
                close(s.fd);
        } else if (channels_tcp__exhausted(err)) {
            /* The waiting connection keeps the listener readable: look away for a while. */
            for (channels_ev_listener *l = ev->listeners; l != NULL; l = l->next)
                ev_io_stop(loop, &l->io);
            ev_timer_set(&ev->retry, 0.1, 0.);
            ev_timer_start(loop, &ev->retry);
            return;
        } else if (err != -EINTR && err != -ECONNABORTED) {
            return;
        }
    }
}

static inline int channels_ev__accept(channels_ev_listener *l, const channels_tcp_stream *s)
{
    return channels_ev__add(l->ev, s, NULL, NULL, 0);
}

/* Accepts from `fd`, a listening stream socket, which it takes over (systemd's, one shared by
 * processes, one in a Unix domain). `l` is the caller's storage until channels_ev_stop(). 0 or a
 * negative errno. */
static inline int channels_ev_listen_fd(channels_ev *ev, channels_ev_listener *l, int fd)
{
    int err = channels_tcp__prepare_listener(fd);
    if (err != 0)
        return err;
    l->ev = ev;
    l->accept = channels_ev__accept;
    l->layer = NULL;
    l->next = ev->listeners;
    ev->listeners = l;
    ev_io_init(&l->io, channels_ev__on_listener, fd, EV_READ);
    l->io.data = l;
    ev_io_start(ev->loop, &l->io);
    return 0;
}

/* Listens on a numeric address or host name (NULL: all addresses); port 0: any, see
 * channels_ev_port(). `backlog` 0: 1024. 0 or a negative errno. */
static inline int channels_ev_listen(channels_ev *ev, channels_ev_listener *l, const char *host,
                                     int port, int backlog)
{
    int fd = channels_tcp__listen(host, port, backlog);
    int err = fd < 0 ? fd : channels_ev_listen_fd(ev, l, fd);
    if (fd >= 0 && err != 0)
        close(fd);
    return err;
}

/* The port that it listens on, or -1. */
static inline int channels_ev_port(const channels_ev_listener *l)
{
    return channels_tcp__port(l->io.fd);
}

static inline void channels_ev__on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents; /* it only ends the sleep: the work is in _prepare */
}

static inline void channels_ev__on_wake(struct ev_loop *loop, ev_async *wake, int revents)
{
    (void)loop, (void)wake, (void)revents;
}

static inline void channels_ev__wake(void *arg)
{
    channels_ev *ev = (channels_ev *)arg;
    ev_async_send(ev->loop, &ev->wake);
}

/* Before the loop sleeps: what is due, what is to be written, and when to wake again. */
static inline void channels_ev__on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
    channels_ev *ev = (channels_ev *)prepare->data;
    channels_conn *conn;
    (void)revents;
    channels_endpoint_run(ev->ep);
    while ((conn = channels_endpoint_next_ready(ev->ep)) != NULL)
        channels_ev__flush((channels_ev_client *)channels_conn_user(conn));
    uint64_t ms = channels_endpoint_timeout(ev->ep);
    if (ms == UINT64_MAX) {
        ev_timer_stop(loop, &ev->timer);
    } else if (!ev_is_active(&ev->timer) ||
               ev_timer_remaining(loop, &ev->timer) * 1e3 > (double)ms) {
        /* An earlier alarm than needed stays: it costs one idle turn, arming costs every turn. */
        ev_timer_stop(loop, &ev->timer);
        ev_timer_set(&ev->timer, (double)ms / 1e3, 0.);
        ev_timer_start(loop, &ev->timer);
    }
}

/* Attaches the endpoint, whose thread must be the loop's. 0 or a negative errno. */
static inline int channels_ev_start(channels_ev *ev, struct ev_loop *loop, channels_endpoint *ep)
{
    memset(ev, 0, sizeof *ev);
    ev->loop = loop;
    ev->ep = ep;
    ev->plain.ev = ev;
    ev->buffer = (char *)malloc(CHANNELS_EV_READ_SIZE);
    if (ev->buffer == NULL)
        return -ENOMEM;
    ev_prepare_init(&ev->prepare, channels_ev__on_prepare);
    ev->prepare.data = ev;
    ev_prepare_start(loop, &ev->prepare);
    ev_timer_init(&ev->timer, channels_ev__on_timer, 0., 0.);
    ev_timer_init(&ev->retry, channels_ev__on_retry, 0., 0.);
    ev->retry.data = ev;
    ev_async_init(&ev->wake, channels_ev__on_wake);
    ev_async_start(loop, &ev->wake);
    channels_endpoint_on_wake(ep, channels_ev__wake, ev);
    return 0;
}

/* Closes all clients and stops listening: descriptors of channels_ev_listen() and
 * channels_ev_listen_fd() are closed. Not from inside a callback of the endpoint, and not while
 * other threads call in: it takes the wake function away. */
static inline void channels_ev_stop(channels_ev *ev)
{
    channels_endpoint_on_wake(ev->ep, NULL, NULL);
    while (ev->clients != NULL)
        channels_ev__client_free(ev->clients);
    for (channels_ev_listener *l = ev->listeners; l != NULL; l = l->next) {
        ev_io_stop(ev->loop, &l->io);
        close(l->io.fd);
    }
    ev->listeners = NULL;
    ev_prepare_stop(ev->loop, &ev->prepare);
    ev_timer_stop(ev->loop, &ev->timer);
    ev_timer_stop(ev->loop, &ev->retry);
    ev_async_stop(ev->loop, &ev->wake);
    free(ev->buffer);
}

#endif
