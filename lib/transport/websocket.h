/* websocket.h - WebSocket frames: bytes into messages, messages into frames. The only user of
 * wslay, and of its frame layer alone, for reading.
 *
 * A frame context is 4 KB: a few are kept by the endpoint and lent to a connection while a piece
 * of a message or of a frame is in flight. An idle connection owns nothing here. What wslay unmasks
 * and refuses, and what is done and judged here, is listed in websocket.c. */
#ifndef CHANNELS_TRANSPORT_WEBSOCKET_H
#define CHANNELS_TRANSPORT_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "channels/channels.h"
#include "transport/deflate.h"

#define CHANNELS__WS_CLOSE_SIZE 4u /* of a Close frame with a code */
#define CHANNELS__WS_CONTROL 125u  /* the most a control frame carries */

typedef struct channels__ws_lens channels__ws_lens; /* a frame context and what it looks at */

/* The endpoint's; stays where it is. */
typedef struct channels__ws {
    const channels__mem *mem;
    const uint8_t *bytes; /* in hand: what has arrived and was not yet read */
    size_t len;
    uint8_t *plain; /* the message in hand, unmasked; kept, 64 KB at most */
    size_t plain_size;
    channels__ws_lens *spare;
    unsigned nspare;
} channels__ws;

/* A connection's: what is in flight. */
typedef struct channels__ws_in {
    channels__ws_lens *lens;
} channels__ws_in;

typedef struct channels__ws_limits {
    size_t max_message;
    uint32_t max_empty_fragments; /* of one message */
    channels__deflate *deflate;   /* reads messages that are compressed; NULL: none may be */
} channels__ws_limits;

typedef enum {
    CHANNELS__WS_NONE, /* all bytes have been read */
    CHANNELS__WS_TEXT, /* a message. Only one that came in pieces, not compressed, is known to be
                        * UTF-8. */
    CHANNELS__WS_BINARY,
    CHANNELS__WS_PING,
    CHANNELS__WS_CLOSE, /* `code` to be echoed, 0: none was given */
    CHANNELS__WS_FAULT, /* `code` to close with */
    CHANNELS__WS_NOMEM
} channels__ws_event;

typedef struct channels__ws_got {
    channels__ws_event event;
    const void *data; /* good until the next call for any connection */
    size_t len;
    int code;
} channels__ws_got;

void channels__ws_init(channels__ws *ws, const channels__mem *mem);
void channels__ws_deinit(channels__ws *ws);

/* Puts the header of an unmasked frame in front of `payload`, which nobody else holds yet. */
typedef enum {
    CHANNELS__WS_OP_TEXT = 1,
    CHANNELS__WS_OP_BINARY,
    CHANNELS__WS_OP_PONG = 10,
    CHANNELS__WS_DEFLATED = 0x40 /* added to one of the former: the bit RSV1 (RFC 7692, 6) */
} channels__ws_opcode;
void channels__ws_frame(channels_buf *payload, channels__ws_opcode opcode);
/* A Close frame; code 0: without one. Its length. */
size_t channels__ws_close_frame(int code, uint8_t dst[CHANNELS__WS_CLOSE_SIZE]);

/* Bytes of one connection have arrived: they are borrowed until channels__ws_next() has returned
 * CHANNELS__WS_NONE for it, or is called for it no more. */
void channels__ws_give(channels__ws *ws, const void *data, size_t len);
/* The next thing in them. After a Close, a fault or lack of memory there is no next. */
channels__ws_got channels__ws_next(channels__ws *ws, channels__ws_in *in,
                                   const channels__ws_limits *limits);
/* Bytes that lie behind what was returned last. */
size_t channels__ws_unread(const channels__ws *ws);
/* Forgets what is in flight. */
void channels__ws_in_end(channels__ws *ws, channels__ws_in *in);

#endif
