/*
 * h2_frames.h - what a client of HTTP/2 sends and reads, frame by frame (RFC 9113), for tests and fuzzers.
 */
#ifndef PUSH_TESTS_H2_FRAMES_H
#define PUSH_TESTS_H2_FRAMES_H

#include <nghttp2/nghttp2.h>
#include <string.h>

#include "core/buf.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static inline void
h2_frame(struct push_buf *to, unsigned int type, unsigned int flags, uint32_t id, const void *payload,
	size_t size)
{
	const unsigned char head[] = {(unsigned char)(size >> 16), (unsigned char)(size >> 8),
		(unsigned char)size, (unsigned char)type, (unsigned char)flags, (unsigned char)(id >> 24),
		(unsigned char)(id >> 16), (unsigned char)(id >> 8), (unsigned char)id};

	push_buf_append(to, head, sizeof(head));
	push_buf_append(to, payload, size);
}

static inline void
h2_number(struct push_buf *to, unsigned int type, unsigned int flags, uint32_t id, uint32_t number)
{
	const unsigned char payload[] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
		(unsigned char)(number >> 8), (unsigned char)number};

	h2_frame(to, type, flags, id, payload, sizeof(payload));
}

/* An integer of a string's length (RFC 7541, 5.1). */
static inline void
h2_length(struct push_buf *to, size_t size)
{
	char byte = (char)(size < 127 ? size : 127);

	push_buf_append(to, &byte, 1);
	if (size < 127)
		return;
	for (size -= 127; size >= 128; size /= 128) {
		byte = (char)(size % 128 + 128);
		push_buf_append(to, &byte, 1);
	}
	byte = (char)size;
	push_buf_append(to, &byte, 1);
}

/* A field that nobody has to remember, without Huffman coding (RFC 7541, 6.2.2). */
static inline void
h2_field(struct push_buf *block, const char *name, const char *value)
{
	push_buf_append(block, "", 1);
	h2_length(block, strlen(name));
	push_buf_append_text(block, name);
	h2_length(block, strlen(value));
	push_buf_append_text(block, value);
}

#endif
