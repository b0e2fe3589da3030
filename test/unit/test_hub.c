/* test_hub.c - endpoints joined by a hub, as if each were on its own thread: here they run one
 * after the other. */
#include <channels/hub.h>
#include <channels/presence.h>

#include "unit/core_case.h"
#include "unit/failure.h"

#define NODES 4

typedef struct node {
    channels_test host;
    sim_memory memory;
    probe probe;
    channels_test_client *client;
    unsigned wakes;
} node;

/* A way to elsewhere: what it was told, and what comes back. */
typedef struct elsewhere {
    channels_endpoint *ep;
    char trace[1024];
    unsigned char bytes[256]; /* of the last broadcast */
    size_t len;
    uint64_t due;
    int err; /* what start() or broadcast() returns */
} elsewhere;

typedef struct hub_case {
    channels_hub *hub;
    node nodes[NODES];
    elsewhere up;
} hub_case;

/* --- The case ----------------------------------------------------------------------------- */

static void count_wake(void *arg)
{
    ++*(unsigned *)arg;
}

static void begin(hub_case *t, unsigned i)
{
    static const char *const names[NODES] = { "a", "b", "c", "d" };
    node *n = &t->nodes[i];
    channels_config config = { .node = names[i],
                               .pubsub = channels_hub_adapter(),
                               .pubsub_self = t->hub };
    memset(n, 0, sizeof *n);
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    n->host.random = i + 1;
    assert_int_equal(sim_start(&n->host, &n->memory, &config), CHANNELS_OK);
    channels_endpoint_on_wake(n->host.ep, count_wake, &n->wakes);
    channels_mount(n->host.ep, "/socket", &probe_handler, NULL, &n->probe);
}

static void begin_with_client(hub_case *t, unsigned i)
{
    begin(t, i);
    core_connect(&t->nodes[i].client, &t->nodes[i].host, V2);
    join(t->nodes[i].client, "room:a", "1");
}

static void end(hub_case *t, unsigned i)
{
    assert_int_equal(channels_test_stop(&t->nodes[i].host), 0);
    t->nodes[i].client = NULL;
}

/* Until nobody has anything left to do. */
static void settle(hub_case *t)
{
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < NODES; i++) {
            channels_endpoint *ep = t->nodes[i].host.ep;
            if (ep == NULL || channels_endpoint_timeout(ep) != 0)
                continue;
            channels_test_wait(&t->nodes[i].host, 0);
            again = true;
        }
    }
}

static int setup_with(void **state, const channels_hub_options *options)
{
    hub_case *t = calloc(1, sizeof *t);
    *state = t;
    t->up.due = UINT64_MAX;
    assert_int_equal(channels_hub_new(&t->hub, options), CHANNELS_OK);
    for (unsigned i = 0; i < 3; i++)
        begin_with_client(t, i);
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, NULL);
}

static int setup_small(void **state)
{
    const channels_hub_options options = { .max_endpoints = 3, .max_queued = 1000 };
    return setup_with(state, &options);
}

static int teardown(void **state)
{
    hub_case *t = *state;
    size_t lost = 0;
    for (unsigned i = 0; i < NODES; i++)
        if (t->nodes[i].host.ep != NULL)
            lost += channels_test_stop(&t->nodes[i].host);
    channels_hub_free(t->hub);
    free(t);
    return lost == 0 ? 0 : -1;
}

#define HUB_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define SMALL_HUB_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_small, teardown)

static void all_hear(hub_case *t, const char *text)
{
    settle(t);
    for (unsigned i = 0; i < 3; i++)
        hear(t->nodes[i].client, text);
}

static void all_quiet(hub_case *t)
{
    settle(t);
    for (unsigned i = 0; i < 3; i++)
        quiet(t->nodes[i].client);
}

static channels_endpoint *ep_of(hub_case *t, unsigned i)
{
    return t->nodes[i].host.ep;
}

/* --- Broadcasts --------------------------------------------------------------------------- */

