/* adapter_case.c - see adapter_case.h. */
#include "unit/adapter_case.h"
#include "unit/failure.h"

#include <channels/adapters/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>

/* --- The case ----------------------------------------------------------------------------- */

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

static int begin(net *n, uint32_t http_timeout_ms)
{
    channels_config config = { .now_ms = real_now,
                               .linger_ms = 20,
                               .http_timeout_ms = http_timeout_ms };
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    if (sim_start(&n->host, &n->memory, &config) != CHANNELS_OK ||
        channels_mount(n->host.ep, "/socket", &probe_handler, NULL, &n->probe) != CHANNELS_OK)
        return 1;
    n->loop = n->a->start(n->host.ep);
    n->port = n->loop != NULL ? n->a->listen(n->loop, "127.0.0.1") : -1;
    return n->port <= 0;
}

static int end(net *n)
{
    n->a->stop(n->loop);
    return channels_test_stop(&n->host) != 0 || lowest_fd() != n->first_fd;
}

static int start(const adapter *a, net **n)
{
    *n = calloc(1, sizeof **n);
    (*n)->a = a;
    (*n)->first_fd = lowest_fd();
    return begin(*n, 0);
}

static int stop(net *n)
{
    int lost = end(n);
    free(n);
    return lost;
}

void adapter_restart(net *n, uint32_t http_timeout_ms)
{
    assert_int_equal(end(n), 0);
    memset(&n->host, 0, sizeof n->host);
    assert_int_equal(begin(n, http_timeout_ms), 0);
}

/* What libraries open once and for all is not lost in the first test. */
static int warm_up(const adapter *a)
{
    net *n;
    int err = start(a, &n);
    (void)stop(n);
    return err;
}

void turn(net *n, int timeout_ms)
{
    n->a->run_once(n->loop, timeout_ms);
}

size_t clients(const net *n)
{
    return n->a->clients(n->loop);
}

void until_clients(net *n, size_t count)
{
    while (clients(n) != count)
        turn(n, 10);
}

/* --- The other end ------------------------------------------------------------------------- */

static int open_fd(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0), size = 65536;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)port);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); /* writes are cut short */
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

far_end far_end_of(net *n, int fd)
{
    far_end p = { n, fd, n->a->secure != NULL ? n->a->secure(fd) : NULL };
    return p;
}

far_end dial(net *n)
{
    return far_end_of(n, open_fd(n->port));
}

far_end dial_plain(net *n)
{
    far_end p = { n, open_fd(n->port), NULL };
    return p;
}

