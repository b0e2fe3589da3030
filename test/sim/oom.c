/* oom.c - a life of an endpoint that touches all that allocates, again and again, each time with
 * another of its allocations failing: that one alone, or all from then on. Nothing may crash or be
 * lost, nobody may end other than once, what clients get stays well-formed; and when there is
 * memory again, a new client can join and talk.
 *
 * The endpoint's own allocator comes first; then malloc itself, for what has no other: wslay,
 * cJSON, OpenSSL, letters of other threads. (Sanitizers have a malloc of their own: the second is
 * left out.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include <channels/hub.h>
#include <channels/presence.h>

#include "sim/malloc.h"
#include "sim/wire.h"

/* --- The application ---------------------------------------------------------------------- */

typedef struct play {
    channels_test host;
    sim_memory memory;
    sim_wire a, b, c, d, e; /* e comes to the mount without channels */
    sim_wire f, g;          /* by long polling, both for one session */
    int admitted, terminated, connected, disconnected, drops, infos;
    channels_ref waiting[8];
    unsigned nwaiting;
    channels_presence *set;
    channels_ref batch; /* that fetch() has yet to answer */
    unsigned fetched, diffs;
    const char *wrong;
} play;

static void drop_info(void *info)
{
    play *p = info;
    p->drops++;
}

static void keep_ref(play *p, channels_ref ref)
{
    if (p->nwaiting < sizeof p->waiting / sizeof *p->waiting)
        p->waiting[p->nwaiting++] = ref;
}

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    play *p = user;
    channels_ref ref;
    int err = channels_socket_set_id(s, "user");
    cJSON *params = channels_request_params(req);
    bool later = cJSON_GetObjectItemCaseSensitive(params, "later") != NULL;
    cJSON_Delete(params);
    if (err != CHANNELS_OK)
        return err;
    if (later && (err = channels_connect_later(s, &ref)) != CHANNELS_OK)
        return err;
    if (later)
        keep_ref(p, ref);
    p->connected++;
    return later ? CHANNELS_LATER : CHANNELS_OK;
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    play *p = user;
    (void)s, (void)why;
    p->disconnected++;
}

/* Some of the topics will do. */
static int track(play *p, channels_channel *ch)
{
    static const char meta[] = "{\"phx_ref\":1,\"n\":2}";
    if (strchr("abl", channels_channel_topic(ch)[5]) == NULL)
        return CHANNELS_OK;
    return channels_presence_track(p->set, ch, "me", channels_json(meta));
}

/* Every third answer comes later. */
static int fetch(channels_presence_batch *batch, void *user)
{
    play *p = user;
    p->fetched++;
    if (channels_presence_batch_of(p->host.ep, p->batch) == NULL && p->fetched % 3 == 0)
        return channels_presence_batch_later(batch, &p->batch) == CHANNELS_OK ? CHANNELS_LATER : -1;
    return channels_presence_batch_set(batch, 0, channels_json("{\"name\":\"x\"}"));
}

static void answer_batch(play *p)
{
    channels_presence_batch *batch = channels_presence_batch_of(p->host.ep, p->batch);
    if (batch != NULL)
        channels_presence_batch_set(batch, 0, channels_json("{\"late\":true}"));
    channels_presence_batch_done(p->host.ep, p->batch);
}

static void on_diff(channels_presence *set, const channels_presence_diff *diff, void *user)
{
    play *p = user;
    (void)set, (void)diff;
    p->diffs++;
}

/* Nobody is there any more. */
static void ignore_list(void *arg, channels_payload list)
{
    play *p = arg;
    if (list.data != NULL && list.len != 2)
        p->wrong = "a ghost is present";
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    play *p = user;
    channels_ref ref;
    int err = channels_subscribe(ch, "news");
    if (err == CHANNELS_OK)
        err = channels_subscribe(ch, msg->topic + 1); /* one that nobody else has */
    if (err == CHANNELS_OK)
        err = track(p, ch);
    if (err != CHANNELS_OK)
        return err;
    if (strcmp(msg->topic, "room:later") == 0) {
        if ((err = channels_later(ch, &ref)) != CHANNELS_OK)
            return err;
        keep_ref(p, ref);
    } else {
        channels_reply(ch, "ok", channels_json("{\"you\":[\"are\",\"in\"]}"));
    }
    p->admitted++;
    return strcmp(msg->topic, "room:later") == 0 ? CHANNELS_LATER : CHANNELS_OK;
}