static void broadcasts_reach_all(void **state)
{
    hub_case *t = *state;
    for (unsigned i = 0; i < 3; i++) {
        say(t->nodes[i].client, "['1','2','room:a','shout',{'n':9007199254740993}]");
        all_hear(t, "[null,null,'room:a','shout',{'n':9007199254740993}]");
    }
    channels_pubsub_broadcast(ep_of(t, 1), "room:a", "bytes", channels_binary("\0\xff", 2));
    all_hear(t, "<\\02\\06\\05room:abytes\\00\\ff>");
    say(t->nodes[2].client, "['1','2','room:a','shout_from',{}]");
    settle(t);
    quiet(t->nodes[2].client);
    hear(t->nodes[0].client, "[null,null,'room:a','shout_from',{}]");
    hear(t->nodes[1].client, "[null,null,'room:a','shout_from',{}]");
    channels_pubsub_local_broadcast(ep_of(t, 0), "room:a", "here", channels_empty());
    settle(t);
    hear(t->nodes[0].client, "[null,null,'room:a','here',{}]");
    all_quiet(t);
}

static void each_in_order(void **state)
{
    hub_case *t = *state;
    char text[64];
    for (unsigned n = 0; n < 100; n++) {
        snprintf(text, sizeof text, "{\"n\":%u}", n);
        channels_pubsub_broadcast(ep_of(t, n % 2), "room:a", n % 2 == 0 ? "even" : "odd",
                                  channels_json(text));
    }
    settle(t);
    for (unsigned odd = 0; odd < 2; odd++)
        for (unsigned n = odd; n < 100; n += 2) {
            snprintf(text, sizeof text, "{'n':%u}", n);
            channels_test_expect_broadcast(t->nodes[2].client, "room:a", odd ? "odd" : "even",
                                           text);
        }
    quiet(t->nodes[2].client);
}

static void direct(void **state)
{
    hub_case *t = *state;
    channels_payload empty = channels_empty();
    channels_pubsub_direct_broadcast(ep_of(t, 0), "b", "room:a", "to b", empty);
    settle(t);
    hear(t->nodes[1].client, "[null,null,'room:a','to b',{}]");
    all_quiet(t);
    channels_pubsub_direct_broadcast(ep_of(t, 0), "a", "room:a", "to a", empty);
    settle(t);
    hear(t->nodes[0].client, "[null,null,'room:a','to a',{}]");
    assert_int_equal(channels_pubsub_direct_broadcast(ep_of(t, 0), "nobody", "room:a", "lost",
                                                      empty),
                     CHANNELS_OK);
    all_quiet(t);
}

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "users:1");
}

static void disconnects_everywhere(void **state)
{
    hub_case *t = *state;
    for (unsigned i = 1; i < 3; i++) {
        t->nodes[i].probe.connect = set_id;
        core_connect(&t->nodes[i].client, &t->nodes[i].host, V2);
    }
    channels_disconnect(ep_of(t, 0), "users:1");
    settle(t);
    assert_int_equal(t->nodes[0].client->code, 0);
    assert_int_equal(t->nodes[1].client->code, 1001);
    assert_int_equal(t->nodes[2].client->code, 1001);
}

static void count_call(void *arg, const channels_msg *msg)
{
    (void)msg;
    ++*(unsigned *)arg;
}

static void pass_time(hub_case *t, unsigned ms)
{
    for (unsigned passed = 0; passed < ms; passed += 100)
        for (unsigned i = 0; i < 3; i++)
            channels_test_wait(&t->nodes[i].host, 100);
}

static void presence_reaches_all(void **state)
{
    hub_case *t = *state;
    channels_presence *sets[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(channels_presence_new(&sets[i], ep_of(t, i), NULL), CHANNELS_OK);
    channels_presence_track_owner(sets[0], 1, "room:a", "ada", channels_empty());
    pass_time(t, 5000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(channels_presence_count(sets[i], "room:a"), 1);
        channels_test_expect_broadcast(t->nodes[i].client, "room:a", "presence_diff", "$any");
    }
    channels_presence_free(sets[0], true);
    settle(t);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(channels_presence_count(sets[i], "room:a"), 0);
}

/* What comes from another bus by one endpoint reaches the others. */
static void delivered_to_one(void **state)
{
    hub_case *t = *state;
    static const char bytes[] = "\1\0incarnat\1\0\0\0\0\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0"
                                "x\0\0room:a\0e\0{}";
    assert_int_equal(channels_pubsub_deliver(ep_of(t, 1), bytes, sizeof bytes - 1), CHANNELS_OK);
    all_hear(t, "[null,null,'room:a','e',{}]");
    all_quiet(t);
}

/* What is not understood goes no further; it is found out where it came in. */
static void nonsense_delivered_to_one(void **state)
{
    hub_case *t = *state;
    static const char bytes[] = "\1\0incarnat\1\0\0\0\0\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0"
                                "x\0\0room:a\0e\0{]";
    unsigned *wakes = &t->nodes[2].wakes;
    *wakes = 0;
    assert_int_equal(channels_pubsub_deliver(ep_of(t, 1), bytes, sizeof bytes - 1),
                     CHANNELS_ERR_PROTOCOL);
    assert_int_equal(*wakes, 0);
    all_quiet(t);
}

/* An adapter of the host's that calls the hub's, which is given bytes then. */
static channels_pubsub_adapter wrapper;
static unsigned passed; /* messages through it */
static char spoilt;     /* what the last byte of each becomes; 0: nothing */

static int wrapped_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    char copy[256];
    passed++;
    assert_in_range(len, 1, sizeof copy);
    memcpy(copy, data, len);
    if (spoilt != 0)
        copy[len - 1] = spoilt;
    return channels_hub_adapter()->broadcast(self, topic, copy, len);
}

