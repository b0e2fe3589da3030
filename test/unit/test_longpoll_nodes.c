/* test_longpoll_nodes.c - lib/transport/forward.c and guest.c: requests of long polling that land
 * on other nodes than their session's, over a bus that loses what the test wants lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <channels/pubsub.h>

#include "sim/bus.h"
#include "sim/poller.h"
#include "sim/probe.h"
#include "transport/longpoll_nodes.h"
#include "unit/failure.h"

#define WINDOW 10000u /* ms */
#define TIMEOUT 2000u
#define LP "/socket/longpoll?vsn=2.0.0"
#define JOIN_A "['1','1','room:a','phx_join',{}]"
#define JOINED_A "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"
#define NEWS(n) "[null,null,'room:a','news',{'n':" #n "}]"
#define NODES 3

typedef struct node {
    channels_test host;
    sim_memory memory;
    probe probe;
    sim_bus_node bus;
    sim_ask a, b;
} node;

typedef struct cluster {
    sim_bus bus;
    node nodes[NODES]; /* home, where the session is, and two others */
    node *home, *front, *other;
    char token[SIM_TOKEN];
    bool slow; /* nothing is carried unless the test does */
} cluster;

/* --- The cluster -------------------------------------------------------------------------- */

static void start_node(cluster *t, int i, const char *secret, const channels_mount_options *options)
{
    static const char *const names[NODES] = { "home", "front", "other" };
    node *n = &t->nodes[i];
    const channels_config config = {
        .secret = secret, .node = names[i], .pubsub = &sim_bus_adapter, .pubsub_self = &n->bus
    };
    channels_mount_options on = { 0 };
    if (options != NULL)
        on = *options;
    on.longpoll.on = true;
    n->probe.host = &n->host;
    n->host.on_failure = unit_failure;
    n->host.now = 1000;
    n->host.random = (uint64_t)i + 1;
    sim_bus_join(&t->bus, &n->bus, names[i], &n->host);
    assert_int_equal(sim_start(&n->host, &n->memory, &config), CHANNELS_OK);
    assert_int_equal(channels_mount(n->host.ep, "/socket", &probe_handler, &on, &n->probe),
                     CHANNELS_OK);
}

static void start_all(cluster *t, const char *secret, const channels_mount_options *options)
{
    for (int i = 0; i < NODES; i++)
        start_node(t, i, secret, options);
    t->home = &t->nodes[0];
    t->front = &t->nodes[1];
    t->other = &t->nodes[2];
}

static size_t stop_node(node *n)
{
    size_t lost = channels_test_stop(&n->host);
    n->host.ep = NULL;
    n->bus.host = NULL;
    sim_bus_carry(n->bus.bus); /* its last words */
    sim_bus_leave(&n->bus);
    n->probe.trace[0] = '\0';
    return lost;
}

static size_t stop_all(cluster *t)
{
    size_t lost = 0;
    for (int i = 0; i < NODES; i++)
        if (t->nodes[i].host.ep != NULL)
            lost += stop_node(&t->nodes[i]);
    return lost;
}

static int start(void **state)
{
    cluster *t = calloc(1, sizeof *t);
    *state = t;
    start_all(t, "secret", NULL);
    return 0;
}

static int stop(void **state)
{
    cluster *t = *state;
    size_t lost = stop_all(t);
    free(t);
    return lost == 0 ? 0 : -1;
}

static void restart(cluster *t, const char *secret, const channels_mount_options *options)
{
    assert_int_equal(stop_all(t), 0);
    memset(t, 0, sizeof *t);
    start_all(t, secret, options);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

static void carry(cluster *t)
{
    if (!t->slow)
        sim_bus_carry(&t->bus);
}

/* Whatever is posted or due now, on all nodes. */
static void turn(cluster *t)
{
    for (int i = 0; i < 3; i++) {
        carry(t);
        for (node *n = t->nodes; n < t->nodes + NODES; n++)
            if (n->host.ep != NULL)
                channels_test_wait(&n->host, 0);
    }
    carry(t);
}

static void pass(cluster *t, unsigned ms)
{
    turn(t);
    for (; ms > 0; ms--) {
        for (node *n = t->nodes; n < t->nodes + NODES; n++)
            if (n->host.ep != NULL)
                channels_test_wait(&n->host, 1);
        turn(t);
    }
}

/* --- Clients ------------------------------------------------------------------------------ */

static void ask_at(cluster *t, node *n, sim_ask *a, const char *method, const char *headers,
                   const char *body)
{
    char target[600];
    snprintf(target, sizeof target, LP "&token=%s", t->token);
    assert_int_equal(sim_ask_text(a, &n->host, method, target, headers, body), CHANNELS_OK);
    turn(t);
}

static void poll_at(cluster *t, node *n, sim_ask *a)
{
    ask_at(t, n, a, "GET", NULL, NULL);
}

static void post_at(cluster *t, node *n, sim_ask *a, const char *text)
{
    ask_at(t, n, a, "POST", NULL, text);
}

static void done(cluster *t, sim_ask *a, bool sent)
{
    sim_answer_done(a, sent);
    turn(t);
}

#define answered(a, text) answered_at(a, text, __FILE__, __LINE__)
#define waits(a) answered_at(a, "(nothing)", __FILE__, __LINE__)
static void answered_at(sim_ask *a, const char *text, const char *file, int line)
{
    _assert_string_equal(sim_answer(a), text, file, line);
    _assert_true(a->answers <= 1, "it was answered once", file, line);
}

#define traced(n, text) traced_at(n, text, __FILE__, __LINE__)
static void traced_at(node *n, const char *text, const char *file, int line)
{
    _assert_string_equal(n->probe.trace, text, file, line);
    n->probe.trace[0] = '\0';
}

/* A session on `home` that has joined room:a, all by way of other nodes. */
static void join(cluster *t)
{
    t->token[0] = '\0';
    poll_at(t, t->home, &t->home->a);
    answered(&t->home->a, "410");
    strcpy(t->token, t->home->a.token);
    post_at(t, t->front, &t->front->a, JOIN_A);
    answered(&t->front->a, "200");
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 " JOINED_A);
    assert_string_equal(t->other->a.token, t->token);
    done(t, &t->other->a, true);
    t->home->probe.trace[0] = '\0';
}

static void news(cluster *t, int n)
{
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%d}", n);
    assert_int_equal(channels_pubsub_local_broadcast(t->home->host.ep, "room:a", "news",
                                                     channels_json(text)),
                     CHANNELS_OK);
    turn(t);
}

