/* presence_case.c - see presence_case.h. */
#include "unit/presence_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t presence_random(presence_case *c, uint32_t below)
{
    c->random = c->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(c->random >> 4) * below >> 28);
}

/* --- Views -------------------------------------------------------------------------------- */

typedef struct seen {
    channels__map_node node;
    uint64_t incarnation, born, clock;
    char topic[16], key[24], *json;
} seen;

static channels__mem views = { channels__malloc, NULL };

static uint64_t seen_hash(uint64_t incarnation, uint64_t born)
{
    return incarnation * 0x9e3779b97f4a7c15u + born;
}

static seen *seen_find(const presence_node *n, uint64_t incarnation, uint64_t born)
{
    channels__map_node *m = channels__map_find(&n->view, seen_hash(incarnation, born));
    while (m != NULL &&
           (((seen *)(void *)m)->incarnation != incarnation || ((seen *)(void *)m)->born != born))
        m = channels__map_same(m);
    return (seen *)(void *)m;
}

static void seen_drop(presence_node *n, seen *s)
{
    channels__map_remove(&n->view, &s->node);
    free(s->json);
    free(s);
}

static void seen_add(presence_node *n, const channels__meta *m)
{
    seen *s = sim_alloc(sizeof *s);
    *s = (seen){ .node.hash = seen_hash(m->incarnation, m->born),
                 .incarnation = m->incarnation,
                 .born = m->born,
                 .clock = m->clock };
    assert_true(m->topic.n < sizeof s->topic && m->key.n < sizeof s->key);
    memcpy(s->topic, m->topic.p, m->topic.n);
    memcpy(s->key, m->key.p, m->key.n);
    s->json = sim_alloc(m->json.n + 1);
    memcpy(s->json, m->json.p, m->json.n);
    s->json[m->json.n] = '\0';
    assert_true(channels__map_reserve(&n->view));
    channels__map_insert(&n->view, &s->node);
}

static void trace(presence_node *n, char what, channels__str key)
{
    size_t len = strlen(n->trace);
    if (len + key.n + 3 < sizeof n->trace)
        sprintf(n->trace + len, "%s%c%.*s", len != 0 ? " " : "", what, (int)key.n, key.p);
}

static bool on_changed(void *arg, const channels__meta *before, const channels__meta *after)
{
    presence_node *n = arg;
    if (n->refuses || sim_memory_fails(&n->faulty.memory))
        return false;
    if (before != NULL) {
        seen *s = seen_find(n, before->incarnation, before->born);
        assert_non_null(s);
        assert_int_equal(s->clock, before->clock);
        assert_true(channels__str_is(before->json, s->json));
        seen_drop(n, s);
    }
    if (after != NULL) {
        assert_null(seen_find(n, after->incarnation, after->born));
        seen_add(n, after);
    }
    if (before != NULL && after != NULL) {
        assert_true(after->born == before->born && after->clock > before->clock);
        assert_true(after->prev >= before->clock);
    }
    trace(n, before == NULL ? '+' : after == NULL ? '-' : '~', (after ? after : before)->key);
    return true;
}

/* --- The bus ------------------------------------------------------------------------------ */

static void post(presence_node *n, const char *node, const void *data, size_t len)
{
    presence_case *c = n->c;
    presence_parcel *p = sim_alloc(sizeof *p + len);
    *p = (presence_parcel){ .incarnation = n->incarnation, .due = c->now, .len = len };
    strcpy(p->from, n->name);
    strcpy(p->to, node != NULL ? node : "");
    memcpy(p->data, data, len);
    if (c->late_ms != 0)
        p->due += presence_random(c, c->late_ms);
    *c->last = p;
    c->last = &p->next;
    c->parcels++;
    if (c->largest < len)
        c->largest = len;
}

enum { REQUEST = 2, SNAPSHOT = 3 }; /* the second byte of a message */

static void on_send(void *arg, const char *node, const void *data, size_t len)
{
    presence_node *n = arg;
    unsigned char type = ((const unsigned char *)data)[1];
    n->sent.bytes += len;
    n->sent.requests += type == REQUEST;
    n->sent.snapshots += type == SNAPSHOT;
    if (n->c->lost || presence_random(n->c, 100) < n->c->losing)
        return;
    post(n, node, data, len);
    if (presence_random(n->c, 100) < n->c->doubling)
        post(n, node, data, len);
}

static void on_log(void *arg, int level, const char *text)
{
    presence_node *n = arg;
    assert_int_equal(level, CHANNELS_LOG_WARNING);
    assert_non_null(strstr(text, "presence: "));
    n->lines++;
}

static presence_parcel *take_due(presence_case *c)
{
    presence_parcel **at = &c->first;
    while (*at != NULL && (*at)->due > c->now)
        at = &(*at)->next;
    presence_parcel *p = *at;
    if (p != NULL) {
        *at = p->next;
        if (c->last == &p->next)
            c->last = at;
    }
    return p;
}

