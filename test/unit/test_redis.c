/* test_redis.c - libchannels-redis with a real redis-server. */
#include <signal.h>

#include "unit/redis_case.h"

typedef struct redis_test {
    redis_server server;
    redis_node a, b;
} redis_test;

static channels_redis_options here(const redis_test *t)
{
    return (channels_redis_options){ .port = t->server.port };
}

static int setup(void **state)
{
    redis_test *t = calloc(1, sizeof *t);
    *state = t;
    redis_server_start(&t->server, NULL);
    channels_redis_options options = here(t);
    redis_nodes_start(&t->a, &t->b, &options);
    return 0;
}

/* One that begins without nodes, and its own server. */
static int setup_bare(void **state)
{
    *state = calloc(1, sizeof(redis_test));
    return 0;
}

static int teardown(void **state)
{
    redis_test *t = *state;
    redis_node_stop(&t->a);
    redis_node_stop(&t->b);
    redis_server_end(&t->server);
    free(t);
    return 0;
}

#define REDIS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define BARE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_bare, teardown)

static void hears(redis_node *n, redis_node *other, const char *text)
{
    redis_until(n, other, n->client->waiting != 0);
    hear(n->client, text);
}

/* What goes from one to the other and back has been handled. */
static void meet(redis_test *t)
{
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "there", channels_empty());
    hears(&t->b, &t->a, "[null,null,'room:a','there',{}]");
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "back", channels_empty());
    hear(t->b.client, "[null,null,'room:a','back',{}]");
    hear(t->a.client, "[null,null,'room:a','there',{}]");
    hears(&t->a, &t->b, "[null,null,'room:a','back',{}]");
}

static size_t redis_channels(const redis_test *t)
{
    size_t n = 0;
    const char *answer = redis_server_answer(&t->server, "PUBSUB CHANNELS *");
    for (const char *p = answer; (p = strstr(p, "\r\n$")) != NULL; p++)
        n++;
    return n;
}

static bool subscribed(const redis_test *t, const char *channel, unsigned count)
{
    char command[128], want[32];
    snprintf(command, sizeof command, "PUBSUB NUMSUB %s", channel);
    snprintf(want, sizeof want, ":%u\r\n", count);
    return strstr(redis_server_answer(&t->server, command), want) != NULL;
}

/* --- Messages ------------------------------------------------------------------------------- */

static void broadcasts_reach_both(void **state)
{
    redis_test *t = *state;
    assert_string_equal(t->a.states, "connecting;up;");
    say(t->a.client, "['1','2','room:a','shout',{'n':9007199254740993}]");
    hear(t->a.client, "[null,null,'room:a','shout',{'n':9007199254740993}]");
    hears(&t->b, &t->a, "[null,null,'room:a','shout',{'n':9007199254740993}]");
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "bytes", channels_binary("\0\r\n\xff", 4));
    hear(t->b.client, "<\\02\\06\\05room:abytes\\00\\0d\\0a\\ff>");
    hears(&t->a, &t->b, "<\\02\\06\\05room:abytes\\00\\0d\\0a\\ff>");
    meet(t);
    quiet(t->a.client); /* no echo of anything */
    quiet(t->b.client);
    assert_int_equal(redis_info(&t->a).published, 2);
    assert_int_equal(redis_info(&t->a).received, 2);
    assert_int_equal(redis_info(&t->a).dropped, 0);
    assert_int_equal(redis_info(&t->a).connects, 1);
}

static void one_node_alone(void **state)
{
    redis_test *t = *state;
    channels_pubsub_direct_broadcast(t->a.host.ep, "node-b", "room:a", "to b", channels_empty());
    hears(&t->b, &t->a, "[null,null,'room:a','to b',{}]");
    quiet(t->a.client);
    channels_pubsub_direct_broadcast(t->a.host.ep, "node-c", "room:a", "to c", channels_empty());
    meet(t);
    quiet(t->b.client);
}

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "users:1");
}

