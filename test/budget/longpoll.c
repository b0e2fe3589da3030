/* longpoll.c - a client by long polling: a poll waits, a push is posted, the poll is answered. */
#include "budget/budget.h"

#define CYCLES 200
#define HEAD \
    "Host: localhost:4000\r\n" \
    "Connection: keep-alive\r\n" \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " \
    "Chrome/120.0.0.0 Safari/537.36\r\n" \
    "Accept: */*\r\n" \
    "Origin: http://localhost:4000\r\n" \
    "Accept-Encoding: gzip, deflate, br\r\n" \
    "Accept-Language: en-US,en;q=0.9\r\n"
#define PAYLOAD "{\"n\":1234567,\"text\":\"as short as what people say to each other\"}"

static host here;
static client polls, posts;
static char token[512];
static piece poll, push;

static piece request(const char *method, const char *body)
{
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "%s /socket/longpoll?vsn=2.0.0&token=%s HTTP/1.1\r\n" HEAD
                     "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n%s",
                     method, token, strlen(body), body);
    if (n < 0 || n >= (int)sizeof text)
        budget_fail("a request is too long");
    return (piece){ memcpy(budget_alloc((size_t)n, 1), text, (size_t)n), (size_t)n };
}

static void say(client *c, const char *method, const char *body)
{
    piece p = request(method, body);
    client_say(c, p);
    piece_free(&p);
}

/* The first poll of a session is answered with its token. */
static void open_session(void)
{
    static const char name[] = "\"token\":\"";
    the_kernel = (kernel){ .last = budget_alloc(KERNEL_LAST, 1) };
    say(&polls, "GET", "");
    const char *at = strstr(the_kernel.last, name);
    if (at == NULL)
        budget_fail("there is no session");
    at += strlen(name);
    snprintf(token, sizeof token, "%.*s", (int)strcspn(at, "\""), at);
    free(the_kernel.last);
    the_kernel = (kernel){ 0 };
}

static void longpoll_open(void)
{
    host_open(&here, NULL);
    client_open(&here, &polls);
    client_open(&here, &posts);
    open_session();
    say(&posts, "POST", "[\"1\",\"1\",\"room:lobby\",\"phx_join\",{}]");
    say(&polls, "GET", "");
    host_turn(&here);
    poll = request("GET", "");
    push = request("POST", "[\"1\",\"7\",\"room:lobby\",\"echo\"," PAYLOAD "]");
}

static size_t longpoll_run(void)
{
    for (size_t i = 0; i < CYCLES; i++) {
        client_say(&polls, poll);
        host_turn(&here);
        client_say(&posts, push);
        host_turn(&here);
    }
    return CYCLES;
}

static void longpoll_close(void)
{
    piece_free(&poll);
    piece_free(&push);
    client_close(&polls);
    client_close(&posts);
    host_close(&here);
}

const workload longpoll_workload = { .name = "longpoll",
                                     .unit = "poll and post",
                                     .heard = "\\\"phx_reply\\\"",
                                     .per_unit = 1,
                                     .open = longpoll_open,
                                     .run = longpoll_run,
                                     .close = longpoll_close };
