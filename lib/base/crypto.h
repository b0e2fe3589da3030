/* crypto.h - the few things that need cryptography, all of them OpenSSL's: the one user of
 * libcrypto. */
#ifndef CHANNELS_BASE_CRYPTO_H
#define CHANNELS_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNELS__SHA1_BASE64 29u /* with the NUL */
#define CHANNELS__SHA256 32u
#define CHANNELS__BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1) /* with the NUL */

/* 0, or negative if there are none to be had. */
int channels__random(void *dst, size_t n);
/* The SHA-1 of `a` followed by `b`, as base64. False if memory ran out. */
bool channels__sha1_base64(const char *a, const char *b, char dst[CHANNELS__SHA1_BASE64]);
/* False if memory ran out. */
bool channels__hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                           unsigned char dst[CHANNELS__SHA256]);
/* In a time that depends on `n` alone. */
bool channels__secret_equal(const void *a, const void *b, size_t n);

/* Base64 in the alphabet of URLs, without padding: the length of the text, which has a NUL behind
 * it; `dst` has CHANNELS__BASE64_SIZE(n) bytes. */
size_t channels__base64url_encode(const void *src, size_t n, char *dst);
/* In the alphabet of URLs or the standard one, padded to a multiple of four or not at all. The
 * length, or -1 if the text is anything else; `dst` has n / 4 * 3 + 3 bytes. */
ptrdiff_t channels__base64_decode(const char *src, size_t n, bool url, bool padded, void *dst);

#endif
