/* test_libev_tls.c - channels/adapters/libev_tls.h: what all adapters do, over TLS, and what only
 * TLS can do. */
#include "unit/libev_host.h"

#include <channels/adapters/libev_tls.h>
#include <openssl/crypto.h>

#include "unit/tls_client.h"

typedef struct host {
    libev_host h; /* first */
    channels_ev_tls tls;
} host;

static char files[64]; /* the folder with certificates: a, b, and `locked`, which has a password */

/* --- What OpenSSL keeps for the server ------------------------------------------------------ */

static bool serving;  /* the adapter runs, not the test */
static size_t served; /* bytes that were allocated while it did */

typedef union block {
    struct {
        size_t size;
        bool serves;
    } of;
    max_align_t align;
} block;

static void *ssl_malloc(size_t size, const char *file, int line)
{
    block *b = malloc(sizeof *b + size);
    (void)file, (void)line;
    if (b == NULL)
        return NULL;
    b->of.size = size;
    b->of.serves = serving;
    served += serving ? size : 0;
    return b + 1;
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    if (p == NULL)
        return;
    block *b = (block *)p - 1;
    served -= b->of.serves ? b->of.size : 0;
    free(b);
}

static void *ssl_realloc(void *p, size_t size, const char *file, int line)
{
    void *moved = size != 0 ? ssl_malloc(size, file, line) : NULL;
    if (moved != NULL && p != NULL) {
        size_t before = ((block *)p - 1)->of.size;
        memcpy(moved, p, before < size ? before : size);
    }
    if (moved != NULL || size == 0)
        ssl_free(p, file, line);
    return moved;
}

/* --- The adapter ---------------------------------------------------------------------------- */

static const char *file_of(const char *name)
{
    static char paths[2][128];
    static int at;
    at = !at;
    snprintf(paths[at], sizeof paths[at], "%s/%s", files, name);
    return paths[at];
}

static void *start(channels_endpoint *ep)
{
    host *t = calloc(1, sizeof *t);
    libev_host_init(&t->h, ep);
    assert_int_equal(channels_ev_tls_start(&t->tls, &t->h.ev, file_of("a.pem"), file_of("a.key")),
                     0);
    return t;
}

static void stop(void *loop)
{
    host *t = loop;
    libev_host_deinit(&t->h);
    channels_ev_tls_stop(&t->tls);
    assert_int_equal(ERR_peek_error(), 0);
    free(t);
}

static void run_once(void *loop, int timeout_ms)
{
    serving = true;
    libev_host_run_once(loop, timeout_ms);
    serving = false;
    assert_int_equal(ERR_peek_error(), 0);
}

static int listen_at(void *loop, const char *name)
{
    host *t = loop;
    channels_ev_listener *l = &t->h.listeners[t->h.count];
    int err = channels_ev_tls_listen(&t->tls, l, name, 0, 0);
    t->h.count += err == 0;
    return err == 0 ? channels_ev_port(l) : err;
}

static int listen_fd(void *loop, int fd)
{
    host *t = loop;
    return channels_ev_tls_listen_fd(&t->tls, &t->h.listeners[t->h.count], fd);
}

static int accept_fd(void *loop, int fd)
{
    return channels_ev_tls_accept(&((host *)loop)->tls, fd);
}

static const adapter tls_adapter = { .start = start,
                                     .stop = stop,
                                     .run_once = run_once,
                                     .listen = listen_at,
                                     .listen_fd = listen_fd,
                                     .accept = accept_fd,
                                     .clients = libev_host_clients,
                                     .secure = tls_client_new,
                                     .send = tls_client_send,
                                     .recv = tls_client_recv,
                                     .end = tls_client_end,
                                     .forget = tls_client_free };

static channels_ev_tls *tls_of(net *n)
{
    return &((host *)n->loop)->tls;
}

static tls_client *client_of(far_end *p)
{
    return p->secure;
}

/* --- Tests ---------------------------------------------------------------------------------- */

