/* frames.c - see frames.h. */
#include <string.h>

#include "h2/frames.h"

/* "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", which nghttp2 checks (RFC 9113, 3.4). */
#define PREFACE_BYTES 24

void
push_h2_frames_init(struct push_h2_frames *frames)
{
	*frames = (struct push_h2_frames){.preface_left = PREFACE_BYTES};
}

static size_t
skip(uint32_t *left, size_t size)
{
	if (size > *left)
		size = *left;
	*left -= (uint32_t)size;
	return size;
}

static void
read_head(const uint8_t *head, struct push_h2_frame *ret)
{
	const uint32_t id =
		(uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];

	*ret = (struct push_h2_frame){.type = head[3],
		.flags = head[4],
		.size = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
		.stream_id = (int32_t)(id & INT32_MAX)};
}

size_t
push_h2_frames_next(struct push_h2_frames *frames, const char *bytes, size_t size, struct push_h2_frame *ret,
	bool *ret_is_frame)
{
	size_t used = PUSH_H2_FRAME_HEAD_BYTES - frames->head_size;

	*ret_is_frame = false;
	if (frames->preface_left)
		return skip(&frames->preface_left, size);
	if (frames->left)
		return skip(&frames->left, size);
	if (used > size)
		used = size;
	memcpy(frames->head + frames->head_size, bytes, used);
	frames->head_size = (uint8_t)(frames->head_size + used);
	if (frames->head_size < PUSH_H2_FRAME_HEAD_BYTES)
		return used;
	read_head(frames->head, ret);
	*ret_is_frame = true;
	frames->head_size = 0;
	frames->left = ret->size;
	ret->payload = (struct push_str){bytes + used, skip(&frames->left, size - used)};
	return used + ret->payload.size;
}