static void begin_wrapped(hub_case *t)
{
    node *n = &t->nodes[3];
    wrapper = *channels_hub_adapter();
    wrapper.broadcast = wrapped_broadcast;
    channels_config config = { .node = "d", .pubsub = &wrapper, .pubsub_self = t->hub };
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    assert_int_equal(sim_start(&n->host, &n->memory, &config), CHANNELS_OK);
    passed = 0;
    spoilt = 0;
}

static void wrapped(void **state)
{
    hub_case *t = *state;
    static const char bytes[] = "\1\0incarnat\1\0\0\0\0\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0"
                                "x\0\0room:a\0e\0{}";
    unsigned heard = 0;
    begin_wrapped(t);
    channels_endpoint *ep = ep_of(t, 3);
    channels_pubsub_subscribe(ep, "room:a", count_call, &heard, NULL);
    channels_pubsub_broadcast(ep, "room:a", "e", channels_empty());
    all_hear(t, "[null,null,'room:a','e',{}]");
    channels_pubsub_direct_broadcast(ep, "b", "room:a", "to b", channels_empty());
    settle(t);
    hear(t->nodes[1].client, "[null,null,'room:a','to b',{}]");
    assert_int_equal(passed, 2);
    assert_int_equal(channels_pubsub_deliver(ep, bytes, sizeof bytes - 1), CHANNELS_OK);
    all_hear(t, "[null,null,'room:a','e',{}]");
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    all_hear(t, "[null,null,'room:a','e',{}]");
    assert_int_equal(heard, 3);
    spoilt = ']';
    assert_int_equal(channels_pubsub_broadcast(ep, "room:a", "e", channels_empty()),
                     CHANNELS_ERR_PROTOCOL);
    all_quiet(t);
}

/* --- Copies ------------------------------------------------------------------------------- */

/* Of its own memory a publisher needs nothing for who hears elsewhere. */
static void publisher_allocates_nothing(void **state)
{
    hub_case *t = *state;
    size_t calls = t->nodes[0].memory.calls;
    unsigned heard = 0;
    channels_pubsub_subscribe(ep_of(t, 1), "news", count_call, &heard, NULL);
    channels_pubsub_subscribe(ep_of(t, 2), "news", count_call, &heard, NULL);
    channels_pubsub_broadcast(ep_of(t, 0), "news", "e", channels_empty());
    channels_pubsub_broadcast(ep_of(t, 0), "nobody's", "e", channels_empty());
    settle(t);
    assert_int_equal(heard, 2);
    assert_int_equal(t->nodes[0].memory.calls, calls);
}

/* --- Waking ------------------------------------------------------------------------------- */

static void only_listeners_are_woken(void **state)
{
    hub_case *t = *state;
    unsigned *wakes = &t->nodes[1].wakes;
    *wakes = 0;
    for (int i = 0; i < 10; i++)
        channels_pubsub_broadcast(ep_of(t, 0), "nobody's", "e", channels_empty());
    assert_int_equal(*wakes, 0);
    assert_true(channels_endpoint_timeout(ep_of(t, 1)) == UINT64_MAX);
    for (int i = 0; i < 10; i++)
        channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    assert_int_equal(*wakes, 1);
    assert_int_equal(channels_endpoint_timeout(ep_of(t, 1)), 0);
    settle(t);
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    assert_int_equal(*wakes, 2);
    channels_test_leave(t->nodes[1].client, "room:a");
    *wakes = 0;
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    assert_int_equal(*wakes, 0);
}

