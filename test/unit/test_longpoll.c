/* test_longpoll.c - lib/transport/session.c through channels/longpoll.h: sessions, their polls and
 * what is in the answers, how they end. */
#include <channels/stats.h>

#include "base/crypto.h"
#include "unit/longpoll_case.h"

#define JOIN_A "['1','1','room:a','phx_join',{}]"
#define JOINED_A "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]"
#define NEWS(n) "[null,null,'room:a','news',{'n':" #n "}]"

static void news(longpoll_case *t, int n)
{
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%d}", n);
    assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json(text)),
                     CHANNELS_OK);
}

/* A session that has joined room:a, and for which nothing waits. */
static void join(longpoll_case *t)
{
    open_session(t);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
    poll_once(t, &t->a);
    answered(&t->a, "200 " JOINED_A);
    sim_answer_done(&t->a, true);
    t->probe.trace[0] = '\0';
}

/* --- Polls -------------------------------------------------------------------------------- */

static void opens_a_session(void **state)
{
    longpoll_case *t = *state;
    open_session(t);
    assert_string_equal(t->a.head, "access-control-allow-origin: *\n"
                                   "content-type: application/json; charset=utf-8\n"
                                   "cache-control: no-store\n");
    assert_int_equal(strlen(t->token), 76);
    assert_int_equal(strspn(t->token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_"),
                     76);
    traced(t, "connect;");
}

static void polls(void **state)
{
    longpoll_case *t = *state;
    open_session(t);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
    poll_once(t, &t->a);
    answered(&t->a, "200 " JOINED_A);
    assert_string_equal(t->a.token, t->token);
    sim_answer_done(&t->a, true);
    poll_once(t, &t->a);
    waits(&t->a);
    channels_test_wait(&t->host, WINDOW - 1);
    waits(&t->a);
    channels_test_wait(&t->host, 1);
    answered(&t->a, "204");
    assert_string_equal(t->a.token, t->token);
    sim_answer_done(&t->a, true);
    traced(t, "connect;join room:a phx_join {};joined room:a;");
}

static void one_answer_for_a_turn(void **state)
{
    longpoll_case *t = *state;
    join(t);
    poll_once(t, &t->a);
    news(t, 1);
    news(t, 2);
    waits(&t->a);
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "200 " NEWS(1) " " NEWS(2));
    sim_answer_done(&t->a, true);
    poll_once(t, &t->a);
    waits(&t->a);
}

static void the_newer_poll_wins(void **state)
{
    longpoll_case *t = *state;
    join(t);
    poll_once(t, &t->a);
    channels_test_wait(&t->host, WINDOW / 2);
    poll_once(t, &t->b);
    answered(&t->a, "204");
    sim_answer_done(&t->a, false); /* of no matter any more */
    news(t, 1);
    channels_test_wait(&t->host, 0);
    answered(&t->b, "200 " NEWS(1));
    sim_answer_done(&t->b, true);
    poll_once(t, &t->c);
    channels_test_wait(&t->host, WINDOW);
    answered(&t->c, "204");
}

static void what_was_not_sent_is_given_again(void **state)
{
    longpoll_case *t = *state;
    join(t);
    news(t, 1);
    for (int i = 0; i < 3; i++) {
        poll_once(t, &t->a);
        answered(&t->a, "200 " NEWS(1));
        sim_answer_done(&t->a, false);
    }
    news(t, 2);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(1) " " NEWS(2));
    news(t, 3);
    sim_answer_done(&t->a, true);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(3));
    sim_answer_done(&t->a, true);
    sim_answer_done(&t->a, false); /* too late */
    poll_once(t, &t->a);
    waits(&t->a);
}

static void a_poll_waits_for_the_answer_before(void **state)
{
    longpoll_case *t = *state;
    join(t);
    news(t, 1);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(1));
    poll_once(t, &t->b); /* on its way to somebody: not given twice */
    news(t, 2);
    channels_test_wait(&t->host, 1);
    waits(&t->b);
    sim_answer_done(&t->a, true);
    waits(&t->b);
    channels_test_wait(&t->host, 0);
    answered(&t->b, "200 " NEWS(2));

    poll_once(t, &t->a);
    sim_answer_done(&t->b, false);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "200 " NEWS(2));

    poll_once(t, &t->b);
    channels_test_wait(&t->host, WINDOW);
    answered(&t->b, "204"); /* nobody has said what became of it */
    sim_answer_done(&t->a, true);
    poll_once(t, &t->b);
    waits(&t->b);
}

static void who_asked_has_gone(void **state)
{
    longpoll_case *t = *state;
    join(t);
    poll_once(t, &t->a);
    sim_answer_done(&t->a, false);
    news(t, 1);
    channels_test_wait(&t->host, WINDOW);
    waits(&t->a);
    poll_once(t, &t->b);
    answered(&t->b, "200 " NEWS(1));
    poll_once(t, &t->c);
    sim_answer_done(&t->c, false); /* while another answer is on its way */
    sim_answer_done(&t->b, false);
    poll_once(t, &t->b);
    answered(&t->b, "200 " NEWS(1));
}

