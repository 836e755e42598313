#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/position.h"

/* xorshift64*; the seed is printed, so that a failure can be repeated */
static uint64_t state_of_random;

static uint64_t
draw(void)
{
	state_of_random ^= state_of_random >> 12;
	state_of_random ^= state_of_random << 25;
	state_of_random ^= state_of_random >> 27;
	return state_of_random * 0x2545F4914F6CDD1Dull;
}

/* Small and large numbers alike. */
static uint64_t
draw_number(void)
{
	return draw() >> (draw() % 64);
}

static void
an_id_says_the_same_when_it_comes_back(void **state)
{
	(void)state;
	state_of_random = 0x5eed;
	printf("seed %llx\n", (unsigned long long)state_of_random);
	for (int i = 0; i < 20000; i++) {
		struct push_positions positions = {0}, back;
		char text[PUSH_ID_BYTES_MAX];
		size_t size;

		positions.partitions = (uint32_t)(draw() & 0xffff);
		for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++)
			if (positions.partitions & (1u << p))
				positions.at[p] = (struct push_position){draw_number(), draw_number()};
		size = push_positions_format(&positions, UINT32_MAX, text);
		assert_int_equal(size == 0, positions.partitions == 0);
		if (!size)
			continue;
		assert_int_equal(push_positions_parse(&back, text, size), PUSH_OK);
		assert_memory_equal(&back, &positions, sizeof(back));
	}
}

static void
the_longest_id_of_one_partition_is_below_64_bytes_and_of_all_below_512(void **state)
{
	struct push_positions positions = {.partitions = 0xffff};
	char text[PUSH_ID_BYTES_MAX];

	(void)state;
	for (unsigned int p = 0; p < PUSH_PARTITIONS_MAX; p++)
		positions.at[p] = (struct push_position){UINT64_MAX, UINT64_MAX};
	assert_true(push_positions_format(&positions, UINT32_MAX, text) < 512);
	assert_true(push_positions_format(&positions, 1u << 15, text) < 64);
}

static void
only_the_partitions_that_are_asked_for_are_written(void **state)
{
	struct push_positions positions = {.partitions = 7, .at = {{1, 2}, {3, 4}, {5, 36}}};
	char text[PUSH_ID_BYTES_MAX];

	(void)state;
	assert_int_equal(push_positions_format(&positions, 2, text), 5);
	assert_memory_equal(text, "1.3.4", 5);
	assert_int_equal(push_positions_format(&positions, 0xd, text), 12);
	assert_memory_equal(text, "0.1.2-2.5.10", 12);
	assert_int_equal(push_positions_format(&positions, 0x10, text), 0);
}

static void
whatever_is_no_id_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"", "0", "0.", "0.1", "0.1.", ".1.2", "0..2", "0.1.2.", "0.1.2-",
		"-0.1.2", "0.1.2 ", " 0.1.2", "0.1.-2", "0.1.+2", "0.01.2", "00.1.2", "0.1.02", "A.1.2",
		"g.1.2",                  /* partition 16 */
		"0.1.2-0.1.3",            /* twice */
		"1.1.2-0.1.3",            /* out of order */
		"0.1.3w5e11264sgsg",      /* 2^64 + something */
		"0.zzzzzzzzzzzzzzzzzz.1", /* far beyond */
		"0.1.2,1.1.2"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct push_positions positions = {.partitions = 0xabcd};

		assert_int_equal(push_positions_parse(&positions, bad[i], strlen(bad[i])), PUSH_INVALID);
		assert_int_equal(positions.partitions, 0xabcd);
	}
}

static void
the_largest_numbers_are_read(void **state)
{
	struct push_positions positions;
	const char *text = "f.3w5e11264sgsf.3w5e11264sgsf";

	(void)state;
	assert_int_equal(push_positions_parse(&positions, text, strlen(text)), PUSH_OK);
	assert_int_equal(positions.partitions, 1u << 15);
	assert_true(positions.at[15].epoch == UINT64_MAX && positions.at[15].number == UINT64_MAX);
}

static void
positions_are_ordered_by_epoch_and_then_by_number(void **state)
{
	static const struct push_position in_order[] = {{0, 0}, {0, 1}, {1, 0}, {1, 7}, {2, 3}};

	(void)state;
	for (size_t a = 0; a < COUNT(in_order); a++)
		for (size_t b = 0; b < COUNT(in_order); b++) {
			int result = push_position_compare(in_order[a], in_order[b]);

			assert_int_equal(result < 0, a < b);
			assert_int_equal(result > 0, a > b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_says_the_same_when_it_comes_back),
		cmocka_unit_test(the_longest_id_of_one_partition_is_below_64_bytes_and_of_all_below_512),
		cmocka_unit_test(only_the_partitions_that_are_asked_for_are_written),
		cmocka_unit_test(whatever_is_no_id_is_refused_and_changes_nothing),
		cmocka_unit_test(the_largest_numbers_are_read),
		cmocka_unit_test(positions_are_ordered_by_epoch_and_then_by_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
