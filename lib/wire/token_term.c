/* token_term.c - see token_term.h. */
#include "wire/token_term.h"

#include "base/crypto.h"
#include "base/inflate.h"
#include "wire/etf.h"
#include "wire/etf_json.h"

#define ENVELOPE 128u           /* more than a term and a box have besides the data */
#define DEFAULT_MAX_AGE_S 86400 /* also of the older forms that have none */
#define NEVER (-1)              /* as a limit in ms: whatever it is has expired */

int channels__block_new(const channels_token_key *key, size_t size, channels__block *block)
{
    block->p = channels__alloc(&key->mem, size);
    block->size = size;
    block->len = 0;
    return block->p != NULL ? CHANNELS_OK : CHANNELS_ERR_NOMEM;
}

void channels__block_free(const channels_token_key *key, channels__block *block)
{
    if (block->p != NULL)
        channels__wipe(block->p, block->size);
    channels__free(&key->mem, block->p, block->size);
    *block = (channels__block){ NULL, 0, 0 };
}

bool channels__token_fits(const channels_token_key *key, size_t len)
{
    return len <= key->max_data + ENVELOPE;
}

/* --- Writing -------------------------------------------------------------------------------- */

static bool is_one_term(channels__str bytes)
{
    if (bytes.n == 0 || (unsigned char)bytes.p[0] != CHANNELS__ETF_VERSION)
        return false;
    channels__etf r = channels__etf_of(channels__str_n(bytes.p + 1, bytes.n - 1));
    channels__str whole;
    return channels__etf_whole(&r, &whole) && r.p == r.end;
}

static int check(const channels_token_key *key, const channels_token_data *data)
{
    switch (data->kind) {
    case CHANNELS_TOKEN_INTEGER: return CHANNELS_OK;
    case CHANNELS_TOKEN_BYTES: break;
    case CHANNELS_TOKEN_TERM:
        if (is_one_term(channels__str_n(data->data, data->len)))
            break;
        return channels__token_mistake(key, "a token's data is no term in external format");
    default: return channels__token_mistake(key, "a token's data is of no kind that there is");
    }
    return data->len <= key->max_data ? CHANNELS_OK : CHANNELS_ERR_LIMIT;
}

static unsigned char *put_data(unsigned char *p, const channels_token_data *data)
{
    if (data->kind == CHANNELS_TOKEN_INTEGER)
        return channels__etf_put_integer(p, data->integer);
    if (data->kind == CHANNELS_TOKEN_BYTES)
        return channels__etf_put_bytes(p, channels__str_n(data->data, data->len));
    memcpy(p, data->data + 1, data->len - 1);
    return p + data->len - 1;
}

static unsigned char *put_max_age(unsigned char *p, int64_t max_age_s)
{
    if (max_age_s == CHANNELS_TOKEN_FOREVER)
        return channels__etf_put_atom(p, "infinity");
    return channels__etf_put_integer(p, max_age_s != 0 ? max_age_s : DEFAULT_MAX_AGE_S);
}

int channels__token_write(const channels_token_key *key, const channels_token_data *data,
                          const channels_token_options *options, size_t headroom,
                          channels__block *block)
{
    channels_token_options o = { 0, 0 };
    if (options != NULL)
        o = *options;
    int err = check(key, data);
    if (err == CHANNELS_OK)
        err = channels__block_new(key, headroom + data->len + ENVELOPE, block);
    if (err != CHANNELS_OK)
        return err;
    unsigned char *p = (unsigned char *)block->p + headroom;
    *p++ = CHANNELS__ETF_VERSION;
    p = channels__etf_put_tuple(p, 3);
    p = put_data(p, data);
    p = channels__etf_put_integer(p, o.signed_at_ms != 0 ? o.signed_at_ms : key->now_ms(key->user));
    p = put_max_age(p, o.max_age_s);
    block->len = (size_t)((char *)p - block->p);
    return CHANNELS_OK;
}

/* --- Age ------------------------------------------------------------------------------------ */

static int64_t seconds(int64_t s)
{
    if (s <= 0)
        return NEVER;
    return s > INT64_MAX / 1000 ? INT64_MAX : s * 1000;
}

