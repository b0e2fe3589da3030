/* redis_case.c - see redis_case.h. */
#include "unit/redis_case.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/failure.h"

/* --- The server ----------------------------------------------------------------------------- */

bool redis_server_is_there(void)
{
    if (system("command -v redis-server >/dev/null 2>&1") == 0)
        return true;
    puts("1..1\nok 1 - redis # SKIP needs redis-server");
    return false;
}

static struct sockaddr_in address_of(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

uint16_t redis_free_port(void)
{
    struct sockaddr_in address = address_of(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void exec_server(const redis_server *s, const char *const *more)
{
    char port[8];
    const char *args[32] = {
        "redis-server", "--port",     port,           "--bind",    "127.0.0.1",
        "--save",       "",           "--appendonly", "no",        "--unixsocket",
        "redis.socket", "--loglevel", "warning",      "--logfile", "redis.log"
    };
    int n = 15;
    snprintf(port, sizeof port, "%u", (unsigned)s->port);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves none behind */
#endif
    for (; more != NULL && *more != NULL && n < 31; more++)
        args[n++] = *more;
    if (chdir(s->dir) == 0)
        execvp(args[0], (char *const *)args);
    _exit(127);
}

static void sleep_ms(long ms)
{
    struct timespec time = { 0, ms * 1000000 };
    nanosleep(&time, NULL);
}

static bool answers(const redis_server *s)
{
    char byte;
    int fd = dial(s->port);
    bool ok = fd >= 0 && write(fd, "PING\r\n", 6) == 6 && read(fd, &byte, 1) == 1;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* It has come up, or ended because somebody else has taken its port. */
static bool comes_up(redis_server *s)
{
    for (int i = 0; i < 2500; i++) {
        bool ok = answers(s);
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
            s->pid = 0;
            return false;
        }
        if (ok)
            return true;
        sleep_ms(2);
    }
    return false;
}

void redis_server_start(redis_server *s, const char *const *args)
{
    bool again = s->port != 0;
    if (s->dir[0] == '\0') {
        const char *build = getenv("BUILD");
        snprintf(s->dir, sizeof s->dir, "%.40s/redis-XXXXXX", build != NULL ? build : "build");
        assert_non_null(mkdtemp(s->dir));
        snprintf(s->path, sizeof s->path, "%s/redis.socket", s->dir);
    }
    for (int i = 0; i < 5; i++) {
        if (!again)
            s->port = redis_free_port();
        s->pid = fork();
        if (s->pid == 0)
            exec_server(s, args);
        assert_true(s->pid > 0);
        if (comes_up(s))
            return;
        redis_server_kill(s);
        sleep_ms(20);
    }
    fail_msg("redis-server does not start in %s", s->dir);
}

void redis_server_kill(redis_server *s)
{
    if (s->pid == 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void redis_server_end(redis_server *s)
{
    char command[128];
    redis_server_kill(s);
    if (s->dir[0] == '\0')
        return;
    snprintf(command, sizeof command, "rm -r '%s'", s->dir);
    assert_int_equal(system(command), 0);
    memset(s, 0, sizeof *s);
}

const char *redis_server_answer(const redis_server *s, const char *command)
{
    static char answer[65536];
    size_t len = 0;
    ssize_t n = 1;
    int fd = dial(s->port);
    assert_true(fd >= 0);
    assert_true(write(fd, command, strlen(command)) > 0 && write(fd, "\r\nQUIT\r\n", 8) == 8);
    while (n > 0 && len < sizeof answer - 1) {
        n = read(fd, answer + len, sizeof answer - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    answer[len] = '\0';
    close(fd);
    return answer;
}

/* --- A node --------------------------------------------------------------------------------- */

static void on_state(void *user, channels_redis_state state, const char *why)
{
    static const char *const names[] = { "down", "connecting", "up" };
    redis_node *n = user;
    size_t used = strlen(n->states);
    assert_int_equal(redis_info(n).state, state);
    assert_true((why != NULL) == (state == CHANNELS_REDIS_DOWN));
    n->state = state;
    if (used < sizeof n->states - 300)
        sprintf(n->states + used, "%s%s%s;", names[state], why != NULL ? ": " : "",
                why != NULL ? why : "");
}

static void watch(void *arg, int fd, unsigned events)
{
    redis_node *n = arg;
    int at = n->watched[1].fd == fd || (n->watched[0].fd != fd && n->watched[0].events != 0);
    assert_true(n->watched[at].events == 0 || n->watched[at].fd == fd);
    n->watched[at].fd = events != 0 ? fd : -1;
    n->watched[at].events = events;
}

void redis_node_start(redis_node *n, const char *name, const channels_redis_options *given)
{
    channels_redis_options options = *given;
    options.on_state = on_state;
    options.user = n;
    n->watched[0].fd = n->watched[1].fd = -1;
    assert_int_equal(channels_redis_new(&n->redis, &options), CHANNELS_OK);
    channels_config config = { .node = name,
                               .pubsub = n->hub != NULL ? channels_hub_adapter()
                                                        : channels_redis_adapter(),
                               .pubsub_self = n->hub != NULL ? (void *)n->hub : n->redis,
                               .log_level = CHANNELS_LOG_INFO };
    n->state = CHANNELS_REDIS_CONNECTING;
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    assert_int_equal(sim_start(&n->host, &n->memory, &config), CHANNELS_OK);
    if (n->hub != NULL)
        assert_int_equal(channels_hub_uplink(n->hub, n->host.ep, channels_redis_adapter(),
                                             n->redis),
                         CHANNELS_OK);
    channels_mount(n->host.ep, "/socket", &probe_handler, NULL, &n->probe);
    core_connect(&n->client, &n->host, V2);
    join(n->client, "room:a", "1");
    channels_redis_on_watch(n->redis, watch, n);
}

void redis_node_stop(redis_node *n)
{
    if (n->redis == NULL)
        return;
    size_t lost = channels_test_stop(&n->host);
    bool watched = n->watched[0].events != 0 || n->watched[1].events != 0;
    channels_redis_free(n->redis);
    memset(n, 0, sizeof *n);
    assert_int_equal(lost, 0);
    assert_false(watched);
}

void redis_turn(redis_node *n, int ms)
{
    struct pollfd fds[2];
    channels_test_wait(&n->host, 0);
    for (int i = 0; i < 2; i++) {
        unsigned events = n->watched[i].events;
        fds[i].fd = n->watched[i].fd;
        fds[i].events = (short)(((events & CHANNELS_REDIS_READ) != 0 ? POLLIN : 0) |
                                ((events & CHANNELS_REDIS_WRITE) != 0 ? POLLOUT : 0));
        fds[i].revents = 0;
    }
    assert_true(poll(fds, 2, ms) >= 0);
    for (int i = 0; i < 2; i++)
        if (fds[i].revents != 0)
            channels_redis_ready(n->redis, fds[i].fd,
                                 ((fds[i].revents & ~POLLOUT) != 0 ? CHANNELS_REDIS_READ : 0u) |
                                     ((fds[i].revents & ~POLLIN) != 0 ? CHANNELS_REDIS_WRITE : 0u));
    channels_test_wait(&n->host, 0);
}

channels_redis_info redis_info(const redis_node *n)
{
    channels_redis_info info;
    channels_redis_get_info(n->redis, &info);
    return info;
}

bool redis_is_up(const redis_node *n)
{
    return n->state == CHANNELS_REDIS_UP;
}

void redis_nodes_start(redis_node *a, redis_node *b, const channels_redis_options *options)
{
    redis_node_start(a, "node-a", options);
    redis_node_start(b, "node-b", options);
    redis_until(a, b, redis_is_up(a) && redis_is_up(b));
}
