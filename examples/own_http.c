/* own_http.c - my program has an HTTP server already: how does it hand over clients?
 *
 * The server reads the request. For a WebSocket the stream, on which nothing has been answered,
 * then goes to channels_conn_new_from(); for long polling the request goes to
 * channels_longpoll_request(), and the server sends the answer when it comes. Here the server is
 * libsoup on GLib's main loop, since it can give away a connection in that state; GNU
 * libmicrohttpd, which writes the answer 101 itself, cannot.
 *
 *     make demo-own_http
 *     curl http://127.0.0.1:4000/
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0'
 *     > ["1","1","room:lobby","phx_join",{}]
 *     > ["1","2","room:lobby","shout",{"text":"hello"}] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <glib-unix.h>
#include <libsoup/soup.h>

#include <channels/channels.h>
#include <channels/longpoll.h>

#define MAX_HEADERS 100

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

/* --- A stream that was handed over, on GLib's main loop ------------------------------------- */

struct client {
    GHashTable *clients; /* all of them; who is taken out of it is freed */
    channels_conn *conn;
    GIOStream *stream;
    GSocket *socket;
    GSource *readable, *writable; /* NULL while there is nothing to wait for */
};

static void unwatch(GSource **source)
{
    if (*source == NULL)
        return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

static void client_free(void *data)
{
    struct client *c = data;
    unwatch(&c->readable);
    unwatch(&c->writable);
    channels_conn_free(c->conn);
    g_io_stream_close(c->stream, NULL, NULL);
    g_object_unref(c->stream);
    g_object_unref(c->socket);
    g_free(c);
}

static gboolean on_readable(GObject *stream, void *data);
static gboolean on_writable(GObject *stream, void *data);

static void watch(struct client *c, unsigned want)
{
    GPollableInputStream *in = G_POLLABLE_INPUT_STREAM(g_io_stream_get_input_stream(c->stream));
    GPollableOutputStream *out = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(c->stream));
    if ((want & CHANNELS_WANT_READ) == 0) {
        unwatch(&c->readable);
    } else if (c->readable == NULL) {
        c->readable = g_pollable_input_stream_create_source(in, NULL);
        g_source_set_callback(c->readable, G_SOURCE_FUNC(on_readable), c, NULL);
        g_source_attach(c->readable, NULL);
    }
    if ((want & CHANNELS_WANT_WRITE) == 0) {
        unwatch(&c->writable);
    } else if (c->writable == NULL) {
        c->writable = g_pollable_output_stream_create_source(out, NULL);
        g_source_set_callback(c->writable, G_SOURCE_FUNC(on_writable), c, NULL);
        g_source_attach(c->writable, NULL);
    }
}

/* Frees the error. */
static bool is_broken(GError *error)
{
    bool broken = error != NULL && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
    g_clear_error(&error);
    return broken;
}

/* Writes what the connection has until the stream takes no more, then waits for what it wants. */
static void flush(struct client *c)
{
    GPollableOutputStream *out = G_POLLABLE_OUTPUT_STREAM(g_io_stream_get_output_stream(c->stream));
    GError *error = NULL;
    struct iovec iov;
    while (error == NULL && channels_conn_output(c->conn, &iov, 1) > 0) {
        gssize n = g_pollable_output_stream_write_nonblocking(out, iov.iov_base, iov.iov_len, NULL,
                                                              &error);
        channels_conn_sent(c->conn, n > 0 ? (size_t)n : 0);
    }
    unsigned want = channels_conn_want(c->conn);
    if (is_broken(error) || (want & CHANNELS_WANT_CLOSE) != 0) {
        g_hash_table_remove(c->clients, c);
        return;
    }
    if ((want & (CHANNELS_WANT_SHUTDOWN | CHANNELS_WANT_WRITE)) == CHANNELS_WANT_SHUTDOWN)
        g_socket_shutdown(c->socket, FALSE, TRUE, NULL);
    watch(c, want);
}

static gboolean on_readable(GObject *stream, void *data)
{
    struct client *c = data;
    char bytes[16384];
    GError *error = NULL;
    gssize n = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(stream), bytes,
                                                        sizeof bytes, NULL, &error);
    if (n > 0) /* an error shows in what the connection wants next */
        channels_conn_feed(c->conn, bytes, (size_t)n);
    if (n == 0 || is_broken(error))
        g_hash_table_remove(c->clients, c);
    else
        flush(c);
    return G_SOURCE_CONTINUE;
}

