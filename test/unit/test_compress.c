/* test_compress.c - permessage-deflate between clients and endpoint: what is agreed on, which
 * messages are compressed and how often, what is refused. Each case runs with its input whole and
 * cut into small pieces. lib/transport/deflate.c itself is tried in test_deflate.c. */
#include <channels/pubsub.h>
#include <channels/stats.h>

#include "sim/squeeze.h"
#include "unit/conn_case.h"

#define RSV1 0x40
#define HEAD \
    "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define OFFER "Sec-WebSocket-Extensions: permessage-deflate"
#define AGREED \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" \
    "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; " \
    "client_no_context_takeover"
#define HEARTBEAT "[null,'1','phoenix','heartbeat',{}]"
#define HEARTBEAT_REPLY "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]"
#define JOIN "['1','1','room:a','phx_join',{}]"
#define JOINED "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"

/* --- Clients ------------------------------------------------------------------------------ */

static void start(conn_case *t, size_t min, size_t max_message)
{
    const channels_config config = { .compress_min = min };
    const channels_mount_options options = { .websocket = { .compress = true,
                                                            .max_message = max_message } };
    conn_case_restart(t, &config, &options);
}

static void agree(conn_case *t, conn_client *c, const char *offer, const char *answer)
{
    conn_open(c, t);
    conn_say(c, HEAD);
    conn_say(c, offer);
    conn_say(c, "\r\n\r\n");
    took_at(c, answer, strlen(answer), __FILE__, __LINE__);
    took(c, "\r\n\r\n");
    silent(c);
}

static void upgraded(conn_case *t, conn_client *c)
{
    agree(t, c, OFFER, AGREED);
}

static void join(conn_client *c)
{
    conn_text(c, JOIN);
    hears(c, JOINED);
}

static void send_deflated(conn_client *c, int first, const void *bytes, size_t len)
{
    size_t n;
    char *packed = sim_deflate(bytes, len, 15, &n);
    conn_frame(c, first | RSV1, packed, n);
    free(packed);
}

static void text_deflated(conn_client *c, const char *json)
{
    char *text = sim_quoted(json);
    send_deflated(c, FIN | TEXT, text, strlen(text));
    free(text);
}

/* The next frame is compressed, with at most such a window, and stands for this text. */
static void hears_deflated(conn_client *c, int bits, const char *json)
{
    const unsigned char *p = (unsigned char *)c->got + c->at;
    size_t head = 2, len, n;
    assert_true(c->len - c->at > 4);
    assert_int_equal(p[0], FIN | RSV1 | TEXT);
    len = p[1];
    if (len == 126) {
        head = 4;
        len = (size_t)(p[2] << 8 | p[3]);
    }
    assert_true(c->len - c->at >= head + len);
    char *plain = sim_inflate(p + head, len, bits, &n), *text = sim_quoted(json);
    assert_non_null(plain);
    assert_string_equal(plain, text);
    assert_true(len < n);
    c->at += head + len;
    free(plain);
    free(text);
}

static void alive(conn_client *c)
{
    conn_text(c, HEARTBEAT);
    hears(c, HEARTBEAT_REPLY);
    silent(c);
}

static channels_stats stats_of(conn_case *t)
{
    channels_stats stats;
    channels_endpoint_stats(t->host.ep, &stats);
    return stats;
}

/* --- What is agreed on -------------------------------------------------------------------- */

static void agreements(conn_case *t)
{
    start(t, 0, 0);
    agree(t, &t->a, OFFER, AGREED);
    agree(t, &t->a, OFFER "; client_max_window_bits", AGREED);
    agree(t, &t->a, OFFER "; server_max_window_bits=15", AGREED "; server_max_window_bits=15");
    agree(t, &t->a, OFFER "; server_max_window_bits=11", AGREED "; server_max_window_bits=9");
    agree(t, &t->a, "Sec-WebSocket-Extensions: x\r\n" OFFER, AGREED);
    alive(&t->a);
    conn_open(&t->a, t);
    conn_say(&t->a, HEAD OFFER "; server_max_window_bits=8\r\n\r\n");
    took(&t->a, WELCOME);
    alive(&t->a);
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    alive(&t->a);
}

