/* redis.c - the adapter: both connections, what they say to each other, and time.
 *
 * A message on a Redis channel is 8 bytes of the adapter that published it, random, and what the
 * endpoint gave to be carried. Each adapter has a channel of its own, its inbox, to which it sends
 * pings: they carry a number instead. It is UP when the first one has come back, which is behind
 * the answers to all that was subscribed to. */
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis/redis.h"

#define ID 8 /* bytes of an adapter's */
#define INBOX "phx_redis:"
#define MAX_MOVES 5 /* that are followed in a row: Redis Cluster's nodes may not agree */
#define MAX_BYTES ((size_t)512 << 20) /* Redis' own; 0.14 counts in an int */

/* --- Telling -------------------------------------------------------------------------------- */

bool channels__redis_why(channels_redis *redis, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(redis->why, sizeof redis->why, format, args);
    va_end(args);
    for (char *p = redis->why; *p != '\0'; p++) /* it may be Redis' own words */
        if (*p < ' ' || *p > '~')
            *p = '?';
    return false;
}

static void say(channels_redis *redis, channels_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(channels_redis *redis, channels_log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;
    int n = snprintf(text, sizeof text, "Redis %s: ", redis->name);
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    channels_pubsub_log(redis->ep, level, text);
}

/* Since this was asked last. */
static unsigned long long not_sent(channels_redis *redis)
{
    uint64_t n = redis->dropped - redis->dropped_before;
    redis->dropped_before = redis->dropped;
    return n;
}

static void enter(channels_redis *redis, channels_redis_state state, const char *why)
{
    redis->state = state;
    redis->scheduled = false;
    if (redis->options.on_state != NULL)
        redis->options.on_state(redis->options.user, state, why);
}

/* --- Connecting ----------------------------------------------------------------------------- */

static void disconnect(channels_redis *redis)
{
    channels__redis_close(&redis->sub);
    channels__redis_close(&redis->pub);
    channels__redis_forget(redis);
    redis->pings = redis->pongs = redis->asked = redis->answered = 0;
}

static void forget_addresses(channels_redis *redis)
{
    if (redis->addresses != NULL)
        freeaddrinfo(redis->addresses);
    redis->addresses = redis->address = NULL;
}

static void down(channels_redis *redis)
{
    disconnect(redis);
    forget_addresses(redis);
    redis->failures++;
    if (strcmp(redis->why, redis->logged) != 0) { /* once, not with each attempt */
        say(redis, CHANNELS_LOG_WARNING, "%s; other nodes are not reached", redis->why);
        memcpy(redis->logged, redis->why, sizeof redis->logged);
    }
    enter(redis, CHANNELS_REDIS_DOWN, redis->why);
}

/* Asks for all that is wanted, and for the inbox as the last: once that is granted all is. */
static bool subscribe(channels_redis *redis)
{
    const char *args[] = { channels__redis_command_name(redis, "SSUBSCRIBE"), redis->inbox };
    return channels__redis_tell(redis) && (channels__redis_command(&redis->sub, 2, args, NULL) ||
                                           channels__redis_why(redis, "out of memory"));
}

/* To the address in hand, or the first behind it that can be tried. */
static bool connect_on(channels_redis *redis)
{
    redis->scheduled = false;
    for (; redis->address != NULL; redis->address = redis->address->ai_next) {
        if (channels__redis_open(&redis->sub, redis->address) &&
            channels__redis_open(&redis->pub, redis->address) && subscribe(redis))
            return true;
        disconnect(redis);
    }
    return false;
}

static bool look_up(channels_redis *redis)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    char port[8];
    if (redis->host == NULL) {
        redis->address = &redis->unix_address;
        return true;
    }
    snprintf(port, sizeof port, "%u", (unsigned)redis->port);
    int err = getaddrinfo(redis->host, port, &hints, &redis->addresses);
    if (err != 0) {
        redis->addresses = NULL;
        return channels__redis_why(redis, "%s", gai_strerror(err));
    }
    redis->address = redis->addresses;
    return true;
}

