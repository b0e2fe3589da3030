/* chat.c - chat rooms in the browser, served by one C program.
 *
 * People join a topic "room:NAME", read what was said there and go on talking. From top to bottom:
 * what is accepted, who is who, the history, the rooms, the page, main().
 *
 * A page asks for a token in its user's name, POST /session?name=NAME, and connects with it. A room
 * answers {reason} with the status "error", or "ok" to
 *
 *     join     {last_seen_id}         {messages, more}
 *     history  {after}                {messages, more}
 *     new_msg  {uuid, text}           the message
 *     typing   {}                     nothing
 *
 * and everyone in it hears
 *
 *     new_msg  a message: {id, uuid, name, text, at}
 *     typing, entered, left           {name}
 *
 * The server gives the `id` and `at`, in milliseconds since 1970. The `uuid` is the page's: when a
 * lost connection has it send a message again, the message is stored once and keeps its id. */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <ev.h>
#include <sqlite3.h>

#include <channels/adapters/libev.h>
#include <channels/channels.h>
#include <channels/stats.h>
#include <channels/token.h>

#define MAX_ROOM 40 /* characters */
#define MAX_NAME 32
#define MAX_UUID 40
#define MAX_TEXT 1000
#define STRING_OF(number) STRING_OF_(number)
#define STRING_OF_(number) #number

#define HISTORY_PAGE 50 /* messages in one answer */
#define TOKEN_MAX_AGE_S (14 * 86400)

struct chat {
    const char *host, *db_file, *root; /* root: the folder with the files of the page */
    int port;
    sqlite3 *db;
    sqlite3_stmt *store, *page;
    channels_token_key *key;
    channels_endpoint *endpoint;
};

/* Tells the operator. */
static int complain(const char *what, const char *why)
{
    fprintf(stderr, "chat: %s: %s\n", what, why);
    return EXIT_FAILURE;
}

static void print_log(void *user, channels_log_level level, const char *text)
{
    (void)user, (void)level;
    complain("channels", text);
}

/* --- What is accepted ----------------------------------------------------------------------- */

/* NULL if there is no such string. */
static const char *string_in(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* -1 if there is no such number, or it cannot be a message's id. */
static int64_t id_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 9e15))
        return -1;
    return (int64_t)item->valuedouble;
}

/* Something to read: at most `max` characters, not all of them spaces, none a control character
 * but the newline. That it is UTF-8 has been checked by the library, wherever it came from. */
static bool is_text(const char *text, size_t max)
{
    size_t characters = 0;
    bool visible = false;
    if (text == NULL)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c < ' ' && *c != '\n') || *c == 127)
            return false;
        visible |= *c > ' ';
        characters += (*c & 0xc0) != 0x80; /* the other bytes of a character look so */
    }
    return visible && characters <= max;
}

static bool is_line(const char *text, size_t max)
{
    return is_text(text, max) && strchr(text, '\n') == NULL;
}

/* --- Who is who -----------------------------------------------------------------------------
 * The page shows a token that we have signed, so that nobody talks in another's name. To be given
 * one in any name it is enough to ask: here a server with accounts would ask for a password. */

/* What the library keeps for us with each socket: who is at its other end. */
struct person {
    char name[MAX_NAME * 4 + 1]; /* a character has up to four bytes */
};

/* Without a secret in the environment all tokens end with this process; pages then ask anew. */
static int key_open(struct chat *chat)
{
    const char *secret = getenv("SECRET_KEY_BASE");
    char random[64];
    channels_token_key_options options = { .log = print_log };
    if (secret == NULL) {
        FILE *f = fopen("/dev/urandom", "rb");
        if (f != NULL)
            options.secret_len = fread(random, 1, sizeof random, f);
        if (f != NULL)
            fclose(f);
        if (options.secret_len != sizeof random)
            return CHANNELS_ERR_INVALID;
        secret = random;
    }
    return channels_token_key_new(&chat->key, secret, "user socket", &options);
}

static int respond_text(struct chat *chat, channels_ref to, int status, const char *text)
{
    const channels_header headers[] = { { "content-type", "text/plain; charset=utf-8" },
                                        { "cache-control", "no-store" } };
    const channels_response response = {
        .status = status, .headers = headers, .nheaders = 2, .body = text, .body_len = strlen(text)
    };
    return channels_respond(chat->endpoint, to, &response);
}

