/* conn.h - one accepted byte stream, between the two files that are about it: conn.c has its life,
 * its output and its WebSocket side, request.c its HTTP side.
 *
 *   HTTP ──► ASKED ────► answered: HTTP again; ANSWERED, if some of the answers has to leave first;
 *    │ │                 ENDING
 *    │ └───► OPENING ──► answered, if connect() refuses
 *    │          │ └────► PENDING, if it decides later ──► ACCEPTED, if bytes came early
 *    │          └──────► OPEN ◄───────────────────────────────┘
 *    │                          │
 *    │                          └► PARTING, if the client closes ──► ENDING, if more comes
 *    └──────────────────► ENDING ──► OVER
 *
 * ENDING: the last bytes are in the queue; what comes in is thrown away until the peer closes, so
 * that the kernel does not reset the stream and take our last bytes with it. PARTING: the client's
 * Close has come and may be followed by nothing (RFC 6455, 5.5.1), so that no byte can be left
 * unread: when ours has left the host is to close at once, as a server must, and does not have to
 * wait for an end that the client waits for too. A client that goes on sending all the same is
 * waited for like others, if that is seen in time; its reset is its own doing. OVER: the host is to
 * close.
 *
 * By its alarm every connection is in one list at any time: of those that time is set to (for a
 * request, for the end), of those idle on a mount, of those that go on, or of those that wait for
 * no time. So all can be found. */
#ifndef CHANNELS_TRANSPORT_CONN_H
#define CHANNELS_TRANSPORT_CONN_H

#include "base/outq.h"
#include "core/core.h"
#include "transport/websocket.h"
#include "wire/http.h"

typedef enum {
    CHANNELS__CONN_HTTP,     /* reads a request */
    CHANNELS__CONN_ASKED,    /* the host or a long-poll session has it and will answer */
    CHANNELS__CONN_OPENING,  /* in channels__socket_open() */
    CHANNELS__CONN_PENDING,  /* connect() will decide later */
    CHANNELS__CONN_ANSWERED, /* the next request waits until more of the answers has left */
    CHANNELS__CONN_ACCEPTED, /* upgraded; what came before that is still to be read */
    CHANNELS__CONN_OPEN,     /* reads frames */
    CHANNELS__CONN_PARTING,
    CHANNELS__CONN_ENDING,
    CHANNELS__CONN_OVER
} channels__conn_state;

/* What the host is to be told of a request, posted when that is known. */
typedef struct channels__conn_news {
    channels__letter letter;
    channels_ref to;
    bool sent;
} channels__conn_news;

/* What only the HTTP side needs; freed when a connection is upgraded. */
typedef struct channels__conn_http {
    channels__http *parser; /* made with the first byte */
    char *held;             /* bytes behind a request that is not yet answered */
    size_t held_len;
    size_t unsent;                 /* bytes of answers since the queue was empty */
    channels_buf *welcome;         /* the 101 of a pending connect */
    channels__conn_news *news;     /* of the request that the host has, or has answered */
    channels_ref poll;             /* a long-poll request, until it is told what became of it */
    uint32_t slot;                 /* of the ref that the host answers; 0: none */
    bool keep_alive, head, is_1_1; /* of the request in hand */
    bool overflow;                 /* more came than is held: this answer is the last */
    bool begun;                    /* bytes of the next request have been read */
    bool tls;
    char peer[];
} channels__conn_http;

/* What a delivery touches comes first. */
struct channels_conn {
    channels__outq out; /* marked: given to us by the socket */
    channels__list ready;
    channels_socket *socket; /* while it is PENDING, ACCEPTED or OPEN */
    void *user;
    uint8_t state;
    uint8_t told;   /* the want that the host knows of */
    uint8_t npongs; /* in `out`; one less than that while the 101 is there too */
    bool upgraded;  /* in.ws, not in.http */
    bool busy;      /* a function of these files has it in hand: */
    bool freed;     /* that one frees it */
    uint8_t goodbye_len, goodbye_sent;
    channels_endpoint *ep;
    union {
        channels_buf *pong; /* while it is OPEN. In `out`: the one that answers the newest ping */
        struct {
            uint32_t discarded; /* bytes that came since */
            uint8_t goodbye[CHANNELS__WS_CLOSE_SIZE]; /* Close, sent when `out` is empty */
        } end;
    };
    union {
        channels__conn_http *http;
        channels__ws_in ws;
    } in;
    channels__alarm alarm;
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct channels_conn) == 120, "each client has one");

/* The endpoint's; ep->transport. */
typedef struct channels__conns {
    channels__ws ws;
    channels__sha1 sha1;      /* of handshakes */
    channels__deflate deflate;
    channels__list ready;     /* whose want has changed */
    channels__list resting;   /* by their alarms: those that wait for no time */
    channels__alarms request; /* a request has to be there, or an answer to go on leaving */
    channels__alarms linger;
    channels__alarms resume; /* 0 ms: to go on with what is held */
    char room[16384];        /* small frames one behind the other, for channels_conn_output() */
} channels__conns;

static inline channels__conns *channels__conns_of(const channels_conn *c)
{
    return c->ep->transport;
}

/* conn.c */

/* Its want may be another than the host knows of. */
void channels__conn_changed(channels_conn *c);
/* An answer. Takes over the reference; false if memory ran out, and then it is OVER. */
bool channels__conn_queue(channels_conn *c, channels_buf *buf);
void channels__conn_alarm(channels_conn *c, channels__alarms *alarms); /* NULL: it rests */
/* Reads frames from now on. */
void channels__conn_open(channels_conn *c);
void channels__conn_end(channels_conn *c); /* ENDING; the socket is gone */
void channels__conn_over(channels_conn *c); /* at once; a socket it still has is BROKEN */
/* Bytes, in whatever state. */
int channels__conn_input(channels_conn *c, const char *data, size_t len);
/* One for each way in which its clients take messages: not compressed, or as was agreed on. */
extern const channels_transport channels__websocket, channels__websocket_deflate,
    channels__websocket_deflate_small;

/* request.c */

channels__conn_http *channels__conn_http_new(const channels__mem *mem, const char *peer, bool tls);
void channels__conn_http_free(channels_conn *c);
/* Reads the request on; *took bytes belonged to it. */
int channels__conn_read(channels_conn *c, const char *data, size_t len, size_t *took);
/* Keeps bytes for later. */
int channels__conn_hold(channels_conn *c, const char *data, size_t len);
int channels__conn_resume(channels_conn *c); /* reads what was held */
/* A whole request that the host has read. */
int channels__conn_handle(channels_conn *c, const channels_request *req);
void channels__conn_answer(channels_conn *c, const channels_response *r);
void channels__conn_answered_sent(channels_conn *c); /* bytes have left, on the HTTP side */
void channels__conn_accept(channels_conn *c);        /* a pending connect */
void channels__conn_refuse(channels_conn *c, const channels_response *r);
void channels__conn_unask(channels_conn *c); /* the host's ref ends */
void channels__conn_tell(channels_conn *c, bool sent); /* what became of its request's answer */

#endif
