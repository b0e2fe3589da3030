/* test_redis_tls.c - libchannels-redis with a real redis-server within TLS. */
#include "unit/redis_case.h"

#ifdef CHANNELS__REDIS_TLS
#include <openssl/err.h>
#include <signal.h>

#include "unit/tls_client.h"

#define SERVER_NAME "redis.test"

typedef struct tls_test {
    char dir[64]; /* of certificates: the server's, the client's and another's */
    char server_cert[128], server_key[128], client_cert[128], client_key[128], other_cert[128];
    redis_server server; /* who wants a certificate of its clients */
    channels_redis_options options;
    redis_node a, b;
} tls_test;

static void make_certificates(tls_test *t)
{
    tls_files_begin(t->dir);
    tls_files_add(t->dir, SERVER_NAME, NULL);
    tls_files_add(t->dir, "client", NULL);
    tls_files_add(t->dir, "other", "password");
    snprintf(t->server_cert, sizeof t->server_cert, "%s/" SERVER_NAME ".pem", t->dir);
    snprintf(t->server_key, sizeof t->server_key, "%s/" SERVER_NAME ".key", t->dir);
    snprintf(t->client_cert, sizeof t->client_cert, "%s/client.pem", t->dir);
    snprintf(t->client_key, sizeof t->client_key, "%s/client.key", t->dir);
    snprintf(t->other_cert, sizeof t->other_cert, "%s/other.pem", t->dir);
}

static void start_server(tls_test *t)
{
    char port[8];
    const char *args[] = { "--tls-port",
                           port,
                           "--tls-cert-file",
                           t->server_cert,
                           "--tls-key-file",
                           t->server_key,
                           "--tls-ca-cert-file",
                           t->client_cert,
                           NULL };
    if (t->options.port == 0)
        t->options.port = redis_free_port();
    snprintf(port, sizeof port, "%u", (unsigned)t->options.port);
    redis_server_start(&t->server, args);
}

static int setup(void **state)
{
    tls_test *t = calloc(1, sizeof *t);
    *state = t;
    make_certificates(t);
    start_server(t);
    t->options.tls = true;
    t->options.tls_ca = t->server_cert;
    t->options.tls_cert = t->client_cert;
    t->options.tls_key = t->client_key;
    t->options.tls_name = SERVER_NAME;
    return 0;
}

static int teardown(void **state)
{
    tls_test *t = *state;
    redis_node_stop(&t->a);
    redis_node_stop(&t->b);
    redis_server_end(&t->server);
    tls_files_end(t->dir);
    free(t);
    return 0;
}

static void meet(tls_test *t)
{
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "there", channels_empty());
    redis_until(&t->b, &t->a, t->b.client->waiting != 0);
    hear(t->b.client, "[null,null,'room:a','there',{}]");
    hear(t->a.client, "[null,null,'room:a','there',{}]");
}

static void fails(tls_test *t, const char *words)
{
    redis_node_start(&t->a, "node-a", &t->options);
    for (int i = 0; t->a.state != CHANNELS_REDIS_DOWN; i++) {
        assert_true(i < 3000);
        redis_turn(&t->a, 2);
        t->a.host.now += i < 1000 ? 0 : 10;
    }
    if (strstr(t->a.states, words) == NULL || strstr(t->a.states, "up;") != NULL)
        fail_msg("not '%s': %s", words, t->a.states);
    assert_int_equal(ERR_peek_error(), 0);
    redis_node_stop(&t->a);
}

/* --- It works ------------------------------------------------------------------------------- */

/* With more at once than fits into a record of TLS, or a socket. */
static void messages(void **state)
{
    tls_test *t = *state;
    size_t size = 3 << 20;
    char *json = malloc(size + 1);
    memset(json, 'x', size);
    memcpy(json, "{\"x\":\"", 6);
    strcpy(json + size - 2, "\"}");
    redis_nodes_start(&t->a, &t->b, &t->options);
    meet(t);
    for (unsigned i = 0; i < 3; i++) {
        channels_pubsub_broadcast(t->a.host.ep, "room:a", "large", channels_json(json));
        redis_turn(&t->a, 0);
        channels_pubsub_broadcast(t->a.host.ep, "room:a", "small", channels_empty());
        redis_until(&t->b, &t->a, t->b.client->waiting == 2);
        assert_true(channels_json(channels_test_hear(t->b.client)).len > size);
        hear(t->b.client, "[null,null,'room:a','small',{}]");
    }
    assert_int_equal(redis_info(&t->a).queued, 0);
    free(json);
}

