/* test_redis_memory.c - the life of a node whose memory runs out, malloc()'s and with it hiredis',
 * at each allocation once: that one alone, or all from then on. Nothing crashes or is lost, and
 * when there is memory again it connects and hears what others say. */
#include <poll.h>

#include "sim/malloc.h"
#include "unit/redis_case.h"

#if HAVE_MALLOC

/* --- A node without any memory of the test's own --------------------------------------------- */

typedef struct lone {
    channels_endpoint *ep;
    channels_redis *redis;
    sim_memory memory; /* of the endpoint: enough */
    uint64_t now;
    unsigned heard;
    struct pollfd fds[2];
} lone;

static redis_server server;
static redis_node other;

static uint64_t now_ms(void *hooks)
{
    return ((lone *)((char *)hooks - offsetof(lone, memory)))->now;
}

static void watch(void *arg, int fd, unsigned events)
{
    lone *l = arg;
    int at = l->fds[1].fd == fd || (l->fds[0].fd != fd && l->fds[0].fd >= 0);
    l->fds[at].fd = events != 0 ? fd : -1;
    l->fds[at].events = (short)(((events & CHANNELS_REDIS_READ) != 0 ? POLLIN : 0) |
                                ((events & CHANNELS_REDIS_WRITE) != 0 ? POLLOUT : 0));
}

static void on_news(void *arg, const channels_msg *msg)
{
    (void)msg;
    ((lone *)arg)->heard++;
}

static void turn(lone *l)
{
    redis_turn(&other, 0);
    l->now += 20;
    bool before = counting;
    counting = all.fail_at != 0 || before;
    channels_endpoint_run(l->ep);
    int n = poll(l->fds, 2, 1);
    for (int i = 0; i < 2 && n > 0; i++)
        if (l->fds[i].revents != 0)
            channels_redis_ready(l->redis, l->fds[i].fd,
                                 CHANNELS_REDIS_READ | CHANNELS_REDIS_WRITE);
    counting = before;
}

static bool is_up(const lone *l)
{
    channels_redis_info info;
    channels_redis_get_info(l->redis, &info);
    return info.state == CHANNELS_REDIS_UP;
}

/* --- A life ---------------------------------------------------------------------------------- */

static bool begin(lone *l)
{
    const channels_redis_options options = { .port = server.port };
    memset(l, 0, sizeof *l);
    l->fds[0].fd = l->fds[1].fd = -1;
    counting = true;
    int err = channels_redis_new(&l->redis, &options);
    counting = false;
    assert_true(err == CHANNELS_OK || err == CHANNELS_ERR_NOMEM);
    const channels_config config = { .node = "lone",
                                     .realloc = sim_memory_realloc,
                                     .now_ms = now_ms,
                                     .hooks = &l->memory,
                                     .log_level = CHANNELS_LOG_OFF,
                                     .pubsub = channels_redis_adapter(),
                                     .pubsub_self = l->redis };
    if (err != CHANNELS_OK)
        return false;
    assert_int_equal(channels_endpoint_new(&l->ep, &config), CHANNELS_OK);
    channels_redis_on_watch(l->redis, watch, l);
    return true;
}

static void go_on(lone *l)
{
    channels_subscription sub;
    char topic[16];
    for (int i = 0; i < 4; i++)
        turn(l);
    counting = true;
    for (int i = 0; i < 5; i++) {
        snprintf(topic, sizeof topic, "topic:%d", i);
        channels_pubsub_subscribe(l->ep, topic, on_news, l, &sub);
        channels_pubsub_broadcast(l->ep, "room:a", "e", channels_empty());
    }
    channels_pubsub_unsubscribe(l->ep, sub);
    counting = false;
    for (int i = 0; i < 3; i++) {
        channels_pubsub_broadcast(other.host.ep, "topic:0", "e", channels_empty());
        turn(l);
    }
}

/* Messages get through again. */
static void recover(lone *l)
{
    all.fail_at = 0;
    all.fail_on = false;
    unsigned heard = l->heard;
    channels_pubsub_subscribe(l->ep, "recovered", on_news, l, NULL);
    for (int i = 0; l->heard == heard; i++) {
        assert_true(i < 3000);
        if (is_up(l))
            channels_pubsub_broadcast(other.host.ep, "recovered", "e", channels_empty());
        turn(l);
    }
    while (channels_test_hear(other.client) != NULL)
        ;
}

/* One life; how many allocations it made until it had recovered. */
static size_t live(size_t fail_at, bool fail_on)
{
    lone l;
    all.calls = 0;
    all.fail_at = fail_at;
    all.fail_on = fail_on;
    if (begin(&l)) {
        go_on(&l);
        recover(&l);
        channels_endpoint_free(l.ep);
        assert_int_equal(l.memory.blocks, 0);
    }
    all.fail_at = 0;
    channels_redis_free(l.redis);
    return all.calls;
}

static void lives(void **state)
{
    (void)state;
    live(0, false);
    live(0, false);
    size_t n = live(SIZE_MAX, false), lost = 0;
    assert_in_range(n, 40, 1000);
    for (size_t i = 1; i <= n; i++)
        for (int on = 0; on < 2; on++) {
            size_t before = all.blocks;
            live(i, on);
            lost += all.blocks - before;
        }
    assert_int_equal(lost, 0);
}

static int setup(void **state)
{
    (void)state;
    redis_server_start(&server, NULL);
    redis_node_start(&other, "other", &(channels_redis_options){ .port = server.port });
    redis_until(&other, NULL, other.state == CHANNELS_REDIS_UP);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_node_stop(&other);
    redis_server_end(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(lives, setup, teardown) };
    if (!redis_server_is_there())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("1..1\nok 1 - redis # SKIP malloc cannot be made to fail here");
    return 0;
}

#endif
