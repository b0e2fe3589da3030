/* test_origin.c - lib/wire/origin.c. The expectations are those of PROTOCOL §3.1. */
#include "unit/faulty.h"
#include "wire/origin.h"

static channels_request request(channels_header *headers, const char *origin, const char *host,
                                bool tls)
{
    channels_request req = {
        .method = "GET", .path = "/", .query = "", .headers = headers, .tls = tls
    };
    if (host != NULL)
        headers[req.nheaders++] = (channels_header){ "Host", host };
    if (origin != NULL)
        headers[req.nheaders++] = (channels_header){ "Origin", origin };
    return req;
}

static bool for_host(const char *origin, const char *host)
{
    channels_header headers[2];
    channels_request req = request(headers, origin, "a.com", false);
    return channels__origin_allowed(CHANNELS_ORIGIN_HOST, host, NULL, &req);
}

static bool for_entry(const char *origin, const char *entry)
{
    channels_header headers[2];
    const char *const list[] = { "//other.example", entry, NULL };
    channels_request req = request(headers, origin, "a.com", false);
    return channels__origin_allowed(CHANNELS_ORIGIN_LIST, "a.com", list, &req);
}

static bool for_same(const char *origin, const char *host, bool tls)
{
    channels_header headers[2];
    channels_request req = request(headers, origin, host, tls);
    return channels__origin_allowed(CHANNELS_ORIGIN_SAME, "a.com", NULL, &req);
}

static void no_origin_is_always_allowed(void **state)
{
    const char *const none[] = { NULL };
    channels_header headers[2];
    channels_request req = request(headers, NULL, NULL, false);
    (void)state;
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_HOST, "a.com", NULL, &req));
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_SAME, "a.com", NULL, &req));
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_LIST, "a.com", none, &req));
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_ANY, "a.com", NULL, &req));
}

static void any_allows_all(void **state)
{
    static const char *const origins[] = { "http://evil.example", "null", "", "file://" };
    channels_header headers[2];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        channels_request req = request(headers, origins[i], NULL, false);
        assert_true(channels__origin_allowed(CHANNELS_ORIGIN_ANY, "a.com", NULL, &req));
    }
}

static void only_the_first_origin_counts(void **state)
{
    channels_header headers[] = { { "ORIGIN", "http://a.com" }, { "origin", "http://b.com" } };
    channels_request req = { .headers = headers, .nheaders = 2 };
    (void)state;
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_HOST, "a.com", NULL, &req));
    assert_false(channels__origin_allowed(CHANNELS_ORIGIN_HOST, "b.com", NULL, &req));
}

static void host_looks_at_nothing_else(void **state)
{
    (void)state;
    assert_true(for_host("https://host.com/", "host.com"));
    assert_true(for_host("http://host.com:8080", "host.com"));
    assert_true(for_host("ws://user@host.com", "host.com"));
    assert_true(for_host("http://[::1]:4000", "::1"));
    assert_true(for_host("http://anything.example", NULL));
    assert_false(for_host("https://another.com/", "host.com"));
    assert_false(for_host("https://www.host.com/", "host.com"));
    assert_false(for_host("https://host.com.evil.example", "host.com"));
    assert_false(for_host("https://host.com@evil.example", "host.com"));
    assert_false(for_host("http://LOCALHOST", "localhost"));
    assert_false(for_host("host.com", "host.com"));
}

static void an_origin_without_host_is_refused(void **state)
{
    static const char *const origins[] = { "null",    "file://",       "",
                                           "/",       "http:",         "http://",
                                           "//",      "http:///x",     "http://:80",
                                           "garbage", "localhost:4000" };
    (void)state;
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
        assert_false(for_host(origins[i], "a.com"));
        assert_false(for_host(origins[i], NULL));
        assert_false(for_entry(origins[i], "//a.com"));
        assert_false(for_entry(origins[i], "//*."));
        assert_false(for_same(origins[i], "a.com", false));
    }
}

static void entries_fix_what_they_say(void **state)
{
    (void)state;
    assert_true(for_entry("http://example.com/", "//example.com"));
    assert_true(for_entry("https://example.com:81", "//example.com"));
    assert_true(for_entry("http://scheme.com/", "http://scheme.com"));
    assert_true(for_entry("http://scheme.com:80", "http://scheme.com"));
    assert_true(for_entry("HTTP://scheme.com", "http://scheme.com"));
    assert_true(for_entry("http://port.com:81/", "//port.com:81"));
    assert_true(for_entry("https://port.com:81/", "//port.com:81"));
    assert_true(for_entry("https://port.com", "//port.com:443"));
    assert_true(for_entry("wss://port.com", "//port.com:443"));
    assert_true(for_entry("ws://port.com", "//port.com:80"));
    assert_true(for_entry("http://a.com:8080", "http://a.com:8080/path?q#f"));
    assert_false(for_entry("http://notallowed.com/", "//example.com"));
    assert_false(for_entry("https://scheme.com/", "http://scheme.com"));
    assert_false(for_entry("ws://scheme.com/", "http://scheme.com"));
    assert_false(for_entry("http://scheme.com:8080/", "http://scheme.com"));
    assert_false(for_entry("http://port.com:82/", "//port.com:81"));
    assert_false(for_entry("http://port.com", "//port.com:81"));
    assert_false(for_entry("custom://port.com", "//port.com:80"));
    assert_false(for_entry("http://EXAMPLE.com", "//example.com"));
}

