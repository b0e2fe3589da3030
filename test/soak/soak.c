/* soak.c - thousands of clients that come, talk and die, for as long as you like.
 *
 *     soak [SECONDS [CLIENTS [SEED]]]        6 s and 200 clients unless said
 *
 * Each round has two parts. First the clients are wild: they vanish in every way, stop reading,
 * talk nonsense, are thrown out; what those that behave were promised is checked all the same. When
 * the last is gone the endpoint has to hold as much memory as before the first came. Then they are
 * well-mannered, and every push is answered and every byte counted. The output is TAP. */
#include <limits.h>
#include <sys/resource.h>

#include <channels/stats.h>

#include "soak/soak.h"

static struct ev_loop *loop;
static uint32_t seed = 1;
static double deadline, window;
static unsigned tests;

void soak_fail(const char *format, ...)
{
    va_list args;
    printf("not ok %u - ", tests + 1);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n1..%u\n", tests + 1);
    fflush(stdout);
    _Exit(1);
}

uint32_t soak_random(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)seed * below >> 32); /* the higher bits are the better ones */
}

char *soak_alloc(size_t size)
{
    char *p = calloc(1, size);
    if (p == NULL)
        soak_fail("no memory");
    return p;
}

static void passed(const char *what)
{
    printf("ok %u - %s\n", ++tests, what);
    fflush(stdout);
}

static void check(bool promise, const char *what)
{
    if (!promise)
        soak_fail("%s", what);
    passed(what);
}

/* --- A round -------------------------------------------------------------------------------- */

static void on_deadline(struct ev_loop *l, ev_timer *timer, int revents)
{
    (void)timer, (void)revents;
    ev_break(l, EVBREAK_ALL);
}

static void run_for(double seconds)
{
    ev_timer timer;
    ev_timer_init(&timer, on_deadline, seconds, 0.);
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    ev_timer_stop(loop, &timer);
}

/* Until the last client is gone, on both sides; how fast they go is the machine's affair. */
static void run_out(void)
{
    unsigned fewest = UINT_MAX, left;
    soak_clients_finish();
    for (int i = 0; i < 600 && (left = soak_counted.alive + soak_served.sockets) != 0; i++) {
        if (left < fewest) {
            fewest = left;
            i = 0;
        }
        run_for(0.1);
    }
    if (left != 0)
        soak_fail("for a minute %u clients and %u sockets have not gone", soak_counted.alive,
                  soak_served.sockets);
    run_for(0.1);
}

static void on_expel(struct ev_loop *l, ev_timer *timer, int revents)
{
    char id[32];
    (void)l, (void)timer, (void)revents;
    if (soak_counted.connects == 0)
        return;
    snprintf(id, sizeof id, "user:%u", soak_random(soak_counted.connects) + 1);
    channels_disconnect(soak_server_endpoint(), id);
}

static void report(void)
{
    printf("# %u connects, %llu joins, %llu pushes, %llu replies, %llu lost with their channels, "
           "%llu broadcasts heard, %llu bytes to clients\n",
           soak_counted.connects, (unsigned long long)soak_counted.joins,
           (unsigned long long)soak_counted.pushes, (unsigned long long)soak_counted.replies,
           (unsigned long long)soak_counted.lost_replies, (unsigned long long)soak_counted.heard,
           (unsigned long long)soak_counted.received_bytes);
}

static void wild(int port, unsigned clients, double seconds)
{
    ev_timer expel;
    ev_timer_init(&expel, on_expel, 0.01, 0.01);
    ev_timer_start(loop, &expel);
    soak_clients_start(loop, port, clients, (soak_manners){ 60, true, window });
    run_for(seconds);
    run_out();
    ev_timer_stop(loop, &expel);
    report();
    soak_clients_free();
}

static channels_stats stats(void)
{
    channels_stats s;
    if (channels_endpoint_stats(soak_server_endpoint(), &s) != CHANNELS_OK)
        soak_fail("there are no stats");
    return s;
}

static void check_nobody_counts(void)
{
    const channels_stats s = stats();
    uint64_t ends = 0;
    for (int i = 0; i < CHANNELS_REASONS; i++)
        ends += s.closed[i];
    check(s.connections + s.sockets_websocket + s.sockets_longpoll + s.channels + s.topics == 0 &&
              ends == s.sockets_opened,
          "nobody is counted any more");
}

static void tame(int port, unsigned clients, double seconds)
{
    const channels_stats before = stats();
    soak_clients_start(loop, port, clients, (soak_manners){ 40, false, window });
    run_for(seconds);
    run_out();
    report();
    check(soak_counted.lost_replies == 0 && soak_counted.pushes == soak_counted.replies,
          "every push was answered");
    check(soak_counted.closed_by_server == 0, "the server has sent nobody away");
    const channels_stats after = stats();
    check(after.bytes_in - before.bytes_in == soak_counted.sent_bytes &&
              after.bytes_out - before.bytes_out == soak_counted.received_bytes,
          "both sides have counted the same bytes");
    check(after.messages_in - before.messages_in == soak_counted.sent_messages &&
              after.messages_out - before.messages_out == soak_counted.received_messages,
          "and the same messages");
    soak_clients_free();
}

static void round_of(int port, unsigned clients, double seconds)
{
    static size_t bytes; /* after the first round: what is kept to be used again is there by then */
    wild(port, clients, seconds * 0.7);
    check(soak_served.channels == 0, "every channel has ended");
    check_nobody_counts();
    if (bytes == 0)
        bytes = soak_served.bytes;
    printf("# the endpoint holds %zu bytes in %zu blocks\n", soak_served.bytes, soak_served.blocks);
    check(soak_served.bytes <= bytes + bytes / 4, "its memory is back");
    tame(port, clients, seconds * 0.3);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 6;
    unsigned clients = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
    struct rlimit files = { 0, 0 };
    if (argc > 3)
        seed = (uint32_t)strtoul(argv[3], NULL, 0);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop = EV_DEFAULT;
    printf("# %g s, %u clients, seed %u\n", seconds, clients, (unsigned)seed);
    window = clients > 1000 ? 10 : 1; /* s; a turn of the loop has to be short beside it */
    int port = soak_server_start(loop, window);
    deadline = ev_now(loop) + seconds;
    for (double left = seconds; left > 0; left = deadline - ev_now(loop))
        round_of(port, clients, left < 60 ? left : 60);
    soak_server_stop();
    check(soak_served.blocks == 0 && soak_served.bytes == 0, "no memory is lost");
    printf("1..%u\n", tests);
    return 0;
}
