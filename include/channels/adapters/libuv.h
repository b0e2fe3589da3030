/* channels/adapters/libuv.h - an endpoint on a libuv loop: listen, accept, read, write, timers.
 *
 *     channels_uv uv;
 *     channels_uv_listener listener;
 *     channels_uv_start(&uv, uv_default_loop(), endpoint);
 *     channels_uv_listen(&uv, &listener, "127.0.0.1", 4000, 0);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT); // until uv_stop() in one of your callbacks
 *     channels_uv_stop(&uv, NULL, NULL);
 *     channels_endpoint_free(endpoint);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT); // lets go of `uv` and `listener`
 *
 * Header only: link with -luv. Everything here belongs to the loop's thread; other threads use what
 * channels.h marks ANY THREAD. A client that sent something gets its whole queue back at once;
 * those that only received broadcasts are written to once, before the loop sleeps.
 *
 * It watches descriptors by uv_poll_t and reads and writes by itself. With uv_tcp_t, what the
 * kernel does not take at once would have to stay where it is until uv_write() is done with it, but
 * channels_conn_output() lends it for a moment only: it would be copied for each slow client. */
#ifndef CHANNELS_ADAPTERS_LIBUV_H
#define CHANNELS_ADAPTERS_LIBUV_H

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <channels/adapters/tcp.h>
#include <channels/channels.h>

#define CHANNELS_UV_READ_SIZE 65536 /* bytes read at once; shared by all clients */
#define CHANNELS_UV_ACCEPTS 256     /* connections taken from a listener in one turn */
#define CHANNELS_UV_REST_MS 100     /* for listeners while there are no descriptors left */

typedef struct channels_uv_client {
    uv_poll_t io; /* first: the handle is the client; its data is the channels_uv */
    int fd;
    int events; /* that it is watched for */
    channels_conn *conn;
    struct channels_uv_client *next, **link; /* of uv->clients */
} channels_uv_client;

typedef struct channels_uv_listener {
    uv_poll_t io; /* first, likewise */
    int fd;
    struct channels_uv_listener *next;
} channels_uv_listener;

/* The caller's storage, not moved from _start until _stop is done with it. Members are the
 * adapter's own. */
typedef struct channels_uv {
    uv_loop_t *loop;
    channels_endpoint *ep;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_timer_t retry; /* listeners rest while there are no descriptors left */
    uv_async_t wake;
    size_t handles; /* that the loop has not let go of: those four, listeners and clients */
    channels_uv_client *clients;
    channels_uv_listener *listeners;
    char *buffer;
    void (*done)(void *arg);
    void *arg;
} channels_uv;

/* --- Handles: the loop lets go of a closed one later, from uv_run() ------------------------- */

static inline void channels_uv__let_go(channels_uv *uv)
{
    if (--uv->handles == 0 && uv->done != NULL)
        uv->done(uv->arg);
}

static inline void channels_uv__on_closed(uv_handle_t *handle)
{
    channels_uv__let_go((channels_uv *)handle->data);
}

static inline void channels_uv__on_client_closed(uv_handle_t *handle)
{
    channels_uv *uv = (channels_uv *)handle->data;
    free(handle); /* the client */
    channels_uv__let_go(uv);
}

/* --- Clients -------------------------------------------------------------------------------- */

static inline void channels_uv__client_free(channels_uv_client *c)
{
    channels_conn_free(c->conn);
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    uv_close((uv_handle_t *)&c->io, channels_uv__on_client_closed);
    close(c->fd); /* libuv watches it no more */
}

static inline void channels_uv__on_client(uv_poll_t *io, int status, int events);

static inline void channels_uv__watch(channels_uv_client *c, int events)
{
    if (c->events == events)
        return;
    c->events = events;
    (void)uv_poll_start(&c->io, events, channels_uv__on_client); /* for no events it stops */
}

/* Writes what the kernel takes, then watches for what is left to do. May free the client. */
static inline void channels_uv__flush(channels_uv_client *c)
{
    int error = channels_tcp__write(c->fd, c->conn);
    unsigned want = channels_conn_want(c->conn);
    if (error != 0 || (want & CHANNELS_WANT_CLOSE) != 0) {
        channels_uv__client_free(c);
        return;
    }
    channels_uv__watch(c, ((want & CHANNELS_WANT_READ) != 0 ? UV_READABLE : 0) |
                              ((want & CHANNELS_WANT_WRITE) != 0 ? UV_WRITABLE : 0));
}

