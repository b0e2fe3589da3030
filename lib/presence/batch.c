/* batch.c - diffs and lists in the order in which they arose: made, fetched, sent. */
#include "presence/presence.h"

#include "base/bytes.h"

channels_presence_batch *channels__batch_new(channels__presence_topic *topic,
                                             channels__batch_kind kind)
{
    const channels_endpoint *ep = topic->presence->ep;
    channels_presence_batch *b = channels__zalloc(&ep->mem, sizeof *b);
    if (b == NULL)
        return NULL;
    topic->refs++;
    b->topic = topic;
    b->kind = kind;
    channels__list_init(&b->link);
    channels__list_init(&b->age);
    channels__groups_init(&b->shown[0], &ep->mem, ep->topics.key);
    channels__groups_init(&b->shown[1], &ep->mem, ep->topics.key);
    return b;
}

static void forget_text(channels_presence_batch *b)
{
    channels__free(&b->topic->presence->ep->mem, b->text, b->text_len);
    b->text = NULL;
}

void channels__batch_free(channels_presence_batch *b)
{
    channels__presence_topic *topic = b->topic;
    channels__batch_forget_ref(b);
    channels__list_remove(&b->link);
    channels__list_remove(&b->age);
    topic->presence->waiting -= b->bytes;
    channels__groups_deinit(&b->shown[0]);
    channels__groups_deinit(&b->shown[1]);
    forget_text(b);
    channels__free(&topic->presence->ep->mem, b, sizeof *b);
    channels__presence_topic_put(topic);
}

/* --- Writing ------------------------------------------------------------------------------ */

#define JOINS "{\"joins\":"
#define LEAVES ",\"leaves\":"
#define NO_METAS "{\"metas\":[]}"

static void write_diff(channels_presence_batch *b)
{
    char *at = channels__put(b->text, JOINS, sizeof JOINS - 1);
    at = channels__groups_write(&b->shown[0], at);
    at = channels__put(at, LEAVES, sizeof LEAVES - 1);
    at = channels__groups_write(&b->shown[1], at);
    *at = '}';
}

static const channels__group *only_group(const channels_presence_batch *b)
{
    const channels__list *head = &b->shown[0].list;
    return channels__list_empty(head) ? NULL : CHANNELS__OF(head->next, channels__group, link);
}

static size_t len_of(channels_presence_batch *b)
{
    switch (b->kind) {
    case CHANNELS__BATCH_DIFF:
        b->joins_len = channels__groups_len(&b->shown[0]);
        return sizeof JOINS - 1 + b->joins_len + sizeof LEAVES - 1 +
               channels__groups_len(&b->shown[1]) + 1;
    case CHANNELS__BATCH_ONE:
        return only_group(b) != NULL ? channels__group_len(only_group(b)) : sizeof NO_METAS - 1;
    default: return channels__groups_len(&b->shown[0]);
    }
}

static bool write_text(channels_presence_batch *b)
{
    size_t len = len_of(b);
    b->text = channels__alloc(&b->topic->presence->ep->mem, len);
    if (b->text == NULL)
        return false;
    b->text_len = len;
    if (b->kind == CHANNELS__BATCH_DIFF)
        write_diff(b);
    else if (b->kind != CHANNELS__BATCH_ONE)
        channels__groups_write(&b->shown[0], b->text);
    else if (only_group(b) != NULL)
        channels__group_write(only_group(b), b->text);
    else
        memcpy(b->text, NO_METAS, len);
    return true;
}

/* --- Sending ------------------------------------------------------------------------------ */

static void leave_queue(channels_presence_batch *b)
{
    channels__list_remove(&b->link);
    channels__list_remove(&b->age);
    b->topic->presence->waiting -= b->bytes;
    b->bytes = 0;
}

/* What is left of it is for the host. */
static void call_later(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    leave_queue(b);
    channels__groups_deinit(&b->shown[0]);
    channels__groups_deinit(&b->shown[1]);
    channels__groups_init(&b->shown[0], &p->ep->mem, p->ep->topics.key);
    channels__groups_init(&b->shown[1], &p->ep->mem, p->ep->topics.key);
    channels__list_append(&p->calls, &b->link);
    p->ep->unsettled = true;
}

static bool is_heard(const channels_presence_batch *b)
{
    channels__str name = channels__str_n(b->topic->name, b->topic->len);
    return channels__topic_find(&b->topic->presence->ep->topics, name) != NULL;
}

static int send_diff(channels_presence_batch *b)
{
    const channels_presence *p = b->topic->presence;
    if (p->options.on_diff == NULL && !is_heard(b)) {
        channels__batch_free(b);
        return CHANNELS_OK;
    }
    if (!write_text(b))
        return CHANNELS_ERR_NOMEM;
    int err = channels__deliver(p->ep, channels__str_n(b->topic->name, b->topic->len),
                                "presence_diff", channels_json_n(b->text, b->text_len), NULL, 0);
    if (err == CHANNELS_ERR_NOMEM)
        forget_text(b);
    else if (p->options.on_diff != NULL)
        call_later(b);
    else
        channels__batch_free(b);
    return err;
}

static int push_state(const channels_presence_batch *b)
{
    return channels__channel_push(b->channel, "presence_state",
                                  channels_json_n(b->text, b->text_len));
}

static int send_state(channels_presence_batch *b)
{
    int err = CHANNELS_OK;
    if (b->channel != NULL) {
        err = write_text(b) ? push_state(b) : CHANNELS_ERR_NOMEM;
        forget_text(b);
    }
    if (err != CHANNELS_ERR_NOMEM)
        channels__batch_free(b);
    return err;
}

