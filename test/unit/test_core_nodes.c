/* test_core_nodes.c - two endpoints joined by an adapter, as nodes are. */
#include "unit/core_case.h"
#include "unit/failure.h"

typedef struct letter {
    size_t len;
    char to[32];
    unsigned char bytes[1024];
} letter;

/* What an endpoint's adapter was given, until it is delivered. */
typedef struct node {
    channels_test host;
    sim_memory memory;
    probe probe;
    channels_test_client *client;
    letter out[16];
    unsigned nout;
    char interest[512];
    int err; /* what the adapter returns */
} node;

static int keep(node *n, const char *to, const void *data, size_t len)
{
    letter *l = &n->out[n->nout++];
    assert_in_range(n->nout, 1, 16);
    assert_in_range(len, 1, sizeof l->bytes);
    snprintf(l->to, sizeof l->to, "%s", to);
    memcpy(l->bytes, data, len);
    l->len = len;
    return n->err;
}

static int adapter_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    return keep(self, topic, data, len);
}

static void adapter_interest(void *self, const char *topic, bool on)
{
    node *n = self;
    size_t used = strlen(n->interest);
    snprintf(n->interest + used, sizeof n->interest - used, "%s%s;", on ? "+" : "-", topic);
}

static const channels_pubsub_adapter adapter = { .name = "test",
                                                 .broadcast = adapter_broadcast,
                                                 .interest = adapter_interest };

typedef struct two_nodes {
    node a, b;
} two_nodes;

static void start(node *n, const char *name)
{
    channels_config config = { .node = name, .pubsub = &adapter, .pubsub_self = n };
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    assert_int_equal(sim_start(&n->host, &n->memory, &config), CHANNELS_OK);
    channels_mount(n->host.ep, "/socket", &probe_handler, NULL, &n->probe);
    core_connect(&n->client, &n->host, V2);
    join(n->client, "room:a", "1");
}

static int start_two(void **state)
{
    two_nodes *t = calloc(1, sizeof *t);
    *state = t;
    start(&t->a, "node-a");
    start(&t->b, "node-b");
    return 0;
}

/* On which each topic was told of as often as it was taken back. */
static bool balanced(const char *interest)
{
    int sum = 0;
    for (const char *p = interest; *p != '\0'; p = strchr(p, ';') + 1)
        sum += *p == '+' ? 1 : -1;
    return sum == 0;
}

static int stop_two(void **state)
{
    two_nodes *t = *state;
    size_t lost = channels_test_stop(&t->a.host) + channels_test_stop(&t->b.host);
    bool ok = lost == 0 && balanced(t->a.interest) && balanced(t->b.interest);
    if (!ok)
        print_error("lost %zu, interest %s %s\n", lost, t->a.interest, t->b.interest);
    free(t);
    return ok ? 0 : -1;
}

/* What `from` sent arrives at `to` and, as with some adapters, at `from` itself. */
static void carry(node *from, node *to)
{
    for (unsigned i = 0; i < from->nout; i++) {
        const letter *l = &from->out[i];
        assert_int_equal(channels_pubsub_deliver(to->host.ep, l->bytes, l->len), CHANNELS_OK);
        assert_int_equal(channels_pubsub_deliver(from->host.ep, l->bytes, l->len), CHANNELS_OK);
    }
    from->nout = 0;
}

