#include "unit.h"

#include "core/buf.h"

static void
it_grows_to_its_cap_and_not_beyond(void **state)
{
	struct push_buf buf;

	(void)state;
	push_buf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++)
		push_buf_append(&buf, "x", 1);
	assert_int_equal(buf.status, PUSH_OK);
	assert_int_equal(buf.size, 1000);
	push_buf_append(&buf, "y", 1);
	assert_int_equal(buf.status, PUSH_TOO_LARGE);
	assert_int_equal(buf.size, 1000);
	push_buf_clear(&buf);
	push_buf_append(&buf, "z", 1);
	assert_int_equal(buf.status, PUSH_OK);
	assert_int_equal(buf.size, 1);
	push_buf_fini(&buf);
}

static void
a_failed_buffer_takes_nothing_more(void **state)
{
	struct push_buf buf;

	(void)state;
	push_buf_init(&buf, 4);
	push_buf_append_text(&buf, "hello");
	push_buf_append_text(&buf, "hi");
	assert_int_equal(buf.size, 0);
	assert_int_equal(buf.status, PUSH_TOO_LARGE);
	push_buf_fini(&buf);
}

static void
formatted_text_is_appended(void **state)
{
	struct push_buf buf;

	(void)state;
	push_buf_init(&buf, 100);
	push_buf_printf(&buf, "%d-%s", 7, "x");
	assert_int_equal(buf.size, 3);
	assert_memory_equal(buf.bytes, "7-x", 3);
	push_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_to_its_cap_and_not_beyond),
		cmocka_unit_test(a_failed_buffer_takes_nothing_more),
		cmocka_unit_test(formatted_text_is_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
