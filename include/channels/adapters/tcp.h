/* channels/adapters/tcp.h - what the adapters share about sockets: theirs alone, not for hosts. */
#ifndef CHANNELS_ADAPTERS_TCP_H
#define CHANNELS_ADAPTERS_TCP_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <channels/channels.h>

#define CHANNELS_TCP_PEER_SIZE 64
#define CHANNELS_TCP_IOV 64

/* An accepted stream: non-blocking, closed on exec, small writes at once. */
typedef struct channels_tcp_stream {
    int fd;
    char peer[CHANNELS_TCP_PEER_SIZE]; /* "192.0.2.1:4711" or "[2001:db8::1]:4711", the other end;
                                        * "" if it has no such address */
} channels_tcp_stream;

#if defined(__linux__) && !defined(_GNU_SOURCE) /* which has <sys/socket.h> declare it */
#ifdef __cplusplus
extern "C" {
#endif
int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
#ifdef __cplusplus
}
#endif
#endif

/* --- Descriptors: each gives 0 or a negative errno ------------------------------------------ */

static inline int channels_tcp__nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static inline int channels_tcp__prepare(int fd)
{
    int err = channels_tcp__nonblocking(fd);
    return err == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : err;
}

/* What a listener has been told its streams need not be told again. */
static inline void channels_tcp__no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* refused by Unix sockets */
}

static inline int channels_tcp__prepare_listener(int fd)
{
    channels_tcp__no_delay(fd);
    return channels_tcp__nonblocking(fd);
}

/* --- The other end's address: by hand, since snprintf() costs as much as all the rest -------- */

/* Where the next character goes. */
static inline char *channels_tcp__decimal(char *to, unsigned n)
{
    if (n >= 10)
        to = channels_tcp__decimal(to, n / 10);
    *to = (char)('0' + n % 10);
    return to + 1;
}

static inline char *channels_tcp__ipv4(char *to, const struct sockaddr_in *in)
{
    const unsigned char *byte = (const unsigned char *)&in->sin_addr;
    for (int i = 0; i < 4; i++) {
        to = channels_tcp__decimal(to, byte[i]);
        *to++ = i < 3 ? '.' : ':';
    }
    return channels_tcp__decimal(to, ntohs(in->sin_port));
}

/* The name of a scope, which few addresses have, is getnameinfo()'s business. */
static inline char *channels_tcp__ipv6(char *to, const struct sockaddr_in6 *in)
{
    char *host = to + 1;
    if (in->sin6_scope_id == 0 ? inet_ntop(AF_INET6, &in->sin6_addr, host, INET6_ADDRSTRLEN) == NULL
                               : getnameinfo((const struct sockaddr *)in, sizeof *in, host,
                                             INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST) != 0)
        return to;
    *to = '[';
    to = host + strlen(host);
    *to++ = ']';
    *to++ = ':';
    return channels_tcp__decimal(to, ntohs(in->sin6_port));
}

static inline void channels_tcp__name(const struct sockaddr_storage *addr,
                                      char dst[CHANNELS_TCP_PEER_SIZE])
{
    char *end = dst;
    if (addr->ss_family == AF_INET)
        end = channels_tcp__ipv4(dst, (const struct sockaddr_in *)addr);
    else if (addr->ss_family == AF_INET6)
        end = channels_tcp__ipv6(dst, (const struct sockaddr_in6 *)addr);
    *end = '\0';
}

/* --- Streams: 0 or a negative errno ----------------------------------------------------------- */

/* The next of a listener's. */
static inline int channels_tcp__accept(int listener, channels_tcp_stream *s)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    addr.ss_family = AF_UNSPEC;
#ifdef __linux__
    s->fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (s->fd < 0)
        return -errno;
#else
    s->fd = accept(listener, (struct sockaddr *)&addr, &len);
    if (s->fd < 0)
        return -errno;
    if (channels_tcp__prepare(s->fd) != 0) {
        close(s->fd);
        return -ECONNABORTED;
    }
#endif
    channels_tcp__name(&addr, s->peer);
    return 0;
}

/* Nothing more can be accepted for now. */
static inline bool channels_tcp__exhausted(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

/* One that somebody else has accepted or connected. */
static inline int channels_tcp__adopt(int fd, channels_tcp_stream *s)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    int err = channels_tcp__prepare(fd);
    if (err != 0)
        return err;
    channels_tcp__no_delay(fd);
    if (getpeername(fd, (struct sockaddr *)&addr, &len) != 0)
        addr.ss_family = AF_UNSPEC;
    s->fd = fd;
    channels_tcp__name(&addr, s->peer);
    return 0;
}

/* --- Listeners -------------------------------------------------------------------------------- */

static inline int channels_tcp__listen_on(const struct addrinfo *ai, int backlog)
{
    int on = 1, off = 0, fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
    if (fd < 0)
        return -errno;
    if (ai->ai_family == AF_INET6) /* "all addresses" are those of IPv4 too */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
        listen(fd, backlog > 0 ? backlog : 1024) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static inline int channels_tcp__listen_family(int family, const char *host, int port, int backlog)
{
    struct addrinfo hints, *list;
    char service[16];
    int fd = -EADDRNOTAVAIL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &list) != 0)
        return -EADDRNOTAVAIL;
    for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
        fd = channels_tcp__listen_on(ai, backlog);
    freeaddrinfo(list);
    return fd;
}

/* A listening socket, or a negative errno: on the first address of `host` that works; NULL: on all
 * of this machine. */
static inline int channels_tcp__listen(const char *host, int port, int backlog)
{
    int fd = -EADDRNOTAVAIL;
    if (host == NULL)
        fd = channels_tcp__listen_family(AF_INET6, NULL, port, backlog);
    if (fd < 0)
        fd = channels_tcp__listen_family(host != NULL ? AF_UNSPEC : AF_INET, host, port, backlog);
    return fd;
}

/* The port that `fd` is bound to, or -1. */
static inline int channels_tcp__port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return -1;
    if (addr.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&addr)->sin_port);
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port) : -1;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* To close is to shut down as well. */
static inline bool channels_tcp__ends_writing(const channels_conn *conn)
{
    unsigned want = channels_conn_want(conn);
    return (want & (CHANNELS_WANT_SHUTDOWN | CHANNELS_WANT_CLOSE)) == CHANNELS_WANT_SHUTDOWN;
}

/* Not writev(), which may raise SIGPIPE. */
static inline ssize_t channels_tcp__send(int fd, struct iovec *iov, int n)
{
    struct msghdr msg;
    if (n == 1)
        return send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    memset(&msg, 0, sizeof msg);
    msg.msg_iov = iov;
    msg.msg_iovlen = (size_t)n;
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Writes what `conn` has until the kernel takes no more, and shuts down when it asks for that: 0,
 * or a negative errno if the stream is broken. */
static inline int channels_tcp__write(int fd, channels_conn *conn)
{
    struct iovec iov[CHANNELS_TCP_IOV];
    int n;
    while ((channels_conn_want(conn) & CHANNELS_WANT_WRITE) != 0 &&
           (n = channels_conn_output(conn, iov, CHANNELS_TCP_IOV)) > 0) {
        size_t want = 0;
        ssize_t sent;
        for (int i = 0; i < n; i++)
            want += iov[i].iov_len;
        do {
            sent = channels_tcp__send(fd, iov, n);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        channels_conn_sent(conn, (size_t)sent);
        if ((size_t)sent < want)
            return 0;
    }
    if (channels_tcp__ends_writing(conn))
        (void)shutdown(fd, SHUT_WR); /* again is harmless; a broken stream shows in read() */
    return 0;
}

#endif
