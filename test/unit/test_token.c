/* test_token.c - lib/wire/token.c, token_key.c and token_term.c where no vector reaches: what is
 * forged, cut or old, limits, mistakes and failing memory. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/aead.h"
#include "base/crypto.h"
#include "channels/token.h"
#include "sim/memory.h"
#include "unit/hex.h"
#include "wire/etf.h"
#include "wire/token_key.h"

#define SECRET "a secret of the tests, long enough for Phoenix"
#define SIGNED_AT INT64_C(1700000000000)

/* What a key of a test is given: memory that may fail, a clock, and who hears of mistakes. */
struct world {
    sim_memory memory;
    int64_t now;
    char said[256];
};

static void *world_realloc(void *user, void *p, size_t old_size, size_t new_size)
{
    struct world *w = user;
    return sim_memory_realloc(&w->memory, p, old_size, new_size);
}

static int64_t world_now(void *user)
{
    const struct world *w = user;
    return w->now;
}

static void world_log(void *user, channels_log_level level, const char *text)
{
    struct world *w = user;
    assert_int_equal(level, CHANNELS_LOG_ERROR);
    snprintf(w->said, sizeof w->said, "%s", text);
}

static channels_token_key_options options_of(struct world *w)
{
    *w = (struct world){ .now = SIGNED_AT };
    return (channels_token_key_options){ .iterations = 1, .user = w, .realloc = world_realloc,
                                         .now_ms = world_now, .log = world_log };
}

static channels_token_key *key_with(const char *salt, const channels_token_key_options *options)
{
    channels_token_key *key;
    assert_int_equal(channels_token_key_new(&key, SECRET, salt, options), CHANNELS_OK);
    return key;
}

static channels_token_key *key_of(struct world *w)
{
    const channels_token_key_options options = options_of(w);
    return key_with("user socket", &options);
}

static void end(struct world *w, channels_token_key *key)
{
    channels_token_key_free(key);
    assert_int_equal(w->memory.blocks, 0);
}

static int verify(const channels_token_key *key, const char *token, int64_t max_age_s)
{
    channels_token_data d;
    int err = channels_token_verify(key, token, max_age_s, &d);
    if (err != CHANNELS_OK)
        assert_true(d.kind == 0 && d.data == NULL && d.json == NULL && d.memory == NULL);
    channels_token_data_free(&d);
    return err;
}

static int decrypt(const channels_token_key *key, const char *token)
{
    channels_token_data d;
    int err = channels_token_decrypt(key, token, 0, &d);
    channels_token_data_free(&d);
    return err;
}

static bool can_encrypt(void)
{
    return channels__aead_available() == CHANNELS_OK;
}

/* --- Forged, cut, of another purpose -------------------------------------------------------- */

typedef int make_function(const channels_token_key *key, channels_token_data data,
                          const channels_token_options *options, char *dst, size_t cap);

static void any_change_is_noticed(make_function *make, bool encrypted)
{
    static const char alphabet[] = "AZaz09-_.=+/ \n\x80";
    struct world w;
    channels_token_key *key = key_of(&w);
    char token[200];
    int len = make(key, channels_token_text("user-1"), NULL, token, sizeof token);
    assert_true(len > 0);
    for (int i = 0; i < len - 1; i++) { /* the last has bits that do not count */
        char was = token[i];
        for (size_t c = 0; c < sizeof alphabet; c++) {
            token[i] = alphabet[c];
            if (token[i] != was)
                assert_int_equal(encrypted ? decrypt(key, token) : verify(key, token, 0),
                                 CHANNELS_TOKEN_INVALID);
        }
        token[i] = was;
    }
    assert_int_equal(encrypted ? decrypt(key, token) : verify(key, token, 0), CHANNELS_OK);
    end(&w, key);
}

static void a_changed_token_is_invalid(void **state)
{
    (void)state;
    any_change_is_noticed(channels_token_sign, false);
    if (can_encrypt())
        any_change_is_noticed(channels_token_encrypt, true);
}

