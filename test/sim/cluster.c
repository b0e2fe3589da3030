/* cluster.c - see cluster.h. */
#include "sim/cluster.h"

#include <ctype.h>

#include "presence/presence.h"
#include "presence/set.h"
#include "sim/start.h"

#define wrong(c, ...) sim_wrong(&(c)->roll, __VA_ARGS__)

/* Bytes that a node may hold when all have gone: what it knows of other nodes, buckets, and the
 * removals that somebody may have missed, 24 bytes each. */
#define REST 32768
#define NARROW_REST 8192

/* SIM_TOPICS: none of ours. */
static unsigned topic_number(const char *name)
{
    unsigned topic = 0;
    while (topic < SIM_TOPICS && strcmp(sim_topics[topic], name) != 0)
        topic++;
    return topic;
}

/* --- The application ---------------------------------------------------------------------- */

/* A holder at work: a channel's, or an owner's if there is none. */
typedef struct actor {
    sim_node *node;
    channels_channel *ch;
    uint64_t owner;
    sim_holder *holder;
    unsigned topic;
} actor;

static int call_track(const actor *a, const char *key, channels_payload meta)
{
    channels_presence *p = a->node->presence;
    return a->ch != NULL
               ? channels_presence_track(p, a->ch, key, meta)
               : channels_presence_track_owner(p, a->owner, sim_topics[a->topic], key, meta);
}

static int call_update(const actor *a, const char *key, channels_payload meta)
{
    channels_presence *p = a->node->presence;
    return a->ch != NULL
               ? channels_presence_update(p, a->ch, key, meta)
               : channels_presence_update_owner(p, a->owner, sim_topics[a->topic], key, meta);
}

static int call_untrack(const actor *a, const char *key)
{
    channels_presence *p = a->node->presence;
    return a->ch != NULL ? channels_presence_untrack(p, a->ch, key)
                         : channels_presence_untrack_owner(p, a->owner, sim_topics[a->topic], key);
}

static void expect(const actor *a, char op, unsigned key, int err, int expected)
{
    if (err != expected)
        wrong(a->node->cluster, "%s: %c of %s gave %d, not %d", a->node->name, op, sim_keys[key],
              err, expected);
}

/* Tracks or updates: a new number, which is truly there before anybody is told. */
static void put(const actor *a, char op, unsigned key)
{
    sim_roll *roll = &a->node->cluster->roll;
    unsigned *at = &a->holder->tracked[a->topic][key], was = *at;
    bool possible = (op == 'u') == (was != 0);
    char meta[64];
    unsigned n = possible ? sim_roll_add(roll, a->node->life, a->topic, key, was) : 0;
    if (possible && n == 0)
        return; /* enough has happened */
    snprintf(meta, sizeof meta, "{\"n\":%u,\"pad\":\"%0*u\"}", n, (int)(n % 20), 0);
    if (possible) {
        roll->entries[was].ended = true;
        *at = n;
    }
    channels_payload json = channels_json(meta);
    int err = op == 'u' ? call_update(a, sim_keys[key], json) : call_track(a, sim_keys[key], json);
    expect(a, op, key, err,
           possible    ? CHANNELS_OK
           : op == 'u' ? CHANNELS_ERR_CLOSED
                       : CHANNELS_ERR_INVALID);
}

static void end_entry(sim_roll *roll, unsigned *n)
{
    roll->entries[*n].ended = true;
    *n = 0;
}

static void end_topic(sim_roll *roll, sim_holder *holder, unsigned topic)
{
    for (unsigned key = 0; key < SIM_KEYS; key++)
        end_entry(roll, &holder->tracked[topic][key]);
}

