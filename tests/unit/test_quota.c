#include "unit.h"

#include <stdio.h>

#include "core/quota.h"
#include "core/random.h"
#include "failing_alloc.h"

#define SECOND 1000000ull
#define NOW    (1000 * SECOND)

static uint64_t
take(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t amount, uint64_t per_second,
	uint64_t now_us)
{
	return push_quotas_take(quotas, key, amount, (struct push_rate){per_second, SECOND}, now_us);
}

static struct push_quota_key
key_of(const struct push_quotas *quotas, unsigned int number)
{
	return push_quota_key_make(quotas, 1, &number, sizeof(number));
}

static void
a_bucket_gives_a_seconds_worth_and_then_its_rate(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 10, 1000, 100000};
	struct push_quotas *quotas = push_quotas_create(8, 1);

	(void)state;
	for (size_t i = 0; i < COUNT(rates); i++) {
		struct push_quota_key key = key_of(quotas, (unsigned int)i);
		uint64_t rate = rates[i], wait_us, now = NOW;

		for (uint64_t n = 0; n < rate; n++)
			assert_int_equal(take(quotas, &key, 1, rate, now), 0);
		wait_us = take(quotas, &key, 1, rate, now);
		assert_true(wait_us > 0 && wait_us <= SECOND / rate + 2);
		/* what was refused was not taken */
		assert_int_equal(take(quotas, &key, 1, rate, now + wait_us), 0);
		assert_int_not_equal(take(quotas, &key, 1, rate, now + wait_us), 0);
		/* full again, and not more */
		now += 100 * SECOND;
		for (uint64_t n = 0; n < rate; n++)
			assert_int_equal(take(quotas, &key, 1, rate, now), 0);
		assert_int_not_equal(take(quotas, &key, 1, rate, now), 0);
	}
	push_quotas_destroy(quotas);
}

static void
a_period_may_be_an_hour_and_an_amount_a_large_one(void **state)
{
	static const uint64_t amounts[] = {1, 1000, 64ull << 30};
	const uint64_t hour = 3600 * SECOND;
	struct push_quotas *quotas = push_quotas_create(8, 1);

	(void)state;
	for (size_t i = 0; i < COUNT(amounts); i++) {
		struct push_quota_key key = key_of(quotas, (unsigned int)i);
		struct push_rate rate = {amounts[i], hour};

		assert_int_equal(push_quotas_take(quotas, &key, amounts[i], rate, NOW), 0);
		assert_in_range(push_quotas_take(quotas, &key, amounts[i], rate, NOW), hour - 1, hour + 1);
		assert_int_not_equal(push_quotas_take(quotas, &key, amounts[i], rate, NOW + hour - 2), 0);
		assert_int_equal(push_quotas_take(quotas, &key, amounts[i], rate, NOW + hour + 1), 0);
	}
	push_quotas_destroy(quotas);
}

static void
a_full_bucket_gives_more_than_it_holds_and_then_waits_longer(void **state)
{
	struct push_quotas *quotas = push_quotas_create(8, 1);
	struct push_quota_key key = key_of(quotas, 1);

	(void)state;
	assert_int_equal(take(quotas, &key, 5000, 1000, NOW), 0);
	assert_int_not_equal(take(quotas, &key, 1, 1000, NOW + 4 * SECOND - 1), 0);
	assert_int_equal(take(quotas, &key, 1, 1000, NOW + 4 * SECOND + 1000), 0);
	/* not full: it waits until it is */
	assert_int_not_equal(take(quotas, &key, 5000, 1000, NOW + 5 * SECOND), 0);
	assert_int_equal(take(quotas, &key, 5000, 1000, NOW + 6 * SECOND), 0);
	/* an amount that nobody can send overflows nothing */
	assert_int_equal(take(quotas, &key, UINT64_MAX, 1000, NOW + 600 * SECOND), 0);
	assert_int_not_equal(take(quotas, &key, 1, 1000, NOW + 700 * SECOND), 0);
	push_quotas_destroy(quotas);
}

