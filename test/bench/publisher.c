/* publisher.c - who says numbered messages to rooms, and the trial: see cluster.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "bench/cluster.h"

#define EVENT "new_msg"
#define ROOMS 2

void payload_fill(char *dst, size_t len)
{
    static const char head[] = "{\"n\":\"" PROBE "\",\"pad\":\"";
    memset(dst, 'x', len);
    memcpy(dst, head, sizeof head - 1);
    memcpy(dst + len - 2, "\"}", 2);
}

static void put_number(char *at, uint32_t n)
{
    for (int i = 8; i-- > 0; n >>= 4)
        at[i] = "0123456789abcdef"[n & 15];
}

/* --- On its thread -------------------------------------------------------------------------- */

static void say(publisher *p)
{
    put_number(p->payload + NUMBER_AT, p->sent++);
    int err = channels_pubsub_broadcast(p->node->ep, p->topic, EVENT,
                                        channels_json_n(p->payload, p->len));
    if (err != CHANNELS_OK)
        p->err = err;
}

/* What the slowest of its rooms has heard. */
static uint32_t heard_by_all(publisher *p)
{
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++) {
        uint32_t complete = atomic_load(&p->rooms[i]->complete);
        least = complete < least ? complete : least;
    }
    return least;
}

static void on_credit(struct ev_loop *loop, ev_async *credit, int revents)
{
    publisher *p = credit->data;
    (void)loop, (void)revents;
    while (p->sent - heard_by_all(p) + p->burst <= p->window && machine_ns() < p->until)
        for (unsigned i = 0; i < p->burst; i++)
            say(p);
    if (p->until != 0 && p->sent == heard_by_all(p) && machine_ns() >= p->until) {
        p->until = 0; /* says so once */
        sem_post(&p->over);
    }
}

static void begin(node *n, void *arg)
{
    publisher *p = arg;
    ev_async_send(n->loop, &p->credit); /* outside of calls into the library, as a server would */
}

static void open_publisher(node *n, void *arg)
{
    publisher *p = arg;
    ev_async_init(&p->credit, on_credit);
    p->credit.data = p;
    ev_async_start(n->loop, &p->credit);
}

static void probe(node *n, void *arg)
{
    publisher *p = arg;
    memcpy(p->payload + NUMBER_AT, PROBE, 8);
    channels_pubsub_broadcast(n->ep, p->topic, EVENT, channels_json_n(p->payload, p->len));
}

/* --- From outside --------------------------------------------------------------------------- */

/* A subscription takes its time to get to Redis. */
static void open_way(publisher *p, room *r)
{
    for (int i = 0; i < 200 * PATIENCE_S && !atomic_load(&r->probed); i++) {
        node_call(p->node, probe, p);
        usleep(5000);
    }
    if (!atomic_load(&r->probed))
        bench_fail("what %s publishes does not arrive at %s", p->node->name, r->node->name);
}

static void expect(node *n, void *arg)
{
    room *r = arg;
    (void)n;
    r->len = r->publisher->len;
    r->deliveries = 0;
    r->unreported = 0;
}

static void change_payload(publisher *p, size_t len)
{
    free(p->payload);
    p->payload = bench_alloc(1, len);
    p->len = len;
    payload_fill(p->payload, len);
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++)
        node_call(p->rooms[i]->node, expect, p->rooms[i]);
}

publisher *publisher_new(node *n, const char *topic, room *r, room *other)
{
    publisher *p = bench_alloc(1, sizeof *p);
    p->node = n;
    p->topic = strdup(topic);
    p->rooms[0] = r;
    p->rooms[1] = other;
    p->burst = 1;
    sem_init(&p->over, 0, 0);
    node_call(n, open_publisher, p);
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++)
        p->rooms[i]->publisher = p;
    change_payload(p, PAYLOAD_MIN);
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++)
        open_way(p, p->rooms[i]);
    return p;
}

void publisher_free(publisher *p)
{
    sem_destroy(&p->over);
    free(p->payload);
    free(p->topic);
    free(p);
}

/* --- Trials --------------------------------------------------------------------------------- */

static uint64_t nodes_cpu_ns(const publisher *p)
{
    uint64_t sum = node_cpu_ns(p->node);
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++)
        if (p->rooms[i]->node != p->node)
            sum += node_cpu_ns(p->rooms[i]->node);
    return sum;
}

static void check_faults(publisher *p, bool in_time)
{
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++)
        if (p->rooms[i]->fault != NULL)
            bench_fail("%s, %u clients on node %s: %s", joint_names[p->rooms[i]->node->joint],
                       p->rooms[i]->size, p->rooms[i]->node->name, p->rooms[i]->fault);
    if (p->err != CHANNELS_OK)
        bench_fail("a broadcast: %s", channels_strerror(p->err));
    if (!in_time)
        bench_fail("%s: for %d s, messages that were published have not all been heard",
                   joint_names[p->node->joint], PATIENCE_S);
}

static uint64_t count_deliveries(const publisher *p, uint64_t messages)
{
    uint64_t sum = 0;
    for (int i = 0; i < ROOMS && p->rooms[i] != NULL; i++) {
        sum += p->rooms[i]->deliveries;
        if (p->rooms[i]->deliveries != messages * p->rooms[i]->size)
            bench_fail("%" PRIu64 " messages to %u clients make %" PRIu64 " deliveries", messages,
                       p->rooms[i]->size, p->rooms[i]->deliveries);
    }
    return sum;
}

void publisher_begin(publisher *p, size_t len, unsigned window, double seconds, trial *t)
{
    p->window = window;
    p->burst = window > 1 ? window / 2 : 1;
    change_payload(p, len);
    *t = (trial){ .messages = p->sent, .cpu_ns = nodes_cpu_ns(p) };
    t->redis_ns = redis_server_cpu_ns();
    t->start_ns = machine_ns();
    p->until = t->start_ns + (uint64_t)(seconds * 1e9);
    node_call(p->node, begin, p);
}

void publisher_end(publisher *p, trial *t)
{
    bool in_time = wait_for(&p->over);
    t->wall_s = (double)(machine_ns() - t->start_ns) / 1e9;
    check_faults(p, in_time);
    t->nodes_cpu_s = (double)(nodes_cpu_ns(p) - t->cpu_ns) / 1e9;
    t->redis_cpu_s = (double)(redis_server_cpu_ns() - t->redis_ns) / 1e9;
    t->messages = p->sent - t->messages;
    t->deliveries = count_deliveries(p, t->messages);
}

trial publisher_run(publisher *p, size_t len, unsigned window, double seconds)
{
    trial t;
    publisher_begin(p, len, window, seconds, &t);
    publisher_end(p, &t);
    return t;
}