static int on_joined(channels_channel *ch, void *user)
{
    play *p = user;
    channels_ref self;
    channels_self(ch, &self);
    channels_push(ch, "hello", channels_empty());
    channels_presence_push_state(p->set, ch);
    return CHANNELS_OK;
}

/* An info is owned by the library only if that was said. */
static int count_info(play *p, int err)
{
    p->infos += err == CHANNELS_OK;
    return err;
}

static void posted(channels_endpoint *ep, void *arg)
{
    (void)arg;
    channels_pubsub_broadcast(ep, "room:a", "posted", channels_empty());
}

static void timers(channels_channel *ch, play *p)
{
    channels_timer timer = { 0 };
    for (uint32_t ms = 0; ms < 20; ms++)
        count_info(p, channels_info_after(ch, ms, p, drop_info, &timer));
    channels_timer_stop(ch, timer);
}

static void sends(channels_channel *ch, play *p)
{
    channels_ref self;
    if (channels_self(ch, &self) == CHANNELS_OK)
        count_info(p, channels_send(p->host.ep, self, p, drop_info));
    channels_post(p->host.ep, posted, NULL, NULL);
    for (int i = 0; i < 40; i++)
        channels_stop(ch);
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    play *p = user;
    channels_ref ref;
    if (strcmp(msg->event, "tree") == 0)
        return channels_msg_json(msg) != NULL ? channels_reply(ch, "ok", msg->payload) : -1;
    if (strcmp(msg->event, "shout") == 0)
        return channels_broadcast(ch, "shout", msg->payload);
    if (strcmp(msg->event, "secret") == 0) {
        channels_presence_update(p->set, ch, "me", channels_empty());
        return channels_broadcast_from(ch, "secret", msg->payload);
    }
    if (strcmp(msg->event, "timers") == 0)
        timers(ch, p);
    if (strcmp(msg->event, "sends") == 0)
        sends(ch, p);
    if (strcmp(msg->event, "later") == 0 && channels_later(ch, &ref) == CHANNELS_OK)
        keep_ref(p, ref);
    if (strcmp(msg->event, "stop") == 0)
        return CHANNELS_STOP;
    return channels_reply(ch, "ok", msg->payload);
}

static int forward(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return channels_push(ch, msg->event, msg->payload);
}

static int on_info(channels_channel *ch, void *info, void *user)
{
    play *p = user;
    (void)info;
    p->drops++;
    return channels_push(ch, "info", channels_empty());
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    play *p = user;
    (void)why;
    p->terminated++;
    channels_broadcast(ch, "gone", channels_empty());
}

static const char *const secrets[] = { "secret", NULL };
static const channels_handler room = { .assigns_size = 16,
                                       .intercept = secrets,
                                       .join = on_join,
                                       .joined = on_joined,
                                       .handle_in = on_in,
                                       .handle_out = forward,
                                       .handle_broadcast = forward,
                                       .handle_info = on_info,
                                       .terminate = on_terminate };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler handler = { .routes = routes,
                                                 .connect = on_connect,
                                                 .disconnect = on_disconnect };

static int on_frame(channels_socket *s, channels_payload frame, void *user)
{
    channels_ref self;
    (void)user;
    channels_socket_self(s, &self);
    return channels_socket_push(s, frame);
}

static const channels_socket_handler frames = { .connect = on_connect,
                                                .disconnect = on_disconnect,
                                                .handle_frame = on_frame };

/* Requests for no mount are answered later. */
static int on_request(void *user, channels_ref to, const channels_request *req)
{
    play *p = (play *)user;
    (void)req;
    keep_ref(p, to);
    return CHANNELS_OK;
}

static int publish(void *self, const char *topic, const void *data, size_t len)
{
    (void)self, (void)topic, (void)data, (void)len;
    return 0;
}

static const channels_pubsub_adapter adapter = { .name = "none",
                                                 .broadcast = publish };

/* --- The life ----------------------------------------------------------------------------- */

