/* channels/adapters/libev_tls.h - wss:// and https:// on a libev loop, by OpenSSL.
 *
 *     channels_ev ev;
 *     channels_ev_tls tls;
 *     channels_ev_listener listener;
 *     channels_ev_start(&ev, EV_DEFAULT, endpoint);
 *     if (channels_ev_tls_start(&tls, &ev, "cert.pem", "key.pem") != 0)
 *         fprintf(stderr, "%s\n", channels_ev_tls_error(&tls));
 *     channels_ev_tls_listen(&tls, &listener, "127.0.0.1", 4443, 0);
 *     ev_run(EV_DEFAULT, 0);
 *     channels_ev_stop(&ev);
 *     channels_ev_tls_stop(&tls);
 *     channels_endpoint_free(endpoint);
 *
 * Header only: link with -lev -lssl -lcrypto (OpenSSL 3). Everything else is as in
 * libev.h, which can listen without TLS on the same loop. TLS 1.2 and 1.3; HTTP/1.1 to clients that
 * ask by ALPN; no renegotiation, no compression, no sessions kept (tickets resume them). The time
 * for a handshake is within the endpoint's http_timeout_ms.
 *
 * OpenSSL sees neither the socket nor the loop. It reads what one read() brought, up to the last
 * byte, so that nothing waits inside it which the descriptor does not tell of. It writes records of
 * what waits for a client, as large as there are, and of what the kernel does not take of the last
 * one only that ciphertext is kept. An idle client costs 14 KB of OpenSSL's (3.0), and
 * a record's size more while one is on its way. */
#ifndef CHANNELS_ADAPTERS_LIBEV_TLS_H
#define CHANNELS_ADAPTERS_LIBEV_TLS_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include <channels/adapters/libev.h>

#define CHANNELS_EV_TLS_RECORD 16384 /* bytes that a record can hold */
#define CHANNELS_EV_TLS_IOV 512      /* and messages that are put into one */
/* Ciphertext that waits for one client: more is left by those alone that make TLS itself answer and
 * do not read, and they are cut. */
#define CHANNELS_EV_TLS_MAX_KEPT 65536

/* The caller's storage, not moved between _start and _stop. Members are the adapter's own, but for
 * `ctx`, of which new clients are made: after _start and after each _reload a program may set more
 * in it, such as ciphers or client certificates. */
typedef struct channels_ev_tls {
    SSL_CTX *ctx;
    channels_ev *ev;
    BIO_METHOD *method;
    const char *in; /* what one read() brought, while OpenSSL reads it */
    size_t in_len;
    char *record; /* in plain, shared by all clients */
    channels_ev_layer layer;
    char error[256];
} channels_ev_tls;

typedef struct channels_ev_tls_client {
    channels_ev_client client; /* first */
    channels_ev_tls *tls;
    SSL *ssl;
    char *kept; /* ciphertext that the kernel did not take yet */
    size_t kept_at, kept_len;
    bool broken; /* OpenSSL wants to be asked nothing more */
    bool said_goodbye;
} channels_ev_tls_client;

/* --- What OpenSSL reads from and writes to: a BIO for each client ---------------------------- */

static inline int channels_ev_tls__bio_read(BIO *bio, char *dst, int size)
{
    channels_ev_tls *tls = ((channels_ev_tls_client *)BIO_get_data(bio))->tls;
    size_t n = tls->in_len < (size_t)size ? tls->in_len : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(dst, tls->in, n);
    tls->in += n;
    tls->in_len -= n;
    return (int)n;
}

/* Bytes that the kernel took, 0 if it takes none now, or a negative errno. */
static inline ssize_t channels_ev_tls__send(int fd, const char *data, size_t len)
{
    ssize_t n;
    do {
        n = send(fd, data, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

static inline bool channels_ev_tls__keep(channels_ev_tls_client *c, const char *data, size_t len)
{
    if (len > CHANNELS_EV_TLS_MAX_KEPT - c->kept_len)
        return false;
    if (c->kept_at != 0)
        memmove(c->kept, c->kept + c->kept_at, c->kept_len);
    c->kept_at = 0;
    char *kept = (char *)realloc(c->kept, c->kept_len + len);
    if (kept == NULL)
        return false;
    memcpy(kept + c->kept_len, data, len);
    c->kept = kept;
    c->kept_len += len;
    return true;
}

/* Takes all or fails: SSL_write() then has no half-written record to be repeated. */
static inline int channels_ev_tls__bio_write(BIO *bio, const char *data, int len)
{
    channels_ev_tls_client *c = (channels_ev_tls_client *)BIO_get_data(bio);
    ssize_t sent = 0;
    BIO_clear_retry_flags(bio);
    if (c->kept_len == 0)
        sent = channels_ev_tls__send(c->client.io.fd, data, (size_t)len);
    if (sent < 0 ||
        (sent < len && !channels_ev_tls__keep(c, data + sent, (size_t)len - (size_t)sent)))
        return -1;
    return len;
}

static inline long channels_ev_tls__bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH; /* nothing waits here that could leave */
}

static inline BIO_METHOD *channels_ev_tls__bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "channels");
    if (method != NULL) {
        (void)BIO_meth_set_read(method, channels_ev_tls__bio_read);
        (void)BIO_meth_set_write(method, channels_ev_tls__bio_write);
        (void)BIO_meth_set_ctrl(method, channels_ev_tls__bio_ctrl);
    }
    return method;
}

