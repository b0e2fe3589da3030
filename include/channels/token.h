/* channels/token.h - signed and encrypted tokens, those of Phoenix.Token.
 *
 * A page or an app gets a token when its user has logged in, and shows it when it connects. The
 * server that made it needs no storage to know the user again, and it may be any of yours: a token
 * signed here is read by Phoenix.Token with the same secret and salt, and the other way round.
 * (Phoenix lib/phoenix/token.ex, plug_crypto lib/plug/crypto.ex)
 *
 * A signed token shows its data to whoever holds it; only changing it is impossible. An encrypted
 * one hides it too.
 *
 *     channels_token_key_new(&key, secret_key_base, "user socket", NULL);
 *     channels_token_sign(key, channels_token_integer(user_id), NULL, token, sizeof token);
 *     ...
 *     if (channels_token_verify(key, token, 0, &who) != CHANNELS_OK)
 *         return CHANNELS_REFUSE;
 *
 * Nothing here belongs to an endpoint: all functions may be called on ANY THREAD, also with the
 * same key at once if the functions in its options bear that. (The defaults do.) */
#ifndef CHANNELS_TOKEN_H
#define CHANNELS_TOKEN_H

#include <channels/channels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What else verifying and decrypting can say; for channels_strerror() too. Negative, so that a
 * token which is not good never looks like success. Each left the result zeroed. */
enum {
    CHANNELS_TOKEN_MISSING = -20, /* there is none: NULL */
    CHANNELS_TOKEN_INVALID = -21, /* not made with this key, or changed since, or no token at all */
    CHANNELS_TOKEN_EXPIRED = -22  /* genuine, but too old */
};

/* --- Keys ---------------------------------------------------------------------------------
 * Derived once from the server's secret and a salt, which is no secret: it names what the tokens
 * are for ("user socket"), so that one for another purpose does not pass. Deriving takes about a
 * millisecond, using a key a few microseconds. A key never changes. */
typedef struct channels_token_key channels_token_key;

typedef enum { CHANNELS_SHA256, CHANNELS_SHA384, CHANNELS_SHA512, CHANNELS_SHA1 } channels_digest;

/* Zero every member you do not set; zero means the default in brackets. Copied, but for what
 * `user` points to. The first three are Phoenix.Token's key_digest, key_iterations, key_length. */
typedef struct channels_token_key_options {
    channels_digest digest; /* of the derivation, PBKDF2 (RFC 8018) [SHA-256] */
    uint32_t iterations;    /* [1000] */
    uint32_t length;        /* of the key, at most 1024; to encrypt it must be 32 [32] */
    size_t secret_len;      /* of a secret that is no C string [strlen] */
    size_t salt_len;        /* of a salt that is no C string [strlen] */
    size_t max_data;        /* bytes of one token's data, then CHANNELS_ERR_LIMIT [64 KB] */
    void *user;             /* handed to each function here */
    /* As in channels_config. [malloc and free] */
    void *(*realloc)(void *user, void *p, size_t old_size, size_t new_size);
    int64_t (*now_ms)(void *user); /* since 1970 [CLOCK_REALTIME] */
    void (*log)(void *user, channels_log_level level, const char *text);
} channels_token_key_options;

/* `secret` is Phoenix' secret_key_base, at least 20 bytes (CHANNELS_ERR_INVALID); make it of 64
 * random ones. `options` may be NULL. Nothing of what is handed in is needed afterwards. */
CHANNELS_API int channels_token_key_new(channels_token_key **key, const char *secret,
                                        const char *salt,
                                        const channels_token_key_options *options);
/* Wipes it. NULL is fine. */
CHANNELS_API void channels_token_key_free(channels_token_key *key);

/* --- Data ---------------------------------------------------------------------------------
 * What a token holds. Most hold a user's id: in Elixir an integer or a binary (a string). */
typedef enum {
    CHANNELS_TOKEN_BYTES = 1, /* `data`: text, or any bytes; an Elixir binary */
    CHANNELS_TOKEN_INTEGER,   /* `integer`; larger ones are terms. `data` is "". */
    CHANNELS_TOKEN_TERM       /* `data`: any other Elixir term, in Erlang's external term format
                               * from its first byte 131 on; read it in `json` */
} channels_token_kind;

