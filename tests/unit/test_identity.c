#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/identity.h"
#include "core/pattern.h"
#include "failing_alloc.h"

static struct push_str
text(const char *bytes)
{
	return (struct push_str){bytes, bytes ? strlen(bytes) : 0};
}

static struct push_identity_builder *
build(const char *user)
{
	struct push_identity_facts facts = {
		.user = text(user), .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	struct push_identity_builder *builder = push_identity_build(&facts);

	assert_non_null(builder);
	return builder;
}

static void
grant(struct push_identity_builder *builder, enum push_right right, const char *pattern)
{
	struct push_error error = {""};

	assert_int_equal(push_identity_grant(builder, right, text(pattern), &error), PUSH_OK);
}

static bool
may(const struct push_identity *identity, enum push_right right, const char *channel)
{
	return push_identity_may(identity, right, text(channel));
}

static void
each_right_has_its_own_patterns(void **state)
{
	struct push_identity_builder *builder = build("ann");
	struct push_identity *identity;

	(void)state;
	grant(builder, PUSH_RIGHT_SUBSCRIBE, "news");
	grant(builder, PUSH_RIGHT_SUBSCRIBE, "user:{sub}:*");
	grant(builder, PUSH_RIGHT_PUBLISH, "chat:**");
	identity = push_identity_done(builder);
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "news"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:ann:inbox"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:bob:inbox"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "chat:1"));
	/* a channel's name is data: what stands between two patterns joins none */
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "news\nuser:ann:inbox"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, ""));
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "chat:1:2"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "news"));
	assert_false(may(identity, PUSH_RIGHT_HISTORY, "news"));
	assert_false(may(identity, PUSH_RIGHT_COUNT, "news"));
	push_identity_unref(identity);
}

static void
a_user_with_wildcards_in_the_name_is_nothing_special(void **state)
{
	static const char *const users[] = {
		"*", "**", "{sub}", "a*", "\x01", "\x02", "\x03", "x\n\x02", "a,b"};

	(void)state;
	for (size_t i = 0; i < COUNT(users); i++) {
		struct push_identity_builder *builder = build(users[i]);
		struct push_identity *identity;

		for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
			grant(builder, (enum push_right)right, "user:{sub}");
			grant(builder, (enum push_right)right, "{sub}");
		}
		identity = push_identity_done(builder);
		assert_non_null(identity);
		for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
			assert_false(may(identity, (enum push_right)right, "user:bob"));
			assert_false(may(identity, (enum push_right)right, "bob"));
			assert_false(may(identity, (enum push_right)right, "a"));
			assert_false(may(identity, (enum push_right)right, "x"));
			assert_false(may(identity, (enum push_right)right, ""));
		}
		push_identity_unref(identity);
	}
}

static void
nobody_has_no_user_that_patterns_could_name(void **state)
{
	struct push_identity_builder *builder = build(NULL);
	struct push_identity *identity;

	(void)state;
	grant(builder, PUSH_RIGHT_SUBSCRIBE, "user:{sub}");
	grant(builder, PUSH_RIGHT_SUBSCRIBE, "public:*");
	identity = push_identity_done(builder);
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:{sub}"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "public:a"));
	assert_null(push_identity_facts(identity).user.bytes);
	push_identity_unref(identity);
}

static void
null_may_nothing_and_everybody_may_everything(void **state)
{
	const struct push_identity *everybody = push_identity_everybody();

	(void)state;
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
		assert_false(may(NULL, (enum push_right)right, "news"));
		assert_true(may(everybody, (enum push_right)right, "news"));
		assert_true(may(everybody, (enum push_right)right, "a:b:c"));
	}
	assert_false(may(everybody, PUSH_RIGHT_COUNT, "news"));
	assert_null(push_identity_facts(everybody).user.bytes);
	assert_true(push_identity_facts(everybody).expires_us == UINT64_MAX);
	assert_int_equal(push_identity_channels(everybody).size, 0);
	assert_int_equal(push_identity_space(everybody).size, 0);
	assert_true(push_identity_bytes(everybody) > 0);
	/* however often */
	for (int i = 0; i < 3; i++)
		push_identity_unref(everybody);
	assert_ptr_equal(push_identity_ref(everybody), everybody);
	assert_true(may(everybody, PUSH_RIGHT_PUBLISH, "news"));
	assert_null(push_identity_ref(NULL));
	push_identity_unref(NULL);
	push_identity_abandon(NULL);
}

