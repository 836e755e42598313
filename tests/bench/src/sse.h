/*
 * sse.h - server-sent events as a client sees them (WHATWG HTML, 9.2.6 "Interpreting an event stream").
 *
 * All three line ends, comments, a space after the colon or none, several data lines, `id`.  `retry` is passed
 * over.
 */
#ifndef BENCH_SSE_H
#define BENCH_SSE_H

#include <stddef.h>

struct sse_event {
	const char *name;
	size_t name_size; /* 0: "message" */
	char *data;
	size_t data_size;
	const char *id;
	size_t id_size; /* 0: none */
};

/*
 * sse_event_parse - the event at the start of `bytes`, up to its blank line.
 *
 * Returns the bytes it takes up, 0 if it is not whole yet.  A block of comments alone is an event without
 * name and data.  The event points into `bytes`, where several data lines are joined in place.
 */
size_t sse_event_parse(char *bytes, size_t size, struct sse_event *ret_event);

#endif
