/* token_key.c - see token_key.h. */
#include "wire/token_key.h"

#include <time.h>

#include "base/crypto.h"
#include "base/str.h"

#define MIN_SECRET 20u /* Phoenix lib/phoenix/token.ex, get_key_base */
#define MAX_LENGTH 1024u
#define MAX_ITERATIONS INT32_MAX /* what OpenSSL takes */
#define MOST_DATA (256u << 20)   /* the length of a token is an int */

static int64_t default_now_ms(void *user)
{
    struct timespec now;
    (void)user;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void default_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level, (void)text;
}

static void set_defaults(channels_token_key_options *o, const char *secret, const char *salt)
{
    o->iterations = o->iterations != 0 ? o->iterations : 1000;
    o->length = o->length != 0 ? o->length : 32;
    o->secret_len = o->secret_len != 0 ? o->secret_len : channels__str_z(secret).n;
    o->salt_len = o->salt_len != 0 ? o->salt_len : channels__str_z(salt).n;
    o->max_data = o->max_data != 0 ? o->max_data : 65536;
    o->realloc = o->realloc != NULL ? o->realloc : channels__malloc;
    o->now_ms = o->now_ms != NULL ? o->now_ms : default_now_ms;
    o->log = o->log != NULL ? o->log : default_log;
}

/* What is wrong with them, or NULL. A secret may well be NULL: straight from getenv(). */
static const char *mistake_in(const char *secret, const char *salt,
                              const channels_token_key_options *o)
{
    if (secret == NULL || salt == NULL)
        return "channels_token_key_new: there is no secret, or no salt";
    if (o->digest < CHANNELS_SHA256 || o->digest > CHANNELS_SHA1)
        return "channels_token_key_new: there is no such digest";
    if (o->iterations > MAX_ITERATIONS)
        return "channels_token_key_new: too many iterations";
    if (o->length > MAX_LENGTH)
        return "channels_token_key_new: a key has at most 1024 bytes";
    if (o->max_data > MOST_DATA)
        return "channels_token_key_new: max_data is at most 256 MB";
    if (o->secret_len < MIN_SECRET)
        return "channels_token_key_new: the secret must have at least 20 bytes";
    return NULL;
}

static int key_derive(channels_token_key **key, const char *secret, const char *salt,
                      const channels_token_key_options *o)
{
    const channels__mem mem = { o->realloc, o->user };
    channels_token_key *k = channels__alloc(&mem, sizeof *k + o->length);
    if (k == NULL)
        return CHANNELS_ERR_NOMEM;
    *k = (channels_token_key){ .mem = mem, .now_ms = o->now_ms, .log = o->log, .user = o->user,
                               .max_data = o->max_data, .len = o->length };
    if (!channels__pbkdf2(o->digest, o->iterations, channels__str_n(secret, o->secret_len),
                          channels__str_n(salt, o->salt_len), k->bytes, k->len)) {
        channels_token_key_free(k);
        return CHANNELS_ERR_NOMEM;
    }
    *key = k;
    return CHANNELS_OK;
}

int channels_token_key_new(channels_token_key **key, const char *secret, const char *salt,
                           const channels_token_key_options *options)
{
    channels_token_key_options o = { 0 };
    if (options != NULL)
        o = *options;
    *key = NULL;
    set_defaults(&o, secret, salt);
    const char *mistake = mistake_in(secret, salt, &o);
    if (mistake == NULL)
        return key_derive(key, secret, salt, &o);
    o.log(o.user, CHANNELS_LOG_ERROR, mistake);
    return CHANNELS_ERR_INVALID;
}

void channels_token_key_free(channels_token_key *key)
{
    if (key == NULL)
        return;
    const channels__mem mem = key->mem;
    size_t size = sizeof *key + key->len;
    channels__wipe(key, size);
    channels__free(&mem, key, size);
}

int channels__token_mistake(const channels_token_key *key, const char *text)
{
    key->log(key->user, CHANNELS_LOG_ERROR, text);
    return CHANNELS_ERR_INVALID;
}