static gboolean on_writable(GObject *stream, void *data)
{
    (void)stream;
    flush(data);
    return G_SOURCE_CONTINUE;
}

/* --- The endpoint on the main loop ---------------------------------------------------------- */

struct endpoint_source {
    GSource source; /* never ready itself: GLib asks it how long it may sleep, and that is enough */
    channels_endpoint *ep;
};

static gboolean before_sleep(GSource *source, int *timeout)
{
    channels_endpoint *ep = ((struct endpoint_source *)source)->ep;
    channels_conn *conn;
    channels_endpoint_run(ep);
    while ((conn = channels_endpoint_next_ready(ep)) != NULL)
        flush(channels_conn_user(conn));
    uint64_t ms = channels_endpoint_timeout(ep);
    *timeout = ms == UINT64_MAX ? -1 : ms < G_MAXINT ? (int)ms : G_MAXINT;
    return FALSE;
}

static void wake(void *context)
{
    g_main_context_wakeup(context);
}

static GSource *endpoint_attach(channels_endpoint *ep)
{
    static GSourceFuncs functions = { .prepare = before_sleep };
    GSource *source = g_source_new(&functions, sizeof(struct endpoint_source));
    ((struct endpoint_source *)source)->ep = ep;
    g_source_attach(source, NULL);
    channels_endpoint_on_wake(ep, wake, g_main_context_default());
    return source;
}

/* --- The HTTP server ------------------------------------------------------------------------ */

struct host {
    channels_endpoint *ep;
    GHashTable *clients;
};

static void on_page(SoupServer *server, SoupServerMessage *msg, const char *path, GHashTable *query,
                    void *data)
{
    static const char text[] = "Clients are welcome at /socket.\n";
    (void)server, (void)path, (void)query, (void)data;
    soup_server_message_set_status(msg, SOUP_STATUS_OK, NULL);
    soup_server_message_set_response(msg, "text/plain", SOUP_MEMORY_STATIC, text, sizeof text - 1);
}

/* Takes the stream from the server and gives it to the endpoint. */
static void hand_over(struct host *host, SoupServerMessage *msg, const channels_request *req)
{
    struct client *c = g_new0(struct client, 1);
    c->clients = host->clients;
    c->socket = g_object_ref(soup_server_message_get_socket(msg));
    c->stream = soup_server_message_steal_connection(msg);
    if (channels_conn_new_from(host->ep, req, NULL, 0, c, &c->conn) != CHANNELS_OK) {
        client_free(c);
        return;
    }
    g_hash_table_add(host->clients, c);
    flush(c);
}

/* The request as the library wants it, by what `headers` has room for. Free the result. */
static char *describe(SoupServerMessage *msg, channels_header headers[MAX_HEADERS],
                      channels_request *req)
{
    GUri *uri = soup_server_message_get_uri(msg);
    GSocketAddress *peer = soup_server_message_get_remote_address(msg);
    SoupMessageHeadersIter each;
    size_t n = 0;
    soup_message_headers_iter_init(&each, soup_server_message_get_request_headers(msg));
    while (n < MAX_HEADERS &&
           soup_message_headers_iter_next(&each, &headers[n].name, &headers[n].value))
        n++;
    char *address = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(peer));
    *req = (channels_request){
        .method = soup_server_message_get_method(msg),
        .path = g_uri_get_path(uri),
        .query = g_uri_get_query(uri) != NULL ? g_uri_get_query(uri) : "",
        .headers = headers,
        .nheaders = n,
        .peer = address,
        .tls = strcmp(g_uri_get_scheme(uri), "https") == 0,
    };
    return address;
}

static void on_websocket(SoupServer *server, SoupServerMessage *msg, const char *path,
                         GHashTable *query, void *data)
{
    channels_header headers[MAX_HEADERS];
    channels_request req;
    char *address = describe(msg, headers, &req);
    (void)server, (void)path, (void)query;
    g_object_ref(msg); /* it would go with its stream */
    hand_over(data, msg, &req);
    g_object_unref(msg);
    g_free(address);
}

/* --- Long polling: the server answers when the library says what ---------------------------- */

