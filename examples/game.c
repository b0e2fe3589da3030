/* game.c - can it send the state of a game 20 times a second, and how evenly?
 *
 * A room is a topic "game:NAME"; who joins is a player in it, until it leaves. The host's own timer
 * moves all players and broadcasts each room's state as bytes, all numbers little-endian:
 *
 *     tick   uint32 tick, then for each player: uint16 id, x, y          to the room, every 50 ms
 *     input  int8 dx, dy, each of -1, 0, 1                               from a player, no answer
 *
 * The reply to a join is {id, width, height}. How far the ticks were from being 50 ms apart is
 * printed every 5 seconds and at the end.
 *
 *     make demo-game        and open http://127.0.0.1:4000 in two windows; steer with the arrows */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/pubsub.h>

#define TICK_MS 50
#define REPORT_MS 5000
#define WIDTH 640
#define HEIGHT 400
#define STEP 4 /* of a player, in one tick */
#define MAX_PLAYERS 100
#define MAX_ROOMS 100

/* The assigns of a channel. */
struct player {
    struct room *room;
    struct player *next;
    uint16_t id, x, y;
    int8_t dx, dy;
};

struct room {
    struct room *next;
    char topic[64];
    struct player *players;
    int count;
};

struct jitter {
    unsigned ticks;
    double sum, worst; /* ms */
};

struct game {
    channels_endpoint *ep;
    struct room *rooms;
    int count;
    uint32_t tick;
    uint16_t last_id;
    double ticked; /* when, in ms; 0: not yet */
    struct jitter recent, total;
};

/* --- Rooms and players ---------------------------------------------------------------------- */

/* The room of that topic; a new one if there is none. NULL if there is no room for it. */
static struct room *room_of(struct game *game, const char *topic)
{
    for (struct room *room = game->rooms; room != NULL; room = room->next)
        if (strcmp(room->topic, topic) == 0)
            return room;
    struct room *room = NULL;
    if (game->count < MAX_ROOMS && strlen(topic) < sizeof room->topic)
        room = calloc(1, sizeof *room);
    if (room == NULL)
        return NULL;
    strcpy(room->topic, topic);
    room->next = game->rooms;
    game->rooms = room;
    game->count++;
    return room;
}

/* Takes away the rooms that nobody is in. Only from the loop: where rooms are walked, a broadcast
 * may end clients, and with them be the end of any room. */
static void rooms_sweep(struct game *game)
{
    for (struct room **link = &game->rooms, *room; (room = *link) != NULL;) {
        if (room->players != NULL) {
            link = &room->next;
            continue;
        }
        *link = room->next;
        game->count--;
        free(room);
    }
}

static int game_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    struct game *game = user;
    struct player *player = channels_assigns(ch);
    struct room *room = room_of(game, msg->topic);
    char json[80];
    if (room == NULL || room->count == MAX_PLAYERS) {
        channels_reply(ch, "error", channels_json("{\"reason\":\"full\"}"));
        return CHANNELS_REFUSE;
    }
    *player = (struct player){ .room = room, .id = ++game->last_id };
    snprintf(json, sizeof json, "{\"id\":%d,\"width\":%d,\"height\":%d}", player->id, WIDTH,
             HEIGHT);
    int err = channels_reply(ch, "ok", channels_json(json));
    if (err != CHANNELS_OK)
        return err;
    player->x = WIDTH / 2;
    player->y = HEIGHT / 2;
    player->next = room->players;
    room->players = player;
    room->count++;
    return CHANNELS_OK;
}

static int game_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    struct player *player = channels_assigns(ch);
    const signed char *input = msg->payload.data;
    (void)user;
    if (strcmp(msg->event, "input") != 0 || msg->payload.kind != CHANNELS_BINARY ||
        msg->payload.len != 2)
        return channels_reply(ch, "error", channels_json("{\"reason\":\"not an input\"}"));
    player->dx = (int8_t)((input[0] > 0) - (input[0] < 0));
    player->dy = (int8_t)((input[1] > 0) - (input[1] < 0));
    return CHANNELS_OK;
}

static void game_terminate(channels_channel *ch, channels_reason why, void *user)
{
    struct player *player = channels_assigns(ch), **link = &player->room->players;
    (void)why, (void)user;
    while (*link != player)
        link = &(*link)->next;
    *link = player->next;
    player->room->count--;
}

static const channels_handler game_handler = {
    .assigns_size = sizeof(struct player),
    .join = game_join,
    .handle_in = game_in,
    .terminate = game_terminate,
};
static const channels_route routes[] = { { .pattern = "game:*", .handler = &game_handler },
                                         { .pattern = NULL } };
static const channels_socket_handler clients = { .routes = routes };

/* --- The tick ------------------------------------------------------------------------------- */

static uint16_t moved(int at, int step, int size)
{
    at += step * STEP;
    return (uint16_t)(at < 0 ? 0 : at > size ? size : at);
}

static uint8_t *put(uint8_t *to, uint32_t number, int bytes)
{
    for (; bytes > 0; bytes--, number >>= 8)
        *to++ = (uint8_t)number;
    return to;
}

