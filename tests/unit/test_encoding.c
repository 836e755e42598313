#include "unit.h"

#include <stdlib.h>

#include "core/encoding.h"
#include "core/wsframe.h"

static void
assert_frame(struct push_frame *frame, const char *bytes, size_t size)
{
	assert_non_null(frame);
	assert_int_equal(frame->size, size);
	assert_memory_equal(frame->bytes, bytes, size);
	push_frame_unref(frame);
}

#define ASSERT_FRAME(frame, bytes) assert_frame(frame, bytes, sizeof(bytes) - 1)

static void
clients_read_exactly_the_contracts_bytes(void **state)
{
	static const char text[] = "{\"channel\":\"qwerty\",\"message\":\"hello\"";
	const struct push_message_data data = {text, sizeof(text) - 1, NULL};

	(void)state;
	ASSERT_FRAME(push_encoding_message(PUSH_ENCODING_SSE, &data, NULL, 0, 1),
		"3b\r\nevent:message\ndata:{\"channel\":\"qwerty\",\"message\":\"hello\"}\n\n\r\n");
	ASSERT_FRAME(push_encoding_message(PUSH_ENCODING_WS, &data, NULL, 0, 1),
		"\x81\x41{\"event\":\"message\",\"data\":{\"channel\":\"qwerty\",\"message\":\"hello\"}}");
	ASSERT_FRAME(push_encoding_control(PUSH_ENCODING_SSE, PUSH_CONTROL_HEARTBEAT),
		"19\r\nevent:heartbeat\ndata:{}\n\n\r\n");
	ASSERT_FRAME(push_encoding_control(PUSH_ENCODING_SSE, PUSH_CONTROL_RECONNECT),
		"19\r\nevent:reconnect\ndata:{}\n\n\r\n");
	ASSERT_FRAME(push_encoding_control(PUSH_ENCODING_WS, PUSH_CONTROL_HEARTBEAT),
		"\x81\x1a{\"event\":\"ping\",\"data\":{}}\x89\x04push");
	ASSERT_FRAME(push_encoding_control(PUSH_ENCODING_WS, PUSH_CONTROL_RECONNECT),
		"\x81\x1f{\"event\":\"reconnect\",\"data\":{}}");
	ASSERT_FRAME(push_encoding_control(PUSH_ENCODING_WS, PUSH_CONTROL_PONG),
		"\x81\x1a{\"event\":\"pong\",\"data\":{}}");
	ASSERT_FRAME(push_encoding_error(PUSH_ENCODING_WS, "a \"b\""), "\x81\x13{\"error\":\"a \\\"b\\\"\"}");
}

static void
messages_and_heartbeats_of_channels_with_history_bring_a_position(void **state)
{
	static const char text[] = "{\"channel\":\"c\",\"message\":1";
	const struct push_message_data data = {text, sizeof(text) - 1, NULL};

	(void)state;
	ASSERT_FRAME(push_encoding_message(PUSH_ENCODING_SSE, &data, "0.1.2", 5, 1),
		"39\r\nevent:message\ndata:{\"channel\":\"c\",\"message\":1}\nid:0.1.2\n\n\r\n");
	ASSERT_FRAME(push_encoding_message(PUSH_ENCODING_WS, &data, "0.1.2", 5, 1),
		"\x81\x43{\"event\":\"message\",\"data\":{\"channel\":\"c\",\"message\":1,\"id\":\"0.1.2\"}"
		"}");
	ASSERT_FRAME(push_encoding_heartbeat(PUSH_ENCODING_SSE, "0.1.2", 5, 0),
		"22\r\nevent:heartbeat\ndata:{}\nid:0.1.2\n\n\r\n");
	ASSERT_FRAME(push_encoding_heartbeat(PUSH_ENCODING_SSE, "0.1.2", 5, 1234),
		"2d\r\nevent:heartbeat\ndata:{}\nretry:1234\nid:0.1.2\n\n\r\n");
	ASSERT_FRAME(push_encoding_heartbeat(PUSH_ENCODING_WS, "0.1.2", 5, 1234),
		"\x81\x26{\"event\":\"ping\",\"data\":{\"id\":\"0.1.2\"}}\x89\x04push");
	ASSERT_FRAME(push_encoding_event(PUSH_ENCODING_SSE, "gap", "{\"a\":1}", 7, NULL, 0),
		"18\r\nevent:gap\ndata:{\"a\":1}\n\n\r\n");
	ASSERT_FRAME(push_encoding_event(PUSH_ENCODING_WS, "gap", "{\"a\":1}", 7, "ignored", 7),
		"\x81\x1e{\"event\":\"gap\",\"data\":{\"a\":1}}");
}

static void
a_message_of_one_transport_tells_the_data_for_another(void **state)
{
	static const char text[] = "{\"channel\":\"c\",\"message\":1";
	char longer[70000];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		for (size_t id_size = 0; id_size <= 5; id_size += 5)
			for (int i = 0; i < 3; i++) {
				const struct push_message_data data = {i ? longer : text,
					i == 2 ? sizeof(longer)
					: i    ? 300
					       : sizeof(text) - 1,
					NULL};
				struct push_frame *frame = push_encoding_message(
					(enum push_encoding)e, &data, "0.1.2", id_size, 1);
				struct push_message_data got =
					push_encoding_message_data((enum push_encoding)e, frame, id_size);

				assert_int_equal(got.size, data.size);
				assert_memory_equal(got.bytes, data.bytes, data.size);
				assert_null(got.text);
				push_frame_unref(frame);
			}
}

