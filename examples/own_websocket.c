/* own_websocket.c - my program has a WebSocket server already: how does it hand over messages?
 *
 * By <channels/transport.h>: channels_socket_open() before a handshake is answered, _receive() for
 * each whole message, _closed() at the end; and a table of functions by which the library sends.
 * Here the server is libwebsockets, with its own loop.
 *
 *     make demo-own_websocket
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0'
 *     > ["1","1","room:lobby","phx_join",{}]
 *     > ["1","2","room:lobby","shout",{"text":"hello"}] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libwebsockets.h>

#include <channels/channels.h>
#include <channels/transport.h>

#define MAX_MESSAGE (1 << 20)
#define MAX_QUEUED (1 << 19) /* then the client is not read from */

/* --- What clients may do: the same in every host -------------------------------------------- */

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int room_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    int err = channels_broadcast(ch, "shout", msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

static const channels_handler room = { .join = room_join, .handle_in = room_in };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler socket_handler = { .routes = routes };

/* --- From the library to libwebsockets ------------------------------------------------------ */

struct message {
    struct message *next;
    channels_buf *buf;
    channels_kind kind;
};

/* The carrier of a client. */
struct client {
    struct lws *wsi;
    channels_socket *socket;
    struct message *first, **last; /* what is to be sent */
    size_t queued;                 /* its bytes */
    int close_code;                /* to be sent after that; 0: none yet */
    int refused;                   /* the HTTP status, or 0 */
    char *text;                    /* the message that is arriving */
    size_t len;
};

/* libwebsockets writes its header into room before the bytes: made once, not for each client. */
static channels_buf *carrier_frame(channels_endpoint *ep, channels_buf *msg, channels_kind kind)
{
    size_t len;
    void *bytes;
    const void *data = channels_buf_data(msg, &len);
    channels_buf *wire = channels_buf_new(ep, LWS_PRE + len, &bytes);
    (void)kind;
    if (wire != NULL)
        memcpy((char *)bytes + LWS_PRE, data, len);
    channels_buf_unref(msg);
    return wire;
}

static int carrier_send(void *carrier, channels_buf *wire, channels_kind kind)
{
    struct client *c = carrier;
    struct message *message = malloc(sizeof *message);
    size_t len;
    if (message == NULL)
        return -1;
    *message = (struct message){ NULL, channels_buf_ref(wire), kind };
    *c->last = message;
    c->last = &message->next;
    (void)channels_buf_data(wire, &len);
    c->queued += len;
    if (c->queued > MAX_QUEUED)
        lws_rx_flow_control(c->wsi, 0);
    lws_callback_on_writable(c->wsi);
    return 0;
}

static void carrier_close(void *carrier, int code)
{
    struct client *c = carrier;
    c->close_code = code;
    lws_callback_on_writable(c->wsi);
}

static void carrier_refuse(void *carrier, const channels_response *r)
{
    struct client *c = carrier;
    c->refused = r->status;
}

/* After CHANNELS_LATER only, which is not for libwebsockets: it cannot put off a handshake. */
static void carrier_accept(void *carrier)
{
    (void)carrier;
}

static const channels_transport transport = {
    .name = "websocket",
    .frame = carrier_frame,
    .send = carrier_send,
    .close = carrier_close,
    .accept = carrier_accept,
    .refuse = carrier_refuse,
};

/* --- From libwebsockets to the library ------------------------------------------------------ */

/* The query as it was sent, but for how it was encoded: libwebsockets has cut and decoded it. */
static void query_of(struct lws *wsi, char *dst, size_t size)
{
    static const char as_is[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.=";
    char parameter[1024];
    size_t len = 0;
    int n;
    for (int i = 0; (n = lws_hdr_copy_fragment(wsi, parameter, sizeof parameter,
                                               WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++) {
        if (len > 0 && len + 1 < size)
            dst[len++] = '&';
        for (int at = 0; at < n && len + 4 < size; at++) {
            bool plain = parameter[at] != '\0' && strchr(as_is, parameter[at]) != NULL;
            len += (size_t)sprintf(dst + len, plain ? "%c" : "%%%02X", (uint8_t)parameter[at]);
        }
    }
    dst[len] = '\0';
}

static void client_free(struct client *c)
{
    if (c->socket != NULL)
        channels_socket_closed(c->socket);
    for (struct message *message = c->first, *next; message != NULL; message = next) {
        next = message->next;
        channels_buf_unref(message->buf);
        free(message);
    }
    free(c->text);
    free(c);
}

/* May it come in? 0, or 1: it has been answered. */
static int on_handshake(channels_endpoint *ep, struct lws *wsi)
{
    static const struct {
        enum lws_token_indexes token;
        const char *name;
    } known[] = { { WSI_TOKEN_HOST, "host" }, { WSI_TOKEN_ORIGIN, "origin" },
                  { WSI_TOKEN_HTTP_USER_AGENT, "user-agent" } };
    char path[256], query[2048], values[3][512], peer[64];
    channels_header headers[3];
    channels_request req = { .method = "GET", .path = path, .query = query, .headers = headers,
                             .peer = lws_get_peer_simple(wsi, peer, sizeof peer) };
    for (size_t i = 0; i < 3; i++)
        if (lws_hdr_copy(wsi, values[i], sizeof values[i], known[i].token) > 0)
            headers[req.nheaders++] = (channels_header){ known[i].name, values[i] };
    query_of(wsi, query, sizeof query);
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL || lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0) {
        free(c);
        return -1;
    }
    c->wsi = wsi;
    c->last = &c->first;
    int err = channels_socket_open(ep, &req, &transport, c, &c->socket);
    if (err == CHANNELS_OK) {
        lws_set_opaque_user_data(wsi, c);
        return 0;
    }
    int status = c->refused != 0 ? c->refused : err == CHANNELS_ERR_CLOSED ? 404 : 503;
    client_free(c);
    return lws_return_http_status(wsi, (unsigned)status, NULL) != 0 ? -1 : 1;
}

/* A piece of a message. -1: hang up. */
static int on_piece(struct client *c, const void *data, size_t len)
{
    if (len > MAX_MESSAGE - c->len) {
        lws_close_reason(c->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
        return -1;
    }
    char *text = realloc(c->text, c->len + len + 1);
    if (text == NULL)
        return -1;
    memcpy(text + c->len, data, len);
    c->text = text;
    c->len += len;
    if (lws_is_final_fragment(c->wsi) == 0 || lws_remaining_packet_payload(c->wsi) != 0)
        return 0;
    channels_payload message = channels_json_n(c->text, c->len);
    if (lws_frame_is_binary(c->wsi) != 0)
        message.kind = CHANNELS_BINARY;
    c->len = 0;
    channels_socket_receive(c->socket, message); /* an error has called carrier_close() */
    return 0;
}

/* One message, since libwebsockets asks before each. */
static int on_writable(struct client *c)
{
    struct message *message = c->first;
    size_t len;
    if (message == NULL) {
        if (c->close_code != 0)
            lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, NULL, 0);
        return c->close_code != 0 ? -1 : 0;
    }
    const void *wire = channels_buf_data(message->buf, &len);
    int n = lws_write(c->wsi, (unsigned char *)(uintptr_t)wire + LWS_PRE, len - LWS_PRE,
                      message->kind == CHANNELS_BINARY ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
    c->first = message->next;
    if (c->first == NULL)
        c->last = &c->first;
    c->queued -= len;
    if (c->queued <= MAX_QUEUED)
        lws_rx_flow_control(c->wsi, 1);
    channels_socket_sent(c->socket, len);
    channels_buf_unref(message->buf);
    free(message);
    lws_callback_on_writable(c->wsi);
    return n < 0 ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *unused, void *in,
                    size_t len)
{
    struct client *c = lws_get_opaque_user_data(wsi);
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE && strcasecmp(in, "websocket") == 0)
        return on_handshake(lws_context_user(lws_get_context(wsi)), wsi);
    if (reason == LWS_CALLBACK_RECEIVE)
        return on_piece(c, in, len);
    if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return on_writable(c);
    if (reason == LWS_CALLBACK_WSI_DESTROY && c != NULL)
        client_free(c);
    return lws_callback_http_dummy(wsi, reason, unused, in, len);
}

/* --- main ----------------------------------------------------------------------------------- */

static volatile sig_atomic_t done;

static void on_signal(int number)
{
    (void)number;
    done = 1;
}

static void wake(void *context)
{
    lws_cancel_service(context);
}

static void on_alarm(lws_sorted_usec_list_t *alarm)
{
    (void)alarm; /* it only ends the sleep */
}

/* At most a second of sleep, for a signal may have come just before. */
static void serve(struct lws_context *context, channels_endpoint *ep)
{
    lws_sorted_usec_list_t alarm = { .cb = NULL };
    channels_endpoint_on_wake(ep, wake, context);
    while (!done) {
        channels_endpoint_run(ep);
        uint64_t ms = channels_endpoint_timeout(ep);
        lws_sul_schedule(context, 0, &alarm, on_alarm,
                         (lws_usec_t)(ms < 1000 ? ms : 1000) * LWS_US_PER_MS);
        lws_service(context, 0);
    }
    lws_sul_cancel(&alarm);
}

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = { { .name = "channels", .callback = on_event },
                                                      { .name = NULL } };
    static const lws_retry_bo_t pings = { .secs_since_valid_ping = 30,
                                          .secs_since_valid_hangup = 60 };
    const channels_config config = { .log = print_log, .log_level = CHANNELS_LOG_WARNING };
    channels_endpoint *ep;
    if (channels_endpoint_new(&ep, &config) != CHANNELS_OK ||
        channels_mount(ep, "/socket", &socket_handler, NULL, NULL) != CHANNELS_OK)
        return EXIT_FAILURE;
    const struct lws_context_creation_info info = {
        .port = argc > 1 ? atoi(argv[1]) : 4000,
        .iface = "127.0.0.1",
        .protocols = protocols,
        .retry_and_idle_policy = &pings,
        .options = LWS_SERVER_OPTION_DISABLE_IPV6,
        .user = ep,
    };
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL)
        return EXIT_FAILURE;
    printf("listening on 127.0.0.1:%d\n",
           lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
    fflush(stdout);
    serve(context, ep);
    channels_endpoint_on_wake(ep, NULL, NULL);
    lws_context_destroy(context); /* its clients leave the endpoint here */
    channels_endpoint_free(ep);
    return EXIT_SUCCESS;
}
