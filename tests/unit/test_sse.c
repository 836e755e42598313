/* Each frame of an event stream is a chunk, and can be written without. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/encoding.h"
#include "core/sse.h"
#include "direct/send.h"

/* What is written of one frame. */
static size_t
flatten(const struct push_frame *frame, char *to)
{
	size_t at, piece;

	for (at = 0; at < frame->size; at += piece) {
		const unsigned char *bytes = push_frame_at(frame, at, &piece);

		memcpy(to + at, bytes, piece);
	}
	return at;
}

static struct push_frame *
event_of(size_t data_size, struct push_frame *text)
{
	char *data = malloc(data_size + 1);
	struct push_frame *frame;

	memset(data, 'x', data_size);
	frame = push_sse_frame(&(struct push_sse_event){
		.name = "message", .data = data, .data_size = data_size, .text = text, .data_end = "}"});
	assert_non_null(frame);
	free(data);
	return frame;
}

/* RFC 9112, 7.1: chunk = chunk-size CRLF chunk-data CRLF */
static void
assert_is_one_chunk(const struct push_frame *frame)
{
	char *bytes = malloc(frame->size + 1), *end;
	size_t size = flatten(frame, bytes), said;

	bytes[size] = 0;
	said = strtoul(bytes, &end, 16);
	assert_true(end > bytes && said > 0);
	assert_memory_equal(end, "\r\n", 2);
	assert_memory_equal(end + 2, "event:", 6);
	assert_int_equal((size_t)(end + 2 - bytes) + said + 2, size);
	assert_memory_equal(bytes + size - 4, "\n\n\r\n", 4);
	free(bytes);
}

static void
an_event_of_any_size_is_one_chunk(void **state)
{
	/* where the event's size has another digit, and where the text is a frame of its own */
	static const size_t around = sizeof("event:message\ndata:}\n\n") - 1;
	static const size_t sizes[] = {0x10, 0x100, 0x1000, 0x10000, 0x100000};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t less = 0; less <= 1; less++) {
			size_t data_size = sizes[i] > around ? sizes[i] - around - less : less;
			struct push_frame *frame = event_of(data_size, NULL);
			struct push_frame *text = push_frame_create(sizes[i] - less, 0);
			struct push_frame *shared = event_of(data_size, text);

			memset(text->bytes, 't', text->size);
			assert_is_one_chunk(frame);
			assert_is_one_chunk(shared);
			push_frame_unref(frame);
			push_frame_unref(shared);
			push_frame_unref(text);
		}
}

static void
assert_span(struct push_frame *frame, const char *expected)
{
	char bytes[256];
	size_t from, end;

	assert_non_null(frame);
	assert_in_range(frame->size, 1, sizeof(bytes));
	flatten(frame, bytes);
	push_sse_event_span(frame, &from, &end);
	assert_int_equal(end - from, strlen(expected));
	assert_memory_equal(bytes + from, expected, end - from);
	push_frame_unref(frame);
}

static struct push_frame *
head_frame(void)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	struct push_frame *frame = push_frame_create(sizeof(head) - 1, 0);

	memcpy(frame->bytes, head, sizeof(head) - 1);
	return frame;
}

static void
a_wire_without_chunks_carries_the_events_alone(void **state)
{
	(void)state;
	assert_span(push_encoding_control(PUSH_ENCODING_SSE, PUSH_CONTROL_HEARTBEAT),
		"event:heartbeat\ndata:{}\n\n");
	assert_span(push_sse_comment("control abc", 11), ":control abc\n");
	assert_span(push_sse_last_chunk(), "");
	assert_span(head_frame(), "HTTP/1.1 200 OK\r\n\r\n");
}

/* As frames come to a transport: the head, a comment, a text that is shared, one that is not, and the end. */
static size_t
make_stream(struct push_frame *frames[6], char *events)
{
	struct push_frame *text = push_frame_create(40, 0);
	size_t size = 0;

	memset(text->bytes, 't', text->size);
	frames[0] = head_frame();
	frames[1] = push_sse_comment("control abc", 11);
	frames[2] = push_encoding_control(PUSH_ENCODING_SSE, PUSH_CONTROL_HEARTBEAT);
	frames[3] = event_of(25, text);
	frames[4] = event_of(300, NULL);
	frames[5] = push_sse_last_chunk();
	push_frame_unref(text);
	for (size_t i = 0; i < 6; i++) {
		size_t from, end;
		char bytes[512];

		flatten(frames[i], bytes);
		push_sse_event_span(frames[i], &from, &end);
		memcpy(events + size, bytes + from, end - from);
		size += end - from;
	}
	return size;
}

static void
frames_can_be_written_without_their_chunks_in_pieces_of_any_size(void **state)
{
	struct push_frame *frames[6];
	char events[2048], got[2048];
	size_t size = make_stream(frames, events);

	(void)state;
	for (size_t max = 1; max <= size; max++) {
		size_t first = 0, skip = 0, written = 0;

		while (first < COUNT(frames)) {
			unsigned char piece[2048];
			size_t taken, count = push_frames_gather_events(piece, max, frames + first,
					      COUNT(frames) - first, skip, &taken);

			assert_true(count <= max && taken > 0);
			memcpy(got + written, piece, count);
			written += count;
			for (skip += taken; first < COUNT(frames) && skip >= frames[first]->size; first++)
				skip -= frames[first]->size;
		}
		assert_int_equal(skip, 0);
		assert_int_equal(written, size);
		assert_memory_equal(got, events, size);
	}
	for (size_t i = 0; i < COUNT(frames); i++)
		push_frame_unref(frames[i]);
}

static void
an_orderly_end_has_a_last_chunk_and_one_that_is_cut_off_has_none(void **state)
{
	static const enum push_close_reason cut[] = {PUSH_CLOSE_SLOW, PUSH_CLOSE_MEMORY, PUSH_CLOSE_FAULT};
	static const enum push_close_reason whole[] = {
		PUSH_CLOSE_LIFETIME, PUSH_CLOSE_DRAIN, PUSH_CLOSE_BROKER};

	(void)state;
	for (size_t i = 0; i < COUNT(cut); i++)
		assert_null(push_encoding_close(PUSH_ENCODING_SSE, cut[i]));
	for (size_t i = 0; i < COUNT(whole); i++) {
		struct push_frame *frame = push_encoding_close(PUSH_ENCODING_SSE, whole[i]);

		assert_non_null(frame);
		assert_int_equal(frame->size, 5);
		assert_memory_equal(frame->bytes, "0\r\n\r\n", 5);
		push_frame_unref(frame);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_of_any_size_is_one_chunk),
		cmocka_unit_test(a_wire_without_chunks_carries_the_events_alone),
		cmocka_unit_test(frames_can_be_written_without_their_chunks_in_pieces_of_any_size),
		cmocka_unit_test(an_orderly_end_has_a_last_chunk_and_one_that_is_cut_off_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