/* What has just been done is on the list at once. */
static void check_at_once(const actor *a)
{
    static unsigned char seen[SIM_ENTRIES];
    sim_cluster *c = a->node->cluster;
    if (sim_net_draw(&c->bus, 8) != 0)
        return;
    memset(seen, 0, c->roll.count);
    sim_node_list(a->node, a->topic, seen);
    for (unsigned key = 0; key < SIM_KEYS; key++) {
        unsigned n = a->holder->tracked[a->topic][key];
        if (n != 0 && !seen[n])
            wrong(c, "%s: %u is tracked and not on the list", a->node->name, n);
    }
    for (unsigned n = 1; n < c->roll.count; n++)
        if (seen[n] && c->roll.entries[n].ended && c->roll.entries[n].life == a->node->life)
            wrong(c, "%s: %u has ended and is on the list", a->node->name, n);
}

static void act_on(const actor *a, const char *ops)
{
    sim_roll *roll = &a->node->cluster->roll;
    for (; *ops != '\0'; ops++) {
        unsigned key = isdigit((unsigned char)ops[1]) ? (unsigned)(ops[1] - '0') % SIM_KEYS : 0;
        switch (*ops) {
        case 't':
        case 'u': put(a, *ops, key); break;
        case 'x':
            end_entry(roll, &a->holder->tracked[a->topic][key]);
            expect(a, 'x', key, call_untrack(a, sim_keys[key]), CHANNELS_OK);
            break;
        case 'X':
            end_topic(roll, a->holder, a->topic);
            expect(a, 'X', 0, call_untrack(a, NULL), CHANNELS_OK);
            break;
        case 's':
            expect(a, 's', 0, channels_presence_push_state(a->node->presence, a->ch), CHANNELS_OK);
            break;
        default: continue; /* a key's digit */
        }
        check_at_once(a);
    }
}

static void channel_does(channels_channel *ch, const char *ops)
{
    sim_client *client = *(sim_client **)channels_socket_assigns(channels_channel_socket(ch));
    const actor a = { .node = client->node,
                      .ch = ch,
                      .holder = &client->holder,
                      .topic = topic_number(channels_channel_topic(ch)) };
    if (client->node->presence != NULL)
        act_on(&a, ops);
}

typedef struct room {
    char after[32];
} room;

static const char *text_of(const channels_msg *msg, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), name)->valuestring;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    room *r = channels_assigns(ch);
    sim_client *client = *(sim_client **)channels_socket_assigns(channels_channel_socket(ch));
    (void)user;
    snprintf(r->after, sizeof r->after, "%s", text_of(msg, "after"));
    channel_does(ch, text_of(msg, "before"));
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(channels_msg_json(msg), "refuse")))
        return CHANNELS_OK;
    end_topic(&client->cluster->roll, &client->holder, topic_number(msg->topic));
    return CHANNELS_REFUSE;
}

static int on_joined(channels_channel *ch, void *user)
{
    room *r = channels_assigns(ch);
    (void)user;
    channel_does(ch, r->after);
    return CHANNELS_OK;
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    channel_does(ch, text_of(msg, "ops"));
    return CHANNELS_OK;
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    sim_client *client = *(sim_client **)channels_socket_assigns(channels_channel_socket(ch));
    (void)why, (void)user;
    end_topic(&client->cluster->roll, &client->holder, topic_number(channels_channel_topic(ch)));
}

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    sim_cluster *c = user;
    char number[8];
    channels_request_param(req, "client", number, sizeof number);
    *(sim_client **)channels_socket_assigns(s) = &c->clients[atoi(number)];
    return CHANNELS_OK;
}

static const channels_handler handler = { .assigns_size = sizeof(room),
                                          .join = on_join,
                                          .joined = on_joined,
                                          .handle_in = on_in,
                                          .terminate = on_terminate };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &handler },
                                         { .pattern = NULL } };
static const channels_socket_handler socket_handler = { .assigns_size = sizeof(sim_client *),
                                                        .routes = routes,
                                                        .connect = on_connect };

/* --- What nodes and clients hear ---------------------------------------------------------- */

static cJSON *tree_of(channels_payload p)
{
    return cJSON_ParseWithLength(p.data, p.len);
}

static void on_diff(channels_presence *presence, const channels_presence_diff *diff, void *user)
{
    sim_node *node = user;
    unsigned topic = topic_number(diff->topic);
    (void)presence;
    if (topic == SIM_TOPICS)
        return;
    cJSON *joins = tree_of(diff->joins), *leaves = tree_of(diff->leaves);
    sim_viewer_diff(&node->lists[topic], joins, leaves);
    cJSON_Delete(joins);
    cJSON_Delete(leaves);
    node->dirty = true;
}

