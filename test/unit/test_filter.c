/* test_filter.c - what a log may show of JSON, and what it never shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/start.h"
#include "wire/filter.h"
#include "wire/json.h"

/* In all texts ' stands for ", and what must not be shown is called SECRET. */
#define F "'[FILTERED]'"

static const char *const usual[] = { "password", "token", NULL };
static const char *const names[] = { "id", "name", NULL };
static const char *const nothing[] = { NULL };

static const struct {
    const char *const *words;
    bool keep;
    const char *json, *shown;
} cases[] = {
    { usual, false, "{}", "{}" },
    { usual, false, "{'a':1,'b':[true,null,'x']}", "{'a':1,'b':[true,null,'x']}" },
    { usual, false, " { 'a' :\t1 ,\r\n'b' : [ 2 , 3 ] } ", "{'a':1,'b':[2,3]}" },
    { usual, false, "{'password':'SECRET'}", "{'password':" F "}" },
    { usual, false, "{'password' : 'SECRET' , 'a':1}", "{'password':" F ",'a':1}" },
    { usual, false, "{'password':-1.5e3,'token':null}", "{'password':" F ",'token':" F "}" },
    { usual, false, "{'a':{'b':[{'token':'SECRET'},1]}}", "{'a':{'b':[{'token':" F "},1]}}" },
    /* whatever the value is */
    { usual, false, "{'token':{'x':['SECRET',{'y':'SECRET'}]},'z':1}", "{'token':" F ",'z':1}" },
    { usual, false, "{'token':['SECRET','SECRET'],'z':[]}", "{'token':" F ",'z':[]}" },
    { usual, false, "{'token':'}SECRET\\',{SECRET','z':1}", "{'token':" F ",'z':1}" },
    { usual, false, "{'token':'SECRET\\\\','z':1}", "{'token':" F ",'z':1}" },
    { usual, false, "{'token':{'a':'}]','b':'SECRET'}}", "{'token':" F "}" },
    /* a key that holds the word, as it is meant and not as it is spelt; case counts */
    { usual, false, "{'my_password_2':'SECRET'}", "{'my_password_2':" F "}" },
    { usual, false, "{'pass\\u0077ord':'SECRET'}", "{'pass\\u0077ord':" F "}" },
    { usual, false, "{'\\u0074\\u006F\\u006b\\u0065\\u006E':'SECRET'}",
      "{'\\u0074\\u006F\\u006b\\u0065\\u006E':" F "}" },
    { usual, false, "{'\\'token':'SECRET'}", "{'\\'token':" F "}" },
    { usual, false, "{'\\u0000token':'SECRET'}", "{'\\u0000token':" F "}" },
    { usual, false, "{'\xC5\xBCtoken':'SECRET'}", "{'\xC5\xBCtoken':" F "}" },
    { usual, false, "{'Password':'shown','toke':'n'}", "{'Password':'shown','toke':'n'}" },
    /* every one of them */
    { usual, false, "{'token':'SECRET','token':'SECRET'}", "{'token':" F ",'token':" F "}" },
    /* no keys */
    { usual, false, "['password','token']", "['password','token']" },
    { usual, false, "{'a':'token:1'}", "{'a':'token:1'}" },
    { usual, false, "'password'", "'password'" },
    { usual, false, "{'':1}", "{'':1}" },
    { nothing, false, "{'password':'shown'}", "{'password':'shown'}" },
    /* the other way round */
    { names, true, "{'id':7,'phone':'SECRET'}", "{'id':7,'phone':" F "}" },
    { names, true, "{'a':{'id':[1, {'x':2}],'idx':'SECRET'}}",
      "{'a':{'id':[1, {'x':2}],'idx':" F "}}" },
    { names, true, "['SECRET',5,{'n\\u0061me':'shown'}]", "[" F "," F ",{'n\\u0061me':'shown'}]" },
    { names, true, "'SECRET'", F },
    { names, true, "{}", "{}" },
};

static bool check(size_t i, char *json, size_t cap, char *dst, bool *cut)
{
    const channels__filter filter = { cases[i].words, cases[i].keep };
    size_t n = channels__filter_json(&filter, channels__str_z(json), dst, cap, cut);
    assert_true(n <= cap);
    dst[n] = '\0';
    return strstr(dst, "SECRET") == NULL;
}

/* At every length: a line that is cut shows a beginning of the whole, and says that it was cut. */
static void shows_no_secret(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = sim_quoted(cases[i].json), *shown = sim_quoted(cases[i].shown);
        assert_true(channels__json_check(channels__str_z(json), 100, false));
        for (size_t cap = 0; cap <= strlen(shown) + 1; cap++) {
            char *dst = sim_alloc(cap + 1);
            bool cut;
            assert_true(check(i, json, cap, dst, &cut));
            assert_int_equal(cut, cap < strlen(shown));
            assert_int_equal(strlen(dst), cut ? cap : strlen(shown));
            if (strncmp(dst, shown, strlen(dst)) != 0)
                assert_string_equal(dst, shown);
            free(dst);
        }
        free(shown);
        free(json);
    }
}

static void long_keys(void **state)
{
    static char json[6000], dst[6000];
    const channels__filter hide = { usual, false }, keep = { names, true };
    bool cut;
    (void)state;
    snprintf(json, sizeof json, "{\"%04999d\":\"SECRET\"}", 0);
    dst[channels__filter_json(&hide, channels__str_z(json), dst, sizeof dst - 1, &cut)] = '\0';
    assert_null(strstr(dst, "SECRET"));
    dst[channels__filter_json(&keep, channels__str_z(json), dst, sizeof dst - 1, &cut)] = '\0';
    assert_null(strstr(dst, "SECRET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_no_secret),
        cmocka_unit_test(long_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
