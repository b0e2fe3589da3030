/* log.h - a line for config.log in the making. Only begin one if channels__logs() wants it. */
#ifndef CHANNELS_CORE_LOG_H
#define CHANNELS_CORE_LOG_H

#include <stdarg.h>

#include "core/core.h"
#include "wire/filter.h"

typedef struct channels__line {
    size_t len;
    bool cut; /* more was added than there is room for */
    char text[1024];
} channels__line;

static inline void channels__line_begin(channels__line *line)
{
    line->len = 0;
    line->cut = false;
    line->text[0] = '\0';
}
void channels__line_add(channels__line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void channels__line_addv(channels__line *line, const char *format, va_list args);
/* A name that a client chose: a long one is cut, and ends in dots. */
void channels__line_add_name(channels__line *line, const char *name);
/* JSON through the filter, bytes as their number. */
void channels__line_add_payload(channels__line *line, const channels_endpoint *ep,
                                channels_payload p);
void channels__line_end(channels__line *line, channels_endpoint *ep, channels_log_level level);

#endif
