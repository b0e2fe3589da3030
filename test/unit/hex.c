/* hex.c - see hex.h. */
#include "unit/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

unsigned char *hex_bytes(const char *text, size_t *n)
{
    *n = strlen(text) / 2;
    unsigned char *bytes = malloc(*n != 0 ? *n : 1);
    for (size_t i = 0; bytes != NULL && i < *n; i++) {
        int high = channels__hex_digit(text[2 * i]), low = channels__hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            fprintf(stderr, "hex_bytes: %s\n", text);
            exit(EXIT_FAILURE);
        }
        bytes[i] = (unsigned char)(high * 16 + low);
    }
    return bytes;
}
