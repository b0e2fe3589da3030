/* link.c - one connection to Redis: commands out, answers in. */
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels/adapters/tcp.h"
#include "redis/redis.h"

#define READ_SIZE 16384  /* bytes that hiredis reads at once */
#define KEPT_SIZE 262144 /* of hiredis' buffer; a larger one is given back when it is empty */
#define MAX_ELEMENTS 4   /* of an array that is for us */

static bool why_errno(channels_redis *redis, int error)
{
    char text[128];
    if (strerror_r(error, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", error);
    return channels__redis_why(redis, "%s", text);
}

static bool why_hiredis(channels__redis_link *link)
{
    const redisContext *context = link->context;
    const char *words =
        context->err == REDIS_ERR_EOF ? "Redis has closed the connection" : context->errstr;
    return link->tls != NULL && (context->err == REDIS_ERR_IO || context->err == REDIS_ERR_EOF)
               ? channels__redis_tls_why(link, words)
               : channels__redis_why(link->redis, "%s", words);
}

/* --- hiredis on the connection -------------------------------------------------------------- */

static int write_out(redisContext *context)
{
    return redisBufferWrite(context, NULL); /* 0.14 cannot say more when memory has run out */
}

/* Reads or writes. Within TLS each may do both; hiredis takes an old error of OpenSSL's for one of
 * its own, and leaves its own behind. */
static bool transfer(channels__redis_link *link, int (*way)(redisContext *context))
{
    channels__sigpipe sigpipe;
    channels__sigpipe_hold(&sigpipe);
    if (link->tls != NULL)
        ERR_clear_error();
    /* 1.0 fails without an error where the kernel takes no more. */
    bool ok = way(link->context) == REDIS_OK || link->context->err == 0 || why_hiredis(link);
    if (link->tls != NULL)
        ERR_clear_error();
    channels__sigpipe_release(&sigpipe);
    return ok;
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

static void prepare_reader(channels__redis_link *link)
{
    redisReader *reader = link->context->reader;
    link->functions = *reader->fn;
    link->create_array = link->functions.createArray;
    link->functions.createArray = create_array;
    reader->fn = &link->functions;
    reader->privdata = link;
    reader->maxbuf = 0; /* in the place of what shrink() does 0.14 asserts that memory is left */
    link->is_large = false;
}

/* Between two answers, gives a large buffer back. */
static bool shrink(channels__redis_link *link)
{
    redisReader *reader = link->context->reader, *other;
    if (reader->len > KEPT_SIZE)
        link->is_large = true;
    if (!link->is_large || reader->pos != reader->len || reader->ridx >= 0)
        return true;
    other = redisReaderCreate();
    if (other == NULL)
        return channels__redis_why(link->redis, "out of memory");
    redisReaderFree(reader);
    link->context->reader = other;
    prepare_reader(link);
    return true;
}

static bool answered(channels__redis_link *link, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        link->redis->refused = !channels__redis_moved(link->redis, reply->str);
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
    const redisContext *context = link->context;
    void *reply;
    while (redisGetReplyFromReader(link->context, &reply) == REDIS_OK) {
        if (reply == NULL)
            return shrink(link);
        bool ok = answered(link, reply);
        freeReplyObject(reply);
        if (!ok)
            return false;
    }
    if (context->err == REDIS_ERR_OOM) /* also by create_array() */
        return channels__redis_why(link->redis, "out of memory, or an answer beyond all bounds");
    return channels__redis_why(link->redis, "not an answer that Redis would give: %s",
                               context->errstr);
}

static bool read_once(channels__redis_link *link)
{
    size_t before = link->context->reader->len;
    if (!transfer(link, redisBufferRead))
        return false;
    link->to_read = CHANNELS_REDIS_READ;
    if (link->context->reader->len != before)
        link->heard = true;
    else if (link->tls != NULL && channels__redis_tls_wants(link) != 0)
        link->to_read = channels__redis_tls_wants(link);
    return true;
}

bool channels__redis_read(channels__redis_link *link)
{
    if (!read_once(link) || !take_answers(link))
        return false;
    /* The name of a Redis channel is within the message it carries, too. */
    const redisReader *reader = link->context->reader;
    return (reader->len - reader->pos) / 2 <= link->redis->options.max_message + READ_SIZE ||
           channels__redis_why(link->redis, "a message of more than %zu bytes (max_message)",
                               link->redis->options.max_message);
}

/* --- Writing commands ----------------------------------------------------------------------- */

size_t channels__redis_queued(const channels__redis_link *link)
{
    return link->context != NULL ? sdslen(link->context->obuf) : 0;
}

bool channels__redis_command(channels__redis_link *link, int argc, const char **argv,
                             const size_t *lens)
{
    redisContext *context = link->context;
    char *command;
    long long len = redisFormatCommandArgv(&command, argc, argv, lens);
    if (len < 0)
        return false;
    bool ok = redisAppendFormattedCommand(context, command, (size_t)len) == REDIS_OK;
    redisFreeCommand(command);
    if (!ok) {
        context->err = 0; /* what waited before is whole */
        context->errstr[0] = '\0';
    }
    return ok;
}

static bool write_once(channels__redis_link *link)
{
    size_t waits = channels__redis_queued(link);
    if (!transfer(link, write_out))
        return false;
    if (link->context->obuf == NULL) /* 0.14 */
        return channels__redis_why(link->redis, "out of memory");
    if (channels__redis_queued(link) == waits)
        link->to_write = link->tls != NULL ? channels__redis_tls_wants(link) : CHANNELS_REDIS_WRITE;
    return channels__redis_queued(link) != waits || link->to_write != 0 ||
           channels__redis_tls_why(link, "Redis has closed the connection");
}

bool channels__redis_can_write(const channels__redis_link *link)
{
    return channels__redis_queued(link) != 0 && link->connected && link->to_write == 0;
}

bool channels__redis_flush(channels__redis_link *link)
{
    while (channels__redis_can_write(link))
        if (!write_once(link))
            return false;
    return true;
}

static bool greet_with(channels__redis_link *link, int argc, const char **argv)
{
    link->greeted++;
    return channels__redis_command(link, argc, argv, NULL) ||
           channels__redis_why(link->redis, "out of memory");
}

static bool greet(channels__redis_link *link)
{
    const channels_redis_options *o = &link->redis->options;
    char number[16];
    snprintf(number, sizeof number, "%u", o->database);
    const char *select[] = { "SELECT", number };
    const char *auth[] = { "AUTH", o->username != NULL ? o->username : o->password, o->password };
    return (o->password == NULL || greet_with(link, o->username != NULL ? 3 : 2, auth)) &&
           (o->database == 0 || greet_with(link, 2, select));
}

/* --- The connection ------------------------------------------------------------------------- */

static bool begin(channels__redis_link *link, const struct addrinfo *to)
{
    int fd = socket(to->ai_family, to->ai_socktype, to->ai_protocol);
    if (fd < 0)
        return why_errno(link->redis, errno);
    link->context = redisConnectFd(fd);
    if (link->context == NULL) {
        close(fd);
        return channels__redis_why(link->redis, "out of memory");
    }
    link->context->flags &= ~REDIS_BLOCK;
    prepare_reader(link);
    int err = channels_tcp__prepare(fd);
    if (err != 0)
        return why_errno(link->redis, -err);
    link->to_read = CHANNELS_REDIS_READ;
    link->to_write = CHANNELS_REDIS_WRITE;
    return connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EINPROGRESS ||
           errno == EINTR || why_errno(link->redis, errno);
}

bool channels__redis_open(channels__redis_link *link, const struct addrinfo *to)
{
    bool ok = begin(link, to) && greet(link);
    if (ok)
        channels__redis_watch(link);
    else
        channels__redis_close(link);
    return ok;
}

void channels__redis_close(channels__redis_link *link)
{
    if (link->watched != 0 && link->redis->watch != NULL)
        link->redis->watch(link->redis->watch_arg, channels__redis_fd(link), 0);
    if (link->context != NULL)
        close(redisFreeKeepFd(link->context)); /* 0.14 would leave 0 open */
    link->context = NULL;
    link->tls = NULL;
    link->watched = link->greeted = 0;
    link->connected = link->heard = false;
}

int channels__redis_fd(const channels__redis_link *link)
{
    return link->context != NULL ? link->context->fd : -1;
}

static bool is_reached(channels__redis_link *link)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    return error == 0 || why_errno(link->redis, error);
}

static bool go_on_connecting(channels__redis_link *link)
{
    if (link->tls == NULL && !is_reached(link))
        return false;
    if (link->redis->options.tls)
        return channels__redis_tls_connect(link);
    link->connected = true;
    return true;
}

bool channels__redis_on_events(channels__redis_link *link, unsigned events)
{
    if ((events & link->to_write) != 0)
        link->to_write = 0;
    if (!link->connected && link->to_write == 0 && !go_on_connecting(link))
        return false;
    if (!link->connected)
        return true;
    if ((events & link->to_read) != 0 && !channels__redis_read(link))
        return false;
    return channels__redis_flush(link);
}

void channels__redis_watch(channels__redis_link *link)
{
    unsigned events = link->context == NULL ? 0 : link->to_read | link->to_write;
    if (events == link->watched || link->redis->watch == NULL)
        return;
    link->watched = events;
    link->redis->watch(link->redis->watch_arg, channels__redis_fd(link), events);
}