/* Nothing waits for the session, and what comes reaches a poll at its own node. */
static void is_well(cluster *t, int n)
{
    char wanted[64];
    poll_at(t, t->home, &t->home->b);
    waits(&t->home->b);
    news(t, n);
    snprintf(wanted, sizeof wanted, "200 [null,null,'room:a','news',{'n':%d}]", n);
    answered(&t->home->b, wanted);
    done(t, &t->home->b, true);
}

/* --- What is the same as on one node --------------------------------------------------------- */

static void polls_and_posts(void **state)
{
    cluster *t = *state;
    join(t);
    assert_string_equal(t->front->a.head, "access-control-allow-origin: *\n"
                                          "content-type: application/json; charset=utf-8\n"
                                          "cache-control: no-store\n");
    poll_at(t, t->front, &t->front->a);
    waits(&t->front->a);
    news(t, 1);
    answered(&t->front->a, "200 " NEWS(1));
    done(t, &t->front->a, true);
    poll_at(t, t->other, &t->other->a);
    pass(t, WINDOW - 1);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->other->a, "204");
    assert_string_equal(t->other->a.token, t->token);
    done(t, &t->other->a, true);
    ask_at(
        t, t->front, &t->front->a, "POST", "content-type: application/x-ndjson\n",
        "['1','2','room:a','echo',{'a':1}]\nAAEBBgQxMnJvb206YW5vbmU=\n['1','3','room:a','x',{}]");
    answered(&t->front->a, "200");
    traced(t->home, "in room:a echo {'a':1};in room:a none <0>;in room:a x {};");
    traced(t->front, "");
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 ['1','2','room:a','phx_reply',{'status':'ok','response':{'a':1}}] "
                           "['1','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    done(t, &t->other->a, true);
    is_well(t, 2);
}

static void bodies_are_checked(void **state)
{
    const channels_mount_options small = { .longpoll.max_body = 40 };
    static const char bad_request[] = "HTTP 400 {\"errors\":{\"detail\":\"Bad Request\"}}";
    cluster *t = *state;
    restart(t, "secret", &small);
    join(t);
    unsigned said = t->front->bus.said;
    post_at(t, t->front, &t->front->a, "[null,'2','phoenix','heartbeat',{ }  ]  ");
    answered(&t->front->a, "200");
    assert_int_equal(t->front->bus.said, said + 1);
    post_at(t, t->front, &t->front->a, "[null,'2','phoenix','heartbeat',{ }  ]   ");
    answered(&t->front->a, bad_request);
    assert_int_equal(t->front->bus.said, said + 1);
    ask_at(t, t->front, &t->front->a, "POST", "content-type: application/x-ndjson\n", "!");
    answered(&t->front->a, bad_request);
    assert_non_null(strstr(t->front->a.head, "access-control-allow-origin: *\n"));
    ask_at(t, t->front, &t->front->a, "GET", "origin: http://elsewhere.example\n", NULL);
    answered(&t->front->a, "403");
    post_at(t, t->front, &t->front->a, "nonsense");
    answered(&t->front->a, "410");
    traced(t->home, "terminate room:a broken;disconnect broken;");
}

/* As large as its own sessions may POST, before anybody has asked the other node. */
static void how_large_a_body(void **state)
{
    char query[600];
    cluster *t = *state;
    join(t);
    snprintf(query, sizeof query, "token=%s", t->token);
    channels_request head = { .method = "POST", .path = "/socket/longpoll", .query = query };
    assert_int_equal(channels_longpoll_max_body(t->front->host.ep, &head), 8000000);
    query[20] ^= 1;
    assert_int_equal(channels_longpoll_max_body(t->front->host.ep, &head), 65536);
}

