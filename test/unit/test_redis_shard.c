/* test_redis_shard.c - libchannels-redis with sharded PUBLISH and SUBSCRIBE, on a real Redis
 * Cluster of one node and of two. */
#include <time.h>

#include "unit/redis_case.h"

typedef struct shard_test {
    redis_server low, high; /* which have the lower half of the slots, or all, and the upper */
    char prefix[16];
    channels_redis_options options;
    redis_node a, b;
} shard_test;

static uint16_t start_member(redis_server *s)
{
    char bus[8];
    uint16_t port = redis_free_port();
    const char *args[] = { "--cluster-enabled", "yes", "--cluster-port", bus, NULL };
    snprintf(bus, sizeof bus, "%u", (unsigned)port);
    redis_server_start(s, args);
    return port;
}

static void tell(const redis_server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(const redis_server *s, const char *format, ...)
{
    char command[256];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    const char *answer = redis_server_answer(s, command);
    if (strncmp(answer, "+OK", 3) != 0)
        fail_msg("%s: %s", command, answer);
}

static bool agrees(const redis_server *s, const char *nodes)
{
    const char *info = redis_server_answer(s, "CLUSTER INFO");
    return strstr(info, "cluster_state:ok") != NULL && strstr(info, nodes) != NULL;
}

static void wait_until_agreed(const shard_test *t, const char *nodes)
{
    for (int i = 0; !agrees(&t->low, nodes) || (t->high.pid != 0 && !agrees(&t->high, nodes));
         i++) {
        struct timespec time = { 0, 10000000 };
        assert_true(i < 3000);
        nanosleep(&time, NULL);
    }
}

static unsigned slot_of(const shard_test *t, const char *prefix)
{
    char command[64];
    unsigned slot = 0;
    snprintf(command, sizeof command, "CLUSTER KEYSLOT {%s}x", prefix);
    assert_int_equal(sscanf(redis_server_answer(&t->low, command), ":%u", &slot), 1);
    return slot;
}

/* Whose channels are at `low` or at `high`. */
static void choose_prefix(shard_test *t, bool high)
{
    int i = 0;
    do {
        snprintf(t->prefix, sizeof t->prefix, "p%d:", i++);
    } while ((slot_of(t, t->prefix) > 8191) != high);
    t->options.prefix = t->prefix;
}

static int setup(void **state)
{
    shard_test *t = calloc(1, sizeof *t);
    *state = t;
    start_member(&t->low);
    t->options.port = t->low.port;
    t->options.sharded = true;
    return 0;
}

static void make_one(shard_test *t)
{
    tell(&t->low, "CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until_agreed(t, "cluster_known_nodes:1");
}

static void make_two(shard_test *t)
{
    uint16_t bus = start_member(&t->high);
    tell(&t->low, "CLUSTER ADDSLOTSRANGE 0 8191");
    tell(&t->high, "CLUSTER ADDSLOTSRANGE 8192 16383");
    tell(&t->high, "CLUSTER SET-CONFIG-EPOCH 2"); /* they would take a second to find one each */
    tell(&t->low, "CLUSTER MEET 127.0.0.1 %u %u", (unsigned)t->high.port, (unsigned)bus);
    wait_until_agreed(t, "cluster_known_nodes:2");
}

static int teardown(void **state)
{
    shard_test *t = *state;
    redis_node_stop(&t->a);
    redis_node_stop(&t->b);
    redis_server_end(&t->low);
    redis_server_end(&t->high);
    free(t);
    return 0;
}

static void start_both(shard_test *t)
{
    redis_nodes_start(&t->a, &t->b, &t->options);
    assert_string_equal(t->a.states, "connecting;up;");
}

static void meet(shard_test *t)
{
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "there", channels_empty());
    redis_until(&t->b, &t->a, t->b.client->waiting != 0);
    hear(t->b.client, "[null,null,'room:a','there',{}]");
    hear(t->a.client, "[null,null,'room:a','there',{}]");
    quiet(t->a.client);
}

/* Of sharded channels, at `s`. */
static bool subscribed(const redis_server *s, const char *channel, unsigned count)
{
    char command[128], want[32];
    snprintf(command, sizeof command, "PUBSUB SHARDNUMSUB %s", channel);
    snprintf(want, sizeof want, "\r\n:%u\r\n", count);
    return strstr(redis_server_answer(s, command), want) != NULL;
}

static void nothing(void *arg, const channels_msg *msg)
{
    (void)arg, (void)msg;
}

static void one_member(void **state)
{
    shard_test *t = *state;
    channels_subscription sub;
    make_one(t);
    start_both(t);
    meet(t);
    assert_true(subscribed(&t->low, "{channels:}room:a", 2));
    channels_pubsub_subscribe(t->a.host.ep, "news", nothing, NULL, &sub);
    redis_until(&t->a, NULL, subscribed(&t->low, "{channels:}news", 1));
    channels_pubsub_unsubscribe(t->a.host.ep, sub);
    redis_until(&t->a, NULL, subscribed(&t->low, "{channels:}news", 0));
    redis_until(&t->a, NULL, redis_info(&t->a).channels == 2);
    assert_non_null(strstr(redis_server_answer(&t->low, "PUBSUB CHANNELS *"), "*0\r\n"));
}

/* It is told where its slot is, and goes there. */
static void another_member(void **state)
{
    shard_test *t = *state;
    char channel[64];
    make_two(t);
    choose_prefix(t, true);
    start_both(t);
    meet(t);
    snprintf(channel, sizeof channel, "{%s}room:a", t->prefix);
    assert_true(subscribed(&t->high, channel, 2));
    redis_node_stop(&t->b);
    choose_prefix(t, false);
    redis_node_start(&t->b, "node-b", &t->options);
    redis_until(&t->b, NULL, redis_is_up(&t->b));
    snprintf(channel, sizeof channel, "{%s}room:a", t->prefix);
    assert_true(subscribed(&t->low, channel, 1));
}

static void give_away(shard_test *t, unsigned slot)
{
    char id[41];
    const char *answer = redis_server_answer(&t->low, "CLUSTER MYID");
    assert_int_equal(sscanf(answer, "$40\r\n%40s", id), 1);
    tell(&t->low, "CLUSTER SETSLOT %u NODE %s", slot, id);
    tell(&t->high, "CLUSTER SETSLOT %u NODE %s", slot, id);
}

static void slot_moves(void **state)
{
    shard_test *t = *state;
    make_two(t);
    choose_prefix(t, true);
    start_both(t);
    give_away(t, slot_of(t, t->prefix));
    redis_until(&t->a, &t->b, !redis_is_up(&t->a) && !redis_is_up(&t->b));
    assert_string_equal(t->a.states, "connecting;up;down: Redis has ended the subscription;");
    for (int i = 0; !redis_is_up(&t->a) || !redis_is_up(&t->b); i++) {
        assert_true(i < 2000);
        t->a.host.now += 20;
        t->b.host.now += 20;
        redis_turn(&t->a, 2);
        redis_turn(&t->b, 0);
    }
    meet(t);
}

/* Where it is not sharded a Cluster passes messages on to all members. */
static void not_sharded(void **state)
{
    shard_test *t = *state;
    make_two(t);
    t->options.sharded = false;
    redis_node_start(&t->a, "node-a", &t->options);
    t->options.port = t->high.port;
    redis_node_start(&t->b, "node-b", &t->options);
    redis_until(&t->a, &t->b, redis_is_up(&t->a) && redis_is_up(&t->b));
    meet(t);
}

#define SHARD_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARD_TEST(one_member),
        SHARD_TEST(another_member),
        SHARD_TEST(slot_moves),
        SHARD_TEST(not_sharded),
    };
    if (!redis_server_is_there())
        return 0;
    if (system("redis-server --version | grep -q 'v=\\([7-9]\\|[1-9][0-9]\\)'") != 0) {
        puts("1..1\nok 1 - redis # SKIP needs Redis 7");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
