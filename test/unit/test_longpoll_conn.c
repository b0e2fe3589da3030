/* test_longpoll_conn.c - long polling by bytes: requests of a session on keep-alive connections,
 * and what becomes of messages when a connection ends. Each case runs with its input whole and cut
 * into small pieces. */
#include "sim/poller.h"
#include "unit/conn_case.h"

#define READ CHANNELS_WANT_READ
#define SHUTDOWN CHANNELS_WANT_SHUTDOWN
#define WINDOW 30000u /* longer than a request may take to arrive */
#define JOIN_A "['1','1','room:a','phx_join',{}]"
#define JOINED_A "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"
#define HEARTBEAT "[null,'1','phoenix','heartbeat',{}]"
#define NEWS(n) "[null,null,'room:a','news',{'n':" #n "}]"

static char token[SIM_TOKEN]; /* of the session in hand */

static void begin(conn_case *t)
{
    const channels_mount_options options = {
        .longpoll = { .on = true, .window_ms = WINDOW, .max_body = 100000 }
    };
    conn_case_restart(t, NULL, &options);
    conn_open(&t->a, t);
    conn_open(&t->b, t);
}

static void request(conn_client *c, const char *method, const char *headers, const char *body)
{
    char *text = sim_quoted(body), whole[1500];
    int n = snprintf(whole, sizeof whole,
                     "%s /socket/longpoll?vsn=2.0.0&token=%s HTTP/1.1\r\nHost: localhost\r\n%s"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, token, headers, strlen(text), text);
    assert_true(n < (int)sizeof whole);
    conn_send(c, whole, (size_t)n);
    free(text);
}

static void get(conn_client *c)
{
    request(c, "GET", "", "");
}

/* The next answer, if all of it is there: how long it is, or 0. */
static size_t take(conn_client *c, int *status, const char **body, size_t *len)
{
    const char *head = c->got != NULL ? c->got + c->at : "";
    const char *end = strstr(head, "\r\n\r\n"), *length = strstr(head, "content-length: ");
    if (end == NULL || length == NULL)
        return 0;
    *status = atoi(head + 9);
    *body = end + 4;
    *len = strtoul(length + 16, NULL, 10);
    size_t whole = (size_t)(*body - head) + *len;
    return whole <= c->len - c->at ? whole : 0;
}

#define told(c, text) told_at(c, text, __FILE__, __LINE__)
static void told_at(conn_client *c, const char *text, const char *file, int line)
{
    char shown[65536] = "(nothing)";
    const char *body;
    int status = 0;
    size_t len = 0, n = take(c, &status, &body, &len);
    if (n != 0 && status == 200)
        sim_answer_show(body, len, shown, sizeof shown, token);
    else if (n != 0)
        snprintf(shown, sizeof shown, "HTTP %d", status);
    c->at += n;
    _assert_string_equal(shown, text, file, line);
}

static void news(conn_case *t, int n)
{
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%d}", n);
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json(text)),
                     CHANNELS_OK);
}

/* A session that has joined room:a, on connection a. */
static void join(conn_case *t)
{
    begin(t);
    token[0] = '\0';
    get(&t->a);
    told(&t->a, "410");
    request(&t->a, "POST", "", JOIN_A);
    told(&t->a, "200");
    get(&t->a);
    told(&t->a, "200 " JOINED_A);
    t->probe.trace[0] = '\0';
}

static void on_one_connection(conn_case *t)
{
    join(t);
    wants(&t->a, READ);
    get(&t->a);
    silent(&t->a);
    conn_turn(t, WINDOW - 1);
    silent(&t->a);
    wants(&t->a, READ);
    conn_turn(t, 1);
    took(&t->a, "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\n"
                "content-type: application/json; charset=utf-8\r\ncache-control: no-store\r\n"
                "content-length: 115\r\n\r\n");
    t->a.at = t->a.len;
    get(&t->a);
    news(t, 1);
    conn_turn(t, 0);
    told(&t->a, "200 " NEWS(1));
    conn_turn(t, 9999);
    wants(&t->a, READ); /* between requests it may rest a while */
    conn_turn(t, 1);
    assert_null(t->a.conn);
    get(&t->b); /* too late: as any request that did not come */
    assert_null(t->b.conn);
    conn_open(&t->b, t);
    get(&t->b);
    conn_turn(t, WINDOW);
    told(&t->b, "204");
}