static void a_cut_token_is_invalid(void **state)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    char token[200], cut[200];
    (void)state;
    int len = channels_token_sign(key, channels_token_integer(7), NULL, token, sizeof token);
    for (int i = 0; i < len; i++) {
        memcpy(cut, token, (size_t)i);
        cut[i] = '\0';
        assert_int_equal(verify(key, cut, 0), CHANNELS_TOKEN_INVALID);
        assert_int_equal(verify(key, token + i + 1, 0), CHANNELS_TOKEN_INVALID);
        assert_int_equal(decrypt(key, cut), CHANNELS_TOKEN_INVALID);
    }
    len = channels_token_encrypt(key, channels_token_integer(7), NULL, token, sizeof token);
    for (int i = 0; i < len; i++) {
        memcpy(cut, token, (size_t)i);
        cut[i] = '\0';
        assert_int_equal(decrypt(key, cut), CHANNELS_TOKEN_INVALID);
    }
    end(&w, key);
}

/* The older form has five parts, each of which must be all there. */
static void a_cut_older_token_is_invalid(void **state)
{
    static const char older[] =
        "QTEyOEdDTQ.WvK10K9f8ijbvci5jd_Z1biVIKva6ejDkC2504qARBUNMPUfWL8zWdoeZDs.GAO5Uni2iGVeNrPY"
        ".-9HhCyEc_HUH6-17RRzCsvCyGA.qt6ze-5bvbgGUoq3EgevnA";
    static const char secret[] = "fixture-secret-key-base-fixture-secret-key-base-"
                                 "fixture-secret-key-base-fixture-secret-key-base-";
    struct world w;
    channels_token_key_options options = options_of(&w);
    channels_token_key *key;
    char cut[sizeof older];
    (void)state;
    options.iterations = 0;
    assert_int_equal(channels_token_key_new(&key, secret, "user auth", &options), CHANNELS_OK);
    assert_int_equal(decrypt(key, older), CHANNELS_OK);
    for (size_t i = 0; i + 1 < sizeof older; i++) {
        memcpy(cut, older, sizeof older);
        cut[i] = '\0';
        assert_int_equal(decrypt(key, cut), CHANNELS_TOKEN_INVALID);
        cut[i] = older[i] == 'A' ? 'B' : 'A';
        if (i + 2 < sizeof older && older[i + 1] != '.')
            assert_int_equal(decrypt(key, cut), CHANNELS_TOKEN_INVALID);
    }
    end(&w, key);
}

static void no_token_is_missing(void **state)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    assert_int_equal(verify(key, NULL, 0), CHANNELS_TOKEN_MISSING);
    assert_int_equal(decrypt(key, NULL), CHANNELS_TOKEN_MISSING);
    assert_int_equal(verify(key, "", 0), CHANNELS_TOKEN_INVALID);
    assert_int_equal(verify(key, "..", 0), CHANNELS_TOKEN_INVALID);
    assert_int_equal(verify(key, "....................", 0), CHANNELS_TOKEN_INVALID);
    end(&w, key);
}

static void each_purpose_has_its_own_tokens(void **state)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    channels_token_key_options o = { .iterations = 1, .now_ms = world_now, .user = &w };
    char token[200];
    (void)state;
    channels_token_sign(key, channels_token_integer(7), NULL, token, sizeof token);

    channels_token_key *others[5];
    others[0] = key_with("password reset", &o);
    others[1] = key_with("", &o);
    others[2] = key_with("user socket ", &o);
    o.iterations = 2;
    others[3] = key_with("user socket", &o);
    o.iterations = 1;
    o.digest = CHANNELS_SHA512;
    others[4] = key_with("user socket", &o);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(verify(others[i], token, CHANNELS_TOKEN_FOREVER), CHANNELS_TOKEN_INVALID);
        channels_token_key_free(others[i]);
    }
    assert_int_equal(verify(key, token, 0), CHANNELS_OK);
    end(&w, key);
}

/* --- Age ------------------------------------------------------------------------------------ */

static int after(struct world *w, const channels_token_key *key, int64_t ms, int64_t signed_max,
                 int64_t max_age_s)
{
    const channels_token_options options = { SIGNED_AT, signed_max };
    char token[200];
    w->now = 1;
    assert_true(channels_token_sign(key, channels_token_integer(1), &options, token,
                                    sizeof token) > 0);
    w->now = SIGNED_AT + ms;
    return verify(key, token, max_age_s);
}