/* CHANNELS_ERR_NOMEM: it is as it was. Otherwise it is gone, or the host is still to be told. */
static int send_one(channels_presence_batch *b)
{
    switch (b->kind) {
    case CHANNELS__BATCH_DIFF: return send_diff(b);
    case CHANNELS__BATCH_STATE: return send_state(b);
    default:
        write_text(b); /* without it the function is told that memory ran out */
        call_later(b);
        return CHANNELS_OK;
    }
}

/* What is sent is a broadcast too, before which a pending diff is put into the queue. */
void channels__batches_send(channels__presence_topic *topic)
{
    if (topic->sending)
        return;
    topic->sending = true;
    topic->refs++;
    while (!channels__list_empty(&topic->queue)) {
        channels_presence_batch *b = CHANNELS__OF(topic->queue.next, channels_presence_batch, link);
        if (!b->ready)
            break;
        if (send_one(b) == CHANNELS_ERR_NOMEM) {
            channels__presence_mark_again(topic);
            break;
        }
    }
    topic->sending = false;
    channels__presence_topic_put(topic);
}

/* --- The queue ---------------------------------------------------------------------------- */

static void say_limit(channels_presence *p)
{
    if (p->ep->now < p->said_until)
        return;
    p->said_until = p->ep->now + 60000;
    channels__log(p->ep, CHANNELS_LOG_WARNING,
                  "presence %s: fetch() is too slow: more than %zu bytes wait for it, and the "
                  "oldest are shown without",
                  p->options.name, p->options.max_waiting);
}

/* The oldest of all is the first of its queue. */
static void keep_limit(channels_presence *p)
{
    while (p->waiting > p->options.max_waiting) {
        channels__list *oldest = p->queued.next;
        channels_presence_batch *b = CHANNELS__OF(oldest, channels_presence_batch, age);
        if (!b->ready)
            say_limit(p);
        channels__batch_forget_ref(b);
        b->ready = true;
        channels__batches_send(b->topic);
        if (p->queued.next == oldest) /* no memory */
            return;
    }
}

static void weigh(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    p->waiting -= b->bytes;
    b->bytes = sizeof *b + b->shown[0].bytes + b->shown[1].bytes;
    p->waiting += b->bytes;
}

static void enqueue(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    weigh(b);
    channels__list_append(&b->topic->queue, &b->link);
    channels__list_append(&p->queued, &b->age);
    keep_limit(p);
}

void channels__batch_fetched(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    channels__batch_forget_ref(b);
    b->ready = true;
    if (b->bytes == 0) /* fetch() has not returned: it is in no queue yet */
        return;
    weigh(b);
    channels__batches_send(b->topic);
    keep_limit(p);
}

static void call_host(channels_presence_batch *b)
{
    channels_presence *p = b->topic->presence;
    if (b->kind != CHANNELS__BATCH_DIFF) {
        b->fn(b->arg, channels_json_n(b->text, b->text != NULL ? b->text_len : 0));
        return;
    }
    size_t leaves = sizeof JOINS - 1 + b->joins_len + sizeof LEAVES - 1;
    const channels_presence_diff diff = {
        .topic = b->topic->name,
        .joins = channels_json_n(b->text + sizeof JOINS - 1, b->joins_len),
        .leaves = channels_json_n(b->text + leaves, b->text_len - 1 - leaves),
    };
    p->options.on_diff(p, &diff, p->options.user);
}

/* A list that has not been waited for. */
static int show_now(channels_presence_batch *b)
{
    int err = CHANNELS_OK;
    if (!write_text(b))
        err = CHANNELS_ERR_NOMEM;
    else if (b->kind == CHANNELS__BATCH_STATE)
        err = push_state(b);
    else
        call_host(b);
    channels__batch_free(b);
    return err;
}

int channels__batch_submit(channels_presence_batch *b)
{
    channels__presence_topic *topic = b->topic;
    channels__batch_fetch(b);
    bool first = channels__list_empty(&topic->queue);
    if (first && b->ready && b->kind != CHANNELS__BATCH_DIFF)
        return show_now(b);
    topic->refs++; /* sending may free the batch and with it the topic */
    enqueue(b);
    channels__batches_send(topic);
    channels__presence_topic_put(topic);
    return CHANNELS_OK;
}

/* --- Calls and ends ----------------------------------------------------------------------- */

void channels__batches_call(channels_presence *p)
{
    const channels__list *last = p->calls.prev;
    bool more = !channels__list_empty(&p->calls);
    while (more) {
        channels__list *node = channels__list_shift(&p->calls);
        more = node != last;
        channels_presence_batch *b = CHANNELS__OF(node, channels_presence_batch, link);
        call_host(b);
        channels__batch_free(b);
    }
}

void channels__batches_forget(channels__presence_topic *topic, const channels_channel *ch)
{
    for (channels__list *n = topic->queue.next; n != &topic->queue; n = n->next) {
        channels_presence_batch *b = CHANNELS__OF(n, channels_presence_batch, link);
        if (b->channel == ch)
            b->channel = NULL;
    }
}

static void end(channels_presence_batch *b)
{
    if (b->fn != NULL)
        b->fn(b->arg, channels_json_n(NULL, 0));
    channels__batch_free(b);
}

/* No ref is left that one of the functions could be done with. */
void channels__batches_end(channels_presence *p)
{
    for (channels__list *n = p->queued.next; n != &p->queued; n = n->next)
        channels__batch_forget_ref(CHANNELS__OF(n, channels_presence_batch, age));
    while (!channels__list_empty(&p->calls))
        end(CHANNELS__OF(p->calls.next, channels_presence_batch, link));
    while (!channels__list_empty(&p->queued))
        end(CHANNELS__OF(p->queued.next, channels_presence_batch, age));
}
