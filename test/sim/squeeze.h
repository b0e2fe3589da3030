/* squeeze.h - the client's end of permessage-deflate, by zlib's functions alone (RFC 7692, 7.2). */
#ifndef SIM_SQUEEZE_H
#define SIM_SQUEEZE_H

#include <stddef.h>

/* A payload that stands for these bytes, with a window of so many bits (9 to 15); to be freed. */
char *sim_deflate(const void *bytes, size_t len, int bits, size_t *packed_len);
/* What a payload stands for, a NUL behind it, to be freed; NULL: nothing, for who has no larger
 * window than of so many bits. */
char *sim_inflate(const void *packed, size_t len, int bits, size_t *plain_len);

#endif
