/* filter.c - see filter.h. One pass and no tree: in JSON a string is a key if a colon follows it,
 * so it does not have to be known how deep one is. */
#include "wire/filter.h"

#include "wire/json.h"

#define MAX_KEY 1024 /* a longer one counts as one whose value is to be hidden */

/* --- Where things end --------------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_mark(char c)
{
    return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* A string, or a number or word. */
static const char *skip_token(const char *p, const char *end)
{
    if (*p != '"') {
        while (p < end && !is_space(*p) && !is_mark(*p) && *p != '"')
            p++;
        return p;
    }
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end)
            p++;
    return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
    size_t depth = 0;
    do {
        p = skip_space(p, end);
        if (p == end)
            break;
        depth += *p == '{' || *p == '[';
        depth -= (*p == '}' || *p == ']') && depth != 0;
        p = is_mark(*p) ? p + 1 : skip_token(p, end);
    } while (depth != 0);
    return p;
}

/* --- Keys --------------------------------------------------------------------------------- */

static bool holds(const char *text, size_t n, const char *word, bool whole)
{
    size_t len = strlen(word);
    if (whole)
        return n == len && memcmp(text, word, n) == 0;
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(text + i, word, len) == 0)
            return true;
    return false;
}

/* As the key is meant, not as it is spelt: "pass\u0077ord" is a password. */
static bool named(const channels__filter *f, channels__str key)
{
    char text[MAX_KEY];
    if (key.n > sizeof text)
        return !f->keep;
    size_t n = channels__json_unescape(key, text);
    for (const char *const *word = f->words; *word != NULL; word++)
        if (holds(text, n, *word, f->keep))
            return true;
    return false;
}

/* --- Writing ------------------------------------------------------------------------------ */

typedef struct out {
    char *at, *end;
    bool cut;
} out;

static void put(out *o, const char *p, size_t n)
{
    size_t room = (size_t)(o->end - o->at);
    if (n > room) {
        n = room;
        o->cut = true;
    }
    memcpy(o->at, p, n);
    o->at += n;
}

static void put_filtered(out *o)
{
    put(o, CHANNELS__FILTERED, sizeof CHANNELS__FILTERED - 1);
}

/* The value of a key that is named is dealt with here, any other is left to who goes on. */
static const char *put_member(const channels__filter *f, out *o, channels__str key,
                              const char *value, const char *end)
{
    put(o, key.p, key.n);
    put(o, ":", 1);
    if (o->cut || !named(f, key))
        return value;
    value = skip_space(value, end);
    const char *after = skip_value(value, end);
    if (f->keep)
        put(o, value, (size_t)(after - value));
    else
        put_filtered(o);
    return after;
}

static const char *put_token(const channels__filter *f, out *o, const char *p, const char *end)
{
    const char *after = skip_token(p, end), *colon = skip_space(after, end);
    channels__str token = channels__str_n(p, (size_t)(after - p));
    if (*p == '"' && colon < end && *colon == ':')
        return put_member(f, o, token, colon + 1, end);
    if (f->keep)
        put_filtered(o);
    else
        put(o, token.p, token.n);
    return after;
}

size_t channels__filter_json(const channels__filter *f, channels__str json, char *dst, size_t cap,
                             bool *cut)
{
    const char *end = json.p + json.n;
    out o = { dst, dst + cap, false };
    for (const char *p = skip_space(json.p, end); p < end && !o.cut; p = skip_space(p, end)) {
        if (is_mark(*p))
            put(&o, p++, 1);
        else
            p = put_token(f, &o, p, end);
    }
    *cut = o.cut;
    return (size_t)(o.at - dst);
}
