/* test_tables.c - what the core looks things up in: topics and who listens, refs, the run queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/core.h"
#include "sim/memory.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* --- Topics ------------------------------------------------------------------------------- */

static channels__str name_of(char name[24], unsigned i)
{
    return channels__str_n(name, (size_t)snprintf(name, 24, "room:%u", i));
}

static void topics_by_name(void **state)
{
    static const channels__hash_key key = { 1, 2 };
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__topics topics;
    channels__topic *got[2000];
    char name[24];
    (void)state;
    channels__topics_init(&topics, &mem, key);
    assert_null(channels__topic_find(&topics, name_of(name, 0)));
    for (unsigned i = 0; i < 2000; i++)
        assert_non_null(got[i] = channels__topic_get(&topics, name_of(name, i)));
    for (unsigned i = 0; i < 2000; i++) {
        assert_true(channels__topic_find(&topics, name_of(name, i)) == got[i]);
        assert_string_equal(got[i]->name, name);
        assert_true(channels__topic_get(&topics, name_of(name, i)) == got[i]);
        channels__topic_put(&topics, got[i]);
    }
    assert_int_equal(topics.count, 2000);
    assert_in_range(topics.nbuckets, 2000, 4096);
    for (unsigned i = 0; i < 2000; i++) {
        channels__topic_put(&topics, got[i]);
        assert_null(channels__topic_find(&topics, name_of(name, i)));
        if (i < 1999)
            assert_true(channels__topic_find(&topics, name_of(name, 1999)) == got[1999]);
    }
    assert_int_equal(topics.count, 0);
    assert_in_range(topics.nbuckets, 1, 64); /* its memory comes back */
    channels__topics_deinit(&topics);
    assert_int_equal(memory.blocks, 0);
}

/* Bytes are compared, NULs included. */
static void topics_of_any_bytes(void **state)
{
    static const channels__hash_key key = { 1, 2 };
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__topics topics;
    (void)state;
    channels__topics_init(&topics, &mem, key);
    channels__topic *a = channels__topic_get(&topics, channels__str_n("a\0b", 3));
    channels__topic *b = channels__topic_get(&topics, channels__str_n("a\0c", 3));
    channels__topic *none = channels__topic_get(&topics, channels__str_n("", 0));
    assert_true(a != b && a != none && none->len == 0);
    assert_null(channels__topic_find(&topics, channels__str_n("a", 1)));
    channels__topic_put(&topics, a);
    channels__topic_put(&topics, b);
    channels__topic_put(&topics, none);
    channels__topics_deinit(&topics);
    assert_int_equal(memory.blocks, 0);
}

static void topics_without_memory(void **state)
{
    static const channels__hash_key key = { 1, 2 };
    (void)state;
    for (size_t fail = 1; fail < 60; fail++) {
        sim_memory memory = { .fail_at = fail };
        channels__mem mem = { sim_memory_realloc, &memory };
        channels__topics topics;
        channels__topic *got[40];
        char name[24];
        channels__topics_init(&topics, &mem, key);
        for (unsigned i = 0; i < 40; i++)
            got[i] = channels__topic_get(&topics, name_of(name, i));
        for (unsigned i = 0; i < 40; i++) {
            assert_true(channels__topic_find(&topics, name_of(name, i)) == got[i]);
            if (got[i] != NULL)
                channels__topic_put(&topics, got[i]);
        }
        channels__topics_deinit(&topics);
        assert_int_equal(memory.blocks, 0);
    }
}

/* Channels come and go; each knows its place. */
static void channels_of_a_topic(void **state)
{
    static const channels__hash_key key = { 1, 2 };
    sim_memory memory = { 0 };
    channels_endpoint ep = { .mem = { sim_memory_realloc, &memory } };
    channels_channel *all = calloc(200, sizeof *all);
    uint32_t random = 3, count = 0;
    (void)state;
    channels__topics_init(&ep.topics, &ep.mem, key);
    channels__topic *t = channels__topic_get(&ep.topics, channels__str_z("room:a"));
    for (unsigned i = 0; i < 200; i++) {
        all[i].topic = t;
        all[i].fast_at = CHANNELS__NOWHERE;
    }
    for (unsigned step = 0; step < 3000; step++) {
        channels_channel *ch = &all[next_random(&random) % 200];
        if (ch->fast_at == CHANNELS__NOWHERE) {
            assert_true(channels__topic_add(&ep, t, ch));
            count++;
        } else {
            channels__topic_remove(&ep, ch);
            channels__topic_remove(&ep, ch);
            count--;
        }
        assert_int_equal(t->nfast, count);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(t->fast[i].channel->fast_at, i);
    }
    for (unsigned i = 0; i < 200; i++)
        channels__topic_remove(&ep, &all[i]);
    assert_in_range(t->fast_size, 0, 16);
    channels__topic_put(&ep.topics, t);
    channels__topics_deinit(&ep.topics);
    assert_int_equal(memory.blocks, 0);
    free(all);
}

