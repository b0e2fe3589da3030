/* hex.h - bytes written as hexadecimal text, as test vectors have them. */
#ifndef TEST_UNIT_HEX_H
#define TEST_UNIT_HEX_H

#include <stddef.h>

/* The bytes in a block of exactly their number, so that a sanitizer sees whoever reads beyond them;
 * to be freed. Ends the program if `text` is no such text. */
unsigned char *hex_bytes(const char *text, size_t *n);

#endif
