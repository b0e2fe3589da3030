/* stream.h - a TCP connection to the soak's server, by hand: what is put into it leaves as soon as
 * it can, what has come stays until it is taken. Its bytes are counted in soak_counted. */
#ifndef SOAK_STREAM_H
#define SOAK_STREAM_H

#include "soak/soak.h"

typedef struct stream stream;
struct stream {
    ev_io io;
    bool open, paused;
    char *in, *out; /* NUL-terminated is only `in` */
    size_t in_len, out_len;
    void (*on_bytes)(stream *s); /* there are more of them in `in`; may close and free it */
    void (*on_end)(stream *s);   /* the server has hung up; has to close it */
    void *user;
};

void stream_open(stream *s); /* the last three members are set */
void stream_put(stream *s, const void *bytes, size_t n);
void stream_take(stream *s, size_t n);     /* the first `n` bytes of `in` are done with */
void stream_pause(stream *s, bool paused); /* is not read from */
void stream_half_close(stream *s);         /* nothing more will be put into it */
void stream_close(stream *s, bool reset);  /* nothing if it is not open */

#endif