static void many_topics(void **state)
{
    enum { TOPICS = 3000 };
    hub_case *t = *state;
    static channels_subscription subs[TOPICS];
    unsigned heard = 0, needless = 0;
    char topic[32];
    for (unsigned i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic %u", i);
        channels_pubsub_subscribe(ep_of(t, 1), topic, count_call, &heard, &subs[i]);
    }
    for (unsigned i = 0; i < 2 * TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic %u", i);
        channels_pubsub_broadcast(ep_of(t, 0), topic, "e", channels_empty());
        needless += i >= TOPICS && channels_endpoint_timeout(ep_of(t, 1)) == 0;
        settle(t);
    }
    assert_int_equal(heard, TOPICS);
    assert_in_range(needless, 0, TOPICS / 20);
    for (unsigned i = 0; i < TOPICS; i++)
        channels_pubsub_unsubscribe(ep_of(t, 1), subs[i]);
    for (unsigned i = 0; i < TOPICS; i++) {
        snprintf(topic, sizeof topic, "topic %u", i);
        channels_pubsub_broadcast(ep_of(t, 0), topic, "e", channels_empty());
        assert_true(channels_endpoint_timeout(ep_of(t, 1)) == UINT64_MAX);
    }
}

/* --- Coming and going --------------------------------------------------------------------- */

static void log_to(void *hooks, channels_log_level level, const char *text)
{
    (void)level;
    snprintf(hooks, 256, "%s", text);
}

/* An endpoint that cannot be: why not. */
static int refused(void *hub, const char *name, char log[256])
{
    channels_config config = { .node = name,
                               .pubsub = channels_hub_adapter(),
                               .pubsub_self = hub,
                               .hooks = log,
                               .log = log_to };
    channels_endpoint *ep;
    int err = channels_endpoint_new(&ep, &config);
    assert_null(ep);
    return err;
}

static void names_are_unique(void **state)
{
    hub_case *t = *state;
    char log[256];
    assert_int_equal(refused(t->hub, "b", log), CHANNELS_ERR_INVALID);
    assert_non_null(strstr(log, "called b already"));
    assert_int_equal(refused(NULL, "e", log), CHANNELS_ERR_INVALID);
    assert_non_null(strstr(log, "pubsub_self"));
    end(t, 1);
    begin_with_client(t, 1);
    channels_pubsub_broadcast(ep_of(t, 1), "room:a", "back", channels_empty());
    all_hear(t, "[null,null,'room:a','back',{}]");
}

static void no_more_than_max_endpoints(void **state)
{
    hub_case *t = *state;
    char log[256];
    assert_int_equal(refused(t->hub, "d", log), CHANNELS_ERR_LIMIT);
    assert_non_null(strstr(log, "3 endpoints already"));
    end(t, 0);
    begin(t, 3);
    channels_pubsub_broadcast(ep_of(t, 3), "room:a", "e", channels_empty());
    settle(t);
    hear(t->nodes[2].client, "[null,null,'room:a','e',{}]");
}

static void freed_too_early(void **state)
{
    hub_case *t = *state;
    channels_hub_free(t->hub);
    channels_test_expect_log(&t->nodes[0].host, "channels_hub_free: 3 of its endpoints");
    channels_pubsub_broadcast(ep_of(t, 1), "room:a", "e", channels_empty());
    all_hear(t, "[null,null,'room:a','e',{}]");
    channels_hub_free(NULL);
}

/* What was on its way to an endpoint that ends goes with it, and not to who comes after it. */
static void ends_with_mail(void **state)
{
    hub_case *t = *state;
    for (int i = 0; i < 10; i++)
        channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    end(t, 1);
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    begin_with_client(t, 1);
    settle(t);
    quiet(t->nodes[1].client);
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "new", channels_empty());
    settle(t);
    hear(t->nodes[1].client, "[null,null,'room:a','new',{}]");
}

/* --- max_queued --------------------------------------------------------------------------- */

