/* sse.c - see sse.h. */
#include <stdio.h>
#include <string.h>

#include "push_assert.h"
#include "sse.h"

#define RETRY_LINE_BYTES 24

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

struct push_frame *
push_sse_frame(const struct push_sse_event *event)
{
	const char *data_end = event->data_end ? event->data_end : "";
	char retry[RETRY_LINE_BYTES] = "";
	struct push_frame *frame;
	unsigned char *p;
	size_t size, text_at;

	if (event->retry_ms)
		snprintf(retry, sizeof(retry), "\nretry:%u", event->retry_ms);
	text_at = push_sse_data_offset(strlen(event->name)) + event->data_size;
	size = text_at + strlen(data_end) + strlen(retry) +
	       (event->id_size ? strlen("\nid:") + event->id_size : 0) + strlen("\n\n");
	frame = push_frame_create_around(size, event->text, text_at, event->accepted_us);
	if (!frame)
		return NULL;
	p = put_text(frame->bytes, "event:");
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
	PUSH_ASSERT(p == frame->bytes + size);
	return frame;
}
