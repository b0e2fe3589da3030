/* path.c - see path.h. */
#include "wire/path.h"

#include "base/ascii.h"

static channels__str next_segment(const char **path)
{
    const char *p = *path;
    while (*p == '/')
        p++;
    const char *end = p;
    while (*end != '/' && *end != '\0')
        end++;
    *path = end;
    return channels__str_n(p, (size_t)(end - p));
}

static bool is_param(channels__str segment)
{
    return segment.n > 0 && segment.p[0] == ':';
}

static bool is_name(channels__str name)
{
    for (size_t i = 0; i < name.n; i++) {
        bool digit = i > 0 && channels__is_digit(name.p[i]);
        if (!channels__is_letter(name.p[i]) && name.p[i] != '_' && !digit)
            return false;
    }
    return name.n > 0;
}

/* The segment ":name" stands in `pattern` again. */
static bool repeats(channels__str param, const char *pattern)
{
    channels__str segment;
    while ((segment = next_segment(&pattern)).n != 0)
        if (channels__str_eq(segment, param))
            return true;
    return false;
}

const char *channels__pattern_fault(const char *pattern)
{
    channels__str segment;
    if (pattern[0] != '/' || strpbrk(pattern, "?#*") != NULL)
        return "it must begin with / and hold none of ? # *";
    while ((segment = next_segment(&pattern)).n != 0) {
        bool param = is_param(segment);
        if (param && !is_name(channels__str_n(segment.p + 1, segment.n - 1)))
            return "a name behind a : is made of letters, digits and _";
        if (!param && memchr(segment.p, ':', segment.n) != NULL)
            return "a : may only begin a segment";
        if (param && repeats(segment, pattern))
            return "a name stands in it twice";
    }
    return NULL;
}

bool channels__path_matches(const char *path, const char *pattern)
{
    for (;;) {
        channels__str want = next_segment(&pattern), segment = next_segment(&path);
        if (want.n == 0 || segment.n == 0)
            return want.n == segment.n;
        if (!is_param(want) && !channels__str_eq(want, segment))
            return false;
    }
}

bool channels__path_next_param(const char **path, const char **pattern, channels__str *name,
                               channels__str *value)
{
    channels__str segment;
    while ((segment = next_segment(pattern)).n != 0) {
        *value = next_segment(path);
        *name = channels__str_n(segment.p + 1, segment.n - 1);
        if (is_param(segment) && name->p[0] != '_')
            return true;
    }
    return false;
}

channels__str channels__path_param(const char *path, const char *pattern, const char *name)
{
    channels__str found, value;
    while (channels__path_next_param(&path, &pattern, &found, &value))
        if (channels__str_is(found, name))
            return value;
    return channels__str_none();
}