static void hear_message(sim_client *client, const channels_test_message *m)
{
    unsigned topic = topic_number(m->topic);
    sim_viewer *list = &client->lists[topic];
    if (m->status != NULL) {
        if (m->ref == NULL || (unsigned)atoi(m->ref) != client->join[topic])
            return;
        client->joined[topic] = strcmp(m->status, "ok") == 0;
        if (client->joined[topic])
            sim_viewer_begin(list);
        else
            sim_viewer_end(list); /* the join before it has ended all the same */
    } else if (strcmp(m->event, "presence_state") == 0) {
        sim_viewer_state(list, m->json);
    } else if (strcmp(m->event, "presence_diff") == 0) {
        sim_viewer_diff(list, cJSON_GetObjectItemCaseSensitive(m->json, "joins"),
                        cJSON_GetObjectItemCaseSensitive(m->json, "leaves"));
    } else if (strcmp(m->event, "phx_close") == 0) {
        if ((unsigned)atoi(m->join_ref) == client->join[topic]) /* not that of an earlier join */
            sim_viewer_end(list);
    } else {
        wrong(client->cluster, "%s heard %s", list->who, m->event);
    }
}

static void hear(sim_client *client)
{
    const channels_test_message *m;
    while (client->node != NULL && (m = channels_test_next(client->c)) != NULL) {
        hear_message(client, m);
        client->node->dirty = true;
    }
}

static void hear_all(sim_node *node)
{
    for (sim_client *client = node->cluster->clients; client < node->cluster->clients + SIM_CLIENTS;
         client++)
        if (client->node == node)
            hear(client);
}

/* --- What a node may show ----------------------------------------------------------------- */

static bool silent(const sim_node *node, unsigned life)
{
    return node->host.now - node->heard[life] >= node->cluster->options.down_ms;
}

/* A leave for want of a sign of life: not while such signs are there, only unread. */
static bool is_down(void *arg, unsigned n)
{
    sim_node *node = arg;
    sim_cluster *c = node->cluster;
    unsigned life = c->roll.entries[n].life;
    if (life == node->life || !silent(node, life))
        return false;
    bool was_down = node->unread_since - node->heard[life] >= c->options.down_ms;
    if (node->unread_since != 0 && !was_down && sim_net_waits(node->station))
        wrong(c, "%s finds %s down before it reads what has come", node->name, c->lives[life].name);
    return true;
}

/* A newer life of the same name has been heard, or that it ends. */
static bool is_over(const sim_node *node, unsigned life)
{
    const sim_cluster *c = node->cluster;
    if (node->bye[life] || !c->lives[life].ended)
        return node->bye[life];
    for (unsigned newer = life + 1; newer <= c->nlives; newer++)
        if ((node->heard[newer] != 0 || newer == node->life) &&
            strcmp(c->lives[newer].name, c->lives[life].name) == 0)
            return true;
    return false;
}

static void check_shown(sim_node *node, unsigned n)
{
    sim_cluster *c = node->cluster;
    const sim_entry *e = &c->roll.entries[n];
    uint64_t longest = c->options.down_ms + 2 * c->options.broadcast_ms + 2 * c->slack;
    uint64_t since = node->heard[e->life] > node->woke_at ? node->heard[e->life] : node->woke_at;
    if (e->life == node->life ? e->ended : node->heard[e->life] == 0)
        wrong(c, "%s shows %u, which %s", node->name, n, e->ended ? "has ended" : "it cannot know");
    else if (e->life != node->life && is_over(node, e->life))
        wrong(c, "%s shows a ghost: %u of %s", node->name, n, c->lives[e->life].name);
    else if (e->life != node->life && node->host.now - since > longest &&
             node->host.now - node->heard[e->life] > longest)
        wrong(c, "%s shows %u of %s, silent for %u ms", node->name, n, c->lives[e->life].name,
              (unsigned)(node->host.now - node->heard[e->life]));
}

