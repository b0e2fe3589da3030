/* longpoll.c - the bodies of POSTs of a long-poll session, and what becomes of the answers to its
 * polls: each answer is well-formed, memory is bounded, and in the end none is lost.
 *
 * The first byte chooses version, limits, content type and whether there are other nodes; the rest
 * are bodies with a NUL between them, the first byte of each choosing what happens before it, or
 * that it is what another node says. */
#include "channels/longpoll.h"
#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "transport/longpoll_nodes.h"
#include "wire/json.h"

#define LARGE 400000 /* bytes; more than all limits together allow */
#define POLLS 3      /* that may wait at a time */

typedef struct asker {
    channels_ref ref;
    bool answered;
    char token[CHANNELS__LONGPOLL_TOKEN_TEXT];
} asker;

typedef struct world {
    sim_memory memory;
    uint64_t now;
    channels_endpoint *ep;
    asker polls[POLLS], other;
    bool v1, lines, nodes;
} world;

/* --- The host ----------------------------------------------------------------------------- */

static void *on_realloc(void *user, void *p, size_t old_size, size_t new_size)
{
    return sim_memory_realloc(&((world *)user)->memory, p, old_size, new_size);
}

static uint64_t on_now(void *user)
{
    return ((world *)user)->now;
}

static int on_random(void *user, void *dst, size_t len)
{
    (void)user;
    memset(dst, 7, len);
    return 0;
}

static void respond(void *arg, const channels_response *r)
{
    asker *p = arg;
    const char *text = r->body;
    FUZZ_CHECK(!p->answered);
    FUZZ_CHECK(r->status == 200 || r->status == 400 || r->status == 503);
    FUZZ_CHECK(channels__json_check(channels__str_n(text, r->body_len), 1000, true));
    p->answered = true;
    if (p->token[0] == '\0')
        sscanf(text, "{\"status\":410,\"token\":\"%416[^\"]", p->token);
}

/* --- The channel: its first letter says what an event does ---------------------------------- */

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return channels_reply(ch, "ok", msg->payload);
}

static int on_event(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    switch (msg->event[0]) {
    case 'b': return channels_broadcast(ch, "broadcast", msg->payload);
    case 'f': return -1;
    case 'p': return channels_push(ch, msg->event, msg->payload);
    case 's': return CHANNELS_STOP;
    case 'x': return channels_socket_close(channels_channel_socket(ch), 4000);
    default: return channels_reply(ch, "ok", msg->payload);
    }
}

static const channels_handler room = { .join = on_join, .handle_in = on_event };
static const channels_route routes[] = { { "room:*", &room, NULL }, { 0 } };
static const channels_socket_handler handler = { .routes = routes };

/* --- Another node, whose words are fuzzed ---------------------------------------------------- */

static int publish(void *self, const char *topic, const void *data, size_t len)
{
    (void)self, (void)topic;
    free(fuzz_copy(data, len)); /* all of it can be read */
    return 0;
}

static const channels_pubsub_adapter adapter = { .name = "fuzz", .broadcast = publish };

/* From now on the client's requests are for a session of that node. */
static void be_foreign(world *w)
{
    static const unsigned char nonce[CHANNELS__LONGPOLL_NONCE];
    FUZZ_CHECK(
        channels__longpoll_token_write(w->ep->session_key, 1, nonce, "peer", w->other.token));
}

/* The first letter says what it is, the second which request is meant, the rest is the body. */
static void hear(world *w, const char *text, size_t len)
{
    static const uint16_t statuses[] = { 200, 400, 503 };
    const unsigned char *p = (const unsigned char *)text;
    if (len < 2)
        return;
    channels__longpoll_message what = { .kind = p[0] % CHANNELS__LONGPOLL_KINDS,
                                        .flag = (p[0] & 64) != 0,
                                        .id = p[1] % 4,
                                        .token = channels__str_z(w->other.token),
                                        .body = channels__str_n(text + 2, len - 2) };
    if (what.kind >= CHANNELS__LONGPOLL_HELD) {
        what.id = w->polls[p[1] % POLLS].ref.id ^ w->ep->incarnation;
        what.status = statuses[p[1] % 3];
        what.body = channels__str_z("{}");
    }
    unsigned char bytes[4096];
    size_t n = channels__longpoll_message_size(&what);
    if (n > sizeof bytes)
        return;
    channels__longpoll_message_write(&what, bytes);
    if (len > 3 && (p[0] & 128) != 0)
        bytes[p[2] % (what.status == 0 ? n : 3)] = p[3];
    channels__node_message m = { .kind = CHANNELS__NODE_LONGPOLL,
                                 .from = channels__str_z("peer"),
                                 .topic = channels__str_z("/socket/longpoll"),
                                 .payload = channels__str_n((const char *)bytes, n) };
    channels__enter(w->ep, "fuzz");
    channels__services_arrived(w->ep, &m);
    channels__leave(w->ep);
}

