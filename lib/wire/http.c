/* http.c - see http.h.
 *
 * llhttp cuts the bytes into the pieces of a head; they are collected in one block of texts with a
 * NUL behind each: target, name, value, name, value ... As no text with its NUL is longer than the
 * bytes it came from, which end in a blank, a colon or a line end, the limit on the head bounds the
 * block as well. The body has a block of its own. */
#include "wire/http.h"

#include <string.h>

#include <llhttp.h>

#include "base/ascii.h"

typedef struct block {
    char *bytes;
    size_t len, size;
} block;

struct channels__http {
    const channels__mem *mem;
    size_t max_head, max_body;
    size_t (*body_limit)(void *arg, const channels_request *head);
    void *arg;
    llhttp_t parser;
    size_t head_len; /* bytes of the head so far */
    block text, body;
    size_t value_at; /* in `text`: of the value that is being read */
    size_t nheaders;
    channels_header *headers;
    channels_request request;
    channels__http_result fault; /* why a callback has stopped the parser */
    const char *lines;           /* in the bytes in hand: what is no content begins here */
    size_t lines_len;            /* of those between two chunks so far */
    char last;                   /* byte of a line */
    bool head_done, expects, keep_alive;
};

/* --- Blocks ------------------------------------------------------------------------------- */

static bool reserve(const channels__mem *mem, block *b, size_t n)
{
    if (n <= b->size - b->len)
        return true;
    size_t size = b->size != 0 ? b->size * 2 : 512;
    while (size - b->len < n)
        size *= 2;
    char *bytes = channels__resize(mem, b->bytes, b->size, size);
    if (bytes == NULL)
        return false;
    b->bytes = bytes;
    b->size = size;
    return true;
}

static bool append(const channels__mem *mem, block *b, const char *p, size_t n)
{
    if (!reserve(mem, b, n))
        return false;
    memcpy(b->bytes + b->len, p, n);
    b->len += n;
    return true;
}

static void drop(const channels__mem *mem, block *b)
{
    channels__free(mem, b->bytes, b->size);
    memset(b, 0, sizeof *b);
}

/* --- Lines -------------------------------------------------------------------------------- */

/* Each line ends in CR LF and none goes on in the next: llhttp is not strict about either. Goes
 * from line end to line end: most bytes are looked at by memchr() alone. */
static bool lines_sound(channels__http *h, const char *p, size_t n)
{
    for (const char *end = p + n; p < end; h->last = p[-1]) {
        if (h->last == '\r') {
            if (*p++ != '\n')
                return false;
            continue;
        }
        if (h->last == '\n' && (*p == ' ' || *p == '\t'))
            return false;
        const char *cr = memchr(p, '\r', (size_t)(end - p)), *stop = cr != NULL ? cr : end;
        if (memchr(p, '\n', (size_t)(stop - p)) != NULL)
            return false;
        p = cr != NULL ? cr + 1 : end;
    }
    return true;
}

/* Of a chunked body what is not content, up to `end`: sizes and trailers. They are read over and
 * not kept, but a peer must not be able to go on with them for ever. */
static channels__http_result read_lines(channels__http *h, const char *end)
{
    size_t n = (size_t)(end - h->lines);
    if (!lines_sound(h, h->lines, n))
        return CHANNELS__HTTP_MALFORMED;
    if (n > h->max_head - h->lines_len)
        return CHANNELS__HTTP_HEAD_TOO_LARGE;
    h->lines_len += n;
    return CHANNELS__HTTP_MORE;
}

/* --- What llhttp calls -------------------------------------------------------------------- */

static int stop(channels__http *h, channels__http_result why)
{
    h->fault = why;
    return HPE_USER;
}

/* Room for what a piece of the head may bring was made before llhttp was given it. */
static void put(channels__http *h, const char *p, size_t n)
{
    memcpy(h->text.bytes + h->text.len, p, n);
    h->text.len += n;
}

/* A piece of a target, name or value. Those of trailers are dropped. */
static int on_text(llhttp_t *parser, const char *p, size_t n)
{
    channels__http *h = parser->data;
    if (!h->head_done)
        put(h, p, n);
    return HPE_OK;
}

static int on_text_end(llhttp_t *parser)
{
    channels__http *h = parser->data;
    if (!h->head_done)
        put(h, "", 1);
    h->value_at = h->text.len;
    return HPE_OK;
}

static int on_value_end(llhttp_t *parser)
{
    channels__http *h = parser->data;
    if (h->head_done)
        return HPE_OK;
    while (h->text.len > h->value_at &&
           (h->text.bytes[h->text.len - 1] == ' ' || h->text.bytes[h->text.len - 1] == '\t'))
        h->text.len--;
    h->nheaders++;
    return on_text_end(parser);
}

