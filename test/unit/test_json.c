/* test_json.c - lib/wire/json.c. Texts are checked in blocks of their very size, so that reading
 * one byte too many is found by ASan and valgrind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/faulty.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool checks_n(const char *text, size_t n, uint32_t max_nesting, bool object)
{
    char *exact = malloc(n > 0 ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    bool ok = channels__json_check(channels__str_n(exact, n), max_nesting, object);
    free(exact);
    return ok;
}

static bool checks(const char *text)
{
    return checks_n(text, strlen(text), CHANNELS__JSON_NESTING, false);
}

static const char *const good[] = {
    "null", "true", "false", "0", "-0", "7", "10", "-123", "0.5", "1.0", "-0.0e-0", "1e3", "1E+2",
    "1e-400", "1e308", "123456789012345678901234567890", "\"\"", "\"a\"", "\"room:lobby\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\\u001F\\uABcd\\ufFfF\"", "\"\\ud83d\\ude00\"",
    "\"\\uDBFF\\uDFFF\\ud800\\udc00\"", "\"\x7F\"", "\"\xC5\xBC\xC3\xB3\xC5\x82w\"",
    "\"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E and then plain text\"", "\"\xF0\x9F\x98\x80\"",
    "\"\xF4\x8F\xBF\xBF\xEF\xBF\xBF\xEE\x80\x80\xED\x9F\xBF\"", "[]", "{}", "[[]]", "[{}]", "[1]",
    "[1,2,3]", "[[],[],{}]", "{\"a\":1}", "{\"a\":{\"a\":[{\"b\":[]}]},\"a\":null}", "{\"\":\"\"}",
    "{\"\\u0061\":1,\"a\":2}", " [ ] ", "\t\r\n {\"a\" : [ 1 , 2 ] , \"b\" : { } } ",
    "[\"]\",\"}\",\"[\",\"\\\"\"]", "[true,false,null]", "[0,-1,1e5]",
};

static const char *const bad[] = {
    "", " ", "nul", "nulll", "True", "truefalse", "tru e", "-", "+1", "01", "-01", "00", ".5", "1.",
    "1.e1", "1e", "1e+", "1ee1", "0x1", "1 2", "NaN", "Infinity", "--1", "\"", "\"a", "\"\\\"",
    "\"\\", "\"\\\\\\\"", "a\"", "'a'", "\"\\x\"", "\"\\0\"", "\"\\U0041\"", "\"\\u\"", "\"\\u12\"",
    "\"\\u123\"", "\"\\u123g\"", "\"\\u 123\"", "\"\\u+123\"", "\"\n\"", "\"\t\"", "\"\x01\"",
    "\"\x1F\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"",
    "\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\"", "\"\\ude00\\ud83d\"", "\"\\ud83d\\u\"",
    "\"\\ud83d\\\"", "\"\\ud83d\\ude0\"", "\"\\ud83d\\ude00\\ude00\"", "\"\xC5\"", "\"\xC5\"\xBC",
    "\"\x80\"", "\"\xC0\x80\"", "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"",
    "\"\xFF\"", "\"\xE6\x97\"", "\"\xC5\\u0041\"", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,]",
    "[,1]", "[1 2]", "[1,,2]", "[]]", "[[]", "[}", "{]", "[1}", "{\"a\":1]", "{\"a\"}", "{\"a\":}",
    "{\"a\":1,}", "{,}", "{a:1}", "{1:1}", "{null:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
    "{\"a\":1,2}", "{\"a\"::1}", "{\"a\":1}}", "[\"a\":1]", "[1:2]", "{} {}", "[]1", "\f[]",
    "\xC2\xA0[]", "\xEF\xBB\xBF[]", "[] x", "/**/1", "[1]//", "\x80",
};

static void takes_what_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!checks(good[i]))
            fail_msg("refused: %s", good[i]);
    }
}

static void refuses_what_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (checks(bad[i]))
            fail_msg("taken: %s", bad[i]);
    }
    assert_false(checks_n("[\"a\0b\"]", 7, 10, false));
    assert_false(checks_n("1\0", 2, 10, false));
    assert_false(checks_n("\0", 1, 10, false));
}

/* What is cut short is no value, but for numbers and what only had white space cut off. */
static void refuses_beginnings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        size_t n = strlen(good[i]);
        char last = good[i][n - 1];
        for (size_t cut = 0; cut < n && strchr("]}\"le", last) != NULL; cut++) {
            if (checks_n(good[i], cut, CHANNELS__JSON_NESTING, false))
                fail_msg("taken: %.*s", (int)cut, good[i]);
        }
    }
}

