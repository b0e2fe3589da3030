/* mailbox.h - work posted by any thread for the endpoint's: a lock-free stack that is taken whole
 * and turned round. Nodes cross threads, so they come from plain malloc and free. */
#ifndef CHANNELS_BASE_MAILBOX_H
#define CHANNELS_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct channels__letter {
    struct channels__letter *next;
    void (*run)(void *self, struct channels__letter *letter);  /* frees it */
    void (*drop)(struct channels__letter *letter);             /* frees it instead */
} channels__letter;

typedef struct channels__mailbox {
    _Atomic(channels__letter *) top;
} channels__mailbox;

/* ANY THREAD. From `first`, the newest, to `last`, the oldest. True if it was empty: the owner has
 * to be woken. */
static inline bool channels__mailbox_post_all(channels__mailbox *box, channels__letter *first,
                                              channels__letter *last)
{
    channels__letter *top = atomic_load_explicit(&box->top, memory_order_relaxed);
    do {
        last->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&box->top, &top, first, memory_order_release,
                                                    memory_order_relaxed));
    return top == NULL;
}

static inline bool channels__mailbox_post(channels__mailbox *box, channels__letter *letter)
{
    return channels__mailbox_post_all(box, letter, letter);
}

static inline bool channels__mailbox_empty(const channels__mailbox *box)
{
    return atomic_load_explicit(&box->top, memory_order_relaxed) == NULL;
}

/* The owner: all letters, newest first. */
static inline channels__letter *channels__mailbox_grab(channels__mailbox *box)
{
    return atomic_exchange_explicit(&box->top, NULL, memory_order_acquire);
}

/* The same, oldest first. */
static inline channels__letter *channels__mailbox_take(channels__mailbox *box)
{
    channels__letter *in = channels__mailbox_grab(box);
    channels__letter *out = NULL;
    while (in != NULL) {
        channels__letter *next = in->next;
        in->next = out;
        out = in;
        in = next;
    }
    return out;
}

#endif