static void echoes(far_end *p)
{
    put_frame(p, FIN | TEXT, "['1','2','room:a','echo',{'x':1}]");
    gets_json(p, "['1','2','room:a','phx_reply',{'status':'ok','response':{'x':1}}]");
}

static int look_at_stream(channels_socket *s, const channels_request *req, probe *p)
{
    (void)s;
    p->err = req->tls && strncmp(req->peer, "127.0.0.1:", 10) == 0;
    return CHANNELS_OK;
}

static void requests_are_told_of_it(net *n)
{
    n->probe.connect = look_at_stream;
    far_end p = join(n);
    assert_true(n->probe.err);
    assert_int_equal(SSL_version(client_of(&p)->ssl), TLS1_3_VERSION);
    hang_up(&p);
}

static void says_goodbye(net *n)
{
    char byte;
    far_end p = join(n), q = join(n);
    put(&p, "\x81\x01x", 3); /* no mask */
    gets_text(&p, "\x88\x02\x03\xea");
    assert_int_equal(get(&p, &byte, 1), 0);
    assert_true(client_of(&p)->ended);
    hang_up(&p);
    until_clients(n, 1);
    n->a->stop(n->loop);
    n->loop = n->a->start(n->host.ep);
    assert_int_equal(get(&q, &byte, 1), 0);
    assert_true(client_of(&q)->ended);
    hang_up(&q);
}

static void http_on_this_port(net *n)
{
    far_end p = dial_plain(n);
    put_text(&p, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    gets_end(&p);
    until_clients(n, 0);
}

/* Those that go in the middle of it, and those that stay there. */
static void cut_handshakes(net *n)
{
    adapter_restart(n, 1000);
    for (int stays = 0; stays < 2; stays++) {
        far_end p = dial(n);
        client_of(&p)->step = 20;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(put_some(&p, "x", 1), -1);
            turn(n, 10);
        }
        assert_int_equal(clients(n), 1);
        if (!stays)
            hang_up(&p);
        until_clients(n, 0); /* http_timeout_ms */
        if (stays)
            hang_up(&p);
    }
}

static void byte_by_byte(net *n)
{
    far_end p = dial(n);
    client_of(&p)->step = 1;
    put_text(&p, HANDSHAKE);
    gets_text(&p, WELCOME);
    put_frame(&p, FIN | TEXT, "['1','1','room:a','phx_join',{}]");
    gets_json(&p, "['1','1','room:a','phx_reply',{'status':'ok','response':{}}]");
    echoes(&p);
    hang_up(&p);
}

/* Records that hold a byte each, and nothing is sent until all of them are there. */
static void many_small_records(net *n)
{
    char bytes[64];
    far_end p = join(n);
    size_t len = conn_frame_bytes(bytes, FIN | PING, "abc", 3);
    for (size_t i = 0; i < 10 * len; i++)
        assert_int_equal(SSL_write(client_of(&p)->ssl, bytes + i % len, 1), 1);
    assert_true(tls_client_flush(p.secure));
    for (int i = 0; i < 10; i++)
        gets_text(&p, "\x8a\x03"
                      "abc");
    hang_up(&p);
}

static void count_records(int write, int version, int type, const void *data, size_t len, SSL *ssl,
                          void *arg)
{
    (void)version, (void)data, (void)len, (void)ssl;
    *(unsigned *)arg += !write && type == SSL3_RT_HEADER;
}

/* What a turn brings for a client goes into as few records as hold it. */
static void few_large_records(net *n)
{
    enum { COUNT = 500 };
    static const char shout[] = "[null,null,'room:a','shout',{}]";
    char bytes[128], *text = sim_quoted("['1','2','room:a','shout',{}]");
    size_t len = conn_frame_bytes(bytes, FIN | TEXT, text, strlen(text));
    char *all = malloc(COUNT * len);
    unsigned records = 0;
    far_end p = join(n), q = join(n);
    SSL_set_msg_callback(client_of(&q)->ssl, count_records);
    SSL_set_msg_callback_arg(client_of(&q)->ssl, &records);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(all + i * len, bytes, len);
    put(&p, all, COUNT * len);
    for (int i = 0; i < COUNT; i++)
        gets_json(&q, shout);
    size_t sent = COUNT * (2 + strlen(shout));
    assert_in_range(records, 1, sent / CHANNELS_EV_TLS_RECORD + 2);
    free(text);
    free(all);
    hang_up(&p);
    hang_up(&q);
}