static void said_from_inside(void **state)
{
    longpoll_case *t = *state;
    join(t);
    t->a.at_once = SIM_SENT;
    news(t, 1);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(1));
    poll_once(t, &t->a);
    waits(&t->a);
    news(t, 2);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "200 " NEWS(2));
    t->b.at_once = SIM_LOST;
    news(t, 3);
    poll_once(t, &t->b);
    answered(&t->b, "200 " NEWS(3));
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(3));
    poll_once(t, &t->b);
    poll_once(t, &t->a);
    answered(&t->b, "204");
    waits(&t->a);
}

static void said_wrongly(void **state)
{
    longpoll_case *t = *state;
    const channels_ref wrong[] = { { 0 }, { 1 }, { UINT64_MAX }, { UINT64_C(7) << 32 | 1 } };
    join(t);
    poll_once(t, &t->a);
    sim_answer_done(&t->a, true);
    logged(t, "channels_longpoll_done: this request has not been answered yet");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        channels_longpoll_done(t->host.ep, wrong[i], true);
        channels_longpoll_done(t->host.ep, wrong[i], false);
    }
    /* Small numbers that may name what else there is. */
    for (uint64_t slot = 1; slot < 8; slot++)
        for (uint64_t generation = 1; generation < 8; generation++)
            if ((generation << 32 | slot) != t->a.ref.id)
                channels_longpoll_done(t->host.ep, (channels_ref){ generation << 32 | slot },
                                       false);
    const channels_response r = { .status = 200 };
    assert_int_equal(channels_respond(t->host.ep, t->a.ref, &r), CHANNELS_ERR_INVALID);
    channels_ref_drop(t->host.ep, t->a.ref);
    assert_null(channels_ref_channel(t->host.ep, t->a.ref));
    assert_null(channels_ref_socket(t->host.ep, t->a.ref));
    news(t, 1);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "200 " NEWS(1));
}

/* --- The end of a session ------------------------------------------------------------------- */

static void no_session(longpoll_case *t)
{
    post(t, &t->c, JOIN_A);
    answered(&t->c, "410");
    assert_string_equal(t->c.token, "");
    poll_once(t, &t->c);
    answered(&t->c, "410");
    assert_string_not_equal(t->c.token, t->token);
}

static void nobody_polls(void **state)
{
    longpoll_case *t = *state;
    open_session(t);
    traced(t, "connect;");
    channels_test_wait(&t->host, WINDOW);
    post(t, &t->a, JOIN_A); /* no poll */
    t->probe.trace[0] = '\0';
    channels_test_wait(&t->host, WINDOW - 1);
    traced(t, "");
    channels_test_wait(&t->host, 1);
    traced(t, "terminate room:a idle;disconnect idle;");
    no_session(t);
}

static void a_poll_keeps_it(void **state)
{
    longpoll_case *t = *state;
    join(t);
    for (int i = 0; i < 5; i++) {
        channels_test_wait(&t->host, 2 * WINDOW - 1);
        poll_once(t, &t->a);
        channels_test_wait(&t->host, WINDOW);
        answered(&t->a, "204");
    }
    channels_test_wait(&t->host, 2 * WINDOW - 1);
    traced(t, "");
    channels_test_wait(&t->host, 1);
    traced(t, "terminate room:a idle;disconnect idle;");
}

static int keep_self(channels_channel *ch, probe *p)
{
    return channels_self(ch, &p->self);
}

static void closed_by_its_host(void **state)
{
    longpoll_case *t = *state;
    t->probe.joined = keep_self;
    join(t);
    poll_once(t, &t->a);
    news(t, 1);
    channels_test_wait(&t->host, 0);
    poll_once(t, &t->b); /* and one answer is on its way */
    waits(&t->b);
    channels_channel *ch = channels_ref_channel(t->host.ep, t->probe.self);
    assert_int_equal(channels_socket_close(channels_channel_socket(ch), 4000), CHANNELS_OK);
    answered(&t->b, "204");
    traced(t, "terminate room:a disconnected;disconnect disconnected;");
    assert_string_equal(t->b.token, t->token);
    sim_answer_done(&t->a, true);
    sim_answer_done(&t->b, true);
    no_session(t);
}

static int send_away(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)p;
    assert_int_equal(channels_push(ch, "why", msg->payload), CHANNELS_OK);
    return channels_socket_close(channels_channel_socket(ch), 4000);
}

