/* connection.c - an endpoint and a client that sends whatever: what goes out is always well-formed,
 * memory is bounded, and in the end none is lost.
 *
 * The first byte chooses what the bytes are, the limits, whether the client reads, whether messages
 * are compressed; the second how they are cut and how time passes: 0  a stream from its first byte 1  what follows the
 * handshake of a WebSocket 2  its messages, one in a line: text, or bytes where a line begins with
 * a byte below 32 3  the same for a client of V1 */
#include <sys/uio.h>

#include "channels/channels.h"
#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "sim/squeeze.h"
#include "wire/json.h"

#define LARGE 400000 /* bytes; more than all limits together allow, */
#define ZLIB 250000  /* and what compressing and the opposite need beside */

typedef enum { STREAM, FRAMES, MESSAGES, MESSAGES_V1 } mode;

typedef struct world {
    sim_memory memory;
    uint64_t now;
    uint32_t random;
    channels_endpoint *ep;
    channels_conn *conn;
    mode mode;
    bool reads, deflates;
    uint32_t step;
    char *got; /* what it was sent, from `at` on not yet looked at */
    size_t len, at;
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

static int on_request(void *user, channels_ref to, const channels_request *req)
{
    world *w = user;
    const channels_response r = { .status = 200, .body = req->body, .body_len = req->body_len };
    if (req->path[1] == 'n')
        return CHANNELS_REFUSE;
    return channels_respond(w->ep, to, &r);
}

/* --- The channel: its first letter says what an event does ---------------------------------- */

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    channels_ref ref;
    (void)user;
    switch (msg->topic[5]) {
    case 'l': return channels_later(ch, &ref) == CHANNELS_OK ? CHANNELS_LATER : CHANNELS_REFUSE;
    case 'r': return CHANNELS_REFUSE;
    case 's': return channels_subscribe(ch, "room:a");
    default: return channels_reply(ch, "ok", msg->payload);
    }
}

static int later(channels_channel *ch)
{
    channels_ref ref;
    int err = channels_later(ch, &ref);
    if (err != CHANNELS_OK)
        return err == CHANNELS_ERR_LIMIT ? CHANNELS_OK : err;
    char *info = fuzz_copy(&ref, sizeof ref);
    err = channels_info_after(ch, 50, info, free, NULL);
    if (err != CHANNELS_OK)
        free(info);
    return err == CHANNELS_ERR_LIMIT ? CHANNELS_OK : err;
}

static int on_event(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    switch (msg->event[0]) {
    case 'b': return channels_broadcast(ch, "broadcast", msg->payload);
    case 'f': return -1;
    case 'i': return channels_broadcast(ch, "intercepted", msg->payload);
    case 'l': return later(ch);
    case 'p': return channels_push(ch, msg->event, msg->payload);
    case 's': return CHANNELS_STOP;
    case 't': return channels_msg_json(msg) != NULL ? CHANNELS_OK : -1;
    case 'x': return channels_socket_close(channels_channel_socket(ch), 4000);
    default: return channels_reply(ch, "ok", msg->payload);
    }
}

static int on_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return channels_push(ch, msg->event, msg->payload);
}

static int on_info(channels_channel *ch, void *info, void *user)
{
    channels_ref ref;
    (void)user;
    memcpy(&ref, info, sizeof ref);
    free(info);
    return channels_ref_reply(channels_channel_endpoint(ch), ref, "ok", channels_empty());
}

static const char *const intercepted[] = { "intercepted", NULL };
static const channels_handler room = { .intercept = intercepted,
                                       .join = on_join,
                                       .handle_in = on_event,
                                       .handle_out = on_out,
                                       .handle_broadcast = on_out,
                                       .handle_info = on_info };
static const channels_route routes[] = { { "room:*", &room, NULL }, { 0 } };
static const channels_socket_handler handler = { .routes = routes };

/* --- What the client is sent -------------------------------------------------------------- */

