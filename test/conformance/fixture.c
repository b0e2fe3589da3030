/* fixture.c - the application behind the recorded transcripts (see README.md beside this file), on
 * the public API alone.
 *
 *     fixture [--port N]      0: any; the first line tells which
 *
 * As one of several nodes it takes --node NAME, --redis PORT, presence's times --broadcast-ms and
 * --down-ms, and --crowd N: so many who are no clients are present in presence:crowd. With
 * --compress LEVEL clients may have messages compressed.
 *
 * Its clients' speed and size are measured too, so it keeps of each no more than it needs. */
#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/presence.h>
#include <channels/pubsub.h>
#ifdef FIXTURE_REDIS
#include <channels/adapters/libev_redis.h>
#endif

/* --- Inside payloads ----------------------------------------------------------------------
 *
 * By their bytes: a cJSON tree would round numbers and cut strings at \u0000. The library has
 * checked that it is JSON, and of an object's members the spelling is all that is looked at. */

struct span {
    const char *p;
    size_t n;
};

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
    for (p++; *p != '"'; p++)
        p += *p == '\\';
    return p + 1;
}

static const char *skip_value(const char *p)
{
    int depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
    } while (depth > 0 || (strchr(",}] \t\r\n", *p) == NULL && *p != '\0'));
    return p;
}

/* The next member of an object; `p` is behind its { or the member before. NULL: there is none. */
static const char *next_member(const char *p, struct span *key, struct span *value)
{
    p = skip_space(p);
    if (*p == ',')
        p = skip_space(p + 1);
    if (*p != '"')
        return NULL;
    key->p = p;
    p = skip_string(p);
    key->n = (size_t)(p - key->p);
    value->p = p = skip_space(skip_space(p) + 1);
    p = skip_value(p);
    value->n = (size_t)(p - value->p);
    return p;
}

