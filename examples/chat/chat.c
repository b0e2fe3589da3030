/* chat.c - chat rooms in the browser, served by one C program, or by several that Redis joins.
 *
 * People join a topic "room:NAME", read what was said there, see who is there and go on talking.
 * This file has the options, the endpoint and its loop; chat.h names the others.
 *
 * A page asks for a token in its user's name, POST /session?name=NAME, and connects with it. A room
 * answers {reason} with the status "error", or "ok" to
 *
 *     join     {last_seen_id, node, looking}   {messages, more, node}
 *     history  {after}                         {messages, more}
 *     new_msg  {uuid, text}                    the message
 *     typing   {}                              nothing
 *     look     {looking}                       nothing
 *
 * and everyone in it hears
 *
 *     new_msg          a message: {id, uuid, name, text, at}
 *     typing           {name}
 *     presence_state   {"@NAME": {metas: [{looking, node}, ...]}, ...}: who is there
 *     presence_diff    {joins, leaves}: likewise
 *
 * The server gives the `id`, which is of use on its `node` only, and `at`, in milliseconds since
 * 1970. The `uuid` is the page's: when a lost connection has it send a message again, the message
 * is stored once and keeps its id. Each page in a room is one of the metas; `looking` is whether
 * the room is what it shows, in a tab that can be seen. */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat.h"

int complain(const char *what, const char *why)
{
    fprintf(stderr, "chat: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    complain("channels", text);
}

static bool read_options(struct chat *chat, char **argv)
{
    for (char **arg = argv + 1; *arg != NULL; arg += 2) {
        if (arg[1] == NULL)
            return false;
        if (strcmp(*arg, "--host") == 0)
            chat->host = arg[1];
        else if (strcmp(*arg, "--port") == 0)
            chat->port = atoi(arg[1]);
        else if (strcmp(*arg, "--db") == 0)
            chat->db_file = arg[1];
        else if (strcmp(*arg, "--root") == 0)
            chat->root = arg[1];
        else if (strcmp(*arg, "--node") == 0)
            chat->node = arg[1];
        else if (strcmp(*arg, "--redis") == 0)
            chat->redis = arg[1];
        else
            return false;
    }
    return chat->port >= 0 && chat->port <= 65535 && (chat->redis == NULL || chat->node != NULL);
}

static void drained(void *arg, const channels_drain_progress *p)
{
    if (p->done)
        ev_break(arg, EVBREAK_ALL);
}

static void stop(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    const channels_drain_options options = { .deadline_ms = 2000,
                                             .progress = drained,
                                             .arg = loop };
    (void)revents;
    channels_drain(watcher->data, &options); /* pages come back by themselves */
}

static int endpoint_open(struct chat *chat, const channels_config *config)
{
    static const channels_socket_handler people = { .assigns_size = sizeof(struct person),
                                                    .routes = room_routes,
                                                    .connect = person_connect };
    const channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_SAME,
                                             .websocket.max_message = 16384,
                                             .longpoll = { .on = true, .max_body = 65536 } };
    /* Who comes or goes is seen on other nodes after 0.2 s; of a node that says nothing any more,
     * a word each 1.2 s at least, they leave after 5 s. */
    const channels_presence_options presence = { .broadcast_ms = 200,
                                                 .max_silent = 5,
                                                 .down_ms = 5000 };
    int err = channels_endpoint_new(&chat->endpoint, config);
    if (err == CHANNELS_OK)
        err = channels_presence_new(&chat->presence, chat->endpoint, &presence);
    if (err == CHANNELS_OK)
        err = room_listen(chat);
    if (err == CHANNELS_OK)
        err = channels_mount(chat->endpoint, "/socket", &people, &options, chat);
    return err;
}

static void say_where(const struct chat *chat, int port)
{
    const bool v6 = strchr(chat->host, ':') != NULL;
    printf("chat on http://%s%s%s:%d", v6 ? "[" : "", chat->host, v6 ? "]" : "", port);
    if (chat->node != NULL)
        printf(", node %s", chat->node);
    printf("\n");
    fflush(stdout);
}

/* Until SIGINT or SIGTERM. */
static int serve(struct chat *chat)
{
    struct ev_loop *loop = EV_DEFAULT;
    ev_signal interrupt, terminate;
    channels_ev ev;
    channels_ev_listener listener;
    int err = channels_ev_start(&ev, loop, chat->endpoint);
    if (err != 0)
        return complain("libev", strerror(-err));
    cluster_start(chat, &ev);
    err = channels_ev_listen(&ev, &listener, chat->host, chat->port, 0);
    if (err == 0) {
        ev_signal_init(&interrupt, stop, SIGINT);
        ev_signal_start(loop, &interrupt);
        ev_signal_init(&terminate, stop, SIGTERM);
        interrupt.data = terminate.data = chat->endpoint;
        ev_signal_start(loop, &terminate);
        say_where(chat, channels_ev_port(&listener));
        ev_run(loop, 0);
    }
    cluster_stop(chat);
    channels_ev_stop(&ev);
    return err == 0 ? EXIT_SUCCESS : complain(chat->host, strerror(-err));
}

static int run(struct chat *chat)
{
    channels_config config = { .user = chat,
                               .node = chat->node,
                               .log = print_log,
                               .log_level = CHANNELS_LOG_WARNING,
                               .request = serve_request };
    if (!history_open(&chat->history, chat->db_file))
        return complain(chat->db_file, sqlite3_errmsg(chat->history.db));
    if (!cluster_open(chat, &config))
        return EXIT_FAILURE;
    int err = key_open(chat);
    if (err == CHANNELS_OK)
        err = endpoint_open(chat, &config);
    return err == CHANNELS_OK ? serve(chat) : complain("channels", channels_strerror(err));
}

int main(int argc, char **argv)
{
    /* The database lies beside the program, the files of the page beside this source. */
    char db_file[4096], root[] = __FILE__, *slash = strrchr(root, '/');
    struct chat chat = { .host = "127.0.0.1", .port = 4000, .db_file = db_file, .root = root };
    strcpy(slash != NULL ? slash : root, slash != NULL ? "" : ".");
    snprintf(db_file, sizeof db_file, "%s.db", argc > 0 ? argv[0] : "chat");
    if (!read_options(&chat, argv)) {
        fprintf(stderr, "usage: chat [--host ADDRESS] [--port N] [--db FILE] [--root FOLDER]\n"
                        "            [--node NAME [--redis HOST:PORT|SOCKET]]\n");
        return 2;
    }
    int status = run(&chat);
    channels_endpoint_free(chat.endpoint);
    cluster_close(&chat);
    channels_token_key_free(chat.key);
    history_close(&chat.history);
    return status;
}