/* --- Certificate and key -------------------------------------------------------------------- */

/* There is nobody to ask: a key behind a password is refused. */
static inline int channels_ev_tls__no_password(char *dst, int size, int writing, void *arg)
{
    (void)dst, (void)size, (void)writing, (void)arg;
    return -1;
}

static inline int channels_ev_tls__alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                                        const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static inline void channels_ev_tls__defaults(SSL_CTX *ctx)
{
    if (SSL_CTX_get_min_proto_version(ctx) < TLS1_2_VERSION) /* the system may ask for more */
        (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* Without one OpenSSL cuts those with a certificate that show a ticket. */
    (void)SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"channels", 8);
    SSL_CTX_set_alpn_select_cb(ctx, channels_ev_tls__alpn, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, channels_ev_tls__no_password);
}

/* Writes down what OpenSSL says is wrong with `file`. */
static inline int channels_ev_tls__fail(channels_ev_tls *tls, const char *file)
{
    char why[192];
    ERR_error_string_n(ERR_peek_error(), why, sizeof why);
    snprintf(tls->error, sizeof tls->error, "%.60s: %s", file, why);
    ERR_clear_error();
    return -EINVAL;
}

static inline int channels_ev_tls__load(channels_ev_tls *tls, SSL_CTX *ctx, const char *cert,
                                        const char *key)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return channels_ev_tls__fail(tls, cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return channels_ev_tls__fail(tls, key);
    return 0;
}

/* Reads certificate and key anew. New clients get them; those that are there go on with the old
 * ones. 0, or a negative errno: all stays as it is, channels_ev_tls_error() says why. */
static inline int channels_ev_tls_reload(channels_ev_tls *tls, const char *cert, const char *key)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        (void)channels_ev_tls__fail(tls, "TLS");
        return -ENOMEM;
    }
    channels_ev_tls__defaults(ctx);
    int err = channels_ev_tls__load(tls, ctx, cert, key);
    if (err != 0) {
        SSL_CTX_free(ctx);
        return err;
    }
    SSL_CTX_free(tls->ctx); /* lives until its last client has gone */
    tls->ctx = ctx;
    return 0;
}

/* One sentence about the last _start or _reload that failed. */
static inline const char *channels_ev_tls_error(const channels_ev_tls *tls)
{
    return tls->error;
}

/* --- Clients -------------------------------------------------------------------------------- */

static inline channels_ev_tls_client *channels_ev_tls__of(channels_ev_client *client)
{
    return (channels_ev_tls_client *)client;
}

/* Makes records of what waits, until the kernel takes no more. */
static inline const void *channels_ev_tls__gather(channels_ev_tls *tls, const struct iovec *iov,
                                                  int n, int *len)
{
    size_t got = 0;
    if (n == 1 || iov[0].iov_len >= CHANNELS_EV_TLS_RECORD) {
        *len =
            iov[0].iov_len < CHANNELS_EV_TLS_RECORD ? (int)iov[0].iov_len : CHANNELS_EV_TLS_RECORD;
        return iov[0].iov_base;
    }
    for (int i = 0; i < n && got < CHANNELS_EV_TLS_RECORD; i++) {
        size_t room = CHANNELS_EV_TLS_RECORD - got;
        size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;
        memcpy(tls->record + got, iov[i].iov_base, part);
        got += part;
    }
    *len = (int)got;
    return tls->record;
}