static void
an_identity_without_patterns_may_nothing(void **state)
{
	struct push_identity *identity = push_identity_done(build("ann"));

	(void)state;
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
		assert_false(may(identity, (enum push_right)right, "news"));
		assert_false(may(identity, (enum push_right)right, ""));
	}
	push_identity_unref(identity);
}

static void
what_it_was_made_of_is_copied(void **state)
{
	char user[] = "ann", id[] = "t-1";
	struct push_identity_facts given = {.user = text(user),
					   .token_id = text(id),
					   .expires_us = 7,
					   .issued_s = -3},
				   facts;
	struct push_identity_builder *builder = push_identity_build(&given);
	const struct push_identity *identity;

	(void)state;
	memset(user, 'x', sizeof(user));
	memset(id, 'x', sizeof(id));
	identity = push_identity_done(builder);
	facts = push_identity_facts(identity);
	assert_int_equal(facts.user.size, 3);
	assert_memory_equal(facts.user.bytes, "ann", 3);
	assert_int_equal(facts.token_id.size, 3);
	assert_memory_equal(facts.token_id.bytes, "t-1", 3);
	assert_null(facts.key_name.bytes);
	assert_true(facts.expires_us == 7);
	assert_true(facts.issued_s == -3);
	push_identity_unref(identity);
}

static void
it_lives_until_the_last_reference_is_given_back(void **state)
{
	struct push_identity_builder *builder = build("ann");
	const struct push_identity *identity;

	(void)state;
	grant(builder, PUSH_RIGHT_PUBLISH, "news");
	identity = push_identity_done(builder);
	assert_ptr_equal(push_identity_ref(identity), identity);
	assert_ptr_equal(push_identity_ref(identity), identity);
	push_identity_unref(identity);
	push_identity_unref(identity);
	/* valgrind sees whether it was freed too early, or not at all */
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "news"));
	push_identity_unref(identity);
}

static void
channels_are_joined_and_may_be_subscribed_to(void **state)
{
	struct push_identity_builder *builder = build("ann");
	struct push_identity *identity;
	struct push_error error = {""};

	(void)state;
	assert_int_equal(push_identity_add_channel(builder, text("a"), &error), PUSH_OK);
	assert_int_equal(push_identity_add_channel(builder, text("b:*"), &error), PUSH_OK);
	assert_int_equal(push_identity_add_channel(builder, text("c,d"), &error), PUSH_INVALID);
	assert_string_equal(error.text, "bad channel name 'c,d': a comma separates names");
	assert_int_equal(push_identity_add_channel(builder, text(""), &error), PUSH_INVALID);
	identity = push_identity_done(builder);
	assert_int_equal(push_identity_channels(identity).size, 5);
	assert_memory_equal(push_identity_channels(identity).bytes, "a,b:*", 5);
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "a"));
	assert_false(may(identity, PUSH_RIGHT_HISTORY, "a"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "a"));
	/* it is a name and not a pattern */
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "b:*"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "b:1"));
	push_identity_unref(identity);
}

static void
mercures_selectors_are_understood(void **state)
{
	struct push_identity_builder *builder = build("ann");
	struct push_identity *identity;
	struct push_error error = {""};

	(void)state;
	assert_int_equal(push_identity_grant_template(builder, PUSH_RIGHT_SUBSCRIBE,
				 text("https://example.com/users/{id}"), &error),
		PUSH_OK);
	assert_int_equal(
		push_identity_grant_template(builder, PUSH_RIGHT_PUBLISH, text("*"), &error), PUSH_OK);
	assert_int_equal(push_identity_grant_template(builder, PUSH_RIGHT_SUBSCRIBE, text("a\nb"), &error),
		PUSH_INVALID);
	identity = push_identity_done(builder);
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "https://example.com/users/7"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "https://example.com/users/7/mail"));
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "https://example.com/users/7/mail"));
	push_identity_unref(identity);
}

