#include "unit.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/payload.h"

#define SCRATCH_MAX (1 << 20)

struct text {
	const char *bytes;
	size_t size;
};

#define TEXT(literal)                                                                                        \
	{                                                                                                    \
		literal, sizeof(literal) - 1                                                                 \
	}

static void
a_string_travels_as_its_text_and_all_else_in_an_envelope(void **state)
{
	static const struct {
		const char *value;
		struct text payload;
	} rows[] = {
		{"\"\"", TEXT("")},
		{"\"hello\"", TEXT("hello")},
		{"\"a\\n\\\"b\\\\\"", TEXT("a\n\"b\\")},
		{"\"\\u00fc\\ud83d\\ude00\"", TEXT("\xc3\xbc\xf0\x9f\x98\x80")},
		{"\"a\\u0000b\"", TEXT("a\0b")},
		{"\"x\\u001e\"", TEXT("x\x1e")}, /* only in front it would be taken for an envelope */
		{"\"\\u001ex\"", TEXT("\x1e\"\\u001ex\"")},
		{"\"\\ud800\"", TEXT("\x1e\"\\ud800\"")}, /* a lone half is no text */
		{"\"\\udc00\\ud800\"", TEXT("\x1e\"\\udc00\\ud800\"")},
		{"\"\\ud800\\ud800\\udc00\"", TEXT("\x1e\"\\ud800\\ud800\\udc00\"")},
		{"\"\\\\ud800\"", TEXT("\\ud800")}, /* an escaped backslash, not an escape */
		{"null", TEXT("\x1enull")},
		{"{\"a\":\"b\"}", TEXT("\x1e{\"a\":\"b\"}")},
		{"12345678901234567890123", TEXT("\x1e"
						 "12345678901234567890123")},
	};
	struct push_buf scratch;

	(void)state;
	push_buf_init(&scratch, SCRATCH_MAX);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *payload;
		size_t size;

		assert_int_equal(
			push_payload_encode(rows[i].value, strlen(rows[i].value), &scratch, &payload, &size),
			PUSH_OK);
		assert_int_equal(size, rows[i].payload.size);
		assert_memory_equal(payload, rows[i].payload.bytes, size);
	}
	push_buf_fini(&scratch);
}

static void
any_bytes_become_json(void **state)
{
	static const struct {
		struct text payload;
		const char *value;
		bool is_replaced;
	} rows[] = {
		{TEXT(""), "\"\"", false}, {TEXT("hello"), "\"hello\"", false},
		{TEXT("a long text, \"quoted\"\n in the middle of words"),
			"\"a long text, \\\"quoted\\\"\\n in the middle of words\"", false},
		{TEXT("\0"), "\"\\u0000\"", false},
		{TEXT("\xe2\x80\xa8"), "\"\xe2\x80\xa8\"", false}, /* a line separator is no line end */
		{TEXT("\x1e{\"a\": [1, 2]}"), "{\"a\":[1,2]}", false},
		{TEXT("\x1e\"\\ud800\""), "\"\\ud800\"", false}, {TEXT("\x1e 1 "), "1", false},
		{TEXT("\x1e"), "\"\\u001e\"", false}, {TEXT("\x1e{"), "\"\\u001e{\"", false},
		{TEXT("\x1e"
		      "1 2"),
			"\"\\u001e1 2\"", false},
		{TEXT("\x1e\"a\nb\""), "\"\\u001e\\\"a\\nb\\\"\"", false}, /* a raw line end is no JSON */
		{TEXT("\x1e\"\xff\""), "\"\\u001e\\\"\xef\xbf\xbd\\\"\"", true},
		/* one for each maximal subpart (Unicode 3.9, table 3-8) */
		{TEXT("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64"),
			"\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			"b\xef\xbf\xbd"
			"c\xef\xbf\xbd\xef\xbf\xbd"
			"d\"",
			true},
		{TEXT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", true}, /* a surrogate */
		{TEXT("\xf0\x9f\x98"), "\"\xef\xbf\xbd\"", true},                         /* cut off */
	};
	struct push_buf scratch;

	(void)state;
	push_buf_init(&scratch, SCRATCH_MAX);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *value;
		size_t size;
		bool is_replaced;

		assert_int_equal(push_payload_decode(rows[i].payload.bytes, rows[i].payload.size, &scratch,
					 &value, &size, &is_replaced),
			PUSH_OK);
		assert_int_equal(size, strlen(rows[i].value));
		assert_memory_equal(value, rows[i].value, size);
		assert_int_equal(is_replaced, rows[i].is_replaced);
	}
	push_buf_fini(&scratch);
}

