/* link.c - one connection to Redis: bytes out, answers in. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/adapters/tcp.h"
#include "redis/redis.h"

#define READ_SIZE 16384  /* bytes read at once; hiredis moves what it has not parsed often */
#define KEPT_SIZE 262144 /* of hiredis' buffer; a larger one is given back when it is empty */
#define MAX_ELEMENTS 4   /* of an array that is for us */

static bool why_errno(channels_redis *redis, int error)
{
    char text[128];
    if (strerror_r(error, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", error);
    return channels__redis_why(redis, "%s", text);
}

/* --- Reading answers ------------------------------------------------------------------------ */

/* A server that is not what it should be could have us make millions of elements, or nest them. */
static void *create_array(const redisReadTask *task, channels__redis_count elements)
{
    const channels__redis_link *link = task->privdata;
    if (task->parent != NULL || elements > MAX_ELEMENTS)
        return NULL;
    return link->create_array(task, elements);
}

static bool reader_new(channels__redis_link *link)
{
    redisReader *reader = redisReaderCreate();
    if (reader == NULL)
        return channels__redis_why(link->redis, "out of memory");
    link->functions = *reader->fn;
    link->create_array = link->functions.createArray;
    link->functions.createArray = create_array;
    reader->fn = &link->functions;
    reader->privdata = link;
    reader->maxbuf = 0; /* in the place of what shrink() does 0.14 asserts that memory is left */
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    link->reader = reader;
    link->is_large = false;
    return true;
}

static bool shrink(channels__redis_link *link)
{
    if (link->reader->len > KEPT_SIZE)
        link->is_large = true;
    return !link->is_large || link->reader->pos != link->reader->len || link->reader->ridx >= 0 ||
           reader_new(link);
}

static bool answered(channels__redis_link *link, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        link->redis->refused = true;
        return channels__redis_why(link->redis, "Redis refuses: %s", reply->str);
    }
    if (link->greeted == 0)
        return link->answer(link->redis, reply);
    link->greeted--;
    return reply->type == REDIS_REPLY_STATUS ||
           channels__redis_why(link->redis, "not an answer that Redis would give");
}

static bool take_answers(channels__redis_link *link)
{
    void *reply;
    while (redisReaderGetReply(link->reader, &reply) == REDIS_OK) {
        if (reply == NULL)
            return shrink(link);
        bool ok = answered(link, reply);
        freeReplyObject(reply);
        if (!ok)
            return false;
    }
    if (link->reader->err == REDIS_ERR_OOM) /* also by create_array() */
        return channels__redis_why(link->redis, "out of memory, or an answer beyond all bounds");
    return channels__redis_why(link->redis, "not an answer that Redis would give: %s",
                               link->reader->errstr);
}

static bool feed(channels__redis_link *link, const char *data, size_t len)
{
    redisReader *reader = link->reader;
    /* The name of a Redis channel is within the message it carries, too. */
    if ((reader->len - reader->pos + len) / 2 > link->redis->options.max_message + READ_SIZE)
        return channels__redis_why(link->redis, "a message of more than %zu bytes (max_message)",
                                   link->redis->options.max_message);
    if (redisReaderFeed(reader, data, len) != REDIS_OK)
        return channels__redis_why(link->redis, "%s", reader->errstr);
    return take_answers(link);
}

bool channels__redis_read(channels__redis_link *link)
{
    char data[READ_SIZE];
    ssize_t n;
    do {
        n = recv(link->fd, data, sizeof data, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || why_errno(link->redis, errno);
    if (n == 0)
        return channels__redis_why(link->redis, "Redis has closed the connection");
    link->heard = true;
    return feed(link, data, (size_t)n);
}

/* --- Writing commands ----------------------------------------------------------------------- */

bool channels__redis_flush(channels__redis_link *link)
{
    channels__redis_out *out = &link->out;
    while (out->len != 0 && link->connected && !link->blocked) {
        ssize_t n = send(link->fd, out->data + out->at, out->len, MSG_NOSIGNAL);
        if (n >= 0)
            channels__redis_sent(out, (size_t)n);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            link->blocked = true;
        else if (errno != EINTR)
            return why_errno(link->redis, errno);
    }
    return true;
}

static bool write_auth(channels__redis_link *link, const char *username, const char *password)
{
    size_t user = username != NULL ? strlen(username) : 0, pass = strlen(password);
    if (!channels__redis_command(&link->out, username != NULL ? 3 : 2, 4 + user + pass))
        return false;
    channels__redis_arg(&link->out, "AUTH", 4);
    if (username != NULL)
        channels__redis_arg(&link->out, username, user);
    channels__redis_arg(&link->out, password, pass);
    link->greeted++;
    return true;
}

static bool write_select(channels__redis_link *link, unsigned database)
{
    char number[16];
    size_t len = (size_t)snprintf(number, sizeof number, "%u", database);
    if (!channels__redis_command(&link->out, 2, 6 + len))
        return false;
    channels__redis_arg(&link->out, "SELECT", 6);
    channels__redis_arg(&link->out, number, len);
    link->greeted++;
    return true;
}

static bool greet(channels__redis_link *link)
{
    const channels_redis_options *o = &link->redis->options;
    return (o->password == NULL || write_auth(link, o->username, o->password)) &&
           (o->database == 0 || write_select(link, o->database));
}

/* --- The connection ------------------------------------------------------------------------- */

static bool begin(channels__redis_link *link, const struct addrinfo *to)
{
    link->fd = socket(to->ai_family, to->ai_socktype, to->ai_protocol);
    if (link->fd < 0)
        return why_errno(link->redis, errno);
    int err = channels_tcp__prepare(link->fd);
    if (err != 0)
        return why_errno(link->redis, -err);
    link->connected = connect(link->fd, to->ai_addr, to->ai_addrlen) == 0;
    return link->connected || errno == EINPROGRESS || errno == EINTR ||
           why_errno(link->redis, errno);
}

bool channels__redis_open(channels__redis_link *link, const struct addrinfo *to)
{
    bool ok = reader_new(link) && begin(link, to);
    if (ok && !greet(link))
        ok = channels__redis_why(link->redis, "out of memory");
    if (ok)
        channels__redis_watch(link);
    else
        channels__redis_close(link);
    return ok;
}

void channels__redis_close(channels__redis_link *link)
{
    if (link->watched != 0 && link->redis->watch != NULL)
        link->redis->watch(link->redis->watch_arg, link->fd, 0);
    if (link->fd >= 0)
        close(link->fd);
    if (link->reader != NULL)
        redisReaderFree(link->reader);
    channels__redis_out_free(&link->out);
    link->fd = -1;
    link->reader = NULL;
    link->watched = link->greeted = 0;
    link->connected = link->blocked = link->heard = false;
}

static bool finish_connecting(channels__redis_link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0)
        return why_errno(link->redis, error);
    link->connected = true;
    return true;
}

bool channels__redis_on_events(channels__redis_link *link, unsigned events)
{
    if (!link->connected && (events & CHANNELS_REDIS_WRITE) == 0)
        return true;
    if (!link->connected && !finish_connecting(link))
        return false;
    if ((events & CHANNELS_REDIS_WRITE) != 0)
        link->blocked = false;
    if ((events & CHANNELS_REDIS_READ) != 0 && !channels__redis_read(link))
        return false;
    return channels__redis_flush(link);
}

void channels__redis_watch(channels__redis_link *link)
{
    unsigned events = link->fd < 0 ? 0 : CHANNELS_REDIS_READ;
    if (link->fd >= 0 && (link->blocked || !link->connected))
        events |= CHANNELS_REDIS_WRITE;
    if (events == link->watched || link->redis->watch == NULL)
        return;
    link->watched = events;
    link->redis->watch(link->redis->watch_arg, link->fd, events);
}
