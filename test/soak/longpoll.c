/* longpoll.c - a client of the soak that comes by long polling: see client.h.
 *
 * It polls on one connection and posts on another. An answer to a poll that was on its way when the
 * client hung up is lost, so it hangs up only where nothing can be: between two polls, in the
 * middle of asking, and while it is idle. All the rest has to come, once and in order. There is no
 * goodbye: it stops polling, and the server finds out. */
#include <cjson/cJSON.h>

#include "soak/client.h"
#include "soak/stream.h"

#define LINES 16 /* said, but not posted yet */

typedef enum {
    WITH_MANNERS,   /* or not yet */
    TURNS_AWAY,     /* has shut its side of the connection on which it polls */
    FALLS_SILENT,   /* does not poll any more, and says something when it is too late */
    TALKS_NONSENSE, /* and is sent away for it */
    VANISHES
} lp_end;

typedef struct longpoll {
    client client;
    stream polls[2], post;
    bool asked[2];   /* polls that are not answered yet: two, if it has polled twice at once */
    unsigned newest; /* of `polls`; what comes there is looked at when the older has its answer */
    unsigned posts;  /* that are not answered yet */
    unsigned turns;  /* since it has asked */
    lp_end end;
    ev_timer later;       /* then it polls, or says that */
    bool no_more_answers; /* the last post must be told that there is no session */
    char token[128];
    char lines[LINES][SAID];
    unsigned nlines;
} longpoll;

static longpoll *of(client *c)
{
    return (longpoll *)c;
}

/* --- Polls ---------------------------------------------------------------------------------- */

/* The head but for what a POST adds. Half of the clients have their token in the query. */
static int write_head(const longpoll *lp, const char *method, char *text, size_t size)
{
    bool header = lp->client.id % 2 == 0;
    return snprintf(text, size,
                    "%s /socket/longpoll?vsn=2.0.0&id=user:%u&token=%s HTTP/1.1\r\n"
                    "Host: localhost\r\n%s%s%s",
                    method, lp->client.id, header ? "" : lp->token,
                    header ? "X-Phoenix-Longpoll-Token: " : "", header ? lp->token : "",
                    header ? "\r\n" : "");
}

/* The last `without` bytes of the request stay away. */
static void ask(longpoll *lp, int without)
{
    char text[512];
    int n = write_head(lp, "GET", text, sizeof text - 2);
    memcpy(text + n, "\r\n", 2);
    stream_put(&lp->polls[lp->newest], text, (size_t)(n + 2 - without));
    lp->asked[lp->newest] = without == 0;
    lp->turns = 0;
}

static void open_anew(longpoll *lp)
{
    stream_close(&lp->polls[lp->newest], false);
    stream_open(&lp->polls[lp->newest]);
}

/* The server has to know which of two polls is the newer: at the second turn after the older it has
 * read that. */
static void ask_again(longpoll *lp)
{
    lp->newest ^= 1;
    stream_open(&lp->polls[lp->newest]);
    stream_pause(&lp->polls[lp->newest], true);
    ask(lp, 0);
}

static void wait_for(longpoll *lp, double seconds)
{
    ev_timer_set(&lp->later, seconds, 0.);
    ev_timer_start(soak_loop, &lp->later);
}

/* Each way is one in which nothing gets lost. */
static void poll_somehow(longpoll *lp)
{
    switch (soak_random(20)) {
    case 0:
    case 1: wait_for(lp, lp->client.window / 8); return;
    case 2: ask(lp, 1 + (int)soak_random(80)); /* fall through */
    case 3: open_anew(lp); break;
    default: break;
    }
    ask(lp, 0);
}

/* Hangs up while its poll is held, and is back at once. */
static void interrupt(longpoll *lp)
{
    stream_close(&lp->polls[lp->newest], soak_random(2) == 0);
    stream_open(&lp->polls[lp->newest]);
    ask(lp, 0);
}

/* The bytes do not add up then: a 204 may have been on its way. */
static bool interruptible(const longpoll *lp)
{
    return lp->client.wild && client_is_idle(&lp->client) && lp->posts + lp->nlines == 0;
}

static void while_held(longpoll *lp)
{
    lp->turns++;
    if (lp->asked[!lp->newest])
        return;
    if (interruptible(lp) && soak_random(2) == 0)
        interrupt(lp);
    else if (lp->turns > 1 && soak_random(4) == 0)
        ask_again(lp);
}

/* --- Posts ---------------------------------------------------------------------------------- */