/* The last words to a client whose poll is held reach it, as they do by WebSocket. */
static void told_why(void **state)
{
    longpoll_case *t = *state;
    join(t);
    poll_once(t, &t->a);
    t->probe.handle_in = send_away;
    post(t, &t->b, "[null,'2','room:a','go',{'r':1}]");
    answered(&t->a, "200 ['1',null,'room:a','why',{'r':1}]");
    assert_string_equal(t->a.token, t->token);
    sim_answer_done(&t->a, true);
    no_session(t);
}

static int named(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "user:1");
}

static void disconnected_by_id(void **state)
{
    longpoll_case *t = *state;
    t->probe.connect = named;
    join(t);
    poll_once(t, &t->a);
    assert_int_equal(channels_disconnect(t->host.ep, "user:1"), CHANNELS_OK);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "204");
    traced(t, "terminate room:a disconnected;disconnect disconnected;");
    t->probe.connect = NULL;
    no_session(t);
}

static void the_endpoint_is_freed(void **state)
{
    longpoll_case *t = *state;
    join(t);
    poll_once(t, &t->a);
    assert_int_equal(channels_test_stop(&t->host), 0);
    t->host.ep = NULL;
    answered(&t->a, "204");
    traced(t, "terminate room:a shutdown;disconnect shutdown;");
}

static void too_much_waits(void **state)
{
    longpoll_case *t = *state;
    longpoll_case_restart(t, NULL, (channels_mount_options){ .max_queued = 1000 });
    join(t);
    int n = 0;
    while (strstr(t->probe.trace, "disconnect") == NULL && ++n < 1000)
        news(t, n);
    assert_in_range(n, 10, 30);
    logged(t, "it reads too slowly");
    no_session(t);
}

/* What is on its way counts until it is known to have left. */
static void too_much_is_on_its_way(void **state)
{
    longpoll_case *t = *state;
    longpoll_case_restart(t, NULL, (channels_mount_options){ .max_queued = 1000 });
    join(t);
    for (int i = 0; i < 10; i++)
        news(t, i);
    poll_once(t, &t->a);
    poll_once(t, &t->b);
    for (int i = 0; i < 20; i++)
        news(t, i);
    answered(&t->b, "204");
    no_session(t);
    sim_answer_done(&t->a, true);
    join(t);
    for (int i = 0; i < 100; i++) {
        news(t, i);
        poll_once(t, &t->a);
        sim_answer_done(&t->a, true);
    }
    assert_null(strstr(t->probe.trace, "disconnect"));
}

static void the_token_is_too_old(void **state)
{
    longpoll_case *t = *state;
    longpoll_case_restart(t, NULL,
                          (channels_mount_options){
                              .longpoll = { .window_ms = 1000, .token_max_age_s = 2 } });
    join(t);
    poll_once(t, &t->a);
    channels_test_wait(&t->host, 1000);
    answered(&t->a, "204");
    poll_once(t, &t->a);
    channels_test_wait(&t->host, 999);
    sim_answer_done(&t->a, false);
    poll_once(t, &t->a);
    waits(&t->a);
    channels_test_wait(&t->host, 1);
    waits(&t->a); /* it has been let in */
    no_session(t);
    channels_test_wait(&t->host, 999);
    answered(&t->a, "204");
}

/* --- Tokens ------------------------------------------------------------------------------- */

static void tokens_cannot_be_changed(void **state)
{
    longpoll_case *t = *state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char target[1024];
    join(t);
    for (size_t i = 0; i < strlen(t->token); i++) {
        for (int change = 1; change < 64; change <<= 1) {
            snprintf(target, sizeof target, LP "&token=%s", t->token);
            char *c = strstr(target, "token=") + 6 + i;
            *c = digits[(strchr(digits, *c) - digits) ^ change];
            ask(t, &t->a, "POST", target, NULL, "x");
            answered(&t->a, "410");
        }
    }
    for (size_t n = 0; n < strlen(t->token); n++) {
        snprintf(target, sizeof target, LP "&token=%.*s", (int)n, t->token);
        ask(t, &t->a, "POST", target, NULL, "x");
        answered(&t->a, "410");
    }
    const char *const others[] = { "", "a", "%41", t->token + 1, "a.b.c" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(target, sizeof target, LP "&x=1&token=%s", others[i]);
        ask(t, &t->a, "POST", target, NULL, "x");
        answered(&t->a, "410");
    }
    snprintf(target, sizeof target, LP "&token=%s%s", t->token, t->token);
    ask(t, &t->a, "POST", target, NULL, "x");
    answered(&t->a, "410");
    ask_with_token(t, &t->a, "POST", LP "&token[]=%s", NULL, "x");
    answered(&t->a, "410");
    ask_with_token(t, &t->a, "POST", LP "&token=%s&token[]=x", NULL, "x");
    answered(&t->a, "410");
    ask_with_token(t, &t->a, "POST", LP "&token=%s=", NULL, "x");
    answered(&t->a, "410");
    ask_with_token(t, &t->a, "POST", LP "&token=x&token=%s", NULL,
                   "[null,'2','phoenix','heartbeat',{}]"); /* the last one counts */
    answered(&t->a, "200");
}

