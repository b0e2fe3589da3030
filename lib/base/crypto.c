/* crypto.c - see crypto.h. What fails here leaves nothing in the thread's queue of OpenSSL errors,
 * where a host that uses OpenSSL itself would find it. */
#include "base/crypto.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

int channels__random(void *dst, size_t n)
{
    ERR_set_mark();
    bool ok = n <= INT_MAX && RAND_bytes(dst, (int)n) == 1;
    ERR_pop_to_mark();
    return ok ? 0 : -1;
}

bool channels__sha1_base64(const char *a, const char *b, char dst[CHANNELS__SHA1_BASE64])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    ERR_set_mark();
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, strlen(a)) == 1 &&
              EVP_DigestUpdate(ctx, b, strlen(b)) == 1 && EVP_DigestFinal_ex(ctx, digest, &n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_pop_to_mark();
    if (ok)
        EVP_EncodeBlock((unsigned char *)dst, digest, (int)n);
    return ok;
}