static void hand_over(presence_case *c, const presence_parcel *p, presence_node *n)
{
    if (n->state == NULL || c->cut[p->from[0] - 'a'][n->number] ||
        (p->from[0] == n->name[0] && p->incarnation == n->incarnation) ||
        (p->to[0] != '\0' && strcmp(p->to, n->name) != 0))
        return;
    int err = channels__state_receive(n->state, p->from, p->incarnation, p->data, p->len, c->now);
    if (n->faulty.memory.fail_at == 0)
        assert_int_equal(err, CHANNELS_OK);
}

bool presence_deliver_one(presence_case *c)
{
    presence_parcel *p = take_due(c);
    for (unsigned i = 0; p != NULL && i < NODES; i++)
        hand_over(c, p, &c->nodes[i]);
    free(p);
    return p != NULL;
}

void presence_deliver(presence_case *c)
{
    while (presence_deliver_one(c)) {
    }
}

presence_parcel *presence_take(presence_case *c)
{
    presence_parcel *all = c->first;
    c->first = NULL;
    c->last = &c->first;
    return all;
}

void presence_put(presence_case *c, presence_parcel *parcels)
{
    *c->last = parcels;
    while (*c->last != NULL)
        c->last = &(*c->last)->next;
}

/* --- Nodes -------------------------------------------------------------------------------- */

presence_node *presence_node_start(presence_case *c, unsigned i)
{
    static const channels__state_events events = { on_changed, on_send, on_log };
    presence_node *n = &c->nodes[i];
    assert_null(n->state);
    n->c = c;
    n->number = i;
    n->name[0] = (char)('a' + i);
    n->incarnation = ++c->lives * 0x1234567;
    n->trace[0] = '\0';
    n->sent = (presence_counts){ 0 };
    n->faulty.mem = (channels__mem){ sim_memory_realloc, &n->faulty.memory };
    channels__map_init(&n->view, &views, 99);
    channels__state_config config = c->config;
    config.mem = &n->faulty.mem;
    config.hash_key = (channels__hash_key){ c->lives, 7 };
    config.node = n->name;
    config.incarnation = n->incarnation;
    config.events = &events;
    config.arg = n;
    n->state = channels__state_new(&config);
    return n->state != NULL ? n : NULL;
}

void presence_node_kill(presence_node *n)
{
    if (n->state == NULL)
        return;
    presence_check(n);
    channels__state_free(n->state);
    n->state = NULL;
    assert_int_equal(n->faulty.memory.blocks, 0);
    for (channels__map_node *m = channels__map_next(&n->view, NULL), *next; m != NULL; m = next) {
        next = channels__map_next(&n->view, m);
        seen_drop(n, (seen *)(void *)m);
    }
    channels__map_deinit(&n->view);
}

int presence_start(void **state)
{
    presence_case *c = sim_alloc(sizeof *c);
    memset(c, 0, sizeof *c);
    c->now = 1000000;
    c->random = 1;
    c->last = &c->first;
    c->config = (channels__state_config){ .broadcast_ms = PERIOD,
                                          .max_silent = SILENT,
                                          .down_ms = DOWN,
                                          .permdown_ms = PERMDOWN,
                                          .max_removals = 1000,
                                          .max_nodes = 100,
                                          .max_message = 65536,
                                          .max_early = 1 << 20 };
    *state = c;
    return 0;
}

int presence_stop(void **state)
{
    presence_case *c = *state;
    for (unsigned i = 0; i < NODES; i++)
        presence_node_kill(&c->nodes[i]);
    for (presence_parcel *p; (p = c->first) != NULL; free(p))
        c->first = p->next;
    free(c);
    return 0;
}

void presence_ticks(presence_case *c, unsigned periods)
{
    for (; periods != 0; periods--) {
        c->now += PERIOD;
        presence_deliver(c);
        for (unsigned i = 0; i < NODES; i++)
            if (c->nodes[i].state != NULL)
                channels__state_tick(c->nodes[i].state, c->now);
        presence_deliver(c);
    }
}

/* --- Entries ------------------------------------------------------------------------------ */

static channels__str topic_name(unsigned topic)
{
    static const char names[TOPICS][8] = { "room:0", "room:1", "room:2", "room:3" };
    return channels__str_z(names[topic]);
}

int presence_track_in(presence_node *n, unsigned topic, const char *key, const char *json,
                      uint64_t *born)
{
    return channels__state_track(n->state, topic_name(topic), channels__str_z(key),
                                 channels__str_z(json), born);
}

uint64_t presence_track(presence_node *n, const char *key)
{
    uint64_t born;
    assert_int_equal(presence_track_in(n, 0, key, "{}", &born), CHANNELS_OK);
    return born;
}

