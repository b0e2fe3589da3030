/* deflate.c - messages compressed and not: what a payload stands for is bounded and is what zlib's
 * own functions make of it; any bytes survive the way out and back; any text may be an offer.
 *
 * The first byte bounds what may come out of the others. */
#include "base/str.h"
#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "sim/squeeze.h"
#include "transport/deflate.h"
#include "wire/extension.h"

#define MAX 100000

typedef struct world {
    sim_memory memory;
    channels__mem mem;
    channels_config config;
    channels_stats stats;
    channels__deflate deflate;
} world;

static void forget(world *w, channels__inflated *m)
{
    channels__free(&w->mem, m->bytes, m->size);
}

/* A smaller bound changes nothing but that it is kept. */
static void bounded(world *w, channels__str packed, size_t bound, const channels__inflated *m)
{
    channels__inflated less;
    int err = channels__deflate_unpack(&w->deflate, packed, bound, &less);
    FUZZ_CHECK(less.len <= bound);
    if (packed.n <= bound)
        FUZZ_CHECK((err == CHANNELS_OK) == (m->len <= bound));
    if (err == CHANNELS_OK)
        FUZZ_CHECK(less.len == m->len && memcmp(less.bytes, m->bytes, m->len) == 0);
    forget(w, &less);
}

static void from_a_client(world *w, channels__str packed, size_t bound)
{
    channels__inflated m;
    size_t len;
    int err = channels__deflate_unpack(&w->deflate, packed, MAX, &m);
    FUZZ_CHECK(w->memory.bytes < 50000 + 2 * m.len + 512);
    char *plain = sim_inflate(packed.p, packed.n, 15, &len);
    if (err == CHANNELS_OK && plain != NULL)
        FUZZ_CHECK(len == m.len && memcmp(plain, m.bytes, len) == 0);
    if (err == CHANNELS_ERR_LIMIT && plain != NULL)
        FUZZ_CHECK(len > MAX);
    if (err == CHANNELS_OK)
        bounded(w, packed, bound, &m);
    free(plain);
    forget(w, &m);
}

static void to_a_client(world *w, channels__deflate_use use, channels__str text)
{
    channels__inflated m;
    channels_buf *msg = channels__buf_new(&w->mem, text.n);
    memcpy(channels__buf_bytes(msg), text.p, text.n);
    channels_buf *packed = channels__deflate_pack(&w->deflate, use, msg);
    channels_buf_unref(msg);
    if (packed == NULL)
        return;
    channels__str payload = channels__str_n(channels__buf_bytes(packed), packed->len);
    FUZZ_CHECK(payload.n < text.n);
    FUZZ_CHECK(channels__deflate_unpack(&w->deflate, payload, text.n, &m) == CHANNELS_OK);
    FUZZ_CHECK(m.len == text.n && memcmp(m.bytes, text.p, text.n) == 0);
    forget(w, &m);
    channels_buf_unref(packed);
}

static void offer(channels__str text)
{
    char *value = calloc(text.n + 1, 1);
    bool small = false;
    FUZZ_CHECK(value != NULL);
    memcpy(value, text.p, text.n);
    const channels_header header = { "sec-websocket-extensions", value };
    const channels_request req = { .headers = &header, .nheaders = 1 };
    const char *answer = channels__deflate_answer(&req, &small);
    FUZZ_CHECK(answer != NULL || !small);
    FUZZ_CHECK(answer == NULL || strstr(value, "permessage-deflate") != NULL);
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w = { .config = { .compress_min = 1, .compress_level = 6 } };
    if (size == 0)
        return 0;
    char *bytes = fuzz_copy(data + 1, size - 1);
    channels__str rest = channels__str_n(bytes, size - 1);
    w.mem = (channels__mem){ sim_memory_realloc, &w.memory };
    channels__deflate_init(&w.deflate, &w.mem, &w.config, &w.stats);
    from_a_client(&w, rest, (size_t)data[0] * data[0]);
    to_a_client(&w, CHANNELS__DEFLATE_TO_ANY, rest);
    to_a_client(&w, CHANNELS__DEFLATE_TO_FEW, rest);
    offer(rest);
    channels__deflate_deinit(&w.deflate);
    free(bytes);
    FUZZ_CHECK(w.memory.blocks == 0);
    return 0;
}
