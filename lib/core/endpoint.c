/* endpoint.c - everything of one thread: entering and leaving, time, work from other threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/crypto.h"
#include "channels/token.h"
#include "core/core.h"
#include "wire/longpoll_token.h"
#include "wire/utf8.h"

const char *channels_strerror(int err)
{
    switch (err) {
    case CHANNELS_OK: return "success";
    case CHANNELS_ERR_NOMEM: return "out of memory";
    case CHANNELS_ERR_INVALID: return "an argument cannot be used";
    case CHANNELS_ERR_PROTOCOL: return "the peer broke the protocol";
    case CHANNELS_ERR_CLOSED: return "the channel, client or request is gone";
    case CHANNELS_ERR_LIMIT: return "a configured limit would be passed";
    case CHANNELS_ERR_MISUSE: return "called on the wrong thread or from inside a callback";
    case CHANNELS_ERR_UNSUPPORTED: return "not built in";
    case CHANNELS_TOKEN_MISSING: return "there is no token";
    case CHANNELS_TOKEN_INVALID: return "the token is not genuine";
    case CHANNELS_TOKEN_EXPIRED: return "the token is too old";
    default: return err > 0 ? "success" : "unknown error";
    }
}

/* --- Defaults of the config --------------------------------------------------------------- */

static uint64_t default_now_ms(void *user)
{
    struct timespec ts;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t default_now_ns(void *user)
{
    struct timespec ts;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int default_random(void *user, void *dst, size_t len)
{
    (void)user;
    return channels__random(dst, len);
}

static const char *const default_filter[] = { "password", "token", NULL };
static const channels_telemetry no_telemetry;

static void complete(channels_config *c)
{
    if (c->hooks == NULL)
        c->hooks = c->user;
    if (c->realloc == NULL)
        c->realloc = channels__malloc;
    if (c->now_ms == NULL)
        c->now_ms = default_now_ms;
    if (c->now_ns == NULL)
        c->now_ns = default_now_ns;
    if (c->log_level == CHANNELS_LOG_DEFAULT)
        c->log_level = CHANNELS_LOG_INFO;
    if (c->log_filter == NULL)
        c->log_filter = default_filter;
    if (c->telemetry == NULL)
        c->telemetry = &no_telemetry;
    if (c->random == NULL)
        c->random = default_random;
    if (c->host == NULL)
        c->host = "localhost";
    if (c->max_http_head == 0)
        c->max_http_head = 16384;
    if (c->max_http_body == 0)
        c->max_http_body = 65536;
    if (c->http_timeout_ms == 0)
        c->http_timeout_ms = 10000;
    if (c->linger_ms == 0)
        c->linger_ms = 2000;
    if (c->compress_min == 0)
        c->compress_min = 256;
    if (c->compress_level == 0)
        c->compress_level = 6;
}

/* --- Entering and leaving ----------------------------------------------------------------- */

static uintptr_t this_thread(void)
{
    return (uintptr_t)pthread_self();
}

bool channels__on_thread(const channels_endpoint *ep)
{
    return atomic_load_explicit(&ep->owner, memory_order_relaxed) == this_thread();
}

void channels_endpoint_adopt(channels_endpoint *ep)
{
    atomic_store_explicit(&ep->owner, this_thread(), memory_order_relaxed);
}

bool channels__enter(channels_endpoint *ep, const char *call)
{
    if (!channels__on_thread(ep)) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "%s: called on a thread that does not own the endpoint; use channels_post()",
                      call);
        return false;
    }
    if (ep->depth++ == 0)
        ep->now = ep->config.now_ms(ep->config.hooks);
    return true;
}

static void bury_channels(channels_endpoint *ep)
{
    channels_channel **at = &ep->dead_channels;
    while (*at != NULL) {
        channels_channel *ch = *at;
        if (ch->pins != 0) {
            at = &ch->next;
            continue;
        }
        *at = ch->next;
        channels__topic_put(&ep->topics, ch->topic);
        channels__free(&ep->mem, ch->aside, sizeof *ch->aside);
        channels__free(&ep->mem, ch, ch->size);
    }
}

static void bury_sockets(channels_endpoint *ep)
{
    channels_socket *s;
    while ((s = channels__sockets_shift(&ep->grave)) != NULL)
        channels__socket_free(s);
}

/* What has ended is freed when the host's loop calls in again: before that, a function of the
 * host's may still hold a handle which channels_ref_channel() gave it. */
static void bury(channels_endpoint *ep)
{
    if (ep->dead_channels != NULL)
        bury_channels(ep);
    if (ep->dead_channels == NULL) /* one that is still pinned points to its socket */
        bury_sockets(ep);
}