static void carry(play *p)
{
    sim_wire *const wires[] = { &p->a, &p->b, &p->c, &p->d, &p->e,
                                &p->f, &p->g };
    for (int i = 0; i < 7; i++)
        sim_wire_move_all(wires[i]);
    channels_test_wait(&p->host, 1);
    for (int i = 0; i < 7; i++) {
        sim_wire_move_all(wires[i]);
        for (sim_message *m; (m = sim_wire_hear(wires[i])) != NULL;)
            free(m);
        if (wires[i]->wrong != NULL)
            p->wrong = wires[i]->wrong;
        if (wires[i]->code == 1000)
            p->wrong = "closed with 1000";
    }
}

static void settle_waiting(play *p)
{
    static const channels_header type = { "content-type", "text/plain" };
    static const channels_response ok = { 200, &type, 1, "body", 4 };
    for (unsigned i = 0; i < p->nwaiting; i++) {
        channels_ref ref = p->waiting[i];
        if (channels_ref_socket(p->host.ep, ref) != NULL)
            channels_accept(p->host.ep, ref);
        else if (channels_ref_channel(p->host.ep, ref) != NULL)
            channels_ref_reply(p->host.ep, ref, "ok", channels_json("{\"late\":true}"));
        else
            channels_respond(p->host.ep, ref, &ok);
        channels_ref_drop(p->host.ep, ref);
    }
    p->nwaiting = 0;
    answer_batch(p);
    carry(p);
}

static void open_all(play *p)
{
    static const char with_token[] =
        "GET /raw/x/websocket?a=1 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "sec-websocket-protocol: phoenix, base64url.bearer.phx.MTIzNA\r\n\r\n";
    static const char plain[] = "GET /page HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    sim_wire *const wires[] = { &p->a, &p->b, &p->c, &p->d, &p->e,
                                &p->f, &p->g };
    for (int i = 0; i < 7; i++)
        sim_wire_open(wires[i], &p->host);
    p->a.window = 15;
    sim_wire_upgrade(&p->a, "/socket/websocket?vsn=2.0.0&name=a%20b");
    sim_wire_upgrade(&p->b, "/socket/websocket");
    sim_wire_upgrade(&p->c, "/socket/websocket?vsn=2.0.0&later=1");
    sim_wire_text(&p->c, "[null,'1','phoenix','heartbeat',{}]");
    sim_wire_raw(&p->e, with_token, sizeof with_token - 1);
    sim_wire_raw(&p->d, plain, sizeof plain - 1);
    sim_wire_raw(&p->d, plain, sizeof plain - 1);
    sim_wire_move(&p->d, 20, 1);
    carry(p);
    settle_waiting(p);
    settle_waiting(p);
}

static void join_all(play *p)
{
    char text[100];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "['%d','%d','room:%c','phx_join',{}]", i, i, 'a' + i);
        sim_wire_text(&p->a, text);
    }
    sim_wire_text(&p->b, "{'topic':'room:a','event':'phx_join','payload':{},'ref':1}");
    sim_wire_text(&p->a, "['30','30','room:later','phx_join',{}]");
    sim_wire_text(&p->a, "['30','31','room:later','echo',{'held':[1,2,3]}]");
    sim_wire_text(&p->a, "['30','32','room:later','phx_leave',{}]");
    sim_wire_text(&p->a, "['33','33','room:later','phx_join',{}]");
    sim_wire_text(&p->a, "['0','34','room:a','phx_join',{}]");
    carry(p);
    settle_waiting(p);
    settle_waiting(p);
}

static void say_deflated(sim_wire *w, const char *json)
{
    char *text = sim_quoted(json);
    size_t len;
    char *packed = sim_wire_deflate(text, strlen(text), &len);
    if (w->deflates)
        sim_wire_frame(w, 0xc1, packed, len);
    free(packed);
    free(text);
}

