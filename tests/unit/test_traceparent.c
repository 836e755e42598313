/* traceparent by W3C Trace Context: what is right is read and written back, what is not is none. */
#include "unit.h"

#include <stdlib.h>

#include "core/traceparent.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN   "00f067aa0ba902b7"
#define ZEROS  "00000000000000000000000000000000"
#define PARENT "00-" TRACE "-" SPAN "-01"

/* In memory of its own size, so that valgrind sees a read behind it. */
static bool
parse(struct push_trace *ret, const char *text)
{
	size_t size = strlen(text);
	char *copy = malloc(size + !size);
	bool is_right;

	assert_non_null(copy);
	memcpy(copy, text, size);
	is_right = push_traceparent_parse(ret, copy, size);
	free(copy);
	return is_right;
}

static void
what_is_right_is_read(void **state)
{
	static const struct {
		const char *text;
		uint8_t flags;
	} rows[] = {
		{PARENT, 1},
		{"00-" TRACE "-" SPAN "-00", 0},
		{"00-" TRACE "-" SPAN "-03", 3}, /* random */
		{"00-" TRACE "-" SPAN "-ff", 3}, /* flags that nobody knows yet */
		{"00-" TRACE "-" SPAN "-fe", 2}, /* ... and not sampled */
		{"01-" TRACE "-" SPAN "-03", 1}, /* of another version only `sampled` counts */
		{"cc-" TRACE "-" SPAN "-01-what.the.future", 1}, /* and it may be longer */
		{"fe-" TRACE "-" SPAN "-00-", 0},
		{"00-00000000000000000000000000000001-0000000000000001-01", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[PUSH_TRACEPARENT_BYTES + 1], wanted[PUSH_TRACEPARENT_BYTES + 1];
		struct push_trace trace;

		assert_true(parse(&trace, rows[i].text));
		assert_int_equal(trace.flags, rows[i].flags);
		push_traceparent_write(&trace, text);
		memcpy(wanted, rows[i].text, PUSH_TRACEPARENT_BYTES);
		memcpy(wanted, "00", 2);
		wanted[53] = '0';
		wanted[54] = (char)('0' + rows[i].flags);
		wanted[55] = '\0';
		assert_string_equal(text, wanted);
	}
}

static void
what_is_wrong_is_none(void **state)
{
	static const char *const texts[] = {
		"", "00", "00-" TRACE "-" SPAN, "00-" TRACE "-" SPAN "-", "00-" TRACE "-" SPAN "-0",
		PARENT "-", /* 00 ends there */
		PARENT " ", /* white space is not ours to cut */
		PARENT "0", " " PARENT, "ff-" TRACE "-" SPAN "-01",
		"cc-" TRACE "-" SPAN "-01.x", /* no dash */
		"cc-" TRACE "-" SPAN "-011", "0-" TRACE "-" SPAN "-01x", "00-" ZEROS "-" SPAN "-01",
		"00-" TRACE "-0000000000000000-01", "00_" TRACE "-" SPAN "-01", "00-" TRACE "_" SPAN "-01",
		"00-" TRACE "-" SPAN "_01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", /* capitals */
		"00-" TRACE "-00F067AA0BA902B7-01", "0G-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-0g",
		"00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01x", /* a digit less */
		"00-" TRACE "-00f067aa0ba902b-701", "00-4bf92f3577b34da6a3ce929d0e0e473\x80-" SPAN "-01",
		PARENT "," PARENT, /* two headers */
	};
	struct push_trace trace, before;

	(void)state;
	memset(&trace, 7, sizeof(trace));
	before = trace;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_false(parse(&trace, texts[i]));
		assert_memory_equal(&trace, &before, sizeof(trace));
	}
}

/* Each single byte changed to anything: it is refused, or read as what it then says. */
static void
no_byte_is_passed_over(void **state)
{
	(void)state;
	for (size_t at = 0; at < PUSH_TRACEPARENT_BYTES; at++)
		for (int byte = 0; byte < 256; byte++) {
			char text[PUSH_TRACEPARENT_BYTES + 1] = PARENT, again[PUSH_TRACEPARENT_BYTES + 1];
			bool is_digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
			bool is_dash = at == 2 || at == 35 || at == 52;
			struct push_trace trace;

			text[at] = (char)byte;
			assert_int_equal(push_traceparent_parse(&trace, text, PUSH_TRACEPARENT_BYTES),
				is_dash ? byte == '-' : is_digit);
			if (is_dash || !is_digit)
				continue;
			push_traceparent_write(&trace, again);
			if (at > 2 && at < 52)
				assert_string_equal(text, again);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_is_read),
		cmocka_unit_test(what_is_wrong_is_none),
		cmocka_unit_test(no_byte_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
