/* sse.c - see sse.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "push_assert.h"
#include "sse.h"

#define RETRY_LINE_BYTES 24

/* The size of a frame has 32 bits. */
#define CHUNK_SIZE_DIGITS_MAX 8

static unsigned char *
put(unsigned char *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	return to + size;
}

static unsigned char *
put_text(unsigned char *to, const char *text)
{
	return put(to, text, strlen(text));
}

static unsigned int
hex_digits(size_t size)
{
	unsigned int count = 1;

	while (size >>= 4)
		count++;
	return count;
}

/* One of each message, for which printf() would be most of the work. */
static unsigned char *
put_chunk_size(unsigned char *to, size_t size, unsigned int digits)
{
	for (unsigned int i = digits; i-- > 0; size >>= 4)
		to[i] = (unsigned char)"0123456789abcdef"[size & 15];
	return put_text(to + digits, "\r\n");
}

/*
 * A chunk of `size` bytes and a text `text_at` bytes behind its beginning.  Returns NULL when memory is out;
 * else *ret_at is where the chunk's bytes are to be put.
 */
static struct push_frame *
create_chunk(
	size_t size, struct push_frame *text, size_t text_at, uint64_t accepted_us, unsigned char **ret_at)
{
	size_t whole = size + (text ? text->size : 0);
	unsigned int digits = hex_digits(whole);
	size_t head_size = digits + strlen("\r\n");
	struct push_frame *frame = push_frame_create_around(
		head_size + size + strlen(PUSH_SSE_CHUNK_END), text, head_size + text_at, accepted_us);

	PUSH_ASSERT(digits <= CHUNK_SIZE_DIGITS_MAX);
	if (!frame)
		return NULL;
	*ret_at = put_chunk_size(frame->bytes, whole, digits);
	(void)put_text(*ret_at + size, PUSH_SSE_CHUNK_END);
	return frame;
}

struct push_frame *
push_sse_frame(const struct push_sse_event *event)
{
	const char *data_end = event->data_end ? event->data_end : "";
	char retry[RETRY_LINE_BYTES] = "";
	struct push_frame *frame;
	unsigned char *start, *p;
	size_t size, text_at;

	if (event->retry_ms)
		snprintf(retry, sizeof(retry), "\nretry:%u", event->retry_ms);
	text_at = push_sse_data_offset(strlen(event->name)) + event->data_size;
	size = text_at + strlen(data_end) + strlen(retry) +
	       (event->id_size ? strlen("\nid:") + event->id_size : 0) + strlen("\n\n");
	frame = create_chunk(size, event->text, text_at, event->accepted_us, &start);
	if (!frame)
		return NULL;
	p = put_text(start, "event:");
	p = put_text(p, event->name);
	p = put_text(p, "\ndata:");
	p = put(p, event->data, event->data_size);
	p = put_text(p, data_end);
	p = put_text(p, retry);
	if (event->id_size) {
		p = put_text(p, "\nid:");
		p = put(p, event->id, event->id_size);
	}
	p = put_text(p, "\n\n");
	PUSH_ASSERT(p == start + size);
	return frame;
}

struct push_frame *
push_sse_comment(const char *text, size_t size)
{
	unsigned char *p;
	struct push_frame *frame = create_chunk(strlen(":") + size + strlen("\n"), NULL, 0, 0, &p);

	if (!frame)
		return NULL;
	p = put_text(p, ":");
	p = put(p, text, size);
	(void)put_text(p, "\n");
	return frame;
}

struct push_frame *
push_sse_last_chunk(void)
{
	static const char last[] = "0\r\n" PUSH_SSE_CHUNK_END;
	struct push_frame *frame = push_frame_create(sizeof(last) - 1, 0);

	if (frame)
		(void)put_text(frame->bytes, last);
	return frame;
}

static bool
is_hex(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

void
push_sse_event_span(const struct push_frame *frame, size_t *ret_from, size_t *ret_end)
{
	size_t digits = 0;

	while (is_hex(frame->bytes[digits]))
		digits++;
	*ret_from = digits ? digits + strlen("\r\n") : 0;
	*ret_end = digits ? frame->size - strlen(PUSH_SSE_CHUNK_END) : frame->size;
	PUSH_ASSERT(*ret_from <= *ret_end);
}
