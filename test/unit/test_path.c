/* test_path.c - lib/wire/path.c, and the parameters that paths bring into query.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "channels/channels.h"
#include "wire/path.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void matching(void **state)
{
    static const struct {
        const char *path, *pattern;
        bool matches;
    } cases[] = {
        { "/a/b", "/a/b", true },
        { "//a//b/", "/a/b", true },
        { "/a/b", "//a/b/", true },
        { "/a", "/a/b", false },
        { "/a/b/c", "/a/b", false },
        { "/A/b", "/a/b", false },
        { "/%61/b", "/a/b", false },
        { "/", "/", true },
        { "", "/", true },
        { "/a", "/", false },
        { "/ws/42/websocket", "/ws/:room/websocket", true },
        { "/ws//websocket", "/ws/:room/websocket", false }, /* an empty segment is none */
        { "/ws/42/43/websocket", "/ws/:room/websocket", false },
        { "/ws/:room/websocket", "/ws/:room/websocket", true },
        { "/1/2", "/:a/:b", true },
        { "/1", "/:a/:b", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (channels__path_matches(cases[i].path, cases[i].pattern) != cases[i].matches)
            fail_msg("%s and %s", cases[i].path, cases[i].pattern);
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *fault;
    } cases[] = {
        { "/", NULL },
        { "/a/:b/:c_2/:_d", NULL },
        { "", "begin with /" },
        { "a", "begin with /" },
        { "/a?b", "begin with /" },
        { "/a#b", "begin with /" },
        { "/a/*", "begin with /" },
        { "/:", "letters" },
        { "/:1", "letters" },
        { "/:a-b", "letters" },
        { "/a:b", "only begin" },
        { "/:a/x/:a", "twice" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *fault = channels__pattern_fault(cases[i].pattern);
        if ((fault == NULL) != (cases[i].fault == NULL) ||
            (fault != NULL && strstr(fault, cases[i].fault) == NULL))
            fail_msg("%s: %s", cases[i].pattern, fault);
    }
}

static const channels_request two = { .path = "//ws/a%20b/x/websocket",
                                      .query = "room=query&other=1&id[k]=2",
                                      .pattern = "/ws/:room/:id/websocket" };

static void assert_param(const channels_request *req, const char *name, const char *want)
{
    char text[32];
    int n = channels_request_param(req, name, text, sizeof text);
    if (want == NULL) {
        assert_int_equal(n, -1);
        return;
    }
    assert_string_equal(text, want);
    assert_int_equal(n, strlen(want));
}

static void parameters(void **state)
{
    static const channels_request hidden = { .path = "/1/2", .query = "b=q", .pattern = "/:_a/:b" };
    static const channels_request bad = { .path = "/1", .query = "x=%FF", .pattern = "/:a" };
    channels_request plain = two;
    char text[4];
    (void)state;
    plain.pattern = NULL;
    assert_param(&two, "room", "a%20b"); /* never decoded, and before the query's */
    assert_param(&two, "id", "x");
    assert_param(&two, "other", "1");
    assert_param(&two, "ws", NULL);
    assert_param(&plain, "room", "query");
    assert_param(&hidden, "_a", NULL);
    assert_param(&hidden, "b", "2");
    assert_param(&bad, "a", NULL);
    assert_int_equal(channels_request_param(&two, "room", NULL, 0), 5);
    assert_int_equal(channels_request_param(&two, "room", text, sizeof text), 5);
    assert_string_equal(text, "a%2");
}

static void assert_tree(const channels_request *req, const char *want)
{
    cJSON *params = channels_request_params(req);
    char *text = cJSON_PrintUnformatted(params);
    assert_string_equal(text, want);
    cJSON_free(text);
    cJSON_Delete(params);
}

static void trees(void **state)
{
    static const channels_request hidden = { .path = "/1/2", .query = "", .pattern = "/:_a/:b" };
    static const channels_request bad = { .path = "/1", .query = "x=%FF", .pattern = "/:a" };
    (void)state;
    assert_tree(&two, "{\"other\":\"1\",\"room\":\"a%20b\",\"id\":\"x\"}");
    assert_tree(&hidden, "{\"b\":\"2\"}");
    assert_null(channels_request_params(&bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(matching), cmocka_unit_test(patterns),
                                        cmocka_unit_test(parameters), cmocka_unit_test(trees) };
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
