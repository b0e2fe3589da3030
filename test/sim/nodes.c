/* nodes.c - presence on 2 to 6 nodes that crash, come back, sleep and cannot always hear each
 * other, with clients that come and go: what happens is drawn from a seed. What clients hear and
 * nodes list is checked all the time (see cluster.h); when all is quiet, it has to be the truth.
 *
 *     nodes [SEED]    that one alone; SEED and SEEDS (how many) may be in the environment */
#include <stdio.h>
#include <stdlib.h>

#include "sim/cluster.h"

#define STEPS 400
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* several times as slow */
#define SEEDS 40
#else
#define SEEDS 200
#endif

typedef struct world {
    sim_cluster cluster;
    unsigned nodes;
    uint64_t weather_until; /* when the bus changes its mind */
    unsigned names;         /* given so far */
} world;

typedef struct sums {
    unsigned entries, joins, leaves, lives, letters;
} sums;

static unsigned draw(world *w, unsigned n)
{
    return sim_net_draw(&w->cluster.bus, n);
}

/* --- The bus ------------------------------------------------------------------------------ */

static void cut(world *w, unsigned from, unsigned to, bool both)
{
    w->cluster.bus.cut[from][to] = true;
    w->cluster.bus.cut[to][from] |= both;
}

/* Nodes whose bit is set in `side` from the others. */
static void split(world *w, unsigned side, bool both)
{
    for (unsigned a = 0; a < w->nodes; a++)
        for (unsigned b = 0; b < w->nodes; b++)
            if ((side >> a & 1) != 0 && (side >> b & 1) == 0)
                cut(w, a, b, both);
}

static void change_weather(world *w)
{
    sim_net *bus = &w->cluster.bus;
    sim_net_calm(bus);
    w->weather_until = bus->now + 500 + draw(w, draw(w, 3) == 0 ? 25000 : 6000);
    bus->delay = 1 + draw(w, 100);
    if (draw(w, 2) == 0)
        bus->jitter = 1 + draw(w, draw(w, 4) == 0 ? w->cluster.options.down_ms / 2 : 300);
    if (draw(w, 3) == 0)
        bus->doubled = draw(w, 500);
    switch (draw(w, 6)) {
    case 0: bus->lost = draw(w, 600); break;
    case 1: bus->lost = 1000; break;
    case 2: split(w, draw(w, 1U << w->nodes), true); break;
    case 3: split(w, draw(w, 1U << w->nodes), false); break;
    case 4: cut(w, draw(w, w->nodes), draw(w, w->nodes), draw(w, 2) == 0); break;
    default: break;
    }
}

/* --- Nodes -------------------------------------------------------------------------------- */

static void start_node(world *w, sim_node *node)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", draw(w, 4) == 0 ? w->nodes + w->names++ : node->number);
    if (sim_node_named(&w->cluster, name) == NULL)
        sim_node_start(node, name);
}

static void trouble(world *w)
{
    sim_node *node = &w->cluster.nodes[draw(w, w->nodes)];
    if (node->life == 0)
        start_node(w, node);
    else if (!sim_node_runs(node))
        return;
    else if (draw(w, 3) == 0)
        sim_node_stall(node, 100 + draw(w, 3 * w->cluster.options.down_ms));
    else {
        if (draw(w, 2) == 0)
            sim_node_crash(node);
        else
            sim_node_stop(node, draw(w, 2) == 0);
        if (draw(w, 2) == 0) /* before anybody misses it */
            start_node(w, node);
    }
}

/* --- Clients ------------------------------------------------------------------------------ */

static const char *draw_ops(world *w, char *ops, bool in_channel)
{
    unsigned count = draw(w, 6) == 0 ? 5 : 1 + draw(w, 2), len = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned op = draw(w, in_channel ? 12 : 11);
        ops[len++] = op < 4 ? 't' : op < 8 ? 'u' : op < 10 ? 'x' : op < 11 ? 'X' : 's';
        if (ops[len - 1] != 'X' && ops[len - 1] != 's')
            ops[len++] = (char)('0' + draw(w, SIM_KEYS));
    }
    ops[len] = '\0';
    return ops;
}

static void join_topic(world *w, sim_client *client, unsigned topic)
{
    static const char *const befores[] = { "", "", "t0", "t1t2", "t3u3" };
    static const char *const afters[] = { "s", "st0", "t1s", "u3s", "", "t2" };
    sim_client_join(client, topic, befores[draw(w, 5)], afters[draw(w, 6)], draw(w, 12) == 0);
}

static void client_acts(world *w)
{
    sim_client *client = &w->cluster.clients[draw(w, SIM_CLIENTS)];
    unsigned topic = draw(w, SIM_TOPICS);
    char ops[16];
    sim_node *node = &w->cluster.nodes[draw(w, w->nodes)];
    if (client->node == NULL) {
        if (sim_node_runs(node))
            sim_client_open(client, node);
    } else if (!sim_node_runs(client->node)) {
        return;
    } else if (draw(w, 25) == 0) {
        sim_client_close(client);
    } else if (!client->joined[topic] || draw(w, 20) == 0) {
        join_topic(w, client, topic);
    } else if (draw(w, 10) == 0) {
        sim_client_leave(client, topic);
    } else {
        sim_client_do(client, topic, draw_ops(w, ops, true));
    }
}

