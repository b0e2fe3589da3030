/* alarm.h - deadlines that all have one length (idle time of a mount, time for a request): a list
 * in order of expiry by construction, so that starting one over, as every read does, is O(1). */
#ifndef CHANNELS_BASE_ALARM_H
#define CHANNELS_BASE_ALARM_H

#include <stdint.h>

#include "base/list.h"

typedef struct channels__alarm {
    channels__list link;
    uint64_t due;
} channels__alarm;

typedef struct channels__alarms {
    channels__list list; /* of channels__alarm, soonest first */
    uint32_t ms;
    void (*expired)(channels__alarm *alarm); /* has been taken out */
    struct channels__alarms *next;           /* of the endpoint's */
} channels__alarms;

static inline void channels__alarm_init(channels__alarm *a)
{
    channels__list_init(&a->link);
}
static inline void channels__alarm_stop(channels__alarm *a)
{
    channels__list_remove(&a->link);
}
/* Rings `ms` from `now`, wherever it was before. */
static inline void channels__alarm_start(channels__alarms *alarms, channels__alarm *a, uint64_t now)
{
    channels__list_remove(&a->link);
    a->due = now + alarms->ms;
    channels__list_append(&alarms->list, &a->link);
}
/* UINT64_MAX if there is none. */
static inline uint64_t channels__alarms_due(const channels__alarms *alarms)
{
    return channels__list_empty(&alarms->list)
               ? UINT64_MAX
               : CHANNELS__OF(alarms->list.next, channels__alarm, link)->due;
}

#endif