static bool same(struct span a, struct span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* The payload with a NUL behind it; NULL if memory ran out. */
static char *text_of(const channels_payload *p)
{
    char *text = malloc(p->len + 1);
    if (text == NULL)
        return NULL;
    memcpy(text, p->data, p->len);
    text[p->len] = '\0';
    return text;
}

/* Phoenix takes a payload apart before it echoes it, and of a key that an object has twice it keeps
 * the first. libchannels forwards what came, byte for byte, so this fixture leaves out the others by
 * hand, in the outermost object. */
static void keep_first_keys(char *text)
{
    struct span key, value, old, ignored;
    char *end = text + 1;
    const char *p = text + 1, *next;
    while ((next = next_member(p, &key, &value)) != NULL) {
        bool repeated = false;
        for (const char *q = text + 1; q < end && (q = next_member(q, &old, &ignored)) != NULL;)
            repeated |= q <= end && same(old, key);
        if (!repeated) {
            char *to = end;
            if (to != text + 1)
                *to++ = ',';
            size_t n = (size_t)(next - key.p);
            memmove(to, key.p, n);
            end = to + n;
        }
        p = next;
    }
    memcpy(end, "}", 2);
}

/* --- Connecting --------------------------------------------------------------------------- */

#define MAX_PARAM 16384 /* no longer than the head of a request can be */

static const char usual_query[] = "vsn=2.0.0";

struct client {
    const char *query; /* decoded when somebody asks for a parameter; usual_query, or its own */
};

static int client_param(channels_channel *ch, const char *name, char *dst, size_t cap)
{
    const struct client *client = channels_socket_assigns(channels_channel_socket(ch));
    channels_request req = { .query = client->query };
    return channels_request_param(&req, name, dst, cap);
}

static int refuse_with_reason(channels_socket *s)
{
    static const channels_header type = { "content-type", "application/json; charset=utf-8" };
    static const char body[] = "{\"error\":\"refused\"}";
    channels_response r = { 429, &type, 1, body, sizeof body - 1 };
    return channels_refuse(s, &r);
}

static int client_connect(channels_socket *s, const channels_request *req, void *user)
{
    struct client *client = channels_socket_assigns(s);
    char text[MAX_PARAM], id[MAX_PARAM + 8];
    (void)user;
    if (channels_request_param(req, "reject", text, sizeof text) >= 0) {
        if (strcmp(text, "reason") == 0)
            return refuse_with_reason(s);
        if (strcmp(text, "1") == 0)
            return CHANNELS_REFUSE;
    }
    if (channels_request_param(req, "user_id", text, sizeof text) >= 0) {
        snprintf(id, sizeof id, "users:%s", text);
        int err = channels_socket_set_id(s, id);
        if (err != CHANNELS_OK)
            return err;
    }
    client->query =
        strcmp(req->query, usual_query) == 0 ? usual_query : strdup(req->query);
    return client->query != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

static void client_disconnect(channels_socket *s, channels_reason why, void *user)
{
    struct client *client = channels_socket_assigns(s);
    (void)why, (void)user;
    if (client->query != usual_query)
        free((char *)(uintptr_t)client->query);
}

/* --- The room channel --------------------------------------------------------------------- */

struct room {
    unsigned count;
};

/* The value of "reply", if there is one, is the response. */
static int join_reply(channels_channel *ch, const channels_payload *payload)
{
    static const struct span reply = { "\"reply\"", 7 };
    struct span key, value;
    int err = CHANNELS_OK;
    char *text = payload->kind == CHANNELS_JSON ? text_of(payload) : NULL;
    for (const char *p = text; p != NULL && *text == '{';) {
        p = next_member(p == text ? p + 1 : p, &key, &value);
        if (p != NULL && same(key, reply)) {
            err = channels_reply(ch, "ok", channels_json_n(value.p, value.n));
            break;
        }
    }
    free(text);
    return err;
}

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    if (strcmp(msg->topic, "room:forbidden") == 0) {
        int err = channels_reply(ch, "error", channels_json("{\"reason\":\"unauthorized\"}"));
        return err != CHANNELS_OK ? err : CHANNELS_REFUSE;
    }
    if (strcmp(msg->topic, "room:raise") == 0)
        return CHANNELS_ERR_INVALID;
    return msg->payload.len > 2 ? join_reply(ch, &msg->payload) : CHANNELS_OK;
}

/* Looks at the last two bytes of each key: a payload without a repeated one is not copied. */
static bool may_repeat_a_key(const char *p, size_t n)
{
    unsigned seen[8];
    size_t count = 0;
    for (const char *colon = p; (colon = memchr(colon, ':', n - (size_t)(colon - p))); colon++) {
        unsigned tail = 0;
        if (colon[-1] == ' ' || colon[-1] == '\t' || colon[-1] == '\r' || colon[-1] == '\n')
            return true;
        if (colon[-1] != '"')
            continue;
        if (colon[-2] != '"')
            tail = (unsigned)(unsigned char)colon[-2] << 8 | (unsigned char)colon[-3];
        for (size_t i = 0; i < count; i++)
            if (seen[i] == tail)
                return true;
        if (count == sizeof seen / sizeof *seen)
            return true;
        seen[count++] = tail;
    }
    return false;
}

/* Bytes do not reach a long-poll client. In Phoenix its poll fails, its channel does not notice. */
static int unless_bytes(channels_channel *ch, const channels_payload *p, int err)
{
    const char *transport = channels_socket_transport(channels_channel_socket(ch));
    bool refused = p->kind == CHANNELS_BINARY && strcmp(transport, "longpoll") == 0;
    return refused && err == CHANNELS_ERR_INVALID ? CHANNELS_OK : err;
}

static int in_echo(channels_channel *ch, const channels_msg *msg)
{
    const channels_payload *p = &msg->payload;
    if (p->kind != CHANNELS_JSON || *(const char *)p->data != '{' ||
        !may_repeat_a_key(p->data, p->len))
        return unless_bytes(ch, p, channels_reply(ch, "ok", *p));
    char *text = text_of(p);
    if (text == NULL)
        return CHANNELS_ERR_NOMEM;
    keep_first_keys(text);
    int err = channels_reply(ch, "ok", channels_json(text));
    free(text);
    return err;
}

static int in_echo_error(channels_channel *ch, const channels_msg *msg)
{
    const channels_payload *p = &msg->payload;
    return unless_bytes(ch, p, channels_reply(ch, "error", *p));
}

static int in_ok(channels_channel *ch, const channels_msg *msg)
{
    (void)msg;
    return channels_reply(ch, "ok", channels_empty());
}

static int in_noreply(channels_channel *ch, const channels_msg *msg)
{
    (void)ch, (void)msg;
    return CHANNELS_OK;
}

static int in_broadcast(channels_channel *ch, const channels_msg *msg)
{
    return channels_broadcast(ch, "broadcasted", msg->payload);
}

static int in_broadcast_from(channels_channel *ch, const channels_msg *msg)
{
    return channels_broadcast_from(ch, "broadcasted", msg->payload);
}

static int in_new_msg(channels_channel *ch, const channels_msg *msg)
{
    return channels_broadcast(ch, "new_msg", msg->payload);
}

static int in_push(channels_channel *ch, const channels_msg *msg)
{
    return channels_push(ch, "pushed", msg->payload);
}

static int in_push_many(channels_channel *ch, const channels_msg *msg)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), "n");
    char text[32];
    if (!cJSON_IsNumber(n))
        return CHANNELS_ERR_INVALID;
    for (int i = 1; i <= n->valueint; i++) {
        snprintf(text, sizeof text, "{\"i\":%d}", i);
        int err = channels_push(ch, "item", channels_json(text));
        if (err != CHANNELS_OK)
            return err;
    }
    return in_ok(ch, msg);
}