static void
kinds_and_keys_have_buckets_of_their_own(void **state)
{
	struct push_quotas *quotas = push_quotas_create(8, 1);
	struct push_quota_key a = push_quota_key_make(quotas, 1, "x", 1),
			      b = push_quota_key_make(quotas, 2, "x", 1),
			      c = push_quota_key_make(quotas, 1, "y", 1);

	(void)state;
	assert_int_equal(take(quotas, &a, 1, 1, NOW), 0);
	assert_int_not_equal(take(quotas, &a, 1, 1, NOW), 0);
	assert_int_equal(take(quotas, &b, 1, 1, NOW), 0);
	assert_int_equal(take(quotas, &c, 1, 1, NOW), 0);
	push_quotas_destroy(quotas);
}

static void
counts_are_kept_to_their_maximum(void **state)
{
	struct push_quotas *quotas = push_quotas_create(8, 1);
	struct push_quota_key key = key_of(quotas, 1), other = key_of(quotas, 2);

	(void)state;
	push_quotas_leave(quotas, &key); /* of none there is none less */
	assert_true(push_quotas_enter(quotas, &key, 2));
	assert_true(push_quotas_enter(quotas, &key, 2));
	assert_false(push_quotas_enter(quotas, &key, 2));
	assert_true(push_quotas_enter(quotas, &other, 2));
	assert_int_equal(push_quotas_count(quotas, &key), 2);
	push_quotas_leave(quotas, &key);
	assert_true(push_quotas_enter(quotas, &key, 2));
	for (int i = 0; i < 5; i++)
		push_quotas_leave(quotas, &key);
	assert_int_equal(push_quotas_count(quotas, &key), 0);
	push_quotas_destroy(quotas);
}

static void
what_says_nothing_is_forgotten_first(void **state)
{
	struct push_quotas *quotas = push_quotas_create(4, 1);
	struct push_quota_key keys[8];

	(void)state;
	for (unsigned int i = 0; i < COUNT(keys); i++)
		keys[i] = key_of(quotas, i);
	assert_true(push_quotas_enter(quotas, &keys[0], 1));
	assert_int_equal(take(quotas, &keys[1], 100, 1, NOW), 0);
	assert_int_equal(take(quotas, &keys[2], 1, 1000, NOW), 0);
	assert_int_equal(take(quotas, &keys[3], 100, 1, NOW), 0);
	/* the bucket of 2 is full again, that of 1 is older */
	assert_int_equal(take(quotas, &keys[4], 100, 1, NOW + SECOND), 0);
	assert_int_not_equal(take(quotas, &keys[1], 100, 1, NOW + SECOND), 0);
	assert_int_not_equal(take(quotas, &keys[3], 100, 1, NOW + SECOND), 0);
	/* none is full: the one that was not used for longest, which is 4 */
	assert_int_equal(take(quotas, &keys[5], 100, 1, NOW + SECOND), 0);
	assert_int_not_equal(take(quotas, &keys[1], 100, 1, NOW + SECOND), 0);
	assert_int_equal(take(quotas, &keys[4], 100, 1, NOW + SECOND), 0);
	assert_int_equal(push_quotas_count(quotas, &keys[0]), 1);
	assert_int_equal(push_quotas_size(quotas), 4);
	push_quotas_destroy(quotas);
}

static void
counts_are_never_forgotten_and_more_clients_are_let_through(void **state)
{
	struct push_quotas *quotas = push_quotas_create(2, 1);
	struct push_quota_key a = key_of(quotas, 1), b = key_of(quotas, 2), c = key_of(quotas, 3);

	(void)state;
	assert_true(push_quotas_enter(quotas, &a, 1));
	assert_true(push_quotas_enter(quotas, &b, 1));
	assert_true(push_quotas_enter(quotas, &c, 1));
	assert_true(push_quotas_enter(quotas, &c, 1)); /* there is no room to count it */
	assert_int_equal(take(quotas, &c, 1, 1, NOW), 0);
	assert_int_equal(take(quotas, &c, 1, 1, NOW), 0);
	assert_false(push_quotas_enter(quotas, &a, 1));
	push_quotas_leave(quotas, &c);
	push_quotas_leave(quotas, &a);
	assert_true(push_quotas_enter(quotas, &c, 1)); /* in the place of a */
	assert_false(push_quotas_enter(quotas, &c, 1));
	push_quotas_destroy(quotas);
}

