/* The address of a server that Push calls: what is right is taken apart, what is wrong is named. */
#include "unit.h"

#include <stdbool.h>
#include <stdio.h>

#include "core/http_url.h"

static void
what_is_right_is_taken_apart(void **state)
{
	static const struct {
		const char *text, *host, *authority, *path;
		uint16_t port;
		bool is_tls;
	} rows[] = {
		{"http://collector:4318/v1/traces", "collector", "collector:4318", "/v1/traces", 4318, false},
		{"http://a", "a", "a", "/", 80, false},
		{"http://a/", "a", "a", "/", 80, false},
		{"http://a?x=1", "a", "a", "/?x=1", 80, false},
		{"http://a.b-c_d:65535/%20?q=a:b@c", "a.b-c_d", "a.b-c_d:65535", "/%20?q=a:b@c", 65535,
			false},
		{"http://10.0.0.1:1", "10.0.0.1", "10.0.0.1:1", "/", 1, false},
		{"http://[::1]/x", "::1", "[::1]", "/x", 80, false},
		{"https://a/jwks.json", "a", "a", "/jwks.json", 443, true},
		{"https://a:80/", "a", "a:80", "/", 80, true},
		{"http://[fe80::1]:80/", "fe80::1", "[fe80::1]:80", "/", 80, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_http_url url;
		struct push_error error = {""};

		assert_int_equal(push_http_url_parse(&url, "name", rows[i].text, &error), PUSH_OK);
		assert_string_equal(url.host, rows[i].host);
		assert_string_equal(url.authority, rows[i].authority);
		assert_string_equal(url.path, rows[i].path);
		assert_int_equal(url.port, rows[i].port);
		assert_int_equal(url.is_tls, rows[i].is_tls);
	}
}

static void
what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "must begin with http:// or https://"},
		{"collector:4318", "must begin with http:// or https://"},
		{"HTTP://a", "must begin with http:// or https://"},
		{"https:/a", "must begin with http:// or https://"},
		{"https://", "no such host"},
		{"http://", "no such host"},
		{"http:///x", "no such host"},
		{"http://:1/", "no such host"},
		{"http://a b/", "no such host"},
		{"http://a\r\nX: y/", "no such host"},
		{"http://[::1", "no such host"},
		{"http://[]/", "no such host"},
		{"http://[x]/", "no such host"},
		{"http://[::1]x/", "the port must be"},
		{"http://a:/", "the port must be"},
		{"http://a:0/", "the port must be"},
		{"http://a:65536/", "the port must be"},
		{"http://a:99999999999999999999/", "the port must be"},
		{"http://a:1x/", "the port must be"},
		{"http://a/\x7f", "must be percent-encoded"},
		{"http://a/b c", "must be percent-encoded"},
		{"http://a/b#c", "must be percent-encoded"},
		{"http://a/\xc3\xbc", "must be percent-encoded"},
		{"http://a/b\r\nX: y", "must be percent-encoded"},
		{"http://user:secret@a/", "a user and a password are not supported"},
		{"https://user:secret@a/", "a user and a password are not supported"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_http_url url;
		struct push_error error = {""};

		assert_int_equal(push_http_url_parse(&url, "name", rows[i].text, &error), PUSH_INVALID);
		assert_non_null(strstr(error.text, rows[i].why));
		assert_non_null(strstr(error.text, "name="));
		assert_null(strstr(error.text, "secret"));
	}
}

static void
the_longest_fits(void **state)
{
	char text[PUSH_OPTION_TEXT_BYTES_MAX + 2] = "http://";
	struct push_http_url url;
	struct push_error error = {""};

	(void)state;
	memset(text + 7, 'a', PUSH_OPTION_TEXT_BYTES_MAX - 7);
	text[PUSH_OPTION_TEXT_BYTES_MAX] = '\0';
	assert_int_equal(push_http_url_parse(&url, "name", text, &error), PUSH_OK);
	assert_int_equal(strlen(url.host), PUSH_OPTION_TEXT_BYTES_MAX - 7);
	text[8] = '?';
	assert_int_equal(push_http_url_parse(&url, "name", text, &error), PUSH_OK);
	assert_int_equal(strlen(url.path), PUSH_OPTION_TEXT_BYTES_MAX - 7);
	text[8] = 'a';
	text[PUSH_OPTION_TEXT_BYTES_MAX] = 'a';
	text[PUSH_OPTION_TEXT_BYTES_MAX + 1] = '\0';
	assert_int_equal(push_http_url_parse(&url, "name", text, &error), PUSH_INVALID);
}

static void
this_machine_is_known_by_its_names(void **state)
{
	static const struct {
		const char *text;
		bool is_local;
	} rows[] = {
		{"http://localhost", true},
		{"http://LocalHost:81/", true},
		{"http://127.0.0.1", true},
		{"http://127.9.8.7:1/x", true},
		{"http://[::1]/", true},
		{"http://localhost.example.com", false},
		{"http://127.0.0.1.example.com", false},
		{"http://128.0.0.1", false},
		{"http://[::2]/", false},
		{"http://127.1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_http_url url;
		struct push_error error = {""};

		assert_int_equal(push_http_url_parse(&url, "name", rows[i].text, &error), PUSH_OK);
		assert_int_equal(push_http_url_is_local(&url), rows[i].is_local);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_is_taken_apart),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(this_machine_is_known_by_its_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
