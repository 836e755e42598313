/*
 * values.h - small values by name, and notices that are remembered, in the segment.  All want the lock.
 *
 * Limits and order of leaving are those of core/values.h: where there is no room the oldest go first.
 */
#ifndef PUSH_SEGMENT_VALUES_H
#define PUSH_SEGMENT_VALUES_H

#include "core/buf.h"
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

/* push_segment_values_expire - free up to `max` that are too old. */
void
push_segment_values_expire(struct push_segment *segment, uint32_t max, uint64_t now_us);

/* push_segment_notice_put - remember a notice.  Over the limits the oldest go.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_segment_notice_put(
	struct push_segment *segment, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us);

/*
 * push_segment_notices_read - those that are remembered, behind the one with number `after`, the oldest first,
 * at most `max`.
 *
 * Returns the number of the last one; 0: there are no more.
 */
uint64_t
push_segment_notices_read(struct push_segment *segment, uint64_t after, uint32_t max, uint64_t now_us,
	struct push_buf *scratch, void (*visit)(void *context, const char *text, size_t size), void *context);

#endif
