/* text.c - see text.h. */
#include "presence/text.h"

#include "base/bytes.h"
#include "base/crypto.h"

/* --- Keys --------------------------------------------------------------------------------- */

#define NAME(text) { text, sizeof text - 1 }

bool channels__key_risky(channels__str key)
{
    static const channels__str names[] = {
        NAME("__proto__"),        NAME("constructor"),
        NAME("toString"),         NAME("toLocaleString"),
        NAME("valueOf"),          NAME("hasOwnProperty"),
        NAME("isPrototypeOf"),    NAME("propertyIsEnumerable"),
        NAME("__defineGetter__"), NAME("__defineSetter__"),
        NAME("__lookupGetter__"), NAME("__lookupSetter__"),
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (channels__str_eq(key, names[i]))
            return true;
    return false;
}

/* --- Members ------------------------------------------------------------------------------ */

/* Behind the { of a checked object: its next member, or false. */
static bool next_member(channels__json *j, channels__str *key, channels__str *value)
{
    channels__json_char(j, ',');
    if (channels__json_char(j, '}'))
        return false;
    return channels__json_value(j, key) && channels__json_char(j, ':') &&
           channels__json_value(j, value);
}

static channels__json members_of(channels__str json)
{
    channels__json j = { json.p, json.p + json.n, CHANNELS__JSON_NESTING };
    channels__json_char(&j, '{');
    return j;
}

/* `key` as it stands in JSON: each character of it may have been escaped. */
static bool is_named(channels__str key, const char *name)
{
    char text[6 * 16 + 2];
    if (key.n > sizeof text)
        return false;
    return channels__str_is(channels__str_n(text, channels__json_unescape(key, text)), name);
}

bool channels__has_member(channels__str json, const char *name)
{
    channels__str key, value;
    for (channels__json j = members_of(json); next_member(&j, &key, &value);)
        if (is_named(key, name))
            return true;
    return false;
}

size_t channels__meta_strip(channels__str json, char *out)
{
    channels__str key, value;
    char *at = out;
    *at++ = '{';
    for (channels__json j = members_of(json); next_member(&j, &key, &value);) {
        size_t n = (size_t)(value.p + value.n - key.p);
        if (is_named(key, "phx_ref") || is_named(key, "phx_ref_prev"))
            continue;
        if (at != out + 1)
            *at++ = ',';
        memcpy(at, key.p, n);
        at += n;
    }
    *at++ = '}';
    return (size_t)(at - out);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

channels__str channels__members(channels__str json)
{
    const char *p = json.p, *end = json.p + json.n;
    while (*p++ != '{')
        ;
    while (*--end != '}')
        ;
    while (p != end && is_space(*p))
        p++;
    while (p != end && is_space(end[-1]))
        end--;
    return channels__str_n(p, (size_t)(end - p));
}

/* --- Metas -------------------------------------------------------------------------------- */

/* 40 bits of clock last for 30 years of 1000 changes a second; those above them go into the
 * incarnation's, so that even then all of one incarnation differ. */
void channels__phx_ref(uint64_t incarnation, uint64_t clock, char out[CHANNELS__PHX_REF])
{
    unsigned char bytes[12];
    char text[CHANNELS__BASE64_SIZE(sizeof bytes)];
    uint64_t life = incarnation ^ clock >> 40;
    for (int i = 0; i < 7; i++, life >>= 8)
        bytes[i] = (unsigned char)life;
    for (int i = 7; i < 12; i++, clock >>= 8)
        bytes[i] = (unsigned char)clock;
    channels__base64url_encode(bytes, sizeof bytes, text);
    memcpy(out, text, CHANNELS__PHX_REF);
}

#define REF "\"phx_ref\":\""
#define PREV "\",\"phx_ref_prev\":\""

size_t channels__meta_len(const channels__meta *meta)
{
    size_t n = channels__members(meta->json).n;
    return 1 + n + (n != 0) + sizeof REF - 1 + CHANNELS__PHX_REF +
           (meta->prev != 0 ? sizeof PREV - 1 + CHANNELS__PHX_REF : 0) + 2;
}

char *channels__meta_write(const channels__meta *meta, char *dst)
{
    channels__str members = channels__members(meta->json);
    *dst++ = '{';
    dst = channels__put(dst, members.p, members.n);
    if (members.n != 0)
        *dst++ = ',';
    dst = channels__put(dst, REF, sizeof REF - 1);
    channels__phx_ref(meta->incarnation, meta->clock, dst);
    dst += CHANNELS__PHX_REF;
    if (meta->prev != 0) {
        dst = channels__put(dst, PREV, sizeof PREV - 1);
        channels__phx_ref(meta->incarnation, meta->prev, dst);
        dst += CHANNELS__PHX_REF;
    }
    return channels__put(dst, "\"}", 2);
}
