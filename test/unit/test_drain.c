/* test_drain.c - channels_drain(): in batches, until a deadline, and done when the last has gone.
 */
#include <pthread.h>

#include "unit/conn_case.h"

#define JOIN "['1','1','room:a','phx_join',{}]"
#define JOINED "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"
#define UNAVAILABLE "{\"errors\":{\"detail\":\"Service Unavailable\"}}"

/* --- Clients ------------------------------------------------------------------------------ */

#define MANY 5

typedef struct crowd {
    conn_case *t;
    conn_client clients[MANY];
    char reports[512]; /* "2/5 round 1/3, 5 left;" and "done" */
} crowd;

static void note(void *arg, const channels_drain_progress *p)
{
    crowd *c = arg;
    size_t used = strlen(c->reports);
    if (p->done)
        snprintf(c->reports + used, sizeof c->reports - used, "done, %zu %zu", p->count, p->left);
    else
        snprintf(c->reports + used, sizeof c->reports - used, "%zu/%zu round %u/%u, %zu left;",
                 p->count, p->total, p->index, p->rounds, p->left);
}

#define reported(c, text) \
    do { \
        assert_string_equal((c)->reports, text); \
        (c)->reports[0] = '\0'; \
    } while (0)

/* All but the last have a channel. */
static void come(crowd *c, conn_case *t)
{
    memset(c, 0, sizeof *c);
    c->t = t;
    for (int i = 0; i < MANY; i++) {
        conn_open(&c->clients[i], t);
        conn_upgrade(&c->clients[i]);
        if (i == MANY - 1)
            break;
        conn_text(&c->clients[i], JOIN);
        hears(&c->clients[i], JOINED);
    }
    t->probe.trace[0] = '\0';
}

static void go(crowd *c)
{
    for (int i = 0; i < MANY; i++) {
        conn_close(&c->clients[i]);
        free(c->clients[i].got);
    }
}

static void drain(crowd *c, uint32_t batch, uint32_t interval_ms, uint32_t deadline_ms)
{
    channels_drain_options options = { batch, interval_ms, deadline_ms, note, c };
    assert_int_equal(channels_drain(c->t->host.ep, &options), CHANNELS_OK);
    reported(c, ""); /* it is for the loop to do */
    assert_int_equal(channels_endpoint_timeout(c->t->host.ep), 0);
}

static unsigned told(const crowd *c)
{
    unsigned n = 0;
    for (int i = 0; i < MANY; i++)
        n += c->clients[i].shut;
    return n;
}

/* --- Batches ------------------------------------------------------------------------------ */

static void in_batches(conn_case *t)
{
    crowd c;
    come(&c, t);
    drain(&c, 2, 100, 0);
    conn_turn(t, 0);
    reported(&c, "2/5 round 1/3, 5 left;");
    traced(t, "terminate room:a drained;disconnect drained;"
              "terminate room:a drained;disconnect drained;");
    closes(&c.clients[0], 1012); /* without a phx_close or a phx_error before it */
    assert_int_equal(told(&c), 2);
    conn_close(&c.clients[0]);
    conn_turn(t, 99);
    assert_int_equal(told(&c), 2);
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 1);
    conn_turn(t, 1);
    reported(&c, "2/5 round 2/3, 4 left;");
    conn_turn(t, 100);
    reported(&c, "1/5 round 3/3, 4 left;");
    closes(&c.clients[MANY - 1], 1012); /* which had no channel */
    for (int i = 1; i < MANY; i++) {
        reported(&c, "");
        conn_close(&c.clients[i]);
        conn_turn(t, 0);
    }
    reported(&c, "done, 0 0");
    conn_turn(t, 100000);
    reported(&c, "");
    go(&c);
}

static void until_the_deadline(conn_case *t)
{
    crowd c;
    come(&c, t);
    drain(&c, 1, 100, 150);
    conn_turn(t, 0);
    conn_turn(t, 100);
    reported(&c, "1/5 round 1/5, 5 left;1/5 round 2/5, 5 left;");
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 50);
    conn_turn(t, 50);
    reported(&c, "3/5 round 3/5, 5 left;");
    assert_int_equal(told(&c), MANY);
    go(&c);
    conn_turn(t, 0);
    reported(&c, "done, 0 0");
}

