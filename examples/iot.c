/* iot.c - how do I reach one of many devices, and know what each one said last?
 *
 * A device connects as ?device=ID, which makes "device:ID" its socket's id, and joins "device":
 *     value    {...}                    what it measured: an object
 *     command  {device, ...}            is what it hears
 * An operator joins "fleet" for {devices: {ID: online}} and the events online and offline {device},
 * and "value:ID" for the last value and the event value. On "fleet" it may push
 *     command     {device, ...}         to that device alone
 *     disconnect  {device}
 * In earnest both would show a token: see auth_later.c.
 *
 *     make demo-iot
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0&device=d1'
 *     > ["1","1","device","phx_join",{}]
 *     > ["1","2","device","value",{"celsius":21.5}] */
#define _XOPEN_SOURCE 700 /* POSIX 2008, and its <search.h> */

#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/pubsub.h>

#define MAX_DEVICES 10000 /* none is forgotten */
#define MAX_MESSAGE 4096

/* --- The devices ---------------------------------------------------------------------------- */

struct device {
    char id[33];
    unsigned online; /* its channels: it may be back before its old connection is noticed dead */
    char *value;     /* the last one, as it came; NULL if there is none */
    size_t len;
    struct device *next;
};

struct fleet {
    channels_endpoint *ep;
    void *by_id; /* a tree of tsearch() */
    struct device *all;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct device *)a)->id, ((const struct device *)b)->id);
}

/* So that it stands in JSON and in topics as it is. */
static bool is_id(const char *id)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = id != NULL ? strlen(id) : 0;
    return len > 0 && len < sizeof((struct device *)0)->id && strspn(id, letters) == len;
}

static struct device *device_find(struct fleet *fleet, const char *id)
{
    struct device key;
    if (!is_id(id))
        return NULL;
    strcpy(key.id, id);
    struct device **found = tfind(&key, &fleet->by_id, compare);
    return found != NULL ? *found : NULL;
}

/* NULL if memory or room ran out. */
static struct device *device_add(struct fleet *fleet, const char *id)
{
    struct device *device = fleet->count < MAX_DEVICES ? calloc(1, sizeof *device) : NULL;
    if (device == NULL)
        return NULL;
    strcpy(device->id, id);
    if (tsearch(device, &fleet->by_id, compare) == NULL) {
        free(device);
        return NULL;
    }
    device->next = fleet->all;
    fleet->all = device;
    fleet->count++;
    return device;
}

static void fleet_free(struct fleet *fleet)
{
    for (struct device *device = fleet->all, *next; device != NULL; device = next) {
        next = device->next;
        tdelete(device, &fleet->by_id, compare);
        free(device->value);
        free(device);
    }
}

/* --- What a device does --------------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    char id[40], socket_id[48];
    (void)user;
    if (channels_request_param(req, "device", id, sizeof id) < 0)
        return CHANNELS_OK; /* an operator */
    snprintf(socket_id, sizeof socket_id, "device:%s", id);
    return is_id(id) ? channels_socket_set_id(s, socket_id) : CHANNELS_REFUSE;
}

static int tell_fleet(struct fleet *fleet, const char *event, const struct device *device)
{
    char json[64];
    snprintf(json, sizeof json, "{\"device\":\"%s\"}", device->id);
    return channels_pubsub_broadcast(fleet->ep, "fleet", event, channels_json(json));
}

/* What is broadcast to the socket's id arrives in device_broadcast(). No client can join such a
 * topic: routes[] has none. */
static int device_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    struct fleet *fleet = user;
    struct device **device = channels_assigns(ch);
    const char *socket_id = channels_socket_id(channels_channel_socket(ch));
    (void)msg;
    if (socket_id == NULL)
        return CHANNELS_REFUSE;
    const char *id = socket_id + strlen("device:");
    *device = device_find(fleet, id);
    if (*device == NULL && (*device = device_add(fleet, id)) == NULL)
        return CHANNELS_ERR_NOMEM;
    int err = channels_subscribe(ch, socket_id);
    if (err == CHANNELS_OK)
        (*device)->online++; /* what terminate() takes back: it follows every OK of join() */
    return err;
}

static int device_joined(channels_channel *ch, void *user)
{
    const struct device *device = *(struct device **)channels_assigns(ch);
    return device->online == 1 ? tell_fleet(user, "online", device) : CHANNELS_OK;
}

static int device_broadcast(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return channels_push(ch, msg->event, msg->payload);
}

