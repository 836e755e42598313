/* What is kept by a name is there as long as was said, unless there is no room for it; and no bytes more than
 * were allowed are ever taken. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "core/limits.h"
#include "core/values.h"

#define SECOND_US 1000000ull

static uint64_t now = 1000 * SECOND_US;

static struct push_values *
create(void)
{
	struct push_values *values = push_values_create(42, NULL, now);

	assert_non_null(values);
	return values;
}

static enum push_status
put(struct push_values *values, const char *name, const char *value, uint64_t ttl_us)
{
	return push_values_put(values, name, strlen(name), value, strlen(value), ttl_us, now);
}

static void
assert_kept(struct push_values *values, const char *name, const char *expected, uint64_t at)
{
	const char *value = NULL;
	size_t size = 0;
	enum push_status status = push_values_get(values, name, strlen(name), at, &value, &size);

	if (!expected) {
		assert_int_equal(status, PUSH_NOT_FOUND);
		return;
	}
	assert_int_equal(status, PUSH_OK);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(value, expected, size);
}

static void
a_value_is_kept_as_long_as_was_said(void **state)
{
	struct push_values *values = create();

	(void)state;
	assert_kept(values, "a", NULL, now);
	assert_int_equal(put(values, "a", "1", SECOND_US), PUSH_OK);
	assert_int_equal(put(values, "b", "", 2 * SECOND_US), PUSH_OK);
	assert_kept(values, "a", "1", now + SECOND_US - 1);
	assert_kept(values, "b", "", now + SECOND_US - 1);
	assert_kept(values, "a", NULL, now + SECOND_US);
	assert_kept(values, "b", "", now + SECOND_US);
	assert_int_equal(push_values_count(values), 1);
	push_values_destroy(values);
}

static void
a_new_value_takes_the_place_and_the_time_of_the_old_one(void **state)
{
	struct push_values *values = create();

	(void)state;
	assert_int_equal(put(values, "a", "1", SECOND_US), PUSH_OK);
	assert_int_equal(put(values, "a", "two", 3 * SECOND_US), PUSH_OK);
	assert_int_equal(push_values_count(values), 1);
	push_values_tick(values, now + 2 * SECOND_US, 100);
	assert_kept(values, "a", "two", now + 2 * SECOND_US);
	assert_int_equal(put(values, "a", "", 0), PUSH_OK);
	assert_kept(values, "a", NULL, now);
	assert_int_equal(put(values, "a", "", 0), PUSH_OK);
	assert_int_equal(push_values_bytes(values), 0);
	push_values_destroy(values);
}

static void
the_clock_frees_what_nobody_asks_for(void **state)
{
	struct push_values *values = create();
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(put(values, name, "value", (i % 2 ? 2 : 1) * SECOND_US), PUSH_OK);
	}
	push_values_tick(values, now + SECOND_US + PUSH_TICK_US, 100);
	assert_int_equal(push_values_count(values), 900);
	push_values_tick(values, now + SECOND_US + PUSH_TICK_US, 1000);
	assert_int_equal(push_values_count(values), 500);
	push_values_tick(values, now + 2 * SECOND_US + PUSH_TICK_US, 1000);
	assert_int_equal(push_values_count(values), 0);
	assert_int_equal(push_values_bytes(values), 0);
	push_values_destroy(values);
}

static void
where_there_are_too_many_the_oldest_go_first(void **state)
{
	struct push_values *values = create();
	char name[16];

	(void)state;
	for (int i = 0; i < PUSH_VALUES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(put(values, name, "", SECOND_US), PUSH_OK);
	}
	assert_int_equal(put(values, "n0", "again", SECOND_US), PUSH_OK);
	assert_int_equal(push_values_count(values), PUSH_VALUES_MAX);
	assert_int_equal(put(values, "one more", "", SECOND_US), PUSH_OK);
	assert_int_equal(push_values_count(values), PUSH_VALUES_MAX);
	assert_kept(values, "n0", "again", now);
	assert_kept(values, "n1", NULL, now);
	assert_kept(values, "n2", "", now);
	push_values_destroy(values);
}

static void
where_they_take_too_much_the_oldest_go_first(void **state)
{
	static char large[PUSH_VALUE_BYTES_MAX + 1];
	struct push_values *values = create();
	size_t room = PUSH_VALUES_BYTES_MAX / (PUSH_VALUE_BYTES_MAX + PUSH_VALUE_OVERHEAD_BYTES + 1);
	const char *value;
	size_t size;

	(void)state;
	for (size_t i = 0; i <= room; i++) {
		char name = (char)('0' + i);

		assert_int_equal(
			push_values_put(values, &name, 1, large, sizeof(large) - 1, SECOND_US, now), PUSH_OK);
		assert_true(push_values_bytes(values) <= PUSH_VALUES_BYTES_MAX);
	}
	assert_int_equal(push_values_count(values), room);
	assert_kept(values, "0", NULL, now);
	assert_int_equal(push_values_get(values, "1", 1, now, &value, &size), PUSH_OK);
	assert_int_equal(size, sizeof(large) - 1);
	push_values_destroy(values);
}

static void
what_is_too_large_is_refused_and_what_was_there_stays(void **state)
{
	static char large[PUSH_VALUE_BYTES_MAX + 1];
	static char name[PUSH_VALUE_NAME_BYTES_MAX + 1];
	struct push_values *values = create();

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(put(values, "a", "1", SECOND_US), PUSH_OK);
	assert_int_equal(
		push_values_put(values, "a", 1, large, sizeof(large), SECOND_US, now), PUSH_TOO_LARGE);
	assert_int_equal(push_values_put(values, name, sizeof(name), "", 0, SECOND_US, now), PUSH_TOO_LARGE);
	assert_int_equal(push_values_put(values, name, sizeof(name) - 1, "", 0, SECOND_US, now), PUSH_OK);
	assert_kept(values, "a", "1", now);
	push_values_destroy(values);
}

static void
when_memory_is_out_what_was_there_stays(void **state)
{
	struct push_values *values;
	char name[16];

	(void)state;
	for (long limit = 0; limit < 2; limit++) {
		allocations_left = limit;
		values = push_values_create(42, NULL, now);
		allocations_left = -1;
		assert_null(values);
	}
	values = create();
	assert_int_equal(put(values, "a", "1", SECOND_US), PUSH_OK);
	allocations_left = 0;
	assert_int_equal(put(values, "a", "2", SECOND_US), PUSH_OUT_OF_MEMORY);
	assert_kept(values, "a", "1", now);
	/* without more buckets chains grow longer */
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		allocations_left = 1;
		assert_int_equal(put(values, name, name, SECOND_US), PUSH_OK);
	}
	allocations_left = -1;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_kept(values, name, name, now);
	}
	push_values_destroy(values);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_kept_as_long_as_was_said),
		cmocka_unit_test(a_new_value_takes_the_place_and_the_time_of_the_old_one),
		cmocka_unit_test(the_clock_frees_what_nobody_asks_for),
		cmocka_unit_test(where_there_are_too_many_the_oldest_go_first),
		cmocka_unit_test(where_they_take_too_much_the_oldest_go_first),
		cmocka_unit_test(what_is_too_large_is_refused_and_what_was_there_stays),
		cmocka_unit_test(when_memory_is_out_what_was_there_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
