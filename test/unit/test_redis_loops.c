/* test_redis_loops.c - libev_redis.h, libuv_redis.h and poll_redis.h with a real redis-server,
 * which is taken away and comes back: descriptors change. The clock is the machine's. */
#include "unit/redis_case.h"

#include <channels/adapters/libev_redis.h>
#include <channels/adapters/libuv_redis.h>
#include <channels/adapters/poll_redis.h>

typedef struct loop_host {
    channels_endpoint *ep;
    channels_redis *redis;
    unsigned heard;
    /* Of the loop in hand: */
    struct ev_loop *ev_loop;
    ev_timer ev_timer;
    channels_ev ev;
    channels_ev_redis ev_redis;
    uv_loop_t uv_loop;
    uv_timer_t uv_timer;
    channels_uv uv;
    channels_uv_redis uv_redis;
    channels_poll poll;
    channels_poll_listener listener;
    channels_poll_redis poll_redis;
} loop_host;

typedef struct kind {
    void (*start)(loop_host *h);
    void (*stop)(loop_host *h);     /* frees the endpoint, too */
    void (*run_once)(loop_host *h); /* for 5 ms at most */
} kind;

/* --- libev ---------------------------------------------------------------------------------- */

static void on_ev_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
}

static void ev_loop_start(loop_host *h)
{
    h->ev_loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer_init(&h->ev_timer, on_ev_timer, 0.005, 0.005);
    ev_timer_start(h->ev_loop, &h->ev_timer);
    assert_int_equal(channels_ev_start(&h->ev, h->ev_loop, h->ep), 0);
    channels_ev_redis_start(&h->ev_redis, &h->ev, h->redis);
}

static void ev_loop_stop(loop_host *h)
{
    channels_ev_redis_stop(&h->ev_redis);
    channels_ev_stop(&h->ev);
    ev_loop_destroy(h->ev_loop);
    channels_endpoint_free(h->ep);
}

static void ev_loop_run_once(loop_host *h)
{
    ev_run(h->ev_loop, EVRUN_ONCE);
}

/* --- libuv ---------------------------------------------------------------------------------- */

static void on_uv_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void uv_loop_start(loop_host *h)
{
    assert_int_equal(uv_loop_init(&h->uv_loop), 0);
    assert_int_equal(uv_timer_init(&h->uv_loop, &h->uv_timer), 0);
    assert_int_equal(uv_timer_start(&h->uv_timer, on_uv_timer, 5, 5), 0);
    assert_int_equal(channels_uv_start(&h->uv, &h->uv_loop, h->ep), 0);
    channels_uv_redis_start(&h->uv_redis, &h->uv, h->redis);
}

/* The endpoint first, so that it has its connections forgotten. */
static void uv_loop_stop(loop_host *h)
{
    channels_uv_stop(&h->uv, NULL, NULL);
    channels_endpoint_free(h->ep);
    channels_uv_redis_stop(&h->uv_redis);
    uv_close((uv_handle_t *)&h->uv_timer, NULL);
    assert_int_equal(uv_run(&h->uv_loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&h->uv_loop), 0);
}

static void uv_loop_run_once(loop_host *h)
{
    uv_run(&h->uv_loop, UV_RUN_ONCE);
}

/* --- poll() --------------------------------------------------------------------------------- */

static void poll_start(loop_host *h)
{
    assert_int_equal(channels_poll_start(&h->poll, h->ep), 0);
    channels_poll_redis_start(&h->poll_redis, &h->poll, h->redis);
    assert_int_equal(channels_poll_listen(&h->poll, &h->listener, "127.0.0.1", 0, 0), 0);
}

static void poll_stop(loop_host *h)
{
    channels_poll_redis_stop(&h->poll_redis);
    assert_int_equal(h->poll.count, 2); /* to be woken, and to listen */
    channels_poll_stop(&h->poll);
    channels_endpoint_free(h->ep);
}

static void poll_run_once(loop_host *h)
{
    assert_int_equal(channels_poll_run_once(&h->poll, 5), 0);
}

/* --- All of them ---------------------------------------------------------------------------- */

static const kind libev = { ev_loop_start, ev_loop_stop, ev_loop_run_once };
static const kind libuv = { uv_loop_start, uv_loop_stop, uv_loop_run_once };
static const kind bare = { poll_start, poll_stop, poll_run_once };

static void on_news(void *arg, const channels_msg *msg)
{
    loop_host *h = arg;
    (void)msg;
    h->heard++;
}

static void begin(loop_host *h, const kind *l, const redis_server *server)
{
    channels_redis_options options = { .port = server->port, .retry_ms = 20, .retry_max_ms = 20 };
    memset(h, 0, sizeof *h);
    assert_int_equal(channels_redis_new(&h->redis, &options), CHANNELS_OK);
    channels_config config = { .pubsub = channels_redis_adapter(),
                               .pubsub_self = h->redis,
                               .log_level = CHANNELS_LOG_OFF };
    assert_int_equal(channels_endpoint_new(&h->ep, &config), CHANNELS_OK);
    channels_pubsub_subscribe(h->ep, "news", on_news, h, NULL);
    l->start(h);
}

static void until_state(loop_host *h, const kind *l, channels_redis_state state)
{
    channels_redis_info info;
    for (int i = 0; channels_redis_get_info(h->redis, &info), info.state != state; i++) {
        assert_true(i < 2000);
        l->run_once(h);
    }
}

/* From `a` to `b`: many, large ones, which do not all fit into the socket at once. */
static void send_news(loop_host *a, loop_host *b, const kind *l)
{
    static char json[200001];
    snprintf(json, sizeof json, "{\"x\":\"%0199000d\"}", 0);
    unsigned before = b->heard;
    for (int i = 0; i < 50; i++)
        channels_pubsub_broadcast(a->ep, "news", "e", channels_json(json));
    for (int i = 0; b->heard != before + 50; i++) {
        assert_true(i < 2000);
        l->run_once(a);
        l->run_once(b);
    }
}

static void drives_it(const kind *l)
{
    redis_server server = { 0 };
    loop_host a, b;
    redis_server_start(&server, NULL);
    begin(&a, l, &server);
    begin(&b, l, &server);
    for (int i = 0; i < 2; i++) {
        until_state(&a, l, CHANNELS_REDIS_UP);
        until_state(&b, l, CHANNELS_REDIS_UP);
        send_news(&a, &b, l);
        send_news(&b, &a, l);
        redis_server_kill(&server);
        until_state(&a, l, CHANNELS_REDIS_DOWN);
        until_state(&b, l, CHANNELS_REDIS_DOWN);
        redis_server_start(&server, NULL);
    }
    until_state(&a, l, CHANNELS_REDIS_UP);
    l->stop(&a);
    l->stop(&b);
    channels_redis_free(a.redis);
    channels_redis_free(b.redis);
    redis_server_end(&server);
}

static void on_libev(void **state)
{
    (void)state;
    drives_it(&libev);
}

static void on_libuv(void **state)
{
    (void)state;
    drives_it(&libuv);
}

static void on_poll(void **state)
{
    (void)state;
    drives_it(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_libev),
        cmocka_unit_test(on_libuv),
        cmocka_unit_test(on_poll),
    };
    if (!redis_server_is_there())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
