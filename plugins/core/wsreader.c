/* wsreader.c - see wsreader.h. */
#include <string.h>

#include "push_assert.h"
#include "utf8.h"
#include "wsreader.h"

#define FIN        0x80
#define RSV        0x70
#define OPCODE     0x0F
#define MASKED     0x80
#define LENGTH     0x7F
#define LENGTH_16  126
#define LENGTH_64  127
#define MASK_BYTES 4
#define IS_CONTROL 0x08
#define CONTINUED  0x0
#define CODE_BYTES 2

/* RFC 6455, 7.4.1 */
enum {
	NORMAL = 1000,
	PROTOCOL_ERROR = 1002,
	UNSUPPORTED = 1003,
	BAD_TEXT = 1007,
	TOO_LARGE = 1009,
	INTERNAL = 1011
};

void
push_ws_reader_init(struct push_ws_reader *reader, size_t message_bytes_max)
{
	memset(reader, 0, sizeof(*reader));
	push_buf_init(&reader->text, message_bytes_max);
}

void
push_ws_reader_fini(struct push_ws_reader *reader)
{
	push_buf_fini(&reader->text);
}

bool
push_ws_reader_is_idle(const struct push_ws_reader *reader)
{
	return !reader->header_size && !reader->in_payload && !reader->in_message && !reader->failed;
}

static struct push_ws_event
fail(struct push_ws_reader *reader, unsigned int code)
{
	reader->failed = true;
	return (struct push_ws_event){.kind = PUSH_WS_EVENT_FAULT, .code = code};
}

static struct push_ws_event
none(void)
{
	return (struct push_ws_event){.kind = PUSH_WS_EVENT_NONE};
}

static unsigned int
opcode_of(const struct push_ws_reader *reader)
{
	return reader->header[0] & OPCODE;
}

static bool
is_control(const struct push_ws_reader *reader)
{
	return reader->header[0] & IS_CONTROL;
}

static bool
is_final(const struct push_ws_reader *reader)
{
	return reader->header[0] & FIN;
}

/* How long the header is, as far as its first bytes tell. */
static size_t
header_size(const struct push_ws_reader *reader)
{
	unsigned int length = reader->header[1] & LENGTH;

	if (reader->header_size < 2)
		return 2;
	return 2 + MASK_BYTES + (length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0);
}

static const uint8_t *
mask_of(const struct push_ws_reader *reader)
{
	return reader->header + reader->header_size - MASK_BYTES;
}

/* Rules that the first two bytes can break (RFC 6455, 5.1, 5.2, 5.4 and 5.5).  Returns 0 or a code. */
static unsigned int
check_start(const struct push_ws_reader *reader)
{
	unsigned int opcode = opcode_of(reader), length = reader->header[1] & LENGTH;

	if ((reader->header[0] & RSV) || !(reader->header[1] & MASKED))
		return PROTOCOL_ERROR;
	if (is_control(reader)) {
		if (opcode > PUSH_WS_PONG || !is_final(reader) || length > PUSH_WS_CONTROL_BYTES_MAX)
			return PROTOCOL_ERROR;
		return opcode == PUSH_WS_CLOSE && length == 1 ? PROTOCOL_ERROR : 0;
	}
	if (opcode > PUSH_WS_BINARY || (opcode == CONTINUED) != reader->in_message)
		return PROTOCOL_ERROR;
	return opcode == PUSH_WS_BINARY ? UNSUPPORTED : 0;
}

/* The length must take the fewest bytes that it can, and 63 bits (RFC 6455, 5.2).  Returns 0 or a code. */
static unsigned int
read_length(struct push_ws_reader *reader)
{
	unsigned int length = reader->header[1] & LENGTH;
	size_t bytes = header_size(reader) - 2 - MASK_BYTES;
	uint64_t value = bytes ? 0 : length;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | reader->header[2 + i];
	if (value >> 63)
		return PROTOCOL_ERROR;
	if (!is_control(reader) && value > reader->text.max - reader->text.size)
		return TOO_LARGE;
	if ((length == LENGTH_16 && value < LENGTH_16) || (length == LENGTH_64 && value <= UINT16_MAX))
		return PROTOCOL_ERROR;
	reader->left = value;
	return 0;
}

/* Returns 0, or the code of what is wrong with the header; sets reader->in_payload where it is whole. */
static unsigned int
read_header(struct push_ws_reader *reader, unsigned char **bytes, size_t *size)
{
	unsigned int code;

	while (reader->header_size < header_size(reader)) {
		if (!*size)
			return 0;
		reader->header[reader->header_size++] = *(*bytes)++;
		--*size;
		code = reader->header_size == 2 ? check_start(reader) : 0;
		if (code)
			return code;
	}
	code = read_length(reader);
	if (code)
		return code;
	reader->in_payload = true;
	reader->mask_at = 0;
	reader->control_size = 0;
	if (!is_control(reader))
		reader->in_message = true;
	return 0;
}