typedef struct channels_token_data {
    channels_token_kind kind;
    int64_t integer;
    const char *data; /* in a result with a NUL behind, which does not count */
    size_t len;

    /* These are results; signing does not look at them. */
    int64_t signed_at_ms; /* since 1970 */
    /* The data as JSON text: binaries and atoms are strings, but nil, true and false themselves;
     * tuples are arrays, binaries that are not UTF-8 arrays of their bytes, so that they never look
     * like a string; pids, references, ports and bit strings are null. NULL if JSON cannot say it:
     * keys of maps other than strings, atoms and integers, improper lists, integers of more than
     * 255 bytes, more than 128 levels. */
    const char *json;
    void *memory; /* owned: the data and the JSON; channels_token_data_free() */
} channels_token_data;

static inline channels_token_data channels_token_bytes(const void *data, size_t len)
{
    channels_token_data d = { CHANNELS_TOKEN_BYTES, 0, (const char *)data, len, 0, NULL, NULL };
    return d;
}
static inline channels_token_data channels_token_text(const char *text)
{
    return channels_token_bytes(text, strlen(text));
}
static inline channels_token_data channels_token_integer(int64_t integer)
{
    channels_token_data d = { CHANNELS_TOKEN_INTEGER, integer, NULL, 0, 0, NULL, NULL };
    return d;
}
/* For those who write the external term format themselves; one term, not compressed. */
static inline channels_token_data channels_token_term(const void *term, size_t len)
{
    channels_token_data d = { CHANNELS_TOKEN_TERM, 0, (const char *)term, len, 0, NULL, NULL };
    return d;
}

/* Frees what a result holds, and zeroes it. One that was an error, or was freed, is fine. */
CHANNELS_API void channels_token_data_free(channels_token_data *d);

/* --- Making tokens ------------------------------------------------------------------------ */
#define CHANNELS_TOKEN_FOREVER INT64_MAX /* as a max_age_s: Phoenix' :infinity */

/* Zero means the default in brackets. */
typedef struct channels_token_options {
    int64_t signed_at_ms; /* since 1970 [now] */
    int64_t max_age_s;    /* for a reader that names none; negative: it has expired [86400] */
} channels_token_options;

/* A buffer of so many bytes holds any token of `n` bytes of data (an integer counts as 8). */
#define CHANNELS_TOKEN_SIZE(n) (((size_t)(n) + 96) / 3 * 4 + 64)

/* Writes the token to `dst`, text of A-Z a-z 0-9 - _ and '.', with a NUL behind. `options` may be
 * NULL. Its length, or a negative error with "" in `dst`: CHANNELS_ERR_LIMIT if it is longer than
 * `cap` allows, or the data than max_data. */
CHANNELS_API int channels_token_sign(const channels_token_key *key, channels_token_data data,
                                     const channels_token_options *options, char *dst, size_t cap);
/* The same with XChaCha20-Poly1305. CHANNELS_ERR_UNSUPPORTED if the library was built without
 * libsodium, CHANNELS_ERR_INVALID if the key is not of 32 bytes. */
CHANNELS_API int channels_token_encrypt(const channels_token_key *key, channels_token_data data,
                                        const channels_token_options *options, char *dst,
                                        size_t cap);

/* --- Reading tokens -----------------------------------------------------------------------
 * `max_age_s` is how old the token may be, whatever it says itself; 0: what it says itself;
 * negative: it has expired. One signed in the future is good. `d` is the result, to be freed.
 * Either takes only its own kind of token, the other is CHANNELS_TOKEN_INVALID. */
CHANNELS_API int channels_token_verify(const channels_token_key *key, const char *token,
                                       int64_t max_age_s, channels_token_data *d);
/* Also takes the older form, AES in Galois/Counter Mode, for which libsodium is not needed. */
CHANNELS_API int channels_token_decrypt(const channels_token_key *key, const char *token,
                                        int64_t max_age_s, channels_token_data *d);

#ifdef __cplusplus
}
#endif
#endif
