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

bool channels__sha1_init(channels__sha1 *sha1)
{
    ERR_set_mark();
    sha1->ctx = EVP_MD_CTX_new();
    bool ok = sha1->ctx != NULL && EVP_DigestInit_ex(sha1->ctx, EVP_sha1(), NULL) == 1;
    ERR_pop_to_mark();
    if (!ok)
        channels__sha1_deinit(sha1);
    return ok;
}

void channels__sha1_deinit(channels__sha1 *sha1)
{
    EVP_MD_CTX_free(sha1->ctx);
    sha1->ctx = NULL;
}

bool channels__sha1_base64(channels__sha1 *sha1, const char *a, const char *b,
                           char dst[CHANNELS__SHA1_BASE64])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = sha1->ctx;
    ERR_set_mark();
    bool ok = EVP_DigestInit_ex(ctx, NULL, NULL) == 1 && /* the same again */
              EVP_DigestUpdate(ctx, a, strlen(a)) == 1 &&
              EVP_DigestUpdate(ctx, b, strlen(b)) == 1 && EVP_DigestFinal_ex(ctx, digest, &n) == 1;
    ERR_pop_to_mark();
    if (ok)
        EVP_EncodeBlock((unsigned char *)dst, digest, (int)n);
    return ok;
}

static const EVP_MD *digest_of(channels_digest digest)
{
    switch (digest) {
    case CHANNELS_SHA384: return EVP_sha384();
    case CHANNELS_SHA512: return EVP_sha512();
    case CHANNELS_SHA1: return EVP_sha1();
    default: return EVP_sha256();
    }
}

size_t channels__hmac(channels_digest digest, const void *key, size_t key_len, const void *data,
                      size_t len, unsigned char dst[CHANNELS__DIGEST_MAX])
{
    unsigned n = 0;
    ERR_set_mark();
    bool ok = key_len <= INT_MAX &&
              HMAC(digest_of(digest), key, (int)key_len, data, len, dst, &n) != NULL;
    ERR_pop_to_mark();
    return ok ? n : 0;
}

bool channels__hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                           unsigned char dst[CHANNELS__SHA256])
{
    unsigned char mac[CHANNELS__DIGEST_MAX];
    if (channels__hmac(CHANNELS_SHA256, key, key_len, data, len, mac) == 0)
        return false;
    memcpy(dst, mac, CHANNELS__SHA256);
    return true;
}

bool channels__pbkdf2(channels_digest digest, uint32_t iterations, channels__str password,
                      channels__str salt, unsigned char *dst, size_t len)
{
    ERR_set_mark();
    bool ok = password.n <= INT_MAX && salt.n <= INT_MAX && len <= INT_MAX &&
              iterations <= INT_MAX &&
              PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p,
                                (int)salt.n, (int)iterations, digest_of(digest), (int)len,
                                dst) == 1;
    ERR_pop_to_mark();
    return ok;
}

static const EVP_CIPHER *aes_gcm_of(size_t key_len)
{
    switch (key_len) {
    case 16: return EVP_aes_128_gcm();
    case 24: return EVP_aes_192_gcm();
    case 32: return EVP_aes_256_gcm();
    default: return NULL;
    }
}

/* The plain text is there before the tag has been compared; it is wiped if that fails. */
static bool gcm_open(EVP_CIPHER_CTX *ctx, channels__str aad, channels__str box, const void *tag,
                     unsigned char *dst)
{
    unsigned char expected[CHANNELS__AES_GCM_TAG];
    int n;
    memcpy(expected, tag, sizeof expected); /* OpenSSL wants one that is not const */
    bool ok = (aad.n == 0 ||
               EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) == 1) &&
              EVP_DecryptUpdate(ctx, dst, &n, (const unsigned char *)box.p, (int)box.n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof expected, expected) == 1 &&
              EVP_DecryptFinal_ex(ctx, dst + n, &n) == 1;
    if (!ok)
        OPENSSL_cleanse(dst, box.n);
    return ok;
}

int channels__aes_gcm_open(channels__str key, const void *nonce, channels__str aad,
                           channels__str box, const void *tag, void *dst)
{
    const EVP_CIPHER *cipher = aes_gcm_of(key.n);
    if (cipher == NULL || box.n > INT_MAX || aad.n > INT_MAX)
        return CHANNELS_ERR_INVALID;
    ERR_set_mark();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int err = CHANNELS_ERR_NOMEM;
    if (ctx != NULL &&
        EVP_DecryptInit_ex(ctx, cipher, NULL, (const unsigned char *)key.p, nonce) == 1)
        err = gcm_open(ctx, aad, box, tag, dst) ? CHANNELS_OK : CHANNELS_ERR_INVALID;
    EVP_CIPHER_CTX_free(ctx);
    ERR_pop_to_mark();
    return err;
}

void channels__wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
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
