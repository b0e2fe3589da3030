/* redis_server.c - a redis-server that belongs to this program: see cluster.h. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench/cluster.h"

static pid_t server;
static uint16_t server_port;

static struct sockaddr_in address_of(uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return in;
}

/* Nobody listened there a moment ago. */
static uint16_t free_port(void)
{
    struct sockaddr_in in = address_of(0);
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) != 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) != 0)
        bench_fail("there is no free port");
    close(fd);
    return ntohs(in.sin_port);
}

static bool listens(uint16_t port)
{
    struct sockaddr_in in = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof in) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

/* Only returns in the child if there is no such program. */
static void become_redis(uint16_t port)
{
    char text[8];
    int null = open("/dev/null", O_RDWR);
    snprintf(text, sizeof text, "%u", port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", text, "--save", "",
           "--appendonly", "no", "--dir", "/tmp", (char *)NULL);
}

static bool has_ended(void)
{
    return server != 0 && waitpid(server, NULL, WNOHANG) == server;
}

bool redis_server_start(void)
{
    server_port = free_port();
    server = fork();
    if (server < 0)
        bench_fail("fork() fails");
    if (server == 0) {
        become_redis(server_port);
        _exit(127);
    }
    for (int i = 0; i < 100 * PATIENCE_S && !listens(server_port); i++) {
        if (has_ended()) {
            server = 0;
            server_port = 0;
            return false;
        }
        usleep(10000);
    }
    machine_pin_process(server, 0);
    return true;
}

void redis_server_stop(void)
{
    if (server == 0)
        return;
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    server = 0;
    server_port = 0;
}

uint16_t redis_server_port(void)
{
    return server_port;
}

uint64_t redis_server_cpu_ns(void)
{
    return server != 0 ? machine_cpu_ns(machine_cpu_clock_of(server)) : 0;
}
