/* hub_threads.c - four endpoints on four threads, joined by a hub, that broadcast at each other.
 * Two are steady: they hear everything, once, and of each thread in its order. The other two end
 * and begin anew all the time while they are broadcast to; from when they are known to listen they
 * miss nothing either. One of the steady ones carries an uplink, which is given everything once.
 *
 * The steady ones sleep until they are woken, and wait for each other: were a wake-up lost, they
 * would sleep for ever. For ThreadSanitizer most of all. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <channels/hub.h>

#include "sim/start.h"

#define THREADS 4
#define STEADY 2    /* the first of them; the first of all carries the uplink */
#define ROUNDS 4000 /* broadcasts of each thread */
#define LIFE 40     /* broadcasts in one life of an endpoint that is not steady */
#define AHEAD 4     /* so many broadcasts at most is a steady one ahead of the other */
#define SECONDS 30  /* then what a thread waits for is lost */

struct stage;

/* A thread, its endpoint, and who listens there. */
typedef struct actor {
    struct stage *s;
    unsigned number, life, said;
    pthread_t thread;
    channels_test host;
    sim_memory memory;
    channels_test_client *listener, *guest; /* the second is disconnected now and then */
    sem_t *wake;
    unsigned heard[THREADS], told[THREADS]; /* the next number of each: broadcasts, direct ones */
    unsigned known[THREADS];                /* the life of each that it knows to listen */
    unsigned connected, disconnected, slept;
    const char *wrong;
} actor;

typedef struct stage {
    channels_hub *hub;
    pthread_barrier_t ready, gone;             /* all are there; all but the carrier have ended */
    _Atomic(unsigned) listening[THREADS];      /* in this life */
    _Atomic(uint64_t) since[THREADS][THREADS]; /* who says, to whom: life and number, see say() */
    unsigned up_said[THREADS];                 /* what the uplink was given, */
    int up_topics;                             /* and shall listen to */
    const char *up_wrong;
    actor actors[THREADS];
} stage;

static void wrong(actor *a, const char *what)
{
    if (a->wrong == NULL)
        a->wrong = what;
}

/* --- The uplink --------------------------------------------------------------------------- */

static int up_broadcast(void *self, const char *topic, const void *data, size_t len)
{
    stage *s = self;
    unsigned thread, number;
    char payload[64];
    const char *end = (const char *)data + len, *json = end;
    if (strcmp(topic, "room:hall") != 0)
        return CHANNELS_OK;
    while (*--json != '{')
        ;
    snprintf(payload, sizeof payload, "%.*s", (int)(end - json), json);
    if (sscanf(payload, "{\"t\":%u,\"n\":%u}", &thread, &number) != 2 ||
        number != s->up_said[thread]++)
        s->up_wrong = "the uplink lacks a broadcast, or has it twice or out of order";
    return CHANNELS_OK;
}

static void up_interest(void *self, const char *topic, bool on)
{
    stage *s = self;
    (void)topic;
    s->up_topics += on ? 1 : -1;
}

static const channels_pubsub_adapter up = { .name = "up",
                                            .broadcast = up_broadcast,
                                            .interest = up_interest };

/* --- An endpoint -------------------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    actor *a = user;
    a->connected++;
    return channels_socket_set_id(s, strcmp(req->query, "vsn=2.0.0&guest=1") == 0 ? "guests"
                                                                                  : "listeners");
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    (void)s, (void)why;
    ((actor *)user)->disconnected++;
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)ch, (void)msg, (void)user;
    return CHANNELS_OK;
}

static const channels_handler hall = { .join = on_join };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &hall }, { 0 } };
static const channels_socket_handler handler = { .routes = routes,
                                                 .connect = on_connect,
                                                 .disconnect = on_disconnect };

static void wake(void *arg)
{
    sem_post(arg);
}

static void name_of(unsigned thread, char name[16])
{
    snprintf(name, 16, "node-%u", thread);
}

static void begin(actor *a)
{
    char name[16];
    name_of(a->number, name);
    channels_config config = { .node = name,
                               .pubsub = channels_hub_adapter(),
                               .pubsub_self = a->s->hub };
    a->host.random = a->number + 1;
    sim_start(&a->host, &a->memory, &config);
    a->wake = malloc(sizeof *a->wake);
    sem_init(a->wake, 0, 0);
    channels_endpoint_on_wake(a->host.ep, wake, a->wake);
    channels_mount(a->host.ep, "/socket", &handler, NULL, a);
    a->listener = channels_test_connect(&a->host, "/socket", "");
    channels_test_join(a->listener, "room:hall", "{}");
    a->guest = channels_test_connect(&a->host, "/socket", "guest=1");
    atomic_store_explicit(&a->s->listening[a->number], ++a->life, memory_order_release);
}

/* As with an adapter: the wake function's means are gone before the endpoint is. */
static void end(actor *a)
{
    channels_endpoint_on_wake(a->host.ep, NULL, NULL);
    sem_destroy(a->wake);
    free(a->wake);
    if (channels_test_stop(&a->host) != 0)
        wrong(a, "memory is lost");
}

/* --- Saying ------------------------------------------------------------------------------- */

/* Who listens in a life of its own misses nothing from this number on. */
static void look_who_listens(actor *a)
{
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned life = atomic_load_explicit(&a->s->listening[i], memory_order_acquire);
        if (life == a->known[i])
            continue;
        a->known[i] = life;
        atomic_store(&a->s->since[a->number][i], (uint64_t)life << 32 | a->said);
    }
}

