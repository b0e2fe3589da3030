/* channels/test.h - tests of your channels without a network: clients in memory, and a clock that
 * moves when you say so.
 *
 *     channels_test t = { 0 };
 *     channels_test_start(&t, NULL);
 *     channels_mount(t.ep, "/socket", &user_socket, NULL, &app);
 *     channels_test_client *alice = channels_test_connect(&t, "/socket", "token=alice");
 *     channels_test_client *bob = channels_test_connect(&t, "/socket", "token=bob");
 *     channels_test_join(alice, "room:1", "{}");
 *     channels_test_join(bob, "room:1", "{}");
 *     channels_test_push(alice, "room:1", "new_msg", "{'body':'hi'}");
 *     channels_test_expect_reply(alice, "ok", "{'id':'$any'}");
 *     channels_test_expect_broadcast(bob, "room:1", "new_msg", "{'from':'alice','body':'hi'}");
 *     channels_test_wait(&t, 60000);
 *     channels_test_expect_push(bob, "room:1", "are_you_there", "{}");
 *     channels_test_expect_nothing(bob);
 *     channels_test_stop(&t);
 *
 * Header only, for any test framework: a failure goes to `on_failure`, in words and with its place.
 * Link with -lcjson. What most of these are in Phoenix: Phoenix.ChannelTest.
 *
 * Payloads are written as JSON, in which ' stands for " if the whole text has no "; or as bytes,
 * <so\00\ff>, where a backslash and two hex digits are one byte. In what is expected, "$any"
 * matches any value, and $any alone any payload. JSON compares by value, as cJSON reads it: the
 * order of keys does not matter, their case does; numbers are doubles.
 *
 * Nothing here waits. All that a call leads to has happened when it returns; later things happen in
 * channels_test_wait(). It all belongs to the endpoint's thread. Clients count what they have not
 * read as queued for them (max_queued). */
#ifndef CHANNELS_TEST_H
#define CHANNELS_TEST_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <channels/channels.h>
#include <channels/transport.h>

typedef struct channels_test_client channels_test_client;

/* Zeroed but for what you set. Not moved between _start and _stop. */
typedef struct channels_test {
    /* For you to set before channels_test_start(); [what 0 means] in brackets. */
    uint64_t now;    /* the endpoint's clock in ms */
    uint64_t random; /* the seed of its random numbers, which are the same in each run [1] */
    /* Called for each failure. `text` is one line or more and names what was expected and what
     * came. It may leave by longjmp() or an exception; if it returns, the call that failed does
     * too. [prints "file:line: text" to stderr, then abort()] */
    void (*on_failure)(void *arg, const char *file, int line, const char *text);
    void *on_failure_arg;

    /* For you to look at. */
    channels_endpoint *ep;
    size_t blocks, bytes;     /* of memory that the endpoint has now */
    unsigned logged;          /* lines so far */
    channels_log_level level; /* of the last */
    char log[4096]; /* the newest lines, each with a newline, after what _expect_log() found */

    /* Its own. */
    channels_config given;
    channels_transport transport;
    channels_test_client *clients;
    const char *breach; /* the first time the library did what channels/transport.h rules out */
    const char *file;   /* the place of the call in hand */
    int line;
    char *text; /* of a failure, while it is written */
    size_t len, size;
} channels_test;

typedef struct channels_test_message {
    const char *topic, *event;
    const char *join_ref, *ref; /* NULL: null */
    const char *status;         /* of a reply; NULL: it is none */
    /* The payload, of a reply its response: a tree, or if that is NULL these bytes. */
    const cJSON *json;
    const void *bytes;
    size_t len;

    /* Its own. */
    struct channels_test_message *next;
    channels_kind kind;
    char *text; /* as it came, and a NUL */
    size_t text_len;
    cJSON *tree;
    char *names;
} channels_test_message;

struct channels_test_client {
    channels_test *test;
    channels_socket *socket; /* NULL: it did not come in, or is gone */
    int status;              /* 101: it came in; 0: that is not decided; else it was refused so, */
    char *body;              /* with this; "" otherwise */
    int code;                /* it was told to close, with this; 0: it was not */
    size_t waiting;          /* messages that it has not read */

    /* Its own. */
    channels_test_client *next;
    struct channels_test__joined *joins;
    unsigned ref; /* the last it gave */
    channels_test_message *first, **last, *read;
    char *heard;
};

/* --- The test -----------------------------------------------------------------------------
 * These and most below are macros for the sake of __FILE__ and __LINE__; each argument is evaluated
 * once. */

/* int channels_test_start(channels_test *t, const channels_config *config)
 * Makes t->ep. `config` may be NULL. The functions it holds are called with its own user as ever:
 * log in addition, realloc, now_ms, now_ns and random instead of the test's. The result, and a
 * failure if it is negative, is that of channels_endpoint_new(). */
#define channels_test_start(t, config) channels_test__start(channels_test__in(t), config)

/* size_t channels_test_stop(channels_test *t)
 * Frees the endpoint, the clients and what was read. Fails if the endpoint has lost memory, and
 * returns how many blocks. `t` may be started again. */
#define channels_test_stop(t) channels_test__stop(channels_test__in(t))

/* void channels_test_wait(channels_test *t, uint64_t ms)
 * Moves the clock on, from timer to timer: what is due meanwhile happens at its time. With 0, as
 * all calls below do by themselves, it only runs what is due and what was posted. */
