/* poller.c - see poller.h. */
#include "sim/poller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static void respond(void *arg, const channels_response *r)
{
    sim_ask *a = arg;
    size_t used = 0;
    a->answers++;
    a->status = r->status;
    for (size_t i = 0; i < r->nheaders; i++)
        used += (size_t)snprintf(a->head + used, sizeof a->head - used, "%s: %s\n",
                                 r->headers[i].name, r->headers[i].value);
    a->len = r->body_len < sizeof a->body ? r->body_len : sizeof a->body - 1;
    if (a->len != 0)
        memcpy(a->body, r->body, a->len);
    a->body[a->len] = '\0';
    if (a->at_once != SIM_LATER)
        channels_longpoll_done(a->host->ep, a->ref, a->at_once == SIM_SENT);
}

/* Cuts "name: value\n..." into headers: how many. */
static size_t cut(char *text, channels_header *headers, size_t max)
{
    size_t n = 0;
    for (char *line = text; line != NULL && *line != '\0' && n < max; n++) {
        char *end = strchr(line, '\n'), *colon = strchr(line, ':');
        *colon = '\0';
        headers[n].name = line;
        headers[n].value = colon + 2;
        line = end != NULL ? end + 1 : NULL;
        if (end != NULL)
            *end = '\0';
    }
    return n;
}

int sim_ask_for(sim_ask *a, channels_test *host, const char *method, const char *target,
                const char *headers, const void *body, size_t len)
{
    char path[2048], lines[2048];
    channels_header list[8];
    snprintf(path, sizeof path, "%s", target);
    snprintf(lines, sizeof lines, "%s", headers != NULL ? headers : "");
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    channels_request req = { .method = method,
                             .path = path,
                             .query = query != NULL ? query : "",
                             .headers = list,
                             .nheaders = cut(lines, list, 8),
                             .body = body,
                             .body_len = len };
    a->host = host;
    a->answers = 0;
    a->status = 0;
    a->head[0] = a->body[0] = a->token[0] = '\0';
    a->result = channels_longpoll_request(host->ep, &req, respond, a, &a->ref);
    return a->result;
}

int sim_ask_text(sim_ask *a, channels_test *host, const char *method, const char *target,
                 const char *headers, const char *body)
{
    char *text = body != NULL ? sim_quoted(body) : NULL;
    int r = sim_ask_for(a, host, method, target, headers, text, text != NULL ? strlen(text) : 0);
    free(text);
    return r;
}

void sim_answer_show(const char *body, size_t len, char *dst, size_t cap, char token[SIM_TOKEN])
{
    cJSON *json = cJSON_ParseWithLength(body, len), *message;
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(json, "status");
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(json, "token");
    size_t used = 0;
    if (cJSON_IsNumber(status))
        used = (size_t)snprintf(dst, cap, "%d", status->valueint);
    else
        snprintf(dst, cap, "no status in %.*s", (int)len, body);
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(json, "messages")) if (used < cap)
        used += (size_t)snprintf(dst + used, cap - used, " %s", message->valuestring);
    for (char *p = dst; (p = strchr(p, '"')) != NULL;)
        *p = '\'';
    if (given != NULL)
        snprintf(token, SIM_TOKEN, "%s", given->valuestring);
    cJSON_Delete(json);
}

const char *sim_answer(sim_ask *a)
{
    if (a->answers == 0)
        return "(nothing)";
    if (a->status == 200 && a->len != 0)
        sim_answer_show(a->body, a->len, a->shown, sizeof a->shown, a->token);
    else
        snprintf(a->shown, sizeof a->shown, "HTTP %d%s%.1000s", a->status, a->len != 0 ? " " : "",
                 a->body);
    return a->shown;
}

void sim_answer_done(sim_ask *a, bool sent)
{
    channels_longpoll_done(a->host->ep, a->ref, sent);
}
