/* clang-format off */
/* message.c - what nodes tell each other of presence, as bytes. The sender's name and incarnation
 * are their carrier's matter.
 *
 *   message   version (1 byte, 1) | type (1 byte) | id | clock | from | to | record...
 *   type      1 changes: the records are all that became, in (from, to], of entries as they are
 *               now; id is that of the request which is answered, 0 in a heartbeat
 *             2 request: heard up to `from`; of the snapshot that has begun, up to `to`. No records
 *             3 snapshot: the entries whose last change is in (from, to]; the last part if
 *               to = clock
 *             4 bye: id, from and to are 0. No records
 *   record    kind (1 byte) | clock, less that of the record before (the first: `from`) |
 *             clock - born, and then of kind
 *             0 removed: no more
 *             1 entry: clock - prev (0: never updated) | topic | key | json
 *             2 entry, its topic that of the entry before: the same without the topic
 *   numbers   LEB128: seven bits a byte, the lowest first, the upper bit set in all but the last
 *   texts     length in bytes | UTF-8. A topic is not empty and holds no NUL; json is an object
 *
 * Records stand in order of their clocks, in (from, to]. One that says more of an entry than an
 * earlier one of the same message does no harm: they are applied in this order. */
/* clang-format on */
#include "presence/set.h"
#include "presence/text.h"
#include "wire/utf8.h"

#define VERSION 1
#define MAX_NUMBER 10 /* bytes */
#define MAX_HEAD (2 + 4 * MAX_NUMBER)

enum { REMOVED, ENTRY, ENTRY_OF_SAME_TOPIC };

/* --- Reading: each take moves on, false if it is not there -------------------------------- */

static bool take_byte(channels__reader *r, unsigned char *byte)
{
    if (r->p == r->end)
        return false;
    *byte = *r->p++;
    return true;
}

static bool take_number(channels__reader *r, uint64_t *number)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        unsigned char byte = *r->p++;
        if (shift == 63 && byte > 1)
            return false;
        n |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *number = n;
            return true;
        }
    }
    return false;
}

static bool take_text(channels__reader *r, channels__str *text)
{
    uint64_t len;
    if (!take_number(r, &len) || len > (size_t)(r->end - r->p) || len > UINT32_MAX)
        return false;
    *text = channels__str_n((const char *)r->p, (size_t)len);
    r->p += len;
    return true;
}

/* `base` - a number that is at most that. */
static bool take_before(channels__reader *r, uint64_t base, uint64_t *number)
{
    uint64_t n;
    if (!take_number(r, &n) || n > base)
        return false;
    *number = base - n;
    return true;
}

static bool take_entry(channels__reader *r, unsigned char kind, channels__record *rec)
{
    if (!take_before(r, rec->clock, &rec->prev))
        return false;
    if (rec->prev == rec->clock)
        rec->prev = 0;
    if (kind == ENTRY && !take_text(r, &r->topic))
        return false;
    rec->topic = r->topic;
    return take_text(r, &rec->key) && take_text(r, &rec->json);
}

static bool take_record(channels__reader *r, channels__record *rec)
{
    unsigned char kind;
    uint64_t step;
    *rec = (channels__record){ 0 };
    if (!take_byte(r, &kind) || kind > ENTRY_OF_SAME_TOPIC || !take_number(r, &step) ||
        step > UINT64_MAX - r->clock)
        return false;
    rec->clock = r->clock + step;
    rec->removed = kind == REMOVED;
    if (!take_before(r, rec->clock, &rec->born) || (!rec->removed && !take_entry(r, kind, rec)))
        return false;
    r->clock = rec->clock;
    return true;
}

channels__reader channels__records(const unsigned char *records, const unsigned char *end,
                                   uint64_t from)
{
    return (channels__reader){ .p = records, .end = end, .clock = from };
}

bool channels__record_next(channels__reader *reader, channels__record *rec)
{
    return reader->p < reader->end && take_record(reader, rec);
}

/* --- Checking ----------------------------------------------------------------------------- */

static bool is_topic(channels__str topic)
{
    return topic.n != 0 && memchr(topic.p, '\0', topic.n) == NULL &&
           channels__utf8_valid(topic.p, topic.n);
}

/* An entry that was never updated is as old as its last change; one that was is older. */
static bool is_entry(const channels__record *rec, channels__str checked_topic)
{
    bool dated =
        rec->prev == 0 ? rec->born == rec->clock : rec->born <= rec->prev && rec->prev < rec->clock;
    return dated && (rec->topic.p == checked_topic.p || is_topic(rec->topic)) &&
           rec->topic.n != 0 && channels__utf8_valid(rec->key.p, rec->key.n) &&
           channels__json_check(rec->json, CHANNELS__META_NESTING, true);
}