static void the_newer_poll_wins(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    poll_at(t, t->other, &t->other->a);
    answered(&t->front->a, "204");
    poll_at(t, t->home, &t->home->a);
    answered(&t->other->a, "204");
    poll_at(t, t->other, &t->other->a);
    answered(&t->home->a, "204");
    done(t, &t->front->a, true);
    news(t, 1);
    answered(&t->other->a, "200 " NEWS(1));
    poll_at(t, t->front, &t->front->a); /* behind the one that is on its way */
    news(t, 2);
    waits(&t->front->a);
    done(t, &t->other->a, true);
    answered(&t->front->a, "200 " NEWS(2));
    done(t, &t->front->a, true);
    is_well(t, 3);
}

static void who_asked_has_gone(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    done(t, &t->front->a, false);
    news(t, 1);
    waits(&t->front->a);
    poll_at(t, t->other, &t->other->a); /* not behind anything */
    answered(&t->other->a, "200 " NEWS(1));
    done(t, &t->other->a, false);
    done(t, &t->other->a, true); /* too late */
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "200 " NEWS(1));
    done(t, &t->front->a, true);
    is_well(t, 2);
    post_at(t, t->front, &t->front->a, "x");
    done(t, &t->front->a, false);
}

static void said_wrongly(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    done(t, &t->front->a, true);
    assert_non_null(strstr(t->front->host.log, "has not been answered yet"));
    channels_ref_drop(t->front->host.ep, t->front->a.ref);
    const channels_response r = { .status = 200 };
    assert_int_equal(channels_respond(t->front->host.ep, t->front->a.ref, &r),
                     CHANNELS_ERR_INVALID);
    assert_null(channels_ref_socket(t->front->host.ep, t->front->a.ref));
    news(t, 1);
    answered(&t->front->a, "200 " NEWS(1));
}

static void said_from_inside(void **state)
{
    cluster *t = *state;
    join(t);
    t->front->a.at_once = SIM_LOST;
    t->other->a.at_once = SIM_SENT;
    poll_at(t, t->front, &t->front->a);
    news(t, 1);
    answered(&t->front->a, "200 " NEWS(1));
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 " NEWS(1));
    is_well(t, 2);
}

/* --- The end of a session ------------------------------------------------------------------- */

static int keep_self(channels_channel *ch, probe *p)
{
    return channels_self(ch, &p->self);
}

static void the_session_ends(void **state)
{
    cluster *t = *state;
    t->home->probe.joined = keep_self;
    join(t);
    poll_at(t, t->front, &t->front->a);
    channels_channel *ch = channels_ref_channel(t->home->host.ep, t->home->probe.self);
    channels_push(ch, "last", channels_json("{\"w\":1}"));
    channels_socket_close(channels_channel_socket(ch), 4000);
    turn(t);
    answered(&t->front->a, "200 ['1',null,'room:a','last',{'w':1}]");
    done(t, &t->front->a, true);
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "410");
    assert_string_equal(t->front->a.token, ""); /* none of its own: the client asks anew */
    post_at(t, t->front, &t->front->a, JOIN_A);
    answered(&t->front->a, "410");
}

/* While one answer is on its way and another poll held. */
static void it_ends_amidst_all(void **state)
{
    cluster *t = *state;
    t->home->probe.joined = keep_self;
    join(t);
    news(t, 1);
    poll_at(t, t->front, &t->front->a);
    poll_at(t, t->other, &t->other->a);
    channels_channel *ch = channels_ref_channel(t->home->host.ep, t->home->probe.self);
    channels_socket_close(channels_channel_socket(ch), 4000);
    turn(t);
    answered(&t->other->a, "204");
    pass(t, TIMEOUT);
    done(t, &t->front->a, true);
    assert_int_equal(t->bus.waiting, 0);
}

static void nobody_polls(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    done(t, &t->front->a, false);
    pass(t, 2 * WINDOW - 1);
    traced(t->home, "");
    pass(t, 1);
    traced(t->home, "terminate room:a idle;disconnect idle;");
}

/* --- What is lost on the way ------------------------------------------------------------------ */

static void home_is_gone(void **state)
{
    cluster *t = *state;
    join(t);
    t->home->bus.host = NULL;
    poll_at(t, t->front, &t->front->a);
    post_at(t, t->other, &t->other->a, JOIN_A);
    pass(t, TIMEOUT - 1);
    waits(&t->front->a);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->front->a, "410");
    answered(&t->other->a, "410");
    done(t, &t->front->a, true);
    done(t, &t->other->a, true);
}

