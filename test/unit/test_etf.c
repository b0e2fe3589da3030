/* test_etf.c - lib/wire/etf.c and etf_json.c: every form of term, what is broken, and strangers'
 * bytes. What is read lies in blocks of exactly its size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/hex.h"
#include "wire/etf.h"
#include "wire/etf_json.h"
#include "wire/json.h"

/* Whole, with nothing behind it. */
static bool is_term(const unsigned char *bytes, size_t n)
{
    channels__etf r = { bytes, bytes + n };
    channels__str whole;
    return channels__etf_whole(&r, &whole) && r.p == r.end && whole.n == n;
}

/* The JSON text of a term, to be freed; NULL if JSON cannot say it. */
static char *json_of(const unsigned char *bytes, size_t n)
{
    channels__str term = channels__str_n((const char *)bytes, n);
    ptrdiff_t len = channels__etf_json(term, NULL);
    if (len < 0)
        return NULL;
    char *text = malloc((size_t)len + 1);
    assert_int_equal(channels__etf_json(term, text), len);
    text[len] = '\0';
    assert_true(channels__json_check(channels__str_n(text, (size_t)len), 1000, false));
    return text;
}

static const struct {
    const char *hex, *json; /* NULL: not to be said in JSON */
} terms[] = {
    { "6100", "0" },
    { "61ff", "255" },
    { "6200000100", "256" },
    { "62ffffffff", "-1" },
    { "6280000000", "-2147483648" },
    { "6e0000", "0" },
    { "6e0001", "0" },
    { "6e0101ff", "-255" },
    { "6e0400ffffffff", "4294967295" },
    { "6e0600000000000000", "0" },
    { "6e0800ffffffffffffff7f", "9223372036854775807" },
    { "6e08010000000000000080", "-9223372036854775808" },
    { "6e08000000000000000080", "9223372036854775808" },
    { "6e08010100000000000080", "-9223372036854775809" },
    { "6e0800ffffffffffffffff", "18446744073709551615" },
    { "6e0900000000000000000001", "18446744073709551616" },
    { "6e0901000000000000000001", "-18446744073709551616" },
    { "6f0000000900000000000000000001", "18446744073709551616" },
    { "6e0d00000000a0ca17726dae0f1e4301", "100000000000000000000000000000" }, /* 10^29 */
    { "463ff8000000000000", "1.5" },
    { "4640080000000000" "00", "3.0" },
    { "46bfb999999999999a", "-0.1" },
    { "468000000000000000", "-0.0" },
    { "463fd5555555555555", "0.3333333333333333" },
    { "467fefffffffffffff", "1.7976931348623157e+308" },
    { "460000000000000001", "4.94065645841247e-324" },
    { "6331" "2e3530303030303030303030303030303030303030652b3030" "0000000000",
      "1.50000000000000000000e+00" },
    { "6400036e696c", "null" },
    { "77036e696c", "null" },
    { "73036e696c", "null" },
    { "7600036e696c", "null" },
    { "770474727565", "true" },
    { "64000566616c7365", "false" },
    { "7700", "\"\"" },
    { "64000568656c6c6f", "\"hello\"" },
    { "640003e9740a", "\"\xc3\xa9t\\n\"" },
    { "7304ff41807f", "\"\xc3\xbf" "A\xc2\x80\x7f\"" },
    { "7705c5bc616261", "\"\xc5\xbc" "aba\"" },
    { "6d00000000", "\"\"" },
    { "6d00000003412200", "\"A\\\"\\u0000\"" },
    { "6d000000040001feff", "[0,1,254,255]" },
    { "6a", "[]" },
    { "6b0003010203", "[1,2,3]" },
    { "6b0000", "[]" },
    { "6c000000026101" "6c000000016102" "6a" "6a", "[1,[2]]" },
    { "6c000000006a", "[]" },
    { "6c0000000161016102", NULL }, /* [1 | 2] */
    { "6800", "[]" },
    { "6802640004" "75736572" "6107", "[\"user\",7]" },
    { "69000000026101680161" "02", "[1,[2]]" },
    { "7400000000", "{}" },
    { "74000000026400" "026964" "6107" "6d0000000161" "6a", "{\"id\":7,\"a\":[]}" },
    { "7400000003" "6101" "6102" "62ffffffff" "6102" "6e0900000000000000000001" "6102",
      "{\"1\":2,\"-1\":2,\"18446744073709551616\":2}" },
    { "740000000177036e696c77036e696c", "{\"nil\":null}" },
    { "7400000001" "6800" "6101", NULL },
    { "7400000001" "463ff8000000000000" "6101", NULL },
    { "7400000001" "6d00000001ff" "6101", NULL },
    { "64000161", "\"a\"" },
    /* Pids, ports, references, bits. */
    { "58" "64000161" "000000600000000000000000", "null" },
    { "67" "7301" "61" "000000600000000000", "null" },
    { "59" "770161" "0000000100000000", "null" },
    { "66" "770161" "0000000100", "null" },
    { "78" "770161" "000000000000000100000000", "null" },
    { "65" "770161" "0000000100", "null" },
    { "72" "0002" "770161" "00" "0000000100000002", "null" },
    { "5a" "0002" "770161" "00000000" "0000000100000002", "null" },
    { "4d" "00000001" "03" "a0", "null" },
    { "6802" "58" "64000161" "000000600000000000000000" "6101", "[null,1]" },
};

