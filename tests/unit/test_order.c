/* What operators ask to be taken back. */
#include "unit.h"

#include "failing_alloc.h"

#include "auth/order.h"

#define NOW 1700000000

static enum push_status
read_order(bool is_revocation, const char *text, struct push_notice *notice, struct push_error *error)
{
	return push_order_read(is_revocation, (struct push_str){text, strlen(text)}, NOW, notice, error);
}

static void
an_order_says_whose_and_until_when(void **state)
{
	static const struct {
		bool is_revocation;
		const char *text;
		enum push_notice_by by;
		const char *name;
		int64_t before_s, until_s;
	} rows[] = {
		{true, "{\"user\":\"ann\"}", PUSH_NOTICE_BY_USER, "ann", -1, NOW + PUSH_REVOCATION_S},
		{true, "{\"jti\":\"7\"}", PUSH_NOTICE_BY_TOKEN_ID, "7", PUSH_NOTICE_WHENEVER,
			NOW + PUSH_REVOCATION_S},
		{true, "{\"key\":\"orders\",\"before\":5,\"until\":1700000000}", PUSH_NOTICE_BY_KEY, "orders",
			5, NOW},
		{true, "{\"user\":\"\\u0061nn\",\"before\":0}", PUSH_NOTICE_BY_USER, "ann", 0,
			NOW + PUSH_REVOCATION_S},
		{false, "{\"channel\":\"news\"}", PUSH_NOTICE_BY_CHANNEL, "news", -1, 0},
		{false, "{\"client\":\"tab-7\",\"before\":253402300799}", PUSH_NOTICE_BY_CLIENT, "tab-7",
			PUSH_NOTICE_SECONDS_MAX, 0},
		{false, "{\"user\":\"ann\",\"until\":1800000000}", PUSH_NOTICE_BY_USER, "ann", -1, 0},
	};
	struct push_notice notice;
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const int64_t before_s = rows[i].before_s < 0 ? push_notice_before(NOW) : rows[i].before_s;

		assert_int_equal(read_order(rows[i].is_revocation, rows[i].text, &notice, &error), PUSH_OK);
		assert_int_equal(
			notice.act, rows[i].is_revocation ? PUSH_NOTICE_REVOKE : PUSH_NOTICE_DISCONNECT);
		assert_int_equal(notice.by, rows[i].by);
		assert_int_equal(notice.name_size, strlen(rows[i].name));
		assert_memory_equal(notice.name, rows[i].name, notice.name_size);
		assert_true(notice.before_s == before_s && notice.until_s == rows[i].until_s);
	}
}

static void
what_is_no_order_is_refused_and_says_why(void **state)
{
	static const char before[] = "'before' must be a whole number of seconds since 1970";
	static const char until[] = "'until' must be a whole number of seconds since 1970, not in the past";
	static const char one[] = "one of 'user', 'jti' and 'key' must be there";
	static const struct {
		bool is_revocation;
		const char *text, *why; /* NULL: whatever */
	} rows[] = {
		{true, "", NULL},
		{true, "[]", NULL},
		{true, "{\"user\":", NULL},
		{true, "{}", one},
		{true, "{\"user\":\"a\",\"key\":\"b\"}", one},
		{false, "{}", "one of 'user', 'jti', 'key', 'channel' and 'client' must be there"},
		{true, "{\"channel\":\"a\"}", "only tokens of a 'user', a 'jti' or a 'key' can be revoked"},
		{true, "{\"client\":\"a\"}", "only tokens of a 'user', a 'jti' or a 'key' can be revoked"},
		{true, "{\"user\":7}", "'user' must be a string"},
		{true, "{\"user\":null}", "'user' must be a string"},
		{true, "{\"user\":\"\"}", NULL},
		{true, "{\"user\":\"a\",\"before\":\"5\"}", before},
		{true, "{\"user\":\"a\",\"before\":-1}", before},
		{true, "{\"user\":\"a\",\"before\":1e3}", before},
		{true, "{\"user\":\"a\",\"before\":1.5}", before},
		{true, "{\"user\":\"a\",\"before\":253402300800}", before},
		{true, "{\"user\":\"a\",\"before\":99999999999999999999999}", before},
		{true, "{\"user\":\"a\",\"before\":99999999999999999999}", before},
		{true, "{\"user\":\"a\",\"before\":null}", before},
		{true, "{\"user\":\"a\",\"until\":1699999999}", until},
		{true, "{\"user\":\"a\",\"until\":true}", until},
	};
	struct push_notice notice;
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(
			read_order(rows[i].is_revocation, rows[i].text, &notice, &error), PUSH_INVALID);
		if (rows[i].why)
			assert_string_equal(error.text, rows[i].why);
	}
}

static void
without_memory_it_is_not_taken_for_another_one(void **state)
{
	enum push_status status = PUSH_OUT_OF_MEMORY;
	struct push_notice notice;
	struct push_error error;

	(void)state;
	for (long left = 0; status != PUSH_OK; left++) {
		allocations_left = left;
		status = read_order(true, "{\"user\":\"ann\"}", &notice, &error);
		allocations_left = -1;
		assert_true(left < 100 && (status == PUSH_OK || status == PUSH_OUT_OF_MEMORY));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_says_whose_and_until_when),
		cmocka_unit_test(what_is_no_order_is_refused_and_says_why),
		cmocka_unit_test(without_memory_it_is_not_taken_for_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
