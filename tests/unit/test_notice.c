/* The text of a notice is read as it was written, and nothing else is read. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "auth/notice.h"
#include "core/limits.h"

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

static void
assert_printed(const struct push_notice *notice, const char *expected)
{
	struct push_buf text;

	push_buf_init(&text, PUSH_NOTICE_BYTES_MAX);
	push_notice_print(&text, notice);
	assert_int_equal(text.status, PUSH_OK);
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.size);
	push_buf_fini(&text);
}

static void
what_is_written_is_read(void **state)
{
	static const struct {
		const char *text;
		struct push_notice notice;
	} rows[] = {
		{"{\"revoke\":{\"user\":\"u\"},\"before\":1700000000,\"until\":1700086400}",
			{PUSH_NOTICE_REVOKE, PUSH_NOTICE_BY_USER, 1700000000, 1700086400, 1, "u"}},
		{"{\"revoke\":{\"jti\":\"a\\\"b\\\\\\u0001\"},\"until\":1}",
			{PUSH_NOTICE_REVOKE, PUSH_NOTICE_BY_TOKEN_ID, PUSH_NOTICE_WHENEVER, 1, 5,
				"a\"b\\\x01"}},
		{"{\"revoke\":{\"key\":\"shop\"},\"before\":0,\"until\":253402300799}",
			{PUSH_NOTICE_REVOKE, PUSH_NOTICE_BY_KEY, 0, PUSH_NOTICE_SECONDS_MAX, 4, "shop"}},
		{"{\"disconnect\":{\"user\":\"\xc3\xbc\"},\"before\":7}",
			{PUSH_NOTICE_DISCONNECT, PUSH_NOTICE_BY_USER, 7, 0, 2, "\xc3\xbc"}},
		{"{\"disconnect\":{\"jti\":\"j\"}}",
			{PUSH_NOTICE_DISCONNECT, PUSH_NOTICE_BY_TOKEN_ID, PUSH_NOTICE_WHENEVER, 0, 1, "j"}},
		{"{\"disconnect\":{\"key\":\"k\"}}",
			{PUSH_NOTICE_DISCONNECT, PUSH_NOTICE_BY_KEY, PUSH_NOTICE_WHENEVER, 0, 1, "k"}},
		{"{\"disconnect\":{\"channel\":\"news\"}}",
			{PUSH_NOTICE_DISCONNECT, PUSH_NOTICE_BY_CHANNEL, PUSH_NOTICE_WHENEVER, 0, 4, "news"}},
		{"{\"disconnect\":{\"client\":\"c\"}}",
			{PUSH_NOTICE_DISCONNECT, PUSH_NOTICE_BY_CLIENT, PUSH_NOTICE_WHENEVER, 0, 1, "c"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_notice notice;
		struct push_error error = {""};

		assert_printed(&rows[i].notice, rows[i].text);
		assert_int_equal(
			push_notice_parse(&notice, rows[i].text, strlen(rows[i].text), &error), PUSH_OK);
		assert_int_equal(notice.act, rows[i].notice.act);
		assert_int_equal(notice.by, rows[i].notice.by);
		assert_true(notice.before_s == rows[i].notice.before_s);
		assert_true(notice.until_s == rows[i].notice.until_s);
		assert_int_equal(notice.name_size, rows[i].notice.name_size);
		assert_string_equal(notice.name, rows[i].notice.name);
	}
}

static void
nothing_else_is_read(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"revoke\"",
		"{\"revoke\":{\"user\":\"u\"}}",
		"{\"revoke\":{},\"until\":1}",
		"{\"revoke\":\"u\",\"until\":1}",
		"{\"revoke\":{\"user\":1},\"until\":1}",
		"{\"revoke\":{\"user\":\"\"},\"until\":1}",
		"{\"revoke\":{\"channel\":\"c\"},\"until\":1}",
		"{\"revoke\":{\"client\":\"c\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"u\",\"jti\":\"j\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"u\",\"user\":\"v\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"u\"},\"disconnect\":{\"user\":\"u\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1,\"until\":2}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1,\"before\":2}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1,\"more\":2}",
		"{\"revoke\":{\"user\":\"u\"},\"until\": 1}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1} ",
		" {\"revoke\":{\"user\":\"u\"},\"until\":1}",
		"\xef\xbb\xbf{\"revoke\":{\"user\":\"u\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"\\u0075\"},\"until\":1}",
		"{\"revoke\":{\"us\\u0065r\":\"u\"},\"until\":1}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":-1}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":01}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1.0}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":1e3}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":\"1\"}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":null}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":253402300800}",
		"{\"revoke\":{\"user\":\"u\"},\"until\":99999999999999999999999999999999}",
		"{\"revoke\":{\"user\":\"u\"},\"before\":253402300800,\"until\":1}",
		"{\"revoke\":{\"user\":\"u\"},\"before\":9223372036854775807,\"until\":1}",
		"{\"disconnect\":{\"user\":\"u\"},\"until\":1}",
		"{\"disconnect\":{\"user\":\"u\xff\"}}",
		"{\"disconnect\":{\"user\":\"\\ud800\"}}",
	};
	struct push_notice notice;
	struct push_error error = {""};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		error.text[0] = '\0';
		if (push_notice_parse(&notice, texts[i], strlen(texts[i]), &error) != PUSH_INVALID)
			fail_msg("read: %s", texts[i]);
		assert_true(error.text[0]);
	}
}

static void
each_name_up_to_the_limit_can_be_sent(void **state)
{
	struct push_notice notice = {PUSH_NOTICE_REVOKE, PUSH_NOTICE_BY_USER, PUSH_NOTICE_SECONDS_MAX,
				   PUSH_NOTICE_SECONDS_MAX, 0, ""},
			   again;
	char name[PUSH_NOTICE_NAME_BYTES_MAX + 1];
	struct push_error error = {""};
	struct push_buf text;

	(void)state;
	memset(name, 1, sizeof(name));
	assert_int_equal(
		push_notice_name(&notice, PUSH_NOTICE_BY_USER, (struct push_str){name, sizeof(name)}, &error),
		PUSH_INVALID);
	assert_string_equal(error.text, "'user' is longer than 255 bytes");
	assert_int_equal(push_notice_name(&notice, PUSH_NOTICE_BY_TOKEN_ID, str(""), &error), PUSH_INVALID);
	assert_string_equal(error.text, "'jti' is empty");
	assert_int_equal(
		push_notice_name(&notice, PUSH_NOTICE_BY_CHANNEL, str("\xff"), &error), PUSH_INVALID);
	assert_string_equal(error.text, "'channel' is not valid UTF-8");
	assert_int_equal(push_notice_name(&notice, PUSH_NOTICE_BY_USER,
				 (struct push_str){name, sizeof(name) - 1}, &error),
		PUSH_OK);
	push_buf_init(&text, PUSH_NOTICE_BYTES_MAX);
	push_notice_print(&text, &notice);
	assert_int_equal(text.status, PUSH_OK);
	assert_int_equal(push_notice_parse(&again, text.bytes, text.size, &error), PUSH_OK);
	assert_memory_equal(again.name, name, sizeof(name) - 1);
	push_buf_fini(&text);
}

static void
a_text_that_is_too_long_is_not_read(void **state)
{
	static char text[PUSH_NOTICE_BYTES_MAX + 2];
	struct push_notice notice;
	struct push_error error = {""};

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	assert_int_equal(push_notice_parse(&notice, text, sizeof(text) - 1, &error), PUSH_INVALID);
	assert_string_equal(error.text, "it is too long");
}

static void
tokens_of_this_second_were_issued_before(void **state)
{
	(void)state;
	assert_true(push_notice_before(1700000000) == 1700000001);
}

static void
a_token_is_covered_as_long_as_it_is_accepted(void **state)
{
	(void)state;
	assert_true(push_notice_until(1700000000, 30 * 1000000ull) == 1700000031);
	assert_true(push_notice_until(1700000000, 1999999) == 1700000002);
	assert_true(push_notice_until(INT64_MAX, 30 * 1000000ull) == PUSH_NOTICE_SECONDS_MAX);
}

static void
without_memory_nothing_is_read(void **state)
{
	static const char text[] = "{\"revoke\":{\"user\":\"u\"},\"until\":1}";
	struct push_notice notice;
	struct push_error error = {""};
	enum push_status status = PUSH_OUT_OF_MEMORY;

	(void)state;
	for (long limit = 0; status != PUSH_OK; limit++) {
		allocations_left = limit;
		status = push_notice_parse(&notice, text, sizeof(text) - 1, &error);
		allocations_left = -1;
		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
		assert_true(limit < 100);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(nothing_else_is_read),
		cmocka_unit_test(each_name_up_to_the_limit_can_be_sent),
		cmocka_unit_test(a_text_that_is_too_long_is_not_read),
		cmocka_unit_test(a_token_is_covered_as_long_as_it_is_accepted),
		cmocka_unit_test(tokens_of_this_second_were_issued_before),
		cmocka_unit_test(without_memory_nothing_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
