/*
 * session.h - a subscriber's place in the history of its channels.  Part of the hub; nobody else includes
 * this.
 *
 * A subscriber with a channel that has history has a session.  When it starts with the id of what it has read
 * last, it is `behind`: it is not given what is published now, but reads its channels' history from there, as
 * a reader of a log does, in the order of the positions and as fast as its client takes it.  What is
 * published meanwhile comes to stand at the end of the same log.  When there is nothing left to read it has
 * caught up, and from then on messages come straight from push_hub_deliver(): no hole and no double between
 * the two, since all of this happens in one thread.
 *
 * A reader that history runs away from is told of the gap and goes on behind it.
 */
#ifndef PUSH_CORE_SESSION_H
#define PUSH_CORE_SESSION_H

#include "hub_private.h"

/* How much a replay puts into an outbox that is not empty: enough for one large write. */
#define SESSION_OUTBOX_BYTES 65536u

/* What was told about a channel while its subscriber is behind. */
struct session_mark {
	struct push_position after; /* everything up to here was replayed or told to be missing */
	uint64_t dropped;           /* history->dropped then */
};

/* Where a subscriber that is behind reads. */
struct session_cursor {
	struct push_positions at;          /* read up to here */
	bool is_readable;                  /* it was an id that it began with */
	struct push_positions until, then; /* after `until` it goes on at `then`; used with `is_bounded` */
	bool is_bounded;
	bool is_gap_told;
	bool is_busy;               /* being read on */
	bool is_silent;             /* the client has not asked, and hears nothing but what it missed */
	struct push_list waiting;   /* in `waits_in` */
	struct push_list *waits_in; /* hub->ahead or hub->behind_head; NULL: it does not wait */
	uint64_t waits_since_us;
	struct push_subscriber *subscriber;
	uint64_t replayed;
	struct session_mark marks[]; /* one for each of its channels */
};

struct push_session {
	struct session_cursor *cursor; /* owned; NULL: not behind, and has not asked to be */
	bool is_announced;            /* the client has been told of its position, so that it can come back */
	uint32_t partitions;          /* of its channels (bits) */
	struct push_position start[]; /* in each partition, where its messages began */
};

/* session_create - for a subscriber that is not started.  NULL when memory is out. */
struct push_session *
session_create(const struct push_hub *hub);

/* session_destroy - NULL is allowed. */
void
session_destroy(struct push_session *session);

/* session_ask - it is to begin behind the message with this id.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
session_ask(struct push_subscriber *subscriber, const char *id, size_t size);

/* session_start - the subscriber opens: settle where it stands.  It may be behind then, or be closed. */
void
session_start(struct push_subscriber *subscriber, uint64_t now_us);

/* session_begin - it is behind: tell it of what cannot be replayed, and replay.  May close the subscriber. */
void
session_begin(struct push_subscriber *subscriber, uint64_t now_us);

/* session_resume - a client that is open asks for what came between an id and its own beginning. */
void
session_resume(struct push_subscriber *subscriber, const char *id, size_t size, uint64_t now_us);

/* session_fall_back - a client that was up to date may have missed something since `from`. */
void
session_fall_back(struct push_subscriber *subscriber, const struct push_positions *from, uint64_t now_us);

/* session_tell_gap - `missed`: UINT64_MAX where it is not known.  Closes the subscriber when memory is out.
 */
void
session_tell_gap(struct push_subscriber *subscriber, const struct push_channel *channel, uint64_t missed,
	uint64_t now_us);

/*
 * session_frame - a message as this client gets it, with a reference for the caller.
 *
 * Its id is all that a client comes back with, so where it has channels in several partitions the id tells
 * its position in each of them: `at`, with the message read.  NULL when memory is out.
 */
struct push_frame *
session_frame(const struct push_subscriber *subscriber, struct push_history_entry *entry,
	const struct push_positions *at);

/* session_tick - look after those who are ahead. */
void
session_tick(struct push_hub *hub, uint64_t now_us);

/* session_advance - replay as much as its outbox takes.  May close the subscriber. */
void
session_advance(struct push_subscriber *subscriber, uint64_t now_us);

/*
 * session_heartbeat - a heartbeat that tells the client its position, with a reference for the caller.
 *
 * NULL: where it is not certain, or memory is out; an ordinary one will do.
 */
struct push_frame *
session_heartbeat(struct push_subscriber *subscriber);

#endif
