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

/* --- Below is how it is done -------------------------------------------------------------- */

#define channels_test__in(t) channels_test__placed(t, __FILE__, __LINE__)
#define channels_test__at(c) channels_test__client_placed(c, __FILE__, __LINE__)

/* The last join of a topic. */
struct channels_test__joined {
    struct channels_test__joined *next;
    unsigned ref;
    char *topic;
};

static inline channels_test *channels_test__placed(channels_test *t, const char *file, int line)
{
    t->file = file;
    t->line = line;
    return t;
}

static inline channels_test_client *channels_test__client_placed(channels_test_client *c,
                                                                 const char *file, int line)
{
    channels_test__placed(c->test, file, line);
    return c;
}

static inline void *channels_test__resize(void *p, size_t size)
{
    p = realloc(p, size);
    if (p == NULL) {
        fputs("channels_test: the test itself has run out of memory\n", stderr);
        abort();
    }
    return p;
}

static inline char *channels_test__copy(const void *bytes, size_t len)
{
    char *copy = (char *)channels_test__resize(NULL, len + 1);
    if (len != 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

/* --- Failures: written piece by piece, then told --- */

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline void
channels_test__write(channels_test *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (t->size - t->len <= (size_t)n) {
        t->size = (t->len + (size_t)n) * 2 + 64;
        t->text = (char *)channels_test__resize(t->text, t->size);
    }
    va_start(args, format);
    vsnprintf(t->text + t->len, t->size - t->len, format, args);
    va_end(args);
    t->len += (size_t)n;
}

static inline void channels_test__forget_text(channels_test *t)
{
    free(t->text);
    t->text = NULL;
    t->len = t->size = 0;
}

static inline void channels_test__fail(channels_test *t)
{
    t->len = 0; /* the next begins anew, also if this does not return */
    if (t->on_failure == NULL) {
        fprintf(stderr, "%s:%d: %s\n", t->file, t->line, t->text);
        abort();
    }
    t->on_failure(t->on_failure_arg, t->file, t->line, t->text);
    channels_test__forget_text(t);
}

/* Fails if something was written: when all that the call owns is freed. */
static inline bool channels_test__check(channels_test *t)
{
    bool ok = t->len == 0;
    if (!ok)
        channels_test__fail(t);
    return ok;
}

static inline void channels_test__write_bytes(channels_test *t, const void *bytes, size_t len)
{
    const unsigned char *b = (const unsigned char *)bytes;
    channels_test__write(t, "<");
    for (size_t i = 0; i < len; i++)
        channels_test__write(t, b[i] >= 0x20 && b[i] < 0x7f && b[i] != '\\' ? "%c" : "\\%02x",
                             b[i]);
    channels_test__write(t, ">");
}

static inline void channels_test__write_message(channels_test *t, const channels_test_message *m)
{
    if (m->topic == NULL) {
        channels_test__write(t, "no message of version 2: %s", m->text);
        return;
    }
    if (m->status != NULL)
        channels_test__write(t, "reply to %s: %s ", m->ref != NULL ? m->ref : "null", m->status);
    else
        channels_test__write(t, "%s on %s: %s ", m->join_ref != NULL ? "push" : "broadcast",
                             m->topic, m->event);
    char *json = m->json != NULL ? cJSON_PrintUnformatted(m->json) : NULL;
    if (json != NULL)
        channels_test__write(t, "%s", json);
    else
        channels_test__write_bytes(t, m->bytes, m->len);
    cJSON_free(json);
}

static inline void channels_test__write_state(channels_test *t, const channels_test_client *c)
{
    if (c->code != 0)
        channels_test__write(t, "closed with %d", c->code);
    else if (c->status == 101)
        channels_test__write(t, c->socket != NULL ? "open" : "gone");
    else if (c->status == 0)
        channels_test__write(t, "not let in yet");
    else
        channels_test__write(t, "refused with %d %s", c->status, c->body);
}

/* --- Texts --- */

static inline char *channels_test_quoted(const char *text)
{
    char *copy = channels_test__copy(text, strlen(text));
    if (strchr(text, '"') == NULL)
        for (char *p = copy; (p = strchr(p, '\'')) != NULL;)
            *p = '"';
    return copy;
}

/* The bytes that <text> stands for, in its place. */
static inline size_t channels_test__unescape(char *text)
{
    size_t len = 0, end = strlen(text);
    end -= end > 1 && text[end - 1] == '>';
    for (size_t i = 1; i < end; i++) {
        char hex[3] = { text[i], '\0', '\0' };
        if (text[i] == '\\' && i + 2 < end) {
            hex[0] = text[++i];
            hex[1] = text[++i];
            text[len++] = (char)strtoul(hex, NULL, 16);
        } else {
            text[len++] = text[i];
        }
    }
    return len;
}

/* What `text` stands for; `*owned` is to be freed after it. */
static inline channels_payload channels_test__payload(const char *text, char **owned)
{
    if (text[0] == '<') {
        *owned = channels_test__copy(text, strlen(text));
        return channels_binary(*owned, channels_test__unescape(*owned));
    }
    *owned = channels_test_quoted(text);
    return channels_json(*owned);
}

/* --- JSON by value --- */

static inline bool channels_test__same(const cJSON *expected, const cJSON *got);

static inline bool channels_test__same_items(const cJSON *expected, const cJSON *got)
{
    const cJSON *g = got->child;
    for (const cJSON *e = expected->child; e != NULL; e = e->next) {
        if (cJSON_IsObject(got))
            g = cJSON_GetObjectItemCaseSensitive(got, e->string);
        if (g == NULL || !channels_test__same(e, g))
            return false;
        g = g->next;
    }
    return cJSON_GetArraySize(expected) == cJSON_GetArraySize(got);
}

static inline bool channels_test__same(const cJSON *expected, const cJSON *got)
{
    if (cJSON_IsString(expected) && strcmp(expected->valuestring, "$any") == 0)
        return true;
    if ((expected->type & 0xff) != (got->type & 0xff))
        return false;
    if (cJSON_IsNumber(expected))
        return !(expected->valuedouble < got->valuedouble) &&
               !(expected->valuedouble > got->valuedouble);
    if (cJSON_IsString(expected))
        return strcmp(expected->valuestring, got->valuestring) == 0;
    return channels_test__same_items(expected, got);
}

/* --- Messages --- */

static inline const char *channels_test__string(const cJSON *array, int i)
{
    return cJSON_GetStringValue(cJSON_GetArrayItem(array, i));
}

/* [join_ref, ref, topic, event, payload] */
static inline void channels_test__decode_text(channels_test_message *m)
{
    m->tree = cJSON_ParseWithLength(m->text, m->text_len);
    if (!cJSON_IsArray(m->tree) || cJSON_GetArraySize(m->tree) != 5)
        return;
    m->join_ref = channels_test__string(m->tree, 0);
    m->ref = channels_test__string(m->tree, 1);
    m->topic = channels_test__string(m->tree, 2);
    m->event = channels_test__string(m->tree, 3);
    m->json = cJSON_GetArrayItem(m->tree, 4);
    if (m->event == NULL || strcmp(m->event, "phx_reply") != 0)
        return;
    m->status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(m->json, "status"));
    m->json = cJSON_GetObjectItemCaseSensitive(m->json, "response");
}

/* Kind, the lengths of the names, the names, the payload. A push (0) has join_ref, topic, event; a
 * reply (1) join_ref, ref, topic, status; a broadcast (2) topic, event. */
static inline void channels_test__decode_bytes(channels_test_message *m)
{
    static const size_t counts[] = { 3, 4, 2 };
    const unsigned char *b = (const unsigned char *)m->text;
    size_t n = m->text_len > 0 && b[0] < 3 ? counts[b[0]] : 0, at = 1 + n, used = 0;
    const char *names[4] = { NULL, NULL, NULL, NULL };
    m->names = (char *)channels_test__resize(NULL, m->text_len + 4);
    for (size_t i = 0; i < n; i++) {
        size_t len = 1 + i < m->text_len ? b[1 + i] : m->text_len;
        if (at + len > m->text_len)
            return;
        memcpy(m->names + used, m->text + at, len);
        m->names[used + len] = '\0';
        names[i] = m->names + used;
        used += len + 1;
        at += len;
    }
    m->join_ref = n > 2 ? names[0] : NULL;
    m->ref = n == 4 ? names[1] : NULL;
    m->topic = names[n == 2 ? 0 : n == 3 ? 1 : 2];
    m->event = n == 4 ? "phx_reply" : names[n == 2 ? 1 : 2];
    m->status = names[3];
    m->bytes = m->text + at;
    m->len = m->text_len - at;
}

static inline void channels_test__decode(channels_test_message *m)
{
    if (m->tree != NULL || m->names != NULL)
        return;
    if (m->kind == CHANNELS_BINARY)
        channels_test__decode_bytes(m);
    else
        channels_test__decode_text(m);
    if (m->event == NULL || (m->bytes == NULL && m->json == NULL))
        m->topic = NULL;
}

static inline void channels_test__message_free(channels_test_message *m)
{
    if (m == NULL)
        return;
    cJSON_Delete(m->tree);
    free(m->names);
    free(m->text);
    free(m);
}

/* --- The transport: what the endpoint does to a client --- */

static inline void channels_test__breach(channels_test *t, bool is, const char *what)
{
    if (is && t->breach == NULL)
        t->breach = what;
}

static inline int channels_test__send(void *carrier, channels_buf *wire, channels_kind kind)
{
    channels_test_client *c = (channels_test_client *)carrier;
    size_t len;
    const void *data = channels_buf_data(wire, &len);
    channels_test__breach(c->test, c->code != 0, "a message behind the close");
    channels_test_message *m = (channels_test_message *)channels_test__resize(NULL, sizeof *m);
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->text = channels_test__copy(data, len);
    m->text_len = len;
    *c->last = m;
    c->last = &m->next;
    c->waiting++;
    return CHANNELS_OK;
}

static inline void channels_test__told_to_close(void *carrier, int code)
{
    channels_test_client *c = (channels_test_client *)carrier;
    channels_test__breach(c->test, c->code != 0, "a second close");
    c->code = code;
}

static inline void channels_test__accept(void *carrier)
{
    channels_test_client *c = (channels_test_client *)carrier;
    channels_test__breach(c->test, c->status != 0, "a second answer to a connect");
    c->status = 101;
}

static inline void channels_test__refuse(void *carrier, const channels_response *r)
{
    channels_test_client *c = (channels_test_client *)carrier;
    channels_test__breach(c->test, c->status != 0, "a second answer to a connect");
    c->status = r->status;
    free(c->body);
    c->body = channels_test__copy(r->body, r->body_len);
}

/* --- What the endpoint asks of its host --- */

static inline void *channels_test__realloc(void *hooks, void *p, size_t old_size, size_t new_size)
{
    channels_test *t = (channels_test *)hooks;
    void *moved = NULL;
    if (t->given.realloc != NULL)
        moved = t->given.realloc(t->given.hooks, p, old_size, new_size);
    else if (new_size != 0)
        moved = realloc(p, new_size);
    else
        free(p);
    if (moved == NULL && new_size != 0)
        return NULL;
    t->blocks += (new_size != 0) - (size_t)(p != NULL);
    t->bytes += new_size - old_size;
    return moved;
}

static inline uint64_t channels_test__now(void *hooks)
{
    channels_test *t = (channels_test *)hooks;
    return t->given.now_ms != NULL ? t->given.now_ms(t->given.hooks) : t->now;
}

static inline uint64_t channels_test__now_ns(void *hooks)
{
    channels_test *t = (channels_test *)hooks;
    if (t->given.now_ns != NULL)
        return t->given.now_ns(t->given.hooks);
    return channels_test__now(t) * 1000000; /* callbacks take no time */
}

/* xorshift64*: far from secret, but the same each time. */
static inline int channels_test__random(void *hooks, void *dst, size_t len)
{
    channels_test *t = (channels_test *)hooks;
    if (t->given.random != NULL)
        return t->given.random(t->given.hooks, dst, len);
    for (size_t i = 0; i < len; i++) {
        t->random ^= t->random >> 12;
        t->random ^= t->random << 25;
        t->random ^= t->random >> 27;
        ((unsigned char *)dst)[i] = (unsigned char)(t->random * UINT64_C(0x2545f4914f6cdd1d) >> 56);
    }
    return 0;
}

/* The oldest lines make room. */
static inline void channels_test__log(void *hooks, channels_log_level level, const char *text)
{
    channels_test *t = (channels_test *)hooks;
    size_t len = strlen(text), max = sizeof t->log - 2;
    t->logged++;
    t->level = level;
    if (len > max)
        len = max;
    while (strlen(t->log) + len > max) {
        const char *rest = strchr(t->log, '\n') + 1;
        memmove(t->log, rest, strlen(rest) + 1);
    }
    size_t used = strlen(t->log);
    memcpy(t->log + used, text, len);
    memcpy(t->log + used + len, "\n", 2);
    if (t->given.log != NULL)
        t->given.log(t->given.hooks, level, text);
}

/* --- The test --- */

static inline void channels_test__init(channels_test *t, const channels_config *config)
{
    memset(&t->given, 0, sizeof t->given);
    if (config != NULL)
        t->given = *config;
    if (t->given.hooks == NULL)
        t->given.hooks = t->given.user;
    if (t->random == 0)
        t->random = 1;
    t->blocks = t->bytes = 0;
    t->log[0] = '\0';
    t->breach = NULL;
    memset(&t->transport, 0, sizeof t->transport);
    t->transport.name = "websocket";
    t->transport.send = channels_test__send;
    t->transport.close = channels_test__told_to_close;
    t->transport.accept = channels_test__accept;
    t->transport.refuse = channels_test__refuse;
}

static inline int channels_test__start(channels_test *t, const channels_config *config)
{
    channels_test__init(t, config);
    channels_config mine = t->given;
    mine.hooks = t;
    mine.realloc = channels_test__realloc;
    mine.now_ms = channels_test__now;
    mine.now_ns = channels_test__now_ns;
    mine.random = channels_test__random;
    mine.log = channels_test__log;
    int err = channels_endpoint_new(&t->ep, &mine);
    if (err != CHANNELS_OK) {
        channels_test__write(t, "there is no endpoint: %s\n%s", channels_strerror(err), t->log);
        channels_test__fail(t);
    }
    return err;
}

/* Runs what is due and what was posted, and what that leads to. */
static inline bool channels_test__settle(channels_test *t)
{
    for (unsigned turns = 0; channels_endpoint_timeout(t->ep) == 0; turns++) {
        if (turns == 100000) {
            channels_test__write(t, "the endpoint does not come to rest at %llu ms",
                                 (unsigned long long)t->now);
            channels_test__fail(t);
            return false;
        }
        channels_endpoint_run(t->ep);
    }
    return true;
}

static inline void channels_test__wait(channels_test *t, uint64_t ms)
{
    uint64_t until = t->now + ms;
    while (channels_test__settle(t)) {
        uint64_t due = channels_endpoint_timeout(t->ep);
        if (due > until - t->now)
            break;
        t->now += due;
    }
    t->now = until;
}

static inline void channels_test__expect_log(channels_test *t, const char *part)
{
    const char *found = strstr(t->log, part);
    if (found == NULL) {
        channels_test__write(t, "a line was to be logged\n  expected: ...%s...\n  got:      %s",
                             part, t->log[0] != '\0' ? t->log : "nothing");
        channels_test__fail(t);
        return;
    }
    found = strchr(found, '\n') + 1;
    memmove(t->log, found, strlen(found) + 1);
}

static inline void channels_test__client_free(channels_test_client *c)
{
    for (channels_test_message *m; (m = c->first) != NULL; channels_test__message_free(m))
        c->first = m->next;
    for (struct channels_test__joined *j; (j = c->joins) != NULL; free(j)) {
        c->joins = j->next;
        free(j->topic);
    }
    channels_test__message_free(c->read);
    free(c->heard);
    free(c->body);
    free(c);
}

static inline size_t channels_test__stop(channels_test *t)
{
    channels_endpoint_free(t->ep); /* and with it the clients' sockets */
    t->ep = NULL;
    for (channels_test_client *c; (c = t->clients) != NULL; channels_test__client_free(c))
        t->clients = c->next;
    if (t->breach != NULL)
        channels_test__write(t, "the endpoint did to a client: %s", t->breach);
    else if (t->blocks != 0)
        channels_test__write(t, "%zu blocks of memory, %zu bytes, were not freed", t->blocks,
                             t->bytes);
    channels_test__check(t);
    channels_test__forget_text(t);
    return t->blocks;
}

/* --- Clients --- */

static inline int channels_test__open(channels_test *t, const channels_request *req,
                                      channels_test_client **result)
{
    channels_test_client *c = (channels_test_client *)channels_test__resize(NULL, sizeof *c);
    memset(c, 0, sizeof *c);
    c->test = t;
    c->last = &c->first;
    c->body = channels_test__copy("", 0);
    c->next = t->clients;
    *result = t->clients = c;
    int err = channels_socket_open(t->ep, req, &t->transport, c, &c->socket);
    if (err == CHANNELS_OK)
        channels_test__accept(c);
    return err;
}

static inline channels_test_client *channels_test__connect(channels_test *t, const char *path,
                                                           const char *params)
{
    static const char below[] = "%s/websocket", version[] = "vsn=2.0.0&%s";
    size_t path_size = strlen(path) + sizeof below, query_size = strlen(params) + sizeof version;
    char *whole = (char *)channels_test__resize(NULL, path_size);
    char *query = (char *)channels_test__resize(NULL, query_size);
    channels_test_client *c;
    channels_request req;
    snprintf(whole, path_size, below, path);
    snprintf(query, query_size, version, params);
    memset(&req, 0, sizeof req);
    req.method = "GET";
    req.path = whole;
    req.query = query;
    req.peer = "192.0.2.1:4711";
    int err = channels_test__open(t, &req, &c);
    if (err < 0)
        channels_test__write(t, "no client of %s: %s", path,
                             err == CHANNELS_ERR_CLOSED ? "nothing is mounted there"
                                                        : channels_strerror(err));
    free(whole);
    free(query);
    if (channels_test__check(t))
        channels_test__settle(t);
    return c;
}

static inline void channels_test__expect_refused(channels_test_client *c, int status,
                                                 const char *body)
{
    channels_test *t = c->test;
    char *expected = channels_test_quoted(body);
    channels_test__settle(t);
    if (c->status != status || (strcmp(body, "$any") != 0 && strcmp(expected, c->body) != 0)) {
        channels_test__write(t,
                             "it was to be refused\n  expected: refused with %d %s\n  got:      ",
                             status, expected);
        channels_test__write_state(t, c);
    }
    free(expected);
    channels_test__check(t);
}

static inline void channels_test__close(channels_test_client *c)
{
    channels_socket *s = c->socket;
    c->socket = NULL;
    if (s != NULL)
        channels_socket_closed(s);
    channels_test__settle(c->test);
}

static inline void channels_test__expect_closed(channels_test_client *c, int code)
{
    channels_test *t = c->test;
    channels_test__settle(t);
    if (c->code != code) {
        channels_test__write(t,
                             "it was to be closed\n  expected: closed with %d\n  got:      ", code);
        channels_test__write_state(t, c);
        channels_test__fail(t);
        return;
    }
    channels_test__close(c);
}

/* --- What clients say --- */

static inline int channels_test_say_payload(channels_test_client *c, channels_payload message)
{
    /* No byte more, for sanitizers to see who looks beyond the end. */
    char *copy = (char *)channels_test__resize(NULL, message.len != 0 ? message.len : 1);
    int err = CHANNELS_ERR_CLOSED;
    if (message.len != 0)
        memcpy(copy, message.data, message.len);
    message.data = copy;
    if (c->socket != NULL)
        err = channels_socket_receive(c->socket, message);
    free(copy);
    return err;
}

static inline int channels_test_say(channels_test_client *c, const char *text)
{
    char *owned;
    int err = channels_test_say_payload(c, channels_test__payload(text, &owned));
    free(owned);
    return err;
}

/* Where the ref of the last join of `topic` stands: 0 if there was none. */
static inline unsigned *channels_test__join_ref(channels_test_client *c, const char *topic)
{
    struct channels_test__joined *j = c->joins;
    while (j != NULL && strcmp(j->topic, topic) != 0)
        j = j->next;
    if (j == NULL) {
        j = (struct channels_test__joined *)channels_test__resize(NULL, sizeof *j);
        j->ref = 0;
        j->topic = channels_test__copy(topic, strlen(topic));
        j->next = c->joins;
        c->joins = j;
    }
    return &j->ref;
}

static inline int channels_test__say_json(channels_test_client *c, const char *refs[2],
                                          const char *topic, const char *event,
                                          channels_payload payload)
{
    cJSON *array = cJSON_CreateArray();
    char *raw = channels_test__copy(payload.data, payload.len);
    cJSON_AddItemToArray(array, refs[0][0] != '\0' ? cJSON_CreateString(refs[0]) //
                                                   : cJSON_CreateNull());
    cJSON_AddItemToArray(array, cJSON_CreateString(refs[1]));
    cJSON_AddItemToArray(array, cJSON_CreateString(topic));
    cJSON_AddItemToArray(array, cJSON_CreateString(event));
    cJSON_AddItemToArray(array, cJSON_CreateRaw(raw));
    char *text = cJSON_PrintUnformatted(array);
    int err = text != NULL ? channels_test_say_payload(c, channels_json(text)) : CHANNELS_ERR_NOMEM;
    cJSON_free(text);
    free(raw);
    cJSON_Delete(array);
    return err;
}

/* Kind 0, four lengths, what they are of, the payload. */
static inline int channels_test__say_bytes(channels_test_client *c, const char *refs[2],
                                           const char *topic, const char *event,
                                           channels_payload payload)
{
    const char *names[4] = { refs[0], refs[1], topic, event };
    size_t len = 5;
    char *message = (char *)channels_test__resize(NULL, len + 4 * 255 + payload.len);
    message[0] = 0;
    for (int i = 0; i < 4; i++) {
        size_t n = strlen(names[i]);
        if (n > 255) {
            free(message);
            return CHANNELS_ERR_LIMIT;
        }
        message[1 + i] = (char)n;
        memcpy(message + len, names[i], n);
        len += n;
    }
    if (payload.len != 0)
        memcpy(message + len, payload.data, payload.len);
    int err = channels_test_say_payload(c, channels_binary(message, len + payload.len));
    free(message);
    return err;
}

/* Returns the ref; what goes wrong is only written. */
static inline unsigned channels_test__say_event(channels_test_client *c, const char *topic,
                                                const char *event, channels_payload payload)
{
    unsigned *join_ref = channels_test__join_ref(c, topic), ref = ++c->ref;
    char texts[2][16] = { "", "" };
    const char *refs[2] = { texts[0], texts[1] };
    if (strcmp(event, "phx_join") == 0)
        *join_ref = ref;
    if (*join_ref != 0)
        snprintf(texts[0], sizeof texts[0], "%u", *join_ref);
    snprintf(texts[1], sizeof texts[1], "%u", ref);
    int err = payload.kind == CHANNELS_BINARY
                  ? channels_test__say_bytes(c, refs, topic, event, payload)
                  : channels_test__say_json(c, refs, topic, event, payload);
    if (err != CHANNELS_OK) {
        channels_test__write(c->test, "%s on %s was not taken: %s; it is ", event, topic,
                             channels_strerror(err));
        channels_test__write_state(c->test, c);
    }
    return ref;
}

static inline unsigned channels_test__push_payload(channels_test_client *c, const char *topic,
                                                   const char *event, channels_payload payload)
{
    unsigned ref = channels_test__say_event(c, topic, event, payload);
    if (channels_test__check(c->test))
        channels_test__settle(c->test);
    return ref;
}

static inline unsigned channels_test__push(channels_test_client *c, const char *topic,
                                           const char *event, const char *payload)
{
    char *owned;
    channels_payload p = channels_test__payload(payload, &owned);
    unsigned ref = channels_test__say_event(c, topic, event, p);
    free(owned);
    if (channels_test__check(c->test))
        channels_test__settle(c->test);
    return ref;
}

/* --- What they hear --- */

/* Takes out the message at `*at`, which has now left the queue. */
static inline channels_test_message *channels_test__take(channels_test_client *c,
                                                         channels_test_message **at)
{
    channels_test_message *m = *at;
    *at = m->next;
    if (m->next == NULL)
        c->last = at;
    c->waiting--;
    if (c->socket != NULL)
        channels_socket_sent(c->socket, m->text_len);
    channels_test__message_free(c->read);
    c->read = m;
    return m;
}

static inline const char *channels_test_hear(channels_test_client *c)
{
    free(c->heard);
    c->heard = NULL;
    if (c->first == NULL)
        return NULL;
    channels_test_message *m = channels_test__take(c, &c->first);
    if (m->kind == CHANNELS_JSON)
        return m->text;
    channels_test *t = c->test;
    channels_test__write_bytes(t, m->text, m->text_len);
    c->heard = channels_test__copy(t->text, t->len);
    t->len = 0;
    return c->heard;
}

static inline const channels_test_message *channels_test__next(channels_test_client *c)
{
    channels_test__settle(c->test);
    if (c->first == NULL)
        return NULL;
    channels_test_message *m = channels_test__take(c, &c->first);
    channels_test__decode(m);
    return m;
}

/* What is looked for. */
typedef struct channels_test__wanted {
    channels_test_message is; /* topic and event; or status, and `ref` if it matters */
    const char *payload;      /* as it was written */
    channels_payload bytes;   /* what that stands for */
    cJSON *json;              /* NULL: bytes, or nothing that can be read */
} channels_test__wanted;

static inline bool channels_test__is_kind(const channels_test__wanted *w,
                                          const channels_test_message *m)
{
    if (m->topic == NULL || (m->status != NULL) != (w->is.status != NULL))
        return false;
    if (m->status != NULL)
        return w->is.ref == NULL || (m->ref != NULL && strcmp(m->ref, w->is.ref) == 0);
    return (m->join_ref != NULL) == (w->is.join_ref != NULL) &&
           strcmp(m->topic, w->is.topic) == 0 && strcmp(m->event, w->is.event) == 0;
}

static inline bool channels_test__is_it(const channels_test__wanted *w,
                                        const channels_test_message *m)
{
    if (m->status != NULL && strcmp(m->status, w->is.status) != 0)
        return false;
    if (strcmp(w->payload, "$any") == 0)
        return true;
    if (m->json != NULL)
        return w->json != NULL && channels_test__same(w->json, m->json);
    return w->bytes.kind == CHANNELS_BINARY && m->len == w->bytes.len &&
           (m->len == 0 || memcmp(m->bytes, w->bytes.data, m->len) == 0);
}

static inline void channels_test__write_waiting(channels_test *t, const channels_test_client *c)
{
    for (channels_test_message *m = c->first; m != NULL; m = m->next) {
        channels_test__decode(m);
        channels_test__write(t, "\n  waiting:  ");
        channels_test__write_message(t, m);
    }
}

static inline void channels_test__write_wanted(channels_test *t, const channels_test__wanted *w)
{
    if (w->is.status == NULL)
        channels_test__write(t, "%s on %s: %s ", w->is.join_ref != NULL ? "push" : "broadcast",
                             w->is.topic, w->is.event);
    else if (w->is.ref != NULL)
        channels_test__write(t, "reply to %s: %s ", w->is.ref, w->is.status);
    else
        channels_test__write(t, "reply: %s ", w->is.status);
    char *json = w->json != NULL ? cJSON_PrintUnformatted(w->json) : NULL;
    channels_test__write(t, "%s", json != NULL ? json : w->payload);
    if (json == NULL && w->bytes.kind == CHANNELS_JSON && strcmp(w->payload, "$any") != 0)
        channels_test__write(t, " (which is no JSON)");
    cJSON_free(json);
}

/* `m`: what came in its stead, NULL if nothing of its kind did. */
static inline void channels_test__write_missed(channels_test *t, const channels_test_client *c,
                                               const channels_test__wanted *w,
                                               const channels_test_message *m)
{
    channels_test__write(t, "this was to come\n  expected: ");
    channels_test__write_wanted(t, w);
    channels_test__write(t, "\n  got:      ");
    if (m != NULL) {
        channels_test__write_message(t, m);
        return;
    }
    channels_test__write(t, c->first != NULL ? "nothing of the kind; it is " : "nothing; it is ");
    channels_test__write_state(t, c);
    channels_test__write_waiting(t, c);
}

static inline const channels_test_message *channels_test__expect(channels_test_client *c,
                                                                 channels_test__wanted *w)
{
    char *owned;
    channels_test_message **at = &c->first, *m = NULL;
    bool settled = channels_test__settle(c->test);
    w->bytes = channels_test__payload(w->payload, &owned);
    w->json = w->bytes.kind == CHANNELS_JSON ? cJSON_ParseWithOpts(owned, NULL, true) : NULL;
    for (; settled && m == NULL && *at != NULL; at = m == NULL ? &(*at)->next : at) {
        channels_test__decode(*at);
        m = channels_test__is_kind(w, *at) ? *at : NULL;
    }
    if (m != NULL)
        channels_test__take(c, at);
    if (m == NULL || !channels_test__is_it(w, m)) {
        channels_test__write_missed(c->test, c, w, m);
        m = NULL;
    }
    cJSON_Delete(w->json);
    free(owned);
    if (m == NULL)
        channels_test__fail(c->test);
    return m;
}

static inline const channels_test_message *channels_test__expect_reply(channels_test_client *c,
                                                                       unsigned ref,
                                                                       const char *status,
                                                                       const char *response)
{
    channels_test__wanted w;
    char text[16];
    memset(&w, 0, sizeof w);
    snprintf(text, sizeof text, "%u", ref);
    w.is.ref = ref != 0 ? text : NULL;
    w.is.status = status;
    w.payload = response;
    return channels_test__expect(c, &w);
}

static inline const channels_test_message *
channels_test__expect_event(channels_test_client *c, bool broadcast, const char *topic,
                            const char *event, const char *payload)
{
    channels_test__wanted w;
    memset(&w, 0, sizeof w);
    w.is.join_ref = broadcast ? NULL : "";
    w.is.topic = topic;
    w.is.event = event;
    w.payload = payload;
    return channels_test__expect(c, &w);
}

static inline void channels_test__expect_nothing(channels_test_client *c)
{
    channels_test__settle(c->test);
    if (c->first == NULL)
        return;
    channels_test__write(c->test, "nothing more was to come");
    channels_test__write_waiting(c->test, c);
    channels_test__fail(c->test);
}

static inline const channels_test_message *
channels_test__join(channels_test_client *c, const char *topic, const char *payload)
{
    unsigned ref = channels_test__push(c, topic, "phx_join", payload);
    return channels_test__expect_reply(c, ref, "ok", "$any");
}

static inline void channels_test__leave(channels_test_client *c, const char *topic)
{
    unsigned ref = channels_test__push(c, topic, "phx_leave", "{}");
    channels_test__expect_reply(c, ref, "ok", "{}");
    channels_test__expect_event(c, false, topic, "phx_close", "{}");
}

#endif
