/* test_longpoll_wire.c - lib/wire/batch.c, longpoll_token.c and longpoll_message.c: the messages of
 * a body, tokens that say which session is meant, and what nodes say of requests for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/batch.h"
#include "wire/longpoll_message.h"
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

static const unsigned char nonce[CHANNELS__LONGPOLL_NONCE + 1] = "sixteen random b";

/* Its length. */
static size_t token_of(uint64_t ref, const char *node, char text[CHANNELS__LONGPOLL_TOKEN_TEXT])
{
    assert_true(channels__longpoll_token_write(key, ref, nonce, node, text));
    assert_int_equal(strlen(text), channels__longpoll_token_len(node));
    return strlen(text);
}

static void there_and_back(void **state)
{
    static const uint64_t refs[] = { 0, 1, UINT64_C(0x0123456789abcdef), UINT64_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        char text[CHANNELS__LONGPOLL_TOKEN_TEXT], node[CHANNELS__LONGPOLL_NODE + 1];
        assert_int_equal(token_of(refs[i], "", text), 76);
        assert_true(channels__longpoll_token_node(key, text, node));
        assert_string_equal(node, "");
        assert_true(channels__longpoll_token_ref(text) == refs[i]);
    }
}

/* Of any length that a name may have; the length of the text is a multiple of four. */
static void of_a_node(void **state)
{
    char name[CHANNELS__LONGPOLL_NODE + 1], node[CHANNELS__LONGPOLL_NODE + 1];
    (void)state;
    memset(name, 'n', sizeof name);
    for (size_t n = 0; n <= CHANNELS__LONGPOLL_NODE; n++) {
        name[n] = '\0';
        char text[CHANNELS__LONGPOLL_TOKEN_TEXT];
        assert_int_equal(token_of(7, name, text), 76 + (n + 2) / 3 * 4);
        assert_true(channels__longpoll_token_node(key, text, node));
        assert_string_equal(node, name);
        assert_true(channels__longpoll_token_ref(text) == 7);
        text[0] ^= 1;
        assert_false(channels__longpoll_token_node(key, text, node));
        assert_string_equal(node, "");
        assert_true(channels__longpoll_token_ref(text) == 0);
        name[n] = 'n';
    }
}

static void of_another_key(void **state)
{
    unsigned char other[CHANNELS__SHA256];
    char text[CHANNELS__LONGPOLL_TOKEN_TEXT + 8], node[CHANNELS__LONGPOLL_NODE + 1];
    (void)state;
    memcpy(other, key, sizeof other);
    other[31] ^= 1;
    size_t n = token_of(7, "node", text);
    assert_false(channels__longpoll_token_node(other, text, node));
    strcpy(text + n, "AAAA");
    assert_false(channels__longpoll_token_node(key, text, node));
}

/* What is read of a text ends where it does. */
static void cut_short(void **state)
{
    char text[CHANNELS__LONGPOLL_TOKEN_TEXT], node[CHANNELS__LONGPOLL_NODE + 1];
    (void)state;
    size_t n = token_of(7, "node", text);
    for (size_t len = 0; len < n; len++) {
        char *cut = calloc(1, len + 1);
        memcpy(cut, text, len);
        assert_false(channels__longpoll_token_node(key, cut, node));
        assert_true(channels__longpoll_token_ref(cut) == (len < 12 ? 0 : 7));
        assert_false(channels__longpoll_token_is(text, cut));
        assert_false(channels__longpoll_token_is(cut, text));
        free(cut);
    }
    assert_true(channels__longpoll_token_is(text, text));
}

static void no_refs(void **state)
{
    static const char *const texts[] = { "", "AQAA", "AQAAAAEAAAA", "AgAAAAEAAAAB", "AQAAAAEAAA=B",
                                         "AQAAAAEAA+AB", "AQAAAAEAA AB", "AQAAAAEAA\xc3\xa4" };
    (void)state;
    assert_true(channels__longpoll_token_ref("AQAAAAEAAAAB") == UINT64_C(0x100000001));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(channels__longpoll_token_ref(texts[i]) == 0);
}

