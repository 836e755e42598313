/*
 * history.h - what is kept of channels: the records of the log that stay, one copy for all workers.
 *
 * A channel's messages are a list in the order of their numbers; all of them are in one of two lists by age.
 * They leave when there are too many of a channel, when they are too old, and when all that is kept takes more
 * than push.history.memory.max: then the oldest of all first, but one of a channel in use as if it had come
 * PUSH_HISTORY_SAFE_US later (core/history.h has the same rules, for a process by itself).  All want the lock.
 */
#ifndef PUSH_SEGMENT_HISTORY_H
#define PUSH_SEGMENT_HISTORY_H

#include "core/buf.h"
#include "segment/layout.h"
#include "segment/log.h"
#include "segment/segment.h"

/* Where a channel stands; of one that is not there, what is remembered of it. */
struct push_segment_kept {
	uint64_t after;                         /* every message with a number behind that is there */
	uint64_t oldest;                        /* the first one's number; 0: none is kept */
	uint64_t newest;                        /* the last one's; 0 likewise */
	uint64_t known_since, created, dropped; /* core/history.h */
	uint32_t count;
};

void
push_segment_kept(
	struct push_segment *segment, uint32_t channel, uint64_t hash, struct push_segment_kept *ret);

/*
 * push_segment_history_read - the messages of a channel with numbers in (low, high], or fewer.
 *
 * @newest_first: the newest come first and the oldest are left out where there are too many; else the other way
 * round.  @hint: 0, or what the last call left there, which went the same way: it need not begin at the end; or NULL.
 * @visit: returns false to stop; the item is borrowed until it returns.
 * At most `max_count` messages and, but for the first, `max_bytes`.
 * Returns whether all of them were visited.
 */
bool
push_segment_history_read(struct push_segment *segment, uint32_t channel, uint64_t low, uint64_t high,
	bool newest_first, uint32_t max_count, uint64_t max_bytes, uint32_t *hint, struct push_buf *scratch,
	uint64_t now_us, bool (*visit)(void *context, const struct push_segment_item *item), void *context);

/* segment_history_append - link a record, which is the newest; what is too much leaves. */
void
segment_history_append(struct push_segment *segment, segment_index channel, segment_index record,
	uint32_t size_max, uint64_t ttl_us, uint64_t now_us);

/* segment_history_link - as the newest of its channel, whatever there is already. */
void
segment_history_link(
	struct push_segment *segment, segment_index channel, segment_index record, bool is_in_use);

/* segment_history_oldest - what is given up next, borrowed; NULL: nothing is kept. */
struct segment_record *
segment_history_oldest(struct push_segment *segment);

/* segment_history_drop_oldest - of all channels; false: nothing is kept. */
bool
segment_history_drop_oldest(struct push_segment *segment);

/* push_segment_expire - free what is too old, of the channels in up to `max` buckets from *bucket on, which moves
 * round. */
void
push_segment_expire(struct push_segment *segment, uint32_t *bucket, uint32_t max, uint64_t now_us);

/* push_segment_relieve - drop up to `max` of the oldest messages; returns how many. */
size_t
push_segment_relieve(struct push_segment *segment, size_t max);

#endif