static void disconnects_everywhere(void **state)
{
    redis_test *t = *state;
    t->b.probe.connect = set_id;
    core_connect(&t->b.client, &t->b.host, V2);
    redis_until(&t->b, NULL, subscribed(t, "channels:users:1", 1));
    channels_disconnect(t->a.host.ep, "users:1");
    redis_until(&t->b, &t->a, t->b.client->code == 1001);
}

static void large_ones_and_many(void **state)
{
    redis_test *t = *state;
    size_t size = 3 << 20;
    char *json = malloc(size + 1);
    memset(json, 'x', size);
    memcpy(json, "{\"x\":\"", 6);
    strcpy(json + size - 2, "\"}");
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "large", channels_json(json));
    for (int i = 0; i < 2000; i++)
        channels_pubsub_broadcast(t->a.host.ep, "room:a", "small", channels_empty());
    redis_until(&t->b, &t->a, t->b.client->waiting == 2001);
    channels_payload got = channels_json(channels_test_hear(t->b.client));
    assert_true(got.len > size && strstr(got.data, "\"large\"") != NULL);
    assert_int_equal(redis_info(&t->a).queued, 0);
    assert_int_equal(channels_pubsub_broadcast(t->a.host.ep, "room:a", "e", channels_empty()), 0);
    free(json);
}

/* The limit of one message: not sent, and not taken from others who have a larger one. */
static void max_message(void **state)
{
    redis_test *t = *state;
    char json[3000];
    redis_node_stop(&t->a);
    redis_node_start(&t->a, "node-a",
                     &(channels_redis_options){ .port = t->server.port, .max_message = 1000 });
    redis_until(&t->a, NULL, redis_is_up(&t->a));
    snprintf(json, sizeof json, "{\"x\":\"%01000d\"}", 0);
    assert_int_equal(channels_pubsub_broadcast(t->a.host.ep, "room:a", "e", channels_json(json)),
                     CHANNELS_ERR_LIMIT);
    assert_non_null(channels_test_hear(t->a.client));
    meet(t);
    char *large = malloc(100001);
    snprintf(large, 100001, "{\"x\":\"%099000d\"}", 0);
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "e", channels_json(large));
    redis_until(&t->a, &t->b, t->a.state == CHANNELS_REDIS_DOWN);
    assert_non_null(strstr(t->a.states, "down: a message of more than 1000 bytes (max_message);"));
    free(large);
}

static void count_news(void *arg, const channels_msg *msg)
{
    (void)msg;
    ++*(unsigned *)arg;
}

/* Endpoints of a hub, one of which has the connection for all. */
static void for_a_hub(void **state)
{
    redis_test *t = *state;
    unsigned heard[2] = { 0 };
    channels_endpoint *other;
    channels_hub *hub;
    assert_int_equal(channels_hub_new(&hub, NULL), CHANNELS_OK);
    redis_node_stop(&t->a);
    t->a.hub = hub;
    redis_node_start(&t->a, "node-a", &(channels_redis_options){ .port = t->server.port });
    const channels_config config = { .pubsub = channels_hub_adapter(),
                                     .pubsub_self = hub,
                                     .log_level = CHANNELS_LOG_OFF };
    assert_int_equal(channels_endpoint_new(&other, &config), CHANNELS_OK);
    channels_pubsub_subscribe(other, "news", count_news, &heard[0], NULL);
    channels_pubsub_subscribe(t->a.host.ep, "news", count_news, &heard[1], NULL);
    redis_until(&t->a, &t->b,
                redis_is_up(&t->a) && (channels_endpoint_run(other), redis_info(&t->a).channels >= 3));
    channels_pubsub_broadcast(other, "room:a", "e", channels_empty());
    hears(&t->b, &t->a, "[null,null,'room:a','e',{}]");
    hears(&t->a, &t->b, "[null,null,'room:a','e',{}]");
    channels_pubsub_broadcast(t->b.host.ep, "news", "e", channels_empty());
    redis_until(&t->a, &t->b, (channels_endpoint_run(other), heard[0] == 1 && heard[1] == 1));
    meet(t);
    quiet(t->a.client);
    quiet(t->b.client);
    channels_endpoint_free(other);
    redis_node_stop(&t->a);
    channels_hub_free(hub);
}

