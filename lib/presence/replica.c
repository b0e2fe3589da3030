/* replica.c - the lives of other nodes, as far as they are heard.
 *
 *   unknown ──heard──► catching up ──all there is, or 2 ticks──► up
 *                          ▲                                     │
 *                          └──heard── down ◄── silent: down_ms ──┘  (from either)
 *                                      │
 *   over ◄── bye, another life heard (from any), silent: permdown_ms
 *
 * Entries of one that is up are shown, all others are not. Where that fails for lack of memory it
 * is done with the next tick. */
#include "presence/set.h"

#include <stdio.h>

/* --- Lives that are over, or strange ------------------------------------------------------ */

static bool remembered(const channels__lives *lives, uint64_t incarnation, uint64_t now)
{
    for (size_t i = 0; i < CHANNELS__LIVES; i++)
        if (lives->of[i].incarnation == incarnation && now < lives->of[i].until)
            return true;
    return false;
}

static void remember(channels__lives *lives, uint64_t incarnation, uint64_t until)
{
    lives->of[lives->next].incarnation = incarnation;
    lives->of[lives->next].until = until;
    lives->next = (lives->next + 1) % CHANNELS__LIVES;
}

void channels__complain(channels__state *state, const char *node, uint64_t incarnation,
                        const char *what, uint64_t now)
{
    char line[256];
    if (remembered(&state->strange, incarnation, now))
        return;
    remember(&state->strange, incarnation, UINT64_MAX);
    snprintf(line, sizeof line, "presence: node %.128s %s", node, what);
    state->config.events->log(state->config.arg, CHANNELS_LOG_WARNING, line);
}

/* --- Beginning and end -------------------------------------------------------------------- */

/* Never 0: that is nobody's. */
void channels__replica_next_id(channels__state *state, channels__replica *r)
{
    if (++state->ids == 0)
        state->ids = 1;
    r->id = state->ids;
}

channels__replica *channels__replica_new(channels__state *state, const char *name,
                                         uint64_t incarnation)
{
    size_t len = strlen(name) + 1;
    channels__replica *r = channels__zalloc(state->config.mem, sizeof *r + len);
    if (r == NULL)
        return NULL;
    memcpy(r->name, name, len);
    r->incarnation = incarnation;
    channels__list_init(&r->link);
    channels__list_init(&r->early);
    channels__map_init(&r->entries, state->config.mem, state->config.hash_key.k0);
    channels__replica_next_id(state, r);
    return r;
}

void channels__replica_free(channels__state *state, channels__replica *r)
{
    if (!channels__list_empty(&r->link))
        state->nreplicas--;
    channels__list_remove(&r->link);
    channels__early_free(state, r);
    channels__entries_free(state, r);
    channels__map_deinit(&r->entries);
    channels__free(state->config.mem, r, sizeof *r + strlen(r->name) + 1);
}

/* It and its entries go; what cannot leave yet goes with a later tick. */
static void end(channels__state *state, channels__replica *r)
{
    r->over = true;
    if (channels__entries_remove(state, r))
        channels__replica_free(state, r);
}

/* It may still be heard of, as what it sent before may be on the way. For longer than down_ms
 * nothing is: somebody who was taken for dead by mistake is back after that. */
static void end_for_good(channels__state *state, channels__replica *r, uint64_t now)
{
    remember(&state->over, r->incarnation, now + state->config.down_ms);
    end(state, r);
}

static channels__replica *find(const channels__state *state, const char *name, uint64_t incarnation)
{
    for (channels__list *n = state->replicas.next; n != &state->replicas; n = n->next) {
        channels__replica *r = CHANNELS__OF(n, channels__replica, link);
        if (r->incarnation == incarnation && strcmp(r->name, name) == 0)
            return r;
    }
    return NULL;
}