bool channels__enter_outermost(channels_endpoint *ep, const char *call)
{
    if (!channels__enter(ep, call))
        return false;
    if (ep->depth == 1) {
        bury(ep);
        return true;
    }
    ep->depth--;
    channels__log(ep, CHANNELS_LOG_ERROR, "%s: may not be called from inside a callback", call);
    return false;
}

static void end_doomed(channels_endpoint *ep)
{
    channels_socket *s;
    while ((s = channels__sockets_shift(&ep->doomed)) != NULL)
        channels__socket_end(s);
}

/* Only as many as there were: work that makes work cannot keep the host's loop from turning. What
 * is left goes on before the next message, or with the next channels_endpoint_run(). */
void channels__settle(channels_endpoint *ep)
{
    size_t n = ep->queue.count;
    end_doomed(ep);
    for (; n != 0 && ep->queue.count != 0; n--) {
        channels__work work = channels__queue_shift(&ep->queue);
        channels__channel_work(ep, &work);
        end_doomed(ep);
    }
}

/* What services do at the end of a turn may make work, once; what comes of that is for the next. */
void channels__leave(channels_endpoint *ep)
{
    if (ep->depth == 1) {
        channels__settle(ep);
        if (ep->unsettled) {
            channels__services_end_turn(ep);
            channels__settle(ep);
        }
    }
    ep->depth--;
}

/* --- Posted work -------------------------------------------------------------------------- */

/* The lock is for hosts that take the wake function away, as adapters do when they stop, while
 * other threads have reason to call it: a hub's endpoints always do. */
void channels__wake(channels_endpoint *ep)
{
    pthread_mutex_lock(&ep->wake_lock);
    if (ep->wake != NULL)
        ep->wake(ep->wake_arg);
    pthread_mutex_unlock(&ep->wake_lock);
}

int channels__post(channels_endpoint *ep, channels__letter *letter)
{
    if (channels__mailbox_post(&ep->mailbox, letter))
        channels__wake(ep);
    return CHANNELS_OK;
}

typedef struct call {
    channels__letter letter;
    void (*fn)(channels_endpoint *ep, void *arg);
    void (*drop)(void *arg);
    void *arg;
} call;

static void run_call(void *self, channels__letter *letter)
{
    call *c = (call *)letter;
    c->fn(self, c->arg);
    free(c);
}

static void drop_call(channels__letter *letter)
{
    call *c = (call *)letter;
    if (c->drop != NULL)
        c->drop(c->arg);
    free(c);
}

int channels_post(channels_endpoint *ep, void (*fn)(channels_endpoint *ep, void *arg), void *arg,
                  void (*drop)(void *arg))
{
    if (fn == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_post: no function given");
        return CHANNELS_ERR_INVALID;
    }
    call *c = malloc(sizeof *c);
    if (c == NULL)
        return CHANNELS_ERR_NOMEM;
    c->letter.run = run_call;
    c->letter.drop = drop_call;
    c->fn = fn;
    c->arg = arg;
    c->drop = drop;
    return channels__post(ep, &c->letter);
}

void channels_endpoint_on_wake(channels_endpoint *ep, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&ep->wake_lock);
    ep->wake = wake;
    ep->wake_arg = arg;
    pthread_mutex_unlock(&ep->wake_lock);
}

/* --- Running ------------------------------------------------------------------------------ */

void channels__add_alarms(channels_endpoint *ep, channels__alarms *alarms, uint32_t ms,
                          void (*expired)(channels__alarm *alarm))
{
    channels__list_init(&alarms->list);
    alarms->ms = ms;
    alarms->expired = expired;
    alarms->next = ep->alarms;
    ep->alarms = alarms;
}

static void ring_alarms(channels_endpoint *ep)
{
    for (channels__alarms *a = ep->alarms; a != NULL; a = a->next)
        while (channels__alarms_due(a) <= ep->now) {
            channels__alarm *due = CHANNELS__OF(a->list.next, channels__alarm, link);
            channels__alarm_stop(due);
            a->expired(due);
            channels__settle(ep);
        }
}

static void fire_timers(channels_endpoint *ep)
{
    channels__heap_node *top;
    while ((top = channels__heap_top(&ep->timers)) != NULL && top->due <= ep->now) {
        channels__channel_fire(CHANNELS__OF(top, channels__timer, node));
        channels__settle(ep);
    }
}

static void read_mail(channels_endpoint *ep)
{
    channels__letter *letter = channels__mailbox_take(&ep->mailbox);
    while (letter != NULL) {
        channels__letter *next = letter->next;
        letter->run(ep, letter);
        channels__settle(ep);
        letter = next;
    }
}