static inline int channels_ev_tls__send_kept(channels_ev_tls_client *c)
{
    while (c->kept_len != 0) {
        ssize_t n = channels_ev_tls__send(c->client.io.fd, c->kept + c->kept_at, c->kept_len);
        if (n <= 0)
            return (int)n;
        c->kept_at += (size_t)n;
        c->kept_len -= (size_t)n;
    }
    free(c->kept);
    c->kept = NULL;
    c->kept_at = 0;
    return 0;
}

static inline int channels_ev_tls__encrypt(channels_ev_tls_client *c)
{
    struct iovec iov[CHANNELS_EV_TLS_IOV];
    channels_conn *conn = c->client.conn;
    int n, len;
    while (c->kept_len == 0 && (n = channels_conn_output(conn, iov, CHANNELS_EV_TLS_IOV)) > 0) {
        const void *data = channels_ev_tls__gather(c->tls, iov, n, &len);
        ERR_clear_error();
        if (SSL_write(c->ssl, data, len) != len) {
            c->broken = true;
            ERR_clear_error();
            return -EPIPE;
        }
        channels_conn_sent(conn, (size_t)len);
    }
    return 0;
}

static inline void channels_ev_tls__goodbye(channels_ev_tls_client *c)
{
    if (c->broken || c->said_goodbye || !SSL_is_init_finished(c->ssl))
        return;
    c->said_goodbye = true;
    ERR_clear_error();
    (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
}

/* As channels_tcp__write(). */
static inline int channels_ev_tls__write(channels_ev_tls_client *c)
{
    int err = channels_ev_tls__send_kept(c);
    if (err == 0 && SSL_is_init_finished(c->ssl)) /* or else it waits until that is over */
        err = channels_ev_tls__encrypt(c);
    if (err != 0 || (channels_conn_want(c->client.conn) & CHANNELS_WANT_SHUTDOWN) == 0)
        return err;
    channels_ev_tls__goodbye(c);
    if (c->kept_len == 0 && channels_tcp__ends_writing(c->client.conn))
        (void)shutdown(c->client.io.fd, SHUT_WR);
    return 0;
}

static inline void channels_ev_tls__flush(channels_ev_client *client)
{
    int error = channels_ev_tls__write(channels_ev_tls__of(client));
    unsigned want = channels_conn_want(client->conn);
    bool leaves =
        channels_ev_tls__of(client)->kept_len != 0 && (want & CHANNELS_WANT_SHUTDOWN) != 0;
    if (error != 0 || ((want & CHANNELS_WANT_CLOSE) != 0 && !leaves)) {
        channels_ev__client_free(client);
        return;
    }
    /* What waits in the connection waits for the handshake or for what is kept. */
    channels_ev__watch(client, ((want & CHANNELS_WANT_READ) != 0 ? EV_READ : 0) |
                                   (channels_ev_tls__of(client)->kept_len != 0 ? EV_WRITE : 0));
}

static inline void channels_ev_tls__end(channels_ev_client *client)
{
    channels_ev_tls_client *c = channels_ev_tls__of(client);
    channels_ev_tls__goodbye(c);
    SSL_free(c->ssl);
    free(c->kept);
}

/* Hands over all that can be read of `len` bytes of ciphertext; CHANNELS_EV_TLS_RECORD bytes at a
 * time, for a client may send many small records. An SSL_ERROR. */
static inline int channels_ev_tls__decrypt(channels_ev_tls_client *c, const char *data, size_t len)
{
    channels_ev_tls *tls = c->tls;
    size_t got = 0;
    int n, err = SSL_ERROR_NONE;
    tls->in = data;
    tls->in_len = len;
    while (err == SSL_ERROR_NONE) {
        ERR_clear_error(); /* SSL_get_error() looks there, callbacks may have left something */
        n = SSL_read(c->ssl, tls->record + got, (int)(CHANNELS_EV_TLS_RECORD - got));
        err = SSL_get_error(c->ssl, n);
        got += n > 0 ? (size_t)n : 0;
        if (got != 0 && (got == CHANNELS_EV_TLS_RECORD || n <= 0)) {
            channels_conn_feed(c->client.conn, tls->record, got);
            got = 0;
        }
    }
    tls->in_len = 0;
    ERR_clear_error();
    return err;
}

static inline void channels_ev_tls__on_client(struct ev_loop *loop, ev_io *io, int revents)
{
    channels_ev_client *client = (channels_ev_client *)io;
    channels_ev_tls_client *c = channels_ev_tls__of(client);
    char *buffer = channels_ev__layer((channels_ev_client *)io)->ev->buffer;
    int err = SSL_ERROR_WANT_READ;
    (void)loop;
    if ((revents & EV_READ) != 0) {
        ssize_t n = read(io->fd, buffer, CHANNELS_EV_READ_SIZE);
        if (n > 0)
            err = channels_ev_tls__decrypt(c, buffer, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            err = SSL_ERROR_SYSCALL;
    }
    if (err == SSL_ERROR_WANT_READ) {
        channels_ev_tls__flush(client);
        return;
    }
    if (err == SSL_ERROR_ZERO_RETURN) /* it will send no more, but may wait for an answer */
        (void)channels_ev_tls__write(c);
    else
        c->broken = true;
    channels_ev__client_free(client);
}

static inline SSL *channels_ev_tls__ssl_new(channels_ev_tls_client *c)
{
    SSL *ssl = SSL_new(c->tls->ctx);
    BIO *bio = ssl != NULL ? BIO_new(c->tls->method) : NULL;
    if (bio == NULL) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return ssl;
}

/* As channels_ev__add(). */
static inline int channels_ev_tls__add(channels_ev_tls *tls, const channels_tcp_stream *s)
{
    const channels_stream stream = { s->peer, true };
    channels_ev_tls_client *c = (channels_ev_tls_client *)calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    c->tls = tls;
    c->ssl = channels_ev_tls__ssl_new(c);
    int err = c->ssl != NULL ? channels_conn_new(tls->ev->ep, &stream, c, &c->client.conn)
                             : CHANNELS_ERR_NOMEM;
    if (err != CHANNELS_OK) {
        SSL_free(c->ssl);
        free(c);
        return err == CHANNELS_ERR_NOMEM ? -ENOMEM : -EINVAL;
    }
    channels_ev__watch_client(&tls->layer, &c->client, s->fd, channels_ev_tls__on_client);
    return 0;
}

/* Takes over the accepted stream `fd`, on which the client begins with its handshake. 0 or a
 * negative errno; `fd` is then still the caller's. */
static inline int channels_ev_tls_accept(channels_ev_tls *tls, int fd)
{
    channels_tcp_stream s;
    int err = channels_tcp__adopt(fd, &s);
    return err != 0 ? err : channels_ev_tls__add(tls, &s);
}

/* --- Listening, starting, stopping ---------------------------------------------------------- */

static inline int channels_ev_tls__accept(channels_ev_listener *l, const channels_tcp_stream *s)
{
    return channels_ev_tls__add((channels_ev_tls *)l->layer, s);
}

static inline int channels_ev_tls__over(channels_ev_tls *tls, channels_ev_listener *l, int err)
{
    if (err == 0) {
        l->accept = channels_ev_tls__accept;
        l->layer = tls;
    }
    return err;
}

/* As channels_ev_listen_fd() and channels_ev_listen(). The port is told by channels_ev_port(). */
static inline int channels_ev_tls_listen_fd(channels_ev_tls *tls, channels_ev_listener *l, int fd)
{
    return channels_ev_tls__over(tls, l, channels_ev_listen_fd(tls->ev, l, fd));
}
static inline int channels_ev_tls_listen(channels_ev_tls *tls, channels_ev_listener *l,
                                         const char *host, int port, int backlog)
{
    return channels_ev_tls__over(tls, l, channels_ev_listen(tls->ev, l, host, port, backlog));
}

/* Frees what _start made: after channels_ev_stop(), which closes the clients. */
static inline void channels_ev_tls_stop(channels_ev_tls *tls)
{
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->method);
    free(tls->record);
}

/* For an adapter that was started. `cert` is a PEM file with the certificate and those that vouch
 * for it, `key` one with its key, which no password may protect. 0, or a negative errno:
 * channels_ev_tls_error() says why, and there is nothing to be stopped. */
static inline int channels_ev_tls_start(channels_ev_tls *tls, channels_ev *ev, const char *cert,
                                        const char *key)
{
    memset(tls, 0, sizeof *tls);
    strcpy(tls->error, "out of memory");
    tls->ev = ev;
    tls->layer.ev = ev;
    tls->layer.flush = channels_ev_tls__flush;
    tls->layer.end = channels_ev_tls__end;
    tls->record = (char *)malloc(CHANNELS_EV_TLS_RECORD);
    tls->method = channels_ev_tls__bio_method();
    int err = tls->record != NULL && tls->method != NULL ? channels_ev_tls_reload(tls, cert, key)
                                                         : -ENOMEM;
    if (err != 0)
        channels_ev_tls_stop(tls);
    return err;
}

#endif
