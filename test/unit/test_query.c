/* test_query.c - lib/wire/query.c. The nesting is what Plug.Conn.Query makes of these queries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "unit/faulty.h"
#include "wire/query.h"

static struct cJSON *params_of(const char *query)
{
    channels_request req = { .method = "GET", .path = "/", .query = query };
    return channels_request_params(&req);
}

/* Keys are written in the order of their bytes. */
static void assert_params(const char *query, const char *json)
{
    cJSON *params = params_of(query);
    assert_true(channels__query_valid(query));
    assert_non_null(params);
    char *text = cJSON_PrintUnformatted(params);
    assert_string_equal(text, json);
    cJSON_free(text);
    cJSON_Delete(params);
}

static void plain_parameters(void **state)
{
    (void)state;
    assert_params("", "{}");
    assert_params(NULL, "{}");
    assert_params("&&", "{}");
    assert_params("foo=bar&baz=bat", "{\"baz\":\"bat\",\"foo\":\"bar\"}");
    assert_params("&x=1&&y=2&", "{\"x\":\"1\",\"y\":\"2\"}");
    assert_params("key", "{\"key\":\"\"}");
    assert_params("key=", "{\"key\":\"\"}");
    assert_params("=", "{\"\":\"\"}");
    assert_params("=value", "{\"\":\"value\"}");
    assert_params("a=b=c", "{\"a\":\"b=c\"}");
    assert_params("d=1&d=2", "{\"d\":\"2\"}");
    assert_params("a;b=1", "{\"a;b\":\"1\"}");
}

static void decoding(void **state)
{
    (void)state;
    assert_params("my+weird+field=q1%212%22%27w%245%267%2Fz8%29%3F",
                  "{\"my weird field\":\"q1!2\\\"'w$5&7/z8)?\"}");
    assert_params("u=%C5%BC&\xC5\xBC=%f0%9f%98%80",
                  "{\"u\":\"\xC5\xBC\",\"\xC5\xBC\":\"\xF0\x9F\x98\x80\"}");
    assert_params("%61%5Bb%5D=1", "{\"a\":{\"b\":\"1\"}}");
    assert_params("a%3Db=%26%3d%2B+", "{\"a=b\":\"&=+ \"}");
    assert_params("a[%5D%5B]=1", "{\"a\":[[\"1\"]]}"); /* first decoded, then taken apart */
}

static void nesting(void **state)
{
    (void)state;
    assert_params(
        "users[name]=hello&users[age]=17&users[address][street]=foo",
        "{\"users\":{\"address\":{\"street\":\"foo\"},\"age\":\"17\",\"name\":\"hello\"}}");
    assert_params("foo[]=bar&foo[]=baz", "{\"foo\":[\"bar\",\"baz\"]}");
    assert_params("foo[]", "{\"foo\":[\"\"]}");
    assert_params("x[y][z][]=1&x[y][z][]=2", "{\"x\":{\"y\":{\"z\":[\"1\",\"2\"]}}}");
    assert_params("x[y][][z]=1", "{\"x\":{\"y\":[{\"z\":\"1\"}]}}");
    assert_params("x[][][]=1", "{\"x\":[[[\"1\"]]]}");
    assert_params("a[0]=x&a[1]=y", "{\"a\":{\"0\":\"x\",\"1\":\"y\"}}");
    assert_params("a[b]=1&ab[c]=2&a=3&a.=4", "{\"a\":\"3\",\"a.\":\"4\",\"ab\":{\"c\":\"2\"}}");
    assert_params(
        "user_id=a%20b+c&n[a]=1&n[b][]=2&n[b][]=3&l[]=x&k&e=&d=1&d=2&u=%C5%BC",
        "{\"d\":\"2\",\"e\":\"\",\"k\":\"\",\"l\":[\"x\"],"
        "\"n\":{\"a\":\"1\",\"b\":[\"2\",\"3\"]},\"u\":\"\xC5\xBC\",\"user_id\":\"a b c\"}");
}