/* --- Interest ------------------------------------------------------------------------------- */

static void nothing(void *arg, const channels_msg *msg)
{
    (void)arg, (void)msg;
}

static void subscribes_by_interest(void **state)
{
    redis_test *t = *state;
    assert_true(subscribed(t, "channels:room:a", 2));
    assert_true(subscribed(t, "channels:phx_node:node-b", 1));
    assert_int_equal(redis_info(&t->a).channels, 2);
    assert_int_equal(redis_channels(t), 5); /* and an inbox each */
    channels_test_close(t->a.client);
    redis_until(&t->a, NULL, redis_info(&t->a).channels == 1);
    assert_true(subscribed(t, "channels:room:a", 1));
    core_connect(&t->a.client, &t->a.host, V2);
    join(t->a.client, "room:a", "1");
    redis_until(&t->a, NULL, subscribed(t, "channels:room:a", 2));
    meet(t);
}

/* Whatever the order in which it comes, the end is what counts; and no more is written for it. */
static void back_and_forth(void **state)
{
    redis_test *t = *state;
    channels_subscription sub;
    for (int i = 0; i < 1000; i++) {
        channels_pubsub_subscribe(t->a.host.ep, "news", nothing, NULL, &sub);
        if (i % 3 == 0)
            channels_test_wait(&t->a.host, 0);
        channels_pubsub_unsubscribe(t->a.host.ep, sub);
        if (i % 5 == 0)
            channels_test_wait(&t->a.host, 0);
    }
    assert_true(redis_info(&t->a).queued < 100);
    meet(t);
    redis_until(&t->a, NULL, subscribed(t, "channels:news", 0));
    channels_pubsub_subscribe(t->a.host.ep, "news", nothing, NULL, &sub);
    channels_test_wait(&t->a.host, 0);
    channels_pubsub_unsubscribe(t->a.host.ep, sub);
    channels_test_wait(&t->a.host, 0);
    channels_pubsub_subscribe(t->a.host.ep, "news", nothing, NULL, &sub);
    redis_until(&t->a, NULL, subscribed(t, "channels:news", 1) && redis_info(&t->a).channels == 3);
}

static void many_topics(void **state)
{
    redis_test *t = *state;
    channels_subscription subs[1000];
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "topic:%d", i);
        channels_pubsub_subscribe(t->a.host.ep, name, nothing, NULL, &subs[i]);
    }
    redis_until(&t->a, NULL, redis_info(&t->a).channels == 1002);
    assert_int_equal(redis_channels(t), 1005);
    for (int i = 0; i < 1000; i++)
        if (i % 10 != 0)
            channels_pubsub_unsubscribe(t->a.host.ep, subs[i]);
    redis_until(&t->a, NULL, redis_info(&t->a).channels == 102);
    assert_int_equal(redis_channels(t), 105);
    meet(t);
}

static void prefixes_part(void **state)
{
    redis_test *t = *state;
    redis_node_stop(&t->b);
    redis_node_start(&t->b, "node-b",
                     &(channels_redis_options){ .port = t->server.port, .prefix = "other " });
    redis_until(&t->a, &t->b, redis_is_up(&t->b));
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "e", channels_empty());
    hear(t->b.client, "[null,null,'room:a','e',{}]");
    redis_until(&t->b, &t->a, redis_info(&t->b).queued == 0);
    for (int i = 0; i < 5; i++)
        redis_turn(&t->a, 1);
    quiet(t->a.client);
}

/* --- Connecting ----------------------------------------------------------------------------- */

static void by_unix_socket(void **state)
{
    redis_test *t = *state;
    redis_server_start(&t->server, NULL);
    channels_redis_options options = { .path = t->server.path };
    redis_nodes_start(&t->a, &t->b, &options);
    channels_test_expect_log(&t->a.host, t->server.path);
    meet(t);
}