static void it_waits_as_long_as_it_is_told(void **state)
{
    const channels_mount_options options = { .longpoll = { .window_ms = 50,
                                                           .pubsub_timeout_ms = 7 } };
    cluster *t = *state;
    restart(t, "secret", &options);
    join(t);
    poll_at(t, t->other, &t->other->a);
    t->home->bus.host = NULL;
    poll_at(t, t->front, &t->front->a);
    pass(t, 6);
    waits(&t->front->a);
    pass(t, 1);
    answered(&t->front->a, "410");
    pass(t, 42);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->other->a, "204"); /* said by its node */
}

static void home_goes_while_it_holds(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    t->home->bus.host = NULL;
    t->home->bus.err = -9;
    pass(t, WINDOW + TIMEOUT - 1);
    waits(&t->front->a);
    pass(t, 1);
    answered(&t->front->a, "204");
    assert_string_equal(t->front->a.token, t->token);
    poll_at(t, t->front, &t->front->a);
    pass(t, TIMEOUT);
    answered(&t->front->a, "410");
}

static void the_bus_is_down(void **state)
{
    cluster *t = *state;
    join(t);
    t->front->bus.err = -9;
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "410");
    post_at(t, t->front, &t->front->a, JOIN_A);
    answered(&t->front->a, "410");
    t->front->bus.err = 0;
    poll_at(t, t->front, &t->front->a);
    t->home->bus.err = -9;
    news(t, 1); /* cannot be told, and is kept */
    t->home->bus.err = 0;
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 " NEWS(1));
}

static void the_answer_is_lost(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    t->slow = true;
    news(t, 1);
    sim_bus_lose_all(&t->bus);
    t->slow = false;
    poll_at(t, t->other, &t->other->a); /* it may still be on its way */
    pass(t, TIMEOUT - 1);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->other->a, "200 " NEWS(1));
    done(t, &t->other->a, true);
    pass(t, WINDOW);
    answered(&t->front->a, "204"); /* the session is still there */
    is_well(t, 2);
}

/* The one case in which something comes twice. */
static void nobody_hears_that_it_has_left(void **state)
{
    cluster *t = *state;
    join(t);
    news(t, 1);
    poll_at(t, t->front, &t->front->a);
    t->slow = true;
    done(t, &t->front->a, true);
    sim_bus_lose_all(&t->bus);
    t->slow = false;
    poll_at(t, t->other, &t->other->a);
    pass(t, TIMEOUT - 1);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->other->a, "200 " NEWS(1));
}

static void the_answer_leaves_slowly(void **state)
{
    cluster *t = *state;
    join(t);
    news(t, 1);
    poll_at(t, t->front, &t->front->a);
    poll_at(t, t->other, &t->other->a);
    pass(t, 4 * TIMEOUT);
    waits(&t->other->a);
    done(t, &t->front->a, true);
    news(t, 2);
    answered(&t->other->a, "200 " NEWS(2));
    done(t, &t->other->a, true);
    news(t, 3);
    poll_at(t, t->front, &t->front->a);
    assert_int_equal(stop_node(t->front), 0); /* while it leaves: it has not */
    turn(t);
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 " NEWS(3));
}

/* It says nothing any more, as after kill -9. */
static void the_front_dies(void **state)
{
    cluster *t = *state;
    join(t);
    news(t, 1);
    poll_at(t, t->front, &t->front->a);
    t->front->bus.err = -9;
    poll_at(t, t->other, &t->other->a);
    pass(t, TIMEOUT - 1);
    waits(&t->other->a);
    pass(t, 1);
    answered(&t->other->a, "200 " NEWS(1));
}

/* That the client has gone overtakes its poll. */
static void out_of_order(void **state)
{
    cluster *t = *state;
    join(t);
    t->slow = true;
    poll_at(t, t->front, &t->front->a);
    done(t, &t->front->a, false);
    assert_int_equal(t->bus.waiting, 2);
    sim_bus_deliver(&t->bus, 1);
    sim_bus_deliver(&t->bus, 0);
    t->slow = false;
    news(t, 1); /* to nobody */
    waits(&t->front->a);
    poll_at(t, t->other, &t->other->a);
    pass(t, TIMEOUT);
    answered(&t->other->a, "200 " NEWS(1));
    done(t, &t->other->a, true);
    poll_at(t, t->front, &t->front->a);
    t->slow = true;
    news(t, 2);
    done(t, &t->front->a, false); /* crosses the answer */
    t->slow = false;
    turn(t);
    waits(&t->front->a);
    poll_at(t, t->other, &t->other->a);
    answered(&t->other->a, "200 " NEWS(2));
}

/* Its name is the same and so are its refs, but it has not asked. */
static void an_answer_to_another_life(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    channels_ref ref = t->front->a.ref;
    t->slow = true;
    news(t, 1);
    assert_int_equal(t->bus.waiting, 1);
    channels_test_stop(&t->front->host);
    t->front->host.random = 99;
    const channels_config config = { .secret = "secret",
                                     .node = "front",
                                     .pubsub = &sim_bus_adapter,
                                     .pubsub_self = &t->front->bus };
    const channels_mount_options options = { .longpoll.on = true };
    assert_int_equal(sim_start(&t->front->host, &t->front->memory, &config), CHANNELS_OK);
    channels_mount(t->front->host.ep, "/socket", &probe_handler, &options, &t->front->probe);
    poll_at(t, t->front, &t->front->a);
    done(t, &t->front->a, false);
    poll_at(t, t->front, &t->front->a);
    assert_int_equal(t->front->a.ref.id, ref.id);
    sim_bus_deliver(&t->bus, 0); /* the answer */
    waits(&t->front->a);
    t->slow = false;
    turn(t);
    answered(&t->front->a, "200 " NEWS(1));
}

