/* channels/testing/client.h - a part of channels/test.h, not for hosts: how clients come and go, what
 * they say, and what they are expected to hear. */
#include <channels/test.h> /* before the guard: it includes its parts in their order */
#ifndef CHANNELS_TESTING_CLIENT_H
#define CHANNELS_TESTING_CLIENT_H

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
