/* cores.c - how many more deliveries two endpoints make on two cores, joined by the hub, than one
 * on one, when there are as many clients on each. One of the two publishes to all. */
#include "bench/cluster.h"

#define CLIENTS 1000
#define LEN 64
#define WINDOW 256
#define TOPIC "room:cores"

enum { ONE, TWO, RATIO, BOUND, COLUMNS };

static double per_s(const trial *t)
{
    return (double)t->deliveries / t->wall_s;
}

static double per_cpu_s(const trial *t)
{
    return (double)t->deliveries / t->nodes_cpu_s;
}

/* By the clock, so others should not be at work: then it is tried again. */
static void measure_round(publisher *alone, publisher *joined, double seconds, figures *found)
{
    trial one = { 0 }, two = { 0 };
    for (int tries = 0; tries < 3; tries++) {
        machine_load before = machine_load_now(redis_server_cpu_ns());
        one = publisher_run(alone, LEN, WINDOW, seconds);
        two = publisher_run(joined, LEN, WINDOW, seconds);
        if (machine_load_of_others(before, machine_load_now(redis_server_cpu_ns())) < 0.1)
            break;
    }
    figures_add(&found[ONE], per_s(&one));
    figures_add(&found[TWO], per_s(&two));
    figures_add(&found[RATIO], per_s(&two) / per_s(&one));
    figures_add(&found[BOUND], 2 * per_cpu_s(&two) / per_cpu_s(&one));
}

static void report(figures *found)
{
    static const char *const labels[COLUMNS] = { "one endpoint", "two by the hub", "ratio",
                                                 "by CPU time" };
    static const char *const names[COLUMNS] = { "one_per_s", "two_per_s", "ratio", "ratio_by_cpu" };
    cJSON *json = cJSON_CreateObject();
    report_part("Deliveries a second: an endpoint with 1000 clients, and two of them on two cores");
    report_line("                         median          min          max");
    for (int i = 0; i < COLUMNS; i++) {
        int digits = i < RATIO ? 0 : 2;
        report_line("%-18s %12.*f %12.*f %12.*f", labels[i], digits, figures_at(&found[i], 0.5),
                    digits, figures_at(&found[i], 0), digits, figures_at(&found[i], 1));
        cJSON_AddItemToObject(json, names[i], figures_json(&found[i]));
    }
    report_line(
        "\nThe ratio is to be 1.8 or more where nobody else is at work. By CPU time: what it "
        "would be\nif neither core ever waited.");
    report_add("cores", json);
}

static void measure(publisher *alone, publisher *joined, const scale *s)
{
    figures found[COLUMNS] = { 0 };
    for (unsigned i = 0; i < s->rounds; i++) {
        bench_progress("two cores and one: round %u of %u", i + 1, s->rounds);
        measure_round(alone, joined, 2 * s->trial_s, found);
    }
    report(found);
    for (int i = 0; i < COLUMNS; i++)
        figures_free(&found[i]);
}

void cores_measure(const scale *s)
{
    channels_hub *hub;
    if (channels_hub_new(&hub, NULL) != CHANNELS_OK)
        bench_fail("there is no hub");
    node alone = { .name = "alone", .core = 0, .joint = ALONE };
    node a = { .name = "a", .core = 0, .joint = BY_HUB, .hub = hub };
    node b = { .name = "b", .core = 1, .joint = BY_HUB, .hub = hub };
    node_start(&alone);
    node_start(&a);
    node_start(&b);
    room *only = room_new(&alone, TOPIC, CLIENTS);
    room *rooms[] = { room_new(&a, TOPIC, CLIENTS), room_new(&b, TOPIC, CLIENTS) };
    publisher *one = publisher_new(&alone, TOPIC, only, NULL);
    publisher *two = publisher_new(&a, TOPIC, rooms[0], rooms[1]);
    measure(one, two, s);
    node_stop(&alone);
    node_stop(&a);
    node_stop(&b);
    publisher_free(one);
    publisher_free(two);
    room_free(only);
    room_free(rooms[0]);
    room_free(rooms[1]);
    channels_hub_free(hub);
}