static void a_token_lives_to_the_millisecond(void **state)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    assert_int_equal(after(&w, key, 86400000, 0, 0), CHANNELS_OK);
    assert_int_equal(after(&w, key, 86400001, 0, 0), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(after(&w, key, 60000, 60, 0), CHANNELS_OK);
    assert_int_equal(after(&w, key, 60001, 60, 0), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(after(&w, key, 60001, 60, 61), CHANNELS_OK);
    assert_int_equal(after(&w, key, 61001, 0, 61), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(after(&w, key, 0, -1, 0), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(after(&w, key, 0, -1, 1), CHANNELS_OK);
    assert_int_equal(after(&w, key, 0, 60, -1), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(after(&w, key, -1000000, 60, 0), CHANNELS_OK); /* from the future */
    assert_int_equal(after(&w, key, -1000000, 60, -1), CHANNELS_TOKEN_EXPIRED);
    end(&w, key);
}

static void ages_do_not_overflow(void **state)
{
    const int64_t end_of_time = INT64_MAX - SIGNED_AT;
    struct world w;
    channels_token_key *key = key_of(&w);
    char token[200];
    channels_token_options options = { INT64_MIN, CHANNELS_TOKEN_FOREVER - 1 };
    (void)state;
    assert_int_equal(after(&w, key, end_of_time, CHANNELS_TOKEN_FOREVER, 0), CHANNELS_OK);
    assert_int_equal(after(&w, key, end_of_time, 0, CHANNELS_TOKEN_FOREVER), CHANNELS_OK);
    assert_int_equal(after(&w, key, end_of_time, 0, CHANNELS_TOKEN_FOREVER - 1), CHANNELS_OK);
    assert_int_equal(after(&w, key, end_of_time, CHANNELS_TOKEN_FOREVER, 60),
                     CHANNELS_TOKEN_EXPIRED);
    channels_token_sign(key, channels_token_integer(1), &options, token, sizeof token);
    w.now = INT64_MAX;
    assert_int_equal(verify(key, token, INT64_MAX / 1000), CHANNELS_TOKEN_EXPIRED);
    assert_int_equal(verify(key, token, 0), CHANNELS_OK);
    end(&w, key);
}

/* --- Data ----------------------------------------------------------------------------------- */

/* Signs a term and reads it again. */
static int round_trip(const channels_token_key *key, const void *content, size_t len)
{
    channels_token_data d;
    char token[400];
    int n = channels_token_sign(key, channels_token_term(content, len), NULL, token, sizeof token);
    if (n < 0)
        return n;
    int err = channels_token_verify(key, token, 0, &d);
    assert_int_equal(err, CHANNELS_OK);
    assert_int_equal(d.len, len);
    assert_memory_equal(d.data, content, len);
    channels_token_data_free(&d);
    return err;
}

static void data_comes_back(void **state)
{
    static const char bytes[] = "\0\xff\0";
    struct world w;
    channels_token_key *key = key_of(&w);
    channels_token_data d;
    char token[200];
    (void)state;
    channels_token_sign(key, channels_token_bytes(bytes, 3), NULL, token, sizeof token);
    assert_int_equal(channels_token_verify(key, token, 0, &d), CHANNELS_OK);
    assert_int_equal(d.kind, CHANNELS_TOKEN_BYTES);
    assert_int_equal(d.len, 3);
    assert_memory_equal(d.data, bytes, 4); /* the NUL behind */
    assert_string_equal(d.json, "[0,255,0]");
    assert_true(d.signed_at_ms == SIGNED_AT);
    channels_token_data_free(&d);
    channels_token_data_free(&d);

    channels_token_sign(key, channels_token_bytes(NULL, 0), NULL, token, sizeof token);
    assert_int_equal(channels_token_verify(key, token, 0, &d), CHANNELS_OK);
    assert_string_equal(d.json, "\"\"");
    channels_token_data_free(&d);

    channels_token_sign(key, channels_token_integer(INT64_MIN), NULL, token, sizeof token);
    assert_int_equal(channels_token_verify(key, token, 0, &d), CHANNELS_OK);
    assert_int_equal(d.kind, CHANNELS_TOKEN_INTEGER);
    assert_true(d.integer == INT64_MIN);
    assert_string_equal(d.data, "");
    assert_string_equal(d.json, "-9223372036854775808");
    /* What was read can be signed again, and outlives its key. */
    assert_true(channels_token_sign(key, d, NULL, token, sizeof token) > 0);
    assert_int_equal(verify(key, token, 0), CHANNELS_OK);
    channels_token_key_free(key);
    assert_string_equal(d.json, "-9223372036854775808");
    channels_token_data_free(&d);
    end(&w, NULL);
}

static void terms_are_checked(void **state)
{
    static const char *const bad[] = { "", "\x83", "\x68\x01\x61\x01", "\x83\x68\x01",
                                       "\x83\x61\x01\x61", "\x83P" };
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    assert_int_equal(round_trip(key, "\x83\x68\x01\x61\x01", 5), CHANNELS_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        w.said[0] = '\0';
        assert_int_equal(round_trip(key, bad[i], strlen(bad[i])), CHANNELS_ERR_INVALID);
        assert_string_equal(w.said, "a token's data is no term in external format");
    }
    /* What JSON cannot say is there as a term all the same. */
    channels_token_data d;
    char token[200];
    channels_token_sign(key, channels_token_term("\x83\x74\0\0\0\1\x68\0\x61\1", 10), NULL, token,
                        sizeof token);
    assert_int_equal(channels_token_verify(key, token, 0, &d), CHANNELS_OK);
    assert_int_equal(d.kind, CHANNELS_TOKEN_TERM);
    assert_null(d.json);
    assert_int_equal(d.len, 10);
    channels_token_data_free(&d);
    end(&w, key);
}

/* --- Limits --------------------------------------------------------------------------------- */

static void a_buffer_is_filled_to_its_last_byte(void **state)
{
    make_function *const makes[] = { channels_token_sign, channels_token_encrypt };
    struct world w;
    channels_token_key *key = key_of(&w);
    char token[400];
    (void)state;
    for (size_t n = 0; n < 12; n++)
        for (int m = 0; m < 1 + can_encrypt(); m++) {
            const channels_token_data data = channels_token_bytes("0123456789ab", n);
            int len = makes[m](key, data, NULL, token, sizeof token);
            assert_true(len > 0 && strlen(token) == (size_t)len);
            memset(token, '#', sizeof token);
            assert_int_equal(makes[m](key, data, NULL, token, (size_t)len + 1), len);
            assert_int_equal(token[len + 1], '#');
            memset(token, '#', sizeof token);
            assert_int_equal(makes[m](key, data, NULL, token, (size_t)len), CHANNELS_ERR_LIMIT);
            assert_string_equal(token, "");
            assert_int_equal(token[len], '#');
            token[0] = '#';
            assert_int_equal(makes[m](key, data, NULL, token, 0), CHANNELS_ERR_LIMIT);
            assert_int_equal(token[0], '#');
        }
    end(&w, key);
}

static void the_promised_size_is_enough(void **state)
{
    static char bytes[1000], token[CHANNELS_TOKEN_SIZE(sizeof bytes)];
    const channels_token_options longest = { INT64_MIN, INT64_MIN };
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t cap = CHANNELS_TOKEN_SIZE(n);
        channels_token_data data = channels_token_bytes(bytes, n);
        assert_true(channels_token_sign(key, data, &longest, token, cap) > 0);
        if (can_encrypt())
            assert_true(channels_token_encrypt(key, data, &longest, token, cap) > 0);
    }
    assert_true(channels_token_sign(key, channels_token_integer(INT64_MIN), &longest, token,
                                    CHANNELS_TOKEN_SIZE(sizeof(int64_t))) > 0);
    end(&w, key);
}

static void data_is_limited(void **state)
{
    static char bytes[1001], token[CHANNELS_TOKEN_SIZE(sizeof bytes)];
    struct world w, narrow;
    channels_token_key *key = key_of(&w), *other;
    channels_token_key_options options = options_of(&narrow);
    (void)state;
    options.max_data = 1000;
    other = key_with("user socket", &options);
    assert_int_equal(channels_token_sign(other, channels_token_bytes(bytes, 1001), NULL, token,
                                         sizeof token),
                     CHANNELS_ERR_LIMIT);
    assert_string_equal(token, "");
    assert_true(channels_token_sign(other, channels_token_bytes(bytes, 1000), NULL, token,
                                    sizeof token) > 0);
    assert_int_equal(verify(other, token, 0), CHANNELS_OK);
    assert_true(channels_token_sign(key, channels_token_bytes(bytes, 1001), NULL, token,
                                    sizeof token) > 0);
    assert_int_equal(verify(other, token, 0), CHANNELS_ERR_LIMIT);
    assert_int_equal(verify(key, token, 0), CHANNELS_OK);
    if (can_encrypt()) {
        channels_token_encrypt(key, channels_token_bytes(bytes, 1001), NULL, token, sizeof token);
        assert_int_equal(decrypt(other, token), CHANNELS_ERR_LIMIT);
    }
    end(&w, key);
    end(&narrow, other);
}

static void the_default_limit_is_64_kilobytes(void **state)
{
    static char bytes[65537], token[CHANNELS_TOKEN_SIZE(sizeof bytes)];
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    assert_int_equal(channels_token_sign(key, channels_token_bytes(bytes, 65537), NULL, token,
                                         sizeof token),
                     CHANNELS_ERR_LIMIT);
    assert_true(channels_token_sign(key, channels_token_bytes(bytes, 65536), NULL, token,
                                    sizeof token) > 0);
    assert_int_equal(verify(key, token, 0), CHANNELS_OK);
    end(&w, key);
}

/* --- Content that no Phoenix.Token makes, signed all the same ------------------------------- */

static void sign_raw(const channels_token_key *key, const void *term, size_t n, char *token)
{
    unsigned char mac[CHANNELS__SHA256];
    size_t len = (size_t)sprintf(token, "SFMyNTY.");
    len += channels__base64url_encode(term, n, token + len);
    assert_true(channels__hmac_sha256(key->bytes, key->len, token, len, mac));
    token[len++] = '.';
    channels__base64url_encode(mac, sizeof mac, token + len);
}

/* Of a term that lacks its first byte. */
static int verify_hex(const char *hex)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    char all[400], token[800];
    size_t n;
    snprintf(all, sizeof all, "83%s", hex);
    unsigned char *term = hex_bytes(all, &n);
    sign_raw(key, term, n, token);
    int err = verify(key, token, 0);
    free(term);
    end(&w, key);
    return err;
}

#define AT "6e06000068e5cf8b01"     /* SIGNED_AT */
#define BEFORE "6e06000063e5cf8b01" /* 1280 ms earlier */

static void any_content_is_survived(void **state)
{
    static const struct {
        const char *hex;
        int want;
    } contents[] = {
        { "6803" "6101" AT "6101", CHANNELS_OK },
        { "6802" "6101" AT, CHANNELS_OK },
        { "69000000036101" AT "6101", CHANNELS_OK }, /* a large tuple */
        { "6803" "6101" BEFORE "6101", CHANNELS_TOKEN_EXPIRED },
        { "6803" "6101" BEFORE "463ff4000000000000", CHANNELS_TOKEN_EXPIRED }, /* 1.25 s */
        { "6803" "6101" BEFORE "463ff8000000000000", CHANNELS_OK },            /* 1.5 s */
        { "6803" "6101" BEFORE "467fe0000000000000", CHANNELS_OK },            /* 10^307 s */
        { "6803" "6101" AT "46bff8000000000000", CHANNELS_TOKEN_EXPIRED },
        { "6803" "6101" AT "460000000000000000", CHANNELS_TOKEN_EXPIRED },
        { "6803" "6101" BEFORE "6e0900000000000000000001", CHANNELS_OK },
        { "6803" "6101" AT "6e0901000000000000000001", CHANNELS_TOKEN_EXPIRED },
        { "6803" "6101" AT "7708696e66696e697479", CHANNELS_OK }, /* infinity */
        { "6803" "6101" AT "77036e696c", CHANNELS_TOKEN_INVALID },
        { "6803" "6101" AT "6a", CHANNELS_TOKEN_INVALID },
        { "6803" "6101" "6a" "6101", CHANNELS_TOKEN_INVALID },
        { "6803" "6101" "6e0900000000000000000001" "6101", CHANNELS_TOKEN_INVALID },
        { "6803" "6101" AT, CHANNELS_TOKEN_INVALID },
        { "6803" "6101" AT "6801", CHANNELS_TOKEN_INVALID }, /* of which there is less */
        { "6801" "6101", CHANNELS_TOKEN_INVALID },
        { "6800", CHANNELS_TOKEN_INVALID },
        { "", CHANNELS_TOKEN_INVALID },
        { "7400000002" "770464617461" "6101" "77067369676e6564" AT, CHANNELS_OK },
        { "7400000003" "77067369676e6564" AT "6801" "6a" "6a" "770464617461" "6101", CHANNELS_OK },
        { "7400000001" "770464617461" "6101", CHANNELS_TOKEN_INVALID },
        { "7400000001" "77067369676e6564" AT, CHANNELS_TOKEN_INVALID },
        { "7400000002" "770464617461" "6101" "77067369676e6564", CHANNELS_TOKEN_INVALID },
        { "7400000002" "6d0000000464617461" "6101" "77067369676e6564" AT, CHANNELS_TOKEN_INVALID },
        { "5000000000", CHANNELS_TOKEN_INVALID },
        { "50", CHANNELS_TOKEN_INVALID },
        { "50ffffffff789c", CHANNELS_ERR_LIMIT },
        { "500000000f789c", CHANNELS_TOKEN_INVALID },
    };
    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        int got = verify_hex(contents[i].hex);
        if (got != contents[i].want)
            fail_msg("%s: %s", contents[i].hex, channels_strerror(got));
    }
}

/* {`n` bytes, now, 86400} compressed, which claims to be so much longer than it is. */
static size_t compressed(size_t n, int longer, unsigned char *packed, size_t cap)
{
    static unsigned char plain[100000], data[99000];
    unsigned char *p = channels__etf_put_tuple(plain, 3);
    uLongf len = cap - 6;
    p = channels__etf_put_bytes(p, channels__str_n((char *)data, n));
    p = channels__etf_put_integer(p, SIGNED_AT);
    p = channels__etf_put_integer(p, 86400);
    size_t size = (size_t)(p - plain);
    assert_int_equal(compress(packed + 6, &len, plain, size), Z_OK);
    size += (size_t)longer;
    const unsigned char head[] = { 131, 80, 0, (unsigned char)(size >> 16),
                                   (unsigned char)(size >> 8), (unsigned char)size };
    memcpy(packed, head, sizeof head);
    return len + sizeof head;
}

static int verify_compressed(size_t n, int longer)
{
    unsigned char packed[1000];
    char token[2000];
    struct world w;
    channels_token_key *key = key_of(&w);
    sign_raw(key, packed, compressed(n, longer, packed, sizeof packed), token);
    int err = verify(key, token, 0);
    end(&w, key);
    return err;
}

static void what_is_compressed_is_limited_too(void **state)
{
    (void)state;
    assert_int_equal(verify_compressed(5000, 0), CHANNELS_OK);
    assert_int_equal(verify_compressed(65536, 0), CHANNELS_OK);
    assert_int_equal(verify_compressed(65537, 0), CHANNELS_ERR_LIMIT);
    assert_int_equal(verify_compressed(99000, 0), CHANNELS_ERR_LIMIT);
    assert_int_equal(verify_compressed(5000, 1), CHANNELS_TOKEN_INVALID);
    assert_int_equal(verify_compressed(5000, -1), CHANNELS_TOKEN_INVALID);
    assert_int_equal(verify_compressed(99000, -98000), CHANNELS_TOKEN_INVALID); /* a bomb */
}

/* --- Memory --------------------------------------------------------------------------------- */

/* Everything once; whether all of it had memory. */
static bool session(struct world *w, const char *packed)
{
    channels_token_key_options options = { .iterations = 1, .user = w, .realloc = world_realloc,
                                           .now_ms = world_now, .log = world_log };
    channels_token_key *key;
    channels_token_data d;
    char token[200];
    int err = channels_token_key_new(&key, SECRET, "user socket", &options);
    if (err != CHANNELS_OK) {
        assert_null(key);
        return false;
    }
    bool all = channels_token_sign(key, channels_token_text("Ada"), NULL, token, sizeof token) > 0;
    all = all && channels_token_verify(key, token, 0, &d) == CHANNELS_OK;
    if (all)
        channels_token_data_free(&d);
    all = all && verify(key, packed, 0) == CHANNELS_OK;
    if (all && can_encrypt())
        all = channels_token_encrypt(key, channels_token_integer(7), NULL, token,
                                     sizeof token) > 0 &&
              decrypt(key, token) == CHANNELS_OK;
    channels_token_key_free(key);
    return all;
}

static void memory_may_run_out_anywhere(void **state)
{
    unsigned char term[1000];
    char packed[2000];
    struct world w;
    channels_token_key *key = key_of(&w);
    (void)state;
    sign_raw(key, term, compressed(3000, 0, term, sizeof term), packed);
    end(&w, key);

    w = (struct world){ .now = SIGNED_AT };
    assert_true(session(&w, packed));
    size_t calls = w.memory.calls;
    for (size_t i = 1; i <= calls; i++)
        for (int on = 0; on < 2; on++) {
            w = (struct world){ .now = SIGNED_AT, .memory.fail_at = i, .memory.fail_on = on != 0 };
            assert_false(session(&w, packed));
            assert_int_equal(w.memory.blocks, 0);
        }
}

/* --- Threads -------------------------------------------------------------------------------- */

/* Gives NULL if all went well; asserting is for the main thread. */
static void *use_key(void *arg)
{
    const channels_token_key *key = arg;
    for (int i = 0; i < 300; i++) {
        channels_token_data d;
        char token[200];
        if (channels_token_sign(key, channels_token_integer(i), NULL, token, sizeof token) < 0 ||
            channels_token_verify(key, token, 60, &d) != CHANNELS_OK || d.integer != i)
            return arg;
        channels_token_data_free(&d);
        if (!can_encrypt())
            continue;
        if (channels_token_encrypt(key, channels_token_integer(i), NULL, token, sizeof token) < 0 ||
            channels_token_decrypt(key, token, 60, &d) != CHANNELS_OK || d.integer != i)
            return arg;
        channels_token_data_free(&d);
    }
    return NULL;
}

static void threads_share_a_key(void **state)
{
    channels_token_key *key;
    pthread_t threads[4];
    (void)state;
    assert_int_equal(channels_token_key_new(&key, SECRET, "user socket", NULL), CHANNELS_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_key, key), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    channels_token_key_free(key);
}

/* --- Mistakes ------------------------------------------------------------------------------- */

static void bad_keys_are_told_of(void **state)
{
    static const struct {
        channels_token_key_options with;
        const char *secret, *said;
    } mistakes[] = {
        { { .digest = (channels_digest)4 }, SECRET, "there is no such digest" },
        { { .iterations = UINT32_MAX }, SECRET, "too many iterations" },
        { { .length = 1025 }, SECRET, "a key has at most 1024 bytes" },
        { { .max_data = ((size_t)256 << 20) + 1 }, SECRET, "max_data is at most 256 MB" },
        { { 0 }, "nineteen characters", "the secret must have at least 20 bytes" },
        { { .secret_len = 19 }, SECRET, "the secret must have at least 20 bytes" },
        { { 0 }, NULL, "there is no secret" },
        { { .secret_len = 64 }, NULL, "there is no secret" },
    };
    struct world w;
    (void)state;
    options_of(&w);
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        channels_token_key_options options = mistakes[i].with;
        channels_token_key *key;
        options.user = &w;
        options.log = world_log;
        assert_int_equal(channels_token_key_new(&key, mistakes[i].secret, "", &options),
                         CHANNELS_ERR_INVALID);
        assert_null(key);
        assert_non_null(strstr(w.said, mistakes[i].said));
        options.log = NULL;
        assert_int_equal(channels_token_key_new(&key, mistakes[i].secret, "", &options),
                         CHANNELS_ERR_INVALID);
    }
}

