/* test_token_vectors.c - lib/wire/token.c against the tokens of a real Phoenix, those in
 * test/conformance/token_vectors.json: made and read, signed and encrypted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/aead.h"
#include "base/crypto.h"
#include "channels/token.h"
#include "unit/hex.h"
#include "wire/token_key.h"

#define VECTORS "test/conformance/token_vectors.json"

static cJSON *vectors;
static int64_t now; /* of every key here */

static int64_t clock_now(void *user)
{
    (void)user;
    return now;
}

static int load(void **state)
{
    FILE *f = fopen(VECTORS, "rb");
    static char text[1 << 20];
    (void)state;
    if (f == NULL) {
        perror(VECTORS);
        return -1;
    }
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    vectors = cJSON_ParseWithLength(text, n);
    return vectors != NULL ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    cJSON_Delete(vectors);
    return 0;
}

static cJSON *in(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_in(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(in(object, key));
    assert_non_null(text);
    return text;
}

static uint32_t number_in(const cJSON *object, const char *key)
{
    const cJSON *item = in(object, key);
    return item != NULL ? (uint32_t)item->valuedouble : 0;
}

static channels_digest digest_in(const cJSON *options)
{
    static const char *const names[] = { "sha256", "sha384", "sha512", "sha" };
    const cJSON *name = in(options, "key_digest");
    for (size_t i = 0; name != NULL && i < 4; i++)
        if (strcmp(name->valuestring, names[i]) == 0)
            return (channels_digest)i;
    assert_null(name);
    return CHANNELS_SHA256;
}

/* The key of a vector, or of its defaults. NULL if Phoenix.Token would not take its secret. */
static channels_token_key *key_of(const cJSON *vector)
{
    const cJSON *defaults = in(vectors, "default"), *options = in(vector, "options");
    channels_token_key_options o = { .digest = digest_in(options),
                                     .iterations = number_in(options, "key_iterations"),
                                     .length = number_in(options, "key_length"),
                                     .now_ms = clock_now };
    channels_token_key *key;
    if (in(vector, "secret_key_base_hex") == NULL) {
        assert_int_equal(channels_token_key_new(&key, text_in(defaults, "secret_key_base"),
                                                text_in(vector, "salt"), &o),
                         CHANNELS_OK);
        return key;
    }
    unsigned char *secret = hex_bytes(text_in(vector, "secret_key_base_hex"), &o.secret_len);
    unsigned char *salt = hex_bytes(text_in(vector, "salt_hex"), &o.salt_len);
    int err = channels_token_key_new(&key, (char *)secret, o.salt_len != 0 ? (char *)salt : "", &o);
    assert_int_equal(err, o.secret_len >= 20 ? CHANNELS_OK : CHANNELS_ERR_INVALID);
    free(secret);
    free(salt);
    return key;
}

static void assert_derived(const channels_token_key *key, const cJSON *vector)
{
    size_t n;
    unsigned char *want = hex_bytes(text_in(vector, "derived_key_hex"), &n);
    assert_int_equal(key->len, n);
    assert_memory_equal(key->bytes, want, n);
    free(want);
}

/* --- Terms as the vectors describe them ----------------------------------------------------- */

static cJSON *json_of(const cJSON *described);

static cJSON *json_of_all(const cJSON *items)
{
    cJSON *array = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, items) cJSON_AddItemToArray(array, json_of(item));
    return array;
}

static cJSON *json_of_map(const cJSON *pairs)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *pair;
    cJSON_ArrayForEach(pair, pairs)
    {
        const cJSON *key = cJSON_GetArrayItem(pair, 0)->child;
        cJSON_AddItemToObject(object, key->valuestring, json_of(cJSON_GetArrayItem(pair, 1)));
    }
    return object;
}

static cJSON *json_of_atom(const char *name)
{
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
        return cJSON_CreateBool(*name == 't');
    return strcmp(name, "nil") == 0 ? cJSON_CreateNull() : cJSON_CreateString(name);
}

static cJSON *json_of_bytes(const char *hex)
{
    size_t n;
    unsigned char *bytes = hex_bytes(hex, &n);
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(bytes[i]));
    free(bytes);
    return array;
}

/* What <channels/token.h> promises for a term. */
static cJSON *json_of(const cJSON *described)
{
    const cJSON *is = described->child;
    if (strcmp(is->string, "integer") == 0)
        return cJSON_CreateNumber(strtod(is->valuestring, NULL));
    if (strcmp(is->string, "float") == 0)
        return cJSON_CreateNumber(is->valuedouble);
    if (strcmp(is->string, "binary") == 0)
        return cJSON_CreateString(is->valuestring);
    if (strcmp(is->string, "binary_hex") == 0)
        return json_of_bytes(is->valuestring);
    if (strcmp(is->string, "atom") == 0)
        return json_of_atom(is->valuestring);
    if (strcmp(is->string, "map") == 0)
        return json_of_map(is);
    if (strcmp(is->string, "any") == 0)
        return cJSON_CreateNull();
    return json_of_all(is);
}

