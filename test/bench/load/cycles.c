/* cycles.c - clients that come and go, each again and again: the whole way from the connection to
 * its end (churn), or only out of the topic and in (rejoin). See client.h. */
#include "bench/load/client.h"

static void cycle_begin(client *c)
{
    c->since = machine_ns();
    load_published(1);
}

/* --- Churn ---------------------------------------------------------------------------------- */

static void come(client *c)
{
    cycle_begin(c);
    client_open(c);
}

static void begin_churn(void)
{
    for (unsigned i = 0; i < load.o.clients; i++)
        come(&load.clients[i]);
}

static void push(client *c)
{
    static bytes line;
    said s = { c->index, 1, machine_ns() - load.epoch_ns };
    c->state = PUSHING;
    line.len = 0;
    message_push(&line, c, "echo", &s);
    load.carrier->say(c, (char *)line.p, line.len);
}

static void leave_after(client *c, uint64_t ref, const said *s, uint64_t now)
{
    (void)now;
    if (c->state != PUSHING || ref != 2 || s->number != 1 || s->by != c->index) {
        load.r->faults.bad++;
        return;
    }
    c->state = LEAVING;
    client_control(c, 1, 3, "phx_leave");
}

static void close_after(client *c)
{
    c->state = CLOSING;
    load.carrier->goodbye(c);
}

static bool cycle_over(client *c)
{
    bool well = c->state == CLOSING;
    if (well)
        load_delivered(c->since, machine_ns());
    c->state = AWAY;
    if (load_talks())
        come(c);
    return well;
}

const manners manners_churn = { .begin = begin_churn,
                                .joined = push,
                                .echoed = leave_after,
                                .left = close_after,
                                .ended = cycle_over };

/* --- Rejoin --------------------------------------------------------------------------------- */

/* A join has the ref of the leave before, and one more; so has its join_ref. */
static void leave(client *c)
{
    if (!load_talks())
        return;
    cycle_begin(c);
    c->state = LEAVING;
    client_control(c, c->ref, c->ref + 1, "phx_leave");
}

static void join(client *c)
{
    c->state = JOINING;
    client_control(c, c->ref + 1, c->ref + 1, "phx_join");
}

static void joined(client *c)
{
    load_delivered(c->since, machine_ns());
    leave(c);
}

static void begin_rejoin(void)
{
    for (unsigned i = 0; i < load.o.clients; i++)
        leave(&load.clients[i]);
}

const manners manners_rejoin = { .begin = begin_rejoin, .joined = joined, .left = join };