static void by_default(conn_case *t)
{
    crowd c;
    come(&c, t);
    assert_int_equal(channels_drain(t->host.ep, NULL), CHANNELS_OK);
    conn_turn(t, 0);
    assert_int_equal(told(&c), MANY);
    go(&c);
}

/* One that does not take its Close, or does not answer it, is waited for as long as any end is. */
static void waits_no_longer_than_it_lingers(conn_case *t)
{
    crowd c;
    come(&c, t);
    c.clients[0].window = 0;
    drain(&c, 0, 0, 0);
    conn_turn(t, 0);
    reported(&c, "5/5 round 1/1, 5 left;");
    conn_turn(t, 1999);
    reported(&c, "");
    conn_turn(t, 1);
    reported(&c, "done, 0 0");
    go(&c);
}

static void when_they_go_by_themselves(conn_case *t)
{
    crowd c;
    come(&c, t);
    drain(&c, 2, 100, 0);
    conn_turn(t, 0);
    go(&c);
    memset(c.clients, 0, sizeof c.clients);
    conn_turn(t, 0);
    reported(&c, "2/5 round 1/3, 5 left;done, 0 0");
}

static void when_nobody_is_there(conn_case *t)
{
    crowd c = { .t = t };
    drain(&c, 0, 0, 0);
    conn_turn(t, 0);
    reported(&c, "done, 0 0");
    assert_int_equal(channels_endpoint_timeout(t->host.ep), UINT64_MAX);
}

#define PUSHED 20000

/* The peer takes a byte now and then: each gives it more time, but not beyond the deadline. */
static void slow_ones_do_not_hold_it_up(conn_case *t)
{
    static char payload[PUSHED + 2] = "{}";
    crowd c;
    come(&c, t);
    memset(payload + 2, ' ', PUSHED);
    c.clients[0].window = 0;
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "e",
                                               channels_json_n(payload, sizeof payload)),
                     CHANNELS_OK);
    drain(&c, 0, 0, 5000);
    conn_turn(t, 0);
    for (int i = 1; i < MANY; i++)
        conn_close(&c.clients[i]);
    c.reports[0] = '\0';
    for (int s = 0; s < 5; s++) {
        c.clients[0].window = 1;
        conn_flush(&c.clients[0]);
        conn_turn(t, 1000);
    }
    reported(&c, "");
    c.clients[0].window = 1;
    conn_flush(&c.clients[0]);
    conn_turn(t, 1000);
    reported(&c, "done, 0 0");
    go(&c);
}

/* --- Who comes meanwhile ------------------------------------------------------------------ */

static int answer(conn_case *t, channels_ref to, const channels_request *req)
{
    static const channels_response ok = { .status = 200, .body = "page", .body_len = 4 };
    (void)req;
    return channels_respond(t->host.ep, to, &ok);
}

static void newcomers_are_refused(conn_case *t)
{
    crowd c;
    come(&c, t);
    drain(&c, 2, 100, 0);
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE);
    const char *head = answered(&t->a, 503, UNAVAILABLE);
    assert_non_null(strstr(head, "retry-after: 5"));
    assert_non_null(strstr(head, "connection: close"));
    traced(t, "");                                            /* connect() is not asked */
    conn_text(&c.clients[3], "['1','2','room:a','echo',{}]"); /* its time has not come */
    hears(&c.clients[3], "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    go(&c);
}

