/* test_request.c - lib/wire/request.c: headers, which of them connect() is shown, the URI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/request.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void shown(void **state)
{
    static const channels_header headers[] = { { "Host", "a" },
                                               { "Cookie", "secret" },
                                               { "X-Forwarded-For", "1" },
                                               { "x-", "2" },
                                               { "xx", "no" },
                                               { "ORIGIN", "b" },
                                               { "user-agent", "c" },
                                               { "authorization", "secret" },
                                               { "TraceParent", "d" },
                                               { "tracestate", "e" },
                                               { "Sec-WebSocket-Key", "f" },
                                               { "sec-websocket", "no" },
                                               { "sec-fetch-mode", "no" },
                                               { "X-Forwarded-For", "3" },
                                               { "", "no" },
                                               { "proxy-authorization", "secret" } };
    static const char *const want[] = { "a", "1", "2", "b", "c", "d", "e", "f", "3" };
    const channels_request req = { .headers = headers, .nheaders = COUNT(headers) };
    channels_header dst[COUNT(headers)];
    (void)state;
    assert_int_equal(channels__headers_shown(&req, false, dst), COUNT(want));
    for (size_t i = 0; i < COUNT(want); i++)
        assert_string_equal(dst[i].value, want[i]);
    assert_int_equal(channels__headers_shown(&req, true, dst), COUNT(headers));
    assert_memory_equal(dst, headers, sizeof headers);
    assert_int_equal(channels__headers_shown(&(channels_request){ 0 }, true, NULL), 0);
}

static void uris(void **state)
{
    static const channels_header host = { "host", "example.com:4000" };
    channels_request req = {
        .path = "/socket/websocket", .query = "a=1&b", .headers = &host, .nheaders = 1
    };
    char text[64], few[10];
    (void)state;
    assert_int_equal(channels_request_uri(&req, text, sizeof text), 46);
    assert_string_equal(text, "http://example.com:4000/socket/websocket?a=1&b");
    assert_int_equal(channels_request_uri(&req, few, sizeof few), 46);
    assert_string_equal(few, "http://ex");
    assert_int_equal(channels_request_uri(&req, NULL, 0), 46);
    req.tls = true;
    req.query = "";
    channels_request_uri(&req, text, sizeof text);
    assert_string_equal(text, "https://example.com:4000/socket/websocket");
    req.nheaders = 0;
    assert_int_equal(channels_request_uri(&req, text, sizeof text), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shown), cmocka_unit_test(uris) };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
