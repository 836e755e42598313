/*
 * outbox.h - what waits for one subscriber: a bounded queue of references to shared frames.
 *
 * Empty, it owns no memory; a single waiting frame, which is the usual case, needs none either, since its
 * pointer stands where the ring's would.  More than one go into a ring that doubles and is freed when empty.
 *
 *   item ──▶ f2                                    one frame
 *   item ──▶ {head, count, capacity} [ f3 | f4 |    | f2 ]     marked by the pointer's lowest bit
 *                                                     ▲ `sent` bytes of this one are on the socket already
 *
 * "Full" means: something waits already and the new frame would take the bytes over the caller's limit, or
 * there are PUSH_OUTBOX_FRAMES_MAX frames.  An empty outbox takes any frame, so that a limit below the size
 * of one message still delivers messages one by one.
 *
 * Invariants: bytes is the sum of the frames' sizes less `sent`; item == 0 means nothing is owned; a ring
 * holds at least one frame.  A ring is charged where the frames are (memory.h).
 */
#ifndef PUSH_CORE_OUTBOX_H
#define PUSH_CORE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "status.h"

/* 16 bytes, of which every subscriber has one. */
struct push_outbox {
	uintptr_t item; /* 0, a struct push_frame, or a ring + 1 */
	uint32_t sent;  /* bytes of the first frame that the transport has taken */
	uint32_t bytes; /* waiting */
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
	return !outbox->item;
}

/* push_outbox_last - the frame that was pushed last, borrowed; NULL when empty. */
const struct push_frame *
push_outbox_last(const struct push_outbox *outbox);

/* push_outbox_count - frames that wait. */
uint32_t
push_outbox_count(const struct push_outbox *outbox);

#endif
