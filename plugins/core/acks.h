/*
 * acks.h - what a subscriber has not acknowledged yet.  Part of the hub; nobody else includes this.
 *
 * A client that asked for it (acks_request.h) says up to which id it has done with the messages; an ack
 * covers all messages up to its position in the partitions that it names (position.h).  Only messages of
 * channels with history have ids, and only these are acknowledged.
 *
 * What was sent and is not acknowledged stands in a ring, in the order in which it was sent, each message
 * with a reference to its frame.  History would do to send it again, but not to count and weigh it, which the
 * window needs for each message anyway; a pointer more buys that it is the same bytes in the same order, that
 * no gap can come between, and that nothing has to be asked of a server.  The window bounds what that holds.
 *
 *        acknowledged         unacknowledged              not sent
 *   ──────────────────────┼──[ m5 ][ m6 ][ m9 ]────┼─────────────────────
 *                       acked                  read up to here (session.h)
 *                            ╰─ `again` of them wait to be sent once more
 *
 * When the window is full, in messages or in bytes, the subscriber falls behind, as one that comes back does:
 * it is not given what is published, but reads on from history as acks come in.  So nothing is dropped here;
 * what history drops meanwhile is told as a gap.  Messages of channels without history go out as always.
 *
 * There is one deadline for the whole window, as TCP has it (RFC 6298, 5): it begins anew with each ack that
 * covers something.  When it passes, all of the window is sent again, from the oldest on, before anything
 * that is newer; after push.ack.retries times without an ack the client is closed.  What it does not take
 * from its socket cannot be acknowledged, and does not count: whoever reads nothing is closed for that (no
 * pong).
 */
#ifndef PUSH_CORE_ACKS_H
#define PUSH_CORE_ACKS_H

#include "durable.h"
#include "hub_private.h"

struct acks_entry {
	struct push_frame *frame; /* owned */
	struct push_position at;
	uint8_t partition;
};

struct push_acks {
	struct push_subscriber *subscriber;
	struct push_list window;    /* in hub->windows while there are any (pressure.h) */
	struct acks_entry *entries; /* a ring; owned */
	uint32_t head, count, capacity;
	uint32_t again;               /* the last so many of them wait to be sent again */
	uint32_t retries;             /* since something was acknowledged */
	uint32_t due;                 /* a tick: then they are sent again; meant while there are any */
	bool is_mixed;                /* they are not in order of one partition's positions */
	uint64_t bytes;               /* of their frames */
	struct push_positions acked;  /* everything up to here is, once it has started */
	struct push_durable *durable; /* NULL: the client has no name */
};

/*
 * acks_create - for a subscriber with a session that is not started.
 *
 * @client: the name under which its position is kept; empty: it is not.  NULL when memory is out.
 */
struct push_acks *
acks_create(struct push_subscriber *subscriber, const char *client);

/* acks_destroy - the subscriber leaves its channels; its position is put down.  NULL is allowed. */
void
acks_destroy(struct push_acks *acks);

/* acks_start - the session has begun: from where it stands on, there is something to acknowledge. */
void
acks_start(struct push_subscriber *subscriber);

/* acks_restart - the session begins elsewhere than it was thought to, before anything was sent. */
void
acks_restart(struct push_subscriber *subscriber);

/*
 * acks_admit - a message of a channel with history is about to be given to a subscriber that is not behind.
 *
 * Returns false where it shall not: it has fallen behind, or it was closed.
 */
bool
acks_admit(struct push_subscriber *subscriber, unsigned int partition, struct push_position at,
	struct push_frame *frame, uint64_t now_us);

/* acks_have_room - whether the window takes one more. */
bool
acks_have_room(const struct push_subscriber *subscriber, const struct push_frame *frame);

/* acks_keep - a message is about to be sent.  Returns false where the subscriber was closed: memory is out.
 */
bool
acks_keep(struct push_subscriber *subscriber, unsigned int partition, struct push_position at,
	struct push_frame *frame, uint64_t now_us);

/*
 * acks_send_again - send what is to be sent again, as much as the outbox takes.
 *
 * Returns whether something newer may follow; not where the subscriber was closed.
 */
bool
acks_send_again(struct push_subscriber *subscriber, uint64_t now_us);

/*
 * acks_leave - the subscriber leaves a channel: nothing of it is sent again, and no ack of it is awaited.
 *
 * Errors: PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
acks_leave(struct push_subscriber *subscriber, const struct push_channel *channel);

/* acks_receive - the client says `ack`, whether or not it may. */
void
acks_receive(struct push_subscriber *subscriber, const struct push_command *command, uint64_t now_us);

/* acks_refuse - the client says what it may not where acks are. */
void
acks_refuse(struct push_subscriber *subscriber, const struct push_command *command, const char *text,
	uint64_t now_us);

/* acks_next_due - the tick at which acks_on_timer() has something to do, if that is before `due`; or `due`.
 */
uint32_t
acks_next_due(const struct push_subscriber *subscriber, uint32_t due);

/* acks_on_timer - do what is due.  May close the subscriber. */
void
acks_on_timer(struct push_subscriber *subscriber, uint64_t now_us);

/* acks_hurry - let the subscriber's timer fire at what has become due before that. */
void
acks_hurry(struct push_subscriber *subscriber);

#endif