static void no_more_than_max_queued(void **state)
{
    hub_case *t = *state;
    for (int i = 0; i < 30; i++) /* of some 50 bytes */
        channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    settle(t);
    unsigned heard = 0;
    while (channels_test_hear(t->nodes[1].client) != NULL)
        heard++;
    assert_in_range(heard, 15, 25);
    char line[128];
    snprintf(line, sizeof line, "hub: %u broadcasts of other endpoints are lost: more than 1000",
             30 - heard);
    channels_test_expect_log(&t->nodes[1].host, line);
    assert_int_equal(t->nodes[1].host.logged, 1);
    while (channels_test_hear(t->nodes[0].client) != NULL || channels_test_hear(t->nodes[2].client))
        ;
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    all_hear(t, "[null,null,'room:a','e',{}]");
    assert_int_equal(t->nodes[1].host.logged, 1);
}

static void one_large_message(void **state)
{
    hub_case *t = *state;
    static char large[5000];
    for (int i = 0; i < 2; i++)
        channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_binary(large, sizeof large));
    settle(t);
    assert_non_null(channels_test_hear(t->nodes[1].client));
    quiet(t->nodes[1].client);
    channels_test_expect_log(&t->nodes[1].host, "hub: 1 broadcasts");
}

/* --- The uplink --------------------------------------------------------------------------- */

static void note(elsewhere *e, const char *what, const char *topic)
{
    size_t used = strlen(e->trace);
    snprintf(e->trace + used, sizeof e->trace - used, "%s%s;", what, topic);
}

static int up_start(void **self, channels_endpoint *ep)
{
    elsewhere *e = *self;
    e->ep = ep;
    note(e, "start ", channels_pubsub_node(ep));
    return e->err;
}

static void up_stop(void *self)
{
    note(self, "stop", "");
}

static int up_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    elsewhere *e = self;
    note(e, "broadcast ", topic);
    assert_in_range(len, 1, sizeof e->bytes);
    memcpy(e->bytes, data, len);
    e->len = len;
    return e->err;
}

static void up_interest(void *self, const char *topic, bool on)
{
    note(self, on ? "+" : "-", topic);
}

static void up_run(void *self, uint64_t now)
{
    elsewhere *e = self;
    if (now < e->due)
        return;
    e->due = UINT64_MAX;
    note(e, "run", "");
}

static uint64_t up_due(void *self)
{
    return ((elsewhere *)self)->due;
}

static const channels_pubsub_adapter up_adapter = {
    .name = "elsewhere",
    .start = up_start,
    .stop = up_stop,
    .broadcast = up_broadcast,
    .interest = up_interest,
    .run = up_run,
    .due = up_due,
};

static void told(elsewhere *e, const char *trace)
{
    assert_string_equal(e->trace, trace);
    e->trace[0] = '\0';
}

/* The same in whatever order. */
static void told_in_all(elsewhere *e, const char *parts)
{
    assert_int_equal(strlen(e->trace), strlen(parts));
    for (const char *p = parts; *p != '\0'; p = strchr(p, ';') + 1) {
        char part[64];
        snprintf(part, sizeof part, "%.*s", (int)(strchr(p, ';') + 1 - p), p);
        if (strstr(e->trace, part) == NULL)
            assert_string_equal(e->trace, part);
    }
    e->trace[0] = '\0';
}

/* Another thread may be so early while the last endpoint ends. */
static void frees_the_hub(void *self)
{
    channels_hub_free(self);
}

static void freed_while_the_last_ends(void **state)
{
    hub_case *t = *state;
    const channels_pubsub_adapter way = { .broadcast = up_broadcast, .stop = frees_the_hub };
    assert_int_equal(channels_hub_uplink(t->hub, ep_of(t, 2), &way, t->hub), CHANNELS_OK);
    for (unsigned i = 0; i < 3; i++)
        end(t, i);
    begin(t, 0);
    channels_hub_free(t->hub);
    channels_test_expect_log(&t->nodes[0].host, "channels_hub_free: 1 of its endpoints");
}

/* By the second endpoint. */
static elsewhere *bring_up(hub_case *t)
{
    elsewhere *e = &t->up;
    memset(e, 0, sizeof *e);
    e->due = UINT64_MAX;
    assert_int_equal(channels_hub_uplink(t->hub, ep_of(t, 1), &up_adapter, e), CHANNELS_OK);
    settle(t);
    return e;
}