static void defaults_do(void **state)
{
    channels_token_key *key;
    channels_token_data d;
    char token[CHANNELS_TOKEN_SIZE(8)];
    (void)state;
    assert_int_equal(channels_token_key_new(&key, SECRET, "user socket", NULL), CHANNELS_OK);
    assert_true(channels_token_sign(key, channels_token_integer(7), NULL, token, sizeof token) > 0);
    assert_int_equal(channels_token_verify(key, token, 60, &d), CHANNELS_OK);
    assert_int_equal(d.integer, 7);
    assert_true(d.signed_at_ms > SIGNED_AT);
    channels_token_data_free(&d);
    channels_token_key_free(key);
    channels_token_key_free(NULL);
}

static void bad_data_is_told_of(void **state)
{
    struct world w;
    channels_token_key *key = key_of(&w);
    char token[200] = "#";
    (void)state;
    assert_int_equal(channels_token_sign(key, (channels_token_data){ 0 }, NULL, token,
                                         sizeof token),
                     CHANNELS_ERR_INVALID);
    assert_string_equal(token, "");
    assert_string_equal(w.said, "a token's data is of no kind that there is");
    end(&w, key);
}

static void encrypting_needs_libsodium_and_32_bytes(void **state)
{
    struct world w;
    channels_token_key_options options = options_of(&w);
    char token[200] = "#";
    (void)state;
    options.length = 64;
    channels_token_key *key = key_with("user socket", &options);
    int err = channels_token_encrypt(key, channels_token_integer(1), NULL, token, sizeof token);
    assert_string_equal(token, "");
#ifdef CHANNELS__SODIUM
    assert_int_equal(err, CHANNELS_ERR_INVALID);
    assert_string_equal(w.said, "channels_token_encrypt: the key is not of 32 bytes");
    assert_int_equal(decrypt(key, "XCP.AAAA"), CHANNELS_TOKEN_INVALID);
#else
    assert_int_equal(err, CHANNELS_ERR_UNSUPPORTED);
    assert_int_equal(decrypt(key, "XCP.AAAA"), CHANNELS_ERR_UNSUPPORTED);
#endif
    end(&w, key);
}

