/* version.h - versions and what may be required of them, as Elixir's Version reads both. */
#ifndef CHANNELS_WIRE_VERSION_H
#define CHANNELS_WIRE_VERSION_H

#include <stdbool.h>

/* "~> 2.0.0", ">= 1.0.0 and < 3.0.0", "== 2.0.0 or ~> 3.1": can be read. */
bool channels__requirement_valid(const char *requirement);
/* `version` is one and meets it; a valid requirement. */
bool channels__version_meets(const char *version, const char *requirement);

#endif
