/* longpoll_token.h - the token of a long-poll session: which session of which node it is, and a
 * signature that nobody else can make. To the client it is a word.
 *
 *     version   1 byte
 *     ref       of the session in its endpoint, 8 bytes
 *     nonce     random, 16 bytes: the session is known by it when a ref is used again
 *     node      whose session it is, and up to two NULs; nothing if no other node could ask for it
 *     HMAC-SHA256 of these under the endpoint's key, 32 bytes
 *
 * The NULs make that a multiple of three, so that no two texts stand for one token. */
#ifndef CHANNELS_WIRE_LONGPOLL_TOKEN_H
#define CHANNELS_WIRE_LONGPOLL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"

#define CHANNELS__LONGPOLL_NONCE 16u
#define CHANNELS__LONGPOLL_NODE 255u /* bytes of a name, which config.node is held to */
#define CHANNELS__LONGPOLL_TOKEN \
    (1 + 8 + CHANNELS__LONGPOLL_NONCE + CHANNELS__LONGPOLL_NODE + CHANNELS__SHA256)
#define CHANNELS__LONGPOLL_TOKEN_TEXT CHANNELS__BASE64_SIZE(CHANNELS__LONGPOLL_TOKEN)

typedef struct channels__longpoll_token { /* all but the node */
    uint64_t ref;
    unsigned char nonce[CHANNELS__LONGPOLL_NONCE];
    unsigned char mac[CHANNELS__SHA256];
} channels__longpoll_token;

/* Sets token->mac by the rest and `node`, which may be "". False if memory ran out. */
bool channels__longpoll_token_sign(const unsigned char key[CHANNELS__SHA256], const char *node,
                                   channels__longpoll_token *token);
/* The length of the text. */
size_t channels__longpoll_token_write(const channels__longpoll_token *token, const char *node,
                                      char text[CHANNELS__LONGPOLL_TOKEN_TEXT]);
/* False if the signature is not ours. The signature is looked at before anything else. */
bool channels__longpoll_token_read(const unsigned char key[CHANNELS__SHA256], const char *text,
                                   channels__longpoll_token *token,
                                   char node[CHANNELS__LONGPOLL_NODE + 1]);
/* In a time that depends on nothing; with their nodes, which the signatures cover. */
bool channels__longpoll_token_equal(const channels__longpoll_token *a,
                                    const channels__longpoll_token *b);

#endif
