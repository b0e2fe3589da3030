/* query.c - see query.h.
 *
 * The pairs of a query are decoded into one block, in which "a[b][]" becomes the path "a", "b", ""
 * with a NUL behind each segment; "" stands for the next place of a list, and NULs in the query
 * itself have been refused. Sorted, the pairs below any one key are neighbours, so that the tree
 * is built from the top without searching in it, however many pairs a stranger sends.
 *
 * Which of several assignments wins is decided by their places in the query. A nested value has the
 * place where it was begun: a[b]=1&a=2&a[c]=3 is "2". A level is a list if what was last begun in
 * it is an item, else an object; what does not fit is dropped. (Plug lib/plug/conn/query.ex,
 * decode_each, finalize_map and finalize_list) */
#include "wire/query.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/str.h"
#include "wire/path.h"
#include "wire/utf8.h"

#define NESTING 100u /* so many brackets a key may have: freeing a cJSON tree recurses */

struct pair {
    const char *path, *value;
    size_t n;     /* of the path, without the last NUL */
    size_t place; /* in the query, from 1 */
};

/* The pairs that have the same key at some level. */
struct group {
    const struct pair *pairs;
    size_t n;
    size_t leaves; /* so many of them end here; they are the first, in their order */
    size_t begun;  /* the first place of the others; 0 if there are none */
};

/* The next pair as it is written; false at the end. Empty ones are passed over. */
static bool next_pair(const char **query, channels__str *key, channels__str *value)
{
    const char *p = *query;
    if (p == NULL)
        return false;
    while (*p == '&')
        p++;
    size_t n = strcspn(p, "&");
    const char *equals = memchr(p, '=', n), *end = p + n;
    *key = channels__str_n(p, equals != NULL ? (size_t)(equals - p) : n);
    *value = channels__str_n(end, 0);
    if (equals != NULL)
        *value = channels__str_n(equals + 1, (size_t)(end - equals - 1));
    *query = end;
    return n > 0;
}

static bool is_escape(channels__str text)
{
    return text.n >= 3 && text.p[0] == '%' && channels__hex_digit(text.p[1]) >= 0 &&
           channels__hex_digit(text.p[2]) >= 0;
}

/* Takes one byte off the text, decoded. A % that begins no %XX stands for itself, as in Elixir's
 * URI.decode_www_form. */
static unsigned char take_byte(channels__str *text)
{
    const char *p = text->p;
    size_t n = is_escape(*text) ? 3 : 1;
    text->p += n;
    text->n -= n;
    if (n == 3)
        return (unsigned char)(channels__hex_digit(p[1]) * 16 + channels__hex_digit(p[2]));
    return p[0] == '+' ? ' ' : (unsigned char)p[0];
}

/* How much of it stands for itself, or as + for a blank. */
static size_t plain_len(channels__str text)
{
    const char *escape = memchr(text.p, '%', text.n);
    return escape != NULL ? (size_t)(escape - text.p) : text.n;
}

static bool is_valid(channels__str text)
{
    channels__utf8 state = 0;
    while (text.n > 0) {
        size_t n = plain_len(text);
        if (!channels__utf8_feed(&state, text.p, n))
            return false;
        text = channels__str_n(text.p + n, text.n - n);
        if (text.n == 0)
            break;
        unsigned char byte = take_byte(&text);
        if (byte == 0 || !channels__utf8_feed(&state, &byte, 1))
            return false;
    }
    return state == 0;
}

static bool is_deep(channels__str key)
{
    unsigned brackets = 0;
    if (key.n <= NESTING)
        return false;
    while (key.n > 0)
        brackets += take_byte(&key) == '[';
    return brackets > NESTING;
}

/* Most are. With nothing to be decoded, & and = part no character that is whole. */
static bool is_plainly_valid(const char *query)
{
    size_t n = strlen(query);
    return n <= NESTING && memchr(query, '%', n) == NULL && channels__utf8_valid(query, n);
}

bool channels__query_valid(const char *query)
{
    channels__str key, value;
    if (query != NULL && is_plainly_valid(query))
        return true;
    while (next_pair(&query, &key, &value)) {
        if (!is_valid(key) || !is_valid(value) || is_deep(key))
            return false;
    }
    return true;
}

/* As much as fits of what stands for itself, and blanks for each +. */
static void copy_plain(channels__str text, char *dst, size_t cap)
{
    for (size_t i = 0; i < text.n && i < cap; i++)
        dst[i] = text.p[i] == '+' ? ' ' : text.p[i];
}

