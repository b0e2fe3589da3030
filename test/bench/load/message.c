/* message.c - what is said and heard: see client.h. A payload is
 * {"body":"xxxx","p":CLIENT,"s":NUMBER,"t":NS}.
 *
 * Two messages come by the million, a broadcast and the reply to an echo, in the shortest JSON that
 * there is. They are compared with what they should be; all others are parsed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load/client.h"

/* --- Out ------------------------------------------------------------------------------------ */

static void add_text(bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text));
}

static void add_number(bytes *b, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    bytes_add(b, digits + at, sizeof digits - at);
}

void message_push(bytes *b, const client *c, const char *event, const said *s)
{
    add_text(b, "[\"1\",\"");
    add_number(b, s->number + 1);
    add_text(b, "\",\"");
    add_text(b, c->topic->name);
    add_text(b, "\",\"");
    add_text(b, event);
    add_text(b, "\",{\"body\":\"");
    bytes_add(b, load.body, load.o.payload);
    add_text(b, "\",\"p\":");
    add_number(b, s->by);
    add_text(b, ",\"s\":");
    add_number(b, s->number);
    add_text(b, ",\"t\":");
    add_number(b, s->ns);
    add_text(b, "}]\n");
}

/* --- In, as it should be -------------------------------------------------------------------- */

/* The readers move *p on; false: something else is there. */
static bool read_number(const char **p, const char *end, uint64_t *n)
{
    const char *begin = *p;
    for (*n = 0; *p < end && **p >= '0' && **p <= '9'; ++*p)
        *n = *n * 10 + (uint64_t)(**p - '0');
    return *p > begin;
}

static bool read_text(const char **p, const char *end, const void *text, size_t n)
{
    if ((size_t)(end - *p) < n || memcmp(*p, text, n) != 0)
        return false;
    *p += n;
    return true;
}

static bool read_said(const char **p, const char *end, said *s)
{
    return read_number(p, end, &s->by) && read_text(p, end, ",\"s\":", 5) &&
           read_number(p, end, &s->number) && read_text(p, end, ",\"t\":", 5) &&
           read_number(p, end, &s->ns);
}

static bool is_broadcast(const client *c, const char *p, size_t n, said *s)
{
    const char *end = p + n;
    return read_text(&p, end, c->topic->broadcast.p, c->topic->broadcast.len) &&
           read_said(&p, end, s) && read_text(&p, end, "}]", 2) && p == end;
}

static bool is_echo(const client *c, const char *p, size_t n, uint64_t *ref, said *s)
{
    const char *end = p + n;
    return read_text(&p, end, "[\"1\",\"", 6) && read_number(&p, end, ref) &&
           read_text(&p, end, c->topic->reply.p, c->topic->reply.len) && read_said(&p, end, s) &&
           read_text(&p, end, "}}]", 3) && p == end;
}

/* --- In, whatever it is --------------------------------------------------------------------- */

static const char *text_at(const cJSON *array, int index)
{
    const char *text = cJSON_GetStringValue(cJSON_GetArrayItem(array, index));
    return text != NULL ? text : "";
}

static bool number_in(const cJSON *payload, const char *name, uint64_t *n)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    if (!cJSON_IsNumber(item))
        return false;
    *n = (uint64_t)item->valuedouble;
    return true;
}

static bool said_in(const cJSON *payload, said *s)
{
    const char *body = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(payload, "body"));
    return body != NULL && strcmp(body, load.body) == 0 && number_in(payload, "p", &s->by) &&
           number_in(payload, "s", &s->number) && number_in(payload, "t", &s->ns);
}

static bool hear_reply(client *c, const char *ref_text, const cJSON *payload, uint64_t now)
{
    const cJSON *response = cJSON_GetObjectItemCaseSensitive(payload, "response");
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(payload, "status"));
    uint64_t ref = strtoull(ref_text, NULL, 10);
    said s;
    if (status == NULL || strcmp(status, "ok") != 0)
        return false;
    if (c->state == JOINING && ref == c->ref)
        client_joined(c);
    else if (c->state == LEAVING && ref == c->ref)
        load.manners->left(c);
    else if (load.manners->echoed != NULL && said_in(response, &s))
        load.manners->echoed(c, ref, &s, now);
    else
        return false;
    return true;
}

static bool hear_message(client *c, const cJSON *m, uint64_t now)
{
    const cJSON *payload = cJSON_GetArrayItem(m, 4);
    const char *event = text_at(m, 3);
    said s;
    if (cJSON_GetArraySize(m) != 5 || strcmp(text_at(m, 2), c->topic->name) != 0)
        return false;
    if (strcmp(event, "phx_reply") == 0)
        return hear_reply(c, text_at(m, 1), payload, now);
    if (strcmp(event, "phx_close") == 0) /* may follow a leave */
        return true;
    if (strcmp(event, "new_msg") != 0 || load.manners->broadcast == NULL || !said_in(payload, &s))
        return false;
    load.manners->broadcast(c, &s, now);
    return true;
}

void message_heard(client *c, const char *text, size_t n, uint64_t now)
{
    uint64_t ref;
    said s;
    if (load.manners->broadcast != NULL && is_broadcast(c, text, n, &s)) {
        load.manners->broadcast(c, &s, now);
    } else if (load.manners->echoed != NULL && is_echo(c, text, n, &ref, &s)) {
        load.manners->echoed(c, ref, &s, now);
    } else {
        cJSON *m = cJSON_ParseWithLength(text, n);
        load.r->faults.bad += !hear_message(c, m, now);
        cJSON_Delete(m);
    }
}

/* --- Topics --------------------------------------------------------------------------------- */

static void topic_begin(topic *t, unsigned index)
{
    snprintf(t->name, sizeof t->name, "room:%u", index);
    t->publishers = load.o.publishers / load.o.topics + (index < load.o.publishers % load.o.topics);
    add_text(&t->broadcast, "[null,null,\"");
    add_text(&t->broadcast, t->name);
    add_text(&t->broadcast, "\",\"new_msg\",{\"body\":\"");
    add_text(&t->broadcast, load.body);
    add_text(&t->broadcast, "\",\"p\":");
    add_text(&t->reply, "\",\"");
    add_text(&t->reply, t->name);
    add_text(&t->reply, "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"body\":\"");
    add_text(&t->reply, load.body);
    add_text(&t->reply, "\",\"p\":");
}

void topics_begin(void)
{
    load.topics = bench_alloc(load.o.topics, sizeof *load.topics);
    load.body = bench_alloc(load.o.payload + 1, 1);
    memset(load.body, 'x', load.o.payload);
    for (unsigned i = 0; i < load.o.topics; i++)
        topic_begin(&load.topics[i], i);
}

void topics_end(void)
{
    for (unsigned i = 0; i < load.o.topics; i++) {
        bytes_free(&load.topics[i].broadcast);
        bytes_free(&load.topics[i].reply);
    }
    free(load.topics);
    free(load.body);
}
