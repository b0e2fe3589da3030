/* test_poll.c - channels/adapters/poll.h on real sockets of this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <channels/adapters/poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "sim/probe.h"
#include "unit/conn_case.h"

typedef struct net {
    sim_host host; /* its clock is not used */
    probe probe;
    channels_poll loop;
    channels_poll_listener listener;
    int first_fd; /* the lowest that is free, when all is closed */
} net;

static int lowest_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static uint64_t real_now(void *user)
{
    struct timespec ts;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int start(void **state)
{
    net *n = calloc(1, sizeof *n);
    channels_config config = { .now_ms = real_now, .linger_ms = 20 };
    channels_mount_options options = { .max_queued = 16 << 20 };
    *state = n;
    n->first_fd = lowest_fd();
    n->probe.host = &n->host;
    return sim_start_with(&n->host, &config) ||
           channels_mount(n->host.ep, "/socket", &probe_handler, &options, &n->probe) ||
           channels_poll_start(&n->loop, n->host.ep) ||
           channels_poll_listen(&n->loop, &n->listener, "127.0.0.1", 0, 0);
}

static int stop(void **state)
{
    net *n = *state;
    channels_poll_stop(&n->loop);
    int lost = sim_stop(&n->host) != 0 || lowest_fd() != n->first_fd;
    free(n);
    return lost;
}

static int dial(net *n)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)channels_poll_port(&n->listener));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void put(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Runs the loop until `len` bytes have come, or the end: how many have. */
static size_t get(net *n, int fd, char *dst, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t part = recv(fd, dst + got, len - got, MSG_DONTWAIT);
        if (part == 0 || (part < 0 && errno != EAGAIN))
            break;
        if (part > 0)
            got += (size_t)part;
        else
            assert_int_equal(channels_poll_run_once(&n->loop, 10), 0);
    }
    return got;
}

static void gets_text(net *n, int fd, const char *text)
{
    char bytes[1024];
    size_t len = strlen(text);
    assert_int_equal(get(n, fd, bytes, len), len);
    assert_memory_equal(bytes, text, len);
}

static void gets_end(net *n, int fd)
{
    char byte;
    assert_int_equal(get(n, fd, &byte, 1), 0);
    close(fd);
}

static void put_frame(int fd, int first, const char *json)
{
    char bytes[1024], *text = sim_quoted(json);
    put(fd, bytes, conn_frame_bytes(bytes, first, text, strlen(text)));
    free(text);
}

static void gets_json(net *n, int fd, const char *json)
{
    char *text = sim_quoted(json), header[3] = { (char)(FIN | TEXT), (char)strlen(text) };
    gets_text(n, fd, header);
    gets_text(n, fd, text);
    free(text);
}

static int join(net *n)
{
    int fd = dial(n);
    put(fd, HANDSHAKE, strlen(HANDSHAKE));
    gets_text(n, fd, WELCOME);
    put_frame(fd, FIN | TEXT, "['1','1','room:a','phx_join',{}]");
    gets_json(n, fd, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    return fd;
}

static size_t clients(const net *n)
{
    return n->loop.count - 2;
}

/* --- Tests -------------------------------------------------------------------------------- */

static void requests(void **state)
{
    net *n = *state;
    int fd = dial(n);
    put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    gets_text(n, fd,
              "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
              "content-length: 9\r\n\r\nnot found");
    put(fd, "GET / HTTP/1.0\r\n\r\n", 18);
    gets_text(n, fd,
              "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
              "content-length: 9\r\nconnection: close\r\n\r\nnot found");
    assert_int_equal(clients(n), 1);
    gets_end(n, fd);
    while (clients(n) != 0)
        channels_poll_run_once(&n->loop, 10);
}

static void broadcasts(void **state)
{
    net *n = *state;
    int fds[40];
    for (int i = 0; i < 40; i++)
        fds[i] = join(n);
    assert_int_equal(clients(n), 40);
    put_frame(fds[7], FIN | TEXT, "['1','2','room:a','shout',{}]");
    for (int i = 0; i < 40; i++)
        gets_json(n, fds[i], "[null,null,'room:a','shout',{}]");
    for (int i = 0; i < 40; i += 2) /* they go, and others take their places */
        close(fds[i]);
    while (clients(n) != 20)
        channels_poll_run_once(&n->loop, 10);
    put_frame(fds[7], FIN | TEXT, "['1','3','room:a','shout',{}]");
    for (int i = 1; i < 40; i += 2) {
        gets_json(n, fds[i], "[null,null,'room:a','shout',{}]");
        close(fds[i]);
    }
}

static void goodbyes(void **state)
{
    net *n = *state;
    int fd = join(n);
    put_frame(fd, FIN | CLOSE, "");
    gets_text(n, fd, "\x88");
    char length;
    get(n, fd, &length, 1);
    gets_end(n, fd);
    while (clients(n) != 0)
        channels_poll_run_once(&n->loop, 10);
    fd = join(n);            /* and one that is told to, and never closes */
    put(fd, "\x81\x01x", 3); /* no mask */
    gets_text(n, fd, "\x88\x02\x03\xea");
    while (clients(n) != 0)
        channels_poll_run_once(&n->loop, 10);
    close(fd);
}

/* More than the kernel takes at once, both ways. */
static void large_messages(void **state)
{
    enum { SIZE = 6000000 };
    net *n = *state;
    int fd = join(n);
    char *text = malloc(SIZE), *frame = malloc(SIZE + 14), *reply = malloc(SIZE + 200);
    static const char head[] = "[\"1\",\"2\",\"room:a\",\"push\",{\"x\":\"", tail[] = "\"}]";
    memset(text, 'x', SIZE);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + SIZE - 3, tail, 3);
    size_t len = conn_frame_bytes(frame, FIN | TEXT, text, SIZE), sent = 0;
    while (sent < len) {
        ssize_t part = send(fd, frame + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (part > 0)
            sent += (size_t)part;
        channels_poll_run_once(&n->loop, 0);
    }
    size_t expected = 10 + SIZE + strlen("null") - strlen("\"2\"");
    assert_int_equal(get(n, fd, reply, expected), expected);
    assert_memory_equal(reply + expected - 10, text + SIZE - 10, 10);
    free(text);
    free(frame);
    free(reply);
    close(fd);
}

static void count_up(channels_endpoint *ep, void *arg)
{
    (void)ep;
    ++*(int *)arg;
}

static void *post(void *arg)
{
    net *n = arg;
    for (int i = 0; i < 1000; i++)
        channels_post(n->host.ep, count_up, &n->probe.err, NULL);
    return NULL;
}

static void other_threads_wake_it(void **state)
{
    net *n = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post, n), 0);
    while (n->probe.err < 1000)
        assert_int_equal(channels_poll_run_once(&n->loop, -1), 0);
    pthread_join(thread, NULL);
}