/* As json-c reads it; and without a raw control character, which would break an event's line. */
static void
assert_is_json(const char *value, size_t size)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object;
	bool is_ascii = true;

	for (size_t i = 0; i < size; i++) {
		assert_true((unsigned char)value[i] >= 0x20);
		is_ascii = is_ascii && (unsigned char)value[i] < 0x80;
	}
	/* where json-c 0.18 is strict it takes anything else for control characters */
	json_tokener_set_flags(tokener, (is_ascii ? JSON_TOKENER_STRICT : 0) | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, value, (int)size);
	/* a number at the end could go on */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		object = json_tokener_parse_ex(tokener, "", 1);
	assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
	json_object_put(object);
	json_tokener_free(tokener);
}

/* What was not replaced goes back to the same bytes, unless it was an envelope. */
static void
check_round_trip(const char *payload, size_t size, struct push_buf *there, struct push_buf *back)
{
	const char *value, *again;
	size_t value_size, again_size;
	bool is_replaced;

	assert_int_equal(
		push_payload_decode(payload, size, there, &value, &value_size, &is_replaced), PUSH_OK);
	assert_is_json(value, value_size);
	assert_int_equal(push_payload_encode(value, value_size, back, &again, &again_size), PUSH_OK);
	if (is_replaced || (size && *payload == '\x1e'))
		return;
	assert_int_equal(again_size, size);
	assert_memory_equal(again, payload, size);
}

static void
all_payloads_of_one_and_two_bytes_are_carried(void **state)
{
	struct push_buf there, back;

	(void)state;
	push_buf_init(&there, SCRATCH_MAX);
	push_buf_init(&back, SCRATCH_MAX);
	for (unsigned int pair = 0; pair < 65536; pair++) {
		char payload[2] = {(char)(pair >> 8), (char)pair};

		check_round_trip(payload, 2, &there, &back);
		check_round_trip(payload + 1, 1, &there, &back);
	}
	push_buf_fini(&there);
	push_buf_fini(&back);
}

static void
random_payloads_are_carried(void **state)
{
	static const char alphabet[] = "ab\"\\\n\x1e{}[]:,1\xc3\xbc\xf0\x9f\x98\x80\xff\0";
	struct push_buf there, back;
	unsigned int seed = 5;

	(void)state;
	push_buf_init(&there, SCRATCH_MAX);
	push_buf_init(&back, SCRATCH_MAX);
	for (int round = 0; round < 3000; round++) {
		char payload[40];
		size_t size = (size_t)(rand_r(&seed) % 40);

		for (size_t i = 0; i < size; i++)
			payload[i] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		check_round_trip(payload, size, &there, &back);
	}
	push_buf_fini(&there);
	push_buf_fini(&back);
}

static void
what_does_not_fit_is_said(void **state)
{
	struct push_buf scratch;
	const char *value;
	size_t size;
	bool is_replaced;

	(void)state;
	push_buf_init(&scratch, 10);
	assert_int_equal(
		push_payload_decode("0123456789", 10, &scratch, &value, &size, &is_replaced), PUSH_TOO_LARGE);
	assert_int_equal(push_payload_encode("[0123456789]", 12, &scratch, &value, &size), PUSH_TOO_LARGE);
	push_buf_fini(&scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_travels_as_its_text_and_all_else_in_an_envelope),
		cmocka_unit_test(any_bytes_become_json),
		cmocka_unit_test(all_payloads_of_one_and_two_bytes_are_carried),
		cmocka_unit_test(random_payloads_are_carried),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
