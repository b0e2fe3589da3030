/* history.c - what was said, in SQLite. Every node has a history of its own: messages of the others
 * are stored in it too, with ids of its own. */
#include "history.h"

#include <stddef.h>

#include "chat.h"

#define HISTORY_PAGE 50 /* messages in one answer */

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

bool history_open(struct history *history, const char *file)
{
    return sqlite3_open(file, &history->db) == SQLITE_OK &&
           sqlite3_exec(history->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(history->db, sql_store, -1, &history->store, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(history->db, sql_page, -1, &history->page, NULL) == SQLITE_OK;
}

void history_close(struct history *history)
{
    sqlite3_finalize(history->store);
    sqlite3_finalize(history->page);
    sqlite3_close(history->db);
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

cJSON *history_store(struct history *history, const char *topic, const char *uuid, const char *name,
                     const char *text, int64_t at)
{
    sqlite3_stmt *store = history->store;
    sqlite3_bind_text(store, 1, topic, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 2, uuid, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 3, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(store, 4, text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(store, 5, at);
    cJSON *message = sqlite3_step(store) == SQLITE_ROW ? message_of(store) : NULL;
    bool stored = message != NULL && sqlite3_step(store) == SQLITE_DONE; /* committed */
    if (!stored) {
        complain("a message could not be stored", sqlite3_errmsg(history->db));
        cJSON_Delete(message);
    }
    sqlite3_reset(store);
    return stored ? message : NULL;
}

cJSON *history_page(struct history *history, const char *topic, int64_t after)
{
    sqlite3_stmt *row = history->page;
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
        complain("the history could not be read", sqlite3_errmsg(history->db));
        cJSON_Delete(page);
        page = NULL;
    }
    sqlite3_reset(row);
    return page;
}
