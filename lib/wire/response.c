/* response.c - see response.h. */
#include "wire/response.h"

#include <string.h>

#include "base/ascii.h"
#include "wire/http.h"

/* --- What hosts give ---------------------------------------------------------------------- */

static bool value_sound(const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++)
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    return true;
}

static const char *header_fault(const channels_header *header)
{
    if (header->name == NULL || header->value == NULL)
        return "a header has no name or no value";
    if (!channels__http_token(header->name))
        return "the name of a header is not made of the characters that may be in one";
    if (!value_sound(header->value))
        return "the value of a header holds a line break or another control character";
    if (channels__same(header->name, "content-length") ||
        channels__same(header->name, "connection") ||
        channels__same(header->name, "transfer-encoding"))
        return "content-length, connection and transfer-encoding are added by the library";
    return NULL;
}

const char *channels__response_fault(const channels_response *r)
{
    if (r->status < 200 || r->status > 599)
        return "its status is not one of 200 to 599";
    if (r->body == NULL && r->body_len != 0)
        return "it has a length but no body";
    for (size_t i = 0; i < r->nheaders; i++) {
        const char *fault = header_fault(&r->headers[i]);
        if (fault != NULL)
            return fault;
    }
    return NULL;
}

/* --- Writing it --------------------------------------------------------------------------- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        { 100, "Continue" },
        { 101, "Switching Protocols" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].reason;
    return ""; /* it may be left out */
}

/* Counts while `to` is NULL. */
typedef struct writer {
    char *to;
    size_t n;
} writer;

static void put(writer *w, const void *p, size_t n)
{
    if (w->to != NULL && n != 0)
        memcpy(w->to + w->n, p, n);
    w->n += n;
}

static void put_line(writer *w, const char *a, const char *b, const char *c)
{
    put(w, a, strlen(a));
    put(w, b, strlen(b));
    put(w, c, strlen(c));
    put(w, "\r\n", 2);
}

static void put_number(writer *w, size_t n)
{
    char digits[24], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    put(w, p, (size_t)(digits + sizeof digits - p));
}

static void compose(writer *w, const channels_response *r, bool keep_alive, bool head)
{
    bool empty = r->status < 200 || r->status == 204 || r->status == 304;
    put(w, "HTTP/1.1 ", 9);
    put_number(w, (size_t)r->status);
    put_line(w, " ", reason(r->status), "");
    for (size_t i = 0; i < r->nheaders; i++)
        put_line(w, r->headers[i].name, ": ", r->headers[i].value);
    if (!empty) {
        put(w, "content-length: ", 16);
        put_number(w, r->body_len);
        put(w, "\r\n", 2);
    }
    if (!keep_alive)
        put_line(w, "connection", ": ", "close");
    put(w, "\r\n", 2);
    if (!empty && !head)
        put(w, r->body, r->body_len);
}

channels_buf *channels__response_encode(const channels__mem *mem, const channels_response *r,
                                        bool keep_alive, bool head)
{
    writer w = { NULL, 0 };
    compose(&w, r, keep_alive, head);
    channels_buf *buf = channels__buf_new(mem, w.n);
    if (buf == NULL)
        return NULL;
    w.to = channels__buf_bytes(buf);
    w.n = 0;
    compose(&w, r, keep_alive, head);
    return buf;
}
