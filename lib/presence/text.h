/* text.h - keys and metas as JSON text. */
#ifndef CHANNELS_PRESENCE_TEXT_H
#define CHANNELS_PRESENCE_TEXT_H

#include "base/mem.h"
#include "presence/state.h"
#include "wire/json.h"

/* What surrounds a meta in messages that clients and hosts get is nested so deep. */
#define CHANNELS__META_NESTING (CHANNELS__JSON_NESTING - 8)

/* Every object of JavaScript has a member of this name, or makes one of it what it should not be: a
 * client that keeps its list in such an object would take it for a presence. */
bool channels__key_risky(channels__str key);

/* A checked JSON object without members "phx_ref" and "phx_ref_prev"; what stays is as it was, byte
 * for byte. In *out, of as many bytes as `json`, which it fits into. */
size_t channels__meta_strip(channels__str json, char *out);

#define CHANNELS__PHX_REF 16 /* characters */

/* What names the change `clock` of one incarnation, other than any other change of any: 96 bits in
 * the alphabet of URLs. No NUL. */
void channels__phx_ref(uint64_t incarnation, uint64_t clock, char out[CHANNELS__PHX_REF]);

/* A meta as clients see it, with phx_ref and, after an update, phx_ref_prev: its length, and
 * writing it. Behind what was written. */
size_t channels__meta_len(const channels__meta *meta);
char *channels__meta_write(const channels__meta *meta, char *dst);

/* The members of a checked JSON object without its braces and the white space beside them. */
channels__str channels__members(channels__str json);
/* It has a member of that name, however it is spelt; at most 16 bytes. */
bool channels__has_member(channels__str json, const char *name);

#endif
