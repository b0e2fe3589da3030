/* hub.c - endpoints of one process, each on its own thread, joined to one PubSub.
 *
 * What one endpoint broadcasts is copied once, with a letter for each member that may listen to the
 * topic; the last who has read it gives it back. If nobody may, it is not even written. It has been
 * checked where it came in, by the endpoint that made it or that was given it: who reads it in its
 * inbox need not. A member is woken only if its inbox was empty.
 *
 * What is kept of order. Of each publisher everything arrives in its order. Of two publishers
 * nothing is promised, not even that an answer comes behind what it answers: a third member may
 * hear them either way round. Who listens to a topic and then lets another thread know of it, by
 * whatever means, hears what that thread broadcasts from then on: interest.h says why.
 *
 * Nothing is given back to who sent it, and what came from elsewhere does not go there again. */
#include "cluster/hub.h"

#include <stdlib.h>

/* Bytes of messages that go back to a member until it looks for them, but for one pile of each who
 * gives back; and of a pile. Larger messages do not go back. */
#define KEPT ((size_t)128 << 10)
#define PILE ((size_t)32 << 10)

/* --- Posting ------------------------------------------------------------------------------ */

void channels__member_wake(channels__member *to)
{
    pthread_mutex_lock(&to->lock);
    if (to->ep != NULL)
        channels__wake(to->ep);
    pthread_mutex_unlock(&to->lock);
}

void channels__member_post(channels__member *to, channels__letter *letter)
{
    if (channels__mailbox_post(&to->inbox, letter))
        channels__member_wake(to);
}

/* --- Messages ----------------------------------------------------------------------------- */

/* One copy for all. */
typedef struct message message;
typedef struct share {
    channels__letter letter;
    message *of;
    bool listens; /* somebody there may */
    bool up;      /* it is to go on to nodes elsewhere */
} share;
struct message {
    channels__letter spent; /* all have read it: on its way back to who sent it */
    channels__member *by;
    size_t size; /* of the block, from plain malloc since it crosses threads */
    _Atomic(uint32_t) refs;
    size_t len;
    const void *data;          /* the message as bytes, for nodes elsewhere, */
    channels__node_message in; /* which points to them */
    const char *topic;         /* of the adapter's functions */
    share shares[];            /* then the data, and a topic that is not in it */
};

static void free_all(channels__letter *spent)
{
    while (spent != NULL) {
        channels__letter *next = spent->next;
        free(spent); /* the message begins with it */
        spent = next;
    }
}

static void give_back(channels__member *m)
{
    channels__pile pile = m->pile;
    m->pile = (channels__pile){ 0 };
    if (pile.first == NULL)
        return;
    if (atomic_load_explicit(&pile.of->kept, memory_order_relaxed) >= KEPT) {
        free_all(pile.first);
        return;
    }
    atomic_fetch_add_explicit(&pile.of->kept, pile.bytes, memory_order_relaxed);
    channels__mailbox_post_all(&pile.of->spent, pile.first, pile.last);
}

/* Many at a time, for both threads write to what they go back to. */
static void pile_up(channels__member *m, message *msg)
{
    channels__pile *pile = &m->pile;
    if (pile->of != msg->by || pile->bytes + msg->size > PILE)
        give_back(m);
    if (pile->first == NULL)
        *pile = (channels__pile){ .of = msg->by, .last = &msg->spent };
    msg->spent.next = pile->first;
    pile->first = &msg->spent;
    pile->bytes += msg->size;
}

/* On the thread of `m`. */
static void unref(channels__member *m, message *msg, uint32_t refs)
{
    if (atomic_fetch_sub_explicit(&msg->refs, refs, memory_order_acq_rel) != refs)
        return;
    if (msg->size > PILE) {
        free(msg);
    } else if (m != msg->by) {
        pile_up(m, msg);
    } else {
        msg->spent.next = m->blocks;
        m->blocks = &msg->spent;
    }
}

/* What comes meanwhile is not counted, until they are fetched again. To look at each would cost
 * more than it is worth: they are in the cache of who read them. */
static void fetch_blocks(channels__member *m)
{
    atomic_store_explicit(&m->kept, 0, memory_order_relaxed);
    m->blocks = channels__mailbox_grab(&m->spent);
}

/* One that all have read is used again, if it has room and not more than twice as much as it takes:
 * were it freed where it was read, both threads would wait for each other in malloc, whose caches
 * are each thread's. */