static void list_has(void *arg, unsigned n)
{
    ((unsigned char *)arg)[n]++;
}

typedef struct reading {
    sim_node *node;
    unsigned topic;
    unsigned char *seen;
    bool done;
} reading;

static void on_list(void *arg, channels_payload p)
{
    reading *r = arg;
    cJSON *list = tree_of(p);
    sim_roll_read(&r->node->cluster->roll, r->node->name, r->topic, list, list_has, r->seen);
    cJSON_Delete(list);
    r->done = true;
}

unsigned sim_node_list(sim_node *node, unsigned topic, unsigned char *seen)
{
    static unsigned char scratch[SIM_ENTRIES];
    unsigned count = 0, most = node->cluster->roll.count;
    reading r = { node, topic, scratch, false };
    memset(scratch, 0, most);
    int err = channels_presence_list(node->presence, sim_topics[topic], on_list, &r);
    if (err != CHANNELS_OK || !r.done)
        wrong(node->cluster, "%s gave no list: %d", node->name, err);
    for (unsigned n = 1; n < most; n++) {
        if (scratch[n] > 1)
            wrong(node->cluster, "%s lists %u twice", node->name, n);
        count += scratch[n];
        if (seen != NULL)
            seen[n] |= scratch[n];
    }
    return count;
}

static void check_viewer(sim_node *node, sim_viewer *v, const unsigned char *seen, unsigned count)
{
    sim_viewer_rest(v);
    for (unsigned n = 1; n < node->cluster->roll.count; n++)
        if (sim_viewer_has(v, n) != (seen[n] != 0))
            wrong(node->cluster, "%s %s %u, which %s on the list of %s", v->who,
                  seen[n] ? "does not have" : "has", n, seen[n] ? "is" : "is not", node->name);
    if (v->count != count)
        wrong(node->cluster, "%s has %u, the list %u", v->who, v->count, count);
}

static void check_topic(sim_node *node, unsigned topic)
{
    static unsigned char seen[SIM_ENTRIES];
    sim_cluster *c = node->cluster;
    memset(seen, 0, c->roll.count);
    unsigned count = sim_node_list(node, topic, seen);
    check_viewer(node, &node->lists[topic], seen, count);
    for (unsigned n = 1; n < c->roll.count; n++) {
        if (seen[n])
            check_shown(node, n);
        else if (c->roll.entries[n].life == node->life && c->roll.entries[n].topic == topic &&
                 !c->roll.entries[n].ended)
            wrong(c, "%s does not show its own %u", node->name, n);
    }
    for (sim_client *client = c->clients; client < c->clients + SIM_CLIENTS; client++)
        if (client->node == node && client->lists[topic].on && client->lists[topic].has_state)
            check_viewer(node, &client->lists[topic], seen, count);
}

static void check_node(sim_node *node)
{
    for (unsigned topic = 0; topic < SIM_TOPICS; topic++)
        check_topic(node, topic);
    node->dirty = false;
}

/* Where nothing has changed, now and then: a ghost may be found by its age alone. */
void sim_cluster_check(sim_cluster *c)
{
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (sim_node_runs(node) && (node->dirty || sim_net_draw(&c->bus, 10) == 0))
            check_node(node);
}

/* --- Nodes -------------------------------------------------------------------------------- */

static void failed(void *arg, const char *file, int line, const char *text)
{
    wrong((sim_cluster *)arg, "%s:%d: %s", file, line, text);
}

/* Of two lives of one name it is the newer that is first heard of later: only a bus that carries
 * letters of a node which is long dead, and nobody's, could make that untrue, and that is none. */
static bool arrives(void *arg, const sim_parcel *l)
{
    sim_cluster *c = arg;
    sim_node *node = &c->nodes[l->to - c->bus.stations];
    if (strncmp(l->topic, "phx_", 4) != 0 || l->life == node->life)
        return true;
    if (node->heard[l->life] == 0 && is_over(node, l->life))
        return false;
    node->heard[l->life] = node->host.now;
    node->bye[l->life] |= l->last_words;
    return true;
}

