/* token_term.h - what is inside a token, signed or encrypted: the Erlang term
 * {data, signed_at_ms, max_age_s}. (plug_crypto lib/plug/crypto.ex, encode and decode) */
#ifndef CHANNELS_WIRE_TOKEN_TERM_H
#define CHANNELS_WIRE_TOKEN_TERM_H

#include "base/str.h"
#include "wire/token_key.h"

/* Bytes that may be secret: _free wipes them. */
typedef struct channels__block {
    char *p; /* NULL: nothing */
    size_t len, size;
} channels__block;

/* A new block with the term behind `headroom` bytes, which its length counts. */
int channels__token_write(const channels_token_key *key, const channels_token_data *data,
                          const channels_token_options *options, size_t headroom,
                          channels__block *block);
/* Reads a term that is genuine, but may be anything. `d` has been zeroed. */
int channels__token_read(const channels_token_key *key, channels__str term, int64_t max_age_s,
                         channels_token_data *d);
/* Whether the data can be within max_data if a token has so many bytes in all. */
bool channels__token_fits(const channels_token_key *key, size_t len);

int channels__block_new(const channels_token_key *key, size_t size, channels__block *block);
void channels__block_free(const channels_token_key *key, channels__block *block);

#endif
