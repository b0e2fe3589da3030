/* visible.c - from a client's join on one node to the presence_diff that tells of it at a client of
 * another node, by the hub and by Redis, with broadcast_ms as it is by default and at 50.
 *
 * Changes are gathered for broadcast_ms, so a join waits for about the half of that on average and
 * for the whole at most; what the way takes is added. Clients join at random moments. */
#include <stdio.h>
#include <stdlib.h>

#include <channels/presence.h>

#include "bench/cluster.h"

#define TOPIC "lobby"
#define MAX_JOINS 4096
#define DEFAULT_MS 1500

/* A client of A, or the one of B who looks on. */
typedef struct visitor {
    client client;
    struct view *view;
} visitor;

/* Two nodes: A, where clients join, and B. */
typedef struct view {
    joint joint;
    uint32_t broadcast_ms;
    channels_hub *hub;
    node nodes[2];
    channels_presence *presences[2];
    visitor *visitors, watcher;
    unsigned joins;      /* A's thread */
    uint64_t *joined_at; /* ns; A's thread */
    uint64_t *seen_at;   /* B's */
    _Atomic unsigned seen;
    const char *fault; /* B's */
    size_t counted;    /* by B's presence, at the end */
} view;

/* --- A: clients join ------------------------------------------------------------------------ */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    (void)user;
    channels_request_param(req, "key", channels_socket_assigns(s), 16);
    return CHANNELS_OK;
}

static int on_join_a(channels_channel *ch, const channels_msg *msg, void *user)
{
    view *v = user;
    (void)msg;
    return channels_presence_track(v->presences[0], ch,
                                   channels_socket_assigns(channels_channel_socket(ch)),
                                   channels_json("{\"online_at\":1700000000}"));
}

static int on_join_b(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static const channels_handler lobbies[] = { { .join = on_join_a }, { .join = on_join_b } };
static const channels_route routes[][2] = { { { TOPIC, &lobbies[0], NULL }, { 0 } },
                                            { { TOPIC, &lobbies[1], NULL }, { 0 } } };
static const channels_socket_handler handlers[] = {
    { .assigns_size = 16, .routes = routes[0], .connect = on_connect },
    { .assigns_size = 16, .routes = routes[1], .connect = on_connect },
};

static void join_one(node *n, void *arg)
{
    view *v = arg;
    char query[32];
    unsigned i = v->joins++;
    snprintf(query, sizeof query, "key=%u", i);
    v->joined_at[i] = machine_ns();
    client_join(n->ep, &v->visitors[i].client, query, TOPIC);
}

/* --- B: a client looks on ------------------------------------------------------------------- */

/* The first of all says what happened. */
static void fault(view *v, const char *what)
{
    if (v->fault == NULL)
        v->fault = what;
}

static void see(view *v, const char *key, uint64_t now)
{
    unsigned long i = strtoul(key, NULL, 10);
    if (i >= MAX_JOINS || v->seen_at[i] != 0) {
        fault(v, "a presence joins twice");
        return;
    }
    v->seen_at[i] = now;
    atomic_fetch_add(&v->seen, 1);
}

static const cJSON *first_of(const cJSON *diff, const char *name)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(diff, name);
    return keys != NULL ? keys->child : NULL;
}

static void on_diff(client *c, const char *text, size_t len)
{
    view *v = ((visitor *)c)->view;
    uint64_t now = machine_ns();
    cJSON *message = cJSON_ParseWithLength(text, len);
    const cJSON *diff = cJSON_GetArrayItem(message, 4);
    const char *event = cJSON_GetStringValue(cJSON_GetArrayItem(message, 3));
    if (event == NULL || strcmp(event, "presence_diff") != 0)
        fault(v, "a message that is no diff");
    for (const cJSON *one = first_of(diff, "joins"); one != NULL; one = one->next)
        see(v, one->string, now);
    if (first_of(diff, "leaves") != NULL)
        fault(v, "a presence leaves");
    cJSON_Delete(message);
}

static void count(node *n, void *arg)
{
    view *v = arg;
    (void)n;
    v->counted = channels_presence_count(v->presences[1], TOPIC);
}

/* --- Nodes ---------------------------------------------------------------------------------- */

static void open_presence(node *n, void *arg)
{
    view *v = arg;
    unsigned i = n == &v->nodes[1];
    const channels_presence_options options = { .broadcast_ms = v->broadcast_ms };
    if (channels_presence_new(&v->presences[i], n->ep, &options) != CHANNELS_OK)
        bench_fail("there is no presence");
    if (i == 1)
        client_join(n->ep, &v->watcher.client, "", TOPIC);
}