static void comes_back(void **state)
{
    tls_test *t = *state;
    redis_nodes_start(&t->a, &t->b, &t->options);
    redis_server_kill(&t->server);
    redis_until(&t->a, &t->b, !redis_is_up(&t->a) && !redis_is_up(&t->b));
    start_server(t);
    for (int i = 0; !redis_is_up(&t->a) || !redis_is_up(&t->b); i++) {
        assert_true(i < 2000);
        t->a.host.now += 20;
        t->b.host.now += 20;
        redis_turn(&t->a, 2);
        redis_turn(&t->b, 0);
    }
    meet(t);
}

/* OpenSSL's errors of a thread are in one queue: what the host left there is not taken for ours. */
static void errors_of_the_host(void **state)
{
    tls_test *t = *state;
    redis_node_start(&t->a, "node-a", &t->options);
    for (int i = 0; !redis_is_up(&t->a); i++) {
        assert_true(i < 4000);
        ERR_raise(ERR_LIB_USER, 1);
        redis_turn(&t->a, 2);
    }
    for (int i = 0; i < 2; i++) { /* nothing has come */
        ERR_raise(ERR_LIB_USER, 1);
        channels_redis_ready(t->a.redis, t->a.watched[i].fd, CHANNELS_REDIS_READ);
        assert_int_equal(ERR_peek_error(), 0);
    }
    assert_string_equal(t->a.states, "connecting;up;");
}

/* --- It does not ---------------------------------------------------------------------------- */

static void wrong_name(void **state)
{
    tls_test *t = *state;
    t->options.tls_name = "other.test";
    fails(t, "down: TLS: hostname mismatch");
    t->options.tls_name = NULL; /* 127.0.0.1 */
    fails(t, "down: TLS: IP address mismatch");
}

static void unknown_certificate(void **state)
{
    tls_test *t = *state;
    t->options.tls_ca = t->other_cert;
    fails(t, "down: TLS: self-signed certificate");
    t->options.tls_ca = NULL;
    fails(t, "down: TLS: self-signed certificate");
}

/* Redis says so, but closes at once: which of the two is seen first depends. */
static void shows_no_certificate(void **state)
{
    tls_test *t = *state;
    t->options.tls_cert = t->options.tls_key = NULL;
    fails(t, "down: ");
}

static void unusable_files(void **state)
{
    tls_test *t = *state;
    char path[128];
    t->options.tls_ca = "/nonexistent/ca.pem";
    fails(t, "down: TLS: tls_ca: No such file or directory");
    t->options.tls_ca = t->client_key;
    fails(t, "down: TLS: tls_ca: no certificate or crl found");
    t->options.tls_ca = t->server_cert;
    t->options.tls_cert = t->client_key;
    fails(t, "down: TLS: tls_cert: no start line");
    t->options.tls_cert = t->client_cert;
    t->options.tls_key = t->server_key;
    fails(t, "down: TLS: tls_key: key values mismatch");
    snprintf(path, sizeof path, "%s/other.key", t->dir); /* nobody is asked for the password */
    t->options.tls_cert = t->other_cert;
    t->options.tls_key = path;
    fails(t, "down: TLS: tls_key: ");
}

/* Who does not speak it may answer anything, or nothing. */
static void plain_server(void **state)
{
    tls_test *t = *state;
    t->options.port = t->server.port;
    fails(t, "down: ");
}

static void plain_client(void **state)
{
    tls_test *t = *state;
    t->options = (channels_redis_options){ .port = t->options.port };
    fails(t, "down: ");
}

/* A handshake that waits for the other side has the loop wait, too. */
static void does_not_spin(void **state)
{
    tls_test *t = *state;
    kill(t->server.pid, SIGSTOP);
    redis_node_start(&t->a, "node-a", &t->options);
    for (int i = 0; i < 10; i++)
        redis_turn(&t->a, 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(t->a.watched[i].events, CHANNELS_REDIS_READ);
    assert_true(channels_endpoint_timeout(t->a.host.ep) > 0);
    kill(t->server.pid, SIGCONT);
    redis_until(&t->a, NULL, redis_is_up(&t->a));
}

#define TLS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(messages),       TLS_TEST(comes_back),          TLS_TEST(errors_of_the_host),
        TLS_TEST(wrong_name),     TLS_TEST(unknown_certificate), TLS_TEST(shows_no_certificate),
        TLS_TEST(unusable_files), TLS_TEST(plain_server),        TLS_TEST(plain_client),
        TLS_TEST(does_not_spin),
    };
    if (!redis_server_is_there())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("1..1\nok 1 - redis # SKIP needs hiredis_ssl");
    return 0;
}

#endif