static void attempt(channels_redis *redis)
{
    redis->refused = redis->moved = false;
    redis->moves = 0;
    redis->host = redis->options.path != NULL ? NULL : redis->options.host;
    redis->port = redis->options.port;
    enter(redis, CHANNELS_REDIS_CONNECTING, NULL);
    if (!look_up(redis) || !connect_on(redis))
        down(redis);
}

/* To where Redis said that it is. One that was up comes back to where it began. */
static bool follow(channels_redis *redis)
{
    redis->moved = false;
    redis->refused = ++redis->moves > MAX_MOVES;
    if (redis->refused)
        return false;
    forget_addresses(redis);
    return look_up(redis) && connect_on(redis);
}

/* Where nothing was reached there may be another address. */
static bool try_next_address(channels_redis *redis)
{
    redis->address = redis->address->ai_next;
    return connect_on(redis);
}

/* A connection has ended, and `why` says why. */
static void failed(channels_redis *redis)
{
    bool reached = redis->sub.connected || redis->pub.connected;
    disconnect(redis);
    if (redis->state == CHANNELS_REDIS_CONNECTING &&
        ((redis->moved && follow(redis)) ||
         (!reached && redis->address != NULL && try_next_address(redis))))
        return;
    down(redis);
}

static void up(channels_redis *redis)
{
    redis->connects++;
    redis->logged[0] = '\0';
    forget_addresses(redis);
    say(redis, CHANNELS_LOG_INFO, "connected; %llu messages were not sent meanwhile",
        not_sent(redis));
    enter(redis, CHANNELS_REDIS_UP, NULL);
}

/* How long to wait: twice as long each time, each node another time. */
static uint64_t delay(channels_redis *redis)
{
    const channels_redis_options *o = &redis->options;
    uint64_t ms = o->retry_ms;
    uint32_t random = 0;
    for (unsigned i = 1; i < redis->failures && ms < o->retry_max_ms; i++)
        ms *= 2;
    if (ms > o->retry_max_ms || redis->refused)
        ms = o->retry_max_ms;
    (void)RAND_bytes((unsigned char *)&random, sizeof random); /* without, all are as patient */
    return ms - ms / 2 * random / UINT32_MAX;
}

/* --- Publishing ----------------------------------------------------------------------------- */

static void put(char **at, const void *data, size_t len)
{
    if (len != 0)
        memcpy(*at, data, len);
    *at += len;
}

static bool publish(channels_redis *redis, const char *prefix, const char *channel,
                    const void *data, size_t len)
{
    size_t before = strlen(prefix), name = strlen(channel);
    char *bytes = malloc(before + name + ID + len), *at = bytes;
    if (bytes == NULL)
        return false;
    put(&at, prefix, before);
    put(&at, channel, name);
    put(&at, redis->id, ID);
    put(&at, data, len);
    const char *command = channels__redis_command_name(redis, "SPUBLISH");
    const char *args[] = { command, bytes, bytes + before + name };
    const size_t lens[] = { strlen(command), before + name, ID + len };
    bool ok = channels__redis_command(&redis->pub, 3, args, lens);
    free(bytes);
    redis->asked += ok;
    return ok;
}

static bool send_ping(channels_redis *redis)
{
    redis->pings++;
    if (!publish(redis, "", redis->inbox, &redis->pings, sizeof redis->pings))
        return channels__redis_why(redis, "out of memory");
    redis->ping_asked = redis->asked;
    redis->ping_stage = &redis->pub;
    return true;
}

/* The last ping has not come back yet. That may be for all that is before it: first on the one
 * connection, until it is answered there, then on the other. But where it is something has to come.
 * What came while the host was busy elsewhere is seen here. */
static bool still_alive(channels_redis *redis)
{
    if (!channels__redis_read(&redis->pub) || !channels__redis_read(&redis->sub))
        return false;
    const channels__redis_link *stage =
        redis->answered < redis->ping_asked ? &redis->pub : &redis->sub;
    bool alive = redis->pongs == redis->pings || stage != redis->ping_stage || stage->heard;
    redis->ping_stage = stage;
    return alive ||
           channels__redis_why(redis, "no answer for %u ms", (unsigned)redis->options.ping_ms);
}