void sim_cluster_init(sim_cluster *c, uint64_t seed)
{
    sim_net_init(&c->bus, seed);
    c->bus.now = 1000000;
    c->bus.arrives = arrives;
    c->bus.arg = c;
    c->slack = 50;
    for (unsigned i = 0; i < SIM_STATIONS; i++) {
        c->nodes[i].cluster = c;
        c->nodes[i].number = i;
        c->nodes[i].station = &c->bus.stations[i];
    }
    for (unsigned i = 0; i < SIM_CLIENTS; i++)
        c->clients[i].cluster = c;
}

static void start_lists(sim_node *node)
{
    for (unsigned topic = 0; topic < SIM_TOPICS; topic++) {
        sim_viewer *v = &node->lists[topic];
        v->roll = &node->cluster->roll;
        v->topic = topic;
        snprintf(v->who, sizeof v->who, "on_diff of %s, %s", node->name, sim_topics[topic]);
        v->is_down = is_down;
        v->arg = node;
        sim_viewer_begin(v);
        v->has_state = true; /* nobody is there */
    }
}

static unsigned live(sim_node *node)
{
    sim_cluster *c = node->cluster;
    unsigned life = ++c->nlives;
    snprintf(c->lives[life].name, sizeof c->lives[life].name, "%s", node->name);
    c->lives[life].node = node->number;
    c->lives[life].ended = false;
    return life;
}

/* What is large enough in earnest for no simulation to get there. */
static void narrow(channels_presence *presence)
{
    channels__state_config *config = &presence->state->config;
    config->max_removals = 5;
    config->max_message = 300;
    config->max_early = 600;
}

void sim_node_start(sim_node *node, const char *name)
{
    sim_cluster *c = node->cluster;
    const channels_config config = { .node = node->name,
                                     .pubsub = &sim_net_adapter,
                                     .pubsub_self = node->station };
    channels_presence_options options = c->options;
    if (c->nlives == SIM_LIVES - 1)
        return;
    memset(&node->host, 0, sizeof node->host);
    memset(&node->memory, 0, sizeof node->memory);
    memset(node->heard, 0, sizeof node->heard);
    memset(node->bye, 0, sizeof node->bye);
    memset(node->owners, 0, sizeof node->owners);
    snprintf(node->name, sizeof node->name, "%s", name);
    node->station->life = node->life = live(node);
    node->stalled_until = node->woke_at = 0;
    node->host.now = c->bus.now;
    node->host.random = c->bus.random + node->life;
    node->host.on_failure = failed;
    node->host.on_failure_arg = c;
    start_lists(node);
    sim_start(&node->host, &node->memory, &config);
    channels_mount(node->host.ep, "/socket", &socket_handler, NULL, c);
    options.user = node;
    options.on_diff = on_diff;
    int err = channels_presence_new(&node->presence, node->host.ep, &options);
    if (err != CHANNELS_OK)
        wrong(c, "no presence: %d: %s", err, node->host.log);
    else if (c->narrow)
        narrow(node->presence);
    node->bytes = node->memory.bytes;
}

bool sim_node_runs(const sim_node *node)
{
    return node->life != 0 && node->cluster->bus.now >= node->stalled_until;
}

sim_node *sim_node_named(sim_cluster *c, const char *name)
{
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (node->life != 0 && strcmp(node->name, name) == 0)
            return node;
    return NULL;
}

static void end_all_entries(sim_node *node)
{
    sim_roll *roll = &node->cluster->roll;
    for (unsigned n = 1; n < roll->count; n++)
        if (roll->entries[n].life == node->life)
            roll->entries[n].ended = true;
    memset(node->owners, 0, sizeof node->owners);
}

