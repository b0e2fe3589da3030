/* token.c - tokens: texts that nobody signed, and terms that are genuine but may hold anything.
 * What was read is sound, can be said in JSON or not at all, and signed again it is the same. The
 * first byte chooses: a token's text, or the term inside one. */
#include "channels/token.h"
#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "wire/etf_json.h"
#include "wire/json.h"
#include "wire/token_term.h"

static int64_t on_now(void *user)
{
    (void)user;
    return 1700000000000;
}

/* With memory that counts. */
static channels_token_key *make_key(sim_memory *memory)
{
    channels_token_key_options options = { .iterations = 1,
                                           .user = memory,
                                           .realloc = (void *(*)(void *, void *, size_t,
                                                                 size_t))sim_memory_realloc,
                                           .now_ms = on_now };
    channels_token_key *key;
    FUZZ_CHECK(channels_token_key_new(&key, "twenty bytes or more", "salt", &options) ==
               CHANNELS_OK);
    return key;
}

static void sign_again(const channels_token_key *key, const channels_token_data *d)
{
    channels_token_data same;
    size_t size = CHANNELS_TOKEN_SIZE(d->len);
    char *token = malloc(size);
    FUZZ_CHECK(token != NULL);
    FUZZ_CHECK(channels_token_sign(key, *d, NULL, token, size) > 0);
    FUZZ_CHECK(channels_token_verify(key, token, 0, &same) == CHANNELS_OK);
    FUZZ_CHECK(same.kind == d->kind && same.integer == d->integer && same.len == d->len);
    FUZZ_CHECK(d->len == 0 || memcmp(same.data, d->data, d->len) == 0);
    channels_token_data_free(&same);
    free(token);
}

static void check_data(const channels_token_key *key, int err, channels_token_data *d)
{
    FUZZ_CHECK(err == CHANNELS_OK || err == CHANNELS_TOKEN_INVALID ||
               err == CHANNELS_TOKEN_EXPIRED || err == CHANNELS_ERR_LIMIT ||
               err == CHANNELS_ERR_UNSUPPORTED);
    if (err == CHANNELS_OK) {
        FUZZ_CHECK(d->data != NULL && d->data[d->len] == '\0');
        FUZZ_CHECK(d->json == NULL || channels__json_check(channels__str_z(d->json), 1000, false));
        sign_again(key, d);
    }
    channels_token_data_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sim_memory memory = { 0 };
    channels_token_key *key = make_key(&memory);
    channels_token_data d = { 0 };
    char *rest = calloc(size, 1);
    FUZZ_CHECK(rest != NULL);
    memcpy(rest, data + 1, size - 1);
    if (data[0] & 1) {
        check_data(key, channels_token_verify(key, rest, 0, &d), &d);
        check_data(key, channels_token_decrypt(key, rest, 0, &d), &d);
    } else {
        char *exact = fuzz_copy(rest, size - 1);
        check_data(key, channels__token_read(key, channels__str_n(exact, size - 1), 0, &d), &d);
        free(exact);
    }
    channels_token_key_free(key);
    free(rest);
    FUZZ_CHECK(memory.blocks == 0);
    return 0;
}
