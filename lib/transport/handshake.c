/* handshake.c - see handshake.h. The wording is that of websock_adapter,
 * lib/websock_adapter/upgrade_validation.ex. */
#include "transport/handshake.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/crypto.h"
#include "wire/request.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

/* --- Looking at headers ------------------------------------------------------------------- */

static const char *next_value(const channels_request *req, const char *name, size_t *at)
{
    while (*at < req->nheaders) {
        const channels_header *header = &req->headers[(*at)++];
        if (channels__same(header->name, name))
            return header->value;
    }
    return NULL;
}

static bool same_n(const char *item, size_t n, const char *token)
{
    char text[32];
    if (n >= sizeof text)
        return false;
    memcpy(text, item, n);
    text[n] = '\0';
    return channels__same(text, token);
}

static bool list_has(const char *list, const char *token)
{
    channels__str entry;
    while ((entry = channels__next_entry(&list)).n != 0)
        if (same_n(entry.p, entry.n, token))
            return true;
    return false;
}

bool channels__header_lists(const channels_request *req, const char *name, const char *token)
{
    size_t at = 0;
    const char *value;
    while ((value = next_value(req, name, &at)) != NULL)
        if (list_has(value, token))
            return true;
    return false;
}

/* --- Faults in words ---------------------------------------------------------------------- */

/* Adds to a text what still fits. */
static void add(char text[CHANNELS__HANDSHAKE_TEXT], const char *more)
{
    size_t n = strlen(text);
    snprintf(text + n, CHANNELS__HANDSHAKE_TEXT - n, "%s", more);
}

/* "'name' header must contain 'wanted', got ["one", "two"]" */
static channels__handshake_result fault(const channels_request *req, const char *name,
                                        const char *must, const char *wanted,
                                        char text[CHANNELS__HANDSHAKE_TEXT])
{
    const char *value, *between = "\"";
    size_t at = 0;
    snprintf(text, CHANNELS__HANDSHAKE_TEXT, "'%s' header must %s '%s', got [", name, must, wanted);
    for (; (value = next_value(req, name, &at)) != NULL; between = ", \"") {
        add(text, between);
        add(text, value);
        add(text, "\"");
    }
    add(text, "]");
    return CHANNELS__HANDSHAKE_FAULT;
}

static channels__handshake_result absent(const char *name, char text[CHANNELS__HANDSHAKE_TEXT])
{
    snprintf(text, CHANNELS__HANDSHAKE_TEXT, "'%s' header is absent", name);
    return CHANNELS__HANDSHAKE_FAULT;
}

/* The value of a header that must not be there twice (RFC 6455, 11.3), or NULL. */
static const char *sole_value(const channels_request *req, const char *name)
{
    size_t at = 0;
    const char *value = next_value(req, name, &at);
    return value != NULL && next_value(req, name, &at) == NULL ? value : NULL;
}

/* 16 bytes in base64 (RFC 6455, 4.2.1). */
static bool key_valid(const char *key)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return key != NULL && strlen(key) == 24 && strspn(key, base64) == 22 &&
           strcmp(key + 22, "==") == 0;
}

channels__handshake_result channels__handshake(const channels_request *req, bool is_1_1,
                                               char text[CHANNELS__HANDSHAKE_TEXT])
{
    const char *key = sole_value(req, "sec-websocket-key");
    const char *version = sole_value(req, "sec-websocket-version");
    if (!is_1_1) {
        snprintf(text, CHANNELS__HANDSHAKE_TEXT, "HTTP version HTTP/1.0 unsupported");
        return CHANNELS__HANDSHAKE_FAULT;
    }
    if (channels_request_header(req, "host") == NULL)
        return absent("host", text);
    if (!channels__header_lists(req, "connection", "upgrade"))
        return fault(req, "connection", "contain", "upgrade", text);
    if (!channels__header_lists(req, "upgrade", "websocket"))
        return fault(req, "upgrade", "contain", "websocket", text);
    if (channels_request_header(req, "sec-websocket-key") == NULL)
        return absent("sec-websocket-key", text);
    if (!key_valid(key)) {
        snprintf(text, CHANNELS__HANDSHAKE_TEXT,
                 "'sec-websocket-key' header must be 16 bytes in base64");
        return CHANNELS__HANDSHAKE_FAULT;
    }
    if (version == NULL || strcmp(version, "13") != 0)
        return fault(req, "sec-websocket-version", "equal", "13", text);
    return channels__sha1_base64(key, GUID, text) ? CHANNELS__HANDSHAKE_OK
                                                  : CHANNELS__HANDSHAKE_NOMEM;
}