static bool small(const char *decimal)
{
    return strlen(decimal) < 19;
}

static void assert_is(const channels_token_data *d, const cJSON *described)
{
    const cJSON *integer = in(described, "integer"), *binary = in(described, "binary");
    cJSON *json = cJSON_Parse(d->json), *want = json_of(described);
    assert_true(cJSON_Compare(json, want, true));
    cJSON_Delete(json);
    cJSON_Delete(want);
    if (integer != NULL) {
        assert_string_equal(d->json, integer->valuestring);
        assert_int_equal(d->kind, small(integer->valuestring) ? CHANNELS_TOKEN_INTEGER
                                                              : CHANNELS_TOKEN_TERM);
        if (d->kind == CHANNELS_TOKEN_INTEGER)
            assert_true(d->integer == strtoll(integer->valuestring, NULL, 10));
    } else if (binary != NULL) {
        assert_int_equal(d->kind, CHANNELS_TOKEN_BYTES);
        assert_string_equal(d->data, binary->valuestring);
    } else {
        assert_int_equal(d->kind, in(described, "binary_hex") != NULL ? CHANNELS_TOKEN_BYTES
                                                                      : CHANNELS_TOKEN_TERM);
    }
}

/* To sign: an integer or bytes where it is one, else the term. The latter is to be freed. */
static channels_token_data data_of(const cJSON *vector, unsigned char **term)
{
    const cJSON *data = in(vector, "data"), *integer = in(data, "integer");
    const cJSON *binary = in(data, "binary"), *hex = in(data, "binary_hex");
    size_t n;
    *term = hex_bytes(text_in(vector, "data_term_hex"), &n);
    if (integer != NULL && small(integer->valuestring))
        return channels_token_integer(strtoll(integer->valuestring, NULL, 10));
    if (binary != NULL)
        return channels_token_text(binary->valuestring);
    if (hex == NULL)
        return channels_token_term(*term, n);
    return channels_token_bytes(*term + 6, n - 6); /* 131, the tag and the length come first */
}

/* --- The tests ------------------------------------------------------------------------------ */

static int64_t max_age_in(const cJSON *options)
{
    const cJSON *max_age = in(options, "max_age");
    if (max_age == NULL)
        return 0;
    if (cJSON_IsString(max_age))
        return CHANNELS_TOKEN_FOREVER;
    return max_age->valuedouble > 0 ? (int64_t)max_age->valuedouble : -1;
}

static void signed_alike(const cJSON *vector, const channels_token_key *key)
{
    static char token[4096];
    unsigned char *term;
    channels_token_data data = data_of(vector, &term);
    channels_token_options options = { .max_age_s = max_age_in(in(vector, "options")) };
    const char *want = text_in(vector, "token");
    assert_int_equal(channels_token_sign(key, data, &options, token, sizeof token), strlen(want));
    assert_string_equal(token, want);
    free(term);
}

static void verified_alike(const cJSON *vector, const channels_token_key *key)
{
    channels_token_data d;
    now += 1000;
    assert_int_equal(channels_token_verify(key, text_in(vector, "token"), 0, &d), CHANNELS_OK);
    assert_is(&d, in(vector, "data"));
    assert_true(d.signed_at_ms == (int64_t)in(vector, "signed_at_ms")->valuedouble);
    channels_token_data_free(&d);
}

/* Compressing is the one thing that is only read. */
static bool is_compressed(const cJSON *vector)
{
    return strncmp(text_in(vector, "term_hex"), "8350", 4) == 0;
}

static void tokens_are_signed_and_verified(void **state)
{
    const cJSON *vector;
    int n = 0;
    (void)state;
    cJSON_ArrayForEach(vector, in(vectors, "sign"))
    {
        channels_token_key *key = key_of(vector);
        now = (int64_t)in(vector, "signed_at_ms")->valuedouble;
        if (key != NULL) {
            assert_derived(key, vector);
            if (!is_compressed(vector))
                signed_alike(vector, key);
            verified_alike(vector, key);
            channels_token_key_free(key);
        }
        n++;
    }
    assert_int_equal(n, 54);
}

/* What Phoenix.Token itself would refuse, but its parts do not. */
static void a_short_secret(void **state)
{
    const cJSON *vector;
    int n = 0;
    (void)state;
    cJSON_ArrayForEach(vector, in(vectors, "sign"))
    {
        unsigned char derived[32];
        if (strcmp(text_in(vector, "name"), "key_base_short") != 0)
            continue;
        assert_true(channels__pbkdf2(CHANNELS_SHA256, 1000, channels__str_z("short"),
                                     channels__str_z("s"), derived, sizeof derived));
        size_t len;
        unsigned char *want = hex_bytes(text_in(vector, "derived_key_hex"), &len);
        assert_memory_equal(derived, want, len);
        free(want);
        n++;
    }
    assert_int_equal(n, 1);
}

