/*
 * durable.h - the position of a client with a name, kept in the broker.  Part of the hub; nobody else
 * includes this.
 *
 * What is kept is one small value for each name, in whatever the engine keeps values in (hub.h):
 *
 *   client:NAME  ─▶  4.9f86d081884c7d65 0.mhv3k2a9.5f
 *                    │ │                └ everything up to there is acknowledged
 *                    │ └ which connection wrote it
 *                    └ of how many connections with that name this was the last
 *
 * A connection reads the value before it starts, which tells where to begin, counts one up, and writes its
 * own at once: the newest wins.  Later it reads before it writes, and when it finds a newer connection's
 * value it has been superseded: it stays open and writes no more.  Between its reading and its writing an
 * older one may overwrite a newer one's value once; the newer sees that when it looks the next time, a second
 * after its start at the latest, and puts it right.  Until then a client that comes back is given some
 * messages again, and none is lost: a position that was written is one that was acknowledged.
 *
 * A name that is not known may be a new one, or one that was forgotten: the client is told so in its first
 * ping, and again with each connection until it has acknowledged something (` new` at the end of the value),
 * since a ping that was written may not have been read.
 *
 * It is written once a second at most, and once more when the connection ends, for which this outlives its
 * subscriber until the engine has answered.
 */
#ifndef PUSH_CORE_DURABLE_H
#define PUSH_CORE_DURABLE_H

#include "hub_private.h"

struct push_durable;

/* durable_each - call `each`, which may close it, with each open connection of that name, whoever uses it. */
void
durable_each(const struct push_hub *hub, struct push_str name,
	void (*each)(void *context, struct push_subscriber *subscriber), void *context);

/* durable_create - for a subscriber that is not started.  @name: checked.  NULL when memory is out. */
struct push_durable *
durable_create(struct push_subscriber *subscriber, const char *name);

/*
 * durable_fetch - ask where the subscriber, which is WAITING, is to begin; subscriber_confirmed() follows.
 *
 * Where the broker cannot tell, the client is told and closed instead: it would begin elsewhere than it
 * should, and what it missed would be forgotten with its first ack.
 */
void
durable_fetch(struct push_durable *durable, uint64_t now_us);

/* durable_start - the subscriber has begun there; from now on its position is kept. */
void
durable_start(struct push_durable *durable, const struct push_positions *position);

/* durable_note - its position has moved: it will be written. */
void
durable_note(struct push_durable *durable);

/* durable_acknowledged - the client has acknowledged something.  Returns whether that is to be written. */
bool
durable_acknowledged(struct push_durable *durable);

/* durable_next_due - when durable_on_timer() has something to do, if that is before `due`; or `due`. */
uint32_t
durable_next_due(const struct push_durable *durable, uint32_t due);

/* durable_on_timer - write the position if that is due. */
void
durable_on_timer(struct push_durable *durable, const struct push_positions *position, uint64_t now_us);

/* durable_leave - the subscriber is gone: write the position a last time, and free it.  NULL is allowed. */
void
durable_leave(struct push_durable *durable, const struct push_positions *position);

/* durable_abandon_all - free those that still wait for an answer, which will not come. */
void
durable_abandon_all(struct push_hub *hub);

#endif