static void
a_user_and_a_key_of_one_name_have_name_spaces_of_their_own(void **state)
{
	static const struct {
		const char *user, *key, *space;
	} rows[] = {
		{NULL, NULL, ""},
		{"", NULL, ""},
		{"ann", NULL, "u:ann"},
		{NULL, "ann", "k:ann"},
		{"k:ann", NULL, "u:k:ann"},
		{"bob", "ann", "k:ann"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_identity_facts facts = {
			.user = text(rows[i].user), .key_name = text(rows[i].key)};
		struct push_identity *identity = push_identity_done(push_identity_build(&facts));
		struct push_str space = push_identity_space(identity);

		assert_int_equal(space.size, strlen(rows[i].space));
		assert_memory_equal(space.bytes, rows[i].space, space.size);
		push_identity_unref(identity);
	}
}

static void
texts_have_their_limits(void **state)
{
	char longest[PUSH_USER_BYTES_MAX + 1];
	struct push_str fits = {longest, PUSH_USER_BYTES_MAX}, too_long = {longest, PUSH_USER_BYTES_MAX + 1};
	struct push_identity_facts facts = {fits, fits, fits, 0, 0, {NULL, 0}, 0, false, false};
	struct push_identity *identity;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	identity = push_identity_done(push_identity_build(&facts));
	assert_non_null(identity);
	assert_int_equal(push_identity_space(identity).size, PUSH_USER_BYTES_MAX + 2);
	push_identity_unref(identity);
	assert_null(push_identity_build(&(struct push_identity_facts){.user = too_long}));
	assert_null(push_identity_build(&(struct push_identity_facts){.token_id = too_long}));
	assert_null(push_identity_build(&(struct push_identity_facts){.key_name = too_long}));
}

static void
one_pattern_too_many_is_refused(void **state)
{
	struct push_identity_builder *builder = build("ann");
	struct push_error error = {""};

	(void)state;
	for (int i = 0; i < PUSH_IDENTITY_PATTERNS_MAX; i++)
		grant(builder, (enum push_right)(i % PUSH_RIGHT_COUNT), "a");
	assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_PUBLISH, text("b"), &error), PUSH_TOO_MANY);
	assert_string_equal(error.text,
		"too many patterns and channels: at most 256, and 8192 bytes of them, are allowed");
	assert_int_equal(
		push_identity_grant_template(builder, PUSH_RIGHT_PUBLISH, text("b"), &error), PUSH_TOO_MANY);
	assert_int_equal(push_identity_add_channel(builder, text("b"), &error), PUSH_TOO_MANY);
	push_identity_abandon(builder);
}

static void
more_bytes_of_patterns_than_allowed_are_refused_and_make_no_identity(void **state)
{
	char pattern[PUSH_PATTERN_BYTES_MAX + 1] = "";
	struct push_identity_builder *builder;
	struct push_error error = {""};
	enum push_status status = PUSH_OK;
	int count = 0;

	(void)state;
	/* what counts is what they become: the user may be longer than `{sub}` */
	while (strlen(pattern) + 5 < sizeof(pattern))
		strcat(pattern, "{sub}");
	builder = build("0123456789");
	for (; status == PUSH_OK; count++)
		status = push_identity_grant(
			builder, (enum push_right)(count % PUSH_RIGHT_COUNT), text(pattern), &error);
	assert_int_equal(status, PUSH_TOO_MANY);
	assert_in_range(count, PUSH_IDENTITY_BYTES_MAX / 520, PUSH_IDENTITY_BYTES_MAX / 500 + 1);
	assert_null(push_identity_done(builder));
}

static void
a_bad_pattern_is_refused_and_the_rest_goes_on(void **state)
{
	struct push_identity_builder *builder = build("ann");
	struct push_error error = {""};
	struct push_identity *identity;

	(void)state;
	assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_PUBLISH, text(""), &error), PUSH_INVALID);
	assert_string_equal(error.text, "bad pattern '': empty");
	grant(builder, PUSH_RIGHT_PUBLISH, "news");
	identity = push_identity_done(builder);
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "news"));
	push_identity_unref(identity);
}

