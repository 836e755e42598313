/*
 * frame.h - bytes that are made once and written to many sockets.
 *
 * A large text that is published to many channels, or read by clients of both kinds, is in memory once: the
 * frames around it share it.
 *
 *   bytes   { head ........ tail }        `size` counts all of what is written:
 *                         │                 head, text, tail
 *   text    ──────────────┘ at text_at, a frame of its own
 *
 * A frame is immutable after creation and counts its references; each outbox that holds it owns one.  It is
 * exactly what goes over the wire for one kind of client: an SSE event, or one or more WebSocket frames.
 */
#ifndef PUSH_CORE_FRAME_H
#define PUSH_CORE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "memory.h"

struct push_tracker;

struct push_frame {
	uint32_t refs;
	uint32_t size;                /* bytes, with those of its text */
	struct push_account *account; /* what it is charged to, borrowed; NULL: nothing (memory.h) */
	struct push_tracker *tracker; /* who counts its writes, borrowed; NULL: nobody */
	uint64_t accepted_us;         /* when the message was; 0: a heartbeat, a close, an answer */
	struct push_frame *text;      /* a reference; NULL: all is in bytes */
	union {
		uint32_t text_at; /* of a frame around a text: where in the whole that lies */
		uint32_t kept;    /* of a text: how many frames around it history keeps */
	};
	unsigned char bytes[];
};

/*
 * push_frame_create - a frame of `size` bytes, to be filled by the caller, with one reference.
 *
 * Returns NULL when memory is out.
 */
struct push_frame *
push_frame_create(size_t size, uint64_t accepted_us);

/*
 * push_frame_create_around - a frame of `size` bytes of its own, as above, and a text at `text_at`.
 *
 * A reference to the text is taken.
 */
struct push_frame *
push_frame_create_around(size_t size, struct push_frame *text, size_t text_at, uint64_t accepted_us);

/* push_frame_at - what is written from `offset` on, as far as it lies together: *ret_size bytes, borrowed. */
static inline const unsigned char *
push_frame_at(const struct push_frame *frame, size_t offset, size_t *ret_size)
{
	const struct push_frame *text = frame->text;

	*ret_size = frame->size - offset;
	if (__builtin_expect(!text, 1))
		return frame->bytes + offset;
	if (offset < frame->text_at) {
		*ret_size = frame->text_at - offset;
		return frame->bytes + offset;
	}
	offset -= frame->text_at;
	if (offset < text->size) {
		*ret_size = text->size - offset;
		return text->bytes + offset;
	}
	return frame->bytes + frame->text_at + offset - text->size;
}

static inline struct push_frame *
push_frame_ref(struct push_frame *frame)
{
	frame->refs++;
	return frame;
}

/* push_frame_bytes - what it takes, without its text. */
static inline uint64_t
push_frame_bytes(const struct push_frame *frame)
{
	return sizeof(*frame) + PUSH_MALLOC_BYTES + frame->size - (frame->text ? frame->text->size : 0);
}

/* push_frame_charge - from now on it is charged to this account, however many hold it. */
static inline void
push_frame_charge(struct push_frame *frame, struct push_account *account)
{
	if (frame->account)
		push_account_take(frame->account, push_frame_bytes(frame));
	frame->account = account;
	push_account_add(account, push_frame_bytes(frame));
}

/* push_frame_unref - give one reference back; the last one frees.  NULL is allowed. */
void
push_frame_unref(struct push_frame *frame);

#endif