static void post(longpoll *lp, const char *type, const char *body, size_t n)
{
    char text[512];
    if (lp->posts == 0 && (!lp->post.open || soak_random(16) == 0)) {
        stream_close(&lp->post, false);
        stream_open(&lp->post);
    }
    int head = write_head(lp, "POST", text, sizeof text);
    stream_put(&lp->post, text, (size_t)head);
    head = snprintf(text, sizeof text, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, n);
    stream_put(&lp->post, text, (size_t)head);
    stream_put(&lp->post, body, n);
    lp->posts++;
}

static void post_text(longpoll *lp, const char *text)
{
    post(lp, "application/json", text, strlen(text));
}

static void post_in_vain(longpoll *lp, const char *text)
{
    lp->no_more_answers = true;
    post_text(lp, text);
}

static void post_batch(longpoll *lp)
{
    char body[LINES * (SAID + 1)];
    size_t n = 0;
    for (unsigned i = 0; i < lp->nlines; i++)
        n += (size_t)sprintf(body + n, i != 0 ? "\n%s" : "%s", lp->lines[i]);
    post(lp, "application/x-ndjson", body, n);
}

/* As a batch, or each by itself without waiting for the answers in between. */
static void post_lines(longpoll *lp)
{
    if (soak_random(2) == 0)
        post_batch(lp);
    else
        for (unsigned i = 0; i < lp->nlines; i++)
            post_text(lp, lp->lines[i]);
    lp->nlines = 0;
}

static void say(client *c, const char *text, size_t n)
{
    longpoll *lp = of(c);
    if (lp->nlines == LINES)
        post_lines(lp);
    memcpy(lp->lines[lp->nlines++], text, n + 1);
}

/* --- Going ---------------------------------------------------------------------------------- */

static bool is_polling(const longpoll *lp)
{
    return lp->asked[0] || lp->asked[1];
}

/* Not before all answers have come: somebody counts their bytes. */
static void leave_quietly(longpoll *lp)
{
    if (!is_polling(lp) && lp->posts == 0)
        client_gone(&lp->client);
}

static void goodbye(client *c)
{
    c->state = GOODBYE;
    leave_quietly(of(c));
}

static void vanish(longpoll *lp)
{
    bool reset = soak_random(2) == 0;
    for (unsigned i = 0; i < 2; i++)
        stream_close(&lp->polls[i], reset);
    client_gone(&lp->client);
}

/* The session ends when it has not polled for half as long again as a poll is held. */
static void fall_silent(longpoll *lp)
{
    ev_timer_stop(soak_loop, &lp->later);
    if (!is_polling(lp))
        wait_for(lp, 2 * lp->client.window);
}

static bool break_off(client *c)
{
    longpoll *lp = of(c);
    lp->end = (lp_end)(1 + soak_random(VANISHES));
    c->state = GOODBYE;
    switch (lp->end) {
    case TURNS_AWAY: stream_half_close(&lp->polls[lp->newest]); break;
    case FALLS_SILENT: fall_silent(lp); break;
    case TALKS_NONSENSE: post_in_vain(lp, "nonsense"); break;
    default: vanish(lp); return false;
    }
    return true;
}

/* --- What it is told ------------------------------------------------------------------------ */

static bool sent_away(longpoll *lp)
{
    soak_counted.closed_by_server++;
    client_gone(&lp->client);
    return false;
}

/* A session is there, its first or one in the place of that which the server has ended. Nothing of
 * what it has posted to the old one may be on its way then. False: it is gone. */
static bool begin_anew(longpoll *lp, const char *token)
{
    client *c = &lp->client;
    if (c->state != GREETING && !c->wild)
        soak_fail("client %u: its session has ended", c->id);
    if (c->state == GOODBYE || lp->posts != 0)
        return sent_away(lp);
    if (c->state == GREETING)
        c->state = OPEN;
    client_has_lost_all(c);
    lp->nlines = 0;
    snprintf(lp->token, sizeof lp->token, "%s", token);
    return true;
}

/* False: it is gone. */
static bool on_poll_answer(longpoll *lp, const cJSON *answer)
{
    client *c = &lp->client;
    int status = cJSON_GetObjectItem(answer, "status")->valueint;
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "token"));
    const cJSON *messages = cJSON_GetObjectItem(answer, "messages"), *message;
    bool some = cJSON_GetArraySize(messages) != 0;
    bool due = some ? status == 200 : status == 410 || (status == 204 && c->state != GREETING);
    if (token == NULL || !due)
        soak_fail("client %u: its poll was answered with %d", c->id, status);
    if (status == 410)
        return begin_anew(lp, token);
    if (strcmp(token, lp->token) != 0)
        soak_fail("client %u: another's token", c->id);
    cJSON_ArrayForEach(message, messages)
        client_hears(c, message->valuestring, strlen(message->valuestring));
    return true;
}

