/* aead.h - XChaCha20-Poly1305, which OpenSSL does not have: the one user of libsodium, and the one
 * place that knows whether it was there when the library was built. */
#ifndef CHANNELS_BASE_AEAD_H
#define CHANNELS_BASE_AEAD_H

#include "base/str.h"

#define CHANNELS__AEAD_KEY 32u
#define CHANNELS__AEAD_NONCE 24u
#define CHANNELS__AEAD_TAG 16u

/* CHANNELS_OK, or CHANNELS_ERR_UNSUPPORTED if there is none of it. */
int channels__aead_available(void);
/* Seals `text` into `dst`, which has as many bytes, and `tag`. */
void channels__aead_seal(const void *key, const void *nonce, channels__str aad, channels__str text,
                         void *dst, void *tag);
/* The other way round; false, with nothing of it in `dst`, if the box is not genuine. */
bool channels__aead_open(const void *key, const void *nonce, channels__str aad, channels__str box,
                         const void *tag, void *dst);

#endif
