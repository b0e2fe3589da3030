/* batch.h - the body of a long-poll POST as the messages in it (Phoenix
 * lib/phoenix/transports/long_poll.ex, publish): the whole of it is one, or each line is. */
#ifndef CHANNELS_WIRE_BATCH_H
#define CHANNELS_WIRE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef struct channels__batch {
    const char *p, *end; /* what is left */
    uint32_t left;       /* so many messages may follow */
    bool lines;
} channels__batch;

/* `lines`: each line is a message. After `max` of them comes no more. */
channels__batch channels__batch_of(channels__str body, bool lines, uint32_t max);
/* The next; false if there is none. Lines that are empty do not count. */
bool channels__batch_next(channels__batch *batch, channels__str *message);
/* A line that is not JSON text but base64 of a binary message. */
static inline bool channels__batch_binary(const channels__batch *batch, channels__str message)
{
    return batch->lines && message.p[0] != '[';
}

#endif