static inline void channels_uv__on_client(uv_poll_t *io, int status, int events)
{
    channels_uv_client *c = (channels_uv_client *)io;
    char *buffer = ((channels_uv *)io->data)->buffer;
    if (status < 0) { /* libuv has stopped watching; read() says what is wrong */
        c->events = 0;
        events = UV_READABLE;
    }
    if ((events & UV_READABLE) != 0) {
        ssize_t n = read(c->fd, buffer, CHANNELS_UV_READ_SIZE);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            channels_uv__client_free(c);
            return;
        }
        if (n > 0) /* an error shows in channels_conn_want() */
            channels_conn_feed(c->conn, buffer, (size_t)n);
    }
    channels_uv__flush(c);
}

/* A client that is watched for nothing yet; NULL, and *err, if it cannot be. */
static inline channels_uv_client *channels_uv__client_new(channels_uv *uv, int fd, int *err)
{
    channels_uv_client *c = (channels_uv_client *)calloc(1, sizeof *c);
    *err = c != NULL ? uv_poll_init(uv->loop, &c->io, fd) : -ENOMEM;
    if (*err != 0) {
        free(c);
        return NULL;
    }
    c->io.data = uv;
    c->fd = fd;
    uv->handles++;
    return c;
}

/* 0 or a negative errno; the stream is then still the caller's. */
static inline int channels_uv__add(channels_uv *uv, const channels_tcp_stream *s,
                                   const channels_request *req, const void *rest, size_t len)
{
    const channels_stream stream = { s->peer, false };
    int err;
    channels_uv_client *c = channels_uv__client_new(uv, s->fd, &err);
    if (c == NULL)
        return err;
    err = req != NULL ? channels_conn_new_from(uv->ep, req, rest, len, c, &c->conn)
                      : channels_conn_new(uv->ep, &stream, c, &c->conn);
    if (err != CHANNELS_OK) {
        uv_close((uv_handle_t *)&c->io, channels_uv__on_client_closed);
        return err == CHANNELS_ERR_NOMEM ? -ENOMEM : -EINVAL;
    }
    c->link = &uv->clients;
    c->next = uv->clients;
    if (c->next != NULL)
        c->next->link = &c->next;
    uv->clients = c;
    channels_uv__watch(c, UV_READABLE);
    return 0;
}

/* Takes over the connected stream `fd`, on which the host has read the request `req` and has not
 * answered: channels_conn_new_from() says what `rest` is. 0 or a negative errno; `fd` is then still
 * the caller's. */
static inline int channels_uv_accept_from(channels_uv *uv, int fd, const channels_request *req,
                                          const void *rest, size_t len)
{
    channels_tcp_stream s;
    int err = channels_tcp__adopt(fd, &s);
    return err != 0 ? err : channels_uv__add(uv, &s, req, rest, len);
}

/* Takes over the accepted or otherwise connected stream `fd`. Likewise. */
static inline int channels_uv_accept(channels_uv *uv, int fd)
{
    return channels_uv_accept_from(uv, fd, NULL, NULL, 0);
}

/* --- Listeners ------------------------------------------------------------------------------ */

static inline void channels_uv__on_listener(uv_poll_t *io, int status, int events);

static inline void channels_uv__on_retry(uv_timer_t *timer)
{
    channels_uv *uv = (channels_uv *)timer->data;
    for (channels_uv_listener *l = uv->listeners; l != NULL; l = l->next)
        (void)uv_poll_start(&l->io, UV_READABLE, channels_uv__on_listener);
}

/* The waiting connection keeps a listener readable: look away for a while. */
static inline void channels_uv__rest(channels_uv *uv)
{
    for (channels_uv_listener *l = uv->listeners; l != NULL; l = l->next)
        (void)uv_poll_stop(&l->io);
    (void)uv_timer_start(&uv->retry, channels_uv__on_retry, CHANNELS_UV_REST_MS, 0);
}

static inline void channels_uv__on_listener(uv_poll_t *io, int status, int events)
{
    channels_uv *uv = (channels_uv *)io->data;
    channels_tcp_stream s;
    (void)events;
    if (status < 0) /* libuv has stopped watching */
        channels_uv__rest(uv);
    for (int i = 0; i < CHANNELS_UV_ACCEPTS && status >= 0; i++) {
        int err = channels_tcp__accept(((channels_uv_listener *)io)->fd, &s);
        if (err == 0) {
            if (channels_uv__add(uv, &s, NULL, NULL, 0) != 0)
                close(s.fd);
        } else if (channels_tcp__exhausted(err)) {
            channels_uv__rest(uv);
            return;
        } else if (err != -EINTR && err != -ECONNABORTED) {
            return;
        }
    }
}

/* Accepts from `fd`, a listening stream socket, which it takes over (systemd's, one shared by
 * processes, one in a Unix domain). `l` is the caller's storage as long as `uv` is. 0 or a negative
 * errno. */
