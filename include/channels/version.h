/* channels/version.h - the version of this header, in the one place where it is written.
 *
 * The Makefile and libchannels.pc take it from here. The ABI has a number of its own: SOVERSION
 * in the Makefile. */
#ifndef CHANNELS_VERSION_H
#define CHANNELS_VERSION_H

#define CHANNELS_VERSION_MAJOR 0
#define CHANNELS_VERSION_MINOR 1
#define CHANNELS_VERSION_PATCH 0

/* "MAJOR.MINOR.PATCH". The two steps make a macro's value, not its name, into text. */
#define CHANNELS_VERSION_TEXT(x) #x
#define CHANNELS_VERSION_JOIN(x, y, z) \
    CHANNELS_VERSION_TEXT(x) "." CHANNELS_VERSION_TEXT(y) "." CHANNELS_VERSION_TEXT(z)
#define CHANNELS_VERSION_STRING \
    CHANNELS_VERSION_JOIN(CHANNELS_VERSION_MAJOR, CHANNELS_VERSION_MINOR, CHANNELS_VERSION_PATCH)

#endif
