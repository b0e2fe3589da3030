/* longpoll_nodes.h - long polling across nodes, between the files that are about it: forward.c has
 * the requests that landed here for sessions of other nodes, guest.c those that landed elsewhere
 * for sessions here, longpoll_nodes.c what nodes say to each other.
 *
 *     client            where it landed                  where its session is
 *       │ GET ────────────────► │ POLL ───────────────────────► │ is a poll like any other
 *       │                       │ ◄──────────────────────  HELD │ if it has to wait
 *       │ ◄──────────────────── │ ◄────────────────────  ANSWER │ that is on its way
 *       │                       │ LEAVING, again and again ───► │
 *       │                       │ DONE: it has left, or not ──► │ channels_longpoll_done()
 *       │ POST ───────────────► │ POST ───────────────────────► │
 *       │ ◄──────────────────── │ ◄────────────────────  ANSWER │
 *
 * Any of these may be lost, or a node be gone. After pubsub_timeout_ms without HELD or ANSWER there
 * is no such session; if it has held the poll but no answer comes, there was nothing for it. An
 * answer with messages that was heard of neither by LEAVING nor by DONE for so long has not left:
 * what was in it comes again. Nothing is lost that way, and twice comes only what was in an answer
 * whose DONE was lost. */
#ifndef CHANNELS_TRANSPORT_LONGPOLL_NODES_H
#define CHANNELS_TRANSPORT_LONGPOLL_NODES_H

#include "transport/longpoll.h"
#include "wire/longpoll_message.h"

/* longpoll_nodes.c */

/* Other nodes are answered from now on. False if memory ran out; to join twice is fine. */
bool channels__longpoll_join(channels_endpoint *ep);
/* `path`: the mount's pattern for long polling; "" if `what` goes back to who asked. */
int channels__longpoll_say(channels_endpoint *ep, const char *node, const char *path,
                           const channels__longpoll_message *what);

/* forward.c */

typedef struct channels__forward channels__forward;

/* Hands over a POLL or POST, which needs no id, for the session of that node. As
 * channels__longpoll_request(). */
int channels__forward_request(channels__mount *mount, const char *node,
                              const channels__longpoll_message *what, const channels__asker *asker,
                              channels_ref *request);
/* channels__longpoll_done() of such a request. */
void channels__forward_done(channels__forward *f, bool sent);
void channels__forward_arrived(channels_endpoint *ep, const char *from,
                               const channels__longpoll_message *m);
/* Polls that are held elsewhere are answered; the clients come again, to another node. */
void channels__forwards_drain(channels_endpoint *ep);
void channels__forwards_end(channels_endpoint *ep);

/* guest.c */

/* `from`: where the request landed. */
void channels__guest_arrived(channels_endpoint *ep, const char *from, const char *path,
                             const channels__longpoll_message *m);
/* The session ends. A poll that is held is answered after that. */
void channels__guests_end(channels__session *s);

#endif