/* Its token with another ref. */
static void name_slot(longpoll_case *t, uint32_t generation, uint32_t slot)
{
    uint64_t ref = (uint64_t)generation << 32 | slot;
    unsigned char head[9] = { 1 };
    char text[CHANNELS__BASE64_SIZE(sizeof head)], target[1024];
    for (int i = 0; i < 8; i++)
        head[1 + i] = (unsigned char)(ref >> (56 - 8 * i));
    channels__base64url_encode(head, sizeof head, text);
    if (strncmp(text, t->token, 12) == 0)
        return;
    snprintf(target, sizeof target, LP "&token=%s%s", text, t->token + 12);
    ask(t, &t->a, "POST", target, NULL, "x");
    answered(&t->a, "410");
}

/* A ref is what anybody may write: slots of polls, of others' sessions, of none, at the end of the
 * table and beyond it. */
static void tokens_cannot_name_what_they_like(void **state)
{
    static const uint32_t edges[] = { 0, 1, 2, 15, 16, 17, 32, 1u << 31, UINT32_MAX };
    longpoll_case *t = *state;
    char other[SIM_TOKEN];
    join(t);
    strcpy(other, t->token);
    open_session(t);
    poll_once(t, &t->b);
    waits(&t->b);
    for (uint32_t generation = 0; generation < 8; generation++)
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
            name_slot(t, generation, edges[i]);
    memcpy(other, t->token, 12);
    strcpy(t->token, other);
    post(t, &t->a, "x");
    answered(&t->a, "410");
    waits(&t->b);
    traced(t, "connect;");
}

/* Its slot is somebody else's by then. */
static void tokens_of_sessions_that_ended(void **state)
{
    longpoll_case *t = *state;
    char ended[SIM_TOKEN], next[SIM_TOKEN];
    open_session(t);
    strcpy(ended, t->token);
    post(t, &t->a, "no message");
    answered(&t->a, "410");
    traced(t, "connect;disconnect broken;");
    open_session(t);
    strcpy(next, t->token);
    assert_memory_equal(next + 8, ended + 8, 4);
    strcpy(t->token, ended);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "410");
    memcpy(t->token, next, 12);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "410");
    traced(t, "connect;");
    strcpy(t->token, next);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
}

static void the_header_counts_first(void **state)
{
    longpoll_case *t = *state;
    char header[500];
    join(t);
    snprintf(header, sizeof header, "X-Phoenix-Longpoll-Token: %s\n", t->token);
    ask(t, &t->a, "POST", LP, header, "[null,'2','phoenix','heartbeat',{}]");
    answered(&t->a, "200");
    ask(t, &t->a, "POST", LP "&token=bad", header, "[null,'3','phoenix','heartbeat',{}]");
    answered(&t->a, "200");
    ask_with_token(t, &t->a, "POST", LP "&token=%s", "x-phoenix-longpoll-token: bad\n", "x");
    answered(&t->a, "410");
    ask_with_token(t, &t->a, "POST", LP "&token=%s", "x-phoenix-longpoll-token: \n", "x");
    answered(&t->a, "410");
    ask(t, &t->a, "GET", LP, header, NULL);
    answered(&t->a, "200 [null,'2','phoenix','phx_reply',{'status':'ok','response':{}}] "
                    "[null,'3','phoenix','phx_reply',{'status':'ok','response':{}}]");
}

static void tokens_are_of_one_mount(void **state)
{
    longpoll_case *t = *state;
    const channels_mount_options options = { .longpoll = { .on = true, .path = "/lp" } };
    assert_int_equal(channels_mount(t->host.ep, "/other", &probe_handler, &options, &t->probe),
                     CHANNELS_OK);
    join(t);
    ask_with_token(t, &t->a, "POST", "/other/lp?token=%s", NULL, "x");
    answered(&t->a, "410");
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
}

/* The same session of another life, in the same place. */
static void one_life(longpoll_case *t, const char *secret, uint64_t random)
{
    const channels_config config = { .secret = secret };
    longpoll_case_restart(t, &config, (channels_mount_options){ 0 });
    t->host.random = random;
    open_session(t);
    assert_memory_equal(t->token, "AQAAAAEAAAAB", 12); /* its ref */
}

static void tokens_are_of_one_life(void **state)
{
    static const struct {
        const char *secret;
        uint64_t random;
        bool same;
    } lives[] = { { "s", 17, true }, /* as if the nonce could be the same */
                  { "s", 18, false },
                  { "t", 17, false },
                  { NULL, 17, false } };
    longpoll_case *t = *state;
    char token[SIM_TOKEN];
    one_life(t, "s", 17);
    strcpy(token, t->token);
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        one_life(t, lives[i].secret, lives[i].random);
        assert_int_equal(strcmp(token, t->token) == 0, lives[i].same);
        strcpy(t->token, token);
        post(t, &t->a, JOIN_A);
        answered(&t->a, lives[i].same ? "200" : "410");
    }
}

