/* probe.h - handlers that write down how they were called and do what a test wants.
 *
 * All callbacks there are, for the topics "room:*". Without a function of the test's they answer
 * the events of the client so: `echo` is replied to with its payload, `push` is pushed, `shout` and
 * `shout_from` are broadcast, `stop` and `fail` return that, `none` does nothing; all others are
 * replied to with {}. The broadcast "secret" is intercepted; it is pushed as it is. */
#ifndef SIM_PROBE_H
#define SIM_PROBE_H

#include <channels/channels.h>

#include "sim/start.h"

typedef struct probe probe;
struct probe {
    /* What the callbacks call, if it is set. */
    int (*connect)(channels_socket *s, const channels_request *req, probe *p);
    void (*disconnect)(channels_socket *s, channels_reason why, probe *p);
    int (*join)(channels_channel *ch, const channels_msg *msg, probe *p);
    int (*joined)(channels_channel *ch, probe *p);
    int (*handle_in)(channels_channel *ch, const channels_msg *msg, probe *p);
    int (*handle_out)(channels_channel *ch, const channels_msg *msg, probe *p);
    int (*handle_broadcast)(channels_channel *ch, const channels_msg *msg, probe *p);
    int (*handle_info)(channels_channel *ch, void *info, probe *p);
    void (*terminate)(channels_channel *ch, channels_reason why, probe *p);

    channels_test *host;
    channels_ref ref, self; /* for the test and its functions */
    channels_timer timer;
    int err;
    unsigned dropped; /* probe_drop() was called so often */
    char trace[8192]; /* "join room:a {};joined room:a;": its payload's " are ' */
};

extern const channels_socket_handler probe_handler;

/* Adds to the trace. */
void probe_note(probe *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *probe_reason(channels_reason why);

/* An info is text. probe_drop() counts for the probe of which probe_info() was made. */
void *probe_info(probe *p, const char *text);
void probe_drop(void *info);

#endif