#define channels_test_wait(t, ms) channels_test__wait(channels_test__in(t), ms)

/* void channels_test_expect_log(channels_test *t, const char *part)
 * A line in t->log has this part. It is forgotten, and those before it. */
#define channels_test_expect_log(t, part) channels_test__expect_log(channels_test__in(t), part)

/* --- Clients ------------------------------------------------------------------------------ */

/* channels_test_client *channels_test_connect(channels_test *t, const char *path,
 *                                             const char *params)
 * A client of the mount at `path`, with these query parameters ("a=1&b=2" or ""); it speaks version
 * 2. Never NULL; good until channels_test_stop(), also if it was refused or ended. Fails if nothing
 * is mounted there. */
#define channels_test_connect(t, path, params) \
    channels_test__connect(channels_test__in(t), path, params)

/* int channels_test_open(channels_test *t, const channels_request *req, channels_test_client **c)
 * The same with a request of your own: headers, peer, and the whole path and query. The result is
 * that of channels_socket_open() and nothing fails. */
#define channels_test_open(t, req, c) channels_test__open(channels_test__in(t), req, c)

/* void channels_test_expect_refused(channels_test_client *c, int status, const char *body)
 * It was not let in. `body` is exact but for '; or $any. */
#define channels_test_expect_refused(c, status, body) \
    channels_test__expect_refused(channels_test__at(c), status, body)

/* void channels_test_expect_closed(channels_test_client *c, int code)
 * The endpoint has told it to close with this code. It is gone then. */
#define channels_test_expect_closed(c, code) \
    channels_test__expect_closed(channels_test__at(c), code)

/* void channels_test_close(channels_test_client *c)
 * The client goes away. What it has not read can still be read. */
#define channels_test_close(c) channels_test__close(channels_test__at(c))

/* --- What clients say ---------------------------------------------------------------------- */

/* const channels_test_message *channels_test_join(channels_test_client *c, const char *topic,
 *                                                 const char *payload)
 * Joins and expects the reply "ok", which it returns. For joins that are refused or decided later,
 * push the event "phx_join". */
#define channels_test_join(c, topic, payload) \
    channels_test__join(channels_test__at(c), topic, payload)

/* void channels_test_leave(channels_test_client *c, const char *topic)
 * Leaves, and expects the reply and the end. */
#define channels_test_leave(c, topic) channels_test__leave(channels_test__at(c), topic)

/* unsigned channels_test_push(channels_test_client *c, const char *topic, const char *event,
 *                             const char *payload)
 * Returns its ref, for channels_test_expect_reply_to(). _push_payload takes a channels_payload. */
#define channels_test_push(c, topic, event, payload) \
    channels_test__push(channels_test__at(c), topic, event, payload)
#define channels_test_push_payload(c, topic, event, payload) \
    channels_test__push_payload(channels_test__at(c), topic, event, payload)

/* --- What they hear ------------------------------------------------------------------------
 * Each looks for the first message of its kind among those that wait, takes it out, and fails if
 * there is none or it is not as expected. Messages are returned; they are good until the next call
 * that reads for this client. NULL after a failure. */

/* const channels_test_message *channels_test_expect_reply(channels_test_client *c,
 *                                                         const char *status,
 *                                                         const char *response)
 * The first reply, whatever to; _to: the first to the push with this ref. */
#define channels_test_expect_reply(c, status, response) \
    channels_test__expect_reply(channels_test__at(c), 0, status, response)
#define channels_test_expect_reply_to(c, ref, status, response) \
    channels_test__expect_reply(channels_test__at(c), ref, status, response)

/* const channels_test_message *channels_test_expect_push(channels_test_client *c,
 *                                                        const char *topic, const char *event,
 *                                                        const char *payload)
 * The first of this topic and event. A push comes from the client's own channel: channels_push(),
 * and the ends phx_close and phx_error. A broadcast went to all of the topic; one that handle_out()
 * has pushed is a push. */
#define channels_test_expect_push(c, topic, event, payload) \
    channels_test__expect_event(channels_test__at(c), false, topic, event, payload)
#define channels_test_expect_broadcast(c, topic, event, payload) \
    channels_test__expect_event(channels_test__at(c), true, topic, event, payload)

/* void channels_test_expect_nothing(channels_test_client *c)
 * No message waits. */
#define channels_test_expect_nothing(c) channels_test__expect_nothing(channels_test__at(c))

/* const channels_test_message *channels_test_next(channels_test_client *c)
 * The next message, whatever it is; NULL if none waits. */
#define channels_test_next(c) channels_test__next(channels_test__at(c))

/* --- Exact messages ------------------------------------------------------------------------
 * For clients of any version, and for what no client should say. These neither fail nor run what is
 * due. */

/* A whole message, written as payloads are. Returns what channels_socket_receive() did;
 * CHANNELS_ERR_CLOSED if the client is not in. */
static inline int channels_test_say(channels_test_client *c, const char *text);
static inline int channels_test_say_payload(channels_test_client *c, channels_payload message);
/* The next message as it came, one of bytes as <so\00>; NULL if none waits. Good until the next. */
static inline const char *channels_test_hear(channels_test_client *c);
/* `text` with " for ', unless it has a "; to be freed. */
static inline char *channels_test_quoted(const char *text);

/* --- How it is done ------------------------------------------------------------------------ */
#include <channels/testing/endpoint.h>
#include <channels/testing/client.h>

#endif
