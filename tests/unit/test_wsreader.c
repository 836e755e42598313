/*
 * test_wsreader.c - what a client's bytes become, however they are cut.
 *
 * A row is a stream of frames and the transcript that it must give: "message(Hello) ping(a) fault(1002) ".
 * play() gives the stream to a reader in reads of the sizes that the test asks for, each in memory of exactly
 * its size that is freed before the next one, so that valgrind sees a byte too far or a pointer kept too
 * long. Every row is played whole, byte by byte and cut in two at every place, and must tell the same each
 * time.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/wsreader.h"

#define LIMIT   1000
#define ONE_CUT 0 /* play(): no further reads than the two around the cut */

/* The first byte of a frame; RAW: the payload is header and all. */
enum {
	TEXT = 0x81,
	BINARY = 0x82,
	CLOSE = 0x88,
	PING = 0x89,
	PONG = 0x8A,
	BEGIN = 0x01,
	MORE = 0x00,
	LAST = 0x80,
	RAW = 0x100
};

/* clang-format off */
#define F(first, payload) {first, payload, sizeof(payload) - 1}
/* clang-format on */

#define FRAMES_MAX 8

struct frame {
	unsigned int first;
	const char *payload;
	size_t size;
};

struct row {
	struct frame frames[FRAMES_MAX];
	const char *transcript;
};

static const unsigned char the_mask[4] = {0x37, 0xFA, 0x21, 0x3D};
static bool no_memory;

void *
__real_realloc(void *bytes, size_t size);

void *
__wrap_realloc(void *bytes, size_t size);

void *
__wrap_realloc(void *bytes, size_t size)
{
	return no_memory ? NULL : __real_realloc(bytes, size);
}

static void
put_byte(struct push_buf *stream, unsigned int byte)
{
	unsigned char one = (unsigned char)byte;

	push_buf_append(stream, &one, 1);
}

/* A header that gives `size` in `length_bytes` bytes: 0, 2 or 8, whether or not that is the shortest way. */
static void
put_header(struct push_buf *stream, unsigned int first, uint64_t size, unsigned int length_bytes)
{
	put_byte(stream, first);
	put_byte(stream, 0x80U | (length_bytes == 8 ? 127U : length_bytes == 2 ? 126U : (unsigned int)size));
	for (unsigned int i = length_bytes; i > 0; i--)
		put_byte(stream, (unsigned int)(size >> (8 * (i - 1))) & 0xFF);
	push_buf_append(stream, the_mask, sizeof(the_mask));
}

static void
put_payload(struct push_buf *stream, const char *payload, size_t size)
{
	for (size_t i = 0; i < size; i++)
		put_byte(stream, (unsigned char)payload[i] ^ the_mask[i % sizeof(the_mask)]);
}

static void
put_frame(struct push_buf *stream, const struct frame *frame)
{
	if (frame->first == RAW) {
		push_buf_append(stream, frame->payload, frame->size);
		return;
	}
	put_header(stream, frame->first, frame->size,
		frame->size > UINT16_MAX ? 8
		: frame->size > 125      ? 2
					 : 0);
	put_payload(stream, frame->payload, frame->size);
}

static void
put_frames(struct push_buf *stream, const struct frame *frames)
{
	push_buf_init(stream, 1 << 20);
	for (size_t i = 0; i < FRAMES_MAX && frames[i].payload; i++)
		put_frame(stream, &frames[i]);
}

static void
put_event(struct push_buf *transcript, const struct push_ws_event *event)
{
	switch (event->kind) {
	case PUSH_WS_EVENT_MESSAGE: push_buf_append_text(transcript, "message("); break;
	case PUSH_WS_EVENT_PING: push_buf_append_text(transcript, "ping("); break;
	case PUSH_WS_EVENT_PONG: push_buf_append_text(transcript, "pong("); break;
	case PUSH_WS_EVENT_CLOSE: push_buf_printf(transcript, "close(%u ", event->code); break;
	case PUSH_WS_EVENT_FAULT: push_buf_printf(transcript, "fault(%u", event->code); break;
	default: fail_msg("there is no event %d", event->kind);
	}
	push_buf_append(transcript, event->bytes, event->size);
	push_buf_append_text(transcript, ") ");
}

