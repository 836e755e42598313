/*
 * values.h - small values by name, and notices that are remembered, in the segment.  All want the lock.
 *
 * Limits and order of leaving are those of core/values.h: past a limit the oldest go first.  Where the segment has
 * no room, history gives way to them first: a client's position is worth more than one old message.
 *
 * A value is kept as soon as its record is LIVE; the one that it replaces goes afterwards.  A process that ends in
 * between leaves both, and the one with the higher number (seq) stays.
 */
#ifndef PUSH_SEGMENT_VALUES_H
#define PUSH_SEGMENT_VALUES_H

#include "core/buf.h"
#include "segment/layout.h"
#include "segment/segment.h"

/* push_segment_value_get - appends it to `to`.  Errors: PUSH_NOT_FOUND, PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_segment_value_get(struct push_segment *segment, const char *name, size_t name_size, uint64_t now_us,
	struct push_buf *to);

/*
 * push_segment_value_put - keep it for `ttl_us`, in the place of one of the same name; 0: forget it.
 *
 * Errors: PUSH_TOO_LARGE, PUSH_OUT_OF_MEMORY; what was there stays then.
 */
enum push_status PUSH_MUST_USE
push_segment_value_put(struct push_segment *segment, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, uint64_t now_us);

/* push_segment_values_expire - look at the next `max` values and as many notices, and free those that are too old. */
void
push_segment_values_expire(struct push_segment *segment, uint32_t max, uint64_t now_us);

/* push_segment_values_limit - forget up to `max` of the oldest while all take more than that. */
void
push_segment_values_limit(struct push_segment *segment, uint64_t bytes_max, uint32_t max);

/* push_segment_notice_put - remember a notice.  Over the limits the oldest go.  Errors: PUSH_TOO_LARGE,
 * PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_segment_notice_put(
	struct push_segment *segment, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us);

/*
 * push_segment_notices_read - those that are remembered, behind the one with number `after`, the oldest first;
 * `max` of them are looked at.
 *
 * Returns the number to go on behind; 0: there are no more.
 */
uint64_t
push_segment_notices_read(struct push_segment *segment, uint64_t after, uint32_t max, uint64_t now_us,
	struct push_buf *scratch, void (*visit)(void *context, const char *text, size_t size), void *context);

/* segment_value_link - put a value into its bucket, and into the order of leaving as the newest. */
void
segment_value_link(struct push_segment *segment, segment_index index);

/* segment_value_before - the one of the same name that is linked; 0: none. */
segment_index
segment_value_before(struct push_segment *segment, segment_index index);

/* segment_value_forget - one that is linked. */
void
segment_value_forget(struct push_segment *segment, segment_index index);

/* segment_notice_link - as the newest. */
void
segment_notice_link(struct push_segment *segment, segment_index index);

#endif
