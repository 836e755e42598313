/* A token that was verified is known until it expires, and no token is known that was not. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "auth/limits.h"
#include "auth/token_cache.h"

#define SECOND_US 1000000ull
#define NOW_US    (1000 * SECOND_US)
#define COUNT_MAX 4000
#define BYTES_MAX (4u * 1024 * 1024)

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

/* One with a user, so that identities are told apart; a big one takes a few kB. */
static const struct push_identity *
identity_of(const char *user, uint64_t expires_us, bool is_big)
{
	const struct push_identity_facts facts = {
		.user = str(user), .expires_us = expires_us, .issued_s = INT64_MIN};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error error;
	char pattern[64];

	for (int i = 0; is_big && i < 100; i++) {
		snprintf(pattern, sizeof(pattern), "%060d", i);
		assert_int_equal(
			push_identity_grant(builder, PUSH_RIGHT_PUBLISH, str(pattern), &error), PUSH_OK);
	}
	return push_identity_done(builder);
}

static struct push_token_cache *
create(void)
{
	struct push_token_cache *cache = push_token_cache_create(42, COUNT_MAX, BYTES_MAX);

	assert_non_null(cache);
	return cache;
}

static void
put(struct push_token_cache *cache, const char *token, const char *user, uint64_t expires_us)
{
	const struct push_identity *identity = identity_of(user, expires_us, false);

	push_token_cache_put(cache, str(token), identity, NOW_US);
	push_identity_unref(identity);
}

static void
assert_known(struct push_token_cache *cache, const char *token, uint64_t now_us, const char *user)
{
	struct push_token_finding finding;
	enum push_token_known known = push_token_cache_find(cache, str(token), now_us, &finding);

	if (!user) {
		assert_int_equal(known, PUSH_TOKEN_IS_NEW);
		return;
	}
	assert_int_equal(known, PUSH_TOKEN_IS_GOOD);
	assert_memory_equal(push_identity_facts(finding.identity).user.bytes, user, strlen(user));
}

static void
a_token_is_known_until_it_expires(void **state)
{
	struct push_token_cache *cache = create();

	(void)state;
	put(cache, "a.b.c", "me", NOW_US + SECOND_US);
	put(cache, "a.b.d", "you", UINT64_MAX);
	assert_known(cache, "a.b.c", NOW_US, "me");
	assert_known(cache, "a.b.c", NOW_US + SECOND_US - 1, "me");
	assert_known(cache, "a.b.c", NOW_US + SECOND_US, NULL);
	assert_known(cache, "a.b.d", UINT64_MAX - 1, "you");
	assert_known(cache, "a.b", NOW_US, NULL);
	assert_known(cache, "a.b.cc", NOW_US, NULL);
	assert_known(cache, "", NOW_US, NULL);
	push_token_cache_destroy(cache);
}

static void
an_expired_one_is_not_kept(void **state)
{
	struct push_token_cache *cache = create();

	(void)state;
	put(cache, "a", "me", NOW_US);
	assert_int_equal(push_token_cache_count(cache), 0);
	push_token_cache_destroy(cache);
}

static void
the_last_identity_of_a_token_counts(void **state)
{
	struct push_token_cache *cache = create();

	(void)state;
	put(cache, "a", "me", UINT64_MAX);
	put(cache, "a", "you", UINT64_MAX);
	assert_known(cache, "a", NOW_US, "you");
	assert_int_equal(push_token_cache_count(cache), 1);
	push_token_cache_destroy(cache);
}

static void
ticks_free_what_has_expired(void **state)
{
	struct push_token_cache *cache = create();
	char token[32];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(token, sizeof(token), "%d", i);
		put(cache, token, "me", NOW_US + (i % 3 ? SECOND_US : 9 * SECOND_US));
	}
	push_token_cache_tick(cache, NOW_US);
	assert_int_equal(push_token_cache_count(cache), 3000);
	for (int i = 0; i < 16; i++)
		push_token_cache_tick(cache, NOW_US + SECOND_US);
	assert_int_equal(push_token_cache_count(cache), 1000);
	for (int i = 0; i < 16; i++)
		push_token_cache_tick(cache, NOW_US + 9 * SECOND_US);
	assert_int_equal(push_token_cache_count(cache), 0);
	assert_int_equal(push_token_cache_bytes(cache), 0);
	push_token_cache_destroy(cache);
}

static void
past_the_number_or_the_bytes_the_oldest_goes(void **state)
{
	const struct push_identity *big = identity_of("big", UINT64_MAX, true);
	struct push_token_cache *cache = create();
	size_t count = BYTES_MAX / push_identity_bytes(big) + 10;
	char token[32];

	(void)state;
	assert_true(count < COUNT_MAX);
	for (size_t i = 0; i < count; i++) {
		snprintf(token, sizeof(token), "big %zu", i);
		push_token_cache_put(cache, str(token), big, NOW_US);
		assert_true(push_token_cache_bytes(cache) <= BYTES_MAX);
	}
	assert_known(cache, "big 0", NOW_US, NULL);
	assert_known(cache, token, NOW_US, "big");
	push_identity_unref(big);
	big = identity_of("small", UINT64_MAX, false);
	for (size_t i = 0; i <= COUNT_MAX; i++) {
		snprintf(token, sizeof(token), "%zu", i);
		push_token_cache_put(cache, str(token), big, NOW_US);
	}
	assert_int_equal(push_token_cache_count(cache), COUNT_MAX);
	assert_known(cache, "0", NOW_US, NULL);
	assert_known(cache, "1", NOW_US, "small");
	assert_known(cache, token, NOW_US, "small");
	push_identity_unref(big);
	push_token_cache_destroy(cache);
}

