/* command.c - commands to Redis, as bytes that wait to be sent. */
#include <stdio.h>
#include <stdlib.h>

#include "redis/redis.h"

#define NUMBER 24        /* bytes of "*N" or "$N" with its line's end, at most */
#define KEPT_SIZE 65536u /* of the buffer when nothing waits; a larger one is given back */

static bool reserve(channels__redis_out *out, size_t len)
{
    size_t size = out->size != 0 ? out->size : 512;
    if (out->at != 0 && out->at >= out->len) { /* moving costs less than what has been sent */
        memcpy(out->data, out->data + out->at, out->len);
        out->at = 0;
    }
    if (len > SIZE_MAX / 4 - out->at - out->len)
        return false;
    while (size < out->at + out->len + len)
        size *= 2;
    if (size == out->size)
        return true;
    char *data = realloc(out->data, size);
    if (data == NULL)
        return false;
    out->data = data;
    out->size = size;
    return true;
}

static void put(channels__redis_out *out, const void *data, size_t len)
{
    if (len != 0)
        memcpy(out->data + out->at + out->len, data, len);
    out->len += len;
}

static void put_number(channels__redis_out *out, char type, size_t n)
{
    char text[NUMBER];
    put(out, text, (size_t)snprintf(text, sizeof text, "%c%zu\r\n", type, n));
}

bool channels__redis_command(channels__redis_out *out, size_t argc, size_t bytes)
{
    size_t frame = NUMBER + argc * (NUMBER + 2);
    if (bytes > SIZE_MAX - frame || !reserve(out, frame + bytes))
        return false;
    put_number(out, '*', argc);
    return true;
}

void channels__redis_arg2(channels__redis_out *out, const void *a, size_t a_len, const void *b,
                          size_t b_len)
{
    put_number(out, '$', a_len + b_len);
    put(out, a, a_len);
    put(out, b, b_len);
    put(out, "\r\n", 2);
}

void channels__redis_arg(channels__redis_out *out, const void *data, size_t len)
{
    channels__redis_arg2(out, data, len, NULL, 0);
}

void channels__redis_sent(channels__redis_out *out, size_t len)
{
    out->at += len;
    out->len -= len;
    if (out->len != 0)
        return;
    out->at = 0;
    if (out->size > KEPT_SIZE)
        channels__redis_out_free(out);
}

void channels__redis_out_free(channels__redis_out *out)
{
    free(out->data);
    memset(out, 0, sizeof *out);
}