/* The nonce of an encrypted token is random: the same box from the same nonce. */
static void sealed_alike(const cJSON *vector, const channels_token_key *key)
{
    size_t n, want_n;
    unsigned char *nonce = hex_bytes(text_in(vector, "nonce_hex"), &n);
    unsigned char *term = hex_bytes(text_in(vector, "plain_term_hex"), &n), tag[16];
    unsigned char *box = hex_bytes(text_in(vector, "ciphertext_hex"), &want_n);
    unsigned char *want_tag = hex_bytes(text_in(vector, "tag_hex"), &want_n);
    channels__aead_seal(key->bytes, nonce, channels__str_z("A128GCM"),
                        channels__str_n((char *)term, n), term, tag);
    assert_memory_equal(term, box, n);
    assert_memory_equal(tag, want_tag, sizeof tag);
    free(nonce), free(term), free(box), free(want_tag);
}

static void decrypted_alike(const cJSON *vector, const channels_token_key *key)
{
    channels_token_data d;
    char token[4096];
    assert_int_equal(channels_token_decrypt(key, text_in(vector, "token"), 0, &d), CHANNELS_OK);
    assert_is(&d, in(vector, "data"));
    assert_int_equal(channels_token_encrypt(key, d, NULL, token, sizeof token),
                     strlen(text_in(vector, "token")));
    channels_token_data_free(&d);
    assert_int_equal(channels_token_decrypt(key, token, 0, &d), CHANNELS_OK);
    assert_is(&d, in(vector, "data"));
    channels_token_data_free(&d);
}

static void tokens_are_encrypted_and_decrypted(void **state)
{
    const cJSON *vector;
    int n = 0;
    (void)state;
    cJSON_ArrayForEach(vector, in(vectors, "encrypt"))
    {
        channels_token_key *key = key_of(vector);
        channels_token_data d;
        now = 1700000000000;
        assert_derived(key, vector);
        if (channels__aead_available() == CHANNELS_OK) {
            sealed_alike(vector, key);
            decrypted_alike(vector, key);
        } else {
            assert_int_equal(channels_token_decrypt(key, text_in(vector, "token"), 0, &d),
                             CHANNELS_ERR_UNSUPPORTED);
        }
        channels_token_key_free(key);
        n++;
    }
    assert_int_equal(n, 11);
}

/* Where Phoenix raises, the token is refused. */
static int wanted(const cJSON *result)
{
    const cJSON *error = in(result, "error");
    if (in(result, "ok") != NULL)
        return CHANNELS_OK;
    if (error == NULL)
        return CHANNELS_TOKEN_INVALID;
    return strcmp(error->valuestring, "missing") == 0   ? CHANNELS_TOKEN_MISSING
           : strcmp(error->valuestring, "expired") == 0 ? CHANNELS_TOKEN_EXPIRED
                                                        : CHANNELS_TOKEN_INVALID;
}

static int results_alike(const char *list,
                         int (*read)(const channels_token_key *key, const char *token,
                                     int64_t max_age_s, channels_token_data *d))
{
    const cJSON *vector;
    int n = 0;
    now = (int64_t)in(in(vectors, "recorded_with"), "verified_at_unix")->valuedouble * 1000;
    cJSON_ArrayForEach(vector, in(vectors, list))
    {
        const char *token = cJSON_GetStringValue(in(vector, "token"));
        const cJSON *result = in(vector, "result");
        channels_token_key *key = key_of(vector);
        channels_token_data d;
        int got = read(key, token, max_age_in(in(vector, "options")), &d);
        bool lacking = strcmp(list, "decrypt") == 0 && token != NULL &&
                       strncmp(token, "XCP.", 4) == 0 &&
                       channels__aead_available() != CHANNELS_OK;
        if (got != (lacking ? CHANNELS_ERR_UNSUPPORTED : wanted(result)))
            fail_msg("%s %s: %s", list, text_in(vector, "name"), channels_strerror(got));
        if (got == CHANNELS_OK)
            assert_is(&d, in(result, "ok"));
        else
            assert_true(d.kind == 0 && d.data == NULL && d.json == NULL && d.memory == NULL);
        channels_token_data_free(&d);
        channels_token_key_free(key);
        n++;
    }
    return n;
}

static void signed_tokens_are_judged_alike(void **state)
{
    (void)state;
    assert_int_equal(results_alike("verify", channels_token_verify), 41);
}

static void encrypted_tokens_are_judged_alike(void **state)
{
    (void)state;
    assert_int_equal(results_alike("decrypt", channels_token_decrypt), 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_signed_and_verified),
        cmocka_unit_test(a_short_secret),
        cmocka_unit_test(tokens_are_encrypted_and_decrypted),
        cmocka_unit_test(signed_tokens_are_judged_alike),
        cmocka_unit_test(encrypted_tokens_are_judged_alike),
    };
    return cmocka_run_group_tests_name("token vectors", tests, load, unload);
}