/* POST /session?name=NAME: a token in that name. */
static int give_token(struct chat *chat, channels_ref to, const channels_request *req)
{
    cJSON *params = channels_request_params(req);
    const char *name = string_in(params, "name");
    char token[CHANNELS_TOKEN_SIZE(sizeof(struct person))];
    int err;
    if (!is_line(name, MAX_NAME))
        err = respond_text(chat, to, 400,
                           "Your name must have 1 to " STRING_OF(MAX_NAME) " characters");
    else if ((err = channels_token_sign(chat->key, channels_token_text(name), NULL, token,
                                        sizeof token)) > 0)
        err = respond_text(chat, to, 200, token);
    cJSON_Delete(params);
    return err;
}

static int person_connect(channels_socket *s, const channels_request *req, void *user)
{
    struct chat *chat = user;
    struct person *person = channels_socket_assigns(s);
    char token[CHANNELS_TOKEN_SIZE(sizeof(struct person))];
    channels_token_data who;
    if (channels_request_param(req, "token", token, sizeof token) < 0 ||
        channels_token_verify(chat->key, token, TOKEN_MAX_AGE_S, &who) != CHANNELS_OK)
        return CHANNELS_REFUSE;
    snprintf(person->name, sizeof person->name, "%s", who.data);
    channels_token_data_free(&who);
    return CHANNELS_OK;
}

static const char *name_of(const channels_channel *ch)
{
    const struct person *person = channels_socket_assigns(channels_channel_socket(ch));
    return person->name;
}

