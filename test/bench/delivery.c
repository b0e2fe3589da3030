/* delivery.c - what a delivery costs: within a node, to another by the hub, to another by Redis.
 *
 * All clients are on the node that hears; the publisher is on the same or on another. The CPU time
 * of the threads of both nodes is counted, and that of redis-server apart. */
#include <stdio.h>

#include "bench/cluster.h"

#define WINDOW 64

typedef struct workload {
    unsigned clients;
    size_t len;      /* of the payload */
    unsigned window; /* messages on their way */
} workload;

static const workload workloads[] = {
    { 1, 64, 1 },          { 1, 64, WINDOW },    { 1, 1024, WINDOW },    { 100, 64, WINDOW },
    { 100, 1024, WINDOW }, { 1000, 64, WINDOW }, { 1000, 1024, WINDOW },
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

static const unsigned sizes[] = { 1, 100, 1000 };
#define SIZES (sizeof sizes / sizeof *sizes)

/* Two nodes, of which the first publishes; ALONE has only the second. */
typedef struct pair {
    node nodes[2];
    room *rooms[SIZES];
    publisher *publishers[SIZES];
} pair;

static void pair_open(pair *p, joint j, channels_hub *hub)
{
    static const char *const names[JOINTS][2] = { { "", "alone" },
                                                  { "hub_a", "hub_b" },
                                                  { "redis_a", "redis_b" } };
    unsigned first = j == ALONE ? 1 : 0;
    for (unsigned i = first; i < 2; i++) {
        p->nodes[i] = (node){ .name = names[j][i], .core = i, .joint = j, .hub = hub };
        node_start(&p->nodes[i]);
    }
    for (unsigned i = 0; i < SIZES; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "room:%u", sizes[i]);
        p->rooms[i] = room_new(&p->nodes[1], topic, sizes[i]);
        p->publishers[i] = publisher_new(&p->nodes[first], topic, p->rooms[i], NULL);
    }
}

static void pair_close(pair *p)
{
    for (unsigned i = 0; i < 2; i++)
        if (p->nodes[i].ep != NULL)
            node_stop(&p->nodes[i]);
    for (unsigned i = 0; i < SIZES; i++) {
        publisher_free(p->publishers[i]);
        room_free(p->rooms[i]);
    }
}

/* --- Rounds --------------------------------------------------------------------------------- */

/* Of one workload and joint, µs a delivery. */
typedef struct cell {
    figures nodes, redis, ratio; /* ratio: to "within a node" of the same round */
} cell;

static publisher *publisher_of(pair *p, unsigned clients)
{
    for (unsigned i = 0; i < SIZES; i++)
        if (sizes[i] == clients)
            return p->publishers[i];
    bench_fail("there is no room of %u", clients);
}

static void measure(pair *pairs, unsigned joints, const workload *w, cell *cells, double seconds)
{
    double base = 0;
    for (unsigned j = 0; j < joints; j++) {
        trial t = publisher_run(publisher_of(&pairs[j], w->clients), w->len, w->window, seconds);
        double us = t.nodes_cpu_s * 1e6 / (double)t.deliveries;
        base = j == ALONE ? us : base;
        figures_add(&cells[j].nodes, us);
        figures_add(&cells[j].redis, t.redis_cpu_s * 1e6 / (double)t.deliveries);
        figures_add(&cells[j].ratio, us / base);
    }
}

/* --- The table ------------------------------------------------------------------------------ */

static void print_cell(const workload *w, joint j, cell *c)
{
    char redis[32] = "";
    if (j == BY_REDIS)
        snprintf(redis, sizeof redis, "%9.3f", figures_at(&c->redis, 0.5));
    report_line("%7u %8zu %9u  %-15s %9.3f %9.3f %9.3f %9.2f  %s", w->clients, w->len, w->window,
                joint_names[j], figures_at(&c->nodes, 0.5), figures_at(&c->nodes, 0),
                figures_at(&c->nodes, 1), figures_at(&c->ratio, 0.5), redis);
}

static void report_cell(const workload *w, joint j, cell *c)
{
    cJSON *json = cJSON_CreateObject();
    print_cell(w, j, c);
    cJSON_AddNumberToObject(json, "clients", w->clients);
    cJSON_AddNumberToObject(json, "payload_bytes", (double)w->len);
    cJSON_AddNumberToObject(json, "in_flight", w->window);
    cJSON_AddStringToObject(json, "way", joint_names[j]);
    cJSON_AddItemToObject(json, "cpu_us", figures_json(&c->nodes));
    cJSON_AddItemToObject(json, "times_within", figures_json(&c->ratio));
    if (j == BY_REDIS)
        cJSON_AddItemToObject(json, "redis_server_cpu_us", figures_json(&c->redis));
    report_add("delivery", json);
    figures_free(&c->nodes);
    figures_free(&c->redis);
    figures_free(&c->ratio);
}

static void report(cell cells[][JOINTS], unsigned joints)
{
    report_part("CPU of a delivery, µs");
    report_line("clients  payload in flight  way                median       min       max  x "
                "within  redis-server");
    for (unsigned w = 0; w < WORKLOADS; w++)
        for (unsigned j = 0; j < joints; j++)
            report_cell(&workloads[w], (joint)j, &cells[w][j]);
}

void delivery_measure(const scale *s)
{
    static pair pairs[JOINTS];
    cell cells[WORKLOADS][JOINTS] = { 0 };
    unsigned joints = redis_server_port() != 0 ? JOINTS : BY_REDIS;
    channels_hub *hub;
    if (channels_hub_new(&hub, NULL) != CHANNELS_OK)
        bench_fail("there is no hub");
    for (unsigned j = 0; j < joints; j++)
        pair_open(&pairs[j], (joint)j, hub);
    for (unsigned i = 0; i < s->rounds; i++) {
        bench_progress("CPU of a delivery: round %u of %u", i + 1, s->rounds);
        for (unsigned w = 0; w < WORKLOADS; w++)
            measure(pairs, joints, &workloads[w], cells[w], s->trial_s);
    }
    for (unsigned j = 0; j < joints; j++)
        pair_close(&pairs[j]);
    channels_hub_free(hub);
    report(cells, joints);
}