static void off_by_default(conn_case *t)
{
    conn_open(&t->a, t);
    conn_say(&t->a, HEAD OFFER "\r\n\r\n");
    took(&t->a, WELCOME);
    text_deflated(&t->a, HEARTBEAT);
    closes(&t->a, 1002);
}

static int wait(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_string_equal(channels_socket_transport(s), "websocket");
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
}

static void agreed_on_later(conn_case *t)
{
    start(t, 1, 0);
    t->probe.connect = wait;
    conn_open(&t->a, t);
    conn_say(&t->a, HEAD OFFER "\r\n\r\n");
    text_deflated(&t->a, HEARTBEAT);
    silent(&t->a);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    conn_turn(t, 0);
    conn_turn(t, 0);
    took(&t->a, AGREED "\r\n\r\n");
    hears_deflated(&t->a, 15, HEARTBEAT_REPLY);
}

static void levels_there_are_not(conn_case *t)
{
    for (int level = -1; level <= 10; level += 11) {
        const channels_config config = { .compress_level = level, .realloc = NULL };
        channels_endpoint *ep;
        assert_int_equal(channels_endpoint_new(&ep, &config), CHANNELS_ERR_INVALID);
    }
    (void)t;
}

/* --- To clients --------------------------------------------------------------------------- */

#define FILL "'fill':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
#define REPLY(response) "['1','2','room:a','phx_reply',{'status':'ok','response':" response "}]"

static void from_a_size_on(conn_case *t)
{
    static const char small[] = REPLY("{'x':1}");
    start(t, sizeof small, 0); /* of one byte more */
    upgraded(t, &t->a);
    join(&t->a);
    conn_text(&t->a, "['1','2','room:a','echo',{'x':1}]");
    hears(&t->a, small);
    conn_text(&t->a, "['1','2','room:a','echo',{'x':'aaaaaaaaa'}]");
    hears_deflated(&t->a, 15, REPLY("{'x':'aaaaaaaaa'}"));
    start(t, 0, 0);
    upgraded(t, &t->a);
    join(&t->a);
    conn_text(&t->a, "['1','2','room:a','echo',{" FILL "}]");
    hears(&t->a, REPLY("{" FILL "}"));
    conn_text(&t->a, "['1','2','room:a','echo',{" FILL "," FILL "," FILL "}]");
    hears_deflated(&t->a, 15, REPLY("{" FILL "," FILL "," FILL "}"));
}

/* Compressed they would be no smaller. */
static void of_no_order(conn_case *t)
{
    start(t, 1, 0);
    upgraded(t, &t->a);
    conn_text(&t->a, JOIN);
    hears_deflated(&t->a, 15, JOINED);
    conn_frame(&t->a, FIN | BINARY,
               "\0\1\1\6\4"
               "13room:aecho\xff\0",
               19);
    frame_is(&t->a, FIN | BINARY,
             "\1\1\1\6\2"
             "13room:aok\xff\0",
             17);
    channels_stats stats = stats_of(t);
    assert_true(stats.deflate_before >= 17 && stats.deflate_after <= stats.deflate_before);
}

static void binary(conn_case *t)
{
    static char bytes[419] = "\0\1\1\6\4"
                             "13room:aecho";
    size_t n;
    start(t, 0, 0);
    upgraded(t, &t->a);
    join(&t->a);
    send_deflated(&t->a, FIN | BINARY, bytes, sizeof bytes);
    const unsigned char *p = (unsigned char *)t->a.got + t->a.at;
    assert_int_equal(p[0], FIN | RSV1 | BINARY);
    assert_int_equal(p[1], t->a.len - t->a.at - 2);
    char *plain = sim_inflate(p + 2, p[1], 15, &n);
    assert_int_equal(n, sizeof bytes - 2);
    assert_memory_equal(plain,
                        "\1\1\1\6\2"
                        "13room:aok\0\0\0",
                        18);
    free(plain);
}

