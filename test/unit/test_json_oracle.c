/* test_json_oracle.c - lib/wire/json.c against JSON.parse: thousands of texts, most of them
 * slightly wrong, on which both have to agree. What every client's parser thinks is what counts:
 * the payloads of one client are forwarded to others as they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/json.h"

#define TEXTS 30000
#define LONGEST 400

static const char *const seeds[] = {
    "null",
    "[true,false,null]",
    "-0.5e+10",
    "[0,-1,1e5,1.25E-3]",
    "\"\"",
    "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\\u001F\\uABcd\"",
    "\"\\ud83d\\ude00 \\uDBFF\\uDFFF\"",
    "\"\xC5\xBC\xC3\xB3\xC5\x82w \xF0\x9F\x98\x80\"",
    "{\"a\":{\"a\":[{\"b\":[]}]},\"a\":null}",
    " [ 1 ,\t{ \"b\" :\r\n2 } ] ",
    "{\"\":\"\",\"\\u0061\":[]}",
    "[[[[[[[[]]]]]]]]",
    "123456789012345678901234567890",
    "[\"]\",\"}\",\"[\"]",
    "\"\xED\x9F\xBF\xEE\x80\x80\"",
};
static const char alphabet[] =
    "[]{},:\"\\ 0123456789.-+eEtfnul/bdDcCu8\t\n\r\x01\x80\xBF\xC2\xE2\xED\xF0\xFF";

static uint32_t random_state = 20;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* One change: a byte is put in, taken out or replaced, or a piece of another seed comes in. */
static size_t change(char *text, size_t n)
{
    size_t at = random_below((uint32_t)n + 1);
    char c = alphabet[random_below(sizeof alphabet - 1)];
    const char *other = seeds[random_below(sizeof seeds / sizeof *seeds)];
    size_t len = random_below((uint32_t)strlen(other) + 1);
    switch (random_below(4)) {
    case 0:
        if (at < n)
            text[at] = c;
        return n;
    case 1: memmove(text + at, text + at + (at < n), n - at - (at < n)); return n - (at < n);
    case 2:
        other = &c;
        len = 1;
        break;
    default: break;
    }
    if (n + len > LONGEST)
        return n;
    memmove(text + at + len, text + at, n - at);
    memcpy(text + at, other, len);
    return n + len;
}

static size_t make(char *text)
{
    const char *seed = seeds[random_below(sizeof seeds / sizeof *seeds)];
    size_t n = strlen(seed);
    memcpy(text, seed, n);
    for (uint32_t i = random_below(4); i != 0; i--)
        n = change(text, n);
    return n;
}

/* What json_oracle.js would print. */
static void judge(const char *text, size_t n, char *line)
{
    char plain[LONGEST];
    channels__json j = { text, text + n, CHANNELS__JSON_NESTING };
    channels__str value;
    bool ok = channels__json_value(&j, &value) && channels__json_end(&j);
    assert_int_equal(ok,
                     channels__json_check(channels__str_n(text, n), CHANNELS__JSON_NESTING, false));
    line += sprintf(line, "%d", ok);
    if (!ok || value.p[0] != '"')
        return;
    size_t len = channels__json_unescape(value, plain);
    for (size_t i = 0; i < len; i++)
        line += sprintf(line, "%02x", (unsigned char)plain[i]);
}

static char *write_texts(char *path)
{
    char *texts = malloc((size_t)TEXTS * (LONGEST + 4)), *at = texts;
    int fd = mkstemp(path);
    assert_non_null(texts);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < TEXTS; i++) {
        uint32_t n = (uint32_t)make(at + 4);
        for (unsigned byte = 0; byte < 4; byte++)
            at[byte] = (char)(n >> 8 * byte);
        at += 4 + n;
    }
    FILE *file = fdopen(fd, "wb");
    assert_int_equal(fwrite(texts, 1, (size_t)(at - texts), file), at - texts);
    assert_int_equal(fclose(file), 0);
    return texts;
}

static void agrees_with_json_parse(void **state)
{
    char path[] = "/tmp/json_oracle.XXXXXX", command[128];
    char said[2 * LONGEST + 8], mine[2 * LONGEST + 8];
    char *texts = write_texts(path), *at = texts;
    unsigned taken = 0;
    (void)state;
    snprintf(command, sizeof command, "node test/unit/json_oracle.js %s", path);
    FILE *oracle = popen(command, "r");
    assert_non_null(oracle);
    for (unsigned i = 0; i < TEXTS; i++) {
        uint32_t n;
        memcpy(&n, at, 4);
        assert_non_null(fgets(said, sizeof said, oracle));
        said[strcspn(said, "\n")] = '\0';
        judge(at + 4, n, mine);
        if (strcmp(said, "?") != 0 && strcmp(said, mine) != 0)
            fail_msg("%.*s\nJSON.parse: %s\nhere: %s", (int)n, at + 4, said, mine);
        taken += mine[0] == '1';
        at += 4 + n;
    }
    assert_int_equal(pclose(oracle), 0);
    remove(path);
    free(texts);
    assert_true(taken > TEXTS / 5 && taken < TEXTS / 5 * 4); /* it is no test if all are alike */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_json_parse) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
