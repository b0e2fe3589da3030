/* stream.c - TCP connections to the server, on one epoll: see client.h.
 *
 * They come from several addresses of 127.0.0.0/8, for one has only so many ports; and of cycles
 * that each use a port the next ones take the next address. */
#define _GNU_SOURCE /* epoll_pwait2(), SOCK_NONBLOCK, IP_BIND_ADDRESS_NO_PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/client.h"

#define READ_BYTES (256 * 1024)
#define EVENTS 1024
#define PER_ADDRESS 8000 /* with more the kernel looks long for a port */
#define ADDRESSES 64

static int epoll = -1;
static uint32_t opened;
static uint8_t buffer[READ_BYTES];

/* --- Bytes ---------------------------------------------------------------------------------- */

uint8_t *bytes_more(bytes *b, size_t n)
{
    if (b->len + n > b->room) {
        b->room = b->len + n > 2 * b->room ? b->len + n : 2 * b->room;
        b->p = realloc(b->p, b->room);
        if (b->p == NULL)
            bench_fail("no memory");
    }
    return b->p + b->len;
}

void bytes_add(bytes *b, const void *p, size_t n)
{
    memcpy(bytes_more(b, n), p, n);
    b->len += n;
}

void bytes_free(bytes *b)
{
    free(b->p);
    *b = (bytes){ 0 };
}

/* --- Opening and closing -------------------------------------------------------------------- */

static void watch(stream *s, int operation, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = s };
    if (epoll_ctl(epoll, operation, s->fd, &e) != 0)
        bench_fail("epoll_ctl() fails");
}

static void bind_to_address(int fd, uint32_t index)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    int one = 1;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % ADDRESSES);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&in, sizeof in) != 0)
        bench_fail("bind() fails: %s", strerror(errno));
}

void stream_open(stream *s, client *c, const stream_events *events)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(load.o.port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        bench_fail("socket() fails: too few files may be open");
    *s = (stream){ .fd = fd, .connecting = true, .events = events, .client = c };
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bind_to_address(fd, load.o.mode == LOAD_CHURN ? opened : opened / PER_ADDRESS);
    opened++;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* What becomes of it is told by epoll. */
    if (connect(fd, (struct sockaddr *)&in, sizeof in) != 0 && errno != EINPROGRESS)
        bench_fail("connect() fails: %s", strerror(errno));
    watch(s, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void stream_close(stream *s)
{
    struct linger reset = { .l_onoff = 1 };
    if (s->fd >= 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(s->fd);
    }
    s->fd = -1;
    bytes_free(&s->in);
    bytes_free(&s->out);
}

/* --- Out ------------------------------------------------------------------------------------ */

/* Of an error the reading side hears. */
static size_t try_send(stream *s, const void *p, size_t n)
{
    ssize_t r = send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return r < 0 ? 0 : (size_t)r;
}

void stream_write(stream *s, const void *p, size_t n)
{
    size_t went = s->out.len == 0 && !s->connecting ? try_send(s, p, n) : 0;
    if (went == n)
        return;
    bytes_add(&s->out, (const char *)p + went, n - went);
    if (!s->wants_out && !s->connecting)
        watch(s, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    s->wants_out = true;
}

static void flush(stream *s)
{
    size_t went = try_send(s, s->out.p, s->out.len);
    s->out.len -= went;
    memmove(s->out.p, s->out.p + went, s->out.len);
    if (s->out.len != 0)
        return;
    bytes_free(&s->out);
    s->wants_out = false;
    watch(s, EPOLL_CTL_MOD, EPOLLIN);
}

/* --- In ------------------------------------------------------------------------------------- */

static void end(stream *s)
{
    const stream_events *events = s->events;
    stream_close(s);
    events->ended(s);
}

static void keep_rest(stream *s, const uint8_t *rest, size_t n)
{
    s->in.len = 0;
    if (n != 0)
        bytes_add(&s->in, rest, n);
    else if (s->in.p != NULL)
        bytes_free(&s->in);
}

/* A piece that is longer than the buffer is gathered apart. */
static void read_more(stream *s)
{
    size_t had = s->in.len, room = READ_BYTES - had;
    uint8_t *p = buffer;
    if (had > READ_BYTES / 2) {
        room = READ_BYTES;
        p = bytes_more(&s->in, room);
        p -= had;
    } else if (had != 0) {
        memcpy(p, s->in.p, had);
    }
    ssize_t r = recv(s->fd, p + had, room, MSG_DONTWAIT);
    if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
        end(s);
    if (r <= 0)
        return;
    size_t n = had + (size_t)r, used = s->events->read(s, p, n);
    if (used == STREAM_GONE)
        return;
    if (p != buffer) {
        s->in.len = n - used;
        memmove(s->in.p, s->in.p + used, n - used);
    } else {
        keep_rest(s, p + used, n - used);
    }
}

static void finish_connecting(stream *s)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        end(s);
        return;
    }
    s->connecting = false;
    s->wants_out = s->out.len != 0;
    watch(s, EPOLL_CTL_MOD, s->wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
    s->events->connected(s);
}

static void on_event(stream *s, uint32_t events)
{
    if (s->fd < 0)
        return; /* closed by what came before in this turn */
    if (s->connecting) {
        finish_connecting(s);
        return;
    }
    if ((events & EPOLLOUT) != 0)
        flush(s);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        read_more(s);
}

/* --- The loop ------------------------------------------------------------------------------- */

void streams_begin(void)
{
    epoll = epoll_create1(0);
    opened = 0;
    if (epoll < 0)
        bench_fail("epoll_create1() fails");
}

void streams_turn(uint64_t until)
{
    static struct epoll_event events[EVENTS];
    uint64_t now = machine_ns(), wait = until > now ? until - now : 0;
    struct timespec t = { (time_t)(wait / 1000000000), (long)(wait % 1000000000) };
    int n = epoll_pwait2(epoll, events, EVENTS, &t, NULL);
    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
}

void streams_end(void)
{
    close(epoll);
    epoll = -1;
}
