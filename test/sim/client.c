/* client.c - see client.h. */
#include "sim/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What the endpoint asks of its host --------------------------------------------------- */

static void *host_realloc(void *user, void *p, size_t old_size, size_t new_size)
{
    sim_host *host = user;
    return sim_memory_realloc(&host->memory, p, old_size, new_size);
}

static uint64_t host_now(void *user)
{
    sim_host *host = user;
    return host->now;
}

/* xorshift64*: not secret, but the same each time. */
static int host_random(void *user, void *dst, size_t len)
{
    sim_host *host = user;
    unsigned char *bytes = dst;
    for (size_t i = 0; i < len; i++) {
        host->random ^= host->random >> 12;
        host->random ^= host->random << 25;
        host->random ^= host->random >> 27;
        bytes[i] = (unsigned char)((host->random * UINT64_C(0x2545f4914f6cdd1d)) >> 56);
    }
    return 0;
}

static void host_log(void *user, channels_log_level level, const char *text)
{
    sim_host *host = user;
    host->logged++;
    host->level = level;
    snprintf(host->log, sizeof host->log, "%s", text);
    if (getenv("SIM_LOG") != NULL)
        fprintf(stderr, "# %s\n", text);
}

int sim_start_with(sim_host *host, const channels_config *given)
{
    channels_config config = { 0 };
    if (given != NULL)
        config = *given;
    if (config.user == NULL)
        config.user = host;
    if (config.realloc == NULL)
        config.realloc = host_realloc;
    if (config.now_ms == NULL)
        config.now_ms = host_now;
    if (config.random == NULL)
        config.random = host_random;
    if (config.log == NULL && config.log_level == CHANNELS_LOG_DEFAULT)
        config.log_level = CHANNELS_LOG_WARNING;
    if (config.log == NULL)
        config.log = host_log;
    if (host->random == 0)
        host->random = 1;
    return channels_endpoint_new(&host->ep, &config);
}

int sim_start(sim_host *host)
{
    return sim_start_with(host, NULL);
}

void sim_wait(sim_host *host, uint64_t ms)
{
    host->now += ms;
    channels_endpoint_run(host->ep);
}

/* --- The transport ------------------------------------------------------------------------ */

static int client_send(void *carrier, channels_buf *wire, channels_kind kind)
{
    sim_client *c = carrier;
    size_t len;
    const void *data = channels_buf_data(wire, &len);
    if (c->broken < 0)
        return c->broken;
    sim_message *m = sim_alloc(sizeof *m + len + 1);
    m->next = NULL;
    m->kind = kind;
    m->len = len;
    memcpy(m->bytes, data, len);
    m->bytes[len] = '\0';
    *c->last = m;
    c->last = &m->next;
    c->waiting++;
    return 0;
}

static void client_close(void *carrier, int code)
{
    sim_client *c = carrier;
    c->closed++;
    c->code = code;
}

static void client_accept(void *carrier)
{
    sim_client *c = carrier;
    c->accepted++;
}

static void client_refuse(void *carrier, const channels_response *r)
{
    sim_client *c = carrier;
    c->refused++;
    c->status = r->status;
    snprintf(c->body, sizeof c->body, "%.*s", (int)r->body_len,
             r->body_len != 0 ? (const char *)r->body : "");
}

static const channels_transport transport = { .name = "websocket",
                                              .send = client_send,
                                              .close = client_close,
                                              .accept = client_accept,
                                              .refuse = client_refuse };

/* --- Clients ------------------------------------------------------------------------------ */

char *sim_quoted(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = sim_alloc(size);
    for (size_t i = 0; i < size; i++)
        copy[i] = text[i] == '\'' ? '"' : text[i];
    return copy;
}

int sim_say_bytes(sim_client *c, channels_kind kind, const void *data, size_t len)
{
    char *copy = sim_alloc(len != 0 ? len : 1); /* no byte more, for who looks beyond its end */
    channels_payload message = { kind, copy, len };
    if (len != 0)
        memcpy(copy, data, len);
    int err = channels_socket_receive(c->socket, message);
    free(copy);
    return err;
}

int sim_say(sim_client *c, const char *text)
{
    char *quoted = sim_quoted(text);
    int err = sim_say_bytes(c, CHANNELS_JSON, quoted, strlen(quoted));
    free(quoted);
    return err;
}

static char *shown(const sim_message *m)
{
    char *text = sim_alloc(3 * m->len + 3), *at = text;
    *at++ = '<';
    for (size_t i = 0; i < m->len; i++) {
        unsigned char b = (unsigned char)m->bytes[i];
        if (b >= 0x20 && b < 0x7f)
            *at++ = (char)b;
        else
            at += sprintf(at, "\\%02x", b);
    }
    strcpy(at, ">");
    return text;
}

static sim_message *shift(sim_client *c)
{
    sim_message *m = c->first;
    c->first = m->next;
    if (c->first == NULL)
        c->last = &c->first;
    c->waiting--;
    return m;
}

static char *text_of(const sim_message *m)
{
    char *text = sim_alloc(m->len + 1);
    memcpy(text, m->bytes, m->len + 1);
    for (char *p = text; (p = strchr(p, '"')) != NULL;)
        *p = '\'';
    return text;
}

const char *sim_hear(sim_client *c)
{
    free(c->heard);
    c->heard = NULL;
    if (c->first == NULL)
        return NULL;
    sim_message *m = shift(c);
    c->heard = m->kind == CHANNELS_BINARY ? shown(m) : text_of(m);
    if (c->socket != NULL)
        channels_socket_sent(c->socket, m->len);
    free(m);
    return c->heard;
}

void sim_hang_up(sim_client *c)
{
    channels_socket *s = c->socket;
    c->socket = NULL;
    if (s != NULL)
        channels_socket_closed(s);
}

/* One that was in use before is so no longer. */
static void forget(sim_host *host, sim_client *c)
{
    sim_client **at = &host->clients;
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = c->next;
    sim_hang_up(c);
    while (sim_hear(c) != NULL)
        ;
}

int sim_connect_request(sim_client *c, sim_host *host, const channels_request *req)
{
    forget(host, c);
    memset(c, 0, sizeof *c);
    c->host = host;
    c->last = &c->first;
    c->next = host->clients;
    host->clients = c;
    c->opened = channels_socket_open(host->ep, req, &transport, c, &c->socket);
    return c->opened;
}

int sim_connect(sim_client *c, sim_host *host, const char *target)
{
    char path[256];
    const char *query = strchr(target, '?');
    size_t n = query != NULL ? (size_t)(query - target) : strlen(target);
    snprintf(path, sizeof path, "%.*s", (int)n, target);
    channels_request req = { .method = "GET",
                             .path = path,
                             .query = query != NULL ? query + 1 : "",
                             .peer = "192.0.2.1:4711" };
    return sim_connect_request(c, host, &req);
}

size_t sim_stop(sim_host *host)
{
    channels_endpoint_free(host->ep);
    host->ep = NULL;
    while (host->clients != NULL) {
        host->clients->socket = NULL; /* the endpoint has freed it */
        forget(host, host->clients);
    }
    return host->memory.blocks;
}
