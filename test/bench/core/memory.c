/* memory.c - memory per client: what the endpoint asks for, by what it is for, and what the process
 * has grown by.
 *
 * Each figure is taken in a process of its own, so that no memory is there already that another
 * has given back. It is the same in each round; there is one. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/core/crowd.h"

/* Bytes per client. */
typedef struct sizes {
    double socket, channel, place; /* place: in the topic's array */
    double presence;               /* what tracking it took more */
    double resident;               /* of the process, all of it */
} sizes;

typedef enum { ONE_TOPIC, OWN_TOPICS, TRACKED } way;

static double resident_now(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    malloc_trim(0); /* what was needed for a moment */
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        bench_fail("/proc/self/statm cannot be read");
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* --- One process ---------------------------------------------------------------------------- */

static sizes measure_here(unsigned clients, way w)
{
    const crowd_options options = { .size = clients,
                                    .room_size = w == OWN_TOPICS ? 1 : 0,
                                    .presence = w == TRACKED };
    crowd *c = crowd_new(&options);
    double n = clients, before = resident_now();
    size_t none = c->memory.in_use;
    crowd_connect_all(c);
    size_t connected = c->memory.in_use, grown = c->memory.grown;
    crowd_join_all(c);
    size_t joined = c->memory.in_use, places = c->memory.grown - grown;
    if (w == TRACKED)
        crowd_track_all(c);
    return (sizes){ .socket = (double)(connected - none) / n,
                    .channel = (double)(joined - connected - places) / n,
                    .place = (double)places / n,
                    .presence = (double)(c->memory.in_use - joined) / n,
                    .resident = (resident_now() - before) / n };
}

static sizes measure(unsigned clients, way w)
{
    sizes s;
    int fds[2], status;
    if (pipe(fds) != 0)
        bench_fail("there is no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        s = measure_here(clients, w);
        _exit(write(fds[1], &s, sizeof s) == (ssize_t)sizeof s ? 0 : 1);
    }
    close(fds[1]);
    bool got = pid > 0 && read(fds[0], &s, sizeof s) == (ssize_t)sizeof s;
    close(fds[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (!got)
        bench_fail("a process of %u clients ends early", clients);
    return s;
}

/* --- The table ------------------------------------------------------------------------------ */

static void report(unsigned clients)
{
    bench_progress("memory: %u clients", clients);
    sizes one = measure(clients, ONE_TOPIC), own = measure(clients, OWN_TOPICS),
          tracked = measure(clients, TRACKED);
    sheet_number(clients);
    sheet_number(one.socket);
    sheet_number(one.channel);
    sheet_number(one.place);
    sheet_number(one.socket + one.channel + one.place);
    sheet_number(one.resident);
    sheet_number(own.channel + own.place - one.channel);
    sheet_number(own.resident);
    sheet_number(tracked.presence);
    sheet_number(tracked.resident);
}

void memory_measure(const scale *s)
{
    static const sheet_column columns[] = { { "clients", "clients", 0 },
                                            { "socket", "socket", 0 },
                                            { "channel", "channel", 0 },
                                            { "place", "place in topic", 0 },
                                            { "asked", "sum", 0 },
                                            { "resident", "resident", 0 },
                                            { "own_topic", "+ own topic", 0 },
                                            { "own_resident", "resident", 0 },
                                            { "presence", "+ presence", 0 },
                                            { "tracked_resident", "resident", 0 },
                                            { 0 } };
    sheet_begin("memory", "Memory of a joined client, bytes", columns);
    for (unsigned clients = 1000; clients <= s->clients; clients *= 10)
        report(clients);
    sheet_end();
}