static void end_other_lives(channels__state *state, const char *name, uint64_t now)
{
    for (channels__list *n = state->replicas.next, *next; n != &state->replicas; n = next) {
        channels__replica *r = CHANNELS__OF(n, channels__replica, link);
        next = n->next;
        if (!r->over && strcmp(r->name, name) == 0)
            end_for_good(state, r, now);
    }
}

void channels__replica_bye(channels__state *state, const char *name, uint64_t incarnation,
                           uint64_t now)
{
    channels__replica *r = find(state, name, incarnation);
    if (r != NULL && !r->over) {
        end_for_good(state, r, now);
    } else if (r == NULL && !remembered(&state->over, incarnation, now)) {
        end_other_lives(state, name, now); /* it was so short that nothing else of it was heard, */
        remember(&state->over, incarnation, now + state->config.down_ms); /* and that may come */
    }
}

/* --- Heard -------------------------------------------------------------------------------- */

void channels__replica_up(channels__state *state, channels__replica *r)
{
    r->status = CHANNELS__NODE_UP;
    channels__entries_show(state, r);
}

/* New, or back from silence: then we may have been silent for it too, and it is told of us. */
static void catch_up(channels__state *state, channels__replica *r)
{
    r->status = CHANNELS__NODE_CATCHING_UP;
    r->hidden = CHANNELS__HIDDEN_TICKS;
    channels__greet(state, r->name);
}

static channels__replica *begin(channels__state *state, const char *name, uint64_t incarnation,
                                uint64_t now, int *err)
{
    end_other_lives(state, name, now);
    if (state->nreplicas >= state->config.max_nodes) {
        channels__complain(state, name, incarnation, "is ignored: there are max_nodes already",
                           now);
        return NULL;
    }
    channels__replica *r = channels__replica_new(state, name, incarnation);
    if (r == NULL) {
        *err = CHANNELS_ERR_NOMEM;
        return NULL;
    }
    channels__list_append(&state->replicas, &r->link);
    state->nreplicas++;
    catch_up(state, r);
    return r;
}

channels__replica *channels__replica_heard(channels__state *state, const char *name,
                                           uint64_t incarnation, const channels__message *m,
                                           uint64_t now, int *err)
{
    channels__replica *r = find(state, name, incarnation);
    if (r == NULL && remembered(&state->over, incarnation, now))
        return NULL;
    if (r == NULL)
        r = begin(state, name, incarnation, now, err);
    else if (r->over)
        return NULL;
    else if (r->status == CHANNELS__NODE_DOWN)
        catch_up(state, r);
    if (r == NULL)
        return NULL;
    r->heard = now;
    if (r->clock < m->clock)
        r->clock = m->clock;
    return r;
}

/* --- Ticks -------------------------------------------------------------------------------- */

static void go_down(channels__state *state, channels__replica *r)
{
    r->status = CHANNELS__NODE_DOWN;
    r->cursor = 0;
    r->wait = 0;
    channels__early_free(state, r);
}

static void tick_down(channels__state *state, channels__replica *r, uint64_t read)
{
    uint64_t silent = read > r->heard ? read - r->heard : 0;
    if (silent > state->config.permdown_ms)
        r->over = true;
    else if (silent > state->config.down_ms && r->status != CHANNELS__NODE_DOWN)
        go_down(state, r);
}

static void tick(channels__state *state, channels__replica *r)
{
    if (r->over) {
        end(state, r);
    } else if (r->status == CHANNELS__NODE_DOWN) {
        channels__entries_hide(state, r);
    } else {
        if (r->status == CHANNELS__NODE_UP || --r->hidden == 0)
            channels__replica_up(state, r);
        if (r->wait > 0)
            r->wait--;
        channels__ask(state, r);
    }
}

void channels__replicas_tick(channels__state *state, uint64_t read)
{
    for (channels__list *n = state->replicas.next, *next; n != &state->replicas; n = next) {
        channels__replica *r = CHANNELS__OF(n, channels__replica, link);
        next = n->next;
        tick_down(state, r, read);
        tick(state, r);
    }
}
