/* token.c - the forms of tokens. Parts are base64 in the alphabet of URLs, without padding, with
 * dots between them:
 *
 *     SFMyNTY . term . mac          signed: HMAC of all before the second dot, by SHA-256
 *     SFMzODQ, SFM1MTI              the same by SHA-384 and SHA-512, read only
 *     XCP . box                     encrypted: nonce, tag, term, by XChaCha20-Poly1305
 *     QTEyOEdDTQ . key . nonce . term . tag
 *                                   encrypted, read only: AES in Galois/Counter Mode with a key of
 *                                   its own, which is wrapped by the same as term, tag, nonce
 *
 * Nothing but the MAC is decoded before the MAC has been found right. (plug_crypto
 * lib/plug/crypto/message_verifier.ex and message_encryptor.ex) */
#include "base/aead.h"
#include "base/crypto.h"
#include "wire/token_term.h"

#define PARTS 5u /* the most a token has */
#define ENCRYPTED_AAD "A128GCM"
#define BOX_HEAD (CHANNELS__AEAD_NONCE + CHANNELS__AEAD_TAG)
#define GCM_KEY 16u /* of the wrapped key */
#define GCM_WRAPPED (GCM_KEY + CHANNELS__AES_GCM_TAG + CHANNELS__AES_GCM_NONCE)
#define DECODED_SIZE(n) ((n) / 4 * 3 + 3) /* what channels__base64_decode() wants */

/* --- Making --------------------------------------------------------------------------------- */

static size_t base64_len(size_t n)
{
    return (n * 4 + 2) / 3;
}

/* Writes the text and a NUL, and not the padding that channels__base64url_encode() takes back. */
static char *put_base64(char *p, const void *src, size_t n)
{
    char rest[CHANNELS__BASE64_SIZE(2)];
    size_t whole = n - n % 3;
    p += channels__base64url_encode(src, whole, p);
    size_t len = channels__base64url_encode((const char *)src + whole, n % 3, rest);
    memcpy(p, rest, len + 1);
    return p + len;
}

static char *put_text(char *p, const char *text)
{
    size_t len = strlen(text);
    memcpy(p, text, len);
    return p + len;
}

static int sign_term(const channels_token_key *key, channels__str term, char *dst, size_t cap)
{
    unsigned char mac[CHANNELS__SHA256];
    if (strlen("SFMyNTY..") + base64_len(term.n) + base64_len(sizeof mac) >= cap)
        return CHANNELS_ERR_LIMIT;
    char *p = put_base64(put_text(dst, "SFMyNTY."), term.p, term.n);
    if (!channels__hmac_sha256(key->bytes, key->len, dst, (size_t)(p - dst), mac))
        return CHANNELS_ERR_NOMEM;
    *p++ = '.';
    return (int)(put_base64(p, mac, sizeof mac) - dst);
}

/* The term lies in the block behind room for the nonce and the tag. */
static int seal_term(const channels_token_key *key, channels__block *box, char *dst, size_t cap)
{
    char *nonce = box->p, *tag = nonce + CHANNELS__AEAD_NONCE, *term = nonce + BOX_HEAD;
    if (strlen("XCP.") + base64_len(box->len) >= cap)
        return CHANNELS_ERR_LIMIT;
    if (channels__random(nonce, CHANNELS__AEAD_NONCE) < 0)
        return CHANNELS_ERR_NOMEM;
    channels__aead_seal(key->bytes, nonce, channels__str_z(ENCRYPTED_AAD),
                        channels__str_n(term, box->len - BOX_HEAD), term, tag);
    return (int)(put_base64(put_text(dst, "XCP."), box->p, box->len) - dst);
}

/* A token that could not be made leaves an empty string, never half of one. */
static int made(int result, char *dst, size_t cap)
{
    if (result < 0 && cap != 0)
        *dst = '\0';
    return result;
}

int channels_token_sign(const channels_token_key *key, channels_token_data data,
                        const channels_token_options *options, char *dst, size_t cap)
{
    channels__block term;
    int result = channels__token_write(key, &data, options, 0, &term);
    if (result == CHANNELS_OK) {
        result = sign_term(key, channels__str_n(term.p, term.len), dst, cap);
        channels__block_free(key, &term);
    }
    return made(result, dst, cap);
}