static void talk(play *p)
{
    static const char *const events[] = { "tree",  "shout", "secret", "timers",
                                          "sends", "later", "later",  "\\u00e9\\ud83d\\ude00",
                                          "stop",  "none" };
    char text[3000], piece[100];
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        snprintf(text, sizeof text, "[null,'%zu','room:%c','%s',{'n':[1,{'a':'b'}],'pad':'%0*d'}]",
                 i, (int)('a' + i % 3), events[i], i == 1 ? 2000 : 1, 0);
        sim_wire_text(&p->a, text);
    }
    say_deflated(&p->a, "[null,'10','room:a','shout',{'compressed':true}]");
    sim_wire_frame(&p->a, 0x82, "\0\0\1\6\5" "2room:ashout\t", 18);
    sim_wire_frame(&p->a, 0x01, "[null,\"9\",\"room:a\",", 19);
    sim_wire_frame(&p->a, 0x89, "ping", 4);
    sim_wire_frame(&p->e, 0x81, "text", 4);
    sim_wire_frame(&p->e, 0x82, "\xff", 1);
    memset(piece, ' ', sizeof piece);
    for (int i = 0; i < 60; i++)
        sim_wire_frame(&p->a, 0x00, piece, sizeof piece);
    sim_wire_frame(&p->a, 0x80, "\"echo\",{}]", 10);
    while (p->a.out.len != 0 && sim_wire_move(&p->a, 777, 333))
        ;
    settle_waiting(p);
    for (int i = 0; i < 40; i++) /* nobody reads meanwhile */
        channels_pubsub_broadcast(p->host.ep, "room:a", "news", channels_json("{\"a\":1}"));
    for (int i = 0; i < 20; i++)
        channels_pubsub_broadcast(p->host.ep, "news", "news", channels_binary("bytes", 5));
    channels_test_wait(&p->host, 30);
    carry(p);
}

static void request(sim_wire *w, const char *method, const char *token, const char *body)
{
    char target[300], headers[100], *text = sim_quoted(body);
    snprintf(target, sizeof target, "/socket/longpoll?vsn=2.0.0&token=%s", token);
    snprintf(headers, sizeof headers,
             "content-type: application/x-ndjson\r\ncontent-length: %zu\r\n", strlen(text));
    sim_wire_request(w, method, target, headers);
    sim_wire_raw(w, text, strlen(text));
    free(text);
}

/* A session: messages of both kinds, a poll on each connection, one of which breaks. */
static void poll_for_all(play *p)
{
    char token[200] = "none";
    request(&p->f, "GET", token, "");
    carry(p);
    sscanf(p->f.body, "{\"status\":410,\"token\":\"%199[^\"]", token);
    request(&p->f, "OPTIONS", token, "");
    request(&p->f, "POST", token,
            "['1','1','room:lp','phx_join',{}]\nAAABBwkycGhvZW5peGhlYXJ0YmVhdA==\n"
            "['1','3','room:lp','secret',{}]\n['1','4','room:lp','later',{}]");
    carry(p);
    settle_waiting(p);
    request(&p->g, "GET", token, "");
    sim_wire_move(&p->g, 1000, 100);
    request(&p->f, "GET", token, "");
    sim_wire_move_all(&p->f);
    sim_wire_cut(&p->g);
    carry(p);
    request(&p->f, "GET", token, "");
    sim_wire_move_all(&p->f);
    for (int i = 0; i < 10; i++)
        channels_pubsub_broadcast(p->host.ep, "room:lp", "news", channels_json("{\"a\":1}"));
    carry(p);
    request(&p->f, "GET", token, "");
    carry(p);
    channels_disconnect(p->host.ep, "user");
    carry(p);
}

static void part(play *p)
{
    sim_wire_text(&p->a, "['1','40','room:b','phx_leave',{}]");
    sim_wire_text(&p->a, "nonsense");
    sim_wire_close(&p->b, 4321);
    carry(p);
    channels_disconnect(p->host.ep, "user");
    carry(p);
}

static void hears(void *arg, const channels_msg *msg)
{
    (void)arg;
    channels_msg_json(msg);
}

static void count(void *arg, const channels_msg *msg)
{
    (void)msg;
    ++*(unsigned *)arg;
}

static void tell_each_other(play *p, channels_hub *hub, channels_endpoint *const eps[2])
{
    unsigned heard = 0;
    char topic[16];
    channels_hub_uplink(hub, eps[0], &adapter, p);
    for (int i = 0; i < 20; i++) {
        snprintf(topic, sizeof topic, "topic %d", i);
        channels_pubsub_subscribe(eps[i % 2], topic, count, &heard, NULL);
        channels_pubsub_broadcast(eps[1 - i % 2], topic, "e", channels_empty());
        channels_endpoint_run(eps[i % 2]);
    }
    channels_pubsub_direct_broadcast(eps[0], "two", "topic 1", "e", channels_empty());
    for (int i = 0; i < 4; i++)
        channels_endpoint_run(eps[1 - i % 2]);
    if (p->memory.fail_at == 0 && all.fail_at == 0 && heard != 21)
        p->wrong = "the endpoints of a hub do not hear each other";
}

