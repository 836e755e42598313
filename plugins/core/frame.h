/*
 * frame.h - bytes that are made once and written to many sockets.
 *
 * A frame is immutable after creation and counts its references; each outbox that holds it owns one.  It is
 * exactly what goes over the wire for one kind of client: an SSE event, or one or more WebSocket frames.
 */
#ifndef PUSH_CORE_FRAME_H
#define PUSH_CORE_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct push_tracker;

struct push_frame {
	uint32_t refs;
	uint32_t size;                /* bytes */
	struct push_tracker *tracker; /* who counts its writes, borrowed; NULL: nobody */
	uint64_t accepted_us; /* when the message was accepted; 0 for what is no message (heartbeats, closes)
			       */
	unsigned char bytes[];
};

/*
 * push_frame_create - a frame of `size` bytes, to be filled by the caller, with one reference.
 *
 * Returns NULL when memory is out.
 */
struct push_frame *
push_frame_create(size_t size, uint64_t accepted_us);

static inline struct push_frame *
push_frame_ref(struct push_frame *frame)
{
	frame->refs++;
	return frame;
}

/* push_frame_unref - give one reference back; the last one frees.  NULL is allowed. */
void
push_frame_unref(struct push_frame *frame);

#endif
