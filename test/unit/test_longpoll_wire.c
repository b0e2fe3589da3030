/* test_longpoll_wire.c - lib/wire/batch.c and longpoll_token.c: the messages of a body, and tokens
 * that say which session is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/batch.h"
#include "wire/longpoll_token.h"

/* --- Bodies ------------------------------------------------------------------------------- */

/* Its messages in brackets, those of bytes in angle ones. */
static void splits(const char *body, bool lines, uint32_t max, const char *wanted)
{
    char shown[256] = "", *copy = malloc(strlen(body) + 1); /* its end is the body's */
    channels__str message;
    memcpy(copy, body, strlen(body));
    channels__batch b = channels__batch_of(channels__str_n(copy, strlen(body)), lines, max);
    while (channels__batch_next(&b, &message))
        snprintf(shown + strlen(shown), sizeof shown - strlen(shown),
                 channels__batch_binary(&b, message) ? "<%.*s>" : "(%.*s)", (int)message.n,
                 message.p);
    assert_false(channels__batch_next(&b, &message));
    assert_string_equal(shown, wanted);
    free(copy);
}

static void one_message(void **state)
{
    (void)state;
    splits("", false, 100, "()");
    splits("a\nb\r\n", false, 1, "(a\nb\r\n)");
    channels__str message;
    channels__batch b = channels__batch_of(channels__str_none(), false, 1);
    assert_true(channels__batch_next(&b, &message));
    assert_int_equal(message.n, 0);
    assert_non_null(message.p);
}

static void lines(void **state)
{
    (void)state;
    splits("", true, 100, "");
    splits("\n\r\n\n", true, 100, "");
    splits("[a", true, 100, "([a)");
    splits("[a\n", true, 100, "([a)");
    splits("[a\r\nbb\n[c", true, 100, "([a)<bb>([c)");
    splits("[a\rb\r\r\n\r", true, 100, "([a\rb\r)<\r>"); /* a CR alone ends nothing */
    splits("\n[a\n\nb\n[c\nd\n", true, 3, "([a)<b>([c)");
    splits("[a\nb", true, 0, "");
    splits(" [a\n{}", true, 100, "< [a><{}>");
}

/* --- Tokens ------------------------------------------------------------------------------- */

static const unsigned char key[CHANNELS__SHA256] = "a key of thirty-two bytes, 0123";
static const unsigned char nonce[CHANNELS__LONGPOLL_NONCE] = "sixteen random b";

static void there_and_back(void **state)
{
    static const uint64_t refs[] = { 0, 1, UINT64_C(0x0123456789abcdef), UINT64_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        channels__longpoll_token token, read;
        char text[CHANNELS__LONGPOLL_TOKEN_TEXT];
        assert_true(channels__longpoll_token_sign(key, refs[i], nonce, &token));
        channels__longpoll_token_write(&token, text);
        assert_int_equal(strlen(text), 76);
        assert_true(channels__longpoll_token_read(key, text, &read));
        assert_true(channels__longpoll_token_equal(&token, &read));
        assert_true(channels__longpoll_token_ref(&read) == refs[i]);
    }
}

static void of_another_key(void **state)
{
    unsigned char other[CHANNELS__SHA256];
    channels__longpoll_token token, read;
    char text[CHANNELS__LONGPOLL_TOKEN_TEXT];
    (void)state;
    memcpy(other, key, sizeof other);
    other[31] ^= 1;
    assert_true(channels__longpoll_token_sign(key, 7, nonce, &token));
    channels__longpoll_token_write(&token, text);
    assert_false(channels__longpoll_token_read(other, text, &read));
    text[75] = '\0';
    assert_false(channels__longpoll_token_read(key, text, &read));
}

static void of_another_nonce(void **state)
{
    unsigned char other[CHANNELS__LONGPOLL_NONCE];
    channels__longpoll_token a, b;
    (void)state;
    memcpy(other, nonce, sizeof other);
    other[0] ^= 0x80;
    assert_true(channels__longpoll_token_sign(key, 7, nonce, &a));
    assert_true(channels__longpoll_token_sign(key, 7, other, &b));
    assert_false(channels__longpoll_token_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),      cmocka_unit_test(lines),
        cmocka_unit_test(there_and_back),   cmocka_unit_test(of_another_key),
        cmocka_unit_test(of_another_nonce),
    };
    return cmocka_run_group_tests_name("longpoll_wire", tests, NULL, NULL);
}
