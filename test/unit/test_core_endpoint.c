/* test_core_endpoint.c - an endpoint's birth and death, work from other threads, and its log. */
#include <pthread.h>

#include "unit/core_case.h"

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    pthread_join(thread, NULL);
}

/* --- Posted work -------------------------------------------------------------------------- */

typedef struct posted {
    core_case *t;
    const char *name;
} posted;

static void note(channels_endpoint *ep, void *arg)
{
    posted *p = arg;
    assert_true(ep == p->t->host.ep);
    probe_note(&p->t->probe, "%s;", p->name);
}

static void note_drop(void *arg)
{
    posted *p = arg;
    probe_note(&p->t->probe, "drop %s;", p->name);
}

static void count_wake(void *arg)
{
    unsigned *count = arg;
    ++*count;
}

static void *post_two(void *arg)
{
    posted *p = arg;
    channels_post(p[0].t->host.ep, note, &p[0], note_drop);
    channels_post(p[1].t->host.ep, note, &p[1], NULL);
    return NULL;
}

static void posts(void **state)
{
    core_case *t = *state;
    posted p[] = { { t, "one" }, { t, "two" } };
    unsigned wakes = 0;
    channels_endpoint_on_wake(t->host.ep, count_wake, &wakes);
    assert_int_equal(channels_post(t->host.ep, NULL, NULL, NULL), CHANNELS_ERR_INVALID);
    logged(t, "no function");
    post_two(p);
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
    assert_int_equal(wakes, 1);
    in_thread(post_two, p);
    assert_int_equal(wakes, 1);
    traced(t, "");
    channels_endpoint_run(t->host.ep);
    traced(t, "one;two;one;two;");
    assert_true(channels_endpoint_timeout(t->host.ep) == UINT64_MAX);
    in_thread(post_two, p);
    assert_int_equal(wakes, 2);
    assert_int_equal(channels_test_stop(&t->host), 0);
    traced(t, "drop one;");
}

static void post_again(channels_endpoint *ep, void *arg)
{
    posted *p = arg;
    probe_note(&p->t->probe, "again;");
    channels_post(ep, note, p, NULL);
}

static void posts_in_posted_work(void **state)
{
    core_case *t = *state;
    posted p = { t, "p" };
    unsigned wakes = 0;
    channels_endpoint_on_wake(t->host.ep, count_wake, &wakes);
    channels_post(t->host.ep, post_again, &p, NULL);
    channels_endpoint_run(t->host.ep);
    assert_int_equal(wakes, 2);
    assert_int_equal(channels_endpoint_timeout(t->host.ep), 0);
    channels_endpoint_run(t->host.ep);
    traced(t, "again;p;");
}

static void *broadcast_there(void *arg)
{
    channels_endpoint *ep = arg;
    char event[] = "one", text[] = "{\"n\":1}";
    channels_pubsub_broadcast(ep, "room:a", event, channels_json(text));
    memset(event, 'x', 3); /* it has been copied */
    memset(text, 'x', 3);
    channels_pubsub_local_broadcast(ep, "room:a", "two", channels_binary(NULL, 0));
    channels_pubsub_direct_broadcast(ep, channels_pubsub_node(ep), "room:a", "three",
                                     channels_empty());
    channels_pubsub_broadcast(ep, "room:a", "bad", channels_json("[]"));
    channels_pubsub_broadcast(ep, NULL, NULL, channels_json_n(NULL, 0));
    channels_disconnect(ep, "users:1");
    return NULL;
}

static int set_id(channels_socket *s, const channels_request *req, probe *p)
{
    (void)req, (void)p;
    return channels_socket_set_id(s, "users:1");
}

static void broadcasts_from_another_thread(void **state)
{
    core_case *t = *state;
    t->probe.connect = set_id;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    in_thread(broadcast_there, t->host.ep);
    quiet(t->a);
    channels_endpoint_run(t->host.ep);
    hear(t->a, "[null,null,'room:a','one',{'n':1}]");
    hear(t->a, "<\\02\\06\\03room:atwo>");
    hear(t->a, "[null,null,'room:a','three',{}]");
    quiet(t->a);
    assert_int_equal(t->a->code, 1001);
    in_thread(broadcast_there, t->host.ep); /* freed with the endpoint */
}

