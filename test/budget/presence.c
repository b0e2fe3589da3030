/* presence.c - one comes and goes among a thousand who are there; ten of them listen. */
#include <channels/presence.h>

#include "budget/budget.h"

#define PRESENT 1000
#define LISTENERS 10
#define TIMES 200
#define TOPIC "room:lobby"
#define META "{\"name\":\"Ada\",\"device\":\"phone\"}"

static host here;
static client *clients;
static channels_presence *presence;

static void track(uint64_t owner, const char *key)
{
    if (channels_presence_track_owner(presence, owner, TOPIC, key, channels_json(META)) !=
        CHANNELS_OK)
        budget_fail("%s is not tracked", key);
}

static void presence_open(void)
{
    char key[32];
    host_open(&here, NULL);
    if (channels_presence_new(&presence, here.ep, NULL) != CHANNELS_OK)
        budget_fail("there is no presence");
    clients = clients_open(&here, LISTENERS);
    for (size_t i = 0; i < LISTENERS; i++)
        client_join(&clients[i], TOPIC);
    for (uint64_t i = 1; i <= PRESENT; i++) {
        snprintf(key, sizeof key, "user:%llu", (unsigned long long)i);
        track(i, key);
    }
    host_turn(&here);
}

static size_t presence_run(void)
{
    for (size_t i = 0; i < TIMES; i++) {
        track(PRESENT + 1, "newcomer");
        host_turn(&here);
        channels_presence_untrack_owner(presence, PRESENT + 1, TOPIC, "newcomer");
        host_turn(&here);
    }
    return TIMES;
}

static void presence_close(void)
{
    clients_close(clients, LISTENERS);
    channels_presence_free(presence, false);
    host_close(&here);
}

const workload presence_workload = { .name = "presence",
                                     .unit = "track and untrack",
                                     .heard = "\"leaves\":{\"newcomer\"",
                                     .per_unit = LISTENERS,
                                     .open = presence_open,
                                     .run = presence_run,
                                     .close = presence_close };
