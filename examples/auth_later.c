/* auth_later.c - who may come in is known elsewhere: how do I wait for it without blocking?
 *
 * connect() and join() take a ref, leave the question to a worker thread that may block as long as
 * it likes, and return CHANNELS_LATER. The worker asks, then posts the answer to the endpoint's
 * thread. Nobody else waits meanwhile; a client that leaves first is no special case.
 *
 *     make demo-auth_later
 *     npx wscat -c 'ws://127.0.0.1:4000/socket/websocket?vsn=2.0.0&token=ada-secret'
 *     > ["1","1","room:engines","phx_join",{}]       (ada may, nobody may join room:cellar) */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>

/* --- The questions, and the thread that knows the answers ----------------------------------- */

struct question {
    struct question *next;
    channels_ref ref; /* what waits for the answer: a connect or a join */
    char token[64];   /* connect: who is this? */
    char user[32];    /* join: may this user ... */
    char topic[64];   /* ... join that? "" in a question of connect() */
    bool yes;
};

struct auth {
    channels_endpoint *ep;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct question *first, **last;
    bool stop;
};

/* Stands for your database: slow, blocking, and not to be called on the endpoint's thread. */
static void look_up(struct question *q)
{
    const struct timespec slow = { .tv_nsec = 50000000 };
    nanosleep(&slow, NULL);
    if (q->topic[0] != '\0') {
        q->yes = strcmp(q->user, "ada") == 0 && strcmp(q->topic, "room:engines") == 0;
        return;
    }
    q->yes = strcmp(q->token, "ada-secret") == 0 || strcmp(q->token, "bob-secret") == 0;
    snprintf(q->user, sizeof q->user, "%.3s", q->token);
}

static void on_answer(channels_endpoint *ep, void *arg);

static void *work(void *arg)
{
    struct auth *auth = arg;
    pthread_mutex_lock(&auth->lock);
    while (!auth->stop) {
        struct question *q = auth->first;
        if (q == NULL) {
            pthread_cond_wait(&auth->changed, &auth->lock);
            continue;
        }
        auth->first = q->next;
        if (auth->first == NULL)
            auth->last = &auth->first;
        pthread_mutex_unlock(&auth->lock);
        look_up(q);
        if (channels_post(auth->ep, on_answer, q, free) != CHANNELS_OK)
            free(q); /* no memory: the client will lose patience and ask again */
        pthread_mutex_lock(&auth->lock);
    }
    pthread_mutex_unlock(&auth->lock);
    return NULL;
}

/* Hands a copy of the question to the worker: CHANNELS_LATER. */
static int ask(struct auth *auth, const struct question *question)
{
    struct question *q = malloc(sizeof *q);
    if (q == NULL)
        return CHANNELS_ERR_NOMEM;
    *q = *question;
    pthread_mutex_lock(&auth->lock);
    *auth->last = q;
    auth->last = &q->next;
    pthread_cond_signal(&auth->changed);
    pthread_mutex_unlock(&auth->lock);
    return CHANNELS_LATER;
}

/* --- The endpoint's thread: asking, and acting on the answer -------------------------------- */

struct client {
    char user[32];
};

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    struct question q = { .yes = false };
    int len = channels_request_param(req, "token", q.token, sizeof q.token);
    if (len < 0 || len >= (int)sizeof q.token)
        return CHANNELS_REFUSE;
    int err = channels_connect_later(s, &q.ref);
    return err == CHANNELS_OK ? ask(user, &q) : err;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    const struct client *client = channels_socket_assigns(channels_channel_socket(ch));
    struct question q = { .yes = false };
    if (strlen(msg->topic) >= sizeof q.topic)
        return CHANNELS_REFUSE;
    strcpy(q.user, client->user);
    strcpy(q.topic, msg->topic);
    int err = channels_later(ch, &q.ref);
    return err == CHANNELS_OK ? ask(user, &q) : err;
}

static void answer_connect(channels_endpoint *ep, const struct question *q)
{
    static const char why[] = "{\"reason\":\"who are you?\"}";
    static const channels_header json = { "content-type", "application/json" };
    static const channels_response no = { 401, &json, 1, why, sizeof why - 1 };
    channels_socket *s = channels_ref_socket(ep, q->ref);
    if (s == NULL)
        return; /* it did not wait */
    if (!q->yes) {
        channels_respond(ep, q->ref, &no);
        return;
    }
    struct client *client = channels_socket_assigns(s);
    strcpy(client->user, q->user);
    channels_accept(ep, q->ref);
}

static void on_answer(channels_endpoint *ep, void *arg)
{
    struct question *q = arg;
    if (q->topic[0] == '\0')
        answer_connect(ep, q);
    else if (q->yes) /* of one that has left, this does nothing */
        channels_ref_reply(ep, q->ref, "ok", channels_empty());
    else
        channels_ref_reply(ep, q->ref, "error", channels_json("{\"reason\":\"unauthorized\"}"));
    free(q);
}

static const channels_handler room = { .join = on_join };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room },
                                         { .pattern = NULL } };
static const channels_socket_handler clients = { .assigns_size = sizeof(struct client),
                                                 .routes = routes, .connect = on_connect };

/* --- main ----------------------------------------------------------------------------------- */

static bool auth_start(struct auth *auth)
{
    auth->last = &auth->first;
    return pthread_mutex_init(&auth->lock, NULL) == 0 &&
           pthread_cond_init(&auth->changed, NULL) == 0 &&
           pthread_create(&auth->thread, NULL, work, auth) == 0;
}

static void auth_stop(struct auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    auth->stop = true;
    pthread_cond_signal(&auth->changed);
    pthread_mutex_unlock(&auth->lock);
    pthread_join(auth->thread, NULL);
    for (struct question *q = auth->first, *next; q != NULL; q = next) {
        next = q->next;
        free(q);
    }
}

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

static void stop(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    const channels_config config = { .log = print_log, .log_level = CHANNELS_LOG_WARNING };
    struct auth auth = { .stop = false };
    channels_ev ev;
    channels_ev_listener listener;
    ev_signal interrupt, terminate;
    if (channels_endpoint_new(&auth.ep, &config) != CHANNELS_OK ||
        channels_mount(auth.ep, "/socket", &clients, NULL, &auth) != CHANNELS_OK ||
        channels_ev_start(&ev, loop, auth.ep) != 0 ||
        channels_ev_listen(&ev, &listener, "127.0.0.1", argc > 1 ? atoi(argv[1]) : 4000, 0) != 0 ||
        !auth_start(&auth))
        return EXIT_FAILURE;
    ev_signal_init(&interrupt, stop, SIGINT);
    ev_signal_start(loop, &interrupt);
    ev_signal_init(&terminate, stop, SIGTERM);
    ev_signal_start(loop, &terminate);
    printf("listening on 127.0.0.1:%d\n", channels_ev_port(&listener));
    fflush(stdout);
    ev_run(loop, 0);
    auth_stop(&auth); /* before the loop that it wakes */
    channels_ev_stop(&ev);
    channels_endpoint_free(auth.ep);
    return EXIT_SUCCESS;
}