static bool check(channels_redis *redis)
{
    redis->failures = 0; /* it has been up for some time */
    redis->scheduled = false;
    if (redis->pongs != redis->pings && !still_alive(redis))
        return false;
    redis->sub.heard = redis->pub.heard = false;
    return redis->pongs != redis->pings || send_ping(redis);
}

/* --- What Redis answers --------------------------------------------------------------------- */

static bool unexpected(channels_redis *redis)
{
    return channels__redis_why(redis, "not an answer that Redis would give");
}

static bool publisher_answer(channels_redis *redis, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_INTEGER || redis->answered == redis->asked)
        return unexpected(redis);
    redis->answered++;
    return true;
}

static void on_ping(channels_redis *redis, const redisReply *data)
{
    if (data->len != ID + sizeof redis->pongs || memcmp(data->str, redis->id, ID) != 0)
        return;
    memcpy(&redis->pongs, data->str + ID, sizeof redis->pongs);
    if (redis->state == CHANNELS_REDIS_CONNECTING)
        up(redis);
}

static void on_message(channels_redis *redis, const char *channel, const redisReply *data)
{
    size_t head = data->len < ID ? data->len : ID;
    if (strcmp(channel, redis->inbox) == 0) {
        on_ping(redis, data);
    } else if (head < ID || memcmp(data->str, redis->id, ID) != 0) {
        redis->received++;
        channels_pubsub_deliver(redis->ep, data->str + head, data->len - head);
    }
}

/* Redis Cluster ends subscriptions of a slot that moves. */
static bool on_subscribed(channels_redis *redis, const char *channel, bool on)
{
    if (strcmp(channel, redis->inbox) == 0)
        return on ? send_ping(redis)
                  : channels__redis_why(redis, "Redis has ended the subscription");
    channels__redis_told(redis, channel, on);
    return true;
}

static bool subscriber_answer(channels_redis *redis, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return unexpected(redis);
    const char *what = reply->element[0]->str, *channel = reply->element[1]->str;
    if (channels__redis_is(redis, what, "message") &&
        reply->element[2]->type == REDIS_REPLY_STRING) {
        on_message(redis, channel, reply->element[2]);
        return true;
    }
    bool on = channels__redis_is(redis, what, "subscribe");
    if (!on && !channels__redis_is(redis, what, "unsubscribe"))
        return unexpected(redis);
    return on_subscribed(redis, channel, on);
}

/* --- For the endpoint ----------------------------------------------------------------------- */

static int start(void **self, channels_endpoint *ep)
{
    channels_redis *redis = *self;
    if (redis == NULL || redis->ep != NULL) {
        channels_pubsub_log(ep, CHANNELS_LOG_ERROR,
                            redis == NULL ? "config.pubsub_self has to be a channels_redis"
                                          : "a channels_redis serves one endpoint at a time");
        return CHANNELS_ERR_INVALID;
    }
    redis->ep = ep;
    redis->alarm = 0;
    redis->scheduled = true;
    redis->failures = 0;
    redis->logged[0] = '\0';
    return CHANNELS_OK;
}

/* The last words, if the kernel takes them at once. */
static void stop(void *self)
{
    channels_redis *redis = self;
    (void)channels__redis_flush(&redis->pub);
    disconnect(redis);
    forget_addresses(redis);
    channels__redis_topics_free(redis);
    redis->state = CHANNELS_REDIS_DOWN;
    redis->ep = NULL;
}

/* One message may always wait: it could not be sent otherwise. */
static bool has_room(const channels_redis *redis, size_t len)
{
    size_t queued = channels__redis_queued(&redis->pub), max = redis->options.max_queued;
    return queued == 0 || (queued <= max && len <= max - queued);
}

/* Where a message cannot be sent, that is no failure of who broadcasts: it reached those here, and
 * elsewhere messages may get lost at any time. */