/* --- Who may ask -------------------------------------------------------------------------- */

/* At once, and without a word to anybody. */
static void is_a_stranger(cluster *t)
{
    unsigned said = t->front->bus.said;
    post_at(t, t->front, &t->front->a, JOIN_A);
    answered(&t->front->a, "410");
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "410");
    assert_string_not_equal(t->front->a.token, t->token);
    assert_string_not_equal(t->front->a.token, "");
    assert_int_equal(t->front->bus.said, said);
    traced(t->front, "connect;");
}

static void without_a_secret_in_common(void **state)
{
    cluster *t = *state;
    join(t);
    assert_int_equal(stop_node(t->front), 0);
    start_node(t, 1, "another", NULL);
    is_a_stranger(t);
    assert_int_equal(stop_node(t->front), 0);
    start_node(t, 1, NULL, NULL);
    is_a_stranger(t);
    const channels_config alone = { .secret = "secret", .node = "front" };
    const channels_mount_options options = { .longpoll.on = true };
    assert_int_equal(channels_test_stop(&t->front->host), 0);
    t->front->probe.trace[0] = '\0';
    assert_int_equal(sim_start(&t->front->host, &t->front->memory, &alone), CHANNELS_OK);
    channels_mount(t->front->host.ep, "/socket", &probe_handler, &options, &t->front->probe);
    is_a_stranger(t);
    assert_int_equal(strlen(t->front->a.token), 76); /* no node in it */
}

/* That a token names another node is believed when its signature is right: else that one hears of
 * nothing. */
static void only_signed_tokens_are_forwarded(void **state)
{
    cluster *t = *state;
    join(t);
    unsigned said = t->front->bus.said;
    size_t n = strlen(t->token);
    for (size_t i = 0; i < n; i++) {
        t->token[i] ^= 1;
        post_at(t, t->front, &t->front->a, JOIN_A);
        answered(&t->front->a, "410");
        t->token[i] ^= 1;
    }
    while (n > 0) {
        t->token[--n] = '\0';
        post_at(t, t->front, &t->front->a, JOIN_A);
        answered(&t->front->a, "410");
    }
    assert_int_equal(t->front->bus.said, said);
    traced(t->home, "");
    strcpy(t->token, t->home->a.token);
    post_at(t, t->front, &t->front->a, "[null,'2','phoenix','heartbeat',{}]");
    answered(&t->front->a, "200");
    assert_int_equal(t->front->bus.said, said + 1);
}

/* No node is asked for sessions of its own that it does not have. */
static void an_ended_session_is_asked_for_nowhere(void **state)
{
    cluster *t = *state;
    join(t);
    unsigned said = t->home->bus.said;
    post_at(t, t->home, &t->home->a, "no message");
    answered(&t->home->a, "410");
    post_at(t, t->home, &t->home->a, JOIN_A);
    answered(&t->home->a, "410");
    assert_int_equal(t->home->bus.said, said);
    traced(t->home, "terminate room:a broken;disconnect broken;");
}

static void of_another_life(void **state)
{
    cluster *t = *state;
    join(t);
    assert_int_equal(stop_node(t->home), 0);
    start_node(t, 0, "secret", NULL);
    t->home->host.random = 99;
    poll_at(t, t->home, &t->home->a); /* a session in the same place */
    answered(&t->home->a, "410");
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "410");
    post_at(t, t->front, &t->front->a, JOIN_A);
    answered(&t->front->a, "410");
}

static void of_another_mount(void **state)
{
    const channels_mount_options options = { .longpoll.on = true };
    char target[600];
    cluster *t = *state;
    for (node *n = t->nodes; n < t->nodes + NODES; n++)
        channels_mount(n->host.ep, "/other", &probe_handler, &options, &n->probe);
    channels_mount(t->front->host.ep, "/here", &probe_handler, &options, &t->front->probe);
    join(t);
    snprintf(target, sizeof target, "/other/longpoll?token=%s", t->token);
    sim_ask_text(&t->front->a, &t->front->host, "POST", target, NULL, JOIN_A);
    turn(t);
    answered(&t->front->a, "410");
    snprintf(target, sizeof target, "/here/longpoll?token=%s", t->token);
    sim_ask_text(&t->front->a, &t->front->host, "POST", target, NULL, JOIN_A);
    turn(t);
    answered(&t->front->a, "410");
}

