/*
 * sse.h - Server-Sent Events as bytes (WHATWG HTML, 9.2.6 "Interpreting an event stream").
 *
 * The form is the origin's, byte for byte: LF only, no space after the colon.  Data is JSON text without a
 * raw line break, which json.h guarantees, so one `data:` line is enough and nothing in it can end the event.
 */
#ifndef PUSH_CORE_SSE_H
#define PUSH_CORE_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct push_sse_event {
	const char *name;
	const char *data;
	size_t data_size;
	struct push_frame *text; /* more of it, borrowed (frame.h); NULL: no more */
	const char *data_end;    /* more of it, NUL-terminated */
	const char *id;          /* what the client sends as Last-Event-ID when it comes back */
	size_t id_size;          /* 0: no such line */
	unsigned int retry_ms;   /* 0: no such line */
	uint64_t accepted_us;
};

/*
 * push_sse_frame - `event:NAME`, `data:DATA`, what else there is, and the empty line that ends an event.
 *
 * Returns a frame with one reference, or NULL when memory is out.
 */
struct push_frame *
push_sse_frame(const struct push_sse_event *event);

/* Where the data begins in a frame with that name. */
static inline size_t
push_sse_data_offset(size_t name_size)
{
	return sizeof("event:") - 1 + name_size + sizeof("\ndata:") - 1;
}

#endif
