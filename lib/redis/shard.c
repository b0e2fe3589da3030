/* shard.c - sharded PUBLISH and SUBSCRIBE of Redis Cluster: its nodes do not pass a message on to
 * all others; it stays on the one whose slot its channel is in. That all channels are in one slot
 * is for their prefix, which is a hash tag; which node has it the others say: "MOVED". */
#include <stdlib.h>

#include "redis/redis.h"

const char *channels__redis_command_name(const channels_redis *redis, const char *sharded)
{
    return redis->options.sharded ? sharded : sharded + 1;
}

bool channels__redis_is(const channels_redis *redis, const char *what, const char *name)
{
    if (redis->options.sharded && *what++ != 's')
        return false;
    return strcmp(what, name) == 0;
}

/* "MOVED 3999 192.0.2.1:6381", or "MOVED 3999 :6381", which is the same host. */
bool channels__redis_moved(channels_redis *redis, const char *error)
{
    const char *host = strncmp(error, "MOVED ", 6) == 0 ? strchr(error + 6, ' ') : NULL;
    const char *colon = host != NULL ? strrchr(++host, ':') : NULL;
    if (!redis->options.sharded || colon == NULL || colon[1] < '0' || colon[1] > '9')
        return false;
    char *end;
    size_t len = (size_t)(colon - host);
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port == 0 || port > UINT16_MAX || len >= sizeof redis->moved_to)
        return false;
    if (len != 0) {
        memcpy(redis->moved_to, host, len);
        redis->moved_to[len] = '\0';
        redis->host = redis->moved_to;
    } else if (redis->host == NULL) {
        redis->host = redis->options.host;
    }
    redis->port = (uint16_t)port;
    redis->moved = true;
    return true;
}
