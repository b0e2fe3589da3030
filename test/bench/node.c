/* node.c - an endpoint on a thread of its own: see cluster.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "bench/cluster.h"

const char *const joint_names[JOINTS] = { "within a node", "across the hub", "across Redis" };

bool wait_for(sem_t *sem)
{
    struct timespec until;
    int err;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while ((err = sem_timedwait(sem, &until)) != 0 && errno == EINTR)
        ;
    return err == 0;
}

/* --- Its thread ----------------------------------------------------------------------------- */

static void on_log(void *hooks, channels_log_level level, const char *text)
{
    const node *n = hooks;
    (void)level;
    fprintf(stderr, "bench: node %s: %s\n", n->name, text);
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static const channels_handler anybody = { .join = on_join };
static const channels_route everything[] = { { "*", &anybody, NULL }, { 0 } };
static const channels_socket_handler open_to_all = { .routes = everything };

static void join_nodes(node *n, channels_config *config)
{
    if (n->joint == BY_HUB) {
        config->pubsub = channels_hub_adapter();
        config->pubsub_self = n->hub;
    } else if (n->joint == BY_REDIS) {
        const channels_redis_options options = { .port = redis_server_port(), .prefix = n->prefix };
        if (channels_redis_new(&n->redis, &options) != CHANNELS_OK)
            bench_fail("there is no adapter of Redis");
        config->pubsub = channels_redis_adapter();
        config->pubsub_self = n->redis;
    }
}

static void open_node(node *n)
{
    channels_config config = { .node = n->name, .log = on_log, .hooks = n };
    const channels_mount_options any = { .log_connect = CHANNELS_LOG_OFF };
    config.log_level = CHANNELS_LOG_WARNING;
    join_nodes(n, &config);
    if (channels_endpoint_new(&n->ep, &config) != CHANNELS_OK ||
        channels_mount(n->ep, "/socket", n->handler != NULL ? n->handler : &open_to_all, &any,
                       n->user) != CHANNELS_OK ||
        channels_ev_start(&n->ev, n->loop, n->ep) != 0)
        bench_fail("node %s does not start", n->name);
    if (n->redis != NULL)
        channels_ev_redis_start(&n->ev_redis, &n->ev, n->redis);
}

static void close_node(node *n)
{
    if (n->redis != NULL)
        channels_ev_redis_stop(&n->ev_redis);
    channels_ev_stop(&n->ev);
    channels_endpoint_free(n->ep);
    channels_redis_free(n->redis);
}

static void on_called(struct ev_loop *loop, ev_async *called, int revents)
{
    node *n = called->data;
    (void)loop, (void)revents;
    void (*fn)(node * n, void *arg) = atomic_load(&n->call);
    fn(n, n->call_arg);
    sem_post(&n->ready);
}

static void *run_node(void *arg)
{
    node *n = arg;
    machine_pin(n->core);
    prctl(PR_SET_NAME, n->name); /* for profilers: perf report --sort comm,symbol */
    n->loop = ev_loop_new(EVFLAG_AUTO);
    if (n->loop == NULL)
        bench_fail("node %s has no loop", n->name);
    open_node(n);
    ev_async_init(&n->called, on_called);
    n->called.data = n;
    ev_async_start(n->loop, &n->called);
    sem_post(&n->ready);
    ev_run(n->loop, 0);
    close_node(n);
    ev_loop_destroy(n->loop);
    return NULL;
}

void node_start(node *n)
{
    sem_init(&n->ready, 0, 0);
    if (pthread_create(&n->thread, NULL, run_node, n) != 0 || !wait_for(&n->ready) ||
        pthread_getcpuclockid(n->thread, &n->cpu) != 0)
        bench_fail("node %s does not start", n->name);
}

uint64_t node_cpu_ns(const node *n)
{
    return machine_cpu_ns(n->cpu);
}

/* --- From outside --------------------------------------------------------------------------- */

/* Not by channels_post(): what is called may open clients, which callbacks may not. */
void node_call(node *n, void (*fn)(node *n, void *arg), void *arg)
{
    n->call_arg = arg;
    atomic_store(&n->call, fn);
    ev_async_send(n->loop, &n->called);
    if (!wait_for(&n->ready))
        bench_fail("node %s does not answer", n->name);
}

static void break_loop(node *n, void *arg)
{
    (void)arg;
    ev_break(n->loop, EVBREAK_ALL);
}

void node_stop(node *n)
{
    node_call(n, break_loop, NULL);
    pthread_join(n->thread, NULL);
    sem_destroy(&n->ready);
}
