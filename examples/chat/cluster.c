/* cluster.c - several servers as one chat, joined by Redis. All that there is to do is to give the
 * endpoint an adapter: rooms, presence and what the nodes tell each other go over it. */
#include <stdlib.h>
#include <string.h>

#include "chat.h"

#ifdef CHAT_REDIS
#include <channels/adapters/libev_redis.h>
#include <channels/redis.h>

struct cluster {
    channels_redis *redis;
    channels_ev_redis watchers;
    bool lost; /* the operator has been told so */
};

/* The chat goes on without Redis, each node for itself. */
static void tell_state(void *user, channels_redis_state state, const char *why)
{
    struct cluster *cluster = user;
    if (state == CHANNELS_REDIS_DOWN && !cluster->lost)
        complain("Redis is not there, it is tried again", why != NULL ? why : "lost");
    else if (state == CHANNELS_REDIS_UP && cluster->lost)
        complain("Redis", "is back");
    if (state != CHANNELS_REDIS_CONNECTING)
        cluster->lost = state == CHANNELS_REDIS_DOWN;
}

/* HOST, HOST:PORT or the path of a socket. */
static bool read_address(channels_redis_options *options, char *address)
{
    char *colon = strrchr(address, ':');
    if (strchr(address, '/') != NULL) {
        options->path = address;
        return true;
    }
    options->host = address;
    if (colon != NULL) {
        int port = atoi(colon + 1);
        *colon = '\0';
        options->port = (uint16_t)port;
        return port > 0 && port <= 65535;
    }
    return true;
}

bool cluster_open(struct chat *chat, channels_config *config)
{
    char address[256];
    channels_redis_options options = { .on_state = tell_state };
    if (chat->redis == NULL)
        return true;
    if (strlen(chat->redis) >= sizeof address ||
        !read_address(&options, strcpy(address, chat->redis))) {
        complain(chat->redis, "--redis takes HOST:PORT or the path of a socket");
        return false;
    }
    struct cluster *cluster = chat->cluster = options.user = calloc(1, sizeof *cluster);
    int err = cluster != NULL ? channels_redis_new(&cluster->redis, &options) : CHANNELS_ERR_NOMEM;
    if (err != CHANNELS_OK) {
        complain(chat->redis, channels_strerror(err));
        return false;
    }
    config->pubsub = channels_redis_adapter();
    config->pubsub_self = cluster->redis;
    return true;
}

void cluster_start(struct chat *chat, channels_ev *ev)
{
    struct cluster *cluster = chat->cluster;
    if (cluster != NULL)
        channels_ev_redis_start(&cluster->watchers, ev, cluster->redis);
}

void cluster_stop(struct chat *chat)
{
    if (chat->cluster != NULL)
        channels_ev_redis_stop(&chat->cluster->watchers);
}

void cluster_close(struct chat *chat)
{
    if (chat->cluster != NULL)
        channels_redis_free(chat->cluster->redis);
    free(chat->cluster);
}

#else

bool cluster_open(struct chat *chat, channels_config *config)
{
    (void)config;
    if (chat->redis != NULL)
        complain("--redis", "this chat was built without libchannels-redis, which needs hiredis");
    return chat->redis == NULL;
}

void cluster_start(struct chat *chat, channels_ev *ev)
{
    (void)chat, (void)ev;
}

void cluster_stop(struct chat *chat)
{
    (void)chat;
}

void cluster_close(struct chat *chat)
{
    (void)chat;
}

#endif
