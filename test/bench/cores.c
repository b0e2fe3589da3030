/* cores.c - how many more deliveries two endpoints make on two cores than one on one, when there
 * are as many clients on each. Joined by the hub one of the two publishes to all. Two that have
 * nothing to do with each other show what the cores have to give: virtual ones may be halves of
 * one. */
#include "bench/cluster.h"

#define CLIENTS 1000
#define LEN 64
#define WINDOW 256
#define TOPIC "room:cores"

/* Of all clients and nodes here. */
typedef struct stage {
    channels_hub *hub;
    node apart[2], joined[2];
    room *rooms_apart[2], *rooms_joined[2];
    publisher *publishers_apart[2], *publisher_joined;
} stage;

enum { ONE, TWO_APART, TWO_JOINED, RATIO, OF_APART, COLUMNS };

/* --- Trials --------------------------------------------------------------------------------- */

static double per_s(const trial *t)
{
    return (double)t->deliveries / t->wall_s;
}

/* The first `n` of those that have nothing to do with each other. */
static double apart(stage *s, unsigned n, double seconds)
{
    trial trials[2];
    double sum = 0;
    for (unsigned i = 0; i < n; i++)
        publisher_begin(s->publishers_apart[i], LEN, WINDOW, seconds, &trials[i]);
    for (unsigned i = 0; i < n; i++) {
        publisher_end(s->publishers_apart[i], &trials[i]);
        sum += per_s(&trials[i]);
    }
    return sum;
}

/* By the clock, so others should not be at work: then it is tried again. */
static void measure_round(stage *s, double seconds, figures *found)
{
    double one = 0, two = 0, joined = 0;
    for (int tries = 0; tries < 3; tries++) {
        machine_load before = machine_load_now(redis_server_cpu_ns());
        one = apart(s, 1, seconds);
        two = apart(s, 2, seconds);
        trial t = publisher_run(s->publisher_joined, LEN, WINDOW, seconds);
        joined = per_s(&t);
        if (machine_load_of_others(before, machine_load_now(redis_server_cpu_ns())) < 0.1)
            break;
    }
    figures_add(&found[ONE], one);
    figures_add(&found[TWO_APART], two);
    figures_add(&found[TWO_JOINED], joined);
    figures_add(&found[RATIO], joined / one);
    figures_add(&found[OF_APART], joined / two);
}

/* --- The table ------------------------------------------------------------------------------ */

static void report(figures *found)
{
    static const char *const labels[COLUMNS] = { "one endpoint", "two, not joined",
                                                 "two, by the hub", "by the hub to one",
                                                 "by the hub to not joined" };
    static const char *const names[COLUMNS] = { "one_per_s", "two_apart_per_s", "two_joined_per_s",
                                                "joined_to_one", "joined_to_apart" };
    cJSON *json = cJSON_CreateObject();
    report_part("Deliveries a second: an endpoint with 1000 clients, and two of them on two cores");
    report_line("                               median          min          max");
    for (int i = 0; i < COLUMNS; i++) {
        int digits = i < RATIO ? 0 : 2;
        report_line("%-24s %12.*f %12.*f %12.*f", labels[i], digits, figures_at(&found[i], 0.5),
                    digits, figures_at(&found[i], 0), digits, figures_at(&found[i], 1));
        cJSON_AddItemToObject(json, names[i], figures_json(&found[i]));
    }
    report_line(
        "\nBy the hub to one is to be 1.8 or more, where two that are not joined make twice "
        "as many as one.");
    report_add("cores", json);
}

/* --- Nodes ---------------------------------------------------------------------------------- */

static void open_nodes(stage *s)
{
    static const char *const names[2][2] = { { "apart_a", "apart_b" }, { "a", "b" } };
    if (channels_hub_new(&s->hub, NULL) != CHANNELS_OK)
        bench_fail("there is no hub");
    for (unsigned i = 0; i < 2; i++) {
        s->apart[i] = (node){ .name = names[0][i], .core = i, .joint = ALONE };
        s->joined[i] = (node){ .name = names[1][i], .core = i, .joint = BY_HUB, .hub = s->hub };
        node_start(&s->apart[i]);
        node_start(&s->joined[i]);
        s->rooms_apart[i] = room_new(&s->apart[i], TOPIC, CLIENTS);
        s->rooms_joined[i] = room_new(&s->joined[i], TOPIC, CLIENTS);
        s->publishers_apart[i] = publisher_new(&s->apart[i], TOPIC, s->rooms_apart[i], NULL);
    }
    s->publisher_joined =
        publisher_new(&s->joined[0], TOPIC, s->rooms_joined[0], s->rooms_joined[1]);
}

static void close_nodes(stage *s)
{
    for (unsigned i = 0; i < 2; i++) {
        node_stop(&s->apart[i]);
        node_stop(&s->joined[i]);
        room_free(s->rooms_apart[i]);
        room_free(s->rooms_joined[i]);
        publisher_free(s->publishers_apart[i]);
    }
    publisher_free(s->publisher_joined);
    channels_hub_free(s->hub);
}

void cores_measure(const scale *s)
{
    static stage nodes;
    figures found[COLUMNS] = { 0 };
    open_nodes(&nodes);
    for (unsigned i = 0; i < s->rounds; i++) {
        bench_progress("two cores and one: round %u of %u", i + 1, s->rounds);
        measure_round(&nodes, 2 * s->trial_s, found);
    }
    close_nodes(&nodes);
    report(found);
    for (int i = 0; i < COLUMNS; i++)
        figures_free(&found[i]);
}
