/* fanout.c - pushes that are broadcast: to many, on many topics, large ones, across a hub. */
#include <channels/hub.h>

#include "budget/budget.h"

#define SMALL "{\"n\":1234567,\"text\":\"as short as what people say to each other\"}"

static host here;
static client *clients;

static void open_clients(size_t count)
{
    host_open(&here, NULL);
    clients = clients_open(&here, count);
}

/* --- fanout: 64 bytes to 1 000 clients ------------------------------------------------------- */

#define MANY 1000
#define SHOUTS 5

static piece shout;

static void fanout_open(void)
{
    open_clients(MANY);
    for (size_t i = 0; i < MANY; i++)
        client_join(&clients[i], "room:lobby");
    shout = piece_frame("[\"1\",\"7\",\"room:lobby\",\"shout\"," SMALL "]");
}

static size_t fanout_run(void)
{
    for (size_t i = 0; i < SHOUTS; i++) {
        client_say(&clients[0], shout);
        host_turn(&here);
    }
    return (size_t)SHOUTS * MANY;
}

static void fanout_close(void)
{
    piece_free(&shout);
    clients_close(clients, MANY);
    host_close(&here);
}

const workload fanout_workload = { .name = "fanout",
                                   .unit = "delivery",
                                   .heard = "[null,null,\"room:lobby\",\"shout\"," SMALL "]",
                                   .per_unit = 1,
                                   .open = fanout_open,
                                   .run = fanout_run,
                                   .close = fanout_close };

/* --- topics: 100 topics, each with a publisher; who listens is in four of them --------------- */

#define TOPICS 100
#define EACH 4

static piece shout_of[TOPICS];

static void topics_open(void)
{
    char topic[32];
    open_clients(MANY);
    for (size_t i = 0; i < MANY * EACH; i++) {
        snprintf(topic, sizeof topic, "room:%zu", (i % MANY + i / MANY * 25) % TOPICS);
        client_join(&clients[i % MANY], topic);
    }
    for (size_t i = 0; i < TOPICS; i++)
        shout_of[i] = piece_frame("[\"1\",\"7\",\"room:%zu\",\"shout\"," SMALL "]", i);
}

static size_t topics_run(void)
{
    for (size_t i = 0; i < TOPICS; i++)
        client_say(&clients[i], shout_of[i]);
    host_turn(&here);
    return (size_t)MANY * EACH;
}

static void topics_close(void)
{
    for (size_t i = 0; i < TOPICS; i++)
        piece_free(&shout_of[i]);
    clients_close(clients, MANY);
    host_close(&here);
}

const workload topics_workload = { .name = "topics",
                                   .unit = "delivery",
                                   .heard = "\"shout\"," SMALL "]",
                                   .per_unit = 1,
                                   .open = topics_open,
                                   .run = topics_run,
                                   .close = topics_close };

/* --- large: 16 KB of JSON to ten ------------------------------------------------------------- */

#define FEW 10
#define LARGE 16384
#define ROW \
    "{\"id\":1234567,\"at\":-12.5e3,\"ok\":true,\"who\":\"Gr\303\266\303\237e \\\"x\\\"\"," \
    "\"text\":\"as long as what people say to each other when they have the time\"}"

static void large_open(void)
{
    static char payload[LARGE + sizeof ROW];
    size_t len = 0;
    open_clients(FEW);
    for (size_t i = 0; i < FEW; i++)
        client_join(&clients[i], "room:lobby");
    while (len < LARGE)
        len += (size_t)sprintf(payload + len, "%s" ROW, len == 0 ? "" : ",");
    shout = piece_frame("[\"1\",\"7\",\"room:lobby\",\"shout\",{\"rows\":[%s]}]", payload);
}

static size_t large_run(void)
{
    for (size_t i = 0; i < SHOUTS; i++) {
        client_say(&clients[0], shout);
        host_turn(&here);
    }
    return SHOUTS;
}

static void large_close(void)
{
    piece_free(&shout);
    clients_close(clients, FEW);
    host_close(&here);
}

const workload large_workload = { .name = "large",
                                  .unit = "broadcast",
                                  .heard = ROW "]}]",
                                  .per_unit = FEW,
                                  .open = large_open,
                                  .run = large_run,
                                  .close = large_close };

/* --- hub: from one endpoint to ten clients of another ---------------------------------------- */

static host there;
static channels_hub *hub;
static client *publisher;

static void hub_open(void)
{
    channels_config config = { .pubsub = channels_hub_adapter(), .node = "there" };
    if (channels_hub_new(&hub, NULL) != CHANNELS_OK)
        budget_fail("there is no hub");
    config.pubsub_self = hub;
    host_open(&there, &config);
    config.node = "here";
    host_open(&here, &config);
    publisher = clients_open(&there, 1);
    client_join(publisher, "room:lobby");
    clients = clients_open(&here, FEW);
    for (size_t i = 0; i < FEW; i++)
        client_join(&clients[i], "room:lobby");
    shout = piece_frame("[\"1\",\"7\",\"room:lobby\",\"shout\"," SMALL "]");
    host_turn(&there);
    host_turn(&here);
}

static size_t hub_run(void)
{
    for (size_t i = 0; i < MANY; i++) {
        client_say(publisher, shout);
        host_turn(&there);
        host_turn(&here);
    }
    return MANY;
}

static void hub_close(void)
{
    piece_free(&shout);
    clients_close(publisher, 1);
    clients_close(clients, FEW);
    host_close(&here);
    host_close(&there);
    channels_hub_free(hub);
}

const workload hub_workload = { .name = "hub",
                                .unit = "broadcast",
                                .heard = "\"shout\"," SMALL "]",
                                .per_unit = FEW + 1,
                                .open = hub_open,
                                .run = hub_run,
                                .close = hub_close };
