/* channels/adapters/poll.h - an endpoint on poll(2) alone, for programs without an event library.
 *
 *     channels_poll loop;
 *     channels_poll_listener listener;
 *     channels_poll_start(&loop, endpoint);
 *     channels_poll_listen(&loop, &listener, "127.0.0.1", 4000, 0);
 *     while (!done)
 *         channels_poll_run_once(&loop, -1);
 *     channels_poll_stop(&loop);
 *     channels_endpoint_free(endpoint);
 *
 * Header only. Everything here belongs to the endpoint's thread; other threads use what channels.h
 * marks ANY THREAD. A client that sent something gets its whole queue back at once; those that only
 * received broadcasts are written to once a turn. Each turn costs time for every client, also for
 * those that are silent: for thousands of them take libev.h. */
#ifndef CHANNELS_ADAPTERS_POLL_H
#define CHANNELS_ADAPTERS_POLL_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <channels/adapters/tcp.h>
#include <channels/channels.h>

#define CHANNELS_POLL_READ_SIZE 65536 /* bytes read at once; shared by all clients */
#define CHANNELS_POLL_ACCEPTS 256     /* connections taken from a listener in one turn */
#define CHANNELS_POLL_REST_MS 100     /* for listeners while there are no descriptors left */

typedef struct channels_poll_client {
    size_t at; /* in the loop's arrays */
} channels_poll_client;

typedef struct channels_poll_listener {
    int fd;
} channels_poll_listener;

/* A descriptor of somebody else's on the same loop, poll_redis.h's for instance. Its storage is
 * theirs. */
typedef struct channels_poll_watch {
    int fd; /* -1: none */
    short events;
    void (*ready)(void *arg, int fd, short events);
    void *arg;
    struct channels_poll_watch *next;
} channels_poll_watch;

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own. */
typedef struct channels_poll {
    channels_endpoint *ep;
    /* What is watched, in no order but for the first, the reading end of the wake pipe. Whose it is
     * stands at the same place in `conns`, NULL for a listener or one of `watches`. */
    struct pollfd *fds;
    channels_conn **conns;
    size_t count, size;
    channels_poll_watch *watches;
    int wake;  /* the writing end */
    bool rest; /* the last accept() found no descriptor */
    char *buffer;
} channels_poll;

static inline int channels_poll__add(channels_poll *p, int fd, channels_conn *conn)
{
    if (p->count == p->size) {
        size_t size = p->size != 0 ? p->size * 2 : 16;
        void *fds = realloc(p->fds, size * sizeof *p->fds);
        if (fds != NULL)
            p->fds = (struct pollfd *)fds;
        void *conns = fds != NULL ? realloc(p->conns, size * sizeof *p->conns) : NULL;
        if (conns == NULL)
            return -ENOMEM;
        p->conns = (channels_conn **)conns;
        p->size = size;
    }
    p->fds[p->count].fd = fd;
    p->fds[p->count].events = POLLIN;
    p->fds[p->count].revents = 0;
    p->conns[p->count++] = conn;
    return 0;
}

/* The last one takes its place. */
static inline void channels_poll__remove(channels_poll *p, size_t at)
{
    size_t last = p->count - 1;
    p->fds[at] = p->fds[last];
    p->conns[at] = p->conns[last];
    if (at != last && p->conns[last] != NULL)
        ((channels_poll_client *)channels_conn_user(p->conns[last]))->at = at;
    p->count = last;
}

static inline void channels_poll__client_free(channels_poll *p, channels_poll_client *c)
{
    channels_conn_free(p->conns[c->at]); /* runs callbacks, which may add another */
    close(p->fds[c->at].fd);
    channels_poll__remove(p, c->at);
    free(c);
}

/* Writes what the kernel takes, then watches for what is left to do. May free the client. */
static inline void channels_poll__flush(channels_poll *p, channels_poll_client *c)
{
    channels_conn *conn = p->conns[c->at];
    int error = channels_tcp__write(p->fds[c->at].fd, conn);
    unsigned want = channels_conn_want(conn);
    if (error != 0 || (want & CHANNELS_WANT_CLOSE) != 0) {
        channels_poll__client_free(p, c);
        return;
    }
    p->fds[c->at].events = (short)(((want & CHANNELS_WANT_READ) != 0 ? POLLIN : 0) |
                                   ((want & CHANNELS_WANT_WRITE) != 0 ? POLLOUT : 0));
}

