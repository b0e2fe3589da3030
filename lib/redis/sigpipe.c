/* sigpipe.c - hiredis, and OpenSSL below it, write to a connection that the other side has closed
 * without keeping SIGPIPE from the host. So it is held back from this thread meanwhile, and what
 * came is taken away: but one that was there before, which is the host's. */
#include "redis/redis.h"

static bool is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void channels__sigpipe_hold(channels__sigpipe *s)
{
    sigemptyset(&s->sigpipe);
    sigaddset(&s->sigpipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &s->sigpipe, &s->before);
    s->is_theirs = sigismember(&s->before, SIGPIPE) == 1 && is_pending();
}

void channels__sigpipe_release(const channels__sigpipe *s)
{
    int taken;
    if (!s->is_theirs && is_pending())
        (void)sigwait(&s->sigpipe, &taken);
    (void)pthread_sigmask(SIG_SETMASK, &s->before, NULL);
}