static void room_tick(struct game *game, struct room *room)
{
    uint8_t state[4 + 6 * MAX_PLAYERS], *end = put(state, game->tick, 4);
    for (struct player *player = room->players; player != NULL; player = player->next) {
        player->x = moved(player->x, player->dx, WIDTH);
        player->y = moved(player->y, player->dy, HEIGHT);
        end = put(put(put(end, player->id, 2), player->x, 2), player->y, 2);
    }
    channels_pubsub_broadcast(game->ep, room->topic, "tick",
                              channels_binary(state, (size_t)(end - state)));
}

static void jitter_add(struct jitter *jitter, double ms)
{
    jitter->ticks++;
    jitter->sum += ms;
    jitter->worst = ms > jitter->worst ? ms : jitter->worst;
}

static void jitter_print(const char *when, const struct jitter *jitter)
{
    if (jitter->ticks != 0)
        printf("%s: %u ticks, jitter %.2f ms on average, %.2f ms at worst\n", when, jitter->ticks,
               jitter->sum / jitter->ticks, jitter->worst);
    fflush(stdout);
}

static void measure(struct game *game)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double ms = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
    double off = ms - game->ticked - TICK_MS;
    if (game->ticked != 0) {
        jitter_add(&game->recent, off < 0 ? -off : off);
        jitter_add(&game->total, off < 0 ? -off : off);
    }
    game->ticked = ms;
}

/* The adapter writes to the clients when this has returned, before the loop sleeps. */
static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct game *game = timer->data;
    (void)loop, (void)revents;
    measure(game);
    rooms_sweep(game);
    game->tick++;
    for (struct room *room = game->rooms; room != NULL; room = room->next)
        room_tick(game, room);
    if (game->tick % (REPORT_MS / TICK_MS) == 0) {
        jitter_print("last 5 s", &game->recent);
        game->recent = (struct jitter){ 0, 0, 0 };
    }
}

/* --- The page ------------------------------------------------------------------------------- */

static char *file_read(const char *name, size_t *len)
{
    char path[4096] = __FILE__, *slash = strrchr(path, '/'), *bytes = malloc(1 << 20);
    char *at = slash != NULL ? slash + 1 : path;
    snprintf(at, sizeof path - (size_t)(at - path), "%s", name);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        perror(path);
    *len = f != NULL && bytes != NULL ? fread(bytes, 1, 1 << 20, f) : 0;
    if (f != NULL)
        fclose(f);
    return bytes;
}

static int serve_page(void *user, channels_ref to, const channels_request *req)
{
    const struct game *game = user;
    const bool page = strcmp(req->path, "/") == 0;
    const char *name = page ? "game.html" : "chat/node_modules/phoenix/priv/static/phoenix.mjs";
    const channels_header type = { "content-type", page ? "text/html" : "text/javascript" };
    channels_response response = { .status = 200, .headers = &type, .nheaders = 1 };
    if (!page && strcmp(req->path, "/phoenix.js") != 0)
        return CHANNELS_REFUSE; /* 404 */
    char *bytes = file_read(name, &response.body_len);
    response.body = bytes;
    int err = response.body_len > 0 ? channels_respond(game->ep, to, &response) : CHANNELS_REFUSE;
    free(bytes);
    return err;
}

/* --- main ----------------------------------------------------------------------------------- */

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s\n", text);
}

static void stop(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    (void)watcher, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* Until SIGINT or SIGTERM. */
static void play(struct game *game, struct ev_loop *loop)
{
    ev_signal interrupt, terminate;
    ev_timer tick;
    ev_signal_init(&interrupt, stop, SIGINT);
    ev_signal_start(loop, &interrupt);
    ev_signal_init(&terminate, stop, SIGTERM);
    ev_signal_start(loop, &terminate);
    ev_timer_init(&tick, on_tick, TICK_MS / 1e3, TICK_MS / 1e3); /* repeats without drifting */
    tick.data = game;
    ev_timer_start(loop, &tick);
    ev_run(loop, 0);
    jitter_print("in all", &game->total);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    struct game game = { .rooms = NULL };
    const channels_config config = { .user = &game,
                                     .log = print_log,
                                     .log_level = CHANNELS_LOG_WARNING,
                                     .request = serve_page };
    const channels_mount_options options = {
        .check_origin = CHANNELS_ORIGIN_SAME,
        .max_queued = 65536, /* who is that far behind starts anew */
    };
    channels_ev ev;
    channels_ev_listener listener;
    if (channels_endpoint_new(&game.ep, &config) != CHANNELS_OK ||
        channels_mount(game.ep, "/socket", &clients, &options, &game) != CHANNELS_OK ||
        channels_ev_start(&ev, loop, game.ep) != 0 ||
        channels_ev_listen(&ev, &listener, "127.0.0.1", argc > 1 ? atoi(argv[1]) : 4000, 0) != 0)
        return EXIT_FAILURE;
    printf("listening on 127.0.0.1:%d\n", channels_ev_port(&listener));
    fflush(stdout);
    play(&game, loop);
    channels_ev_stop(&ev);
    channels_endpoint_free(game.ep);
    rooms_sweep(&game);
    return EXIT_SUCCESS;
}
