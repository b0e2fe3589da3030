/* faulty.h - an allocator that finds bugs: it checks the sizes it is told and the bytes around a
 * block, fills blocks with junk, moves them at every resize, and runs out of memory when asked. */
#ifndef TEST_UNIT_FAULTY_H
#define TEST_UNIT_FAULTY_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"

typedef struct faulty {
    channels__mem mem; /* what to hand to the code under test */
    size_t live;       /* blocks now */
    size_t calls;      /* blocks asked for so far */
    size_t fail_at;    /* the call to fail, from 1; 0: none */
    bool for_good;     /* and all later ones */
} faulty;

void faulty_init(faulty *f);

/* Runs `body` as it is, then again with each of its allocations failing: once, and from then on.
 * `body` returns whether it had all the memory it asked for, and gives everything back. */
void faulty_run(bool (*body)(faulty *f));

#endif
