/* faulty.h - sim/memory.h for code that takes a channels__mem. */
#ifndef TEST_UNIT_FAULTY_H
#define TEST_UNIT_FAULTY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/memory.h"

typedef struct faulty {
    channels__mem mem; /* what to hand to the code under test */
    sim_memory memory;
} faulty;

void faulty_init(faulty *f);

/* Runs `body` as it is, then again with each of its allocations failing: once, and from then on.
 * `body` returns whether it had all the memory it asked for, and gives everything back. */
void faulty_run(bool (*body)(faulty *f));

#endif