int channels_token_encrypt(const channels_token_key *key, channels_token_data data,
                           const channels_token_options *options, char *dst, size_t cap)
{
    channels__block box;
    int result = channels__aead_available();
    if (result == CHANNELS_OK && key->len != CHANNELS__AEAD_KEY)
        result = channels__token_mistake(key, "channels_token_encrypt: the key is not of 32 bytes");
    if (result == CHANNELS_OK)
        result = channels__token_write(key, &data, options, BOX_HEAD, &box);
    if (result == CHANNELS_OK) {
        result = seal_term(key, &box, dst, cap);
        channels__block_free(key, &box);
    }
    return made(result, dst, cap);
}

/* --- Reading -------------------------------------------------------------------------------- */

/* The parts of a token; PARTS + 1 if there are more. */
static size_t split(const char *token, channels__str parts[PARTS])
{
    for (size_t i = 0; i < PARTS; i++) {
        size_t n = strcspn(token, ".");
        parts[i] = channels__str_n(token, n);
        if (token[n] == '\0')
            return i + 1;
        token += n + 1;
    }
    return PARTS + 1;
}

/* As Elixir's Base.url_decode64(padding: false), padding may be there. -1 if it is not base64. */
static ptrdiff_t decode(channels__str text, void *dst)
{
    bool padded = text.n != 0 && text.p[text.n - 1] == '=';
    return channels__base64_decode(text.p, text.n, true, padded, dst);
}

/* Decodes to exactly `len` bytes. */
static bool decode_exactly(channels__str text, void *dst, size_t len)
{
    unsigned char bytes[DECODED_SIZE(CHANNELS__BASE64_SIZE(CHANNELS__DIGEST_MAX))];
    if (text.n >= CHANNELS__BASE64_SIZE(len) || decode(text, bytes) != (ptrdiff_t)len)
        return false;
    memcpy(dst, bytes, len);
    return true;
}

static int decode_block(const channels_token_key *key, channels__str text, channels__block *block)
{
    if (!channels__token_fits(key, text.n / 4 * 3))
        return CHANNELS_ERR_LIMIT;
    int err = channels__block_new(key, DECODED_SIZE(text.n), block);
    if (err != CHANNELS_OK)
        return err;
    ptrdiff_t len = decode(text, block->p);
    if (len < 0)
        channels__block_free(key, block);
    block->len = len < 0 ? 0 : (size_t)len;
    return len < 0 ? CHANNELS_TOKEN_INVALID : CHANNELS_OK;
}

static bool digest_named(channels__str name, channels_digest *digest)
{
    static const char names[][8] = { "SFMyNTY", "SFMzODQ", "SFM1MTI" }; /* as in the enum */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (channels__str_is(name, names[i])) {
            *digest = (channels_digest)i;
            return true;
        }
    return false;
}

static int check_mac(const channels_token_key *key, const channels__str parts[])
{
    unsigned char mac[CHANNELS__DIGEST_MAX], shown[CHANNELS__DIGEST_MAX];
    channels_digest digest;
    if (!digest_named(parts[0], &digest))
        return CHANNELS_TOKEN_INVALID;
    size_t text = (size_t)(parts[1].p + parts[1].n - parts[0].p);
    size_t n = channels__hmac(digest, key->bytes, key->len, parts[0].p, text, mac);
    if (n == 0)
        return CHANNELS_ERR_NOMEM;
    bool right = decode_exactly(parts[2], shown, n) && channels__secret_equal(mac, shown, n);
    return right ? CHANNELS_OK : CHANNELS_TOKEN_INVALID;
}

