/* serializer.h - the two wire formats of Phoenix, and which format a client's `vsn` asks for.
 * Phoenix lib/phoenix/socket/serializers/{v1,v2}_json_serializer.ex.
 *
 * Their refs are JSON text, so that they are echoed with their type and compared by value: strings
 * are brought to one spelling, other values stay as they came. The raw topic is JSON text too. */
#ifndef CHANNELS_WIRE_SERIALIZER_H
#define CHANNELS_WIRE_SERIALIZER_H

#include "channels/serializer.h"

/* What they need of a host's rules they keep by themselves: names end in a NUL, JSON is checked and
 * not nested deeper than codec->max_nesting. CHANNELS_ERR_INVALID for bytes in V1; for a field over
 * 255 bytes or a ref that is no string or number in a binary frame. */
extern const channels_serializer channels__serializer_v1, channels__serializer_v2;

/* "~> 1.0.0" and "~> 2.0.0". */
extern const channels_vsn channels__default_serializers[];

/* The first of the list whose requirement `vsn` meets (NULL: absent, which is 1.0.0), or NULL. */
const channels_serializer *channels__serializer_for(const channels_vsn *list, const char *vsn);

#endif