static int broadcast(void *self, const char *topic, const void *data, size_t len)
{
    channels_redis *redis = self;
    bool room = has_room(redis, len);
    if (len > redis->options.max_message)
        return CHANNELS_ERR_LIMIT;
    if (redis->state != CHANNELS_REDIS_UP || !room) {
        redis->full |= redis->state == CHANNELS_REDIS_UP;
        redis->dropped++;
        return CHANNELS_OK;
    }
    if (!publish(redis, redis->options.prefix, topic, data, len)) {
        redis->dropped++;
        return CHANNELS_ERR_NOMEM;
    }
    redis->published++;
    return CHANNELS_OK;
}

static void interest(void *self, const char *topic, bool on)
{
    channels_redis *redis = self;
    if (!channels__redis_interest(redis, topic, on))
        redis->deaf = true;
}

/* Too much waited; that has been said, and half of it has left. */
static bool has_room_again(const channels_redis *redis)
{
    return redis->full_logged &&
           channels__redis_queued(&redis->pub) <= redis->options.max_queued / 2;
}

static bool has_to_say(const channels_redis *redis)
{
    return redis->deaf || redis->full != redis->full_logged || has_room_again(redis);
}

/* What could not be said when it happened. */
static void say_rest(channels_redis *redis)
{
    if (redis->deaf)
        say(redis, CHANNELS_LOG_ERROR, "out of memory: a topic is not heard from other nodes");
    redis->deaf = false;
    if (redis->full && !redis->full_logged)
        say(redis, CHANNELS_LOG_WARNING, "more than %zu bytes wait: other nodes are not reached",
            redis->options.max_queued);
    redis->full_logged = redis->full;
    if (!has_room_again(redis))
        return;
    redis->full = redis->full_logged = false;
    if (redis->state == CHANNELS_REDIS_UP) /* else there will be another line */
        say(redis, CHANNELS_LOG_INFO, "takes messages again; %llu were not sent meanwhile",
            not_sent(redis));
}

static bool on_alarm(channels_redis *redis)
{
    unsigned ms = (unsigned)redis->options.connect_ms;
    switch (redis->state) {
    case CHANNELS_REDIS_DOWN: attempt(redis); return true;
    case CHANNELS_REDIS_UP: return check(redis);
    default:
        return redis->watch != NULL ? channels__redis_why(redis, "no answer within %u ms", ms)
                                    : channels__redis_why(redis,
                                                          "no loop watches it: there was no "
                                                          "channels_redis_on_watch() within %u ms",
                                                          ms);
    }
}

/* What has been written since it ran last leaves in one piece. */
static bool turn(channels_redis *redis)
{
    if (redis->now >= redis->alarm && !on_alarm(redis))
        return false;
    return redis->sub.context == NULL ||
           (channels__redis_tell(redis) && channels__redis_flush(&redis->sub) &&
            channels__redis_flush(&redis->pub));
}

/* Only here, where it is known what time it is. */
static void schedule(channels_redis *redis)
{
    const channels_redis_options *o = &redis->options;
    if (redis->scheduled)
        return;
    switch (redis->state) {
    case CHANNELS_REDIS_DOWN: redis->alarm = redis->now + delay(redis); break;
    case CHANNELS_REDIS_UP: redis->alarm = redis->now + o->ping_ms; break;
    default: redis->alarm = redis->now + o->connect_ms; break;
    }
    redis->scheduled = true;
}

static void run(void *self, uint64_t now)
{
    channels_redis *redis = self;
    redis->now = now;
    schedule(redis);
    if (!turn(redis))
        failed(redis);
    schedule(redis);
    channels__redis_watch(&redis->sub);
    channels__redis_watch(&redis->pub);
    say_rest(redis);
}

static uint64_t due(void *self)
{
    const channels_redis *redis = self;
    bool to_tell = redis->sub.context != NULL &&
                   (redis->topics.changed[0] != NULL || redis->topics.changed[1] != NULL);
    if (!redis->scheduled || to_tell || has_to_say(redis) ||
        channels__redis_can_write(&redis->sub) || channels__redis_can_write(&redis->pub))
        return 0;
    return redis->alarm;
}

