/* test_ends.c - all the ways in which a channel and a client end, over WebSocket: whatever it was,
 * terminate() and disconnect() run once, with the right reason, and no Close is a 1000 of ours. */
#include <channels/pubsub.h>
#include <channels/transport.h>

#include "unit/conn_case.h"

#define JOIN "['1','1','room:a','phx_join',{}]"

/* --- The ways ----------------------------------------------------------------------------- */

static void leaves(conn_case *t)
{
    conn_text(&t->a, "['1','2','room:a','phx_leave',{}]");
}

static void callback_stops(conn_case *t)
{
    conn_text(&t->a, "['1','2','room:a','stop',{}]");
}

static void callback_fails(conn_case *t)
{
    conn_text(&t->a, "['1','2','room:a','fail',{}]");
}

static void is_stopped(conn_case *t)
{
    channels_stop(channels_ref_channel(t->host.ep, t->probe.self));
}

static void joins_again(conn_case *t)
{
    conn_text(&t->a, "['2','2','room:a','phx_join',{}]");
}

static void is_refused_after_later(conn_case *t)
{
    channels_ref_reply(t->host.ep, t->probe.ref, "error", channels_empty());
}

static void its_join_is_dropped(conn_case *t)
{
    channels_ref_drop(t->host.ep, t->probe.ref);
}

static void client_closes(conn_case *t)
{
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe9", 2);
}

static void client_vanishes(conn_case *t)
{
    conn_close(&t->a);
}

static void client_is_idle(conn_case *t)
{
    conn_turn(t, 60000);
}

static void client_is_slow(conn_case *t)
{
    t->a.window = 0;
    for (int i = 0; i < 100; i++)
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    t->a.window = SIZE_MAX;
}

static void frame_is_broken(conn_case *t)
{
    conn_send(&t->a, "\x83\x80", 2);
}

static void message_is_no_message(conn_case *t)
{
    conn_text(&t->a, "['1','2']");
}

static void text_is_not_utf8(conn_case *t)
{
    conn_frame(&t->a, FIN | TEXT, "\xff", 1);
}

static void message_is_too_large(conn_case *t)
{
    static const char large[2000];
    conn_frame(&t->a, FIN | BINARY, large, sizeof large);
}

static void too_much_waits_behind_its_join(conn_case *t)
{
    for (int i = 0; i < 100 && !t->a.shut; i++)
        conn_text(&t->a, "['1','3','room:a','e',{}]");
}

static void memory_runs_out(conn_case *t)
{
    t->memory.fail_at = t->memory.calls + 1;
    conn_text(&t->a, "[null,'2','phoenix','heartbeat',{}]");
    t->memory.fail_at = 0;
}

static void is_disconnected_by_id(conn_case *t)
{
    channels_disconnect(t->host.ep, "users:1");
}

static void is_closed_by_the_host(conn_case *t)
{
    channels_channel *ch = channels_ref_channel(t->host.ep, t->probe.self);
    assert_int_equal(channels_socket_close(channels_channel_socket(ch), 1000),
                     CHANNELS_ERR_INVALID); /* phoenix.js would not come back */
    channels_socket_close(channels_channel_socket(ch), 4001);
}

static void endpoint_is_freed(conn_case *t)
{
    channels_endpoint_free(t->host.ep); /* frees the connection too */
    t->host.ep = NULL;
    t->a.conn = NULL;
}

static void is_drained(conn_case *t)
{
    channels_drain(t->host.ep, NULL);
}

enum { LIVES = -1, CUT = 0 }; /* or else the code of the Close it gets */

