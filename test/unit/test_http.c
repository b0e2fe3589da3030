/* test_http.c - lib/wire/http.c: requests as they come, in pieces of any size, and what is refused;
 * and lib/wire/response.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/faulty.h"
#include "wire/http.h"
#include "wire/response.h"

#define HEAD 1024u
#define BODY 64u

/* Feeds pieces of `step` bytes until there is something to tell; *took is what was read. */
static channels__http_result feed(channels__http *h, const char *data, size_t len, size_t step,
                                  size_t *took)
{
    channels__http_result r = CHANNELS__HTTP_MORE;
    *took = 0;
    while (*took < len && (r == CHANNELS__HTTP_MORE || r == CHANNELS__HTTP_CONTINUE)) {
        size_t n = len - *took < step ? len - *took : step, part;
        char *piece = malloc(n); /* its end is where the piece ends, for the sanitizers */
        memcpy(piece, data + *took, n);
        r = channels__http_feed(h, piece, n, &part);
        free(piece);
        if (r == CHANNELS__HTTP_MORE || r == CHANNELS__HTTP_CONTINUE)
            assert_int_equal(part, n);
        *took += part;
    }
    return r;
}

static channels__http_result result_of(const char *data, size_t len, size_t step)
{
    faulty f;
    size_t took;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    channels__http_result r = feed(h, data, len, step, &took);
    channels__http_free(h);
    assert_int_equal(f.memory.blocks, 0);
    return r;
}

static void gives_n(const char *data, size_t len, channels__http_result wanted)
{
    for (size_t step = len; step > 0; step = step > 16 ? step / 3 : step - 1) {
        channels__http_result r = result_of(data, len, step);
        if (r != wanted)
            print_error("in pieces of %zu: %s\n", step, data);
        assert_int_equal(r, wanted);
    }
}

#define gives(text, wanted) gives_n(text, sizeof text - 1, wanted)
#define malformed(text) gives(text, CHANNELS__HTTP_MALFORMED)
#define sound(text) gives(text, CHANNELS__HTTP_REQUEST)

/* --- What is understood ------------------------------------------------------------------- */

static void is_header(const channels_request *req, size_t i, const char *name, const char *value)
{
    assert_true(i < req->nheaders);
    assert_string_equal(req->headers[i].name, name);
    assert_string_equal(req->headers[i].value, value);
}

static void check_get(size_t step)
{
    static const char text[] = "GET /socket/websocket?a=1&b=%20 HTTP/1.1\r\nHost: x\r\n"
                               "X-Two:  one \t\r\nx-two: two\r\nEmpty:\r\n\r\nGET /next";
    faulty f;
    size_t took;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    assert_int_equal(feed(h, text, sizeof text - 1, step, &took), CHANNELS__HTTP_REQUEST);
    assert_string_equal(text + took, "GET /next");
    const channels_request *req = channels__http_request(h);
    assert_string_equal(req->method, "GET");
    assert_string_equal(req->path, "/socket/websocket");
    assert_string_equal(req->query, "a=1&b=%20");
    assert_int_equal(req->nheaders, 4);
    is_header(req, 0, "Host", "x");
    is_header(req, 1, "X-Two", "one");
    is_header(req, 2, "x-two", "two");
    is_header(req, 3, "Empty", "");
    assert_int_equal(req->body_len, 0);
    assert_null(req->peer);
    assert_true(channels__http_keep_alive(h));
    assert_true(channels__http_is_1_1(h));
    channels__http_reset(h);
    assert_int_equal(f.memory.blocks, 1);
    channels__http_free(h);
    assert_int_equal(f.memory.blocks, 0);
}

static void reads_a_request(void **state)
{
    (void)state;
    for (size_t step = 1; step < 120; step++)
        check_get(step);
}

