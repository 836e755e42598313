#include "unit.h"

#include "core/backoff.h"

static void
each_pause_is_twice_as_long_up_to_the_last_and_half_of_it_at_random(void **state)
{
	static const struct {
		unsigned int failures;
		uint64_t pause_us;
	} rows[] = {{0, 50}, {1, 100}, {5, 1600}, {6, 2000}, {7, 2000}, {UINT32_MAX, 2000}};
	uint64_t random = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t shortest = UINT64_MAX, longest = 0;

		for (int draw = 0; draw < 20000; draw++) {
			uint64_t pause_us = push_backoff_us(rows[i].failures, 50, 2000, &random);

			shortest = pause_us < shortest ? pause_us : shortest;
			longest = pause_us > longest ? pause_us : longest;
		}
		assert_true(shortest >= rows[i].pause_us / 2 && shortest < rows[i].pause_us * 6 / 10);
		assert_true(longest <= rows[i].pause_us && longest > rows[i].pause_us * 9 / 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pause_is_twice_as_long_up_to_the_last_and_half_of_it_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
