/* fuzz.h - what the fuzz targets share.
 *
 * Each other file here but replay.c is a target: it takes any bytes, gives them to one part of the
 * library and ends the program if that breaks a promise. replay.c runs the corpus and what it makes
 * of it, for `make check`; with libFuzzer (`make fuzz`) each target is a program of its own. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(promise) \
    do { \
        if (!(promise)) { \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
            abort(); \
        } \
    } while (0)

/* A number that follows from those before. */
static inline uint32_t fuzz_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The same bytes in a block of their very size, so that reading on is found. Free it. */
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size != 0 ? size : 1);
    FUZZ_CHECK(copy != NULL);
    if (size != 0)
        memcpy(copy, data, size);
    return copy;
}

#endif
