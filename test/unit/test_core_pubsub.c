/* test_core_pubsub.c - functions that listen, and channels that listen to other topics. */
#include <channels/pubsub.h>
#include <cjson/cJSON.h>

#include "unit/core_case.h"

/* --- Functions ---------------------------------------------------------------------------- */

typedef struct listener {
    core_case *t;
    const char *name;
    channels_subscription sub;
    channels_subscription ends; /* which it unsubscribes */
} listener;

static void listen_to(void *arg, const channels_msg *msg)
{
    listener *l = arg;
    probe_note(&l->t->probe, "%s %s %s %.*s;", l->name, msg->topic, msg->event,
               (int)msg->payload.len, (const char *)msg->payload.data);
    if (l->ends.id != 0)
        channels_pubsub_unsubscribe(l->t->host.ep, l->ends);
}

static void subscribe(listener *l, core_case *t, const char *name, const char *topic)
{
    l->t = t;
    l->name = name;
    l->ends.id = 0;
    assert_int_equal(channels_pubsub_subscribe(t->host.ep, topic, listen_to, l, &l->sub),
                     CHANNELS_OK);
    assert_true(l->sub.id != 0);
}

static void functions_listen(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    listener one, two, other;
    subscribe(&one, t, "one", "news");
    subscribe(&two, t, "two", "news");
    subscribe(&other, t, "other", "newspaper");
    assert_int_equal(channels_pubsub_broadcast(ep, "news", "e", json("{'n':1}")), CHANNELS_OK);
    traced(t, "one news e {'n':1};two news e {'n':1};");
    channels_pubsub_broadcast_from(ep, one.sub, "news", "e", channels_empty());
    traced(t, "two news e {};");
    channels_pubsub_broadcast_from(ep, other.sub, "news", "e", channels_empty());
    traced(t, "one news e {};two news e {};");
    channels_pubsub_local_broadcast(ep, "news", "e", channels_binary("<3>", 3));
    traced(t, "one news e <3>;two news e <3>;");
    channels_pubsub_unsubscribe(ep, one.sub);
    channels_pubsub_unsubscribe(ep, one.sub);
    channels_pubsub_broadcast_from(ep, one.sub, "news", "e", channels_empty());
    traced(t, "two news e {};");
    channels_pubsub_unsubscribe(ep, two.sub);
    channels_pubsub_broadcast(ep, "news", "e", channels_empty());
    channels_pubsub_broadcast(ep, "nobody", "e", channels_empty());
    traced(t, "");
}

static void the_same_twice(void **state)
{
    core_case *t = *state;
    listener l;
    subscribe(&l, t, "l", "news");
    channels_subscription first = l.sub;
    subscribe(&l, t, "l", "news");
    assert_true(first.id != l.sub.id);
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    traced(t, "l news e {};l news e {};");
    channels_pubsub_unsubscribe(t->host.ep, first);
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    traced(t, "l news e {};");
}

/* One that ends while a broadcast is on its way to it does not hear it. */
static void unsubscribe_while_queued(void **state)
{
    core_case *t = *state;
    listener one, two;
    subscribe(&one, t, "one", "news");
    subscribe(&two, t, "two", "news");
    one.ends = two.sub;
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    traced(t, "one news e {};");
    one.ends = one.sub;
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    traced(t, "one news e {};");
}

static void tree_of(void *arg, const channels_msg *msg)
{
    core_case *t = arg;
    const cJSON *tree = channels_msg_json(msg);
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(tree, "n");
    probe_note(&t->probe, "n=%d;", cJSON_IsNumber(n) ? n->valueint : -1);
}

static void functions_get_trees(void **state)
{
    core_case *t = *state;
    assert_int_equal(channels_pubsub_subscribe(t->host.ep, "news", tree_of, t, NULL), CHANNELS_OK);
    channels_pubsub_broadcast(t->host.ep, "news", "e", json("{'n':7}"));
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_binary("x", 1));
    traced(t, "n=7;n=-1;");
}

/* Two functions that answer each other for ever must not keep the host's loop from turning. */
typedef struct pingpong {
    core_case *t;
    const char *other;
    unsigned count;
} pingpong;

static void hit(void *arg, const channels_msg *msg)
{
    pingpong *p = arg;
    p->count++;
    channels_pubsub_broadcast(p->t->host.ep, p->other, msg->event, msg->payload);
}