static void meet(play *p)
{
    static const char *const names[] = { "one", "two" };
    channels_hub *hub;
    channels_endpoint *eps[2];
    size_t before = p->memory.blocks;
    if (channels_hub_new(&hub, NULL) != CHANNELS_OK)
        return;
    for (int i = 0; i < 2; i++) {
        const channels_config config = { .hooks = &p->memory,
                                         .realloc = sim_memory_realloc,
                                         .node = names[i],
                                         .pubsub = channels_hub_adapter(),
                                         .pubsub_self = hub };
        channels_endpoint_new(&eps[i], &config);
    }
    if (eps[0] != NULL && eps[1] != NULL)
        tell_each_other(p, hub, eps);
    for (int i = 0; i < 2; i++)
        channels_endpoint_free(eps[i]);
    channels_hub_free(hub);
    if (p->memory.blocks != before)
        p->wrong = "memory is lost in a hub";
}

static void live(play *p)
{
    channels_subscription sub;
    if (channels_pubsub_subscribe(p->host.ep, "news", hears, p, &sub) != CHANNELS_OK)
        return;
    open_all(p);
    join_all(p);
    talk(p);
    poll_for_all(p);
    channels_pubsub_unsubscribe(p->host.ep, sub);
    part(p);
    meet(p);
}

static sim_message *hear_but_presence(sim_wire *w)
{
    sim_message *m = sim_wire_hear(w);
    while (m != NULL && strstr(m->bytes, "\"presence_") != NULL) {
        free(m);
        m = sim_wire_hear(w);
    }
    return m;
}

/* There is memory again: a client comes, joins and talks. */
static void live_on(play *p)
{
    static const char joined[] = "[\"1\",\"1\",\"room:a\",\"phx_reply\",{\"status\":\"ok\","
                                 "\"response\":{\"you\":[\"are\",\"in\"]}}]";
    static const char echoed[] =
        "[\"1\",\"2\",\"room:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"x\":1}}]";
    sim_wire *w = &p->a;
    sim_wire_cut(w);
    sim_wire_deinit(w);
    sim_wire_open(w, &p->host);
    sim_wire_upgrade(w, "/socket/websocket?vsn=2.0.0");
    sim_wire_text(w, "['1','1','room:a','phx_join',{}]");
    sim_wire_text(w, "['1','2','room:a','echo',{'x':1}]");
    sim_wire_move_all(w);
    const char *const wanted[] = { joined, NULL, echoed };
    for (int i = 0; i < 3; i++) { /* hello is in between */
        sim_message *m = hear_but_presence(w);
        if (m == NULL || (wanted[i] != NULL && strcmp(m->bytes, wanted[i]) != 0))
            p->wrong = "a new client is not served";
        free(m);
    }
}

static void cut_all(play *p)
{
    sim_wire *const wires[] = { &p->a, &p->b, &p->c, &p->d, &p->e,
                                &p->f, &p->g };
    for (int i = 0; i < 7; i++)
        sim_wire_cut(wires[i]);
}

static const char *verdict(const play *p, bool all_there, size_t lost)
{
    if (p->wrong != NULL)
        return p->wrong;
    if (all_there && (p->connected < 6 || p->admitted < 24 || p->infos < 20 || p->fetched < 8 ||
                      p->diffs < 8))
        return "not all has happened that should";
    if (lost != 0)
        return "memory is lost";
    if (p->admitted != p->terminated)
        return "joins and terminates differ";
    if (p->connected != p->disconnected)
        return "connects and disconnects differ";
    return p->infos != p->drops ? "an info is lost" : NULL;
}

/* Of what it starts with: the results tell. */
static void ignore(void *arg, const char *file, int line, const char *text)
{
    (void)arg, (void)file, (void)line, (void)text;
}

