/* hash.h - SipHash-1-3 under a secret key: topics come from strangers, who must not be able to make
 * them all fall into one bucket. */
#ifndef CHANNELS_BASE_HASH_H
#define CHANNELS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct channels__hash_key {
    uint64_t k0, k1;
} channels__hash_key;

uint64_t channels__hash(const channels__hash_key *key, const void *data, size_t len);

#endif
