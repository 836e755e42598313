/* How long an answer may be kept. */
#include "unit.h"

#include "core/cache_control.h"

static void
what_it_says_is_read(void **state)
{
	static const struct {
		const char *text;
		uint32_t max_age_s;
		bool no_store;
	} rows[] = {
		{"", PUSH_MAX_AGE_NONE, false},
		{"max-age=60", 60, false},
		{"Max-Age=60", 60, false},
		{"public, max-age=60, must-revalidate", 60, false},
		{" ,, max-age=60\t, ", 60, false},
		{"max-age=\"60\"", 60, false},
		{"max-age=0", 0, false},
		{"max-age=60, max-age=30", 30, false},
		{"max-age=99999999999999999999", PUSH_MAX_AGE_NONE - 1, false},
		{"max-age=", 0, false},
		{"max-age=-1", 0, false},
		{"max-age=1.5", 0, false},
		{"max-age=\"", 0, false},
		{"s-maxage=60", PUSH_MAX_AGE_NONE, false},
		{"x-max-age=60", PUSH_MAX_AGE_NONE, false},
		{"max-age", PUSH_MAX_AGE_NONE, false},
		{"private=\"a, max-age=60\"", PUSH_MAX_AGE_NONE, false},
		{"private=\"a\\\", max-age=60\", max-age=5", 5, false},
		{"private=\"never ends, max-age=60", PUSH_MAX_AGE_NONE, false},
		{"private=\"ends in \\", PUSH_MAX_AGE_NONE, false},
		{"no-store", PUSH_MAX_AGE_NONE, true},
		{"NO-CACHE, max-age=60", 60, true},
		{"no-cache=\"Set-Cookie\", max-age=60", 60, true},
		{"no-store-at-all", PUSH_MAX_AGE_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_cache_control control = push_cache_control_parse(rows[i].text);

		if (control.max_age_s != rows[i].max_age_s || control.no_store != rows[i].no_store)
			fail_msg("%s: %u %d", rows[i].text, control.max_age_s, control.no_store);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