static void owner_acts(world *w)
{
    sim_node *node = &w->cluster.nodes[draw(w, w->nodes)];
    unsigned owner = draw(w, SIM_OWNERS);
    char ops[16];
    if (!sim_node_runs(node))
        return;
    if (draw(w, 10) == 0)
        sim_owner_drop(node, owner);
    else
        sim_owner_do(node, owner, draw(w, SIM_TOPICS), draw_ops(w, ops, false));
}

/* --- A run -------------------------------------------------------------------------------- */

static void step(world *w)
{
    if (w->cluster.bus.now >= w->weather_until)
        change_weather(w);
    if (draw(w, 40) == 0)
        trouble(w);
    for (unsigned i = draw(w, 3); i > 0; i--)
        client_acts(w);
    if (draw(w, 6) == 0)
        owner_acts(w);
    sim_cluster_run(&w->cluster, w->cluster.slack * (1 + draw(w, 3)));
}

static void begin(world *w, unsigned long seed)
{
    sim_cluster *c = &w->cluster;
    memset(w, 0, sizeof *w);
    sim_cluster_init(c, seed);
    c->bus.echo = draw(w, 2) == 0;
    c->narrow = draw(w, 2) == 0;
    c->options.broadcast_ms = 200 + 100 * draw(w, 9);
    c->options.max_silent = 1 + draw(w, 4);
    c->options.down_ms = (c->options.max_silent + 2 + draw(w, 6)) * c->options.broadcast_ms;
    c->options.permdown_ms = c->options.down_ms * (2 + draw(w, 3));
    w->nodes = 2 + draw(w, SIM_STATIONS - 1);
    for (unsigned i = 0; i < w->nodes; i++)
        start_node(w, &c->nodes[i]);
}

/* Nothing happens any more, and every letter arrives. */
static void come_to_rest(world *w)
{
    sim_cluster *c = &w->cluster;
    const channels_presence_options *o = &c->options;
    sim_net_calm(&c->bus);
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (node->stalled_until > c->bus.now)
            node->stalled_until = c->bus.now;
    sim_cluster_run(c, 3000 + o->down_ms + 5 * o->broadcast_ms); /* letters may have been so late */
    sim_cluster_check_equal(c);
    sim_cluster_run(c, o->permdown_ms);
    sim_cluster_check_equal(c);
    sim_cluster_check_forgotten(c);
    sim_cluster_empty(c);
}

static void add(sums *s, const world *w)
{
    const sim_cluster *c = &w->cluster;
    s->entries += c->roll.count;
    s->lives += c->nlives;
    s->letters += (unsigned)c->bus.sent;
    for (const sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        for (unsigned topic = 0; topic < SIM_TOPICS; topic++) {
            s->joins += node->lists[topic].joins;
            s->leaves += node->lists[topic].leaves;
        }
}

static bool run(unsigned long seed, sums *s)
{
    static world w;
    begin(&w, seed);
    for (unsigned i = 0; i < STEPS && w.cluster.roll.wrong[0] == '\0'; i++)
        step(&w);
    uint64_t then = w.cluster.bus.now;
    come_to_rest(&w);
    add(s, &w);
    sim_cluster_deinit(&w.cluster);
    if (w.cluster.roll.wrong[0] == '\0')
        return true;
    printf("# seed %lu, %u nodes, at %lu ms of %lu: %s\n# again: SEED=%lu\n", seed, w.nodes,
           (unsigned long)(w.cluster.bus.now - 1000000), (unsigned long)(then - 1000000),
           w.cluster.roll.wrong, seed);
    return false;
}

static bool run_block(unsigned number, unsigned long first, unsigned count)
{
    sums s = { 0 };
    bool ok = true;
    for (unsigned i = 0; i < count && ok; i++)
        ok = run(first + i, &s);
    printf("%sok %u - seeds %lu to %lu: %u metas on %u nodes, %u joins and %u leaves, %u letters\n",
           ok ? "" : "not ", number, first, first + count - 1, s.entries, s.lives, s.joins,
           s.leaves, s.letters);
    fflush(stdout);
    return ok;
}

int main(int argc, char **argv)
{
    const char *seed = argc > 1 ? argv[1] : getenv("SEED"), *seeds = getenv("SEEDS");
    unsigned long first = seed != NULL ? strtoul(seed, NULL, 10) : 1;
    unsigned count = seed != NULL ? 1 : seeds != NULL ? (unsigned)strtoul(seeds, NULL, 10) : SEEDS;
    unsigned block = count > SEEDS ? 100 : 20; /* that one line of the output is about */
    bool ok = true;
    printf("1..%u\n", (count + block - 1) / block);
    for (unsigned i = 0; i < count; i += block)
        ok &= run_block(i / block + 1, first + i, count - i < block ? count - i : block);
    return ok ? 0 : 1;
}
