/* What clients may that have shown nothing: push.auth.anonymous. */
#include "unit.h"

#include "failing_alloc.h"

#include "auth/anonymous.h"

static bool
may(const struct push_identity *identity, enum push_right right, const char *channel)
{
	return push_identity_may(identity, right, (struct push_str){channel, strlen(channel)});
}

static void
patterns_grant_what_the_word_in_front_of_them_says(void **state)
{
	static const struct {
		const char *patterns, *channel;
		bool reads_all, subscribes, publishes, reads;
	} rows[] = {
		{"", "a", false, false, false, false},
		{"", "a", true, true, false, true},
		{"public:*", "public:a", false, true, false, true},
		{"public:*", "private:a", false, false, false, false},
		{"subscribe=a", "a", false, true, false, false},
		{"publish=a", "a", false, false, true, false},
		{"history=a", "a", false, false, false, true},
		{"  subscribe=a , publish=a,,history=a ", "a", false, true, true, true},
		{"a=b", "a=b", false, true, false, true}, /* no word is in front of it */
		{"publish=a=b", "a=b", false, false, true, false},
		{"PUBLISH=a", "a", false, false, false, false},
	};
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity;

		assert_int_equal(
			push_anonymous_create(rows[i].patterns, rows[i].reads_all, &identity, &error),
			PUSH_OK);
		assert_int_equal(may(identity, PUSH_RIGHT_SUBSCRIBE, rows[i].channel), rows[i].subscribes);
		assert_int_equal(may(identity, PUSH_RIGHT_PUBLISH, rows[i].channel), rows[i].publishes);
		assert_int_equal(may(identity, PUSH_RIGHT_HISTORY, rows[i].channel), rows[i].reads);
		assert_true(push_identity_facts(identity).is_anonymous);
		assert_int_equal(push_identity_status(identity), 401);
		assert_int_equal(push_identity_refused_as(identity), PUSH_AUTH_MISSING);
		assert_int_equal(push_identity_space(identity).size, 0);
		push_identity_unref(identity);
	}
}

static void
what_is_no_pattern_is_refused_with_the_name_of_the_option(void **state)
{
	static const char *const rows[] = {"subscribe=", "a publish=", "a\x01", "\xff"};
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = NULL;

		assert_int_equal(push_anonymous_create(rows[i], false, &identity, &error), PUSH_INVALID);
		assert_memory_equal(error.text, "push.auth.anonymous: ", 21);
		assert_null(identity);
	}
}

static void
without_memory_there_is_none(void **state)
{
	enum push_status status = PUSH_OUT_OF_MEMORY;
	const struct push_identity *identity;
	struct push_error error;

	(void)state;
	for (long left = 0; status != PUSH_OK; left++) {
		allocations_left = left;
		status = push_anonymous_create("a b publish=c", true, &identity, &error);
		allocations_left = -1;
		assert_true(left < 100 && (status == PUSH_OK || status == PUSH_OUT_OF_MEMORY));
	}
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_grant_what_the_word_in_front_of_them_says),
		cmocka_unit_test(what_is_no_pattern_is_refused_with_the_name_of_the_option),
		cmocka_unit_test(without_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