/* The first join is not counted: the nodes may not have heard of each other before. */
static void wait_until_seen(view *v)
{
    for (int i = 0; i < 100 * PATIENCE_S && atomic_load(&v->seen) < v->joins; i++)
        usleep(10000);
    if (v->fault != NULL)
        bench_fail("%s, broadcast_ms %u: %s", joint_names[v->joint], v->broadcast_ms, v->fault);
    if (atomic_load(&v->seen) != v->joins)
        bench_fail("%s, broadcast_ms %u: of %u presences %u are seen", joint_names[v->joint],
                   v->broadcast_ms, v->joins, atomic_load(&v->seen));
}

static void open_view(view *v, joint j, uint32_t broadcast_ms)
{
    static const char *const names[] = { "a", "b" };
    v->joint = j;
    v->broadcast_ms = broadcast_ms;
    v->visitors = bench_alloc(MAX_JOINS, sizeof *v->visitors);
    v->joined_at = bench_alloc(MAX_JOINS, sizeof *v->joined_at);
    v->seen_at = bench_alloc(MAX_JOINS, sizeof *v->seen_at);
    v->watcher.view = v;
    v->watcher.client.hear = on_diff;
    if (j == BY_HUB && channels_hub_new(&v->hub, NULL) != CHANNELS_OK)
        bench_fail("there is no hub");
    for (unsigned i = 0; i < 2; i++) {
        v->nodes[i] = (node){ .name = names[i], .core = i, .joint = j, .hub = v->hub };
        v->nodes[i].prefix = broadcast_ms == DEFAULT_MS ? "default:" : "short:";
        v->nodes[i].handler = &handlers[i];
        v->nodes[i].user = v;
        node_start(&v->nodes[i]);
        node_call(&v->nodes[i], open_presence, v);
    }
    node_call(&v->nodes[0], join_one, v);
}

static void close_view(view *v)
{
    node_stop(&v->nodes[0]);
    node_stop(&v->nodes[1]);
    channels_hub_free(v->hub);
    free(v->visitors);
    free(v->joined_at);
    free(v->seen_at);
}

/* --- The measurement ------------------------------------------------------------------------ */

/* All views are measured at the same time: they mostly wait. */
static void let_them_join(view *views, unsigned n, double seconds)
{
    uint64_t until = machine_ns() + (uint64_t)(seconds * 1e9);
    unsigned seed = 1;
    while (machine_ns() < until && views[0].joins < MAX_JOINS) {
        seed = seed * 1664525u + 1013904223u;
        usleep(2000 + seed / 65536 % 16000); /* at no moment that a tick would favour */
        for (unsigned i = 0; i < n; i++)
            node_call(&views[i].nodes[0], join_one, &views[i]);
    }
}

static void report_view(view *v)
{
    figures ms = { 0 };
    cJSON *json = cJSON_CreateObject();
    for (unsigned i = 1; i < v->joins; i++)
        figures_add(&ms, (double)(v->seen_at[i] - v->joined_at[i]) / 1e6);
    report_line("%-15s %12u %7u %9.2f %9.2f %9.2f %9.2f", joint_names[v->joint], v->broadcast_ms,
                v->joins - 1, figures_at(&ms, 0), figures_at(&ms, 0.5), figures_at(&ms, 0.99),
                figures_at(&ms, 1));
    cJSON_AddStringToObject(json, "way", joint_names[v->joint]);
    cJSON_AddNumberToObject(json, "broadcast_ms", v->broadcast_ms);
    cJSON_AddNumberToObject(json, "joins", v->joins - 1);
    cJSON_AddItemToObject(json, "ms", figures_json(&ms));
    report_add("visible", json);
    figures_free(&ms);
}

static void check_count(view *v)
{
    node_call(&v->nodes[1], count, v);
    if (v->counted != v->joins)
        bench_fail("%s: %u presences are tracked, the other node counts %zu", joint_names[v->joint],
                   v->joins, v->counted);
}

void visible_measure(const scale *s)
{
    static view views[4];
    unsigned n = 0;
    bench_progress("join to visible: clients join for %g s", s->visible_s);
    for (int j = BY_HUB; j < (redis_server_port() != 0 ? JOINTS : BY_REDIS); j++) {
        open_view(&views[n++], (joint)j, 50);
        if (!s->quick)
            open_view(&views[n++], (joint)j, DEFAULT_MS);
    }
    for (unsigned i = 0; i < n; i++)
        wait_until_seen(&views[i]);
    let_them_join(views, n, s->visible_s);
    report_part("From a join to its presence_diff on another node, ms");
    report_line("way             broadcast_ms   joins       min    median       p99       max");
    for (unsigned i = 0; i < n; i++) {
        wait_until_seen(&views[i]);
        check_count(&views[i]);
        report_view(&views[i]);
        close_view(&views[i]);
    }
    report_line("\nA join waits for the next of the ticks broadcast_ms apart: nearly all of it is "
                "that.");
}
