/*
 * sse.h - Server-Sent Events as bytes (WHATWG HTML, 9.2.6 "Interpreting an event stream").
 *
 * The form is the origin's, byte for byte: LF only, no space after the colon.  Data is JSON text without a
 * raw line break, which json.h guarantees, so one `data:` line is enough and nothing in it can end the event.
 *
 * Each frame is one chunk of HTTP/1.1 (RFC 9112, 7.1), since clients that read in blocks show an event at
 * once only where a chunk ends with it:
 *
 *   2f CRLF   event:message LF data:{"channel":"a","message":1} LF LF   CRLF
 *             └──────────────── 0x2f bytes, the text among them ──────┘
 *
 * HTTP/1.0 and HTTP/2 have no chunks: their wires leave out what is around the event
 * (push_sse_event_span), and count it as written.
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

/* push_sse_comment - a line of its own, `:TEXT`, in front of an event.  Returns as above. */
struct push_frame *
push_sse_comment(const char *text, size_t size);

/* push_sse_last_chunk - the end of a response that is whole.  Returns as above. */
struct push_frame *
push_sse_last_chunk(void);

/*
 * push_sse_event_span - what of a frame a wire without chunks carries: from *ret_from to before *ret_end.
 *
 * Of the last chunk that is nothing.  A frame that is no chunk, the head of a response, is carried whole.
 */
void
push_sse_event_span(const struct push_frame *frame, size_t *ret_from, size_t *ret_end);

/* What follows the event in its frame. */
#define PUSH_SSE_CHUNK_END "\r\n"

/* Where the data begins in an event with that name. */
static inline size_t
push_sse_data_offset(size_t name_size)
{
	return sizeof("event:") - 1 + name_size + sizeof("\ndata:") - 1;
}

#endif