static void body_of(const char *text, const char *method, const char *body)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        faulty f;
        size_t took;
        faulty_init(&f);
        channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
        assert_int_equal(feed(h, text, strlen(text), step, &took), CHANNELS__HTTP_REQUEST);
        const channels_request *req = channels__http_request(h);
        assert_string_equal(req->method, method);
        assert_int_equal(req->body_len, strlen(body));
        if (*body != '\0')
            assert_memory_equal(req->body, body, strlen(body));
        assert_string_equal(text + took, "rest");
        channels__http_free(h);
        assert_int_equal(f.memory.blocks, 0);
    }
}

static void reads_bodies(void **state)
{
    (void)state;
    body_of("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhellorest", "POST", "hello");
    body_of("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nrest", "PUT", "");
    body_of("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
            "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: dropped\r\n\r\nrest",
            "POST", "hello");
    body_of("POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n"
            "okrest",
            "POST", "ok");
    body_of("OPTIONS * HTTP/1.1\r\n\r\nrest", "OPTIONS", "");
    body_of("GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nrest", "GET", "");
}

static void target_of(const char *target, const char *path, const char *query)
{
    char text[256];
    faulty f;
    size_t took;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n\r\n", target);
    assert_int_equal(feed(h, text, (size_t)n, (size_t)n, &took), CHANNELS__HTTP_REQUEST);
    assert_string_equal(channels__http_request(h)->path, path);
    assert_string_equal(channels__http_request(h)->query, query);
    channels__http_free(h);
}

static void splits_targets(void **state)
{
    (void)state;
    target_of("/", "/", "");
    target_of("/a?", "/a", "");
    target_of("/a?b?c", "/a", "b?c");
    target_of("//a//b", "//a//b", "");
    target_of("/%73ocket", "/%73ocket", "");
    target_of("*", "*", "");
    target_of("http://h:80/a?b", "/a", "b");
    target_of("HTTPS://h", "/", "");
    target_of("http://h?b", "/", "b");
}

static void keeps_alive(const char *text, bool expected)
{
    faulty f;
    size_t took;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    assert_int_equal(feed(h, text, strlen(text), strlen(text), &took), CHANNELS__HTTP_REQUEST);
    assert_int_equal(channels__http_keep_alive(h), expected);
    channels__http_free(h);
}

static void knows_the_last_request(void **state)
{
    (void)state;
    keeps_alive("GET / HTTP/1.1\r\n\r\n", true);
    keeps_alive("GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", true);
    keeps_alive("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", false);
    keeps_alive("GET / HTTP/1.1\r\nConnection: upgrade, close\r\n\r\n", false);
    keeps_alive("GET / HTTP/1.0\r\n\r\n", false);
    keeps_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false);
    keeps_alive("CONNECT h:1 HTTP/1.1\r\n\r\n", false);
}

static void one_after_the_other(void **state)
{
    static const char one[] = "GET /1 HTTP/1.1\r\nA: b\r\n\r\n\r\n"; /* as some clients end it */
    faulty f;
    size_t took, part;
    (void)state;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(feed(h, one, sizeof one - 1, 7, &took), CHANNELS__HTTP_REQUEST);
        assert_int_equal(took, sizeof one - 1 - 2);
        channels__http_reset(h);
        assert_int_equal(channels__http_feed(h, "\r\n", 2, &part), CHANNELS__HTTP_MORE);
    }
    channels__http_free(h);
    assert_int_equal(f.memory.blocks, 0);
}

static void says_when_100_is_awaited(void **state)
{
    static const char text[] =
        "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    faulty f;
    size_t took;
    (void)state;
    faulty_init(&f);
    channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
    assert_int_equal(channels__http_feed(h, text, sizeof text - 1, &took), CHANNELS__HTTP_CONTINUE);
    assert_int_equal(channels__http_feed(h, "ok", 2, &took), CHANNELS__HTTP_REQUEST);
    channels__http_free(h);
    sound("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");
    sound("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n");
}

/* --- What is refused ---------------------------------------------------------------------- */

