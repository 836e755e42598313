/* sse.c - see sse.h. */
#include <string.h>

#include "push_assert.h"
#include "sse.h"

static unsigned char *
put(unsigned char *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	return to + size;
}

struct push_frame *
push_sse_event(const char *name, const char *data, size_t data_size, uint64_t accepted_us)
{
	static const char event[] = "event:", separator[] = "\ndata:", end[] = "\n\n";
	size_t name_size = strlen(name);
	size_t size = sizeof(event) - 1 + name_size + sizeof(separator) - 1 + data_size + sizeof(end) - 1;
	struct push_frame *frame = push_frame_create(size, accepted_us);
	unsigned char *p;

	if (!frame)
		return NULL;
	p = put(frame->bytes, event, sizeof(event) - 1);
	p = put(p, name, name_size);
	p = put(p, separator, sizeof(separator) - 1);
	p = put(p, data, data_size);
	p = put(p, end, sizeof(end) - 1);
	PUSH_ASSERT(p == frame->bytes + size);
	return frame;
}
