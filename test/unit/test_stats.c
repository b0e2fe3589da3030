/* test_stats.c - counters that add up to the byte, gauges that come back to nothing, the text that
 * Prometheus reads, and looking at all clients and channels. */
#include <channels/pubsub.h>
#include <channels/stats.h>

#include "unit/conn_case.h"

#define JOIN "['1','1','room:a','phx_join',{}]"

static channels_stats stats_of(conn_case *t)
{
    channels_stats stats;
    memset(&stats, 0xff, sizeof stats);
    assert_int_equal(channels_endpoint_stats(t->host.ep, &stats), CHANNELS_OK);
    return stats;
}

/* --- To the byte -------------------------------------------------------------------------- */

typedef struct tally {
    uint64_t bytes_in, bytes_out, messages_in, messages_out;
} tally;

static void say_text(conn_client *c, tally *sum, const char *json)
{
    char *text = sim_quoted(json), *bytes = sim_alloc(strlen(text) + 14);
    size_t n = conn_frame_bytes(bytes, FIN | TEXT, text, strlen(text));
    sum->bytes_in += n;
    sum->messages_in++;
    conn_send(c, bytes, n);
    free(bytes);
    free(text);
}

/* What came, as the client would count it: all bytes, and the frames behind the 101. */
static void count_received(const conn_client *c, tally *sum)
{
    const unsigned char *p = (const unsigned char *)strstr(c->got, "\r\n\r\n") + 4;
    const unsigned char *end = (const unsigned char *)c->got + c->len;
    sum->bytes_out += c->len;
    while (p < end) {
        size_t len = p[1], head = 2;
        if (len == 126) {
            len = (size_t)(p[2] << 8 | p[3]);
            head = 4;
        }
        sum->messages_out += (*p & 15) <= BINARY;
        p += head + len;
    }
    assert_ptr_equal(p, end);
}

static void adds_up(conn_case *t)
{
    static const char *const texts[] = {
        JOIN,
        "['1','2','room:a','echo',{'x':[1,2,3]}]",
        "['1','3','room:a','shout',{}]",
        "['1','4','room:a','shout_from',{'y':'z'}]",
        "['1','5','room:a','push',{}]",
        "['1','5','room:a','shout',{'a':'b'}]",
        "['1','5','room:a','shout',{'c':'d'}]",
        "['1','6','room:a','fail',{}]",
        "['1','7','room:a','phx_leave',{}]",
        "['1','8','nosuch','phx_join',{}]",
        "[null,'9','phoenix','heartbeat',{}]",
    };
    tally sum = { 0 };
    uint32_t seed = 1;
    conn_client *clients[] = { &t->a, &t->b };
    for (int i = 0; i < 2; i++) {
        conn_open(clients[i], t);
        conn_say(clients[i], HANDSHAKE);
        sum.bytes_in += sizeof HANDSHAKE - 1;
    }
    for (int i = 0; i < 500; i++) {
        seed = seed * 1664525u + 1013904223u;
        say_text(clients[seed >> 31], &sum, texts[(seed >> 16) % 11]);
        conn_turn(t, 0);
    }
    conn_frame(&t->a, FIN | PING, "x", 1);
    sum.bytes_in += 7;
    count_received(&t->a, &sum);
    count_received(&t->b, &sum);
    channels_stats stats = stats_of(t);
    assert_int_equal(stats.bytes_in, sum.bytes_in);
    assert_int_equal(stats.bytes_out, sum.bytes_out);
    assert_int_equal(stats.messages_in, sum.messages_in);
    assert_int_equal(stats.messages_out, sum.messages_out);
    assert_true(stats.messages_out > 500 && stats.deliveries > 20);
}

static void counts_deliveries(conn_case *t)
{
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, JOIN);
    conn_open(&t->b, t);
    conn_upgrade(&t->b);
    conn_text(&t->b, JOIN);
    channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    channels_pubsub_broadcast(t->host.ep, "room:a", "secret", channels_empty()); /* intercepted */
    channels_pubsub_broadcast(t->host.ep, "room:z", "e", channels_empty());
    channels_stats stats = stats_of(t);
    assert_int_equal(stats.broadcasts, 3);
    assert_int_equal(stats.deliveries, 2);
    assert_int_equal(stats.messages_out, 2 + 2 + 2); /* join replies, deliveries, pushes */
}

/* --- Gauges ------------------------------------------------------------------------------- */

