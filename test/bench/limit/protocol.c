/* protocol.c - the least that can be made of what clients say: see limit.h. Messages are searched
 * for commas, not parsed; who joins a topic leaves the one before. */
#define _GNU_SOURCE /* memmem(), strcasestr() */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/frame.h"
#include "bench/limit/limit.h"

#define KEY_LEN 24 /* of Sec-WebSocket-Key */
#define MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

bool limit_batches;
static EVP_MD *sha1;
static EVP_MD_CTX *digest;

/* What OpenSSL needs once belongs to nobody's connection. */
void protocol_begin(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    digest = EVP_MD_CTX_new();
    if (sha1 == NULL || digest == NULL)
        abort();
}

/* --- Out ------------------------------------------------------------------------------------ */

/* Room for a frame of so many bytes: alone it is built in place and sent at once. */
static shared_frame *frame_new(size_t payload)
{
    static shared_frame *place;
    if (place == NULL)
        place = limit_resize(NULL, sizeof *place + READ_BYTES + 512);
    shared_frame *f = place;
    if (limit_batches)
        f = limit_resize(NULL, sizeof *f + FRAME_HEAD + payload);
    f->refs = 1;
    f->len = (uint32_t)frame_head(f->data, FRAME_TEXT, payload, 0);
    return f;
}

static void frame_add(shared_frame *f, const void *bytes, size_t n)
{
    memcpy(f->data + f->len, bytes, n);
    f->len += (uint32_t)n;
}

static void frame_done(shared_frame *f)
{
    if (--f->refs == 0 && limit_batches)
        free(f);
}

static void deliver(peer *p, shared_frame *f)
{
    if (limit_batches)
        peer_hold(p, f);
    else
        peer_send(p, f->data, f->len);
}

/* "topic","event",payload] becomes [null,null,"topic","event",payload]. */
static void broadcast(topic *t, const uint8_t *rest, size_t n)
{
    static const char nobody[] = "[null,null,";
    shared_frame *f = frame_new(sizeof nobody - 1 + n);
    frame_add(f, nobody, sizeof nobody - 1);
    frame_add(f, rest, n);
    for (uint32_t i = 0; i < t->subscribers.len; i++)
        if (!fault_strikes(t->subscribers.list[i], f->data, f->len))
            deliver(t->subscribers.list[i], f);
    frame_done(f);
}

/* `head` is [join_ref,ref,topic as it came. */
static void reply(peer *p, const uint8_t *head, size_t head_len, const void *response, size_t n)
{
    static const char ok[] = ",\"phx_reply\",{\"status\":\"ok\",\"response\":";
    shared_frame *f = frame_new(head_len + sizeof ok - 1 + n + 2);
    frame_add(f, head, head_len);
    frame_add(f, ok, sizeof ok - 1);
    frame_add(f, response, n);
    frame_add(f, "}]", 2);
    deliver(p, f);
    frame_done(f);
}

/* --- In ------------------------------------------------------------------------------------- */

static uint8_t *after_comma(uint8_t *p, const uint8_t *end)
{
    uint8_t *comma = p != NULL ? memchr(p, ',', (size_t)(end - p)) : NULL;
    return comma != NULL ? comma + 1 : NULL;
}

/* [join_ref,ref,topic,event,payload]: none of the first four has a comma in it. */
static void on_message(peer *p, uint8_t *text, size_t n)
{
    const uint8_t *end = text + n;
    uint8_t *name = after_comma(after_comma(text, end), end);
    uint8_t *event = after_comma(name, end), *payload = after_comma(event, end);
    if (payload == NULL) {
        peer_kill(p);
        return;
    }
    uint32_t name_len = (uint32_t)(event - 1 - name);
    size_t head_len = (size_t)(event - 1 - text);
    switch (event[1] == 'p' ? event[5] : event[1]) {
    case 'n': /* new_msg */
        broadcast(topic_find(name, name_len), name, (size_t)(end - name));
        return;
    case 'e': /* echo */
        reply(p, text, head_len, payload, (size_t)(end - 1 - payload));
        return;
    case 'j': topic_join(p, topic_find(name, name_len)); break; /* phx_join */
    case 'l': topic_leave(p); break;                            /* phx_leave */
    }
    reply(p, text, head_len, "{}", 2);
}

static void answer(peer *p, int opcode, const uint8_t *payload, size_t n)
{
    uint8_t out[FRAME_HEAD + 125];
    size_t head = frame_head(out, opcode, n, 0);
    memcpy(out + head, payload, n);
    peer_flush(p);
    peer_send(p, out, head + n);
}

static void on_frame(peer *p, int opcode, uint8_t *payload, size_t n)
{
    if (opcode == FRAME_TEXT)
        on_message(p, payload, n);
    else if (opcode == FRAME_PING && n < 126)
        answer(p, FRAME_PONG, payload, n);
    if (opcode != FRAME_CLOSE)
        return;
    answer(p, FRAME_CLOSE, payload, n >= 2 ? 2 : 0);
    peer_kill(p);
}

static size_t read_frames(peer *p, uint8_t *bytes, size_t n)
{
    size_t at = 0;
    frame f;
    while (!p->dead && at < n) {
        int is = frame_parse(bytes + at, n - at, &f);
        if (is < 0 || (is > 0 && f.key == NULL))
            peer_kill(p);
        if (is <= 0 || p->dead)
            break;
        uint8_t *payload = bytes + at + f.head;
        frame_mask(payload, f.len, f.key);
        on_frame(p, f.opcode, payload, f.len);
        at += f.head + f.len;
    }
    return at;
}

/* --- The handshake -------------------------------------------------------------------------- */

static void accept_key(const char *key, char out[29])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    EVP_DigestInit_ex2(digest, sha1, NULL);
    EVP_DigestUpdate(digest, key, KEY_LEN);
    EVP_DigestUpdate(digest, MAGIC, sizeof MAGIC - 1);
    EVP_DigestFinal_ex(digest, sum, NULL);
    EVP_EncodeBlock((uint8_t *)out, sum, 20);
}

static size_t read_request(peer *p, uint8_t *bytes, size_t n)
{
    static const char header[] = "\r\nSec-WebSocket-Key: ";
    char out[256], accepted[29];
    uint8_t *end = memmem(bytes, n, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *end = '\0';
    const char *key = strcasestr((char *)bytes, header);
    if (key == NULL || strlen(key) < sizeof header - 1 + KEY_LEN) {
        peer_kill(p);
        return n;
    }
    accept_key(key + sizeof header - 1, accepted);
    int len = snprintf(out, sizeof out,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                       accepted);
    peer_send(p, (uint8_t *)out, (size_t)len);
    p->open = true;
    return (size_t)(end + 4 - bytes);
}

size_t protocol_read(peer *p, uint8_t *bytes, size_t n)
{
    size_t used = p->open ? 0 : read_request(p, bytes, n);
    return p->open ? used + read_frames(p, bytes + used, n - used) : used;
}
