/* What was revoked stays so until its time is over, and nothing else is. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/revocations.h"
#include "core/push_assert.h"

#define NOW 1700000000

static struct push_revocations *
create(void)
{
	struct push_revocations *revocations = push_revocations_create(42);

	assert_non_null(revocations);
	return revocations;
}

static struct push_notice
notice_of(enum push_notice_by by, const char *name, int64_t before_s, int64_t until_s)
{
	struct push_notice notice = {
		.act = PUSH_NOTICE_REVOKE, .by = by, .before_s = before_s, .until_s = until_s};

	notice.name_size = strlen(name);
	strcpy(notice.name, name);
	return notice;
}

/* Returns whether it was news. */
static bool
add(struct push_revocations *revocations, enum push_notice_by by, const char *name, int64_t before_s,
	int64_t until_s)
{
	struct push_notice notice = notice_of(by, name, before_s, until_s);
	bool is_news;

	assert_int_equal(push_revocations_add(revocations, &notice, NOW, &is_news), PUSH_OK);
	return is_news;
}

static struct push_str
str(const char *text)
{
	return (struct push_str){text, text ? strlen(text) : 0};
}

static bool
covers_at(const struct push_revocations *revocations, const char *user, const char *token_id, const char *key,
	int64_t issued_s, int64_t wall_s)
{
	struct push_identity_facts facts = {.user = str(user),
		.token_id = str(token_id),
		.key_name = str(key),
		.expires_us = UINT64_MAX,
		.issued_s = issued_s};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_identity *identity = builder ? push_identity_done(builder) : NULL;
	bool result;

	assert_non_null(identity);
	result = push_revocations_covers(revocations, identity, wall_s);
	push_identity_unref(identity);
	return result;
}

static bool
covers_user(const struct push_revocations *revocations, const char *user, int64_t issued_s)
{
	return covers_at(revocations, user, NULL, NULL, issued_s, NOW);
}

static void
it_covers_what_was_issued_before_and_nobody_else(void **state)
{
	struct push_revocations *revocations = create();

	(void)state;
	assert_false(covers_user(revocations, "u", INT64_MIN));
	assert_true(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW, NOW + 10));
	assert_true(covers_user(revocations, "u", NOW - 1));
	assert_false(covers_user(revocations, "u", NOW));
	/* it does not say when it was issued */
	assert_true(covers_user(revocations, "u", INT64_MIN));
	assert_false(covers_user(revocations, "v", NOW - 1));
	assert_false(covers_user(revocations, "uu", NOW - 1));
	assert_false(covers_user(revocations, "", NOW - 1));
	assert_false(covers_user(revocations, NULL, NOW - 1));
	assert_false(push_revocations_covers(revocations, push_identity_everybody(), NOW));
	assert_false(push_revocations_covers(revocations, NULL, NOW));
	push_revocations_destroy(revocations);
}

static void
names_of_users_tokens_and_keys_are_apart(void **state)
{
	struct push_revocations *revocations = create();

	(void)state;
	(void)add(revocations, PUSH_NOTICE_BY_USER, "user", PUSH_NOTICE_WHENEVER, NOW + 1);
	(void)add(revocations, PUSH_NOTICE_BY_TOKEN_ID, "token", PUSH_NOTICE_WHENEVER, NOW + 1);
	(void)add(revocations, PUSH_NOTICE_BY_KEY, "key", PUSH_NOTICE_WHENEVER, NOW + 1);
	assert_int_equal(push_revocations_count(revocations), 3);
	assert_true(covers_at(revocations, "user", "x", NULL, NOW, NOW));
	assert_true(covers_at(revocations, "x", "token", NULL, NOW, NOW));
	assert_true(covers_at(revocations, NULL, NULL, "key", NOW, NOW));
	assert_false(covers_at(revocations, "token", "key", "user", NOW, NOW));
	assert_false(covers_at(revocations, "key", "user", "token", NOW, NOW));
	push_revocations_destroy(revocations);
}

static void
it_ends_with_its_time_and_is_freed(void **state)
{
	struct push_revocations *revocations = create();
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		(void)add(revocations, PUSH_NOTICE_BY_USER, name, PUSH_NOTICE_WHENEVER, NOW + 1 + i % 2);
	}
	assert_true(covers_at(revocations, "u0", NULL, NULL, NOW, NOW));
	assert_false(covers_at(revocations, "u0", NULL, NULL, NOW, NOW + 1));
	assert_true(covers_at(revocations, "u1", NULL, NULL, NOW, NOW + 1));
	push_revocations_tick(revocations, NOW + 1);
	assert_in_range(push_revocations_count(revocations), 501, 999);
	for (int i = 0; i < 1024; i++)
		push_revocations_tick(revocations, NOW + 1);
	assert_int_equal(push_revocations_count(revocations), 500);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		assert_int_equal(covers_at(revocations, name, NULL, NULL, NOW, NOW + 1), i % 2);
	}
	/* one that is over when it comes */
	assert_false(add(revocations, PUSH_NOTICE_BY_USER, "late", PUSH_NOTICE_WHENEVER, NOW));
	assert_int_equal(push_revocations_count(revocations), 500);
	push_revocations_destroy(revocations);
}

