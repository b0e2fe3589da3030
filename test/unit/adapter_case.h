/* adapter_case.h - what every adapter has to do, tested on real sockets of this machine: a table
 * tells how the one in hand is called and what its clients' bytes pass through. The test is the
 * other end of each client, and runs the adapter's loop while it waits.
 *
 * The endpoint has a probe on "/socket"; in what is said and heard as JSON, ' stands for ". */
#ifndef UNIT_ADAPTER_CASE_H
#define UNIT_ADAPTER_CASE_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "sim/probe.h"
#include "unit/conn_case.h"

typedef struct adapter {
    void *(*start)(channels_endpoint *ep); /* on a loop of its own; NULL: it could not */
    void (*stop)(void *loop);
    void (*run_once)(void *loop, int timeout_ms); /* negative: until something happens */
    int (*listen)(void *loop, const char *host);  /* the port, or a negative errno */
    int (*listen_fd)(void *loop, int fd);
    int (*accept)(void *loop, int fd);
    int (*accept_from)(void *loop, int fd, const channels_request *req, const void *rest,
                       size_t len); /* NULL: there is none */
    size_t (*clients)(const void *loop);

    /* Between a client and its socket; all NULL: nothing is. send() and recv() never wait. */
    void *(*secure)(int fd);
    ssize_t (*send)(void *secure, const void *data, size_t len);
    ssize_t (*recv)(void *secure, void *dst, size_t len);
    void (*end)(void *secure); /* says that it will send no more */
    void (*forget)(void *secure);
} adapter;

typedef struct net {
    const adapter *a;
    channels_test host; /* its clock is not used */
    sim_memory memory;
    probe probe;
    void *loop;
    int port;
    int first_fd; /* the lowest that is free, when all is closed */
} net;

typedef struct far_end {
    net *n;
    int fd;
    void *secure;
} far_end;

typedef struct adapter_test {
    const char *name;
    void (*fn)(net *n);
} adapter_test;
#define ADAPTER_TEST(fn) \
    { \
#fn, fn \
    }
/* Runs the tests that all adapters have, and `more`. */
int adapter_run(const adapter *a, const adapter_test *more, size_t n);

/* Begins anew with an endpoint that has this http_timeout_ms. */
void adapter_restart(net *n, uint32_t http_timeout_ms);
void turn(net *n, int timeout_ms);
size_t clients(const net *n);
void until_clients(net *n, size_t count); /* are left */

far_end dial(net *n);
far_end far_end_of(net *n, int fd);
far_end dial_plain(net *n); /* with nothing between it and its socket */
far_end join(net *n);       /* and joins "room:a" with the ref 1 */
ssize_t put_some(far_end *p, const void *data, size_t len); /* what can be sent now, as send() */
void put(far_end *p, const void *data, size_t len);
void put_text(far_end *p, const char *text);
void put_frame(far_end *p, int first, const char *json);
/* Runs the loop until `len` bytes have come, or the end: how many have. */
size_t get(far_end *p, char *dst, size_t len);
void gets_text(far_end *p, const char *text);
void gets_json(far_end *p, const char *json);
void gets_end(far_end *p);
void hang_up(far_end *p);

#endif
