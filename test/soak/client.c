/* client.c - see soak.h: clients by hand, so that they share no code with the library. What carries
 * their messages is in client.h's table.
 *
 * One acts a random step each time its turn comes, and checks all that it hears. It never pushes to
 * a topic of which it has asked for the end, so each push has to be answered, but for those to be
 * answered later by a channel that has ended. */
#include "soak/client.h"

#include <cjson/cJSON.h>

#define TICK 0.01   /* s; in each of them every tenth client acts */
#define ARRIVALS 32 /* in each of them at first: nobody waits for long to be accepted */

soak_clients soak_counted;
struct ev_loop *soak_loop;
int soak_port;
static client **clients; /* NULL: has gone, and nobody came in its place */
static unsigned total, arrived, turn;
static bool refill;
static soak_manners how;
static ev_timer ticks;

/* --- What it does --------------------------------------------------------------------------- */

static void say(client *c, const char *format, ...)
{
    char text[SAID];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= SAID)
        soak_fail("a client's message is too long");
    soak_counted.sent_messages++;
    c->carrier->say(c, text, (size_t)n);
}

static unsigned expect(client *c, pending_kind kind, seat *s)
{
    pending p = { kind, ++c->refs, kind == JOIN ? c->refs : s->join_ref, s };
    c->pending[c->npending++] = p;
    return p.ref;
}

static void join(client *c, seat *s, unsigned room)
{
    unsigned ref = expect(c, JOIN, s);
    s->old_join_ref = s->state == JOINED ? s->join_ref : 0;
    s->state = JOINING;
    s->room = room;
    s->join_ref = ref;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"phx_join\",{}]", ref, ref, room);
}

static void push(client *c, seat *s, const char *event, pending_kind kind)
{
    unsigned ref = expect(c, kind, s);
    soak_counted.pushes++;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"%s\",{\"ref\":%u}]", s->join_ref, ref, s->room, event,
        ref);
}

static void leave(client *c, seat *s)
{
    unsigned ref = expect(c, LEAVE, s);
    s->state = ENDING;
    say(c, "[\"%u\",\"%u\",\"room:%u\",\"phx_leave\",{}]", s->join_ref, ref, s->room);
}

/* The channel will end without an answer to this. */
static void end_channel(client *c, seat *s, const char *event)
{
    s->state = ENDING;
    say(c, "[\"%u\",null,\"room:%u\",\"%s\",{}]", s->join_ref, s->room, event);
}

static bool taken(const client *c, unsigned room)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state != FREE && c->seats[i].room == room)
            return true;
    return false;
}

static bool waits(const client *c, pending_kind kind, const seat *s)
{
    for (unsigned i = 0; i < c->npending; i++)
        if (c->pending[i].kind == kind && c->pending[i].seat == s)
            return true;
    return false;
}

static void act_in(client *c, seat *s)
{
    switch (soak_random(c->wild ? 16 : 11)) {
    case 0:
    case 1:
    case 2: push(c, s, "shout", ECHO); break;
    case 3:
    case 4: push(c, s, "later", ASYNC); break;
    case 10:
        if (!waits(c, ASYNC, s))
            leave(c, s);
        break;
    case 11: join(c, s, s->room); break;
    case 12: end_channel(c, s, "quit"); break;
    case 13: end_channel(c, s, "fail"); break;
    case 14: leave(c, s); break;
    default: push(c, s, "echo", ECHO); break;
    }
}

/* All of its topics, and the answers that it waits for. */
static void go(client *c)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state == JOINED && !waits(c, ASYNC, &c->seats[i]))
            leave(c, &c->seats[i]);
    if (client_is_idle(c))
        c->carrier->goodbye(c);
}

static void act(client *c)
{
    seat *s = &c->seats[soak_random(SEATS)];
    unsigned room = soak_random(SOAK_ROOMS);
    if (c->state == LEAVING && c->npending < PENDING - SEATS) {
        go(c); /* which may be its end */
        return;
    }
    if (c->state != OPEN || c->npending >= PENDING - 1)
        return;
    if (c->steps == 0) {
        if (!c->wild || soak_random(3) == 0)
            c->state = LEAVING;
        else if (!c->carrier->break_off(c))
            return;
        c->steps = UINT32_MAX;
        return;
    }
    c->steps--;
    if (s->state == FREE && !taken(c, room))
        join(c, s, room);
    else if (s->state == JOINED)
        act_in(c, s);
}

/* --- What it hears -------------------------------------------------------------------------- */

static void broken(const client *c, const char *promise, const char *text)
{
    soak_fail("client %u: %s: %s", c->id, promise, text);
}

/* Answers that a channel would have given later are lost with it. */
static void seat_over(client *c, seat *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->npending; i++) {
        if (c->pending[i].seat == s && c->pending[i].kind == ASYNC &&
            c->pending[i].join_ref == s->join_ref)
            soak_counted.lost_replies++;
        else
            c->pending[kept++] = c->pending[i];
    }
    c->npending = kept;
    s->state = FREE;
}

static void drop_async(client *c, unsigned join_ref)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->npending; i++) {
        if (c->pending[i].kind == ASYNC && c->pending[i].join_ref == join_ref)
            soak_counted.lost_replies++;
        else
            c->pending[kept++] = c->pending[i];
    }
    c->npending = kept;
}

