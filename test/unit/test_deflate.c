/* test_deflate.c - lib/transport/deflate.c against zlib's own functions: what is compressed can be
 * read, what is read was compressed, at most so much of it, and memory that fails. */
#include "transport/deflate.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "sim/squeeze.h"
#include "unit/faulty.h"

#define LARGE 300000
#define MAX 1000000 /* of a message */
#define packed_of(bytes) channels__str_n(bytes, sizeof(bytes) - 1)

static faulty memory;
static channels_stats stats;
static channels_config config;
static channels__deflate under_test;

static int begin(void **state)
{
    (void)state;
    faulty_init(&memory);
    memset(&stats, 0, sizeof stats);
    config = (channels_config){ .compress_min = 1, .compress_level = 6 };
    channels__deflate_init(&under_test, &memory.mem, &config, &stats);
    return 0;
}

static int end(void **state)
{
    (void)state;
    channels__deflate_deinit(&under_test);
    return memory.memory.blocks == 0 ? 0 : -1;
}

/* Text as it is in messages: `variety` of 1 for the same again and again, 0 for no order at all. */
static void fill(char *text, size_t len, unsigned variety)
{
    static const char words[] = "{\"user\":\"name\",\"body\":\"hello there\",\"at\":1700000000},";
    uint32_t seed = variety;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        bool odd = variety == 0 || (variety != 1 && (seed >> 16) % variety == 0);
        text[i] = odd ? (char)(seed >> 24) : words[i % (sizeof words - 1)];
    }
}

static channels_buf *pack(channels__deflate_use use, const char *text, size_t len)
{
    channels_buf *msg = channels__buf_new(&memory.mem, len);
    if (msg == NULL)
        return NULL;
    memcpy(channels__buf_bytes(msg), text, len);
    channels_buf *packed = channels__deflate_pack(&under_test, use, msg);
    assert_memory_equal(channels__buf_bytes(msg), text, len);
    channels_buf_unref(msg);
    return packed;
}

/* --- To clients --------------------------------------------------------------------------- */

static void reads(channels_buf *packed, int bits, const char *text, size_t len)
{
    size_t plain_len;
    char *plain = sim_inflate(channels__buf_bytes(packed), packed->len, bits, &plain_len);
    assert_non_null(plain);
    assert_int_equal(plain_len, len);
    assert_memory_equal(plain, text, len);
    free(plain);
}

static void what_is_compressed_is_read(void **state)
{
    static const size_t lengths[] = { 60, 255, 256, 511, 512, 513, 5000, 32768, 65536, LARGE };
    static char text[LARGE];
    (void)state;
    for (unsigned variety = 1; variety < 200; variety += 66)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            fill(text, lengths[i], variety);
            channels_buf *any = pack(CHANNELS__DEFLATE_TO_ANY, text, lengths[i]);
            channels_buf *few = pack(CHANNELS__DEFLATE_TO_FEW, text, lengths[i]);
            assert_true(any != NULL || lengths[i] == 60);
            if (any != NULL) {
                assert_true(any->len < lengths[i]);
                assert_int_equal(any->size, CHANNELS__HEADROOM + any->len);
                reads(any, 15, text, lengths[i]);
            }
            if (few != NULL)
                reads(few, 9, text, lengths[i]);
            channels_buf_unref(any);
            channels_buf_unref(few);
        }
}

/* Of text that repeats itself only from farther away than a window of 512 bytes reaches. */
static void windows(void **state)
{
    static char text[4000];
    size_t len;
    (void)state;
    fill(text, 1000, 0);
    memcpy(text + 1000, text, 1000);
    memset(text + 2000, 'x', 2000);
    channels_buf *any = pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text);
    channels_buf *few = pack(CHANNELS__DEFLATE_TO_FEW, text, sizeof text);
    assert_null(sim_inflate(channels__buf_bytes(any), any->len, 9, &len));
    reads(any, 15, text, sizeof text);
    reads(few, 9, text, sizeof text);
    assert_true(few->len > any->len + 900);
    channels_buf_unref(any);
    channels_buf_unref(few);
}