/* Compressed once for each kind of client, whatever their number. */
static void broadcast(conn_case *t)
{
    enum { MANY = 6 };
    static const char shouted[] = "[null,null,'room:a','shout',{" FILL "}]";
    conn_client *clients[MANY];
    start(t, 100, 0);
    for (int i = 0; i < MANY; i++) {
        clients[i] = calloc(1, sizeof **clients);
        if (i % 3 == 0)
            agree(t, clients[i], OFFER, AGREED);
        else if (i % 3 == 1)
            agree(t, clients[i], OFFER "; server_max_window_bits=9",
                  AGREED "; server_max_window_bits=9");
        else {
            conn_open(clients[i], t);
            conn_upgrade(clients[i]);
        }
        join(clients[i]);
    }
    uint64_t before = stats_of(t).deflate_before;
    channels_pubsub_broadcast(t->host.ep, "room:a", "shout",
                              channels_json("{\"fill\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"));
    assert_int_equal(stats_of(t).deflate_before - before, 2 * (sizeof shouted - 1));
    assert_int_equal(stats_of(t).deliveries, MANY);
    conn_turn(t, 0);
    for (int i = 0; i < MANY; i++) {
        conn_flush(clients[i]);
        if (i % 3 == 2)
            hears(clients[i], shouted);
        else
            hears_deflated(clients[i], i % 3 == 1 ? 9 : 15, shouted);
        silent(clients[i]);
        conn_close(clients[i]);
        free(clients[i]->got);
        free(clients[i]);
    }
}

/* --- From clients ------------------------------------------------------------------------- */

static void messages(conn_case *t)
{
    start(t, 0, 0);
    upgraded(t, &t->a);
    for (int i = 0; i < 3; i++) {
        text_deflated(&t->a, HEARTBEAT);
        hears(&t->a, HEARTBEAT_REPLY);
        alive(&t->a); /* not compressed, between others that are */
    }
    channels_stats stats = stats_of(t);
    assert_int_equal(stats.inflate_after, 3 * (sizeof HEARTBEAT - 1));
    assert_true(stats.inflate_before != 0);
}

/* In two fragments, cut at any byte, with pings about. */
static void fragments(conn_case *t)
{
    char *text = sim_quoted(HEARTBEAT);
    size_t len;
    char *packed = sim_deflate(text, strlen(text), 15, &len);
    start(t, 0, 0);
    upgraded(t, &t->a);
    for (size_t n = 0; n <= len; n++) {
        conn_frame(&t->a, TEXT | RSV1, packed, n);
        conn_frame(&t->a, FIN | PING, "between", 7);
        conn_frame(&t->a, CONTINUATION, "", 0);
        conn_frame(&t->a, FIN, packed + n, len - n);
        frame_is(&t->a, FIN | PONG, "between", 7);
        hears(&t->a, HEARTBEAT_REPLY);
        silent(&t->a);
    }
    conn_frame(&t->a, TEXT | RSV1, packed, 1);
    for (size_t n = 1; n < len; n++)
        conn_frame(&t->a, CONTINUATION, packed + n, 1);
    conn_frame(&t->a, FIN, "", 0);
    hears(&t->a, HEARTBEAT_REPLY);
    alive(&t->a);
    free(packed);
    free(text);
}