static message *block_new(channels__member *by, size_t size)
{
    if (by->blocks == NULL && !channels__mailbox_empty(&by->spent))
        fetch_blocks(by);
    message *msg = (message *)by->blocks;
    if (msg != NULL)
        by->blocks = msg->spent.next;
    if (msg != NULL && msg->size >= size && msg->size / 2 <= size)
        return msg;
    free(msg);
    msg = malloc(size);
    if (msg != NULL)
        msg->size = size;
    return msg;
}

/* Of a member that has gone, or the hub. */
static void free_blocks(channels__member *m)
{
    free_all(m->blocks);
    fetch_blocks(m);
    free_all(m->blocks);
    m->blocks = NULL;
}

static message *message_new(channels__member *by, uint32_t shares, const char *topic,
                            const channels__node_message *m)
{
    size_t head = sizeof(message) + shares * sizeof(share), len = channels__node_size(m);
    size_t size = topic != m->topic.p ? strlen(topic) + 1 : 0;
    message *msg = block_new(by, head + len + size);
    if (msg == NULL)
        return NULL;
    char *copy = (char *)msg + head;
    msg->in = channels__node_write(copy, m);
    msg->data = copy;
    msg->len = len;
    msg->topic = size != 0 ? memcpy(copy + len, topic, size) : msg->in.topic.p;
    msg->by = by;
    atomic_init(&msg->refs, shares);
    return msg;
}

/* --- Spreading them ----------------------------------------------------------------------- */

/* One message may always wait, however large. */
static bool take_room(channels__member *m, size_t len)
{
    size_t max = m->hub->options.max_queued;
    size_t before = atomic_fetch_add_explicit(&m->queued, len, memory_order_relaxed);
    if (before == 0 || (before <= max && len <= max - before))
        return true;
    atomic_fetch_sub_explicit(&m->queued, len, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->missed, 1, memory_order_relaxed);
    return false;
}

static void deliver(channels__member *m, const message *msg)
{
    int err = channels__node_arrived(m->ep, &msg->in);
    if (err != CHANNELS_OK)
        channels__log(m->ep, CHANNELS_LOG_ERROR,
                      "hub: a broadcast on %s from another endpoint is lost: %s", msg->topic,
                      channels_strerror(err));
}

static void run_share(void *self, channels__letter *letter)
{
    channels__member *m = self;
    const share *s = (share *)letter;
    message *msg = s->of;
    atomic_fetch_sub_explicit(&m->queued, msg->len, memory_order_relaxed);
    if (s->listens && m->ep != NULL)
        deliver(m, msg);
    if (s->up && m->uplink != NULL)
        channels__uplink_send(m->uplink, msg->topic, msg->data, msg->len);
    unref(m, msg, 1);
}

/* To all members that may listen; if `up`, to the carrier in any case. */
static int spread(channels__member *from, const char *topic, const channels__node_message *m,
                  bool up)
{
    channels_hub *hub = from->hub;
    uint32_t used = atomic_load_explicit(&hub->used, memory_order_acquire), posted = 0;
    uint64_t hash = channels__hash(&hub->key, topic, strlen(topic));
    const channels__member *carrier =
        up ? atomic_load_explicit(&hub->carrier, memory_order_relaxed) : NULL;
    message *msg = NULL;
    for (uint32_t i = 0; i < used; i++) {
        channels__member *to = &hub->members[i];
        share s = { .letter.run = run_share,
                    .listens = channels__interest_has(&to->interest, hash),
                    .up = to == carrier };
        if (to == from || !(s.listens || s.up))
            continue;
        if (msg == NULL && (msg = message_new(from, used, topic, m)) == NULL)
            return CHANNELS_ERR_NOMEM;
        if (!take_room(to, msg->len))
            continue;
        s.of = msg;
        msg->shares[posted] = s;
        channels__member_post(to, &msg->shares[posted++].letter);
    }
    if (msg != NULL) /* `from` needs none: this holds it until here */
        unref(from, msg, used - posted);
    return CHANNELS_OK;
}

/* --- What an adapter does ----------------------------------------------------------------- */

static int publish_far(channels__member *m, const char *topic, const channels__node_message *msg)
{
    size_t len = channels__node_size(msg);
    void *bytes = channels__alloc(&m->ep->mem, len);
    if (bytes == NULL)
        return CHANNELS_ERR_NOMEM;
    channels__node_write(bytes, msg);
    int err = channels__uplink_send(m->uplink, topic, bytes, len);
    channels__free(&m->ep->mem, bytes, len);
    return err;
}

static int publish(void *self, const char *topic, const channels__node_message *msg)
{
    channels__member *m = self;
    int err = spread(m, topic, msg, true);
    int far = m->uplink != NULL ? publish_far(m, topic, msg) : CHANNELS_OK;
    return err != CHANNELS_OK ? err : far;
}

