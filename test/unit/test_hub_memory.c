/* test_hub_memory.c - what a broadcast across the hub asks of malloc: one block, however many hear
 * it; none once there are some that have been read; and no more is kept of these than is said. */
#include <channels/hub.h>

#include "sim/malloc.h"
#include "unit/core_case.h"

#if HAVE_MALLOC

#define ENDPOINTS 3
#define KEPT (128 << 10) /* bytes, and those that come back with the last of them */
#define PILE (32 << 10)

/* The first publishes, all listen. */
typedef struct trio {
    channels_hub *hub;
    channels_endpoint *eps[ENDPOINTS];
    sim_memory memory; /* the endpoints' own, which does not count with malloc's calls */
    size_t before;     /* blocks of malloc's when there was no hub yet */
    unsigned heard[ENDPOINTS];
} trio;

static void on_news(void *arg, const channels_msg *msg)
{
    (void)msg;
    ++*(unsigned *)arg;
}

static int setup(void **state)
{
    static const char *const names[ENDPOINTS] = { "a", "b", "c" };
    static trio t;
    memset(&t, 0, sizeof t);
    *state = &t;
    t.before = all.blocks;
    assert_int_equal(channels_hub_new(&t.hub, NULL), CHANNELS_OK);
    for (int i = 0; i < ENDPOINTS; i++) {
        const channels_config config = { .node = names[i],
                                         .pubsub = channels_hub_adapter(),
                                         .pubsub_self = t.hub,
                                         .hooks = &t.memory,
                                         .realloc = sim_memory_realloc };
        assert_int_equal(channels_endpoint_new(&t.eps[i], &config), CHANNELS_OK);
        channels_pubsub_subscribe(t.eps[i], "news", on_news, &t.heard[i], NULL);
    }
    return 0;
}

static int teardown(void **state)
{
    trio *t = *state;
    for (int i = 0; i < ENDPOINTS; i++)
        channels_endpoint_free(t->eps[i]);
    channels_hub_free(t->hub);
    return all.blocks == t->before && t->memory.blocks == 0 ? 0 : -1;
}

/* What OpenSSL makes with the first random numbers stays. */
static void warm_up(void)
{
    channels_endpoint *ep;
    const channels_config config = { 0 };
    channels_endpoint_new(&ep, &config);
    channels_endpoint_free(ep);
}

/* How often malloc is called for it. */
static size_t tell(trio *t, const char *topic, size_t len)
{
    static char bytes[1 << 20];
    size_t before = all.calls;
    counting = true;
    int err = channels_pubsub_broadcast(t->eps[0], topic, "e", channels_binary(bytes, len));
    counting = false;
    assert_int_equal(err, CHANNELS_OK);
    return all.calls - before;
}

static void read_all(trio *t)
{
    for (int i = 0; i < ENDPOINTS; i++)
        channels_endpoint_run(t->eps[i]);
}

static void one_block_for_all(void **state)
{
    trio *t = *state;
    assert_int_equal(tell(t, "nobody's", 100), 0);
    assert_int_equal(tell(t, "news", 100), 1);
    read_all(t);
    for (int i = 0; i < ENDPOINTS; i++)
        assert_int_equal(t->heard[i], 1);
}

static void used_again(void **state)
{
    trio *t = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(tell(t, "news", 100), 1);
    channels_endpoint_run(t->eps[1]);
    assert_int_equal(tell(t, "news", 100), 1); /* the third has not read one yet */
    for (int round = 0; round < 10; round++) {
        read_all(t);
        for (int i = 0; i < 10; i++)
            assert_int_equal(tell(t, "news", 100), 0);
    }
    read_all(t);
    for (int i = 0; i < ENDPOINTS; i++)
        assert_int_equal(t->heard[i], 111);
}

/* A small message does not wait in a large block. */
static void of_another_size(void **state)
{
    trio *t = *state;
    tell(t, "news", 10000);
    read_all(t);
    assert_int_equal(tell(t, "news", 100), 1);
    read_all(t);
    assert_int_equal(tell(t, "news", 10000), 1);
}

/* Of malloc's, which the endpoints' own memory comes from in the end. */
static size_t blocks(const trio *t)
{
    return all.blocks - t->memory.blocks;
}

static void no_more_is_kept(void **state)
{
    trio *t = *state;
    size_t before = blocks(t);
    for (int i = 0; i < 1000; i++)
        tell(t, "news", 1000);
    assert_int_equal(blocks(t), before + 1000);
    read_all(t);
    assert_in_range(blocks(t) - before, KEPT / 2 / 1000, (KEPT + PILE) / 1000);
    tell(t, "news", 1 << 20);
    size_t waiting = blocks(t);
    read_all(t);
    assert_int_equal(blocks(t), waiting - 1); /* too large to be kept */
}

/* Nobody hears it, and the next is heard by all. */
static void without_memory(void **state)
{
    trio *t = *state;
    channels_payload p = channels_empty();
    all.fail_at = all.calls + 1;
    counting = true;
    assert_int_equal(channels_pubsub_broadcast(t->eps[0], "news", "e", p), CHANNELS_ERR_NOMEM);
    counting = false;
    all.fail_at = 0;
    read_all(t);
    assert_int_equal(t->heard[1], 0);
    tell(t, "news", 100);
    read_all(t);
    assert_int_equal(t->heard[1], 1);
    assert_int_equal(t->heard[2], 1);
}

/* Who sent it has gone when it is read, and another is in its place. */
static void read_too_late(void **state)
{
    trio *t = *state;
    for (int i = 0; i < 10; i++)
        tell(t, "news", 100);
    channels_endpoint_free(t->eps[0]);
    t->eps[0] = NULL;
    channels_endpoint_run(t->eps[1]);
    const channels_config config = { .node = "d",
                                     .pubsub = channels_hub_adapter(),
                                     .pubsub_self = t->hub,
                                     .hooks = &t->memory,
                                     .realloc = sim_memory_realloc };
    assert_int_equal(channels_endpoint_new(&t->eps[0], &config), CHANNELS_OK);
    channels_endpoint_run(t->eps[2]);
    assert_int_equal(t->heard[2], 10);
    assert_int_equal(tell(t, "news", 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_block_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(of_another_size, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(read_too_late, setup, teardown),
    };
    warm_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("1..1\nok 1 - hub # SKIP malloc cannot be counted here");
    return 0;
}

#endif
