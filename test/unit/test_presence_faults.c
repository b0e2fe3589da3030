/* test_presence_faults.c - each allocation of a node fails in turn, that one or all for a while.
 * What a client was told afterwards still adds up to what the list holds, on both nodes, and nobody
 * who has gone is left. */
#include "unit/presence_bus.h"

/* --- A client's list, as phoenix.js keeps one ------------------------------------------------ */

typedef struct model {
    char refs[64][20];
    unsigned count;
    const char *wrong;
} model;

static unsigned find(const model *m, const char *ref)
{
    unsigned i = 0;
    while (i < m->count && strcmp(m->refs[i], ref) != 0)
        i++;
    return i;
}

static void change(model *m, const char *ref, bool on)
{
    unsigned i = find(m, ref);
    if (on == (i < m->count))
        m->wrong = on ? "joined twice" : "left, but was not there";
    else if (on)
        strcpy(m->refs[m->count++], ref);
    else if (i != --m->count)
        strcpy(m->refs[i], m->refs[m->count]);
}

static void change_all(model *m, const cJSON *keys, bool on)
{
    for (const cJSON *key = keys->child; key != NULL; key = key->next) {
        const cJSON *metas = cJSON_GetObjectItemCaseSensitive(key, "metas");
        for (const cJSON *meta = metas->child; meta != NULL; meta = meta->next)
            change(m, cJSON_GetObjectItemCaseSensitive(meta, "phx_ref")->valuestring, on);
    }
}

static void follow(model *m, channels_test_client *c)
{
    const channels_test_message *msg;
    while ((msg = channels_test_next(c)) != NULL) {
        if (strcmp(msg->event, "presence_diff") != 0)
            continue;
        change_all(m, cJSON_GetObjectItemCaseSensitive(msg->json, "joins"), true);
        change_all(m, cJSON_GetObjectItemCaseSensitive(msg->json, "leaves"), false);
    }
}

static void compare(void *arg, channels_payload list)
{
    model listed = { .count = 0 }, *m = arg;
    assert_non_null(list.data);
    cJSON *tree = cJSON_ParseWithLength(list.data, list.len);
    change_all(&listed, tree, true);
    cJSON_Delete(tree);
    if (listed.count != m->count)
        m->wrong = "the list is not what the client was told";
    for (unsigned i = 0; i < listed.count; i++)
        if (find(m, listed.refs[i]) == m->count)
            m->wrong = "a ref of the list is not known";
}

/* --- A life --------------------------------------------------------------------------------- */

static void say_all(channels_test_client *c)
{
    static const struct {
        const char *event, *payload;
    } words[] = {
        { "track", "{'key':'k','meta':{'a':1}}" },
        { "track", "{'key':'l','meta':{}}" },
        { "update", "{'key':'k','meta':{'a':2}}" },
        { "shout", "{}" },
        { "untrack", "{'key':'l'}" },
        { "update", "{'key':'k','meta':{}}" },
        { "track", "{'key':'m','meta':{}}" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        channels_test_push(c, "room:1", words[i].event, words[i].payload);
}

static void live(bus *b)
{
    presence_app *one = &b->nodes[0].t, *two = &b->nodes[1].t;
    say_all(one->b);
    bus_wait(b, 1600);
    say_all(two->b);
    channels_test_leave(one->b, "room:1");
    bus_wait(b, 1600);
    channels_test_close(two->b);
    channels_presence_track_owner(one->set, 3, "room:1", "o", channels_empty());
    channels_presence_update_owner(one->set, 3, "room:1", "o", channels_empty());
}

static void check(bus *b, model *m)
{
    for (unsigned i = 0; i < 2; i++) {
        presence_app *t = &b->nodes[i].t;
        follow(&m[i], t->a);
        if (t->a->code == 0) /* else it was closed, for lack of memory */
            channels_presence_list(t->set, "room:1", compare, &m[i]);
        if (m[i].wrong != NULL)
            print_error("node %u: %s\n", i, m[i].wrong);
        assert_null(m[i].wrong);
    }
}

static void ignore(void *arg, const char *file, int line, const char *text)
{
    (void)arg, (void)file, (void)line, (void)text;
}

/* Of node `n`. How many allocations there were. */
static size_t run(unsigned n, size_t fail_at, bool fail_on)
{
    bus *b;
    model m[2] = { { .count = 0 }, { .count = 0 } };
    bus_start((void **)&b);
    for (unsigned i = 0; i < 2; i++) {
        b->nodes[i].t.b = presence_member(&b->nodes[i].t, "room:1");
        b->nodes[i].t.host.on_failure = ignore; /* replies may fail to come */
    }
    bus_wait(b, 3000);
    sim_memory *memory = &b->nodes[n].t.memory;
    memory->calls = 0;
    memory->fail_at = fail_at;
    memory->fail_on = fail_on;
    live(b);
    size_t calls = memory->calls;
    memory->fail_at = 0;
    bus_wait(b, 20000);
    check(b, m);
    for (unsigned i = 0; i < 2; i++) { /* all go, and nobody is left */
        presence_app *t = &b->nodes[i].t;
        channels_test_close(t->b);
        channels_presence_untrack_owner(t->set, 3, NULL, NULL);
    }
    bus_wait(b, 5000);
    check(b, m);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(channels_presence_count(b->nodes[i].t.set, "room:1"), 0);
    assert_int_equal(bus_stop((void **)&b), 0);
    return calls;
}

static void each(unsigned n, bool fail_on)
{
    size_t at = 1;
    while (run(n, at, fail_on) >= at)
        at++;
    assert_in_range(at, 100, 1000);
}

static void one_fails(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++)
        each(n, false);
}

static void all_fail_from_one_on(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++)
        each(n, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fails),
        cmocka_unit_test(all_fail_from_one_on),
    };
    return cmocka_run_group_tests_name("presence_faults", tests, NULL, NULL);
}