static void by_name(void **state)
{
    redis_test *t = *state;
    redis_server_start(&t->server, NULL); /* not on ::1, which localhost is too in places */
    channels_redis_options options = { .host = "localhost", .port = t->server.port };
    redis_nodes_start(&t->a, &t->b, &options);
    meet(t);
    redis_node_stop(&t->b);
    options.host = "no.such.name.invalid";
    redis_node_start(&t->b, "node-b", &options);
    channels_test_wait(&t->b.host, 0);
    assert_non_null(strstr(t->b.states, "connecting;down: "));
}

static void with_password(void **state)
{
    static const char *const args[] = { "--requirepass", "secret word", NULL };
    redis_test *t = *state;
    redis_server_start(&t->server, args);
    channels_redis_options options = { .port = t->server.port, .password = "secret word" };
    redis_nodes_start(&t->a, &t->b, &options);
    meet(t);
}

static const char *const users[] = {
    "--user",   "app",        "on",           ">pass",  "resetchannels", "&channels:*", "-@all",
    "+publish", "+subscribe", "+unsubscribe", "--user", "default",       "off",         NULL
};

/* No more rights than the manual names. */
static void with_user(void **state)
{
    redis_test *t = *state;
    redis_server_start(&t->server, users);
    channels_redis_options options = { .port = t->server.port,
                                       .username = "app",
                                       .password = "pass" };
    redis_nodes_start(&t->a, &t->b, &options);
    meet(t);
    redis_node_stop(&t->b);
    options.prefix = "forbidden:";
    redis_node_start(&t->b, "node-b", &options);
    redis_until(&t->b, NULL, t->b.state == CHANNELS_REDIS_DOWN);
    assert_non_null(strstr(t->b.states, "Redis refuses: NOPERM"));
}

static void in_a_database(void **state)
{
    redis_test *t = *state;
    redis_server_start(&t->server, NULL);
    channels_redis_options options = here(t);
    redis_node_start(&t->a, "node-a", &options);
    options.database = 3;
    redis_node_start(&t->b, "node-b", &options);
    redis_until(&t->a, &t->b, redis_is_up(&t->a) && redis_is_up(&t->b));
    assert_non_null(strstr(redis_server_answer(&t->server, "CLIENT LIST"), " db=3 "));
    meet(t);
    redis_node_stop(&t->b);
    options.database = 1000000;
    redis_node_start(&t->b, "node-b", &options);
    redis_until(&t->b, NULL, t->b.state == CHANNELS_REDIS_DOWN);
    assert_non_null(strstr(t->b.states, "Redis refuses: ERR DB index is out of range"));
}

static void wrong_password(void **state)
{
    static const char *const args[] = { "--requirepass", "secret", NULL };
    static const struct {
        const char *password, *words;
    } cases[] = { { NULL, "Redis refuses: NOAUTH" }, { "other", "Redis refuses: WRONGPASS" } };
    redis_test *t = *state;
    redis_server_start(&t->server, args);
    for (unsigned i = 0; i < 2; i++) {
        redis_node_start(&t->a, "node-a",
                         &(channels_redis_options){ .port = t->server.port,
                                                    .password = cases[i].password });
        redis_until(&t->a, NULL, t->a.state == CHANNELS_REDIS_DOWN);
        assert_non_null(strstr(t->a.states, cases[i].words));
        channels_test_expect_log(&t->a.host, cases[i].words);
        redis_node_stop(&t->a);
    }
}

