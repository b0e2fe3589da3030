/* test_websocket.c - lib/transport/websocket.c and its user in conn.c: frames both ways, what
 * breaks the protocol, limits, closing. Each case runs with its input whole and cut into small
 * pieces. */
#include <sys/uio.h>

#include "unit/conn_case.h"

#define HEARTBEAT "[null,'1','phoenix','heartbeat',{}]"
#define HEARTBEAT_REPLY "[null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]"

static void upgraded(conn_case *t)
{
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
}

static void joined(conn_case *t, conn_client *c)
{
    conn_open(c, t);
    conn_upgrade(c);
    conn_text(c, "['1','1','room:a','phx_join',{}]");
    hears(c, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
}

static void alive(conn_client *c)
{
    conn_text(c, HEARTBEAT);
    hears(c, HEARTBEAT_REPLY);
    silent(c);
}

static void send_hex(conn_client *c, const char *hex)
{
    char bytes[512];
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        bytes[i] = (char)byte;
    }
    conn_send(c, bytes, n);
}

/* --- Messages ----------------------------------------------------------------------------- */

static void messages(conn_case *t)
{
    joined(t, &t->a);
    conn_text(&t->a, "['1','2','room:a','echo',{'x':[1,2]}]");
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':[1,2]}}]");
    conn_frame(&t->a, FIN | BINARY,
               "\0\1\1\6\4"
               "13room:aecho\xff\0",
               19);
    frame_is(&t->a, FIN | BINARY,
             "\1\1\1\6\2"
             "13room:aok\xff\0",
             17);
    conn_frame(&t->a, FIN | PONG, "nobody asked", 12);
    alive(&t->a);
}

/* Of each length at which something changes: the shape of the header, what wslay's buffer takes. */
static void lengths(conn_case *t)
{
    static const size_t lengths[] = { 60,   124,  125,  126,   127,   4081,  4082,  4088,
                                      4096, 4097, 8192, 65535, 65536, 65537, 100000 };
    static char text[100001], reply[100100];
    joined(t, &t->a);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        static const char head[] = "[\"1\",\"2\",\"room:a\",\"echo\",{\"x\":\"", tail[] = "\"}]";
        static const char to[] =
            "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"x\":\"";
        size_t fill = lengths[i] - strlen(head) - strlen(tail);
        memset(text, 'x', sizeof text);
        memcpy(text, head, strlen(head));
        memcpy(text + lengths[i] - strlen(tail), tail, strlen(tail));
        memset(reply, 'x', sizeof reply);
        memcpy(reply, to, strlen(to));
        memcpy(reply + strlen(to) + fill, "\"}}]", 4);
        conn_frame(&t->a, FIN | TEXT, text, lengths[i]);
        size_t at = t->a.at, len = strlen(to) + fill + 4;
        size_t header = len < 126 ? 2 : len < 65536 ? 4 : 10;
        assert_int_equal(t->a.len - at, header + len);
        assert_memory_equal(t->a.got + at + header, reply, len);
        if (len >= 65536)
            assert_memory_equal(t->a.got + at, "\x81\x7f\0\0\0\0\0\1", 8);
        t->a.at = t->a.len;
    }
    alive(&t->a);
}

static void many_in_one_read(conn_case *t)
{
    static char bytes[30000];
    size_t n = 0;
    joined(t, &t->a);
    char *text = sim_quoted("['1',null,'room:a','push',{'fill':'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'}]");
    for (int i = 0; i < 300; i++)
        n += conn_frame_bytes(bytes + n, FIN | TEXT, text, strlen(text));
    free(text);
    conn_send(&t->a, bytes, n);
    for (int i = 0; i < 300; i++)
        hears(&t->a, "['1',null,'room:a','push',{'fill':'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'}]");
    alive(&t->a);
}