/* Whatever part of it is asked for. */
static void
a_frame_around_a_text_reads_like_one_that_has_it(void **state)
{
	static const char text[] = "\"a text of its own\"";
	const struct push_message_data whole = {
		"{\"channel\":\"c\",\"message\":\"a text of its own\"", 44, NULL};
	struct push_frame *shared = push_frame_create(sizeof(text) - 1, 0);
	struct push_message_data around = {"{\"channel\":\"c\",\"message\":", 25, shared};

	(void)state;
	memcpy(shared->bytes, text, sizeof(text) - 1);
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		for (size_t id_size = 0; id_size <= 5; id_size += 5) {
			struct push_frame *one =
				push_encoding_message((enum push_encoding)e, &whole, "0.1.2", id_size, 1);
			struct push_frame *other =
				push_encoding_message((enum push_encoding)e, &around, "0.1.2", id_size, 1);
			struct push_message_data got =
				push_encoding_message_data((enum push_encoding)e, other, id_size);

			assert_int_equal(one->size, other->size);
			for (size_t start = 0; start < one->size; start++)
				for (size_t at = start, piece; at < one->size; at += piece) {
					const unsigned char *bytes = push_frame_at(other, at, &piece);

					assert_in_range(piece, 1, one->size - at);
					assert_memory_equal(bytes, one->bytes + at, piece);
				}
			assert_ptr_equal(got.text, shared);
			assert_int_equal(got.size, around.size);
			assert_memory_equal(got.bytes, around.bytes, around.size);
			push_frame_unref(one);
			push_frame_unref(other);
		}
	assert_int_equal(shared->refs, 1);
	push_frame_unref(shared);
}

static void
what_a_transport_does_not_have_is_no_frame(void **state)
{
	(void)state;
	assert_null(push_encoding_control(PUSH_ENCODING_SSE, PUSH_CONTROL_PONG));
	assert_null(push_encoding_close(PUSH_ENCODING_SSE, PUSH_CLOSE_SLOW));
	assert_null(push_encoding_error(PUSH_ENCODING_SSE, "x"));
}

static void
each_end_has_its_close_code(void **state)
{
	static const struct {
		enum push_close_reason reason;
		unsigned int code;
	} rows[] = {
		{PUSH_CLOSE_LIFETIME, 1001},
		{PUSH_CLOSE_DRAIN, 1001},
		{PUSH_CLOSE_NO_PONG, 1001},
		{PUSH_CLOSE_SLOW, 1013},
		{PUSH_CLOSE_REFUSED, 1008},
		{PUSH_CLOSE_PUT_OFF, 1013},
		{PUSH_CLOSE_BAD_DATA, 1007},
		{PUSH_CLOSE_BINARY, 1003},
		{PUSH_CLOSE_TOO_LARGE, 1009},
		{PUSH_CLOSE_PROTOCOL, 1002},
		{PUSH_CLOSE_FAULT, 1011},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_frame *frame = push_encoding_close(PUSH_ENCODING_WS, rows[i].reason);

		assert_int_equal(frame->size, 4);
		assert_int_equal(frame->bytes[0], 0x88);
		assert_int_equal(frame->bytes[2] << 8 | frame->bytes[3], rows[i].code);
		push_frame_unref(frame);
	}
}

static void
headers_of_every_length_read_back(void **state)
{
	static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 1 << 20};
	static const size_t headers[] = {2, 2, 2, 4, 4, 10, 10};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		unsigned char header[PUSH_WS_HEADER_BYTES_MAX];
		enum push_ws_opcode opcode;
		size_t size;

		assert_int_equal(push_ws_put_header(header, PUSH_WS_TEXT, sizes[i]), headers[i]);
		assert_int_equal(push_ws_take_header(header, &opcode, &size), headers[i]);
		assert_int_equal(opcode, PUSH_WS_TEXT);
		assert_int_equal(size, sizes[i]);
	}
}

static void
a_pong_repeats_the_pings_payload(void **state)
{
	char payload[PUSH_WS_CONTROL_BYTES_MAX];
	struct push_frame *frame;

	(void)state;
	memset(payload, 'p', sizeof(payload));
	for (size_t size = 0; size <= sizeof(payload); size += 25) {
		frame = push_encoding_pong(PUSH_ENCODING_WS, payload, size);
		assert_int_equal(frame->size, 2 + size);
		assert_int_equal(frame->bytes[0], 0x8A);
		assert_int_equal(frame->bytes[1], size);
		assert_memory_equal(frame->bytes + 2, payload, size);
		push_frame_unref(frame);
	}
	assert_null(push_encoding_pong(PUSH_ENCODING_SSE, payload, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_read_exactly_the_contracts_bytes),
		cmocka_unit_test(messages_and_heartbeats_of_channels_with_history_bring_a_position),
		cmocka_unit_test(a_message_of_one_transport_tells_the_data_for_another),
		cmocka_unit_test(a_frame_around_a_text_reads_like_one_that_has_it),
		cmocka_unit_test(what_a_transport_does_not_have_is_no_frame),
		cmocka_unit_test(each_end_has_its_close_code),
		cmocka_unit_test(headers_of_every_length_read_back),
		cmocka_unit_test(a_pong_repeats_the_pings_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