/* --- Requests ----------------------------------------------------------------------------- */

static void ask(world *w, asker *p, const char *method, const void *body, size_t len)
{
    char query[500];
    const channels_header type = { "content-type",
                                   w->lines ? "application/x-ndjson" : "text/plain" };
    snprintf(query, sizeof query, "%s&token=%s", w->v1 ? "" : "vsn=2.0.0", w->other.token);
    const channels_request req = { .method = method,
                                   .path = "/socket/longpoll",
                                   .query = query,
                                   .headers = &type,
                                   .nheaders = 1,
                                   .body = body,
                                   .body_len = len };
    p->answered = false;
    FUZZ_CHECK(channels_longpoll_request(w->ep, &req, respond, p, &p->ref) == CHANNELS_OK);
}

/* What the byte in front of a body asks for. */
static void before(world *w, uint8_t what)
{
    asker *p = &w->polls[what % POLLS];
    switch (what / POLLS % 6) {
    case 0:
        if (p->ref.id == 0 || p->answered) /* else it still waits */
            ask(w, p, "GET", NULL, 0);
        break;
    case 1: channels_longpoll_done(w->ep, p->ref, true); break;
    case 2: channels_longpoll_done(w->ep, p->ref, false); break;
    case 3: w->now += 300; break;
    case 4:
        w->other.token[0] = '\0';
        ask(w, &w->other, "GET", NULL, 0);
        if (w->nodes && what >= 128)
            be_foreign(w);
        break;
    default: break;
    }
    channels_endpoint_run(w->ep);
    FUZZ_CHECK(w->memory.bytes < LARGE);
}

static void post(world *w, const char *body, size_t len)
{
    asker p = { .token = "none" };
    ask(w, &p, "POST", body, len);
    FUZZ_CHECK(p.answered || w->nodes);
    if (!p.answered)
        channels_longpoll_done(w->ep, p.ref, false);
}

static void begin(world *w, bool small)
{
    channels_config config = {
        .user = w, .realloc = on_realloc, .now_ms = on_now, .random = on_random
    };
    if (w->nodes)
        config.pubsub = &adapter;
    channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_ANY,
                                       .max_queued = small ? 300 : 50000,
                                       .max_channels = 10,
                                       .longpoll = { .on = true,
                                                     .window_ms = 1000,
                                                     .max_sessions = 5,
                                                     .max_batch = small ? 2 : 0,
                                                     .max_body = small ? 200 : 0 } };
    FUZZ_CHECK(channels_endpoint_new(&w->ep, &config) == CHANNELS_OK);
    FUZZ_CHECK(channels_mount(w->ep, "/socket", &handler, &options, NULL) == CHANNELS_OK);
    ask(w, &w->other, "GET", NULL, 0);
    FUZZ_CHECK(w->other.answered && w->other.token[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    world w = { .v1 = (data[0] & 1) != 0,
                .lines = (data[0] & 2) == 0,
                .nodes = (data[0] & 8) != 0 };
    begin(&w, (data[0] & 4) != 0);
    for (const uint8_t *p = data + 1, *end = data + size; p < end;) {
        const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
        size_t n = (size_t)((nul != NULL ? nul : end) - p);
        if (n != 0) {
            before(&w, p[0]);
            char *body = fuzz_copy(p + 1, n - 1);
            if (w.nodes && p[0] / POLLS % 6 == 5)
                hear(&w, body, n - 1);
            else
                post(&w, body, n - 1);
            free(body);
        }
        p += n + 1;
    }
    channels_endpoint_free(w.ep);
    FUZZ_CHECK(w.memory.blocks == 0);
    return 0;
}