/* --- Coming in ---------------------------------------------------------------------------- */

static void too_many_sessions(void **state)
{
    longpoll_case *t = *state;
    longpoll_case_restart(t, NULL, (channels_mount_options){ .longpoll.max_sessions = 3 });
    for (int i = 0; i < 3; i++)
        open_session(t);
    for (int i = 0; i < 2; i++) {
        ask(t, &t->a, "GET", LP, NULL, NULL);
        answered(&t->a, "HTTP 503 {\"errors\":{\"detail\":\"Service Unavailable\"}}");
        logged(t, "it has 3 already");
    }
    poll_once(t, &t->a);
    channels_test_wait(&t->host, 2 * WINDOW); /* the other two end */
    answered(&t->a, "204");
    open_session(t);
    open_session(t);
    ask(t, &t->a, "GET", LP, NULL, NULL);
    assert_int_equal(t->a.status, 503);
}

static int say_no(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return CHANNELS_REFUSE;
}

static int say_busy(channels_socket *s, const channels_request *req, probe *p)
{
    const channels_response r = { .status = 429, .body = "busy", .body_len = 4 };
    (void)req, (void)p;
    return channels_refuse(s, &r);
}

static int break_down(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s, (void)req, (void)p;
    return -9;
}

static int later(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    assert_string_equal(channels_socket_transport(s), "longpoll");
    assert_int_equal(channels_connect_later(s, &p->ref), CHANNELS_OK);
    return CHANNELS_LATER;
}

static void refused(void **state)
{
    longpoll_case *t = *state;
    t->probe.connect = say_no;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    answered(&t->a, "403");
    t->probe.connect = say_busy;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    answered(&t->a, "403");
    t->probe.connect = NULL;
    ask(t, &t->a, "GET", "/socket/longpoll?vsn=3.0.0", NULL, NULL);
    answered(&t->a, "403");
    ask(t, &t->a, "GET", LP, "origin: http://elsewhere.example\n", NULL);
    answered(&t->a, "403");
    t->probe.connect = break_down;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    answered(&t->a, "HTTP 500 {\"errors\":{\"detail\":\"Internal Server Error\"}}");
    assert_non_null(strstr(t->a.head, "access-control-allow-origin: *\n"));
}

static void accepted_later(void **state)
{
    longpoll_case *t = *state;
    t->probe.connect = later;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    channels_test_wait(&t->host, 10 * WINDOW);
    waits(&t->a);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_OK);
    answered(&t->a, "410");
    strcpy(t->token, t->a.token);
    sim_answer_done(&t->a, true);
    t->probe.connect = NULL;
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
}

static void refused_later(void **state)
{
    longpoll_case *t = *state;
    const channels_response r = { .status = 503 };
    t->probe.connect = later;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    assert_int_equal(channels_respond(t->host.ep, t->probe.ref, &r), CHANNELS_OK);
    answered(&t->a, "403");
    ask(t, &t->a, "GET", LP, NULL, NULL);
    channels_ref_drop(t->host.ep, t->probe.ref);
    answered(&t->a, "HTTP 500 {\"errors\":{\"detail\":\"Internal Server Error\"}}");
    sim_answer_done(&t->a, false);
    traced(t, "connect;disconnect refused;connect;disconnect refused;");
}

static void gone_before_it_came_in(void **state)
{
    longpoll_case *t = *state;
    t->probe.connect = later;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    sim_answer_done(&t->a, false);
    assert_int_equal(channels_accept(t->host.ep, t->probe.ref), CHANNELS_ERR_CLOSED);
    waits(&t->a);
    traced(t, "connect;disconnect closed;");
    ask(t, &t->a, "GET", LP, NULL, NULL);
    assert_int_equal(channels_test_stop(&t->host), 0);
    t->host.ep = NULL;
    answered(&t->a, "403");
    traced(t, "connect;disconnect shutdown;");
}

static int note_params(channels_socket *s, const channels_request *req, probe *p)
{
    char room[16] = "none";
    (void)s;
    channels_request_param(req, "room", room, sizeof room);
    probe_note(p, "room %s, token %s;", room, req->auth_token != NULL ? req->auth_token : "none");
    return CHANNELS_OK;
}