ssize_t put_some(far_end *p, const void *data, size_t len)
{
    return p->secure != NULL ? p->n->a->send(p->secure, data, len)
                             : send(p->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t get_some(far_end *p, char *dst, size_t len)
{
    return p->secure != NULL ? p->n->a->recv(p->secure, dst, len)
                             : recv(p->fd, dst, len, MSG_DONTWAIT);
}

void put(far_end *p, const void *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t part = put_some(p, (const char *)data + sent, len - sent);
        assert_true(part > 0 || (part < 0 && errno == EAGAIN));
        sent += part > 0 ? (size_t)part : 0;
        if (sent < len)
            turn(p->n, part > 0 ? 0 : 10);
    }
}

void put_text(far_end *p, const char *text)
{
    put(p, text, strlen(text));
}

size_t get(far_end *p, char *dst, size_t len)
{
    size_t got = 0;
    while (got < len) {
        ssize_t part = get_some(p, dst + got, len - got);
        if (part == 0 || (part < 0 && errno != EAGAIN))
            break;
        if (part > 0)
            got += (size_t)part;
        else
            turn(p->n, 10);
    }
    return got;
}

void gets_text(far_end *p, const char *text)
{
    char bytes[1024];
    size_t len = strlen(text);
    assert_int_equal(get(p, bytes, len), len);
    assert_memory_equal(bytes, text, len);
}

void hang_up(far_end *p)
{
    if (p->secure != NULL)
        p->n->a->forget(p->secure);
    close(p->fd);
}

void gets_end(far_end *p)
{
    char byte;
    assert_int_equal(get(p, &byte, 1), 0);
    hang_up(p);
}

void put_frame(far_end *p, int first, const char *json)
{
    char bytes[1024], *text = sim_quoted(json);
    put(p, bytes, conn_frame_bytes(bytes, first, text, strlen(text)));
    free(text);
}

void gets_json(far_end *p, const char *json)
{
    char *text = sim_quoted(json), header[3] = { (char)(FIN | TEXT), (char)strlen(text) };
    gets_text(p, header);
    gets_text(p, text);
    free(text);
}

static void join_over(far_end *p)
{
    put_text(p, HANDSHAKE);
    gets_text(p, WELCOME);
    put_frame(p, FIN | TEXT, "['1','1','room:a','phx_join',{}]");
    gets_json(p, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
}

far_end join(net *n)
{
    far_end p = dial(n);
    join_over(&p);
    return p;
}

/* --- Tests -------------------------------------------------------------------------------- */

static void requests(net *n)
{
    far_end p = dial(n);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
                  "content-length: 9\r\n\r\nnot found");
    put_text(&p, "GET / HTTP/1.0\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
                  "content-length: 9\r\nconnection: close\r\n\r\nnot found");
    assert_int_equal(clients(n), 1);
    gets_end(&p);
    until_clients(n, 0);
}

static void broadcasts(net *n)
{
    far_end ends[40];
    for (int i = 0; i < 40; i++)
        ends[i] = join(n);
    assert_int_equal(clients(n), 40);
    put_frame(&ends[7], FIN | TEXT, "['1','2','room:a','shout',{}]");
    for (int i = 0; i < 40; i++)
        gets_json(&ends[i], "[null,null,'room:a','shout',{}]");
    for (int i = 0; i < 40; i += 2) /* they go, and others take their places */
        hang_up(&ends[i]);
    until_clients(n, 20);
    put_frame(&ends[7], FIN | TEXT, "['1','3','room:a','shout',{}]");
    for (int i = 1; i < 40; i += 2) {
        gets_json(&ends[i], "[null,null,'room:a','shout',{}]");
        hang_up(&ends[i]);
    }
}

static void goodbyes(net *n)
{
    far_end p = join(n);
    put_frame(&p, FIN | CLOSE, "");
    gets_text(&p, "\x88");
    char length;
    get(&p, &length, 1);
    gets_end(&p);
    until_clients(n, 0);
    p = join(n);             /* and one that is told to, and never closes */
    put(&p, "\x81\x01x", 3); /* no mask */
    gets_text(&p, "\x88\x02\x03\xea");
    until_clients(n, 0);
    hang_up(&p);
}

/* A client that has said all it has to say still gets its answer. */
static void half_closed(net *n)
{
    far_end p = dial(n);
    put_text(&p, "GET / HTTP/1.0\r\n\r\n");
    if (p.secure != NULL)
        n->a->end(p.secure);
    shutdown(p.fd, SHUT_WR);
    gets_text(&p, "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\n"
                  "content-length: 9\r\nconnection: close\r\n\r\nnot found");
    gets_end(&p);
    until_clients(n, 0);
}

/* A frame with a message as large as `size`, freed by the caller: `event` with the ref 2. */
static char *large_frame(const char *event, size_t size, size_t *len)
{
    char *text = malloc(size), *frame = malloc(size + 14);
    int head = snprintf(text, size, "[\"1\",\"2\",\"room:a\",\"%s\",{\"x\":\"", event);
    memset(text + head, 'x', size - (size_t)head);
    memcpy(text + size - 3, "\"}]", 3);
    *len = conn_frame_bytes(frame, FIN | TEXT, text, size);
    free(text);
    return frame;
}

static void gets_large(far_end *p, size_t len)
{
    char *heard = malloc(len);
    assert_int_equal(get(p, heard, len), len);
    assert_memory_equal(heard + len - 5, "xx\"}]", 5);
    free(heard);
}

/* More than the kernel takes at once, both ways. */
static void large_messages(net *n)
{
    enum { SIZE = 6000000 };
    size_t len;
    far_end p = join(n);
    char *frame = large_frame("push", SIZE, &len);
    put(&p, frame, len);
    gets_large(&p, 10 + SIZE + strlen("null") - strlen("\"2\""));
    free(frame);
    hang_up(&p);
}

/* Who does not read is closed; who does misses nothing. */
static void slow_readers(net *n)
{
    enum { SIZE = 300000 };
    size_t len;
    far_end fast = join(n), slow = join(n);
    char *frame = large_frame("shout", SIZE, &len);
    for (int i = 0; clients(n) == 2; i++) {
        assert_true(i < 100);
        put(&fast, frame, len);
        gets_large(&fast, 10 + SIZE + 2 * strlen("null") - strlen("\"1\"\"2\""));
    }
    free(frame);
    hang_up(&fast);
    hang_up(&slow);
}

/* The answer to its Close waits behind more than the kernel takes: closed when both are out. */
static void goodbye_behind_much(net *n)
{
    enum { SIZE = 12000 };
    char close[16];
    int pair[2], small = 1;
    size_t len, close_len = conn_frame_bytes(close, FIN | CLOSE, "\x03\xe8", 2);
    char *frame = large_frame("push", SIZE, &len);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    assert_int_equal(n->a->accept(n->loop, pair[0]), 0);
    far_end p = far_end_of(n, pair[1]);
    join_over(&p);
    put(&p, frame, len);
    put(&p, close, close_len);
    for (int i = 0; i < 3; i++)
        turn(n, 1);
    assert_int_equal(clients(n), 1);
    gets_large(&p, 4 + SIZE + strlen("null") - strlen("\"2\""));
    gets_text(&p, "\x88\x02\x03\xe8");
    gets_end(&p);
    until_clients(n, 0);
    free(frame);
}

/* Sends as much of `count` frames as is taken from it; how many bytes. */
static size_t pour(far_end *p, const char *frame, size_t len, size_t count)
{
    size_t sent = 0;
    for (int idle = 0; sent < count * len && idle < 20;) {
        ssize_t part = put_some(p, frame + sent % len, len - sent % len);
        sent += part > 0 ? (size_t)part : 0;
        idle = part > 0 ? 0 : idle + 1;
        turn(p->n, part > 0 ? 0 : 1);
    }
    return sent;
}

/* A client that asks and does not read the answers is not read from either, until it does. */
static void answers_unread(net *n)
{
    enum { SIZE = 100000, COUNT = 300 };
    size_t len, before;
    far_end p = join(n);
    char *frame = large_frame("push", SIZE, &len);
    before = n->memory.bytes;
    size_t sent = pour(&p, frame, len, COUNT);
    assert_true(sent < COUNT * len / 2);
    assert_true(n->memory.bytes - before < 2 << 20);
    assert_int_equal(clients(n), 1);
    for (size_t heard = 0; heard < COUNT; heard++) {
        sent += pour(&p, frame + sent % len, len - sent % len, sent % len != 0);
        gets_large(&p, 10 + SIZE + strlen("null") - strlen("\"2\""));
        sent += pour(&p, frame, len, sent < COUNT * len && sent % len == 0);
    }
    free(frame);
    hang_up(&p);
}

static void stops_with_clients(net *n)
{
    far_end a = join(n), b = join(n), c = dial(n);
    n->probe.trace[0] = '\0';
    n->a->stop(n->loop);
    assert_non_null(strstr(n->probe.trace, "terminate room:a closed;"));
    n->loop = n->a->start(n->host.ep);
    gets_end(&a);
    gets_end(&b);
    gets_end(&c);
}

/* The last of what was posted has a client go, which ends the loop's last sleep. */
static void count_up(channels_endpoint *ep, void *arg)
{
    far_end *p = arg;
    (void)ep;
    if (++p->n->probe.err == 1000)
        hang_up(p);
}

static void *post(void *arg)
{
    far_end *p = arg;
    for (int i = 0; i < 1000; i++)
        channels_post(p->n->host.ep, count_up, p, NULL);
    return NULL;
}

static void other_threads_wake_it(net *n)
{
    pthread_t thread;
    far_end p = join(n);
    assert_int_equal(pthread_create(&thread, NULL, post, &p), 0);
    while (clients(n) != 0)
        turn(n, -1);
    pthread_join(thread, NULL);
    assert_int_equal(n->probe.err, 1000);
}

static void other_streams(net *n)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(n->a->accept(n->loop, pair[0]), 0);
    far_end p = far_end_of(n, pair[1]);
    put_text(&p, "GET / HTTP/1.0\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 Not Found\r\n");
    hang_up(&p);
    assert_true(n->a->accept(n->loop, -1) < 0);
    assert_true(n->a->listen_fd(n->loop, -1) < 0);
    assert_true(n->a->listen(n->loop, "not a host name") < 0);
    assert_true(n->a->listen(n->loop, "::1") > 0);
}