static void
a_second_one_leaves_the_later_of_both_times(void **state)
{
	struct push_revocations *revocations = create();

	(void)state;
	assert_true(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW, NOW + 10));
	assert_false(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW, NOW + 10));
	assert_false(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW - 5, NOW + 5));
	assert_true(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW - 5, NOW + 20));
	assert_true(covers_at(revocations, "u", NULL, NULL, NOW - 1, NOW + 19));
	assert_true(add(revocations, PUSH_NOTICE_BY_USER, "u", NOW + 5, NOW + 1));
	assert_true(covers_at(revocations, "u", NULL, NULL, NOW + 4, NOW + 19));
	assert_int_equal(push_revocations_count(revocations), 1);
	push_revocations_destroy(revocations);
}

/* One that is over and not freed yet says nothing about the next of that name. */
static void
one_that_is_over_does_not_count_for_the_next(void **state)
{
	struct push_revocations *revocations = create();
	struct push_notice next = notice_of(PUSH_NOTICE_BY_USER, "u", NOW, NOW + 20);
	bool is_news;

	(void)state;
	(void)add(revocations, PUSH_NOTICE_BY_USER, "u", PUSH_NOTICE_WHENEVER, NOW + 10);
	assert_int_equal(push_revocations_add(revocations, &next, NOW + 10, &is_news), PUSH_OK);
	assert_true(is_news);
	assert_true(covers_at(revocations, "u", NULL, NULL, NOW - 1, NOW + 11));
	assert_false(covers_at(revocations, "u", NULL, NULL, NOW, NOW + 11));
	push_revocations_destroy(revocations);
}

static void
one_too_many_is_refused_and_all_others_stay(void **state)
{
	struct push_revocations *revocations = create();
	struct push_notice more = notice_of(PUSH_NOTICE_BY_USER, "more", PUSH_NOTICE_WHENEVER, NOW + 10);
	char name[16];
	bool is_news = true;

	(void)state;
	for (unsigned int i = 0; i < PUSH_REVOCATIONS_MAX; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		assert_true(add(revocations, PUSH_NOTICE_BY_USER, name, NOW, NOW + 1 + i % 3));
	}
	assert_int_equal(push_revocations_add(revocations, &more, NOW, &is_news), PUSH_TOO_MANY);
	assert_false(is_news);
	assert_int_equal(push_revocations_count(revocations), PUSH_REVOCATIONS_MAX);
	/* one that is there can be changed */
	assert_true(add(revocations, PUSH_NOTICE_BY_USER, "u0", NOW + 1, NOW + 9));
	for (unsigned int i = 0; i < PUSH_REVOCATIONS_MAX; i += 997) {
		snprintf(name, sizeof(name), "u%u", i);
		assert_true(covers_user(revocations, name, NOW - 1));
	}
	/* and there is room when others are over */
	for (unsigned int i = 0; i < 2 * PUSH_REVOCATIONS_MAX / PUSH_REVOCATIONS_SLICE; i++)
		push_revocations_tick(revocations, NOW + 1);
	assert_int_equal(push_revocations_add(revocations, &more, NOW, &is_news), PUSH_OK);
	push_revocations_destroy(revocations);
}

static void
without_memory_a_revocation_fails_and_the_others_stay(void **state)
{
	struct push_revocations *revocations = NULL;
	struct push_notice notice;
	unsigned int known = 0;
	char name[16];
	bool is_news;

	(void)state;
	for (long limit = 0; !revocations; limit++) {
		allocations_left = limit;
		revocations = push_revocations_create(42);
	}
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		notice = notice_of(PUSH_NOTICE_BY_USER, name, PUSH_NOTICE_WHENEVER, NOW + 1);
		/* none; enough for it, and not to grow; enough for both */
		allocations_left = i % 3;
		if (push_revocations_add(revocations, &notice, NOW, &is_news) == PUSH_OK)
			known++;
		else
			assert_false(is_news);
		allocations_left = -1;
		assert_int_equal(covers_user(revocations, name, NOW), i % 3 > 0);
	}
	assert_int_equal(known, 666);
	assert_int_equal(push_revocations_count(revocations), known);
	push_revocations_destroy(revocations);
	push_revocations_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_covers_what_was_issued_before_and_nobody_else),
		cmocka_unit_test(names_of_users_tokens_and_keys_are_apart),
		cmocka_unit_test(it_ends_with_its_time_and_is_freed),
		cmocka_unit_test(a_second_one_leaves_the_later_of_both_times),
		cmocka_unit_test(one_that_is_over_does_not_count_for_the_next),
		cmocka_unit_test(one_too_many_is_refused_and_all_others_stay),
		cmocka_unit_test(without_memory_a_revocation_fails_and_the_others_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
