/* page.c - the page, and what else is served by HTTP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <channels/stats.h>

#include "chat.h"

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

/* --- Who is there, for those who look from outside: GET /who?room=NAME ----------------------- */

struct asker {
    channels_endpoint *endpoint;
    channels_ref to;
};

static void respond_list(void *arg, channels_payload list)
{
    static const channels_header headers[] = { { "content-type", "application/json" },
                                               { "cache-control", "no-store" } };
    const struct asker *asker = arg;
    const channels_response response = {
        .status = list.data != NULL ? 200 : 500,
        .headers = headers,
        .nheaders = 2,
        .body = list.data,
        .body_len = list.len,
    };
    channels_respond(asker->endpoint, asker->to, &response);
}

static int serve_who(struct chat *chat, channels_ref to, const channels_request *req)
{
    struct asker asker = { chat->endpoint, to };
    char topic[sizeof "room:" + MAX_ROOM * 4] = "room:";
    const size_t before = strlen(topic);
    channels_request_param(req, "room", topic + before, sizeof topic - before);
    return channels_presence_list(chat->presence, topic, respond_list, &asker);
}

/* --- Requests for anything but the socket --------------------------------------------------- */

int serve_request(void *user, channels_ref to, const channels_request *req)
{
    if (strcmp(req->path, "/session") == 0 && strcmp(req->method, "POST") == 0)
        return give_token(user, to, req);
    if (strcmp(req->path, "/metrics") == 0)
        return serve_metrics(user, to);
    if (strcmp(req->path, "/who") == 0)
        return serve_who(user, to, req);
    return serve_file(user, to, req);
}