static void has_certificate(far_end *p, const char *name)
{
    char found[16] = "";
    X509 *cert = SSL_get1_peer_certificate(client_of(p)->ssl);
    assert_non_null(cert);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, found, sizeof found);
    assert_string_equal(found, name);
    X509_free(cert);
}

static void reload(net *n)
{
    channels_ev_tls *tls = tls_of(n);
    far_end p = join(n), between = dial(n);
    client_of(&between)->step = 50;
    assert_int_equal(put_some(&between, "x", 1), -1); /* in its handshake */
    turn(n, 10);
    has_certificate(&p, "a");
    assert_int_equal(channels_ev_tls_reload(tls, file_of("b.pem"), file_of("b.key")), 0);
    far_end q = join(n);
    has_certificate(&q, "b");
    echoes(&p);
    echoes(&q);
    put_text(&between, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&between, "HTTP/1.1 404 ");
    has_certificate(&between, "a");
    hang_up(&p);
    hang_up(&q);
    hang_up(&between);
}

static void refuses(net *n, const char *cert, const char *key, const char *why)
{
    channels_ev_tls *tls = tls_of(n), other;
    assert_true(channels_ev_tls_reload(tls, file_of(cert), file_of(key)) < 0);
    assert_non_null(strstr(channels_ev_tls_error(tls), why));
    assert_int_equal(ERR_peek_error(), 0);
    assert_true(channels_ev_tls_start(&other, tls->ev, file_of(cert), file_of(key)) < 0);
    assert_non_null(strstr(channels_ev_tls_error(&other), why));
    assert_int_equal(ERR_peek_error(), 0);
}

static void bad_files(net *n)
{
    refuses(n, "none.pem", "a.key", "none.pem: error");
    refuses(n, "a.pem", "none.key", "No such file");
    refuses(n, "a.key", "a.key", "no start line");
    refuses(n, "a.pem", "b.key", "key values mismatch");
    refuses(n, "locked.pem", "locked.key", "locked.key: error");
    far_end p = join(n);
    has_certificate(&p, "a");
    hang_up(&p);
}

/* The client's first request fails, and the server has it no more. */
static void is_refused(net *n, far_end *p)
{
    ssize_t part;
    while ((part = put_some(p, "x", 1)) < 0 && errno == EAGAIN)
        turn(n, 10);
    char byte;
    assert_true(part < 0 || get(p, &byte, 1) == 0);
    until_clients(n, 0);
    hang_up(p);
}

