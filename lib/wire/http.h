/* http.h - reads HTTP/1.x requests, one after the other, from pieces of any size. The only user of
 * llhttp.
 *
 * Strict, because whoever stands between the client and us may see requests begin and end elsewhere
 * if anything is guessed: bare CR or LF, folded lines, two lengths, unknown codings are refused. */
#ifndef CHANNELS_WIRE_HTTP_H
#define CHANNELS_WIRE_HTTP_H

#include <stdbool.h>

#include "base/mem.h"
#include "channels/channels.h"

typedef struct channels__http channels__http;

typedef enum {
    CHANNELS__HTTP_MORE,     /* all was taken, the request is not complete */
    CHANNELS__HTTP_CONTINUE, /* likewise, and the client waits to hear "100 Continue" */
    CHANNELS__HTTP_REQUEST,  /* one is complete: see channels__http_request() */
    CHANNELS__HTTP_MALFORMED,
    CHANNELS__HTTP_HEAD_TOO_LARGE,
    CHANNELS__HTTP_BODY_TOO_LARGE,
    CHANNELS__HTTP_NOMEM
} channels__http_result;

/* NULL if memory ran out. */
channels__http *channels__http_new(const channels__mem *mem, size_t max_head, size_t max_body);
void channels__http_free(channels__http *http); /* NULL is fine */
/* From now on asks for each request with a body how large that may be, when its head is there. */
void channels__http_on_head(channels__http *http,
                            size_t (*max_body)(void *arg, const channels_request *head), void *arg);
/* Reads on; *took bytes belonged to this request. After a complete request comes
 * channels__http_reset(), after a failure only channels__http_free(). */
channels__http_result channels__http_feed(channels__http *http, const char *data, size_t len,
                                          size_t *took);
/* The request that is complete, or whose body is too large; good until reset. Its `peer` is NULL. */
const channels_request *channels__http_request(const channels__http *http);
/* Its version is 1.1, and another request may follow it. */
bool channels__http_keep_alive(const channels__http *http);
bool channels__http_is_1_1(const channels__http *http);
/* As its head has it; SIZE_MAX if that is not known yet. */
size_t channels__http_body_len(const channels__http *http);
void channels__http_reset(channels__http *http);

/* The characters that names of headers are made of. */
bool channels__http_token(const char *name);

#endif
