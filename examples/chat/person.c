/* person.c - who is who.
 *
 * The page shows a token that we have signed, so that nobody talks in another's name. To be given
 * one in any name it is enough to ask: here a server with accounts would ask for a password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

#define TOKEN_MAX_AGE_S (14 * 86400)

/* Without a secret in the environment all tokens end with this process; pages then ask anew. */
int key_open(struct chat *chat)
{
    const char *secret = getenv("SECRET_KEY_BASE");
    char random[64];
    channels_token_key_options options = { .log = print_log };
    if (secret == NULL) {
        FILE *f = fopen("/dev/urandom", "rb");
        if (f != NULL)
            options.secret_len = fread(random, 1, sizeof random, f);
        if (f != NULL)
            fclose(f);
        if (options.secret_len != sizeof random)
            return CHANNELS_ERR_INVALID;
        secret = random;
    }
    return channels_token_key_new(&chat->key, secret, "user socket", &options);
}

static int respond_text(struct chat *chat, channels_ref to, int status, const char *text)
{
    const channels_header headers[] = { { "content-type", "text/plain; charset=utf-8" },
                                        { "cache-control", "no-store" } };
    const channels_response response = {
        .status = status, .headers = headers, .nheaders = 2, .body = text, .body_len = strlen(text)
    };
    return channels_respond(chat->endpoint, to, &response);
}

int give_token(struct chat *chat, channels_ref to, const channels_request *req)
{
    cJSON *params = channels_request_params(req);
    const char *name = string_in(params, "name");
    char token[CHANNELS_TOKEN_SIZE(sizeof(struct person))];
    int err;
    if (!is_line(name, MAX_NAME))
        err = respond_text(chat, to, 400,
                           "Your name must have 1 to " STRING_OF(MAX_NAME) " characters");
    else if ((err = channels_token_sign(chat->key, channels_token_text(name), NULL, token,
                                        sizeof token)) > 0)
        err = respond_text(chat, to, 200, token);
    cJSON_Delete(params);
    return err;
}

int person_connect(channels_socket *s, const channels_request *req, void *user)
{
    struct chat *chat = user;
    struct person *person = channels_socket_assigns(s);
    char token[CHANNELS_TOKEN_SIZE(sizeof(struct person))];
    channels_token_data who;
    if (channels_request_param(req, "token", token, sizeof token) < 0 ||
        channels_token_verify(chat->key, token, TOKEN_MAX_AGE_S, &who) != CHANNELS_OK)
        return CHANNELS_REFUSE;
    snprintf(person->name, sizeof person->name, "%s", who.data);
    channels_token_data_free(&who);
    return CHANNELS_OK;
}

const char *name_of(const channels_channel *ch)
{
    const struct person *person = channels_socket_assigns(channels_channel_socket(ch));
    return person->name;
}
