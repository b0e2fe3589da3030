/* etf_json.h - an Erlang term as JSON text, for programs that know JSON and not Erlang. What
 * becomes of each type is told in <channels/token.h>. */
#ifndef CHANNELS_WIRE_ETF_JSON_H
#define CHANNELS_WIRE_ETF_JSON_H

#include "base/str.h"

/* The length of the text, or -1 if JSON cannot say it. `term` has been taken whole before. `dst`
 * may be NULL, to measure; the text has no NUL at its end. */
ptrdiff_t channels__etf_json(channels__str term, char *dst);

#endif
