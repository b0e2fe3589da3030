/* subprotocol.c - see subprotocol.h. */
#include "wire/subprotocol.h"

#include "base/crypto.h"
#include "wire/request.h"

#define BEARER "base64url.bearer.phx."
#define BEARER_LEN (sizeof BEARER - 1)

/* --- Subprotocols ------------------------------------------------------------------------- */

static bool has(const char *list, const char *name)
{
    channels__str entry;
    while ((entry = channels__next_entry(&list)).n != 0)
        if (channels__str_is(entry, name))
            return true;
    return false;
}

bool channels__subprotocol_valid(const char *name)
{
    for (const char *p = name; *p != '\0'; p++)
        if (*p <= 0x20 || *p >= 0x7f || *p == ',')
            return false;
    return name[0] != '\0';
}

size_t channels__subprotocol_choose(const char *const *served, const char *header)
{
    for (size_t i = 0; served[i] != NULL; i++)
        if (has(header, served[i]))
            return i + 1;
    return 0;
}

/* --- Tokens ------------------------------------------------------------------------------- */

static bool is_bearer(channels__str entry)
{
    return entry.n >= BEARER_LEN && memcmp(entry.p, BEARER, BEARER_LEN) == 0;
}

channels__str channels__bearer_find(const char *header)
{
    channels__str entry, found = channels__str_none();
    while ((entry = channels__next_entry(&header)).n != 0) {
        if (!is_bearer(entry))
            continue;
        if (found.p != NULL)
            return channels__str_none();
        found = channels__str_n(entry.p + BEARER_LEN, entry.n - BEARER_LEN);
    }
    return found;
}

/* Phoenix calls it base64url, but its client writes the standard alphabet, without padding. */
bool channels__bearer_decode(channels__str bearer, char *dst)
{
    for (int pad = 0; pad < 2 && bearer.n > 0 && bearer.p[bearer.n - 1] == '='; pad++)
        bearer.n--;
    bool url = memchr(bearer.p, '-', bearer.n) != NULL || memchr(bearer.p, '_', bearer.n) != NULL;
    ptrdiff_t n = channels__base64_decode(bearer.p, bearer.n, url, false, dst);
    if (n < 0 || memchr(dst, '\0', (size_t)n) != NULL)
        return false;
    dst[n] = '\0';
    return true;
}

size_t channels__bearer_remove(const char *header, char *dst)
{
    channels__str entry;
    char *to = dst;
    while ((entry = channels__next_entry(&header)).n != 0) {
        if (is_bearer(entry))
            continue;
        if (to != dst) {
            memcpy(to, ", ", 2);
            to += 2;
        }
        memcpy(to, entry.p, entry.n);
        to += entry.n;
    }
    *to = '\0';
    return (size_t)(to - dst);
}