static bool are_records(const channels__message *m)
{
    channels__reader r = channels__records(m->records, m->end, m->from);
    channels__record rec;
    channels__str topic = { 0 };
    uint64_t before = m->from;
    while (r.p < r.end) {
        if (!take_record(&r, &rec) || rec.clock <= before || rec.clock > m->to || rec.born == 0)
            return false;
        if (rec.removed ? rec.born == rec.clock || m->type == CHANNELS__SNAPSHOT
                        : !is_entry(&rec, topic))
            return false;
        topic = r.topic;
        before = rec.clock;
    }
    return true;
}

static bool is_message(const channels__message *m)
{
    switch (m->type) {
    case CHANNELS__CHANGES: return m->from <= m->to && m->to <= m->clock && are_records(m);
    case CHANNELS__SNAPSHOT: /* each part gets on, or is the last */
        return m->from <= m->to && m->to <= m->clock && (m->from < m->to || m->to == m->clock) &&
               are_records(m);
    case CHANNELS__REQUEST: return m->records == m->end;
    case CHANNELS__BYE: return m->from == 0 && m->to == 0 && m->records == m->end;
    }
    return false;
}

bool channels__message_read(channels__message *m, const void *data, size_t len)
{
    unsigned char version, type;
    channels__reader r = { .p = data, .end = len != 0 ? (const unsigned char *)data + len : data };
    if (!take_byte(&r, &version) || version != VERSION || !take_byte(&r, &type) ||
        !take_number(&r, &m->id) || !take_number(&r, &m->clock) || !take_number(&r, &m->from) ||
        !take_number(&r, &m->to))
        return false;
    m->type = (channels__message_type)type;
    m->records = r.p;
    m->end = r.end;
    return is_message(m);
}

/* --- Writing ------------------------------------------------------------------------------ */

static unsigned char *put_number(unsigned char *at, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        *at++ = (unsigned char)(n | 0x80);
    *at++ = (unsigned char)n;
    return at;
}

static unsigned char *put_text(unsigned char *at, channels__str text)
{
    at = put_number(at, text.n);
    if (text.n != 0)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

void channels__writer_init(channels__writer *w, const channels__mem *mem, uint64_t from)
{
    *w = (channels__writer){ .mem = mem, .len = MAX_HEAD, .clock = from };
}

void channels__writer_deinit(channels__writer *w)
{
    channels__free(w->mem, w->bytes, w->size);
}

size_t channels__writer_len(const channels__writer *w)
{
    return w->len - MAX_HEAD;
}

size_t channels__record_len(const channels__writer *w, const channels__record *rec)
{
    bool same = channels__str_eq(w->topic, rec->topic);
    return 1 + 6 * MAX_NUMBER + (same ? 0 : rec->topic.n) + rec->key.n + rec->json.n;
}

static bool reserve(channels__writer *w, size_t more)
{
    if (w->len + more <= w->size)
        return true;
    size_t size = w->size * 2 > w->len + more ? w->size * 2 : w->len + more;
    unsigned char *bytes = channels__resize(w->mem, w->bytes, w->size, size);
    if (bytes == NULL)
        return false;
    w->bytes = bytes;
    w->size = size;
    return true;
}

bool channels__writer_put(channels__writer *w, const channels__record *rec)
{
    bool same = channels__str_eq(w->topic, rec->topic);
    if (!reserve(w, channels__record_len(w, rec)))
        return false;
    unsigned char *at = w->bytes + w->len;
    *at++ = rec->removed ? REMOVED : same ? ENTRY_OF_SAME_TOPIC : ENTRY;
    at = put_number(at, rec->clock - w->clock);
    at = put_number(at, rec->clock - rec->born);
    if (!rec->removed) {
        at = put_number(at, rec->prev != 0 ? rec->clock - rec->prev : 0);
        if (!same)
            at = put_text(at, rec->topic);
        at = put_text(put_text(at, rec->key), rec->json);
        w->topic = rec->topic;
    }
    w->clock = rec->clock;
    w->len = (size_t)(at - w->bytes);
    return true;
}

const void *channels__writer_end(channels__writer *w, const channels__message *head, size_t *len)
{
    unsigned char bytes[MAX_HEAD], *at = bytes;
    if (!reserve(w, 0))
        return NULL;
    *at++ = VERSION;
    *at++ = (unsigned char)head->type;
    at = put_number(put_number(at, head->id), head->clock);
    at = put_number(put_number(at, head->from), head->to);
    size_t n = (size_t)(at - bytes);
    unsigned char *begin = w->bytes + MAX_HEAD - n;
    memcpy(begin, bytes, n);
    *len = w->len - MAX_HEAD + n;
    return begin;
}
