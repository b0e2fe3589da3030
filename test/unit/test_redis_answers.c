/* test_redis_answers.c - libchannels-redis with servers that are not what they should be, and the
 * time it gives them: the test is the server. */
#define _GNU_SOURCE /* memmem() */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/redis_case.h"

typedef struct fake {
    redis_node n;
    int listener, sub, pub; /* -1: none */
    channels_redis_options options;
} fake;

static int listen_anywhere(channels_redis_options *options)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    options->port = ntohs(address.sin_port);
    return fd;
}

static int setup(void **state)
{
    fake *f = calloc(1, sizeof *f);
    *state = f;
    f->sub = f->pub = -1;
    f->listener = listen_anywhere(&f->options);
    return 0;
}

static void hang_up(fake *f)
{
    if (f->sub >= 0)
        close(f->sub);
    if (f->pub >= 0)
        close(f->pub);
    f->sub = f->pub = -1;
}

static int teardown(void **state)
{
    fake *f = *state;
    redis_node_stop(&f->n);
    hang_up(f);
    close(f->listener);
    free(f);
    return 0;
}
#define FAKE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static int accept_one(fake *f)
{
    int fd, on = 1;
    redis_until(&f->n, NULL, (fd = accept(f->listener, NULL, NULL)) >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

/* Both connections, in the order in which it makes them. */
static void accept_both(fake *f)
{
    f->sub = accept_one(f);
    f->pub = accept_one(f);
}

static void answer(fake *f, int fd, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && f->n.state != CHANNELS_REDIS_DOWN;) {
        ssize_t n = send(fd, bytes + i, len - i, MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
        if (n < 0 && errno != EAGAIN)
            return;
        i += n > 0 ? (size_t)n : 0;
        redis_turn(&f->n, 0);
    }
}

static void answer_text(fake *f, int fd, const char *text)
{
    answer(f, fd, text, strlen(text));
}

static void is_down(fake *f, const char *words)
{
    redis_until(&f->n, NULL, f->n.state == CHANNELS_REDIS_DOWN);
    if (strstr(f->n.states, words) == NULL)
        fail_msg("not '%s': %s", words, f->n.states);
    channels_test_expect_log(&f->n.host, words);
    say(f->n.client, "['1','2','room:a','echo',{'here':'still'}]");
    hear(f->n.client, "['1','2','room:a','phx_reply',{'status':'ok','response':{'here':'still'}}]");
}

/* --- Before it is up ------------------------------------------------------------------------ */

static const struct {
    const char *bytes, *words;
} broken[] = {
    { "-ERR max number of clients reached\r\n", "Redis refuses: ERR max number of clients" },
    { "-LOADING Redis is loading the dataset in memory\r\n", "Redis refuses: LOADING" },
    { "-NOAUTH Authentication required.\r\n", "Redis refuses: NOAUTH" },
    { "-ERR \x01\x7f\xff.\r\n", "Redis refuses: ERR ???." },
    { "-\r\n", "Redis refuses: " },
    { "HTTP/1.1 400 Bad Request\r\n\r\n", "not an answer that Redis would give: Protocol error" },
    { "SSH-2.0-OpenSSH_9.2p1\r\n", "not an answer that Redis would give: Protocol error" },
    { "\r\n", "not an answer that Redis would give" },
    { "+OK\r\n", "not an answer that Redis would give" },
    { ":1\r\n", "not an answer that Redis would give" },
    { ":x\r\n", "not an answer that Redis would give" },
    { "$-1\r\n", "not an answer that Redis would give" },
    { "$-2\r\n", "not an answer that Redis would give" },
    { "$2\r\nxx\r\n", "not an answer that Redis would give" },
    { "$99999999999999999999\r\n", "not an answer that Redis would give" },
    { "*-1\r\n", "not an answer that Redis would give" },
    { "*-9\r\n", "not an answer that Redis would give" },
    { "*0\r\n", "not an answer that Redis would give" },
    { "*3\r\n:1\r\n:2\r\n:3\r\n", "not an answer that Redis would give" },
    { "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n", "not an answer that Redis would give" },
    { "*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\nx\r\n", "not an answer that Redis would give" },
    { "*3\r\n$8\r\nsmessage\r\n$1\r\nx\r\n$1\r\nx\r\n", "not an answer that Redis would give" },
    { "*2\r\n$4\r\npong\r\n$0\r\n\r\n", "not an answer that Redis would give" },
    { "*2000000000\r\n", "an answer beyond all bounds" },
    { "*5\r\n:1\r\n", "an answer beyond all bounds" },
    { "*1\r\n*1\r\n*1\r\n:1\r\n", "an answer beyond all bounds" },
};

static void broken_answers(void **state)
{
    fake *f = *state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        redis_node_start(&f->n, "node", &f->options);
        accept_both(f);
        answer_text(f, f->sub, broken[i].bytes);
        answer_text(f, f->pub, broken[i].bytes);
        is_down(f, broken[i].words);
        redis_node_stop(&f->n);
        hang_up(f);
    }
}

/* AUTH and SELECT are answered first. */
static void broken_greetings(void **state)
{
    fake *f = *state;
    f->options.password = "p";
    f->options.database = 2;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    answer_text(f, f->sub, "+OK\r\n:7\r\n");
    is_down(f, "not an answer that Redis would give");
}

static void never_ends(void **state)
{
    fake *f = *state;
    char *flood = malloc(1000000);
    memset(flood, 'x', 1000000);
    memcpy(flood, "$900000\r\n", 9);
    f->options.max_message = 1000;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    answer(f, f->sub, flood, 1000000);
    is_down(f, "a message of more than 1000 bytes (max_message)");
    free(flood);
}

static void hangs_up(void **state)
{
    fake *f = *state;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    shutdown(f->sub, SHUT_WR);
    is_down(f, "Redis has closed the connection");
}

/* --- Elsewhere ------------------------------------------------------------------------------ */

static void moves_for_ever(void **state)
{
    fake *f = *state;
    char text[64];
    f->options.sharded = true;
    snprintf(text, sizeof text, "-MOVED 3999 127.0.0.1:%u\r\n", (unsigned)f->options.port);
    redis_node_start(&f->n, "node", &f->options);
    for (int i = 0; i < 6; i++) {
        accept_both(f);
        assert_string_equal(f->n.states, "connecting;");
        answer_text(f, f->sub, text);
        hang_up(f);
        snprintf(text, sizeof text, "-MOVED 3999 :%u\r\n", (unsigned)f->options.port);
    }
    is_down(f, "Redis refuses: MOVED 3999");
    assert_int_equal(accept(f->listener, NULL, NULL), -1);
}

static void moves_nowhere(void **state)
{
    static const char *const errors[] = { "MOVED",
                                          "MOVED 1",
                                          "MOVED 1 ",
                                          "MOVED 1 x",
                                          "MOVED 1 x:",
                                          "MOVED 1 x:0",
                                          "MOVED 1 x:65536",
                                          "MOVED 1 x:-1",
                                          "MOVED 1 x:1x",
                                          "MOVED 1 x: 1",
                                          "MOVED 1 x:99999999999999999999999999",
                                          NULL };
    fake *f = *state;
    char text[400];
    f->options.sharded = true;
    for (int i = 0; i < 12; i++) {
        if (errors[i] != NULL)
            snprintf(text, sizeof text, "-%s\r\n", errors[i]);
        else
            snprintf(text, sizeof text, "-MOVED 1 %0300d:1\r\n", 0);
        redis_node_start(&f->n, "node", &f->options);
        accept_both(f);
        answer_text(f, f->pub, text);
        is_down(f, "Redis refuses: MOVED");
        redis_node_stop(&f->n);
        hang_up(f);
    }
    f->options.sharded = false; /* nobody asked for that */
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    answer_text(f, f->sub, "-MOVED 3999 127.0.0.1:1\r\n");
    is_down(f, "Redis refuses: MOVED 3999 127.0.0.1:1");
}

/* --- Up ------------------------------------------------------------------------------------- */

typedef struct text {
    char bytes[8192];
    size_t len;
} text;

/* What it sends until that ends so. */
static void receive(fake *f, int fd, text *t, const char *end, size_t after)
{
    const char *at = NULL;
    ssize_t n;
    t->len = 0;
    redis_until(&f->n, NULL,
                (n = recv(fd, t->bytes + t->len, sizeof t->bytes - 1 - t->len, 0),
                 t->len += n > 0 ? (size_t)n : 0, t->bytes[t->len] = '\0',
                 (at = memmem(t->bytes, t->len, end, strlen(end))) != NULL &&
                     (size_t)(t->bytes + t->len - at) >= strlen(end) + after));
}

/* Plays Redis until it is up, byte by byte. */
static void bring_up(fake *f, char inbox[64], unsigned char ping[16])
{
    text t;
    char bytes[256];
    receive(f, f->sub, &t, "phx_redis:", 18);
    const char *name = strstr(t.bytes, "channels:phx_redis:");
    snprintf(inbox, 64, "%.35s", name);
    int len = snprintf(bytes, sizeof bytes, "*3\r\n$9\r\nsubscribe\r\n$35\r\n%s\r\n:3\r\n", inbox);
    for (int i = 0; i < len; i++)
        answer(f, f->sub, bytes + i, 1);
    receive(f, f->pub, &t, "\r\n$16\r\n", 18);
    memcpy(ping, strstr(t.bytes, "\r\n$16\r\n") + 7, 16);
    len = snprintf(bytes, sizeof bytes, "*3\r\n$7\r\nmessage\r\n$35\r\n%s\r\n$16\r\n", inbox);
    memcpy(bytes + len, ping, 16);
    memcpy(bytes + len + 16, "\r\n", 2);
    answer_text(f, f->pub, ":1\r\n");
    assert_int_equal(f->n.state, CHANNELS_REDIS_CONNECTING);
    for (int i = 0; i < len + 18; i++)
        answer(f, f->sub, bytes + i, 1);
    assert_int_equal(f->n.state, CHANNELS_REDIS_UP);
}

static void message(fake *f, const char *channel, const void *data, size_t len)
{
    char bytes[1024];
    int head = snprintf(bytes, sizeof bytes, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n",
                        strlen(channel), channel, len);
    memcpy(bytes + head, data, len);
    memcpy(bytes + head + len, "\r\n", 2);
    answer(f, f->sub, bytes, (size_t)head + len + 2);
    redis_turn(&f->n, 1);
}

static void broken_messages(void **state)
{
    fake *f = *state;
    char inbox[64];
    unsigned char ping[16];
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    bring_up(f, inbox, ping);
    for (size_t len = 0; len < 100; len++) {
        char junk[100];
        memset(junk, (int)len, sizeof junk);
        message(f, "channels:room:a", junk, len);
        message(f, "elsewhere", junk, len);
        message(f, inbox, junk, len);
    }
    channels_test_expect_log(&f->n.host, "bytes from another node are not understood");
    assert_int_equal(redis_info(&f->n).received, 200);
    message(f, "channels:room:a", ping, 8); /* its own: not even looked at */
    assert_int_equal(redis_info(&f->n).received, 200);
    for (int i = 0; i < 3; i++) { /* of what was not asked for */
        answer_text(f, f->sub, "*3\r\n$9\r\nsubscribe\r\n$3\r\nfoo\r\n:1\r\n");
        answer_text(f, f->sub, "*3\r\n$11\r\nunsubscribe\r\n$15\r\nchannels:room:a\r\n:0\r\n");
    }
    redis_turn(&f->n, 1);
    assert_int_equal(f->n.state, CHANNELS_REDIS_UP);
    assert_int_equal(redis_info(&f->n).channels, 0);
    quiet(f->n.client);
    answer_text(f, f->pub, ":1\r\n"); /* nothing more was published */
    is_down(f, "not an answer that Redis would give");
}

static volatile sig_atomic_t pipes;

static void on_sigpipe(int signal)
{
    (void)signal;
    pipes = pipes + 1;
}

/* Writes until it is seen that nobody reads. */
static void write_in_vain(fake *f)
{
    char inbox[64];
    unsigned char ping[16];
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    bring_up(f, inbox, ping);
    hang_up(f);
    for (int i = 0; i < 100 && f->n.state == CHANNELS_REDIS_UP; i++) {
        channels_pubsub_broadcast(f->n.host.ep, "topic", "e", channels_empty());
        channels_test_wait(&f->n.host, 0);
    }
    is_down(f, "Broken pipe");
    redis_node_stop(&f->n);
}

/* The host gets none of ours, and keeps what it had. */
static void no_sigpipe(void **state)
{
    fake *f = *state;
    struct sigaction action = { .sa_handler = on_sigpipe }, before;
    sigset_t mask, pending, old;
    sigaction(SIGPIPE, &action, &before);
    write_in_vain(f);
    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE);
    sigprocmask(SIG_BLOCK, &mask, &old);
    assert_int_equal(sigismember(&old, SIGPIPE), 0);
    write_in_vain(f);
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    raise(SIGPIPE);
    write_in_vain(f);
    assert_int_equal(pipes, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    assert_int_equal(pipes, 1);
    sigaction(SIGPIPE, &before, NULL);
}

/* A program that the host starts does not inherit the connections. */
static void closes_on_exec(void **state)
{
    fake *f = *state;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcntl(f->n.watched[i].fd, F_GETFD), FD_CLOEXEC);
}