int channels_token_verify(const channels_token_key *key, const char *token, int64_t max_age_s,
                          channels_token_data *d)
{
    channels__str parts[PARTS];
    channels__block term;
    memset(d, 0, sizeof *d);
    if (token == NULL)
        return CHANNELS_TOKEN_MISSING;
    if (split(token, parts) != 3)
        return CHANNELS_TOKEN_INVALID;
    int err = check_mac(key, parts);
    if (err == CHANNELS_OK)
        err = decode_block(key, parts[1], &term);
    if (err != CHANNELS_OK)
        return err;
    err = channels__token_read(key, channels__str_n(term.p, term.len), max_age_s, d);
    channels__block_free(key, &term);
    return err;
}

/* Each _open puts the term in place of the box and says where it begins. */
static int xchacha_open(const channels_token_key *key, channels__block *box, channels__str *term)
{
    char *text = box->p + BOX_HEAD;
    if (box->len < BOX_HEAD || key->len != CHANNELS__AEAD_KEY)
        return CHANNELS_TOKEN_INVALID;
    *term = channels__str_n(text, box->len - BOX_HEAD);
    return channels__aead_open(key->bytes, box->p, channels__str_z(ENCRYPTED_AAD), *term,
                               box->p + CHANNELS__AEAD_NONCE, text)
               ? CHANNELS_OK
               : CHANNELS_TOKEN_INVALID;
}

static int unwrap_key(const channels_token_key *key, channels__str part,
                      unsigned char content_key[GCM_KEY])
{
    unsigned char wrapped[GCM_WRAPPED], *tag = wrapped + GCM_KEY;
    if (!decode_exactly(part, wrapped, sizeof wrapped))
        return CHANNELS_TOKEN_INVALID;
    channels__str secret = channels__str_n((const char *)key->bytes, key->len < 32 ? key->len : 32);
    return channels__aes_gcm_open(secret, tag + CHANNELS__AES_GCM_TAG, channels__str_n("", 0),
                                  channels__str_n((char *)wrapped, GCM_KEY), tag, content_key);
}

static int gcm_open(const channels_token_key *key, const channels__str parts[],
                    channels__block *box, channels__str *term)
{
    unsigned char content_key[GCM_KEY], nonce[CHANNELS__AES_GCM_NONCE], tag[CHANNELS__AES_GCM_TAG];
    int err = unwrap_key(key, parts[1], content_key);
    if (err == CHANNELS_OK && !(decode_exactly(parts[2], nonce, sizeof nonce) &&
                                decode_exactly(parts[4], tag, sizeof tag)))
        err = CHANNELS_TOKEN_INVALID;
    *term = channels__str_n(box->p, box->len);
    if (err == CHANNELS_OK)
        err = channels__aes_gcm_open(channels__str_n((char *)content_key, GCM_KEY), nonce,
                                     channels__str_z(ENCRYPTED_AAD), *term, tag, box->p);
    channels__wipe(content_key, sizeof content_key);
    return err == CHANNELS_ERR_INVALID ? CHANNELS_TOKEN_INVALID : err;
}

static int decrypt_part(const channels_token_key *key, const channels__str parts[], size_t box_part,
                        int64_t max_age_s, channels_token_data *d)
{
    channels__block box;
    channels__str term;
    int err = decode_block(key, parts[box_part], &box);
    if (err != CHANNELS_OK)
        return err;
    err = box_part == 1 ? xchacha_open(key, &box, &term) : gcm_open(key, parts, &box, &term);
    if (err == CHANNELS_OK)
        err = channels__token_read(key, term, max_age_s, d);
    channels__block_free(key, &box);
    return err;
}

int channels_token_decrypt(const channels_token_key *key, const char *token, int64_t max_age_s,
                           channels_token_data *d)
{
    channels__str parts[PARTS];
    memset(d, 0, sizeof *d);
    if (token == NULL)
        return CHANNELS_TOKEN_MISSING;
    size_t n = split(token, parts);
    if (n == 5 && channels__str_is(parts[0], "QTEyOEdDTQ"))
        return decrypt_part(key, parts, 3, max_age_s, d);
    if (n != 2 || !channels__str_is(parts[0], "XCP"))
        return CHANNELS_TOKEN_INVALID;
    int err = channels__aead_available();
    return err == CHANNELS_OK ? decrypt_part(key, parts, 1, max_age_s, d) : err;
}