/* The host has read the head, and of what followed it all but the end. */
static void streams_with_a_request(net *n)
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
    int pair[2];
    if (n->a->accept_from == NULL)
        return;
    char bytes[256], *text = sim_quoted("[null,'1','phoenix','heartbeat',{}]");
    size_t len = conn_frame_bytes(bytes, FIN | TEXT, text, strlen(text));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(n->a->accept_from(n->loop, pair[0], &req, bytes, len - 3), 0);
    far_end p = far_end_of(n, pair[1]);
    put(&p, bytes + len - 3, 3);
    gets_text(&p, WELCOME);
    gets_json(&p, "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
    free(text);
    hang_up(&p);
}

/* Dials, and gives the number of the descriptor that the adapter then has of it. */
static int taken(net *n, far_end *p)
{
    *p = dial_plain(n);
    int fd = lowest_fd();
    until_clients(n, 1);
    return fd;
}

static void is_prepared(int fd)
{
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static bool sends_at_once(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    return on != 0;
}

static void streams_are_prepared(net *n)
{
    far_end p;
    int fd = taken(n, &p);
    is_prepared(fd);
    assert_true(sends_at_once(fd));
    hang_up(&p);
    until_clients(n, 0);

    int listener = socket(AF_INET, SOCK_STREAM, 0); /* the host's, of which nothing is known */
    assert_int_equal(listen(listener, 8), 0);
    n->port = channels_tcp__port(listener);
    assert_int_equal(n->a->listen_fd(n->loop, listener), 0);
    fd = taken(n, &p);
    is_prepared(fd);
    assert_true(sends_at_once(fd));
    hang_up(&p);
    until_clients(n, 0);
}

/* One that the host has accepted. */
static void foreign_streams_are_prepared(net *n)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(listen(listener, 8), 0);
    int client = open_fd(channels_tcp__port(listener)), fd = accept(listener, NULL, NULL);
    close(listener);
    assert_false(sends_at_once(fd));
    assert_int_equal(n->a->accept(n->loop, fd), 0);
    is_prepared(fd);
    assert_true(sends_at_once(fd));
    close(client);
    until_clients(n, 0);
}