static int on_body(llhttp_t *parser, const char *p, size_t n)
{
    channels__http *h = parser->data;
    channels__http_result r = read_lines(h, p);
    h->lines = p + n;
    h->lines_len = 0;
    h->last = '\0';
    if (r != CHANNELS__HTTP_MORE)
        return stop(h, r);
    if (n > h->max_body - h->body.len)
        return stop(h, CHANNELS__HTTP_BODY_TOO_LARGE);
    if (!append(h->mem, &h->body, p, n))
        return stop(h, CHANNELS__HTTP_NOMEM);
    return HPE_OK;
}

static int on_pause(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = { .on_url = on_text,
                                            .on_header_field = on_text,
                                            .on_header_value = on_text,
                                            .on_body = on_body,
                                            .on_url_complete = on_text_end,
                                            .on_header_field_complete = on_text_end,
                                            .on_header_value_complete = on_value_end,
                                            .on_headers_complete = on_pause,
                                            .on_message_complete = on_pause };

/* --- The head ----------------------------------------------------------------------------- */

static bool is_token_char(char c)
{
    return channels__is_letter(c) || c == '-' || channels__is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

bool channels__http_token(const char *name)
{
    const char *p = name;
    while (is_token_char(*p))
        p++;
    return p != name && *p == '\0';
}

static bool begins(const char *text, const char *prefix)
{
    while (*prefix != '\0' && channels__lower(*text) == *prefix)
        text++, prefix++;
    return *prefix == '\0';
}

/* Path and query, also out of "http://host/path?query", which servers have to understand. */
static bool split_target(channels_request *req, char *target)
{
    if (strchr(target, '#') != NULL)
        return false;
    if (begins(target, "http://") || begins(target, "https://")) {
        char *authority = strchr(target, ':') + 3;
        target = authority + strcspn(authority, "/?");
    }
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    req->path = *target != '\0' ? target : "/";
    req->query = query != NULL ? query : "";
    return true;
}

static bool list_headers(channels__http *h)
{
    const char *p = h->text.bytes + strlen(h->text.bytes) + 1; /* behind the target */
    if (h->nheaders == 0)
        return true;
    h->headers = channels__alloc(h->mem, h->nheaders * sizeof *h->headers);
    if (h->headers == NULL)
        return false;
    for (size_t i = 0; i < h->nheaders; i++) {
        h->headers[i].name = p;
        h->headers[i].value = p += strlen(p) + 1;
        p += strlen(p) + 1;
    }
    return true;
}

static bool heed_header(channels__http *h, const channels_header *header, bool *has_host)
{
    const char *name = header->name, *value = header->value;
    switch (channels__lower(name[0])) {
    case 'e':
        h->expects |= channels__same(name, "expect") && channels__same(value, "100-continue");
        return true;
    case 'h':
        if (!channels__same(name, "host"))
            return true;
        if (*has_host || strpbrk(value, " \t/\\?#@,") != NULL)
            return false;
        *has_host = true;
        return true;
    case 't': return !channels__same(name, "transfer-encoding") || channels__same(value, "chunked");
    default: return true;
    }
}

/* False if it cannot be told where the request ends, the one coding that is known being "chunked",
 * or which of two hosts it is for (RFC 9112, 3.2). */
static bool heed_headers(channels__http *h)
{
    bool has_host = false;
    for (size_t i = 0; i < h->nheaders; i++)
        if (!channels__http_token(h->headers[i].name) || !heed_header(h, &h->headers[i], &has_host))
            return false;
    return true;
}

static bool has_body(const channels__http *h)
{
    return h->parser.content_length != 0 || (h->parser.flags & F_CHUNKED) != 0;
}

static channels__http_result end_head(channels__http *h)
{
    channels_request *req = &h->request;
    h->head_done = true;
    if (h->parser.http_major != 1)
        return CHANNELS__HTTP_MALFORMED;
    char *target = h->text.bytes;
    if (!list_headers(h))
        return CHANNELS__HTTP_NOMEM;
    if (!split_target(req, target) || !heed_headers(h))
        return CHANNELS__HTTP_MALFORMED;
    req->method = llhttp_method_name((llhttp_method_t)h->parser.method);
    req->headers = h->headers;
    req->nheaders = h->nheaders;
    h->keep_alive = h->parser.http_minor == 1 && h->parser.method != HTTP_CONNECT &&
                    llhttp_should_keep_alive(&h->parser) != 0;
    if (h->body_limit != NULL && has_body(h))
        h->max_body = h->body_limit(h->arg, req);
    if (h->parser.content_length > h->max_body)
        return CHANNELS__HTTP_BODY_TOO_LARGE;
    llhttp_resume(&h->parser);
    return CHANNELS__HTTP_MORE;
}

static channels__http_result failure(const channels__http *h)
{
    return h->fault != CHANNELS__HTTP_MORE ? h->fault : CHANNELS__HTTP_MALFORMED;
}

static channels__http_result feed_head(channels__http *h, const char *data, size_t len,
                                       size_t *took)
{
    size_t room = h->max_head - h->head_len;
    size_t n = len <= room ? len : room;
    /* And the NUL of a value before, whose end llhttp tells with the first byte behind its line. */
    if (!reserve(h->mem, &h->text, n + 1))
        return CHANNELS__HTTP_NOMEM;
    llhttp_errno_t err = llhttp_execute(&h->parser, data, n);
    if (err == HPE_PAUSED)
        n = (size_t)(llhttp_get_error_pos(&h->parser) - data);
    else if (err != HPE_OK)
        return failure(h);
    if (!lines_sound(h, data, n))
        return CHANNELS__HTTP_MALFORMED;
    h->head_len += n;
    *took = n;
    if (err == HPE_PAUSED)
        return end_head(h);
    return n < len ? CHANNELS__HTTP_HEAD_TOO_LARGE : CHANNELS__HTTP_MORE;
}

/* --- The body ----------------------------------------------------------------------------- */

static channels__http_result complete(channels__http *h)
{
    h->request.body = h->body.bytes;
    h->request.body_len = h->body.len;
    return CHANNELS__HTTP_REQUEST;
}

static channels__http_result feed_body(channels__http *h, const char *data, size_t len,
                                       size_t *took)
{
    if (!has_body(h))
        return complete(h);
    h->lines = data;
    llhttp_errno_t err = llhttp_execute(&h->parser, data, len);
    const char *end = err == HPE_PAUSED ? llhttp_get_error_pos(&h->parser) : data + len;
    if (err != HPE_OK && err != HPE_PAUSED)
        return failure(h);
    channels__http_result r = read_lines(h, end);
    if (r != CHANNELS__HTTP_MORE)
        return r;
    *took += (size_t)(end - data);
    return err == HPE_PAUSED ? complete(h) : CHANNELS__HTTP_MORE;
}

/* --- Outside ------------------------------------------------------------------------------ */

channels__http_result channels__http_feed(channels__http *h, const char *data, size_t len,
                                          size_t *took)
{
    *took = 0;
    if (!h->head_done) {
        channels__http_result r = feed_head(h, data, len, took);
        if (r != CHANNELS__HTTP_MORE || !h->head_done)
            return r;
        if (h->expects && *took == len && has_body(h))
            return CHANNELS__HTTP_CONTINUE;
    }
    return feed_body(h, data + *took, len - *took, took);
}

static void init(channels__http *h, const channels__mem *mem, size_t max_head, size_t max_body)
{
    memset(h, 0, sizeof *h);
    h->mem = mem;
    h->max_head = max_head;
    h->max_body = max_body;
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    h->parser.data = h;
}

channels__http *channels__http_new(const channels__mem *mem, size_t max_head, size_t max_body)
{
    channels__http *h = channels__alloc(mem, sizeof *h);
    if (h != NULL)
        init(h, mem, max_head, max_body);
    return h;
}

void channels__http_on_head(channels__http *h,
                            size_t (*max_body)(void *arg, const channels_request *head), void *arg)
{
    h->body_limit = max_body;
    h->arg = arg;
}

static void forget(channels__http *h)
{
    drop(h->mem, &h->text);
    drop(h->mem, &h->body);
    channels__free(h->mem, h->headers, h->nheaders * sizeof *h->headers);
}

void channels__http_free(channels__http *h)
{
    if (h == NULL)
        return;
    forget(h);
    channels__free(h->mem, h, sizeof *h);
}

void channels__http_reset(channels__http *h)
{
    size_t (*max_body)(void *arg, const channels_request *head) = h->body_limit;
    void *arg = h->arg;
    forget(h);
    init(h, h->mem, h->max_head, h->max_body);
    channels__http_on_head(h, max_body, arg);
}

const channels_request *channels__http_request(const channels__http *h)
{
    return &h->request;
}

bool channels__http_keep_alive(const channels__http *h)
{
    return h->keep_alive;
}

bool channels__http_is_1_1(const channels__http *h)
{
    return h->parser.http_minor == 1;
}

size_t channels__http_body_len(const channels__http *h)
{
    bool known = (h->parser.flags & F_CHUNKED) == 0 && h->parser.content_length < SIZE_MAX;
    return known ? (size_t)h->parser.content_length : SIZE_MAX;
}