static bool json(const char *text, size_t n)
{
    return channels__json_check(channels__str_n(text, n), CHANNELS__JSON_NESTING, false);
}

static bool deflated(const void *p, size_t n, bool is_text)
{
    size_t len;
    char *plain = sim_inflate(p, n, 15, &len);
    bool ok = plain != NULL && len > n && (!is_text || json(plain, len));
    free(plain);
    return ok;
}

/* The length of the frame at `p`, 0 if that is not all of it. */
static size_t frame(const uint8_t *p, size_t n, bool deflates)
{
    size_t head = 2, len;
    if (n < 2)
        return 0;
    FUZZ_CHECK((p[0] & (deflates ? 0x30 : 0x70)) == 0 && (p[0] & 0x80) != 0 && (p[1] & 0x80) == 0);
    len = p[1];
    if (len >= 126) {
        head = len == 126 ? 4 : 10;
        if (n < head)
            return 0;
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | p[i];
        FUZZ_CHECK(len > (head == 4 ? 125u : 65535u));
    }
    if (n - head < len)
        return 0;
    switch (p[0] & 0x4f) {
    case 0x41: FUZZ_CHECK(deflated(p + head, len, true)); break;
    case 0x42: FUZZ_CHECK(deflated(p + head, len, false)); break;
    case 1: FUZZ_CHECK(json((const char *)p + head, len)); break;
    case 2: break;
    case 8: FUZZ_CHECK(len == 0 || len == 2); break;
    case 10: FUZZ_CHECK(len <= 125); break;
    default: FUZZ_CHECK(false);
    }
    return head + len;
}

static void look(world *w)
{
    size_t n = 1;
    if (w->mode == STREAM || w->got == NULL)
        return;
    if (w->at == 0) {
        FUZZ_CHECK(strncmp(w->got, "HTTP/1.1 101 ", 13) == 0);
        const char *end = strstr(w->got, "\r\n\r\n");
        if (end == NULL)
            return;
        w->at = (size_t)(end + 4 - w->got);
    }
    while (n != 0) {
        n = frame((const uint8_t *)w->got + w->at, w->len - w->at, w->deflates);
        w->at += n;
    }
}

static void take(world *w, const struct iovec *iov, size_t n)
{
    w->got = realloc(w->got, w->len + n + 1);
    FUZZ_CHECK(w->got != NULL);
    memcpy(w->got + w->len, iov->iov_base, n);
    w->len += n;
    w->got[w->len] = '\0';
}

static void hang_up(world *w)
{
    channels_conn_free(w->conn);
    w->conn = NULL;
}

/* A turn of the loop. */
static void turn(world *w)
{
    struct iovec iov;
    w->now += w->step == 0 ? 0 : fuzz_next(&w->random) % 100;
    channels_endpoint_run(w->ep);
    while (channels_endpoint_next_ready(w->ep) != NULL)
        ;
    FUZZ_CHECK(w->memory.bytes < (w->deflates ? LARGE + ZLIB : LARGE));
    while (w->conn != NULL && w->reads && channels_conn_output(w->conn, &iov, 1) > 0) {
        size_t n = w->step == 0 ? iov.iov_len : fuzz_next(&w->random) % iov.iov_len + 1;
        take(w, &iov, n);
        channels_conn_sent(w->conn, n);
    }
    if (w->conn != NULL && (channels_conn_want(w->conn) & CHANNELS_WANT_CLOSE) != 0)
        hang_up(w);
}

/* --- What it sends ------------------------------------------------------------------------ */

static void feed(world *w, const void *bytes, size_t size)
{
    const char *p = bytes;
    while (size != 0 && w->conn != NULL) {
        size_t n = w->step == 0 ? size : fuzz_next(&w->random) % w->step + 1;
        n = n < size ? n : size;
        if ((channels_conn_want(w->conn) & CHANNELS_WANT_READ) == 0 && !w->reads)
            return; /* and this client never will */
        if ((channels_conn_want(w->conn) & CHANNELS_WANT_READ) != 0) {
            char *piece = fuzz_copy(p, n);
            channels_conn_feed(w->conn, piece, n);
            free(piece);
            p += n;
            size -= n;
        } else {
            w->now += 1;
        }
        turn(w);
    }
}