/* --- The history ---------------------------------------------------------------------------- */

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS message ("
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "    topic TEXT NOT NULL, uuid TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,"
    "    at INTEGER NOT NULL,"
    "    UNIQUE (topic, uuid));"
    "CREATE INDEX IF NOT EXISTS message_by_topic ON message (topic, id);";

static const char sql_store[] =
    "INSERT INTO message (topic, uuid, name, text, at) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (topic, uuid) DO UPDATE SET uuid = uuid" /* as it is, for the next line */
    " RETURNING id, uuid, name, text, at";

/* What follows the message ?2; the last page if ?2 is no id that this database gave. */
static const char sql_page[] =
    "SELECT id, uuid, name, text, at FROM message WHERE topic = ?1 AND id > coalesce("
    "    CASE WHEN ?2 BETWEEN 0 AND (SELECT max(id) FROM message) THEN ?2 END,"
    "    (SELECT id FROM message WHERE topic = ?1 ORDER BY id DESC"
    "     LIMIT 1 OFFSET " STRING_OF(HISTORY_PAGE) "), 0)"
    " ORDER BY id LIMIT " STRING_OF(HISTORY_PAGE);

static bool history_open(struct chat *chat)
{
    return sqlite3_open(chat->db_file, &chat->db) == SQLITE_OK &&
           sqlite3_exec(chat->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(chat->db, sql_store, -1, &chat->store, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(chat->db, sql_page, -1, &chat->page, NULL) == SQLITE_OK;
}

static void history_close(struct chat *chat)
{
    sqlite3_finalize(chat->store);
    sqlite3_finalize(chat->page);
    sqlite3_close(chat->db);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The row in hand as a message; NULL if memory ran out. */
static cJSON *message_of(sqlite3_stmt *row)
{
    const char *uuid = (const char *)sqlite3_column_text(row, 1);
    const char *name = (const char *)sqlite3_column_text(row, 2);
    const char *text = (const char *)sqlite3_column_text(row, 3);
    cJSON *message = cJSON_CreateObject();
    if (cJSON_AddNumberToObject(message, "id", sqlite3_column_double(row, 0)) != NULL &&
        cJSON_AddStringToObject(message, "uuid", uuid) != NULL &&
        cJSON_AddStringToObject(message, "name", name) != NULL &&
        cJSON_AddStringToObject(message, "text", text) != NULL &&
        cJSON_AddNumberToObject(message, "at", sqlite3_column_double(row, 4)) != NULL)
        return message;
    cJSON_Delete(message);
    return NULL;
}

/* The message as it is stored; NULL if it could not be. */
static cJSON *history_store(struct chat *chat, const char *topic, const char *uuid,
                            const char *name, const char *text)
{
    sqlite3_stmt *store = chat->store;
    sqlite3_bind_text(store, 1, topic, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 2, uuid, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 3, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 4, text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(store, 5, now_ms());
    cJSON *message = sqlite3_step(store) == SQLITE_ROW ? message_of(store) : NULL;
    bool stored = message != NULL && sqlite3_step(store) == SQLITE_DONE; /* committed */
    if (!stored) {
        complain("a message could not be stored", sqlite3_errmsg(chat->db));
        cJSON_Delete(message);
    }
    sqlite3_reset(store);
    return stored ? message : NULL;
}

/* {messages, more}: what follows the message `after`, or the last ones if it is -1. NULL if they
 * cannot be read. */
static cJSON *history_page(struct chat *chat, const char *topic, int64_t after)
{
    sqlite3_stmt *row = chat->page;
    cJSON *page = cJSON_CreateObject();
    cJSON *messages = cJSON_AddArrayToObject(page, "messages");
    bool added = messages != NULL;
    int step;
    sqlite3_bind_text(row, 1, topic, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 2, after);
    while ((step = sqlite3_step(row)) == SQLITE_ROW && added)
        added = cJSON_AddItemToArray(messages, message_of(row));
    bool more = cJSON_GetArraySize(messages) == HISTORY_PAGE;
    added = added && cJSON_AddBoolToObject(page, "more", more) != NULL;
    if (step != SQLITE_DONE || !added) {
        complain("the history could not be read", sqlite3_errmsg(chat->db));
        cJSON_Delete(page);
        page = NULL;
    }
    sqlite3_reset(row);
    return page;
}

/* --- The rooms ------------------------------------------------------------------------------ */

/* channels_reply(), channels_broadcast() and their like. */
typedef int send_function(channels_channel *ch, const char *word, channels_payload payload);

static int send_json(send_function *send, channels_channel *ch, const char *word, const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    int err = text != NULL ? send(ch, word, channels_json(text)) : CHANNELS_ERR_NOMEM;
    cJSON_free(text);
    return err;
}

static int send_string(send_function *send, channels_channel *ch, const char *word, const char *key,
                       const char *value)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, key, value);
    int err = send_json(send, ch, word, object);
    cJSON_Delete(object);
    return err;
}

static int broadcast_name(channels_channel *ch, const char *event)
{
    return send_string(channels_broadcast_from, ch, event, "name", name_of(ch));
}

static int reply_error(channels_channel *ch, const char *reason)
{
    return send_string(channels_reply, ch, "error", "reason", reason);
}

static int refuse(channels_channel *ch, const char *reason)
{
    int err = reply_error(ch, reason);
    return err != CHANNELS_OK ? err : CHANNELS_REFUSE;
}

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    if (!is_line(msg->topic + strlen("room:"), MAX_ROOM))
        return refuse(ch, "the name of a room has 1 to " STRING_OF(MAX_ROOM) " characters");
    cJSON *page = history_page(user, msg->topic, id_in(channels_msg_json(msg), "last_seen_id"));
    if (page == NULL)
        return refuse(ch, "the history could not be read");
    int err = send_json(channels_reply, ch, "ok", page);
    cJSON_Delete(page);
    return err;
}

static int room_joined(channels_channel *ch, void *user)
{
    (void)user;
    return broadcast_name(ch, "entered");
}

static void room_terminate(channels_channel *ch, channels_reason why, void *user)
{
    (void)why, (void)user;
    broadcast_name(ch, "left");
}

/* Stored first and sent afterwards: whoever joins from now on finds it in the history. */
static int room_new_msg(channels_channel *ch, const channels_msg *msg, struct chat *chat)
{
    const cJSON *in = channels_msg_json(msg);
    const char *uuid = string_in(in, "uuid"), *text = string_in(in, "text");
    if (!is_line(uuid, MAX_UUID))
        return reply_error(ch, "a message needs a uuid");
    if (!is_text(text, MAX_TEXT))
        return reply_error(ch, "a message has 1 to " STRING_OF(MAX_TEXT) " characters");
    cJSON *message = history_store(chat, msg->topic, uuid, name_of(ch), text);
    if (message == NULL)
        return reply_error(ch, "the message could not be stored");
    int err = send_json(channels_broadcast, ch, "new_msg", message);
    if (err == CHANNELS_OK)
        err = send_json(channels_reply, ch, "ok", message);
    cJSON_Delete(message);
    return err;
}

static int room_history(channels_channel *ch, const channels_msg *msg, struct chat *chat)
{
    cJSON *page = history_page(chat, msg->topic, id_in(channels_msg_json(msg), "after"));
    int err = page != NULL ? send_json(channels_reply, ch, "ok", page)
                           : reply_error(ch, "the history could not be read");
    cJSON_Delete(page);
    return err;
}

static int room_handle_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    if (strcmp(msg->event, "new_msg") == 0)
        return room_new_msg(ch, msg, user);
    if (strcmp(msg->event, "history") == 0)
        return room_history(ch, msg, user);
    if (strcmp(msg->event, "typing") == 0)
        return broadcast_name(ch, "typing");
    return reply_error(ch, "a room knows no such event");
}

static int private_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    (void)msg, (void)user;
    return refuse(ch, "This room is private: you would have to be invited.");
}