static const channels_pubsub_adapter adapter = { .name = "redis",
                                                 .start = start,
                                                 .stop = stop,
                                                 .broadcast = broadcast,
                                                 .interest = interest,
                                                 .run = run,
                                                 .due = due };

const channels_pubsub_adapter *channels_redis_adapter(void)
{
    return &adapter;
}

/* --- For the loop --------------------------------------------------------------------------- */

void channels_redis_on_watch(channels_redis *redis,
                             void (*watch)(void *arg, int fd, unsigned events), void *arg)
{
    channels__redis_link *links[] = { &redis->sub, &redis->pub };
    for (int i = 0; i < 2; i++) {
        if (links[i]->watched != 0)
            redis->watch(redis->watch_arg, channels__redis_fd(links[i]), 0);
        links[i]->watched = 0;
    }
    redis->watch = watch;
    redis->watch_arg = arg;
    for (int i = 0; i < 2; i++)
        channels__redis_watch(links[i]);
}

void channels_redis_ready(channels_redis *redis, int fd, unsigned events)
{
    channels__redis_link *link = fd == channels__redis_fd(&redis->sub) ? &redis->sub : &redis->pub;
    if (fd < 0 || fd != channels__redis_fd(link)) /* it was closed meanwhile */
        return;
    if (!channels__redis_on_events(link, events))
        failed(redis);
    channels__redis_watch(link);
}

/* --- For the host --------------------------------------------------------------------------- */

static bool copy(channels_redis *redis, int i, const char **s, const char *otherwise)
{
    if (*s == NULL)
        *s = otherwise;
    if (*s == NULL)
        return true;
    redis->strings[i] = strdup(*s);
    *s = redis->strings[i];
    return *s != NULL;
}

static bool copy_strings(channels_redis *redis)
{
    channels_redis_options *o = &redis->options;
    return copy(redis, 0, &o->host, "127.0.0.1") && copy(redis, 1, &o->path, NULL) &&
           copy(redis, 2, &o->username, NULL) && copy(redis, 3, &o->password, NULL) &&
           copy(redis, 4, &o->prefix, "channels:") && copy(redis, 5, &o->tls_ca, NULL) &&
           copy(redis, 6, &o->tls_cert, NULL) && copy(redis, 7, &o->tls_key, NULL) &&
           copy(redis, 8, &o->tls_name, NULL);
}

static void fill_in(channels_redis_options *o)
{
    o->port = o->port != 0 ? o->port : 6379;
    o->max_queued = o->max_queued != 0 ? o->max_queued : 16u << 20;
    o->max_message = o->max_message != 0 ? o->max_message : 64u << 20;
    o->connect_ms = o->connect_ms != 0 ? o->connect_ms : 5000;
    o->retry_ms = o->retry_ms != 0 ? o->retry_ms : 100;
    o->retry_max_ms = o->retry_max_ms != 0 ? o->retry_max_ms : 10000;
    o->ping_ms = o->ping_ms != 0 ? o->ping_ms : 10000;
}

/* Where it connects, as an address and for people. */
static void set_address(channels_redis *redis)
{
    const channels_redis_options *o = &redis->options;
    if (o->path == NULL) {
        snprintf(redis->name, sizeof redis->name, "%s:%u", o->host, (unsigned)o->port);
        return;
    }
    snprintf(redis->name, sizeof redis->name, "%s", o->path);
    redis->unix_path.sun_family = AF_UNIX;
    strcpy(redis->unix_path.sun_path, o->path);
    redis->unix_address.ai_family = AF_UNIX;
    redis->unix_address.ai_socktype = SOCK_STREAM;
    redis->unix_address.ai_addr = (struct sockaddr *)&redis->unix_path;
    redis->unix_address.ai_addrlen = sizeof redis->unix_path;
}

