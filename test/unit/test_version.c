/* test_version.c - lib/wire/version.c. The expectations are those of Elixir's Version.match?/2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/version.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void requirements(void **state)
{
    static const struct {
        const char *version, *requirement;
        bool met;
    } cases[] = {
        { "2.0.0", "2.0.0", true },
        { "2.0.0+build", "2.0.0", true },
        { "2.0.1", "2.0.0", false },
        { "2.0.0", "== 2.0.0", true },
        { "2.0.0", "==2.0.0", true },
        { "2.0.0-rc", "== 2.0.0", false },
        { "2.0.0-rc", "== 2.0.0-rc+x", true },
        { "2.0.0", "!= 2.0.0", false },
        { "2.0.1", "!= 2.0.0", true },
        { "2.0.0", "> 2.0.0", false },
        { "2.0.1-0", "> 2.0.0", true },
        { "2.0.0", "> 2.0.0-rc", true },
        { "10.0.0", "> 9.0.0", true },
        { "99999999999999999999.0.0", "> 9999999999999999999.9.9", true },
        { "2.0.0", ">= 2.0.0", true },
        { "2.0.0-rc", ">= 2.0.0", false },
        { "1.9.9", "< 2.0.0", true },
        { "2.0.0-rc", "< 2.0.0", true },
        { "2.0.0", "< 2.0.0", false },
        { "2.0.0", "<= 2.0.0", true },
        { "2.0.1", "<= 2.0.0", false },
        { "2.0.7", "~> 2.0.3", true },
        { "2.0.2", "~> 2.0.3", false },
        { "2.1.0", "~> 2.0.3", false },
        { "2.1.0-rc", "~> 2.0.3", false },
        { "2.0.3-rc", "~> 2.0.3", false },
        { "2.0.3-rc.2", "~> 2.0.3-rc.1", true },
        { "2.9.0", "~> 2.1", true },
        { "2.0.9", "~> 2.1", false },
        { "3.0.0", "~> 2.1", false },
        { "3.0.0-rc", "~> 2.1", false },
        { "2.1.0-b", "~> 2.1-a", true },
        { "2.5.0", ">= 1.0.0 and < 3.0.0", true },
        { "3.0.0", ">= 1.0.0 and < 3.0.0", false },
        { "2.0.0", "== 2.0.0 or ~> 3.1", true },
        { "3.4.0", "== 2.0.0 or ~> 3.1", true },
        { "3.0.0", "== 2.0.0 or ~> 3.1", false },
        { "1.0.0", "== 1.0.0 or == 2.0.0 and == 3.0.0", true }, /* "and" binds closer */
        { "1.0.0", "== 3.0.0 and == 2.0.0 or == 1.0.0", true },
        { "1.0.0", "  1.0.0   or   2.0.0  ", true },
        /* pre-releases: numbers by value and before words, a part before the whole */
        { "1.0.0-2", "< 1.0.0-10", true },
        { "1.0.0-10", "< 1.0.0-a", true },
        { "1.0.0-a", "< 1.0.0-a.1", true },
        { "1.0.0-a.1", "< 1.0.0-b", true },
        { "1.0.0-ab", "> 1.0.0-a", true },
        { "1.0.0-A", "< 1.0.0-a", true },
        { "1.0", "== 1.0.0", false },
        { "", ">= 0.0.0", false },
        { "1.0.0 ", "1.0.0", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(channels__requirement_valid(cases[i].requirement));
        if (channels__version_meets(cases[i].version, cases[i].requirement) != cases[i].met)
            fail_msg("%s and %s", cases[i].version, cases[i].requirement);
    }
}

static void what_cannot_be_read(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "2",
        "2.0",
        "~> 2",
        "~>",
        "== 2.0",
        ">= 2.0",
        "=> 2.0.0",
        "~ 2.0.0",
        "= 2.0.0",
        "^ 2.0.0",
        "2.0.0 and",
        "2.0.0 or",
        "and 2.0.0",
        "2.0.0 and or 2.0.0",
        "2.0.0 3.0.0",
        "2.0.0and 3.0.0",
        "2.0.0 and3.0.0",
        "2.0.0 && 3.0.0",
        "== == 2.0.0",
        "02.0.0",
        "2.0.x",
        "2.0.0-",
        "2.0.0-a..b",
        "2.0.0,",
        "~> 2.0.",
        "latest",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (channels__requirement_valid(bad[i]))
            fail_msg("\"%s\"", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(requirements),
                                        cmocka_unit_test(what_cannot_be_read) };
    return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
