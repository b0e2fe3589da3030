/* batch.c - see batch.h. */
#include "wire/batch.h"

channels__batch channels__batch_of(channels__str body, bool lines, uint32_t max)
{
    const char *p = body.p != NULL ? body.p : "";
    channels__batch batch = { p, p + body.n, lines ? max : 1, lines };
    return batch;
}

/* Up to LF or CR LF; a lone CR ends no line. */
static channels__str take_line(channels__batch *b)
{
    const char *line = b->p, *lf = memchr(line, '\n', (size_t)(b->end - line));
    size_t n = (size_t)((lf != NULL ? lf : b->end) - line);
    b->p = lf != NULL ? lf + 1 : b->end;
    if (lf != NULL && n != 0 && line[n - 1] == '\r')
        n--;
    return channels__str_n(line, n);
}

bool channels__batch_next(channels__batch *b, channels__str *message)
{
    if (b->left == 0)
        return false;
    if (!b->lines) {
        b->left = 0;
        *message = channels__str_n(b->p, (size_t)(b->end - b->p));
        return true;
    }
    while (b->p < b->end) {
        *message = take_line(b);
        if (message->n != 0) {
            b->left--;
            return true;
        }
    }
    return false;
}
