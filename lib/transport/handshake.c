/* handshake.c - see handshake.h. The wording is that of websock_adapter,
 * lib/websock_adapter/upgrade_validation.ex. */
#include "transport/handshake.h"

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
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

/* What its headers say, in one look at each. */
typedef struct offer {
    const char *key, *version;
    unsigned keys, versions; /* of these there must be one (RFC 6455, 11.3) */
    bool host, upgrades, to_websocket;
} offer;

static void look(offer *o, const char *name, const char *value)
{
    switch (channels__lower(name[0])) {
    case 'c':
        o->upgrades |= channels__same(name, "connection") && list_has(value, "upgrade");
        break;
    case 'h': o->host |= channels__same(name, "host"); break;
    case 's':
        if (channels__same(name, "sec-websocket-key")) {
            o->key = value;
            o->keys++;
        } else if (channels__same(name, "sec-websocket-version")) {
            o->version = value;
            o->versions++;
        }
        break;
    case 'u':
        o->to_websocket |= channels__same(name, "upgrade") && list_has(value, "websocket");
        break;
    default: break;
    }
}

static offer offer_of(const channels_request *req)
{
    offer o = { .key = NULL };
    for (size_t i = 0; i < req->nheaders; i++)
        look(&o, req->headers[i].name, req->headers[i].value);
    return o;
}

/* 16 bytes in base64 (RFC 6455, 4.2.1). */
static bool key_valid(const char *key)
{
    size_t n = 0;
    while (channels__is_letter(key[n]) || channels__is_digit(key[n]) || key[n] == '+' ||
           key[n] == '/')
        n++;
    return n == 22 && strcmp(key + n, "==") == 0;
}

channels__handshake_result channels__handshake(const channels_request *req, bool is_1_1,
                                               channels__sha1 *sha1,
                                               char text[CHANNELS__HANDSHAKE_TEXT])
{
    if (!is_1_1) {
        snprintf(text, CHANNELS__HANDSHAKE_TEXT, "HTTP version HTTP/1.0 unsupported");
        return CHANNELS__HANDSHAKE_FAULT;
    }
    const offer o = offer_of(req);
    if (!o.host)
        return absent("host", text);
    if (!o.upgrades)
        return fault(req, "connection", "contain", "upgrade", text);
    if (!o.to_websocket)
        return fault(req, "upgrade", "contain", "websocket", text);
    if (o.keys == 0)
        return absent("sec-websocket-key", text);
    if (o.keys != 1 || !key_valid(o.key)) {
        snprintf(text, CHANNELS__HANDSHAKE_TEXT,
                 "'sec-websocket-key' header must be 16 bytes in base64");
        return CHANNELS__HANDSHAKE_FAULT;
    }
    if (o.versions != 1 || strcmp(o.version, "13") != 0)
        return fault(req, "sec-websocket-version", "equal", "13", text);
    return channels__sha1_base64(sha1, o.key, GUID, text) ? CHANNELS__HANDSHAKE_OK
                                                          : CHANNELS__HANDSHAKE_NOMEM;
}