static int64_t fraction(double s)
{
    if (s <= 0)
        return NEVER;
    return s >= 9e15 ? INT64_MAX : (int64_t)(s * 1000);
}

/* How old a token lets itself become, in ms; false if Phoenix could not calculate with that. */
static bool own_limit(const channels__term *max_age, int64_t *limit)
{
    switch (max_age->type) {
    case CHANNELS__INTEGER: *limit = seconds(max_age->integer); return true;
    case CHANNELS__BIGNUM: *limit = max_age->negative ? NEVER : INT64_MAX; return true;
    case CHANNELS__FLOAT: *limit = fraction(max_age->number); return true;
    default: *limit = INT64_MAX; return channels__etf_is_atom(max_age, "infinity");
    }
}

static bool expired(int64_t now, int64_t signed_at, int64_t limit)
{
    if (limit == NEVER)
        return true;
    /* Without sign, as the difference may be larger than any int64_t. */
    return limit != INT64_MAX && signed_at < now &&
           (uint64_t)now - (uint64_t)signed_at > (uint64_t)limit;
}

/* --- Reading -------------------------------------------------------------------------------- */

struct content {
    channels__str data;
    channels__term signed_at, max_age;
};

/* The head of a term that is there as a whole. */
static bool take_head(channels__etf *r, channels__term *t)
{
    channels__str whole;
    if (!channels__etf_whole(r, &whole))
        return false;
    channels__etf inside = channels__etf_of(whole);
    return channels__etf_next(&inside, t);
}

/* {data, signed_at, max_age}, or of old without the last. */
static bool read_tuple(channels__etf *r, uint32_t count, struct content *c)
{
    return (count == 2 || count == 3) && channels__etf_whole(r, &c->data) &&
           take_head(r, &c->signed_at) && (count == 2 || take_head(r, &c->max_age));
}

/* %{data: data, signed: signed_at}, still older; other keys are passed over. */
static bool read_map(channels__etf *r, uint32_t count, struct content *c)
{
    channels__term key, value;
    channels__str whole;
    for (uint32_t i = 0; i < count; i++) {
        if (!take_head(r, &key))
            return false;
        channels__etf behind_key = *r;
        if (!channels__etf_whole(r, &whole) || !channels__etf_next(&behind_key, &value))
            return false;
        if (channels__etf_is_atom(&key, "data"))
            c->data = whole;
        else if (channels__etf_is_atom(&key, "signed"))
            c->signed_at = value;
    }
    return c->data.p != NULL;
}

static bool read_content(channels__str term, struct content *c)
{
    channels__etf r = channels__etf_of(channels__str_n(term.p + 1, term.n - 1));
    channels__term head;
    *c = (struct content){ .signed_at.type = CHANNELS__NIL,
                           .max_age = { .type = CHANNELS__INTEGER, .integer = DEFAULT_MAX_AGE_S } };
    if (!channels__etf_next(&r, &head))
        return false;
    bool read = (head.type == CHANNELS__TUPLE && read_tuple(&r, head.count, c)) ||
                (head.type == CHANNELS__MAP && read_map(&r, head.count, c));
    return read && c->signed_at.type == CHANNELS__INTEGER;
}

/* --- Results -------------------------------------------------------------------------------- */

struct memory {
    channels__mem mem;
    size_t size;
    char bytes[]; /* the data, a NUL, the JSON text, a NUL */
};

static void set_kind(channels_token_data *d, const channels__term *head, channels__str term)
{
    d->kind = head->type == CHANNELS__INTEGER ? CHANNELS_TOKEN_INTEGER
              : head->type == CHANNELS__BYTES ? CHANNELS_TOKEN_BYTES
                                              : CHANNELS_TOKEN_TERM;
    d->integer = head->integer;
    if (d->kind == CHANNELS_TOKEN_BYTES)
        d->len = head->bytes.n;
    if (d->kind == CHANNELS_TOKEN_TERM)
        d->len = 1 + term.n;
}

