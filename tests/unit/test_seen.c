/* What was seen is known again, for at least as many others as was promised, whatever memory there is. */
#include "unit.h"

#include "failing_alloc.h"

#include "redis/seen.h"

/* Any number but small ones in a row, as random ids are. */
static uint64_t
id(uint64_t number)
{
	return (number + 1) * 0x9E3779B97F4A7C15ull;
}

static void
an_id_is_new_once(void **state)
{
	struct push_redis_seen seen;

	(void)state;
	push_redis_seen_init(&seen);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(push_redis_seen_add(&seen, id(i)));
	for (uint64_t i = 0; i < 1000; i++)
		assert_false(push_redis_seen_add(&seen, id(i)));
	/* 0, and those that would be at the same slot */
	assert_true(push_redis_seen_add(&seen, 0));
	assert_false(push_redis_seen_add(&seen, 0));
	for (uint64_t i = 1; i < 9; i++)
		assert_true(push_redis_seen_add(&seen, i << 40));
	for (uint64_t i = 1; i < 9; i++)
		assert_false(push_redis_seen_add(&seen, i << 40));
	push_redis_seen_fini(&seen);
}

static void
the_last_ones_are_known_and_memory_is_bounded(void **state)
{
	struct push_redis_seen seen;
	const uint64_t max = PUSH_REDIS_SEEN_MAX, count = 3 * max + 7;

	(void)state;
	push_redis_seen_init(&seen);
	for (uint64_t i = 0; i < count; i++) {
		assert_true(push_redis_seen_add(&seen, id(i)));
		assert_true(seen.newer.count + seen.older.count <= 2 * max);
		assert_true(seen.newer.slot_count <= 4 * max);
	}
	for (uint64_t i = count - max; i < count; i++)
		assert_false(push_redis_seen_add(&seen, id(i)));
	assert_true(push_redis_seen_add(&seen, id(0)));
	push_redis_seen_fini(&seen);
}

static void
without_memory_something_is_new_again_and_nothing_is_lost(void **state)
{
	struct push_redis_seen seen;
	uint64_t i = 0;

	(void)state;
	push_redis_seen_init(&seen);
	allocations_left = 0;
	assert_true(push_redis_seen_add(&seen, id(0)));
	assert_true(push_redis_seen_add(&seen, id(0)));
	allocations_left = 1;
	/* the first table takes so many, then it cannot grow */
	while (push_redis_seen_add(&seen, id(i)) && !push_redis_seen_add(&seen, id(i)))
		i++;
	allocations_left = -1;
	assert_int_equal(i, seen.newer.count);
	assert_true(i > 0);
	for (uint64_t known = 0; known < i; known++)
		assert_false(push_redis_seen_add(&seen, id(known)));
	push_redis_seen_fini(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_new_once),
		cmocka_unit_test(the_last_ones_are_known_and_memory_is_bounded),
		cmocka_unit_test(without_memory_something_is_new_again_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