static void show_certificate(far_end *p)
{
    SSL *ssl = client_of(p)->ssl;
    assert_int_equal(SSL_use_certificate_file(ssl, file_of("a.pem"), SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_use_PrivateKey_file(ssl, file_of("a.key"), SSL_FILETYPE_PEM), 1);
}

static void protocols(net *n)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1", h2[] = "\x02h2";
    const unsigned char *chosen;
    unsigned len;
    far_end p = dial(n);
    assert_int_equal(SSL_set_alpn_protos(client_of(&p)->ssl, both, sizeof both - 1), 0);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 ");
    SSL_get0_alpn_selected(client_of(&p)->ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    hang_up(&p);
    until_clients(n, 0);
    p = dial(n);
    assert_int_equal(SSL_set_alpn_protos(client_of(&p)->ssl, h2, sizeof h2 - 1), 0);
    is_refused(n, &p);
}

static void versions(net *n)
{
    far_end p = dial(n);
    SSL_CTX_set_security_level(tls_of(n)->ctx, 0); /* else that would refuse it */
    SSL_set_security_level(client_of(&p)->ssl, 0);
    SSL_set_min_proto_version(client_of(&p)->ssl, TLS1_VERSION);
    SSL_set_max_proto_version(client_of(&p)->ssl, TLS1_1_VERSION);
    is_refused(n, &p);
    p = dial(n);
    SSL_set_max_proto_version(client_of(&p)->ssl, TLS1_2_VERSION);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 ");
    assert_int_equal(SSL_version(client_of(&p)->ssl), TLS1_2_VERSION);
    assert_true(SSL_renegotiate(client_of(&p)->ssl)); /* is refused, by an alert */
    assert_true(SSL_do_handshake(client_of(&p)->ssl) <= 0);
    char rest[256];
    get(&p, rest, sizeof rest);
    assert_int_equal(SSL_CTX_sess_connect_good(SSL_get_SSL_CTX(client_of(&p)->ssl)), 1);
    hang_up(&p);
    until_clients(n, 0);
}

/* The session of a client that has the certificate a. */
static SSL_SESSION *session_of_known(net *n)
{
    far_end p = dial(n);
    show_certificate(&p);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 ");
    SSL_SESSION *session = SSL_get1_session(client_of(&p)->ssl);
    tls_client_end(p.secure); /* or else OpenSSL forgets it */
    hang_up(&p);
    until_clients(n, 0);
    return session;
}

/* The program asks for certificates, by tls->ctx; tickets go on to work. */
static void client_certificates(net *n)
{
    SSL_CTX *ctx = tls_of(n)->ctx;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(ctx, file_of("a.pem")), 1);
    far_end p = dial(n);
    is_refused(n, &p);
    SSL_SESSION *session = session_of_known(n);
    p = dial(n);
    show_certificate(&p);
    assert_int_equal(SSL_set_session(client_of(&p)->ssl, session), 1);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 ");
    assert_true(SSL_session_reused(client_of(&p)->ssl));
    SSL_SESSION_free(session);
    hang_up(&p);
}

