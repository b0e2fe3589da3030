/* history.h - what was said, in SQLite. */
#ifndef CHAT_HISTORY_H
#define CHAT_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <sqlite3.h>

struct history {
    sqlite3 *db;
    sqlite3_stmt *store, *page;
};

/* False: sqlite3_errmsg(history->db) says why. */
bool history_open(struct history *history, const char *file);
void history_close(struct history *history);

/* The message {id, uuid, name, text, at} as it is stored: with another id and `at` than those given
 * if its uuid is known already. NULL: it could not be, and the operator has been told. */
cJSON *history_store(struct history *history, const char *topic, const char *uuid, const char *name,
                     const char *text, int64_t at);
/* {messages, more}: what follows the message `after`, or the last ones if it is -1. NULL: they
 * cannot be read, and the operator has been told. */
cJSON *history_page(struct history *history, const char *topic, int64_t after);

#endif
