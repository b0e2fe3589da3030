/* connect.c - clients that come, and who join and leave what they like. */
#include "budget/budget.h"

#define VISITS 200
#define CLIENTS 100
#define TOPICS 10

static host here;
static client *clients;
static piece join, join_of[TOPICS], leave_of[TOPICS];

/* --- connect: a WebSocket client shakes hands, joins and is gone ----------------------------- */

static void connect_open(void)
{
    host_open(&here, NULL);
    clients = budget_alloc(VISITS, sizeof *clients);
    join = piece_frame("[\"1\",\"1\",\"room:lobby\",\"phx_join\",{\"name\":\"ada\"}]");
}

static size_t connect_run(void)
{
    for (size_t i = 0; i < VISITS; i++) {
        client_open(&here, &clients[i]);
        client_say(&clients[i], piece_upgrade);
        client_say(&clients[i], join);
    }
    host_turn(&here);
    for (size_t i = 0; i < VISITS; i++)
        client_close(&clients[i]);
    host_turn(&here);
    return VISITS;
}

static void connect_close(void)
{
    free(clients);
    piece_free(&join);
    host_close(&here);
}

const workload connect_workload = { .name = "connect",
                                    .unit = "client",
                                    .heard = "\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                                    .per_unit = 1,
                                    .open = connect_open,
                                    .run = connect_run,
                                    .close = connect_close };

/* --- join: a topic is joined and left, on a socket that stays -------------------------------- */

static void join_open(void)
{
    host_open(&here, NULL);
    clients = clients_open(&here, CLIENTS);
    for (size_t i = 0; i < TOPICS; i++) {
        join_of[i] = piece_frame("[\"3\",\"3\",\"room:%zu\",\"phx_join\",{}]", i);
        leave_of[i] = piece_frame("[\"3\",\"4\",\"room:%zu\",\"phx_leave\",{}]", i);
    }
}

/* Each topic is made by the first who joins it and ends with the last who leaves. */
static size_t join_run(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        client_say(&clients[i], join_of[i % TOPICS]);
    host_turn(&here);
    for (size_t i = 0; i < CLIENTS; i++)
        client_say(&clients[i], leave_of[i % TOPICS]);
    host_turn(&here);
    return CLIENTS;
}

static void join_close(void)
{
    for (size_t i = 0; i < TOPICS; i++) {
        piece_free(&join_of[i]);
        piece_free(&leave_of[i]);
    }
    clients_close(clients, CLIENTS);
    host_close(&here);
}

const workload join_workload = { .name = "join",
                                 .unit = "join and leave",
                                 .heard = "\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                                 .per_unit = 2,
                                 .open = join_open,
                                 .run = join_run,
                                 .close = join_close };