static void handshake(world *w, const char *vsn)
{
    char text[512];
    snprintf(text, sizeof text,
             "GET /socket/websocket?vsn=%s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
             vsn, w->deflates ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    feed(w, text, strlen(text));
}

static void send_frame(world *w, int opcode, const uint8_t *p, size_t n)
{
    uint8_t head[8] = { (uint8_t)(0x80 | opcode), (uint8_t)(0x80 | n) };
    size_t len = 2;
    if (n > 125) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        len = 4;
    }
    feed(w, head, len);
    feed(w, "\0\0\0\0", 4);
    feed(w, p, n);
}

static void send_message(world *w, int opcode, const uint8_t *p, size_t n)
{
    if (!w->deflates) {
        send_frame(w, opcode, p, n);
        return;
    }
    size_t len;
    char *packed = sim_deflate(p, n, 15, &len);
    if (len < 65536)
        send_frame(w, opcode | 0x40, (uint8_t *)packed, len);
    free(packed);
}

static void send_messages(world *w, const uint8_t *p, size_t size)
{
    while (size != 0) {
        const uint8_t *end = memchr(p, '\n', size);
        size_t n = end != NULL ? (size_t)(end - p) : size;
        n = n < 65535 ? n : 65535;
        send_message(w, n != 0 && p[0] < 32 ? 2 : 1, p, n);
        if (end == NULL)
            return;
        size -= n + 1;
        p += n + 1;
    }
}

/* --- All of it ---------------------------------------------------------------------------- */

static void begin(world *w, bool small)
{
    channels_config config = { .user = w,
                               .realloc = on_realloc,
                               .now_ms = on_now,
                               .random = on_random,
                               .request = on_request,
                               .max_http_head = 4096,
                               .max_http_body = 4096,
                               .compress_min = small ? 1 : 100 };
    channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_ANY,
                                       .max_deferred = small ? 2 : 20,
                                       .max_deferred_bytes = small ? 100 : 5000,
                                       .max_queued = small ? 200 : 50000,
                                       .max_topic = small ? 20 : 0,
                                       .max_channels = small ? 2 : 10,
                                       .max_nesting = small ? 3 : 0,
                                       .websocket.max_message = small ? 100 : 65536,
                                       .websocket.max_empty_fragments = small ? 2 : 0,
                                       .websocket.compress = w->deflates,
                                       .longpoll = { .on = true,
                                                     .window_ms = 2000,
                                                     .max_sessions = 5,
                                                     .max_body = small ? 100 : 8192 } };
    FUZZ_CHECK(channels_endpoint_new(&w->ep, &config) == CHANNELS_OK);
    FUZZ_CHECK(channels_mount(w->ep, "/socket", &handler, &options, NULL) == CHANNELS_OK);
    FUZZ_CHECK(channels_conn_new(w->ep, NULL, NULL, &w->conn) == CHANNELS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    world w = { .mode = (mode)(data[0] & 3),
                .reads = (data[0] & 8) == 0,
                .deflates = (data[0] & 16) != 0,
                .step = data[1] / 4u,
                .random = data[1] };
    begin(&w, (data[0] & 4) != 0);
    if (w.mode != STREAM)
        handshake(&w, w.mode == MESSAGES_V1 ? "1.0.0" : "2.0.0");
    if (w.mode <= FRAMES)
        feed(&w, data + 2, size - 2);
    else
        send_messages(&w, data + 2, size - 2);
    look(&w);
    channels_endpoint_free(w.ep);
    free(w.got);
    FUZZ_CHECK(w.memory.blocks == 0);
    return 0;
}