/* --- The end ------------------------------------------------------------------------------ */

static void shuts_down(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->b, "room:a", "1");
    t->probe.trace[0] = '\0';
    channels_endpoint_free(t->host.ep);
    t->host.ep = NULL;
    assert_int_equal(t->a->code, 1001);
    assert_int_equal(t->b->code, 1001);
    traced(t, "terminate room:a shutdown;disconnect shutdown;terminate room:a shutdown;"
              "disconnect shutdown;");
    channels_endpoint_free(NULL);
}

static void busy_terminate(channels_channel *ch, channels_reason why, probe *p)
{
    channels_ref self;
    void *info = probe_info(p, "late");
    (void)why;
    channels_broadcast(ch, "secret", channels_empty());
    channels_broadcast(ch, "bye", channels_empty());
    channels_pubsub_broadcast(p->host->ep, "room:b", "secret", channels_empty());
    if (channels_info_after(ch, 5, info, probe_drop, NULL) != CHANNELS_OK)
        probe_drop(info);
    assert_int_equal(channels_self(ch, &self), CHANNELS_ERR_CLOSED);
    channels_post(p->host->ep, NULL, NULL, NULL);
}

static void shuts_down_while_terminate_is_busy(void **state)
{
    core_case *t = *state;
    t->probe.terminate = busy_terminate;
    core_connect(&t->a, &t->host, V2);
    core_connect(&t->b, &t->host, V2);
    join(t->a, "room:a", "1");
    join(t->a, "room:b", "2");
    join(t->b, "room:a", "1");
    join(t->b, "room:b", "2");
    assert_int_equal(channels_test_stop(&t->host), 0);
}

static int free_endpoint(channels_channel *ch, const channels_msg *msg, probe *p)
{
    (void)msg;
    channels_endpoint_free(p->host->ep);
    return channels_reply(ch, "ok", channels_empty());
}

static void not_freed_in_a_callback(void **state)
{
    core_case *t = *state;
    t->probe.handle_in = free_endpoint;
    core_connect(&t->a, &t->host, V2);
    join(t->a, "room:a", "1");
    say(t->a, "['1','2','room:a','x',{}]");
    logged(t, "channels_endpoint_free: may not be called from inside a callback");
    hear(t->a, "['1','2','room:a','phx_reply',{'status':'ok','response':{}}]");
}

static void free_posted(channels_endpoint *ep, void *arg)
{
    (void)arg;
    channels_endpoint_free(ep);
}

static void not_freed_in_posted_work(void **state)
{
    core_case *t = *state;
    posted p = { t, "p" };
    channels_post(t->host.ep, free_posted, NULL, NULL);
    channels_post(t->host.ep, note, &p, note_drop);
    channels_endpoint_run(t->host.ep);
    logged(t, "channels_endpoint_free: may not be called from inside a callback");
    assert_string_equal(t->probe.trace, "p;");
}

/* --- Birth -------------------------------------------------------------------------------- */

static int no_random(void *user, void *dst, size_t len)
{
    (void)user, (void)dst, (void)len;
    return -1;
}

static void ignore(void *arg, const char *file, int line, const char *text)
{
    (void)arg, (void)file, (void)line, (void)text;
}

static void needs_whole_adapters(void **state)
{
    static const channels_pubsub_adapter none = { .name = "none" };
    const channels_config bad[] = { { .pubsub = &none }, { .node = "" }, { .node = "\xff" } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        channels_test host = { .on_failure = ignore };
        sim_memory memory = { 0 };
        assert_int_equal(sim_start(&host, &memory, &bad[i]), CHANNELS_ERR_INVALID);
        assert_non_null(strstr(host.log, "channels_endpoint_new"));
        assert_int_equal(memory.blocks, 0);
    }
}

