/* frame.c - see frame.h. */
#include <stdlib.h>

#include "frame.h"
#include "push_assert.h"

struct push_frame *
push_frame_create(size_t size, uint64_t accepted_us)
{
	struct push_frame *frame;

	PUSH_ASSERT(size > 0 && size <= UINT32_MAX);
	frame = malloc(sizeof(*frame) + size);
	if (!frame)
		return NULL;
	frame->refs = 1;
	frame->size = (uint32_t)size;
	frame->account = NULL;
	frame->text = NULL;
	frame->text_at = 0;
	frame->tracker = NULL;
	frame->accepted_us = accepted_us;
	return frame;
}

struct push_frame *
push_frame_create_around(size_t size, struct push_frame *text, size_t text_at, uint64_t accepted_us)
{
	struct push_frame *frame = push_frame_create(size, accepted_us);

	if (!frame || !text)
		return frame;
	PUSH_ASSERT(text_at <= size && size + text->size <= UINT32_MAX && !text->text);
	frame->text = push_frame_ref(text);
	frame->text_at = (uint32_t)text_at;
	frame->size += text->size;
	return frame;
}

void
push_frame_unref(struct push_frame *frame)
{
	if (!frame)
		return;
	PUSH_ASSERT(frame->refs > 0);
	if (--frame->refs)
		return;
	if (frame->account)
		push_account_take(frame->account, push_frame_bytes(frame));
	push_frame_unref(frame->text);
	free(frame);
}
