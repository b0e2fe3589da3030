/* crypto.h - the few things that need cryptography, all of them OpenSSL's: the one user of
 * libcrypto. */
#ifndef CHANNELS_BASE_CRYPTO_H
#define CHANNELS_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "channels/token.h"

#define CHANNELS__SHA1_BASE64 29u /* with the NUL */
#define CHANNELS__SHA256 32u
#define CHANNELS__DIGEST_MAX 64u /* of the longest, SHA-512 */
#define CHANNELS__AES_GCM_NONCE 12u
#define CHANNELS__AES_GCM_TAG 16u
#define CHANNELS__BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1) /* with the NUL */

/* 0, or negative if there are none to be had. */
int channels__random(void *dst, size_t n);
/* SHA-1, found among OpenSSL's digests once: to look for it costs as much as to use it. */
typedef struct channels__sha1 {
    struct evp_md_ctx_st *ctx;
} channels__sha1;
bool channels__sha1_init(channels__sha1 *sha1); /* false if memory ran out */
void channels__sha1_deinit(channels__sha1 *sha1);
/* The digest of `a` followed by `b`, as base64. False if memory ran out. */
bool channels__sha1_base64(channels__sha1 *sha1, const char *a, const char *b,
                           char dst[CHANNELS__SHA1_BASE64]);
/* False if memory ran out. */
bool channels__hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                           unsigned char dst[CHANNELS__SHA256]);
/* The same with any digest: its length, or 0 if memory ran out. */
size_t channels__hmac(channels_digest digest, const void *key, size_t key_len, const void *data,
                      size_t len, unsigned char dst[CHANNELS__DIGEST_MAX]);
/* A key of `len` bytes from a password, by HMAC (RFC 8018). False if memory ran out. */
bool channels__pbkdf2(channels_digest digest, uint32_t iterations, channels__str password,
                      channels__str salt, unsigned char *dst, size_t len);
/* A box of AES in Galois/Counter Mode, opened to `dst`, as many bytes as `box`; may be in place.
 * CHANNELS_ERR_INVALID if it is not genuine or the key is not of 16, 24 or 32 bytes,
 * CHANNELS_ERR_NOMEM. */
int channels__aes_gcm_open(channels__str key, const void *nonce, channels__str aad,
                           channels__str box, const void *tag, void *dst);
/* Overwrites a secret, whatever the optimizer thinks of it. */
void channels__wipe(void *p, size_t n);
/* In a time that depends on `n` alone. */
bool channels__secret_equal(const void *a, const void *b, size_t n);

/* Base64 in the alphabet of URLs, without padding: the length of the text, which has a NUL behind
 * it; `dst` has CHANNELS__BASE64_SIZE(n) bytes. */
size_t channels__base64url_encode(const void *src, size_t n, char *dst);
/* In the alphabet of URLs or the standard one, padded to a multiple of four or not at all. The
 * length, or -1 if the text is anything else; `dst` has n / 4 * 3 + 3 bytes. */
ptrdiff_t channels__base64_decode(const char *src, size_t n, bool url, bool padded, void *dst);

#endif
