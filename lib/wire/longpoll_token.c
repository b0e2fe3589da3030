/* longpoll_token.c - see longpoll_token.h. */
#include "wire/longpoll_token.h"

#include <string.h>

#define VERSION 1u
#define SIGNED (CHANNELS__LONGPOLL_TOKEN - CHANNELS__SHA256) /* bytes in front of the signature */

bool channels__longpoll_token_sign(const unsigned char key[CHANNELS__SHA256], uint64_t ref,
                                   const unsigned char nonce[CHANNELS__LONGPOLL_NONCE],
                                   channels__longpoll_token *token)
{
    unsigned char *p = token->bytes;
    *p++ = VERSION;
    for (unsigned shift = 64; shift != 0;)
        *p++ = (unsigned char)(ref >> (shift -= 8));
    memcpy(p, nonce, CHANNELS__LONGPOLL_NONCE);
    return channels__hmac_sha256(key, CHANNELS__SHA256, token->bytes, SIGNED,
                                 token->bytes + SIGNED);
}

void channels__longpoll_token_write(const channels__longpoll_token *token,
                                    char text[CHANNELS__LONGPOLL_TOKEN_TEXT])
{
    channels__base64url_encode(token->bytes, sizeof token->bytes, text);
}

bool channels__longpoll_token_read(const unsigned char key[CHANNELS__SHA256], const char *text,
                                   channels__longpoll_token *token)
{
    unsigned char bytes[CHANNELS__LONGPOLL_TOKEN + 3], mac[CHANNELS__SHA256];
    size_t n = strlen(text);
    if (n != CHANNELS__LONGPOLL_TOKEN_TEXT - 1 ||
        channels__base64_decode(text, n, true, false, bytes) != CHANNELS__LONGPOLL_TOKEN)
        return false;
    memcpy(token->bytes, bytes, sizeof token->bytes);
    return channels__hmac_sha256(key, CHANNELS__SHA256, bytes, SIGNED, mac) &&
           channels__secret_equal(mac, bytes + SIGNED, sizeof mac) && bytes[0] == VERSION;
}

uint64_t channels__longpoll_token_ref(const channels__longpoll_token *token)
{
    uint64_t ref = 0;
    for (unsigned i = 1; i <= 8; i++)
        ref = ref << 8 | token->bytes[i];
    return ref;
}

bool channels__longpoll_token_equal(const channels__longpoll_token *a,
                                    const channels__longpoll_token *b)
{
    return channels__secret_equal(a->bytes, b->bytes, sizeof a->bytes);
}