static void as_they_are(void **state)
{
    static char text[1000];
    (void)state;
    fill(text, sizeof text, 0);
    assert_null(pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text)); /* it would become larger */
    assert_int_equal(stats.deflate_before, 1000);
    assert_int_equal(stats.deflate_after, 1000);
    fill(text, sizeof text, 1);
    config.compress_min = 300;
    assert_null(pack(CHANNELS__DEFLATE_TO_ANY, text, 299));
    assert_int_equal(stats.deflate_before, 1000);
    channels_buf *packed = pack(CHANNELS__DEFLATE_TO_ANY, text, 300);
    assert_int_equal(stats.deflate_before, 1300);
    assert_int_equal(stats.deflate_after, 1000 + packed->len);
    channels_buf_unref(packed);
}

/* Nothing of one message is needed for another. */
static void by_themselves(void **state)
{
    static char text[700];
    (void)state;
    fill(text, sizeof text, 99);
    channels_buf *one = pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text);
    channels_buf *two = pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text);
    assert_int_equal(one->len, two->len);
    assert_memory_equal(channels__buf_bytes(one), channels__buf_bytes(two), one->len);
    channels_buf_unref(one);
    channels_buf_unref(two);
}

/* The level is the host's choice. */
static void levels(void **state)
{
    static char text[20000];
    size_t len[10];
    (void)state;
    fill(text, sizeof text, 9);
    for (int level = 1; level <= 9; level += 8) {
        channels__deflate_deinit(&under_test);
        config.compress_level = level;
        channels__deflate_init(&under_test, &memory.mem, &config, &stats);
        channels_buf *packed = pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text);
        len[level] = packed->len;
        channels_buf_unref(packed);
    }
    assert_true(len[9] < len[1]);
}

/* --- From clients ------------------------------------------------------------------------- */

static int unpack(channels__str packed, size_t max, channels__inflated *m)
{
    int err = channels__deflate_unpack(&under_test, packed, max, m);
    if (err != CHANNELS_OK) {
        assert_null(m->bytes);
        assert_int_equal(m->size, 0);
    }
    return err;
}

static void stands_for(channels__str packed, const char *text, size_t len)
{
    channels__inflated m;
    assert_int_equal(unpack(packed, MAX, &m), CHANNELS_OK);
    assert_int_equal(m.len, len);
    assert_memory_equal(m.bytes, text, len);
    assert_true(m.size <= 2 * len + 512);
    channels__free(&memory.mem, m.bytes, m.size);
}

static void stands_for_nothing(channels__str packed)
{
    channels__inflated m;
    assert_int_equal(unpack(packed, MAX, &m), CHANNELS_ERR_PROTOCOL);
}

static void what_was_compressed_is_read(void **state)
{
    static const size_t lengths[] = { 0, 1, 511, 512, 513, 1024, 32768, 65536, LARGE };
    static char text[LARGE];
    (void)state;
    for (int bits = 9; bits <= 15; bits += 3)
        for (unsigned variety = 0; variety < 200; variety += 66)
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                size_t len;
                fill(text, lengths[i], variety);
                char *packed = sim_deflate(text, lengths[i], bits, &len);
                stands_for(channels__str_n(packed, len), text, lengths[i]);
                free(packed);
            }
}

