/* test_core_transport.c - what a transport of the host's is asked for: frames once for a broadcast,
 * bytes shared and not copied, and an end told once. */
#include <channels/stats.h>

#include "unit/core_case.h"

#define MANY 40

/* A client that keeps the last buf it was given, and counts. */
typedef struct carrier {
    channels_socket *socket;
    const channels_buf *last;
    channels_buf *last_kept;
    size_t bytes;
    unsigned messages, closed;
} carrier;

static unsigned framed;  /* how often frames were asked for */
static bool frames_fail; /* now they cannot be made */

static channels_buf *frame(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    (void)ep, (void)kind;
    framed++;
    if (!frames_fail)
        return msg;
    channels_buf_unref(msg);
    return NULL;
}

static int take(void *self, channels_buf *wire, channels_kind kind)
{
    carrier *c = self;
    size_t len;
    (void)kind;
    channels_buf_data(wire, &len);
    c->last = wire;
    c->bytes += len;
    c->messages++;
    return 0;
}

static void end(void *self, int code)
{
    carrier *c = self;
    (void)code;
    c->closed++;
}

static void accepted(void *self)
{
    (void)self;
}

static void refused(void *self, const channels_response *r)
{
    (void)self, (void)r;
}

static const channels_transport transports[] = {
    { "websocket", frame, take, end, accepted, refused, false },
    { "websocket", frame, take, end, accepted, refused, false },
    { "websocket", NULL, take, end, accepted, refused, false },
};

static void open_and_join(core_case *t, carrier *c, const channels_transport *transport,
                          const char *query)
{
    channels_request req = { .method = "GET", .path = "/socket/websocket", .query = query };
    channels_payload join =
        query[0] == '\0'
            ? json("{'topic':'room:a','event':'phx_join','payload':{},'ref':'1','join_ref':'1'}")
            : json("['1','1','room:a','phx_join',{}]");
    *c = (carrier){ 0 };
    assert_int_equal(channels_socket_open(t->host.ep, &req, transport, c, &c->socket), CHANNELS_OK);
    assert_int_equal(channels_socket_receive(c->socket, join), CHANNELS_OK);
    assert_int_equal(c->messages, 1);
    channels_socket_sent(c->socket, c->bytes);
}

static void close_all(carrier *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        channels_socket_closed(all[i].socket);
}

static void frames_once(void **state)
{
    core_case *t = *state;
    carrier all[MANY];
    for (size_t i = 0; i < MANY; i++)
        open_and_join(t, &all[i], &transports[0], "vsn=2.0.0");
    framed = 0;
    size_t blocks = t->memory.blocks;
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    assert_int_equal(framed, 1);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(all[i].messages, 2);
        assert_true(all[i].last == all[0].last);
    }
    assert_int_equal(t->memory.blocks, blocks); /* nobody has kept a reference */
    close_all(all, MANY);
}

/* More kinds of wires than are remembered at once: all get what is theirs. */
static void many_kinds_of_wires(void **state)
{
    core_case *t = *state;
    carrier all[24];
    for (size_t i = 0; i < 24; i++)
        open_and_join(t, &all[i], &transports[i % 3], i / 3 % 2 == 0 ? "vsn=2.0.0" : "");
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_binary("x", 1));
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(all[i].messages, i / 3 % 2 == 0 ? 3 : 2); /* no bytes for V1 */
    close_all(all, 24);
}

static void frames_cannot_be_made(void **state)
{
    core_case *t = *state;
    carrier all[2];
    open_and_join(t, &all[0], &transports[0], "vsn=2.0.0");
    open_and_join(t, &all[1], &transports[0], "vsn=2.0.0");
    frames_fail = true;
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty()),
                     CHANNELS_ERR_NOMEM);
    frames_fail = false;
    assert_int_equal(all[0].messages + all[1].messages, 2); /* nobody got it, nobody was closed */
    assert_int_equal(all[0].closed + all[1].closed, 0);
    close_all(all, 2);
}

static void counts_what_has_left(void **state)
{
    core_case *t = *state;
    carrier c;
    open_and_join(t, &c, &transports[0], "vsn=2.0.0");
    channels_socket_sent(c.socket, 1000000); /* more than there was: as much as there was */
    for (int i = 0; i < 3; i++) {
        char text[600000];
        snprintf(text, sizeof text, "{\"x\":\"%0*d\"}", (int)sizeof text - 100, 0);
        c.bytes = 0;
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_json(text));
        channels_socket_sent(c.socket, c.bytes);
    }
    assert_int_equal(c.closed, 0);
    close_all(&c, 1);
}