static void one_uplink_for_all(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    told_in_all(e, "start b;+phx_node:b;+room:a;+phx_node:a;+phx_node:c;");
    for (unsigned i = 0; i < 3; i++) {
        channels_pubsub_broadcast(ep_of(t, i), "room:a", "e", channels_empty());
        all_hear(t, "[null,null,'room:a','e',{}]");
        told(e, "broadcast room:a;");
    }
    channels_pubsub_broadcast(ep_of(t, 0), "nobody's here", "e", channels_empty());
    settle(t);
    told(e, "broadcast nobody's here;");
    channels_pubsub_direct_broadcast(ep_of(t, 0), "far", "room:a", "e", channels_empty());
    channels_pubsub_direct_broadcast(ep_of(t, 0), "c", "room:a", "to c", channels_empty());
    channels_pubsub_direct_broadcast(ep_of(t, 1), "c", "room:a", "to c", channels_empty());
    settle(t);
    hear(t->nodes[2].client, "[null,null,'room:a','to c',{}]");
    hear(t->nodes[2].client, "[null,null,'room:a','to c',{}]");
    all_quiet(t);
    told(e, "broadcast phx_node:far;");
}

static void from_elsewhere(void **state)
{
    hub_case *t = *state;
    channels_hub *other;
    elsewhere *e = &t->up, far = { .due = UINT64_MAX };
    channels_test host = { .on_failure = unit_failure, .random = 99 };
    bring_up(t);
    e->trace[0] = '\0';
    assert_int_equal(channels_hub_new(&other, NULL), CHANNELS_OK);
    channels_config config = { .node = "far",
                               .pubsub = channels_hub_adapter(),
                               .pubsub_self = other };
    channels_test_start(&host, &config);
    channels_hub_uplink(other, host.ep, &up_adapter, &far);
    channels_pubsub_broadcast(host.ep, "room:a", "e", channels_empty());
    assert_int_equal(channels_pubsub_deliver(e->ep, far.bytes, far.len), CHANNELS_OK);
    all_hear(t, "[null,null,'room:a','e',{}]");
    channels_pubsub_direct_broadcast(host.ep, "c", "room:a", "to c", channels_empty());
    assert_int_equal(channels_pubsub_deliver(e->ep, far.bytes, far.len), CHANNELS_OK);
    settle(t);
    hear(t->nodes[2].client, "[null,null,'room:a','to c',{}]");
    all_quiet(t);
    told(e, ""); /* nothing goes back there */
    channels_test_stop(&host);
    channels_hub_free(other);
}

/* The adapter hears when the first of all listens and when the last has gone. */
static void interest_is_summed(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    channels_subscription sub, own;

    e->trace[0] = '\0';
    channels_pubsub_subscribe(ep_of(t, 0), "news", count_call, NULL, &sub);
    settle(t);
    told(e, "+news;");
    channels_pubsub_subscribe(ep_of(t, 1), "news", count_call, NULL, &own);
    channels_pubsub_unsubscribe(ep_of(t, 0), sub);
    settle(t);
    told(e, "");
    channels_pubsub_unsubscribe(ep_of(t, 1), own);
    told(e, "-news;");
    begin(t, 3);
    settle(t);
    told(e, "+phx_node:d;");
    channels_pubsub_subscribe(ep_of(t, 3), "news", count_call, NULL, NULL);
    end(t, 3);
    settle(t);
    told(e, "+news;-news;-phx_node:d;");
    end(t, 0);
    end(t, 2);
    settle(t);
    told(e, "-phx_node:a;-phx_node:c;");
    channels_test_leave(t->nodes[1].client, "room:a");
    told(e, "-room:a;");
}

static void runs_on_its_carrier(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    e->trace[0] = '\0';
    e->due = t->nodes[1].host.now + 500;
    assert_int_equal(channels_endpoint_timeout(ep_of(t, 1)), 500);
    assert_true(channels_endpoint_timeout(ep_of(t, 0)) == UINT64_MAX);
    channels_test_wait(&t->nodes[1].host, 499);
    told(e, "");
    channels_test_wait(&t->nodes[1].host, 1);
    told(e, "run;");
}

static void its_result(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    e->err = -99;
    assert_int_equal(channels_pubsub_broadcast(ep_of(t, 1), "room:a", "e", channels_empty()), -99);
    assert_int_equal(channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty()), 0);
    for (int i = 0; i < 2; i++)
        all_hear(t, "[null,null,'room:a','e',{}]");
}

