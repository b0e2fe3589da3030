/* serializer.h - the table of wire formats: bytes to message and message to bytes.
 * Phoenix lib/phoenix/socket/serializers/{v1,v2}_json_serializer.ex. */
#ifndef CHANNELS_WIRE_SERIALIZER_H
#define CHANNELS_WIRE_SERIALIZER_H

#include <stdint.h>

#include "base/buf.h"
#include "wire/message.h"
#include "wire/scratch.h"

typedef struct channels__serializer {
    const char *name;         /* "Phoenix.Socket.V2.JSONSerializer" in the log */
    unsigned major, minor;    /* serves versions "~> major.minor.0" */
    /* 0, CHANNELS_ERR_PROTOCOL if it cannot be decoded, or CHANNELS_ERR_NOMEM. A payload nested
     * deeper than max_nesting cannot be decoded. */
    int (*decode)(channels__scratch *scratch, channels_payload frame, uint32_t max_nesting,
                  channels__message *msg);
    /* A new buf in *buf and its kind in *kind. CHANNELS_ERR_INVALID if this format cannot carry it
     * (bytes in V1; a field over 255 bytes or a ref that is no string or number in a binary
     * frame), or CHANNELS_ERR_NOMEM. The payload is taken to be valid. */
    int (*encode)(const channels__mem *mem, const channels__outgoing *out, channels_buf **buf,
                  channels_kind *kind);
    bool close_first; /* a second join of a topic is told about the end of the first before it is
                       * answered: V1 clients cannot tell the two channels apart by a join_ref */
} channels__serializer;

extern const channels__serializer channels__serializer_v1, channels__serializer_v2;

/* The one for a `vsn` parameter (NULL: absent, which is 1.0.0), or NULL if there is none. */
const channels__serializer *channels__serializer_for(const char *vsn);

#endif