static void what_connect_is_told(void **state)
{
    static const channels_mount_options options = { .auth_token = true, .longpoll.on = true };
    longpoll_case *t = *state;
    assert_int_equal(channels_mount(t->host.ep, "/ws/:room", &probe_handler, &options, &t->probe),
                     CHANNELS_OK);
    t->probe.connect = note_params;
    ask(t, &t->a, "GET", "/ws/a%20b/longpoll?vsn=2.0.0&room=c", "x-phoenix-authtoken: let me in\n",
        NULL);
    answered(&t->a, "410");
    strcpy(t->token, t->a.token);
    ask_with_token(t, &t->a, "POST", "/ws/other/longpoll?token=%s", NULL, JOIN_A);
    answered(&t->a, "200"); /* the mount is the same */
    ask(t, &t->a, "GET", LP "&room=c", "x-phoenix-authtoken: let me in\n", NULL);
    answered(&t->a, "410");
    traced(t, "connect;room a%20b, token let me in;join room:a phx_join {};joined room:a;"
              "connect;room c, token none;");
}

/* --- Without channels ----------------------------------------------------------------------- */

static int echo_frame(channels_socket *s, channels_payload frame, void *user)
{
    probe *p = user;
    if (frame.kind == CHANNELS_BINARY) {
        assert_int_equal(channels_socket_push(s, frame), CHANNELS_ERR_INVALID);
        return CHANNELS_OK;
    }
    probe_note(p, "frame %.*s;", (int)frame.len, (const char *)frame.data);
    return frame.len == 4 ? CHANNELS_STOP : channels_socket_push(s, frame);
}

static void frames(void **state)
{
    static const channels_socket_handler raw = { .handle_frame = echo_frame };
    static const channels_mount_options options = { .longpoll.on = true };
    longpoll_case *t = *state;
    assert_int_equal(channels_mount(t->host.ep, "/raw", &raw, &options, &t->probe), CHANNELS_OK);
    ask(t, &t->a, "GET", "/raw/longpoll", NULL, NULL);
    answered(&t->a, "410");
    strcpy(t->token, t->a.token);
    ask_with_token(t, &t->a, "POST", "/raw/longpoll?token=%s", NULL, "hello");
    ask_with_token(t, &t->a, "POST", "/raw/longpoll?token=%s", NULL, NULL);
    ask_with_token(t, &t->a, "POST", "/raw/longpoll?token=%s",
                   "content-type: application/x-ndjson\n", "[x\nAAEC\n[y");
    answered(&t->a, "200");
    logged(t, "bytes cannot be sent by long polling");
    ask_with_token(t, &t->a, "GET", "/raw/longpoll?token=%s", NULL, NULL);
    answered(&t->a, "200 hello  [x [y");
    ask_with_token(t, &t->b, "GET", "/raw/longpoll?token=%s", NULL, NULL);
    ask_with_token(t, &t->a, "POST", "/raw/longpoll?token=%s", NULL, "stop");
    answered(&t->a, "200");
    answered(&t->b, "204");
    traced(t, "frame hello;frame ;frame [x;frame [y;frame stop;");
}

/* --- Messages ----------------------------------------------------------------------------- */

static int join_later(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    assert_int_equal(channels_later(ch, &p->ref), CHANNELS_OK);
    return CHANNELS_LATER;
}

static void a_join_later(void **state)
{
    longpoll_case *t = *state;
    t->probe.join = join_later;
    open_session(t);
    post(t, &t->a, JOIN_A);
    answered(&t->a, "200");
    poll_once(t, &t->a);
    waits(&t->a);
    assert_int_equal(channels_ref_reply(t->host.ep, t->probe.ref, "ok", channels_empty()),
                     CHANNELS_OK);
    channels_test_wait(&t->host, 0);
    answered(&t->a, "200 " JOINED_A);
}

static int push_bytes(channels_channel *ch, const channels_msg *msg, probe *p)
{
    const channels_payload bytes = channels_binary("\xff\xfe", 2);
    (void)msg;
    p->err = channels_push(ch, "bytes", bytes);
    assert_int_equal(p->err, CHANNELS_ERR_INVALID);
    assert_int_equal(channels_reply(ch, "ok", bytes), CHANNELS_ERR_INVALID);
    return channels_push(ch, "text", channels_json("{\"\\u0001\":\"\xc5\xbc\\\\\"}"));
}

static void bytes_are_refused(void **state)
{
    longpoll_case *t = *state;
    join(t);
    t->probe.handle_in = push_bytes;
    post(t, &t->a, "['1','2','room:a','go',{}]");
    logged(t, "a binary message on room:a does not fit into longpoll");
    poll_once(t, &t->a);
    answered(&t->a, "200 ['1',null,'room:a','text',{'\\u0001':'\xc5\xbc\\\\'}]");
    sim_answer_done(&t->a, true);

    t->ws = channels_test_connect(&t->host, "/socket", "");
    assert_int_equal(channels_test_say(t->ws, "['1','1','room:a','phx_join',{}]"), CHANNELS_OK);
    channels_test_hear(t->ws);
    unsigned lines = t->host.logged;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(channels_pubsub_broadcast(t->host.ep, "room:a", "bytes",
                                                   channels_binary("\xff", 1)),
                         CHANNELS_OK);
        assert_string_equal(channels_test_hear(t->ws), "<\\02\\06\\05room:abytes\\ff>");
    }
    assert_int_equal(t->host.logged, lines + 1);
    news(t, 1);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(1));
}