/* Against a twin that has room for all: while the table has, too, both say the same. */
static void
random_calls_agree_with_a_naive_twin(void **state)
{
	enum { KEYS = 32, CALLS = 200000 };
	static const uint64_t rates[] = {1, 5, 100};
	struct push_quotas *quotas = push_quotas_create(KEYS, 7);
	uint64_t random = 0x5eed, now = NOW, counts[KEYS] = {0};
	double levels[KEYS] = {0}; /* seconds until full */

	(void)state;
	for (int i = 0; i < CALLS; i++) {
		unsigned int n = (unsigned int)push_random_upto(&random, KEYS - 1);
		struct push_quota_key key = key_of(quotas, n);
		uint64_t step = push_random_upto(&random, 20000), amount = push_random_upto(&random, 3);

		now += step;
		for (int k = 0; k < KEYS; k++)
			levels[k] = levels[k] > (double)step / 1e6 ? levels[k] - (double)step / 1e6 : 0;
		if (push_random_upto(&random, 3) == 0) {
			assert_int_equal(push_quotas_enter(quotas, &key, 5), counts[n] < 5);
			counts[n] += counts[n] < 5;
		} else if (push_random_upto(&random, 2) == 0) {
			push_quotas_leave(quotas, &key);
			counts[n] -= counts[n] > 0;
		} else {
			uint64_t rate = rates[n % COUNT(rates)];
			double after = levels[n] + (double)amount / (double)rate;
			bool is_taken = !take(quotas, &key, amount, rate, now);

			bool is_rounded = levels[n] > 0 &&
					  (levels[n] <= 1e-5 || (after > 1 - 1e-5 && after < 1 + 1e-5));

			if (!is_rounded) /* to nanoseconds */
				assert_int_equal(is_taken, levels[n] == 0 || after <= 1);
			levels[n] = is_taken ? after : levels[n];
		}
		assert_int_equal(push_quotas_count(quotas, &key), counts[n]);
	}
	assert_true(push_quotas_size(quotas) <= KEYS);
	push_quotas_destroy(quotas);
}

/* A table that is too small is never wrong about counts that it has, and nothing breaks. */
static void
a_crowd_of_keys_leaves_the_table_whole(void **state)
{
	enum { KEYS = 64, CROWD = 4096, CALLS = 300000 };
	struct push_quotas *quotas = push_quotas_create(KEYS, 9);
	struct push_quota_key held[KEYS / 2];
	uint64_t random = 0xc0de, now = NOW;

	(void)state;
	for (unsigned int i = 0; i < COUNT(held); i++) {
		held[i] = key_of(quotas, CROWD + 1 + i);
		assert_true(push_quotas_enter(quotas, &held[i], 1));
	}
	for (int i = 0; i < CALLS; i++) {
		struct push_quota_key key = key_of(quotas, (unsigned int)push_random_upto(&random, CROWD));

		now += push_random_upto(&random, 10);
		switch (push_random_upto(&random, 3)) {
		case 0: (void)push_quotas_enter(quotas, &key, 3); break;
		case 1: push_quotas_leave(quotas, &key); break;
		default: (void)take(quotas, &key, 1, 2, now); break;
		}
	}
	for (unsigned int i = 0; i < COUNT(held); i++)
		assert_int_equal(push_quotas_count(quotas, &held[i]), 1);
	assert_int_equal(push_quotas_size(quotas), KEYS);
	push_quotas_destroy(quotas);
}

static void
without_memory_there_is_no_table(void **state)
{
	(void)state;
	for (long i = 0; i < 3; i++) {
		allocations_left = i;
		assert_null(push_quotas_create(8, 1));
	}
	allocations_left = 3;
	push_quotas_destroy(push_quotas_create(8, 1));
	assert_int_equal(allocations_left, 0);
	allocations_left = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_gives_a_seconds_worth_and_then_its_rate),
		cmocka_unit_test(a_period_may_be_an_hour_and_an_amount_a_large_one),
		cmocka_unit_test(a_full_bucket_gives_more_than_it_holds_and_then_waits_longer),
		cmocka_unit_test(kinds_and_keys_have_buckets_of_their_own),
		cmocka_unit_test(counts_are_kept_to_their_maximum),
		cmocka_unit_test(what_says_nothing_is_forgotten_first),
		cmocka_unit_test(counts_are_never_forgotten_and_more_clients_are_let_through),
		cmocka_unit_test(random_calls_agree_with_a_naive_twin),
		cmocka_unit_test(a_crowd_of_keys_leaves_the_table_whole),
		cmocka_unit_test(without_memory_there_is_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