/* Writes at most `cap` bytes. The whole length. */
static size_t decode(channels__str text, char *dst, size_t cap)
{
    size_t n = 0;
    while (text.n > 0) {
        size_t plain = plain_len(text);
        if (n < cap)
            copy_plain(channels__str_n(text.p, plain), dst + n, cap - n);
        n += plain;
        text = channels__str_n(text.p + plain, text.n - plain);
        if (text.n == 0)
            break;
        char c = (char)take_byte(&text);
        if (n < cap)
            dst[n] = c;
        n++;
    }
    return n;
}

/* Cuts a key of `n` bytes, with a NUL behind it, into its segments; their length together. */
static size_t cut(char *key, size_t n)
{
    char *open = memchr(key, '[', n);
    if (open == NULL || open == key || key[n - 1] != ']')
        return n;
    char *to = open, *p = open, *last = key + n - 1;
    *to++ = '\0';
    for (p++; p < last; p++) {
        *to++ = *p;
        if (p[0] == ']' && p[1] == '[') {
            to[-1] = '\0';
            p++;
        }
    }
    *to = '\0';
    return (size_t)(to - key);
}

/* Decodes a pair into `room`, the end of which it returns. */
static char *read_pair(struct pair *pair, channels__str key, channels__str value, char *room)
{
    char *text = room + decode(key, room, key.n);
    *text = '\0';
    pair->path = room;
    pair->n = cut(room, (size_t)(text - room));
    pair->value = ++text;
    text += decode(value, text, value.n);
    *text = '\0';
    return text + 1;
}

static int compare(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = memcmp(x->path, y->path, x->n < y->n ? x->n : y->n);
    if (order != 0)
        return order;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

/* The first of the sorted pairs and all others that have its key; `at` is where the keys of this
 * level are in the paths. */
static struct group group_at(const struct pair *pairs, size_t n, size_t at)
{
    struct group g = { pairs, 0, 0, 0 };
    const char *key = pairs->path + at;
    size_t key_len = strlen(key);
    for (; g.n < n && strcmp(pairs[g.n].path + at, key) == 0; g.n++) {
        const struct pair *pair = &pairs[g.n];
        if (pair->n == at + key_len)
            g.leaves++;
        else if (g.begun == 0 || pair->place < g.begun)
            g.begun = pair->place;
    }
    return g;
}

static size_t last_place(const struct group *g)
{
    size_t leaf = g->leaves > 0 ? g->pairs[g->leaves - 1].place : 0;
    return leaf > g->begun ? leaf : g->begun;
}

/* Takes the item. */
static bool add(cJSON *parent, const char *key, cJSON *item)
{
    bool added = item != NULL && (key != NULL ? cJSON_AddItemToObject(parent, key, item)
                                              : cJSON_AddItemToArray(parent, item));
    if (!added)
        cJSON_Delete(item);
    return added;
}

static cJSON *make_level(const struct pair *pairs, size_t n, size_t at);

static cJSON *make_nested(const struct group *g, size_t at)
{
    size_t below = at + strlen(g->pairs->path + at) + 1;
    return make_level(g->pairs + g->leaves, g->n - g->leaves, below);
}

static bool fill_object(cJSON *object, const struct pair *pairs, size_t n, size_t at)
{
    struct group g;
    for (size_t i = 0; i < n; i += g.n) {
        g = group_at(pairs + i, n - i, at);
        const char *key = g.pairs->path + at;
        if (at > 0 && *key == '\0')
            continue;
        cJSON *value = last_place(&g) == g.begun ? make_nested(&g, at)
                                                 : cJSON_CreateString(g.pairs[g.leaves - 1].value);
        if (!add(object, key, value))
            return false;
    }
    return true;
}

static bool add_items(cJSON *list, const struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!add(list, NULL, cJSON_CreateString(pairs[i].value)))
            return false;
    }
    return true;
}

static bool fill_list(cJSON *list, const struct group *g, size_t at)
{
    size_t before = 0;
    while (before < g->leaves && (g->begun == 0 || g->pairs[before].place < g->begun))
        before++;
    return add_items(list, g->pairs, before) &&
           (g->begun == 0 || add(list, NULL, make_nested(g, at))) &&
           add_items(list, g->pairs + before, g->leaves - before);
}