static void gauges(conn_case *t)
{
    conn_open(&t->a, t);
    channels_stats stats = stats_of(t);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.sockets_websocket, 0);
    conn_upgrade(&t->a);
    conn_text(&t->a, JOIN);
    conn_text(&t->a, "['2','2','room:b','phx_join',{}]");
    conn_text(&t->a, "['3','3','room:b','phx_join',{}]"); /* again */
    channels_test_client *other = channels_test_connect(&t->host, "/socket", "");
    stats = stats_of(t);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.sockets_websocket, 2);
    assert_int_equal(stats.sockets_longpoll + stats.sockets_other, 0);
    assert_int_equal(stats.channels, 2);
    assert_int_equal(stats.topics, 2);
    assert_int_equal(stats.joins, 3);
    conn_close(&t->a);
    channels_test_close(other);
    conn_turn(t, 0);
    stats = stats_of(t);
    assert_int_equal(stats.connections + stats.sockets_websocket + stats.channels + stats.topics,
                     0);
    assert_int_equal(stats.connections_opened, 1);
    assert_int_equal(stats.sockets_opened, 2);
    assert_int_equal(stats.closed[CHANNELS_CLOSED], 2);
}

static void most_that_waited(conn_case *t)
{
    static const channels_mount_options options = { .max_queued = 300 };
    conn_case_restart(t, NULL, &options);
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, JOIN);
    t->a.window = 0;
    while (stats_of(t).closed[CHANNELS_SLOW] == 0)
        channels_pubsub_broadcast(t->host.ep, "room:a", "e", channels_empty());
    assert_in_range(stats_of(t).queued_most, 300, 350);
}

/* --- Refusals ----------------------------------------------------------------------------- */

static int connect_as_asked(channels_socket *s, const channels_request *req, probe *p)
{
    char how[16] = "";
    channels_request_param(req, "how", how, sizeof how);
    if (strcmp(how, "later") == 0)
        return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return strcmp(how, "refuse") == 0 ? CHANNELS_REFUSE : strcmp(how, "fail") == 0 ? -5 : 0;
}

static void ask(conn_case *t, const char *head)
{
    conn_open(&t->a, t);
    conn_say(&t->a, head);
}

static void refused_connects(conn_case *t)
{
    static const channels_response no = { .status = 403 };
    t->probe.connect = connect_as_asked;
    ask(t, HANDSHAKE_OF("/socket/websocket?how=refuse"));
    ask(t, HANDSHAKE_OF("/socket/websocket?how=later"));
    channels_respond(t->host.ep, t->probe.ref, &no);
    assert_int_equal(stats_of(t).connects_refused_host, 2);
    ask(t, HANDSHAKE_OF("/socket/websocket?how=fail"));
    ask(t, HANDSHAKE_OF("/socket/websocket?how=later"));
    channels_ref_drop(t->host.ep, t->probe.ref);
    assert_int_equal(stats_of(t).connects_refused_failed, 2);
    ask(t, HANDSHAKE_OF("/socket/websocket?vsn=3.0.0"));
    assert_int_equal(stats_of(t).connects_refused_version, 1);
    ask(t, "GET /socket/websocket HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n\r\n");
    assert_int_equal(stats_of(t).connects_refused_origin, 1);
    ask(t, HANDSHAKE_OF("/socket/websocket?%FF"));
    ask(t, "GET /socket/websocket HTTP/1.1\r\nHost: x\r\n\r\n");
    ask(t, "nonsense\r\n\r\n");
    assert_int_equal(stats_of(t).connects_refused_request, 3);
    channels_stats stats = stats_of(t);
    assert_int_equal(stats.sockets_websocket, 0);
    ask(t, HANDSHAKE_OF("/socket/websocket?how=later"));
    channels_drain(t->host.ep, NULL);
    conn_turn(t, 0);
    ask(t, HANDSHAKE);
    assert_int_equal(stats_of(t).connects_refused_draining, 2);
}

static int join_as_asked(channels_channel *ch, const channels_msg *msg, probe *p)
{
    const char *how = msg->topic + 5;
    if (strcmp(how, "later") == 0)
        return channels_later(ch, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return strcmp(how, "refuse") == 0 ? CHANNELS_REFUSE : strcmp(how, "fail") == 0 ? -5 : 0;
}

static void refused_joins(conn_case *t)
{
    static const channels_mount_options options = { .max_channels = 1 };
    conn_case_restart(t, NULL, &options);
    t->probe.join = join_as_asked;
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, "['1','1','room:refuse','phx_join',{}]");
    conn_text(&t->a, "['1','2','room:later','phx_join',{}]");
    channels_ref_reply(t->host.ep, t->probe.ref, "error", channels_empty());
    assert_int_equal(stats_of(t).joins_refused_host, 2);
    conn_text(&t->a, "['1','3','room:fail','phx_join',{}]");
    conn_text(&t->a, "['1','4','room:later','phx_join',{}]");
    channels_ref_drop(t->host.ep, t->probe.ref);
    assert_int_equal(stats_of(t).joins_refused_failed, 2);
    conn_text(&t->a, "['1','5','nosuch','phx_join',{}]");
    assert_int_equal(stats_of(t).joins_refused_unmatched, 1);
    conn_text(&t->a, JOIN);
    conn_text(&t->a, "['1','6','room:b','phx_join',{}]");
    assert_int_equal(stats_of(t).joins_refused_limit, 1);
    assert_int_equal(stats_of(t).joins, 1);
    assert_int_equal(stats_of(t).channels, 1);
}