static void stop_host(sim_node *node)
{
    sim_cluster *c = node->cluster;
    for (sim_client *client = c->clients; client < c->clients + SIM_CLIENTS; client++)
        if (client->node == node)
            client->node = NULL;
    channels_test_stop(&node->host);
    for (sim_client *client = c->clients; client < c->clients + SIM_CLIENTS; client++)
        if (client->node == NULL)
            memset(&client->holder, 0, sizeof client->holder);
    c->lives[node->life].ended = true;
    if (node->memory.blocks != 0)
        wrong(c, "%s has lost %zu blocks", node->name, node->memory.blocks);
    node->presence = NULL;
    node->life = node->station->life = 0;
}

void sim_node_crash(sim_node *node)
{
    node->station->mute = true;
    end_all_entries(node);
    stop_host(node);
}

void sim_node_stop(sim_node *node, bool graceful)
{
    end_all_entries(node);
    node->station->last_words = graceful;
    channels_presence_free(node->presence, graceful);
    node->station->last_words = false;
    node->presence = NULL;
    stop_host(node);
}

void sim_node_stall(sim_node *node, unsigned ms)
{
    node->stalled_until = node->cluster->bus.now + ms;
}

void sim_cluster_deinit(sim_cluster *c)
{
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (node->life != 0)
            sim_node_crash(node);
    if (c->bus.misread != 0)
        wrong(c, "%u letters were not understood", c->bus.misread);
    if (c->bus.unbalanced != 0)
        wrong(c, "interest was told of wrongly %u times", c->bus.unbalanced);
    sim_roll_check_refs(&c->roll);
    sim_net_deinit(&c->bus);
}

/* --- Clients and owners ------------------------------------------------------------------- */

void sim_client_open(sim_client *client, sim_node *node)
{
    unsigned number = (unsigned)(client - client->cluster->clients);
    char params[24];
    snprintf(params, sizeof params, "client=%u", number);
    memset(client->joined, 0, sizeof client->joined);
    memset(client->join, 0, sizeof client->join);
    client->node = node;
    for (unsigned topic = 0; topic < SIM_TOPICS; topic++) {
        sim_viewer *v = &client->lists[topic];
        v->roll = &client->cluster->roll;
        v->topic = topic;
        snprintf(v->who, sizeof v->who, "client %u at %s, %s", number, node->name,
                 sim_topics[topic]);
        v->is_down = is_down;
        v->arg = node;
        sim_viewer_end(v);
    }
    client->c = channels_test_connect(&node->host, "/socket", params);
}

void sim_client_close(sim_client *client)
{
    sim_node *node = client->node;
    hear(client);
    channels_test_close(client->c);
    client->node = NULL;
    hear_all(node);
}

static void say(sim_client *client, unsigned topic, const char *event, const char *payload)
{
    unsigned ref = channels_test_push(client->c, sim_topics[topic], event, payload);
    if (strcmp(event, "phx_join") == 0)
        client->join[topic] = ref;
    hear_all(client->node);
}

void sim_client_join(sim_client *client, unsigned topic, const char *before, const char *after,
                     bool refuse)
{
    char payload[128];
    snprintf(payload, sizeof payload, "{'before':'%s','after':'%s','refuse':%s}", before, after,
             refuse ? "true" : "false");
    client->joined[topic] = true;
    say(client, topic, "phx_join", payload);
}

void sim_client_leave(sim_client *client, unsigned topic)
{
    client->joined[topic] = false;
    say(client, topic, "phx_leave", "{}");
}

void sim_client_do(sim_client *client, unsigned topic, const char *ops)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{'ops':'%s'}", ops);
    say(client, topic, "do", payload);
}

void sim_owner_do(sim_node *node, unsigned owner, unsigned topic, const char *ops)
{
    const actor a = {
        .node = node, .owner = owner + 1, .holder = &node->owners[owner], .topic = topic
    };
    act_on(&a, ops);
    hear_all(node);
}

void sim_owner_drop(sim_node *node, unsigned owner)
{
    for (unsigned topic = 0; topic < SIM_TOPICS; topic++)
        end_topic(&node->cluster->roll, &node->owners[owner], topic);
    int err = channels_presence_untrack_owner(node->presence, owner + 1, NULL, NULL);
    if (err != CHANNELS_OK)
        wrong(node->cluster, "%s: an owner could not be dropped: %d", node->name, err);
    hear_all(node);
}