static void needs_random_numbers(void **state)
{
    channels_test host = { .on_failure = ignore };
    sim_memory memory = { 0 };
    channels_config config = { .random = no_random, .node = "n" };
    (void)state;
    assert_int_equal(sim_start(&host, &memory, &config), CHANNELS_ERR_INVALID);
    assert_null(host.ep);
    assert_int_equal(memory.blocks, 0);
    assert_non_null(strstr(host.log, "random"));
}

static void bad_configs(void **state)
{
    static const channels_pubsub_adapter half = { .name = "half" };
    static const struct {
        channels_config config;
        const char *words;
    } bad[] = { { { .pubsub = &half }, "adapter" }, { { .node = "\xff" }, "UTF-8" } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        channels_test host = { .on_failure = ignore };
        sim_memory memory = { 0 };
        assert_int_equal(sim_start(&host, &memory, &bad[i].config), CHANNELS_ERR_INVALID);
        assert_null(host.ep);
        assert_int_equal(memory.blocks, 0);
        assert_non_null(strstr(host.log, bad[i].words));
    }
}

static void needs_memory(void **state)
{
    (void)state;
    for (size_t n = 1; n < 10; n++) {
        channels_test host = { .on_failure = ignore };
        sim_memory memory = { .fail_at = n };
        int err = sim_start(&host, &memory, NULL);
        if (err == CHANNELS_OK) {
            assert_true(n > 2);
            assert_int_equal(channels_test_stop(&host), 0);
            return;
        }
        assert_int_equal(err, CHANNELS_ERR_NOMEM);
        assert_null(host.ep);
        assert_int_equal(memory.blocks, 0);
    }
}

static void defaults(void **state)
{
    channels_endpoint *ep, *other;
    (void)state;
    assert_int_equal(channels_endpoint_new(&ep, NULL), CHANNELS_OK);
    assert_int_equal(channels_endpoint_new(&other, NULL), CHANNELS_OK);
    assert_string_not_equal(channels_pubsub_node(ep), channels_pubsub_node(other));
    assert_null(channels_endpoint_user(ep));
    channels_endpoint_run(ep);
    channels_endpoint_free(ep);
    channels_endpoint_free(other);
}

static void own_strings(void **state)
{
    core_case *t = *state;
    char host[] = "example.com", node[] = "node-1";
    core_case_restart(t, &(channels_config){ .user = t, .host = host, .node = node }, NULL);
    host[0] = node[0] = 'x';
    assert_string_equal(channels_pubsub_node(t->host.ep), "node-1");
    assert_true(channels_endpoint_user(t->host.ep) == t);
}

/* --- Mounting ----------------------------------------------------------------------------- */

static int join_ok(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static void bad_mounts(void **state)
{
    static const channels_handler room = { .join = join_ok }, none = { 0 };
    static const struct {
        const char *path;
        channels_route routes[3];
        const char *words;
    } bad[] = {
        { NULL, { { .pattern = "a", .handler = &room } }, "path" },
        { "", { { .pattern = "a", .handler = &room } }, "path" },
        { "socket", { { .pattern = "a", .handler = &room } }, "path" },
        { "/a?b", { { .pattern = "a", .handler = &room } }, "path" },
        { "/a*", { { .pattern = "a", .handler = &room } }, "path" },
        { "/a/:", { { .pattern = "a", .handler = &room } }, "path" },
        { "/:a/:a", { { .pattern = "a", .handler = &room } }, "twice" },
        { "/a", { { .pattern = "", .handler = &room } }, "it is empty" },
        { "/a",
          { { .pattern = "a", .handler = &room }, { .pattern = "r*m", .handler = &room } },
          "a * may only stand at its end" },
        { "/a", { { .pattern = "**", .handler = &room } }, "a * may only stand at its end" },
        { "/a", { { .pattern = "a", .handler = NULL } }, "no handler" },
        { "/a", { { .pattern = "a", .handler = &none } }, "no join" },
    };
    core_case *t = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        channels_socket_handler h = { .routes = bad[i].routes };
        size_t blocks = t->memory.blocks;
        assert_int_equal(channels_mount(t->host.ep, bad[i].path, &h, NULL, NULL),
                         CHANNELS_ERR_INVALID);
        logged(t, bad[i].words);
        assert_int_equal(t->memory.blocks, blocks);
    }
    assert_int_equal(channels_mount(t->host.ep, "/a", NULL, NULL, NULL), CHANNELS_ERR_INVALID);
    logged(t, "no handler");
    static const channels_handler huge = { .assigns_size = SIZE_MAX, .join = join_ok };
    static const channels_route of_huge[] = { { .pattern = "a", .handler = &huge }, { 0 } };
    static const channels_socket_handler h = { .routes = of_huge };
    assert_int_equal(channels_mount(t->host.ep, "/a", &h, NULL, NULL), CHANNELS_ERR_INVALID);
    logged(t, "assigns_size");
}