static void
assert_refused(struct push_token_cache *cache, const char *token, uint64_t now_us, const char *why)
{
	struct push_token_finding finding;

	assert_int_equal(push_token_cache_find(cache, str(token), now_us, &finding), PUSH_TOKEN_IS_REFUSED);
	assert_int_equal(finding.refusal, PUSH_TOKEN_CLAIMS);
	assert_string_equal(finding.why, why);
}

static void
a_refusal_is_known_for_a_second(void **state)
{
	static const struct push_error why = {.text = "because"};
	struct push_token_cache *cache = create();

	(void)state;
	push_token_cache_put_refusal(cache, str("bad"), PUSH_TOKEN_CLAIMS, &why, NOW_US);
	assert_refused(cache, "bad", NOW_US, "because");
	assert_refused(cache, "bad", NOW_US + PUSH_TOKEN_REFUSAL_US - 1, "because");
	assert_known(cache, "bad", NOW_US + PUSH_TOKEN_REFUSAL_US, NULL);
	assert_known(cache, "worse", NOW_US, NULL);
	/* it may be good the next time */
	push_token_cache_put_refusal(cache, str("none"), PUSH_TOKEN_MEMORY, &why, NOW_US);
	assert_known(cache, "none", NOW_US, NULL);
	assert_int_equal(push_token_cache_count(cache), 0);
	push_token_cache_destroy(cache);
}

static void
a_refusal_is_of_its_token_only(void **state)
{
	static const struct push_error why = {.text = "because"};
	struct push_token_cache *cache = create();
	char token[32];

	(void)state;
	/* all places are taken, so that every other token falls into one that is */
	for (int i = 0; i < 2000; i++) {
		snprintf(token, sizeof(token), "bad %d", i);
		push_token_cache_put_refusal(cache, str(token), PUSH_TOKEN_CLAIMS, &why, NOW_US);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(token, sizeof(token), "other %d", i);
		assert_known(cache, token, NOW_US, NULL);
	}
	push_token_cache_destroy(cache);
}

static void
refused_tokens_displace_no_good_ones(void **state)
{
	static const struct push_error why = {.text = "because"};
	struct push_token_cache *cache = create();
	size_t bytes;
	char token[32];

	(void)state;
	put(cache, "good", "me", UINT64_MAX);
	bytes = push_token_cache_bytes(cache);
	for (int i = 0; i < 2000; i++) {
		snprintf(token, sizeof(token), "bad %d", i);
		push_token_cache_put_refusal(cache, str(token), PUSH_TOKEN_CLAIMS, &why, NOW_US);
		assert_refused(cache, token, NOW_US, "because");
	}
	assert_known(cache, "good", NOW_US, "me");
	assert_int_equal(push_token_cache_bytes(cache), bytes);
	push_token_cache_destroy(cache);
}

static void
all_are_forgotten_together(void **state)
{
	static const struct push_error why = {.text = "because"};
	struct push_token_cache *cache = create();

	(void)state;
	put(cache, "good", "me", UINT64_MAX);
	push_token_cache_put_refusal(cache, str("bad"), PUSH_TOKEN_CLAIMS, &why, NOW_US);
	push_token_cache_forget_all(cache);
	assert_known(cache, "good", NOW_US, NULL);
	assert_known(cache, "bad", NOW_US, NULL);
	assert_int_equal(push_token_cache_bytes(cache), 0);
	put(cache, "good", "me", UINT64_MAX);
	assert_known(cache, "good", NOW_US, "me");
	push_token_cache_destroy(cache);
}

static void
without_memory_nothing_is_known(void **state)
{
	static const struct push_error why = {.text = "because"};
	const struct push_identity *identity = identity_of("me", UINT64_MAX, false);
	struct push_token_cache *cache = NULL;

	(void)state;
	for (long left = 0; !cache; left++) {
		assert_true(left < 10);
		allocations_left = left;
		cache = push_token_cache_create(1, COUNT_MAX, BYTES_MAX);
		allocations_left = -1;
	}
	allocations_left = 0;
	push_token_cache_put(cache, str("a"), identity, NOW_US);
	push_token_cache_put_refusal(cache, str("b"), PUSH_TOKEN_CLAIMS, &why, NOW_US);
	allocations_left = -1;
	assert_known(cache, "a", NOW_US, NULL);
	assert_known(cache, "b", NOW_US, NULL);
	/* chains that cannot be made shorter still hold all */
	for (int i = 0; i < 200; i++) {
		char token[32];

		snprintf(token, sizeof(token), "%d", i);
		allocations_left = 1;
		push_token_cache_put(cache, str(token), identity, NOW_US);
		allocations_left = -1;
		assert_known(cache, token, NOW_US, "me");
	}
	assert_int_equal(push_token_cache_count(cache), 200);
	push_token_cache_destroy(cache);
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_known_until_it_expires),
		cmocka_unit_test(an_expired_one_is_not_kept),
		cmocka_unit_test(the_last_identity_of_a_token_counts),
		cmocka_unit_test(ticks_free_what_has_expired),
		cmocka_unit_test(past_the_number_or_the_bytes_the_oldest_goes),
		cmocka_unit_test(a_refusal_is_known_for_a_second),
		cmocka_unit_test(a_refusal_is_of_its_token_only),
		cmocka_unit_test(refused_tokens_displace_no_good_ones),
		cmocka_unit_test(all_are_forgotten_together),
		cmocka_unit_test(without_memory_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
