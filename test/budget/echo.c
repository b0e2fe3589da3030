/* echo.c - pushes that are answered. The payload has 64 bytes. */
#include "budget/budget.h"

#define CLIENTS 100
#define TURNS 10
#define WINDOW 16
#define PAYLOAD "{\"n\":1234567,\"text\":\"as short as what people say to each other\"}"

static host here;
static client *clients;
static piece push;

static void open_with(size_t pushes)
{
    host_open(&here, NULL);
    clients = clients_open(&here, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        client_join(&clients[i], "room:lobby");
    for (size_t i = 0; i < pushes; i++)
        piece_append(&push,
                     piece_frame("[\"1\",\"%zu\",\"room:lobby\",\"echo\"," PAYLOAD "]", 10 + i));
}

static void close_it(void)
{
    piece_free(&push);
    clients_close(clients, CLIENTS);
    host_close(&here);
}

/* --- echo: one push of each client in a turn ------------------------------------------------- */

static void echo_open(void)
{
    open_with(1);
}

static size_t echo_run(void)
{
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < CLIENTS; i++)
            client_say(&clients[i], push);
        host_turn(&here);
    }
    return (size_t)TURNS * CLIENTS;
}

#define ANSWER "\"room:lobby\",\"phx_reply\",{\"status\":\"ok\",\"response\":" PAYLOAD "}]"

const workload echo_workload = { .name = "echo",
                                 .unit = "echo",
                                 .heard = ANSWER,
                                 .per_unit = 1,
                                 .open = echo_open,
                                 .run = echo_run,
                                 .close = close_it };

/* --- echo_16: sixteen of them in one read ---------------------------------------------------- */

static void echo_16_open(void)
{
    open_with(WINDOW);
}

static size_t echo_16_run(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        client_say(&clients[i], push);
    host_turn(&here);
    return (size_t)CLIENTS * WINDOW;
}

const workload echo_16_workload = { .name = "echo_16",
                                    .unit = "echo",
                                    .heard = ANSWER,
                                    .per_unit = 1,
                                    .open = echo_16_open,
                                    .run = echo_16_run,
                                    .close = close_it };
