/* redis_server.c - a redis-server that belongs to this program: see cluster.h. */
#include "bench/cluster.h"

static server redis;

bool redis_server_start(void)
{
    return server_start(&redis,
                        "redis-server --bind 127.0.0.1 --save '' --appendonly no --dir /tmp "
                        "2>/dev/null",
                        0);
}

void redis_server_stop(void)
{
    server_stop(&redis);
}

uint16_t redis_server_port(void)
{
    return redis.pid != 0 ? redis.port : 0;
}

uint64_t redis_server_cpu_ns(void)
{
    return redis.pid != 0 ? machine_cpu_ns(machine_cpu_clock_of(redis.pid)) : 0;
}
