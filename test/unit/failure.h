/* failure.h - what channels/test.h finds fails the cmocka test in hand. */
#ifndef UNIT_FAILURE_H
#define UNIT_FAILURE_H

/* For channels_test.on_failure. */
void unit_failure(void *arg, const char *file, int line, const char *text);

#endif