/* Every byte at every place of strings of many lengths. */
static void strings_end_where_they_end(void **state)
{
    char text[48];
    (void)state;
    for (size_t n = 1; n < 36; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 'a', sizeof text);
                text[0] = text[n + 1] = '"';
                text[1 + at] = (char)c;
                bool plain = c >= ' ' && c != '"' && c != '\\' && c < 0x80;
                if (channels__json_check(channels__str_n(text, n + 2), 0, false) != plain)
                    fail_msg("byte %d at %zu of %zu", c, at, n);
            }
        }
    }
}

static void escapes_and_wide_text_at_any_place(void **state)
{
    static const char *const pieces[] = { "\\n",      "\\u00e9",      "\\ud83d\\ude00",
                                          "\xC5\xBC", "\xE6\x97\xA5", "\xF0\x9F\x98\x80",
                                          "\\\"",     "\\\\" };
    (void)state;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        for (int before = 0; before < 20; before++) {
            for (int after = 0; after < 20; after++) {
                char text[64];
                snprintf(text, sizeof text, "\"%.*s%s%.*s\"", before, "aaaaaaaaaaaaaaaaaaaa",
                         pieces[i], after, "bbbbbbbbbbbbbbbbbbbb");
                assert_true(checks(text));
            }
        }
    }
}

static void only_objects_if_asked(void **state)
{
    (void)state;
    assert_true(checks_n(" {\"a\":[1]} ", 11, 10, true));
    assert_false(checks_n("[]", 2, 10, true));
    assert_false(checks_n("\"{\"", 3, 10, true));
    assert_false(checks_n("null", 4, 10, true));
}

/* `n` containers in each other, arrays and objects in turns. */
static size_t nested(char *text, size_t n)
{
    char *p = text;
    for (size_t i = 0; i < n; i++) {
        strcpy(p, i % 3 == 1 ? "{\"k\":" : "[");
        p += strlen(p);
    }
    *p++ = '7';
    while (n-- > 0)
        *p++ = n % 3 == 1 ? '}' : ']';
    return (size_t)(p - text);
}

static void nesting_is_bounded(void **state)
{
    static const uint32_t limits[] = { 0, 1, 2, 3, 63, 64, 65, 999, 1000 };
    char text[8192];
    (void)state;
    for (size_t i = 0; i < COUNT(limits); i++) {
        assert_true(checks_n(text, nested(text, limits[i]), limits[i], false));
        assert_false(checks_n(text, nested(text, limits[i] + 1), limits[i], false));
    }
    assert_false(checks_n("[]", 2, 0, false));
    assert_true(checks_n("[]", 2, 1, false));
    assert_true(checks_n("[[],[],[{}]]", 12, 3, false));
    assert_false(checks_n("[[],[],[{}]]", 12, 2, false));
}

static void nesting_is_never_deeper_than_cjson_goes(void **state)
{
    char text[8192];
    (void)state;
    assert_true(checks_n(text, nested(text, 1000), UINT32_MAX, false));
    assert_false(checks_n(text, nested(text, 1001), UINT32_MAX, false));
    memset(text, '[', sizeof text);
    assert_false(checks_n(text, sizeof text, UINT32_MAX, false));
}

static void assert_value(channels__json *j, const char *text)
{
    channels__str value;
    assert_true(channels__json_value(j, &value));
    assert_int_equal(value.n, strlen(text));
    assert_memory_equal(value.p, text, value.n);
}

static void values_are_taken_one_by_one(void **state)
{
    static const char text[] = " [ null ,\"2\", {\"a\" : [1]} , 12e1 ]\n";
    channels__json j = { text, text + sizeof text - 1, 2 };
    channels__str value;
    (void)state;
    assert_false(channels__json_char(&j, '{'));
    assert_true(channels__json_char(&j, '['));
    assert_false(channels__json_end(&j));
    assert_value(&j, "null");
    assert_false(channels__json_char(&j, ']'));
    assert_true(channels__json_char(&j, ','));
    assert_value(&j, "\"2\"");
    assert_true(channels__json_char(&j, ','));
    assert_value(&j, "{\"a\" : [1]}");
    assert_true(channels__json_char(&j, ','));
    assert_value(&j, "12e1");
    assert_true(channels__json_char(&j, ']'));
    assert_true(channels__json_end(&j));
    assert_false(channels__json_char(&j, ']'));
    assert_false(channels__json_value(&j, &value));
}

