/* model.c - see model.h. */
#include "sim/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

void model_wrong(model *m, const char *format, ...)
{
    va_list args;
    if (m->wrong[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(m->wrong, sizeof m->wrong, format, args);
    va_end(args);
}

void model_deinit(model *m)
{
    for (unsigned i = 0; i < MODEL_TOPICS; i++)
        free(m->topics[i].made);
    free(m->asks);
    memset(m, 0, sizeof *m);
}

unsigned model_ask(model *m, unsigned client, ask_kind kind, unsigned topic)
{
    if (++m->nasks >= m->size) {
        m->size = m->size != 0 ? 2 * m->size : 256;
        m->asks = sim_resize(m->asks, m->size * sizeof *m->asks);
    }
    m->asks[m->nasks] = (ask){ .kind = kind, .client = client, .topic = topic };
    return m->nasks;
}

ask *model_at(model *m, unsigned n)
{
    if (n != 0 && n <= m->nasks)
        return &m->asks[n];
    model_wrong(m, "nobody asked %u", n);
    return NULL;
}

/* --- What the callbacks tell -------------------------------------------------------------- */

void model_member_joins(model *m, unsigned n)
{
    ask *a = model_at(m, n);
    if (a == NULL)
        return;
    if (a->joins++ != 0)
        model_wrong(m, "%u has joined twice", n);
    a->joined = true;
    a->from = a->next = m->topics[a->topic].count;
    a->secrets = m->secrets[a->topic];
}

void model_member_ends(model *m, unsigned n)
{
    ask *a = model_at(m, n);
    if (a == NULL)
        return;
    if (a->ends++ != 0 || (!a->joined && !a->later))
        model_wrong(m, "%u has ended %u times, %sjoined", n, a->ends, a->joined ? "" : "not ");
    a->ended = true;
    a->to = m->topics[a->topic].count;
}

void model_member_sees(model *m, unsigned n, unsigned *last, unsigned number)
{
    if (number != ++*last)
        model_wrong(m, "member %u sees %u instead of %u", n, number, *last);
}

unsigned model_broadcasts(model *m, unsigned topic, unsigned except, bool bytes)
{
    model_topic *t = &m->topics[topic];
    if (t->count == t->size) {
        t->size = t->size != 0 ? 2 * t->size : 256;
        t->made = sim_resize(t->made, t->size * sizeof *t->made);
    }
    t->made[t->count] = (model_broadcast){ except, bytes };
    return t->count++;
}

/* --- What clients hear -------------------------------------------------------------------- */

/* The next broadcast for the member, which may be none of those already made. */
static unsigned next_for(const model *m, const model_client *c, unsigned n)
{
    const ask *a = &m->asks[n];
    const model_topic *t = &m->topics[a->topic];
    unsigned next = a->next;
    while (next < t->count && (t->made[next].by == n || (c->v1 && t->made[next].bytes)))
        next++;
    return next;
}

static void heard_broadcast(model *m, model_client *c, unsigned topic, unsigned number)
{
    unsigned n = topic < MODEL_TOPICS ? c->member[topic] : 0;
    if (n == 0) {
        model_wrong(m, "client %u is not joined to %u but hears broadcast %u", c->number, topic,
                    number);
        return;
    }
    unsigned next = next_for(m, c, n);
    if (number != next)
        model_wrong(m, "member %u of %u hears broadcast %u instead of %u", n, topic, number, next);
    m->asks[n].next = number + 1;
}

static void heard_push(model *m, unsigned n, unsigned number)
{
    ask *a = model_at(m, n);
    if (a != NULL && (!a->joined || number != a->pushed + 1 || number > a->told || a->told_of_end))
        model_wrong(m, "member %u hears push %u after %u of %u", n, number, a->pushed, a->told);
    if (a != NULL)
        a->pushed = number;
}

/* All that was for the member has been heard. */
static void check_member(model *m, model_client *c, unsigned n, const char *when)
{
    ask *a = &m->asks[n];
    unsigned to = a->ended ? a->to : m->topics[a->topic].count, next = next_for(m, c, n);
    if (next < to)
        model_wrong(m, "member %u %s but has not heard broadcast %u of %u", n, when, next, to);
    if (a->next > to)
        model_wrong(m, "member %u has heard %u of %u broadcasts", n, a->next, to);
    if (a->pushed != a->told)
        model_wrong(m, "member %u %s but has heard %u of %u pushes", n, when, a->pushed, a->told);
}

static void heard_end(model *m, model_client *c, unsigned topic, unsigned n)
{
    unsigned *is =
        topic < MODEL_TOPICS && n == c->replaced[topic] ? &c->replaced[topic] : &c->member[topic];
    if (topic >= MODEL_TOPICS || n == 0 || n != *is) {
        model_wrong(m, "client %u hears of the end of %u", c->number, n);
        return;
    }
    *is = 0;
    if (!m->asks[n].ended || m->asks[n].told_of_end)
        model_wrong(m, "the end of %u is heard of too early or twice", n);
    m->asks[n].told_of_end = true;
    check_member(m, c, n, "has ended");
}

static void heard_join_reply(model *m, model_client *c, unsigned n, bool ok)
{
    ask *a = &m->asks[n];
    if (ok != (a->joined != 0))
        model_wrong(m, "join %u hears %s", n, ok ? "ok" : "error");
    if (!ok)
        return;
    if (c->replaced[a->topic] != 0 || (c->v1 && c->member[a->topic] != 0))
        model_wrong(m, "client %u joins a third time", c->number);
    c->replaced[a->topic] = c->member[a->topic];
    c->member[a->topic] = n;
}

static unsigned number_of(const cJSON *value)
{
    if (cJSON_IsString(value))
        return (unsigned)strtoul(value->valuestring, NULL, 10);
    return cJSON_IsNumber(value) ? (unsigned)value->valuedouble : 0;
}

static const cJSON *member_of(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* The five fields, from either version. */
typedef struct fields {
    const cJSON *join_ref, *ref, *topic, *event, *payload;
} fields;

static bool take_fields(const cJSON *tree, bool v1, fields *f)
{
    f->join_ref = v1 ? NULL : cJSON_GetArrayItem(tree, 0);
    f->ref = v1 ? member_of(tree, "ref") : cJSON_GetArrayItem(tree, 1);
    f->topic = v1 ? member_of(tree, "topic") : cJSON_GetArrayItem(tree, 2);
    f->event = v1 ? member_of(tree, "event") : cJSON_GetArrayItem(tree, 3);
    f->payload = v1 ? member_of(tree, "payload") : cJSON_GetArrayItem(tree, 4);
    int size = cJSON_GetArraySize(tree);
    return f->ref != NULL && cJSON_IsString(f->topic) && cJSON_IsString(f->event) &&
           cJSON_IsObject(f->payload) && size == (v1 ? 4 : 5);
}

static void heard_reply(model *m, model_client *c, const fields *f)
{
    unsigned n = number_of(f->ref);
    ask *a = model_at(m, n);
    const cJSON *status = member_of(f->payload, "status");
    const cJSON *response = member_of(f->payload, "response");
    if (a == NULL || !cJSON_IsString(status) || a->client != c->number) {
        model_wrong(m, "client %u hears an answer to %u", c->number, n);
        return;
    }
    a->heard++;
    if (a->kind != ASK_HEARTBEAT && !a->put_off) {
        if (n < c->answered[a->topic])
            model_wrong(m, "%u is answered after %u", n, c->answered[a->topic]);
        c->answered[a->topic] = n;
    }
    bool ok = strcmp(status->valuestring, "ok") == 0;
    if (a->kind == ASK_JOIN)
        heard_join_reply(m, c, n, ok);
    else if (a->kind != ASK_EVENT && a->kind != ASK_STALE && !ok)
        model_wrong(m, "%u hears an error", n);
    else if (a->handled && number_of(member_of(response, "r")) != n)
        model_wrong(m, "%u hears another's answer", n);
}

static unsigned topic_of(const cJSON *topic)
{
    return strncmp(topic->valuestring, "room:", 5) == 0
               ? (unsigned)strtoul(topic->valuestring + 5, NULL, 10)
               : MODEL_TOPICS;
}

static void heard_fields(model *m, model_client *c, const fields *f)
{
    const char *event = f->event->valuestring;
    unsigned topic = topic_of(f->topic);
    unsigned member = topic < MODEL_TOPICS ? c->member[topic] : 0;
    if (strcmp(event, "phx_reply") == 0)
        heard_reply(m, c, f);
    else if (strcmp(event, "phx_close") == 0 || strcmp(event, "phx_error") == 0)
        heard_end(m, c, topic, c->v1 ? member : number_of(f->join_ref));
    else if (strcmp(event, "shout") == 0)
        heard_broadcast(m, c, topic, number_of(member_of(f->payload, "i")));
    else if (!c->v1 && number_of(f->join_ref) != member)
        model_wrong(m, "client %u hears a push of another member", c->number);
    else
        heard_push(m, member, number_of(member_of(f->payload, "p")));
}

void model_heard_text(model *m, model_client *c, const char *text, size_t len)
{
    cJSON *tree = cJSON_ParseWithLength(text, len);
    fields f;
    m->heard++;
    if (tree != NULL && take_fields(tree, c->v1, &f))
        heard_fields(m, c, &f);
    else
        model_wrong(m, "client %u hears %.*s", c->number, (int)len, text);
    cJSON_Delete(tree);
}

/* A reply to bytes, or a broadcast of them: both are numbers, as text. */
void model_heard_bytes(model *m, model_client *c, const char *bytes, size_t len)
{
    char text[40];
    const unsigned char *b = (const unsigned char *)bytes;
    m->heard++;
    if (len > 5 && b[0] == 1 && 5u + b[1] + b[2] + b[3] + b[4] <= len) {
        snprintf(text, sizeof text, "%.*s", b[2], bytes + 5 + b[1]);
        ask *a = model_at(m, (unsigned)strtoul(text, NULL, 10));
        if (a != NULL && a->client == c->number)
            a->heard++;
        return;
    }
    if (c->v1 || len < 3 || b[0] != 2 || 3u + b[1] + b[2] > len) {
        model_wrong(m, "client %u hears %zu bytes of kind %d", c->number, len, len ? b[0] : -1);
        return;
    }
    snprintf(text, sizeof text, "%.*s", b[1], bytes + 3);
    unsigned topic = (unsigned)strtoul(text + 5, NULL, 10);
    snprintf(text, sizeof text, "%.*s", (int)(len - 3u - b[1] - b[2]), bytes + 3 + b[1] + b[2]);
    heard_broadcast(m, c, topic, (unsigned)strtoul(text, NULL, 10));
}

/* --- The end ------------------------------------------------------------------------------ */

static void check_answers(model *m, unsigned n)
{
    const ask *a = &m->asks[n];
    unsigned least = 1, most = 1;
    if (a->kind == ASK_EVENT && a->handled)
        least = most = a->answered;
    else if (a->kind == ASK_STALE)
        least = 0;
    if (a->heard < least || a->heard > most)
        model_wrong(m, "%u (kind %d, %shandled) has heard %u answers instead of %u", n,
                    (int)a->kind, a->handled ? "" : "not ", a->heard, most);
}

void model_complete(model *m, model_client *c)
{
    for (unsigned n = 1; n <= m->nasks; n++)
        if (m->asks[n].client == c->number)
            check_answers(m, n);
    for (unsigned t = 0; t < MODEL_TOPICS; t++) {
        if (c->replaced[t] != 0)
            model_wrong(m, "client %u never hears of the end of %u", c->number, c->replaced[t]);
        if (c->member[t] != 0 && m->asks[c->member[t]].ended)
            model_wrong(m, "client %u never hears of the end of %u", c->number, c->member[t]);
        if (c->member[t] != 0)
            check_member(m, c, c->member[t], "has heard all");
    }
}

void model_ended(model *m)
{
    for (unsigned n = 1; n <= m->nasks; n++) {
        const ask *a = &m->asks[n];
        if (a->kind == ASK_JOIN && a->ends != (a->joined || a->later))
            model_wrong(m, "member %u has ended %u times", n, a->ends);
        if (a->handled && a->heard > (a->kind == ASK_JOIN ? 1 : a->answered))
            model_wrong(m, "%u has heard %u answers of %u", n, a->heard, a->answered);
    }
}
