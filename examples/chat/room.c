/* room.c - the rooms: what is said in them, and who is there.
 *
 * With several nodes a message is stored on each of them, and its id is each one's own. So it does
 * not go to the clients of other nodes as it is: the nodes tell each other on a topic that is no
 * room, and each stores it and passes it on to its own clients. A node that is down or cut off
 * misses what is said meanwhile; who cannot have that keeps the history in a database that all
 * share. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chat.h"

#define SAID "said" /* the nodes' topic: the event is the topic of the room */

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

static int reply_error(channels_channel *ch, const char *reason)
{
    return send_string(channels_reply, ch, "error", "reason", reason);
}

static int refuse(channels_channel *ch, const char *reason)
{
    int err = reply_error(ch, reason);
    return err != CHANNELS_OK ? err : CHANNELS_REFUSE;
}

/* --- Who is there --------------------------------------------------------------------------- */

/* channels_presence_track() and _update(). */
typedef int presence_function(channels_presence *presence, channels_channel *ch, const char *key,
                              channels_payload meta);

/* Each page is a meta {looking, node} under its person's name. */
static int show_presence(presence_function *show, channels_channel *ch, const cJSON *looking,
                         struct chat *chat)
{
    char key[sizeof "@" + sizeof(struct person)]; /* @: people may be called __proto__ */
    cJSON *meta = cJSON_CreateObject();
    snprintf(key, sizeof key, "@%s", name_of(ch));
    cJSON_AddBoolToObject(meta, "looking", cJSON_IsTrue(looking));
    if (chat->node != NULL)
        cJSON_AddStringToObject(meta, "node", chat->node);
    char *text = cJSON_PrintUnformatted(meta);
    int err =
        text != NULL ? show(chat->presence, ch, key, channels_json(text)) : CHANNELS_ERR_NOMEM;
    cJSON_free(text);
    cJSON_Delete(meta);
    return err;
}

static int room_look(channels_channel *ch, const channels_msg *msg, struct chat *chat)
{
    const cJSON *in = channels_msg_json(msg);
    return show_presence(channels_presence_update, ch,
                         cJSON_GetObjectItemCaseSensitive(in, "looking"), chat);
}

/* --- Coming in ------------------------------------------------------------------------------ */

/* What the page has not seen; it has seen nothing if it comes from a node with other ids. */
static cJSON *missed_page(struct chat *chat, const channels_msg *msg)
{
    const cJSON *in = channels_msg_json(msg);
    const char *own = chat->node != NULL ? chat->node : "", *node = string_in(in, "node");
    bool known = node != NULL && strcmp(node, own) == 0;
    cJSON *page = history_page(&chat->history, msg->topic, known ? id_in(in, "last_seen_id") : -1);
    if (page != NULL)
        cJSON_AddStringToObject(page, "node", own);
    return page;
}

static int room_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    const cJSON *in = channels_msg_json(msg);
    if (!is_line(msg->topic + strlen("room:"), MAX_ROOM))
        return refuse(ch, "the name of a room has 1 to " STRING_OF(MAX_ROOM) " characters");
    cJSON *page = missed_page(user, msg);
    if (page == NULL)
        return refuse(ch, "the history could not be read");
    int err = send_json(channels_reply, ch, "ok", page);
    cJSON_Delete(page);
    if (err == CHANNELS_OK)
        err = show_presence(channels_presence_track, ch,
                            cJSON_GetObjectItemCaseSensitive(in, "looking"), user);
    return err;
}

static int room_joined(channels_channel *ch, void *user)
{
    const struct chat *chat = user;
    return channels_presence_push_state(chat->presence, ch);
}

/* --- What is said --------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* To the clients of this node, and unless it was said there, to the other nodes. */
static int pass_on(struct chat *chat, const char *topic, const cJSON *message, bool said_here)
{
    char *text = cJSON_PrintUnformatted(message);
    if (text == NULL)
        return CHANNELS_ERR_NOMEM;
    int err =
        channels_pubsub_local_broadcast(chat->endpoint, topic, "new_msg", channels_json(text));
    if (said_here) /* it is no error of ours that other nodes cannot be reached */
        channels_pubsub_broadcast_from(chat->endpoint, chat->said, SAID, topic,
                                       channels_json(text));
    cJSON_free(text);
    return err;
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
    cJSON *message = history_store(&chat->history, msg->topic, uuid, name_of(ch), text, now_ms());
    if (message == NULL)
        return reply_error(ch, "the message could not be stored");
    int err = pass_on(chat, msg->topic, message, true);
    if (err == CHANNELS_OK)
        err = send_json(channels_reply, ch, "ok", message);
    cJSON_Delete(message);
    return err;
}

/* On another node, which has checked it. */
static void was_said(void *arg, const channels_msg *msg)
{
    struct chat *chat = arg;
    const cJSON *in = channels_msg_json(msg);
    const char *uuid = string_in(in, "uuid"), *name = string_in(in, "name");
    const char *text = string_in(in, "text");
    int64_t at = id_in(in, "at");
    if (uuid == NULL || name == NULL || text == NULL || at < 0)
        return;
    cJSON *message = history_store(&chat->history, msg->event, uuid, name, text, at);
    if (message != NULL)
        pass_on(chat, msg->event, message, false);
    cJSON_Delete(message);
}

int room_listen(struct chat *chat)
{
    return channels_pubsub_subscribe(chat->endpoint, SAID, was_said, chat, &chat->said);
}

static int room_history(channels_channel *ch, const channels_msg *msg, struct chat *chat)
{
    cJSON *page = history_page(&chat->history, msg->topic, id_in(channels_msg_json(msg), "after"));
    int err = page != NULL ? send_json(channels_reply, ch, "ok", page)
                           : reply_error(ch, "the history could not be read");
    cJSON_Delete(page);
    return err;
}

/* --- The tables ----------------------------------------------------------------------------- */

static int room_handle_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    if (strcmp(msg->event, "new_msg") == 0)
        return room_new_msg(ch, msg, user);
    if (strcmp(msg->event, "history") == 0)
        return room_history(ch, msg, user);
    if (strcmp(msg->event, "look") == 0)
        return room_look(ch, msg, user);
    if (strcmp(msg->event, "typing") == 0)
        return send_string(channels_broadcast_from, ch, "typing", "name", name_of(ch));
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
};
static const channels_handler private_room = { .join = private_join };

const channels_route room_routes[] = {
    { .pattern = "room:private", .handler = &private_room }, /* the first match wins */
    { .pattern = "room:*", .handler = &room },
    { .pattern = NULL },
};
