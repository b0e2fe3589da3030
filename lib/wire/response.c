/* response.c - see response.h. */
#include "wire/response.h"

#include <string.h>

#include "base/ascii.h"
#include "base/bytes.h"
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

/* The lines that are added to those given have no more bytes than this. */
#define OWN_LINES 128u

static char *put_text(char *to, const char *text)
{
    return channels__put(to, text, strlen(text));
}

static char *put_number(char *to, size_t n)
{
    char digits[24], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    return channels__put(to, p, (size_t)(digits + sizeof digits - p));
}

static char *put_header(char *to, const channels_header *header)
{
    to = put_text(to, header->name);
    to = put_text(to, ": ");
    to = put_text(to, header->value);
    return put_text(to, "\r\n");
}

static char *put_head(char *to, const channels_response *r, bool keep_alive, bool empty)
{
    static const channels_header last = { "connection", "close" };
    to = put_number(put_text(to, "HTTP/1.1 "), (size_t)r->status);
    to = put_text(put_text(put_text(to, " "), reason(r->status)), "\r\n");
    for (size_t i = 0; i < r->nheaders; i++)
        to = put_header(to, &r->headers[i]);
    if (!empty)
        to = put_text(put_number(put_text(to, "content-length: "), r->body_len), "\r\n");
    if (!keep_alive)
        to = put_header(to, &last);
    return put_text(to, "\r\n");
}

static size_t head_bound(const channels_response *r)
{
    size_t n = OWN_LINES;
    for (size_t i = 0; i < r->nheaders; i++)
        n += strlen(r->headers[i].name) + strlen(r->headers[i].value) + 4;
    return n;
}

channels_buf *channels__response_encode(const channels__mem *mem, const channels_response *r,
                                        bool keep_alive, bool head)
{
    bool empty = r->status < 200 || r->status == 204 || r->status == 304;
    size_t body_len = empty || head ? 0 : r->body_len;
    channels_buf *buf = channels__buf_new(mem, head_bound(r) + body_len);
    if (buf == NULL)
        return NULL;
    char *end = put_head(channels__buf_bytes(buf), r, keep_alive, empty);
    end = channels__put(end, r->body, body_len);
    buf->len = (size_t)(end - channels__buf_bytes(buf));
    return buf;
}
