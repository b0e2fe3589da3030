/* http.c - requests read from a stream: however it is cut, they are the same. The first byte
 * chooses the cuts. */
#include "fuzz/fuzz.h"
#include "sim/memory.h"
#include "wire/http.h"

/* What was read, written down. */
typedef struct notes {
    char *text;
    size_t len;
} notes;

static void note(notes *n, const void *bytes, size_t len)
{
    n->text = realloc(n->text, n->len + len + 1);
    FUZZ_CHECK(n->text != NULL);
    if (len != 0)
        memcpy(n->text + n->len, bytes, len);
    n->text[n->len + len] = '\n';
    n->len += len + 1;
}

static void note_text(notes *n, const char *text)
{
    FUZZ_CHECK(text != NULL && strpbrk(text, "\r\n") == NULL); /* no line can hide in another */
    note(n, text, strlen(text));
}

static void note_request(notes *n, channels__http *h)
{
    const channels_request *req = channels__http_request(h);
    note_text(n, req->method);
    note_text(n, req->path);
    note_text(n, req->query);
    for (size_t i = 0; i < req->nheaders; i++) {
        note_text(n, req->headers[i].name);
        note_text(n, req->headers[i].value);
    }
    note(n, req->body, req->body_len);
    note_text(n, channels__http_keep_alive(h) ? "keep-alive" : "close");
}

/* Reads all; pieces are of `step` bytes at most, chosen anew each time, or as large as can be. */
static notes read_all(const channels__mem *mem, const char *bytes, size_t size, uint32_t step)
{
    notes n = { NULL, 0 };
    uint32_t random = step;
    channels__http_result r = CHANNELS__HTTP_MORE;
    channels__http *h = channels__http_new(mem, 4096, 4096);
    while (size != 0 && r <= CHANNELS__HTTP_REQUEST) {
        size_t took, len = step == 0 ? size : fuzz_next(&random) % step + 1;
        char *piece = fuzz_copy(bytes, len = len < size ? len : size);
        r = channels__http_feed(h, piece, len, &took);
        FUZZ_CHECK(took <= len);
        free(piece);
        if (r > CHANNELS__HTTP_REQUEST)
            break;
        FUZZ_CHECK(took == len || r == CHANNELS__HTTP_REQUEST);
        bytes += took;
        size -= took;
        if (r == CHANNELS__HTTP_REQUEST) {
            note_request(&n, h);
            channels__http_reset(h);
        }
    }
    if (r > CHANNELS__HTTP_REQUEST)
        note(&n, &r, sizeof r);
    channels__http_free(h);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    sim_memory memory = { 0 };
    channels__mem mem = { (void *(*)(void *, void *, size_t, size_t))sim_memory_realloc, &memory };
    const char *bytes = (const char *)data + 1;
    notes whole = read_all(&mem, bytes, size - 1, 0);
    notes cut = read_all(&mem, bytes, size - 1, data[0] % 40 + 1u);
    FUZZ_CHECK(whole.len == cut.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(whole.text, cut.text, whole.len) == 0);
    free(whole.text);
    free(cut.text);
    FUZZ_CHECK(memory.blocks == 0);
    return 0;
}