/* What a client says before it is known to be no replay is not listened to. */
static void early_data(net *n)
{
    static const char early[] = "GET /early HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t written;
    SSL_SESSION *session = session_of_known(n);
    far_end p = dial(n);
    assert_int_equal(SSL_SESSION_set_max_early_data(session, 1000), 1);
    assert_int_equal(SSL_set_session(client_of(&p)->ssl, session), 1);
    assert_int_equal(SSL_write_early_data(client_of(&p)->ssl, early, sizeof early - 1, &written),
                     1);
    put_text(&p, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    gets_text(&p, "HTTP/1.1 404 ");
    assert_int_equal(SSL_get_early_data_status(client_of(&p)->ssl), SSL_EARLY_DATA_REJECTED);
    SSL_SESSION_free(session);
    hang_up(&p);
}

/* A client's hello of 16 MB, in records of 16 KB. */
static void huge_handshakes(net *n)
{
    char record[5 + 16384] = "\x16\x03\x01\x40\x00\x01\xff\xff\xff";
    size_t before = served;
    far_end p = dial_plain(n);
    turn(n, 10);
    for (int i = 0; i < 1000 && clients(n) != 0; i++) {
        (void)send(p.fd, record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT);
        turn(n, 10);
        assert_true(served < before + 200000);
    }
    until_clients(n, 0);
    hang_up(&p);
}

static void many_handshakes(net *n)
{
    enum { CLIENTS = 100 };
    far_end ends[CLIENTS];
    size_t before = served;
    for (size_t i = 0; i < CLIENTS; i++) {
        ends[i] = dial(n);
        client_of(&ends[i])->step = i + 1; /* the first bytes of a hello */
        assert_int_equal(put_some(&ends[i], "x", 1), -1);
    }
    until_clients(n, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(&ends[i]);
    until_clients(n, 0);
    assert_true(served <= before + 1000);
}

/* Ends that TLS does not vouch for: a stream that stops, and bytes that are no record. */
static void cut_streams(net *n)
{
    far_end p = join(n), q = join(n), other = join(n);
    put_text(&p, "\x81"); /* of a frame */
    assert_int_equal(shutdown(p.fd, SHUT_WR), 0);
    assert_int_equal(send(q.fd, "no record of TLS", 16, MSG_NOSIGNAL), 16);
    until_clients(n, 1);
    echoes(&other);
    hang_up(&p);
    hang_up(&q);
    hang_up(&other);
}

/* A client to which the kernel takes little at once. */
static far_end narrow(net *n)
{
    int pair[2], size = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    assert_int_equal(accept_fd(n->loop, pair[0]), 0);
    far_end p = far_end_of(n, pair[1]);
    put_text(&p, HANDSHAKE);
    gets_text(&p, WELCOME);
    return p;
}

/* Has OpenSSL answer, by itself. */
static void ask_for_keys(far_end *p)
{
    SSL *ssl = client_of(p)->ssl;
    assert_true(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED));
    assert_int_equal(SSL_do_handshake(ssl), 1);
    (void)tls_client_flush(p->secure);
    turn(p->n, 0);
}

static void key_updates(net *n)
{
    char byte;
    far_end p = narrow(n);
    for (int i = 1; i <= 2000; i++) {
        ask_for_keys(&p);
        if (i % 300 == 0) { /* it reads some of the answers */
            assert_int_equal(tls_client_recv(p.secure, &byte, 1), -1);
            turn(n, 0);
        }
    }
    put_frame(&p, FIN | PING, "abc");
    gets_text(&p, "\x8a\x03"
                  "abc");
    hang_up(&p);
}

/* One that reads none is cut in the end. */
static void key_updates_without_end(net *n)
{
    far_end p = narrow(n);
    for (unsigned i = 0; clients(n) != 0; i++) {
        assert_true(i * 26 < 2 * CHANNELS_EV_TLS_MAX_KEPT);
        ask_for_keys(&p);
    }
    hang_up(&p);
}

/* OpenSSL 3.0's own state; no buffers. */
static void idle_clients_are_small(net *n)
{
    enum { CLIENTS = 100, PROMISED = 16384 };
    far_end ends[CLIENTS];
    size_t before = served;
    for (size_t i = 0; i < CLIENTS; i++)
        ends[i] = join(n);
    size_t each =
        (served - before) / CLIENTS + sizeof(channels_ev_tls_client) - sizeof(channels_ev_client);
    printf("# %zu bytes of TLS for an idle client\n", each);
    assert_true(each <= PROMISED);
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(&ends[i]);
    until_clients(n, 0);
    assert_true(served <= before + 1000);
}

int main(void)
{
    static const adapter_test more[] = {
        ADAPTER_TEST(requests_are_told_of_it),
        ADAPTER_TEST(says_goodbye),
        ADAPTER_TEST(http_on_this_port),
        ADAPTER_TEST(cut_handshakes),
        ADAPTER_TEST(byte_by_byte),
        ADAPTER_TEST(many_small_records),
        ADAPTER_TEST(few_large_records),
        ADAPTER_TEST(reload),
        ADAPTER_TEST(bad_files),
        ADAPTER_TEST(protocols),
        ADAPTER_TEST(versions),
        ADAPTER_TEST(client_certificates),
        ADAPTER_TEST(early_data),
        ADAPTER_TEST(huge_handshakes),
        ADAPTER_TEST(many_handshakes),
        ADAPTER_TEST(cut_streams),
        ADAPTER_TEST(key_updates),
        ADAPTER_TEST(key_updates_without_end),
        ADAPTER_TEST(idle_clients_are_small),
    };
    if (!CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free))
        return 1;
    tls_files_begin(files);
    tls_files_add(files, "a", NULL);
    tls_files_add(files, "b", NULL);
    tls_files_add(files, "locked", "secret");
    int failed = adapter_run(&tls_adapter, more, sizeof more / sizeof *more);
    tls_files_end(files);
    return failed;
}