static const channels_handler room = {
    .join = room_join,
    .joined = room_joined,
    .handle_in = room_handle_in,
    .terminate = room_terminate,
};
static const channels_handler private_room = { .join = private_join };

static const channels_route routes[] = {
    { .pattern = "room:private", .handler = &private_room }, /* the first match wins */
    { .pattern = "room:*", .handler = &room },
    { .pattern = NULL },
};
static const channels_socket_handler socket_handler = {
    .assigns_size = sizeof(struct person),
    .routes = routes,
    .connect = person_connect,
};

/* --- The page ------------------------------------------------------------------------------- */

/* All that is served, so that no path can lead elsewhere. */
static const struct file {
    const char *path, *name, *type;
} files[] = {
    { "/", "index.html", "text/html; charset=utf-8" },
    { "/chat.css", "chat.css", "text/css; charset=utf-8" },
    { "/chat.js", "chat.js", "text/javascript; charset=utf-8" },
    { "/phoenix.js", "node_modules/phoenix/priv/static/phoenix.mjs",
      "text/javascript; charset=utf-8" },
};

static const struct file *file_find(const char *path)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* Its bytes, to be freed; NULL if they cannot be read. */
static char *file_read(const char *root, const char *name, size_t *len)
{
    char path[4096], *bytes = NULL;
    long size = -1;
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "rb");
    if (f != NULL && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) > 0 &&
        fseek(f, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)size)) != NULL)
        *len = fread(bytes, 1, (size_t)size, f);
    else
        complain(path, "cannot be read");
    if (f != NULL)
        fclose(f);
    return bytes;
}

/* For Prometheus; a server that strangers reach would keep this page to itself. */
static int serve_metrics(struct chat *chat, channels_ref to)
{
    static const channels_header type = { "content-type", "text/plain; version=0.0.4" };
    channels_stats stats;
    char text[CHANNELS_STATS_TEXT];
    channels_endpoint_stats(chat->endpoint, &stats);
    size_t len = channels_stats_prometheus(&stats, NULL, text, sizeof text);
    const channels_response response = { 200, &type, 1, text, len };
    return channels_respond(chat->endpoint, to, &response);
}

static int serve_file(struct chat *chat, channels_ref to, const channels_request *req)
{
    const struct file *file = file_find(req->path);
    bool reads = strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
    size_t len = 0;
    char *bytes = file != NULL && reads ? file_read(chat->root, file->name, &len) : NULL;
    if (bytes == NULL)
        return CHANNELS_REFUSE; /* the library answers 404 */
    const channels_header headers[] = {
        { "content-type", file->type },
        { "cache-control", "no-cache" },
        { "content-security-policy", "default-src 'self'; img-src data:" },
        { "x-content-type-options", "nosniff" },
    };
    const channels_response response = {
        .status = 200, .headers = headers, .nheaders = 4, .body = bytes, .body_len = len
    };
    int err = channels_respond(chat->endpoint, to, &response);
    free(bytes);
    return err;
}