static void
a_refusal_names_the_right_and_the_channel(void **state)
{
	char longest[300];
	struct push_identity *identity = push_identity_done(build("ann"));
	struct push_error error = {""};

	(void)state;
	push_identity_refusal(identity, PUSH_RIGHT_SUBSCRIBE, text("news"), &error);
	assert_string_equal(error.text, "no right to subscribe to 'news'");
	push_identity_refusal(identity, PUSH_RIGHT_PUBLISH, text("news"), &error);
	assert_string_equal(error.text, "no right to publish to 'news'");
	push_identity_refusal(identity, PUSH_RIGHT_HISTORY, text("news"), &error);
	assert_string_equal(error.text, "no right to read the history of 'news'");
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	push_identity_refusal(identity, PUSH_RIGHT_HISTORY, text(longest), &error);
	assert_non_null(strstr(error.text, "nnn...'"));
	push_identity_unref(identity);
}

static void
a_refusal_says_if_there_was_no_token(void **state)
{
	const struct push_identity_facts nobody = {.is_anonymous = true, .expires_us = UINT64_MAX};
	struct push_identity *identity = push_identity_done(push_identity_build(&nobody));
	struct push_error error = {""};

	(void)state;
	push_identity_refusal(identity, PUSH_RIGHT_PUBLISH, text("news"), &error);
	assert_string_equal(error.text, "no right to publish to 'news' without a token");
	push_identity_unref(identity);
}

/* Everything that takes memory once; NULL when it was out at any step. */
static struct push_identity *
make_one(void)
{
	struct push_identity_facts facts = {.user = text("ann"), .expires_us = UINT64_MAX};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error error = {""};

	if (!builder)
		return NULL;
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++) {
		enum push_status status =
			push_identity_grant(builder, (enum push_right)right, text("a:{sub}"), &error);

		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
		if (status == PUSH_OUT_OF_MEMORY) {
			assert_string_equal(error.text, "out of memory");
			allocations_left = -1; /* there is some again, too late for what is missing */
		}
	}
	if (push_identity_add_channel(builder, text("c"), &error) != PUSH_OK) {
		assert_string_equal(error.text, "out of memory");
		allocations_left = -1;
	}
	return push_identity_done(builder);
}

static void
without_memory_there_is_no_identity_rather_than_half_of_one(void **state)
{
	struct push_identity *identity = NULL;
	long failures = 0;

	(void)state;
	for (; !identity; failures++) {
		allocations_left = failures;
		identity = make_one();
		allocations_left = -1;
		assert_true(failures < 100);
	}
	/* builder, texts, three rights, channels, identity */
	assert_int_equal(failures - 1, 7);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		assert_true(may(identity, (enum push_right)right, "a:ann"));
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_right_has_its_own_patterns),
		cmocka_unit_test(a_user_with_wildcards_in_the_name_is_nothing_special),
		cmocka_unit_test(nobody_has_no_user_that_patterns_could_name),
		cmocka_unit_test(null_may_nothing_and_everybody_may_everything),
		cmocka_unit_test(an_identity_without_patterns_may_nothing),
		cmocka_unit_test(what_it_was_made_of_is_copied),
		cmocka_unit_test(it_lives_until_the_last_reference_is_given_back),
		cmocka_unit_test(channels_are_joined_and_may_be_subscribed_to),
		cmocka_unit_test(mercures_selectors_are_understood),
		cmocka_unit_test(a_user_and_a_key_of_one_name_have_name_spaces_of_their_own),
		cmocka_unit_test(texts_have_their_limits),
		cmocka_unit_test(one_pattern_too_many_is_refused),
		cmocka_unit_test(more_bytes_of_patterns_than_allowed_are_refused_and_make_no_identity),
		cmocka_unit_test(a_bad_pattern_is_refused_and_the_rest_goes_on),
		cmocka_unit_test(a_refusal_names_the_right_and_the_channel),
		cmocka_unit_test(a_refusal_says_if_there_was_no_token),
		cmocka_unit_test(without_memory_there_is_no_identity_rather_than_half_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
