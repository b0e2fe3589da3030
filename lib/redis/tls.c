/* tls.c - a connection within TLS, by hiredis_ssl. The SSL is made here, since hiredis' own (up to
 * 1.4) takes a certificate of any name, and so is the handshake, which hiredis would do with the
 * first bytes and without words.
 *
 * Certificates are read anew for each connection: renewed ones are used with the next. OpenSSL's
 * queue of errors is the host's, too: it is empty whenever one of these returns. */
#include "redis/redis.h"

#ifdef CHANNELS__REDIS_TLS
#include <hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool channels__redis_has_tls(void)
{
    return true;
}

static const char *error_words(unsigned long error, char text[128])
{
    if (ERR_GET_LIB(error) != ERR_LIB_SYS)
        return ERR_reason_error_string(error);
    return strerror_r(ERR_GET_REASON(error), text, 128) == 0 ? text : NULL;
}

/* OpenSSL's first error, which the others follow from. */
static const char *first_error(char text[128])
{
    unsigned long error = ERR_peek_error();
    const char *words = error != 0 ? error_words(error, text) : NULL;
    ERR_clear_error();
    return words;
}

bool channels__redis_tls_why(channels__redis_link *link, const char *otherwise)
{
    char text[128];
    long verified = SSL_get_verify_result(link->tls);
    const char *words = first_error(text);
    if (verified != X509_V_OK)
        words = X509_verify_cert_error_string(verified);
    return words != NULL ? channels__redis_why(link->redis, "TLS: %s", words)
                         : channels__redis_why(link->redis, "%s", otherwise);
}

/* Of the option `name`. */
static bool why(channels_redis *redis, const char *name)
{
    char text[128];
    const char *words = first_error(text);
    return channels__redis_why(redis, "TLS: %s: %s", name,
                               words != NULL ? words : "it cannot be used");
}

static bool no_memory(channels_redis *redis)
{
    return channels__redis_why(redis, "TLS: out of memory");
}

/* --- What it is to be ----------------------------------------------------------------------- */

/* OpenSSL's own would ask at the terminal. */
static int no_password(char *password, int size, int writing, void *arg)
{
    (void)password, (void)size, (void)writing, (void)arg;
    return -1;
}

static bool set_certificates(channels_redis *redis, SSL_CTX *ctx)
{
    const channels_redis_options *o = &redis->options;
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if ((o->tls_ca != NULL ? SSL_CTX_load_verify_locations(ctx, o->tls_ca, NULL)
                           : SSL_CTX_set_default_verify_paths(ctx)) != 1)
        return why(redis, "tls_ca");
    if (o->tls_cert == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(ctx, o->tls_cert) != 1)
        return why(redis, "tls_cert");
    return SSL_CTX_use_PrivateKey_file(ctx, o->tls_key, SSL_FILETYPE_PEM) == 1 ||
           why(redis, "tls_key");
}

static SSL_CTX *context_new(channels_redis *redis)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        no_memory(redis);
    } else {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (set_certificates(redis, ctx))
            return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

/* An address is not sent: RFC 6066 has names alone. */
static bool set_name(SSL *tls, const char *name)
{
    X509_VERIFY_PARAM *verify = SSL_get0_param(tls);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_ip_asc(verify, name) == 1 ||
           (X509_VERIFY_PARAM_set1_host(verify, name, strlen(name)) == 1 &&
            SSL_set_tlsext_host_name(tls, name) == 1);
}

/* --- The connection ------------------------------------------------------------------------- */

/* hiredis owns it when it has taken it. */
static bool start(channels__redis_link *link)
{
    SSL_CTX *ctx = context_new(link->redis);
    if (ctx == NULL)
        return false;
    SSL *tls = SSL_new(ctx);
    SSL_CTX_free(ctx);
    const char *name = link->redis->options.tls_name;
    if (tls == NULL || !set_name(tls, name != NULL ? name : link->redis->host)) {
        SSL_free(tls);
        return no_memory(link->redis);
    }
    link->tls = tls;
    if (redisInitiateSSL(link->context, tls) == REDIS_OK)
        return true;
    channels__redis_tls_why(link, link->context->errstr);
    link->tls = NULL;
    SSL_free(tls);
    return false;
}

static bool shake_hands(channels__redis_link *link)
{
    link->connected = SSL_do_handshake(link->tls) == 1;
    link->to_write = link->connected ? 0 : channels__redis_tls_wants(link);
    return link->connected || link->to_write != 0 ||
           channels__redis_tls_why(link, "Redis has closed the connection");
}

bool channels__redis_tls_connect(channels__redis_link *link)
{
    channels__sigpipe sigpipe;
    channels__sigpipe_hold(&sigpipe);
    ERR_clear_error();
    bool ok = (link->tls != NULL || start(link)) && shake_hands(link);
    ERR_clear_error();
    channels__sigpipe_release(&sigpipe);
    return ok;
}

unsigned channels__redis_tls_wants(const channels__redis_link *link)
{
    return SSL_want_read(link->tls)    ? CHANNELS_REDIS_READ
           : SSL_want_write(link->tls) ? CHANNELS_REDIS_WRITE
                                       : 0u;
}

#else

bool channels__redis_has_tls(void)
{
    return false;
}

bool channels__redis_tls_connect(channels__redis_link *link)
{
    return channels__redis_tls_why(link, "not built in");
}

bool channels__redis_tls_why(channels__redis_link *link, const char *otherwise)
{
    return channels__redis_why(link->redis, "TLS: %s", otherwise);
}

unsigned channels__redis_tls_wants(const channels__redis_link *link)
{
    (void)link;
    return 0;
}

#endif