static void broadcasts_reach_both(void **state)
{
    two_nodes *t = *state;
    say(t->a.client, "['1','2','room:a','shout',{'n':9007199254740993}]");
    hear(t->a.client, "[null,null,'room:a','shout',{'n':9007199254740993}]");
    assert_int_equal(t->a.nout, 1);
    carry(&t->a, &t->b);
    hear(t->b.client, "[null,null,'room:a','shout',{'n':9007199254740993}]");
    quiet(t->a.client);             /* its echo */
    assert_int_equal(t->b.nout, 0); /* not sent on */
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "bytes", channels_binary("\0\xff", 2));
    carry(&t->b, &t->a);
    hear(t->a.client, "<\\02\\06\\05room:abytes\\00\\ff>");
    hear(t->b.client, "<\\02\\06\\05room:abytes\\00\\ff>");
    channels_pubsub_broadcast(t->b.host.ep, "room:a", "none", channels_binary(NULL, 0));
    carry(&t->b, &t->a);
    hear(t->a.client, "<\\02\\06\\04room:anone>");
    hear(t->b.client, "<\\02\\06\\04room:anone>");
    say(t->a.client, "['1','2','room:a','shout_from',{}]");
    carry(&t->a, &t->b);
    quiet(t->a.client);
    hear(t->b.client, "[null,null,'room:a','shout_from',{}]");
    channels_pubsub_local_broadcast(t->a.host.ep, "room:a", "here", channels_empty());
    assert_int_equal(t->a.nout, 0);
    hear(t->a.client, "[null,null,'room:a','here',{}]");
}

static void intercepted_far_away(void **state)
{
    two_nodes *t = *state;
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "secret", channels_empty());
    carry(&t->a, &t->b);
    hear(t->b.client, "['1',null,'room:a','secret',{}]");
}

static void direct(void **state)
{
    two_nodes *t = *state;
    channels_payload empty = channels_empty();
    assert_string_equal(channels_pubsub_node(t->a.host.ep), "node-a");
    channels_pubsub_direct_broadcast(t->a.host.ep, "node-b", "room:a", "to b", empty);
    assert_string_equal(t->a.out[0].to, "phx_node:node-b");
    quiet(t->a.client);
    carry(&t->a, &t->b);
    hear(t->b.client, "[null,null,'room:a','to b',{}]");
    channels_pubsub_direct_broadcast(t->a.host.ep, "node-a", "room:a", "to a", empty);
    assert_int_equal(t->a.nout, 0);
    hear(t->a.client, "[null,null,'room:a','to a',{}]");
    quiet(t->b.client);
    assert_int_equal(channels_pubsub_direct_broadcast(t->a.host.ep, "node-b", "room:a", "e",
                                                      channels_json("[]")),
                     CHANNELS_ERR_INVALID);
}

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "users:1");
}

static void disconnects_everywhere(void **state)
{
    two_nodes *t = *state;
    t->b.probe.connect = set_id;
    core_connect(&t->b.client, &t->b.host, V2);
    channels_disconnect(t->a.host.ep, "users:1");
    carry(&t->a, &t->b);
    assert_int_equal(t->b.client->code, 1001);
}

static void adapter_fails(void **state)
{
    two_nodes *t = *state;
    t->a.err = -9;
    assert_int_equal(channels_pubsub_broadcast(t->a.host.ep, "room:a", "e", channels_empty()), -9);
    hear(t->a.client, "[null,null,'room:a','e',{}]");
    assert_int_equal(channels_pubsub_direct_broadcast(t->a.host.ep, "node-b", "room:a", "e",
                                                      channels_empty()),
                     -9);
    assert_int_equal(channels_pubsub_local_broadcast(t->a.host.ep, "room:a", "e", channels_empty()),
                     CHANNELS_OK);
}

static void garbage(void **state)
{
    two_nodes *t = *state;
    channels_endpoint *ep = t->b.host.ep;
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "event", json("{'some':'payload'}"));
    letter *l = &t->a.out[0];
    for (size_t n = 0; n < l->len; n++) {
        unsigned char *cut = malloc(n != 0 ? n : 1);
        memcpy(cut, l->bytes, n);
        t->b.host.log[0] = '\0';
        channels_test_wait(&t->b.host, 60000);
        assert_int_equal(channels_pubsub_deliver(ep, cut, n), CHANNELS_ERR_PROTOCOL);
        assert_string_not_equal(t->b.host.log, "");
        free(cut);
    }
    l->bytes[l->len] = ' ';
    assert_int_equal(channels_pubsub_deliver(ep, l->bytes, l->len + 1), CHANNELS_ERR_PROTOCOL);
    quiet(t->b.client);
    for (size_t at = 0; at < l->len; at++)
        for (int bit = 0; bit < 8; bit++) { /* whatever comes of it, nothing breaks */
            l->bytes[at] ^= (unsigned char)(1 << bit);
            int err = channels_pubsub_deliver(ep, l->bytes, l->len);
            assert_true(err == CHANNELS_OK || err == CHANNELS_ERR_PROTOCOL);
            l->bytes[at] ^= (unsigned char)(1 << bit);
        }
    l->bytes[0]++;
    t->b.host.log[0] = '\0';
    channels_test_wait(&t->b.host, 59999);
    assert_int_equal(channels_pubsub_deliver(ep, l->bytes, l->len), CHANNELS_ERR_PROTOCOL);
    assert_string_equal(t->b.host.log, "");
    channels_test_wait(&t->b.host, 1);
    assert_int_equal(channels_pubsub_deliver(ep, l->bytes, l->len), CHANNELS_ERR_PROTOCOL);
    assert_non_null(strstr(t->b.host.log, "version"));
    while (channels_test_hear(t->b.client) != NULL)
        ;
}