static void cannot_be_used(void **state)
{
    redis_test *t = *state;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[199] = '\0';
    channels_redis *redis = (channels_redis *)t;
    assert_int_equal(channels_redis_new(&redis, &(channels_redis_options){ .path = path }),
                     CHANNELS_ERR_INVALID);
    assert_null(redis);
    assert_int_equal(channels_redis_new(&redis, &(channels_redis_options){ .username = "me" }),
                     CHANNELS_ERR_INVALID);
    static const channels_redis_options invalid[] = {
        { .tls_ca = "ca" },
        { .tls_name = "name" },
        { .tls_cert = "cert", .tls_key = "key" },
        { .tls = true, .tls_cert = "cert" },
        { .tls = true, .tls_key = "key" },
        { .tls = true, .path = "path" },
        { .sharded = true, .prefix = "" },
        { .sharded = true, .prefix = "}x" },
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_int_equal(channels_redis_new(&redis, &invalid[i]), CHANNELS_ERR_INVALID);
#ifndef CHANNELS__REDIS_TLS
    assert_int_equal(channels_redis_new(&redis, &(channels_redis_options){ .tls = true }),
                     CHANNELS_ERR_UNSUPPORTED);
    assert_null(redis);
#endif
    size_t most = (size_t)512 << 20;
    assert_int_equal(channels_redis_new(&redis,
                                        &(channels_redis_options){ .max_queued = most + 1 }),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_redis_new(&redis,
                                        &(channels_redis_options){ .max_message = most + 1 }),
                     CHANNELS_ERR_INVALID);
    channels_redis_free(NULL);
    assert_int_equal(channels_redis_new(&redis, &(channels_redis_options){ .max_message = most,
                                                                           .max_queued = most }),
                     CHANNELS_OK);
    channels_redis_free(redis);
    assert_int_equal(channels_redis_new(&redis, NULL), CHANNELS_OK);
    channels_config config = { .pubsub = channels_redis_adapter(), .pubsub_self = redis };
    channels_endpoint *one, *two;
    assert_int_equal(channels_endpoint_new(&one, &config), CHANNELS_OK);
    assert_int_equal(channels_endpoint_new(&two, &config), CHANNELS_ERR_INVALID);
    channels_redis_free(redis); /* too early: nothing happens */
    channels_endpoint_free(one);
    assert_int_equal(channels_endpoint_new(&two, &config), CHANNELS_OK);
    channels_endpoint_free(two);
    channels_redis_free(redis);
    config.pubsub_self = NULL;
    assert_int_equal(channels_endpoint_new(&two, &config), CHANNELS_ERR_INVALID);
}

/* --- Trouble -------------------------------------------------------------------------------- */

static void killed_and_started_again(void **state)
{
    redis_test *t = *state;
    redis_server_kill(&t->server);
    redis_until(&t->a, &t->b, !redis_is_up(&t->a) && !redis_is_up(&t->b));
    assert_int_equal(channels_pubsub_broadcast(t->a.host.ep, "room:a", "lost", channels_empty()),
                     CHANNELS_OK);
    hear(t->a.client, "[null,null,'room:a','lost',{}]"); /* as ever */
    assert_int_equal(redis_info(&t->a).dropped, 1);
    core_connect(&t->a.client, &t->a.host, V2); /* topics change meanwhile */
    join(t->a.client, "room:a", "1");
    channels_pubsub_subscribe(t->b.host.ep, "new", nothing, NULL, NULL);
    redis_server_start(&t->server, NULL);
    for (int i = 0; !redis_is_up(&t->a) || !redis_is_up(&t->b); i++) {
        assert_true(i < 2000);
        t->a.host.now += 20;
        t->b.host.now += 20;
        redis_turn(&t->a, 2);
        redis_turn(&t->b, 0);
    }
    channels_test_expect_log(&t->a.host, "connected; 1 messages were not sent meanwhile");
    assert_true(subscribed(t, "channels:new", 1));
    meet(t);
    assert_int_equal(redis_info(&t->a).connects, 2);
}

/* It takes what comes and answers nothing. Clients here do not notice, and what waits is bounded.
 */
static void paused(void **state)
{
    redis_test *t = *state;
    channels_redis_options options = { .port = t->server.port, .max_queued = 100000 };
    redis_node_stop(&t->a);
    redis_node_start(&t->a, "node-a", &options);
    redis_until(&t->a, &t->b, redis_is_up(&t->a));
    kill(t->server.pid, SIGSTOP);
    char json[10000];
    snprintf(json, sizeof json, "{\"x\":\"%09000d\"}", 0);
    unsigned sent = 0;
    while (redis_info(&t->a).dropped < 10 && sent < 100000) {
        assert_int_equal(channels_pubsub_broadcast(t->a.host.ep, "room:a", "e",
                                                   channels_json(json)),
                         CHANNELS_OK);
        assert_non_null(channels_test_hear(t->a.client));
        assert_true(redis_info(&t->a).queued <= 100000);
        channels_test_wait(&t->a.host, 0);
        sent++;
    }
    assert_int_equal(redis_info(&t->a).dropped, 10);
    channels_test_expect_log(&t->a.host, "more than 100000 bytes wait");
    assert_null(strstr(t->a.host.log, "bytes wait")); /* once */
    kill(t->server.pid, SIGCONT);
    for (unsigned heard = 0; heard < sent - 10; heard++) {
        redis_until(&t->a, &t->b, t->b.client->waiting != 0);
        channels_test_hear(t->b.client);
    }
    channels_test_expect_log(&t->a.host, "takes messages again; 10 were not sent meanwhile");
    assert_int_equal(redis_info(&t->a).queued, 0);
}

/* One that answers nothing is left, in two times ping_ms. */
static void hangs(void **state)
{
    redis_test *t = *state;
    for (int i = 0; i < 10; i++) { /* while it answers nothing happens */
        channels_test_wait(&t->a.host, 10000);
        for (int j = 0; j < 5; j++)
            redis_turn(&t->a, 1);
    }
    meet(t);
    assert_string_equal(t->a.states, "connecting;up;");
    kill(t->server.pid, SIGSTOP);
    channels_test_wait(&t->a.host, 9999);
    channels_test_wait(&t->a.host, 9999);
    assert_true(redis_is_up(&t->a));
    channels_test_wait(&t->a.host, 2);
    assert_string_equal(t->a.states, "connecting;up;down: no answer for 10000 ms;");
    kill(t->server.pid, SIGCONT);
    channels_test_wait(&t->a.host, 100);
    redis_until(&t->a, &t->b, redis_is_up(&t->a));
    meet(t);
}

/* Its loop stood still for long: what came meanwhile counts. */
static void host_was_busy(void **state)
{
    redis_test *t = *state;
    for (int i = 0; i < 5; i++) {
        channels_test_wait(&t->a.host, 10000); /* a ping leaves */
        redis_turn(&t->b, 20);                 /* and comes back, unseen */
        t->a.host.now += 100000;
        channels_test_wait(&t->a.host, 0);
        redis_turn(&t->b, 20);
    }
    assert_true(redis_is_up(&t->a));
    meet(t);
}

/* Before it ends a node gets rid of what it said last. */
static void last_words(void **state)
{
    redis_test *t = *state;
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "bye", channels_empty());
    redis_node_stop(&t->a);
    hears(&t->b, NULL, "[null,null,'room:a','bye',{}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REDIS_TEST(broadcasts_reach_both),
        REDIS_TEST(one_node_alone),
        REDIS_TEST(disconnects_everywhere),
        REDIS_TEST(large_ones_and_many),
        REDIS_TEST(max_message),
        REDIS_TEST(for_a_hub),
        REDIS_TEST(subscribes_by_interest),
        REDIS_TEST(back_and_forth),
        REDIS_TEST(many_topics),
        REDIS_TEST(prefixes_part),
        BARE_TEST(by_unix_socket),
        BARE_TEST(by_name),
        BARE_TEST(with_password),
        BARE_TEST(with_user),
        BARE_TEST(in_a_database),
        BARE_TEST(wrong_password),
        BARE_TEST(cannot_be_used),
        REDIS_TEST(killed_and_started_again),
        REDIS_TEST(paused),
        REDIS_TEST(hangs),
        REDIS_TEST(host_was_busy),
        REDIS_TEST(last_words),
    };
    if (!redis_server_is_there())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
