/* log.c - one line for each thing worth telling: bounded, without a newline, cut truthfully. */
#include <stdarg.h>
#include <stdio.h>

#include "core/core.h"
#include "core/log.h"

#define MAX_NAME 200 /* bytes */

static const char dots[] = "...";

/* So many bytes of `text`, or fewer: not within a character. */
static size_t whole(const char *text, size_t n)
{
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    return n;
}

void channels__line_addv(channels__line *line, const char *format, va_list args)
{
    size_t room = sizeof line->text - line->len;
    int n = vsnprintf(line->text + line->len, room, format, args);
    if (n < 0)
        return;
    line->cut |= (size_t)n >= room;
    line->len += (size_t)n < room ? (size_t)n : room - 1;
}

void channels__line_add(channels__line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    channels__line_addv(line, format, args);
    va_end(args);
}

void channels__line_add_name(channels__line *line, const char *name)
{
    bool fits = strlen(name) <= MAX_NAME;
    channels__line_add(line, "%.*s%s", (int)(fits ? strlen(name) : whole(name, MAX_NAME)), name,
                       fits ? "" : dots);
}

void channels__line_add_payload(channels__line *line, const channels_endpoint *ep,
                                channels_payload p)
{
    const channels__filter filter = { ep->config.log_filter, ep->config.log_keep };
    bool cut;
    if (p.kind != CHANNELS_JSON) {
        channels__line_add(line, "<<%zu bytes>>", p.len);
        return;
    }
    line->len +=
        channels__filter_json(&filter, channels__str_n(p.data, p.len), line->text + line->len,
                              sizeof line->text - 1 - line->len, &cut);
    line->cut |= cut;
    line->text[line->len] = '\0';
}

static void mark_cut(channels__line *line)
{
    size_t n = sizeof line->text - sizeof dots;
    memcpy(line->text + whole(line->text, n < line->len ? n : line->len), dots, sizeof dots);
}

/* Peers' names may hold anything: control characters, those of two bytes (U+0080 to U+009F) too,
 * would speak to the terminal that shows the log. */
static void disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
        else if (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)
            p[0] = p[1] = ' ';
    }
}

void channels__line_end(channels__line *line, channels_endpoint *ep, channels_log_level level)
{
    if (line->cut)
        mark_cut(line);
    disarm(line->text);
    ep->config.log(ep->config.hooks, level, line->text);
}

void channels__log(channels_endpoint *ep, channels_log_level level, const char *format, ...)
{
    channels__line line;
    va_list args;
    if (!channels__logs(ep, level))
        return;
    channels__line_begin(&line);
    va_start(args, format);
    channels__line_addv(&line, format, args);
    va_end(args);
    channels__line_end(&line, ep, level);
}