static void on_reply(client *c, unsigned ref, const cJSON *payload, const char *text)
{
    const cJSON *status = cJSON_GetObjectItem(payload, "status");
    const cJSON *response = cJSON_GetObjectItem(payload, "response");
    unsigned i = 0;
    /* Those to be answered at once are answered in order. */
    while (i < c->npending && c->pending[i].kind == ASYNC && c->pending[i].ref != ref)
        i++;
    if (i == c->npending || c->pending[i].ref != ref)
        broken(c, "an answer that was not due", text);
    pending p = c->pending[i];
    memmove(&c->pending[i], &c->pending[i + 1], (--c->npending - i) * sizeof p);
    if (status == NULL || strcmp(status->valuestring, "ok") != 0)
        broken(c, "refused", text);
    if (p.kind == JOIN) {
        soak_counted.joins++;
        p.seat->next = (uint64_t)cJSON_GetObjectItem(response, "n")->valuedouble + 1;
        p.seat->state = JOINED;
        if (p.seat->old_join_ref != 0)
            drop_async(c, p.seat->old_join_ref);
    } else if (p.kind != LEAVE) {
        soak_counted.replies++;
        if (p.kind == ECHO && cJSON_GetObjectItem(response, "ref")->valueint != (int)ref)
            broken(c, "another's answer", text);
    }
}

static seat *seat_in(client *c, const char *topic)
{
    unsigned room = (unsigned)atoi(topic + strlen("room:"));
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state != FREE && c->seats[i].room == room)
            return &c->seats[i];
    return NULL;
}

static void on_shout(client *c, seat *s, const cJSON *payload, const char *text)
{
    uint64_t n = (uint64_t)cJSON_GetObjectItem(payload, "n")->valuedouble;
    if (s == NULL || (s->state == JOINING && s->old_join_ref == 0))
        broken(c, "heard without having joined", text);
    if (n != s->next)
        soak_fail("client %u: heard %s, and not number %llu", c->id, text,
                  (unsigned long long)s->next);
    s->next++;
    soak_counted.heard++;
}

static void on_end(client *c, seat *s, unsigned join_ref, const char *text)
{
    if (s == NULL)
        broken(c, "the end of a channel that is none", text);
    if (join_ref == s->old_join_ref)
        s->old_join_ref = 0;
    else if (join_ref == s->join_ref && s->state == ENDING)
        seat_over(c, s);
    else
        broken(c, "the end of a channel that was not to end", text);
}

static unsigned number(const cJSON *ref)
{
    return cJSON_IsString(ref) ? (unsigned)strtoul(ref->valuestring, NULL, 10) : 0;
}

void client_hears(client *c, const char *text, size_t n)
{
    soak_counted.received_messages++;
    cJSON *msg = cJSON_ParseWithLength(text, n);
    if (cJSON_GetArraySize(msg) != 5)
        broken(c, "no message", text);
    unsigned join_ref = number(cJSON_GetArrayItem(msg, 0));
    const char *topic = cJSON_GetArrayItem(msg, 2)->valuestring;
    const char *event = cJSON_GetArrayItem(msg, 3)->valuestring;
    const cJSON *payload = cJSON_GetArrayItem(msg, 4);
    char copy[128];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    if (strcmp(event, "phx_reply") == 0)
        on_reply(c, number(cJSON_GetArrayItem(msg, 1)), payload, copy);
    else if (strcmp(event, "shout") == 0)
        on_shout(c, seat_in(c, topic), payload, copy);
    else
        on_end(c, seat_in(c, topic), join_ref, copy);
    cJSON_Delete(msg);
}

/* --- Birth, turns, death -------------------------------------------------------------------- */

static void connect_anew(unsigned place)
{
    const carrier *by = place % 5 == 4 ? &soak_longpoll : &soak_websocket;
    client *c = (client *)soak_alloc(by->size);
    c->carrier = by;
    c->wild = how.wild;
    c->window = how.window;
    c->place = place;
    c->id = ++soak_counted.connects;
    c->steps = how.steps / 2 + soak_random(how.steps);
    clients[place] = c;
    soak_counted.alive++;
    by->begin(c);
}

void client_has_lost_all(client *c)
{
    for (unsigned i = 0; i < c->npending; i++)
        soak_counted.lost_replies += c->pending[i].kind >= ECHO;
    c->npending = 0;
    memset(c->seats, 0, sizeof c->seats);
}

bool client_is_idle(const client *c)
{
    for (unsigned i = 0; i < SEATS; i++)
        if (c->seats[i].state != FREE)
            return false;
    return c->npending == 0;
}

void client_gone(client *c)
{
    unsigned place = c->place;
    c->carrier->end(c);
    client_has_lost_all(c);
    free(c);
    clients[place] = NULL;
    soak_counted.alive--;
    soak_counted.deaths++;
    if (refill)
        connect_anew(place);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop, (void)timer, (void)revents;
    for (unsigned n = ARRIVALS; n != 0 && arrived < total; n--)
        connect_anew(arrived++);
    for (unsigned n = total / 10 + 1; n != 0; n--) {
        client *c = clients[turn++ % total];
        if (c != NULL && c->carrier->turn(c))
            act(c);
    }
}

void soak_clients_start(struct ev_loop *loop, int port, unsigned count, soak_manners manners)
{
    memset(&soak_counted, 0, sizeof soak_counted);
    soak_loop = loop;
    soak_port = port;
    how = manners;
    total = count;
    refill = true;
    clients = (client **)soak_alloc(count * sizeof(client *));
    arrived = 0;
    ev_timer_init(&ticks, on_tick, TICK, TICK);
    ev_timer_start(loop, &ticks);
}

void soak_clients_finish(void)
{
    refill = false;
    arrived = total;
}

void soak_clients_free(void)
{
    ev_timer_stop(soak_loop, &ticks);
    free(clients);
}