static inline int channels_uv_listen_fd(channels_uv *uv, channels_uv_listener *l, int fd)
{
    int err = uv_poll_init(uv->loop, &l->io, fd); /* makes it non-blocking */
    if (err != 0)
        return err;
    channels_tcp__no_delay(fd);
    l->io.data = uv;
    l->fd = fd;
    l->next = uv->listeners;
    uv->listeners = l;
    uv->handles++;
    (void)uv_poll_start(&l->io, UV_READABLE, channels_uv__on_listener);
    return 0;
}

/* Listens on a numeric address or host name (NULL: all addresses); port 0: any, see
 * channels_uv_port(). `backlog` 0: 1024. 0 or a negative errno. */
static inline int channels_uv_listen(channels_uv *uv, channels_uv_listener *l, const char *host,
                                     int port, int backlog)
{
    int fd = channels_tcp__listen(host, port, backlog);
    int err = fd < 0 ? fd : channels_uv_listen_fd(uv, l, fd);
    if (fd >= 0 && err != 0)
        close(fd);
    return err;
}

/* The port that it listens on, or -1. */
static inline int channels_uv_port(const channels_uv_listener *l)
{
    return channels_tcp__port(l->fd);
}

/* --- The loop ------------------------------------------------------------------------------- */

static inline void channels_uv__on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the sleep: the work is in _prepare */
}

static inline void channels_uv__on_wake(uv_async_t *wake)
{
    (void)wake;
}

static inline void channels_uv__wake(void *arg)
{
    (void)uv_async_send(&((channels_uv *)arg)->wake);
}

/* Before the loop sleeps: what is due, what is to be written, and when to wake again. */
static inline void channels_uv__on_prepare(uv_prepare_t *prepare)
{
    channels_uv *uv = (channels_uv *)prepare->data;
    channels_conn *conn;
    channels_endpoint_run(uv->ep);
    while ((conn = channels_endpoint_next_ready(uv->ep)) != NULL)
        channels_uv__flush((channels_uv_client *)channels_conn_user(conn));
    uint64_t ms = channels_endpoint_timeout(uv->ep);
    if (ms == UINT64_MAX)
        (void)uv_timer_stop(&uv->timer);
    else if (!uv_is_active((uv_handle_t *)&uv->timer) || uv_timer_get_due_in(&uv->timer) > ms)
        /* An earlier alarm than needed stays: it costs one idle turn, arming costs every turn. */
        (void)uv_timer_start(&uv->timer, channels_uv__on_timer, ms, 0);
}

/* Attaches the endpoint, whose thread must be the loop's. 0 or a negative errno. */
static inline int channels_uv_start(channels_uv *uv, uv_loop_t *loop, channels_endpoint *ep)
{
    memset(uv, 0, sizeof *uv);
    uv->loop = loop;
    uv->ep = ep;
    uv->buffer = (char *)malloc(CHANNELS_UV_READ_SIZE);
    int err = uv->buffer != NULL ? uv_async_init(loop, &uv->wake, channels_uv__on_wake) : -ENOMEM;
    if (err != 0) {
        free(uv->buffer);
        return err;
    }
    /* None of these fails. */
    (void)uv_timer_init(loop, &uv->timer);
    (void)uv_timer_init(loop, &uv->retry);
    (void)uv_prepare_init(loop, &uv->prepare);
    (void)uv_prepare_start(&uv->prepare, channels_uv__on_prepare);
    uv->wake.data = uv->timer.data = uv->retry.data = uv->prepare.data = uv;
    uv->handles = 4;
    channels_endpoint_on_wake(ep, channels_uv__wake, uv);
    return 0;
}

/* Closes all clients and stops listening: descriptors of channels_uv_listen() and
 * channels_uv_listen_fd() are closed. Not from inside a callback of the endpoint, and not while
 * other threads call in: it takes the wake function away. The endpoint is the host's again at once;
 * `uv` and the listeners are when the loop has let go of them, which takes another turn: then
 * `done(arg)` is called (may be NULL: a uv_run() that finds nothing more to do has let go). */
static inline void channels_uv_stop(channels_uv *uv, void (*done)(void *arg), void *arg)
{
    channels_endpoint_on_wake(uv->ep, NULL, NULL);
    uv->done = done;
    uv->arg = arg;
    while (uv->clients != NULL)
        channels_uv__client_free(uv->clients);
    for (channels_uv_listener *l = uv->listeners; l != NULL; l = l->next) {
        uv_close((uv_handle_t *)&l->io, channels_uv__on_closed);
        close(l->fd);
    }
    uv_close((uv_handle_t *)&uv->prepare, channels_uv__on_closed);
    uv_close((uv_handle_t *)&uv->timer, channels_uv__on_closed);
    uv_close((uv_handle_t *)&uv->retry, channels_uv__on_closed);
    uv_close((uv_handle_t *)&uv->wake, channels_uv__on_closed);
    free(uv->buffer);
}

#endif
