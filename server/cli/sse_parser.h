/*
 * sse_parser.h - an event stream's bytes, in pieces of any size, become events.
 *
 * By HTML's "Server-sent events", 9.2.6: lines end with LF, CR or CRLF, an empty one ends an event, one space
 * behind a field's colon does not count, several `data` lines are joined by LF.  An event without a name is
 * none of Push's.
 */
#ifndef PUSH_CLI_SSE_PARSER_H
#define PUSH_CLI_SSE_PARSER_H

#include <stdbool.h>

#include "core/buf.h"
#include "cli_limits.h"

struct sse_event {
	const char *name;
	const char *data; /* borrowed until the handler returns */
	size_t data_size;
	const char *id; /* "": it brings none */
};

/* Returns false to leave the rest of the bytes alone. */
typedef bool
sse_handler(void *context, const struct sse_event *event);

struct sse_parser {
	struct push_buf line, data;
	char name[32], id[CLI_ID_BYTES_MAX + 1];
	bool skips_newline; /* the last byte was a CR */
};

/* sse_parser_init - @bytes_max: of a line, and of an event's data. */
void
sse_parser_init(struct sse_parser *parser, size_t bytes_max);

void
sse_parser_fini(struct sse_parser *parser);

/* sse_parser_take - false: a line or an event is too large, or there is no memory. */
bool
sse_parser_take(
	struct sse_parser *parser, const char *bytes, size_t size, sse_handler *handle, void *context);

#endif
