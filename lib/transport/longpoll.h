/* longpoll.h - long polling, between the two files that are about it: session.c has what becomes of
 * messages, longpoll.c what becomes of requests. longpoll_nodes.h has what other nodes have to do
 * with it. Public: channels/longpoll.h.
 *
 * A session is a client that comes and goes. What is sent to it waits in `out`, in the form that it
 * has in an answer, until an answer with it is known to have left:
 *
 *     a poll comes          there is something          its answer has left, or will not
 *     ───────────► held ──────────────────────► in flight ──────────────────► (none)
 *                    └── a window is over, or a newer poll came: answered with nothing
 *
 * A poll that comes while one is in flight is held. By its alarm a session is in one list at most:
 * held, filled (it is held and can be answered, which is done at the end of the turn, with all that
 * came by then), or unpolled. In flight, or waiting for its connect(), it has no alarm. */
#ifndef CHANNELS_TRANSPORT_LONGPOLL_H
#define CHANNELS_TRANSPORT_LONGPOLL_H

#include "base/outq.h"
#include "channels/longpoll.h"
#include "core/core.h"
#include "wire/longpoll_token.h"

/* Who waits for an answer. */
typedef struct channels__asker {
    void (*respond)(void *arg, const channels_response *r);
    void *arg;
    uint32_t slot; /* of its ref; 0: nobody waits */
} channels__asker;

typedef struct channels__session {
    channels_socket *socket; /* NULL while connect() runs */
    channels__mount *mount;
    channels__alarm alarm;
    channels__outq out;
    channels__asker asker; /* the poll that is held, or the request whose connect() is pending */
    uint32_t flight;       /* slot of the poll whose answer is on its way; 0: none is */
    uint32_t nflight;      /* that answer has so many of `out` */
    struct channels__guest *guests; /* polls that landed on other nodes, not done with */
    uint64_t born;
    uint32_t slot; /* its own, named in its token */
    bool failed;   /* connect() has, not refused */
    char token[];  /* as its client shows it */
} channels__session;

/* session.c */

/* For a client that is about to connect. NULL if memory ran out or there are no random numbers. */
channels__session *channels__session_new(channels__mount *mount);
/* The live session of this mount whose token that is, or NULL; then `node` is the other node that
 * can be asked for it, or "". */
channels__session *channels__session_find(channels__mount *mount, const char *token,
                                          char node[CHANNELS__LONGPOLL_NODE + 1]);
/* Asks connect(), and answers or waits. Frees the session if that comes to nothing. */
int channels__session_open(channels__session *s, const channels_request *req,
                           const channels__asker *asker, channels_ref *request);
/* A poll: answers it or holds it. */
int channels__session_poll(channels__session *s, const channels__asker *asker,
                           channels_ref *request);

/* longpoll.c */

/* channels_longpoll_request() and the others, for use inside calls. */
int channels__longpoll_request(channels__mount *mount, const channels_request *req,
                               const channels__asker *asker, channels_ref *request);
void channels__longpoll_done(channels_endpoint *ep, channels_ref request, bool sent);
/* What a client says; `lines`: one message in each. */
int channels__longpoll_post(channels__session *s, channels__str body, bool lines,
                            const channels__asker *asker);
/* Of a request whose body is so long, or may be. Whose it is matters only if it is longer than
 * those of strangers may be. */
size_t channels__longpoll_max_body(channels__mount *mount, const channels_request *head,
                                   size_t len);
/* HTTP 200 with this as JSON, or with that status alone; or what another HTTP status says. */
void channels__longpoll_answer(const channels__asker *asker, const char *json, size_t len);
void channels__longpoll_answer_status(const channels__asker *asker, int status);
void channels__longpoll_fail(const channels__asker *asker, const channels_response *error);
/* The JSON of an answer without messages: its length. */
#define CHANNELS__LONGPOLL_EMPTY (CHANNELS__LONGPOLL_TOKEN_TEXT + 64u)
size_t channels__longpoll_write_empty(int status, const char *token,
                                      char json[CHANNELS__LONGPOLL_EMPTY]);

#endif
