/* many_threads.c - how do I serve clients on all cores?
 *
 * With one endpoint for each thread, on a loop of its own. All listen on the same port
 * (SO_REUSEPORT): the kernel deals out the clients, who stay with their thread. A hub joins the
 * endpoints, so that a room is one room for all of them. Requests of long polling may come to any
 * thread: with the same secret all know whose they are. Nothing in the callbacks is different: each
 * runs on one thread, with that thread's worker as `user`.
 *
 *     make demo-many_threads        or: build/examples/many_threads [--threads N] [PORT]
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0'        (in several terminals)
 *     > ["1","1","room:lobby","phx_join",{}]
 *     > ["1","2","room:lobby","where",{}]                   (on which thread am I?)
 *     > ["1","3","room:lobby","shout",{"text":"hello"}]     (heard on all) */
#define _DEFAULT_SOURCE /* SO_REUSEPORT */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/hub.h>

#define MAX_THREADS 256 /* as many endpoints as a hub has places for, by default */

struct worker {
    int number;
    pthread_t thread;
    struct ev_loop *loop;
    ev_async quit; /* sent by main() */
    channels_endpoint *ep;
    channels_ev ev;
    channels_ev_listener listener;
};

/* --- What clients may do -------------------------------------------------------------------- */

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static int room_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    const struct worker *worker = user;
    char json[32];
    if (strcmp(msg->event, "where") == 0) {
        snprintf(json, sizeof json, "{\"thread\":%d}", worker->number);
        return channels_reply(ch, "ok", channels_json(json));
    }
    int err = channels_broadcast(ch, "shout", msg->payload);
    return err != CHANNELS_OK ? err : channels_reply(ch, "ok", channels_empty());
}

static const channels_handler room = { .join = room_join, .handle_in = room_in };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler clients = { .routes = routes };

/* --- A thread ------------------------------------------------------------------------------- */

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "thread %d: %s\n", ((struct worker *)user)->number, text);
}

static void on_quit(struct ev_loop *loop, ev_async *quit, int revents)
{
    (void)quit, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* Takes over what main() has prepared. The others may be broadcasting when it ends. */
static void *run(void *arg)
{
    struct worker *worker = arg;
    channels_endpoint_adopt(worker->ep);
    ev_run(worker->loop, 0);
    channels_ev_stop(&worker->ev);
    channels_endpoint_free(worker->ep);
    ev_loop_destroy(worker->loop);
    return NULL;
}

static bool worker_start(struct worker *worker, channels_hub *hub, const char *secret, int fd)
{
    static const channels_mount_options options = { .longpoll.on = true };
    const channels_config config = { .user = worker,
                                     .secret = secret,
                                     .log = print_log,
                                     .log_level = CHANNELS_LOG_WARNING,
                                     .pubsub = channels_hub_adapter(),
                                     .pubsub_self = hub };
    worker->loop = ev_loop_new(EVFLAG_AUTO);
    if (worker->loop == NULL || channels_endpoint_new(&worker->ep, &config) != CHANNELS_OK ||
        channels_mount(worker->ep, "/socket", &clients, &options, worker) != CHANNELS_OK ||
        channels_ev_start(&worker->ev, worker->loop, worker->ep) != 0 ||
        channels_ev_listen_fd(&worker->ev, &worker->listener, fd) != 0)
        return false;
    ev_async_init(&worker->quit, on_quit);
    ev_async_start(worker->loop, &worker->quit);
    return pthread_create(&worker->thread, NULL, run, worker) == 0;
}

static void worker_stop(struct worker *worker)
{
    ev_async_send(worker->loop, &worker->quit);
    pthread_join(worker->thread, NULL);
}

/* --- main ----------------------------------------------------------------------------------- */

/* One of the sockets that listen on the same port; *port 0 becomes the one that was free. */
static int listen_on(int *port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return -1;
    *port = ntohs(addr.sin_port);
    return fd;
}

/* Good for this run; to be told by more than one process it would come from outside. */
static bool make_secret(char secret[33])
{
    unsigned char bytes[16];
    if (getentropy(bytes, sizeof bytes) != 0)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* Only main() waits for them; the threads, made later, inherit that they are blocked. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

int main(int argc, char **argv)
{
    static struct worker workers[MAX_THREADS];
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    int port = 4000, number;
    channels_hub *hub;
    char secret[33];
    sigset_t signals;
    if (argc > 2 && strcmp(argv[1], "--threads") == 0) {
        threads = atol(argv[2]);
        argc -= 2;
        argv += 2;
    }
    if (argc > 1)
        port = atoi(argv[1]);
    if (threads < 1 || threads > MAX_THREADS || !make_secret(secret) ||
        channels_hub_new(&hub, NULL) != CHANNELS_OK)
        return EXIT_FAILURE;
    block_signals(&signals);
    for (int i = 0; i < threads; i++) {
        int fd = listen_on(&port);
        workers[i].number = i + 1;
        if (fd < 0 || !worker_start(&workers[i], hub, secret, fd)) {
            perror("many_threads");
            return EXIT_FAILURE;
        }
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    sigwait(&signals, &number);
    for (int i = 0; i < threads; i++)
        worker_stop(&workers[i]);
    channels_hub_free(hub);
    return EXIT_SUCCESS;
}