static void is_that_one(void **state)
{
    char a[CHANNELS__LONGPOLL_TOKEN_TEXT], b[CHANNELS__LONGPOLL_TOKEN_TEXT];
    (void)state;
    size_t n = token_of(7, "node", a);
    for (size_t i = 0; i < n; i++) {
        strcpy(b, a);
        assert_true(channels__longpoll_token_is(a, b));
        b[i] ^= 1;
        assert_false(channels__longpoll_token_is(a, b));
    }
    token_of(7, "nod", b);
    assert_false(channels__longpoll_token_is(a, b));
}

/* --- What nodes say ------------------------------------------------------------------------- */

static size_t written(channels__longpoll_message m, unsigned char bytes[64])
{
    size_t n = channels__longpoll_message_size(&m);
    assert_true(n <= 64);
    channels__longpoll_message_write(&m, bytes);
    return n;
}

static bool reads(const unsigned char *bytes, size_t n, channels__longpoll_message *m)
{
    return channels__longpoll_message_read(channels__str_n((const char *)bytes, n), m);
}

static void messages(void **state)
{
    const channels__longpoll_message post = { .kind = CHANNELS__LONGPOLL_POST,
                                              .flag = true,
                                              .id = UINT64_C(0xfedcba9876543210),
                                              .token = channels__str_z("token"),
                                              .body = channels__str_n("a\0b", 3) };
    const channels__longpoll_message answer = { .kind = CHANNELS__LONGPOLL_ANSWER, .status = 503 };
    channels__longpoll_message m;
    unsigned char bytes[64];
    (void)state;
    assert_true(reads(bytes, written(post, bytes), &m));
    assert_int_equal(m.kind, CHANNELS__LONGPOLL_POST);
    assert_true(m.flag && m.id == post.id && m.status == 0);
    assert_string_equal(m.token.p, "token");
    assert_int_equal(m.body.n, 3);
    assert_memory_equal(m.body.p, "a\0b", 3);
    assert_true(reads(bytes, written(answer, bytes), &m));
    assert_int_equal(m.status, 503);
    assert_int_equal(m.token.n + m.body.n, 0);
}

static void no_messages(void **state)
{
    const channels__longpoll_message poll = { .kind = CHANNELS__LONGPOLL_POLL,
                                              .token = channels__str_z("token") };
    channels__longpoll_message m;
    unsigned char bytes[64], good[64];
    size_t n = written(poll, good);
    (void)state;
    for (size_t len = 0; len < n; len++) {
        unsigned char *cut = malloc(len + 1); /* its end is the message's */
        memcpy(cut, good, len);
        assert_false(reads(cut, len, &m));
        free(cut);
    }
    static const struct {
        size_t at;
        unsigned char is;
    } wrong[] = { { 0, 0 },  { 0, 2 },  { 1, CHANNELS__LONGPOLL_KINDS },
                  { 2, 2 },  { 13, 4 }, { 13, 6 },
                  { 14, 1 }, { 16, 0 }, { 20, 'x' } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(bytes, good, n);
        bytes[wrong[i].at] = wrong[i].is;
        assert_false(reads(bytes, n, &m));
    }
    channels__longpoll_message answer = { .kind = CHANNELS__LONGPOLL_ANSWER };
    for (unsigned status = 0; status < 65536; status++) {
        answer.status = (uint16_t)status;
        assert_int_equal(reads(bytes, written(answer, bytes), &m), status >= 200 && status < 600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),    cmocka_unit_test(lines),
        cmocka_unit_test(there_and_back), cmocka_unit_test(of_a_node),
        cmocka_unit_test(of_another_key), cmocka_unit_test(cut_short),
        cmocka_unit_test(no_refs),        cmocka_unit_test(is_that_one),
        cmocka_unit_test(messages),       cmocka_unit_test(no_messages),
    };
    return cmocka_run_group_tests_name("longpoll_wire", tests, NULL, NULL);
}