static void both_transports_hear(void **state)
{
    longpoll_case *t = *state;
    join(t);
    t->ws = channels_test_connect(&t->host, "/socket", "");
    assert_int_equal(channels_test_say(t->ws, "['1','1','room:a','phx_join',{}]"), CHANNELS_OK);
    channels_test_hear(t->ws);
    news(t, 1);
    channels_test_expect_broadcast(t->ws, "room:a", "news", "{'n':1}");
    assert_int_equal(channels_test_say(t->ws, "['1','2','room:a','shout',{'a':'b'}]"), CHANNELS_OK);
    poll_once(t, &t->a);
    answered(&t->a, "200 " NEWS(1) " [null,null,'room:a','shout',{'a':'b'}]");
}

static void version_1(void **state)
{
    longpoll_case *t = *state;
    ask(t, &t->a, "GET", "/socket/longpoll", NULL, NULL);
    answered(&t->a, "410");
    strcpy(t->token, t->a.token);
    post(t, &t->a, "{'topic':'room:a','event':'phx_join','payload':{},'ref':'1'}");
    answered(&t->a, "200");
    poll_once(t, &t->a);
    answered(&t->a, "200 {'topic':'room:a','event':'phx_reply',"
                    "'payload':{'status':'ok','response':{}},'ref':'1'}");
}

/* --- Memory ------------------------------------------------------------------------------- */

/* What the header promises, and what tells when it grows. */
static void a_session_is_small(void **state)
{
    longpoll_case *t = *state;
    enum { N = 64 };
    static sim_ask asks[N];
    size_t assigns = probe_handler.assigns_size;
    open_session(t);
    size_t before = t->memory.bytes;
    for (int i = 0; i < N; i++) {
        ask(t, &asks[i], "GET", LP, NULL, NULL);
        answered(&asks[i], "410");
        strcpy(t->token, asks[i].token);
        poll_once(t, &asks[i]);
        waits(&asks[i]);
    }
    size_t each = (t->memory.bytes - before) / N - assigns;
    print_message("# %zu bytes for a session that waits for nothing\n", each);
    assert_in_range(each, 100, 500);
}

static int try_later(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req;
    return channels_connect_later(s, &p->ref) == CHANNELS_OK ? CHANNELS_LATER : CHANNELS_REFUSE;
}

static void life(longpoll_case *t)
{
    if (sim_ask_text(&t->a, &t->host, "GET", LP, NULL, NULL) != CHANNELS_OK)
        return;
    sim_answer(&t->a);
    char target[500];
    snprintf(target, sizeof target, LP "&token=%s", t->a.token);
    static const char lines[] = "content-type: application/x-ndjson\n";
    sim_ask_text(&t->a, &t->host, "POST", target, lines,
                 JOIN_A "\nAAEBBgQxMnJvb206YW5vbmU=\n['1','3','room:a','shout',{}]");
    for (int i = 0; i < 20; i++)
        channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json("{\"a\":1}"));
    sim_ask_text(&t->a, &t->host, "GET", target, NULL, NULL);
    sim_ask_text(&t->b, &t->host, "GET", target, NULL, NULL);
    channels_longpoll_done(t->host.ep, t->a.ref, false);
    channels_test_wait(&t->host, 0);
    channels_longpoll_done(t->host.ep, t->b.ref, true);
    sim_ask_text(&t->a, &t->host, "GET", target, NULL, NULL);
    channels_pubsub_broadcast(t->host.ep, "room:a", "news", channels_json("{\"a\":1}"));
    channels_test_wait(&t->host, 0);
    channels_longpoll_done(t->host.ep, t->a.ref, true);
    sim_ask_text(&t->c, &t->host, "OPTIONS", LP, "access-control-request-headers: a\n", NULL);
    t->probe.connect = try_later;
    t->probe.ref.id = 0;
    sim_ask_text(&t->c, &t->host, "GET", LP, NULL, NULL);
    if (t->probe.ref.id != 0)
        channels_accept(t->host.ep, t->probe.ref);
    t->probe.connect = NULL;
}

/* Each allocation fails, that one alone or all from it on; then there is memory again. */
static void memory_runs_out(void **state)
{
    longpoll_case *t = *state;
    size_t n, calls;
    for (int all = 0; all < 2; all++) {
        n = 0;
        do {
            longpoll_case_restart(t, NULL, (channels_mount_options){ 0 });
            sim_memory *memory = &t->memory;
            memory->calls = 0;
            memory->fail_at = ++n;
            memory->fail_on = all != 0;
            life(t);
            calls = memory->calls;
            memory->fail_at = 0;
            t->probe.connect = NULL;
            join(t);
            news(t, 1);
            poll_once(t, &t->a);
            answered(&t->a, "200 " NEWS(1));
        } while (calls >= n);
        assert_in_range(n, 30, 1000); /* life() is what it was */
    }
}