static void what_comes_behind_a_poll_waits(conn_case *t)
{
    join(t);
    get(&t->a);
    request(&t->a, "POST", "", HEARTBEAT);
    get(&t->a);
    silent(&t->a);
    wants(&t->a, 0);
    conn_turn(t, WINDOW);
    told(&t->a, "204");
    conn_turn(t, 0);
    conn_turn(t, 0);
    told(&t->a, "200");
    conn_turn(t, 0);
    told(&t->a, "200 [null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
    wants(&t->a, READ);
}

/* More than is held: the poll is answered, and nothing after it. */
static void too_much_comes_behind_a_poll(conn_case *t)
{
    char much[20000];
    join(t);
    get(&t->a);
    memset(much, 'x', sizeof much);
    conn_send(&t->a, much, sizeof much);
    news(t, 1);
    conn_turn(t, 0);
    told(&t->a, "200 " NEWS(1));
    assert_true(t->a.shut);
    get(&t->b);
    conn_turn(t, WINDOW);
    told(&t->b, "204");
}

/* The answers before it have not left yet: that says nothing of the poll. */
static void behind_answers_that_wait(conn_case *t)
{
    join(t);
    t->a.window = 0;
    request(&t->a, "POST", "", "['1','2','room:a','none',{}]");
    get(&t->a);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    told(&t->a, "200");
    silent(&t->a);
    conn_close(&t->a);
    news(t, 1);
    conn_turn(t, 0);
    get(&t->b);
    told(&t->b, "200 " NEWS(1));
    assert_null(strstr(t->host.log, "channels_longpoll_done"));
}

static void the_next_request_waits_for_the_answer(conn_case *t)
{
    join(t);
    news(t, 1);
    t->a.window = 10;
    get(&t->a);
    get(&t->a);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    conn_turn(t, 0);
    told(&t->a, "200 " NEWS(1));
    news(t, 2);
    conn_turn(t, 0);
    told(&t->a, "200 " NEWS(2));
}

static void its_connection_ends(conn_case *t)
{
    join(t);
    get(&t->a);
    conn_close(&t->a);
    news(t, 1);
    conn_turn(t, 0);
    get(&t->b);
    told(&t->b, "200 " NEWS(1));
}

static void the_newer_poll_wins(conn_case *t)
{
    join(t);
    get(&t->a);
    get(&t->b);
    conn_turn(t, 0);
    told(&t->a, "204");
    news(t, 1);
    conn_turn(t, 0);
    told(&t->b, "200 " NEWS(1));
    wants(&t->a, READ);
}

/* The connection ends after each byte of an answer: what did not leave as a whole comes again, what
 * did does not. */
static void cut_at_any_byte(conn_case *t)
{
    join(t);
    for (size_t n = 0; n < 10000; n++) {
        news(t, 1);
        conn_open(&t->a, t);
        t->a.window = n;
        get(&t->a);
        bool whole = channels_conn_want(t->a.conn) == READ;
        conn_close(&t->a);
        conn_open(&t->b, t);
        get(&t->b);
        if (!whole) {
            told(&t->b, "200 " NEWS(1));
            continue;
        }
        silent(&t->b);
        assert_in_range(n, 250, 400); /* the length of the answer */
        return;
    }
    fail();
}

static void a_slow_reader(conn_case *t)
{
    join(t);
    news(t, 1);
    t->a.window = 10;
    get(&t->a);
    get(&t->b);
    news(t, 2);
    conn_turn(t, 0);
    silent(&t->b); /* it may still arrive there */
    for (int i = 0; i < 3; i++) {
        conn_turn(t, 9000); /* each byte gives it time */
        t->a.window = 10;
        conn_flush(&t->a);
    }
    conn_turn(t, 3000);
    told(&t->b, "204");
    get(&t->b);
    t->a.window = SIZE_MAX;
    conn_flush(&t->a);
    told(&t->a, "200 " NEWS(1));
    conn_turn(t, 0);
    told(&t->b, "200 " NEWS(2));
}

static void a_reader_that_stops(conn_case *t)
{
    join(t);
    news(t, 1);
    t->a.window = 10;
    get(&t->a);
    get(&t->b);
    conn_turn(t, 9999);
    silent(&t->b);
    conn_turn(t, 1); /* its time is over, and it is cut */
    assert_null(t->a.conn);
    conn_turn(t, 0);
    told(&t->b, "200 " NEWS(1));
}

static void the_last_request(conn_case *t)
{
    join(t);
    news(t, 1);
    request(&t->a, "GET", "Connection: close\r\n", "");
    told(&t->a, "200 " NEWS(1));
    assert_true(t->a.shut);
    get(&t->b);
    silent(&t->b);
    conn_turn(t, WINDOW);
    told(&t->b, "204");
}

static void http_1_0(conn_case *t)
{
    char text[500];
    join(t);
    snprintf(text, sizeof text, "GET /socket/longpoll?token=%s HTTP/1.0\r\n\r\n", token);
    conn_say(&t->a, text);
    silent(&t->a);
    conn_turn(t, WINDOW);
    told(&t->a, "204");
    assert_true(t->a.shut);
}

static void heads(conn_case *t)
{
    join(t);
    request(&t->a, "HEAD", "", "");
    took(&t->a, "HTTP/1.1 400 Bad Request\r\naccess-control-allow-origin: *\r\n"
                "content-length: 0\r\n\r\n");
    request(&t->a, "OPTIONS", "", "");
    took(&t->a, "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\n"
                "access-control-allow-headers: \r\n"
                "access-control-allow-methods: get, post, options\r\n"
                "access-control-max-age: 3600\r\ncontent-length: 0\r\n\r\n");
    wants(&t->a, READ);
}

/* --- Bodies ------------------------------------------------------------------------------- */

static void announce(conn_client *c, const char *method, const char *headers)
{
    char head[500];
    snprintf(head, sizeof head, "%s /socket/longpoll?token=%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
             method, token, headers);
    conn_say(c, head);
}

/* `len` bytes of a message that is a heartbeat and white space. */
static void send_body(conn_client *c, size_t len)
{
    char *body = sim_alloc(len), *text = sim_quoted(HEARTBEAT);
    memset(body, ' ', len);
    memcpy(body, text, strlen(text));
    size_t step = c->step;
    c->step = step != 0 ? 4000 : 0; /* quicker */
    conn_send(c, body, len);
    c->step = step;
    free(text);
    free(body);
}

static void a_body_of_the_limit(conn_case *t)
{
    join(t);
    announce(&t->a, "POST", "Content-Length: 100000\r\n");
    send_body(&t->a, 100000);
    told(&t->a, "200");
    wants(&t->a, READ);
    get(&t->a);
    told(&t->a, "200 [null,'1','phoenix','phx_reply',{'status':'ok','response':{}}]");
}

static void a_body_too_large(conn_case *t)
{
    join(t);
    announce(&t->a, "POST", "Content-Length: 100001\r\n");
    told(&t->a, "HTTP 400");
    assert_true(t->a.shut);
    announce(&t->b, "POST", "Expect: 100-continue\r\nContent-Length: 100001\r\n");
    told(&t->b, "HTTP 400"); /* not 100: it need not be sent */
    conn_open(&t->b, t);
    announce(&t->b, "POST", "Transfer-Encoding: chunked\r\n");
    conn_say(&t->b, "186a0\r\n"); /* 100000 */
    send_body(&t->b, 100000);
    silent(&t->b);
    conn_say(&t->b, "\r\n1\r\nx");
    told(&t->b, "HTTP 400");
    conn_open(&t->b, t);
    get(&t->b); /* the session lives on */
    conn_turn(t, WINDOW);
    told(&t->b, "204");
}

/* Who has no session cannot make us keep more than any other request does. */
static void a_strangers_body(conn_case *t)
{
    join(t);
    char mine[80];
    strcpy(mine, token);
    strcpy(token, "bad");
    size_t before = t->memory.bytes;
    announce(&t->a, "POST", "Content-Length: 65537\r\n");
    told(&t->a, "410");
    assert_true(t->a.shut);
    announce(&t->b, "POST", "Transfer-Encoding: chunked\r\n");
    conn_say(&t->b, "10000\r\n"); /* 65536 */
    send_body(&t->b, 65536);
    silent(&t->b);
    assert_in_range(t->memory.bytes - before, 0, 200000);
    conn_say(&t->b, "\r\n1\r\nx");
    told(&t->b, "410");
    conn_open(&t->b, t);
    announce(&t->b, "POST", "Content-Length: 10\r\n");
    conn_say(&t->b, "0123456789");
    told(&t->b, "410");
    wants(&t->b, READ);
    announce(&t->b, "PUT", "Content-Length: 65537\r\n");
    told(&t->b, "HTTP 413");
    strcpy(token, mine);
}

/* --- Callbacks that end their own connection ------------------------------------------------ */

static int free_in(channels_channel *ch, const channels_msg *msg, probe *p)
{
    conn_case *t = (conn_case *)p->host;
    (void)ch, (void)msg;
    conn_close(&t->a);
    return CHANNELS_OK;
}

static int free_connect(channels_socket *s, const channels_request *req, probe *p)
{
    conn_case *t = (conn_case *)p->host;
    (void)req;
    conn_close(&t->a);
    return p->err == CHANNELS_LATER && channels_connect_later(s, &p->ref) == CHANNELS_OK
               ? CHANNELS_LATER
               : p->err;
}

static void freed_by_a_callback(conn_case *t)
{
    join(t);
    t->probe.handle_in = free_in;
    request(&t->a, "POST", "", "['1','2','room:a','x',{}]");
    assert_null(t->a.conn);
    static const int results[] = { CHANNELS_OK, CHANNELS_LATER, CHANNELS_REFUSE, -5 };
    t->probe.connect = free_connect;
    token[0] = '\0';
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        t->probe.err = results[i];
        conn_open(&t->a, t);
        get(&t->a);
        assert_null(t->a.conn);
        silent(&t->a);
    }
    conn_turn(t, 0);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    conn_turn(t, WINDOW * 2);
    assert_non_null(strstr(t->probe.trace, "disconnect idle;"));
}