static void large(conn_case *t)
{
    enum { LEN = 200000 };
    char *text = malloc(LEN);
    size_t n = (size_t)sprintf(text, "[null,\"1\",\"phoenix\",\"heartbeat\",{}");
    uint32_t seed = 1;
    start(t, 0, 0);
    upgraded(t, &t->a);
    for (; n < LEN - 1; n++)
        text[n] = " \t\r\n"[(seed = seed * 1664525u + 1013904223u) >> 30];
    text[LEN - 1] = ']';
    size_t before = t->memory.bytes;
    send_deflated(&t->a, FIN | TEXT, text, LEN);
    hears(&t->a, HEARTBEAT_REPLY);
    send_deflated(&t->a, FIN | TEXT, text, LEN);
    hears(&t->a, HEARTBEAT_REPLY);
    conn_text(&t->a, HEARTBEAT);
    hears(&t->a, HEARTBEAT_REPLY);
    assert_true(t->memory.bytes - before < 60000); /* the decompressor stays, messages go */
    free(text);
}

static void breaks(conn_case *t, int first, const char *payload, size_t len, int code)
{
    upgraded(t, &t->a);
    conn_frame(&t->a, first, payload, len);
    closes(&t->a, code);
}

static void reserved_bits(conn_case *t)
{
    start(t, 0, 0);
    for (int rsv = 0x10; rsv <= 0x70; rsv += 0x10) {
        if (rsv != RSV1) {
            breaks(t, FIN | TEXT | rsv, "\0", 1, 1002);
            breaks(t, FIN | BINARY | rsv, "\0", 1, 1002);
        }
        breaks(t, FIN | PING | rsv, "x", 1, 1002);
        breaks(t, FIN | PONG | rsv, "", 0, 1002);
        breaks(t, FIN | CLOSE | rsv, "\x03\xe8", 2, 1002);
        breaks(t, FIN | CONTINUATION | rsv, "", 0, 1002); /* of nothing */
        breaks(t, FIN | 3 | rsv, "", 0, 1002);
        upgraded(t, &t->a);
        conn_frame(&t->a, TEXT | RSV1, "\0", 1);
        conn_frame(&t->a, FIN | CONTINUATION | rsv, "", 0);
        closes(&t->a, 1002);
        upgraded(t, &t->a);
        conn_frame(&t->a, TEXT, "x", 1);
        conn_frame(&t->a, FIN | CONTINUATION | rsv, "", 0);
        closes(&t->a, 1002);
    }
    /* Known by the header alone. */
    upgraded(t, &t->a);
    conn_send(&t->a, "\xc9", 1);
    closes(&t->a, 1002);
}

static void undecodable(conn_case *t)
{
    start(t, 0, 0);
    breaks(t, FIN | TEXT | RSV1, "", 0, 1007);
    breaks(t, FIN | TEXT | RSV1, "\x07", 1, 1007);
    breaks(t, FIN | BINARY | RSV1, "\xf2\x48\xcd\xc9", 4, 1007);
    breaks(t, FIN | TEXT | RSV1, "\xf3\x48\xcd\xc9\xc9\x07\x00 and more", 16, 1007);
    breaks(t, FIN | TEXT | RSV1, "\x00", 1, 1011); /* empty: no message of Phoenix' */
    upgraded(t, &t->a);
    send_deflated(&t->a, FIN | TEXT, "[null,\"1\",\"phoenix\",\"\xff\",{}]", 27);
    closes(&t->a, 1007);
    upgraded(t, &t->a);
    send_deflated(&t->a, FIN | TEXT, "[null,\"1\",\"phoenix\",\"heartbeat\",{}", 34);
    closes(&t->a, 1011);
}

static void too_large(conn_case *t)
{
    static char text[1000];
    size_t len;
    start(t, 0, 200);
    memset(text, ' ', sizeof text);
    memcpy(text, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]", 35);
    upgraded(t, &t->a);
    send_deflated(&t->a, FIN | TEXT, text, 200); /* just so */
    hears(&t->a, HEARTBEAT_REPLY);
    send_deflated(&t->a, FIN | TEXT, text, 201);
    closes(&t->a, 1009);
    upgraded(t, &t->a);
    char *packed = sim_deflate(text, sizeof text, 15, &len);
    conn_frame(&t->a, TEXT | RSV1, packed, len / 2);
    conn_frame(&t->a, FIN, packed + len / 2, len - len / 2);
    closes(&t->a, 1009);
    free(packed);
    upgraded(t, &t->a);
    conn_send(&t->a, "\xc1\xfe\x00\xc9", 4); /* 201 bytes of whatever are announced */
    closes(&t->a, 1009);
}