static int in_stop(channels_channel *ch, const channels_msg *msg)
{
    (void)ch, (void)msg;
    return CHANNELS_STOP;
}

static int in_stop_reply(channels_channel *ch, const channels_msg *msg)
{
    int err = channels_reply(ch, "ok", msg->payload);
    return err != CHANNELS_OK ? err : CHANNELS_STOP;
}

static int in_crash(channels_channel *ch, const channels_msg *msg)
{
    (void)ch, (void)msg;
    return CHANNELS_ERR_INVALID;
}

struct delayed {
    channels_ref ref;
    channels_kind kind;
    size_t len;
    char data[];
};

static int in_async(channels_channel *ch, const channels_msg *msg)
{
    struct delayed *d = malloc(sizeof *d + msg->payload.len);
    if (d == NULL)
        return CHANNELS_ERR_NOMEM;
    d->kind = msg->payload.kind;
    d->len = msg->payload.len;
    memcpy(d->data, msg->payload.data, msg->payload.len);
    int err = channels_later(ch, &d->ref);
    if (err == CHANNELS_OK)
        err = channels_info_after(ch, 50, d, free, NULL);
    if (err != CHANNELS_OK)
        free(d);
    return err;
}

static int room_info(channels_channel *ch, void *info, void *user)
{
    struct delayed *d = info;
    channels_endpoint *ep = channels_channel_endpoint(ch);
    channels_payload p = { d->kind, d->data, d->len };
    (void)user;
    int err = channels_ref_reply(ep, d->ref, "ok", p);
    channels_ref_drop(ep, d->ref);
    free(d);
    return err;
}

static int binary_only(const channels_msg *msg, int err)
{
    return msg->payload.kind == CHANNELS_BINARY ? err : CHANNELS_ERR_INVALID;
}

static int in_binary_echo(channels_channel *ch, const channels_msg *msg)
{
    int err = binary_only(msg, CHANNELS_OK);
    return err != CHANNELS_OK ? err : in_echo(ch, msg);
}

static int in_binary_push(channels_channel *ch, const channels_msg *msg)
{
    const channels_payload *p = &msg->payload;
    int err = binary_only(msg, CHANNELS_OK);
    if (err == CHANNELS_OK)
        err = unless_bytes(ch, p, channels_push(ch, "binary_pushed", *p));
    return err;
}

static int in_binary_broadcast(channels_channel *ch, const channels_msg *msg)
{
    int err = binary_only(msg, CHANNELS_OK);
    return err != CHANNELS_OK ? err : channels_broadcast(ch, "binary_broadcasted", msg->payload);
}

static int in_count(channels_channel *ch, const channels_msg *msg)
{
    struct room *room = channels_assigns(ch);
    char text[32];
    (void)msg;
    snprintf(text, sizeof text, "{\"count\":%u}", ++room->count);
    return channels_reply(ch, "ok", channels_json(text));
}