static void fragments(conn_case *t)
{
    upgraded(t);
    conn_frame(&t->a, TEXT, "[null,\"1\",\"pho", 14);
    conn_frame(&t->a, CONTINUATION, "", 0);
    conn_frame(&t->a, FIN | PING, "between", 7);
    conn_frame(&t->a, FIN | PONG, "", 0);
    conn_frame(&t->a, CONTINUATION, "enix\",\"heart", 12);
    frame_is(&t->a, FIN | PONG, "between", 7);
    silent(&t->a);
    conn_frame(&t->a, FIN, "beat\",{}]", 9);
    hears(&t->a, HEARTBEAT_REPLY);
    conn_frame(&t->a, TEXT, "", 0);
    char *text = sim_quoted(HEARTBEAT);
    conn_frame(&t->a, FIN, text, strlen(text));
    hears(&t->a, HEARTBEAT_REPLY);
    conn_frame(&t->a, TEXT, text, strlen(text));
    conn_frame(&t->a, FIN, "", 0);
    hears(&t->a, HEARTBEAT_REPLY);
    free(text);
    alive(&t->a);
}

static void binary_fragments(conn_case *t)
{
    joined(t, &t->a);
    conn_frame(&t->a, BINARY,
               "\0\1\1\6\4"
               "13roo",
               10);
    conn_frame(&t->a, FIN, "m:aecho\xff\0", 9);
    frame_is(&t->a, FIN | BINARY,
             "\1\1\1\6\2"
             "13room:aok\xff\0",
             17);
    alive(&t->a);
}

/* --- What breaks the protocol ------------------------------------------------------------- */

static void breaks(conn_case *t, const char *hex, int code)
{
    upgraded(t);
    send_hex(&t->a, hex);
    if (!t->a.shut)
        print_error("not closed: %s\n", hex);
    closes(&t->a, code);
    traced(t, "connect;disconnect broken;");
    conn_text(&t->a, HEARTBEAT); /* and nothing is read any more */
    silent(&t->a);
    conn_close(&t->a);
    traced(t, "");
}

static void broken_frames(conn_case *t)
{
    breaks(t, "810131", 1002); /* no mask */
    breaks(t, "8100", 1002);
    breaks(t, "838000000000", 1002); /* opcode 3 */
    breaks(t, "878000000000", 1002);
    breaks(t, "8b8000000000", 1002); /* opcode 11 */
    breaks(t, "8f8000000000", 1002);
    breaks(t, "c1810000000031", 1002); /* RSV1 */
    breaks(t, "a1810000000031", 1002);
    breaks(t, "91810000000031", 1002);
    breaks(t, "c98000000000", 1002);
    breaks(t, "098000000000", 1002); /* a ping in fragments */
    breaks(t, "088000000000", 1002);
    breaks(t, "80810000000031", 1002); /* goes on with nothing */
    breaks(t, "00810000000031", 1002);
    breaks(t, "01820000000022618182000000006222", 1002); /* text within a text */
    breaks(t, "018200000000226102810000000062", 1002);
    breaks(t, "89fe0080", 1002); /* ping of 128 */
    breaks(t, "88fe0080", 1002);
    breaks(t, "81fe007d00000000", 1002);             /* 125 in two bytes */
    breaks(t, "81ff000000000000ffff00000000", 1002); /* 65535 in eight */
    breaks(t, "81ff800000000000000000000000", 1002); /* more than 2^63 */
}

/* What is wrong already is not waited for: no byte of a payload has come. */
static void broken_heads(conn_case *t)
{
    breaks(t, "c1", 1002);
    breaks(t, "c18500000000", 1002);
    breaks(t, "83", 1002);
    breaks(t, "8b8500000000", 1002);
    breaks(t, "8105", 1002);
    breaks(t, "80", 1002);
    breaks(t, "09", 1002);
    breaks(t, "0105", 1002);
    breaks(t, "0181000000005b8185", 1002);
}

static void broken_closes(conn_case *t)
{
    breaks(t, "88810000000003", 1002);   /* half a code */
    breaks(t, "88820000000003e7", 1002); /* 999 */
    breaks(t, "8882000000000000", 1002);
    breaks(t, "88820000000003ec", 1002);   /* 1004 */
    breaks(t, "88820000000003ed", 1002);   /* 1005 */
    breaks(t, "88820000000003ee", 1002);   /* 1006 */
    breaks(t, "88820000000003f7", 1002);   /* 1015 */
    breaks(t, "8882000000000bb7", 1002);   /* 2999 */
    breaks(t, "88830000000003e8ff", 1007); /* a reason that is not UTF-8 */
    breaks(t, "88840000000003e8c3c3", 1007);
    breaks(t, "88830000000003e8c3", 1007); /* half a character */
}