/* Makes it a hash tag. */
static bool set_prefix(channels_redis *redis)
{
    const char *prefix = redis->options.prefix;
    size_t size = strlen(prefix) + 3;
    char *tag = redis->options.sharded ? malloc(size) : redis->strings[4];
    if (tag == NULL)
        return false;
    if (redis->options.sharded) {
        snprintf(tag, size, "{%s}", prefix);
        free(redis->strings[4]);
    }
    redis->options.prefix = redis->strings[4] = tag;
    redis->prefix_len = strlen(tag);
    return true;
}

static bool set_inbox(channels_redis *redis)
{
    if (RAND_bytes(redis->id, ID) != 1)
        return false;
    redis->inbox = malloc(redis->prefix_len + sizeof INBOX + 2 * ID);
    if (redis->inbox == NULL)
        return false;
    char *at = redis->inbox + sprintf(redis->inbox, "%s%s", redis->options.prefix, INBOX);
    for (int i = 0; i < ID; i++)
        at += sprintf(at, "%02x", redis->id[i]);
    return true;
}

/* What asks for TLS, and would do without, is not meant so. */
static bool tls_is_usable(const channels_redis_options *o)
{
    bool any =
        o->tls_ca != NULL || o->tls_cert != NULL || o->tls_key != NULL || o->tls_name != NULL;
    return o->tls ? o->path == NULL && (o->tls_cert != NULL) == (o->tls_key != NULL) : !any;
}

/* Redis ends a hash tag at the first brace, and takes none that is empty. */
static bool prefix_is_usable(const channels_redis_options *o)
{
    return !o->sharded || o->prefix == NULL || (o->prefix[0] != '\0' && o->prefix[0] != '}');
}

static bool usable(const channels_redis_options *o)
{
    struct sockaddr_un address;
    return (o->path == NULL || strlen(o->path) < sizeof address.sun_path) &&
           (o->username == NULL || o->password != NULL) && o->max_queued <= MAX_BYTES &&
           o->max_message <= MAX_BYTES && tls_is_usable(o) && prefix_is_usable(o);
}

int channels_redis_new(channels_redis **result, const channels_redis_options *options)
{
    static const channels_redis_options none;
    *result = NULL;
    if (options == NULL)
        options = &none;
    if (!usable(options))
        return CHANNELS_ERR_INVALID;
    if (options->tls && !channels__redis_has_tls())
        return CHANNELS_ERR_UNSUPPORTED;
    channels_redis *redis = calloc(1, sizeof *redis);
    if (redis == NULL)
        return CHANNELS_ERR_NOMEM;
    redis->options = *options;
    redis->state = CHANNELS_REDIS_DOWN;
    redis->sub.redis = redis->pub.redis = redis;
    redis->sub.answer = subscriber_answer;
    redis->pub.answer = publisher_answer;
    fill_in(&redis->options);
    if (!copy_strings(redis) || !set_prefix(redis) || !set_inbox(redis)) {
        channels_redis_free(redis);
        return CHANNELS_ERR_NOMEM;
    }
    set_address(redis);
    *result = redis;
    return CHANNELS_OK;
}

void channels_redis_free(channels_redis *redis)
{
    if (redis == NULL)
        return;
    if (redis->ep != NULL) {
        channels_pubsub_log(redis->ep, CHANNELS_LOG_ERROR,
                            "channels_redis_free: its endpoint has to be freed before");
        return;
    }
    for (size_t i = 0; i < sizeof redis->strings / sizeof *redis->strings; i++)
        free(redis->strings[i]);
    free(redis->inbox);
    free(redis);
}

void channels_redis_get_info(const channels_redis *redis, channels_redis_info *info)
{
    memset(info, 0, sizeof *info);
    info->state = redis->state;
    info->published = redis->published;
    info->received = redis->received;
    info->dropped = redis->dropped;
    info->connects = redis->connects;
    info->queued = channels__redis_queued(&redis->pub) + channels__redis_queued(&redis->sub);
    info->channels = redis->topics.subscribed;
}
