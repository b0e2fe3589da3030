/* fault.c - `limit --fault NAME` does one delivery wrongly, so that who counts them can be seen to
 * find it: see limit.h. It is that of the fifth broadcast to the last of its subscribers. */
#include <stdlib.h>
#include <string.h>

#include "bench/limit/limit.h"

#define STRIKES_AT 5

static enum { NONE, DROP, TWICE, SWAP, ALTER } fault;
static unsigned broadcasts;
static uint8_t *kept; /* that is to come after its successor */
static size_t kept_len;

bool fault_set(const char *name)
{
    static const char *const names[] = { "", "drop", "twice", "swap", "alter" };
    for (unsigned i = DROP; i <= ALTER; i++)
        if (strcmp(name, names[i]) == 0)
            fault = i;
    return fault != NONE;
}

static void strike(peer *p, const uint8_t *frame, size_t n)
{
    kept_len = n;
    kept = limit_resize(kept, n);
    memcpy(kept, frame, n);
    kept[n / 2] ^= 1; /* of ALTER */
    if (fault == ALTER)
        peer_send(p, kept, n);
    for (int i = 0; fault == TWICE && i < 2; i++)
        peer_send(p, frame, n);
    memcpy(kept, frame, n);
}

bool fault_strikes(peer *p, const uint8_t *frame, size_t n)
{
    const peers *all = &p->topic->subscribers;
    if (fault == NONE || p != all->list[all->len - 1] || ++broadcasts < STRIKES_AT)
        return false;
    if (broadcasts == STRIKES_AT) {
        strike(p, frame, n);
        return true;
    }
    if (fault == SWAP && broadcasts == STRIKES_AT + 1) {
        peer_send(p, frame, n);
        peer_send(p, kept, kept_len);
        return true;
    }
    return false;
}
