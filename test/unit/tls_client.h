/* tls_client.h - the client's end of a TLS stream, on a socket that it never waits for, and
 * certificates to serve it with. Its handshake happens as it sends and receives. OpenSSL's queue of
 * errors is empty whenever one of these returns. */
#ifndef UNIT_TLS_CLIENT_H
#define UNIT_TLS_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct tls_client {
    SSL *ssl;
    BIO *in, *out; /* ciphertext; they are ssl's */
    int fd;
    size_t step; /* ciphertext leaves in pieces of so many bytes; 0: as much as can */
    bool ended;  /* the server has said goodbye (close_notify) */
    bool gone;   /* nothing can be sent to it any more */
} tls_client;

/* For the table of an adapter: adapter_case.h. */
void *tls_client_new(int fd);
ssize_t tls_client_send(void *client, const void *data, size_t len);
ssize_t tls_client_recv(void *client, void *dst, size_t len);
void tls_client_end(void *client);
void tls_client_free(void *client);

/* Sends ciphertext that waits: false if some still does. */
bool tls_client_flush(tls_client *c);

/* A new folder, to be removed with all certificates in it. */
void tls_files_begin(char dir[64]);
void tls_files_end(const char *dir);
/* Writes `dir`/`name`.pem, a certificate of that name, and `name`.key, protected by `password` if
 * that is not NULL. */
void tls_files_add(const char *dir, const char *name, const char *password);

#endif
