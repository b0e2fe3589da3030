/* test_extension.c - lib/wire/extension.c: every kind of offer, and what is answered (RFC 7692, 5
 * and 7.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire/extension.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define D "permessage-deflate"
#define YES D "; server_no_context_takeover; client_no_context_takeover"
#define FULL YES "; server_max_window_bits=15"
#define SMALL YES "; server_max_window_bits=9"
#define BITS_OF "; server_max_window_bits"
#define MINE "; client_max_window_bits"

static const struct {
    const char *offer, *answer;
} cases[] = {
    { D, YES },
    { "  " D "  ", YES },
    { D "; server_no_context_takeover", YES },
    { D ";client_no_context_takeover", YES },
    { D "\t;\tclient_no_context_takeover\t;\tserver_no_context_takeover", YES },
    /* The client's own window is its own affair. */
    { D MINE, YES },
    { D MINE "=8", YES },
    { D MINE "=15", YES },
    { D MINE "=\"10\"", YES },
    { D MINE " = 10", YES },
    /* The server's is not. */
    { D BITS_OF "=15", FULL },
    { D BITS_OF "=\"15\"" MINE, FULL },
    { D BITS_OF "=14", SMALL },
    { D BITS_OF "=10", SMALL },
    { D BITS_OF "=9", SMALL },
    { D MINE BITS_OF "=9; server_no_context_takeover; client_no_context_takeover", SMALL },
    { D BITS_OF "=8", NULL },
    /* What is no such extension, or not as it has to be. */
    { "", NULL },
    { ",", NULL },
    { "x-webkit-deflate-frame", NULL },
    { "Permessage-Deflate", NULL },
    { "permessage-deflated", NULL },
    { D "; unknown", NULL },
    { D "; unknown=1", NULL },
    { D "; server_no_context_takeover=1", NULL },
    { D "; client_no_context_takeover=\"x\"", NULL },
    { D "; server_no_context_takeover; server_no_context_takeover", NULL },
    { D "; client_no_context_takeover; client_no_context_takeover", NULL },
    { D MINE MINE, NULL },
    { D BITS_OF "=9" BITS_OF "=9", NULL },
    { D BITS_OF, NULL },
    { D BITS_OF "=7", NULL },
    { D BITS_OF "=16", NULL },
    { D BITS_OF "=09", NULL },
    { D BITS_OF "=1", NULL },
    { D BITS_OF "=150", NULL },
    { D BITS_OF "=1x", NULL },
    { D BITS_OF "=x", NULL },
    { D BITS_OF "=+9", NULL },
    { D MINE "=7", NULL },
    { D MINE "=16", NULL },
    { D MINE "=08", NULL },
    /* The first that can be accepted. */
    { D BITS_OF "=8, " D, YES },
    { D "; unknown, " D BITS_OF "=12, " D, SMALL },
    { D ", " D BITS_OF "=9", YES },
    { "a, b; c=d; e=\"f\" ,,, " D MINE " , g", YES },
    { ", ," D, YES },
    /* No list of offers: nothing behind that is read. */
    { "=, " D, NULL },
    { "; " D, NULL },
    { "a b, " D, NULL },
    { "a;, " D, NULL },
    { "a; b=, " D, NULL },
    { "a; b=\"\", " D, NULL },
    { "a; b=\"c, " D, NULL },
    { "a; b=\"c d\", " D, NULL },
    { "a/b, " D, NULL },
    { D ";", NULL },
    { D "; ;", NULL },
    { D " x", NULL },
    { D BITS_OF "=", NULL },
    { D BITS_OF "=\"9", NULL },
    { D BITS_OF "=\"9\"x", NULL },
    { D "\xC3\xA9", NULL },
    { D ", a b", YES },
};

static const char *answer_to(const char *first, const char *second, bool *small)
{
    const channels_header headers[] = { { "Host", D },
                                        { "Sec-WebSocket-Extensions", first },
                                        { "sec-websocket-extensions", second } };
    const channels_request req = { .headers = headers, .nheaders = second != NULL ? 3 : 2 };
    return channels__deflate_answer(&req, small);
}

static void offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool small = false;
        const char *answer = answer_to(cases[i].offer, NULL, &small), *wanted = cases[i].answer;
        if ((answer == NULL) != (wanted == NULL) || (answer != NULL && strcmp(answer, wanted) != 0))
            fail_msg("%s: %s", cases[i].offer, answer != NULL ? answer : "nothing");
        assert_int_equal(small, answer != NULL && strcmp(answer, SMALL) == 0);
    }
}

/* They are one list. */
static void headers(void **state)
{
    bool small;
    (void)state;
    assert_string_equal(answer_to("other; x", D, &small), YES);
    assert_string_equal(answer_to(D BITS_OF "=8", D MINE, &small), YES);
    assert_string_equal(answer_to(D BITS_OF "=9", D, &small), SMALL);
    assert_true(small);
    assert_string_equal(answer_to("=", D, &small), YES);
    assert_null(answer_to("other", "another", &small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),
        cmocka_unit_test(headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
