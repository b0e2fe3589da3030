/* set.h - the replicated set of state.h from inside: its structs, and what its files ask of each
 * other. No other file looks in here.
 *
 *   state.c    own entries, reading
 *   replica.c  the lives of other nodes: which are known, up, catching up, down, over
 *   repair.c   what their messages change, and asking for what was missed
 *   entry.c    entries one by one: every change that is reported is made there
 *   index.c    topic -> key -> entries that are shown
 *   history.c  own changes by clock
 *   message.c  bytes
 *
 *   state -> replicas (itself first) -> entries, by `born`
 *         -> topics by name -> keys -> entries
 *         -> history -> own entries, by clock */
#ifndef CHANNELS_PRESENCE_SET_H
#define CHANNELS_PRESENCE_SET_H

#include "base/map.h"
#include "channels/channels.h"
#include "presence/state.h"

#define CHANNELS__REPEAT_TICKS 2 /* after which a request that was not answered is made again */
#define CHANNELS__HIDDEN_TICKS 2 /* for which one that catches up is hidden at most */
#define CHANNELS__LIVES 64       /* remembered in a channels__lives */

/* --- What is shown ------------------------------------------------------------------------ */

/* Both exist as long as an entry names them, shown or not. */
typedef struct channels__index_topic {
    channels__map_node node;
    channels__list keys; /* that have an entry which is shown */
    size_t nkeys; /* of them */
    size_t refs;
    uint32_t len;
    char name[];
} channels__index_topic;

typedef struct channels__index_key {
    channels__map_node node;
    channels__index_topic *topic;
    channels__list link;  /* in topic->keys */
    channels__list metas; /* its entries that are shown */
    uint32_t refs, len;
    char name[];
} channels__index_key;

/* An update makes a new one, which takes the place of the old. */
typedef struct channels__entry {
    channels__map_node node; /* in its replica's; the hash is `born` */
    struct channels__replica *replica;
    channels__index_key *key;
    channels__list link; /* in key->metas, or alone: not shown */
    uint64_t clock, prev;
    uint32_t snapshot; /* the last of its replica's that named it; 0: none did */
    uint32_t len;
    char json[];
} channels__entry;

/* --- Own changes -------------------------------------------------------------------------- */

/* A change, or what is left of it: nothing, after what it changed was changed again. */
typedef struct channels__past {
    uint64_t clock;
    channels__entry *entry;
    uint64_t removed; /* born so; 0: it is no removal */
} channels__past;

typedef struct channels__history {
    channels__past *past; /* by clock */
    size_t count, size;
    size_t nothings, removals;
    size_t first_removal; /* before this index there is none */
    uint64_t floor;       /* removals up to here are no longer known */
} channels__history;

/* --- Bytes -------------------------------------------------------------------------------- */

typedef enum {
    CHANNELS__CHANGES = 1,
    CHANNELS__REQUEST,
    CHANNELS__SNAPSHOT,
    CHANNELS__BYE
} channels__message_type;

typedef struct channels__message {
    channels__message_type type;
    uint64_t id;       /* of the request that this is or answers; 0: nobody asked */
    uint64_t clock;    /* the sender has come so far */
    uint64_t from, to; /* what it covers; of a request: all heard up to, and where the snapshot goes
                        * on (0: none has begun) */
    const unsigned char *records, *end;
} channels__message;

typedef struct channels__record {
    uint64_t clock, born, prev;
    bool removed; /* then there is no more than clock and born */
    channels__str topic, key, json;
} channels__record;

typedef struct channels__reader {
    const unsigned char *p, *end;
    uint64_t clock;
    channels__str topic;
} channels__reader;

/* Records after room for the head, which is put in front of them last. */
typedef struct channels__writer {
    const channels__mem *mem;
    unsigned char *bytes;
    size_t len, size;
    uint64_t clock;
    channels__str topic;
} channels__writer;

/* --- The nodes ---------------------------------------------------------------------------- */

/* A delta that came before an earlier one, checked already. */
typedef struct channels__early {
    channels__list link; /* by `from` */
    uint64_t from, to;
    size_t len;
    unsigned char records[];
} channels__early;

/* One life of a node. Of ourselves: always up, and only what stands above `applied` is used. */
typedef struct channels__replica {
    channels__list link;
    uint64_t incarnation;
    channels__map entries;
    size_t shown; /* of them */
    channels__node_status status;
    uint64_t applied; /* all its changes up to here have been heard; */
    uint64_t clock;   /* there are so many, */
    uint64_t heard;   /* was said at this time */
    bool over;        /* its last entries could not leave yet */
    uint32_t hidden;  /* while it catches up: ticks left */
    uint32_t id;      /* of the request that waits, or of the next; */
    uint32_t wait;    /* ticks left until it is made again; 0: none waits */
    uint64_t cursor;  /* where its snapshot goes on; 0: none has begun */
    uint64_t begun;   /* its clock when that snapshot began */
    uint32_t snapshot; /* so many have begun */
    channels__list early;
    size_t early_bytes;
    char name[];
} channels__replica;

/* Incarnations, until a time: when it is full the oldest makes room. */
typedef struct channels__lives {
    struct {
        uint64_t incarnation, until;
    } of[CHANNELS__LIVES];
    size_t next;
} channels__lives;

