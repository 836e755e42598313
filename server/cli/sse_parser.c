/* sse_parser.c - see sse_parser.h. */
#include <string.h>

#include "sse_parser.h"

void
sse_parser_init(struct sse_parser *parser, size_t bytes_max)
{
	*parser = (struct sse_parser){.skips_newline = false};
	push_buf_init(&parser->line, bytes_max);
	push_buf_init(&parser->data, bytes_max);
}

void
sse_parser_fini(struct sse_parser *parser)
{
	push_buf_fini(&parser->line);
	push_buf_fini(&parser->data);
}

static bool
dispatch(struct sse_parser *parser, sse_handler *handle, void *context)
{
	struct sse_event event = {.name = parser->name,
		.data = parser->data.size ? parser->data.bytes : "",
		.data_size = parser->data.size,
		.id = parser->id};
	bool goes_on = !parser->name[0] || handle(context, &event);

	parser->name[0] = parser->id[0] = '\0';
	push_buf_clear(&parser->data);
	return goes_on;
}

/* A name or an id that is longer than any of Push's is left out. */
static void
copy_value(char *to, size_t room, const char *value, size_t size)
{
	if (size >= room)
		return;
	memcpy(to, value, size);
	to[size] = '\0';
}

static void
take_field(struct sse_parser *parser, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size), *value = line + size;
	size_t name_size = colon ? (size_t)(colon - line) : size;

	if (colon) {
		value = colon + 1;
		value += value < line + size && *value == ' ';
	}
	size = (size_t)(line + size - value);
	if (name_size == 5 && !memcmp(line, "event", 5)) {
		copy_value(parser->name, sizeof(parser->name), value, size);
	} else if (name_size == 2 && !memcmp(line, "id", 2)) {
		copy_value(parser->id, sizeof(parser->id), value, size);
	} else if (name_size == 4 && !memcmp(line, "data", 4)) {
		if (parser->data.size)
			push_buf_append(&parser->data, "\n", 1);
		push_buf_append(&parser->data, value, size);
	}
}

/* Returns false when the handler wants no more. */
static bool
take_line(struct sse_parser *parser, sse_handler *handle, void *context)
{
	bool goes_on = true;

	if (parser->line.size)
		take_field(parser, parser->line.bytes, parser->line.size);
	else
		goes_on = dispatch(parser, handle, context);
	push_buf_clear(&parser->line);
	return goes_on;
}

bool
sse_parser_take(struct sse_parser *parser, const char *bytes, size_t size, sse_handler *handle, void *context)
{
	const char *end = bytes + size;

	while (bytes < end) {
		const char *stop;

		if (parser->skips_newline && *bytes == '\n')
			bytes++;
		parser->skips_newline = false;
		for (stop = bytes; stop < end && *stop != '\n' && *stop != '\r'; stop++)
			;
		push_buf_append(&parser->line, bytes, (size_t)(stop - bytes));
		if (parser->line.status != PUSH_OK || parser->data.status != PUSH_OK)
			return false;
		if (stop == end)
			return true;
		parser->skips_newline = *stop == '\r';
		bytes = stop + 1;
		if (!take_line(parser, handle, context))
			return true;
	}
	return true;
}
