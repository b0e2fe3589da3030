/* start.c - see start.h. */
#include "sim/start.h"

int sim_start(channels_test *t, sim_memory *memory, const channels_config *given)
{
    channels_config config = { 0 };
    if (given != NULL)
        config = *given;
    config.realloc = sim_memory_realloc;
    config.hooks = memory;
    if (config.log == NULL && config.log_level == CHANNELS_LOG_DEFAULT)
        config.log_level = CHANNELS_LOG_WARNING;
    return channels_test_start(t, &config);
}

char *sim_quoted(const char *text)
{
    sim_memory_private = true;
    char *quoted = channels_test_quoted(text);
    sim_memory_private = false;
    return quoted;
}
