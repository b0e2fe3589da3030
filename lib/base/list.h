/* list.h - an intrusive, circular, doubly linked list: O(1) in, out and move; no allocation.
 * A node that is in no list points to itself. */
#ifndef CHANNELS_BASE_LIST_H
#define CHANNELS_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct channels__list {
    struct channels__list *prev, *next;
} channels__list;

/* The struct that holds `node` as its member. */
#define CHANNELS__OF(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void channels__list_init(channels__list *node)
{
    node->prev = node->next = node;
}
static inline bool channels__list_empty(const channels__list *head)
{
    return head->next == head;
}
static inline void channels__list_remove(channels__list *node) /* from whatever list it is in */
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    channels__list_init(node);
}
static inline void channels__list_append(channels__list *head, channels__list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
/* The first node, taken out; NULL if there is none. */
static inline channels__list *channels__list_shift(channels__list *head)
{
    channels__list *node = head->next;
    if (node == head)
        return NULL;
    channels__list_remove(node);
    return node;
}

#endif
