/* What a server's clock shows, from samples of it, also when one of the clocks is set. */
#include "unit.h"

#include <string.h>

#include "redis/server_clock.h"

#define S 1000000ull

static void
a_time_is_early_by_a_round_trip_at_most(void **state)
{
	struct push_server_clock clock = {.is_known = false};

	(void)state;
	assert_int_equal(push_server_clock_ms(&clock, 5 * S), 0);
	push_server_clock_learn(&clock, 10 * S, 10 * S + 4000, 1000 * S + 3000);
	/* it is 1000 s + 3 ms somewhere between 10 s and 10 s + 4 ms */
	assert_int_equal(push_server_clock_ms(&clock, 10 * S + 4000), 1000003);
	assert_int_equal(push_server_clock_ms(&clock, 13 * S), 1002999);
}

static void
samples_narrow_it_and_slow_ones_do_not_widen_it(void **state)
{
	struct push_server_clock clock = {.is_known = false};

	(void)state;
	push_server_clock_learn(&clock, 10 * S, 12 * S, 1000 * S);
	assert_int_equal(clock.ahead_max_us - clock.ahead_min_us, 2 * S);
	push_server_clock_learn(&clock, 20 * S, 20 * S + 500, 1009 * S);
	assert_int_equal(clock.ahead_max_us - clock.ahead_min_us, 500);
	/* the answer was read 5 s late */
	push_server_clock_learn(&clock, 30 * S, 35 * S, 1019 * S + 100);
	assert_int_equal(clock.ahead_max_us - clock.ahead_min_us, 500);
	assert_int_equal(push_server_clock_ms(&clock, 40 * S), 1028999);
}

static void
a_clock_that_was_set_is_believed_at_once(void **state)
{
	static const int64_t steps_s[] = {3600, -3600, 1, -1, 900000000, -900000000};

	(void)state;
	for (size_t i = 0; i < sizeof(steps_s) / sizeof(steps_s[0]); i++) {
		struct push_server_clock clock = {.is_known = false};
		uint64_t its_us = (uint64_t)(1000000000 + steps_s[i]) * S;

		push_server_clock_learn(&clock, 10 * S, 10 * S + 500, 1000000000 * S);
		push_server_clock_learn(&clock, 11 * S, 11 * S + 500, its_us);
		assert_int_equal(push_server_clock_ms(&clock, 11 * S + 500), its_us / 1000);
	}
}

static void
a_clock_of_before_ours_is_unknown_rather_than_negative(void **state)
{
	struct push_server_clock clock = {.is_known = false};

	(void)state;
	push_server_clock_learn(&clock, 100 * S, 100 * S, 1 * S);
	assert_int_equal(push_server_clock_ms(&clock, 50 * S), 0);
	assert_int_equal(push_server_clock_ms(&clock, 101 * S), 2000);
}

static void
only_numbers_are_read(void **state)
{
	static const struct {
		const char *text;
		bool is_number;
		uint64_t number;
	} rows[] = {{"0", true, 0}, {"1796012019", true, 1796012019}, {"999999999999", true, 999999999999},
		{"1000000000000", false, 0}, {"", false, 0}, {"-1", false, 0}, {"1 ", false, 0},
		{"1.5", false, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t number = 0;

		assert_int_equal(push_server_clock_read(rows[i].text, strlen(rows[i].text), &number),
			rows[i].is_number);
		assert_int_equal(number, rows[i].number);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_early_by_a_round_trip_at_most),
		cmocka_unit_test(samples_narrow_it_and_slow_ones_do_not_widen_it),
		cmocka_unit_test(a_clock_that_was_set_is_believed_at_once),
		cmocka_unit_test(a_clock_of_before_ours_is_unknown_rather_than_negative),
		cmocka_unit_test(only_numbers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