static void undecodable(conn_case *t)
{
    breaks(t, "81810000000078", 1011); /* x */
    breaks(t, "818000000000", 1011);
    breaks(t, "8181000000005b", 1011); /* [ */
    breaks(t, "828000000000", 1011);
    breaks(t, "82810000000007", 1011);
}

static void not_utf8(conn_case *t)
{
    breaks(t, "818100000000ff", 1007);
    breaks(t, "818200000000c328", 1007);
    breaks(t, "018100000000ff", 1007); /* as soon as it is known */
    breaks(t, "018200000000c328", 1007);
    breaks(t, "018100000000c3008100000000c3", 1007);
    breaks(t, "018100000000c3808000000000", 1007);         /* ends within a character */
    breaks(t, "01820000000022c3808300000000a92820", 1011); /* UTF-8, but no JSON */
    breaks(t, "018100000000ed008100000000a0", 1007);       /* a surrogate */
}

/* --- Closing ------------------------------------------------------------------------------ */

static void echoed(conn_case *t, int code, const char *reason)
{
    char payload[CLOSE + 125] = { (char)(code >> 8), (char)code };
    size_t n = strlen(reason);
    memcpy(payload + 2, reason, n);
    joined(t, &t->a);
    conn_frame(&t->a, FIN | CLOSE, payload, code != 0 ? 2 + n : 0);
    assert_int_equal(t->a.err, CHANNELS_OK);
    parts(&t->a, code);
    traced(t, "connect;join room:a phx_join {};joined room:a;terminate room:a closed;"
              "disconnect closed;");
}