/* Adapters need not have more than broadcast(). */
static void the_least_adapter(void **state)
{
    hub_case *t = *state;
    elsewhere *e = &t->up;
    const channels_pubsub_adapter least = { .name = "least", .broadcast = up_broadcast };
    assert_int_equal(channels_hub_uplink(t->hub, ep_of(t, 1), &least, e), CHANNELS_OK);
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    all_hear(t, "[null,null,'room:a','e',{}]");
    told(e, "broadcast room:a;");
    end(t, 1);
}

static void uplinks_that_cannot_be(void **state)
{
    hub_case *t = *state;
    channels_test *host = &t->nodes[1].host;
    const channels_pubsub_adapter none = { .name = "none" };
    elsewhere *e = &t->up;
    channels_hub *other;
    e->err = CHANNELS_ERR_UNSUPPORTED;
    assert_int_equal(channels_hub_uplink(t->hub, host->ep, NULL, e), CHANNELS_ERR_INVALID);
    assert_int_equal(channels_hub_uplink(t->hub, host->ep, &none, e), CHANNELS_ERR_INVALID);
    channels_test_expect_log(host, "lacks broadcast");
    assert_int_equal(channels_hub_new(&other, NULL), CHANNELS_OK);
    assert_int_equal(channels_hub_uplink(other, host->ep, &up_adapter, e), CHANNELS_ERR_INVALID);
    channels_test_expect_log(host, "is not one of the hub's");
    channels_hub_free(other);
    told(e, "");
    assert_int_equal(channels_hub_uplink(t->hub, host->ep, &up_adapter, e),
                     CHANNELS_ERR_UNSUPPORTED);
    told(e, "start b;");
    bring_up(t); /* there is none yet */
    assert_int_equal(channels_hub_uplink(t->hub, ep_of(t, 0), &up_adapter, e),
                     CHANNELS_ERR_INVALID);
    channels_test_expect_log(&t->nodes[0].host, "has one already");
}

static int let_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

/* A client that has joined the topic of a node elsewhere does not keep from that what is its. */
static void a_client_by_the_name_of_a_node(void **state)
{
    static const channels_handler handler = { .join = let_in };
    static const channels_route routes[] = { { "*", &handler, NULL }, { NULL, NULL, NULL } };
    static const channels_socket_handler all = { .routes = routes };
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    channels_mount(ep_of(t, 0), "/all", &all, NULL, NULL);
    channels_test_join(channels_test_connect(&t->nodes[0].host, "/all", ""), "phx_node:far", "{}");
    settle(t);
    e->trace[0] = '\0';
    for (unsigned i = 0; i < 2; i++)
        channels_pubsub_direct_broadcast(ep_of(t, i), "far", "room:a", "e", channels_empty());
    channels_pubsub_direct_broadcast(ep_of(t, 0), "c", "room:a", "to c", channels_empty());
    settle(t);
    told(e, "broadcast phx_node:far;broadcast phx_node:far;");
    hear(t->nodes[2].client, "[null,null,'room:a','to c',{}]");
    all_quiet(t);
}

/* With the carrier the uplink ends, when what was given for it has left; there may be another. */
static void the_carrier_ends(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    e->trace[0] = '\0';
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    channels_pubsub_subscribe(ep_of(t, 2), "news", count_call, NULL, NULL);
    end(t, 1);
    told(e, "-phx_node:b;broadcast room:a;+news;stop;");
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    channels_pubsub_subscribe(ep_of(t, 2), "more", count_call, NULL, NULL);
    settle(t);
    told(e, "");
    for (int i = 0; i < 2; i++)
        hear(t->nodes[2].client, "[null,null,'room:a','e',{}]");
    begin(t, 1);
    bring_up(t);
    told_in_all(e, "start b;+phx_node:b;+phx_node:a;+room:a;+phx_node:c;+news;+more;");
}

/* What one carrier has sent to elsewhere, the next does not send again. */
static void sent_by_one_carrier(void **state)
{
    hub_case *t = *state;
    elsewhere *first = bring_up(t), second = { .due = UINT64_MAX };
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    end(t, 1);
    assert_non_null(strstr(first->trace, "broadcast room:a;"));
    assert_int_equal(channels_hub_uplink(t->hub, ep_of(t, 2), &up_adapter, &second), CHANNELS_OK);
    settle(t);
    hear(t->nodes[2].client, "[null,null,'room:a','e',{}]");
    assert_null(strstr(second.trace, "broadcast"));
    channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
    settle(t);
    assert_non_null(strstr(second.trace, "broadcast room:a;"));
    end(t, 2);
}

