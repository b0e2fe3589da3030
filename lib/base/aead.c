/* aead.c - see aead.h. CHANNELS__SODIUM comes from the Makefile. */
#include "base/aead.h"

#include "channels/channels.h"

#ifdef CHANNELS__SODIUM

#include <sodium.h>

/* Its first call chooses the fastest code for this machine, under a lock. */
int channels__aead_available(void)
{
    return sodium_init() >= 0 ? CHANNELS_OK : CHANNELS_ERR_UNSUPPORTED;
}

void channels__aead_seal(const void *key, const void *nonce, channels__str aad, channels__str text,
                         void *dst, void *tag)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        dst, tag, NULL, (const unsigned char *)text.p, text.n, (const unsigned char *)aad.p,
        aad.n, NULL, nonce, key);
}

bool channels__aead_open(const void *key, const void *nonce, channels__str aad, channels__str box,
                         const void *tag, void *dst)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
               dst, NULL, (const unsigned char *)box.p, box.n, tag, (const unsigned char *)aad.p,
               aad.n, nonce, key) == 0;
}

#else

int channels__aead_available(void)
{
    return CHANNELS_ERR_UNSUPPORTED;
}

void channels__aead_seal(const void *key, const void *nonce, channels__str aad, channels__str text,
                         void *dst, void *tag)
{
    (void)key, (void)nonce, (void)aad, (void)text, (void)dst, (void)tag;
}

bool channels__aead_open(const void *key, const void *nonce, channels__str aad, channels__str box,
                         const void *tag, void *dst)
{
    (void)key, (void)nonce, (void)aad, (void)box, (void)tag, (void)dst;
    return false;
}

#endif