/* False: it is gone. */
static bool on_post_answer(longpoll *lp, const cJSON *answer)
{
    client *c = &lp->client;
    int status = cJSON_GetObjectItem(answer, "status")->valueint;
    bool in_vain = --lp->posts == 0 && lp->no_more_answers;
    if (status == 410 && c->wild)
        return sent_away(lp);
    if (status != 200 || in_vain)
        soak_fail("client %u: its post was answered with %d", c->id, status);
    return true;
}

/* What one does that has the answer to its poll. */
static void go_on(longpoll *lp, unsigned answered)
{
    if (answered != lp->newest) {
        stream_close(&lp->polls[answered], false);
        stream_pause(&lp->polls[lp->newest], false);
    } else if (lp->client.state != GOODBYE) {
        poll_somehow(lp);
    } else if (lp->end == FALLS_SILENT) {
        fall_silent(lp);
    } else if (lp->end == WITH_MANNERS) {
        leave_quietly(lp);
    }
}

/* --- In ------------------------------------------------------------------------------------- */

/* Takes an answer from `s`; NULL: it is not all there. */
static cJSON *next_answer(stream *s)
{
    const char *body = strstr(s->in, "\r\n\r\n");
    if (body == NULL)
        return NULL;
    const char *length = strstr(s->in, "content-length: ");
    if (strncmp(s->in, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > body)
        soak_fail("an answer that begins with %.100s", s->in);
    size_t n = strtoul(length + 16, NULL, 10), head = (size_t)(body + 4 - s->in);
    if (s->in_len < head + n)
        return NULL;
    cJSON *answer = cJSON_ParseWithLength(s->in + head, n);
    if (cJSON_GetObjectItem(answer, "status") == NULL)
        soak_fail("an answer with %.*s", (int)n, s->in + head);
    stream_take(s, head + n);
    return answer;
}

static void on_poll_bytes(stream *s)
{
    longpoll *lp = s->user;
    unsigned which = s == &lp->polls[1];
    cJSON *answer = next_answer(s);
    if (answer == NULL)
        return;
    lp->asked[which] = false;
    if (on_poll_answer(lp, answer))
        go_on(lp, which);
    cJSON_Delete(answer);
}

static void on_post_bytes(stream *s)
{
    longpoll *lp = s->user;
    cJSON *answer;
    bool here = true;
    while (here && (answer = next_answer(s)) != NULL) {
        here = on_post_answer(lp, answer);
        cJSON_Delete(answer);
    }
    if (here && lp->client.state == GOODBYE && lp->end == WITH_MANNERS)
        leave_quietly(lp);
}

static void on_poll_end(stream *s)
{
    longpoll *lp = s->user;
    if (lp->end != TURNS_AWAY)
        soak_fail("client %u: the server has hung up", lp->client.id);
    client_gone(&lp->client);
}

/* The server does not keep a connection for ever that is not used. */
static void on_post_end(stream *s)
{
    longpoll *lp = s->user;
    if (lp->posts != 0)
        soak_fail("client %u: a post was not answered", lp->client.id);
    stream_close(s, false);
}

/* --- Its life ------------------------------------------------------------------------------- */

static void on_later(struct ev_loop *loop, ev_timer *timer, int revents)
{
    longpoll *lp = timer->data;
    (void)loop, (void)revents;
    if (lp->end == FALLS_SILENT)
        post_in_vain(lp, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]");
    else if (lp->client.state != GOODBYE)
        ask(lp, 0);
}

static void begin(client *c)
{
    longpoll *lp = of(c);
    ev_init(&lp->later, on_later);
    lp->later.data = lp;
    stream poll = { .on_bytes = on_poll_bytes, .on_end = on_poll_end, .user = lp };
    lp->polls[0] = lp->polls[1] = poll;
    lp->post = (stream){ .on_bytes = on_post_bytes, .on_end = on_post_end, .user = lp };
    stream_open(&lp->polls[0]);
    ask(lp, 0);
}

static bool take_turn(client *c)
{
    longpoll *lp = of(c);
    if (c->state == GOODBYE)
        return false;
    if (lp->asked[lp->newest])
        while_held(lp);
    if (lp->nlines != 0 && soak_random(3) == 0)
        post_lines(lp);
    return true;
}

static void end(client *c)
{
    longpoll *lp = of(c);
    ev_timer_stop(soak_loop, &lp->later);
    stream_close(&lp->polls[0], false);
    stream_close(&lp->polls[1], false);
    stream_close(&lp->post, false);
}

const carrier soak_longpoll = { .size = sizeof(longpoll),
                                .begin = begin,
                                .say = say,
                                .goodbye = goodbye,
                                .break_off = break_off,
                                .turn = take_turn,
                                .end = end };
