/* input.c - what is accepted of what others sent. */
#include <string.h>

#include "chat.h"

const char *string_in(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

int64_t id_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < 9e15))
        return -1;
    return (int64_t)item->valuedouble;
}

bool is_text(const char *text, size_t max)
{
    size_t characters = 0;
    bool visible = false;
    if (text == NULL)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if ((*c < ' ' && *c != '\n') || *c == 127)
            return false;
        visible |= *c > ' ';
        characters += (*c & 0xc0) != 0x80; /* the other bytes of a character look so */
    }
    return visible && characters <= max;
}

bool is_line(const char *text, size_t max)
{
    return is_text(text, max) && strchr(text, '\n') == NULL;
}