static int in_params(channels_channel *ch, const channels_msg *msg)
{
    const struct client *client = channels_socket_assigns(channels_channel_socket(ch));
    channels_request req = { .query = client->query };
    cJSON *params = channels_request_params(&req);
    char *text = cJSON_PrintUnformatted(params);
    (void)msg;
    int err = text != NULL ? channels_reply(ch, "ok", channels_json(text)) : CHANNELS_ERR_NOMEM;
    cJSON_free(text);
    cJSON_Delete(params);
    return err;
}

static int in_disconnect_me(channels_channel *ch, const channels_msg *msg)
{
    const char *id = channels_socket_id(channels_channel_socket(ch));
    (void)msg;
    return id != NULL ? channels_disconnect(channels_channel_endpoint(ch), id) : CHANNELS_OK;
}

static int in_shout(channels_channel *ch, const channels_msg *msg)
{
    return channels_broadcast(ch, "shout", msg->payload);
}

/* Ordered by how often they come. */
static const struct {
    const char *event;
    int (*run)(channels_channel *ch, const channels_msg *msg);
} events[] = {
    { "new_msg", in_new_msg },
    { "echo", in_echo },
    { "echo_error", in_echo_error },
    { "ok", in_ok },
    { "noreply", in_noreply },
    { "broadcast", in_broadcast },
    { "broadcast_from", in_broadcast_from },
    { "push", in_push },
    { "push_many", in_push_many },
    { "stop", in_stop },
    { "stop_reply", in_stop_reply },
    { "stop_abnormal", in_crash },
    { "crash", in_crash },
    { "async", in_async },
    { "binary_echo", in_binary_echo },
    { "binary_push", in_binary_push },
    { "binary_broadcast", in_binary_broadcast },
    { "count", in_count },
    { "params", in_params },
    { "disconnect_me", in_disconnect_me },
    { "shout", in_shout },
};

static int room_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (strcmp(msg->event, events[i].event) == 0)
            return events[i].run(ch, msg);
    return CHANNELS_ERR_INVALID;
}

/* `ignore` names this channel's user. */
static bool ignored(channels_channel *ch, const cJSON *ignore)
{
    char id[MAX_PARAM];
    if (!cJSON_IsString(ignore) || client_param(ch, "user_id", id, sizeof id) < 0)
        return false;
    return strcmp(id, ignore->valuestring) == 0;
}

static int room_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    const cJSON *payload = channels_msg_json(msg);
    (void)user;
    if (!cJSON_IsObject(payload))
        return CHANNELS_ERR_INVALID;
    if (ignored(ch, cJSON_GetObjectItemCaseSensitive(payload, "ignore")))
        return CHANNELS_OK;
    size_t len = msg->payload.len - 1; /* without the } */
    char *text = malloc(len + sizeof ",\"via\":\"out\"}");
    if (text == NULL)
        return CHANNELS_ERR_NOMEM;
    memcpy(text, msg->payload.data, len);
    strcpy(text + len, payload->child != NULL ? ",\"via\":\"out\"}" : "\"via\":\"out\"}");
    int err = channels_push(ch, msg->event, channels_json(text));
    free(text);
    return err;
}

/* --- The presence channel: `user` is the presence ------------------------------------------- */

#define ONLINE "{\"status\":\"online\"}"

static void user_id(channels_channel *ch, char *id, size_t cap)
{
    if (client_param(ch, "user_id", id, cap) < 0)
        strcpy(id, "anonymous");
}

static int presence_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

/* Who has a key that may not be tracked is not shown. */
static int presence_joined(channels_channel *ch, void *user)
{
    char id[MAX_PARAM];
    int err = channels_presence_push_state(user, ch);
    if (err != CHANNELS_OK)
        return err;
    user_id(ch, id, sizeof id);
    err = channels_presence_track(user, ch, id, channels_json(ONLINE));
    return err != CHANNELS_ERR_INVALID ? err : CHANNELS_OK;
}

static void reply_list(void *arg, channels_payload list)
{
    channels_reply(arg, "ok", list.data != NULL ? list : channels_empty());
}

static int presence_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    char id[MAX_PARAM];
    int err = CHANNELS_ERR_INVALID;
    user_id(ch, id, sizeof id);
    if (strcmp(msg->event, "list") == 0)
        return channels_presence_list(user, msg->topic, reply_list, ch);
    if (strcmp(msg->event, "update") == 0)
        err = channels_presence_update(user, ch, id, msg->payload);
    else if (strcmp(msg->event, "untrack") == 0)
        err = channels_presence_untrack(user, ch, id);
    return err != CHANNELS_OK ? err : in_ok(ch, msg);
}

