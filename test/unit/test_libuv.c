/* test_libuv.c - channels/adapters/libuv.h. */
#include "unit/adapter_case.h"

#include <channels/adapters/libuv.h>

typedef struct host {
    uv_loop_t loop;
    uv_timer_t timer; /* ends a turn */
    channels_uv uv;
    channels_uv_listener listeners[4];
    size_t count;
    bool done;
} host;

static void *start(channels_endpoint *ep)
{
    host *h = calloc(1, sizeof *h);
    assert_int_equal(uv_loop_init(&h->loop), 0);
    assert_int_equal(uv_timer_init(&h->loop, &h->timer), 0);
    assert_int_equal(channels_uv_start(&h->uv, &h->loop, ep), 0);
    return h;
}

static void on_done(void *arg)
{
    host *h = arg;
    h->done = true;
    memset(&h->uv, 0xee, sizeof h->uv); /* nobody looks at it any more */
    memset(h->listeners, 0xee, sizeof h->listeners);
}

static void stop(void *loop)
{
    host *h = loop;
    channels_uv_stop(&h->uv, on_done, h);
    assert_false(h->done);
    uv_close((uv_handle_t *)&h->timer, NULL);
    assert_int_equal(uv_run(&h->loop, UV_RUN_DEFAULT), 0);
    assert_true(h->done);
    assert_int_equal(uv_loop_close(&h->loop), 0);
    free(h);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void run_once(void *loop, int timeout_ms)
{
    host *h = loop;
    if (timeout_ms > 0) {
        uv_update_time(&h->loop);
        uv_timer_start(&h->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    uv_run(&h->loop, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    uv_timer_stop(&h->timer);
}

static int listen_at(void *loop, const char *name)
{
    host *h = loop;
    channels_uv_listener *l = &h->listeners[h->count];
    int err = channels_uv_listen(&h->uv, l, name, 0, 0);
    h->count += err == 0;
    return err == 0 ? channels_uv_port(l) : err;
}

static int listen_fd(void *loop, int fd)
{
    host *h = loop;
    return channels_uv_listen_fd(&h->uv, &h->listeners[h->count], fd);
}

static int accept_fd(void *loop, int fd)
{
    return channels_uv_accept(&((host *)loop)->uv, fd);
}

static int accept_from(void *loop, int fd, const channels_request *req, const void *rest,
                       size_t len)
{
    return channels_uv_accept_from(&((host *)loop)->uv, fd, req, rest, len);
}

static size_t count(const void *loop)
{
    size_t n = 0;
    for (channels_uv_client *c = ((const host *)loop)->uv.clients; c != NULL; c = c->next)
        n++;
    return n;
}

static const adapter uv_adapter = { .start = start,
                                    .stop = stop,
                                    .run_once = run_once,
                                    .listen = listen_at,
                                    .listen_fd = listen_fd,
                                    .accept = accept_fd,
                                    .accept_from = accept_from,
                                    .clients = count };

/* What libuv does not take is left to the caller, and the connection's memory with it. */
static void files_are_no_streams(net *n)
{
    FILE *file = tmpfile();
    assert_true(channels_uv_accept(&((host *)n->loop)->uv, fileno(file)) < 0);
    assert_int_equal(clients(n), 0);
    fclose(file);
}

int main(void)
{
    static const adapter_test more[] = { ADAPTER_TEST(files_are_no_streams) };
    return adapter_run(&uv_adapter, more, sizeof more / sizeof *more);
}
