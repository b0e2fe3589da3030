/* roll.c - see roll.h. */
#include "sim/roll.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_topics[SIM_TOPICS] = { "room:0", "room:1", "room:2" };
const char *const sim_keys[SIM_KEYS] = { "ada", "bob", "eve \xe2\x82\xac", "kim" };

void sim_wrong(sim_roll *roll, const char *format, ...)
{
    va_list args;
    if (roll->wrong[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(roll->wrong, sizeof roll->wrong, format, args);
    va_end(args);
}

unsigned sim_roll_add(sim_roll *roll, unsigned life, unsigned topic, unsigned key, unsigned prev)
{
    if (roll->count == 0)
        roll->count = 1;
    if (roll->count == SIM_ENTRIES)
        return 0;
    roll->entries[roll->count] =
        (sim_entry){ .life = life, .topic = topic, .key = key, .prev = prev };
    return roll->count++;
}

/* --- Reading ------------------------------------------------------------------------------ */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

static bool same_ref(sim_entry *e, const char *ref)
{
    if (e->ref[0] == '\0')
        snprintf(e->ref, sizeof e->ref, "%s", ref);
    return ref[0] != '\0' && strcmp(e->ref, ref) == 0;
}

static bool same_prev(const sim_roll *roll, const sim_entry *e, const char *prev)
{
    if (e->prev == 0 || prev[0] == '\0')
        return e->prev == 0 && prev[0] == '\0';
    const char *known = roll->entries[e->prev].ref;
    return known[0] == '\0' || strcmp(known, prev) == 0;
}

/* The meta's number; 0, and told, if it is not what was tracked. */
static unsigned read_meta(sim_roll *roll, const char *who, unsigned topic, const char *key,
                          const cJSON *meta)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(meta, "n");
    unsigned n = cJSON_IsNumber(number) ? (unsigned)number->valuedouble : 0;
    sim_entry *e = &roll->entries[n < roll->count ? n : 0];
    const char *ref = text_of(meta, "phx_ref"), *prev = text_of(meta, "phx_ref_prev");
    if (n == 0 || n >= roll->count)
        sim_wrong(roll, "%s: a meta that nobody tracked", who);
    else if (e->topic != topic || strcmp(sim_keys[e->key], key) != 0)
        sim_wrong(roll, "%s: %u of %s is shown as %s in %s", who, n, sim_keys[e->key], key,
                  sim_topics[topic]);
    else if (!same_ref(e, ref))
        sim_wrong(roll, "%s: the ref of %u was %s, is %s", who, n, e->ref, ref);
    else if (!same_prev(roll, e, prev))
        sim_wrong(roll, "%s: %u came after %u, but its phx_ref_prev is '%s'", who, n, e->prev,
                  prev);
    else
        return n;
    return 0;
}

void sim_roll_read(sim_roll *roll, const char *who, unsigned topic, const cJSON *map,
                   void (*fn)(void *arg, unsigned n), void *arg)
{
    const cJSON *key, *meta;
    if (!cJSON_IsObject(map))
        sim_wrong(roll, "%s: no object", who);
    cJSON_ArrayForEach(key, map)
    {
        const cJSON *metas = cJSON_GetObjectItemCaseSensitive(key, "metas");
        if (cJSON_GetArraySize(metas) == 0)
            sim_wrong(roll, "%s: %s without metas", who, key->string);
        cJSON_ArrayForEach(meta, metas)
        {
            unsigned n = read_meta(roll, who, topic, key->string, meta);
            if (n != 0)
                fn(arg, n);
        }
    }
}

static int by_ref(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void sim_roll_check_refs(sim_roll *roll)
{
    static const char *refs[SIM_ENTRIES];
    unsigned count = 0;
    for (unsigned n = 1; n < roll->count; n++)
        if (roll->entries[n].ref[0] != '\0')
            refs[count++] = roll->entries[n].ref;
    qsort(refs, count, sizeof *refs, by_ref);
    for (unsigned i = 1; i < count; i++)
        if (strcmp(refs[i - 1], refs[i]) == 0)
            sim_wrong(roll, "two had the ref %s", refs[i]);
}

/* --- A list ------------------------------------------------------------------------------- */

enum {
    ON_LIST = 1,
    BY_STATE = 2,  /* from a state; its join may yet come, in the same turn */
    OWED = 4,      /* a state had it no more; its leave has to come, in the same turn */
    GONE = 8,      /* it has ended, and its leave was told */
    HEARD_GO = 16, /* its leave was told before there was a state */
    IN_HAND = 32,  /* of the state or diff in hand */
};

bool sim_viewer_has(const sim_viewer *v, unsigned n)
{
    return (v->flags[n] & ON_LIST) != 0;
}

void sim_viewer_begin(sim_viewer *v)
{
    memset(v->flags, 0, sizeof v->flags);
    v->count = 0;
    v->on = true;
    v->has_state = false;
}

void sim_viewer_end(sim_viewer *v)
{
    v->on = false;
}

static void put(sim_viewer *v, unsigned n)
{
    v->flags[n] |= ON_LIST;
    v->count++;
}

static void drop(sim_viewer *v, unsigned n)
{
    v->flags[n] &= (unsigned char)~(ON_LIST | BY_STATE);
    v->count--;
}

static void mark(void *arg, unsigned n)
{
    sim_viewer *v = arg;
    if (v->flags[n] & IN_HAND)
        sim_wrong(v->roll, "%s: %u is there twice", v->who, n);
    v->flags[n] |= IN_HAND;
}

void sim_viewer_state(sim_viewer *v, const cJSON *state)
{
    if (!v->on)
        sim_wrong(v->roll, "%s: a state for who is not there", v->who);
    sim_roll_read(v->roll, v->who, v->topic, state, mark, v);
    for (unsigned n = 1; n < v->roll->count; n++) {
        bool in_state = (v->flags[n] & IN_HAND) != 0;
        if (in_state && (v->flags[n] & (GONE | HEARD_GO)))
            sim_wrong(v->roll, "%s: the state has %u, which had left", v->who, n);
        if (in_state && !sim_viewer_has(v, n)) {
            put(v, n);
            v->flags[n] |= BY_STATE;
        } else if (!in_state && sim_viewer_has(v, n)) {
            drop(v, n);
            v->flags[n] |= OWED;
        }
        v->flags[n] &= (unsigned char)~IN_HAND;
    }
    v->has_state = v->unrested = true;
}

static void join(void *arg, unsigned n)
{
    sim_viewer *v = arg;
    unsigned char was = v->flags[n];
    if (was & GONE)
        sim_wrong(v->roll, "%s: %u joins, and had ended", v->who, n);
    if ((was & ON_LIST) && !(was & BY_STATE))
        sim_wrong(v->roll, "%s: %u joins twice", v->who, n);
    v->flags[n] &= (unsigned char)~(BY_STATE | HEARD_GO);
    mark(v, n);
    if (!(was & ON_LIST))
        put(v, n);
    v->joins++;
}

static void leave(void *arg, unsigned n)
{
    sim_viewer *v = arg;
    unsigned char was = v->flags[n];
    bool ended = v->roll->entries[n].ended, down = v->is_down != NULL && v->is_down(v->arg, n);
    if (!ended && !down)
        sim_wrong(v->roll, "%s: %u leaves, and is there", v->who, n);
    if (v->has_state ? !(was & (ON_LIST | OWED)) : (was & (GONE | HEARD_GO)) != 0)
        sim_wrong(v->roll, "%s: %u leaves, and was not there", v->who, n);
    mark(v, n);
    v->flags[n] &= (unsigned char)~OWED;
    if (was & ON_LIST)
        drop(v, n);
    if (!v->has_state)
        v->flags[n] |= HEARD_GO;
    if (!down)
        v->flags[n] |= GONE;
    v->leaves++;
}

/* What an update took the place of leaves with the same diff. */
static void joined(void *arg, unsigned n)
{
    sim_viewer *v = arg;
    unsigned prev = v->roll->entries[n].prev;
    if (prev != 0 && sim_viewer_has(v, prev))
        sim_wrong(v->roll, "%s: %u joins in place of %u, which stays", v->who, n, prev);
}

static void forget(void *arg, unsigned n)
{
    ((sim_viewer *)arg)->flags[n] &= (unsigned char)~IN_HAND;
}

void sim_viewer_diff(sim_viewer *v, const cJSON *joins, const cJSON *leaves)
{
    sim_roll *roll = v->roll;
    if (!v->on)
        sim_wrong(roll, "%s: a diff for who is not there", v->who);
    if (cJSON_GetArraySize(joins) + cJSON_GetArraySize(leaves) == 0)
        sim_wrong(roll, "%s: a diff of nothing", v->who);
    sim_roll_read(roll, v->who, v->topic, joins, join, v);
    sim_roll_read(roll, v->who, v->topic, leaves, leave, v);
    sim_roll_read(roll, v->who, v->topic, joins, joined, v);
    sim_roll_read(roll, v->who, v->topic, joins, forget, v);
    sim_roll_read(roll, v->who, v->topic, leaves, forget, v);
}

void sim_viewer_rest(sim_viewer *v)
{
    for (unsigned n = 1; v->unrested && n < v->roll->count; n++) {
        if (v->flags[n] & OWED)
            sim_wrong(v->roll, "%s: no leave of %u was told", v->who, n);
        v->flags[n] &= (unsigned char)~BY_STATE;
    }
    v->unrested = false;
}