/* --- Time ----------------------------------------------------------------------------------- */

/* How long it stays down before the next attempt. */
static uint64_t pause_of(redis_node *n)
{
    uint64_t since = n->host.now;
    n->states[0] = '\0';
    while (strstr(n->states, "connecting") == NULL) {
        channels_test_wait(&n->host, 1);
        assert_true(n->host.now - since < 100000);
    }
    return n->host.now - since;
}

static void waits_longer_each_time(void **state)
{
    fake *f = *state;
    uint64_t most = 100;
    channels_redis_options options = { .path = "/nonexistent/redis.socket" };
    redis_node_start(&f->n, "node", &options);
    channels_test_wait(&f->n.host, 0);
    assert_string_equal(f->n.states, "connecting;down: No such file or directory;");
    for (int i = 0; i < 12; i++) {
        assert_in_range(pause_of(&f->n), most / 2, most);
        most = most * 2 < 10000 ? most * 2 : 10000;
    }
    unsigned logged = f->n.host.logged;
    pause_of(&f->n);
    assert_int_equal(f->n.host.logged, logged); /* the same is said once */
}

static void waits_as_it_is_told(void **state)
{
    fake *f = *state;
    channels_redis_options options = { .path = "/nonexistent/redis.socket",
                                       .retry_ms = 1000,
                                       .retry_max_ms = 3000 };
    redis_node_start(&f->n, "node", &options);
    channels_test_wait(&f->n.host, 0);
    assert_in_range(pause_of(&f->n), 500, 1000);
    assert_in_range(pause_of(&f->n), 1000, 2000);
    assert_in_range(pause_of(&f->n), 1500, 3000);
    assert_in_range(pause_of(&f->n), 1500, 3000);
}