static int device_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    struct fleet *fleet = user;
    struct device *device = *(struct device **)channels_assigns(ch);
    char topic[48], *value;
    if (!cJSON_IsObject(channels_msg_json(msg)))
        return channels_reply(ch, "error", channels_json("{\"reason\":\"not an object\"}"));
    value = malloc(msg->payload.len);
    if (value == NULL)
        return CHANNELS_ERR_NOMEM;
    memcpy(value, msg->payload.data, msg->payload.len);
    free(device->value);
    device->value = value;
    device->len = msg->payload.len;
    snprintf(topic, sizeof topic, "value:%s", device->id);
    int err = channels_pubsub_broadcast(fleet->ep, topic, "value", msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

static void device_terminate(channels_channel *ch, channels_reason why, void *user)
{
    struct device *device = *(struct device **)channels_assigns(ch);
    (void)why;
    if (--device->online == 0)
        tell_fleet(user, "offline", device);
}

/* --- What an operator does ------------------------------------------------------------------ */

static int value_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    const struct device *device = device_find(user, msg->topic + strlen("value:"));
    if (device != NULL && device->value != NULL)
        return channels_reply(ch, "ok", channels_json_n(device->value, device->len));
    return CHANNELS_OK;
}

static int fleet_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    const struct fleet *fleet = user;
    char *json;
    size_t len;
    FILE *f = open_memstream(&json, &len);
    (void)msg;
    if (f == NULL)
        return CHANNELS_ERR_NOMEM;
    fputs("{\"devices\":{", f);
    for (const struct device *device = fleet->all; device != NULL; device = device->next)
        fprintf(f, "\"%s\":%s%s", device->id, device->online != 0 ? "true" : "false",
                device->next != NULL ? "," : "");
    fputs("}}", f);
    int err = fclose(f) == 0 ? channels_reply(ch, "ok", channels_json_n(json, len))
                             : CHANNELS_ERR_NOMEM;
    free(json);
    return err;
}

static int fleet_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    struct fleet *fleet = user;
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), "device");
    struct device *device = device_find(fleet, cJSON_GetStringValue(id));
    char socket_id[48];
    if (device == NULL || device->online == 0)
        return channels_reply(ch, "error", channels_json("{\"reason\":\"offline\"}"));
    snprintf(socket_id, sizeof socket_id, "device:%s", device->id);
    int err = strcmp(msg->event, "disconnect") == 0
                  ? channels_disconnect(fleet->ep, socket_id)
                  : channels_pubsub_broadcast(fleet->ep, socket_id, "command", msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

/* --- main ----------------------------------------------------------------------------------- */

static const channels_handler device_handler = {
    .assigns_size = sizeof(struct device *),
    .join = device_join,
    .joined = device_joined,
    .handle_in = device_in,
    .handle_broadcast = device_broadcast,
    .terminate = device_terminate,
};
static const channels_handler value_handler = { .join = value_join };
static const channels_handler fleet_handler = { .join = fleet_join, .handle_in = fleet_in };
static const channels_route routes[] = {
    { .pattern = "device", .handler = &device_handler },
    { .pattern = "value:*", .handler = &value_handler },
    { .pattern = "fleet", .handler = &fleet_handler },
    { .pattern = NULL },
};
static const channels_socket_handler clients = { .routes = routes, .connect = on_connect };

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

static void stop(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    const channels_config config = { .log = print_log, .log_level = CHANNELS_LOG_WARNING };
    const channels_mount_options options = { .websocket.max_message = MAX_MESSAGE };
    struct fleet fleet = { .count = 0 };
    channels_ev ev;
    channels_ev_listener listener;
    ev_signal interrupt, terminate;
    if (channels_endpoint_new(&fleet.ep, &config) != CHANNELS_OK ||
        channels_mount(fleet.ep, "/socket", &clients, &options, &fleet) != CHANNELS_OK ||
        channels_ev_start(&ev, loop, fleet.ep) != 0 ||
        channels_ev_listen(&ev, &listener, "127.0.0.1", argc > 1 ? atoi(argv[1]) : 4000, 0) != 0)
        return EXIT_FAILURE;
    ev_signal_init(&interrupt, stop, SIGINT);
    ev_signal_start(loop, &interrupt);
    ev_signal_init(&terminate, stop, SIGTERM);
    ev_signal_start(loop, &terminate);
    printf("listening on 127.0.0.1:%d\n", channels_ev_port(&listener));
    fflush(stdout);
    ev_run(loop, 0);
    channels_ev_stop(&ev);
    channels_endpoint_free(fleet.ep);
    fleet_free(&fleet);
    return EXIT_SUCCESS;
}