int presence_update(presence_node *n, uint64_t born, const char *json)
{
    return channels__state_update(n->state, born, channels__str_z(json));
}

int presence_untrack(presence_node *n, uint64_t born)
{
    return channels__state_untrack(n->state, born);
}

/* --- What there is to see ----------------------------------------------------------------- */

static bool is_seen(void *arg, const channels__meta *m)
{
    const presence_node *n = arg;
    const seen *s = seen_find(n, m->incarnation, m->born);
    assert_non_null(s);
    assert_int_equal(s->clock, m->clock);
    assert_true(channels__str_is(m->topic, s->topic) && channels__str_is(m->key, s->key));
    assert_true(channels__str_is(m->json, s->json));
    return true;
}

/* Those of the tests, and what else was reported. */
static size_t all_topics(const presence_node *n, channels__str *topics, size_t max)
{
    size_t count = 0;
    for (; count < TOPICS; count++)
        topics[count] = topic_name((unsigned)count);
    for (channels__map_node *m = NULL; (m = channels__map_next(&n->view, m)) != NULL;) {
        size_t i = 0;
        while (i < count && !channels__str_is(topics[i], ((seen *)(void *)m)->topic))
            i++;
        assert_true(i < max);
        if (i == count)
            topics[count++] = channels__str_z(((seen *)(void *)m)->topic);
    }
    return count;
}

static bool count_meta(void *arg, const channels__meta *m)
{
    (void)m;
    ++*(size_t *)arg;
    return true;
}

size_t presence_metas(const presence_node *n, channels__str topic)
{
    size_t count = 0;
    channels__state_list(n->state, topic, count_meta, &count);
    return count;
}

size_t presence_own(const presence_node *n)
{
    size_t count = 0;
    for (channels__map_node *m = NULL; (m = channels__map_next(&n->view, m)) != NULL;)
        count += ((seen *)(void *)m)->incarnation == n->incarnation;
    return count;
}

void presence_check(presence_node *n)
{
    channels__str topics[20];
    size_t metas = 0, count = all_topics(n, topics, 20);
    for (size_t i = 0; i < count; i++) {
        channels__state_list(n->state, topics[i], is_seen, n);
        metas += presence_metas(n, topics[i]);
    }
    assert_int_equal(metas, n->view.count);
}

bool presence_same(const presence_node *a, const presence_node *b)
{
    if (a->view.count != b->view.count)
        return false;
    for (channels__map_node *m = NULL; (m = channels__map_next(&a->view, m)) != NULL;) {
        const seen *of_a = (seen *)(void *)m;
        const seen *of_b = seen_find(b, of_a->incarnation, of_a->born);
        if (of_b == NULL || of_a->clock != of_b->clock || strcmp(of_a->json, of_b->json) != 0 ||
            strcmp(of_a->topic, of_b->topic) != 0 || strcmp(of_a->key, of_b->key) != 0)
            return false;
    }
    return true;
}

void presence_agree(presence_case *c)
{
    const presence_node *first = NULL;
    for (unsigned i = 0; i < NODES; i++) {
        presence_node *n = &c->nodes[i];
        if (n->state == NULL)
            continue;
        presence_check(n);
        if (first == NULL)
            first = n;
        assert_true(presence_same(first, n));
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void presence_reported_at(presence_node *n, const char *text, const char *file, int line)
{
    char *words[256], sorted[sizeof n->trace] = "";
    size_t count = 0;
    for (char *w = strtok(n->trace, " "); w != NULL; w = strtok(NULL, " ")) {
        assert_true(count < 256);
        words[count++] = w;
    }
    qsort(words, count, sizeof *words, by_text);
    for (size_t i = 0; i < count; i++) {
        strcat(sorted, i != 0 ? " " : "");
        strcat(sorted, words[i]);
    }
    n->trace[0] = '\0';
    if (strcmp(sorted, text) != 0)
        fprintf(stderr, "node %s: reported \"%s\", expected \"%s\"\n", n->name, sorted, text);
    _assert_true(strcmp(sorted, text) == 0, "reported", file, line);
}

typedef struct asked {
    const char *name;
    int status;
    size_t entries;
} asked;

static void on_node(void *arg, const char *node, uint64_t incarnation, channels__node_status status,
                    size_t entries)
{
    asked *a = arg;
    (void)incarnation;
    if (strcmp(a->name, node) != 0)
        return;
    assert_int_equal(a->status, -1);
    a->status = (int)status;
    a->entries = entries;
}

static asked ask(const presence_node *n, const char *name)
{
    asked a = { .name = name, .status = -1 };
    channels__state_nodes(n->state, on_node, &a);
    return a;
}

int presence_status(const presence_node *n, const char *name)
{
    return ask(n, name).status;
}

size_t presence_held(const presence_node *n, const char *name)
{
    return ask(n, name).entries;
}
