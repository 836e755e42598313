/*
 * frames.h - where frames begin in the bytes of a client (RFC 9113, 4.1), before nghttp2 reads them.
 *
 * nghttp2 shows no frame that it lets be: of a stream that is closed, or of an unknown type.  A client could send any number.
 */
#ifndef PUSH_H2_FRAMES_H
#define PUSH_H2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

#define PUSH_H2_FRAME_HEAD_BYTES 9

struct push_h2_frames {
	uint32_t preface_left, left; /* of the preface, of the frame that has begun */
	uint8_t head_size;           /* of the next one's header, as far as it has come: */
	uint8_t head[PUSH_H2_FRAME_HEAD_BYTES];
};

struct push_h2_frame {
	uint8_t type, flags;
	uint32_t size;
	int32_t stream_id;
	struct push_str payload; /* as much of it as has come */
};

/* push_h2_frames_init - nothing has come, not even the preface. */
void
push_h2_frames_init(struct push_h2_frames *frames);

/*
 * push_h2_frames_next - the next piece of what has come: at most one frame, and of that the header or its last byte.
 *
 * Returns its size; @size is not 0.  *ret_is_frame: a frame's header ends in it.
 */
size_t
push_h2_frames_next(struct push_h2_frames *frames, const char *bytes, size_t size, struct push_h2_frame *ret,
	bool *ret_is_frame);

#endif