static void bomb(conn_case *t)
{
    const size_t size = 20u << 20;
    char *zeros = calloc(1, size);
    size_t len;
    start(t, 0, 1000000);
    upgraded(t, &t->a);
    char *packed = sim_deflate(zeros, size, 15, &len);
    free(zeros);
    size_t before = t->memory.bytes;
    conn_frame(&t->a, FIN | TEXT | RSV1, packed, len);
    closes(&t->a, 1009);
    assert_int_equal(stats_of(t).inflate_after, 1000001);
    assert_true(t->memory.bytes < before + 50000);
    free(packed);
}

/* --- Memory ------------------------------------------------------------------------------- */

/* Who may have it and has said nothing compressed yet costs what others do; nor does it cost more
 * when it has. */
static void clients_own_nothing(conn_case *t)
{
    start(t, 1, 0);
    conn_open(&t->b, t);
    conn_upgrade(&t->b);
    alive(&t->b);
    size_t before = t->memory.bytes;
    conn_close(&t->b);
    conn_open(&t->b, t);
    conn_upgrade(&t->b);
    alive(&t->b);
    assert_int_equal(t->memory.bytes, before);
    conn_close(&t->b);
    upgraded(t, &t->b);
    assert_int_equal(t->memory.bytes, before);
    text_deflated(&t->b, HEARTBEAT);
    hears_deflated(&t->b, 15, HEARTBEAT_REPLY);
    conn_frame(&t->b, FIN | PING, "x", 1); /* what was read is given back */
    before = t->memory.bytes;
    upgraded(t, &t->a);
    size_t each = t->memory.bytes - before;
    before = t->memory.bytes;
    text_deflated(&t->a, HEARTBEAT);
    hears_deflated(&t->a, 15, HEARTBEAT_REPLY);
    conn_frame(&t->a, FIN | PING, "x", 1);
    assert_int_equal(t->memory.bytes, before);
    conn_close(&t->a);
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    assert_int_equal(t->memory.bytes, before);
    assert_true(each < 1000);
}

static void a_session(conn_case *t)
{
    conn_open(&t->a, t);
    conn_say(&t->a, HEAD OFFER "\r\n\r\n");
    text_deflated(&t->a, JOIN);
    text_deflated(&t->a, "['1','2','room:a','shout',{" FILL "," FILL "}]");
    conn_turn(t, 0);
    if (t->a.conn != NULL)
        conn_close(&t->a);
}

/* Where there is none to compress with, messages go as they are. */
static void memory_fails(conn_case *t)
{
    start(t, 1, 0);
    a_session(t);
    size_t calls = t->memory.calls;
    for (size_t i = 1; i <= 2 * calls; i++) {
        start(t, 1, 0);
        t->memory.calls = 0;
        t->memory.fail_at = (i + 1) / 2;
        t->memory.fail_on = i % 2 == 0;
        a_session(t);
        t->memory.fail_at = 0;
        upgraded(t, &t->b);
        text_deflated(&t->b, HEARTBEAT);
        hears_deflated(&t->b, 15, HEARTBEAT_REPLY);
    }
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(agreements),
        CONN_TEST(off_by_default),
        CONN_TEST(agreed_on_later),
        CONN_TEST(levels_there_are_not),
        CONN_TEST(from_a_size_on),
        CONN_TEST(of_no_order),
        CONN_TEST(binary),
        CONN_TEST(broadcast),
        CONN_TEST(messages),
        CONN_TEST(fragments),
        CONN_TEST(large),
        CONN_TEST(reserved_bits),
        CONN_TEST(undecodable),
        CONN_TEST(too_large),
        CONN_TEST(bomb),
        CONN_TEST(clients_own_nothing),
        CONN_TEST(memory_fails),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