static void clients_close(conn_case *t)
{
    static const int codes[] = { 0,    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        echoed(t, codes[i], "");
    echoed(t, 1000, "bye");
    echoed(t, 1001, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    echoed(t, 1000,
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

/* What came before the Close is answered before it; what comes behind it is not looked at, and its
 * sender may have more to come. */
static void close_in_its_place(conn_case *t)
{
    char bytes[256];
    joined(t, &t->a);
    t->a.step = 0;
    char *text = sim_quoted("['1','2','room:a','echo',{}]");
    size_t n = conn_frame_bytes(bytes, FIN | TEXT, text, strlen(text));
    n += conn_frame_bytes(bytes + n, FIN | PING, "p", 1);
    n += conn_frame_bytes(bytes + n, FIN | CLOSE, "\x03\xe9", 2);
    n += conn_frame_bytes(bytes + n, FIN | TEXT, text, strlen(text));
    free(text);
    t->probe.trace[0] = '\0';
    conn_send(&t->a, bytes, n);
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    frame_is(&t->a, FIN | PONG, "p", 1);
    closes(&t->a, 1001);
    traced(t, "in room:a echo {};terminate room:a closed;disconnect closed;");
}

static void partly_written(conn_case *t)
{
    joined(t, &t->a);
    t->a.window = 3;
    conn_text(&t->a, "['1','2','room:a','echo',{}]");
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe8", 2);
    for (int i = 0; i < 200 && !t->a.shut; i++) {
        wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
        t->a.window = 1;
        conn_flush(&t->a);
    }
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    parts(&t->a, 1000);
}

/* A client that goes on after its Close: what it has not taken yet is not put at risk. */
static void goes_on_after_its_close(conn_case *t)
{
    joined(t, &t->a);
    t->a.window = 0;
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe8", 2);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    conn_frame(&t->a, FIN | PING, "p", 1);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    closes(&t->a, 1000);
    conn_turn(t, 2000);
    assert_null(t->a.conn);
}

/* A host that has to see its own buffer out before it closes has linger_ms for that. */
static void parts_when_all_has_left(conn_case *t)
{
    char close[16];
    struct iovec iov[4];
    size_t n = conn_frame_bytes(close, FIN | CLOSE, "\x03\xe8", 2);
    joined(t, &t->a);
    assert_int_equal(channels_conn_feed(t->a.conn, close, n), CHANNELS_OK);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    assert_int_equal(channels_conn_output(t->a.conn, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 4);
    channels_conn_sent(t->a.conn, 3);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    channels_conn_sent(t->a.conn, 1);
    wants(&t->a, CHANNELS_WANT_SHUTDOWN | CHANNELS_WANT_CLOSE);
    assert_ptr_equal(channels_endpoint_next_ready(t->host.ep), t->a.conn);
    assert_null(channels_endpoint_next_ready(t->host.ep));
    channels_test_wait(&t->host, 1999);
    assert_null(channels_endpoint_next_ready(t->host.ep));
    channels_test_wait(&t->host, 1);
    assert_ptr_equal(channels_endpoint_next_ready(t->host.ep), t->a.conn);
    wants(&t->a, CHANNELS_WANT_CLOSE);
}

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "user:1");
}

static void disconnected(conn_case *t)
{
    t->probe.connect = set_id;
    joined(t, &t->a);
    joined(t, &t->b);
    t->probe.trace[0] = '\0';
    channels_disconnect(t->host.ep, "user:1");
    conn_turn(t, 0);
    closes(&t->a, 1001);
    closes(&t->b, 1001);
    traced(t, "terminate room:a disconnected;disconnect disconnected;"
              "terminate room:a disconnected;disconnect disconnected;");
    conn_turn(t, 1999);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_SHUTDOWN);
    conn_turn(t, 1);
    assert_null(t->a.conn);
}

static int close_it(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    channels_reply(ch, "ok", msg->payload);
    assert_int_equal(channels_socket_close(channels_channel_socket(ch), 4000), CHANNELS_OK);
    return channels_reply(ch, "ok", msg->payload);
}

static void closed_by_the_host(conn_case *t)
{
    t->probe.handle_in = close_it;
    joined(t, &t->a);
    joined(t, &t->b);
    t->probe.trace[0] = '\0';
    conn_text(&t->a, "['1','2','room:a','x',{}]");
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    closes(&t->a, 4000);
    traced(t, "in room:a x {};terminate room:a disconnected;disconnect disconnected;");
    alive(&t->b);
}

/* --- Limits ------------------------------------------------------------------------------- */

static void limited(conn_case *t, size_t max_message, uint32_t max_empty)
{
    channels_mount_options options = { .websocket = { .max_message = max_message,
                                                      .max_empty_fragments = max_empty } };
    conn_case_restart(t, NULL, &options);
}

static void too_large(conn_case *t)
{
    static char bytes[1000];
    memset(bytes, ' ', sizeof bytes);
    limited(t, 200, 0);
    char *text = sim_quoted(HEARTBEAT);
    memcpy(bytes, text, strlen(text));
    free(text);
    upgraded(t);
    conn_frame(&t->a, FIN | TEXT, bytes, 200); /* just so */
    hears(&t->a, HEARTBEAT_REPLY);
    conn_frame(&t->a, TEXT, bytes, 150);
    conn_frame(&t->a, FIN, bytes + 150, 50);
    hears(&t->a, HEARTBEAT_REPLY);
    conn_frame(&t->a, FIN | TEXT, bytes, 201);
    closes(&t->a, 1009);
    upgraded(t);
    conn_frame(&t->a, BINARY, bytes, 150);
    conn_frame(&t->a, CONTINUATION, bytes, 51);
    closes(&t->a, 1009);
    upgraded(t);
    send_hex(&t->a, "82ff7fffffffffffffff0000000000"); /* 2^63 - 1 */
    closes(&t->a, 1009);
    limited(t, 1, 0); /* pings and closes are no messages */
    upgraded(t);
    conn_frame(&t->a, FIN | PING, bytes, 125);
    frame_is(&t->a, FIN | PONG, bytes, 125);
    conn_frame(&t->a, FIN | CLOSE, "\x03\xe8", 2);
    parts(&t->a, 1000);
}

/* Nothing is stored of what is announced. */
static void announced(conn_case *t)
{
    limited(t, 0, 0);
    upgraded(t);
    size_t before = t->memory.bytes;
    send_hex(&t->a, "82ff0000000000989680000000000000"); /* 10 000 000 bytes, and two of them */
    assert_true(t->memory.bytes - before < 1000);
    upgraded(t);
    send_hex(&t->a, "82ff00000000009896810000000000"); /* one more is too many */
    closes(&t->a, 1009);
}

static void too_large_by_its_head(conn_case *t)
{
    limited(t, 1000, 0);
    breaks(t, "82fe03e9", 1009);
    breaks(t, "82ff4000000000000000", 1009);
}

static void empty_fragments(conn_case *t)
{
    limited(t, 0, 3);
    upgraded(t);
    for (int i = 0; i < 2; i++) {
        conn_frame(&t->a, TEXT, "", 0); /* the first one begins the message */
        for (int j = 0; j < 3; j++) {
            conn_frame(&t->a, CONTINUATION, "", 0);
            conn_frame(&t->a, CONTINUATION, " ", 1);
        }
        char *text = sim_quoted(HEARTBEAT);
        conn_frame(&t->a, FIN, text, strlen(text));
        free(text);
        hears(&t->a, HEARTBEAT_REPLY);
    }
    conn_frame(&t->a, TEXT, "", 0);
    for (int i = 0; i < 4; i++)
        conn_frame(&t->a, CONTINUATION, "", 0);
    closes(&t->a, 1008);
    limited(t, 0, 0);
    upgraded(t);
    conn_frame(&t->a, TEXT, "", 0);
    for (int i = 0; i < 1024; i++)
        conn_frame(&t->a, CONTINUATION, "", 0);
    wants(&t->a, CHANNELS_WANT_READ);
    conn_frame(&t->a, CONTINUATION, "", 0);
    closes(&t->a, 1008);
}

static void tiny_fragments(conn_case *t)
{
    upgraded(t);
    size_t before = t->memory.bytes;
    conn_frame(&t->a, TEXT, "", 0);
    for (int i = 0; i < 20000; i++)
        conn_frame(&t->a, CONTINUATION, " ", 1);
    assert_true(t->memory.bytes - before < 3 * 20000);
    char *text = sim_quoted(HEARTBEAT);
    conn_frame(&t->a, FIN, text, strlen(text));
    free(text);
    hears(&t->a, HEARTBEAT_REPLY);
    assert_true(t->memory.bytes - before < 5000);
}

static void ping_flood(conn_case *t)
{
    upgraded(t);
    t->a.window = 0;
    conn_frame(&t->a, FIN | PING, "first", 5);
    size_t before = t->memory.bytes;
    for (int i = 0; i < 20000; i++) {
        char payload[16];
        int n = snprintf(payload, sizeof payload, "%d", i);
        conn_frame(&t->a, FIN | PING, payload, (size_t)n);
    }
    assert_true(t->memory.bytes - before < 5000);
    t->a.window = 3;
    conn_flush(&t->a);
    for (int i = 0; i < 1000; i++)
        conn_frame(&t->a, FIN | PING, "another", 7);
    assert_true(t->memory.bytes - before < 5000);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    frame_is(&t->a, FIN | PONG, "first", 5);
    for (int i = 0; i < 14; i++) {
        char payload[16];
        int n = snprintf(payload, sizeof payload, "%d", i);
        frame_is(&t->a, FIN | PONG, payload, (size_t)n);
    }
    frame_is(&t->a, FIN | PONG, "another", 7); /* the newest, in the last of 16 places */
    silent(&t->a);
    conn_frame(&t->a, FIN | PING, "", 0);
    frame_is(&t->a, FIN | PONG, "", 0);
    alive(&t->a);
}

static void pings_between_messages(conn_case *t)
{
    joined(t, &t->a);
    t->a.window = 0;
    conn_text(&t->a, "['1','2','room:a','echo',{}]");
    conn_frame(&t->a, FIN | PING, "one", 3);
    conn_text(&t->a, "['1','3','room:a','echo',{}]");
    conn_frame(&t->a, FIN | PING, "longer than one", 15);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    hears(&t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
    frame_is(&t->a, FIN | PONG, "one", 3);
    hears(&t->a, "['1','3','room:a','phx_reply',{'status':'ok','response':{}}]");
    frame_is(&t->a, FIN | PONG, "longer than one", 15);
    silent(&t->a);
}

/* One who asks much and reads little is read from no more than it reads. */
static void asks_more_than_it_reads(conn_case *t)
{
    static char text[3000];
    channels_mount_options options = { .max_queued = 4000 };
    conn_case_restart(t, NULL, &options);
    joined(t, &t->a);
    snprintf(text, sizeof text, "['1','2','room:a','echo',{'x':'%01200d'}]", 0);
    t->a.window = 0;
    conn_text(&t->a, text);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    conn_text(&t->a, text);
    wants(&t->a, CHANNELS_WANT_WRITE);
    t->a.window = 1300; /* the first of the answers */
    conn_flush(&t->a);
    wants(&t->a, CHANNELS_WANT_READ | CHANNELS_WANT_WRITE);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    wants(&t->a, CHANNELS_WANT_READ);
}

/* What it says meanwhile is not read, so reading is what keeps it alive. */
static void reads_a_large_answer_slowly(conn_case *t)
{
    static char text[3000];
    channels_mount_options options = { .max_queued = 1000 };
    conn_case_restart(t, NULL, &options);
    joined(t, &t->a);
    t->a.window = 0;
    snprintf(text, sizeof text, "['1','2','room:a','echo',{'x':'%02000d'}]", 0);
    conn_text(&t->a, text);
    for (int i = 0; i < 10; i++) {
        conn_turn(t, 50000);
        t->a.window = 10;
        conn_flush(&t->a);
        wants(&t->a, CHANNELS_WANT_WRITE);
    }
    conn_turn(t, 59999);
    wants(&t->a, CHANNELS_WANT_WRITE);
    t->probe.trace[0] = '\0';
    conn_turn(t, 1);
    traced(t, "terminate room:a idle;disconnect idle;");
}

static void idle(conn_case *t)
{
    upgraded(t);
    joined(t, &t->b);
    conn_turn(t, 59999);
    conn_send(&t->a, "\x89", 1); /* any byte counts, */
    conn_text(&t->b, "['1','2','room:a','none',{}]");
    conn_turn(t, 59999);
    wants(&t->a, CHANNELS_WANT_READ);
    conn_text(&t->b, "['1','3','room:a','shout',{}]");
    hears(&t->b, "[null,null,'room:a','shout',{}]"); /* what is sent to it does not */
    conn_turn(t, 1);
    closes(&t->a, 1002);
    wants(&t->b, CHANNELS_WANT_READ);
    conn_turn(t, 59998);
    wants(&t->b, CHANNELS_WANT_READ);
    conn_turn(t, 1);
    closes(&t->b, 1002);
    assert_null(t->a.conn); /* nor did it close */
    conn_turn(t, 2000);
    assert_null(t->b.conn);
}

/* A client that does not read is closed when too much waits, but not for one large message. */
static void too_slow(conn_case *t)
{
    static char text[3000];
    channels_mount_options options = { .max_queued = 1000 };
    conn_case_restart(t, NULL, &options);
    joined(t, &t->a);
    snprintf(text, sizeof text, "['1','2','room:a','echo',{'x':'%02000d'}]", 0);
    t->a.window = 0;
    conn_text(&t->a, text);
    wants(&t->a, CHANNELS_WANT_WRITE);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    snprintf(text, sizeof text,
             "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':'%02000d'}}]", 0);
    hears(&t->a, text);
    t->a.window = 0;
    for (int i = 0; i < 10; i++) /* a pong counts for nothing */
        conn_frame(&t->a, FIN | PING, "x", 1);
    snprintf(text, sizeof text, "['1','2','room:a','echo',{'x':'%02000d'}]", 0);
    conn_text(&t->a, text);
    snprintf(text, sizeof text, "['1','2','room:a','echo',{'x':'%0880d'}]", 0);
    conn_text(&t->a, text);
    wants(&t->a, CHANNELS_WANT_WRITE);
    t->probe.trace[0] = '\0';
    conn_text(&t->a, "['1','2','room:a','echo',{}]");
    traced(t, "in room:a echo {};terminate room:a slow;disconnect slow;");
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    for (int i = 0; i < 10; i++)
        frame_is(&t->a, FIN | PONG, "x", 1);
    snprintf(text, sizeof text,
             "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':'%02000d'}}]", 0);
    hears(&t->a, text);
    snprintf(text, sizeof text,
             "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':'%0880d'}}]", 0);
    hears(&t->a, text);
    closes(&t->a, 1008);
}

static int much(channels_channel *ch, const channels_msg *msg, probe *p)
{
    static char text[2100];
    (void)msg, (void)p;
    snprintf(text, sizeof text, "{\"x\":\"%02000d\"}", 0);
    return channels_reply(ch, "ok", channels_json(text));
}

/* The 101 is no message: behind it a large one may wait. */
static void large_at_once(conn_case *t)
{
    static char bytes[1000], text[3000];
    channels_mount_options options = { .max_queued = 1000 };
    conn_case_restart(t, NULL, &options);
    t->probe.join = much;
    conn_open(&t->a, t);
    t->a.window = 10;
    size_t n = strlen(strcpy(bytes, HANDSHAKE));
    char *join = sim_quoted("['1','1','room:a','phx_join',{}]");
    n += conn_frame_bytes(bytes + n, FIN | TEXT, join, strlen(join));
    free(join);
    conn_send(&t->a, bytes, n);
    wants(&t->a, CHANNELS_WANT_WRITE);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    took(&t->a, WELCOME);
    snprintf(text, sizeof text,
             "['1','1','room:a','phx_reply',{'status':'ok','response':{'x':'%02000d'}}]", 0);
    hears(&t->a, text);
    t->a.window = 0; /* and all of that has been counted off */
    t->probe.handle_in = much;
    conn_text(&t->a, "['1','2','room:a','x',{}]");
    wants(&t->a, CHANNELS_WANT_WRITE);
    conn_text(&t->a, "['1','3','room:a','x',{}]");
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    snprintf(text, sizeof text,
             "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':'%02000d'}}]", 0);
    hears(&t->a, text);
    closes(&t->a, 1008);
}

/* --- Memory ------------------------------------------------------------------------------- */

static void idle_clients_own_little(conn_case *t)
{
    upgraded(t);
    alive(&t->a);
    size_t bytes = t->memory.bytes, blocks = t->memory.blocks;
    conn_frame(&t->a, TEXT, "[", 1);
    conn_close(&t->a);
    upgraded(t);
    alive(&t->a);
    conn_send(&t->a, "\x81", 1); /* in flight */
    assert_true(t->memory.blocks >= blocks);
    send_hex(&t->a, "8000000000");
    closes(&t->a, 1011);
    upgraded(t);
    alive(&t->a);
    for (int i = 0; i < 10; i++)
        conn_frame(&t->a, FIN | PING, "x", 1);
    conn_turn(t, 0);
    assert_true(t->memory.bytes <= bytes + 400); /* spare contexts */
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(messages),
        CONN_TEST(lengths),
        CONN_TEST(many_in_one_read),
        CONN_TEST(fragments),
        CONN_TEST(binary_fragments),
        CONN_TEST(broken_frames),
        CONN_TEST(broken_heads),
        CONN_TEST(broken_closes),
        CONN_TEST(undecodable),
        CONN_TEST(not_utf8),
        CONN_TEST(clients_close),
        CONN_TEST(close_in_its_place),
        CONN_TEST(partly_written),
        CONN_TEST(goes_on_after_its_close),
        CONN_TEST(parts_when_all_has_left),
        CONN_TEST(disconnected),
        CONN_TEST(closed_by_the_host),
        CONN_TEST(too_large),
        CONN_TEST(announced),
        CONN_TEST(too_large_by_its_head),
        CONN_TEST(empty_fragments),
        CONN_TEST(tiny_fragments),
        CONN_TEST(ping_flood),
        CONN_TEST(pings_between_messages),
        CONN_TEST(asks_more_than_it_reads),
        CONN_TEST(reads_a_large_answer_slowly),
        CONN_TEST(idle),
        CONN_TEST(too_slow),
        CONN_TEST(large_at_once),
        CONN_TEST(idle_clients_own_little),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