/* Options with strings, without the memory to keep them. */
static void mounts_without_memory(void **state)
{
    static const char *const origins[] = { "https://a.example", "//b.example", "//c.example",
                                           NULL };
    static const channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_LIST,
                                                    .origins = origins,
                                                    .auth_token = true,
                                                    .websocket.subprotocols = origins };
    core_case *t = *state;
    size_t blocks = t->memory.blocks;
    int err = CHANNELS_ERR_NOMEM;
    for (size_t n = 1; err == CHANNELS_ERR_NOMEM; n++) {
        t->memory.calls = 0;
        t->memory.fail_at = n;
        err = channels_mount(t->host.ep, "/a", &probe_handler, &options, &t->probe);
        t->memory.fail_at = 0;
        if (err == CHANNELS_ERR_NOMEM)
            assert_int_equal(t->memory.blocks, blocks);
    }
    assert_int_equal(err, CHANNELS_OK);
}

static bool ask_nobody(const char *origin, void *user)
{
    (void)origin, (void)user;
    return false;
}

static void bad_options(void **state)
{
    static const char *const nameless[] = { "http://", NULL };
    static const char *const odd[] = { "mqtt", "a b", NULL };
    static const struct {
        channels_mount_options options;
        const char *words;
    } bad[] = {
        { { .max_nesting = 1001 }, "max_nesting" },
        { { .max_topic = 65536 }, "max_topic" },
        { { .check_origin = (channels_origin)9 }, "check_origin" },
        { { .check_origin = (channels_origin)-1 }, "check_origin" },
        { { .check_origin = CHANNELS_ORIGIN_ASK }, "ask_origin" },
        { { .ask_origin = ask_nobody }, "ask_origin" },
        { { .websocket = { .path = "ws" } }, "path for WebSocket" },
        { { .websocket = { .path = "/:1" } }, "path for WebSocket" },
        { { .websocket = { .path = "/:a" } }, "twice" },
        { { .longpoll = { .path = "/lp?" } }, "path for long polling" },
        { { .websocket = { .subprotocols = odd } }, "a b" },
        { { .check_origin = CHANNELS_ORIGIN_LIST }, "list of origins" },
        { { .check_origin = CHANNELS_ORIGIN_LIST, .origins = nameless }, "names no host" },
    };
    core_case *t = *state;
    size_t blocks = t->memory.blocks;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(channels_mount(t->host.ep, "/:a", &probe_handler, &bad[i].options,
                                        &t->probe),
                         CHANNELS_ERR_INVALID);
        logged(t, bad[i].words);
        assert_int_equal(t->memory.blocks, blocks);
    }
}

static int no_frame(channels_socket *s, channels_payload frame, void *user)
{
    (void)s, (void)frame, (void)user;
    return CHANNELS_OK;
}