/* A carrier that does not run is not told of ever more topics; of all when it has caught up. */
static void reports_are_bounded(void **state)
{
    hub_case *t = *state;
    elsewhere *e = bring_up(t);
    channels_subscription sub;

    e->trace[0] = '\0';
    for (int i = 0; i < 100; i++) {
        channels_pubsub_subscribe(ep_of(t, 0), "news", count_call, NULL, &sub);
        channels_pubsub_unsubscribe(ep_of(t, 0), sub);
    }
    channels_pubsub_subscribe(ep_of(t, 0), "latest", count_call, NULL, NULL);
    channels_test_expect_log(&t->nodes[0].host, "the uplink cannot be told of topics");
    assert_int_equal(t->nodes[0].host.logged, 1);
    channels_test_wait(&t->nodes[0].host, 1000); /* still nothing has been read: once more later */
    assert_int_equal(channels_endpoint_timeout(ep_of(t, 0)), 1000);
    settle(t);
    assert_in_range(strlen(e->trace) / strlen("+news;-news;"), 1, 99);
    assert_null(strstr(e->trace, "latest"));
    e->trace[0] = '\0';
    channels_test_wait(&t->nodes[0].host, 1000);
    settle(t);
    assert_non_null(strstr(e->trace, "+latest;"));
    assert_non_null(strstr(e->trace, "+phx_node:a;"));
    assert_null(strstr(e->trace, "+news;"));
    assert_int_equal(t->nodes[0].host.logged, 1);
    assert_true(channels_endpoint_timeout(ep_of(t, 0)) == UINT64_MAX);
}

/* A life of an uplink, with an allocation of its carrier's failing. */
static void without_memory(void **state)
{
    hub_case *t = *state;
    node *n = &t->nodes[1];
    elsewhere *e = &t->up;
    for (size_t at = 1; at < 40; at++) {
        memset(e, 0, sizeof *e);
        e->due = UINT64_MAX;
        n->memory.fail_at = n->memory.calls + at;
        int err = channels_hub_uplink(t->hub, n->host.ep, &up_adapter, e);
        assert_true(err == CHANNELS_OK || err == CHANNELS_ERR_NOMEM);
        channels_pubsub_subscribe(ep_of(t, 0), "news", count_call, NULL, NULL);
        channels_pubsub_broadcast(ep_of(t, 0), "room:a", "e", channels_empty());
        settle(t);
        n->memory.fail_at = 0;
        end(t, 1);
        begin(t, 1);
    }
    bring_up(t);
    told_in_all(e, "start b;+phx_node:b;+phx_node:a;+news;+room:a;+phx_node:c;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(broadcasts_reach_all),
        HUB_TEST(each_in_order),
        HUB_TEST(direct),
        HUB_TEST(disconnects_everywhere),
        HUB_TEST(presence_reaches_all),
        HUB_TEST(delivered_to_one),
        HUB_TEST(nonsense_delivered_to_one),
        HUB_TEST(wrapped),
        HUB_TEST(publisher_allocates_nothing),
        HUB_TEST(only_listeners_are_woken),
        HUB_TEST(many_topics),
        HUB_TEST(names_are_unique),
        SMALL_HUB_TEST(no_more_than_max_endpoints),
        HUB_TEST(freed_too_early),
        HUB_TEST(ends_with_mail),
        SMALL_HUB_TEST(no_more_than_max_queued),
        SMALL_HUB_TEST(one_large_message),
        HUB_TEST(one_uplink_for_all),
        HUB_TEST(from_elsewhere),
        HUB_TEST(interest_is_summed),
        HUB_TEST(runs_on_its_carrier),
        HUB_TEST(its_result),
        HUB_TEST(the_least_adapter),
        HUB_TEST(freed_while_the_last_ends),
        HUB_TEST(a_client_by_the_name_of_a_node),
        HUB_TEST(uplinks_that_cannot_be),
        HUB_TEST(the_carrier_ends),
        HUB_TEST(sent_by_one_carrier),
        SMALL_HUB_TEST(reports_are_bounded),
        HUB_TEST(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
