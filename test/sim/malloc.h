/* malloc.h - the C library's malloc, with its blocks counted and failing as it is told, for the one
 * file of a program that includes this. HAVE_MALLOC is 0, and it stays as it is, where it cannot be
 * replaced: outside of glibc, and where a sanitizer has done so. */
#ifndef SIM_MALLOC_H
#define SIM_MALLOC_H

#include <errno.h>
#include <stdlib.h>

#include "sim/memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* Its blocks, and its calls while `counting`. */
static __attribute__((unused)) sim_memory all;
static __attribute__((unused)) bool counting;

#if defined(__GLIBC__) && !defined(SANITIZED)
#define HAVE_MALLOC 1
#define EXPORTED __attribute__((visibility("default"))) /* shared libraries are to use them */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool fails(void)
{
    if (!counting || sim_memory_private || !sim_memory_fails(&all))
        return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *p)
{
    all.blocks += p != NULL;
    return p;
}

EXPORTED void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

EXPORTED void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(n, size));
}

EXPORTED void *realloc(void *p, size_t size)
{
    if (p == NULL)
        return malloc(size);
    return fails() ? NULL : __libc_realloc(p, size);
}

EXPORTED void free(void *p)
{
    all.blocks -= p != NULL;
    __libc_free(p);
}
#else
#define HAVE_MALLOC 0
#endif

#endif