static void other_names(void **state)
{
    static const channels_transport other = {
        .name = "smoke signals", .send = take, .close = end, .accept = accepted, .refuse = refused
    };
    channels_request req = { .method = "GET", .path = "/socket/websocket", .query = "" };
    core_case *t = *state;
    channels_stats stats;
    carrier c = { 0 };
    assert_int_equal(channels_socket_open(t->host.ep, &req, &other, &c, &c.socket),
                     CHANNELS_ERR_CLOSED);
    assert_null(c.socket);
    req.path = "/socket";
    req.query = "vsn=2.0.0";
    assert_int_equal(channels_socket_open(t->host.ep, &req, &other, &c, &c.socket), CHANNELS_OK);
    assert_string_equal(channels_socket_transport(c.socket), "smoke signals");
    assert_int_equal(channels_socket_receive(c.socket, json("[null,'1','phoenix','heartbeat',{}]")),
                     CHANNELS_OK);
    assert_int_equal(c.messages, 1);
    assert_int_equal(channels_endpoint_stats(t->host.ep, &stats), CHANNELS_OK);
    assert_int_equal(stats.sockets_other, 1);
    channels_socket_closed(c.socket);
}

static void kinds_of_messages(void **state)
{
    core_case *t = *state;
    carrier c;
    open_and_join(t, &c, &transports[2], "vsn=2.0.0");
    channels_payload odd = { (channels_kind)5, "[]", 2 };
    assert_int_equal(channels_socket_receive(c.socket, odd), CHANNELS_ERR_INVALID);
    assert_int_equal(c.closed, 0);
    assert_true(channels_socket_endpoint(c.socket) == t->host.ep);
    assert_null(channels_socket_id(c.socket));
    close_all(&c, 1);
}

static void incomplete_tables(void **state)
{
    core_case *t = *state;
    channels_request req = { .method = "GET", .path = "/socket/websocket", .query = "" };
    channels_socket *socket;
    for (int missing = 0; missing < 5; missing++) {
        channels_transport table = transports[0];
        if (missing == 0)
            table.name = NULL;
        else if (missing == 1)
            table.send = NULL;
        else if (missing == 2)
            table.close = NULL;
        else if (missing == 3)
            table.accept = NULL;
        else
            table.refuse = NULL;
        assert_int_equal(channels_socket_open(t->host.ep, &req, &table, t, &socket),
                         CHANNELS_ERR_INVALID);
        assert_non_null(strstr(t->host.log, "lacks"));
    }
}

/* A wire of its own: room for a header before the bytes. */
static channels_buf *frame_anew(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    size_t len;
    void *bytes;
    const void *data = channels_buf_data(msg, &len);
    channels_buf *wire = channels_buf_new(ep, len + 4, &bytes);
    (void)kind;
    framed++;
    if (wire != NULL) {
        memcpy(bytes, "head", 4);
        memcpy((char *)bytes + 4, data, len);
    }
    channels_buf_unref(msg);
    return wire;
}

static int keep(void *self, channels_buf *wire, channels_kind kind)
{
    take(self, wire, kind);
    channels_buf_unref(((carrier *)self)->last_kept);
    ((carrier *)self)->last_kept = channels_buf_ref(wire);
    return 0;
}

static void frames_of_the_hosts(void **state)
{
    static const channels_transport own = { "websocket", frame_anew, keep, end,
                                            accepted,    refused,    false };
    core_case *t = *state;
    carrier c;
    size_t len;
    open_and_join(t, &c, &own, "vsn=2.0.0");
    framed = 0;
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    assert_int_equal(framed, 1);
    const char *bytes = channels_buf_data(c.last_kept, &len);
    assert_memory_equal(bytes, "head[null,null,\"room:a\",\"e\",{}]", len);
    channels_buf_unref(c.last_kept);
    channels_socket_closed(c.socket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(frames_once),          CORE_TEST(incomplete_tables),
        CORE_TEST(many_kinds_of_wires),  CORE_TEST(frames_cannot_be_made),
        CORE_TEST(counts_what_has_left), CORE_TEST(other_names),
        CORE_TEST(kinds_of_messages),    CORE_TEST(frames_of_the_hosts),
    };
    return cmocka_run_group_tests_name("core_transport", tests, NULL, NULL);
}
