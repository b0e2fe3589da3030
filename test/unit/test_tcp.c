/* test_tcp.c - channels/adapters/tcp.h: what a stream's other end is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <channels/adapters/tcp.h>
#include <net/if.h>

static struct sockaddr_storage ipv4(const char *host, uint16_t port)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in *in = (struct sockaddr_in *)&addr;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, host, &in->sin_addr), 1);
    return addr;
}

static struct sockaddr_storage ipv6(const char *host, uint16_t port, uint32_t scope)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&addr;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    in->sin6_scope_id = scope;
    assert_int_equal(inet_pton(AF_INET6, host, &in->sin6_addr), 1);
    return addr;
}

static void is_called(struct sockaddr_storage addr, const char *name)
{
    char peer[CHANNELS_TCP_PEER_SIZE];
    channels_tcp__name(&addr, peer);
    assert_string_equal(peer, name);
}

static void addresses(void **state)
{
    (void)state;
    is_called(ipv4("192.0.2.1", 4711), "192.0.2.1:4711");
    is_called(ipv4("0.0.0.0", 0), "0.0.0.0:0");
    is_called(ipv4("255.255.255.255", 65535), "255.255.255.255:65535");
    is_called(ipv4("10.20.100.9", 80), "10.20.100.9:80");
    is_called(ipv6("2001:db8::1", 4711, 0), "[2001:db8::1]:4711");
    is_called(ipv6("::", 1, 0), "[::]:1");
    is_called(ipv6("::ffff:192.0.2.1", 4711, 0), "[::ffff:192.0.2.1]:4711");
    is_called(ipv6("2001:db8:1111:2222:3333:4444:5555:6666", 65535, 0),
              "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
}

/* As getnameinfo() names it: by its interface if there is one of that number. */
static void scopes(void **state)
{
    char name[IF_NAMESIZE], expected[CHANNELS_TCP_PEER_SIZE];
    (void)state;
    is_called(ipv6("2001:db8::1", 80, 7), "[2001:db8::1%7]:80");
    assert_non_null(if_indextoname(1, name));
    snprintf(expected, sizeof expected, "[fe80::1%%%s]:80", name);
    is_called(ipv6("fe80::1", 80, 1), expected);
}

static void others(void **state)
{
    (void)state;
    is_called((struct sockaddr_storage){ .ss_family = AF_UNIX }, "");
    is_called((struct sockaddr_storage){ .ss_family = AF_UNSPEC }, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(addresses), cmocka_unit_test(scopes),
                                        cmocka_unit_test(others) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