static int wait(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : CHANNELS_REFUSE;
}

static void waits_to_come_in(conn_case *t)
{
    begin(t);
    token[0] = '\0';
    t->probe.connect = wait;
    get(&t->a);
    conn_turn(t, 5 * WINDOW);
    silent(&t->a);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    conn_turn(t, 0);
    told(&t->a, "410");
    conn_open(&t->b, t);
    token[0] = '\0';
    get(&t->b);
    conn_close(&t->b);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    traced(t, "connect;connect;disconnect closed;");
}

static void read_by_the_host(conn_case *t)
{
    const channels_request req = { .method = "GET",
                                   .path = "/socket/longpoll",
                                   .query = "vsn=2.0.0" };
    begin(t);
    conn_close(&t->a);
    assert_int_equal(channels_conn_new_from(t->host.ep, &req, NULL, 0, &t->a, &t->a.conn),
                     CHANNELS_OK);
    conn_turn(t, 0);
    told(&t->a, "410");
    request(&t->a, "POST", "", JOIN_A);
    told(&t->a, "200");
}

static void shut_down(conn_case *t)
{
    join(t);
    get(&t->a);
    get(&t->b);
    news(t, 1);
    traced(t, "");
} /* conn_case_end() looks for what is lost */

/* --- Memory ------------------------------------------------------------------------------- */

