/* host.c - the program around the library: see budget.h. It allocates as most do, by malloc(). */
#include "budget/budget.h"

/* --- Rooms ---------------------------------------------------------------------------------- */

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int on_event(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    if (strcmp(msg->event, "echo") == 0)
        return channels_reply(ch, "ok", msg->payload);
    if (strcmp(msg->event, "shout") == 0)
        return channels_broadcast(ch, "shout", msg->payload);
    return CHANNELS_ERR_INVALID;
}

static const channels_handler room = { .join = on_join, .handle_in = on_event };
static const channels_route routes[] = { { "room:*", &room, NULL }, { 0 } };
static const channels_socket_handler handler = { .routes = routes };

/* --- The same each time --------------------------------------------------------------------- */

static uint64_t on_now_ms(void *hooks)
{
    return ((host *)hooks)->now;
}

static uint64_t on_now_ns(void *hooks)
{
    return ((host *)hooks)->now * 1000000;
}

/* xorshift64* */
static int on_random(void *hooks, void *dst, size_t len)
{
    uint64_t *x = &((host *)hooks)->random;
    for (size_t i = 0; i < len; i++) {
        *x ^= *x >> 12;
        *x ^= *x << 25;
        *x ^= *x >> 27;
        ((unsigned char *)dst)[i] = (unsigned char)(*x * UINT64_C(0x2545f4914f6cdd1d) >> 56);
    }
    return 0;
}

static void on_log(void *hooks, channels_log_level level, const char *text)
{
    (void)hooks, (void)level;
    budget_fail("the library says: %s", text);
}

void host_open(host *h, const channels_config *given)
{
    static const channels_mount_options options = { .longpoll = { .on = true } };
    channels_config config = { .secret = "as secret as a test can keep it, and as long as need be",
                               .node = "budget" };
    if (given != NULL)
        config = *given;
    config.hooks = h;
    config.now_ms = on_now_ms;
    config.now_ns = on_now_ns;
    config.random = on_random;
    config.log = on_log;
    config.log_level = CHANNELS_LOG_WARNING;
    h->now = 1000;
    h->random = 1;
    if (channels_endpoint_new(&h->ep, &config) != CHANNELS_OK ||
        channels_mount(h->ep, "/socket", &handler, &options, NULL) != CHANNELS_OK)
        budget_fail("there is no endpoint");
}

void host_close(host *h)
{
    channels_endpoint_free(h->ep);
}

void host_turn(host *h)
{
    channels_conn *conn;
    h->now++;
    channels_endpoint_run(h->ep);
    while ((conn = channels_endpoint_next_ready(h->ep)) != NULL)
        kernel_write(conn);
    channels_endpoint_timeout(h->ep);
}