static void results_have_words(void **state)
{
    static const int results[] = { CHANNELS_ERR_UNSUPPORTED, CHANNELS_TOKEN_MISSING,
                                   CHANNELS_TOKEN_INVALID, CHANNELS_TOKEN_EXPIRED };
    (void)state;
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
        assert_true(results[i] < 0);
        assert_string_not_equal(channels_strerror(results[i]), "unknown error");
    }
    assert_string_equal(channels_strerror(CHANNELS_ERR_UNSUPPORTED), "not built in");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_token_is_invalid),
        cmocka_unit_test(a_cut_token_is_invalid),
        cmocka_unit_test(a_cut_older_token_is_invalid),
        cmocka_unit_test(no_token_is_missing),
        cmocka_unit_test(each_purpose_has_its_own_tokens),
        cmocka_unit_test(a_token_lives_to_the_millisecond),
        cmocka_unit_test(ages_do_not_overflow),
        cmocka_unit_test(data_comes_back),
        cmocka_unit_test(terms_are_checked),
        cmocka_unit_test(a_buffer_is_filled_to_its_last_byte),
        cmocka_unit_test(the_promised_size_is_enough),
        cmocka_unit_test(data_is_limited),
        cmocka_unit_test(the_default_limit_is_64_kilobytes),
        cmocka_unit_test(any_content_is_survived),
        cmocka_unit_test(what_is_compressed_is_limited_too),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(threads_share_a_key),
        cmocka_unit_test(bad_keys_are_told_of),
        cmocka_unit_test(defaults_do),
        cmocka_unit_test(bad_data_is_told_of),
        cmocka_unit_test(encrypting_needs_libsodium_and_32_bytes),
        cmocka_unit_test(results_have_words),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
