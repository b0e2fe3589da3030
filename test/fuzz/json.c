/* json.c - the JSON check: what passes can be opened as a tree, and its strings be written anew. */
#include <cjson/cJSON.h>

#include "fuzz/fuzz.h"
#include "wire/json.h"
#include "wire/utf8.h"

/* A string's text, unescaped, is UTF-8; escaped again, it is a string that unescapes to the same.
 */
static void rewrite(channels__str value)
{
    char *text = fuzz_copy("", 0), *again, *same;
    text = realloc(text, value.n + 1);
    size_t n = channels__json_unescape(value, text);
    FUZZ_CHECK(n <= value.n && channels__utf8_valid(text, n));
    size_t len = channels__json_escaped_len(channels__str_n(text, n));
    again = malloc(len);
    FUZZ_CHECK(channels__json_escape(channels__str_n(text, n), again) == again + len);
    FUZZ_CHECK(channels__json_check(channels__str_n(again, len), 1, false));
    same = malloc(len + 1);
    FUZZ_CHECK(channels__json_unescape(channels__str_n(again, len), same) == n);
    FUZZ_CHECK(memcmp(text, same, n) == 0);
    free(text);
    free(again);
    free(same);
}

static void passed(const char *text, size_t size)
{
    cJSON *tree = cJSON_ParseWithLength(text, size);
    FUZZ_CHECK(tree != NULL && channels__utf8_valid(text, size));
    FUZZ_CHECK(channels__json_check(channels__str_n(text, size), CHANNELS__JSON_NESTING, true) ==
               (cJSON_IsObject(tree) != 0));
    cJSON_Delete(tree);
    channels__json j = { text, text + size, CHANNELS__JSON_NESTING };
    channels__str value;
    FUZZ_CHECK(channels__json_value(&j, &value) && channels__json_end(&j));
    if (value.p[0] == '"')
        rewrite(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    channels__str all = channels__str_n(text, size);
    if (channels__json_check(all, CHANNELS__JSON_NESTING, false))
        passed(text, size);
    else
        FUZZ_CHECK(!channels__json_check(all, CHANNELS__JSON_NESTING, true));
    free(text);
    return 0;
}
