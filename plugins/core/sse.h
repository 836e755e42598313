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

/*
 * push_sse_event - a frame with `event:NAME`, `data:DATA` and the empty line that ends an event.
 *
 * Returns a frame with one reference, or NULL when memory is out.
 */
struct push_frame *
push_sse_event(const char *name, const char *data, size_t data_size, uint64_t accepted_us);

#endif