static void nothing(void *arg, const channels_msg *msg)
{
    (void)arg, (void)msg;
}

static int subscribe_twice(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    channels_subscribe(ch, "news");
    return channels_subscribe(ch, "news");
}

/* The first who listens to a topic comes, the last goes. */
static void interest(void **state)
{
    two_nodes *t = *state;
    node *n = &t->a;
    channels_subscription sub;
    assert_string_equal(n->interest, "+phx_node:node-a;+room:a;");
    n->interest[0] = '\0';
    channels_pubsub_subscribe(n->host.ep, "room:a", nothing, NULL, &sub);
    say(n->client, "['1','2','room:a','phx_leave',{}]");
    assert_string_equal(n->interest, "");
    channels_pubsub_unsubscribe(n->host.ep, sub);
    assert_string_equal(n->interest, "-room:a;");
    n->interest[0] = '\0';
    n->probe.join = subscribe_twice;
    while (channels_test_hear(n->client) != NULL)
        ;
    join(n->client, "room:a", "3");
    assert_string_equal(n->interest, "+news;+room:a;");
    n->interest[0] = '\0';
    join(n->client, "room:a", "4"); /* the old one goes first */
    assert_string_equal(n->interest, "-room:a;-news;+news;+room:a;");
    n->interest[0] = '\0';
    channels_test_close(n->client);
    assert_string_equal(n->interest, "-room:a;-news;");
    n->interest[0] = '\0';
    channels_pubsub_broadcast(n->host.ep, "nobody:here", "e", channels_empty());
    assert_string_equal(n->interest, "");
    strcpy(n->interest, "+phx_node:node-a;");
}

static int refuse_with_news(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    channels_subscribe(ch, "news");
    return CHANNELS_REFUSE;
}

static int connect_with_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    channels_socket_set_id(s, "one");
    channels_socket_set_id(s, "two");
    return p->err;
}

static void interest_of_what_was_refused(void **state)
{
    two_nodes *t = *state;
    node *n = &t->a;
    n->interest[0] = '\0';
    n->probe.join = refuse_with_news;
    say(n->client, "['1','2','room:b','phx_join',{}]");
    assert_string_equal(n->interest, "+news;-news;");
    n->interest[0] = '\0';
    n->probe.connect = connect_with_id;
    n->probe.err = CHANNELS_REFUSE;
    channels_test_client *c = NULL;
    assert_int_equal(core_connect(&c, &n->host, V2), CHANNELS_REFUSE);
    assert_string_equal(n->interest, "+one;+two;-one;-two;");
    strcpy(n->interest, "+phx_node:node-a;+room:a;");
}

/* Its own name in another's mouth: two nodes with one configuration. */
static void namesakes(void **state)
{
    two_nodes *t = *state;
    node twin = { .host = { .random = 99 } };
    start(&twin, "node-a");
    say(twin.client, "['1','2','room:a','shout',{}]");
    hear(twin.client, "[null,null,'room:a','shout',{}]");
    for (int i = 0; i < 2; i++) {
        t->a.host.log[0] = '\0';
        channels_pubsub_deliver(t->a.host.ep, twin.out[0].bytes, twin.out[0].len);
        assert_true((strstr(t->a.host.log, "node-a too") != NULL) == (i == 0));
    }
    quiet(t->a.client);
    channels_test_stop(&twin.host);
}

