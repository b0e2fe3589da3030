/* handshake.h - is a request a WebSocket handshake (RFC 6455, 4.2.1)? Extensions are
 * request.c's, subprotocols the core's. */
#ifndef CHANNELS_TRANSPORT_HANDSHAKE_H
#define CHANNELS_TRANSPORT_HANDSHAKE_H

#include <stdbool.h>

#include "base/crypto.h"
#include "channels/channels.h"

#define CHANNELS__HANDSHAKE_TEXT 256u

typedef enum {
    CHANNELS__HANDSHAKE_OK,    /* `text` is the value of sec-websocket-accept */
    CHANNELS__HANDSHAKE_FAULT, /* `text` names the fault, as Phoenix' adapter words it */
    CHANNELS__HANDSHAKE_NOMEM
} channels__handshake_result;

channels__handshake_result channels__handshake(const channels_request *req, bool is_1_1,
                                               channels__sha1 *sha1,
                                               char text[CHANNELS__HANDSHAKE_TEXT]);
/* A header of that name has `token` in its list. */
bool channels__header_lists(const channels_request *req, const char *name, const char *token);

#endif
