/* tls_client.c - see tls_client.h. */
#include "unit/tls_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/memory.h"

static void need(bool ok)
{
    if (!ok)
        abort();
}

/* --- The client ---------------------------------------------------------------------------- */

void *tls_client_new(int fd)
{
    int on = 1;
    tls_client *c = calloc(1, sizeof *c);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    need(c != NULL && ctx != NULL);
    c->fd = fd;
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    need(c->ssl != NULL && c->in != NULL && c->out != NULL);
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return c;
}

void tls_client_free(void *client)
{
    tls_client *c = client;
    SSL_free(c->ssl);
    free(c);
}

bool tls_client_flush(tls_client *c)
{
    char *data;
    char gone[4096];
    for (;;) {
        long waits = BIO_get_mem_data(c->out, &data);
        size_t len = waits < (long)sizeof gone ? (size_t)waits : sizeof gone;
        if (len == 0)
            return true;
        if (c->step != 0 && len > c->step)
            len = c->step;
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        c->gone |= n < 0 && errno != EAGAIN;
        if (n > 0)
            need(BIO_read(c->out, gone, (int)n) == n);
        if (n <= 0 || (c->step != 0 && n < waits))
            return false;
    }
}

/* False at the end of the stream. */
static bool pull(tls_client *c)
{
    char bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        need(BIO_write(c->in, bytes, (int)n) == n);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static ssize_t fail(int error)
{
    ERR_clear_error();
    errno = error;
    return -1;
}

ssize_t tls_client_send(void *client, const void *data, size_t len)
{
    tls_client *c = client;
    if (!tls_client_flush(c))
        return fail(c->gone ? EPIPE : EAGAIN);
    int n = SSL_write(c->ssl, data, len < 16384 ? (int)len : 16384);
    int err = SSL_get_error(c->ssl, n);
    (void)tls_client_flush(c);
    if (n > 0)
        return n;
    if (err != SSL_ERROR_WANT_READ)
        return fail(EPROTO);
    return fail(pull(c) ? EAGAIN : ECONNRESET);
}

ssize_t tls_client_recv(void *client, void *dst, size_t len)
{
    tls_client *c = client;
    (void)tls_client_flush(c);
    bool open = pull(c);
    int n = SSL_read(c->ssl, dst, len < 65536 ? (int)len : 65536);
    int err = SSL_get_error(c->ssl, n);
    (void)tls_client_flush(c); /* of the handshake */
    ERR_clear_error();
    if (n > 0)
        return n;
    c->ended |= err == SSL_ERROR_ZERO_RETURN;
    if (c->ended)
        return 0;
    return fail(err != SSL_ERROR_WANT_READ ? EPROTO : open ? EAGAIN : ECONNRESET);
}

void tls_client_end(void *client)
{
    tls_client *c = client;
    (void)SSL_shutdown(c->ssl);
    (void)tls_client_flush(c);
    ERR_clear_error();
}

/* --- Certificates -------------------------------------------------------------------------- */

void tls_files_begin(char dir[64])
{
    snprintf(dir, 64, "%s", "/tmp/channels-test-XXXXXX");
    need(mkdtemp(dir) != NULL);
}

static FILE *open_file(const char *dir, const char *name, const char *suffix)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
    FILE *file = fopen(path, "w");
    need(file != NULL);
    return file;
}

static X509 *certificate(EVP_PKEY *key, const char *name)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    need(X509_set_version(cert, 2) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -60) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                    -1, 0) &&
         X509_set_issuer_name(cert, subject) && X509_set_pubkey(cert, key) &&
         X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

void tls_files_add(const char *dir, const char *name, const char *password)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = certificate(key, name);
    FILE *pem = open_file(dir, name, ".pem"), *keys = open_file(dir, name, ".key");
    need(PEM_write_X509(pem, cert) &&
         PEM_write_PrivateKey(keys, key, password != NULL ? EVP_aes_128_cbc() : NULL,
                              (const unsigned char *)password,
                              password != NULL ? (int)strlen(password) : 0, NULL, NULL));
    fclose(pem);
    fclose(keys);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

void tls_files_end(const char *dir)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    need(system(command) == 0);
}