/* What the header promises. */
static void a_held_poll_is_small(conn_case *t)
{
    join(t); /* on a; the first session has made what all need */
    size_t before = t->memory.bytes;
    conn_open(&t->a, t);
    token[0] = '\0';
    get(&t->a);
    told(&t->a, "410");
    get(&t->a);
    silent(&t->a);
    size_t each = t->memory.bytes - before - probe_handler.assigns_size;
    if (t->step == 0)
        print_message("# %zu bytes for a session with its connection and a poll held on it\n",
                      each);
    assert_in_range(each, 500, 900);
}

static void life(conn_case *t)
{
    char shown[4096];
    const char *body;
    int status;
    size_t len, n;
    token[0] = '\0';
    conn_open(&t->a, t);
    get(&t->a);
    if ((n = take(&t->a, &status, &body, &len)) != 0 && status == 200)
        sim_answer_show(body, len, shown, sizeof shown, token);
    t->a.at += n;
    request(&t->a, "POST", "Content-Type: application/x-ndjson\r\n",
            JOIN_A "\n['1','2','room:a','echo',{}]\nAAEBBgQxMnJvb206YW5vbmU=");
    get(&t->a);
    for (int i = 0; i < 4; i++)
        channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json("{\"a\":1}"));
    conn_turn(t, 0);
    get(&t->a);
    conn_open(&t->b, t);
    get(&t->b);
    conn_turn(t, 0);
    channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json("{\"a\":1}"));
    conn_turn(t, 0);
    request(&t->b, "OPTIONS", "Access-Control-Request-Headers: x\r\n", "");
    request(&t->b, "DELETE", "", "");
    conn_turn(t, 0);
}