static void does_not_press_who_refuses(void **state)
{
    fake *f = *state;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    answer_text(f, f->sub, "-WRONGPASS no\r\n");
    is_down(f, "WRONGPASS");
    assert_in_range(pause_of(&f->n), 5000, 10000);
}

static void who_does_not_answer(void **state)
{
    fake *f = *state;
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    channels_test_wait(&f->n.host, 4999);
    assert_int_equal(f->n.state, CHANNELS_REDIS_CONNECTING);
    channels_test_wait(&f->n.host, 1);
    is_down(f, "no answer within 5000 ms");
    redis_node_stop(&f->n);
    hang_up(f);
    f->options.connect_ms = 100;
    redis_node_start(&f->n, "node", &f->options);
    channels_redis_on_watch(f->n.redis, NULL, NULL);
    channels_test_wait(&f->n.host, 100);
    is_down(f, "no loop watches it: there was no channels_redis_on_watch() within 100 ms");
}

/* It answers slowly what was asked before the ping: it is waited for, as long as it answers. */
static void slow_but_alive(void **state)
{
    fake *f = *state;
    char inbox[64];
    unsigned char ping[16];
    redis_node_start(&f->n, "node", &f->options);
    accept_both(f);
    bring_up(f, inbox, ping);
    for (int i = 0; i < 3; i++)
        channels_pubsub_broadcast(f->n.host.ep, "topic", "e", channels_empty());
    channels_test_wait(&f->n.host, 10000);
    for (int i = 0; i < 3; i++) {
        answer_text(f, f->pub, ":0\r\n");
        redis_turn(&f->n, 1);
        channels_test_wait(&f->n.host, 10000);
        assert_int_equal(f->n.state, CHANNELS_REDIS_UP);
    }
    channels_test_wait(&f->n.host, 10000);
    is_down(f, "no answer for 10000 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(broken_answers),      FAKE_TEST(broken_greetings),
        FAKE_TEST(never_ends),          FAKE_TEST(hangs_up),
        FAKE_TEST(moves_for_ever),      FAKE_TEST(moves_nowhere),
        FAKE_TEST(broken_messages),     FAKE_TEST(no_sigpipe),
        FAKE_TEST(closes_on_exec),      FAKE_TEST(waits_longer_each_time),
        FAKE_TEST(waits_as_it_is_told), FAKE_TEST(does_not_press_who_refuses),
        FAKE_TEST(who_does_not_answer), FAKE_TEST(slow_but_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