/* One read: all events in `size` bytes, and after them the reader has used up all. */
static void
play_read(struct push_ws_reader *reader, const char *from, size_t size, struct push_buf *transcript)
{
	unsigned char *read = malloc(size ? size : 1), *bytes = read;
	size_t left = size;
	struct push_ws_event event;

	memcpy(read, from, size);
	while ((event = push_ws_reader_next(reader, &bytes, &left)).kind != PUSH_WS_EVENT_NONE) {
		assert_true(bytes >= read && bytes + left == read + size);
		put_event(transcript, &event);
	}
	assert_int_equal(left, 0);
	assert_ptr_equal(bytes, read + size);
	free(read);
}

/* A first read of `first` bytes, then reads of `step`; ONE_CUT: all the rest. */
static void
play(const struct push_buf *stream, size_t first, size_t step, struct push_buf *transcript)
{
	struct push_ws_reader reader;
	size_t at = first;

	push_ws_reader_init(&reader, LIMIT);
	push_buf_init(transcript, 1 << 20);
	play_read(&reader, stream->bytes, first, transcript);
	while (at < stream->size) {
		size_t size = step == ONE_CUT || step > stream->size - at ? stream->size - at : step;

		play_read(&reader, stream->bytes + at, size, transcript);
		at += size;
	}
	push_buf_append(transcript, "", 1);
	push_ws_reader_fini(&reader);
}

static void
expect(const struct push_buf *stream, size_t first, size_t step, const char *transcript, size_t size)
{
	struct push_buf got;

	play(stream, first, step, &got);
	if (got.size != size || memcmp(got.bytes, transcript, size) != 0)
		fail_msg("cut at %zu, then every %zu: '%s' instead of '%s'", first, step, got.bytes,
			transcript);
	push_buf_fini(&got);
}

static void
expect_however_it_is_cut(const struct push_buf *stream, const char *transcript, size_t size)
{
	for (size_t cut = 0; cut <= stream->size; cut++)
		expect(stream, cut, ONE_CUT, transcript, size);
	for (size_t step = 1; step <= 9; step++)
		expect(stream, 0, step, transcript, size);
}

static void
expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct push_buf stream;

		put_frames(&stream, rows[i].frames);
		expect_however_it_is_cut(&stream, rows[i].transcript, strlen(rows[i].transcript) + 1);
		push_buf_fini(&stream);
	}
}

