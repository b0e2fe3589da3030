/* longpoll_token.c - see longpoll_token.h. */
#include "wire/longpoll_token.h"

#include <string.h>

#define VERSION 1u
#define HEAD (1 + 8 + CHANNELS__LONGPOLL_NONCE) /* in front of the node */
#define LEAST (HEAD + CHANNELS__SHA256)

_Static_assert(LEAST % 3 == 0, "only the node needs NULs");
_Static_assert(CHANNELS__LONGPOLL_NODE % 3 == 0, "the longest node needs none");

/* What is signed, in front of the signature: how many bytes. */
static size_t put_signed(const channels__longpoll_token *token, const char *node,
                         unsigned char bytes[CHANNELS__LONGPOLL_TOKEN])
{
    size_t n = strlen(node), room = (n + 2) / 3 * 3;
    unsigned char *p = bytes;
    *p++ = VERSION;
    for (unsigned shift = 64; shift != 0;)
        *p++ = (unsigned char)(token->ref >> (shift -= 8));
    memcpy(p, token->nonce, CHANNELS__LONGPOLL_NONCE);
    memset(bytes + HEAD, 0, room);
    memcpy(bytes + HEAD, node, n);
    return HEAD + room;
}

bool channels__longpoll_token_sign(const unsigned char key[CHANNELS__SHA256], const char *node,
                                   channels__longpoll_token *token)
{
    unsigned char bytes[CHANNELS__LONGPOLL_TOKEN];
    size_t n = put_signed(token, node, bytes);
    return channels__hmac_sha256(key, CHANNELS__SHA256, bytes, n, token->mac);
}

size_t channels__longpoll_token_write(const channels__longpoll_token *token, const char *node,
                                      char text[CHANNELS__LONGPOLL_TOKEN_TEXT])
{
    unsigned char bytes[CHANNELS__LONGPOLL_TOKEN];
    size_t n = put_signed(token, node, bytes);
    memcpy(bytes + n, token->mac, sizeof token->mac);
    return channels__base64url_encode(bytes, n + sizeof token->mac, text);
}

static void take(const unsigned char *p, size_t signed_len, channels__longpoll_token *token,
                 char node[CHANNELS__LONGPOLL_NODE + 1])
{
    token->ref = 0;
    for (unsigned i = 1; i <= 8; i++)
        token->ref = token->ref << 8 | p[i];
    memcpy(token->nonce, p + 9, sizeof token->nonce);
    memcpy(node, p + HEAD, signed_len - HEAD);
    node[signed_len - HEAD] = '\0';
    memcpy(token->mac, p + signed_len, sizeof token->mac);
}

bool channels__longpoll_token_read(const unsigned char key[CHANNELS__SHA256], const char *text,
                                   channels__longpoll_token *token,
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
    take(bytes, n, token, node);
    return true;
}

bool channels__longpoll_token_equal(const channels__longpoll_token *a,
                                    const channels__longpoll_token *b)
{
    return channels__secret_equal(a->mac, b->mac, sizeof a->mac);
}
