/* crypto.c - see crypto.h. What fails here leaves nothing in the thread's queue of OpenSSL errors,
 * where a host that uses OpenSSL itself would find it. */
#include "base/crypto.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/ascii.h"

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

bool channels__hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                           unsigned char dst[CHANNELS__SHA256])
{
    ERR_set_mark();
    bool ok = key_len <= INT_MAX &&
              HMAC(EVP_sha256(), key, (int)key_len, data, len, dst, NULL) != NULL;
    ERR_pop_to_mark();
    return ok;
}

bool channels__secret_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

/* --- Base64: OpenSSL's, a piece at a time, as it takes only int lengths and knows one alphabet - */

#define PIECE 768u /* bytes: a multiple of three */

static void translate(char *p, size_t n, const char from[3], const char to[3])
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == from[0] || p[i] == from[1])
            p[i] = p[i] == from[0] ? to[0] : to[1];
}

size_t channels__base64url_encode(const void *src, size_t n, char *dst)
{
    const unsigned char *from = src;
    size_t len = 0;
    while (n != 0) {
        size_t piece = n < PIECE ? n : PIECE;
        len += (size_t)EVP_EncodeBlock((unsigned char *)dst + len, from, (int)piece);
        from += piece;
        n -= piece;
    }
    while (len != 0 && dst[len - 1] == '=')
        len--;
    translate(dst, len, "+/", "-_");
    dst[len] = '\0';
    return len;
}

/* EVP_DecodeBlock() skips spaces and takes padding for a digit: neither may get that far. */
static bool is_base64(const char *p, size_t n, bool url)
{
    for (size_t i = 0; i < n; i++) {
        bool other = url ? p[i] == '-' || p[i] == '_' : p[i] == '+' || p[i] == '/';
        if (!channels__is_letter(p[i]) && !channels__is_digit(p[i]) && !other)
            return false;
    }
    return true;
}

static size_t padding(const char *src, size_t n)
{
    size_t pad = 0;
    while (pad < 2 && pad < n && src[n - 1 - pad] == '=')
        pad++;
    return pad;
}

ptrdiff_t channels__base64_decode(const char *src, size_t n, bool url, bool padded, void *dst)
{
    unsigned char *to = dst;
    char text[PIECE / 3 * 4];
    size_t pad = padded ? padding(src, n) : 0, rest = n - pad;
    if ((padded && n % 4 != 0) || rest % 4 == 1 || !is_base64(src, rest, url))
        return -1;
    while (rest != 0) {
        size_t piece = rest < sizeof text ? rest : sizeof text;
        size_t full = (piece + 3) / 4 * 4;
        memcpy(text, src, piece);
        memset(text + piece, 'A', full - piece); /* zero bits, not counted below */
        if (url)
            translate(text, piece, "-_", "+/");
        EVP_DecodeBlock(to, (unsigned char *)text, (int)full);
        to += piece / 4 * 3 + (piece % 4 != 0 ? piece % 4 - 1 : 0);
        src += piece;
        rest -= piece;
    }
    return to - (unsigned char *)dst;
}