/* --- The endpoint ------------------------------------------------------------------------- */

static const char *const intercepted[] = { "shout", NULL };

static const channels_handler room = {
    .assigns_size = sizeof(struct room),
    .intercept = intercepted,
    .join = room_join,
    .handle_in = room_in,
    .handle_out = room_out,
    .handle_info = room_info,
};

static const channels_handler presence = {
    .join = presence_join,
    .joined = presence_joined,
    .handle_in = presence_in,
};

static const channels_route routes[] = {
    { .pattern = "room:*", .handler = &room },
    { .pattern = "presence:*", .handler = &presence },
    { .pattern = "exact", .handler = &room },
    { .pattern = NULL },
};

static const channels_socket_handler clients = {
    .assigns_size = sizeof(struct client),
    .routes = routes,
    .connect = client_connect,
    .disconnect = client_disconnect,
};

static const char *const origins[] = { "//localhost", "//127.0.0.1", "http://allowed.example:8080",
                                       "//*.wild.example", NULL };

#define SECRET "fixture-secret-key-base-"

static int mount_all(channels_endpoint *ep, channels_presence *set, bool compress)
{
    channels_mount_options socket = { .check_origin = CHANNELS_ORIGIN_LIST,
                                      .origins = origins,
                                      .max_deferred = 100000, /* Phoenix knows no such limit */
                                      .websocket = { .max_message = 8000000, .compress = compress },
                                      .longpoll.on = true };
    channels_mount_options small = {
        .check_origin = CHANNELS_ORIGIN_LIST,
        .origins = origins,
        .max_channels = 3,
        .max_queued = 64 << 20, /* Phoenix knows no such limit */
        .websocket = { .idle_ms = 1000, .max_message = 65536, .compress = compress },
        .longpoll = { .on = true, .window_ms = 1000 }
    };
    channels_mount_options expire = {
        .check_origin = CHANNELS_ORIGIN_LIST,
        .origins = origins,
        .websocket.off = true,
        .longpoll = { .on = true, .window_ms = 1000, .token_max_age_s = 2 }
    };
    int err = channels_mount(ep, "/socket", &clients, &socket, set);
    if (err == CHANNELS_OK)
        err = channels_mount(ep, "/short", &clients, &small, set);
    return err != CHANNELS_OK ? err : channels_mount(ep, "/expire", &clients, &expire, set);
}

static void on_log(void *user, channels_log_level level, const char *text)
{
    (void)user;
    (void)level;
    if (getenv("FIXTURE_LOG") != NULL)
        fprintf(stderr, "%s\n", text);
}

