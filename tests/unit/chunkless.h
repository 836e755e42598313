/* chunkless.h - a client's end of a wire without chunks: what it reads are events, as the contract has them. */
#ifndef PUSH_TESTS_CHUNKLESS_H
#define PUSH_TESTS_CHUNKLESS_H

#include <string.h>

#include "core/sse.h"

struct chunkless {
	char *to;
	size_t max; /* of `to`; what comes beyond it is only counted */
	size_t *size, *room;
};

/* Returns the bytes of the frame, from `skip` on, that are done with. */
static size_t
chunkless_write_frame(const struct chunkless *end, const struct push_frame *frame, size_t skip)
{
	size_t at, stop;

	if (!*end->room)
		return 0;
	push_sse_event_span(frame, &at, &stop);
	at = at < skip ? skip : at;
	while (at < stop && *end->room) {
		size_t piece;
		const unsigned char *bytes = push_frame_at(frame, at, &piece);

		piece = piece > stop - at ? stop - at : piece;
		piece = piece > *end->room ? *end->room : piece;
		if (*end->size + piece < end->max)
			memcpy(end->to + *end->size, bytes, piece);
		*end->size += piece;
		*end->room -= piece;
		at += piece;
	}
	return (at < stop ? at : frame->size) - skip;
}

static size_t
chunkless_write(const struct chunkless *end, struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t taken = 0;

	for (size_t i = 0; i < count; i++, skip = 0) {
		size_t part = chunkless_write_frame(end, frames[i], skip);

		taken += part;
		if (part < frames[i]->size - skip)
			break;
	}
	return taken;
}

#endif