static inline void channels_poll__on_client(channels_poll *p, size_t at, short events)
{
    channels_conn *conn = p->conns[at];
    channels_poll_client *c = (channels_poll_client *)channels_conn_user(conn);
    if ((events & POLLIN) != 0) {
        ssize_t n = read(p->fds[at].fd, p->buffer, CHANNELS_POLL_READ_SIZE);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            channels_poll__client_free(p, c);
            return;
        }
        if (n > 0) /* an error shows in channels_conn_want() */
            channels_conn_feed(conn, p->buffer, (size_t)n);
    } else if ((events & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        channels_poll__client_free(p, c); /* poll() tells that whether it is asked to or not */
        return;
    }
    channels_poll__flush(p, c);
}

/* 0 or a negative errno; the stream is then still the caller's. */
static inline int channels_poll__add_client(channels_poll *p, const channels_tcp_stream *s,
                                            const channels_request *req, const void *rest,
                                            size_t len)
{
    const channels_stream stream = { s->peer, false };
    channels_conn *conn = NULL;
    channels_poll_client *c = (channels_poll_client *)malloc(sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    int err = req != NULL ? channels_conn_new_from(p->ep, req, rest, len, c, &conn)
                          : channels_conn_new(p->ep, &stream, c, &conn);
    c->at = p->count;
    if (err == CHANNELS_OK && channels_poll__add(p, s->fd, conn) == 0)
        return 0;
    channels_conn_free(conn);
    free(c);
    return err == CHANNELS_OK || err == CHANNELS_ERR_NOMEM ? -ENOMEM : -EINVAL;
}

/* Takes over the connected stream `fd`, on which the host has read the request `req` and has not
 * answered: channels_conn_new_from() says what `rest` is. 0 or a negative errno; `fd` is then still
 * the caller's. */
static inline int channels_poll_accept_from(channels_poll *p, int fd, const channels_request *req,
                                            const void *rest, size_t len)
{
    channels_tcp_stream s;
    int err = channels_tcp__adopt(fd, &s);
    return err != 0 ? err : channels_poll__add_client(p, &s, req, rest, len);
}

/* Takes over the accepted or otherwise connected stream `fd`. Likewise. */
static inline int channels_poll_accept(channels_poll *p, int fd)
{
    return channels_poll_accept_from(p, fd, NULL, NULL, 0);
}

static inline void channels_poll__on_listener(channels_poll *p, int listener)
{
    channels_tcp_stream s;
    for (int i = 0; i < CHANNELS_POLL_ACCEPTS; i++) {
        int err = channels_tcp__accept(listener, &s);
        if (err == 0) {
            if (channels_poll__add_client(p, &s, NULL, NULL, 0) != 0)
                close(s.fd);
        } else if (channels_tcp__exhausted(err)) {
            p->rest = true;
            return;
        } else if (err != -EINTR && err != -ECONNABORTED) {
            return;
        }
    }
}

/* Accepts from `fd`, a listening stream socket, which it takes over (systemd's, one shared by
 * processes, one in a Unix domain). 0 or a negative errno. */
static inline int channels_poll_listen_fd(channels_poll *p, channels_poll_listener *l, int fd)
{
    int err = channels_tcp__prepare_listener(fd);
    l->fd = fd;
    return err != 0 ? err : channels_poll__add(p, fd, NULL);
}

/* Listens on a numeric address or host name (NULL: all addresses); port 0: any, see
 * channels_poll_port(). `backlog` 0: 1024. 0 or a negative errno. */
static inline int channels_poll_listen(channels_poll *p, channels_poll_listener *l,
                                       const char *host, int port, int backlog)
{
    int fd = channels_tcp__listen(host, port, backlog);
    int err = fd < 0 ? fd : channels_poll_listen_fd(p, l, fd);
    if (fd >= 0 && err != 0)
        close(fd);
    return err;
}

/* The port that it listens on, or -1. */
static inline int channels_poll_port(const channels_poll_listener *l)
{
    return channels_tcp__port(l->fd);
}

static inline void channels_poll__wake(void *arg)
{
    channels_poll *p = (channels_poll *)arg;
    int error = errno;
    ssize_t n = write(p->wake, "", 1); /* a full pipe wakes as well */
    (void)n;
    errno = error;
}

/* What is due, then what is to be written. */
static inline void channels_poll__turn(channels_poll *p)
{
    channels_conn *conn;
    channels_endpoint_run(p->ep);
    while ((conn = channels_endpoint_next_ready(p->ep)) != NULL)
        channels_poll__flush(p, (channels_poll_client *)channels_conn_user(conn));
}

/* How long to sleep, at most `max` ms if that is not negative. */
static inline int channels_poll__timeout(const channels_poll *p, int max)
{
    uint64_t ms = channels_endpoint_timeout(p->ep);
    if (p->rest && ms > CHANNELS_POLL_REST_MS)
        ms = CHANNELS_POLL_REST_MS;
    if (max >= 0 && ms > (uint64_t)max)
        ms = (uint64_t)max;
    return ms == UINT64_MAX ? -1 : ms > 0x7fffffff ? 0x7fffffff : (int)ms;
}

static inline channels_poll_watch *channels_poll__watch_of(const channels_poll *p, int fd)
{
    channels_poll_watch *w = p->watches;
    while (w != NULL && w->fd != fd)
        w = w->next;
    return w;
}

/* What is asked of a watch that is in p->watches: -ENOMEM if that could not be done, otherwise 0.
 * No events: nothing any more. */
static inline int channels_poll__watch(channels_poll *p, channels_poll_watch *w, int fd,
                                       short events)
{
    size_t at = 1;
    while (at < p->count && p->fds[at].fd != fd)
        at++;
    int err = events != 0 && at >= p->count ? channels_poll__add(p, fd, NULL) : 0;
    if (events == 0 && at < p->count)
        channels_poll__remove(p, at);
    w->fd = events != 0 && err == 0 ? fd : -1;
    w->events = events;
    return err;
}

static inline void channels_poll__on_event(channels_poll *p, size_t at)
{
    channels_poll_watch *w = p->watches != NULL && p->conns[at] == NULL
                                 ? channels_poll__watch_of(p, p->fds[at].fd)
                                 : NULL;
    short events = p->fds[at].revents;
    p->fds[at].revents = 0; /* it may be moved to where it would be looked at again */
    if (w != NULL) {
        w->ready(w->arg, w->fd, events);
    } else if (p->conns[at] != NULL) {
        channels_poll__on_client(p, at, events);
    } else if (at != 0) {
        channels_poll__on_listener(p, p->fds[at].fd);
    } else {
        while (read(p->fds[0].fd, p->buffer, CHANNELS_POLL_READ_SIZE) > 0)
            ;
    }
}

/* One turn: does what is due, sleeps until something happens, at most `timeout_ms` (negative: as
 * long as it takes), and handles it. 0 or a negative errno of poll(). Not from inside a callback of
 * the endpoint. */
static inline int channels_poll_run_once(channels_poll *p, int timeout_ms)
{
    channels_poll__turn(p);
    for (size_t i = 1; i < p->count; i++)
        if (p->conns[i] == NULL) {
            const channels_poll_watch *w = channels_poll__watch_of(p, p->fds[i].fd);
            p->fds[i].events = w != NULL ? w->events : p->rest ? 0 : POLLIN;
        }
    int timeout = channels_poll__timeout(p, timeout_ms);
    p->rest = false;
    if (poll(p->fds, (nfds_t)p->count, timeout) < 0)
        return errno == EINTR ? 0 : -errno;
    /* Backwards: who takes the place of one that went has had its turn. Watches may have gone
     * together. */
    for (size_t i = p->count; i-- > 0;)
        if (i < p->count && p->fds[i].revents != 0)
            channels_poll__on_event(p, i);
    channels_poll__turn(p);
    return 0;
}

static inline int channels_poll__open(channels_poll *p)
{
    int ends[2], err;
    if (pipe(ends) != 0)
        return -errno;
    p->wake = ends[1];
    err = channels_poll__add(p, ends[0], NULL);
    for (int i = 0; i < 2 && err == 0; i++)
        err = channels_tcp__prepare(ends[i]);
    if (err != 0) {
        close(ends[0]);
        close(ends[1]);
    }
    return err;
}

static inline void channels_poll__deinit(channels_poll *p)
{
    free(p->fds);
    free(p->conns);
    free(p->buffer);
}

/* Attaches the endpoint, whose connections are all the adapter's from now on. 0 or a negative
 * errno. */
static inline int channels_poll_start(channels_poll *p, channels_endpoint *ep)
{
    memset(p, 0, sizeof *p);
    p->ep = ep;
    p->buffer = (char *)malloc(CHANNELS_POLL_READ_SIZE);
    int err = p->buffer != NULL ? channels_poll__open(p) : -ENOMEM;
    if (err != 0)
        channels_poll__deinit(p);
    else
        channels_endpoint_on_wake(ep, channels_poll__wake, p);
    return err;
}

/* Closes all clients and stops listening: descriptors of channels_poll_listen() and
 * channels_poll_listen_fd() are closed. Other threads must have stopped calling in. Not from inside
 * a callback of the endpoint. */
static inline void channels_poll_stop(channels_poll *p)
{
    channels_endpoint_on_wake(p->ep, NULL, NULL);
    while (p->count != 0) {
        channels_conn *conn = p->conns[p->count - 1];
        if (conn != NULL)
            channels_poll__client_free(p, (channels_poll_client *)channels_conn_user(conn));
        else if (channels_poll__watch_of(p, p->fds[--p->count].fd) == NULL)
            close(p->fds[p->count].fd);
    }
    close(p->wake);
    channels_poll__deinit(p);
}

#endif
