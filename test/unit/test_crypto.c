/* test_crypto.c - what is asked of OpenSSL: known answers, and base64 of every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crypto.h"

/* One and the same for many: nothing of the last one is left. */
static void sha1_known(void **state)
{
    char got[CHANNELS__SHA1_BASE64];
    channels__sha1 sha1;
    (void)state;
    assert_true(channels__sha1_init(&sha1));
    for (int i = 0; i < 3; i++) {
        /* RFC 6455, 1.3 */
        assert_true(channels__sha1_base64(&sha1, "dGhlIHNhbXBsZSBub25jZQ==",
                                          "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", got));
        assert_string_equal(got, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_true(channels__sha1_base64(&sha1, "", "", got));
        assert_string_equal(got, "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    }
    channels__sha1_deinit(&sha1);
}

static void hmac_known(void **state)
{
    /* RFC 4231, test case 2 */
    static const unsigned char want[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                          0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                          0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                          0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43 };
    unsigned char got[CHANNELS__SHA256];
    (void)state;
    assert_true(channels__hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, got));
    assert_memory_equal(got, want, sizeof want);
    assert_true(channels__secret_equal(got, want, sizeof want));
    got[31] ^= 1;
    assert_false(channels__secret_equal(got, want, sizeof want));
}

static void base64_round_trip(void **state)
{
    unsigned char bytes[2000], back[2004];
    char text[CHANNELS__BASE64_SIZE(sizeof bytes)];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 251 + i / 7);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t len = channels__base64url_encode(bytes, n, text);
        assert_int_equal(strlen(text), len);
        assert_null(strpbrk(text, "+/="));
        assert_int_equal(channels__base64_decode(text, len, true, false, back), (ptrdiff_t)n);
        assert_memory_equal(back, bytes, n);
    }
}

static ptrdiff_t decode(const char *text, bool url, bool padded)
{
    unsigned char back[64];
    return channels__base64_decode(text, strlen(text), url, padded, back);
}

static void base64_strict(void **state)
{
    (void)state;
    assert_int_equal(decode("", false, true), 0);
    assert_int_equal(decode("+/8=", false, true), 2);
    assert_int_equal(decode("+w==", false, true), 1);
    assert_int_equal(decode("-_8", true, false), 2);
    static const char *const padded[] = { "+w=", "+w", "+===", "====", "+w== ", "A=BC", "-_8=",
                                          "AAA\n", "A A=", "AA=A" };
    for (size_t i = 0; i < sizeof padded / sizeof *padded; i++)
        assert_int_equal(decode(padded[i], false, true), -1);
    static const char *const bare[] = { "A", "AAAAA", "+/8", "AA==", "AA A", "AA\t" };
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++)
        assert_int_equal(decode(bare[i], true, false), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_known),
        cmocka_unit_test(hmac_known),
        cmocka_unit_test(base64_round_trip),
        cmocka_unit_test(base64_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
