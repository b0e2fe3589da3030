/* frame.h - WebSocket frames (RFC 6455, 5.2) as the load generator and `limit` need them: one who
 * measures the library does not use it. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FRAME_MORE, FRAME_TEXT, FRAME_CLOSE = 8, FRAME_PING, FRAME_PONG };

#define FRAME_HEAD 14             /* bytes before a payload at most, the key included */
#define FRAME_LONGEST (64u << 20) /* more is taken for an error */

typedef struct frame {
    bool fin;
    int opcode;
    const uint8_t *key; /* NULL: not masked */
    size_t head, len;   /* bytes before the payload, and of it */
} frame;

/* 1: a whole frame begins at `p`; 0: more than these `n` bytes are needed; -1: it is none. */
static inline int frame_parse(const uint8_t *p, size_t n, frame *f)
{
    if (n < 2)
        return 0;
    unsigned extra = (p[1] & 127) == 126 ? 2 : (p[1] & 127) == 127 ? 8 : 0;
    if (n < 2 + extra)
        return 0;
    uint64_t len = extra == 0 ? p[1] & 127 : 0;
    for (unsigned i = 0; i < extra; i++)
        len = len << 8 | p[2 + i];
    if ((p[0] & 0x70) != 0 || len > FRAME_LONGEST)
        return -1;
    f->fin = (p[0] & 0x80) != 0;
    f->opcode = p[0] & 15;
    f->head = 2 + extra;
    f->key = NULL;
    if ((p[1] & 0x80) != 0) {
        f->key = p + f->head;
        f->head += 4;
    }
    f->len = (size_t)len;
    return n >= f->head + f->len;
}

/* Writes what stands before a payload of `len` bytes, the key apart; returns its length. `mask` is
 * 0x80 if a key follows, else 0. */
static inline size_t frame_head(uint8_t *dst, int opcode, size_t len, uint8_t mask)
{
    unsigned extra = len < 126 ? 0 : len < 65536 ? 2 : 8;
    dst[0] = (uint8_t)(0x80 | opcode);
    dst[1] = (uint8_t)((extra == 0 ? len : extra == 2 ? 126 : 127) | mask);
    for (unsigned i = 0; i < extra; i++)
        dst[2 + i] = (uint8_t)((uint64_t)len >> 8 * (extra - 1 - i));
    return 2 + extra;
}

/* Masks and unmasks, by words. */
static inline void frame_mask(uint8_t *p, size_t n, const uint8_t key[4])
{
    uint64_t twice, word;
    size_t i = 0;
    memcpy(&twice, key, 4);
    memcpy((uint8_t *)&twice + 4, key, 4);
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= twice;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] ^= key[i & 3];
}

#endif
