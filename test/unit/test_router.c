/* test_router.c - which route a topic takes. Paths and mounts are in test_core_connect.c and
 * test_core_endpoint.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"

static const char *found(const channels_route *routes, const char *topic, size_t len)
{
    const channels_route *r = channels__route_find(routes, channels__str_n(topic, len));
    return r != NULL ? r->pattern : "(none)";
}

#define FOUND(routes, topic, pattern) \
    assert_string_equal(found(routes, topic, sizeof topic - 1), pattern)

static void routes(void **state)
{
    static const channels_handler h = { 0 };
    static const channels_route table[] = { { "room:lobby", &h, NULL }, { "room:*", &h, NULL },
                                            { "food*", &h, NULL },      { "foo*", &h, NULL },
                                            { "food:late", &h, NULL },  { NULL, NULL, NULL } };
    static const channels_route all[] = { { "*", &h, NULL }, { NULL, NULL, NULL } };
    (void)state;
    FOUND(table, "room:lobby", "room:lobby");
    FOUND(table, "room:lobby2", "room:*");
    FOUND(table, "room:", "room:*");
    FOUND(table, "room", "(none)");
    FOUND(table, "Room:a", "(none)");
    FOUND(table, "room:*", "room:*");
    FOUND(table, "room:\303\274", "room:*");
    FOUND(table, "food:late", "food*"); /* the first that matches */
    FOUND(table, "foo", "foo*");
    FOUND(table, "fo", "(none)");
    FOUND(table, "", "(none)");
    FOUND(all, "", "*");
    FOUND(all, "anything", "*");
    assert_null(channels__route_find(NULL, channels__str_z("a")));
    assert_string_equal(found(table, "room:lobbyist", 10), "room:lobby"); /* by its length */
    assert_string_equal(found(table, "room:lobby", 9), "room:*");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(routes) };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
