/* longpoll_message.h - what two nodes say to each other about a request for a long-poll session
 * that landed on the wrong one: the payload of a message between nodes.
 *
 *     version | kind | flag | 2 bytes HTTP status | 8 bytes id of the request
 *     | 2 bytes length of the token | the token, NUL | body, all the rest
 *
 * Numbers have their little end first. What a kind has no use for is 0. */
#ifndef CHANNELS_WIRE_LONGPOLL_MESSAGE_H
#define CHANNELS_WIRE_LONGPOLL_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

typedef enum {
    /* To whose session it is, with its token. */
    CHANNELS__LONGPOLL_POLL,
    CHANNELS__LONGPOLL_POST,    /* flag: its body is lines */
    CHANNELS__LONGPOLL_LEAVING, /* an answer is here, and not all of it has left */
    CHANNELS__LONGPOLL_DONE,    /* flag: it has left; else nobody waits for it any more */
    /* Back, without a token. */
    CHANNELS__LONGPOLL_HELD,
    CHANNELS__LONGPOLL_ANSWER, /* flag: there is something in it, which waits for DONE */
    CHANNELS__LONGPOLL_KINDS
} channels__longpoll_kind;

typedef struct channels__longpoll_message {
    channels__longpoll_kind kind;
    bool flag;
    uint16_t status;
    uint64_t id;
    channels__str token; /* read: with a NUL behind it, and no other in it */
    channels__str body;
} channels__longpoll_message;

/* The token has to be shorter than 65536 bytes. */
size_t channels__longpoll_message_size(const channels__longpoll_message *m);
void channels__longpoll_message_write(const channels__longpoll_message *m, unsigned char *to);
/* Its slices point into `payload`. */
bool channels__longpoll_message_read(channels__str payload, channels__longpoll_message *m);

#endif