static void requests_are_still_answered(conn_case *t)
{
    crowd c = { .t = t };
    t->request = answer;
    drain(&c, 0, 0, 0);
    conn_open(&t->a, t);
    conn_say(&t->a, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const char *head = answered(&t->a, 200, "page");
    assert_non_null(strstr(head, "connection: close"));
    conn_turn(t, 0);
    reported(&c, ""); /* its last bytes, too, are waited for */
    conn_close(&t->a);
    conn_turn(t, 0);
    reported(&c, "done, 0 0");
}

static int decide_later(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

static void who_waits_is_refused(conn_case *t)
{
    crowd c = { .t = t };
    t->probe.connect = decide_later;
    conn_open(&t->a, t);
    conn_say(&t->a, HANDSHAKE);
    drain(&c, 0, 0, 0);
    conn_turn(t, 0);
    answered(&t->a, 503, UNAVAILABLE);
    traced(t, "connect;disconnect drained;");
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    conn_close(&t->a);
    conn_turn(t, 0);
    reported(&c, "done, 0 0");
}

/* --- From where it is called -------------------------------------------------------------- */

static void twice(conn_case *t)
{
    crowd c, other = { .t = t };
    come(&c, t);
    drain(&c, 2, 100, 0);
    conn_turn(t, 0);
    channels_drain_options now = { 100, 1, 1, note, &other };
    assert_int_equal(channels_drain(t->host.ep, &now), CHANNELS_OK);
    conn_turn(t, 50);
    assert_int_equal(told(&c), 2);
    reported(&c, "2/5 round 1/3, 5 left;");
    reported(&other, "");
    go(&c);
}

static int drain_in(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg, (void)p;
    return channels_drain(channels_channel_endpoint(ch), NULL);
}

static void from_a_callback(conn_case *t)
{
    crowd c;
    come(&c, t);
    t->probe.handle_in = drain_in;
    conn_text(&c.clients[0], "['1','2','room:a','drain',{}]");
    conn_turn(t, 0);
    assert_int_equal(told(&c), MANY);
    go(&c);
}

static void drain_in_note(void *arg, const channels_drain_progress *p)
{
    crowd *c = arg;
    note(c, p);
    assert_int_equal(channels_drain(c->t->host.ep, NULL), CHANNELS_OK);
    channels_endpoint_free(c->t->host.ep);
    assert_non_null(strstr(c->t->host.log, "channels_endpoint_free: may not be called"));
}

static void calls_from_its_reports(conn_case *t)
{
    crowd c;
    come(&c, t);
    channels_drain_options options = { .progress = drain_in_note, .arg = &c };
    channels_drain(t->host.ep, &options);
    conn_turn(t, 0);
    go(&c);
    conn_turn(t, 0);
    reported(&c, "5/5 round 1/1, 5 left;done, 0 0");
}

static void *drain_there(void *arg)
{
    conn_case *t = arg;
    assert_int_equal(channels_drain(t->host.ep, NULL), CHANNELS_ERR_MISUSE);
    return NULL;
}

static void from_another_thread(conn_case *t)
{
    pthread_t thread;
    crowd c;
    come(&c, t);
    pthread_create(&thread, NULL, drain_there, t);
    pthread_join(thread, NULL);
    conn_turn(t, 0);
    assert_int_equal(told(&c), 0);
    go(&c);
}

static void freed_in_the_midst(conn_case *t)
{
    crowd c;
    come(&c, t);
    drain(&c, 2, 100, 0);
    conn_turn(t, 0);
    channels_endpoint_free(t->host.ep);
    t->host.ep = NULL;
    for (int i = 0; i < MANY; i++)
        c.clients[i].conn = NULL;
    go(&c);
}

/* --- Clients of another transport --------------------------------------------------------- */

static void other_transports(conn_case *t)
{
    crowd c = { .t = t };
    channels_test_client *other = channels_test_connect(&t->host, "/socket", "");
    drain(&c, 0, 0, 0);
    conn_turn(t, 0);
    assert_int_equal(other->code, 1012);
    traced(t, "connect;disconnect drained;");
    conn_turn(t, 100000);
    reported(&c, "1/1 round 1/1, 1 left;"); /* until its carrier says that it is gone */
    channels_test_close(other);
    conn_turn(t, 0);
    reported(&c, "done, 0 0");
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(in_batches),
        CONN_TEST(until_the_deadline),
        CONN_TEST(by_default),
        CONN_TEST(waits_no_longer_than_it_lingers),
        CONN_TEST(slow_ones_do_not_hold_it_up),
        CONN_TEST(when_they_go_by_themselves),
        CONN_TEST(when_nobody_is_there),
        CONN_TEST(newcomers_are_refused),
        CONN_TEST(requests_are_still_answered),
        CONN_TEST(who_waits_is_refused),
        CONN_TEST(twice),
        CONN_TEST(from_a_callback),
        CONN_TEST(calls_from_its_reports),
        CONN_TEST(from_another_thread),
        CONN_TEST(freed_in_the_midst),
        CONN_TEST(other_transports),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
