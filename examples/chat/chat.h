/* chat.h - what the files of the chat have of each other: one struct, and one part for each. */
#ifndef CHAT_H
#define CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <ev.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/presence.h>
#include <channels/pubsub.h>
#include <channels/token.h>

#include "history.h"

#define MAX_ROOM 40 /* characters */
#define MAX_NAME 32
#define MAX_UUID 40
#define MAX_TEXT 1000
#define STRING_OF(number) STRING_OF_(number)
#define STRING_OF_(number) #number

struct chat {
    const char *host, *db_file, *root; /* root: the folder with the files of the page */
    int port;
    const char *node;  /* this server's name among several, or NULL */
    const char *redis; /* what joins them: HOST:PORT or the path of a socket, or NULL */
    struct history history;
    channels_token_key *key;
    channels_endpoint *endpoint;
    channels_presence *presence; /* who is in which room, on all nodes */
    struct cluster *cluster;
    channels_subscription said; /* what is said on other nodes */
};

/* --- chat.c: the operator is told; EXIT_FAILURE --------------------------------------------- */
int complain(const char *what, const char *why);
void print_log(void *user, channels_log_level level, const char *text);

/* --- input.c: what is accepted -------------------------------------------------------------- */

/* NULL if there is no such string. */
const char *string_in(const cJSON *object, const char *key);
/* -1 if there is no such number, or it cannot be a message's id. */
int64_t id_in(const cJSON *object, const char *key);
/* Something to read: at most `max` characters, not all of them spaces, none a control character
 * but the newline. That it is UTF-8 has been checked by the library, wherever it came from. */
bool is_text(const char *text, size_t max);
bool is_line(const char *text, size_t max);

/* --- person.c: who is who ------------------------------------------------------------------- */

/* What the library keeps for us with each socket: who is at its other end. */
struct person {
    char name[MAX_NAME * 4 + 1]; /* a character has up to four bytes */
};

int key_open(struct chat *chat);
/* POST /session?name=NAME: a token in that name. */
int give_token(struct chat *chat, channels_ref to, const channels_request *req);
int person_connect(channels_socket *s, const channels_request *req, void *user);
const char *name_of(const channels_channel *ch);

/* --- room.c: the rooms ---------------------------------------------------------------------- */

extern const channels_route room_routes[];
/* Has what is said on other nodes come in here too. */
int room_listen(struct chat *chat);

/* --- page.c: the page, and what else is served by HTTP -------------------------------------- */

int serve_request(void *user, channels_ref to, const channels_request *req);

/* --- cluster.c: several servers as one chat ------------------------------------------------- */

/* What chat->redis names is to join the endpoint of `config`. False: the operator has been told. */
bool cluster_open(struct chat *chat, channels_config *config);
/* On the loop of `ev`, until _stop. */
void cluster_start(struct chat *chat, channels_ev *ev);
void cluster_stop(struct chat *chat);
/* After the endpoint has been freed. */
void cluster_close(struct chat *chat);

#endif
