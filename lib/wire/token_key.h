/* token_key.h - the key behind <channels/token.h>: derived once, then only read, at last wiped. */
#ifndef CHANNELS_WIRE_TOKEN_KEY_H
#define CHANNELS_WIRE_TOKEN_KEY_H

#include "base/mem.h"
#include "channels/token.h"

struct channels_token_key {
    channels__mem mem; /* as `user` of the options handed it over */
    int64_t (*now_ms)(void *user);
    void (*log)(void *user, channels_log_level level, const char *text);
    void *user;
    size_t max_data;
    size_t len;
    unsigned char bytes[];
};

/* Tells of a programmer's mistake; CHANNELS_ERR_INVALID. */
int channels__token_mistake(const channels_token_key *key, const char *text);

#endif
