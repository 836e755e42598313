/*
 * tracker.h - for whom asks when a message has been written: counts what becomes of its frames.
 *
 * A tracker is attached to the frames of one message while it is delivered (push_hub_track).  Each outbox
 * that takes such a frame counts for one, until the frame is written to its socket or dropped with it:
 *
 *   awaited = frames that outboxes took      gone = written + dropped      over: gone == awaited, none is
 * owed
 *
 * A subscriber that is behind reads the message later from the history: it is owed until then.  One that goes
 * away meanwhile stays owed, so whoever waits needs a time limit.
 *
 * Frames without a tracker, which are nearly all, cost one look at a pointer that lies beside the size.
 */
#ifndef PUSH_CORE_TRACKER_H
#define PUSH_CORE_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

struct push_frame;

struct push_tracker {
	/* Called when the last one is gone; may neither write nor free.  Not while it is delivered. */
	void (*over)(struct push_tracker *tracker);
	void *context;
	struct push_frame **frames; /* owned, with a reference to each */
	size_t frame_count;
	uint64_t awaited, written, dropped, owed;
	bool is_delivering;
};

/* push_tracker_init - nothing is tracked, and more is to come. */
void
push_tracker_init(struct push_tracker *tracker, void (*over)(struct push_tracker *tracker), void *context);

/* push_tracker_fini - no longer track anything. */
void
push_tracker_fini(struct push_tracker *tracker);

/* push_tracker_attach - track a frame, which no outbox has yet.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_tracker_attach(struct push_tracker *tracker, struct push_frame *frame);

/* push_tracker_delivered - no further frame comes.  `over` is not called for what is over already. */
void
push_tracker_delivered(struct push_tracker *tracker);

bool
push_tracker_is_over(const struct push_tracker *tracker);

/* push_tracker_written_elsewhere - so many more were written by somebody else, while it is delivered. */
void
push_tracker_written_elsewhere(struct push_tracker *tracker, uint64_t count);

/* What outboxes tell. */
void
push_tracker_taken(struct push_tracker *tracker);

void
push_tracker_gone(struct push_tracker *tracker, bool written);

#endif
