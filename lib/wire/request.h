/* request.h - what is asked of a request besides its parameters. Implements the public
 * channels_request_header() and channels_request_uri(). */
#ifndef CHANNELS_WIRE_REQUEST_H
#define CHANNELS_WIRE_REQUEST_H

#include "base/str.h"
#include "channels/channels.h"

/* Copies the headers that connect() is shown to `dst`, which has room for all; how many. Cookies
 * and whatever else a browser adds on its own are left out: a page of another site must not profit
 * from them. (Phoenix lib/phoenix/socket/transport.ex, connect_info) */
size_t channels__headers_shown(const channels_request *req, bool all, channels_header *dst);

/* The next entry of a header's list, which is left behind it: between commas, without the blanks
 * around. Empty ones do not count; n == 0 at the end. */
channels__str channels__next_entry(const char **list);

#endif
