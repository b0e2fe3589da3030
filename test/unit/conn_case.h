/* conn_case.h - what the tests of connections begin with: a host with a probe mounted on "/socket"
 * and a function for other requests, and clients that exchange bytes with it as a loop would carry
 * them. In what is said and heard as JSON, ' stands for ". */
#ifndef UNIT_CONN_CASE_H
#define UNIT_CONN_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/probe.h"
#include "sim/start.h"

#define HANDSHAKE_OF(path) \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define HANDSHAKE HANDSHAKE_OF("/socket/websocket?vsn=2.0.0")
#define WELCOME \
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG, FIN = 0x80 };

typedef struct conn_case conn_case;

typedef struct conn_client {
    conn_case *t;
    channels_conn *conn; /* NULL: closed */
    size_t step;         /* it sends pieces of so many bytes; 0: all at once */
    size_t window;       /* so many bytes can be written to it before it blocks */
    bool shut;           /* it has been told that nothing more comes */
    int err;             /* what the last _feed returned */
    char *got;           /* what it was sent */
    size_t len, at;      /* and how much of it was looked at */
} conn_client;

struct conn_case {
    channels_test host;
    sim_memory memory;
    probe probe;
    conn_client a, b;
    /* Requests for no mount. */
    int (*request)(conn_case *t, channels_ref to, const channels_request *req);
    channels_ref asked; /* the last */
    size_t step;        /* of clients that open */
};

int conn_case_begin(conn_case *t, const channels_config *config,
                    const channels_mount_options *options);
size_t conn_case_end(conn_case *t); /* blocks of memory lost */
/* Begins anew with options of its own. */
void conn_case_restart(conn_case *t, const channels_config *config,
                       const channels_mount_options *options);

typedef struct conn_test {
    const char *name;
    void (*fn)(conn_case *t);
} conn_test;
#define CONN_TEST(fn) \
    { \
#fn, fn \
    }
/* Runs tests, at most 64, each with its input whole, then in pieces of 1 and of 7 bytes. */
int conn_test_run(const conn_test *tests, size_t n);

int conn_open(conn_client *c, conn_case *t);
void conn_close(conn_client *c);
void conn_send(conn_client *c, const void *data, size_t len);
void conn_say(conn_client *c, const char *text); /* bytes, up to the NUL */
void conn_flush(conn_client *c);
/* A turn of the loop, `ms` later. */
void conn_turn(conn_case *t, uint64_t ms);

void conn_upgrade(conn_client *c); /* and takes the welcome */
/* A masked frame; `first` is its first byte. */
void conn_frame(conn_client *c, int first, const void *payload, size_t len);
void conn_text(conn_client *c, const char *json); /* as a text frame */
size_t conn_frame_bytes(char *dst, int first, const void *payload, size_t len);

/* The next bytes it was sent are these. */
#define took(c, text) took_at(c, text, sizeof(text) - 1, __FILE__, __LINE__)
/* The next is an answer with this status and body. */
#define answered(c, status, body) answered_at(c, status, body, __FILE__, __LINE__)
/* It was sent nothing more. */
#define silent(c) silent_at(c, __FILE__, __LINE__)
/* The next frame. */
#define frame_is(c, first, payload, len) frame_at(c, first, payload, len, __FILE__, __LINE__)
#define hears(c, json) hears_at(c, json, __FILE__, __LINE__)
/* A Close with this code (0: none), and then nothing more can come. */
#define closes(c, code) closes_at(c, code, __FILE__, __LINE__)
/* The same in answer to its own: then the host has closed. */
#define parts(c, code) parts_at(c, code, __FILE__, __LINE__)
#define wants(c, flags) _assert_int_equal(channels_conn_want((c)->conn), flags, __FILE__, __LINE__)
#define traced(t, text) traced_at(t, text, __FILE__, __LINE__)

void took_at(conn_client *c, const char *text, size_t len, const char *file, int line);
const char *answered_at(conn_client *c, int status, const char *body, const char *file, int line);
void silent_at(conn_client *c, const char *file, int line);
void frame_at(conn_client *c, int first, const void *payload, size_t len, const char *file,
              int line);
void hears_at(conn_client *c, const char *json, const char *file, int line);
void closes_at(conn_client *c, int code, const char *file, int line);
void parts_at(conn_client *c, int code, const char *file, int line);
void traced_at(conn_case *t, const char *text, const char *file, int line);

#endif
