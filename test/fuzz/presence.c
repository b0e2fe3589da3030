/* presence.c - what other nodes say of presence: whatever it is, memory is bounded by it, and what
 * is listed stays the sum of what was reported.
 *
 * The first byte chooses limits. Then steps, each of which begins with a byte: its lower two bits
 * say what happens, the others to whom. A message has two bytes for its length in front, the lower
 * first; our requests have the ids 1, 2, 3, ... */
#include "channels/channels.h"
#include "fuzz/fuzz.h"
#include "presence/state.h"
#include "sim/memory.h"
#include "wire/json.h"
#include "wire/utf8.h"

#define PER_BYTE 100 /* bytes of memory for each of input, */
#define AT_LEAST 20000
#define MOST 4096 /* shown at a time */

typedef struct shown {
    uint64_t incarnation, born, clock;
} shown;

typedef struct world {
    sim_memory memory;
    channels__state *state;
    uint64_t now, own;
    shown shown[MOST];
    size_t count, listed;
} world;

/* --- What is reported --------------------------------------------------------------------- */

static shown *find(world *w, const channels__meta *m)
{
    size_t i = 0;
    while (i < w->count &&
           (w->shown[i].incarnation != m->incarnation || w->shown[i].born != m->born))
        i++;
    return &w->shown[i];
}

static bool is_shown(void *arg, const channels__meta *m)
{
    world *w = arg;
    shown *s = find(w, m);
    FUZZ_CHECK(s < w->shown + w->count && s->clock == m->clock);
    w->listed++;
    return true;
}

static void leaves(world *w, const channels__meta *m)
{
    is_shown(w, m);
    *find(w, m) = w->shown[--w->count];
}

static void joins(world *w, const channels__meta *m)
{
    shown *s = find(w, m);
    FUZZ_CHECK(s == w->shown + w->count);
    *s = (shown){ m->incarnation, m->born, m->clock };
    w->count++;
    FUZZ_CHECK(m->topic.n != 0 && channels__utf8_valid(m->topic.p, m->topic.n));
    FUZZ_CHECK(channels__utf8_valid(m->key.p, m->key.n));
    FUZZ_CHECK(channels__json_check(m->json, CHANNELS__JSON_NESTING, true));
}

static bool on_changed(void *arg, const channels__meta *before, const channels__meta *after)
{
    world *w = arg;
    size_t metas = 0;
    if (w->count == MOST)
        return false;
    if (before != NULL) {
        w->listed = 0;
        channels__state_get(w->state, before->topic, before->key, is_shown, w);
        metas = w->listed;
        leaves(w, before);
        FUZZ_CHECK(metas >= 1);
        FUZZ_CHECK(channels__state_keys(w->state, before->topic) >= 1);
    }
    if (after != NULL)
        joins(w, after);
    return true;
}

static void on_send(void *arg, const char *node, const void *data, size_t len)
{
    (void)arg;
    FUZZ_CHECK(len > 2 && ((const char *)data)[0] == 1);
    FUZZ_CHECK(node == NULL || strcmp(node, "us") != 0);
}

static void on_log(void *arg, int level, const char *text)
{
    (void)arg, (void)level;
    FUZZ_CHECK(text[0] != '\0');
}

/* --- Steps -------------------------------------------------------------------------------- */

static void own_change(world *w, uint8_t what)
{
    const channels__str room = channels__str_z("room"), json = channels__str_z("{\"own\":true}");
    if (what % 3 == 0)
        channels__state_track(w->state, room, channels__str_z("me"), json, &w->own);
    else if (what % 3 == 1)
        channels__state_update(w->state, w->own, json);
    else
        channels__state_untrack(w->state, w->own);
}

static void pass_time(world *w, uint8_t what)
{
    static const uint32_t steps[] = { 1500, 1500, 1500, 2000, 4000, 31000, 1300000 };
    w->now += steps[what % 7];
    channels__state_tick(w->state, w->now);
}

/* Of one of four nodes, in one of two lives. What was refused has left nothing. */
static void message(world *w, uint8_t who, const uint8_t *data, size_t len)
{
    static const char names[4][4] = { "a", "b", "c", "us" };
    char *exact = fuzz_copy(data, len);
    size_t blocks = w->memory.blocks;
    int err = channels__state_receive(w->state, names[who % 4], 1000 + who % 8, exact, len, w->now);
    FUZZ_CHECK(err == CHANNELS_OK || err == CHANNELS_ERR_PROTOCOL || err == CHANNELS_ERR_NOMEM);
    FUZZ_CHECK(err != CHANNELS_ERR_PROTOCOL || w->memory.blocks == blocks);
    free(exact);
}

static const uint8_t *step(world *w, const uint8_t *p, const uint8_t *end)
{
    uint8_t what = *p >> 2, kind = *p & 3;
    p++;
    if (kind == 1) {
        pass_time(w, what);
    } else if (kind == 2) {
        own_change(w, what);
    } else if (kind == 3) {
        w->memory.fail_at = what < 8 ? 0 : w->memory.calls + what - 7;
    } else if (end - p >= 2) {
        size_t len = (size_t)p[0] | (size_t)p[1] << 8;
        p += 2;
        if (len > (size_t)(end - p))
            len = (size_t)(end - p);
        message(w, what, p, len);
        p += len;
    }
    return p;
}

static void begin(world *w, const channels__mem *mem, uint8_t limits)
{
    static const channels__state_events events = { on_changed, on_send, on_log };
    const channels__state_config config = { .mem = mem,
                                            .hash_key = { 1, 2 },
                                            .node = "us",
                                            .broadcast_ms = 1500,
                                            .max_silent = 10,
                                            .down_ms = 30000,
                                            .permdown_ms = 1200000,
                                            .max_removals = limits & 1 ? 2 : 100,
                                            .max_nodes = limits & 2 ? 2 : 10,
                                            .max_message = limits & 4 ? 50 : 10000,
                                            .max_early = limits & 8 ? 200 : 100000,
                                            .events = &events,
                                            .arg = w };
    w->state = channels__state_new(&config);
    FUZZ_CHECK(w->state != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w; /* too large for a stack */
    if (size == 0)
        return 0;
    memset(&w, 0, offsetof(world, shown));
    w.count = 0;
    const channels__mem mem = { sim_memory_realloc, &w.memory };
    begin(&w, &mem, data[0]);
    for (const uint8_t *p = data + 1, *end = data + size; p < end;) {
        p = step(&w, p, end);
        FUZZ_CHECK(w.memory.bytes < AT_LEAST + PER_BYTE * size);
    }
    channels__state_free(w.state);
    FUZZ_CHECK(w.memory.blocks == 0);
    return 0;
}