/* --- An adapter with everything ------------------------------------------------------------- */

typedef struct full {
    char said[256]; /* what it was called for */
    channels_endpoint *ep;
    uint64_t due;
    const letter *mail; /* delivered by run() */
    int err;
} full;

static void note(full *f, const char *what)
{
    size_t used = strlen(f->said);
    snprintf(f->said + used, sizeof f->said - used, "%s;", what);
}

static int full_start(void **self, channels_endpoint *ep)
{
    full *f = *(full **)*self;
    *self = f; /* of this endpoint's own */
    f->ep = ep;
    note(f, channels_pubsub_node(ep));
    return f->err;
}

static void full_stop(void *self)
{
    note(self, "stop");
}

static int full_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    (void)data, (void)len;
    note(self, topic);
    return CHANNELS_OK;
}

static void full_relay(void *self, const char *topic, const void *data, size_t len)
{
    (void)data, (void)len;
    note(self, "relay");
    note(self, topic);
}

static void full_run(void *self, uint64_t now)
{
    full *f = self;
    if (now < f->due)
        return;
    note(f, "run");
    f->due = UINT64_MAX;
    if (f->mail != NULL)
        channels_pubsub_deliver(f->ep, f->mail->bytes, f->mail->len);
}

static uint64_t full_due(void *self)
{
    return ((full *)self)->due;
}

static const channels_pubsub_adapter full_adapter = { .name = "full",
                                                      .start = full_start,
                                                      .stop = full_stop,
                                                      .broadcast = full_broadcast,
                                                      .relay = full_relay,
                                                      .run = full_run,
                                                      .due = full_due };

static void all_calls_of_an_adapter(void **state)
{
    two_nodes *t = *state;
    full f = { .due = UINT64_MAX }, *f_of = &f;
    channels_config config = { .node = "full", .pubsub = &full_adapter, .pubsub_self = &f_of };
    channels_test host = { .on_failure = unit_failure };
    assert_int_equal(channels_test_start(&host, &config), CHANNELS_OK);
    assert_string_equal(f.said, "full;");
    f.said[0] = '\0';
    assert_int_equal(channels_endpoint_timeout(host.ep), UINT64_MAX);
    f.due = host.now + 10;
    assert_int_equal(channels_endpoint_timeout(host.ep), 10);
    channels_pubsub_broadcast(t->a.host.ep, "room:a", "e", channels_empty());
    f.mail = &t->a.out[0];
    channels_test_wait(&host, 10);
    assert_string_equal(f.said, "run;relay;room:a;");
    f.said[0] = '\0';
    channels_pubsub_direct_broadcast(t->a.host.ep, "elsewhere", "room:a", "e", channels_empty());
    channels_pubsub_deliver(host.ep, t->a.out[1].bytes, t->a.out[1].len);
    assert_string_equal(f.said, "relay;phx_node:elsewhere;");
    f.said[0] = '\0';
    assert_int_equal(channels_test_stop(&host), 0);
    assert_string_equal(f.said, "stop;");
    f.err = -7;
    host.on_failure = NULL;
    channels_endpoint *ep;
    config.pubsub_self = &f_of;
    assert_int_equal(channels_endpoint_new(&ep, &config), -7);
    assert_null(ep);
}

#define TWO_NODES(fn) cmocka_unit_test_setup_teardown(fn, start_two, stop_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWO_NODES(broadcasts_reach_both),
        TWO_NODES(intercepted_far_away),
        TWO_NODES(direct),
        TWO_NODES(disconnects_everywhere),
        TWO_NODES(adapter_fails),
        TWO_NODES(garbage),
        TWO_NODES(interest),
        TWO_NODES(interest_of_what_was_refused),
        TWO_NODES(namesakes),
        TWO_NODES(all_calls_of_an_adapter),
    };
    return cmocka_run_group_tests_name("core_nodes", tests, NULL, NULL);
}