static void on_drain(void *arg, const channels_drain_progress *p)
{
    if (p->done)
        ev_break(arg, EVBREAK_ALL);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
    channels_drain_options options = { .deadline_ms = 2000, .progress = on_drain, .arg = loop };
    (void)revents;
    channels_drain(w->data, &options);
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* --- Other nodes ---------------------------------------------------------------------------- */

struct options {
    const char *node;
    unsigned port, redis_port, broadcast_ms, down_ms, crowd, compress;
};

/* By Redis, where the library for it was built. */
#ifdef FIXTURE_REDIS
static channels_redis *redis;
static channels_ev_redis ev_redis;

static int nodes_new(const struct options *options, channels_config *config)
{
    const channels_redis_options to = { .port = (uint16_t)options->redis_port };
    if (options->redis_port == 0)
        return CHANNELS_OK;
    config->pubsub = channels_redis_adapter();
    int err = channels_redis_new(&redis, &to);
    config->pubsub_self = redis;
    return err;
}

static void nodes_start(const struct options *options, channels_ev *ev)
{
    if (options->redis_port != 0)
        channels_ev_redis_start(&ev_redis, ev, redis);
}

static void nodes_stop(const struct options *options)
{
    if (options->redis_port != 0)
        channels_ev_redis_stop(&ev_redis);
}

static void nodes_free(void)
{
    channels_redis_free(redis);
}
#else
static int nodes_new(const struct options *options, channels_config *config)
{
    (void)config;
    return options->redis_port == 0 ? CHANNELS_OK : CHANNELS_ERR_UNSUPPORTED;
}

static void nodes_start(const struct options *options, channels_ev *ev)
{
    (void)options, (void)ev;
}

static void nodes_stop(const struct options *options)
{
    (void)options;
}

static void nodes_free(void)
{
}
#endif

static int track_crowd(channels_presence *set, unsigned crowd)
{
    char key[32];
    int err = CHANNELS_OK;
    for (unsigned i = 0; i < crowd && err == CHANNELS_OK; i++) {
        snprintf(key, sizeof key, "user %u", i);
        err = channels_presence_track_owner(set, i, "presence:crowd", key, channels_json(ONLINE));
    }
    return err;
}

static int presence_new(channels_presence **set, channels_endpoint *ep,
                        const struct options *options)
{
    const channels_presence_options o = { .broadcast_ms = options->broadcast_ms,
                                          .down_ms = options->down_ms };
    int err = channels_presence_new(set, ep, &o);
    return err != CHANNELS_OK ? err : track_crowd(*set, options->crowd);
}

/* --- The program ---------------------------------------------------------------------------- */

static int serve(channels_endpoint *ep, const struct options *options)
{
    struct ev_loop *loop = EV_DEFAULT;
    channels_ev ev;
    channels_ev_listener listener;
    ev_signal term, intr;
    ev_signal_init(&term, on_stop, SIGTERM);
    ev_signal_init(&intr, on_stop, SIGINT);
    term.data = intr.data = ep;
    ev_signal_start(loop, &term);
    ev_signal_start(loop, &intr);
    int err = channels_ev_start(&ev, loop, ep);
    if (err == 0)
        err = channels_ev_listen(&ev, &listener, "127.0.0.1", (int)options->port, 10000);
    if (err != 0) {
        fprintf(stderr, "fixture: cannot listen on 127.0.0.1:%u: %s\n", options->port,
                strerror(-err));
        return 1;
    }
    nodes_start(options, &ev);
    printf("listening on 127.0.0.1:%d\n", channels_ev_port(&listener));
    fflush(stdout);
    ev_run(loop, 0);
    nodes_stop(options);
    channels_ev_stop(&ev);
    return 0;
}

/* False: something else is asked for than can be had. */
static bool read_options(char **words, struct options *o)
{
    const struct {
        const char *word;
        unsigned *number;
    } numbers[] = { { "--port", &o->port },
                    { "--redis", &o->redis_port },
                    { "--broadcast-ms", &o->broadcast_ms },
                    { "--down-ms", &o->down_ms },
                    { "--crowd", &o->crowd },
                    { "--compress", &o->compress } };
    for (; words[0] != NULL; words += 2) {
        size_t i = 0;
        while (i < sizeof numbers / sizeof *numbers && strcmp(words[0], numbers[i].word) != 0)
            i++;
        if (words[1] == NULL)
            return false;
        if (i < sizeof numbers / sizeof *numbers)
            *numbers[i].number = (unsigned)atoi(words[1]);
        else if (strcmp(words[0], "--node") == 0)
            o->node = words[1];
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = { .port = 4100 };
    channels_endpoint *ep;
    channels_presence *set;
    channels_config config = { .log = on_log,
                               .log_level = CHANNELS_LOG_WARNING,
                               .secret = SECRET SECRET SECRET SECRET };
    (void)argc;
    if (!read_options(argv + 1, &options)) {
        fprintf(stderr,
                "usage: %s [--port N] [--node NAME] [--redis PORT] [--broadcast-ms N]\n"
                "       [--down-ms N] [--crowd N] [--compress LEVEL]\n",
                argv[0]);
        return 2;
    }
    config.node = options.node;
    config.compress_level = (int)options.compress;
    raise_file_limit();
    int err = nodes_new(&options, &config);
    if (err == CHANNELS_OK)
        err = channels_endpoint_new(&ep, &config);
    if (err == CHANNELS_OK)
        err = presence_new(&set, ep, &options);
    if (err == CHANNELS_OK)
        err = mount_all(ep, set, options.compress != 0);
    if (err != CHANNELS_OK) {
        fprintf(stderr, "fixture: %s\n", channels_strerror(err));
        return 1;
    }
    int status = serve(ep, &options);
    channels_presence_free(set, true);
    channels_endpoint_free(ep);
    nodes_free();
    return status;
}