/* In a Unix domain, where nobody has an address. */
static void unix_listeners(net *n)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/tmp/channels-%ld.socket", (long)getpid());
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(n->a->listen_fd(n->loop, listener), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof at), 0);
    unlink(at.sun_path);
    int fd = lowest_fd();
    far_end p = far_end_of(n, client);
    put_text(&p, HANDSHAKE);
    gets_text(&p, WELCOME);
    is_prepared(fd);
    hang_up(&p);
}

static void all_addresses(net *n)
{
    n->port = n->a->listen(n->loop, NULL);
    assert_true(n->port > 0);
    far_end p = dial(n);
    put_text(&p, "GET / HTTP/1.0\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 Not Found\r\n");
    hang_up(&p);
}

static void out_of_descriptors(net *n)
{
    struct rlimit before, limit;
    far_end p = dial(n);
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)lowest_fd();
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 3; i++)
        turn(n, 1);
    assert_int_equal(clients(n), 0);
    setrlimit(RLIMIT_NOFILE, &before);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 Not Found\r\n");
    hang_up(&p);
}

/* One that is gone when it is written to: no signal, and no harm. */
static void resets(net *n)
{
    static const struct linger hard = { 1, 0 };
    far_end a = join(n), b = join(n);
    setsockopt(b.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    put_frame(&a, FIN | TEXT, "['1','2','room:a','shout',{}]");
    hang_up(&b);
    gets_json(&a, "[null,null,'room:a','shout',{}]");
    until_clients(n, 1);
    hang_up(&a);
}

static void silent_clients_are_cut(net *n)
{
    adapter_restart(n, 50);
    far_end p = dial_plain(n);
    while (clients(n) == 0)
        turn(n, 10);
    until_clients(n, 0); /* http_timeout_ms */
    gets_end(&p);
}

static const adapter_test shared[] = {
    ADAPTER_TEST(requests),
    ADAPTER_TEST(broadcasts),
    ADAPTER_TEST(goodbyes),
    ADAPTER_TEST(half_closed),
    ADAPTER_TEST(large_messages),
    ADAPTER_TEST(goodbye_behind_much),
    ADAPTER_TEST(slow_readers),
    ADAPTER_TEST(answers_unread),
    ADAPTER_TEST(stops_with_clients),
    ADAPTER_TEST(other_threads_wake_it),
    ADAPTER_TEST(other_streams),
    ADAPTER_TEST(streams_with_a_request),
    ADAPTER_TEST(streams_are_prepared),
    ADAPTER_TEST(foreign_streams_are_prepared),
    ADAPTER_TEST(unix_listeners),
    ADAPTER_TEST(all_addresses),
    ADAPTER_TEST(out_of_descriptors),
    ADAPTER_TEST(resets),
    ADAPTER_TEST(silent_clients_are_cut),
};

/* --- Running ------------------------------------------------------------------------------- */

/* cmocka's setup has one pointer of ours: it is to this. */
typedef struct job {
    const adapter *a;
    void (*fn)(net *n);
} job;

static void run(void **state)
{
    const job *j = *state;
    net *n;
    assert_int_equal(start(j->a, &n), 0);
    j->fn(n);
    assert_int_equal(stop(n), 0);
}

int adapter_run(const adapter *a, const adapter_test *more, size_t n)
{
    enum { SHARED = sizeof shared / sizeof *shared, MAX = 64 };
    struct CMUnitTest all[MAX] = { { 0 } }; /* empty ones are passed over */
    job jobs[MAX];
    if (SHARED + n > MAX || warm_up(a) != 0)
        return 1;
    for (size_t i = 0; i < SHARED + n; i++) {
        const adapter_test *test = i < SHARED ? &shared[i] : &more[i - SHARED];
        jobs[i] = (job){ a, test->fn };
        all[i].name = test->name;
        all[i].test_func = run;
        all[i].initial_state = &jobs[i];
    }
    return cmocka_run_group_tests(all, NULL, NULL);
}