void channels_endpoint_run(channels_endpoint *ep)
{
    if (!channels__enter_outermost(ep, "channels_endpoint_run"))
        return;
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    channels__settle(ep);
    if (adapter != NULL && adapter->run != NULL)
        adapter->run(ep->config.pubsub_self, ep->now);
    if (!channels__mailbox_empty(&ep->mailbox))
        read_mail(ep);
    fire_timers(ep);
    ring_alarms(ep);
    channels__services_run(ep);
    if (ep->drain.on)
        channels__drain_run(ep);
    channels__leave(ep);
}

uint64_t channels_endpoint_timeout(const channels_endpoint *ep)
{
    const channels__heap_node *top = channels__heap_top(&ep->timers);
    uint64_t due = top != NULL ? top->due : UINT64_MAX;
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    if (ep->queue.count != 0 || ep->unsettled || !channels__mailbox_empty(&ep->mailbox))
        return 0;
    if (channels__services_due(ep) < due)
        due = channels__services_due(ep);
    if (adapter != NULL && adapter->due != NULL && adapter->due(ep->config.pubsub_self) < due)
        due = adapter->due(ep->config.pubsub_self);
    for (const channels__alarms *a = ep->alarms; a != NULL; a = a->next)
        if (channels__alarms_due(a) < due)
            due = channels__alarms_due(a);
    if (ep->drain.on && channels__drain_due(ep) < due)
        due = channels__drain_due(ep);
    if (due == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = ep->config.now_ms(ep->config.hooks);
    return due > now ? due - now : 0;
}

void *channels_endpoint_user(const channels_endpoint *ep)
{
    return ep->config.user;
}

/* --- Birth and death ---------------------------------------------------------------------- */

static void init(channels_endpoint *ep, const channels_config *config)
{
    ep->mem.realloc = config->realloc;
    ep->mem.user = config->hooks;
    ep->config = *config;
    channels__list_init(&ep->sockets);
    channels__sockets_init(&ep->doomed);
    channels__sockets_init(&ep->grave);
    channels__codec_init(&ep->codec, &ep->mem);
    channels__queue_init(&ep->queue, &ep->mem);
    channels__heap_init(&ep->timers, &ep->mem);
    ep->refs.mem = &ep->mem;
    atomic_init(&ep->mailbox.top, NULL);
    pthread_mutex_init(&ep->wake_lock, NULL);
    atomic_init(&ep->owner, this_thread());
}

/* A name that no other node has: 64 random bits in hexadecimal. */
static char *random_name(const channels__mem *mem, uint64_t bits)
{
    char name[24];
    snprintf(name, sizeof name, "node-%016llx", (unsigned long long)bits);
    return channels__strdup(mem, name);
}

static bool config_ok(channels_endpoint *ep)
{
    const channels_config *c = &ep->config;
    const char *wrong = NULL;
    if (c->pubsub != NULL && c->pubsub->broadcast == NULL)
        wrong = "the PubSub adapter lacks broadcast";
    else if (c->node != NULL && !channels__utf8_valid(c->node, strlen(c->node)))
        wrong = "the node's name is not UTF-8";
    else if (c->node != NULL && c->node[0] == '\0')
        wrong = "the node's name is empty";
    else if (c->node != NULL && strlen(c->node) > CHANNELS__LONGPOLL_NODE)
        wrong = "the node's name is longer than 255 bytes";
    else if (c->compress_level < 1 || c->compress_level > 9)
        wrong = "compress_level is from 1 to 9";
    if (wrong != NULL)
        channels__log(ep, CHANNELS_LOG_ERROR, "channels_endpoint_new: %s", wrong);
    return wrong == NULL;
}

/* From config.secret alone, so that all nodes which have it can read each other's tokens; without a
 * secret it stays the random one. */
static bool make_session_key(channels_endpoint *ep)
{
    static const char purpose[] = "long-poll sessions";
    const char *secret = ep->config.secret;
    ep->config.secret = NULL; /* the host's, and not needed any more */
    return secret == NULL || channels__hmac_sha256(secret, strlen(secret), purpose, sizeof purpose,
                                                   ep->session_key);
}

/* Random numbers first: it is the only thing here that fails with CHANNELS_ERR_INVALID, and then no
 * string is ours yet. */
static int own_strings(channels_endpoint *ep)
{
    uint64_t seed[4];
    if (ep->config.random(ep->config.hooks, seed, sizeof seed) < 0 ||
        ep->config.random(ep->config.hooks, ep->session_key, sizeof ep->session_key) < 0) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_endpoint_new: there are no random numbers to be had");
        return CHANNELS_ERR_INVALID;
    }
    channels__hash_key key = { seed[0], seed[1] };
    channels__topics_init(&ep->topics, &ep->mem, key);
    ep->incarnation = seed[3];
    ep->config.host = channels__strdup(&ep->mem, ep->config.host);
    ep->config.node = ep->config.node != NULL ? channels__strdup(&ep->mem, ep->config.node)
                                              : random_name(&ep->mem, seed[2]);
    bool ok = ep->config.host != NULL && ep->config.node != NULL && make_session_key(ep);
    return ok ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

static void endpoint_free(channels_endpoint *ep)
{
    channels__strfree(&ep->mem, (char *)(uintptr_t)ep->config.host);
    channels__strfree(&ep->mem, (char *)(uintptr_t)ep->config.node);
    channels__mounts_free(ep);
    channels__codec_deinit(&ep->codec);
    channels__queue_deinit(&ep->queue);
    channels__heap_deinit(&ep->timers);
    channels__refs_deinit(&ep->refs);
    channels__topics_deinit(&ep->topics);
    pthread_mutex_destroy(&ep->wake_lock);
    channels__mem mem = ep->mem;
    channels__free(&mem, ep, sizeof *ep);
}

static void leave_nodes(channels_endpoint *ep)
{
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    if (ep->node_interest != NULL)
        channels__subscriber_end(ep, ep->node_interest);
    if (adapter != NULL && adapter->stop != NULL)
        adapter->stop(ep->config.pubsub_self);
}

static int join_nodes(channels_endpoint *ep)
{
    const channels_pubsub_adapter *adapter = ep->config.pubsub;
    if (adapter == NULL)
        return CHANNELS_OK;
    int err = adapter->start != NULL ? adapter->start(&ep->config.pubsub_self, ep) : CHANNELS_OK;
    if (err != CHANNELS_OK)
        return err;
    ep->node_interest = channels__node_interest(ep);
    if (ep->node_interest != NULL)
        return CHANNELS_OK;
    leave_nodes(ep);
    return CHANNELS_ERR_NOMEM;
}

int channels_endpoint_new(channels_endpoint **result, const channels_config *given)
{
    channels_config config = { 0 };
    if (given != NULL)
        config = *given;
    complete(&config);
    channels__mem mem = { config.realloc, config.hooks };
    *result = NULL;
    channels_endpoint *ep = channels__zalloc(&mem, sizeof *ep);
    if (ep == NULL)
        return CHANNELS_ERR_NOMEM;
    init(ep, &config);
    int err = config_ok(ep) ? own_strings(ep) : CHANNELS_ERR_INVALID;
    if (err != CHANNELS_OK) {
        if (err == CHANNELS_ERR_INVALID)
            ep->config.host = ep->config.node = NULL; /* still the caller's */
        endpoint_free(ep);
        return err;
    }
    err = join_nodes(ep);
    if (err != CHANNELS_OK) {
        endpoint_free(ep);
        return err;
    }
    *result = ep;
    return CHANNELS_OK;
}

static void drop_queue(channels_endpoint *ep)
{
    while (ep->queue.count != 0) {
        channels__work work = channels__queue_shift(&ep->queue);
        channels__work_drop(ep, &work);
    }
}

static void drop_mail(channels_endpoint *ep)
{
    channels__letter *letter = channels__mailbox_take(&ep->mailbox);
    while (letter != NULL) {
        channels__letter *next = letter->next;
        letter->drop(letter);
        letter = next;
    }
}

static void end_sockets(channels_endpoint *ep)
{
    for (channels__list *n = ep->sockets.next; n != &ep->sockets; n = n->next)
        channels__socket_doom(CHANNELS__OF(n, channels_socket, link), CHANNELS_SHUTDOWN, 1001);
    end_doomed(ep);
}

void channels_endpoint_free(channels_endpoint *ep)
{
    if (ep == NULL || !channels__enter_outermost(ep, "channels_endpoint_free"))
        return;
    end_sockets(ep);
    if (ep->transport_free != NULL)
        ep->transport_free(ep);
    channels__services_free(ep);
    drop_queue(ep);
    drop_mail(ep);
    channels__functions_end(ep);
    bury(ep);
    while (!channels__list_empty(&ep->sockets)) /* of hosts that bring their own transport */
        channels__socket_free(CHANNELS__OF(ep->sockets.next, channels_socket, link));
    leave_nodes(ep);
    endpoint_free(ep);
}
