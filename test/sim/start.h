/* start.h - channels/test.h with the allocator that finds mistakes, also while malloc fails. */
#ifndef SIM_START_H
#define SIM_START_H

#include <channels/pubsub.h>
#include <channels/test.h>

#include "sim/memory.h"

/* channels_test_start() with that memory and what else is in `config`, which may be NULL. Logs
 * warnings and errors, unless a level or a function is set. */
int sim_start(channels_test *t, sim_memory *memory, const channels_config *config);

/* channels_test_quoted(), from the memory of the tests. */
char *sim_quoted(const char *text);

#endif