static void assert_unescapes(const char *json, const char *text, size_t n)
{
    char *exact = malloc(strlen(json));
    assert_non_null(exact);
    assert_int_equal(channels__json_unescape(channels__str_z(json), exact), n);
    assert_memory_equal(exact, text, n);
    free(exact);
}

static void escapes_become_what_they_mean(void **state)
{
    (void)state;
    assert_unescapes("\"\"", "", 0);
    assert_unescapes("\"plain\"", "plain", 5);
    assert_unescapes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    assert_unescapes("\"a\\u0000b\\u007f\"", "a\0b\x7F", 4);
    assert_unescapes("\"\\u0080\\u07ff\\u0800\\uFfFf\"", "\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF",
                     10);
    assert_unescapes("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8);
    assert_unescapes("\"\xC5\xBC\\n\xC5\xBC\"", "\xC5\xBC\n\xC5\xBC", 5);
}

static void assert_escapes(const char *text, size_t n, const char *json)
{
    channels__str s = channels__str_n(text, n);
    size_t len = channels__json_escaped_len(s);
    char *exact = malloc(len);
    assert_non_null(exact);
    assert_int_equal(len, strlen(json));
    assert_ptr_equal(channels__json_escape(s, exact), exact + len);
    assert_memory_equal(exact, json, len);
    free(exact);
}

static void only_what_must_be_is_escaped(void **state)
{
    (void)state;
    assert_escapes("", 0, "\"\"");
    assert_escapes("room:lobby", 10, "\"room:lobby\"");
    assert_escapes("\"\\/\b\f\n\r\t", 8, "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    assert_escapes("\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\x7F\"");
    assert_escapes("za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87 \xF0\x9F\x98\x80\n", 16,
                   "\"za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87 \xF0\x9F\x98\x80\\n\"");
}

/* Whatever the text, there and back again gives the same, and strict JSON in between. */
static void escaping_and_unescaping_are_inverse(void **state)
{
    char text[40], json[6 * sizeof text + 2], back[sizeof json];
    unsigned seed = 1;
    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        size_t n = i % sizeof text;
        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525 + 1013904223;
            text[k] = (char)(seed >> 24 & (i % 3 == 0 ? 0x1F : 0x7F));
        }
        channels__str s = channels__str_n(text, n);
        channels__str escaped = channels__str_n(json, channels__json_escaped_len(s));
        assert_ptr_equal(channels__json_escape(s, json), json + escaped.n);
        assert_true(channels__json_check(escaped, 0, false));
        assert_int_equal(channels__json_unescape(escaped, back), n);
        assert_memory_equal(back, text, n);
    }
}

static bool is_json(const char *text)
{
    return channels__json_check(channels__str_z(text), CHANNELS__JSON_NESTING, false);
}

static void numbers_no_double_can_hold(void **state)
{
    static const char *const fits[] = {
        "1e308", "1.7976931348623157e308", "1.7976931348623158e308", "-1.7976931348623157E+308",
        "17976931348623157e292", "0.00017976931348623157e312", "0e999", "0.0e99999999999",
        "1e-400", "5e-324", "1e00000000000000001", "0.5", "-0.0",
    };
    static const char *const does_not[] = {
        "1e309", "1e400", "-1.5e999", "1.7976931348623159e308", "1.8e308",
        "17976931348623159e292", "0.00018e312", "1e99999999999999999999", "[1,{\"a\":1e400}]",
    };
    char digits[500];
    (void)state;
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++)
        if (!is_json(fits[i]))
            fail_msg("%s", fits[i]);
    for (size_t i = 0; i < sizeof does_not / sizeof *does_not; i++)
        if (is_json(does_not[i]))
            fail_msg("%s", does_not[i]);
    memset(digits, '9', sizeof digits);
    strcpy(digits + 400, "");
    assert_true(is_json(digits)); /* an integer */
    strcpy(digits + 400, ".5");
    assert_false(is_json(digits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(numbers_no_double_can_hold),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(refuses_beginnings),
        cmocka_unit_test(strings_end_where_they_end),
        cmocka_unit_test(escapes_and_wide_text_at_any_place),
        cmocka_unit_test(only_objects_if_asked),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(nesting_is_never_deeper_than_cjson_goes),
        cmocka_unit_test(values_are_taken_one_by_one),
        cmocka_unit_test(escapes_become_what_they_mean),
        cmocka_unit_test(only_what_must_be_is_escaped),
        cmocka_unit_test(escaping_and_unescaping_are_inverse),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
