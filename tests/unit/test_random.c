#include "unit.h"

#include "core/random.h"

static void
numbers_are_those_of_xorshift64_star(void **state)
{
	uint64_t word = 1;

	(void)state;
	assert_true(push_random_upto(&word, UINT64_MAX) == 0x47E4CE4B896CDD1Dull);
	assert_true(word == 0x2000001);
	word = 1;
	assert_true(push_random_upto(&word, 9) == 0x47E4CE4B896CDD1Dull % 10);
}

static void
every_number_up_to_the_limit_comes_and_none_above(void **state)
{
	uint64_t word = 42;
	unsigned int counts[7] = {0};

	(void)state;
	for (int i = 0; i < 7000; i++) {
		uint64_t number = push_random_upto(&word, 6);

		assert_in_range(number, 0, 6);
		counts[number]++;
	}
	for (size_t i = 0; i < COUNT(counts); i++)
		assert_in_range(counts[i], 800, 1200);
	assert_int_equal(push_random_upto(&word, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_of_xorshift64_star),
		cmocka_unit_test(every_number_up_to_the_limit_comes_and_none_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
