/* crypto.h - the few things that need cryptography, all of them OpenSSL's: the one user of
 * libcrypto. */
#ifndef CHANNELS_BASE_CRYPTO_H
#define CHANNELS_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNELS__SHA1_BASE64 29u /* with the NUL */

/* 0, or negative if there are none to be had. */
int channels__random(void *dst, size_t n);
/* The SHA-1 of `a` followed by `b`, as base64. False if memory ran out. */
bool channels__sha1_base64(const char *a, const char *b, char dst[CHANNELS__SHA1_BASE64]);

#endif
