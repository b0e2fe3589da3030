/* probe.c - see probe.h. */
#include "sim/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void probe_note(probe *p, const char *format, ...)
{
    size_t used = strlen(p->trace);
    va_list args;
    va_start(args, format);
    vsnprintf(p->trace + used, sizeof p->trace - used, format, args);
    va_end(args);
    for (char *at = p->trace + used; (at = strchr(at, '"')) != NULL;)
        *at = '\'';
}

const char *probe_reason(channels_reason why)
{
    static const char *const names[] = { "left",      "closed",   "stopped",      "failed",
                                         "duplicate", "refused",  "disconnected", "shutdown",
                                         "idle",      "slow",     "broken",       "drained" };
    return names[why];
}

static void note_msg(probe *p, const char *callback, channels_channel *ch, const channels_msg *msg)
{
    channels_payload payload = msg->payload;
    bool own = strcmp(msg->topic, channels_channel_topic(ch)) == 0;
    probe_note(p, "%s %s%s%s %s ", callback, channels_channel_topic(ch), own ? "" : "<-",
               own ? "" : msg->topic, msg->event);
    if (payload.kind == CHANNELS_BINARY)
        probe_note(p, "<%zu>;", payload.len);
    else
        probe_note(p, "%.*s;", (int)payload.len, (const char *)payload.data);
}

/* --- Infos -------------------------------------------------------------------------------- */

struct info {
    probe *probe;
    char text[];
};

void *probe_info(probe *p, const char *text)
{
    struct info *info = sim_alloc(sizeof *info + strlen(text) + 1);
    info->probe = p;
    strcpy(info->text, text);
    return info;
}

void probe_drop(void *arg)
{
    struct info *info = arg;
    info->probe->dropped++;
    free(info);
}

/* --- Callbacks ---------------------------------------------------------------------------- */

static int on_connect(channels_socket *s, const channels_request *req, void *user)
{
    probe *p = user;
    probe_note(p, "connect;");
    return p->connect != NULL ? p->connect(s, req, p) : CHANNELS_OK;
}

static void on_disconnect(channels_socket *s, channels_reason why, void *user)
{
    probe *p = user;
    probe_note(p, "disconnect %s;", probe_reason(why));
    if (p->disconnect != NULL)
        p->disconnect(s, why, p);
}

static int on_join(channels_channel *ch, const channels_msg *msg, void *user)
{
    probe *p = user;
    note_msg(p, "join", ch, msg);
    return p->join != NULL ? p->join(ch, msg, p) : CHANNELS_OK;
}

static int on_joined(channels_channel *ch, void *user)
{
    probe *p = user;
    probe_note(p, "joined %s;", channels_channel_topic(ch));
    return p->joined != NULL ? p->joined(ch, p) : CHANNELS_OK;
}

static int answer(channels_channel *ch, const channels_msg *msg)
{
    if (strcmp(msg->event, "echo") == 0)
        return channels_reply(ch, "ok", msg->payload);
    if (strcmp(msg->event, "push") == 0)
        return channels_push(ch, msg->event, msg->payload);
    if (strcmp(msg->event, "shout") == 0)
        return channels_broadcast(ch, msg->event, msg->payload);
    if (strcmp(msg->event, "shout_from") == 0)
        return channels_broadcast_from(ch, msg->event, msg->payload);
    if (strcmp(msg->event, "stop") == 0)
        return CHANNELS_STOP;
    if (strcmp(msg->event, "fail") == 0)
        return -77;
    if (strcmp(msg->event, "none") == 0)
        return CHANNELS_OK;
    return channels_reply(ch, "ok", channels_empty());
}

static int on_in(channels_channel *ch, const channels_msg *msg, void *user)
{
    probe *p = user;
    note_msg(p, "in", ch, msg);
    return p->handle_in != NULL ? p->handle_in(ch, msg, p) : answer(ch, msg);
}

static int on_out(channels_channel *ch, const channels_msg *msg, void *user)
{
    probe *p = user;
    note_msg(p, "out", ch, msg);
    return p->handle_out != NULL ? p->handle_out(ch, msg, p)
                                 : channels_push(ch, msg->event, msg->payload);
}

static int on_broadcast(channels_channel *ch, const channels_msg *msg, void *user)
{
    probe *p = user;
    note_msg(p, "broadcast", ch, msg);
    return p->handle_broadcast != NULL ? p->handle_broadcast(ch, msg, p) : CHANNELS_OK;
}

static int on_info(channels_channel *ch, void *arg, void *user)
{
    probe *p = user;
    struct info *info = arg;
    int r = CHANNELS_OK;
    probe_note(p, "info %s %s;", channels_channel_topic(ch), info->text);
    if (p->handle_info != NULL)
        r = p->handle_info(ch, info->text, p);
    free(info);
    return r;
}

static void on_terminate(channels_channel *ch, channels_reason why, void *user)
{
    probe *p = user;
    probe_note(p, "terminate %s %s;", channels_channel_topic(ch), probe_reason(why));
    if (p->terminate != NULL)
        p->terminate(ch, why, p);
}

static const char *const secrets[] = { "secret", NULL };
static const channels_handler room = { .assigns_size = 24,
                                       .intercept = secrets,
                                       .join = on_join,
                                       .joined = on_joined,
                                       .handle_in = on_in,
                                       .handle_out = on_out,
                                       .handle_broadcast = on_broadcast,
                                       .handle_info = on_info,
                                       .terminate = on_terminate };
static const channels_route routes[] = { { .pattern = "room:*", .handler = &room, .arg = "room" },
                                         { .pattern = NULL } };
const channels_socket_handler probe_handler = {
    .assigns_size = 40, .routes = routes, .connect = on_connect, .disconnect = on_disconnect
};
