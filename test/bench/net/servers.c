/* servers.c - who is measured: `limit` both ways, the library's fixture, and the user's guests. See
 * net.h. */
#define _GNU_SOURCE /* asprintf() */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/net/net.h"

net_server servers[SERVERS_MAX];
unsigned server_count;

static void add(const char *name, char *command)
{
    if (command == NULL || name == NULL)
        bench_fail("no memory");
    servers[server_count++] = (net_server){ name, command };
}

static char *beside(const char *folder, const char *path)
{
    char *text = NULL;
    return asprintf(&text, "'%s'/%s", folder, path) < 0 ? NULL : text;
}

void servers_begin(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0 || memchr(self, '\'', (size_t)n) != NULL)
        bench_fail("it is not known where this program is");
    self[n] = '\0';
    const char *folder = dirname(self);
    add("limit", beside(folder, "limit"));
    add("limit --batch", beside(folder, "limit --batch"));
    add("libchannels", beside(folder, "../../fixture"));
}

bool servers_add(const char *setting)
{
    const char *equals = strchr(setting, '=');
    if (equals == NULL || equals == setting || equals[1] == '\0' || server_count == SERVERS_MAX)
        return false;
    add(strndup(setting, (size_t)(equals - setting)), strdup(equals + 1));
    return true;
}
