/* Which refusals say that a server refuses every publish, and for how long. */
#include "unit.h"

#include <string.h>

#include "redis/refusals.h"

static void
add(struct push_redis_refusals *refusals, const char *text, unsigned int count, uint64_t now_us)
{
	while (count--)
		push_redis_refusals_add(refusals, text, strlen(text), now_us);
}

static void
what_is_about_one_name_does_not_count(void **state)
{
	static const struct {
		const char *text;
		bool is_general;
	} rows[] = {
		{"OOM command not allowed when used memory > 'maxmemory'.", true},
		{"ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed", true},
		{"MISCONF Redis is configured to save RDB snapshots", true},
		{"READONLY You can't write against a read only replica.", true},
		{"NOREPLICAS Not enough good replicas to write.", true},
		{"NOAUTH Authentication required.", true},
		{"NOPERM User default has no permissions to run the 'publish' command", true},
		{"NOPERM this user has no permissions to access one of the channels used as arguments",
			false},
		{"NOPERM No permissions to access a key", false},
		{"ERR unknown command 'EVALSHA', with args beginning with: ", true},
		{"WRONGTYPE Operation against a key holding the wrong kind of value script: 1", false},
		{"BUSY Redis is busy running a script.", false},
		{"ERR The ID specified in XADD is equal or smaller than the target stream top item", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct push_redis_refusals refusals = {.count = 0};

		add(&refusals, rows[i].text, PUSH_REDIS_REFUSALS_MIN, 1);
		assert_int_equal(push_redis_refusals_go_on(&refusals, 1), rows[i].is_general);
	}
}

static void
they_go_on_until_one_is_accepted_or_some_time_after_the_last(void **state)
{
	struct push_redis_refusals refusals = {.count = 0};
	const uint64_t last_us = 5000000;

	(void)state;
	add(&refusals, "OOM ", PUSH_REDIS_REFUSALS_MIN - 1, 1);
	assert_false(push_redis_refusals_go_on(&refusals, 1));
	add(&refusals, "OOM ", 1, last_us);
	assert_true(push_redis_refusals_go_on(&refusals, last_us + PUSH_REDIS_REFUSALS_US - 1));
	assert_false(push_redis_refusals_go_on(&refusals, last_us + PUSH_REDIS_REFUSALS_US));
	push_redis_refusals_clear(&refusals);
	assert_false(push_redis_refusals_go_on(&refusals, last_us));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_about_one_name_does_not_count),
		cmocka_unit_test(they_go_on_until_one_is_accepted_or_some_time_after_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
