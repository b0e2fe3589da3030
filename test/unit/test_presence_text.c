/* test_presence_text.c - keys and metas as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "presence/text.h"

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, CHANNELS__PHX_REF);
}

/* Incarnations and clocks that differ little, and clocks beyond what has bits of its own. */
static void refs_differ(void **state)
{
    enum { LIVES = 64, CLOCKS = 200 };
    static char refs[LIVES * CLOCKS][CHANNELS__PHX_REF];
    size_t n = 0;
    (void)state;
    for (uint64_t life = 0; life < LIVES; life++)
        for (uint64_t clock = 0; clock < CLOCKS; clock++) {
            uint64_t incarnation = UINT64_C(0x123456789abcdef0) ^ life * UINT64_C(0x9e3779b97f4a7);
            uint64_t at = clock < 100 ? clock : (UINT64_C(1) << (clock % 24 + 40)) + clock;
            channels__phx_ref(incarnation, at, refs[n++]);
        }
    qsort(refs, n, CHANNELS__PHX_REF, compare);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < CHANNELS__PHX_REF; k++)
            assert_non_null(
                strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                       refs[i][k]));
        assert_true(i == 0 || compare(refs[i - 1], refs[i]) != 0);
    }
}

static void strips(const char *json, const char *expected)
{
    char out[200];
    size_t n = channels__meta_strip(channels__str_z(json), out);
    assert_true(n <= strlen(json));
    out[n] = '\0';
    assert_string_equal(out, expected);
}

static void own_members_go(void **state)
{
    (void)state;
    strips("{}", "{}");
    strips(" \n{ } ", "{}");
    strips("{\"a\":1}", "{\"a\":1}");
    strips("{\"phx_ref\":1}", "{}");
    strips("{\"phx_ref\":1,\"phx_ref_prev\":2,\"phx_ref\":3}", "{}");
    strips("{\"a\" : [1, 2] , \"phx_ref\":{\"a\":\"}\"}, \"b\":\"phx_ref\"}",
           "{\"a\" : [1, 2],\"b\":\"phx_ref\"}");
    strips("{\"\\u0070\\u0068\\u0078\\u005F\\u0072\\u0065\\u0066\\u005f\\u0070\\u0072\\u0065\\u0076"
           "\":1"
           ",\"phx_ref_prev2\":2}",
           "{\"phx_ref_prev2\":2}");
    strips(
        "{\"a name that is much longer than any of ours could be, however it is escaped, and then "
        "some more\":1}",
        "{\"a name that is much longer than any of ours could be, however it is escaped, and then "
        "some more\":1}");
}

static void finds_members(void **state)
{
    (void)state;
    assert_true(channels__has_member(channels__str_z("{\"a\":1,\"m\\u0065tas\":2}"), "metas"));
    assert_false(channels__has_member(channels__str_z("{\"a\":{\"metas\":1}}"), "metas"));
    assert_false(channels__has_member(channels__str_z("{}"), "metas"));
    channels__str s = channels__members(channels__str_z(" { \"a\":{} \n} "));
    assert_int_equal(s.n, 6);
    assert_int_equal(channels__members(channels__str_z("{ \t\r\n }")).n, 0);
}

static void writes(void **state)
{
    channels__meta meta = { .json = channels__str_z("{ \"a\":1 }"), .incarnation = 7, .clock = 1 };
    char out[200];
    (void)state;
    for (meta.prev = 0; meta.prev < 2; meta.prev++) {
        char *end = channels__meta_write(&meta, out);
        assert_int_equal(end - out, channels__meta_len(&meta));
        assert_true(channels__json_check(channels__str_n(out, (size_t)(end - out)), 2, true));
        *end = '\0';
        assert_true((strstr(out, ",\"phx_ref_prev\":\"") != NULL) == (meta.prev != 0));
        assert_memory_equal(out, "{\"a\":1,\"phx_ref\":\"", 18);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refs_differ),
        cmocka_unit_test(own_members_go),
        cmocka_unit_test(finds_members),
        cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests_name("presence_text", tests, NULL, NULL);
}
