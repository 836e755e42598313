#include "unit.h"

#include <string.h>

#include "core/limits.h"
#include "core/read_answer.h"

struct fixture {
	struct push_buf text;
	struct push_read_answer answer;
};

static void
begin(struct fixture *fixture, unsigned int limit)
{
	push_buf_init(&fixture->text, 4u * 1024 * 1024);
	push_read_answer_begin(&fixture->answer, &fixture->text, 3, limit, "a\"b", 3);
}

static void
assert_text(struct fixture *fixture, const char *expected)
{
	assert_int_equal(fixture->text.status, PUSH_OK);
	assert_int_equal(fixture->text.size, strlen(expected));
	assert_memory_equal(fixture->text.bytes, expected, strlen(expected));
	push_buf_fini(&fixture->text);
}

static void
without_messages_it_tells_where_to_begin(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 1);
	assert_false(push_read_answer_is_full(&fixture.answer));
	push_read_answer_end(&fixture.answer, 0, (struct push_position){36, 35}, false);
	assert_text(&fixture,
		"{\"channel\":\"a\\\"b\",\"messages\":[],\"missed\":0,\"id\":\"3.10.z\",\"more\":false}");
}

static void
messages_come_in_order_with_their_ids(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 3);
	push_read_answer_message(&fixture.answer, "1", 1, (struct push_position){1, 1});
	push_read_answer_message(&fixture.answer, "\"x\"", 3, (struct push_position){1, 2});
	assert_int_equal(fixture.answer.last.number, 2);
	push_read_answer_end(&fixture.answer, 7, fixture.answer.last, true);
	assert_text(&fixture,
		"{\"channel\":\"a\\\"b\",\"messages\":[{\"message\":1,\"id\":\"3.1.1\"},"
		"{\"message\":\"x\",\"id\":\"3.1.2\"}],\"missed\":7,\"id\":\"3.1.2\",\"more\":true}");
}

static void
what_nobody_can_count_is_unknown(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, 1);
	push_read_answer_end(&fixture.answer, PUSH_READ_UNKNOWN, (struct push_position){1, 1}, false);
	assert_text(&fixture,
		"{\"channel\":\"a\\\"b\",\"messages\":[],\"missed\":\"unknown\",\"id\":\"3.1.1\",\"more\":"
		"false}");
}

static void
it_is_full_at_its_limit(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture, PUSH_READ_MESSAGES_MAX);
	for (unsigned int i = 0; i < PUSH_READ_MESSAGES_MAX; i++) {
		assert_false(push_read_answer_is_full(&fixture.answer));
		push_read_answer_message(&fixture.answer, "1", 1, (struct push_position){1, i + 1});
	}
	assert_true(push_read_answer_is_full(&fixture.answer));
	push_buf_fini(&fixture.text);
}

static void
it_is_full_of_bytes_and_not_one_before(void **state)
{
	static char value[PUSH_READ_MESSAGES_BYTES];
	size_t around = strlen("{\"message\":,\"id\":\"3.1.1\"}");
	struct fixture fixture;

	(void)state;
	memset(value, '1', sizeof(value));
	for (unsigned int less = 0; less < 2; less++) {
		begin(&fixture, 2);
		push_read_answer_message(
			&fixture.answer, value, sizeof(value) - around - less, (struct push_position){1, 1});
		assert_int_equal(push_read_answer_is_full(&fixture.answer), !less);
		push_buf_fini(&fixture.text);
	}
}

static void
a_text_that_gets_too_large_is_told(void **state)
{
	struct fixture fixture;

	(void)state;
	push_buf_init(&fixture.text, 40);
	push_read_answer_begin(&fixture.answer, &fixture.text, 0, 2, "c", 1);
	push_read_answer_message(&fixture.answer, "\"0123456789\"", 12, (struct push_position){1, 1});
	push_read_answer_end(&fixture.answer, 0, fixture.answer.last, false);
	assert_int_equal(fixture.text.status, PUSH_TOO_LARGE);
	push_buf_fini(&fixture.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_messages_it_tells_where_to_begin),
		cmocka_unit_test(messages_come_in_order_with_their_ids),
		cmocka_unit_test(what_nobody_can_count_is_unknown),
		cmocka_unit_test(it_is_full_at_its_limit),
		cmocka_unit_test(it_is_full_of_bytes_and_not_one_before),
		cmocka_unit_test(a_text_that_gets_too_large_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
