/* test/clients/realtime.c - a server for what the fixture does not have. At /socket, Supabase's
 * client: topics realtime:*, and of their events only broadcasts. At /auth, clients with a token:
 * only "let me in" is let in, and each join is answered with it.
 *
 *     realtime --port N    (0: any) says `listening on 127.0.0.1:PORT` first, ends on SIGTERM */
#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Supabase ----------------------------------------------------------------------------- */

static int join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

/* The client wraps what it broadcasts in an event "broadcast" and may wait for a reply to it. Other
 * events, its access token above all, ask for nothing. */
static int handle_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)user;
    if (strcmp(msg->event, "broadcast") != 0)
        return CHANNELS_OK;
    int err = channels_broadcast_from(ch, msg->event, msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

static const channels_handler realtime = { .join = join, .handle_in = handle_in };
static const channels_route routes[] = { { "realtime:*", &realtime, NULL }, { NULL, NULL, NULL } };
static const channels_socket_handler user_socket = { .routes = routes };

/* --- Tokens ------------------------------------------------------------------------------- */

typedef struct person {
    char token[64];
    const char *subprotocol;
} person;

static int auth_connect(channels_socket *s, const channels_request *req, void *user)
{
    person *p = channels_socket_assigns(s);
    (void)user;
    if (req->auth_token == NULL || strncmp(req->auth_token, "let me in", 9) != 0)
        return CHANNELS_REFUSE;
    snprintf(p->token, sizeof p->token, "%s", req->auth_token);
    p->subprotocol = channels_socket_subprotocol(s);
    return CHANNELS_OK;
}

static int auth_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    const person *p = channels_socket_assigns(channels_channel_socket(ch));
    char text[128];
    (void)msg, (void)user;
    snprintf(text, sizeof text, "{\"token\":\"%s\",\"subprotocol\":\"%s\"}", p->token,
             p->subprotocol != NULL ? p->subprotocol : "");
    return channels_reply(ch, "ok", channels_json(text));
}

static const channels_handler auth = { .join = auth_join };
static const channels_route auth_routes[] = { { "auth", &auth, NULL }, { NULL, NULL, NULL } };
static const channels_socket_handler auth_socket = { .assigns_size = sizeof(person),
                                                     .routes = auth_routes,
                                                     .connect = auth_connect };
static const channels_mount_options auth_options = { .auth_token = true,
                                                    .longpoll.on = true };

/* --- The server --------------------------------------------------------------------------- */

static void on_term(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    channels_endpoint *ep;
    channels_ev ev;
    channels_ev_listener listener;
    ev_signal term;
    int port = argc == 3 && strcmp(argv[1], "--port") == 0 ? atoi(argv[2]) : 0;

    if (channels_endpoint_new(&ep, NULL) != CHANNELS_OK ||
        channels_mount(ep, "/socket", &user_socket, NULL, NULL) != CHANNELS_OK ||
        channels_mount(ep, "/auth", &auth_socket, &auth_options, NULL) != CHANNELS_OK ||
        channels_ev_start(&ev, loop, ep) != 0 ||
        channels_ev_listen(&ev, &listener, "127.0.0.1", port, 0) != 0)
        return 1;
    ev_signal_init(&term, on_term, SIGTERM);
    ev_signal_start(loop, &term);
    printf("listening on 127.0.0.1:%d\n", channels_ev_port(&listener));
    fflush(stdout);

    ev_run(loop, 0);
    channels_ev_stop(&ev);
    channels_endpoint_free(ep);
    ev_loop_destroy(loop);
    return 0;
}