/* RFC 7692, 7.2.3: the forms it shows, and those they lead to. */
static void forms(void **state)
{
    (void)state;
    stands_for(packed_of("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello", 5);
    stands_for(packed_of("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello", 5);
    stands_for(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello", 5); /* BFINAL */
    stands_for(packed_of("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello", 5);
    stands_for(packed_of("\x00"), "", 0);
    stands_for(packed_of("\x02\x00"), "", 0);
    stands_for(packed_of("\x03\x00\x00"), "", 0);
    /* After a final block: nothing, nothing of another, another. */
    stands_for(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00"), "Hello", 5);
    stands_for(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00\x03\x00"), "Hello", 5);
    stands_for(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
               "HelloHello", 10);
    /* The tail was not left out. */
    stands_for(packed_of("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00"), "Hello", 5);
}

static void no_forms(void **state)
{
    (void)state;
    stands_for_nothing(packed_of(""));                                 /* not even a block */
    stands_for_nothing(packed_of("\x07"));                             /* no such kind of block */
    stands_for_nothing(packed_of("\x00\x05\x00\xfa\xfe Hello"));       /* a wrong length */
    stands_for_nothing(packed_of("\x00\x05\x00\xfa\xff"));             /* cut */
    stands_for_nothing(packed_of("\x00\x64\x00\x9b\xff Hello"));       /* cut */
    stands_for_nothing(packed_of("\xf2\x48\xcd\xc9"));                 /* cut */
    stands_for_nothing(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00\x07")); /* rubbish behind the end */
    stands_for_nothing(packed_of("\xf3\x48\xcd\xc9\xc9\x07\x00garbage"));
    stands_for_nothing(packed_of("\x02\x41\x00")); /* a distance to before the beginning */
}

/* What one message has left behind is out of reach of the next: of other clients' above all. */
static void nothing_is_taken_over(void **state)
{
    static unsigned char packed[500];
    static char secret[400];
    z_stream z = { 0 };
    size_t len;
    (void)state;
    fill(secret, sizeof secret, 0);
    char *first = sim_deflate(secret, sizeof secret, 15, &len);
    stands_for(channels__str_n(first, len), secret, sizeof secret);
    free(first);
    deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    deflateSetDictionary(&z, (unsigned char *)secret, sizeof secret);
    z.next_in = (unsigned char *)secret;
    z.avail_in = sizeof secret;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    deflate(&z, Z_SYNC_FLUSH);
    len = sizeof packed - z.avail_out - 4;
    deflateEnd(&z);
    assert_true(len < 20); /* "the same as before" */
    stands_for_nothing(channels__str_n((char *)packed, len));
    stands_for(packed_of("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello", 5);
}

/* Every beginning of a message is refused, or stands for a beginning of its text. */
static void cut_anywhere(void **state)
{
    static char text[3000];
    size_t len, refused = 0;
    (void)state;
    fill(text, sizeof text, 40);
    char *packed = sim_deflate(text, sizeof text, 15, &len);
    for (size_t n = 0; n < len; n++) {
        channels__inflated m;
        int err = unpack(channels__str_n(packed, n), MAX, &m);
        refused += err == CHANNELS_ERR_PROTOCOL;
        if (err == CHANNELS_OK)
            assert_memory_equal(m.bytes, text, m.len < 2990 ? m.len : 2990);
        channels__free(&memory.mem, m.bytes, m.size);
    }
    assert_true(refused > len * 9 / 10);
    stands_for(channels__str_n(packed, len), text, sizeof text);
    free(packed);
}

/* A byte of it is another: it may stand for something else, never for more than it may. */
static void damaged(void **state)
{
    static char text[2000];
    size_t len, refused = 0;
    (void)state;
    fill(text, sizeof text, 40);
    char *packed = sim_deflate(text, sizeof text, 15, &len);
    for (size_t i = 0; i < len; i++) {
        channels__inflated m;
        packed[i] ^= 0x55;
        int err = unpack(channels__str_n(packed, len), 4000, &m);
        refused += err != CHANNELS_OK;
        assert_true(m.len <= 4000);
        channels__free(&memory.mem, m.bytes, m.size);
        packed[i] ^= 0x55;
    }
    assert_true(refused > 20);
    stands_for(channels__str_n(packed, len), text, sizeof text);
    free(packed);
}

/* --- Too much ----------------------------------------------------------------------------- */

static void just_so(void **state)
{
    static char text[5000];
    static const size_t lengths[] = { 1, 511, 512, 513, 1023, 1024, 1025, 5000 };
    (void)state;
    fill(text, sizeof text, 1);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        channels__inflated m;
        size_t len, n = lengths[i];
        char *packed = sim_deflate(text, n, 15, &len);
        if (len <= n) {
            assert_int_equal(unpack(channels__str_n(packed, len), n, &m), CHANNELS_OK);
            assert_int_equal(m.len, n);
            channels__free(&memory.mem, m.bytes, m.size);
        }
        assert_int_equal(unpack(channels__str_n(packed, len), n - 1, &m), CHANNELS_ERR_LIMIT);
        free(packed);
    }
}

/* A thousandth of what it stands for: it is looked at up to the limit and no farther. */
static void bomb(void **state)
{
    const size_t size = 100u << 20;
    channels__inflated m;
    size_t len;
    (void)state;
    char *zeros = calloc(1, size), *packed = sim_deflate(zeros, size, 15, &len);
    free(zeros);
    assert_true(len < 110000);
    stands_for(packed_of("\x00"), "", 0);
    size_t before = memory.memory.bytes;
    memory.memory.calls = 0;
    for (size_t max = 200000; max < 900000; max *= 2) {
        stats.inflate_after = 0;
        assert_int_equal(unpack(channels__str_n(packed, len), max, &m), CHANNELS_ERR_LIMIT);
        assert_int_equal(stats.inflate_after, max + 1);
    }
    assert_int_equal(unpack(channels__str_n(packed, len), len - 1, &m), CHANNELS_ERR_LIMIT);
    assert_true(memory.memory.bytes - before < 50000); /* zlib's window */
    assert_true(memory.memory.calls < 3 * 14);
    free(packed);
}

/* Many streams in one message: each costs a byte or two of it. */
static void streams(void **state)
{
    static char packed[20000];
    channels__inflated m;
    (void)state;
    for (size_t i = 0; i < sizeof packed; i += 2)
        memcpy(packed + i, "\x03\x00", 2);
    assert_int_equal(unpack(channels__str_n(packed, sizeof packed), MAX, &m), CHANNELS_OK);
    assert_int_equal(m.len, 0);
    channels__free(&memory.mem, m.bytes, m.size);
}

/* --- Memory ------------------------------------------------------------------------------- */

static void made_when_needed(void **state)
{
    static char text[500];
    (void)state;
    fill(text, sizeof text, 1);
    assert_int_equal(memory.memory.blocks, 0);
    channels_buf_unref(pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text));
    size_t bytes = memory.memory.bytes, blocks = memory.memory.blocks;
    assert_true(bytes > 0 && bytes < 200000);
    for (int i = 0; i < 100; i++)
        channels_buf_unref(pack(CHANNELS__DEFLATE_TO_ANY, text, sizeof text));
    assert_int_equal(memory.memory.bytes, bytes);
    assert_int_equal(memory.memory.blocks, blocks);
    stands_for(packed_of("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello", 5);
    assert_true(memory.memory.bytes - bytes < 50000);
}

/* Both ways; what cannot be compressed for want of memory goes as it is. */
static bool both_ways(faulty *f)
{
    static char text[4000];
    channels__inflated m = { 0 };
    fill(text, sizeof text, 1);
    channels__mem mem = f->mem;
    channels__deflate d;
    channels__deflate_init(&d, &mem, &config, &stats);
    channels_buf *msg = channels__buf_new(&mem, sizeof text), *packed = NULL;
    int err = CHANNELS_ERR_NOMEM;
    if (msg != NULL) {
        memcpy(channels__buf_bytes(msg), text, sizeof text);
        packed = channels__deflate_pack(&d, CHANNELS__DEFLATE_TO_ANY, msg);
    }
    if (packed != NULL)
        err =
            channels__deflate_unpack(&d, channels__str_n(channels__buf_bytes(packed), packed->len),
                                     MAX, &m);
    assert_true(err == CHANNELS_OK || err == CHANNELS_ERR_NOMEM);
    if (err == CHANNELS_OK)
        assert_memory_equal(m.bytes, text, sizeof text);
    bool all = err == CHANNELS_OK && packed->size == packed->len + CHANNELS__HEADROOM;
    channels__free(&mem, m.bytes, m.size);
    channels_buf_unref(packed);
    channels_buf_unref(msg);
    channels__deflate_deinit(&d);
    return all;
}

static void memory_fails(void **state)
{
    (void)state;
    faulty_run(both_ways);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_compressed_is_read),
        TEST(windows),
        TEST(as_they_are),
        TEST(by_themselves),
        TEST(levels),
        TEST(what_was_compressed_is_read),
        TEST(forms),
        TEST(no_forms),
        TEST(nothing_is_taken_over),
        TEST(cut_anywhere),
        TEST(damaged),
        TEST(just_so),
        TEST(bomb),
        TEST(streams),
        TEST(made_when_needed),
        TEST(memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
