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
 *
 * Channels may be added while the client is open (live.h), with an id from which on they are to be read.  The
 * whole subscriber is behind then, from that id on; what it has read of its other channels is not read again,
 * since each has a mark of its own, below which it has nothing to read.
 *
 * Whatever brings an id brings a position in all of the client's channels, since the last one is all that an
 * EventSource keeps.  Where they lie in one partition, the message's own position is that, and the frame is
 * shared by all.  Where they lie in several, as they do in a cluster, each client has a position of its own:
 * its messages are encoded for it alone (session_frame).
 */
#ifndef PUSH_CORE_SESSION_H
#define PUSH_CORE_SESSION_H

#include "acks.h"
#include "hub_private.h"

/* How much a replay puts into an outbox that is not empty: enough for one large write. */
#define SESSION_OUTBOX_BYTES 65536u

/* What a subscriber that is behind has of a channel, or was told about it; at first, nothing. */
struct session_mark {
	struct push_position after; /* everything up to here was delivered or told to be missing */
	uint64_t dropped;           /* history->dropped when that is all that has gone */
	uint32_t losses;            /* history->losses then */
};

/* Where a subscriber that is behind reads. */
struct session_cursor {
	struct push_positions at;    /* read up to here */
	bool is_readable;            /* it was an id that it began with */
	struct push_positions began; /* the heads when it did */
	struct push_positions then;  /* with `is_bounded`, behind where its messages began it goes */
	bool is_bounded;             /* on here */
	uint32_t unsaid;             /* partitions of its channels that the id says nothing of (bits) */
	bool is_gap_told;
	bool is_busy;               /* being read on */
	bool is_silent;             /* the client has not asked, and hears nothing but what it missed */
	struct push_list waiting;   /* in `waits_in` */
	struct push_list *waits_in; /* hub->ahead or hub->behind_head; NULL: it does not wait */
	uint64_t waits_since_us;
	uint32_t questions_before; /* hub->head_questions then */
	bool is_refuted;           /* nobody can have read as far as its id says; or, */
	bool is_overdue;           /* whether somebody can, no server says */
	struct push_subscriber *subscriber;
	uint64_t replayed;
	struct session_mark marks[]; /* one for each of its channels */
};

/* An id that the client has asked to resume from while that could not be done yet. */
struct session_wish {
	size_t size;
	char id[];
};

