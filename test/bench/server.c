/* server.c - programs that a benchmark starts and ends: see bench.h.
 *
 * Each is the leader of a process group, so that what it starts ends with it. If this program dies
 * without a word the kernel ends it. */
#define _GNU_SOURCE /* asprintf() */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

#define PATIENCE_MS 20000
#define TRIES 3 /* somebody else may take the port that was free */
#define TOGETHER 4

static volatile pid_t running[TOGETHER]; /* 0: none */

/* --- Ports ---------------------------------------------------------------------------------- */

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

/* --- Ending them ---------------------------------------------------------------------------- */

static void end_all(void)
{
    for (int i = 0; i < TOGETHER; i++)
        if (running[i] != 0)
            kill(-running[i], SIGKILL);
}

static void on_signal(int signal)
{
    end_all();
    _exit(128 + signal);
}

static void end_them_whatever_happens(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    bench_before_failing(end_all);
}

static void note(pid_t from, pid_t to)
{
    int i = 0;
    while (i < TOGETHER && running[i] != from)
        i++;
    if (i == TOGETHER)
        bench_fail("more than %d servers at once", TOGETHER);
    running[i] = to;
}

/* --- Starting them -------------------------------------------------------------------------- */

static void become(const char *command, uint16_t port, unsigned core)
{
    char *line = NULL;
    int null = open("/dev/null", O_RDWR);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    machine_pin(core);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (asprintf(&line, "exec %s --port %u", command, port) > 0)
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static bool has_ended(server *s)
{
    if (waitpid(s->pid, NULL, WNOHANG) != s->pid)
        return false;
    note(s->pid, 0);
    s->pid = 0;
    return true;
}

static bool start_once(server *s, const char *command, unsigned core)
{
    s->port = free_port();
    s->pid = fork();
    if (s->pid < 0)
        bench_fail("fork() fails");
    if (s->pid == 0)
        become(command, s->port, core);
    setpgid(s->pid, s->pid); /* whoever of both is first */
    note(0, s->pid);
    for (int ms = 0; ms < PATIENCE_MS && !has_ended(s); ms++) {
        if (listens(s->port))
            return true;
        usleep(1000);
    }
    return false;
}

bool server_start(server *s, const char *command, unsigned core)
{
    end_them_whatever_happens();
    for (int i = 0; i < TRIES; i++) {
        if (start_once(s, command, core))
            return true;
        if (s->pid != 0)
            break; /* it had its time */
    }
    server_stop(s);
    return false;
}

void server_stop(server *s)
{
    if (s->pid == 0)
        return;
    kill(-s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    note(s->pid, 0);
    *s = (server){ 0 };
}
