/*
 * log.h - what is published, in the order in which the broker took it; each worker reads it by itself.
 *
 *      first                    a worker's position        tail
 *   ─────┼──[ 7 ][ 8 ][ 9 ][ 10 ]───────┼──[ 11 ][ 12 ]─────┤ (next: 13)
 *   may be overwritten      read                 unread
 *
 * Append (under the lock): the record is written, and what leads to it; then `tail` moves (release): that is the
 * commit.  A process that ends before has published nothing: repair frees records that stand at or behind `tail`.
 *
 * Read (without the lock): what lies before `tail` (acquire) is whole.  It is copied out, and then `first` is
 * looked at (behind an acquire fence): if it has moved past, what was copied may be half of something else, and
 * the reader has missed messages: PUSH_SEGMENT_OVERRUN.  Whoever frees moves `first` before it writes to what was
 * there (behind a release fence).  This is a sequence lock whose sequence is `first` (Boehm, "Can seqlocks get
 * along with programming language memory models?", MSPC 2012); what is copied is therefore read by relaxed atomic
 * words.
 */
#ifndef PUSH_SEGMENT_LOG_H
#define PUSH_SEGMENT_LOG_H

#include "core/buf.h"
#include "segment/segment.h"

/* What may lie in the log. */
enum push_segment_verb {
	PUSH_SEGMENT_MESSAGE,     /* published */
	PUSH_SEGMENT_CALL,        /* number: of the call; name: verb; value: text */
	PUSH_SEGMENT_ANSWER,      /* number: of the call; name: a status, a digit; value: the answer */
	PUSH_SEGMENT_RECEIPT,     /* number: of the receipt; value: 8 bytes, how many it was written to */
	PUSH_SEGMENT_NOTICE_SENT, /* value: its text */
};

struct push_segment_message {
	const char *name, *value; /* borrowed */
	size_t name_size, value_size;
	uint64_t hash;         /* of the name */
	uint32_t hint;         /* where its channel was; 0: unknown */
	uint64_t ttl_us;       /* its own; 0: none */
	uint64_t receipt;      /* 0: nobody waits for receipts */
	uint32_t history_size; /* the rule's; 0: it is not kept */
	uint64_t history_ttl_us;
};

struct push_segment_published {
	uint64_t subscribers;    /* on all workers, this one included */
	uint64_t others;         /* workers to wake (bits), this one left out */
	uint64_t seq;            /* its place, if in_log */
	uint64_t upto;           /* read all before that first: it was accepted earlier */
	bool in_log;             /* somebody else reads it, or it is kept */
	uint64_t number, before; /* of a channel with history: its position, and that of the one before */
	uint32_t channel;        /* where it is now; 0: there is none */
};

/*
 * push_segment_publish - give a message its place.
 *
 * What nobody but this worker's clients gets, and nobody keeps, has none.
 * Under the lock.  Errors: PUSH_OUT_OF_MEMORY: there is no room; nothing was published.
 */
enum push_status PUSH_MUST_USE
push_segment_publish(struct push_segment *segment, const struct push_segment_message *message,
	uint64_t now_us, struct push_segment_published *ret);

struct push_segment_letter {
	enum push_segment_verb verb;
	uint64_t mask; /* to whom; those that are not attached are left out */
	uint64_t number;
	const char *name, *value; /* borrowed */
	size_t name_size, value_size;
};

/* push_segment_send - what is no message, to some workers; *ret_mask: whom to wake.  Under the lock. */
enum push_status PUSH_MUST_USE
push_segment_send(struct push_segment *segment, const struct push_segment_letter *letter, uint64_t now_us,
	uint64_t *ret_mask);

enum push_segment_reading {
	PUSH_SEGMENT_NOTHING, /* all was read */
	PUSH_SEGMENT_OTHERS,  /* what was next is not for this worker; its `number` is right all the same */
	PUSH_SEGMENT_ITEM,
	PUSH_SEGMENT_OVERRUN, /* some was missed: go on from push_segment_catch_up() */
};

/* What was read; name and value are in the reader's buffer until it reads again. */
struct push_segment_item {
	enum push_segment_verb verb;
	unsigned int slot; /* who sent it */
	const char *name, *value;
	size_t name_size, value_size;
	uint64_t seq, number, receipt, time_us, expires_us;
	uint64_t before; /* of a message with a number: that of its channel's before */
};

/* push_segment_read - what is next for this worker; moves its position.  Without the lock. */
enum push_segment_reading
push_segment_read(struct push_segment *segment, struct push_buf *to, struct push_segment_item *ret);

/* push_segment_position - the place that this worker reads next. */
uint64_t
push_segment_position(const struct push_segment *segment);

/* push_segment_tail - the place that is next to be written. */
uint64_t
push_segment_tail(const struct push_segment *segment);

/* push_segment_skip_own - this worker has delivered the message at its position already. */
void
push_segment_skip_own(struct push_segment *segment);

/* push_segment_catch_up - this worker has missed some: go on from the tail.  Under the lock: nothing comes in between. */
void
push_segment_catch_up(struct push_segment *segment);

/* push_segment_head - the last number that was given.  Under the lock. */
uint64_t
push_segment_head(const struct push_segment *segment);

/* push_segment_behind - messages that the slowest worker has not read, at most as many as the log has places. */
uint64_t
push_segment_behind(const struct push_segment *segment);

/* segment_make_room - for so many blocks: what all have read goes first, then the oldest of history and of what slow
 * readers have not read.  False: there are not so many. */
bool
segment_make_room(struct push_segment *segment, uint32_t blocks);

#endif
