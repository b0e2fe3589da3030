/* server.c - see soak.h. What its rooms do is chosen by the event's name. */
#include <cjson/cJSON.h>

#include <channels/adapters/libev.h>
#include <channels/pubsub.h>

#include "soak/soak.h"

soak_server soak_served;
static channels_endpoint *endpoint;
static channels_ev adapter;
static channels_ev_listener listener;
static uint64_t numbers[SOAK_ROOMS]; /* of each room's last broadcast */

/* --- The endpoint's memory ------------------------------------------------------------------ */

static void *on_realloc(void *user, void *p, size_t old_size, size_t new_size)
{
    (void)user;
    soak_served.bytes += new_size - old_size;
    if (new_size == 0) {
        soak_served.blocks -= p != NULL;
        free(p);
        return NULL;
    }
    soak_served.blocks += p == NULL;
    return realloc(p, new_size);
}

static void on_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    if (strstr(text, "failed") == NULL)
        soak_fail("the server logged: %s", text);
}

/* --- Rooms ---------------------------------------------------------------------------------- */

static uint64_t *number_of(const char *topic)
{
    return &numbers[atoi(topic + strlen("room:")) % SOAK_ROOMS];
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    char text[64];
    (void)user;
    soak_served.channels++;
    soak_served.joins++;
    snprintf(text, sizeof text, "{\"n\":%llu}", (unsigned long long)*number_of(msg->topic));
    return channels_reply(ch, "ok", channels_json(text));
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    (void)ch, (void)why, (void)user;
    soak_served.channels--;
}

static int shout(channels_channel *ch, const channels_msg *msg)
{
    char text[64];
    snprintf(text, sizeof text, "{\"n\":%llu}", (unsigned long long)++*number_of(msg->topic));
    soak_served.shouts++;
    int err = channels_broadcast(ch, "shout", channels_json(text));
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", msg->payload);
}

static int later(channels_channel *ch)
{
    channels_ref *ref = (channels_ref *)soak_alloc(sizeof *ref);
    int err = channels_later(ch, ref);
    if (err == CHANNELS_OK)
        err = channels_info_after(ch, soak_random(100), ref, free, NULL);
    if (err != CHANNELS_OK)
        free(ref);
    return err;
}

static int on_event(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    soak_served.events++;
    switch (msg->event[0]) {
    case 's': return shout(ch, msg);
    case 'l': return later(ch);
    case 'q': return CHANNELS_STOP;
    case 'f': return CHANNELS_ERR_INVALID;
    default: return channels_reply(ch, "ok", msg->payload);
    }
}

static int on_info(channels_channel *ch, void *info, void *user)
{
    channels_ref *ref = info;
    channels_endpoint *ep = channels_channel_endpoint(ch);
    (void)user;
    int err = channels_ref_reply(ep, *ref, "ok", channels_empty());
    channels_ref_drop(ep, *ref);
    free(ref);
    return err;
}

/* --- Clients -------------------------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    char id[32];
    (void)user;
    if (channels_request_param(req, "id", id, sizeof id) < 0)
        return CHANNELS_REFUSE;
    int err = channels_socket_set_id(s, id);
    soak_served.sockets += err == CHANNELS_OK;
    return err;
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    (void)s, (void)user;
    soak_served.sockets--;
    soak_served.disconnects += why == CHANNELS_DISCONNECTED;
}

static const channels_handler room = {
    .join = on_join, .handle_in = on_event, .handle_info = on_info, .terminate = on_terminate
};
static const channels_route routes[] = { { "room:*", &room, NULL }, { 0 } };
static const channels_socket_handler handler = { .routes = routes,
                                                 .connect = on_connect,
                                                 .disconnect = on_disconnect };

int soak_server_start(struct ev_loop *loop, double window)
{
    channels_config config = { .realloc = on_realloc,
                               .log = on_log,
                               .log_level = CHANNELS_LOG_ERROR,
                               /* A connection that is kept may not be cut while its client
                                * makes use of it again. */
                               .http_timeout_ms = 600000 };
    channels_mount_options options = { .max_queued = 200000,
                                       .longpoll = { .on = true,
                                                     .window_ms = (uint32_t)(window * 1000) } };
    if (channels_endpoint_new(&endpoint, &config) != CHANNELS_OK ||
        channels_mount(endpoint, "/socket", &handler, &options, NULL) != CHANNELS_OK ||
        channels_ev_start(&adapter, loop, endpoint) != 0 ||
        channels_ev_listen(&adapter, &listener, "127.0.0.1", 0, 4096) != 0)
        soak_fail("the server does not start");
    return channels_ev_port(&listener);
}

void soak_server_stop(void)
{
    channels_ev_stop(&adapter);
    channels_endpoint_free(endpoint);
}

channels_endpoint *soak_server_endpoint(void)
{
    return endpoint;
}
