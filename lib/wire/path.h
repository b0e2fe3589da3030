/* path.h - paths and patterns of paths: "/ws/:room/websocket", in which a segment ":name" stands
 * for any one. Paths are cut at '/', empty segments do not count and nothing is decoded (Phoenix
 * lib/phoenix/endpoint.ex, socket_path). */
#ifndef CHANNELS_WIRE_PATH_H
#define CHANNELS_WIRE_PATH_H

#include "base/str.h"

/* NULL, or in words why it can be no pattern. */
const char *channels__pattern_fault(const char *pattern);
bool channels__path_matches(const char *path, const char *pattern);
/* What stands in `path` where the pattern has ":name"; absent if it does not, and for names that
 * begin with _. */
channels__str channels__path_param(const char *path, const char *pattern, const char *name);
/* The first name in *pattern, which is left behind it, and its value in *path; false at the end. */
bool channels__path_next_param(const char **path, const char **pattern, channels__str *name,
                               channels__str *value);

#endif
