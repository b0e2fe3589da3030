/* repair.c - what is sent of own changes, what others' messages change, and how what was lost on
 * the way is made good.
 *
 * A delta (from, to] is taken when from <= applied: of its records those behind `applied` are new.
 * One that begins later waits (bounded), and what lies between is asked for. An answer is one
 * message; who is then still behind asks again, so what is on the way is bounded too. Who has
 * missed removals that are no longer known gets a snapshot in parts, by the same walk behind a
 * cursor. An entry that changes meanwhile moves behind the cursor, so one that lives throughout is
 * named by some part; what none has named is gone. A part may know more than the first did, but
 * what was removed meanwhile is only in the log: `applied` becomes the clock of the first part, and
 * the rest follows as a delta.
 *
 * Each answer names its request and each request waits for one answer, so a late or repeated part
 * is known for what it is. */
#include "presence/set.h"

/* --- Sending ------------------------------------------------------------------------------ */

static bool finish(channels__state *state, const char *node, channels__writer *w,
                   const channels__message *m)
{
    size_t len;
    const void *data = state->left ? NULL : channels__writer_end(w, m, &len);
    if (data != NULL) {
        state->config.events->send(state->config.arg, node, data, len);
    }
    channels__writer_deinit(w);
    return data != NULL;
}

void channels__say(channels__state *state, const char *node, const channels__message *m)
{
    channels__writer w;
    channels__writer_init(&w, state->config.mem, m->from);
    finish(state, node, &w, m);
}

/* One message with what changed behind m->from, as much as it may hold; m->to is set. */
static bool say_changes(channels__state *state, const char *node, channels__message *m)
{
    channels__writer w;
    channels__writer_init(&w, state->config.mem, m->from);
    if (!channels__history_write(state, &w, m->from, &m->to, m->type == CHANNELS__CHANGES)) {
        channels__writer_deinit(&w);
        return false;
    }
    if (node == NULL) /* more parts follow unasked: nobody is behind yet */
        m->clock = m->to;
    if (state->told < m->to)
        state->told = m->to;
    return finish(state, node, &w, m);
}

static channels__message changes(const channels__state *state, uint64_t from)
{
    return (channels__message){
        .type = CHANNELS__CHANGES, .clock = state->clock, .from = from, .to = state->clock
    };
}

void channels__greet(channels__state *state, const char *node)
{
    const channels__message m = changes(state, state->clock);
    channels__say(state, node, &m);
}

void channels__heartbeat(channels__state *state)
{
    if (state->sent == state->clock && state->silent < state->config.max_silent) {
        state->silent++;
        return;
    }
    state->silent = 0;
    if (state->sent < state->history.floor) /* who was there asks for a snapshot */
        state->sent = state->clock;
    do {
        channels__message m = changes(state, state->sent);
        if (!say_changes(state, NULL, &m))
            return; /* goes on with the next tick */
        state->sent = m.to;
    } while (state->sent < state->clock);
}

void channels__ask(channels__state *state, channels__replica *r)
{
    if (r->applied >= r->clock || r->wait != 0)
        return;
    const channels__message m = { .type = CHANNELS__REQUEST,
                                  .id = r->id,
                                  .clock = state->clock,
                                  .from = r->applied,
                                  .to = r->cursor };
    r->wait = CHANNELS__REPEAT_TICKS;
    channels__say(state, r->name, &m);
}

void channels__answer(channels__state *state, const channels__replica *r,
                      const channels__message *request)
{
    uint64_t from = request->from < state->clock ? request->from : state->clock;
    channels__message m = changes(state, from);
    m.id = request->id;
    if (request->to != 0 || from < state->history.floor) {
        m.type = CHANNELS__SNAPSHOT;
        m.from = request->to < state->clock ? request->to : state->clock;
    }
    say_changes(state, r->name, &m);
}

/* --- One record --------------------------------------------------------------------------- */

static bool apply_record(channels__state *state, channels__replica *r, const channels__record *rec)
{
    channels__entry *e = channels__entry_find(r, rec->born);
    if (rec->removed)
        return e == NULL || channels__entry_remove(state, e);
    if (e == NULL)
        return channels__entry_add(state, r, rec) != NULL;
    return e->clock >= rec->clock ||
           channels__entry_update(state, e, rec->clock, rec->prev, rec->json) != NULL;
}

/* Of a message that begins at or before `applied`. Where memory runs out, there it stops. */
static bool apply_records(channels__state *state, channels__replica *r,
                          const unsigned char *records, const unsigned char *end, uint64_t from,
                          uint64_t to)
{
    channels__reader reader = channels__records(records, end, from);
    channels__record rec;
    while (channels__record_next(&reader, &rec)) {
        if (rec.clock <= r->applied)
            continue;
        if (!apply_record(state, r, &rec))
            return false;
        r->applied = rec.clock;
    }
    if (r->applied < to)
        r->applied = to;
    return true;
}