static void each_form_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        size_t n;
        unsigned char *bytes = hex_bytes(terms[i].hex, &n);
        assert_true(is_term(bytes, n));
        char *json = json_of(bytes, n);
        if (terms[i].json == NULL)
            assert_null(json);
        else
            assert_string_equal(json, terms[i].json);
        free(json);
        free(bytes);
    }
}

static void every_truncation_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        size_t n;
        unsigned char *bytes = hex_bytes(terms[i].hex, &n);
        for (size_t cut = 0; cut < n; cut++) {
            unsigned char *part = malloc(cut + 1);
            memcpy(part + 1, bytes, cut);
            assert_false(is_term(part + 1, cut));
            free(part);
        }
        free(bytes);
    }
}

static void broken_terms(void **state)
{
    static const char *const broken[] = {
        "00",                   "83",                     /* the version is not part of a term */
        "467ff0000000000000",   "467ff8000000000000",     /* infinity, not a number */
        "7702c328",             "7701ff",                 /* atoms that are not UTF-8 */
        "64010061",             "69ffffffff6101",         /* too long; more than there is */
        "6cffffffff6a",         "74ffffffff",
        "7480000000",           "6dffffffff41",
        "6fffffffff0001",       "4dffffffff0141",
        "5affff770161",         "586101000000600000000000000000", /* a node that is no atom */
        "7000000000",           "7164000161640001616100", /* functions */
        "75000000000000000000", "520000",
        "4d0000000109ff",       "4d0000000100ff",         /* of the last byte's eight bits */
    };
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        size_t n;
        unsigned char *bytes = hex_bytes(broken[i], &n);
        assert_false(is_term(bytes, n));
        free(bytes);
    }
}

static void decimals_are_checked(void **state)
{
    static const char *const good[] = { "1.0e+00", "-1.5e-07", "9.99999999999999999999e+307" };
    static const char *const bad[] = { "", "-", "1", "1.", "1.0e", "1.0e+", "01.0e+00", ".5e+00",
                                       "1.e+00", "1,0e+00", "nan", "inf", " 1.0e+00", "1.0e+00 ",
                                       "[1.0e+00]", "\"1.0e+00\"", "1.0e+00,1.0e+00",
                                       "9.99999999999999999999e+308", "0.05000000e+400" };
    unsigned char term[32];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        memset(term, 0, sizeof term);
        term[0] = 99;
        memcpy(term + 1, good[i], strlen(good[i]));
        assert_true(is_term(term, sizeof term));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(term, 0, sizeof term);
        term[0] = 99;
        memcpy(term + 1, bad[i], strlen(bad[i]));
        assert_false(is_term(term, sizeof term));
    }
}

/* `opening` again and again, then an empty list, which ends each of them. */
static unsigned char *nested(const char *opening, size_t times, const char *closing, size_t *n)
{
    char *hex = calloc(1, (strlen(opening) + strlen(closing)) * times + 3);
    for (size_t i = 0; i < times; i++)
        memcpy(hex + i * strlen(opening), opening, strlen(opening));
    memcpy(hex + times * strlen(opening), "6a", 2);
    for (size_t i = 0; i < times; i++)
        strcat(hex + times * strlen(opening), closing);
    unsigned char *bytes = hex_bytes(hex, n);
    free(hex);
    return bytes;
}

static void json_is_128_deep(void **state)
{
    static const struct {
        const char *opening, *closing;
    } containers[] = { { "6801", "" }, { "6c00000001", "6a" }, { "74000000016101", "" } };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t depth = 127; depth <= 130; depth++) {
            size_t n;
            unsigned char *bytes =
                nested(containers[i].opening, depth, containers[i].closing, &n);
            assert_true(is_term(bytes, n));
            char *json = json_of(bytes, n);
            assert_int_equal(json != NULL, depth <= 128);
            free(json);
            free(bytes);
        }
    }
}

