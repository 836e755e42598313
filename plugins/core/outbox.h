/*
 * outbox.h - what waits for one subscriber: a bounded queue of references to shared frames.
 *
 * Empty, it owns no memory; a single waiting frame, which is the usual case, needs none either, since its
 * pointer stands where the ring's would.  More than one go into a ring that doubles and is freed when empty.
 *
 *   frame | ring ──▶ [ f3 | f4 |    | f2 ]     head = 3, count = 3, capacity = 4
 *                                    ▲ `sent` bytes of this one are on the socket already
 *
 * "Full" means: something waits already and the new frame would take the bytes over the caller's limit, or
 * there are PUSH_OUTBOX_FRAMES_MAX frames.  An empty outbox takes any frame, so that a limit below the size
 * of one message still delivers messages one by one.
 *
 * Invariants: capacity == 0 means at most one frame, in `frame`; bytes is the sum of the frames' sizes less
 * `sent`; count == 0 means nothing is owned.
 */
#ifndef PUSH_CORE_OUTBOX_H
#define PUSH_CORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "status.h"

struct push_outbox {
	union {
		struct push_frame *frame;
		struct push_frame **ring;
	};
	uint32_t head, count, capacity; /* frames; capacity is 0 or a power of two */
	uint32_t sent;                  /* bytes of the first frame that the transport has taken */
	size_t bytes;                   /* waiting */
};

/* push_outbox_init - an empty outbox. */
void
push_outbox_init(struct push_outbox *outbox);

/* push_outbox_fini - drop everything that waits. */
void
push_outbox_fini(struct push_outbox *outbox);

/*
 * push_outbox_push - append a frame; the outbox takes a reference of its own.
 *
 * @bytes_max: the limit of what may wait.
 * Errors: PUSH_TOO_LARGE when full, PUSH_OUT_OF_MEMORY; nothing changes then.
 */
enum push_status PUSH_MUST_USE
push_outbox_push(struct push_outbox *outbox, struct push_frame *frame, size_t bytes_max);

/*
 * push_outbox_peek - the first waiting frames, up to `max`, borrowed until the outbox changes.
 *
 * Returns their number; the first one's first `outbox->sent` bytes are not to be written again.
 */
size_t
push_outbox_peek(const struct push_outbox *outbox, struct push_frame **frames, size_t max);

/*
 * push_outbox_advance - the transport has taken `bytes` more bytes, at most outbox->bytes.
 *
 * Frames that are done lose their reference.
 */
void
push_outbox_advance(struct push_outbox *outbox, size_t bytes);

/*
 * push_outbox_drop_unsent - drop all frames but one that is partly written, whose rest must still follow, or
 * the client would read garbage.
 */
void
push_outbox_drop_unsent(struct push_outbox *outbox);

static inline bool
push_outbox_is_empty(const struct push_outbox *outbox)
{
	return outbox->count == 0;
}

#endif