struct channels__state {
    channels__state_config config;
    channels__replica *self;
    channels__list replicas; /* the others */
    size_t nreplicas;
    channels__map topics, keys;
    channels__history history;
    uint64_t clock;
    uint64_t sent;    /* heartbeats told all others up to here, */
    uint64_t told;    /* and any message told anybody: what was born later nobody knows */
    uint32_t silent;  /* ticks without a heartbeat */
    bool ticked;      /* at */
    uint64_t tick_at; /* for the last time */
    bool left;        /* said bye: sends nothing any more */
    uint32_t ids;     /* of requests; begins anywhere, as answers to an earlier life may come */
    channels__lives over, strange; /* not let in again; complained of */
};

/* --- entry.c: false or NULL if it could not be, for lack of memory; then nothing changed --- */

channels__entry *channels__entry_find(const channels__replica *r, uint64_t born);
/* Shown if its replica is up. */
channels__entry *channels__entry_add(channels__state *state, channels__replica *r,
                                     const channels__record *rec);
channels__entry *channels__entry_update(channels__state *state, channels__entry *e, uint64_t clock,
                                        uint64_t prev, channels__str json);
bool channels__entry_remove(channels__state *state, channels__entry *e);
/* All of them, as far as memory lasts. */
bool channels__entries_show(channels__state *state, channels__replica *r);
bool channels__entries_hide(channels__state *state, channels__replica *r);
bool channels__entries_remove(channels__state *state, channels__replica *r);
/* Without a word. */
void channels__entries_free(channels__state *state, channels__replica *r);
channels__meta channels__entry_meta(const channels__entry *e);

/* --- index.c ------------------------------------------------------------------------------ */

channels__index_topic *channels__index_topic_find(const channels__state *state, channels__str name);
channels__index_key *channels__index_key_find(const channels__state *state,
                                              const channels__index_topic *topic,
                                              channels__str name);
/* For one more entry; NULL if memory ran out. */
channels__index_key *channels__index_ref(channels__state *state, channels__str topic,
                                         channels__str key);
void channels__index_unref(channels__state *state, channels__index_key *key);
void channels__index_show(channels__entry *e); /* behind the others of its key */
void channels__index_hide(channels__entry *e);
static inline bool channels__entry_shown(const channels__entry *e)
{
    return !channels__list_empty(&e->link);
}

/* --- history.c ---------------------------------------------------------------------------- */

void channels__history_free(channels__state *state);
bool channels__history_reserve(channels__state *state); /* room for one more */
/* The entry has changed, as its clock says. */
void channels__history_add(channels__state *state, channels__entry *e); /* after a reserve */
void channels__history_update(channels__state *state, uint64_t before, channels__entry *e);
/* It was removed; `told`: somebody may know it. */
void channels__history_remove(channels__state *state, uint64_t before, uint64_t clock,
                              uint64_t born, bool told);
/* Writes what changed in (from, *to], removals too if `removals`, and sets *to to where the message
 * was full, else to the clock. False if memory ran out. */
bool channels__history_write(const channels__state *state, channels__writer *w, uint64_t from,
                             uint64_t *to, bool removals);

/* --- message.c ---------------------------------------------------------------------------- */

/* False if any of it is not as it has to be. */
bool channels__message_read(channels__message *m, const void *data, size_t len);
channels__reader channels__records(const unsigned char *records, const unsigned char *end,
                                   uint64_t from);
/* The next one; false at the end. They have been checked. */
bool channels__record_next(channels__reader *reader, channels__record *rec);

void channels__writer_init(channels__writer *w, const channels__mem *mem, uint64_t from);
void channels__writer_deinit(channels__writer *w);
size_t channels__writer_len(const channels__writer *w); /* of the records */
size_t channels__record_len(const channels__writer *w, const channels__record *rec); /* at most */
bool channels__writer_put(channels__writer *w, const channels__record *rec);
/* The whole message; NULL if memory ran out. */
const void *channels__writer_end(channels__writer *w, const channels__message *head, size_t *len);

/* --- replica.c ---------------------------------------------------------------------------- */

void channels__replica_next_id(channels__state *state, channels__replica *r);
channels__replica *channels__replica_new(channels__state *state, const char *name,
                                         uint64_t incarnation);
void channels__replica_free(channels__state *state, channels__replica *r);
/* Who sent a message, that may be new or have come back; NULL: not to be listened to, and *err. */
channels__replica *channels__replica_heard(channels__state *state, const char *name,
                                           uint64_t incarnation, const channels__message *m,
                                           uint64_t now, int *err);
void channels__replica_bye(channels__state *state, const char *name, uint64_t incarnation,
                           uint64_t now);
/* It may be shown. */
void channels__replica_up(channels__state *state, channels__replica *r);
/* All that came until `read` has been heard. */
void channels__replicas_tick(channels__state *state, uint64_t read);
/* One line for each who is not understood. */
void channels__complain(channels__state *state, const char *node, uint64_t incarnation,
                        const char *what, uint64_t now);

/* --- repair.c ----------------------------------------------------------------------------- */

void channels__apply(channels__state *state, channels__replica *r, const channels__message *m);
/* A request for what was missed, if anything was and none waits. */
void channels__ask(channels__state *state, channels__replica *r);
void channels__answer(channels__state *state, const channels__replica *r,
                      const channels__message *request);
void channels__early_free(channels__state *state, channels__replica *r);
/* To all: what changed, if anything; to `node`: only where we are. */
void channels__heartbeat(channels__state *state);
void channels__greet(channels__state *state, const char *node);
/* A message without records. */
void channels__say(channels__state *state, const char *node, const channels__message *m);

#endif