static void what_came_last_wins(void **state)
{
    (void)state;
    assert_params("a=1&a[b]=2", "{\"a\":{\"b\":\"2\"}}");
    assert_params("a[b]=1&a=2", "{\"a\":\"2\"}");
    assert_params("a[b]=1&a=2&a[c]=3", "{\"a\":\"2\"}");
    assert_params("a[]=1&a[b]=2", "{\"a\":{\"b\":\"2\"}}");
    assert_params("a[b]=1&a[]=2", "{\"a\":[\"2\"]}");
    assert_params("a[b][c]=1&a[]=2&a[b][d]=3", "{\"a\":[\"2\"]}");
    assert_params("x[y][][w]=2&x[y]=1", "{\"x\":{\"y\":\"1\"}}");
    assert_params("x[y][0][w]=2&x[y]=1", "{\"x\":{\"y\":\"1\"}}");
    assert_params("x[y]=1&x[y][]=2", "{\"x\":{\"y\":[\"2\"]}}");
    assert_params("a[][x]=1&a[][y]=2", "{\"a\":[{\"x\":\"1\",\"y\":\"2\"}]}");
    assert_params("a[][x]=1&a[]=2&a[][y]=3", "{\"a\":[{\"x\":\"1\",\"y\":\"3\"},\"2\"]}");
    assert_params("a[]=1&a[][x]=2&a[]=3", "{\"a\":[\"1\",{\"x\":\"2\"},\"3\"]}");
}

static void brackets_that_do_not_nest(void **state)
{
    (void)state;
    assert_params("[]=x", "{\"[]\":\"x\"}");
    assert_params("[a]=1&[a]=2", "{\"[a]\":\"2\"}");
    assert_params("a[=1&a]=2&a]b=3&a[b=4&a[b]c=5",
                  "{\"a[\":\"1\",\"a[b\":\"4\",\"a[b]c\":\"5\",\"a]\":\"2\",\"a]b\":\"3\"}");
    assert_params("a][b]=1", "{\"a]\":{\"b\":\"1\"}}");
    assert_params("a[b]c[d]=1", "{\"a\":{\"b]c[d\":\"1\"}}");
    assert_params("a[]]=1", "{\"a\":{\"]\":\"1\"}}");
    assert_params("a[[]=1", "{\"a\":{\"[\":\"1\"}}");
    assert_params("a[[b]]=1", "{\"a\":{\"[b]\":\"1\"}}");
}

static void assert_undecodable(const char *query)
{
    channels_request req = { .query = query };
    char room[8];
    assert_false(channels__query_valid(query));
    assert_null(params_of(query));
    assert_int_equal(channels_request_param(&req, "a", room, sizeof room), -1);
}

