/* extension.h - what is answered to a client that offers permessage-deflate in its handshake
 * (RFC 7692, 5 and 7.1).
 *
 * Neither side keeps context between messages, which the answer says whatever was offered: so one
 * message is compressed once for all clients, and no client costs memory. */
#ifndef CHANNELS_WIRE_EXTENSION_H
#define CHANNELS_WIRE_EXTENSION_H

#include <stdbool.h>

#include "channels/channels.h"

#define CHANNELS__DEFLATE_SMALL 9 /* bits of the window for clients that limit it */

/* The value of Sec-WebSocket-Extensions that accepts the first offer which can be; NULL if there is
 * none. `*small`: messages to this client have a window of CHANNELS__DEFLATE_SMALL bits, not of 15.
 * An offer is passed over if a parameter in it is unknown, there twice or out of range, and if it
 * wants a window of 8 bits, which zlib has not (7.1.2.1); what follows bytes that are no list of
 * offers is not read. */
const char *channels__deflate_answer(const channels_request *req, bool *small);

#endif
