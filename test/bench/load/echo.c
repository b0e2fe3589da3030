/* echo.c - clients that push and are answered with what they pushed; so many pushes of each are on
 * their way. And clients that do nothing. See client.h. */
#include "bench/load/client.h"

/* What has room leaves in one write. */
static void fill_window(client *c)
{
    static bytes lines;
    uint32_t count = load.o.window - (c->said - c->heard);
    if (count == 0 || c->state != JOINED || !load_talks())
        return;
    said s = { c->index, c->said, machine_ns() - load.epoch_ns };
    lines.len = 0;
    for (uint32_t i = 0; i < count; i++) {
        s.number = ++c->said;
        message_push(&lines, c, "echo", &s);
    }
    load_published(count);
    load.carrier->say(c, (char *)lines.p, lines.len);
}

static void begin(void)
{
    for (unsigned i = 0; i < load.o.clients; i++)
        fill_window(&load.clients[i]);
}

static void on_echo(client *c, uint64_t ref, const said *s, uint64_t now)
{
    if (ref != s->number + 1 || s->by != c->index || s->number > c->said) {
        load.r->faults.bad++;
        return;
    }
    load_check_order(&c->heard, s->number);
    load_delivered(s->ns + load.epoch_ns, now);
}

const manners manners_echo = { .begin = begin, .echoed = on_echo, .read = fill_window };

const manners manners_idle = { 0 };