/* Eight bytes at a time, where there are so many. */
static void
unmask(struct push_ws_reader *reader, unsigned char *bytes, size_t size)
{
	const uint8_t *mask = mask_of(reader);
	uint8_t turned[8];
	uint64_t word, key;
	size_t i = 0;

	for (size_t k = 0; k < sizeof(turned); k++)
		turned[k] = mask[(reader->mask_at + k) % MASK_BYTES];
	memcpy(&key, turned, sizeof(key));
	for (; i + sizeof(word) <= size; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		word ^= key;
		memcpy(bytes + i, &word, sizeof(word));
	}
	for (; i < size; i++)
		bytes[i] ^= turned[i % MASK_BYTES];
	reader->mask_at = (uint8_t)((reader->mask_at + size) % MASK_BYTES);
}

static void
end_frame(struct push_ws_reader *reader)
{
	reader->header_size = 0;
	reader->in_payload = false;
}

/* Codes that may stand in a Close frame (RFC 6455, 7.4.1 and 7.4.2, and its IANA registry). */
static bool
is_close_code(unsigned int code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static struct push_ws_event
control_event(struct push_ws_reader *reader, const unsigned char *payload, size_t size)
{
	struct push_ws_event event = {.bytes = payload, .size = size};

	switch (opcode_of(reader)) {
	case PUSH_WS_PING: event.kind = PUSH_WS_EVENT_PING; break;
	case PUSH_WS_PONG: event.kind = PUSH_WS_EVENT_PONG; break;
	default:
		event.kind = PUSH_WS_EVENT_CLOSE;
		event.code = NORMAL;
		if (size) {
			event.code = (unsigned int)payload[0] << 8 | payload[1];
			event.bytes += CODE_BYTES;
			event.size -= CODE_BYTES;
		}
		if (!is_close_code(event.code))
			return fail(reader, PROTOCOL_ERROR);
		if (!push_utf8_is_valid((const char *)event.bytes, event.size))
			return fail(reader, BAD_TEXT);
		reader->failed = true;
	}
	return event;
}

/* A control frame: from the caller's bytes where all of it is there, else put together in `control`. */
static struct push_ws_event
read_control(struct push_ws_reader *reader, unsigned char *piece, size_t size)
{
	const unsigned char *payload = piece;

	if (reader->left || reader->control_size) {
		PUSH_ASSERT(reader->control_size + size <= sizeof(reader->control));
		memcpy(reader->control + reader->control_size, piece, size);
		reader->control_size = (uint8_t)(reader->control_size + size);
		payload = reader->control;
		size = reader->control_size;
	}
	if (reader->left)
		return none();
	end_frame(reader);
	return control_event(reader, payload, size);
}

/* The message was kept from the last event until now, since the caller borrows it. */
static void
drop_message(struct push_ws_reader *reader)
{
	push_buf_reset(&reader->text);
	reader->text_checked = 0;
}

static struct push_ws_event
message_event(struct push_ws_reader *reader, const void *bytes, size_t size)
{
	reader->in_message = false;
	return (struct push_ws_event){.kind = PUSH_WS_EVENT_MESSAGE, .bytes = bytes, .size = size};
}

/* Text in pieces is checked as it comes, so that a bad byte ends it at once. */
static struct push_ws_event
read_text(struct push_ws_reader *reader, const unsigned char *piece, size_t size)
{
	struct push_buf *text = &reader->text;
	bool last = !reader->left && is_final(reader);
	size_t whole;

	if (reader->discards) {
		if (!reader->left)
			end_frame(reader);
		reader->in_message = !last;
		return none();
	}
	if (last && !text->size) {
		end_frame(reader);
		return push_utf8_is_valid((const char *)piece, size) ? message_event(reader, piece, size)
								     : fail(reader, BAD_TEXT);
	}
	push_buf_append(text, piece, size);
	if (text->status != PUSH_OK)
		return fail(reader, text->status == PUSH_TOO_LARGE ? TOO_LARGE : INTERNAL);
	if (text->size && !push_utf8_take(text->bytes + reader->text_checked,
				  text->size - reader->text_checked, &whole))
		return fail(reader, BAD_TEXT);
	reader->text_checked += text->size ? whole : 0;
	if (reader->left)
		return none();
	end_frame(reader);
	if (!last)
		return none();
	return reader->text_checked == text->size ? message_event(reader, text->bytes, text->size)
						  : fail(reader, BAD_TEXT);
}

void
push_ws_reader_discard(struct push_ws_reader *reader)
{
	drop_message(reader);
	reader->discards = true;
}

struct push_ws_event
push_ws_reader_next(struct push_ws_reader *reader, unsigned char **bytes, size_t *size)
{
	if (!reader->in_message && reader->text.size)
		drop_message(reader);
	while (!reader->failed) {
		struct push_ws_event event;
		unsigned char *piece;
		size_t piece_size;

		if (!reader->in_payload) {
			unsigned int code = read_header(reader, bytes, size);

			if (code)
				return fail(reader, code);
			if (!reader->in_payload)
				return none();
		}
		piece = *bytes;
		piece_size = *size < reader->left ? *size : (size_t)reader->left;
		if (reader->left && !piece_size)
			return none();
		*bytes += piece_size;
		*size -= piece_size;
		reader->left -= piece_size;
		unmask(reader, piece, piece_size);
		event = is_control(reader) ? read_control(reader, piece, piece_size)
					   : read_text(reader, piece, piece_size);
		if (event.kind != PUSH_WS_EVENT_NONE)
			return event;
	}
	*bytes += *size;
	*size = 0;
	return none();
}
