/* longpoll_token.h - the token of a long-poll session: which session of which node it is, and a
 * signature that nobody else can make. To the client it is a word.
 *
 *     version   1 byte
 *     ref       of the session in its endpoint, 8 bytes
 *     nonce     random, 16 bytes: the session is known by it when a ref is used again
 *     node      whose session it is, and up to two NULs; nothing if no other node could ask for it
 *     HMAC-SHA256 of these under the endpoint's key, 32 bytes
 *
 * The NULs make that a multiple of three, so that no two texts stand for one token: one that is
 * kept is recognised by its text, and a signature computed only for those of others. */
#ifndef CHANNELS_WIRE_LONGPOLL_TOKEN_H
#define CHANNELS_WIRE_LONGPOLL_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"

#define CHANNELS__LONGPOLL_NONCE 16u
#define CHANNELS__LONGPOLL_NODE 255u /* bytes of a name, which config.node is held to */
#define CHANNELS__LONGPOLL_TOKEN \
    (1 + 8 + CHANNELS__LONGPOLL_NONCE + CHANNELS__LONGPOLL_NODE + CHANNELS__SHA256)
#define CHANNELS__LONGPOLL_TOKEN_TEXT CHANNELS__BASE64_SIZE(CHANNELS__LONGPOLL_TOKEN)

/* The length of one that says whose session it is by this node, which may be "". */
size_t channels__longpoll_token_len(const char *node);
/* Writes one into `text`, of that length and a NUL. False if memory ran out. */
bool channels__longpoll_token_write(const unsigned char key[CHANNELS__SHA256], uint64_t ref,
                                    const unsigned char nonce[CHANNELS__LONGPOLL_NONCE],
                                    const char *node, char *text);
/* The ref that a text would have, which anybody may have written; 0, which is no session's, if it
 * cannot be a token. */
uint64_t channels__longpoll_token_ref(const char *text);
/* In a time that tells nothing of `token` but its length. */
bool channels__longpoll_token_is(const char *token, const char *text);
/* The node that it names. False, and "", if the signature is not ours: it is looked at before
 * anything else. */
bool channels__longpoll_token_node(const unsigned char key[CHANNELS__SHA256], const char *text,
                                   char node[CHANNELS__LONGPOLL_NODE + 1]);

#endif
