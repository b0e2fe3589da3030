/* peer.c - a client's stream: bytes in and out, at once or at the end of the turn. See limit.h. */
#define _GNU_SOURCE /* accept4() */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/limit/limit.h"

#define QUEUE_MAX (8u << 20) /* who reads as slowly as this is closed */
#define PIECES 64            /* frames in one writev() */

int limit_epoll;
static peers dirty, graves;
static uint8_t bytes[READ_BYTES + 1];

void peers_add(peers *all, peer *p)
{
    if (all->len == all->cap) {
        all->cap = all->cap != 0 ? 2 * all->cap : 64;
        all->list = limit_resize(all->list, all->cap * sizeof *all->list);
    }
    all->list[all->len++] = p;
}

static void watch(peer *p, int operation, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = p };
    epoll_ctl(limit_epoll, operation, p->fd, &e);
}

/* --- Its life ------------------------------------------------------------------------------- */

void peer_accept(int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    while (fd >= 0) {
        peer *p = limit_resize(NULL, sizeof *p);
        *p = (peer){ .fd = fd };
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(p, EPOLL_CTL_ADD, EPOLLIN);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
}

void peer_kill(peer *p)
{
    if (!p->dead)
        peers_add(&graves, p);
    p->dead = true;
}

static void forget_held(peer *p)
{
    for (uint32_t i = 0; i < p->held_len; i++)
        if (--p->held[i]->refs == 0)
            free(p->held[i]);
    p->held_len = 0;
}

static void peer_free(peer *p)
{
    topic_leave(p);
    forget_held(p);
    close(p->fd);
    free(p->held);
    free(p->in);
    free(p->out);
    free(p);
}

/* --- Out ------------------------------------------------------------------------------------ */

static void want_out(peer *p, bool on)
{
    if (p->wants_out != on)
        watch(p, EPOLL_CTL_MOD, on ? EPOLLIN | EPOLLOUT : EPOLLIN);
    p->wants_out = on;
}

static void enqueue(peer *p, const uint8_t *from, size_t n)
{
    if (p->out_len + n > QUEUE_MAX) {
        peer_kill(p);
        return;
    }
    if (p->out_len + n > p->out_cap) {
        p->out_cap = 2 * (uint32_t)(p->out_len + n);
        p->out = limit_resize(p->out, p->out_cap);
    }
    memcpy(p->out + p->out_len, from, n);
    p->out_len += (uint32_t)n;
    want_out(p, true);
}

/* How much of it went; a stream that is broken takes all. */
static size_t taken(peer *p, ssize_t result)
{
    if (result >= 0)
        return (size_t)result;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    peer_kill(p);
    return SIZE_MAX;
}

void peer_send(peer *p, const uint8_t *from, size_t n)
{
    if (p->dead)
        return;
    size_t went = p->out_len != 0 ? 0 : taken(p, send(p->fd, from, n, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (went < n)
        enqueue(p, from + went, n - went);
}

static void drain(peer *p)
{
    while (p->out_len != 0) {
        size_t n = taken(p, send(p->fd, p->out, p->out_len, MSG_NOSIGNAL | MSG_DONTWAIT));
        if (n == 0 || n == SIZE_MAX)
            return;
        p->out_len -= (uint32_t)n;
        memmove(p->out, p->out + n, p->out_len);
    }
    free(p->out);
    p->out = NULL;
    p->out_cap = 0;
    want_out(p, false);
}

void peer_hold(peer *p, shared_frame *f)
{
    if (p->held_len == p->held_cap) {
        p->held_cap = p->held_cap != 0 ? 2 * p->held_cap : 4;
        p->held = limit_resize(p->held, p->held_cap * sizeof *p->held);
    }
    p->held[p->held_len++] = f;
    f->refs++;
    if (!p->dirty)
        peers_add(&dirty, p);
    p->dirty = true;
}

static void send_together(peer *p, shared_frame **frames, uint32_t n)
{
    struct iovec pieces[PIECES];
    for (uint32_t i = 0; i < n; i++)
        pieces[i] = (struct iovec){ frames[i]->data, frames[i]->len };
    size_t went = p->out_len != 0 ? 0 : taken(p, writev(p->fd, pieces, (int)n));
    for (uint32_t i = 0; i < n && !p->dead; i++) {
        size_t skip = went < frames[i]->len ? went : frames[i]->len;
        if (skip < frames[i]->len)
            enqueue(p, frames[i]->data + skip, frames[i]->len - skip);
        went -= skip;
    }
}

void peer_flush(peer *p)
{
    p->dirty = false;
    for (uint32_t i = 0, n; i < p->held_len && !p->dead; i += n) {
        n = p->held_len - i < PIECES ? p->held_len - i : PIECES;
        if (n == 1)
            peer_send(p, p->held[i]->data, p->held[i]->len);
        else
            send_together(p, p->held + i, n);
    }
    forget_held(p);
}

void peers_end_turn(void)
{
    for (uint32_t i = 0; i < dirty.len; i++)
        peer_flush(dirty.list[i]);
    dirty.len = 0;
    for (uint32_t i = 0; i < graves.len; i++)
        peer_free(graves.list[i]);
    graves.len = 0;
}

/* --- In ------------------------------------------------------------------------------------- */

static void keep_rest(peer *p, const uint8_t *rest, size_t n)
{
    if (n == 0) {
        free(p->in);
        p->in = NULL;
    } else {
        p->in = limit_resize(p->in, n);
        memcpy(p->in, rest, n);
    }
    p->in_len = (uint32_t)n;
    if (n == READ_BYTES)
        peer_kill(p);
}

static void peer_read(peer *p)
{
    uint32_t had = p->in_len;
    if (had != 0)
        memcpy(bytes, p->in, had);
    ssize_t r = recv(p->fd, bytes + had, READ_BYTES - had, MSG_DONTWAIT);
    if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
        peer_kill(p);
    if (r <= 0)
        return;
    size_t n = had + (size_t)r, used = protocol_read(p, bytes, n);
    keep_rest(p, bytes + used, n - used);
}

void peer_on_event(peer *p, uint32_t events)
{
    if (!p->dead && (events & EPOLLOUT) != 0)
        drain(p);
    if (!p->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        peer_read(p);
}