static const struct way {
    const char *name;
    void (*end)(conn_case *t);
    const char *channel, *socket; /* what they were told */
    int code;
    bool pending; /* the join waits for its answer */
} ways[] = {
    { "leave", leaves, "left", "closed", LIVES, false },
    { "stop by a callback", callback_stops, "stopped", "closed", LIVES, false },
    { "stop", is_stopped, "stopped", "closed", LIVES, false },
    { "failure", callback_fails, "failed", "closed", LIVES, false },
    { "duplicate join", joins_again, "duplicate", "closed", LIVES, false },
    { "refusal, later", is_refused_after_later, "refused", "closed", LIVES, true },
    { "join dropped", its_join_is_dropped, "refused", "closed", LIVES, true },
    { "close by the client", client_closes, "closed", "closed", 1001, false },
    { "close by the client, join waits", client_closes, "closed", "closed", 1001, true },
    { "client gone", client_vanishes, "closed", "closed", CUT, false },
    { "client gone, join waits", client_vanishes, "closed", "closed", CUT, true },
    { "idle", client_is_idle, "idle", "idle", 1002, false },
    { "idle, join waits", client_is_idle, "idle", "idle", 1002, true },
    { "slow", client_is_slow, "slow", "slow", 1008, false },
    { "broken frame", frame_is_broken, "broken", "broken", 1002, false },
    { "broken frame, join waits", frame_is_broken, "broken", "broken", 1002, true },
    { "undecodable", message_is_no_message, "broken", "broken", 1011, false },
    { "not UTF-8", text_is_not_utf8, "broken", "broken", 1007, false },
    { "too large", message_is_too_large, "broken", "broken", 1009, false },
    { "too much held", too_much_waits_behind_its_join, "broken", "broken", 1008, true },
    { "no memory", memory_runs_out, "broken", "broken", 1011, false },
    { "disconnect by id", is_disconnected_by_id, "disconnected", "disconnected", 1001, false },
    { "disconnect, join waits", is_disconnected_by_id, "disconnected", "disconnected", 1001, true },
    { "close by the host", is_closed_by_the_host, "disconnected", "disconnected", 4001, false },
    { "drain", is_drained, "drained", "drained", 1012, false },
    { "drain, join waits", is_drained, "drained", "drained", 1012, true },
    { "endpoint freed", endpoint_is_freed, "shutdown", "shutdown", CUT, false },
    { "endpoint freed, join waits", endpoint_is_freed, "shutdown", "shutdown", CUT, true },
};

/* --- Walking them ------------------------------------------------------------------------- */

static bool pending; /* what the walk is at */

static int connect(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "users:1");
}

static int join(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    int err = channels_self(ch, &p->self);
    if (err != CHANNELS_OK || !pending)
        return err;
    err = channels_later(ch, &p->ref);
    return err == CHANNELS_OK ? CHANNELS_LATER : err;
}

static void begin(conn_case *t)
{
    static const channels_mount_options options = { .max_queued = 1000,
                                                    .max_deferred = 50,
                                                    .websocket.max_message = 1000 };
    memset(t, 0, sizeof *t);
    t->probe.connect = connect;
    t->probe.join = join;
    assert_int_equal(conn_case_begin(t, NULL, &options), CHANNELS_OK);
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, JOIN);
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        n++;
    return n;
}

/* The code of the Close that ends what the client got; 0 if there is none. */
static int close_code(const conn_client *c)
{
    const unsigned char *end = (const unsigned char *)c->got + c->len - 4;
    return c->len >= 4 && end[0] == (FIN | CLOSE) && end[1] == 2 ? end[2] << 8 | end[3] : 0;
}

static int told_to_close(const conn_case *t)
{
    return t->a.shut ? close_code(&t->a) : t->a.conn == NULL ? CUT : LIVES;
}

static bool as_told(const struct way *way, const conn_case *t, int code)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "terminate room:a %s;", way->channel);
    bool channel = strstr(t->probe.trace, wanted) != NULL;
    snprintf(wanted, sizeof wanted, "disconnect %s;", way->socket);
    bool socket = strstr(t->probe.trace, wanted) != NULL;
    unsigned joins = count(t->probe.trace, "join room:a");
    return channel && socket && code == way->code && code != 1000 &&
           count(t->probe.trace, "terminate") == joins && count(t->probe.trace, ";disconnect ") == 1;
}

static void each_end_is_told_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        conn_case t;
        pending = ways[i].pending;
        begin(&t);
        ways[i].end(&t);
        if (t.host.ep != NULL)
            conn_turn(&t, 0);
        int code = told_to_close(&t);
        conn_close(&t.a);
        assert_int_equal(conn_case_end(&t), 0);
        if (!as_told(&ways[i], &t, code))
            print_error("%s: %d, %s\n", ways[i].name, code, t.probe.trace);
        assert_true(as_told(&ways[i], &t, code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_end_is_told_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
