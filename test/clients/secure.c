/* test/clients/secure.c - a server for clients that come by wss://. In topics room:* the event
 * "shout" is broadcast, all others are replied to with their payload.
 *
 *     secure --port N CERT KEY    (0: any) says `listening on 127.0.0.1:PORT` first, ends on SIGTERM
 *
 * On SIGHUP it reads certificate and key anew. */
#include <channels/adapters/libev_tls.h>
#include <channels/channels.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct server {
    channels_ev ev;
    channels_ev_tls tls;
    channels_ev_listener listener;
    const char *cert, *key;
} server;

static int join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int handle_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    return strcmp(msg->event, "shout") == 0 ? channels_broadcast(ch, "shout", msg->payload)
                                            : channels_reply(ch, "ok", msg->payload);
}

static const channels_handler room = { .join = join, .handle_in = handle_in };
static const channels_route routes[] = { { "room:*", &room, NULL }, { NULL, NULL, NULL } };
static const channels_socket_handler clients = { .routes = routes };

static void on_term(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void on_hup(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    server *s = watcher->data;
    (void)loop, (void)revents;
    if (channels_ev_tls_reload(&s->tls, s->cert, s->key) != 0)
        fprintf(stderr, "secure: %s\n", channels_ev_tls_error(&s->tls));
}

static int serve(server *s, struct ev_loop *loop, int port)
{
    if (channels_ev_tls_start(&s->tls, &s->ev, s->cert, s->key) != 0) {
        fprintf(stderr, "secure: %s\n", channels_ev_tls_error(&s->tls));
        return 1;
    }
    int err = channels_ev_tls_listen(&s->tls, &s->listener, "127.0.0.1", port, 0);
    if (err == 0) {
        printf("listening on 127.0.0.1:%d\n", channels_ev_port(&s->listener));
        fflush(stdout);
        ev_run(loop, 0);
    }
    channels_ev_stop(&s->ev);
    channels_ev_tls_stop(&s->tls);
    return err != 0;
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    channels_endpoint *ep;
    ev_signal term, hup;
    server s;
    if (argc != 5 || strcmp(argv[1], "--port") != 0)
        return 2;
    s.cert = argv[3];
    s.key = argv[4];
    if (channels_endpoint_new(&ep, NULL) != CHANNELS_OK ||
        channels_mount(ep, "/socket", &clients, NULL, NULL) != CHANNELS_OK ||
        channels_ev_start(&s.ev, loop, ep) != 0)
        return 1;
    ev_signal_init(&term, on_term, SIGTERM);
    ev_signal_start(loop, &term);
    ev_signal_init(&hup, on_hup, SIGHUP);
    hup.data = &s;
    ev_signal_start(loop, &hup);
    int status = serve(&s, loop, atoi(argv[2]));
    channels_endpoint_free(ep);
    ev_loop_destroy(loop);
    return status;
}
