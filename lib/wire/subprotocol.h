/* subprotocol.h - what stands in Sec-WebSocket-Protocol: subprotocols, and perhaps a token.
 * Phoenix lib/phoenix/socket/transport.ex (check_subprotocols), lib/phoenix/transports/websocket.ex
 * (maybe_auth_token_from_header). */
#ifndef CHANNELS_WIRE_SUBPROTOCOL_H
#define CHANNELS_WIRE_SUBPROTOCOL_H

#include "base/str.h"

/* It can be asked for and answered. */
bool channels__subprotocol_valid(const char *name);
/* The first of `served` (NULL-ended) that is in the header's list, counted from 1; 0: none is. */
size_t channels__subprotocol_choose(const char *const *served, const char *header);

/* The one entry "base64url.bearer.phx.TOKEN", TOKEN as it stands there; absent if there is none, or
 * more than one. */
channels__str channels__bearer_find(const char *header);
/* Decodes it into `dst` (as many bytes), with a NUL behind. False if it is not base64, of either
 * alphabet, or holds a NUL. */
bool channels__bearer_decode(channels__str bearer, char *dst);
/* The header's list without such entries, in `dst`: at most twice as long as it was. Its length. */
size_t channels__bearer_remove(const char *header, char *dst);

#endif
