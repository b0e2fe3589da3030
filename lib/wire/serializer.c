/* serializer.c - which format a client's `vsn` asks for.
 *
 * As Elixir's Version reads it: MAJOR.MINOR.PATCH, then perhaps -pre.release and +build, where no
 * number begins with a superfluous zero. "~> 2.0.0" means 2.0 with any patch; a pre-release of
 * 2.0.0 comes before it and does not count. */
#include "wire/serializer.h"

#include "base/ascii.h"

struct version {
    unsigned major, minor, patch;
    bool pre_release;
};

static bool is_identifier_char(char c)
{
    return channels__is_digit(c) || channels__is_letter(c) || c == '-';
}

/* Large numbers need not be told apart, only from small ones. */
static bool take_number(const char **p, unsigned *number)
{
    const char *first = *p;
    *number = 0;
    for (; channels__is_digit(**p); ++*p) {
        if (*number < 1000)
            *number = *number * 10 + (unsigned)(**p - '0');
    }
    return *p > first && (*first != '0' || *p == first + 1);
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

/* One between dots; `zeros`: a number may begin with superfluous ones. */
static bool take_identifier(const char **p, bool zeros)
{
    const char *first = *p;
    bool number = true;
    for (; is_identifier_char(**p); ++*p)
        number = number && channels__is_digit(**p);
    return *p > first && (zeros || !number || *first != '0' || *p == first + 1);
}

static bool take_identifiers(const char **p, bool zeros)
{
    do {
        if (!take_identifier(p, zeros))
            return false;
    } while (take_char(p, '.'));
    return true;
}

static bool parse(const char *p, struct version *v)
{
    if (!take_number(&p, &v->major) || !take_char(&p, '.') || !take_number(&p, &v->minor) ||
        !take_char(&p, '.') || !take_number(&p, &v->patch))
        return false;
    v->pre_release = take_char(&p, '-');
    if (v->pre_release && !take_identifiers(&p, false))
        return false;
    if (take_char(&p, '+') && !take_identifiers(&p, true))
        return false;
    return *p == '\0';
}

static bool serves(const channels__serializer *s, const struct version *v)
{
    return v->major == s->major && v->minor == s->minor && (v->patch > 0 || !v->pre_release);
}

const channels__serializer *channels__serializer_for(const char *vsn)
{
    static const channels__serializer *const all[] = { &channels__serializer_v1,
                                                       &channels__serializer_v2 };
    struct version v;
    if (!parse(vsn != NULL ? vsn : "1.0.0", &v))
        return NULL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (serves(all[i], &v))
            return all[i];
    }
    return NULL;
}
