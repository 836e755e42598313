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
	frame->tracker = NULL;
	frame->accepted_us = accepted_us;
	return frame;
}

void
push_frame_unref(struct push_frame *frame)
{
	if (!frame)
		return;
	PUSH_ASSERT(frame->refs > 0);
	if (!--frame->refs)
		free(frame);
}
