/* longpoll_token.c - see longpoll_token.h. */
#include "wire/longpoll_token.h"

#include <string.h>

#define VERSION 1u
#define HEAD (1 + 8 + CHANNELS__LONGPOLL_NONCE) /* in front of the node */
#define LEAST (HEAD + CHANNELS__SHA256)
#define REF_TEXT 12u /* version and ref, which are nine bytes */

_Static_assert(LEAST % 3 == 0, "only the node needs NULs");
_Static_assert(CHANNELS__LONGPOLL_NODE % 3 == 0, "the longest node needs none");

static size_t room_of(const char *node)
{
    return (strlen(node) + 2) / 3 * 3;
}

size_t channels__longpoll_token_len(const char *node)
{
    return (LEAST + room_of(node)) / 3 * 4;
}

bool channels__longpoll_token_write(const unsigned char key[CHANNELS__SHA256], uint64_t ref,
                                    const unsigned char nonce[CHANNELS__LONGPOLL_NONCE],
                                    const char *node, char *text)
{
    unsigned char bytes[CHANNELS__LONGPOLL_TOKEN];
    size_t n = HEAD + room_of(node);
    bytes[0] = VERSION;
    for (unsigned i = 0; i < 8; i++)
        bytes[1 + i] = (unsigned char)(ref >> (56 - 8 * i));
    memcpy(bytes + 9, nonce, CHANNELS__LONGPOLL_NONCE);
    memset(bytes + HEAD, 0, n - HEAD);
    memcpy(bytes + HEAD, node, strlen(node));
    if (!channels__hmac_sha256(key, CHANNELS__SHA256, bytes, n, bytes + n))
        return false;
    channels__base64url_encode(bytes, n + CHANNELS__SHA256, text);
    return true;
}

uint64_t channels__longpoll_token_ref(const char *text)
{
    unsigned char bytes[REF_TEXT];
    uint64_t ref = 0;
    if (strnlen(text, REF_TEXT) < REF_TEXT ||
        channels__base64_decode(text, REF_TEXT, true, false, bytes) < 0 || bytes[0] != VERSION)
        return 0;
    for (unsigned i = 1; i <= 8; i++)
        ref = ref << 8 | bytes[i];
    return ref;
}

bool channels__longpoll_token_is(const char *token, const char *text)
{
    size_t n = strlen(token);
    return strlen(text) == n && channels__secret_equal(token, text, n);
}

bool channels__longpoll_token_node(const unsigned char key[CHANNELS__SHA256], const char *text,
                                   char node[CHANNELS__LONGPOLL_NODE + 1])
{
    unsigned char bytes[CHANNELS__LONGPOLL_TOKEN + 3], mac[CHANNELS__SHA256];
    size_t n = strlen(text);
    node[0] = '\0';
    if (n >= CHANNELS__LONGPOLL_TOKEN_TEXT || n % 4 != 0 || n / 4 * 3 < LEAST ||
        channels__base64_decode(text, n, true, false, bytes) < 0)
        return false;
    n = n / 4 * 3 - CHANNELS__SHA256;
    if (!channels__hmac_sha256(key, CHANNELS__SHA256, bytes, n, mac) ||
        !channels__secret_equal(mac, bytes + n, sizeof mac) || bytes[0] != VERSION)
        return false;
    memcpy(node, bytes + HEAD, n - HEAD);
    node[n - HEAD] = '\0';
    return true;
}