/* --- Refs --------------------------------------------------------------------------------- */

static void refs(void **state)
{
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__refs refs = { .mem = &mem };
    channels_ref live[100] = { { 0 } }, dead[3000];
    unsigned ndead = 0;
    uint32_t random = 4;
    (void)state;
    for (unsigned step = 0; step < 3000; step++) {
        channels_ref *ref = &live[next_random(&random) % 100];
        if (ref->id == 0) {
            uint32_t n = channels__ref_new(&refs, CHANNELS__REF_MESSAGE);
            assert_true(n != 0);
            refs.slots[n - 1].of.channel = (channels_channel *)(void *)ref;
            *ref = channels__ref_of(&refs, n);
        } else {
            channels__ref_free(&refs, (uint32_t)ref->id);
            dead[ndead++] = *ref;
            ref->id = 0;
        }
    }
    assert_in_range(refs.count, 1, 100); /* slots are used again */
    for (unsigned i = 0; i < 100; i++)
        if (live[i].id != 0)
            assert_true(channels__ref_find(&refs, live[i])->of.channel ==
                        (channels_channel *)(void *)&live[i]);
    for (unsigned i = 0; i < ndead; i++)
        assert_null(channels__ref_find(&refs, dead[i]));
    channels__refs_deinit(&refs);
    assert_int_equal(memory.blocks, 0);
}

static void refs_without_memory(void **state)
{
    sim_memory memory = { .fail_at = 2, .fail_on = true };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__refs refs = { .mem = &mem };
    uint32_t n = 0;
    (void)state;
    while (n < 1000 && channels__ref_new(&refs, CHANNELS__REF_SELF) != 0)
        n++;
    assert_in_range(n, 1, 999);
    memory.fail_at = 0;
    assert_int_equal(channels__ref_new(&refs, CHANNELS__REF_SELF), n + 1);
    channels__refs_deinit(&refs);
    assert_int_equal(memory.blocks, 0);
}

/* --- The run queue ------------------------------------------------------------------------ */

static void queue(void **state)
{
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__queue q;
    uintptr_t in = 0, out = 0;
    uint32_t random = 5;
    (void)state;
    channels__queue_init(&q, &mem);
    for (unsigned step = 0; step < 5000; step++) {
        if (next_random(&random) % 5 < (step < 2500 ? 3 : 2)) {
            channels__work work = { .info = (void *)++in };
            assert_true(channels__queue_push(&q, &work));
        } else if (q.count != 0) {
            assert_true(channels__queue_shift(&q).info == (void *)++out);
        }
        assert_int_equal(q.count, in - out);
    }
    while (q.count != 0)
        assert_true(channels__queue_shift(&q).info == (void *)++out);
    channels__queue_deinit(&q);
    assert_int_equal(memory.blocks, 0);
}

static void queue_without_memory(void **state)
{
    sim_memory memory = { 0 };
    channels__mem mem = { sim_memory_realloc, &memory };
    channels__queue q;
    channels__work work = { .info = &work };
    (void)state;
    channels__queue_init(&q, &mem);
    assert_true(channels__queue_push(&q, &work));
    assert_true(channels__queue_reserve(&q, 100));
    assert_false(channels__queue_reserve(&q, SIZE_MAX / 2));
    memory.fail_at = 1;
    memory.fail_on = true;
    for (unsigned i = 0; i < 100; i++)
        assert_true(channels__queue_push(&q, &work));
    assert_false(channels__queue_reserve(&q, 1000));
    assert_int_equal(q.count, 101);
    channels__queue_deinit(&q);
    assert_int_equal(memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_by_name),
        cmocka_unit_test(topics_of_any_bytes),
        cmocka_unit_test(topics_without_memory),
        cmocka_unit_test(channels_of_a_topic),
        cmocka_unit_test(refs),
        cmocka_unit_test(refs_without_memory),
        cmocka_unit_test(queue),
        cmocka_unit_test(queue_without_memory),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
