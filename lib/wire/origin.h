/* origin.h - check_origin: may a page of this origin connect? Pure decisions on strings.
 * Phoenix lib/phoenix/socket/transport.ex: check_origin, origin_allowed?, parse_origin. */
#ifndef CHANNELS_WIRE_ORIGIN_H
#define CHANNELS_WIRE_ORIGIN_H

#include "channels/channels.h"

/* An entry of a list can be used: it names a host. */
bool channels__origin_entry_valid(const char *entry);
/* `policy` decides about the Origin header of `req`; none is always allowed. `host` is the
 * endpoint's, `list` NULL-ended (for CHANNELS_ORIGIN_LIST). */
bool channels__origin_allowed(channels_origin policy, const char *host, const char *const *list,
                              const channels_request *req);

#endif
