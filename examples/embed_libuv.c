/* embed_libuv.c - how do I put it into my libuv program?
 *
 * Here is a program that has a loop with a timer and signals of its own. Two calls attach an
 * endpoint to that loop, one takes it away; the timer speaks to whoever has joined "clock".
 *
 *     make demo-embed_libuv
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0'
 *     > ["1","1","clock","phx_join",{}] */
#include <channels/adapters/libuv.h>
#include <channels/channels.h>
#include <channels/pubsub.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* --- What clients may join ------------------------------------------------------------------ */

static int join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static const channels_handler spectator = { .join = join };
static const channels_route routes[] = { { "clock", &spectator, NULL }, { NULL, NULL, NULL } };
static const channels_socket_handler clients = { .routes = routes };

/* --- The program that was there before -------------------------------------------------------- */

typedef struct program {
    uv_timer_t timer;
    uv_signal_t signals[2];
    channels_endpoint *ep;
    channels_uv uv;
    channels_uv_listener listener;
} program;

static void on_second(uv_timer_t *timer)
{
    program *p = timer->data;
    char json[64];
    snprintf(json, sizeof json, "{\"now_ms\":%" PRIu64 "}", uv_now(timer->loop));
    channels_pubsub_broadcast(p->ep, "clock", "tick", channels_json(json));
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

static void start(program *p, uv_loop_t *loop)
{
    static const int numbers[] = { SIGINT, SIGTERM };
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_second, 1000, 1000);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &p->signals[i]);
        uv_signal_start(&p->signals[i], on_signal, numbers[i]);
    }
}

static void stop(program *p)
{
    uv_close((uv_handle_t *)&p->timer, NULL);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&p->signals[i], NULL);
}

/* --- Channels in it --------------------------------------------------------------------------- */

static int serve(program *p, uv_loop_t *loop, int port)
{
    int err = channels_uv_start(&p->uv, loop, p->ep);
    if (err != 0)
        return err;
    err = channels_uv_listen(&p->uv, &p->listener, "127.0.0.1", port, 0);
    if (err == 0) {
        printf("listening on 127.0.0.1:%d\n", channels_uv_port(&p->listener));
        fflush(stdout);
        uv_run(loop, UV_RUN_DEFAULT); /* until a signal */
    }
    channels_uv_stop(&p->uv, NULL, NULL);
    return err;
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    program p;
    if (channels_endpoint_new(&p.ep, NULL) != CHANNELS_OK ||
        channels_mount(p.ep, "/socket", &clients, NULL, NULL) != CHANNELS_OK)
        return 1;
    start(&p, loop);
    int err = serve(&p, loop, argc > 1 ? atoi(argv[1]) : 4000);
    if (err != 0)
        fprintf(stderr, "embed_libuv: %s\n", uv_strerror(err));
    channels_endpoint_free(p.ep);
    stop(&p);
    uv_run(loop, UV_RUN_DEFAULT); /* libuv lets go of what was closed */
    uv_loop_close(loop);
    return err != 0;
}