static void
whole_frames_are_one_event_each(void **state)
{
	static const struct row rows[] = {
		{{F(TEXT, "Hello")}, "message(Hello) "},
		{{F(TEXT, "")}, "message() "},
		{{F(PING, "")}, "ping() "},
		{{F(PING, "are you there")}, "ping(are you there) "},
		{{F(PONG, "")}, "pong() "},
		{{F(PONG, "\xFF\xFE no text")}, "pong(\xFF\xFE no text) "},
		{{F(PING, "one"), F(PONG, "another"), F(CLOSE, "\x03\xE8")},
			"ping(one) pong(another) close(1000 ) "},
		{{F(TEXT, "a"), F(TEXT, "b"), F(PING, "c"), F(TEXT, ""), F(PONG, "d")},
			"message(a) message(b) ping(c) message() pong(d) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
fragments_become_one_message_and_control_frames_may_stand_between_them(void **state)
{
	static const struct row rows[] = {
		{{F(BEGIN, "Hel"), F(LAST, "lo")}, "message(Hello) "},
		{{F(BEGIN, ""), F(LAST, "")}, "message() "},
		{{F(BEGIN, ""), F(MORE, ""), F(LAST, "late")}, "message(late) "},
		{{F(BEGIN, "early"), F(MORE, ""), F(LAST, "")}, "message(early) "},
		{{F(BEGIN, ""), F(MORE, "middle"), F(LAST, "")}, "message(middle) "},
		{{F(BEGIN, "a"), F(PING, "1"), F(MORE, "b"), F(PONG, "2"), F(PING, ""), F(LAST, "c")},
			"ping(1) pong(2) ping() message(abc) "},
		{{F(BEGIN, ""), F(PING, "between"), F(LAST, "x")}, "ping(between) message(x) "},
		/* what was put together is gone when the next one starts */
		{{F(BEGIN, "Hel"), F(LAST, "lo"), F(BEGIN, "wor"), F(LAST, "ld"), F(TEXT, "!")},
			"message(Hello) message(world) message(!) "},
		{{F(BEGIN, "half"), F(PING, ""), F(CLOSE, "")}, "ping() close(1000 ) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
fragments_out_of_order_are_a_protocol_error(void **state)
{
	static const struct row rows[] = {
		{{F(LAST, "x")}, "fault(1002) "},
		{{F(MORE, "x")}, "fault(1002) "},
		{{F(LAST, "")}, "fault(1002) "},
		{{F(TEXT, "a"), F(LAST, "b")}, "message(a) fault(1002) "},
		{{F(BEGIN, "a"), F(LAST, "b"), F(MORE, "c")}, "message(ab) fault(1002) "},
		{{F(BEGIN, "a"), F(TEXT, "b")}, "fault(1002) "},
		{{F(BEGIN, ""), F(BEGIN, "")}, "fault(1002) "},
		{{F(BEGIN, "a"), F(BINARY, "b")}, "fault(1002) "},
		{{F(BEGIN, "a"), F(PING, "1"), F(TEXT, "b")}, "ping(1) fault(1002) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
binary_is_unsupported_in_every_shape(void **state)
{
	static const struct row rows[] = {
		{{F(BINARY, "")}, "fault(1003) "},
		{{F(BINARY, "\xFF\x00")}, "fault(1003) "},
		{{F(0x02, "begins")}, "fault(1003) "},
		{{F(TEXT, "a"), F(BINARY, "b"), F(TEXT, "c")}, "message(a) fault(1003) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

/* RFC 6455, 5.2: nothing was negotiated that gives them a meaning. */
static void
each_reserved_bit_is_a_protocol_error_on_every_opcode(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 256; first++) {
		struct row row = {{F(0, "x")}, "fault(1002) "};

		row.frames[0].first = first;
		if (first & 0x70)
			expect_rows(&row, 1);
	}
}

static void
each_reserved_opcode_is_a_protocol_error(void **state)
{
	(void)state;
	for (unsigned int opcode = 0; opcode < 16; opcode++) {
		for (unsigned int fin = 0; fin <= 0x80; fin += 0x80) {
			struct row rows[] = {
				{{F(0, "")}, "fault(1002) "},
				{{F(TEXT, "a"), F(0, "b"), F(TEXT, "c")}, "message(a) fault(1002) "},
				{{F(BEGIN, "a"), F(0, "b"), F(LAST, "c")}, "fault(1002) "},
			};

			rows[0].frames[0].first = rows[1].frames[1].first = rows[2].frames[1].first =
				fin | opcode;
			if ((opcode > 2 && opcode < 8) || opcode > 10)
				expect_rows(rows, COUNT(rows));
		}
	}
}

/* RFC 6455, 5.1. */
static void
a_frame_without_a_mask_is_a_protocol_error(void **state)
{
	static const struct row rows[] = {
		{{F(RAW, "\x81\x05Hello")}, "fault(1002) "},
		{{F(RAW, "\x81\x7E\x00\x80")}, "fault(1002) "},
		{{F(RAW, "\x81\x7F")}, "fault(1002) "},
		{{F(RAW, "\x89\x00")}, "fault(1002) "},
		{{F(RAW, "\x88\x02\x03\xE8")}, "fault(1002) "},
		{{F(BEGIN, "a"), F(RAW, "\x80\x01z")}, "fault(1002) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
expect_header_fault(unsigned int first, uint64_t size, unsigned int length_bytes, const char *transcript)
{
	struct push_buf stream;

	push_buf_init(&stream, 64);
	put_header(&stream, first, size, length_bytes);
	expect_however_it_is_cut(&stream, transcript, strlen(transcript) + 1);
	push_buf_fini(&stream);
}

static void
a_control_frame_is_whole_and_at_most_125_bytes_long(void **state)
{
	static const struct {
		unsigned int first;
		const char *start;
	} kinds[] = {{CLOSE, "close(1000 "}, {PING, "ping("}, {PONG, "pong("}};
	char payload[125] = "\x03\xE8", transcript[160];

	(void)state;
	memset(payload + 2, 'x', sizeof(payload) - 2);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t skipped = kinds[i].first == CLOSE ? 2 : 0;
		struct row rows[] = {
			{{{kinds[i].first, payload, sizeof(payload)}}, transcript},
			{{{kinds[i].first & 0x7F, payload, 2}}, "fault(1002) "},
			{{{kinds[i].first & 0x7F, "", 0}}, "fault(1002) "},
		};

		snprintf(transcript, sizeof(transcript), "%s%.*s) ", kinds[i].start,
			(int)(sizeof(payload) - skipped), payload + skipped);
		expect_rows(rows, COUNT(rows));
		/* more needs a longer length, which is refused before it is read */
		expect_header_fault(kinds[i].first, 126, 2, "fault(1002) ");
		expect_header_fault(kinds[i].first, 5, 2, "fault(1002) ");
		expect_header_fault(kinds[i].first, 5, 8, "fault(1002) ");
	}
}

/* RFC 6455, 5.2: "the minimal number of bytes MUST be used", and the most significant bit of 64 is 0. */
static void
a_length_takes_the_fewest_bytes_and_63_bits(void **state)
{
	struct push_buf stream, transcript;
	struct push_ws_reader reader;

	(void)state;
	expect_header_fault(TEXT, 0, 2, "fault(1002) ");
	expect_header_fault(TEXT, 125, 2, "fault(1002) ");
	expect_header_fault(TEXT, 0, 8, "fault(1002) ");
	expect_header_fault(TEXT, 126, 8, "fault(1002) ");
	expect_header_fault(TEXT, LIMIT, 8, "fault(1002) ");
	expect_header_fault(TEXT, UINT64_C(1) << 63, 8, "fault(1002) ");
	expect_header_fault(TEXT, UINT64_MAX, 8, "fault(1002) ");
	expect_header_fault(TEXT, (UINT64_C(1) << 63) - 1, 8, "fault(1009) ");
	expect_header_fault(TEXT, UINT64_C(1) << 32, 8, "fault(1009) ");

	/* 65535 fits two bytes, and here the limit does not hide it */
	push_buf_init(&stream, 64);
	push_buf_init(&transcript, 64);
	push_ws_reader_init(&reader, UINT16_MAX);
	put_header(&stream, TEXT, UINT16_MAX, 8);
	play_read(&reader, stream.bytes, stream.size, &transcript);
	assert_int_equal(transcript.size, strlen("fault(1002) "));
	assert_memory_equal(transcript.bytes, "fault(1002) ", transcript.size);
	push_ws_reader_fini(&reader);
	push_buf_fini(&transcript);
	push_buf_fini(&stream);
}

/* Reads of one size over a message of `size` bytes, under a limit that is as large. */
static void
expect_long_message(size_t size, size_t fragment, size_t read)
{
	char *payload = malloc(size ? size : 1);
	struct push_buf stream;
	struct push_ws_reader reader;
	size_t at = 0;
	struct push_buf transcript, expected;

	push_buf_init(&stream, 1 << 20);
	push_buf_init(&transcript, 1 << 20);
	push_buf_init(&expected, 1 << 20);
	for (size_t i = 0; i < size; i++)
		payload[i] = (char)('a' + i % 23);
	do {
		size_t piece = size - at < fragment ? size - at : fragment;
		struct frame frame = {at ? MORE : BEGIN, payload + at, piece};

		at += piece;
		frame.first |= at == size ? LAST : 0U;
		put_frame(&stream, &frame);
	} while (at < size);
	push_buf_append_text(&expected, "message(");
	push_buf_append(&expected, payload, size);
	push_buf_append_text(&expected, ") ");

	push_ws_reader_init(&reader, size);
	for (at = 0; at < stream.size; at += read)
		play_read(&reader, stream.bytes + at, stream.size - at < read ? stream.size - at : read,
			&transcript);
	assert_int_equal(transcript.size, expected.size);
	assert_memory_equal(transcript.bytes, expected.bytes, expected.size);
	assert_true(push_ws_reader_is_idle(&reader));
	push_ws_reader_fini(&reader);
	push_buf_fini(&stream);
	push_buf_fini(&transcript);
	push_buf_fini(&expected);
	free(payload);
}

/* Around every change of the length's encoding, and of the words that are unmasked at a time. */
static void
messages_of_every_length_arrive_as_they_were_sent(void **state)
{
	static const size_t sizes[] = {
		0, 1, 7, 8, 9, 15, 16, 17, 124, 125, 126, 127, 128, 65535, 65536, 65537};
	static const size_t reads[] = {1, 3, 8, 1460, 1 << 20};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t k = 0; k < COUNT(reads); k++)
			for (size_t fragment = 1 << 20; fragment > 100; fragment /= 101)
				expect_long_message(sizes[i], fragment, reads[k]);
}

/* The payload at every alignment of memory, cut at every place: the mask goes on where it was. */
static void
unmasking_is_right_at_every_alignment_and_cut(void **state)
{
	char payload[40];

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)('!' + i);
	for (size_t before = 0; before < 16; before++) {
		for (size_t size = 0; size <= sizeof(payload); size++) {
			struct frame frames[FRAMES_MAX] = {{PONG, payload, before}, {TEXT, payload, size}};
			struct push_buf stream;
			char transcript[128];

			put_frames(&stream, frames);
			snprintf(transcript, sizeof(transcript), "pong(%.*s) message(%.*s) ", (int)before,
				payload, (int)size, payload);
			expect_however_it_is_cut(&stream, transcript, strlen(transcript) + 1);
			push_buf_fini(&stream);
		}
	}
}

/* RFC 6455, 7.4.1 and 7.4.2; 1012 to 1014 are in its registry at IANA. */
static bool
may_stand_in_a_close_frame(unsigned int code)
{
	switch (code) {
	case 1000:
	case 1001:
	case 1002:
	case 1003:
	case 1007:
	case 1008:
	case 1009:
	case 1010:
	case 1011:
	case 1012:
	case 1013:
	case 1014: return true;
	default: return code >= 3000 && code < 5000;
	}
}

static void
each_of_all_65536_close_codes_is_taken_or_refused(void **state)
{
	(void)state;
	for (unsigned int code = 0; code <= UINT16_MAX; code++) {
		char payload[2] = {(char)(code >> 8), (char)code}, transcript[32];
		struct frame frames[FRAMES_MAX] = {{CLOSE, payload, 2}};
		struct push_buf stream;

		put_frames(&stream, frames);
		snprintf(transcript, sizeof(transcript),
			may_stand_in_a_close_frame(code) ? "close(%u ) " : "fault(1002) ", code);
		expect(&stream, stream.size, ONE_CUT, transcript, strlen(transcript) + 1);
		expect(&stream, 7, ONE_CUT, transcript, strlen(transcript) + 1);
		push_buf_fini(&stream);
	}
}

static void
a_close_has_no_payload_or_a_code_and_a_reason_in_utf8(void **state)
{
	static const struct row rows[] = {
		{{F(CLOSE, "")}, "close(1000 ) "}, {{F(CLOSE, "\x03")}, "fault(1002) "},
		{{F(CLOSE, "\x03\xE8")}, "close(1000 ) "},
		{{F(CLOSE, "\x03\xE9going away")}, "close(1001 going away) "},
		{{F(CLOSE, "\x0F\xA1gr\xC3\xBC\xC3\x9F")}, "close(4001 gr\xC3\xBC\xC3\x9F) "},
		{{F(CLOSE, "\x03\xE8\xFF")}, "fault(1007) "},
		{{F(CLOSE, "\x03\xE8half\xE2\x82")}, "fault(1007) "},
		{{F(CLOSE, "\x03\xE8\xED\xA0\x80")}, "fault(1007) "},
		{{F(CLOSE, "\x03\xED\xFF")}, "fault(1002) "}, /* the code comes first */
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
a_text_is_utf8_over_all_its_fragments(void **state)
{
	static const struct row rows[] = {
		{{F(TEXT, "\xE2\x82\xAC")}, "message(\xE2\x82\xAC) "},
		{{F(BEGIN, "\xE2"), F(MORE, "\x82"), F(LAST, "\xAC")}, "message(\xE2\x82\xAC) "},
		{{F(BEGIN, "\xF0\x9F"), F(PING, "\x98"), F(LAST, "\x98\x80")},
			"ping(\x98) message(\xF0\x9F\x98\x80) "},
		{{F(BEGIN, "\xF4\x8F\xBF"), F(MORE, ""), F(LAST, "\xBF!")}, "message(\xF4\x8F\xBF\xBF!) "},
		/* cut at the end, and no more to come */
		{{F(TEXT, "abc\xE2\x82")}, "fault(1007) "},
		{{F(BEGIN, "abc\xE2\x82"), F(LAST, "")}, "fault(1007) "},
		{{F(BEGIN, "\xE2"), F(LAST, "\x82")}, "fault(1007) "},
		/* the half of one message is not mended by the next */
		{{F(BEGIN, "\xE2"), F(PING, ""), F(LAST, ""), F(TEXT, "\x82\xAC")}, "ping() fault(1007) "},
		{{F(TEXT, "\xC0\xAF")}, "fault(1007) "},
		{{F(TEXT, "\xED\xA0\x80")}, "fault(1007) "},
		{{F(TEXT, "\xF4\x90\x80\x80")}, "fault(1007) "},
		{{F(TEXT, "\xF8\x88\x80\x80\x80")}, "fault(1007) "},
		{{F(TEXT, "\x80")}, "fault(1007) "},
		{{F(BEGIN, "ok"), F(LAST, "\x80")}, "fault(1007) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

static void
a_text_may_hold_a_nul(void **state)
{
	static const struct frame frames[FRAMES_MAX] = {F(BEGIN, "a\0"), F(LAST, "b")};
	struct push_buf stream;

	(void)state;
	put_frames(&stream, frames);
	expect_however_it_is_cut(&stream, "message(a\0b) ", sizeof("message(a\0b) "));
	push_buf_fini(&stream);
}

/* Byte by byte: the fault comes with byte number `at`, and neither before nor after it. */
static void
a_fault_is_told_at_the_first_byte_that_nothing_can_mend(void **state)
{
	static const struct {
		struct frame frames[FRAMES_MAX];
		size_t at;
	} rows[] = {
		{{F(0xC1, "x")}, 2},
		{{F(RAW, "\x81\x05Hello")}, 2},
		{{F(BINARY, "some bytes")}, 2},
		{{F(0x09, "some bytes")}, 2},
		{{F(RAW, "\x88\xFE\x00\x80")}, 2},
		{{F(CLOSE, "\x03")}, 2},
		{{F(RAW, "\x81\xFE\x00\x10\x00\x00\x00\x00 some bytes")}, 8},
		{{F(RAW, "\x81\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 some bytes")}, 14},
		{{F(RAW, "\x81\xFE\x03\xE9\x00\x00\x00\x00 some bytes")}, 8},
		{{F(TEXT, "ab\xC0 and more")}, 6 + 3},
		{{F(TEXT, "\xE2\x28\xA1")}, 6 + 2},
		{{F(TEXT, "\xF4\x90\x80\x80")}, 6 + 2},
		{{F(TEXT, "ab\xE2\x82")}, 6 + 4},
		{{F(BEGIN, "ab\xE2"), F(MORE, "\x82z\xAC and more")}, 6 + 3 + 6 + 2},
		{{F(BEGIN, "\xE2\x82"), F(LAST, "")}, 6 + 2 + 6},
		{{F(TEXT, "fine"), F(BEGIN, "fine"), F(PING, "fine"), F(TEXT, "")}, 3 * 10 + 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf stream, transcript;
		struct push_ws_reader reader;
		size_t at = 0;

		put_frames(&stream, rows[i].frames);
		push_buf_init(&transcript, 1024);
		push_ws_reader_init(&reader, LIMIT);
		while (!reader.failed && at < stream.size)
			play_read(&reader, stream.bytes + at++, 1, &transcript);
		assert_int_equal(at, rows[i].at);
		assert_true(reader.failed);
		push_ws_reader_fini(&reader);
		push_buf_fini(&transcript);
		push_buf_fini(&stream);
	}
}

/* Fragments of zeros; of the one that is too long, the header only: no byte of it is awaited. */
static void
put_fragments(struct push_buf *stream, const size_t *sizes, size_t count, bool fits)
{
	static const char filler[LIMIT];

	push_buf_init(stream, 1 << 20);
	for (size_t i = 0; i < count; i++) {
		bool last = i == count - 1;

		put_header(stream, (i ? MORE : BEGIN) | (last ? LAST : 0U), sizes[i], sizes[i] > 125 ? 2 : 0);
		if (fits || !last)
			put_payload(stream, filler, sizes[i]);
	}
}

static void
a_message_over_the_limit_is_told_by_its_header(void **state)
{
	static const struct {
		size_t sizes[4], count;
		bool fits;
	} rows[] = {
		{{LIMIT}, 1, true},
		{{LIMIT + 1}, 1, false},
		{{LIMIT - 1, 1}, 2, true},
		{{LIMIT - 1, 2}, 2, false},
		{{LIMIT, 0, 0}, 3, true},
		{{LIMIT, 0, 1}, 3, false},
		{{1, LIMIT - 1, 0}, 3, true},
		{{1, LIMIT}, 2, false},
		{{400, 300, 301}, 3, false},
		{{0, 0, 0, LIMIT}, 4, true},
		{{0, 0, 0, LIMIT + 1}, 4, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf stream, transcript;

		put_fragments(&stream, rows[i].sizes, rows[i].count, rows[i].fits);
		for (size_t step = 1; step < 4000; step *= 7) {
			play(&stream, 0, step, &transcript);
			if (rows[i].fits)
				assert_int_equal(transcript.size, sizeof("message() ") + LIMIT);
			else
				assert_string_equal(transcript.bytes, "fault(1009) ");
			push_buf_fini(&transcript);
		}
		push_buf_fini(&stream);
	}
}

static void
nothing_is_told_after_a_fault_or_a_close(void **state)
{
	static const struct row rows[] = {
		{{F(CLOSE, ""), F(TEXT, "a"), F(CLOSE, "\x03\xE8")}, "close(1000 ) "},
		{{F(CLOSE, "\x03\xE8"
			   "bye"),
			 F(RAW, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")},
			"close(1000 bye) "},
		{{F(RAW, "\x81\x01!"), F(TEXT, "a"), F(PING, "b"), F(CLOSE, "")}, "fault(1002) "},
		{{F(BEGIN, "a"), F(MORE, "\xFF"), F(LAST, "b"), F(TEXT, "c")}, "fault(1007) "},
		{{F(BEGIN, "a"), F(CLOSE, ""), F(LAST, "b")}, "close(1000 ) "},
		{{F(CLOSE, "\x00\x00"), F(CLOSE, "\x03\xE8")}, "fault(1002) "},
	};

	(void)state;
	expect_rows(rows, COUNT(rows));
}

/* The truth of is_idle byte for byte: only between messages, and never after the end. */
static void
a_reader_is_idle_only_where_a_new_one_would_do(void **state)
{
	static const struct {
		struct frame frames[FRAMES_MAX];
		const char *idle; /* after the n-th byte, 'i' for idle */
	} rows[] = {
		{{F(TEXT, "Hello")}, "i..........i"},
		{{F(TEXT, "")}, "i.....i"},
		{{F(PING, "a")}, "i......i"},
		{{F(PING, ""), F(PONG, "")}, "i.....i.....i"},
		{{F(BEGIN, ""), F(PING, ""), F(LAST, "")}, "i.................i"},
		{{F(BEGIN, "a"), F(LAST, "b"), F(TEXT, "c")}, "i.............i......i"},
		{{F(CLOSE, "")}, "i......"},
		{{F(RAW, "\x81\x01!abc")}, "i......"},
		{{F(TEXT, "\xFF"), F(TEXT, "a")}, "i.............."},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf stream, transcript;
		struct push_ws_reader reader;

		put_frames(&stream, rows[i].frames);
		assert_int_equal(stream.size + 1, strlen(rows[i].idle));
		push_buf_init(&transcript, 1024);
		push_ws_reader_init(&reader, LIMIT);
		for (size_t at = 0; at <= stream.size; at++) {
			assert_int_equal(push_ws_reader_is_idle(&reader), rows[i].idle[at] == 'i');
			/* and then it holds no memory that a new one would not */
			if (rows[i].idle[at] == 'i')
				assert_null(reader.text.bytes);
			if (at < stream.size)
				play_read(&reader, stream.bytes + at, 1, &transcript);
		}
		push_ws_reader_fini(&reader);
		push_buf_fini(&transcript);
		push_buf_fini(&stream);
	}
}

/* What lies in one read as a whole is not copied. */
static void
a_whole_frame_is_given_where_it_lies(void **state)
{
	static const struct frame frames[FRAMES_MAX] = {F(TEXT, "Hello"), F(PING, "ping")};
	struct push_ws_reader reader;
	struct push_ws_event event;
	struct push_buf stream;
	unsigned char *bytes, *from;
	size_t size;

	(void)state;
	put_frames(&stream, frames);
	bytes = from = (unsigned char *)stream.bytes;
	size = stream.size;
	push_ws_reader_init(&reader, LIMIT);
	event = push_ws_reader_next(&reader, &bytes, &size);
	assert_ptr_equal(event.bytes, from + 6);
	event = push_ws_reader_next(&reader, &bytes, &size);
	assert_ptr_equal(event.bytes, from + 11 + 6);
	push_ws_reader_fini(&reader);
	push_buf_fini(&stream);
}

static void
a_read_of_nothing_is_nothing(void **state)
{
	static const struct frame frames[FRAMES_MAX] = {F(BEGIN, "\xE2"), F(PING, "ab"), F(LAST, "\x82\xAC")};
	struct push_buf stream, transcript;
	struct push_ws_reader reader;

	(void)state;
	put_frames(&stream, frames);
	push_buf_init(&transcript, 1024);
	push_ws_reader_init(&reader, LIMIT);
	for (size_t at = 0; at < stream.size; at++) {
		play_read(&reader, "", 0, &transcript);
		play_read(&reader, stream.bytes + at, 1, &transcript);
	}
	push_buf_append(&transcript, "", 1);
	assert_string_equal(transcript.bytes, "ping(ab) message(\xE2\x82\xAC) ");
	push_ws_reader_fini(&reader);
	push_buf_fini(&transcript);
	push_buf_fini(&stream);
}

static void
without_memory_for_a_message_in_pieces_the_connection_fails_with_1011(void **state)
{
	static const struct frame frames[FRAMES_MAX] = {F(BEGIN, "a"), F(LAST, "b"), F(TEXT, "c")};
	struct push_buf stream;
	struct push_ws_reader reader;
	struct push_ws_event event;
	unsigned char *bytes;
	size_t size;

	(void)state;
	put_frames(&stream, frames);
	bytes = (unsigned char *)stream.bytes;
	size = stream.size;
	push_ws_reader_init(&reader, LIMIT);
	no_memory = true;
	event = push_ws_reader_next(&reader, &bytes, &size);
	no_memory = false;
	assert_int_equal(event.kind, PUSH_WS_EVENT_FAULT);
	assert_int_equal(event.code, 1011);
	event = push_ws_reader_next(&reader, &bytes, &size);
	assert_int_equal(event.kind, PUSH_WS_EVENT_NONE);
	assert_int_equal(size, 0);
	push_ws_reader_fini(&reader);
	push_buf_fini(&stream);
}

/* However the stream is cut: the first message has begun, and perhaps ended, when the reader is told. */
static void
a_reader_that_discards_keeps_no_text_and_still_reads_pings_and_the_close(void **state)
{
	static const struct frame frames[FRAMES_MAX] = {F(BEGIN, "begun"), F(MORE, "\xFF"), F(PING, "a"),
		F(LAST, "end"), F(TEXT, "whole"), F(CLOSE, "\x03\xE8")};
	struct push_buf stream, transcript;

	(void)state;
	put_frames(&stream, frames);
	for (size_t step = 1; step < stream.size; step++) {
		struct push_ws_reader reader;

		push_ws_reader_init(&reader, LIMIT);
		push_buf_init(&transcript, 1 << 20);
		play_read(&reader, stream.bytes, 9, &transcript); /* of the 11 bytes of the first frame */
		assert_int_equal(reader.text.size, 3);
		push_ws_reader_discard(&reader);
		for (size_t at = 9, size; at < stream.size; at += size) {
			size = step < stream.size - at ? step : stream.size - at;
			play_read(&reader, stream.bytes + at, size, &transcript);
			assert_null(reader.text.bytes);
		}
		push_buf_append(&transcript, "", 1);
		assert_string_equal(transcript.bytes, "ping(a) close(1000 ) ");
		push_ws_reader_fini(&reader);
		push_buf_fini(&transcript);
	}
	push_buf_fini(&stream);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_frames_are_one_event_each),
		cmocka_unit_test(fragments_become_one_message_and_control_frames_may_stand_between_them),
		cmocka_unit_test(fragments_out_of_order_are_a_protocol_error),
		cmocka_unit_test(binary_is_unsupported_in_every_shape),
		cmocka_unit_test(each_reserved_bit_is_a_protocol_error_on_every_opcode),
		cmocka_unit_test(each_reserved_opcode_is_a_protocol_error),
		cmocka_unit_test(a_frame_without_a_mask_is_a_protocol_error),
		cmocka_unit_test(a_control_frame_is_whole_and_at_most_125_bytes_long),
		cmocka_unit_test(a_length_takes_the_fewest_bytes_and_63_bits),
		cmocka_unit_test(messages_of_every_length_arrive_as_they_were_sent),
		cmocka_unit_test(unmasking_is_right_at_every_alignment_and_cut),
		cmocka_unit_test(each_of_all_65536_close_codes_is_taken_or_refused),
		cmocka_unit_test(a_close_has_no_payload_or_a_code_and_a_reason_in_utf8),
		cmocka_unit_test(a_text_is_utf8_over_all_its_fragments),
		cmocka_unit_test(a_text_may_hold_a_nul),
		cmocka_unit_test(a_fault_is_told_at_the_first_byte_that_nothing_can_mend),
		cmocka_unit_test(a_message_over_the_limit_is_told_by_its_header),
		cmocka_unit_test(nothing_is_told_after_a_fault_or_a_close),
		cmocka_unit_test(a_reader_is_idle_only_where_a_new_one_would_do),
		cmocka_unit_test(a_whole_frame_is_given_where_it_lies),
		cmocka_unit_test(a_read_of_nothing_is_nothing),
		cmocka_unit_test(a_reader_that_discards_keeps_no_text_and_still_reads_pings_and_the_close),
		cmocka_unit_test(without_memory_for_a_message_in_pieces_the_connection_fails_with_1011),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