static void either_channels_or_frames(void **state)
{
    static const channels_handler room = { .join = join_ok };
    static const channels_route routes[] = { { .pattern = "a", .handler = &room }, { 0 } };
    static const channels_socket_handler both = { .routes = routes, .handle_frame = no_frame };
    core_case *t = *state;
    assert_int_equal(channels_mount(t->host.ep, "/a", &both, NULL, NULL), CHANNELS_ERR_INVALID);
    logged(t, "either channels or frames");
}

/* Each could be the last; one more cannot be numbered. */
static void subprotocols_are_counted(void **state)
{
    static const char *many[UINT16_MAX + 1];
    channels_mount_options options = { .websocket.subprotocols = many };
    core_case *t = *state;
    for (size_t i = 0; i < UINT16_MAX; i++)
        many[i] = "x";
    assert_int_equal(channels_mount(t->host.ep, "/a", &probe_handler, &options, &t->probe),
                     CHANNELS_ERR_INVALID);
    logged(t, "one too many");
    many[UINT16_MAX - 1] = NULL;
    options.auth_token = true; /* and "phoenix" */
    assert_int_equal(channels_mount(t->host.ep, "/a", &probe_handler, &options, &t->probe),
                     CHANNELS_OK);
}

/* Each mount is its own: handler, user, options. Those with nothing to join are fine. */
static void several_mounts(void **state)
{
    static const channels_socket_handler empty = { 0 };
    core_case *t = *state;
    channels_mount_options other = { .websocket = { .path = "/ws" } };
    char path[] = "/second";
    assert_int_equal(channels_mount(t->host.ep, path, &empty, &other, NULL), CHANNELS_OK);
    memset(path, 'x', 3); /* it has been copied */
    assert_int_equal(core_connect(&t->a, &t->host, "/second/ws?vsn=2.0.0"), CHANNELS_OK);
    assert_int_equal(core_connect(&t->b, &t->host, "/second/websocket"), CHANNELS_ERR_CLOSED);
    say(t->a, "['1','1','room:a','phx_join',{}]");
    hear(t->a, "[null,'1','room:a','phx_reply',"
               "{'status':'error','response':{'reason':'unmatched topic'}}]");
    channels_mount_options off = { .websocket = { .off = true } };
    assert_int_equal(channels_mount(t->host.ep, "/third", &empty, &off, NULL), CHANNELS_OK);
    assert_int_equal(core_connect(&t->b, &t->host, "/third/websocket"), CHANNELS_ERR_CLOSED);
}

/* --- Log and errors ----------------------------------------------------------------------- */

/* Names come from strangers: what is logged stays one line. */
static void log_lines(void **state)
{
    core_case *t = *state;
    core_connect(&t->a, &t->host, V2);
    say(t->a, "[null,'1','no\\n\\u001broute\x7f','phx_join',{}]");
    logged(t, "no route");
    for (const char *p = t->host.log; *p != '\0'; p++)
        assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void errors_have_words(void **state)
{
    (void)state;
    for (int err = -10; err <= 3; err++)
        assert_true(strlen(channels_strerror(err)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(posts),
        CORE_TEST(posts_in_posted_work),
        CORE_TEST(broadcasts_from_another_thread),
        CORE_TEST(shuts_down),
        CORE_TEST(shuts_down_while_terminate_is_busy),
        CORE_TEST(not_freed_in_a_callback),
        CORE_TEST(not_freed_in_posted_work),
        cmocka_unit_test(needs_whole_adapters),
        cmocka_unit_test(needs_random_numbers),
        cmocka_unit_test(bad_configs),
        cmocka_unit_test(needs_memory),
        cmocka_unit_test(defaults),
        CORE_TEST(own_strings),
        CORE_TEST(bad_mounts),
        CORE_TEST(mounts_without_memory),
        CORE_TEST(bad_options),
        CORE_TEST(either_channels_or_frames),
        CORE_TEST(subprotocols_are_counted),
        CORE_TEST(several_mounts),
        CORE_TEST(log_lines),
        CORE_TEST(errors_have_words),
    };
    return cmocka_run_group_tests_name("core_endpoint", tests, NULL, NULL);
}