static void relay(void *self, const char *topic, const channels__node_message *msg)
{
    spread(self, topic, msg, false);
}

static const channels__shortcut shortcut = { .send = publish, .relay = relay };

/* From an adapter of the host's that calls this one: it may have changed them. */
static int broadcast_bytes(void *self, const char *topic, const void *data, size_t len)
{
    channels__node_message msg;
    return channels__node_read(data, len, &msg) ? publish(self, topic, &msg)
                                                : CHANNELS_ERR_PROTOCOL;
}

static void relay_bytes(void *self, const char *topic, const void *data, size_t len)
{
    channels__node_message msg;
    if (channels__node_read(data, len, &msg))
        relay(self, topic, &msg);
}

void channels__member_topics(channels__member *m,
                             void (*fn)(channels__member *m, const char *topic))
{
    const channels__topics *topics = &m->ep->topics;
    for (size_t i = 0; i < topics->nbuckets; i++)
        for (const channels__topic *t = topics->buckets[i]; t != NULL; t = t->next)
            if (t->nfast + t->nslow != 0)
                fn(m, t->name);
}

static void listen_to(channels__member *m, const char *topic)
{
    channels__interest_add(&m->interest, channels__hash(&m->hub->key, topic, strlen(topic)));
}

static void interest(void *self, const char *topic, bool on)
{
    channels__member *m = self;
    if (!on) {
        channels__interest_remove(&m->interest, channels__hash(&m->hub->key, topic, strlen(topic)));
    } else if (channels__interest_crowded(&m->interest) && channels__interest_grow(&m->interest)) {
        channels__member_topics(m, listen_to); /* `topic` is among them */
        channels__interest_publish(&m->interest);
    } else {
        listen_to(m, topic);
    }
    channels__report(m, topic, on);
}

static void read_inbox(channels__member *m)
{
    channels__letter *letter = channels__mailbox_take(&m->inbox);
    while (letter != NULL) {
        channels__letter *next = letter->next;
        letter->run(m, letter);
        if (m->ep != NULL)
            channels__settle(m->ep);
        letter = next;
    }
    give_back(m);
}

static void run(void *self, uint64_t now)
{
    channels__member *m = self;
    if (!channels__mailbox_empty(&m->inbox))
        read_inbox(m);
    size_t missed = atomic_exchange_explicit(&m->missed, 0, memory_order_relaxed);
    if (missed != 0)
        channels__log(m->ep, CHANNELS_LOG_ERROR,
                      "hub: %zu broadcasts of other endpoints are lost: more than %zu bytes waited "
                      "for this one",
                      missed, m->hub->options.max_queued);
    channels__uplink_run(m, now);
}

static uint64_t due(void *self)
{
    const channels__member *m = self;
    if (!channels__mailbox_empty(&m->inbox) ||
        atomic_load_explicit(&m->missed, memory_order_relaxed) != 0)
        return 0;
    return channels__uplink_due(m);
}

/* --- Coming and going --------------------------------------------------------------------- */

static void set_endpoint(channels__member *m, channels_endpoint *ep)
{
    pthread_mutex_lock(&m->lock);
    m->ep = ep;
    pthread_mutex_unlock(&m->lock);
}

/* Under the lock. */
static bool has_node(const channels_hub *hub, const char *name)
{
    for (uint32_t i = 0; i < hub->used; i++) {
        const channels_endpoint *ep = hub->members[i].ep;
        if (ep != NULL && strcmp(ep->config.node, name) == 0)
            return true;
    }
    return false;
}

bool channels__hub_has(channels_hub *hub, const char *node)
{
    pthread_mutex_lock(&hub->lock);
    bool has = has_node(hub, node);
    pthread_mutex_unlock(&hub->lock);
    return has;
}

/* A place that is free; NULL if there is none. */
static channels__member *free_place(channels_hub *hub)
{
    uint32_t i = 0;
    while (i < hub->options.max_endpoints && hub->members[i].taken)
        i++;
    return i < hub->options.max_endpoints ? &hub->members[i] : NULL;
}

static int occupy(channels_hub *hub, channels__member *m, channels_endpoint *ep)
{
    if (hub->used == 0)
        hub->key = ep->topics.key;
    m->farewell = channels__report_farewell(m);
    if (m->farewell == NULL || !channels__interest_begin(&m->interest)) {
        free(m->farewell);
        return CHANNELS_ERR_NOMEM;
    }
    read_inbox(m); /* what came too late for who was here before */
    atomic_store_explicit(&m->missed, 0, memory_order_relaxed);
    m->taken = true;
    hub->joined++;
    m->behind = false;
    set_endpoint(m, ep);
    if (m == &hub->members[hub->used])
        atomic_store_explicit(&hub->used, hub->used + 1, memory_order_release);
    return CHANNELS_OK;
}