static void note_drained(void *arg, const channels_drain_progress *p)
{
    bool *done = arg;
    *done = p->done;
}

static void is_drained(void **state)
{
    longpoll_case *t = *state;
    bool done = false;
    const channels_drain_options options = { .progress = note_drained, .arg = &done };
    channels_stats stats;
    open_session(t);
    poll_once(t, &t->b);
    channels_endpoint_stats(t->host.ep, &stats);
    assert_int_equal(stats.sockets_longpoll, 1);
    channels_drain(t->host.ep, &options);
    channels_test_wait(&t->host, 0);
    answered(&t->b, "204");
    traced(t, "connect;disconnect drained;");
    poll_once(t, &t->b); /* what comes back is refused, without asking connect() */
    answered(&t->b, "403");
    traced(t, "");
    channels_test_wait(&t->host, 0);
    assert_true(done);
    channels_endpoint_stats(t->host.ep, &stats);
    assert_int_equal(stats.sockets_longpoll, 0);
    assert_int_equal(stats.closed[CHANNELS_DRAINED], 1);
    assert_int_equal(stats.connects_refused_draining, 1);
}

/* As those of WebSocket are; what only looks like one is not. */
static void refusals_are_counted(void **state)
{
    static const char *const elsewhere = "origin: http://elsewhere.example\n";
    longpoll_case *t = *state;
    channels_stats stats;
    ask(t, &t->a, "GET", LP, elsewhere, NULL);
    ask(t, &t->a, "POST", LP, elsewhere, "");
    ask(t, &t->a, "OPTIONS", LP, elsewhere, NULL);
    ask(t, &t->a, "GET", LP "&%FF", NULL, NULL);
    ask(t, &t->a, "POST", LP "&%FF", NULL, "");
    ask(t, &t->a, "GET", "/socket/longpoll?vsn=3.0.0", NULL, NULL);
    t->probe.connect = say_no;
    ask(t, &t->a, "GET", LP, NULL, NULL);
    channels_endpoint_stats(t->host.ep, &stats);
    assert_int_equal(stats.connects_refused_origin, 1);
    assert_int_equal(stats.connects_refused_request, 1);
    assert_int_equal(stats.connects_refused_version, 1);
    assert_int_equal(stats.connects_refused_host, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LONGPOLL_TEST(opens_a_session),
        LONGPOLL_TEST(polls),
        LONGPOLL_TEST(one_answer_for_a_turn),
        LONGPOLL_TEST(the_newer_poll_wins),
        LONGPOLL_TEST(what_was_not_sent_is_given_again),
        LONGPOLL_TEST(a_poll_waits_for_the_answer_before),
        LONGPOLL_TEST(who_asked_has_gone),
        LONGPOLL_TEST(said_from_inside),
        LONGPOLL_TEST(said_wrongly),
        LONGPOLL_TEST(nobody_polls),
        LONGPOLL_TEST(a_poll_keeps_it),
        LONGPOLL_TEST(closed_by_its_host),
        LONGPOLL_TEST(told_why),
        LONGPOLL_TEST(disconnected_by_id),
        LONGPOLL_TEST(the_endpoint_is_freed),
        LONGPOLL_TEST(too_much_waits),
        LONGPOLL_TEST(too_much_is_on_its_way),
        LONGPOLL_TEST(the_token_is_too_old),
        LONGPOLL_TEST(tokens_cannot_be_changed),
        LONGPOLL_TEST(tokens_cannot_name_what_they_like),
        LONGPOLL_TEST(tokens_of_sessions_that_ended),
        LONGPOLL_TEST(the_header_counts_first),
        LONGPOLL_TEST(tokens_are_of_one_mount),
        LONGPOLL_TEST(tokens_are_of_one_life),
        LONGPOLL_TEST(too_many_sessions),
        LONGPOLL_TEST(refused),
        LONGPOLL_TEST(accepted_later),
        LONGPOLL_TEST(refused_later),
        LONGPOLL_TEST(gone_before_it_came_in),
        LONGPOLL_TEST(what_connect_is_told),
        LONGPOLL_TEST(frames),
        LONGPOLL_TEST(a_join_later),
        LONGPOLL_TEST(bytes_are_refused),
        LONGPOLL_TEST(both_transports_hear),
        LONGPOLL_TEST(version_1),
        LONGPOLL_TEST(a_session_is_small),
        LONGPOLL_TEST(memory_runs_out),
        LONGPOLL_TEST(is_drained),
        LONGPOLL_TEST(refusals_are_counted),
    };
    return cmocka_run_group_tests_name("longpoll", tests, NULL, NULL);
}
