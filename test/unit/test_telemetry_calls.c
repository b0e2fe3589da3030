/* test_telemetry_calls.c - what the functions of config.telemetry may call: everything, and the
 * client sees nothing that it would not see otherwise. */
#include <channels/telemetry.h>

#include "unit/core_case.h"

static int (*connected)(const channels_socket_connected *e);
static int (*joined)(const channels_channel_joined *e);
static int result; /* of the former */

static void on_connected(void *user, const channels_socket_connected *e)
{
    (void)user;
    if (connected != NULL)
        result = connected(e);
}

static void on_joined(void *user, const channels_channel_joined *e)
{
    (void)user;
    if (joined != NULL)
        result = joined(e);
}

static const channels_telemetry telemetry = { .socket_connected = on_connected,
                                              .channel_joined = on_joined };

static void begin(core_case *t)
{
    connected = NULL;
    joined = NULL;
    result = 1;
    core_case_restart(t, &(channels_config){ .telemetry = &telemetry }, NULL);
}

static int refuse(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return CHANNELS_REFUSE;
}

/* --- Connects ----------------------------------------------------------------------------- */

static int refuse_again(const channels_socket_connected *e)
{
    return channels_refuse(e->socket, &(channels_response){ .status = 429 });
}

static void a_decision_stands(void **state)
{
    core_case *t = *state;
    begin(t);
    connected = refuse_again;
    core_connect(&t->a, &t->host, V2);
    assert_int_equal(result, CHANNELS_ERR_INVALID);
    assert_non_null(t->a->socket);
    join(t->a, "room:a", "1");
    t->probe.connect = refuse;
    core_connect(&t->b, &t->host, V2);
    assert_int_equal(result, CHANNELS_ERR_INVALID);
    assert_null(t->b->socket);
    assert_int_equal(t->b->status, 403);
}

static int put_off(const channels_socket_connected *e)
{
    channels_ref ref;
    return channels_connect_later(e->socket, &ref);
}

static void it_is_too_late_for_later(void **state)
{
    core_case *t = *state;
    begin(t);
    connected = put_off;
    core_connect(&t->a, &t->host, V2);
    assert_int_equal(result, CHANNELS_ERR_INVALID);
    join(t->a, "room:a", "1");
}

static int name_and_disconnect(const channels_socket_connected *e)
{
    int err = channels_socket_set_id(e->socket, "users:1");
    return err == CHANNELS_OK ? channels_disconnect(channels_socket_endpoint(e->socket), "users:1")
                              : err;
}

/* As in connect(): what is said to the id before the client is in does not reach it. */
static void not_in_yet(void **state)
{
    core_case *t = *state;
    begin(t);
    connected = name_and_disconnect;
    core_connect(&t->a, &t->host, V2);
    assert_int_equal(result, CHANNELS_OK);
    assert_int_equal(t->a->code, 0);
    join(t->a, "room:a", "1");
    channels_disconnect(t->host.ep, "users:1");
    assert_int_equal(t->a->code, 1001);
}

/* --- Joins -------------------------------------------------------------------------------- */

static int shout(const channels_channel_joined *e)
{
    return channels_pubsub_broadcast(channels_channel_endpoint(e->channel), e->topic, "came",
                                     channels_empty());
}

/* The reply to its join is the first that a client hears of a topic. */
static void reply_comes_first(void **state)
{
    core_case *t = *state;
    begin(t);
    joined = shout;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    assert_int_equal(result, CHANNELS_OK);
    hear(t->a, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    hear(t->a, "[null,null,'room:a','came',{}]");
}

static int hang_up(const channels_channel_joined *e)
{
    return channels_socket_close(channels_channel_socket(e->channel), 1008);
}

static void client_is_closed(void **state)
{
    core_case *t = *state;
    begin(t);
    joined = hang_up;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    assert_int_equal(result, CHANNELS_OK);
    assert_int_equal(t->a->code, 1008);
    traced(t, "connect;join room:a phx_join {};"
              "terminate room:a disconnected;disconnect disconnected;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_decision_stands), CORE_TEST(it_is_too_late_for_later), CORE_TEST(not_in_yet),
        CORE_TEST(reply_comes_first), CORE_TEST(client_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