static int join(channels_hub *hub, channels_endpoint *ep, channels__member **m)
{
    if (has_node(hub, ep->config.node)) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_endpoint_new: the hub has an endpoint called %s already: "
                      "config.node has to be unique",
                      ep->config.node);
        return CHANNELS_ERR_INVALID;
    }
    *m = free_place(hub);
    if (*m != NULL)
        return occupy(hub, *m, ep);
    channels__log(ep, CHANNELS_LOG_ERROR, "channels_endpoint_new: the hub has %u endpoints already",
                  (unsigned)hub->options.max_endpoints);
    return CHANNELS_ERR_LIMIT;
}

static int start(void **self, channels_endpoint *ep)
{
    channels_hub *hub = *self;
    channels__member *m = NULL;
    if (hub == NULL) {
        channels__log(ep, CHANNELS_LOG_ERROR,
                      "channels_endpoint_new: config.pubsub_self has to be the hub");
        return CHANNELS_ERR_INVALID;
    }
    pthread_mutex_lock(&hub->lock);
    int err = join(hub, ep, &m);
    pthread_mutex_unlock(&hub->lock);
    *self = m;
    if (err == CHANNELS_OK && ep->config.pubsub == channels_hub_adapter())
        ep->shortcut = &shortcut;
    return err;
}

/* First nothing comes any more and nobody wakes the endpoint; then what others gave it for the
 * world still leaves; then the place is free. */
static void stop(void *self)
{
    channels__member *m = self;
    channels_hub *hub = m->hub;
    channels__interest_end(&m->interest);
    pthread_mutex_lock(&hub->lock);
    set_endpoint(m, NULL);
    if (m->uplink != NULL)
        atomic_store_explicit(&hub->carrier, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&hub->lock);
    read_inbox(m);
    free_blocks(m);
    channels__uplink_free(m->uplink);
    pthread_mutex_lock(&hub->lock);
    if (m->uplink != NULL)
        hub->uplinked = false;
    m->uplink = NULL;
    channels__report_end(m);
    m->taken = false;
    hub->joined--;
    pthread_mutex_unlock(&hub->lock);
}

const channels_pubsub_adapter *channels_hub_adapter(void)
{
    static const channels_pubsub_adapter adapter = {
        .name = "hub",
        .start = start,
        .stop = stop,
        .broadcast = broadcast_bytes,
        .interest = interest,
        .relay = relay_bytes,
        .run = run,
        .due = due,
    };
    return &adapter;
}

/* --- The hub ------------------------------------------------------------------------------ */

int channels_hub_new(channels_hub **result, const channels_hub_options *given)
{
    channels_hub_options options = { 0 };
    if (given != NULL)
        options = *given;
    if (options.max_endpoints == 0)
        options.max_endpoints = 256;
    if (options.max_queued == 0)
        options.max_queued = (size_t)64 << 20;
    channels_hub *hub = calloc(1, sizeof *hub + options.max_endpoints * sizeof *hub->members);
    *result = hub;
    if (hub == NULL)
        return CHANNELS_ERR_NOMEM;
    hub->options = options;
    pthread_mutex_init(&hub->lock, NULL);
    for (uint32_t i = 0; i < options.max_endpoints; i++) {
        hub->members[i].hub = hub;
        pthread_mutex_init(&hub->members[i].lock, NULL);
    }
    return CHANNELS_OK;
}

/* Under the lock, in words to one of its endpoints if there is one that is not just ending. */
static bool is_left(const channels_hub *hub)
{
    uint32_t i = 0;
    while (i < hub->used && hub->members[i].ep == NULL)
        i++;
    if (i < hub->used)
        channels__log(hub->members[i].ep, CHANNELS_LOG_ERROR,
                      "channels_hub_free: %u of its endpoints have not been freed",
                      (unsigned)hub->joined);
    return hub->joined == 0;
}

void channels_hub_free(channels_hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_lock(&hub->lock);
    bool left = is_left(hub);
    pthread_mutex_unlock(&hub->lock);
    if (!left)
        return;
    for (uint32_t i = 0; i < hub->options.max_endpoints; i++)
        read_inbox(&hub->members[i]);
    for (uint32_t i = 0; i < hub->options.max_endpoints; i++) {
        free_blocks(&hub->members[i]);
        channels__interest_free(&hub->members[i].interest);
        pthread_mutex_destroy(&hub->members[i].lock);
    }
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}