static void malformed_lines(void **state)
{
    (void)state;
    malformed("GARBAGE\r\n\r\n");
    malformed("get / HTTP/1.1\r\n\r\n");
    malformed("GET / HTTP/1.1\n\n");
    malformed("GET / HTTP/1.1\r\nA: b\n\r\n");
    malformed("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA:\rB: d\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA: b\r\n\tfolded\r\n\r\n");
    malformed("GET / HTTP/1.1\r\n A: b\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA : b\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA b: c\r\n\r\n");
    malformed("GET / HTTP/1.1\r\n: b\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA\0: b\r\n\r\n");
    malformed("GET / HTTP/1.1\r\nA: b\x01\r\n\r\n");
    malformed("GET /\0 HTTP/1.1\r\n\r\n");
    malformed("GET /a#b HTTP/1.1\r\n\r\n");
    malformed("GET a HTTP/1.1\r\n\r\n");
    malformed("\x16\x03\x01\x02\x01\x01\x00\x01\xfc\x03\x03");
}

static void other_versions(void **state)
{
    (void)state;
    malformed("GET /\r\n\r\n");
    malformed("GET / HTTP/0.9\r\n\r\n");
    malformed("GET / HTTP/1.2\r\n\r\n");
    malformed("GET / HTTP/2.0\r\n\r\n");
    malformed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

static void two_lengths(void **state)
{
    (void)state;
    malformed("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx");
    malformed("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx");
    malformed("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx");
    malformed("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\nx");
    malformed("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\nx");
    malformed(
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    malformed(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n");
    malformed("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nx");
    malformed("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    malformed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n");
    malformed("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n");
    malformed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nx");
}

static void bad_chunks(void **state)
{
    (void)state;
#define CHUNKED "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    malformed(CHUNKED "x\r\n");
    malformed(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n");
    malformed(CHUNKED "3 \r\nabc\r\n0\r\n\r\n");
    malformed(CHUNKED "-1\r\nabc\r\n0\r\n\r\n");
    malformed(CHUNKED "ffffffffffffffff1\r\n");
    malformed(CHUNKED "3\nabc\r\n0\r\n\r\n");
    malformed(CHUNKED "3\r\nabcd\r\n0\r\n\r\n");
    malformed(CHUNKED "3\rxabc\r\n0\r\n\r\n");
    malformed(CHUNKED "3\r\nabcXY0\r\n\r\n");
    malformed(CHUNKED "3\r\nabc\r\n0\r\n\n");
    malformed(CHUNKED "3\r\nabc\r\n0\r\nA: b\n\r\n");
    malformed(CHUNKED "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n");
}

/* --- Limits ------------------------------------------------------------------------------- */

static void head_of(size_t len, channels__http_result wanted)
{
    char text[HEAD + 64] = "GET / HTTP/1.1\r\nA: ";
    size_t used = strlen(text);
    memset(text + used, 'x', len - used - 4);
    memcpy(text + len - 4, "\r\n\r\n", 4);
    gives_n(text, len, wanted);
}

static void heads_are_bounded(void **state)
{
    char junk[HEAD + 1];
    (void)state;
    head_of(HEAD, CHANNELS__HTTP_REQUEST);
    head_of(HEAD + 1, CHANNELS__HTTP_HEAD_TOO_LARGE);
    memset(junk, 'x', sizeof junk);
    memcpy(junk, "GET /", 5);
    gives_n(junk, HEAD, CHANNELS__HTTP_MORE);
    gives_n(junk, HEAD + 1, CHANNELS__HTTP_HEAD_TOO_LARGE);
    for (size_t i = 0; i < sizeof junk; i++)
        junk[i] = i % 2 == 0 ? '\r' : '\n';
    gives_n(junk, sizeof junk, CHANNELS__HTTP_HEAD_TOO_LARGE);
}

/* That a value has ended is told with the first byte of the next line, which may be the first of a
 * piece: room for both, wherever the block ends. */
static void values_end_with_the_next_piece(void **state)
{
    char text[HEAD];
    (void)state;
    for (int digits = 480; digits < 520; digits++) {
        int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nA: %0*d\r\nB: c\r\n\r\n", digits, 0);
        gives_n(text, (size_t)n, CHANNELS__HTTP_REQUEST);
    }
}

static void bodies_are_bounded(void **state)
{
    char text[512];
    (void)state;
    int n = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nContent-Length: %u\r\n\r\n", BODY + 1);
    gives_n(text, (size_t)n, CHANNELS__HTTP_BODY_TOO_LARGE); /* by what is announced */
    n = snprintf(text, sizeof text, "POST / HTTP/1.1\r\nContent-Length: %u\r\n\r\n%0*d", BODY,
                 (int)BODY, 0);
    gives_n(text, (size_t)n, CHANNELS__HTTP_REQUEST);
    n = snprintf(text, sizeof text, CHUNKED "40\r\n%064d\r\n0\r\n\r\n", 0);
    gives_n(text, (size_t)n, CHANNELS__HTTP_REQUEST);
    n = snprintf(text, sizeof text, CHUNKED "40\r\n%064d\r\n1\r\nx", 0);
    gives_n(text, (size_t)n, CHANNELS__HTTP_BODY_TOO_LARGE);
}

static void lines_are_bounded(void **state)
{
    static const char line[] = "0\r\nA: ", end[] = "\r\n\r\n";
    char text[2 * HEAD + sizeof CHUNKED];
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        size_t n = strlen(CHUNKED), trailer = HEAD + over;
        memset(text, 'x', sizeof text);
        memcpy(text, CHUNKED, n);
        memcpy(text + n, line, sizeof line - 1);
        memcpy(text + n + trailer - (sizeof end - 1), end, sizeof end - 1);
        gives_n(text, n + trailer, over ? CHANNELS__HTTP_HEAD_TOO_LARGE : CHANNELS__HTTP_REQUEST);
    }
    memset(text, 'x', sizeof text); /* an extension */
    memcpy(text, CHUNKED "1;", sizeof CHUNKED + 1);
    gives_n(text, sizeof text, CHANNELS__HTTP_HEAD_TOO_LARGE);
}

static bool all_of_it(faulty *f)
{
    static const char text[] =
        CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n";
    size_t took = 0, part = 0;
    channels__http *h = channels__http_new(&f->mem, HEAD, BODY);
    if (h == NULL)
        return false;
    channels__http_result r = feed(h, text, sizeof text - 1, sizeof text, &took);
    if (r == CHANNELS__HTTP_REQUEST) {
        channels__http_reset(h);
        r = feed(h, text + took, sizeof text - 1 - took, 3, &part);
    }
    channels__http_free(h);
    assert_true(r == CHANNELS__HTTP_REQUEST || r == CHANNELS__HTTP_NOMEM);
    return r == CHANNELS__HTTP_REQUEST;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    faulty_run(all_of_it);
}

/* --- Responses ---------------------------------------------------------------------------- */

static void writes(const channels_response *r, bool keep_alive, bool head, const char *text)
{
    faulty f;
    faulty_init(&f);
    channels_buf *buf = channels__response_encode(&f.mem, r, keep_alive, head);
    size_t len;
    const char *data = channels_buf_data(buf, &len);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(data, text, len);
    channels_buf_unref(buf);
    assert_int_equal(f.memory.blocks, 0);
    f.memory.fail_at = 2;
    assert_null(channels__response_encode(&f.mem, r, keep_alive, head));
}

static void writes_responses(void **state)
{
    const channels_header headers[] = { { "content-type", "text/plain" }, { "x-y", "" } };
    const channels_response ok = { 200, headers, 2, "hello", 5 };
    const channels_response empty = { .status = 403 }, none = { 204, NULL, 0, "x", 1 };
    const channels_response unchanged = { 304, headers, 1, "x", 1 }, strange = { .status = 299 };
    (void)state;
    writes(&ok, true, false,
           "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-y: \r\n"
           "content-length: 5\r\n\r\nhello");
    writes(&ok, false, true,
           "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-y: \r\n"
           "content-length: 5\r\nconnection: close\r\n\r\n");
    writes(&empty, true, false, "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    writes(&none, true, false, "HTTP/1.1 204 No Content\r\n\r\n");
    writes(&unchanged, true, false,
           "HTTP/1.1 304 Not Modified\r\ncontent-type: text/plain\r\n\r\n");
    writes(&strange, true, false, "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n");
}

static bool fits(const char *name, const char *value)
{
    const channels_header header = { name, value };
    const channels_response r = { .status = 200, .headers = &header, .nheaders = 1 };
    return channels__response_fault(&r) == NULL;
}

static void finds_faults_of_hosts(void **state)
{
    channels_response r = { .status = 200 };
    (void)state;
    assert_null(channels__response_fault(&r));
    for (int status = -1; status < 700; status++) {
        r.status = status;
        assert_int_equal(channels__response_fault(&r) == NULL, status >= 200 && status <= 599);
    }
    r = (channels_response){ .status = 200, .body_len = 1 };
    assert_non_null(channels__response_fault(&r));
    assert_true(fits("set-cookie", "a=b; path=/\ttab \xc3\xa9"));
    assert_false(fits("a", "b\r\nset-cookie: x"));
    assert_false(fits("a", "b\n"));
    assert_false(fits("a", "\x7f"));
    assert_false(fits("a\r\nb", "c"));
    assert_false(fits("a:", "c"));
    assert_false(fits("a b", "c"));
    assert_false(fits("", "c"));
    assert_false(fits(NULL, "c"));
    assert_false(fits("a", NULL));
    assert_false(fits("Content-Length", "1"));
    assert_false(fits("CONNECTION", "close"));
    assert_false(fits("transfer-encoding", "chunked"));
}

static size_t by_path(void *arg, const channels_request *head)
{
    unsigned *asked = arg;
    ++*asked;
    assert_string_equal(head->method, "POST");
    return strcmp(head->path, "/large") == 0 ? 3 * BODY : 2;
}

static void limits_by_the_head(void **state)
{
    static const struct {
        const char *text;
        channels__http_result wanted;
    } cases[] = { { "POST /large HTTP/1.1\r\nContent-Length: 192\r\n\r\n", CHANNELS__HTTP_MORE },
                  { "POST /large HTTP/1.1\r\nContent-Length: 193\r\n\r\n",
                    CHANNELS__HTTP_BODY_TOO_LARGE },
                  { "POST /small HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", CHANNELS__HTTP_REQUEST },
                  { "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc",
                    CHANNELS__HTTP_BODY_TOO_LARGE } };
    faulty f;
    size_t took;
    unsigned asked = 0;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faulty_init(&f);
        channels__http *h = channels__http_new(&f.mem, HEAD, BODY);
        channels__http_on_head(h, by_path, &asked);
        static const char before[] = "POST /small HTTP/1.1\r\n\r\n";
        assert_int_equal(feed(h, before, sizeof before - 1, 5, &took), CHANNELS__HTTP_REQUEST);
        channels__http_reset(h);
        assert_int_equal(feed(h, cases[i].text, strlen(cases[i].text), 7, &took), cases[i].wanted);
        assert_string_equal(channels__http_request(h)->method, "POST"); /* good also if too large */
        assert_int_equal(asked, i + 1); /* the one before has no body */
        channels__http_free(h);
        assert_int_equal(f.memory.blocks, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),       cmocka_unit_test(reads_bodies),
        cmocka_unit_test(splits_targets),        cmocka_unit_test(knows_the_last_request),
        cmocka_unit_test(one_after_the_other),   cmocka_unit_test(says_when_100_is_awaited),
        cmocka_unit_test(malformed_lines),       cmocka_unit_test(other_versions),
        cmocka_unit_test(two_lengths),           cmocka_unit_test(bad_chunks),
        cmocka_unit_test(heads_are_bounded),     cmocka_unit_test(bodies_are_bounded),
        cmocka_unit_test(memory_may_run_out),    cmocka_unit_test(writes_responses),
        cmocka_unit_test(finds_faults_of_hosts), cmocka_unit_test(limits_by_the_head),
        cmocka_unit_test(lines_are_bounded),     cmocka_unit_test(values_end_with_the_next_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
