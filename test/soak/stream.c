/* stream.c - see stream.h. */
#include "soak/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static void watch(stream *s)
{
    int events = (s->paused ? 0 : EV_READ) | (s->out_len != 0 ? EV_WRITE : 0);
    if (events == (s->io.events & (EV_READ | EV_WRITE)) && events != 0)
        return;
    ev_io_stop(soak_loop, &s->io);
    ev_io_set(&s->io, s->io.fd, events);
    if (events != 0)
        ev_io_start(soak_loop, &s->io);
}

static char *grown(char *bytes, size_t size)
{
    char *p = realloc(bytes, size);
    if (p == NULL)
        soak_fail("no memory");
    return p;
}

static void flush(stream *s)
{
    while (s->out_len != 0) {
        ssize_t n = send(s->io.fd, s->out, s->out_len, MSG_NOSIGNAL);
        if (n <= 0)
            break; /* what broke shows when it reads */
        soak_counted.sent_bytes += (uint64_t)n;
        s->out_len -= (size_t)n;
        memmove(s->out, s->out + n, s->out_len);
    }
    watch(s);
}

static void on_readable(stream *s)
{
    char bytes[16384];
    ssize_t n = recv(s->io.fd, bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        s->on_end(s);
        return;
    }
    soak_counted.received_bytes += (uint64_t)n;
    s->in = grown(s->in, s->in_len + (size_t)n + 1);
    memcpy(s->in + s->in_len, bytes, (size_t)n);
    s->in_len += (size_t)n;
    s->in[s->in_len] = '\0';
    s->on_bytes(s);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
    stream *s = (stream *)io;
    (void)loop;
    if ((revents & EV_WRITE) != 0)
        flush(s);
    if ((revents & EV_READ) != 0)
        on_readable(s);
}

void stream_open(stream *s)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)soak_port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        soak_fail("a client cannot connect: %s", strerror(errno));
    s->open = true;
    s->paused = false;
    s->in = s->out = NULL;
    s->in_len = s->out_len = 0;
    ev_io_init(&s->io, on_io, fd, EV_READ);
    ev_io_start(soak_loop, &s->io);
}

void stream_put(stream *s, const void *bytes, size_t n)
{
    s->out = grown(s->out, s->out_len + n);
    memcpy(s->out + s->out_len, bytes, n);
    s->out_len += n;
    flush(s);
}

void stream_take(stream *s, size_t n)
{
    s->in_len -= n;
    memmove(s->in, s->in + n, s->in_len + 1);
}

void stream_pause(stream *s, bool paused)
{
    s->paused = paused;
    watch(s);
}

void stream_half_close(stream *s)
{
    shutdown(s->io.fd, SHUT_WR);
}

void stream_close(stream *s, bool reset)
{
    static const struct linger at_once = { 1, 0 };
    if (!s->open)
        return;
    if (reset)
        setsockopt(s->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ev_io_stop(soak_loop, &s->io);
    close(s->io.fd);
    free(s->in);
    free(s->out);
    s->open = false;
}
