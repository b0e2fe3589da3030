/* app.c - see app.h. */
#include "sim/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned app_random(app *a, unsigned max)
{
    a->random ^= a->random >> 12;
    a->random ^= a->random << 25;
    a->random ^= a->random >> 27;
    return (unsigned)((a->random * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % (max + 1);
}

/* --- Saying ------------------------------------------------------------------------------- */

/* {"NAME":NUMBER}, now and then with much beside it. */
static channels_payload numbered(app *a, const char *name, unsigned number)
{
    static char text[70000];
    unsigned chance = app_random(a, 299);
    int pad = chance == 0 ? 66000 - (int)app_random(a, 1000) : chance < 50 ? 300 : 0;
    snprintf(text, sizeof text, "{\"%s\":%u,\"pad\":\"%0*d\"}", name, number, pad, 0);
    return channels_json(text);
}

/* What is pushed to a member is numbered. */
static int tell(channels_channel *ch, const char *event, app *a)
{
    ask *member = model_at(&a->model, *(unsigned *)channels_assigns(ch));
    if (member == NULL)
        return CHANNELS_OK;
    member->told++;
    int err = channels_push(ch, event, numbered(a, "p", member->told));
    if (err != CHANNELS_OK)
        member->told--;
    return CHANNELS_OK;
}

static unsigned topic_of(const channels_channel *ch)
{
    return (unsigned)strtoul(channels_channel_topic(ch) + 5, NULL, 10);
}

static int shout(channels_channel *ch, app *a, bool from, bool bytes)
{
    unsigned n = *(unsigned *)channels_assigns(ch);
    unsigned number = model_broadcasts(&a->model, topic_of(ch), from ? n : 0, bytes);
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    channels_payload p = bytes ? channels_binary(text, strlen(text)) : numbered(a, "i", number);
    int err = from ? channels_broadcast_from(ch, "shout", p) : channels_broadcast(ch, "shout", p);
    if (err != CHANNELS_OK)
        model_wrong(&a->model, "broadcast %u returned %d", number, err);
    return CHANNELS_OK;
}

static int whisper(channels_channel *ch, app *a)
{
    unsigned *number = &a->model.secrets[topic_of(ch)];
    return channels_broadcast(ch, "secret", numbered(a, "i", ++*number));
}

void app_shout(app *a, unsigned topic)
{
    char name[16];
    snprintf(name, sizeof name, "room:%u", topic);
    unsigned number = model_broadcasts(&a->model, topic, 0, false);
    channels_pubsub_broadcast(a->host.ep, name, "shout", numbered(a, "i", number));
}

void app_news(app *a)
{
    channels_pubsub_broadcast(a->host.ep, "news", "news", numbered(a, "i", ++a->model.news));
}

/* --- Answering later ---------------------------------------------------------------------- */

static void add_later(app *a, channels_ref ref, app_what what, unsigned n)
{
    if (a->nlaters == a->size) {
        a->size = a->size != 0 ? 2 * a->size : 64;
        a->laters = sim_resize(a->laters, a->size * sizeof *a->laters);
    }
    a->laters[a->nlaters++] = (app_later){ ref, what, n };
}

static void answer_event(app *a, const app_later *l)
{
    ask *is = model_at(&a->model, l->n);
    while (app_random(a, 2) != 0) {
        if (channels_ref_reply(a->host.ep, l->ref, "ok", numbered(a, "r", l->n)) != CHANNELS_OK)
            return;
        is->answered++;
    }
    channels_ref_drop(a->host.ep, l->ref);
}

static void answer_join(app *a, const app_later *l)
{
    if (channels_ref_channel(a->host.ep, l->ref) == NULL)
        return; /* its client has gone meanwhile */
    switch (app_random(a, 3)) {
    case 0: channels_ref_drop(a->host.ep, l->ref); return;
    case 1: channels_ref_reply(a->host.ep, l->ref, "error", numbered(a, "r", l->n)); return;
    default:
        model_member_joins(&a->model, l->n);
        if (channels_ref_reply(a->host.ep, l->ref, "ok", numbered(a, "r", l->n)) != CHANNELS_OK)
            model_wrong(&a->model, "join %u cannot be answered", l->n);
    }
}

static void answer_connect(app *a, const app_later *l)
{
    static const channels_response no = { .status = 401 };
    switch (app_random(a, 4)) {
    case 0: channels_respond(a->host.ep, l->ref, &no); return;
    case 1: channels_ref_drop(a->host.ep, l->ref); return;
    default: channels_accept(a->host.ep, l->ref);
    }
}

bool app_answer(app *a)
{
    if (a->nlaters == 0)
        return false;
    size_t i = app_random(a, (unsigned)a->nlaters - 1);
    app_later l = a->laters[i];
    a->laters[i] = a->laters[--a->nlaters];
    if (l.what == LATER_EVENT)
        answer_event(a, &l);
    else if (l.what == LATER_JOIN)
        answer_join(a, &l);
    else
        answer_connect(a, &l);
    return true;
}

/* --- Callbacks ---------------------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    app *a = user;
    char value[32];
    channels_ref ref;
    if (channels_request_param(req, "refuse", NULL, 0) >= 0)
        return CHANNELS_REFUSE;
    channels_request_param(req, "id", value, sizeof value);
    channels_socket_set_id(s, value);
    a->connects++;
    if (channels_request_param(req, "later", NULL, 0) < 0)
        return CHANNELS_OK;
    channels_connect_later(s, &ref);
    add_later(a, ref, LATER_CONNECT, 0);
    return CHANNELS_LATER;
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    app *a = user;
    (void)s, (void)why;
    a->disconnects++;
}

static const cJSON *item(const channels_msg *msg, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), name);
}

static unsigned number_in(const channels_msg *msg, const char *name)
{
    const cJSON *number = item(msg, name);
    return cJSON_IsNumber(number) ? (unsigned)number->valuedouble : 0;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    unsigned n = number_in(msg, "r");
    ask *is = model_at(&a->model, n);
    channels_ref ref;
    if (is == NULL)
        return -1;
    is->handled = true;
    *(unsigned *)channels_assigns(ch) = n;
    channels_subscribe(ch, "news");
    is->news = a->model.news;
    if (item(msg, "refuse") != NULL)
        return CHANNELS_REFUSE;
    if (item(msg, "later") != NULL && channels_later(ch, &ref) == CHANNELS_OK) {
        is->later = true;
        add_later(a, ref, LATER_JOIN, n);
        return CHANNELS_LATER;
    }
    model_member_joins(&a->model, n);
    return CHANNELS_OK;
}

static int on_joined(channels_channel *ch, void *user)
{
    return tell(ch, "hello", user);
}

static int echo(channels_channel *ch, const channels_msg *msg, ask *is)
{
    if (channels_reply(ch, "ok", msg->payload) == CHANNELS_OK)
        is->answered++;
    return CHANNELS_OK;
}

static int answer_later(channels_channel *ch, app *a, unsigned n)
{
    channels_ref ref;
    model_at(&a->model, n)->put_off = true;
    if (channels_later(ch, &ref) == CHANNELS_OK)
        add_later(a, ref, LATER_EVENT, n);
    return CHANNELS_OK;
}

static int tick(channels_channel *ch, app *a)
{
    channels_info_after(ch, app_random(a, 200), NULL, NULL, NULL);
    return CHANNELS_OK;
}

static int quit(channels_channel *ch)
{
    channels_socket_close(channels_channel_socket(ch), 4000);
    return CHANNELS_OK;
}

static int heed(channels_channel *ch, const channels_msg *msg, app *a, unsigned n)
{
    ask *is = model_at(&a->model, n);
    const char *event = msg->event;
    if (strcmp(event, "echo") == 0)
        return echo(ch, msg, is);
    if (strcmp(event, "twice") == 0)
        return echo(ch, msg, is), tell(ch, "between", a), echo(ch, msg, is);
    if (strncmp(event, "shout", 5) == 0)
        return shout(ch, a, strcmp(event, "shout_from") == 0, strcmp(event, "shout_bytes") == 0);
    if (strcmp(event, "secret") == 0)
        return whisper(ch, a), whisper(ch, a);
    if (strcmp(event, "later") == 0)
        return answer_later(ch, a, n);
    if (strcmp(event, "tick") == 0)
        return tick(ch, a);
    if (strcmp(event, "quit") == 0)
        return quit(ch);
    return strcmp(event, "stop") == 0 ? CHANNELS_STOP : CHANNELS_FAILED;
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    unsigned n = number_in(msg, "r");
    char text[16];
    if (msg->payload.kind == CHANNELS_BINARY) {
        snprintf(text, sizeof text, "%.*s", (int)msg->payload.len, (const char *)msg->payload.data);
        n = (unsigned)strtoul(text, NULL, 10);
    }
    ask *is = model_at(&a->model, n);
    if (is == NULL)
        return -1;
    is->handled = true;
    return heed(ch, msg, a, n);
}

static int on_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    unsigned n = *(unsigned *)channels_assigns(ch);
    ask *is = model_at(&a->model, n);
    if (is != NULL)
        model_member_sees(&a->model, n, &is->secrets, number_in(msg, "i"));
    return tell(ch, "secret", a);
}

static int on_broadcast(channels_channel *ch, const channels_msg *msg, void *user)
{
    app *a = user;
    unsigned n = *(unsigned *)channels_assigns(ch);
    ask *is = model_at(&a->model, n);
    if (is != NULL)
        model_member_sees(&a->model, n, &is->news, number_in(msg, "i"));
    return is != NULL && is->joined ? tell(ch, "news", a) : CHANNELS_OK;
}

static int on_info(channels_channel *ch, void *info, void *user)
{
    (void)info;
    return tell(ch, "tock", user);
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    app *a = user;
    (void)why;
    model_member_ends(&a->model, *(unsigned *)channels_assigns(ch));
}

static const char *const secrets[] = { "secret", NULL };
static const channels_handler room = { .assigns_size = sizeof(unsigned),
                                       .intercept = secrets,
                                       .join = on_join,
                                       .joined = on_joined,
                                       .handle_in = on_in,
                                       .handle_out = on_out,
                                       .handle_broadcast = on_broadcast,
                                       .handle_info = on_info,
                                       .terminate = on_terminate };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
const channels_socket_handler app_handler = { .routes = routes,
                                              .connect = on_connect,
                                              .disconnect = on_disconnect };
