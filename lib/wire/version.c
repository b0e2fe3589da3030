/* version.c - see version.h.
 *
 * A version is MAJOR.MINOR.PATCH, then perhaps -pre.release and +build, where no number begins with
 * a superfluous zero. A pre-release comes before its version, so that 2.0.0-rc is not "~> 2.0.0".
 * The build does not count. Numbers stay text, of any length: of two, the longer is the greater. */
#include "wire/version.h"

#include "base/ascii.h"
#include "base/str.h"

struct version {
    channels__str numbers[3]; /* major, minor, patch; absent in "~> 2.0" */
    channels__str pre;        /* n == 0: none */
};

/* --- Reading ------------------------------------------------------------------------------ */

static bool is_identifier_char(char c)
{
    return channels__is_digit(c) || channels__is_letter(c) || c == '-';
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

static bool take_number(const char **p, channels__str *number)
{
    const char *first = *p;
    while (channels__is_digit(**p))
        ++*p;
    *number = channels__str_n(first, (size_t)(*p - first));
    return number->n == 1 || (number->n > 1 && *first != '0');
}

static bool is_number(channels__str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!channels__is_digit(text.p[i]))
            return false;
    return text.n > 0;
}

/* One between dots; `zeros`: a number may begin with superfluous ones. */
static bool take_identifier(const char **p, bool zeros)
{
    const char *first = *p;
    while (is_identifier_char(**p))
        ++*p;
    channels__str text = channels__str_n(first, (size_t)(*p - first));
    return text.n == 1 || (text.n > 1 && (zeros || *first != '0' || !is_number(text)));
}

static bool take_identifiers(const char **p, bool zeros, channels__str *all)
{
    const char *first = *p;
    do {
        if (!take_identifier(p, zeros))
            return false;
    } while (take_char(p, '.'));
    *all = channels__str_n(first, (size_t)(*p - first));
    return true;
}

/* `short_form`: the patch may be left out. */
static bool take_version(const char **p, bool short_form, struct version *v)
{
    channels__str build;
    *v = (struct version){ .pre = { NULL, 0 } };
    for (int i = 0; i < 3; i++) {
        if (i > 0 && !take_char(p, '.')) {
            if (i < 2 || !short_form)
                return false;
            break;
        }
        if (!take_number(p, &v->numbers[i]))
            return false;
    }
    return (!take_char(p, '-') || take_identifiers(p, false, &v->pre)) &&
           (!take_char(p, '+') || take_identifiers(p, true, &build));
}

/* --- Comparing ---------------------------------------------------------------------------- */

static int sign(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_numbers(channels__str a, channels__str b)
{
    if (a.n != b.n)
        return sign(a.n, b.n);
    return a.n != 0 ? memcmp(a.p, b.p, a.n) : 0;
}

/* Numbers come before words. */
static int compare_identifiers(channels__str a, channels__str b)
{
    bool number_a = is_number(a), number_b = is_number(b);
    if (number_a != number_b)
        return number_a ? -1 : 1;
    if (number_a)
        return compare_numbers(a, b);
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order != 0 ? order : sign(a.n, b.n);
}

static channels__str next_identifier(channels__str *rest)
{
    const char *dot = memchr(rest->p, '.', rest->n);
    size_t n = dot != NULL ? (size_t)(dot - rest->p) : rest->n;
    size_t skip = dot != NULL ? n + 1 : n;
    channels__str identifier = channels__str_n(rest->p, n);
    *rest = channels__str_n(rest->p + skip, rest->n - skip);
    return identifier;
}

static int compare_pre(channels__str a, channels__str b)
{
    if (a.n == 0 || b.n == 0)
        return (a.n == 0) - (b.n == 0);
    while (a.n != 0 && b.n != 0) {
        int order = compare_identifiers(next_identifier(&a), next_identifier(&b));
        if (order != 0)
            return order;
    }
    return sign(a.n, b.n);
}

static int compare(const struct version *a, const struct version *b)
{
    for (int i = 0; i < 3; i++) {
        int order = compare_numbers(a->numbers[i], b->numbers[i]);
        if (order != 0)
            return order;
    }
    return compare_pre(a->pre, b->pre);
}

/* --- Requirements: [op] version, joined by "and" and "or" --------------------------------- */

typedef enum { EQUAL, NOT_EQUAL, AT_LEAST, AT_MOST, ABOUT, ABOVE, BELOW } operator;

static operator take_operator(const char **p)
{
    static const char signs[][3] = { "==", "!=", ">=", "<=", "~>", ">", "<" };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        bool two = signs[i][1] != '\0';
        if ((*p)[0] == signs[i][0] && (!two || (*p)[1] == signs[i][1])) {
            *p += two ? 2 : 1;
            return (operator)i;
        }
    }
    return EQUAL;
}

/* "~> 2.1" is any 2 from 2.1 on, "~> 2.1.4" any 2.1 from 2.1.4 on. */
static bool is_about(const struct version *v, struct version least)
{
    bool minor = least.numbers[2].n != 0;
    if (!minor)
        least.numbers[2] = channels__str_z("0");
    return compare(v, &least) >= 0 && channels__str_eq(v->numbers[0], least.numbers[0]) &&
           (!minor || channels__str_eq(v->numbers[1], least.numbers[1]));
}

static bool holds(const struct version *v, operator op, const struct version *than)
{
    switch (op) {
    case EQUAL: return compare(v, than) == 0;
    case NOT_EQUAL: return compare(v, than) != 0;
    case AT_LEAST: return compare(v, than) >= 0;
    case AT_MOST: return compare(v, than) <= 0;
    case ABOUT: return is_about(v, *than);
    case ABOVE: return compare(v, than) > 0;
    case BELOW: return compare(v, than) < 0;
    }
    return false;
}

static void skip_spaces(const char **p)
{
    while (**p == ' ')
        ++*p;
}

/* Between spaces. */
static bool take_word(const char **p, const char *word)
{
    const char *at = *p;
    size_t n = strlen(word);
    skip_spaces(&at);
    if (at == *p || strncmp(at, word, n) != 0 || at[n] != ' ')
        return false;
    *p = at + n;
    return true;
}

/* True if it can be read; *met: `v` meets it (NULL: nothing does). */
static bool take_condition(const char **p, const struct version *v, bool *met)
{
    struct version than;
    skip_spaces(p);
    operator op = take_operator(p);
    skip_spaces(p);
    if (!take_version(p, op == ABOUT, &than))
        return false;
    *met = v != NULL && holds(v, op, &than);
    return true;
}

/* "and" binds closer than "or". */
static bool read_requirement(const char *p, const struct version *v, bool *met)
{
    bool all, one;
    *met = false;
    do {
        if (!take_condition(&p, v, &all))
            return false;
        while (take_word(&p, "and")) {
            if (!take_condition(&p, v, &one))
                return false;
            all = all && one;
        }
        *met = *met || all;
    } while (take_word(&p, "or"));
    skip_spaces(&p);
    return *p == '\0';
}

bool channels__requirement_valid(const char *requirement)
{
    bool met;
    return read_requirement(requirement, NULL, &met);
}

bool channels__version_meets(const char *version, const char *requirement)
{
    struct version v;
    bool met;
    return take_version(&version, false, &v) && *version == '\0' &&
           read_requirement(requirement, &v, &met) && met;
}