/* --- For Prometheus ----------------------------------------------------------------------- */

/* The exposition format of Prometheus, version 0.0.4: a metric's samples stand behind its HELP and
 * TYPE, and no sample twice. Returns the sum of all values. */
static uint64_t check_exposition(const char *text)
{
    char metric[64] = "", seen[8192] = "", line[256];
    uint64_t sum = 0;
    while (*text != '\0') {
        char name[64], labels[128] = "", rest[64], type[16];
        size_t n = strcspn(text, "\n");
        assert_int_equal(text[n], '\n');
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        text += n + 1;
        if (sscanf(line, "# HELP %63[a-z_] %63[A-Za-z ]", name, rest) == 2)
            continue;
        if (sscanf(line, "# TYPE %63[a-z_] %15[a-z]", metric, type) == 2) {
            bool total = strlen(metric) > 6 && strcmp(metric + strlen(metric) - 6, "_total") == 0;
            assert_string_equal(type, total ? "counter" : "gauge");
            assert_null(strstr(seen, line)); /* once */
            strcat(seen, line);
            continue;
        }
        unsigned long long value;
        int end = 0;
        if (strchr(line, '{') != NULL)
            sscanf(line, "%63[a-z_]{%127[a-z_=\",0-9]} %llu%n", name, labels, &value, &end);
        else
            sscanf(line, "%63[a-z_] %llu%n", name, &value, &end);
        assert_int_equal(end, n);
        assert_string_equal(name, metric);
        strcpy(strrchr(line, ' '), "\n");
        assert_null(strstr(seen, line));
        strcat(seen, line);
        sum += value;
    }
    return sum;
}

/* All numbers there are but those of reasons that end no client. */
static uint64_t sum_of(const channels_stats *stats)
{
    const uint64_t *n = (const uint64_t *)(const void *)stats;
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof *stats / sizeof *n; i++)
        sum += n[i];
    return sum;
}

static void as_text(conn_case *t)
{
    channels_stats stats;
    char text[CHANNELS_STATS_TEXT];
    (void)t;
    memset(&stats, 0, sizeof stats);
    for (size_t i = 0; i < offsetof(channels_stats, closed) / sizeof(uint64_t); i++)
        ((uint64_t *)(void *)&stats)[i] = UINT64_C(1) << i;
    stats.closed[CHANNELS_SLOW] = UINT64_C(1) << 62;
    size_t n = channels_stats_prometheus(&stats, NULL, text, sizeof text);
    assert_int_equal(n, strlen(text));
    assert_int_equal(check_exposition(text), sum_of(&stats));
    assert_non_null(strstr(text, "\nchannels_sockets{transport=\"longpoll\"} 4\n"));
    assert_non_null(strstr(text, "\nchannels_sockets_closed_total{reason=\"slow\"} "
                                 "4611686018427387904\n"));

    size_t labelled = channels_stats_prometheus(&stats, "node=\"a\"", text, sizeof text);
    assert_true(labelled > n && labelled < sizeof text);
    assert_int_equal(check_exposition(text), sum_of(&stats));
    assert_non_null(strstr(text, "\nchannels_topics{node=\"a\"} 32\n"));
    assert_non_null(strstr(text, "{direction=\"in\",node=\"a\"} "));
}

static void largest_text_fits(conn_case *t)
{
    channels_stats stats;
    (void)t;
    memset(&stats, 0xff, sizeof stats);
    assert_true(channels_stats_prometheus(&stats, NULL, NULL, 0) < CHANNELS_STATS_TEXT);
}

static void cut_text(conn_case *t)
{
    channels_stats stats = stats_of(t);
    char whole[CHANNELS_STATS_TEXT];
    size_t n = channels_stats_prometheus(&stats, "", whole, sizeof whole);
    for (size_t cap = 0; cap <= n + 1; cap += cap < 200 || cap > n - 200 ? 1 : 97) {
        char *dst = sim_alloc(cap != 0 ? cap : 1);
        assert_int_equal(channels_stats_prometheus(&stats, "", cap != 0 ? dst : NULL, cap), n);
        if (cap != 0) {
            assert_int_equal(strlen(dst), cap <= n ? cap - 1 : n);
            assert_memory_equal(dst, whole, strlen(dst));
        }
        free(dst);
    }
}