/* Requests for anything but the socket. */
static int serve_request(void *user, channels_ref to, const channels_request *req)
{
    bool session = strcmp(req->path, "/session") == 0 && strcmp(req->method, "POST") == 0;
    if (strcmp(req->path, "/metrics") == 0)
        return serve_metrics(user, to);
    return session ? give_token(user, to, req) : serve_file(user, to, req);
}

/* --- main ----------------------------------------------------------------------------------- */

static bool read_options(struct chat *chat, char **argv)
{
    for (char **arg = argv + 1; *arg != NULL; arg += 2) {
        if (arg[1] == NULL)
            return false;
        if (strcmp(*arg, "--host") == 0)
            chat->host = arg[1];
        else if (strcmp(*arg, "--port") == 0)
            chat->port = atoi(arg[1]);
        else if (strcmp(*arg, "--db") == 0)
            chat->db_file = arg[1];
        else if (strcmp(*arg, "--root") == 0)
            chat->root = arg[1];
        else
            return false;
    }
    return chat->port >= 0 && chat->port <= 65535;
}

static void drained(void *arg, const channels_drain_progress *p)
{
    if (p->done)
        ev_break(arg, EVBREAK_ALL);
}

static void stop(struct ev_loop *loop, ev_signal *watcher, int revents)
{
    const channels_drain_options options = { .deadline_ms = 2000,
                                             .progress = drained,
                                             .arg = loop };
    (void)revents;
    channels_drain(watcher->data, &options); /* pages come back by themselves */
}

static int endpoint_open(struct chat *chat)
{
    const channels_config config = {
        .user = chat, .log = print_log, .log_level = CHANNELS_LOG_WARNING, .request = serve_request
    };
    const channels_mount_options options = { .check_origin = CHANNELS_ORIGIN_SAME,
                                             .websocket.max_message = 16384,
                                             .longpoll = { .on = true, .max_body = 65536 } };
    int err = channels_endpoint_new(&chat->endpoint, &config);
    if (err == CHANNELS_OK)
        err = channels_mount(chat->endpoint, "/socket", &socket_handler, &options, chat);
    return err;
}

/* Until SIGINT or SIGTERM. */
static int serve(struct chat *chat)
{
    struct ev_loop *loop = EV_DEFAULT;
    ev_signal interrupt, terminate;
    channels_ev ev;
    channels_ev_listener listener;
    int err = channels_ev_start(&ev, loop, chat->endpoint);
    if (err != 0)
        return complain("libev", strerror(-err));
    err = channels_ev_listen(&ev, &listener, chat->host, chat->port, 0);
    if (err == 0) {
        ev_signal_init(&interrupt, stop, SIGINT);
        ev_signal_start(loop, &interrupt);
        ev_signal_init(&terminate, stop, SIGTERM);
        interrupt.data = terminate.data = chat->endpoint;
        ev_signal_start(loop, &terminate);
        printf(strchr(chat->host, ':') == NULL ? "chat on http://%s:%d\n"
                                               : "chat on http://[%s]:%d\n",
               chat->host, channels_ev_port(&listener));
        fflush(stdout);
        ev_run(loop, 0);
    }
    channels_ev_stop(&ev);
    return err == 0 ? EXIT_SUCCESS : complain(chat->host, strerror(-err));
}

int main(int argc, char **argv)
{
    /* The database lies beside the program, the files of the page beside this source. */
    char db_file[4096], root[] = __FILE__, *slash = strrchr(root, '/');
    struct chat chat = { .host = "127.0.0.1", .port = 4000, .db_file = db_file, .root = root };
    int err, status;
    strcpy(slash != NULL ? slash : root, slash != NULL ? "" : ".");
    snprintf(db_file, sizeof db_file, "%s.db", argc > 0 ? argv[0] : "chat");
    if (!read_options(&chat, argv)) {
        fprintf(stderr, "usage: chat [--host ADDRESS] [--port N] [--db FILE] [--root FOLDER]\n");
        return 2;
    }
    if (!history_open(&chat))
        status = complain(chat.db_file, sqlite3_errmsg(chat.db));
    else if ((err = key_open(&chat)) != CHANNELS_OK || (err = endpoint_open(&chat)) != CHANNELS_OK)
        status = complain("channels", channels_strerror(err));
    else
        status = serve(&chat);
    channels_endpoint_free(chat.endpoint);
    channels_token_key_free(chat.key);
    history_close(&chat);
    return status;
}
