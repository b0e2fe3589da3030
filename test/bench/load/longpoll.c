/* longpoll.c - clients on long polls, as phoenix.js does it: a GET always waits for messages, POSTs
 * bring what is said, one at a time, each on a connection of its own that is kept. See client.h. */
#define _GNU_SOURCE /* memmem(), strcasestr() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/client.h"

#define LINES_MAX 100 /* Phoenix reads no more of a POST */
#define HEAD_MAX 1024

typedef struct longpoll {
    stream poll, post;
    char *token; /* NULL: there is no session yet */
    bool posting;
    bytes lines; /* not said yet */
} longpoll;

/* --- Requests ------------------------------------------------------------------------------- */

static void send_request(client *c, stream *s, const char *method, const void *body, size_t n)
{
    static bytes request;
    const char *token = c->longpoll->token;
    request.len = 0;
    request.len +=
        (size_t)snprintf((char *)bytes_more(&request, HEAD_MAX), HEAD_MAX,
                         "%s %s/longpoll?vsn=2.0.0%s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                         "Accept: application/json\r\n",
                         method, load.o.path, token != NULL ? "&token=" : "",
                         token != NULL ? token : "", load.o.port);
    if (body != NULL)
        request.len +=
            (size_t)snprintf((char *)bytes_more(&request, HEAD_MAX), HEAD_MAX,
                             "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n", n);
    bytes_add(&request, "\r\n", 2);
    if (body != NULL)
        bytes_add(&request, body, n);
    stream_write(s, request.p, request.len);
}

/* No line feed stands behind the last line: it would be another message. */
static void post(client *c)
{
    longpoll *l = c->longpoll;
    size_t n = 0;
    for (unsigned lines = 0; n < l->lines.len && lines < LINES_MAX; lines++)
        n = (size_t)((uint8_t *)memchr(l->lines.p + n, '\n', l->lines.len - n) - l->lines.p) + 1;
    if (n == 0 || l->posting)
        return;
    l->posting = true;
    send_request(c, &l->post, "POST", l->lines.p, n - 1);
    l->lines.len -= n;
    memmove(l->lines.p, l->lines.p + n, l->lines.len);
}

/* --- Responses ------------------------------------------------------------------------------ */

static void give_up(client *c);

/* The body of a whole response as JSON, and in *used its length. NULL: *used is 0 if more bytes are
 * needed, else it is no such response. */
static cJSON *read_response(uint8_t *p, size_t n, size_t *used)
{
    static const char length[] = "\r\ncontent-length:";
    uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
    *used = 0;
    if (end == NULL)
        return NULL;
    *end = '\0';
    const char *header = strcasestr((char *)p, length);
    *end = '\r';
    size_t head = (size_t)(end + 4 - p);
    size_t body = header != NULL ? strtoul(header + sizeof length - 1, NULL, 10) : 0;
    if (n < head + body)
        return NULL;
    *used = head + body;
    return cJSON_ParseWithLength((char *)p + head, body);
}

static int status_of(const cJSON *json)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(json, "status");
    return cJSON_IsNumber(status) ? status->valueint : 0;
}

static bool begin_session(client *c, const cJSON *json)
{
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "token"));
    if (c->longpoll->token != NULL || token == NULL || strlen(token) > HEAD_MAX / 2)
        return false;
    c->longpoll->token = strdup(token);
    client_opened(c);
    return true;
}

static void hear_all(client *c, const cJSON *json)
{
    const cJSON *message;
    uint64_t now = machine_ns();
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(json, "messages"))
    {
        const char *text = cJSON_GetStringValue(message);
        message_heard(c, text != NULL ? text : "", text != NULL ? strlen(text) : 0, now);
    }
    if (load.manners->read != NULL)
        load.manners->read(c);
}

static bool answered(client *c, const stream *s, const cJSON *json)
{
    int status = status_of(json);
    if (s == &c->longpoll->post) {
        c->longpoll->posting = false;
        post(c);
        return status == 200;
    }
    if (status == 410 && !begin_session(c, json))
        return false;
    if (status == 200)
        hear_all(c, json);
    send_request(c, &c->longpoll->poll, "GET", NULL, 0);
    return status == 200 || status == 204 || status == 410;
}

static size_t on_read(stream *s, uint8_t *p, size_t n)
{
    size_t used;
    cJSON *json = read_response(p, n, &used);
    if (json == NULL && used == 0)
        return 0;
    bool well = answered(s->client, s, json);
    cJSON_Delete(json);
    if (well)
        return used;
    load.r->faults.bad++;
    give_up(s->client);
    return STREAM_GONE;
}

/* --- Its life ------------------------------------------------------------------------------- */

static void close_streams(client *c)
{
    longpoll *l = c->longpoll;
    if (l == NULL)
        return;
    stream_close(&l->poll);
    stream_close(&l->post);
    bytes_free(&l->lines);
    free(l->token);
    free(l);
    c->longpoll = NULL;
}

/* What else has happened to its streams in this turn of the loop may still be told: they stay. */
static void give_up(client *c)
{
    stream_close(&c->longpoll->poll);
    stream_close(&c->longpoll->post);
    client_gone(c);
}

static void on_connected(stream *s)
{
    if (s == &s->client->longpoll->poll)
        send_request(s->client, s, "GET", NULL, 0);
}

static void on_ended(stream *s)
{
    give_up(s->client);
}

static const stream_events events = { on_connected, on_read, on_ended };

static void open_poll(client *c)
{
    c->longpoll = bench_alloc(1, sizeof *c->longpoll);
    c->longpoll->post.fd = -1;
    stream_open(&c->longpoll->poll, c, &events);
}

static void say(client *c, const char *lines, size_t n)
{
    longpoll *l = c->longpoll;
    if (l->poll.fd < 0)
        return;
    if (l->post.fd < 0)
        stream_open(&l->post, c, &events);
    bytes_add(&l->lines, lines, n);
    post(c);
}

/* There is no way to end a session but to stay away. */
static void goodbye(client *c)
{
    (void)c;
}

const carrier carrier_longpoll = { open_poll, say, goodbye, close_streams };