/* --- Looking at all ----------------------------------------------------------------------- */

typedef struct look {
    char seen[512];
    bool stop, close;
} look;

static void see_channel(channels_channel *ch, void *arg)
{
    look *l = arg;
    size_t len, used = strlen(l->seen);
    const char *ref = channels_channel_join_ref(ch, &len);
    snprintf(l->seen + used, sizeof l->seen - used, " %s %.*s", channels_channel_topic(ch),
             ref != NULL ? (int)len : 4, ref != NULL ? ref : "null");
    if (l->stop)
        assert_int_equal(channels_stop(ch), CHANNELS_OK);
}

static void see_socket(channels_socket *s, void *arg)
{
    look *l = arg;
    size_t used = strlen(l->seen);
    const char *id = channels_socket_id(s);
    snprintf(l->seen + used, sizeof l->seen - used, "%s%s %s %s %.17s:", used != 0 ? "; " : "",
             id != NULL ? id : "-", channels_socket_path(s), channels_socket_transport(s),
             channels_socket_serializer(s));
    assert_int_equal(channels_foreach_channel(s, see_channel, l), CHANNELS_OK);
    if (l->close)
        assert_int_equal(channels_socket_close(s, 1008), CHANNELS_OK);
}

static int named_connect(channels_socket *s, const channels_request *req, probe *p)
{
    char id[16];
    (void)p;
    if (channels_request_param(req, "how", id, sizeof id) >= 0)
        return connect_as_asked(s, req, p);
    return channels_request_param(req, "id", id, sizeof id) >= 0 ? channels_socket_set_id(s, id)
                                                                 : CHANNELS_OK;
}

static void shows_all(conn_case *t)
{
    static const channels_request version_1 = { .method = "GET",
                                                .path = "/socket/websocket",
                                                .query = "id=u1" };
    channels_test_client *v1;
    look seen = { .stop = false };
    t->probe.connect = named_connect;
    t->probe.join = join_as_asked;
    channels_test_connect(&t->host, "/socket", "how=later");
    channels_test_open(&t->host, &version_1, &v1);
    channels_test_say(v1, "{'topic':'room:x','event':'phx_join','payload':{},'ref':null}");
    conn_open(&t->a, t);
    conn_upgrade(&t->a);
    conn_text(&t->a, JOIN);
    conn_text(&t->a, "[2,2,'room:b','phx_join',{}]");
    conn_text(&t->a, "['3','3','room:later','phx_join',{}]"); /* is not in yet */
    assert_int_equal(channels_foreach_socket(t->host.ep, see_socket, &seen), CHANNELS_OK);
    assert_string_equal(seen.seen, "u1 /socket websocket Phoenix.Socket.V1: room:x null; "
                                   "- /socket websocket Phoenix.Socket.V2: room:b 2 room:a \"1\"");
}

static void ends_what_it_sees(conn_case *t)
{
    look stop = { .stop = true }, close = { .stop = true, .close = true }, none = { .stop = false };
    conn_client *clients[] = { &t->a, &t->b };
    for (int i = 0; i < 2; i++) {
        conn_open(clients[i], t);
        conn_upgrade(clients[i]);
        conn_text(clients[i], JOIN);
        conn_text(clients[i], "['2','2','room:b','phx_join',{}]");
    }
    t->probe.trace[0] = '\0';
    channels_foreach_socket(t->host.ep, see_socket, &stop);
    traced(t, "terminate room:b stopped;terminate room:a stopped;"
              "terminate room:b stopped;terminate room:a stopped;");
    conn_text(&t->a, JOIN);
    t->probe.trace[0] = '\0';
    channels_foreach_socket(t->host.ep, see_socket, &close);
    traced(t, "terminate room:a disconnected;disconnect disconnected;disconnect disconnected;");
    channels_foreach_socket(t->host.ep, see_socket, &none);
    assert_string_equal(none.seen, "");
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(adds_up),          CONN_TEST(counts_deliveries), CONN_TEST(gauges),
        CONN_TEST(most_that_waited), CONN_TEST(refused_connects),  CONN_TEST(refused_joins),
        CONN_TEST(as_text),          CONN_TEST(largest_text_fits), CONN_TEST(cut_text),
        CONN_TEST(shows_all),        CONN_TEST(ends_what_it_sees),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
