/* What a client with a verified certificate may do: push.auth.certificate.rights. */
#include "unit.h"

#include "failing_alloc.h"

#include "auth/certificate.h"

static const struct push_certificate ann = {{"ann", 3}, 1700000000, 5000000};

static bool
may(const struct push_identity *identity, enum push_right right, const char *channel)
{
	return push_identity_may(identity, right, (struct push_str){channel, strlen(channel)});
}

static void
rights_are_granted_with_the_users_name_and_end_with_the_certificate(void **state)
{
	const struct push_identity *identity;
	struct push_identity_facts facts;
	struct push_error error;

	(void)state;
	assert_int_equal(push_certificate_identify(
				 "user:{sub}:* news publish=from:{sub}", &ann, NULL, &identity, &error),
		PUSH_OK);
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:ann:inbox"));
	assert_true(may(identity, PUSH_RIGHT_HISTORY, "news"));
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "from:ann"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "from:bob"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "news"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:bob:inbox"));
	facts = push_identity_facts(identity);
	assert_int_equal(facts.expires_us, 5000000);
	assert_int_equal(facts.issued_s, 1700000000);
	assert_true(facts.asks_application && !facts.is_anonymous && !facts.signer);
	assert_int_equal(push_identity_status(identity), 403);
	assert_int_equal(push_identity_space(identity).size, 5);
	assert_memory_equal(push_identity_space(identity).bytes, "u:ann", 5);
	push_identity_unref(identity);
}

static void
what_the_application_grants_is_added_and_ends_it_earlier_but_not_later(void **state)
{
	static const struct {
		uint64_t application_us, expires_us;
	} rows[] = {{4000000, 4000000}, {6000000, 5000000}, {UINT64_MAX, 5000000}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity_facts facts = {
			.user = {"bob", 3}, .expires_us = rows[i].application_us, .issued_s = INT64_MIN};
		struct push_identity_builder *builder = push_identity_build(&facts);
		const struct push_identity *more, *identity;
		struct push_error error;

		assert_int_equal(push_identity_grant(
					 builder, PUSH_RIGHT_PUBLISH, (struct push_str){"chat:*", 6}, &error),
			PUSH_OK);
		assert_int_equal(
			push_identity_add_channel(builder, (struct push_str){"lobby", 5}, &error), PUSH_OK);
		more = push_identity_done(builder);
		assert_int_equal(push_certificate_identify("{sub}", &ann, more, &identity, &error), PUSH_OK);
		push_identity_unref(more);
		assert_true(may(identity, PUSH_RIGHT_PUBLISH, "chat:1"));
		assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "ann"));
		assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "lobby"));
		assert_int_equal(push_identity_channels(identity).size, 5);
		assert_int_equal(push_identity_facts(identity).expires_us, rows[i].expires_us);
		assert_memory_equal(push_identity_facts(identity).user.bytes, "ann", 3);
		push_identity_unref(identity);
	}
}

static void
without_rights_it_is_a_user_that_may_do_nothing(void **state)
{
	const struct push_identity *identity;
	struct push_error error;

	(void)state;
	assert_int_equal(push_certificate_identify("", &ann, NULL, &identity, &error), PUSH_OK);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		assert_false(may(identity, (enum push_right)right, "a"));
	push_identity_unref(identity);
}

static void
a_name_that_is_like_a_pattern_stands_for_itself(void **state)
{
	const struct push_certificate star = {{"**", 2}, 0, 1};
	const struct push_identity *identity;
	struct push_error error;

	(void)state;
	assert_int_equal(push_certificate_identify("{sub}", &star, NULL, &identity, &error), PUSH_OK);
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "**"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "a"));
	push_identity_unref(identity);
}

static void
what_is_no_pattern_is_refused_with_the_name_of_the_option(void **state)
{
	static const char *const rows[] = {"subscribe=", "a publish=", "a\x01", "\xff"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = NULL;
		struct push_error error;

		assert_int_equal(
			push_certificate_identify(rows[i], &ann, NULL, &identity, &error), PUSH_INVALID);
		assert_memory_equal(error.text, "push.auth.certificate.rights: ", 30);
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
		status = push_certificate_identify("a {sub} publish=c", &ann, NULL, &identity, &error);
		allocations_left = -1;
		assert_true(left < 100 && (status == PUSH_OK || status == PUSH_OUT_OF_MEMORY));
	}
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_are_granted_with_the_users_name_and_end_with_the_certificate),
		cmocka_unit_test(what_the_application_grants_is_added_and_ends_it_earlier_but_not_later),
		cmocka_unit_test(without_rights_it_is_a_user_that_may_do_nothing),
		cmocka_unit_test(a_name_that_is_like_a_pattern_stands_for_itself),
		cmocka_unit_test(what_is_no_pattern_is_refused_with_the_name_of_the_option),
		cmocka_unit_test(without_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
