/* main.c - `limit`, what the kernel allows any server: a yardstick, not a server.
 *
 *     limit [--port N] [--batch] [--fault drop|twice|swap|alter]
 *
 * One thread, epoll, and the least that the protocol can be done with: bytes are searched instead
 * of parsed, a broadcast is one frame made beforehand and one send() for each who hears it. There
 * are no timeouts, no checks, one topic a client; who sends it nonsense gets nonsense. With --batch
 * what a client is to get during one turn of the loop leaves at its end in one writev(). --fault
 * does one delivery wrongly, for the test of who counts them. */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bench/limit/limit.h"

#define BACKLOG 4096
#define EVENTS 1024

void *limit_resize(void *p, size_t size)
{
    p = realloc(p, size);
    if (p == NULL)
        abort();
    return p;
}

static void usage(void)
{
    fputs("usage: limit [--port N] [--batch] [--fault drop|twice|swap|alter]\n", stderr);
    exit(2);
}

static uint16_t read_options(char **argv)
{
    int port = 4000;
    for (char **arg = argv + 1; *arg != NULL; arg++) {
        if (strcmp(*arg, "--batch") == 0)
            limit_batches = true;
        else if (strcmp(*arg, "--port") == 0 && arg[1] != NULL)
            port = atoi(*++arg);
        else if (strcmp(*arg, "--fault") != 0 || arg[1] == NULL || !fault_set(*++arg))
            usage();
    }
    return (uint16_t)port;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int listen_at(uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) != 0 || listen(fd, BACKLOG) != 0) {
        perror("limit: it cannot listen");
        exit(1);
    }
    return fd;
}

static void serve(int listener)
{
    struct epoll_event events[EVENTS], listening = { .events = EPOLLIN };
    limit_epoll = epoll_create1(0);
    epoll_ctl(limit_epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int n = epoll_wait(limit_epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr != NULL)
                peer_on_event(events[i].data.ptr, events[i].events);
            else
                peer_accept(listener);
        }
        peers_end_turn();
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    uint16_t port = read_options(argv);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    protocol_begin();
    serve(listen_at(port));
}
