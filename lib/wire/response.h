/* response.h - a response as the bytes that answer a request. */
#ifndef CHANNELS_WIRE_RESPONSE_H
#define CHANNELS_WIRE_RESPONSE_H

#include <stdbool.h>

#include "base/buf.h"
#include "channels/channels.h"

/* What is wrong with a response that a host has made, in words; NULL: nothing. Lines that are
 * hidden in its names and values are found here. */
const char *channels__response_fault(const channels_response *r);
/* NULL if memory ran out. `head`: it answers a HEAD request, so that its body only counts. A status
 * below 200 has no body and no length, like 204 and 304. */
channels_buf *channels__response_encode(const channels__mem *mem, const channels_response *r,
                                        bool keep_alive, bool head);

#endif
