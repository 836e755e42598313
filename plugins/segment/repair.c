/* repair.c - see repair.h. */
#include <string.h>

#include "core/push_assert.h"
#include "segment/layout.h"
#include "segment/repair.h"

/* Nothing is kept, and nobody has read anything: what is left when nothing can be made of what there is. */
static void
empty(struct push_segment *segment)
{
	struct segment_header *header = segment->header;
	uint64_t tail = atomic_load_explicit(&header->tail, memory_order_relaxed);

	atomic_store_explicit(&header->first, tail, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (uint32_t i = 0; i <= segment->bucket_mask; i++) {
		atomic_store_explicit(&segment->channel_buckets[i], 0, memory_order_relaxed);
		atomic_store_explicit(&segment->value_buckets[i], 0, memory_order_relaxed);
	}
	header->low = tail;
	header->fresh = 1;
	header->free_first = header->free_count = 0;
	header->log_bytes = header->history_bytes = header->history_messages = header->channels = 0;
	memset(header->by_age, 0, sizeof(header->by_age));
	header->value_oldest = header->value_newest = header->notice_oldest = header->notice_newest = 0;
	header->value_count = header->value_bytes = header->notice_count = header->notice_bytes = 0;
	for (size_t i = 0; i < PUSH_SEGMENT_FORGOTTEN_COUNT; i++)
		header->forgotten[i] = header->number;
	atomic_fetch_add_explicit(&header->incarnation, 1, memory_order_relaxed);
}

void
push_segment_repair(struct push_segment *segment, struct push_segment_repaired *ret)
{
	PUSH_ASSERT(segment_has_lock(segment));
	*ret = (struct push_segment_repaired){.broken = 1};
	empty(segment);
	segment->is_broken = false;
}