static void other_streams(void **state)
{
    net *n = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(channels_poll_accept(&n->loop, pair[0]), 0);
    put(pair[1], "GET / HTTP/1.0\r\n\r\n", 18);
    gets_text(n, pair[1], "HTTP/1.1 404 Not Found\r\n");
    close(pair[1]);
    assert_true(channels_poll_accept(&n->loop, -1) < 0);
    channels_poll_listener other;
    assert_true(channels_poll_listen_fd(&n->loop, &other, -1) < 0);
    assert_true(channels_poll_listen(&n->loop, &other, "not a host name", 0, 0) < 0);
    assert_int_equal(channels_poll_listen(&n->loop, &other, "::1", 0, 1), 0);
    assert_true(channels_poll_port(&other) > 0);
}

/* The host has read the head, and of what followed it all but the end. */
static void streams_with_a_request(void **state)
{
    static const channels_header headers[] = { { "host", "localhost" },
                                               { "connection", "upgrade" },
                                               { "upgrade", "websocket" },
                                               { "sec-websocket-version", "13" },
                                               { "sec-websocket-key",
                                                 "dGhlIHNhbXBsZSBub25jZQ==" } };
    const channels_request req = { .method = "GET",
                                   .path = "/socket/websocket",
                                   .query = "vsn=2.0.0",
                                   .headers = headers,
                                   .nheaders = sizeof headers / sizeof *headers };
    net *n = *state;
    int pair[2];
    char bytes[256], *text = sim_quoted("[null,'1','phoenix','heartbeat',{}]");
    size_t len = conn_frame_bytes(bytes, FIN | TEXT, text, strlen(text));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(channels_poll_accept_from(&n->loop, pair[0], &req, bytes, len - 3), 0);
    put(pair[1], bytes + len - 3, 3);
    gets_text(n, pair[1], WELCOME);
    gets_json(n, pair[1], "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
    free(text);
    close(pair[1]);
}

static void all_addresses(void **state)
{
    net *n = *state;
    channels_poll_listener all = { -1 }, named = n->listener;
    assert_int_equal(channels_poll_listen(&n->loop, &all, NULL, 0, 0), 0);
    n->listener = all;
    int fd = dial(n);
    n->listener = named;
    put(fd, "GET / HTTP/1.0\r\n\r\n", 18);
    gets_text(n, fd, "HTTP/1.1 404 Not Found\r\n");
    close(fd);
}

static void out_of_descriptors(void **state)
{
    net *n = *state;
    struct rlimit before, limit;
    int fd = dial(n);
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)lowest_fd();
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 3; i++)
        assert_int_equal(channels_poll_run_once(&n->loop, 1), 0);
    assert_int_equal(clients(n), 0);
    setrlimit(RLIMIT_NOFILE, &before);
    put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
    gets_text(n, fd, "HTTP/1.1 404 Not Found\r\n");
    close(fd);
}

static int wait_for_ever(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_int_equal(channels_connect_later(s, &p->ref), CHANNELS_OK);
    return CHANNELS_LATER;
}

/* A peer that goes while nothing is read from it. */
static void resets(void **state)
{
    static const struct linger hard = { 1, 0 };
    net *n = *state;
    n->probe.connect = wait_for_ever;
    int fd = dial(n);
    put(fd, HANDSHAKE "early", strlen(HANDSHAKE) + 5);
    while (n->probe.ref.id == 0)
        channels_poll_run_once(&n->loop, 10);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    while (clients(n) != 0)
        channels_poll_run_once(&n->loop, 10);
    assert_int_equal(channels_accept(n->host.ep, n->probe.ref), CHANNELS_ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests, start, stop),
        cmocka_unit_test_setup_teardown(broadcasts, start, stop),
        cmocka_unit_test_setup_teardown(goodbyes, start, stop),
        cmocka_unit_test_setup_teardown(large_messages, start, stop),
        cmocka_unit_test_setup_teardown(other_threads_wake_it, start, stop),
        cmocka_unit_test_setup_teardown(other_streams, start, stop),
        cmocka_unit_test_setup_teardown(streams_with_a_request, start, stop),
        cmocka_unit_test_setup_teardown(all_addresses, start, stop),
        cmocka_unit_test_setup_teardown(out_of_descriptors, start, stop),
        cmocka_unit_test_setup_teardown(resets, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
