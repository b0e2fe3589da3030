/* threads.c - threads that broadcast, post and send to channels while clients come and go on the
 * endpoint's own. Nothing of what they say is lost or said twice, and of each it stays in order.
 *
 * The endpoint's thread sleeps until it is woken: were a wake-up lost, it would sleep for ever. For
 * ThreadSanitizer most of all. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/start.h"

#define THREADS 3
#define ROUNDS 3000 /* of each thread: a broadcast, a post and a send */
#define GUESTS 4
/* So many of them before the first has run: both sides have to wait, now this one, now that. */
#define AHEAD(thread) (1u << 2 * (thread))

typedef struct stage {
    channels_test host;
    sim_memory memory;
    channels_test_client *listener; /* there all the time */
    channels_test_client *guests[GUESTS];
    sem_t wake, ahead[THREADS];
    unsigned wakes;
    _Atomic(uint64_t) ref; /* the self of some channel, perhaps of one that has ended */
    unsigned heard[THREADS], run[THREADS];
    unsigned infos, dropped, admitted, terminated, connected, disconnected;
    const char *wrong;
} stage;

typedef struct work {
    stage *s;
    unsigned thread, number;
} work;

static void wrong(stage *s, const char *what)
{
    if (s->wrong == NULL)
        s->wrong = what;
}

/* --- The other threads -------------------------------------------------------------------- */

static work *new_work(stage *s, unsigned thread, unsigned number)
{
    work *w = sim_alloc(sizeof *w);
    *w = (work){ s, thread, number };
    return w;
}

/* On the endpoint's thread, each in its turn. */
static void run_posted(channels_endpoint *ep, void *arg)
{
    work *w = arg;
    (void)ep;
    if (w->number != w->s->run[w->thread]++)
        wrong(w->s, "what was posted runs out of order");
    sem_post(&w->s->ahead[w->thread]);
    free(w);
}

static void drop_posted(void *arg)
{
    wrong(((work *)arg)->s, "what was posted is dropped");
    free(arg);
}

static void drop_info(void *arg)
{
    work *w = arg;
    w->s->dropped++;
    free(w);
}

static void say(stage *s, unsigned thread, unsigned number)
{
    char text[64];
    channels_endpoint *ep = s->host.ep;
    snprintf(text, sizeof text, "{\"t\":%u,\"n\":%u}", thread, number);
    channels_pubsub_broadcast(ep, "room:hall", "said", channels_json(text));
    channels_post(ep, run_posted, new_work(s, thread, number), drop_posted);
    channels_ref to = { atomic_load(&s->ref) };
    channels_send(ep, to, new_work(s, thread, number), drop_info);
    if (number % 100 == 99)
        channels_disconnect(ep, "guests");
}

static void *talk(void *arg)
{
    work w = *(work *)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        sem_wait(&w.s->ahead[w.thread]);
        say(w.s, w.thread, i);
    }
    return NULL;
}

static void wake(void *arg)
{
    sem_post(arg);
}

/* --- The endpoint's thread ---------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    stage *st = user;
    st->connected++;
    return channels_socket_set_id(s, strstr(req->query, "guest=1") == NULL ? "listener" : "guests");
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    stage *st = user;
    (void)s, (void)why;
    st->disconnected++;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    stage *s = user;
    channels_ref self;
    (void)msg;
    s->admitted++;
    if (channels_self(ch, &self) == CHANNELS_OK)
        atomic_store(&s->ref, self.id);
    return CHANNELS_OK;
}

static int on_info(channels_channel *ch, void *info, void *user)
{
    stage *s = user;
    (void)ch;
    s->infos++;
    free(info);
    return CHANNELS_OK;
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    stage *s = user;
    (void)ch, (void)why;
    s->terminated++;
}

static const channels_handler hall = { .join = on_join,
                                       .handle_info = on_info,
                                       .terminate = on_terminate };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &hall }, { 0 } };
static const channels_socket_handler handler = { .routes = routes,
                                                 .connect = on_connect,
                                                 .disconnect = on_disconnect };

static void listen_in(stage *s)
{
    unsigned thread, number;
    for (const char *text; (text = channels_test_hear(s->listener)) != NULL;) {
        if (sscanf(text, "[null,null,\"room:hall\",\"said\",{\"t\":%u,\"n\":%u}]", &thread,
                   &number) != 2)
            continue;
        if (thread >= THREADS || number != s->heard[thread]++)
            wrong(s, "a broadcast is lost, doubled or out of order");
    }
}

static void come_or_go(stage *s, unsigned turn)
{
    channels_test_client *c = s->guests[turn % GUESTS];
    if (c != NULL && c->socket != NULL && c->code == 0 && turn % 3 != 0) {
        while (channels_test_hear(c) != NULL)
            ;
        return;
    }
    if (c != NULL)
        channels_test_close(c);
    c = s->guests[turn % GUESTS] = channels_test_connect(&s->host, "/socket", "guest=1");
    channels_test_say(c, turn % 2 == 0 ? "['1','1','room:hall','phx_join',{}]"
                                       : "['1','1','room:annex','phx_join',{}]");
}

static bool all_run(const stage *s)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (s->run[i] < ROUNDS)
            return false;
    return true;
}

static void serve(stage *s)
{
    for (unsigned turn = 0; !all_run(s); turn++) {
        if (channels_endpoint_timeout(s->host.ep) == UINT64_MAX) {
            sem_wait(&s->wake);
            s->wakes++;
        }
        while (sem_trywait(&s->wake) == 0) /* older ones would hide that one is missing */
            ;
        channels_endpoint_run(s->host.ep);
        listen_in(s);
        come_or_go(s, turn); /* which runs the endpoint too */
    }
    listen_in(s);
}

static void check_end(stage *s, size_t lost)
{
    if (lost != 0)
        wrong(s, "memory is lost");
    for (unsigned i = 0; i < THREADS; i++)
        if (s->heard[i] != ROUNDS)
            wrong(s, "a broadcast is lost");
    if (s->infos + s->dropped != THREADS * ROUNDS)
        wrong(s, "an info is lost");
    if (s->admitted != s->terminated || s->connected != s->disconnected)
        wrong(s, "an end is lost");
}

int main(void)
{
    stage *s = sim_alloc(sizeof *s);
    work of[THREADS];
    pthread_t threads[THREADS];
    memset(s, 0, sizeof *s);
    sem_init(&s->wake, 0, 0);
    sim_start(&s->host, &s->memory, NULL);
    channels_endpoint_on_wake(s->host.ep, wake, &s->wake);
    channels_mount(s->host.ep, "/socket", &handler, NULL, s);
    s->listener = channels_test_connect(&s->host, "/socket", "");
    channels_test_join(s->listener, "room:hall", "{}");
    for (unsigned i = 0; i < THREADS; i++) {
        of[i] = (work){ s, i, 0 };
        sem_init(&s->ahead[i], 0, AHEAD(i));
        pthread_create(&threads[i], NULL, talk, &of[i]);
    }
    serve(s);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_end(s, channels_test_stop(&s->host));
    printf("1..1\n%sok 1 - %u threads, %u rounds, %u wake-ups, %u clients\n",
           s->wrong == NULL ? "" : "not ", THREADS, ROUNDS, s->wakes, s->connected);
    if (s->wrong != NULL)
        printf("# %s\n", s->wrong);
    int result = s->wrong == NULL ? 0 : 1;
    free(s);
    return result;
}
