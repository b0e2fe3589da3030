/* history.c - own changes by clock: an entry stands where it changed last, a removal where it
 * happened. What is behind a clock is what who has heard up to it has missed.
 *
 * An update or a removal leaves nothing where the entry stood before and comes last. When more than
 * half is nothing it is closed up, so a walk is linear in what it finds. Of removals, max_removals
 * are kept; the oldest become nothing and raise `floor`: who has not heard up to it needs a
 * snapshot. */
#include "presence/set.h"

#define SMALL 32u /* not worth closing up */

void channels__history_free(channels__state *state)
{
    channels__history *h = &state->history;
    channels__free(state->config.mem, h->past, h->size * sizeof *h->past);
}

static bool resize(const channels__state *state, channels__history *h, size_t size)
{
    channels__past *past =
        channels__resize(state->config.mem, h->past, h->size * sizeof *past, size * sizeof *past);
    if (past == NULL)
        return false;
    h->past = past;
    h->size = size;
    return true;
}

static bool is_nothing(const channels__past *p)
{
    return p->entry == NULL && p->removed == 0;
}

static void close_up(const channels__state *state, channels__history *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++)
        if (!is_nothing(&h->past[i]))
            h->past[kept++] = h->past[i];
    h->count = kept;
    h->nothings = 0;
    h->first_removal = 0;
    if (h->size / 4 > h->count && h->size > SMALL)
        resize(state, h, h->count * 2 + SMALL / 2); /* in place if there is no memory to shrink */
}

bool channels__history_reserve(channels__state *state)
{
    channels__history *h = &state->history;
    if (h->count < h->size || resize(state, h, h->size + h->size / 2 + SMALL / 2))
        return true;
    close_up(state, h);
    return h->count < h->size;
}

static void append(channels__history *h, uint64_t clock, channels__entry *entry, uint64_t removed)
{
    h->past[h->count++] = (channels__past){ clock, entry, removed };
}

void channels__history_add(channels__state *state, channels__entry *e)
{
    append(&state->history, e->clock, e, 0);
}

/* The first behind `clock`. */
static size_t behind(const channels__history *h, uint64_t clock)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (h->past[mid].clock <= clock)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void make_nothing(channels__history *h, channels__past *p)
{
    p->entry = NULL;
    p->removed = 0;
    h->nothings++;
}

/* Nothing stands where the entry stood at `before`; then there is room for what came of it, if need
 * be by closing up. */
static void leave(channels__state *state, uint64_t before)
{
    channels__history *h = &state->history;
    make_nothing(h, &h->past[behind(h, before) - 1]);
    if (h->count > SMALL && h->nothings > h->count / 2)
        close_up(state, h);
    channels__history_reserve(state);
}

void channels__history_update(channels__state *state, uint64_t before, channels__entry *e)
{
    leave(state, before);
    channels__history_add(state, e);
}

static void drop_oldest_removal(channels__history *h)
{
    while (h->past[h->first_removal].removed == 0)
        h->first_removal++;
    channels__past *p = &h->past[h->first_removal];
    h->floor = p->clock;
    make_nothing(h, p);
    h->removals--;
}

void channels__history_remove(channels__state *state, uint64_t before, uint64_t clock,
                              uint64_t born, bool told)
{
    channels__history *h = &state->history;
    leave(state, before);
    if (!told)
        return;
    append(h, clock, NULL, born);
    if (++h->removals > state->config.max_removals)
        drop_oldest_removal(h);
}

static channels__record record_of(const channels__past *p)
{
    if (p->entry == NULL)
        return (channels__record){ .clock = p->clock, .born = p->removed, .removed = true };
    const channels__meta meta = channels__entry_meta(p->entry);
    return (channels__record){ .clock = meta.clock,
                               .born = meta.born,
                               .prev = meta.prev,
                               .topic = meta.topic,
                               .key = meta.key,
                               .json = meta.json };
}

bool channels__history_write(const channels__state *state, channels__writer *w, uint64_t from,
                             uint64_t *to, bool removals)
{
    const channels__history *h = &state->history;
    uint64_t last = from;
    for (size_t i = behind(h, from); i < h->count; i++) {
        const channels__past *p = &h->past[i];
        if (is_nothing(p) || (p->entry == NULL && !removals))
            continue;
        const channels__record rec = record_of(p);
        size_t len = channels__writer_len(w);
        if (len != 0 && len + channels__record_len(w, &rec) > state->config.max_message) {
            *to = last;
            return true;
        }
        if (!channels__writer_put(w, &rec))
            return false;
        last = p->clock;
    }
    *to = state->clock;
    return true;
}
