/* sse.c - see sse.h. */
#include <string.h>

#include "sse.h"

/* The length of the line, its end not included, and of its end; 0 for `*ret_end_size` if there is none yet.
 */
static size_t
line_measure(const char *line, size_t size, size_t *ret_end_size)
{
	const char *feed = memchr(line, '\n', size);
	size_t length = feed ? (size_t)(feed - line) : size;
	const char *carriage = memchr(line, '\r', length);

	if (!carriage) {
		*ret_end_size = feed ? 1 : 0;
		return length;
	}
	length = (size_t)(carriage - line);
	/* A CR at the very end may be half of a CRLF: wait for the next byte. */
	if (length + 1 == size)
		*ret_end_size = 0;
	else
		*ret_end_size = carriage[1] == '\n' ? 2 : 1;
	return length;
}

static void
take_line(struct sse_event *event, char *line, size_t size)
{
	char *colon = memchr(line, ':', size);
	size_t name_size = colon ? (size_t)(colon - line) : size;
	char *value = colon ? colon + 1 : line + size;
	size_t value_size = (size_t)(line + size - value);

	if (value_size && *value == ' ')
		value++, value_size--;
	if (name_size == 5 && !memcmp(line, "event", 5)) {
		event->name = value;
		event->name_size = value_size;
	} else if (name_size == 2 && !memcmp(line, "id", 2)) {
		event->id = value;
		event->id_size = value_size;
	} else if (name_size == 4 && !memcmp(line, "data", 4)) {
		if (!event->data) {
			event->data = value;
			event->data_size = value_size;
			return;
		}
		event->data[event->data_size++] = '\n';
		memmove(event->data + event->data_size, value, value_size);
		event->data_size += value_size;
	}
}

/* Whether the block is whole; joining data lines in place must not begin before that is known. */
static size_t
block_measure(const char *bytes, size_t size)
{
	size_t at = 0, end_size;

	while (at < size) {
		size_t length = line_measure(bytes + at, size - at, &end_size);

		if (!end_size)
			return 0;
		at += length + end_size;
		if (!length)
			return at;
	}
	return 0;
}

size_t
sse_event_parse(char *bytes, size_t size, struct sse_event *ret_event)
{
	size_t block = block_measure(bytes, size), at = 0, end_size;
	struct sse_event event = {0};

	if (!block)
		return 0;
	while (at < block) {
		size_t length = line_measure(bytes + at, size - at, &end_size);

		if (length)
			take_line(&event, bytes + at, length);
		at += length + end_size;
	}
	*ret_event = event;
	return block;
}
