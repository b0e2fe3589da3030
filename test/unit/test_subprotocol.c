/* test_subprotocol.c - lib/wire/subprotocol.c. The expectations are those of PROTOCOL §3.2, §3.3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "wire/subprotocol.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void choosing(void **state)
{
    static const char *const served[] = { "sip", "mqtt", NULL };
    static const struct {
        const char *header;
        size_t chosen;
    } cases[] = {
        { "mqtt,sip", 1 }, /* in the server's order */
        { "mqtt", 2 },     { " \tmqtt\t ", 2 }, { "a, mqtt ,b", 2 }, { ",,sip,", 1 },
        { "", 0 },         { ",", 0 },          { "SIP", 0 },        { "sip2", 0 },
        { "si", 0 },       { "sip mqtt", 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (channels__subprotocol_choose(served, cases[i].header) != cases[i].chosen)
            fail_msg("%s", cases[i].header);
}

static void names(void **state)
{
    static const char *const bad[] = { "", "a,b", "a b", " a", "a\r\nb", "\x7f", "\xC3\xA9" };
    (void)state;
    assert_true(channels__subprotocol_valid("v12.stomp"));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(channels__subprotocol_valid(bad[i]));
}

/* The token of a header, and what is left of its list. */
static void assert_bearer(const char *header, const char *token, const char *others)
{
    channels__str bearer = channels__bearer_find(header);
    size_t room = 2 * strlen(header) + 1;
    assert_true((bearer.p == NULL) == (token == NULL));
    if (token == NULL)
        return;
    char *text = malloc(bearer.n + 4), *rest = malloc(room);
    assert_true(channels__bearer_decode(bearer, text));
    assert_string_equal(text, token);
    assert_int_equal(channels__bearer_remove(header, rest), strlen(others));
    assert_string_equal(rest, others);
    free(text);
    free(rest);
}

static void bearers(void **state)
{
    (void)state;
    assert_bearer("phoenix, base64url.bearer.phx.MTIzNA", "1234", "phoenix");
    assert_bearer("base64url.bearer.phx.MTIzNA", "1234", "");
    assert_bearer("a,base64url.bearer.phx.MTIzNA==,b,,c", "1234", "a, b, c");
    assert_bearer("base64url.bearer.phx.", "", "");
    assert_bearer("base64url.bearer.phx.Pz8/Pj4+", "\x3f\x3f\x3f>>>", ""); /* both alphabets */
    assert_bearer("base64url.bearer.phx.Pz8_Pj4-", "\x3f\x3f\x3f>>>", "");
    assert_bearer("phoenix", NULL, NULL);
    assert_bearer("", NULL, NULL);
    assert_bearer("Base64url.bearer.phx.MTIzNA", NULL, NULL);
    assert_bearer("base64url.bearer.phx.MTIzNA, base64url.bearer.phx.MTIzNA", NULL, NULL);
}

static void undecodable(void **state)
{
    static const char *const bad[] = {
        "x", "MTIzN", "MT!z", "MTI zNA", "Pz8/Pj4-", "MTIzNA===", "YQBi" /* a NUL */, "MT=zNA"
    };
    char text[32];
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (channels__bearer_decode(channels__str_z(bad[i]), text))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(choosing), cmocka_unit_test(names),
                                        cmocka_unit_test(bearers), cmocka_unit_test(undecodable) };
    return cmocka_run_group_tests_name("subprotocol", tests, NULL, NULL);
}