/* --- Too early ---------------------------------------------------------------------------- */

static void early_drop(channels__state *state, channels__replica *r, channels__early *early)
{
    channels__list_remove(&early->link);
    r->early_bytes -= sizeof *early + early->len;
    channels__free(state->config.mem, early, sizeof *early + early->len);
}

void channels__early_free(channels__state *state, channels__replica *r)
{
    while (!channels__list_empty(&r->early))
        early_drop(state, r, CHANNELS__OF(r->early.next, channels__early, link));
}

/* Without room it is as if it was lost. */
static void keep_early(channels__state *state, channels__replica *r, const channels__message *m)
{
    size_t len = (size_t)(m->end - m->records), size = sizeof(channels__early) + len;
    if (len == 0 || size > state->config.max_early - r->early_bytes)
        return;
    channels__early *early = channels__alloc(state->config.mem, size);
    if (early == NULL)
        return;
    early->from = m->from;
    early->to = m->to;
    early->len = len;
    memcpy(early->records, m->records, len);
    channels__list *before = r->early.prev;
    while (before != &r->early && CHANNELS__OF(before, channels__early, link)->from > m->from)
        before = before->prev;
    channels__list_append(before->next, &early->link);
    r->early_bytes += size;
}

/* What is no longer early. */
static bool apply_early(channels__state *state, channels__replica *r)
{
    while (!channels__list_empty(&r->early)) {
        channels__early *early = CHANNELS__OF(r->early.next, channels__early, link);
        if (early->from > r->applied)
            break;
        if (!apply_records(state, r, early->records, early->records + early->len, early->from,
                           early->to))
            return false;
        early_drop(state, r, early);
    }
    return true;
}

/* --- Messages ----------------------------------------------------------------------------- */

/* It answers what was asked; what is asked next will have another id. */
static bool answers(channels__state *state, channels__replica *r, const channels__message *m)
{
    if (m->id != r->id)
        return false;
    channels__replica_next_id(state, r);
    r->wait = 0;
    return true;
}

static bool apply_changes(channels__state *state, channels__replica *r, const channels__message *m)
{
    if (m->id != 0)
        answers(state, r, m);
    if (m->from > r->applied) {
        keep_early(state, r, m);
        return true;
    }
    return apply_records(state, r, m->records, m->end, m->from, m->to) && apply_early(state, r);
}

/* After the last part: what none has named is gone. Nothing that is held is newer than the last
 * part: a delta that had brought it would have got past `begun`, and ended the snapshot. */
static bool sweep(channels__state *state, channels__replica *r)
{
    channels__map_node *n = channels__map_next(&r->entries, NULL), *next;
    for (; n != NULL; n = next) {
        channels__entry *e = CHANNELS__OF(n, channels__entry, node);
        next = channels__map_next(&r->entries, n);
        if (e->snapshot != r->snapshot && !channels__entry_remove(state, e))
            return false;
    }
    return true;
}

static bool apply_part(channels__state *state, channels__replica *r, const channels__message *m)
{
    channels__reader reader = channels__records(m->records, m->end, m->from);
    channels__record rec;
    while (channels__record_next(&reader, &rec)) {
        if (!apply_record(state, r, &rec))
            return false;
        channels__entry_find(r, rec.born)->snapshot = r->snapshot;
    }
    r->cursor = m->to;
    if (m->to < m->clock)
        return true;
    if (!sweep(state, r))
        return false;
    if (r->applied < r->begun)
        r->applied = r->begun;
    r->cursor = 0;
    return apply_early(state, r);
}

static bool apply_snapshot(channels__state *state, channels__replica *r, const channels__message *m)
{
    if (!answers(state, r, m) || m->from != r->cursor || m->clock <= r->applied)
        return true; /* the last: it is late, and may name who is known to have gone since */
    if (m->from == 0) {
        r->snapshot++;
        r->begun = m->clock;
    }
    return apply_part(state, r, m);
}

void channels__apply(channels__state *state, channels__replica *r, const channels__message *m)
{
    bool applied =
        m->type == CHANNELS__SNAPSHOT ? apply_snapshot(state, r, m) : apply_changes(state, r, m);
    channels__map_fit(&r->entries);
    if (!applied) /* once there may be memory again */
        r->wait = CHANNELS__REPEAT_TICKS;
    if (r->cursor != 0 && r->applied >= r->begun)
        r->cursor = 0; /* the log has got there first */
}
