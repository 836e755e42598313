/* response.c - see response.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "response.h"

static void
copy_value(char *to, size_t to_size, const char *value, size_t size)
{
	if (size >= to_size)
		size = to_size - 1;
	memcpy(to, value, size);
	to[size] = 0;
}

static bool
is_named(const char *line, size_t size, const char *name)
{
	return strlen(name) == size && !strncasecmp(line, name, size);
}

static void
take_header(struct response *response, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size);
	const char *value, *end = line + size;
	char text[32];
	size_t name_size;

	if (!colon)
		return;
	name_size = (size_t)(colon - line);
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	copy_value(text, sizeof(text), value, (size_t)(end - value));
	if (is_named(line, name_size, "Content-Length")) {
		response->has_length = true;
		response->length = strtoull(text, NULL, 10);
	} else if (is_named(line, name_size, "Transfer-Encoding")) {
		response->is_chunked = !strcasecmp(text, "chunked");
	} else if (is_named(line, name_size, "Connection")) {
		response->closes = !strcasecmp(text, "close");
	} else if (is_named(line, name_size, "Content-Type")) {
		copy_value(
			response->content_type, sizeof(response->content_type), value, (size_t)(end - value));
	} else if (is_named(line, name_size, "Sec-WebSocket-Accept")) {
		copy_value(response->accept, sizeof(response->accept), value, (size_t)(end - value));
	}
}

/* "HTTP/1.1 202 Accepted" */
static bool
take_status_line(struct response *response, const char *line, size_t size)
{
	if (size < 12 || memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return false;
	for (int i = 9; i < 12; i++) {
		if (!isdigit((unsigned char)line[i]))
			return false;
		response->status = response->status * 10 + (unsigned int)(line[i] - '0');
	}
	response->closes = line[7] == '0';
	return true;
}

long
response_parse(const char *bytes, size_t size, struct response *ret_response)
{
	struct response response = {0};
	const char *line = bytes, *end = bytes + size, *feed;

	while ((feed = memchr(line, '\n', (size_t)(end - line)))) {
		size_t length = (size_t)(feed - line);

		if (length && line[length - 1] == '\r')
			length--;
		if (line == bytes) {
			if (!take_status_line(&response, line, length))
				return -1;
		} else if (!length) {
			*ret_response = response;
			return feed + 1 - bytes;
		} else {
			take_header(&response, line, length);
		}
		line = feed + 1;
	}
	return size < RESPONSE_HEAD_BYTES_MAX ? 0 : -1;
}

/* One byte of framing; returns false if it may not stand here. */
static bool
take_framing(struct chunked *chunked, char byte)
{
	int digit = isdigit((unsigned char)byte) ? byte - '0' : tolower((unsigned char)byte) - 'a' + 10;

	switch (chunked->state) {
	case CHUNK_SIZE:
		if (isxdigit((unsigned char)byte)) {
			chunked->left = chunked->left << 4 | (uint64_t)digit;
			return chunked->left >> 40 == 0;
		}
		chunked->state = CHUNK_EXTENSION;
		return byte == '\n' ? take_framing(chunked, byte)
				    : byte == ';' || byte == '\r' || byte == ' ';
	case CHUNK_EXTENSION:
		if (byte == '\n')
			chunked->state = chunked->left ? CHUNK_DATA : CHUNK_TRAILER;
		return true;
	case CHUNK_DATA_END:
		if (byte == '\n')
			chunked->state = CHUNK_SIZE;
		return byte == '\n' || byte == '\r';
	case CHUNK_TRAILER:
		if (byte == '\n' && !chunked->line_has_bytes)
			chunked->state = CHUNK_DONE;
		if (byte != '\r')
			chunked->line_has_bytes = byte != '\n';
		return true;
	default: return false;
	}
}

long
chunked_decode(struct chunked *chunked, char *bytes, size_t size, size_t *ret_used)
{
	size_t at = 0, kept = 0;

	while (at < size && chunked->state != CHUNK_DONE) {
		if (chunked->state == CHUNK_DATA) {
			size_t piece = size - at < chunked->left ? size - at : (size_t)chunked->left;

			memmove(bytes + kept, bytes + at, piece);
			kept += piece;
			at += piece;
			chunked->left -= piece;
			if (!chunked->left)
				chunked->state = CHUNK_DATA_END;
		} else if (!take_framing(chunked, bytes[at++])) {
			return -1;
		}
	}
	*ret_used = at;
	return (long)kept;
}
