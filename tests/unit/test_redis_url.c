#include "unit.h"

#include "core/redis_url.h"

static struct push_redis_url
parse(const char *text)
{
	struct push_redis_url url;
	struct push_error error;

	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_OK);
	return url;
}

static void
every_form_is_understood(void **state)
{
	static const struct {
		const char *text;
		enum push_redis_kind kind;
		bool tls;
		const char *user, *password, *host;
		uint16_t port;
		unsigned int database;
		size_t host_count;
	} rows[] = {
		{"redis://db", PUSH_REDIS_STANDALONE, false, "", "", "db", 6379, 0, 1},
		{"redis://db/", PUSH_REDIS_STANDALONE, false, "", "", "db", 6379, 0, 1},
		{"redis://db:1/15", PUSH_REDIS_STANDALONE, false, "", "", "db", 1, 15, 1},
		{"rediss://me:s@db:65535", PUSH_REDIS_STANDALONE, true, "me", "s", "db", 65535, 0, 1},
		{"redis://:s@10.0.0.1", PUSH_REDIS_STANDALONE, false, "", "s", "10.0.0.1", 6379, 0, 1},
		{"redis://[::1]:7/2", PUSH_REDIS_STANDALONE, false, "", "", "::1", 7, 2, 1},
		{"redis://[fe80::1%eth0]", PUSH_REDIS_STANDALONE, false, "", "", "fe80::1%eth0", 6379, 0, 1},
		{"redis://m%40e:p%3a%2F@db", PUSH_REDIS_STANDALONE, false, "m@e", "p:/", "db", 6379, 0, 1},
		{"redis://me:a@b@db", PUSH_REDIS_STANDALONE, false, "me", "a@b", "db", 6379, 0,
			1}, /* the last @ */
		{"redis+sentinel://a,b:2,c/mine", PUSH_REDIS_SENTINEL, false, "", "", "a", 26379, 0, 3},
		{"rediss+sentinel://u:p@a/mine/3", PUSH_REDIS_SENTINEL, true, "u", "p", "a", 26379, 3, 1},
		{"redis+cluster://a:1,b:2", PUSH_REDIS_CLUSTER, false, "", "", "a", 1, 0, 2},
		{"rediss+cluster://:p@a/0", PUSH_REDIS_CLUSTER, true, "", "p", "a", 6379, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_redis_url url = parse(rows[i].text);

		assert_int_equal(url.kind, rows[i].kind);
		assert_int_equal(url.tls, rows[i].tls);
		assert_string_equal(url.user, rows[i].user);
		assert_string_equal(url.password, rows[i].password);
		assert_string_equal(url.hosts[0].name, rows[i].host);
		assert_int_equal(url.hosts[0].port, rows[i].port);
		assert_int_equal(url.database, rows[i].database);
		assert_int_equal(url.host_count, rows[i].host_count);
		assert_string_equal(url.unix_path, "");
	}
	assert_string_equal(parse("redis+sentinel://a/mine/3").master_name, "mine");
	assert_string_equal(parse("unix:///run/redis.sock").unix_path, "/run/redis.sock");
	assert_string_equal(parse("unix://me:s@/run/redis.sock?db=4").password, "s");
	assert_int_equal(parse("unix:///run/redis.sock?db=4").database, 4);
}

static void
what_is_wrong_is_named_and_the_password_never_shown(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"", "must begin with"},
		{"localhost:6379", "must begin with"},
		{"http://me:geheim@db", "must begin with"},
		{"redis://", "not a host"},
		{"redis://:geheim@", "not a host"},
		{"redis://a b", "not a host 'a b'"},
		{"redis://db:0", "not a host:port 'db:0'"},
		{"redis://db:65536", "not a host:port"},
		{"redis://db:", "not a host:port"},
		{"redis://db:6379x", "not a host:port"},
		{"redis://[::1", "not a host"},
		{"redis://[::1]6379", "not a host:port"},
		{"redis://db/x", "not a database number 'x'"},
		{"redis://db/65536", "not a database number"},
		{"redis://geheim@db", "a user without a password"},
		{"redis://me:@db", "the password is empty"},
		{"redis://me:geheim%0@db", "badly percent-encoded"},
		{"redis://me:geheim%00@db", "badly percent-encoded"},
		{"redis://a,b", "several hosts"},
		{"redis://me:geheim@a,", "not a host"},
		{"redis+sentinel://me:geheim@a", "the name of the master is missing"},
		{"redis+sentinel://a/", "the name of the master is missing"},
		{"redis+cluster://me:geheim@a/1", "a cluster has only database 0"},
		{"unix://run/redis.sock", "not the absolute path"},
		{"unix://me:geheim@/run/redis.sock?x=1", "only ?db= may follow"},
		{"redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "more than 16 hosts"},
		{"redis://me:geheim/geheim@db/x", "not a database number"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_redis_url url;
		struct push_error error;

		assert_int_equal(push_redis_url_parse(&url, rows[i].text, &error), PUSH_INVALID);
		assert_memory_equal(error.text, "push.redis.url=", 15);
		if (!strstr(error.text, rows[i].expected))
			fail_msg("%s: %s", rows[i].text, error.text);
		assert_null(strstr(error.text, "geheim"));
	}
}

static void
what_is_too_long_is_refused(void **state)
{
	char text[1024];
	struct push_redis_url url;
	struct push_error error;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "redis://", 8);
	text[8 + PUSH_REDIS_HOST_BYTES_MAX] = '\0';
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_OK);
	text[8 + PUSH_REDIS_HOST_BYTES_MAX] = 'x';
	text[8 + PUSH_REDIS_HOST_BYTES_MAX + 1] = '\0';
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_INVALID);
	memset(text, 'x', sizeof(text));
	memcpy(text, "redis://me:", 11);
	memcpy(text + 11 + PUSH_REDIS_SECRET_BYTES_MAX, "@db", 4);
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_OK);
	memcpy(text + 11 + PUSH_REDIS_SECRET_BYTES_MAX, "x@db", 5);
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_INVALID);
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:///", 8);
	text[7 + 108] = '\0';
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_INVALID);
	text[7 + 107] = '\0';
	assert_int_equal(push_redis_url_parse(&url, text, &error), PUSH_OK);
}

static void
a_mask_hides_what_may_be_a_password(void **state)
{
	static const char *const rows[][2] = {
		{"redis://db:6379/0", "redis://db:6379/0"},
		{"redis://me:geheim@db", "redis://me:***@db"},
		{"redis://:geheim@db", "redis://:***@db"},
		{"redis://geheim@db", "redis://***@db"},
		{"redis://me:ge@heim@db", "redis://me:***@db"},
		{"me:geheim@db", "me:***@db"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char masked[64];

		push_redis_url_mask(rows[i][0], masked, sizeof(masked));
		assert_string_equal(masked, rows[i][1]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_understood),
		cmocka_unit_test(what_is_wrong_is_named_and_the_password_never_shown),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(a_mask_hides_what_may_be_a_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