static void memory_runs_out(conn_case *t)
{
    if (t->step != 0)
        return;
    for (int all = 0; all < 2; all++) {
        size_t n = 0, calls;
        do {
            begin(t);
            conn_close(&t->a);
            conn_close(&t->b);
            sim_memory *memory = &t->memory;
            memory->calls = 0;
            memory->fail_at = ++n;
            memory->fail_on = all != 0;
            life(t);
            calls = memory->calls;
            memory->fail_at = 0;
            conn_open(&t->a, t);
            token[0] = '\0';
            get(&t->a);
            told(&t->a, "410");
            request(&t->a, "POST", "", JOIN_A);
            told(&t->a, "200");
            get(&t->a);
            told(&t->a, "200 " JOINED_A);
        } while (calls >= n);
        assert_in_range(n, 50, 1000); /* life() is what it was */
    }
}

int main(void)
{
    static const conn_test tests[] = {
        CONN_TEST(on_one_connection),
        CONN_TEST(what_comes_behind_a_poll_waits),
        CONN_TEST(too_much_comes_behind_a_poll),
        CONN_TEST(behind_answers_that_wait),
        CONN_TEST(the_next_request_waits_for_the_answer),
        CONN_TEST(its_connection_ends),
        CONN_TEST(the_newer_poll_wins),
        CONN_TEST(cut_at_any_byte),
        CONN_TEST(a_slow_reader),
        CONN_TEST(a_reader_that_stops),
        CONN_TEST(the_last_request),
        CONN_TEST(http_1_0),
        CONN_TEST(heads),
        CONN_TEST(a_body_of_the_limit),
        CONN_TEST(a_body_too_large),
        CONN_TEST(a_strangers_body),
        CONN_TEST(freed_by_a_callback),
        CONN_TEST(waits_to_come_in),
        CONN_TEST(read_by_the_host),
        CONN_TEST(shut_down),
        CONN_TEST(a_held_poll_is_small),
        CONN_TEST(memory_runs_out),
    };
    return conn_test_run(tests, sizeof tests / sizeof *tests);
}