/* Items sort before keys. At the top, "" is a key. */
static bool is_list(const struct pair *pairs, size_t n, size_t at)
{
    struct group items = group_at(pairs, n, at), g;
    if (at == 0 || pairs->path[at] != '\0')
        return false;
    for (size_t i = items.n; i < n; i += g.n) {
        g = group_at(pairs + i, n - i, at);
        if (last_place(&g) > last_place(&items))
            return false;
    }
    return true;
}

/* An object or a list of the pairs, which are the same up to `at`; NULL if memory ran out. */
static cJSON *make_level(const struct pair *pairs, size_t n, size_t at)
{
    struct group items = group_at(pairs, n, at);
    bool list = is_list(pairs, n, at);
    cJSON *level = list ? cJSON_CreateArray() : cJSON_CreateObject();
    if (level == NULL)
        return NULL;
    if (list ? fill_list(level, &items, at) : fill_object(level, pairs, n, at))
        return level;
    cJSON_Delete(level);
    return NULL;
}

static void read_pairs(struct pair *pairs, const char *query, char *room)
{
    channels__str key, value;
    for (size_t i = 0; next_pair(&query, &key, &value); i++) {
        pairs[i].place = i + 1;
        room = read_pair(&pairs[i], key, value, room);
    }
}

static cJSON *query_params(const char *query)
{
    const char *rest = query;
    channels__str key, value;
    size_t n = 0, room = 0;
    for (; next_pair(&rest, &key, &value); n++)
        room += key.n + value.n + 2;
    if (n == 0)
        return cJSON_CreateObject();
    struct pair *pairs = cJSON_malloc(n * sizeof *pairs + room);
    if (pairs == NULL)
        return NULL;
    read_pairs(pairs, query, (char *)(pairs + n));
    qsort(pairs, n, sizeof *pairs, compare);
    cJSON *params = make_level(pairs, n, 0);
    cJSON_free(pairs);
    return params;
}

static char *terminated(channels__str text)
{
    char *copy = cJSON_malloc(text.n + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return copy;
}

/* Takes the place of whatever the query has by that name. */
static bool put(cJSON *params, channels__str key, channels__str value)
{
    char *name = terminated(key), *text = terminated(value);
    bool done = false;
    if (name != NULL && text != NULL) {
        cJSON_DeleteItemFromObjectCaseSensitive(params, name);
        done = add(params, name, cJSON_CreateString(text));
    }
    cJSON_free(name);
    cJSON_free(text);
    return done;
}

struct cJSON *channels_request_params(const channels_request *req)
{
    const char *path = req->path, *pattern = req->pattern;
    channels__str name, value;
    cJSON *params = channels__query_valid(req->query) ? query_params(req->query) : NULL;
    while (params != NULL && pattern != NULL &&
           channels__path_next_param(&path, &pattern, &name, &value)) {
        if (!put(params, name, value)) {
            cJSON_Delete(params);
            return NULL;
        }
    }
    return params;
}

static bool is_named(channels__str key, const char *name)
{
    while (key.n > 0) {
        if ((char)take_byte(&key) != *name++)
            return false;
    }
    return *name == '\0';
}

static channels__str query_param(const char *query, const char *name)
{
    channels__str key, value, found = { NULL, 0 };
    while (next_pair(&query, &key, &value)) {
        if (is_named(key, name))
            found = value;
    }
    return found;
}

static channels__str path_param(const channels_request *req, const char *name)
{
    bool any = req->pattern != NULL && strchr(req->pattern, ':') != NULL;
    return any ? channels__path_param(req->path, req->pattern, name) : channels__str_none();
}

int channels__param(const channels_request *req, const char *name, char *dst, size_t cap)
{
    channels__str in_path = path_param(req, name), found = in_path;
    if (in_path.p == NULL)
        found = query_param(req->query, name);
    if (found.p == NULL)
        return -1;
    size_t n = found.n;
    if (in_path.p == NULL)
        n = decode(found, dst, cap);
    else if (cap > 0)
        memcpy(dst, found.p, n < cap ? n : cap);
    if (cap > 0)
        dst[n < cap ? n : cap - 1] = '\0';
    return (int)n;
}

int channels_request_param(const channels_request *req, const char *name, char *dst, size_t cap)
{
    return channels__query_valid(req->query) ? channels__param(req, name, dst, cap) : -1;
}

bool channels__param_nests(const channels_request *req, const char *name)
{
    if (req->query == NULL || strpbrk(req->query, "[%") == NULL) /* as good as always: cheap */
        return false;
    cJSON *params = channels_request_params(req);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(params, name);
    bool nests = params == NULL || (value != NULL && !cJSON_IsString(value));
    cJSON_Delete(params);
    return nests;
}
