/* message.h - the five fields of a message, as one came in and as one goes out. */
#ifndef CHANNELS_WIRE_MESSAGE_H
#define CHANNELS_WIRE_MESSAGE_H

#include "base/str.h"
#include "channels/channels.h"

/* Decoded from a client. Slices point into the frame or the scratch it was decoded with.
 *
 * Refs are JSON text, so that they are echoed with their type and compared by value: strings are
 * brought to one spelling, other values stay as they came. Absent and null are p == NULL. */
typedef struct channels__message {
    channels__str join_ref, ref;
    channels__str topic_json; /* as JSON text, to be echoed */
    channels__str topic;      /* NUL-terminated text; p == NULL: no string, or one holding a NUL */
    channels__str event;      /* likewise */
    channels_payload payload; /* inside the frame */
} channels__message;

/* To be encoded for clients. */
typedef enum { CHANNELS__PUSH, CHANNELS__REPLY, CHANNELS__BROADCAST } channels__form;
typedef struct channels__outgoing {
    channels__form form;
    channels__str join_ref, ref; /* JSON text, as above; p == NULL: null */
    channels__str topic_json;    /* if set, goes out as it is instead of `topic` */
    channels__str topic;
    channels__str event;  /* of a push or broadcast */
    channels__str status; /* of a reply */
    channels_payload payload; /* of a reply: the response */
} channels__outgoing;

#endif
