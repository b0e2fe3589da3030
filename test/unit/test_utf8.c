/* test_utf8.c - lib/wire/utf8.c, against a decoder that works out the code point. */
#include <string.h>

#include "unit/faulty.h"
#include "wire/utf8.h"

/* How long the character at p is, 0 if it is none. */
static size_t char_len(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    if (len < 2 || len > n)
        return len > n ? 0 : len;
    uint32_t c = p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    return c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : len;
}

static bool expected(const unsigned char *p, size_t n)
{
    while (n > 0) {
        size_t len = char_len(p, n);
        if (len == 0)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

static bool byte_by_byte(const unsigned char *p, size_t n)
{
    channels__utf8 state = 0;
    for (size_t i = 0; i < n; i++) {
        if (!channels__utf8_feed(&state, p + i, 1))
            return false;
    }
    return state == 0;
}

static void check(const unsigned char *p, size_t n)
{
    bool want = expected(p, n);
    if (channels__utf8_valid(p, n) != want || byte_by_byte(p, n) != want)
        fail_msg("%02x %02x %02x %02x (%zu bytes)", p[0], p[1], p[2], p[3], n);
}

static void all_short_sequences(void **state)
{
    static const unsigned char some[] = { 0x00, 'a',  0x7F, 0x80, 0x8F, 0x90,
                                          0x9F, 0xA0, 0xBF, 0xC0, 0xFF };
    unsigned char p[8] = { 0 };
    (void)state;
    for (unsigned two = 0; two < 0x10000; two++) {
        p[0] = (unsigned char)(two >> 8);
        p[1] = (unsigned char)two;
        check(p, 1);
        check(p, 2);
        for (size_t i = 0; p[0] >= 0xE0 && i < sizeof some * sizeof some; i++) {
            p[2] = some[i / sizeof some];
            p[3] = some[i % sizeof some];
            check(p, 3);
            check(p, 4);
        }
    }
}

/* With plain text around it, at every distance from the words that are looked at. */
static void in_longer_text(void **state)
{
    static const char *const pieces[] = { "\xC5\xBC",
                                          "\xE6\x97\xA5",
                                          "\xF0\x9F\x98\x80",
                                          "\xED\xA0\x80",
                                          "\xC0\x80",
                                          "\x80",
                                          "\xC5",
                                          "\xE6\x97",
                                          "\xFF",
                                          "\xE6\x97\xA5\xC5\xBC\xF0\x9F\x98\x80\xE0\xA0\x80" };
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                unsigned char text[64];
                size_t n = strlen(pieces[i]);
                memset(text, 'a', sizeof text);
                memcpy(text + before, pieces[i], n);
                check(text, before + n + after);
            }
        }
    }
}

static void cut_anywhere(void **state)
{
    static const char text[] = "za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87 \xE6\x97\xA5\xE6\x9C\xAC "
                               "\xF0\x9F\x98\x80 plain text";
    size_t n = sizeof text - 1;
    (void)state;
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            channels__utf8 at = 0;
            assert_true(channels__utf8_feed(&at, text, a));
            assert_int_equal(at == 0, expected((const unsigned char *)text, a));
            assert_true(channels__utf8_feed(&at, text + a, b - a));
            assert_true(channels__utf8_feed(&at, text + b, n - b));
            assert_int_equal(at, 0);
        }
    }
}

static void nothing_is_valid(void **state)
{
    channels__utf8 at = 0;
    (void)state;
    assert_true(channels__utf8_valid(NULL, 0));
    assert_true(channels__utf8_feed(&at, "\xC5", 1));
    assert_true(channels__utf8_feed(&at, NULL, 0));
    assert_int_not_equal(at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_short_sequences),
        cmocka_unit_test(in_longer_text),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(nothing_is_valid),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
