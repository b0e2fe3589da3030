/* test_hash.c - SipHash-1-3 against another implementation's results (CPython's hash of bytes under
 * a zero key, Linux' hsiphash under the key of the paper), and that the key matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static void fill(unsigned char *bytes, size_t n, unsigned first)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(first + i);
}

static void known_results(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } of_zero_key[] = {
        { 1, 0x44bc103b1f8540ed },  { 7, 0xb1cd85cc334196fa },  { 8, 0x884ccc87cb0e5fb0 },
        { 9, 0x027ed508fe95acb3 },  { 15, 0x75e46d4257851550 }, { 16, 0xe05d12a0a4b2d063 },
        { 17, 0x85e152444239b234 }, { 63, 0x6bafe9f92616651b },
    };
    static const uint32_t of_counting_key[] = { 0x050fc4dc, 0x7d57ca93, 0x4dc7d44d,
                                                0xe7ddf7fb, 0x88d38328, 0x49533b67 };
    static const channels__hash_key zero = { 0, 0 };
    static const channels__hash_key counting = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    unsigned char bytes[64];
    const uint16_t one = 1;
    (void)state;
    if (*(const unsigned char *)&one != 1)
        return; /* words are read in the machine's order */
    fill(bytes, sizeof bytes, 1);
    for (size_t i = 0; i < sizeof of_zero_key / sizeof *of_zero_key; i++)
        assert_true(channels__hash(&zero, bytes, of_zero_key[i].len) == of_zero_key[i].hash);
    fill(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof of_counting_key / sizeof *of_counting_key; i++)
        assert_int_equal((uint32_t)channels__hash(&counting, bytes, i), of_counting_key[i]);
}

/* Wherever it stands in memory, and not a byte beyond its end. */
static void any_place(void **state)
{
    static const channels__hash_key key = { 1, 2 };
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        unsigned char text[48];
        fill(text, len, 7);
        for (size_t at = 0; at < 8; at++) {
            unsigned char *block = malloc(at + len != 0 ? at + len : 1);
            memcpy(block + at, text, len);
            assert_true(channels__hash(&key, block + at, len) == channels__hash(&key, text, len));
            free(block);
        }
    }
}

static void the_key_matters(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 128; bit++) {
        channels__hash_key a = { 3, 4 }, b = a;
        *(bit < 64 ? &b.k0 : &b.k1) ^= UINT64_C(1) << bit % 64;
        assert_true(channels__hash(&a, "room:lobby", 10) != channels__hash(&b, "room:lobby", 10));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_results),
        cmocka_unit_test(any_place),
        cmocka_unit_test(the_key_matters),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