static void the_token_is_too_old(void **state)
{
    const channels_mount_options options = { .longpoll.token_max_age_s = 3 };
    cluster *t = *state;
    restart(t, "secret", &options);
    join(t);
    pass(t, 2999);
    post_at(t, t->front, &t->front->a, "[null,'2','phoenix','heartbeat',{}]");
    answered(&t->front->a, "200");
    pass(t, 1);
    post_at(t, t->front, &t->front->a, "[null,'2','phoenix','heartbeat',{}]");
    answered(&t->front->a, "410");
}

static void names(void **state)
{
    cluster *t = *state;
    char name[300];
    channels_endpoint *ep;
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    channels_config config = { .node = name };
    assert_int_equal(channels_endpoint_new(&ep, &config), CHANNELS_ERR_INVALID);
    name[255] = '\0';
    config = (channels_config){
        .secret = "secret", .node = name, .pubsub = &sim_bus_adapter, .pubsub_self = &t->home->bus
    };
    const channels_mount_options options = { .longpoll.on = true };
    assert_int_equal(channels_test_stop(&t->home->host), 0);
    assert_int_equal(sim_start(&t->home->host, &t->home->memory, &config), CHANNELS_OK);
    channels_mount(t->home->host.ep, "/socket", &probe_handler, &options, &t->home->probe);
    t->home->bus.name = name;
    join(t);
    assert_int_equal(strlen(t->token), 416);
    is_well(t, 1);
}

/* --- What others may say -------------------------------------------------------------------- */

/* Said by `from` to `to`, with whatever id. */
static void say(cluster *t, node *from, const char *to, const char *path,
                channels__longpoll_message m)
{
    assert_int_equal(channels__longpoll_say(from->host.ep, to, path, &m), CHANNELS_OK);
    turn(t);
}

static void forged(void **state)
{
    cluster *t = *state;
    char token[SIM_TOKEN];
    join(t);
    poll_at(t, t->front, &t->front->a);
    news(t, 1);
    uint64_t id = t->front->a.ref.id ^ t->front->host.ep->incarnation;
    const channels__longpoll_kind kinds[] = { CHANNELS__LONGPOLL_POLL, CHANNELS__LONGPOLL_POST,
                                              CHANNELS__LONGPOLL_LEAVING, CHANNELS__LONGPOLL_DONE };
    strcpy(token, t->token);
    token[10] ^= 1;
    for (int i = 0; i < 4; i++) { /* without its token, and with it but from elsewhere */
        channels__longpoll_message m = { .kind = kinds[i],
                                         .flag = true,
                                         .id = id,
                                         .token = channels__str_z(token),
                                         .body = channels__str_z(
                                             "[null,\"1\",\"room:a\",\"phx_leave\",{}]") };
        say(t, t->other, "home", "/socket/longpoll", m);
        m.token = channels__str_none();
        say(t, t->other, "home", "/socket/longpoll", m);
        m.token = channels__str_z(t->token);
        say(t, t->other, "home", "/other/longpoll", m);
    }
    const channels__longpoll_message d = {
        .kind = CHANNELS__LONGPOLL_DONE, .flag = true, .id = id, .token = channels__str_z(t->token)
    };
    say(t, t->other, "home", "/socket/longpoll", d);
    traced(t->home, "");
    done(t, &t->front->a, false);
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "200 " NEWS(1)); /* nothing was taken for sent */
}

/* By the node that asked, of a poll that is held. */
static void done_too_soon(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    const channels__longpoll_message m = {
        .kind = CHANNELS__LONGPOLL_DONE,
        .flag = true,
        .id = t->front->a.ref.id ^ t->front->host.ep->incarnation,
        .token = channels__str_z(t->token)
    };
    say(t, t->front, "home", "/socket/longpoll", m);
    news(t, 1);
    answered(&t->front->a, "200 " NEWS(1));
    done(t, &t->front->a, true);
    is_well(t, 2);
}

static void forged_answers(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    channels_ref ref = t->front->a.ref;
    channels__longpoll_message m = { .kind = CHANNELS__LONGPOLL_ANSWER,
                                     .status = 200,
                                     .id = ref.id ^ t->front->host.ep->incarnation,
                                     .body = channels__str_z("{}") };
    say(t, t->other, "front", "", m); /* it was not asked */
    waits(&t->front->a);
    for (uint64_t slot = 0; slot < 20; slot++)
        for (uint64_t generation = 0; generation < 5; generation++)
            for (m.kind = 0; m.kind < CHANNELS__LONGPOLL_KINDS; m.kind++) {
                m.id = generation << 32 | slot;
                say(t, t->home, "front", "", m);
                m.id ^= t->front->host.ep->incarnation;
                if (m.id != (ref.id ^ t->front->host.ep->incarnation))
                    say(t, t->home, "front", "", m);
            }
    waits(&t->front->a);
    news(t, 1);
    answered(&t->front->a, "200 " NEWS(1));
}