/* --- Time --------------------------------------------------------------------------------- */

/* It has slept through `late` ms: what has come waits to be read, what was due is due. */
static void wake(sim_node *node)
{
    sim_cluster *c = node->cluster;
    uint64_t since = node->host.now;
    node->host.now = node->woke_at = c->bus.now;
    if (sim_net_draw(&c->bus, 2) == 0) {
        if (c->bus.now - since > 2 * c->options.broadcast_ms) /* its tick is more than one late */
            node->unread_since = since;
        channels_test_wait(&node->host, 0);
        hear_all(node);
        node->unread_since = 0;
    }
}

static void step_node(sim_node *node)
{
    sim_cluster *c = node->cluster;
    if (!sim_node_runs(node))
        return;
    if (node->stalled_until != 0) {
        wake(node);
        node->stalled_until = 0;
    }
    sim_net_deliver(node->station);
    channels_test_wait(&node->host, c->bus.now - node->host.now);
    hear_all(node);
}

void sim_cluster_run(sim_cluster *c, unsigned ms)
{
    for (unsigned left = ms; left > 0 && c->roll.wrong[0] == '\0';) {
        unsigned step = left < c->slack ? left : c->slack;
        c->bus.now += step;
        left -= step;
        for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
            step_node(node);
        sim_cluster_check(c);
    }
}

/* --- After quiet -------------------------------------------------------------------------- */

static bool truly_there(const sim_cluster *c, unsigned n, unsigned topic)
{
    const sim_entry *e = &c->roll.entries[n];
    return e->topic == topic && !e->ended && !c->lives[e->life].ended;
}

static void check_equal(sim_node *node, unsigned topic)
{
    static unsigned char seen[SIM_ENTRIES];
    sim_cluster *c = node->cluster;
    memset(seen, 0, c->roll.count);
    sim_node_list(node, topic, seen);
    for (unsigned n = 1; n < c->roll.count; n++)
        if (truly_there(c, n, topic) != (seen[n] != 0))
            wrong(c, "after quiet %s %s %u of %s", node->name, seen[n] ? "shows" : "does not show",
                  n, c->lives[c->roll.entries[n].life].name);
}

void sim_cluster_check_equal(sim_cluster *c)
{
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        for (unsigned topic = 0; node->life != 0 && topic < SIM_TOPICS; topic++)
            check_equal(node, topic);
}

static void on_node(void *arg, const channels_presence_node *known)
{
    sim_node *node = arg, *is = sim_node_named(node->cluster, known->name);
    const sim_roll *roll = &node->cluster->roll;
    size_t entries = 0;
    if (is == NULL || !known->up) {
        wrong(node->cluster, "%s still remembers %s", node->name, known->name);
        return;
    }
    for (unsigned n = 1; n < roll->count; n++)
        entries += roll->entries[n].life == is->life && !roll->entries[n].ended;
    if (entries != known->entries)
        wrong(node->cluster, "%s holds %zu entries of %s, which has %zu", node->name,
              known->entries, known->name, entries);
}

void sim_cluster_check_forgotten(sim_cluster *c)
{
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (node->life != 0)
            channels_presence_foreach_node(node->presence, on_node, node);
}

void sim_cluster_empty(sim_cluster *c)
{
    for (sim_client *client = c->clients; client < c->clients + SIM_CLIENTS; client++)
        if (client->node != NULL)
            sim_client_close(client);
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        for (unsigned owner = 0; node->life != 0 && owner < SIM_OWNERS; owner++)
            sim_owner_drop(node, owner);
    sim_cluster_run(c, 3 * c->options.broadcast_ms);
    sim_cluster_check_equal(c);
    for (sim_node *node = c->nodes; node < c->nodes + SIM_STATIONS; node++)
        if (node->life != 0 && node->memory.bytes > node->bytes + (c->narrow ? NARROW_REST : REST))
            wrong(c, "%s holds %zu bytes more than when it started", node->name,
                  node->memory.bytes - node->bytes);
}