static void a_star_is_the_host_and_all_below(void **state)
{
    (void)state;
    assert_true(for_entry("http://org1.ex.com", "http://*.ex.com"));
    assert_true(for_entry("http://a.b.ex.com", "//*.ex.com"));
    assert_true(for_entry("http://ex.com", "//*.ex.com"));
    assert_true(for_entry("https://foo.ex.com:81", "//*.ex.com:81"));
    assert_false(for_entry("http://org1.prefix-ex.com", "//*.ex.com"));
    assert_false(for_entry("http://prefix-ex.com", "//*.ex.com"));
    assert_false(for_entry("http://ex.com.evil.example", "//*.ex.com"));
    assert_false(for_entry("https://org1.ex.com", "http://*.ex.com"));
    assert_false(for_entry("http://org1.ex.com", "//ex.com"));
    assert_false(for_entry("http://m", "//*.com"));
}

static void addresses_have_brackets(void **state)
{
    (void)state;
    assert_true(for_entry("http://[::1]", "http://[::1]"));
    assert_true(for_entry("http://[::1]:4000", "//[::1]:4000"));
    assert_true(for_entry("http://[fe80::1.2.3.4]", "//[fe80::1.2.3.4]"));
    assert_false(for_entry("http://[::1]:4000", "http://[::1]"));
    assert_false(for_entry("http://[::2]", "//[::1]"));
}

static void a_list_allows_what_any_entry_does(void **state)
{
    const char *const list[] = { "//a.com", "https://b.com", "//*.c.com", NULL };
    const char *const none[] = { NULL };
    channels_header headers[2];
    channels_request req = request(headers, "https://x.c.com", NULL, false);
    (void)state;
    assert_true(channels__origin_allowed(CHANNELS_ORIGIN_LIST, NULL, list, &req));
    assert_false(channels__origin_allowed(CHANNELS_ORIGIN_LIST, NULL, none, &req));
}

static void same_compares_scheme_host_and_port(void **state)
{
    (void)state;
    assert_true(for_same("http://example.com", "example.com", false));
    assert_true(for_same("http://example.com:80", "example.com", false));
    assert_true(for_same("http://example.com", "example.com:80", false));
    assert_true(for_same("http://example.com:4000", "example.com:4000", false));
    assert_true(for_same("https://example.com", "example.com:443", true));
    assert_true(for_same("http://[::1]:4000", "[::1]:4000", false));
    assert_false(for_same("https://example.com", "example.com", false));
    assert_false(for_same("http://example.com", "example.com", true));
    assert_false(for_same("ws://example.com", "example.com", false));
    assert_false(for_same("wss://example.com", "example.com", true));
    assert_false(for_same("http://www.example.com", "example.com", false));
    assert_false(for_same("https://example.com:4000", "example.com", true));
    assert_false(for_same("//example.com:80", "example.com", false));
    assert_false(for_same("http://example.com", "", false));
    assert_false(for_same("http://example.com", NULL, false));
}

static void strange_ports(void **state)
{
    (void)state;
    assert_true(for_entry("http://a.com:", "http://a.com"));
    assert_true(for_entry("http://a.com:0080", "http://a.com"));
    assert_false(for_entry("http://a.com:0", "http://a.com"));
    assert_false(for_entry("http://a.com:4294967376", "http://a.com"));
    assert_false(for_entry("http://a.com:18446744073709551696", "http://a.com"));
}

static void entries_need_a_host(void **state)
{
    (void)state;
    assert_true(channels__origin_entry_valid("https://example.com"));
    assert_true(channels__origin_entry_valid("//host:81"));
    assert_true(channels__origin_entry_valid("//*.x"));
    assert_true(channels__origin_entry_valid("//[::1]"));
    assert_false(channels__origin_entry_valid("example.com"));
    assert_false(channels__origin_entry_valid("localhost:4000"));
    assert_false(channels__origin_entry_valid(""));
    assert_false(channels__origin_entry_valid("//"));
    assert_false(channels__origin_entry_valid("http://"));
    assert_false(channels__origin_entry_valid("http://:80"));
    assert_false(channels__origin_entry_valid("null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_origin_is_always_allowed),
        cmocka_unit_test(any_allows_all),
        cmocka_unit_test(only_the_first_origin_counts),
        cmocka_unit_test(host_looks_at_nothing_else),
        cmocka_unit_test(an_origin_without_host_is_refused),
        cmocka_unit_test(entries_fix_what_they_say),
        cmocka_unit_test(a_star_is_the_host_and_all_below),
        cmocka_unit_test(addresses_have_brackets),
        cmocka_unit_test(a_list_allows_what_any_entry_does),
        cmocka_unit_test(same_compares_scheme_host_and_port),
        cmocka_unit_test(strange_ports),
        cmocka_unit_test(entries_need_a_host),
    };
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
