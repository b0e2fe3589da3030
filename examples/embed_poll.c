/* embed_poll.c - how do I drive it from the loop that my program has?
 *
 * With the calls of "Bytes in, bytes out" in <channels/channels.h>: take_in() when a stream can be
 * read, flush() when it can be written to, before_sleep() before every sleep. Here the loop is
 * poll(2); in yours the same lines stand around whatever waits for events. A program without a loop
 * takes <channels/adapters/poll.h> or libev.h instead, which are these lines made complete.
 *
 *     make demo-embed_poll
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0'
 *     > ["1","1","room:lobby","phx_join",{}]
 *     > ["1","2","room:lobby","shout",{"text":"hello"}] */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <channels/channels.h>

#define MAX_CLIENTS 1000

/* --- What clients may do: the same in every host -------------------------------------------- */

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int room_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    int err = channels_broadcast(ch, "shout", msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

static const channels_handler room = { .join = room_join, .handle_in = room_in };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler clients = { .routes = routes };

/* --- The loop ------------------------------------------------------------------------------- */

/* The first place is the listener's. poll() passes over those that are free: their fd is -1. */
struct loop {
    struct pollfd fds[1 + MAX_CLIENTS];
    channels_conn *conns[1 + MAX_CLIENTS];
};

static volatile sig_atomic_t done;

static void on_signal(int number)
{
    (void)number;
    done = 1;
}

static void client_free(struct loop *loop, struct pollfd *client)
{
    channels_conn_free(loop->conns[client - loop->fds]);
    close(client->fd);
    client->fd = -1;
}

/* Writes what the connection has until the kernel takes no more, then waits for what it wants. */
static void flush(struct loop *loop, struct pollfd *client)
{
    channels_conn *conn = loop->conns[client - loop->fds];
    struct iovec iov[16];
    ssize_t sent = 0;
    int n;
    while ((n = channels_conn_output(conn, iov, 16)) > 0 && (sent = writev(client->fd, iov, n)) > 0)
        channels_conn_sent(conn, (size_t)sent);
    unsigned want = channels_conn_want(conn);
    if ((sent < 0 && errno != EAGAIN) || (want & CHANNELS_WANT_CLOSE) != 0) {
        client_free(loop, client);
        return;
    }
    if (n == 0 && (want & CHANNELS_WANT_SHUTDOWN) != 0)
        shutdown(client->fd, SHUT_WR);
    client->events = (short)(((want & CHANNELS_WANT_READ) != 0 ? POLLIN : 0) |
                             ((want & CHANNELS_WANT_WRITE) != 0 ? POLLOUT : 0));
}

static void take_in(struct loop *loop, struct pollfd *client)
{
    char bytes[16384];
    ssize_t n = read(client->fd, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        client_free(loop, client);
        return;
    }
    if (n > 0) /* an error shows in what the connection wants next */
        channels_conn_feed(loop->conns[client - loop->fds], bytes, (size_t)n);
    flush(loop, client);
}

static void take_client(struct loop *loop, channels_endpoint *ep)
{
    size_t at = 1;
    int fd = accept(loop->fds[0].fd, NULL, NULL);
    if (fd < 0)
        return;
    while (at <= MAX_CLIENTS && loop->fds[at].fd != -1)
        at++;
    if (at > MAX_CLIENTS || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
        channels_conn_new(ep, NULL, &loop->fds[at], &loop->conns[at]) != CHANNELS_OK) {
        close(fd);
        return;
    }
    loop->fds[at] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* Does what is due and writes what that gave. How long the loop may sleep then: a second at most,
 * for a signal may have come just before. */
static int before_sleep(struct loop *loop, channels_endpoint *ep)
{
    channels_conn *conn;
    channels_endpoint_run(ep);
    while ((conn = channels_endpoint_next_ready(ep)) != NULL)
        flush(loop, channels_conn_user(conn));
    uint64_t ms = channels_endpoint_timeout(ep);
    return ms < 1000 ? (int)ms : 1000;
}

static void serve(struct loop *loop, channels_endpoint *ep)
{
    while (!done) {
        if (poll(loop->fds, 1 + MAX_CLIENTS, before_sleep(loop, ep)) <= 0)
            continue;
        if (loop->fds[0].revents != 0)
            take_client(loop, ep);
        for (struct pollfd *client = &loop->fds[1]; client <= &loop->fds[MAX_CLIENTS]; client++) {
            if ((client->revents & POLLOUT) != 0)
                flush(loop, client);
            if (client->fd != -1 && (client->revents & ~POLLOUT) != 0)
                take_in(loop, client);
        }
    }
}

/* --- main ----------------------------------------------------------------------------------- */

static int listen_on(int port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 128) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return -1;
    printf("listening on 127.0.0.1:%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    static struct loop loop;
    const channels_config config = { .log = print_log, .log_level = CHANNELS_LOG_WARNING };
    channels_endpoint *ep;
    signal(SIGPIPE, SIG_IGN); /* writev() to a client that has gone shall just fail */
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    for (int i = 0; i <= MAX_CLIENTS; i++)
        loop.fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
    if (channels_endpoint_new(&ep, &config) != CHANNELS_OK)
        return EXIT_FAILURE;
    if (channels_mount(ep, "/socket", &clients, NULL, NULL) == CHANNELS_OK &&
        (loop.fds[0].fd = listen_on(argc > 1 ? atoi(argv[1]) : 4000)) >= 0)
        serve(&loop, ep);
    else
        perror("embed_poll");
    channels_endpoint_free(ep); /* the connections too; the kernel closes their streams */
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
