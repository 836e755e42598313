#include "unit.h"

#include "core/cors.h"

static void
only_listed_origins_are_allowed(void **state)
{
	static const struct {
		const char *allowed, *origin, *answer;
	} rows[] = {
		{"*", "https://a.example", "*"},
		{"*", NULL, "*"},
		{"https://a.example,https://b.example", "https://b.example", "https://b.example"},
		{"https://a.example, https://b.example", "https://b.example", "https://b.example"},
		{"https://a.example", "https://a.example.evil", NULL},
		{"https://a.example", "https://a.exampl", NULL},
		{"https://a.example", NULL, NULL},
		{"", "https://a.example", NULL},
		{"https://a.example", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *answer = push_cors_allowed_origin(rows[i].allowed, rows[i].origin);

		if (rows[i].answer)
			assert_string_equal(answer, rows[i].answer);
		else
			assert_null(answer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(only_listed_origins_are_allowed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
