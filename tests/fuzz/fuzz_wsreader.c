/*
 * fuzz_wsreader.c - what WebSocket clients send, after the handshake.
 *
 * The same bytes go to two readers: to one in a single read, to the other in reads whose sizes the input
 * chooses, each in memory of exactly its size.  Both must tell the same, event for event.  On the way, all
 * that wsreader.h promises is held against every call: payloads lie in the read or in the reader, messages
 * are UTF-8 and within the limit, memory stays within it too, and the end is the end.
 *
 *   input:  limit (1) | number of cuts (1) | sizes of reads (as many) | what the client sends
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "core/utf8.h"
#include "core/wsreader.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT_STEP    16 /* the limit is a multiple of it: small ones are met, large ones too */
#define TOLD_SIZE_MAX (1 << 20)

static bool
lies_within(const unsigned char *bytes, size_t size, const void *area, size_t area_size)
{
	uintptr_t at = (uintptr_t)bytes, start = (uintptr_t)area;

	return at >= start && at + size <= start + area_size;
}

static void
check_event(const struct push_ws_reader *reader, const struct push_ws_event *event, const unsigned char *read,
	size_t read_size)
{
	const struct push_buf *text = &reader->text;

	PUSH_ASSERT(!event->size || lies_within(event->bytes, event->size, read, read_size) ||
		    lies_within(event->bytes, event->size, reader->control, sizeof(reader->control)) ||
		    (text->bytes && lies_within(event->bytes, event->size, text->bytes, text->size)));
	switch (event->kind) {
	case PUSH_WS_EVENT_MESSAGE:
		PUSH_ASSERT(event->size <= text->max);
		PUSH_ASSERT(push_utf8_is_valid((const char *)event->bytes, event->size));
		break;
	case PUSH_WS_EVENT_PING:
	case PUSH_WS_EVENT_PONG: PUSH_ASSERT(event->size <= PUSH_WS_CONTROL_BYTES_MAX); break;
	case PUSH_WS_EVENT_CLOSE:
		PUSH_ASSERT(event->size <= PUSH_WS_CONTROL_BYTES_MAX - 2);
		PUSH_ASSERT(event->code >= 1000 && event->code <= 4999);
		PUSH_ASSERT(push_utf8_is_valid((const char *)event->bytes, event->size));
		break;
	case PUSH_WS_EVENT_FAULT:
		PUSH_ASSERT(event->code == 1002 || event->code == 1003 || event->code == 1007 ||
			    event->code == 1009);
		break;
	default: PUSH_ASSERT(!"a kind of event");
	}
}

/* Events as bytes: kind, code, size and payload of each. */
static void
tell(struct push_buf *told, const struct push_ws_event *event)
{
	unsigned int head[] = {event->kind, event->code, (unsigned int)event->size};

	push_buf_append(told, head, sizeof(head));
	push_buf_append(told, event->bytes, event->size);
}

static void
read_once(struct push_ws_reader *reader, const uint8_t *data, size_t size, struct push_buf *told)
{
	unsigned char *read = malloc(size), *bytes = read;
	size_t left = size;
	struct push_ws_event event;

	PUSH_ASSERT(read || !size);
	if (size)
		memcpy(read, data, size);
	for (;;) {
		size_t before = left;
		bool ended = reader->failed;

		event = push_ws_reader_next(reader, &bytes, &left);
		PUSH_ASSERT(left <= before && bytes + left == read + size);
		PUSH_ASSERT(
			reader->text.size <= reader->text.max && reader->text.capacity <= reader->text.max);
		PUSH_ASSERT(!ended || event.kind == PUSH_WS_EVENT_NONE);
		if (event.kind == PUSH_WS_EVENT_NONE)
			break;
		check_event(reader, &event, read, size);
		tell(told, &event);
	}
	PUSH_ASSERT(!left);
	PUSH_ASSERT(!push_ws_reader_is_idle(reader) || !reader->text.bytes);
	free(read);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_buf told_whole, told_cut;
	struct push_ws_reader whole, cut;
	const uint8_t *cuts, *stream;
	size_t limit, cut_count, stream_size, at = 0;

	if (size < 2)
		return 0;
	limit = (size_t)data[0] * LIMIT_STEP;
	cut_count = data[1] < size - 2 ? data[1] : size - 2;
	cuts = data + 2;
	stream = cuts + cut_count;
	stream_size = size - 2 - cut_count;

	push_buf_init(&told_whole, TOLD_SIZE_MAX);
	push_buf_init(&told_cut, TOLD_SIZE_MAX);
	push_ws_reader_init(&whole, limit);
	push_ws_reader_init(&cut, limit);
	read_once(&whole, stream, stream_size, &told_whole);
	for (size_t i = 0; i < cut_count; i++) {
		size_t piece = cuts[i] < stream_size - at ? cuts[i] : stream_size - at;

		read_once(&cut, stream + at, piece, &told_cut);
		at += piece;
	}
	read_once(&cut, stream + at, stream_size - at, &told_cut);

	PUSH_ASSERT(told_whole.status == PUSH_OK && told_whole.size == told_cut.size);
	PUSH_ASSERT(!told_whole.size || !memcmp(told_whole.bytes, told_cut.bytes, told_whole.size));
	PUSH_ASSERT(push_ws_reader_is_idle(&whole) == push_ws_reader_is_idle(&cut));
	push_ws_reader_fini(&whole);
	push_ws_reader_fini(&cut);
	push_buf_fini(&told_whole);
	push_buf_fini(&told_cut);
	return 0;
}