struct asked {
    channels_endpoint *ep;
    SoupServerMessage *msg;
    channels_ref request;
};

static void respond(void *arg, const channels_response *r)
{
    struct asked *a = arg;
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(a->msg);
    soup_server_message_set_status(a->msg, (guint)r->status, NULL);
    for (size_t i = 0; i < r->nheaders; i++)
        soup_message_headers_append(headers, r->headers[i].name, r->headers[i].value);
    soup_message_body_append(soup_server_message_get_response_body(a->msg), SOUP_MEMORY_COPY,
                             r->body, r->body_len);
    soup_server_message_unpause(a->msg);
}

static void on_sent(SoupServerMessage *msg, void *data)
{
    struct asked *a = data;
    (void)msg;
    channels_longpoll_done(a->ep, a->request, true);
}

static void on_finished(SoupServerMessage *msg, void *data)
{
    struct asked *a = data;
    channels_longpoll_done(a->ep, a->request, false); /* nothing new if all was sent */
    g_signal_handlers_disconnect_by_data(msg, a);
    g_object_unref(msg);
    g_free(a);
}

static void on_longpoll(SoupServer *server, SoupServerMessage *msg, const char *path,
                        GHashTable *query, void *data)
{
    struct host *host = data;
    GBytes *body = soup_message_body_flatten(soup_server_message_get_request_body(msg));
    struct asked *a = g_new0(struct asked, 1);
    channels_header headers[MAX_HEADERS];
    channels_request req;
    char *address = describe(msg, headers, &req);
    (void)server, (void)path, (void)query;
    req.body = g_bytes_get_data(body, &req.body_len);
    a->ep = host->ep;
    a->msg = g_object_ref(msg);
    g_signal_connect(msg, "wrote-body", G_CALLBACK(on_sent), a);
    g_signal_connect(msg, "finished", G_CALLBACK(on_finished), a);
    soup_server_message_pause(msg);
    if (channels_longpoll_request(host->ep, &req, respond, a, &a->request) != CHANNELS_OK) {
        soup_server_message_set_status(msg, SOUP_STATUS_SERVICE_UNAVAILABLE, NULL);
        soup_server_message_unpause(msg);
    }
    g_bytes_unref(body);
    g_free(address);
}

/* "raw-paths": libsoup would decode what the library wants as it was sent. */
static SoupServer *server_start(struct host *host, unsigned port)
{
    SoupServer *server = soup_server_new("raw-paths", TRUE, NULL);
    GError *error = NULL;
    soup_server_add_handler(server, NULL, on_page, NULL, NULL);
    soup_server_add_handler(server, "/socket/websocket", on_websocket, host, NULL);
    soup_server_add_handler(server, "/socket/longpoll", on_longpoll, host, NULL);
    if (!soup_server_listen_local(server, port, SOUP_SERVER_LISTEN_IPV4_ONLY, &error)) {
        fprintf(stderr, "own_http: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    GSList *uris = soup_server_get_uris(server);
    printf("listening on 127.0.0.1:%d\n", g_uri_get_port(uris->data));
    fflush(stdout);
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    return server;
}

/* --- main ----------------------------------------------------------------------------------- */

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

static gboolean stop(void *loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    const channels_config config = { .log = print_log, .log_level = CHANNELS_LOG_WARNING };
    const channels_mount_options options = { .longpoll.on = true };
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    struct host host;
    if (channels_endpoint_new(&host.ep, &config) != CHANNELS_OK ||
        channels_mount(host.ep, "/socket", &socket_handler, &options, NULL) != CHANNELS_OK)
        return EXIT_FAILURE;
    host.clients = g_hash_table_new_full(NULL, NULL, client_free, NULL);
    GSource *source = endpoint_attach(host.ep);
    SoupServer *server = server_start(&host, argc > 1 ? (unsigned)atoi(argv[1]) : 4000);
    g_unix_signal_add(SIGINT, stop, loop);
    g_unix_signal_add(SIGTERM, stop, loop);
    g_main_loop_run(loop);
    g_object_unref(server);
    g_hash_table_unref(host.clients);
    g_source_destroy(source);
    g_source_unref(source);
    channels_endpoint_free(host.ep);
    g_main_loop_unref(loop);
    return EXIT_SUCCESS;
}
