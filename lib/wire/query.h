/* query.h - query strings, decoded and nested as Plug.Conn.Query does: a[b]=c, l[]=x, last one
 * wins; parameters of the path win over all of them. cJSON trees, because only who asks for
 * parameters gets any. Implements the public channels_request_param() and
 * channels_request_params(). */
#ifndef CHANNELS_WIRE_QUERY_H
#define CHANNELS_WIRE_QUERY_H

#include "channels/channels.h"

/* What it decodes to is UTF-8 without NUL (which a cJSON string cannot hold), and no key has more
 * than 100 brackets: if not, the request is answered 400. A % that begins no %XX stands for itself. */
bool channels__query_valid(const char *query);
/* What channels_request_param() does, of a request whose query is known to be valid. */
int channels__param(const channels_request *req, const char *name, char *dst, size_t cap);
/* What the parameter of that name comes to is no text but something nested. */
bool channels__param_nests(const channels_request *req, const char *name);

#endif