struct push_session {
	struct session_cursor *cursor; /* owned; NULL: not behind, and has not asked to be */
	struct push_acks *acks;        /* owned; NULL: its client does not acknowledge */
	struct session_wish *wish;     /* owned; NULL: none */
	bool is_new;                   /* nothing was known of its client's name, which is to be told */
	bool is_announced;   /* the client has been told its position, if any, so that it can come back */
	uint32_t partitions; /* a bit for each in which a channel of it lies; 0: not looked at yet */
	/* Of each channel, where its messages began, or the last gap in them ended; owned; NULL: at `start`.
	 */
	struct push_position *starts;
	struct push_position start[]; /* in each partition, where the session's did */
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

/*
 * session_resume - a client asks for what came between an id and its own beginning.
 *
 * One that has not begun, or still reads, is answered when it has; the last id counts.
 */
void
session_resume(struct push_subscriber *subscriber, const char *id, size_t size, uint64_t now_us);

/* session_resume_next - do so, if that is to be done and can be.  May close the subscriber. */
void
session_resume_next(struct push_subscriber *subscriber, uint64_t now_us);

/* session_fall_back - a client that was up to date may have missed something since `from`. */
void
session_fall_back(struct push_subscriber *subscriber, const struct push_positions *from, uint64_t now_us);

/* session_go_on - likewise; `from` may say nothing of partitions of which nothing was known then. */
void
session_go_on(struct push_subscriber *subscriber, const struct push_positions *from, uint64_t now_us);

/* session_tell_gap - `missed`: UINT64_MAX where it is not known.  Closes the subscriber when memory is out.
 */
void
session_tell_gap(struct push_subscriber *subscriber, const struct push_channel *channel, uint64_t missed,
	uint64_t now_us);

/* session_lose - not behind: what came of the `index`-th channel, with history, is lost, and it begins anew:
 * tell of the gap.  May close the subscriber. */
void
session_lose(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us);

/*
 * session_frame - a message as this client gets it, with a reference for the caller.
 *
 * Its id is all that a client comes back with, so where it has channels in several partitions the id tells
 * its position in each of them: `at`, with the message read.  NULL when memory is out.
 */
struct push_frame *
session_frame(const struct push_subscriber *subscriber, struct push_history_entry *entry,
	const struct push_positions *at);

/* How long a client waits for a head before it counts whether that can come at all. */
#define SESSION_WAIT_US 6000000ull

/* session_waits_long - whether one with a channel in this partition has waited so long.  O(those that have).
 */
bool
session_waits_long(const struct push_hub *hub, unsigned int partition, uint64_t now_us);

/* session_tick - end the wait of those that are ahead of a head which no server tells
 * (push_hub_is_unanswered), of at most `max`.  Returns true if there are more of them. */
bool
session_tick(struct push_hub *hub, uint64_t now_us, unsigned int max);

/* session_partitions - those that an id for this subscriber has to tell of (bits); where there is but one,
 * that. */
uint32_t
session_partitions(const struct push_subscriber *subscriber);

/* session_tracker - who follows an entry (tracker.h); NULL: nobody. */
struct push_tracker *
session_tracker(const struct push_history_entry *entry);

/* session_track - let him, if any, follow a frame of session_frame(), about to be queued, too. */
void
session_track(struct push_tracker *tracker, struct push_frame *frame);

/* session_has_room - whether what is replayed may go to the outbox. */
bool
session_has_room(const struct push_subscriber *subscriber, const struct push_frame *frame);

/* session_advance - replay as much as its outbox takes.  May close the subscriber. */
void
session_advance(struct push_subscriber *subscriber, uint64_t now_us);

/*
 * What live.c needs.  The subscriber is open, and has a session.
 *
 * session_reserve - make room for `capacity` channels, where their number may have changed.
 */
enum push_status PUSH_MUST_USE
session_reserve(struct push_subscriber *subscriber, uint32_t capacity);

/* session_open - one that was created late begins here. */
void
session_open(struct push_subscriber *subscriber);

/* session_add - the `index`-th channel, with history, begins now. */
void
session_add(struct push_subscriber *subscriber, uint32_t index);

/* session_move - the channel `from` stands at `to` now. */
void
session_move(struct push_subscriber *subscriber, uint32_t from, uint32_t to);

/*
 * session_fork - not behind: be behind from `at` on, for the channels that are named next, and no others.
 *
 * @at: less the partitions that none of these lies in.  @is_readable: false: it was no id.
 * Nothing is read before session_forked().  Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
session_fork(struct push_subscriber *subscriber, const struct push_positions *at, bool is_readable);

/* session_fork_channel - one that is to be read, with history. */
void
session_fork_channel(struct push_subscriber *subscriber, uint32_t index);

/* session_fork_gap - tell of the gap in such a one if it cannot be read from there.  May close. */
void
session_fork_gap(struct push_subscriber *subscriber, uint32_t index, uint64_t now_us);

/* session_forked - everything was said: session_advance() may read. */
void
session_forked(struct push_subscriber *subscriber);

/*
 * session_position - the id from which on nothing is missed; to PUSH_ID_BYTES_MAX bytes.
 *
 * Returns its size; 0: it is not certain, or nothing was numbered yet.
 */
size_t
session_position(const struct push_subscriber *subscriber, char *to);

/*
 * session_heartbeat - a heartbeat that tells the client its position, with a reference for the caller.
 *
 * NULL: where it is not certain, or memory is out; an ordinary one will do, if it `is_announced`.
 */
struct push_frame *
session_heartbeat(struct push_subscriber *subscriber);

#endif
