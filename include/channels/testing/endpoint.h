/* channels/testing/endpoint.h - a part of channels/test.h, not for hosts: failures in words, payloads
 * by value, and the endpoint with what it is given for a transport, memory, clock and log. */
#include <channels/test.h> /* before the guard: it includes its parts in their order */
#ifndef CHANNELS_TESTING_ENDPOINT_H
#define CHANNELS_TESTING_ENDPOINT_H

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

#endif