static void endless_talk(void **state)
{
    core_case *t = *state;
    pingpong a = { t, "b", 0 }, b = { t, "a", 0 };
    channels_subscription sub;
    channels_pubsub_subscribe(t->host.ep, "a", hit, &a, &sub);
    channels_pubsub_subscribe(t->host.ep, "b", hit, &b, NULL);
    channels_pubsub_broadcast(t->host.ep, "a", "ball", channels_empty());
    for (int i = 0; i < 10; i++) {
        assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
        channels_endpoint_run(t->host.ep);
    }
    assert_in_range(a.count + b.count, 10, 40);
    channels_pubsub_unsubscribe(t->host.ep, sub);
    for (int i = 0; i < 3; i++)
        channels_endpoint_run(t->host.ep);
    assert_true(channels_endpoint_timeout(t->host.ep) == UINT64_MAX);
}

/* --- Channels and functions hear the same ------------------------------------------------- */

static void channels_and_functions(void **state)
{
    core_case *t = *state;
    listener l;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    subscribe(&l, t, "l", "room:a");
    t->probe.trace[0] = '\0';
    say(t->a, "['1','2','room:a','shout',{}]");
    hear(t->a, "[null,null,'room:a','shout',{}]");
    traced(t, "in room:a shout {};l room:a shout {};");
    channels_pubsub_broadcast_from(t->host.ep, l.sub, "room:a", "e", channels_empty());
    hear(t->a, "[null,null,'room:a','e',{}]");
    traced(t, "");
}

/* --- Channels on other topics ------------------------------------------------------------- */

static int subscribe_to_news(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_subscribe(ch, "news");
    return CHANNELS_OK;
}

static int news_in(channels_channel *ch, const channels_msg *msg, probe *p)
{
    if (strcmp(msg->event, "again") == 0)
        return channels_subscribe(ch, "news");
    if (strcmp(msg->event, "own") == 0)
        return channels_subscribe(ch, channels_channel_topic(ch));
    if (strcmp(msg->event, "no more") == 0)
        channels_unsubscribe(ch, "news");
    if (strcmp(msg->event, "tell") == 0)
        return channels_broadcast(ch, "told", msg->payload);
    if (strcmp(msg->event, "tell_others") == 0)
        return channels_broadcast_from(ch, "told", msg->payload);
    (void)p;
    return CHANNELS_OK;
}

static int forward(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    return channels_push(ch, msg->event, msg->payload);
}

static void channels_subscribe_too(void **state)
{
    core_case *t = *state;
    t->probe.join = subscribe_to_news;
    t->probe.handle_in = news_in;
    t->probe.handle_broadcast = forward;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.trace[0] = '\0';
    channels_pubsub_broadcast(t->host.ep, "news", "secret", json("{'n':1}"));
    traced(t, "broadcast room:a<-news secret {'n':1};");
    hear(t->a, "['1',null,'room:a','secret',{'n':1}]");
    say(t->a, "['1','2','room:a','again',{}]");
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    hear(t->a, "['1',null,'room:a','e',{}]");
    hear(t->a, "['1',null,'room:a','e',{}]");
    say(t->a, "['1','2','room:a','no more',{}]");
    say(t->a, "['1','2','room:a','no more',{}]");
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    quiet(t->a);
    say(t->a, "['1','2','room:a','again',{}]");
    say(t->a, "['1','2','room:a','phx_leave',{}]");
    t->probe.trace[0] = '\0';
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    traced(t, "");
}

/* Subscribed to its own topic it hears a broadcast in both ways, and its own _from in none. */
static void own_topic_twice(void **state)
{
    core_case *t = *state;
    t->probe.handle_in = news_in;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->b, "room:a", "1");
    say(t->a, "['1','2','room:a','own',{}]");
    t->probe.trace[0] = '\0';
    say(t->a, "['1','2','room:a','tell',{}]");
    hear(t->a, "[null,null,'room:a','told',{}]");
    traced(t, "in room:a tell {};broadcast room:a told {};");
    say(t->a, "['1','2','room:a','tell_others',{}]");
    quiet(t->a);
    hear(t->b, "[null,null,'room:a','told',{}]");
    traced(t, "in room:a tell_others {};");
}

