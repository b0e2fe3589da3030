/* kernel.c - where the bytes go: see budget.h. */
#include <sys/uio.h>

#include "budget/budget.h"

#define IOVS 64

kernel the_kernel;

/* What `iov` holds, in one piece. */
static unsigned char *joined(const struct iovec *iov, int n, size_t len)
{
    unsigned char *bytes = budget_alloc(len + 1, 1), *p = bytes;
    for (int i = 0; i < n; i++) {
        memcpy(p, iov[i].iov_base, iov[i].iov_len);
        p += iov[i].iov_len;
    }
    return bytes;
}

static bool holds(const unsigned char *bytes, size_t len, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(bytes + i, text, n) == 0)
            return true;
    return false;
}

/* The length of the frame, or of the whole if it is HTTP. */
static size_t length(const unsigned char *p, size_t len)
{
    if (p[0] == 'H')
        return len;
    if (p[0] != 0x81 || len < 4)
        budget_fail("the library wrote something else than a text frame");
    size_t n = p[1] < 126 ? p[1] + 2u : (size_t)(p[2] << 8 | p[3]) + 4u;
    if (n > len)
        budget_fail("the library wrote a part of a frame");
    return n;
}

static void listen_to(const struct iovec *iov, int n, size_t len)
{
    unsigned char *bytes = joined(iov, n, len), *p = bytes;
    while (len != 0) {
        size_t m = length(p, len);
        the_kernel.messages += holds(p, m, the_kernel.heard);
        p += m;
        len -= m;
    }
    free(bytes);
}

static void keep(const struct iovec *iov, int n, size_t len)
{
    unsigned char *bytes = joined(iov, n, len);
    snprintf(the_kernel.last, KERNEL_LAST, "%s", (const char *)bytes);
    free(bytes);
}

void kernel_write(channels_conn *conn)
{
    struct iovec iov[IOVS];
    int n;
    while ((channels_conn_want(conn) & CHANNELS_WANT_WRITE) != 0 &&
           (n = channels_conn_output(conn, iov, IOVS)) > 0) {
        size_t len = 0;
        for (int i = 0; i < n; i++)
            len += iov[i].iov_len;
        if (the_kernel.heard != NULL)
            listen_to(iov, n, len);
        if (the_kernel.last != NULL)
            keep(iov, n, len);
        the_kernel.bytes += len;
        channels_conn_sent(conn, len);
    }
    if (channels_conn_want(conn) != CHANNELS_WANT_READ) /* they all ask */
        budget_fail("a connection wants something else than to be read");
}