static char *put_result(char *p, const channels_token_data *d, const channels__term *head,
                        channels__str term)
{
    if (d->kind == CHANNELS_TOKEN_TERM) {
        *p++ = (char)CHANNELS__ETF_VERSION;
        memcpy(p, term.p, term.n);
        p += term.n;
    } else if (d->len != 0) {
        memcpy(p, head->bytes.p, d->len);
        p += d->len;
    }
    *p++ = '\0';
    return p;
}

static int make_result(const channels_token_key *key, channels__str term, channels_token_data *d)
{
    channels__etf r = channels__etf_of(term);
    channels__term head;
    channels__etf_next(&r, &head);
    set_kind(d, &head, term);
    if (d->len > key->max_data)
        return CHANNELS_ERR_LIMIT;
    ptrdiff_t json = channels__etf_json(term, NULL);
    size_t size = sizeof(struct memory) + d->len + 1 + (json >= 0 ? (size_t)json + 1 : 0);
    struct memory *m = channels__alloc(&key->mem, size);
    if (m == NULL)
        return CHANNELS_ERR_NOMEM;
    *m = (struct memory){ .mem = key->mem, .size = size };
    d->memory = m;
    d->data = m->bytes;
    char *text = put_result(m->bytes, d, &head, term);
    if (json >= 0) {
        channels__etf_json(term, text);
        text[json] = '\0';
        d->json = text;
    }
    return CHANNELS_OK;
}

void channels_token_data_free(channels_token_data *d)
{
    struct memory *m = d->memory;
    memset(d, 0, sizeof *d);
    if (m == NULL)
        return;
    const channels__mem mem = m->mem;
    size_t size = m->size;
    channels__wipe(m, size);
    channels__free(&mem, m, size);
}

static int read_plain(const channels_token_key *key, channels__str term, int64_t max_age_s,
                      channels_token_data *d)
{
    struct content c;
    int64_t limit = max_age_s == CHANNELS_TOKEN_FOREVER ? INT64_MAX : seconds(max_age_s);
    if (!read_content(term, &c) || (max_age_s == 0 && !own_limit(&c.max_age, &limit)))
        return CHANNELS_TOKEN_INVALID;
    if (expired(key->now_ms(key->user), c.signed_at.integer, limit))
        return CHANNELS_TOKEN_EXPIRED;
    int err = make_result(key, c.data, d);
    if (err == CHANNELS_OK)
        d->signed_at_ms = c.signed_at.integer;
    else
        memset(d, 0, sizeof *d);
    return err;
}

/* Phoenix.Token's option `compressed`. */
static int read_compressed(const channels_token_key *key, channels__str term, int64_t max_age_s,
                           channels_token_data *d)
{
    const unsigned char *b = (const unsigned char *)term.p + 2;
    channels__block plain;
    if (term.n < 6)
        return CHANNELS_TOKEN_INVALID;
    size_t len = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
    if (!channels__token_fits(key, len))
        return CHANNELS_ERR_LIMIT;
    int err = channels__block_new(key, 1 + len, &plain);
    if (err != CHANNELS_OK)
        return err;
    plain.p[0] = (char)CHANNELS__ETF_VERSION;
    err = channels__inflate(&key->mem, channels__str_n(term.p + 6, term.n - 6), plain.p + 1, len);
    if (err == CHANNELS_OK)
        err = read_plain(key, channels__str_n(plain.p, plain.size), max_age_s, d);
    channels__block_free(key, &plain);
    return err == CHANNELS_ERR_INVALID ? CHANNELS_TOKEN_INVALID : err;
}

int channels__token_read(const channels_token_key *key, channels__str term, int64_t max_age_s,
                         channels_token_data *d)
{
    if (!channels__token_fits(key, term.n))
        return CHANNELS_ERR_LIMIT;
    if (term.n < 2 || (unsigned char)term.p[0] != CHANNELS__ETF_VERSION)
        return CHANNELS_TOKEN_INVALID;
    return (unsigned char)term.p[1] == CHANNELS__ETF_COMPRESSED
               ? read_compressed(key, term, max_age_s, d)
               : read_plain(key, term, max_age_s, d);
}
