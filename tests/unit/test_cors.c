#include "unit.h"

#include "core/cors.h"

static void
answers_name_only_the_listed_origins(void **state)
{
	static const struct {
		const char *allowed, *origin, *answer;
		bool credentials, varies;
	} rows[] = {
		{"*", "https://a.example", "*", false, false},
		{"*", NULL, "*", false, false},
		/* never with `*`, whatever else is listed: it would make every site's pages the user */
		{"https://a.example,*", "https://a.example", "*", false, false},
		{"https://a.example,https://b.example", "https://b.example", "https://b.example", true, true},
		{"https://a.example, https://b.example", "https://b.example", "https://b.example", true,
			true},
		/* a cache must not give this answer to a page that is listed */
		{"https://a.example", "https://a.example.evil", NULL, false, true},
		{"https://a.example", NULL, NULL, false, true},
		{"", "https://a.example", NULL, false, true},
		{"https://a.example", "", NULL, false, true},
		{"https://A.example:443", "https://a.example", "https://a.example", true, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_cors cors = push_cors_answer(rows[i].allowed, rows[i].origin);

		if (rows[i].answer)
			assert_string_equal(cors.allow_origin, rows[i].answer);
		else
			assert_null(cors.allow_origin);
		assert_int_equal(cors.allows_credentials, rows[i].credentials);
		assert_int_equal(cors.varies, rows[i].varies);
	}
}

static void
pages_of_other_origins_are_not_admitted(void **state)
{
	static const struct {
		const char *allowed, *origin, *host;
		bool admitted;
	} rows[] = {
		{"*", "https://evil.example", "push.example", true},
		{"https://good.example, *", "null", "push.example", true},
		{"https://good.example", NULL, "push.example", true},
		{"https://good.example", "", "push.example", true},
		{"https://good.example", "https://good.example", "push.example", true},
		{"https://good.example", "HTTPS://Good.Example:443", "push.example", true},
		{"https://good.example:8443", "https://good.example:8443", "push.example", true},
		{"app://good.example:80", "app://good.example:80", "push.example", true},
		{"https://good.example", "https://evil.example", "push.example", false},
		{"https://good.example", "http://good.example", "push.example", false},
		{"https://good.example", "https://good.example:8443", "push.example", false},
		{"https://good.example", "https://good.example.evil.com", "push.example", false},
		{"https://good.example", "https://evilgood.example", "push.example", false},
		{"https://good.example", "https://good.example,https://evil.example", "push.example", false},
		{"https://good.example", "https://good.example https://evil.example", "push.example", false},
		{"https://good.example", "https://good.exampl", "push.example", false},
		{"https://good.example", "null", "push.example", false},
		{"https://good.example", "null", "null", false},
		{"https://good.example", "good.example", "push.example", false},
		{"https://good.example", "://good.example", "push.example", false},
		{"app://good.example", "app://good.example:80", "push.example", false},
		{"", "https://good.example", "push.example", false},
		/* its own pages */
		{"https://good.example", "https://push.example", "push.example", true},
		{"https://good.example", "http://push.example", "push.example:80", true},
		{"https://good.example", "https://push.example", "push.example:443", true},
		{"https://good.example", "https://PUSH.example:443", "push.EXAMPLE", true},
		{"https://good.example", "http://[::1]:8080", "[::1]:8080", true},
		{"https://good.example", "http://[::80]", "[::80]", true},
		{"", "http://push.example:8080", "push.example:8080", true},
		{"https://good.example", "http://push.example:8080", "push.example", false},
		{"https://good.example", "http://push.example", "push.example:8080", false},
		{"https://good.example", "https://push.example", "push.example:80", false},
		{"https://good.example", "https://push.example", "push.example.evil.com", false},
		{"https://good.example", "https://evil.com/push.example", "push.example", false},
		{"https://good.example", "https://push.example", "", false},
		{"https://good.example", "https://", "", false},
		{"https://good.example", "https://push.example", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *origin = rows[i].origin, *host = rows[i].host;

		if (push_cors_admits(rows[i].allowed, origin, origin ? strlen(origin) : 0, host,
			    host ? strlen(host) : 0) != rows[i].admitted)
			fail_msg("row %zu: %s from %s", i, rows[i].allowed, origin ? origin : "nowhere");
	}
}

static void
an_entry_that_matches_no_page_is_found(void **state)
{
	static const struct {
		const char *allowed, *fault; /* NULL: there is none */
	} rows[] = {
		{"*", NULL},
		{"", NULL},
		{"https://a.example", NULL},
		{" https://a.example , http://b.example:8080,*", NULL},
		{"capacitor://localhost,chrome-extension://abcdef,http://[::1]:80", NULL},
		{"example.com",
			"push.cors.allowed.origins: 'example.com' has no scheme: write https://example.com"},
		{"https://a.example,example.com:8080", "'example.com:8080' has no scheme"},
		{"null", "'null' has no scheme"},
		{"://example.com", "has no scheme"},
		{"1http://example.com", "has no scheme"},
		{"https://", "has no host"},
		{"https://*.example.com", "has a wildcard"},
		{"**", "has no scheme"},
		{"https://example.com:65536", "must have a port from 1 to 65535"},
		{"https://example.com:0", "must have a port"},
		{"https://example.com:", "must have a port"},
		{"https://example.com:80a", "must have a port"},
		{"https://[::1]:99999", "must have a port"},
		{"https://example.com/", "must have only a scheme, a host and a port"},
		{"https://example.com/path", "must have only"},
		{"https://user@example.com", "must have only"},
		{"https://exa\tmple.com", "must have only"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_error error = {""};

		assert_int_equal(
			push_cors_check(rows[i].allowed, &error), rows[i].fault ? PUSH_INVALID : PUSH_OK);
		if (rows[i].fault)
			assert_non_null(strstr(error.text, rows[i].fault));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_name_only_the_listed_origins),
		cmocka_unit_test(pages_of_other_origins_are_not_admitted),
		cmocka_unit_test(an_entry_that_matches_no_page_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
