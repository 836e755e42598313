#include "unit.h"

#include "core/limits.h"
#include "core/units.h"

static void
durations_are_read_in_every_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} rows[] = {
		{"0", 0},
		{"1", 1000},
		{"500ms", 500000},
		{"500MS", 500000},
		{"30s", 30000000},
		{"2m", 120000000},
		{"1h", 3600000000},
		{"24h", PUSH_DURATION_US_MAX}, /* the limit */
		{"007s", 7000000},
		{"1d", PUSH_DURATION_US_MAX},
		/* ISO 8601, as Spring takes it */
		{"PT30S", 30000000},
		{"pt30s", 30000000},
		{"PT1H30M", 5400000000},
		{"PT1H1M1S", 3661000000},
		{"PT0.5S", 500000},
		{"PT1.000001S", 1000001},
		{"PT0.0000019S", 1}, /* below a microsecond: cut */
		{"P1D", PUSH_DURATION_US_MAX},
		{"P0DT5M", 300000000},
		{"PT0S", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t us = 1;

		assert_int_equal(push_duration_parse(rows[i].text, &us), PUSH_OK);
		assert_int_equal(us, rows[i].us);
	}
}

static void
what_is_no_duration_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
	} rows[] = {
		{"", PUSH_INVALID},
		{"s", PUSH_INVALID},
		{"-1s", PUSH_INVALID},
		{"+1s", PUSH_INVALID},
		{"1 s", PUSH_INVALID},
		{" 1s", PUSH_INVALID},
		{"1s ", PUSH_INVALID},
		{"1.5s", PUSH_INVALID},
		{"1w", PUSH_INVALID},
		{"P", PUSH_INVALID},
		{"PT", PUSH_INVALID},
		{"P1DT", PUSH_INVALID},
		{"P30S", PUSH_INVALID},
		{"PT1D", PUSH_INVALID},
		{"PT30", PUSH_INVALID},
		{"PTS", PUSH_INVALID},
		{"PT1S1M", PUSH_INVALID}, /* not in their order */
		{"PT1S1S", PUSH_INVALID},
		{"PT1.S", PUSH_INVALID},
		{"PT.5S", PUSH_INVALID},
		{"PT1.5M", PUSH_INVALID},
		{"PT-1S", PUSH_INVALID},
		{"PT1S ", PUSH_INVALID},
		{"P1M", PUSH_INVALID}, /* a month */
		{"0x10", PUSH_INVALID},
		{"1kb", PUSH_INVALID},
		{"25h", PUSH_TOO_LARGE},
		{"2d", PUSH_TOO_LARGE},
		{"P1DT1S", PUSH_TOO_LARGE},
		{"PT99999999999999999999999S", PUSH_TOO_LARGE},
		{"86400001", PUSH_TOO_LARGE},
		{"99999999999999999999999999", PUSH_TOO_LARGE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t us = 42;

		assert_int_equal(push_duration_parse(rows[i].text, &us), rows[i].status);
		assert_int_equal(us, 42);
	}
}

static void
sizes_are_read_in_every_unit_up_to_the_limit(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
		uint64_t bytes;
	} rows[] = {
		{"0", PUSH_OK, 0},
		{"10b", PUSH_OK, 10},
		{"64kb", PUSH_OK, 65536},
		{"1MB", PUSH_OK, 1048576},
		{"64mb", PUSH_OK, PUSH_SIZE_MAX},
		{"65mb", PUSH_TOO_LARGE, 42},
		{"1gb", PUSH_INVALID, 42},
		{"k", PUSH_INVALID, 42},
		{"67108865", PUSH_TOO_LARGE, 42},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t bytes = 42;

		assert_int_equal(push_size_parse(rows[i].text, &bytes), rows[i].status);
		assert_int_equal(bytes, rows[i].bytes);
	}
}

static void
counts_have_no_unit(void **state)
{
	uint64_t count = 42;

	(void)state;
	assert_int_equal(push_count_parse("128", &count), PUSH_OK);
	assert_int_equal(count, 128);
	assert_int_equal(push_count_parse("1kb", &count), PUSH_INVALID);
	assert_int_equal(count, 128);
}

static void
shares_are_from_0_to_1(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
		uint64_t billionths;
	} rows[] = {
		{"0", PUSH_OK, 0},
		{"1", PUSH_OK, PUSH_RATIO_ONE},
		{"0.01", PUSH_OK, 10000000},
		{"0.5", PUSH_OK, 500000000},
		{"1.000000000", PUSH_OK, PUSH_RATIO_ONE},
		{"0.000000001", PUSH_OK, 1},
		{"0.0000000001", PUSH_INVALID, 42}, /* a tenth decimal */
		{"1.000000001", PUSH_INVALID, 42},
		{"1.1", PUSH_INVALID, 42},
		{"2", PUSH_INVALID, 42},
		{"", PUSH_INVALID, 42},
		{".5", PUSH_INVALID, 42},
		{"0.", PUSH_INVALID, 42},
		{"0,5", PUSH_INVALID, 42},
		{"00.5", PUSH_INVALID, 42},
		{"-0", PUSH_INVALID, 42},
		{"1e-3", PUSH_INVALID, 42},
		{"0.5%", PUSH_INVALID, 42},
		{"nan", PUSH_INVALID, 42},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t billionths = 42;

		assert_int_equal(push_ratio_parse(rows[i].text, &billionths), rows[i].status);
		assert_int_equal(billionths, rows[i].billionths);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read_in_every_unit),
		cmocka_unit_test(what_is_no_duration_is_refused_and_changes_nothing),
		cmocka_unit_test(sizes_are_read_in_every_unit_up_to_the_limit),
		cmocka_unit_test(counts_have_no_unit),
		cmocka_unit_test(shares_are_from_0_to_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