static void say(actor *a)
{
    char text[64], name[16];
    look_who_listens(a);
    snprintf(text, sizeof text, "{\"t\":%u,\"n\":%u}", a->number, a->said);
    channels_pubsub_broadcast(a->host.ep, "room:hall", "said", channels_json(text));
    name_of((a->number + 1) % THREADS, name);
    channels_pubsub_direct_broadcast(a->host.ep, name, "room:hall", "told", channels_json(text));
    if (a->said % 100 == 99)
        channels_disconnect(a->host.ep, "guests");
    a->said++;
}

/* --- Hearing ------------------------------------------------------------------------------ */

static bool is_next(const actor *a, unsigned thread, unsigned number, unsigned next)
{
    uint64_t since = atomic_load(&a->s->since[thread][a->number]);
    if (number < next)
        return false;
    if (number == next || since >> 32 != a->life)
        return true;
    return number <= (uint32_t)since; /* before that, it may have missed some */
}

static void hear(actor *a, const char *text)
{
    unsigned thread, number;
    char event[8];
    if (sscanf(text, "[null,null,\"room:hall\",\"%4[a-z]\",{\"t\":%u,\"n\":%u}]", event, &thread,
               &number) != 3 ||
        thread >= THREADS)
        return;
    unsigned *next = strcmp(event, "said") == 0 ? &a->heard[thread] : &a->told[thread];
    if (!is_next(a, thread, number, *next))
        wrong(a, "a broadcast is lost, doubled or out of order");
    *next = number + 1;
}

static void listen_in(actor *a)
{
    for (const char *text; (text = channels_test_hear(a->listener)) != NULL;)
        hear(a, text);
    if (a->guest->code != 0) {
        channels_test_close(a->guest);
        a->guest = channels_test_connect(&a->host, "/socket", "guest=1");
    }
}

static bool heard_all(const actor *a)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (a->heard[i] < ROUNDS)
            return false;
    return a->told[(a->number + THREADS - 1) % THREADS] == ROUNDS;
}

/* --- Threads ------------------------------------------------------------------------------ */

static bool sleep_well(actor *a)
{
    struct timespec until;
    a->slept++;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SECONDS;
    if (sem_timedwait(a->wake, &until) != 0) {
        wrong(a, "a broadcast or a wake-up is lost");
        return false;
    }
    while (sem_trywait(a->wake) == 0) /* older ones would hide that one is missing */
        ;
    return true;
}

static bool may_say(const actor *a)
{
    return a->said < ROUNDS && a->said < a->heard[(a->number + 1) % STEADY] + AHEAD;
}

static void be_steady(actor *a)
{
    while (!heard_all(a)) {
        bool said = may_say(a);
        if (said)
            say(a);
        if (!said && channels_endpoint_timeout(a->host.ep) == UINT64_MAX && !sleep_well(a))
            return;
        channels_endpoint_run(a->host.ep);
        listen_in(a);
    }
}

static void come_and_go(actor *a)
{
    while (a->said < ROUNDS) {
        say(a);
        channels_endpoint_run(a->host.ep);
        listen_in(a);
        if (a->said % LIFE != 0)
            continue;
        end(a);
        begin(a);
    }
}

/* When the others have gone, nobody listens but the carrier: to its clients' ids, the room, and
 * what is for itself. */
static void look_back(actor *a)
{
    channels_test_wait(&a->host, 0);
    listen_in(a); /* which lets its guest in again */
    if (a->s->up_topics != 4)
        wrong(a, "the uplink has been told wrongly who listens");
}

static void *act(void *arg)
{
    actor *a = arg;
    begin(a);
    if (a->number == 0)
        channels_hub_uplink(a->s->hub, a->host.ep, &up, a->s);
    pthread_barrier_wait(&a->s->ready);
    if (a->number < STEADY)
        be_steady(a);
    else
        come_and_go(a);
    if (a->number != 0)
        end(a);
    pthread_barrier_wait(&a->s->gone);
    if (a->number == 0) {
        look_back(a);
        end(a);
    }
    return NULL;
}

static const char *verdict(const stage *s)
{
    if (s->up_wrong != NULL)
        return s->up_wrong;
    for (unsigned i = 0; i < THREADS; i++) {
        const actor *a = &s->actors[i];
        if (a->wrong != NULL)
            return a->wrong;
        if (s->up_said[i] != ROUNDS)
            return "the uplink lacks a broadcast";
        if (a->connected != a->disconnected)
            return "an end is lost";
        if (i < STEADY && a->connected < 10)
            return "guests are not disconnected";
    }
    return NULL;
}

int main(void)
{
    stage *s = calloc(1, sizeof *s);
    channels_hub_new(&s->hub, NULL);
    pthread_barrier_init(&s->ready, NULL, THREADS);
    pthread_barrier_init(&s->gone, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        actor *a = &s->actors[i];
        a->s = s;
        a->number = i;
        pthread_create(&a->thread, NULL, act, a);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(s->actors[i].thread, NULL);
    channels_hub_free(s->hub);
    const char *what = verdict(s);
    printf("1..1\n%sok 1 - %u threads, %u rounds, %u lives, %u sleeps, %u clients\n",
           what == NULL ? "" : "not ", THREADS, ROUNDS, s->actors[2].life + s->actors[3].life,
           s->actors[0].slept + s->actors[1].slept, s->actors[0].connected);
    if (what != NULL)
        printf("# %s\n", what);
    free(s);
    return what == NULL ? 0 : 1;
}
