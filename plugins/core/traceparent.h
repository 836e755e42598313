/*
 * traceparent.h - whose trace a publish belongs to: the header `traceparent` of W3C Trace Context.
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   │  trace id, 16 bytes               span id of who    └ flags: 01 sampled, 02 the trace id is random
 *   version                             sends it, 8 bytes
 *
 * `tracestate`, the vendors' list beside it, is not read: Push calls nobody on behalf of a publisher, so
 * there is nobody to hand it on to, and a span of ours has no entry in it.
 */
#ifndef PUSH_CORE_TRACEPARENT_H
#define PUSH_CORE_TRACEPARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUSH_TRACE_ID_BYTES    16
#define PUSH_SPAN_ID_BYTES     8
#define PUSH_TRACEPARENT_BYTES 55 /* of version 00, as text */

#define PUSH_TRACE_SAMPLED 0x01u /* who sends it records its spans, and so shall we */
#define PUSH_TRACE_RANDOM  0x02u /* Level 2: the last 7 bytes of the trace id are random */

/* A trace, and one span of it. */
struct push_trace {
	unsigned char trace_id[PUSH_TRACE_ID_BYTES]; /* not all 0 */
	unsigned char span_id[PUSH_SPAN_ID_BYTES];   /* not all 0 */
	uint8_t flags;
};

/*
 * push_traceparent_parse - read what somebody sent.
 *
 * Anything may be in `text`.  Digits are lower-case; ids of nothing but zeros and version ff are invalid; 00
 * has exactly 55 bytes.  A version that is not known is read as far as it is 00 (its flags: `sampled` alone),
 * where nothing follows or a dash does (Trace Context, 3.2.4 and 4.3).  Returns false where it is none;
 * *ret is not written then.
 */
bool
push_traceparent_parse(struct push_trace *ret, const char *text, size_t size);

/* push_traceparent_write - in version 00, with a NUL behind it. */
void
push_traceparent_write(const struct push_trace *trace, char to[PUSH_TRACEPARENT_BYTES + 1]);

/* push_hex_write - `size` bytes as twice as many lower-case digits, without a NUL. */
void
push_hex_write(const unsigned char *bytes, size_t size, char *to);

#endif