static void undecodable_queries(void **state)
{
    static const char *const bad[] = {
        "a=%C5",   "a=%FF", "a=\xFF", "%C0%80=1",     "a=%ED%A0%80",   "a=%C5&b=%BC",
        "%C5=%BC", "a=%00", "a%00=1", "a=1&b[%00]=2", "a=\xC5&b=\xBC", "a\xC5=\xBC",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_undecodable(bad[i]);
}

static void a_percent_sign_alone_stands_for_itself(void **state)
{
    (void)state;
    assert_params("a=100%", "{\"a\":\"100%\"}");
    assert_params("a=%4&b=%4g", "{\"a\":\"%4\",\"b\":\"%4g\"}");
    assert_params("%=%%41&c=%zz", "{\"%\":\"%A\",\"c\":\"%zz\"}");
}

static void nested(char *query, size_t n)
{
    strcpy(query, "a");
    for (size_t i = 0; i < n; i++)
        strcat(query, "[b]");
}

static void nesting_is_bounded(void **state)
{
    char query[4096];
    (void)state;
    nested(query, 100);
    assert_true(channels__query_valid(query));
    cJSON *params = params_of(query), *level = params;
    for (size_t i = 0; i < 101; i++)
        level = level->child;
    assert_true(cJSON_IsString(level));
    cJSON_Delete(params);
    nested(query, 101);
    assert_undecodable(query);
    strcpy(query, "a=");
    memset(query + 2, '[', 4000);
    query[4002] = '\0';
    assert_true(channels__query_valid(query));
}

/* What a stranger can put into one request is dealt with in the blink of an eye. */
static void many_parameters(void **state)
{
    size_t size = 1 << 20;
    char *query = malloc(size + 32), *p = query;
    assert_non_null(query);
    (void)state;
    for (int i = 0; (size_t)(p - query) < size; i++)
        p += sprintf(p, i % 3 == 0 ? "%x&" : i % 3 == 1 ? "a[%x][]&" : "%x[]&", (unsigned)i);
    cJSON *params = params_of(query);
    assert_non_null(params);
    cJSON_Delete(params);
    free(query);
}

static int param(const char *query, const char *name, char *dst, size_t cap)
{
    channels_request req = { .query = query };
    return channels_request_param(&req, name, dst, cap);
}

static void one_parameter(void **state)
{
    static const char query[] = "vsn=2.0.0&user+id=a%20b+c&k&e=&d=1&d=2&n[a]=5&u=%C5%BC";
    char room[16] = "untouched";
    (void)state;
    assert_int_equal(param(query, "token", room, sizeof room), -1);
    assert_string_equal(room, "untouched");
    assert_int_equal(param(query, "user id", room, sizeof room), 5);
    assert_string_equal(room, "a b c");
    assert_int_equal(param(query, "d", room, sizeof room), 1);
    assert_string_equal(room, "2");
    assert_int_equal(param(query, "e", room, sizeof room), 0);
    assert_string_equal(room, "");
    assert_int_equal(param(query, "k", room, sizeof room), 0);
    assert_int_equal(param(query, "n[a]", room, sizeof room), 1);
    assert_int_equal(param(query, "n", room, sizeof room), -1);
    assert_int_equal(param(query, "vs", room, sizeof room), -1);
    assert_int_equal(param(query, "vsn2", room, sizeof room), -1);
    assert_int_equal(param(query, "u", room, sizeof room), 2);
    assert_string_equal(room, "\xC5\xBC");
    assert_int_equal(param("", "", room, sizeof room), -1);
    assert_int_equal(param(NULL, "a", room, sizeof room), -1);
}

static void a_parameter_is_cut_to_fit(void **state)
{
    char room[4];
    (void)state;
    assert_int_equal(param("a=12345", "a", NULL, 0), 5);
    assert_int_equal(param("a=12345", "a", room, 1), 5);
    assert_string_equal(room, "");
    assert_int_equal(param("a=12345", "a", room, sizeof room), 5);
    assert_string_equal(room, "123");
    assert_int_equal(param("a=123", "a", room, sizeof room), 3);
    assert_string_equal(room, "123");
    assert_int_equal(param("a=1", "a", room, sizeof room), 1);
    assert_string_equal(room, "1");
}

static void headers_are_found_without_regard_to_case(void **state)
{
    const channels_header headers[] = {
        { "Host", "a.com" }, { "X-Forwarded-For", "1" }, { "x-forwarded-for", "2" }, { "", "empty" }
    };
    channels_request req = { .headers = headers, .nheaders = 4 }, none = { .query = "" };
    (void)state;
    assert_string_equal(channels_request_header(&req, "host"), "a.com");
    assert_string_equal(channels_request_header(&req, "HOST"), "a.com");
    assert_string_equal(channels_request_header(&req, "X-FORWARDED-for"), "1");
    assert_string_equal(channels_request_header(&req, ""), "empty");
    assert_null(channels_request_header(&req, "hos"));
    assert_null(channels_request_header(&req, "hosts"));
    assert_null(channels_request_header(&req, "x_forwarded_for"));
    assert_null(channels_request_header(&none, "host"));
}

/* cJSON's hooks have no argument, hence these. */
static size_t live, calls, fail_at;
static bool for_good;

static void *counted_malloc(size_t size)
{
    calls++;
    if (fail_at != 0 && (calls == fail_at || (for_good && calls > fail_at)))
        return NULL;
    live++;
    return malloc(size);
}

static void counted_free(void *p)
{
    live -= p != NULL;
    free(p);
}

static bool params_with_failure_at(size_t call, bool and_after)
{
    calls = 0;
    fail_at = call;
    for_good = and_after;
    cJSON *params = params_of("a=1&b[c]=2&b[d][]=3&b[d][]=4&b[d][][e]=5&f[][g]=6&f[]=7");
    bool made = params != NULL;
    cJSON_Delete(params);
    assert_int_equal(live, 0);
    return made;
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    cJSON_Hooks hooks = { counted_malloc, counted_free };
    (void)state;
    cJSON_InitHooks(&hooks);
    assert_true(params_with_failure_at(0, false));
    size_t all = calls;
    assert_true(all > 10);
    for (size_t i = 1; i <= all; i++) {
        assert_false(params_with_failure_at(i, false));
        assert_false(params_with_failure_at(i, true));
    }
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_parameters),
        cmocka_unit_test(decoding),
        cmocka_unit_test(nesting),
        cmocka_unit_test(what_came_last_wins),
        cmocka_unit_test(brackets_that_do_not_nest),
        cmocka_unit_test(undecodable_queries),
        cmocka_unit_test(a_percent_sign_alone_stands_for_itself),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(many_parameters),
        cmocka_unit_test(one_parameter),
        cmocka_unit_test(a_parameter_is_cut_to_fit),
        cmocka_unit_test(headers_are_found_without_regard_to_case),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