static void unknown_forms(void **state)
{
    cluster *t = *state;
    join(t);
    channels__node_message m = { .kind = CHANNELS__NODE_LONGPOLL,
                                 .to = channels__str_z("home"),
                                 .topic = channels__str_z("x"),
                                 .payload = channels__str_z("?") };
    for (int i = 0; i < 3; i++) {
        t->home->host.log[0] = '\0';
        assert_int_equal(channels__node_send(t->front->host.ep, &m), CHANNELS_OK);
        assert_int_equal(channels__node_send(t->front->host.ep, &m), CHANNELS_OK);
        turn(t);
        bool told = strstr(t->home->host.log, "what the node front says about long polling is not "
                                              "understood") != NULL;
        assert_int_equal(told, i != 1);
        if (i == 1)
            channels_test_wait(&t->home->host, 60000);
    }
    unsigned logged = t->home->host.logged;
    m.payload = channels__str_none();
    channels__node_send(t->front->host.ep, &m);
    turn(t);
    assert_int_equal(t->home->host.logged, logged);
}

static node *inside; /* whose callback delivers */

static int deliver_inside(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    sim_bus_carry(inside->bus.bus);
    probe_note(p, "meanwhile nothing;");
    return channels_push(ch, msg->event, msg->payload);
}

/* An adapter may deliver when it likes; callbacks never nest. */
static void from_inside_a_callback(void **state)
{
    cluster *t = *state;
    join(t);
    t->slow = true;
    post_at(t, t->front, &t->front->a, "['1','2','room:a','echo',{'a':1}]");
    poll_at(t, t->other, &t->other->a);
    assert_int_equal(t->bus.waiting, 2);
    t->home->probe.handle_in = deliver_inside;
    inside = t->home;
    post_at(t, t->home, &t->home->a, "['1','3','room:a','first',{}]");
    t->home->probe.handle_in = NULL;
    t->slow = false;
    traced(t->home, "in room:a first {};meanwhile nothing;in room:a echo {'a':1};"
                    "meanwhile nothing;");
    turn(t);
    answered(&t->front->a, "200");
    answered(&t->other->a, "200 ['1',null,'room:a','first',{}] ['1',null,'room:a','echo',{'a':1}]");
}

/* --- Limits and ends ------------------------------------------------------------------------ */

static void too_many_wait(void **state)
{
    const channels_mount_options options = { .longpoll.max_sessions = 2 };
    cluster *t = *state;
    restart(t, "secret", &options);
    join(t);
    t->slow = true;
    poll_at(t, t->front, &t->front->a);
    post_at(t, t->front, &t->front->b, "['1','2','room:a','none',{}]");
    sim_ask third = { 0 };
    poll_at(t, t->front, &third);
    answered(&third, "HTTP 503 {\"errors\":{\"detail\":\"Service Unavailable\"}}");
    assert_non_null(strstr(t->front->host.log, "of another node: 2 wait already"));
    t->slow = false;
    turn(t);
    answered(&t->front->b, "200");
    poll_at(t, t->front, &third);
    answered(&t->front->a, "204");
    news(t, 1);
    answered(&third, "200 " NEWS(1));
    assert_int_equal(t->front->host.ep->mounts->nforwards, 1); /* that is on its way */
    done(t, &third, true);
    assert_int_equal(t->front->host.ep->mounts->nforwards, 0);
}

static void the_front_drains(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    channels_drain(t->front->host.ep, NULL);
    turn(t);
    answered(&t->front->a, "204");
    assert_string_equal(t->front->a.token, t->token);
    is_well(t, 1);
}

static void home_drains(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    channels_drain(t->home->host.ep, NULL);
    turn(t);
    answered(&t->front->a, "204");
    traced(t->home, "terminate room:a drained;disconnect drained;");
    poll_at(t, t->front, &t->front->a);
    answered(&t->front->a, "410");
}

static void the_front_is_freed(void **state)
{
    cluster *t = *state;
    join(t);
    poll_at(t, t->front, &t->front->a);
    t->slow = true;
    post_at(t, t->front, &t->front->b, "[null,'2','phoenix','heartbeat',{}]");
    t->slow = false;
    assert_int_equal(channels_test_stop(&t->front->host), 0);
    t->front->host.ep = NULL;
    answered(&t->front->a, "204");
    answered(&t->front->b, "410");
    t->front->bus.host = NULL;
    turn(t);
    sim_bus_leave(&t->front->bus);
    poll_at(t, t->other, &t->other->a); /* nobody is waited for */
    answered(&t->other->a, "200 [null,'2','phoenix','phx_reply',{'status':'ok','response':{}}]");
}

/* Requests of one connection of the host's: with the first that is answered it ends, and the rest
 * is abandoned. */
typedef struct connection {
    channels_endpoint *ep;
    channels_ref refs[3];
    unsigned answers;
} connection;

static void abandon(void *arg, const channels_response *r)
{
    connection *c = arg;
    (void)r;
    c->answers++;
    for (unsigned i = 0; i < 3; i++)
        channels_longpoll_done(c->ep, c->refs[i], false);
}