static int fail_once(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)ch, (void)msg;
    return p->err;
}

static void ends_in_handle_broadcast(void **state)
{
    core_case *t = *state;
    t->probe.join = subscribe_to_news;
    t->probe.handle_broadcast = fail_once;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    t->probe.err = -1;
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    hear(t->a, "['1','1','room:a','phx_error',{'reason':'channel_crash'}]");
    logged(t, "handle_broadcast() returned -1");
    channels_pubsub_broadcast(t->host.ep, "news", "e", channels_empty());
    quiet(t->a);
}

/* --- Bad arguments ------------------------------------------------------------------------ */

static void bad_arguments(void **state)
{
    core_case *t = *state;
    channels_endpoint *ep = t->host.ep;
    channels_payload empty = channels_empty();
    assert_int_equal(channels_pubsub_broadcast(ep, NULL, "e", empty), CHANNELS_ERR_INVALID);
    logged(t, "the topic is NULL");
    assert_int_equal(channels_pubsub_broadcast(ep, "\xff", "e", empty), CHANNELS_ERR_INVALID);
    logged(t, "the topic is not UTF-8");
    assert_int_equal(channels_pubsub_broadcast(ep, "t", NULL, empty), CHANNELS_ERR_INVALID);
    logged(t, "the event is NULL");
    assert_int_equal(channels_pubsub_broadcast(ep, "t", "e", channels_json("[]")),
                     CHANNELS_ERR_INVALID);
    logged(t, "the payload is not a JSON object");
    assert_int_equal(channels_pubsub_local_broadcast(ep, "t", "e", channels_json("{")),
                     CHANNELS_ERR_INVALID);
    logged(t, "the payload is not JSON");
    assert_int_equal(channels_pubsub_direct_broadcast(ep, NULL, "t", "e", empty),
                     CHANNELS_ERR_INVALID);
    logged(t, "the node is NULL");
    assert_int_equal(channels_pubsub_direct_broadcast(ep, "elsewhere", "t", "e", empty),
                     CHANNELS_ERR_INVALID);
    logged(t, "no adapter");
    assert_int_equal(channels_pubsub_subscribe(ep, "t", NULL, NULL, NULL), CHANNELS_ERR_INVALID);
    logged(t, "no function");
    assert_int_equal(channels_pubsub_subscribe(ep, NULL, listen_to, NULL, NULL),
                     CHANNELS_ERR_INVALID);
    assert_int_equal(channels_disconnect(ep, NULL), CHANNELS_ERR_INVALID);
    channels_payload odd = { (channels_kind)7, "{}", 2 };
    assert_int_equal(channels_pubsub_broadcast(ep, "t", "e", odd), CHANNELS_ERR_INVALID);
}

static void own_node(void **state)
{
    core_case *t = *state;
    listener l;
    subscribe(&l, t, "l", "news");
    const char *node = channels_pubsub_node(t->host.ep);
    assert_true(strlen(node) > 8);
    assert_int_equal(channels_pubsub_direct_broadcast(t->host.ep, node, "news", "e",
                                                      channels_empty()),
                     CHANNELS_OK);
    traced(t, "l news e {};");
}

static int bad_subscriptions(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    p->err = channels_subscribe(ch, NULL);
    channels_subscribe(ch, "news");
    channels_unsubscribe(ch, NULL);
    channels_unsubscribe(ch, "other");
    return CHANNELS_OK;
}

static void bad_channel_subscriptions(void **state)
{
    core_case *t = *state;
    t->probe.handle_in = bad_subscriptions;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    assert_int_equal(t->probe.err, CHANNELS_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(functions_listen),
        CORE_TEST(the_same_twice),
        CORE_TEST(unsubscribe_while_queued),
        CORE_TEST(functions_get_trees),
        CORE_TEST(endless_talk),
        CORE_TEST(channels_and_functions),
        CORE_TEST(channels_subscribe_too),
        CORE_TEST(own_topic_twice),
        CORE_TEST(ends_in_handle_broadcast),
        CORE_TEST(bad_arguments),
        CORE_TEST(own_node),
        CORE_TEST(bad_channel_subscriptions),
    };
    return cmocka_run_group_tests_name("core_pubsub", tests, NULL, NULL);
}