/* Neither takes a stack that grows with them. */
static void a_million_levels(void **state)
{
    size_t n = 2000001;
    unsigned char *bytes = malloc(n);
    (void)state;
    for (size_t i = 0; i + 1 < n; i += 2) {
        bytes[i] = 104;
        bytes[i + 1] = 1;
    }
    bytes[n - 1] = 106;
    assert_true(is_term(bytes, n));
    assert_null(json_of(bytes, n));
    memset(bytes, 103, n); /* pids on nodes that are pids */
    assert_false(is_term(bytes, n));
    free(bytes);
}

static void large_integers(void **state)
{
    unsigned char bytes[5 + 1 + 256] = { 111, 0, 0, 0, 255 };
    (void)state;
    memset(bytes + 6, 0xff, 256);
    char *json = json_of(bytes, 6 + 255);
    assert_int_equal(strlen(json), 615); /* 256 ^ 255 - 1 */
    assert_memory_equal(json, "126238304966058622268417487065116999845484776053576109500509", 60);
    free(json);
    bytes[3] = 1;
    bytes[4] = 0;
    assert_true(is_term(bytes, sizeof bytes));
    assert_null(json_of(bytes, sizeof bytes));
}

static void integers_are_written_as_erlang_does(void **state)
{
    static const struct {
        int64_t integer;
        const char *hex;
    } written[] = {
        { 0, "6100" },
        { 255, "61ff" },
        { 256, "6200000100" },
        { -1, "62ffffffff" },
        { INT32_MAX, "627fffffff" },
        { INT32_MIN, "6280000000" },
        { (int64_t)INT32_MAX + 1, "6e040000000080" },
        { (int64_t)INT32_MIN - 1, "6e040101000080" },
        { INT64_MAX, "6e0800ffffffffffffff7f" },
        { INT64_MIN, "6e08010000000000000080" },
        { -1099511627776, "6e0601000000000001" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        unsigned char got[16];
        size_t n, len = (size_t)(channels__etf_put_integer(got, written[i].integer) - got);
        unsigned char *want = hex_bytes(written[i].hex, &n);
        assert_int_equal(len, n);
        assert_memory_equal(got, want, n);
        channels__etf r = { got, got + len };
        channels__term t;
        assert_true(channels__etf_next(&r, &t));
        assert_int_equal(t.type, CHANNELS__INTEGER);
        assert_true(t.integer == written[i].integer);
        free(want);
    }
}

/* --- Strangers' bytes ----------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Whatever it is: it is taken or not; the JSON of what was taken is JSON. */
static bool survives(const unsigned char *bytes, size_t n)
{
    unsigned char *exact = malloc(n + 1);
    memcpy(exact + 1, bytes, n);
    channels__etf r = { exact + 1, exact + 1 + n };
    channels__str whole;
    bool taken = channels__etf_whole(&r, &whole);
    if (taken)
        free(json_of((const unsigned char *)whole.p, whole.n));
    free(exact);
    return taken;
}

static void random_bytes(void **state)
{
    static const unsigned char tags[] = { 70,  77,  88,  89,  90,  97,  98,  99,  100, 101,
                                          102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
                                          114, 115, 116, 118, 119, 120, 0,   1,   2,   'a' };
    uint64_t seed = 0x746f6b656e;
    size_t taken = 0;
    (void)state;
    for (int round = 0; round < 100000; round++) {
        unsigned char bytes[48];
        size_t n = next_random(&seed) % (sizeof bytes + 1);
        for (size_t i = 0; i < n; i++) {
            uint64_t x = next_random(&seed);
            bytes[i] = x & 0x300 ? tags[x % sizeof tags] : (unsigned char)(x >> 16);
        }
        taken += survives(bytes, n);
    }
    assert_true(taken > 1000); /* or the bytes were too random to tell anything */
}

static void changed_terms(void **state)
{
    uint64_t seed = 0x65746600;
    (void)state;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
        size_t n;
        unsigned char *bytes = hex_bytes(terms[i].hex, &n);
        for (int round = 0; round < 500; round++) {
            size_t at = next_random(&seed) % n;
            unsigned char was = bytes[at];
            bytes[at] = (unsigned char)next_random(&seed);
            survives(bytes, n);
            bytes[at] = was;
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_read),
        cmocka_unit_test(every_truncation_is_broken),
        cmocka_unit_test(broken_terms),
        cmocka_unit_test(decimals_are_checked),
        cmocka_unit_test(json_is_128_deep),
        cmocka_unit_test(a_million_levels),
        cmocka_unit_test(large_integers),
        cmocka_unit_test(integers_are_written_as_erlang_does),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(changed_terms),
    };
    return cmocka_run_group_tests_name("etf", tests, NULL, NULL);
}
