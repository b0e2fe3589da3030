/* failure.c - see failure.h. */
#include "unit/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void unit_failure(void *arg, const char *file, int line, const char *text)
{
    (void)arg;
    print_error("%s\n", text);
    _fail(file, line);
}