static void abandoned_with_the_first(void **state)
{
    cluster *t = *state;
    join(t);
    connection c = { .ep = t->front->host.ep };
    char query[SIM_TOKEN + 32];
    snprintf(query, sizeof query, "vsn=2.0.0&token=%s", t->token);
    const channels_request post = {
        .method = "POST", .path = "/socket/longpoll", .query = query, .body = "{}", .body_len = 2
    };
    t->slow = true;
    for (unsigned i = 0; i < 3; i++)
        channels_longpoll_request(c.ep, &post, abandon, &c, &c.refs[i]);
    assert_int_equal(c.ep->mounts->nforwards, 3);
    assert_int_equal(channels_test_stop(&t->front->host), 0);
    t->front->host.ep = NULL;
    t->front->bus.host = NULL;
    t->slow = false;
    assert_int_equal(c.answers, 1);
    sim_bus_leave(&t->front->bus);
}

static void home_is_freed(void **state)
{
    cluster *t = *state;
    join(t);
    news(t, 1);
    poll_at(t, t->front, &t->front->a);
    poll_at(t, t->other, &t->other->a);
    t->slow = true;
    post_at(t, t->other, &t->other->b, "[null,'2','phoenix','heartbeat',{}]");
    assert_int_equal(channels_test_stop(&t->home->host), 0);
    t->home->host.ep = NULL;
    t->home->bus.host = NULL;
    t->slow = false;
    turn(t);
    answered(&t->other->a, "204");
    pass(t, TIMEOUT);
    answered(&t->other->b, "410");
    sim_bus_leave(&t->home->bus);
}

/* --- Memory ------------------------------------------------------------------------------- */

static void life(cluster *t)
{
    char target[600];
    sim_ask_text(&t->home->a, &t->home->host, "GET", LP, NULL, NULL);
    sim_answer(&t->home->a);
    strcpy(t->token, t->home->a.token);
    snprintf(target, sizeof target, LP "&token=%s", t->token);
    const struct {
        node *n;
        sim_ask *a;
        const char *method, *body;
    } asks[] = { { t->front, &t->front->a, "POST", JOIN_A },
                 { t->front, &t->front->a, "GET", NULL },
                 { t->other, &t->other->a, "GET", NULL },
                 { t->front, &t->front->b, "GET", NULL },
                 { t->front, &t->front->b, "POST", "[null,'2','phoenix','heartbeat',{}]" } };
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        sim_ask_text(asks[i].a, &asks[i].n->host, asks[i].method, target, NULL, asks[i].body);
        turn(t);
        if (i % 2 == 1)
            done(t, asks[i].a, i == 1);
    }
    channels_pubsub_local_broadcast(t->home->host.ep, "room:a", "news", channels_json("{\"n\":0}"));
    turn(t);
    pass(t, 20);
}

static void memory_runs_out_of(cluster *t, int which, bool all)
{
    const channels_mount_options quick = { .longpoll = { .window_ms = 30,
                                                         .pubsub_timeout_ms = 10 } };
    size_t n = 0, calls;
    do {
        restart(t, "secret", &quick);
        sim_memory *memory = &t->nodes[which].memory;
        memory->calls = 0;
        memory->fail_at = ++n;
        memory->fail_on = all;
        life(t);
        calls = memory->calls;
        memory->fail_at = 0;
        pass(t, 50);
        join(t);
        is_well(t, 1);
    } while (calls >= n);
    assert_in_range(n, 5, 1000);
}

static void memory_runs_out(void **state)
{
    for (int which = 0; which < 2; which++)
        for (int all = 0; all < 2; all++)
            memory_runs_out_of(*state, which, all != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(polls_and_posts),
        TEST(bodies_are_checked),
        TEST(how_large_a_body),
        TEST(the_newer_poll_wins),
        TEST(who_asked_has_gone),
        TEST(said_wrongly),
        TEST(said_from_inside),
        TEST(the_session_ends),
        TEST(it_ends_amidst_all),
        TEST(nobody_polls),
        TEST(home_is_gone),
        TEST(it_waits_as_long_as_it_is_told),
        TEST(home_goes_while_it_holds),
        TEST(the_bus_is_down),
        TEST(the_answer_is_lost),
        TEST(nobody_hears_that_it_has_left),
        TEST(the_answer_leaves_slowly),
        TEST(the_front_dies),
        TEST(out_of_order),
        TEST(an_answer_to_another_life),
        TEST(without_a_secret_in_common),
        TEST(only_signed_tokens_are_forwarded),
        TEST(an_ended_session_is_asked_for_nowhere),
        TEST(of_another_life),
        TEST(of_another_mount),
        TEST(the_token_is_too_old),
        TEST(names),
        TEST(forged),
        TEST(done_too_soon),
        TEST(forged_answers),
        TEST(unknown_forms),
        TEST(from_inside_a_callback),
        TEST(too_many_wait),
        TEST(the_front_drains),
        TEST(home_drains),
        TEST(the_front_is_freed),
        TEST(abandoned_with_the_first),
        TEST(home_is_freed),
        TEST(memory_runs_out),
    };
    return cmocka_run_group_tests_name("longpoll_nodes", tests, NULL, NULL);
}