/* What is wrong, or NULL. It has been so many allocations in *calls. */
static const char *run(sim_memory *failing, size_t fail_at, bool fail_on, size_t *calls)
{
    static const channels_mount_options options = {
        .auth_token = true, .all_headers = true, .websocket.compress = true, .longpoll.on = true
    };
    play *p = sim_alloc(sizeof *p);
    const channels_presence_options presence = { .user = p, .fetch = fetch, .on_diff = on_diff };
    channels_config config = { .user = p,
                               .pubsub = &adapter,
                               .request = on_request,
                               .log_level = CHANNELS_LOG_DEBUG };
    memset(p, 0, sizeof *p);
    p->host.on_failure = ignore;
    sim_memory *memory = failing != NULL ? failing : &p->memory;
    memory->calls = 0;
    memory->fail_at = fail_at;
    memory->fail_on = fail_on;
    counting = failing != NULL;
    int err = sim_start(&p->host, &p->memory, &config);
    if (err == CHANNELS_OK) {
        err = channels_mount(p->host.ep, "/socket", &handler, &options, p);
        if (err == CHANNELS_OK)
            err = channels_mount(p->host.ep, "/raw/:name", &frames, &options, p);
        if (err == CHANNELS_OK)
            err = channels_presence_new(&p->set, p->host.ep, &presence);
        if (err == CHANNELS_OK)
            live(p);
    }
    *calls = memory->calls;
    memory->fail_at = 0;
    counting = false;
    if (err == CHANNELS_OK) {
        live_on(p);
        channels_drain(p->host.ep, NULL);
        channels_test_wait(&p->host, 0);
        cut_all(p);
        channels_test_wait(&p->host, 5000);
        answer_batch(p);
        channels_presence_list(p->set, "room:a", ignore_list, p);
        channels_presence_list(p->set, "room:later", ignore_list, p);
    }
    const char *wrong = verdict(p, fail_at == 0, channels_test_stop(&p->host));
    sim_wire_deinit(&p->a);
    sim_wire_deinit(&p->b);
    sim_wire_deinit(&p->c);
    sim_wire_deinit(&p->d);
    sim_wire_deinit(&p->e);
    sim_wire_deinit(&p->f);
    sim_wire_deinit(&p->g);
    free(p);
    return wrong;
}

/* The same, and once more if that has cost memory, which libraries may take once to keep it. */
static const char *run_again(sim_memory *failing, size_t fail_at, bool fail_on, size_t *calls)
{
    const char *wrong = NULL;
    for (int i = 0; i < 3 && wrong == NULL; i++) {
        size_t before = all.blocks;
        wrong = run(failing, fail_at, fail_on, calls);
        if (all.blocks <= before)
            return wrong;
    }
    return wrong != NULL ? wrong : "memory of malloc's is lost";
}

/* Each allocation in turn: how many there were. */
static size_t run_all(sim_memory *failing, bool fail_on, const char **wrong)
{
    size_t n = 0, calls;
    do
        *wrong = run_again(failing, ++n, fail_on, &calls);
    while (*wrong == NULL && calls >= n);
    return n;
}

static bool report(unsigned number, const char *what, sim_memory *failing, bool fail_on)
{
    const char *wrong = NULL;
    size_t n = run_all(failing, fail_on, &wrong);
    printf("%sok %u - %s, %zu allocations, %s\n", wrong != NULL ? "not " : "", number, what, n,
           fail_on ? "all from one on" : "one");
    if (wrong != NULL)
        printf("# %s when allocation %zu fails\n", wrong, n);
    fflush(stdout);
    return wrong == NULL;
}

int main(void)
{
    size_t calls;
    const char *wrong = run(NULL, 0, false, &calls);
    bool ok = wrong == NULL;
    printf("1..%d\n", HAVE_MALLOC ? 5 : 3);
    printf("%sok 1 - with memory, %zu allocations\n", ok ? "" : "not ", calls);
    if (!ok)
        printf("# %s\n", wrong);
    fflush(stdout);
    ok &= report(2, "the endpoint's allocator", NULL, false);
    ok &= report(3, "the endpoint's allocator", NULL, true);
    if (HAVE_MALLOC) {
        ok &= report(4, "malloc", &all, false);
        ok &= report(5, "malloc", &all, true);
    }
    return ok ? 0 : 1;
}
