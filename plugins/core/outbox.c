/* outbox.c - see outbox.h. */
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "outbox.h"
#include "push_assert.h"

#define OUTBOX_FIRST_CAPACITY 8

_Static_assert((OUTBOX_FIRST_CAPACITY & (OUTBOX_FIRST_CAPACITY - 1)) == 0, "the ring is indexed by a mask");
_Static_assert((PUSH_OUTBOX_FRAMES_MAX & (PUSH_OUTBOX_FRAMES_MAX - 1)) == 0, "the ring doubles up to this");

static struct push_frame **
slot(const struct push_outbox *outbox, uint32_t index)
{
	return &outbox->ring[(outbox->head + index) & (outbox->capacity - 1)];
}

static struct push_frame *
first(const struct push_outbox *outbox)
{
	return outbox->capacity ? *slot(outbox, 0) : outbox->frame;
}

void
push_outbox_init(struct push_outbox *outbox)
{
	memset(outbox, 0, sizeof(*outbox));
}

static void
drop_from(struct push_outbox *outbox, uint32_t index)
{
	while (outbox->count > index) {
		struct push_frame *frame =
			outbox->capacity ? *slot(outbox, outbox->count - 1) : outbox->frame;

		outbox->count--;
		outbox->bytes -= frame->size;
		if (!outbox->count) {
			outbox->bytes += outbox->sent;
			outbox->sent = 0;
		}
		push_frame_unref(frame);
	}
	if (!outbox->count && outbox->capacity) {
		free(outbox->ring);
		push_outbox_init(outbox);
	}
}

void
push_outbox_fini(struct push_outbox *outbox)
{
	drop_from(outbox, 0);
	PUSH_ASSERT(outbox->bytes == 0);
}

/* A ring with room for one more; the frames are laid out from its start. */
static enum push_status
grow(struct push_outbox *outbox)
{
	uint32_t capacity = outbox->capacity ? outbox->capacity * 2 : OUTBOX_FIRST_CAPACITY;
	struct push_frame **ring;

	if (capacity > PUSH_OUTBOX_FRAMES_MAX)
		return PUSH_TOO_LARGE;
	ring = malloc(capacity * sizeof(struct push_frame *));
	if (!ring)
		return PUSH_OUT_OF_MEMORY;
	push_outbox_peek(outbox, ring, outbox->count);
	if (outbox->capacity)
		free(outbox->ring);
	outbox->ring = ring;
	outbox->head = 0;
	outbox->capacity = capacity;
	return PUSH_OK;
}

enum push_status
push_outbox_push(struct push_outbox *outbox, struct push_frame *frame, size_t bytes_max)
{
	if (!outbox->count) {
		PUSH_ASSERT(outbox->capacity == 0 && outbox->bytes == 0);
		outbox->frame = push_frame_ref(frame);
		outbox->count = 1;
		outbox->bytes = frame->size;
		return PUSH_OK;
	}
	if (outbox->bytes + frame->size > bytes_max)
		return PUSH_TOO_LARGE;
	if (!outbox->capacity || outbox->count == outbox->capacity) {
		enum push_status status = grow(outbox);

		if (status != PUSH_OK)
			return status;
	}
	*slot(outbox, outbox->count) = push_frame_ref(frame);
	outbox->count++;
	outbox->bytes += frame->size;
	return PUSH_OK;
}

size_t
push_outbox_peek(const struct push_outbox *outbox, struct push_frame **frames, size_t max)
{
	size_t count = outbox->count < max ? outbox->count : max;

	if (!count)
		return 0;
	if (!outbox->capacity) {
		frames[0] = outbox->frame;
		return 1;
	}
	for (uint32_t i = 0; i < count; i++)
		frames[i] = *slot(outbox, i);
	return count;
}

void
push_outbox_advance(struct push_outbox *outbox, size_t bytes)
{
	PUSH_ASSERT(bytes <= outbox->bytes);
	outbox->bytes -= bytes;
	bytes += outbox->sent;
	outbox->sent = 0;

	while (outbox->count && bytes >= first(outbox)->size) {
		struct push_frame *frame = first(outbox);

		bytes -= frame->size;
		outbox->count--;
		if (outbox->capacity)
			outbox->head = (outbox->head + 1) & (outbox->capacity - 1);
		push_frame_unref(frame);
	}
	outbox->sent = (uint32_t)bytes;
	if (!outbox->count) {
		PUSH_ASSERT(outbox->sent == 0 && outbox->bytes == 0);
		if (outbox->capacity)
			free(outbox->ring);
		push_outbox_init(outbox);
	}
}

void
push_outbox_drop_unsent(struct push_outbox *outbox)
{
	drop_from(outbox, outbox->sent ? 1 : 0);
}
