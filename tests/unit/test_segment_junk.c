/* The fuzzer of the shared memory (tests/fuzz/fuzz_segment.c) by chance, the same each time; also under the sanitizers
 * and valgrind. */
#include "../fuzz/fuzz_segment.c"
#include "unit.h"

static void
test_junk_anywhere_neither_crashes_nor_hangs_and_a_repair_makes_it_whole(void **state)
{
	uint64_t random = 88172645463325252ull;
	uint8_t bytes[600];

	(void)state;
	for (int turn = 0; turn < 200; turn++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			/* xorshift (Marsaglia) */
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			bytes[i] = (uint8_t)(random >> 32);
		}
		(void)LLVMFuzzerTestOneInput(bytes, sizeof(bytes));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_junk_anywhere_neither_crashes_nor_hangs_and_a_repair_makes_it_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
