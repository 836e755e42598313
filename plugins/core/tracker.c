/* tracker.c - see tracker.h. */
#include <stdlib.h>

#include "frame.h"
#include "push_assert.h"
#include "tracker.h"

void
push_tracker_init(struct push_tracker *tracker, void (*over)(struct push_tracker *tracker), void *context)
{
	*tracker = (struct push_tracker){.over = over, .context = context, .is_delivering = true};
}

void
push_tracker_fini(struct push_tracker *tracker)
{
	for (size_t i = 0; i < tracker->frame_count; i++) {
		tracker->frames[i]->tracker = NULL;
		push_frame_unref(tracker->frames[i]);
	}
	free(tracker->frames);
	tracker->frames = NULL;
	tracker->frame_count = 0;
}

enum push_status
push_tracker_attach(struct push_tracker *tracker, struct push_frame *frame)
{
	struct push_frame **frames = tracker->frames;
	size_t count = tracker->frame_count;

	PUSH_ASSERT(!frame->tracker);
	/* full at each power of two */
	if (!(count & (count - 1)))
		frames = realloc(frames, (count ? 2 * count : 1) * sizeof(struct push_frame *));
	if (!frames)
		return PUSH_OUT_OF_MEMORY;
	tracker->frames = frames;
	frames[tracker->frame_count++] = push_frame_ref(frame);
	frame->tracker = tracker;
	return PUSH_OK;
}

bool
push_tracker_is_over(const struct push_tracker *tracker)
{
	return tracker->written + tracker->dropped == tracker->awaited && !tracker->owed;
}

void
push_tracker_delivered(struct push_tracker *tracker)
{
	tracker->is_delivering = false;
}

void
push_tracker_written_elsewhere(struct push_tracker *tracker, uint64_t count)
{
	PUSH_ASSERT(tracker->is_delivering);
	tracker->awaited += count;
	tracker->written += count;
}

void
push_tracker_taken(struct push_tracker *tracker)
{
	tracker->awaited++;
	if (!tracker->is_delivering && tracker->owed)
		tracker->owed--;
}

void
push_tracker_gone(struct push_tracker *tracker, bool written)
{
	if (written)
		tracker->written++;
	else
		tracker->dropped++;
	PUSH_ASSERT(tracker->written + tracker->dropped <= tracker->awaited);
	if (!tracker->is_delivering && push_tracker_is_over(tracker))
		tracker->over(tracker);
}
